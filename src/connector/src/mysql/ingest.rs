//! Running a MySQL source: from the committed position on.
//!
//! 1. Look at the server: does it still have what comes after the position, has it lost what came before?
//! 2. Take the snapshot of new tables, at a set G (see `snapshot`). Siblings wait.
//! 3. Stream from the position on. A transaction of G is applied to siblings, not to new tables. When the position has reached
//!    G (at once, when nothing is ingested yet: then G is the first position), the snapshot is committed, together with it.
//! 4. Go on streaming.
//!
//! A commit is made between transactions: when there is something, no sooner than the tick floor after the last; when there is
//! nothing, at the idle interval.

use std::convert::Infallible;
use std::time::Duration;

use hw_plan::source::{ExportDetails, MySqlConnection};
use hw_protocol::SourceStatus;
use mysql_async::prelude::Queryable;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::connect::{answer, connect, gtid_variable};
use super::decode::TablePlan;
use super::gtid::GtidSet;
use super::schema::{self, Which};
use super::snapshot::{self, Progress, Wanted};
use super::stream::{Message, Reader, ReaderExport, find, lost_binlogs, server_reset};
use crate::committer::{Committer, describe};
use crate::error::SourceError;
use crate::runner::{REPAIR_HINT, SourceContext};

/// So much may be collected before a commit is made, even when there is more at hand.
const BATCH_BYTES: usize = 8 << 20;

/// What was learnt of the server.
struct Server {
    executed: GtidSet,
    fold_case: bool,
}

pub(crate) async fn run(
    cx: &mut SourceContext,
    connection: &MySqlConnection,
    mut committer: Committer,
) -> Result<Infallible, SourceError> {
    let server = look(connection, &committer).await?;
    let committed = committer.progress().position.clone();
    let mut exports = reader_exports(cx, &mut committer).await?;

    let wanted: Vec<Wanted> = exports
        .iter()
        .filter(|e| !committer.exports()[e.index].active)
        .map(|e| Wanted {
            index: e.index,
            shard: committer.exports()[e.index].shard,
            table: e.table.clone(),
            plan: e.plan.clone(),
        })
        .collect();
    remember_columns(connection, &server, &mut exports).await?;
    let mut goal = None;
    if !wanted.is_empty() {
        let gtid_set = take_snapshot(cx, connection, &server, &mut committer, &mut exports, wanted).await?;
        goal = Some(gtid_set);
    }
    let position = match (committed, &goal) {
        (Some(position), _) => position,
        (None, Some(goal)) => goal.clone(),
        // A source without tables: from now on.
        (None, None) => server.executed.clone(),
    };
    exports.retain(|e| !committer.progress().failed.contains_key(&committer.exports()[e.index].id));
    let (messages, reader) = Reader::start(connection, exports, server.fold_case, &position).await?;
    // Dropping the future stops the reader.
    let _reader = AbortReader(reader.abort_handle());
    cx.statistics
        .offsets(server.executed.count(), committer.progress().position.as_ref().map_or(0, GtidSet::count));
    match follow(cx, &mut committer, messages, position, goal).await {
        // The reader has ended and knows why.
        Err(SourceError::Stopped) => match reader.await {
            Ok(e) => Err(e),
            Err(e) => Err(SourceError::transient(format!("the binlog reader was stopped: {e}"))),
        },
        other => other,
    }
}

struct AbortReader(tokio::task::AbortHandle);

impl Drop for AbortReader {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Looks whether the server is the one that the position is of.
async fn look(connection: &MySqlConnection, committer: &Committer) -> Result<Server, SourceError> {
    let mut conn = connect(connection).await?;
    let executed = gtid_variable(&mut conn, "gtid_executed").await?;
    let purged = gtid_variable(&mut conn, "gtid_purged").await?;
    type Row = (Option<String>, String, u8);
    let row: Option<Row> = answer(
        conn.query_first("SELECT @@GLOBAL.server_uuid, @@GLOBAL.gtid_mode, @@GLOBAL.lower_case_table_names"),
    )
    .await?;
    // It has served its purpose.
    let _ = conn.disconnect().await;
    let Some((uuid, gtid_mode, folded)) = row else {
        return Err(SourceError::transient("the MySQL server gave no answer about itself"));
    };
    if !gtid_mode.eq_ignore_ascii_case("ON") {
        return Err(SourceError::Transient {
            message: format!("gtid_mode is {gtid_mode} on the MySQL server"),
            hint: Some("Set gtid_mode to ON.".into()),
        });
    }
    if let Some(position) = &committer.progress().position {
        check_history(position, &executed, &purged, uuid.as_deref())?;
    }
    Ok(Server { executed, fold_case: folded != 0 })
}

/// Whether a server that has executed and purged these sets can be followed from a position.
fn check_history(
    position: &GtidSet,
    executed: &GtidSet,
    purged: &GtidSet,
    server: Option<&str>,
) -> Result<(), SourceError> {
    if !executed.contains_all(position) {
        let own =
            server.and_then(|s| s.parse().ok()).map(|uuid| position.of_server(&uuid)).unwrap_or_default();
        let detail = format!("ingested: {position}; on the server: {executed}");
        if !executed.contains_all(&own) || executed.is_empty() {
            return Err(SourceError::Definite(server_reset(&detail)));
        }
        return Err(SourceError::Transient {
            message: format!(
                "the MySQL server has not executed all transactions that were ingested ({detail})"
            ),
            hint: Some(
                "A replica that lags behind will catch up; else it is not a replica of the same server."
                    .into(),
            ),
        });
    }
    if !position.contains_all(purged) {
        let detail = format!("ingested: {position}; purged: {purged}");
        return Err(SourceError::Definite(lost_binlogs(&detail)));
    }
    Ok(())
}

/// The exports that have not failed. One that cannot be planned fails.
async fn reader_exports(
    cx: &mut SourceContext,
    committer: &mut Committer,
) -> Result<Vec<ReaderExport>, SourceError> {
    let mut exports = Vec::new();
    for (index, export) in cx.desc.exports.iter().enumerate() {
        if committer.progress().failed.contains_key(&export.id) {
            continue;
        }
        if committer.exports()[index].active {
            cx.statistics.hydrated(index);
        }
        let ExportDetails::MySql(table) = &export.details else { continue };
        match TablePlan::new(table) {
            Ok(plan) => exports.push(ReaderExport {
                index,
                plan,
                table: table.clone(),
                snapshot: None,
                columns_now: None,
                failed: false,
            }),
            Err(error) => {
                committer.fail(index, &error).await?;
                cx.status.failed(export.id, &describe(&error), error.hint()).await;
            }
        }
    }
    cx.statistics.report(true).await;
    Ok(exports)
}

/// Notes the columns of tables as they are now: rows that come may have been written with these, or with earlier ones.
async fn remember_columns(
    connection: &MySqlConnection,
    server: &Server,
    exports: &mut [ReaderExport],
) -> Result<(), SourceError> {
    let names: Vec<_> = exports.iter().map(|e| (e.table.schema.clone(), e.table.table.clone())).collect();
    if names.is_empty() {
        return Ok(());
    }
    let mut conn = connect(connection).await?;
    let tables = schema::read(&mut conn, Which::Tables(&names)).await?;
    let _ = conn.disconnect().await;
    for export in exports {
        let now = find(&tables, &export.table, server.fold_case);
        export.columns_now = now.map(|t| t.columns.iter().map(|c| c.name.clone()).collect());
    }
    Ok(())
}

/// Reads new tables into the committer; they are committed when the stream has reached the set that is returned.
async fn take_snapshot(
    cx: &mut SourceContext,
    connection: &MySqlConnection,
    server: &Server,
    committer: &mut Committer,
    exports: &mut [ReaderExport],
    wanted: Vec<Wanted>,
) -> Result<GtidSet, SourceError> {
    let time = committer.fix_time();
    for w in &wanted {
        let s = cx.statistics.export(w.index);
        (s.messages_received, s.bytes_received, s.updates_staged) = (0, 0, 0);
        (s.snapshot_records_known, s.snapshot_records_staged) = (None, Some(0));
    }
    let (sender, mut progress) = mpsc::channel(64);
    let persist = committer.persist().clone();
    let reading = snapshot::take(connection, &persist, wanted, server.fold_case, time, sender);
    tokio::pin!(reading);
    let taken = loop {
        tokio::select! {
            biased;
            Some(p) = progress.recv() => match p {
                Progress::Reading(estimates) => {
                    for (index, rows) in estimates {
                        cx.statistics.export(index).snapshot_records_known = Some(rows);
                    }
                    cx.status.all(SourceStatus::Running, None, None).await;
                }
                Progress::Rows(index, rows, bytes) => {
                    cx.statistics.received(index, rows, bytes);
                    let s = cx.statistics.export(index);
                    let staged = s.snapshot_records_staged.unwrap_or(0) + rows;
                    s.snapshot_records_staged = Some(staged);
                    s.snapshot_records_known = s.snapshot_records_known.map(|known| known.max(staged));
                    cx.statistics.report(false).await;
                }
            },
            taken = &mut reading => break taken?,
        }
    };
    if let Some(position) = &committer.progress().position
        && !taken.gtid_set.contains_all(position)
    {
        return Err(SourceError::transient(
            "the MySQL server has not executed all transactions that were ingested",
        ));
    }
    for (index, outcome) in taken.tables {
        match outcome {
            Ok(builder) => {
                committer.adopt(index, builder).await?;
                let s = cx.statistics.export(index);
                s.snapshot_records_known = s.snapshot_records_staged;
            }
            Err(error) => {
                committer.fail(index, &error).await?;
                let id = committer.exports()[index].id;
                cx.status.failed(id, &describe(&error), error.hint().or(Some(REPAIR_HINT))).await;
            }
        }
    }
    for export in exports.iter_mut() {
        if let Some((_, columns)) = taken.columns.iter().find(|(index, _)| *index == export.index) {
            export.columns_now = Some(columns.clone());
            export.snapshot = Some(taken.gtid_set.clone());
        }
    }
    Ok(taken.gtid_set)
}

/// Takes what the reader reads, and commits. Until the position has reached `goal` nothing is committed.
async fn follow(
    cx: &mut SourceContext,
    committer: &mut Committer,
    mut messages: mpsc::Receiver<Message>,
    mut position: GtidSet,
    mut goal: Option<GtidSet>,
) -> Result<Infallible, SourceError> {
    let (floor, idle) = (cx.tick_floor(), cx.tick_idle());
    // Whether no transaction is open; whether something is to be committed.
    let (mut at_end, mut dirty) = (true, true);
    let mut established = false;
    let mut last_commit = Instant::now() - Duration::from_secs(1);
    loop {
        let reached = goal.as_ref().is_none_or(|g| position.contains_all(g));
        let can_commit = at_end && established && reached;
        let wait = if committer.bytes() > BATCH_BYTES {
            Duration::ZERO
        } else if dirty {
            floor
        } else {
            idle
        };
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(last_commit + wait), if can_commit => {
                committer.commit(Some(position.clone())).await?;
                last_commit = Instant::now();
                dirty = false;
                cx.statistics.committed();
                if goal.take().is_some() {
                    for index in 0..committer.exports().len() {
                        cx.statistics.hydrated(index);
                    }
                    cx.statistics.report(true).await;
                }
                let committed = position.count();
                cx.statistics.offsets(committed, committed);
                cx.statistics.report(false).await;
            }
            message = messages.recv() => match message {
                None => return Err(SourceError::Stopped),
                Some(Message::Established) => {
                    established = true;
                    cx.status.all(SourceStatus::Running, None, None).await;
                }
                Some(Message::Piece(piece)) => {
                    dirty = true;
                    at_end = piece.at_end;
                    for (index, entry, _) in &piece.changes {
                        let bytes = entry.as_ref().map_or(0, |r| r.data().len() as u64);
                        cx.statistics.received(*index, 1, bytes);
                    }
                    committer.add(piece.changes).await?;
                    for (index, error) in &piece.errors {
                        committer.fail(*index, error).await?;
                        let id = committer.exports()[*index].id;
                        cx.status.failed(id, &describe(error), error.hint()).await;
                    }
                    piece.complete.iter().for_each(|gtid| position.insert(gtid));
                }
            },
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn history() {
        let a = "00000000-0000-0000-0000-00000000000a";
        let b = "00000000-0000-0000-0000-00000000000b";
        let set = |s: String| s.parse::<GtidSet>().unwrap();
        let check = |position: &str, executed: &str, purged: &str| {
            let sets = [position, executed, purged].map(|s| set(s.replace('A', a).replace('B', b)));
            check_history(&sets[0], &sets[1], &sets[2], Some(a))
        };
        assert_eq!(check("A:1-5", "A:1-9", ""), Ok(()));
        assert_eq!(check("A:1-5", "A:1-9", "A:1-5"), Ok(()));
        assert!(matches!(check("A:1-5", "A:1-9", "A:1-6"), Err(SourceError::Definite(_))));
        assert!(matches!(check("A:1-5", "A:1-4", ""), Err(SourceError::Definite(_))));
        // A replica that lags behind.
        assert!(matches!(check("A:1-5,B:1-9", "A:1-5,B:1-8", ""), Err(SourceError::Transient { .. })));
        assert!(matches!(check("A:1-5,B:1-9", "", ""), Err(SourceError::Definite(_))));
    }
}
