//! A big table: the snapshot's memory is bounded, and a prepared binlog is applied to the last row.

use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::support::big::{PeakMemory, change, fill};
use crate::support::eventually;
use crate::support::mysql::{Mysql, Version};
use crate::support::scale::scale;
use crate::support::server::Headwater;
use crate::support::source::{create_connection, wait_caught_up};

/// What server and workers together may hold at their peak.
const MEMORY_LIMIT_BYTES: u64 = 1_500_000_000;
const LIMIT: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread")]
async fn big_table_in_bounded_memory() {
    let sizes = scale();
    let mysql = Mysql::start_with(Version::V97, &["--innodb-buffer-pool-size=256M"]).await;
    fill(&mysql, sizes.big_rows).await;

    let mut server = Headwater::start().await;
    let peak = PeakMemory::watch(&server);
    let client = server.connect().await;
    create_connection(&client, mysql.port).await;
    let start = Instant::now();
    client
        .run("CREATE SOURCE big_source FROM MYSQL CONNECTION mysql_connection EXPOSE PROGRESS AS big_source_progress FOR TABLES (d.big)")
        .await;
    eventually("the snapshot", LIMIT, async || {
        let count = client.try_value("SELECT count(*) FROM big").await?;
        ensure!(count == sizes.big_rows.to_string(), "{count} rows");
        Ok(())
    })
    .await;
    let (snapshot, snapshot_peak) = (start.elapsed(), peak.end());
    drop(client);
    server.stop().await;

    change(&mysql, sizes.big_changes).await;
    let start = Instant::now();
    server.boot().await;
    let peak = PeakMemory::watch(&server);
    let client = server.connect().await;
    wait_caught_up(&client, &mysql, "big_source").await;
    let drain = start.elapsed();
    let query = "SELECT count(*), sum(n), min(id), max(id) FROM big";
    let theirs = mysql.rows("SELECT count(*), sum(n), min(id), max(id) FROM d.big").await;
    assert_eq!(client.rows(query).await, theirs);
    let drain_peak = peak.end();

    eprintln!(
        "big: {} rows in {snapshot:.1?} (peak {} MB), {} changes in {drain:.1?} with the start (peak {} MB)",
        sizes.big_rows,
        snapshot_peak / 1_000_000,
        sizes.big_changes,
        drain_peak / 1_000_000
    );
    assert!(snapshot_peak < MEMORY_LIMIT_BYTES && drain_peak < MEMORY_LIMIT_BYTES, "too much memory");
}
