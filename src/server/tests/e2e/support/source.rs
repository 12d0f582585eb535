//! MySQL sources in Headwater: making one, waiting for it, comparing it with MySQL.

use std::time::Duration;

use anyhow::ensure;

use super::client::Client;
use super::eventually;
use super::mysql::{Mysql, PASSWORD};

/// How long a source may take to catch up with MySQL.
pub(crate) const CATCH_UP_LIMIT: Duration = Duration::from_secs(120);

/// Creates the secret `mysqlpass` and the connection `mysql_connection` to a loopback port.
pub(crate) async fn create_connection(client: &Client, port: u16) {
    client.run(&format!("CREATE SECRET mysqlpass AS '{}'", PASSWORD.replace('\'', "''"))).await;
    client
        .run(&format!(
            "CREATE CONNECTION mysql_connection TO MYSQL (HOST '127.0.0.1', PORT {port}, USER 'materialize', \
             PASSWORD SECRET mysqlpass, SSL MODE REQUIRED)"
        ))
        .await;
}

/// Creates connection and source, all tables, progress in `{name}_progress`, and waits until it runs.
pub(crate) async fn create_source(client: &Client, mysql: &Mysql, name: &str) {
    create_connection(client, mysql.port).await;
    client
        .run(&format!(
            "CREATE SOURCE {name} FROM MYSQL CONNECTION mysql_connection EXPOSE PROGRESS AS {name}_progress FOR ALL TABLES"
        ))
        .await;
    wait_running(client, name).await;
}

/// The status that the source shows now.
pub(crate) async fn status(client: &Client, name: &str) -> anyhow::Result<String> {
    client
        .try_value(&format!("SELECT status FROM mz_internal.mz_source_statuses WHERE name = '{name}'"))
        .await
}

/// Waits until the source says that it runs.
pub(crate) async fn wait_running(client: &Client, name: &str) {
    eventually(&format!("source {name} running"), CATCH_UP_LIMIT, async || {
        let status = status(client, name).await?;
        ensure!(status == "running", "status is {status}");
        Ok(())
    })
    .await;
}

/// Waits until the source has everything that MySQL has executed by now, by its progress subsource.
pub(crate) async fn wait_caught_up(client: &Client, mysql: &Mysql, name: &str) {
    let (uuid, last) = mysql.position().await;
    eventually(&format!("source {name} at {uuid}:{last}"), CATCH_UP_LIMIT, async || {
        let next: u64 = client
            .try_value(&format!(
                "SELECT transaction_id::text FROM {name}_progress WHERE source_id_lower::text = '{uuid}'"
            ))
            .await?
            .parse()?;
        ensure!(next > last, "the next transaction is {next}");
        Ok(())
    })
    .await;
}

/// Requires that a table has the same rows in both, nothing twice and nothing lost. `query` gives the rows in a
/// fixed order and runs on both sides.
pub(crate) async fn assert_equal(client: &Client, mysql: &Mysql, query: &str) {
    let (ours, theirs) = (client.rows(query).await, mysql.rows(query).await);
    if ours == theirs {
        return;
    }
    let extra: Vec<_> = ours.iter().filter(|r| !theirs.contains(r)).take(10).collect();
    let missing: Vec<_> = theirs.iter().filter(|r| !ours.contains(r)).take(10).collect();
    panic!(
        "{query}\nHeadwater has {} rows, MySQL {}; only in Headwater: {extra:?}; only in MySQL: {missing:?}",
        ours.len(),
        theirs.len()
    );
}
