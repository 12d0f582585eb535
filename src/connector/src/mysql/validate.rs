//! What a source needs of a server, checked when a statement runs.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use hw_plan::source::MySqlConnection;
use mysql_async::prelude::Queryable;
use mysql_async::{BinlogStreamRequest, Conn};

use super::connect::{GRANT_HINT, answer, classify, connect, gtid_variable};
use crate::error::UpstreamError;

/// A statement's questions are answered within this time, or it fails.
pub(crate) const STATEMENT_TIMEOUT: Duration = Duration::from_millis(9_500);

/// Connects and checks settings and the right to replicate, within ten seconds.
pub async fn validate_connection(connection: &MySqlConnection) -> Result<(), UpstreamError> {
    within_limit(async {
        let mut conn = connect(connection).await?;
        check_settings(&mut conn).await?;
        check_replication(conn).await
    })
    .await
}

/// Bounds the questions of one statement.
pub(crate) async fn within_limit<T>(
    future: impl Future<Output = Result<T, UpstreamError>>,
) -> Result<T, UpstreamError> {
    match tokio::time::timeout(STATEMENT_TIMEOUT, future).await {
        Ok(result) => result,
        Err(_) => Err(UpstreamError::new("08006", "the MySQL server did not answer all questions in time")
            .with_detail(format!("limit: {:.1} seconds", STATEMENT_TIMEOUT.as_secs_f32()))),
    }
}

/// Checks the server's version and settings (guide, "Enable GTID-based binlog replication").
pub async fn check_settings(conn: &mut Conn) -> Result<(), UpstreamError> {
    let version: Option<String> = answer(conn.query_first("SELECT VERSION()")).await?;
    let version = version.unwrap_or_default();
    if version.contains("MariaDB") || conn.server_version() < (5, 7, 0) {
        return Err(UpstreamError::new("0A000", format!("unsupported server: {version}"))
            .with_hint("MySQL 5.7 or higher is required."));
    }
    let rows: Vec<(String, String)> = answer(conn.query(
        "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('log_bin', 'binlog_format', 'binlog_row_image', 'gtid_mode', \
         'enforce_gtid_consistency', 'binlog_row_value_options', 'replica_preserve_commit_order', \
         'slave_preserve_commit_order', 'replica_parallel_workers', 'slave_parallel_workers', 'log_replica_updates', \
         'log_slave_updates')",
    ))
    .await?;
    let variables: BTreeMap<String, String> =
        rows.into_iter().map(|(k, v)| (k.to_ascii_lowercase(), v)).collect();
    let wrong = wrong_settings(&variables, is_replica(conn).await);
    if wrong.is_empty() {
        return Ok(());
    }
    Err(UpstreamError::new("55000", "the MySQL server is not configured for GTID-based binlog replication")
        .with_detail(wrong.join("; "))
        .with_hint("Change the settings on the MySQL server, then try again."))
}

/// Whether the server replicates from another one. A user without REPLICATION CLIENT cannot tell.
async fn is_replica(conn: &mut Conn) -> bool {
    for statement in ["SHOW REPLICA STATUS", "SHOW SLAVE STATUS"] {
        if let Ok(rows) = answer(conn.query::<mysql_async::Row, _>(statement)).await {
            return !rows.is_empty();
        }
    }
    false
}

/// Which settings are not as they must be. A variable that the server does not have is as it must be: later versions drop
/// those that have only one value left.
fn wrong_settings(variables: &BTreeMap<String, String>, is_replica: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut check = |names: &[&str], wanted: &[&str]| {
        if let Some((name, value)) = names.iter().find_map(|n| variables.get_key_value(*n))
            && !wanted.iter().any(|w| value.eq_ignore_ascii_case(w))
        {
            let wanted = if wanted[0].is_empty() { "empty" } else { wanted[0] };
            wrong.push(format!("{name} is {value}, must be {wanted}"));
        }
    };
    check(&["log_bin"], &["ON", "1"]);
    check(&["binlog_format"], &["ROW"]);
    check(&["binlog_row_image"], &["FULL"]);
    check(&["gtid_mode"], &["ON"]);
    check(&["enforce_gtid_consistency"], &["ON", "1"]);
    check(&["binlog_row_value_options"], &[""]);
    if is_replica {
        check(&["log_replica_updates", "log_slave_updates"], &["ON", "1"]);
        let workers =
            ["replica_parallel_workers", "slave_parallel_workers"].iter().find_map(|n| variables.get(*n));
        if workers.is_some_and(|w| w != "0" && w != "1") {
            check(&["replica_preserve_commit_order", "slave_preserve_commit_order"], &["ON", "1"]);
        }
    }
    wrong
}

/// Checks the right to replicate by starting to. Ends the connection.
pub(crate) async fn check_replication(mut conn: Conn) -> Result<(), UpstreamError> {
    let executed = gtid_variable(&mut conn, "gtid_executed").await?;
    let request = BinlogStreamRequest::new(replica_server_id())
        .with_gtid()
        .with_gtid_set(executed.to_sids())
        .with_non_blocking();
    let attempt = async {
        let mut stream = conn.get_binlog_stream(request).await?;
        let first = stream.next().await.transpose().map(drop);
        // The server may have ended the connection already.
        let _ = stream.close().await;
        first
    };
    match answer(attempt).await {
        Ok(()) => Ok(()),
        Err(e) if e.sqlstate == "42501" || e.sqlstate == "28000" => {
            Err(UpstreamError::new("42501", "the MySQL user may not read the binary log")
                .with_detail(e.message)
                .with_hint(GRANT_HINT))
        }
        Err(e) => Err(e),
    }
}

/// Checks by the grants, and where they do not tell (roles) by trying, that a table can be locked for the snapshot.
pub(crate) async fn check_locking(conn: &mut Conn, table: &str) -> Result<(), UpstreamError> {
    let grants: Vec<String> = answer(conn.query("SHOW GRANTS")).await.unwrap_or_default();
    let global = |g: &&String| g.contains(" ON *.* ");
    let may = |g: &String| ["ALL PRIVILEGES", "LOCK TABLES", "RELOAD"].iter().any(|p| g.contains(p));
    if grants.iter().filter(global).any(may) {
        return Ok(());
    }
    let attempt = async {
        conn.query_drop("SET SESSION lock_wait_timeout = 1").await?;
        let locked = conn.query_drop(format!("LOCK TABLES {table} READ")).await;
        conn.query_drop("UNLOCK TABLES").await?;
        locked
    };
    match tokio::time::timeout(Duration::from_secs(5), attempt).await {
        // A lock that is not had in time is one that may be had.
        Err(_) | Ok(Ok(())) => Ok(()),
        Ok(Err(mysql_async::Error::Server(e))) if e.code == 1205 => Ok(()),
        Ok(Err(e)) => {
            let e = classify(&e);
            Err(UpstreamError::new(e.sqlstate, "the MySQL user may not lock tables for the snapshot")
                .with_detail(e.message)
                .with_hint(GRANT_HINT))
        }
    }
}

/// A server id that no server and no other reader should have.
pub(crate) fn replica_server_id() -> u32 {
    rand::random::<u32>() | 0x8000_0000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings() {
        let mut v: BTreeMap<String, String> = [
            ("log_bin", "ON"),
            ("binlog_format", "ROW"),
            ("binlog_row_image", "FULL"),
            ("gtid_mode", "ON"),
            ("enforce_gtid_consistency", "ON"),
            ("binlog_row_value_options", ""),
            ("log_slave_updates", "OFF"),
            ("slave_parallel_workers", "4"),
            ("slave_preserve_commit_order", "OFF"),
        ]
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect();
        assert_eq!(wrong_settings(&v, false), Vec::<String>::new());
        assert_eq!(wrong_settings(&v, true).len(), 2);
        v.insert("binlog_format".into(), "STATEMENT".into());
        v.insert("gtid_mode".into(), "ON_PERMISSIVE".into());
        let wrong = ["binlog_format is STATEMENT, must be ROW", "gtid_mode is ON_PERMISSIVE, must be ON"];
        assert_eq!(wrong_settings(&v, false), wrong);
    }
}
