//! The five measurements.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::pin::pin;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::ensure;
use futures::StreamExt;
use mysql_async::prelude::Queryable;

use crate::Line;
use crate::support::big::{change, fill};
use crate::support::mysql::{Mysql, Version};
use crate::support::postgres::Postgres;
use crate::support::server::Headwater;
use crate::support::source::{create_connection, create_source, wait_caught_up};
use crate::support::{checkout, eventually};

const LIMIT: Duration = Duration::from_secs(1_800);
/// Changes a second, and for how long, of the latency measurement.
const LATENCY_RATE: u64 = 500;
const LATENCY_TIME: Duration = Duration::from_secs(20);
/// Rows of the point-read table, and how long each side reads.
const READ_ROWS: u64 = 100_000;
const READ_SECONDS: u64 = 10;

/// Rows of the big table.
fn rows() -> u64 {
    std::env::var("HW_BENCH_ROWS").ok().and_then(|v| v.parse().ok()).unwrap_or(1_000_000)
}

async fn big_mysql() -> Mysql {
    let mysql = Mysql::start_with(Version::V97, &["--innodb-buffer-pool-size=512M"]).await;
    fill(&mysql, rows()).await;
    mysql
}

/// Start of an empty server, and its memory after five idle seconds.
pub(crate) async fn startup() -> Vec<Line> {
    let mut server = Headwater::prepare();
    let first = server.boot().await;
    // Idle memory is a length of time by definition.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let memory = server.resident_bytes();
    server.stop().await;
    let again = server.boot().await;
    vec![
        Line { measurement: "first start", value: millis(first), unit: "ms", beside: None },
        Line { measurement: "start again", value: millis(again), unit: "ms", beside: None },
        Line {
            measurement: "idle memory, all processes",
            value: memory as f64 / 1e6,
            unit: "MB",
            beside: None,
        },
    ]
}

/// From CREATE SOURCE until a read gives rows, which is when the snapshot is complete.
pub(crate) async fn snapshot() -> Vec<Line> {
    let mysql = big_mysql().await;
    let server = Headwater::start().await;
    let client = server.connect().await;
    create_connection(&client, mysql.port).await;
    let start = Instant::now();
    client.run("CREATE SOURCE big_source FROM MYSQL CONNECTION mysql_connection FOR TABLES (d.big)").await;
    eventually("the snapshot", LIMIT, async || {
        let rows = client.try_rows("SELECT id FROM big LIMIT 1").await?;
        ensure!(!rows.is_empty(), "no rows yet");
        Ok(())
    })
    .await;
    let ours = start.elapsed();
    assert_eq!(client.value("SELECT count(*) FROM big").await, rows().to_string());

    let start = Instant::now();
    let status = Command::new(checkout().join("bin/mysql"))
        .arg("client")
        .arg(mysql.data())
        .args(["--quick", "-N", "-e", "SELECT * FROM d.big"])
        .stdout(Stdio::null())
        .status();
    assert!(status.unwrap().success());
    let theirs = start.elapsed();
    vec![Line {
        measurement: "snapshot",
        value: rate(rows(), ours),
        unit: "rows/s",
        beside: Some(("mysql --quick", rate(rows(), theirs))),
    }]
}

/// A binlog that was written while the server was down, from ready to the last row; and mysqlbinlog on its files.
pub(crate) async fn drain() -> Vec<Line> {
    let mysql = big_mysql().await;
    let mut server = Headwater::start().await;
    create_source(&server.connect().await, &mysql, "big_source").await;
    wait_caught_up(&server.connect().await, &mysql, "big_source").await;
    server.stop().await;

    mysql.run(&["FLUSH BINARY LOGS"]).await;
    let before = mysql.binlogs();
    let changes = rows() / 2;
    change(&mysql, changes).await;
    mysql.run(&["FLUSH BINARY LOGS"]).await;
    // The last of `before` is the file that the changes begin in.
    let files: Vec<_> = mysql.binlogs().into_iter().skip(before.len() - 1).collect();

    server.boot().await;
    let start = Instant::now();
    wait_caught_up(&server.connect().await, &mysql, "big_source").await;
    let ours = start.elapsed();

    let start = Instant::now();
    let mysqlbinlog =
        Command::new(checkout().join("bin/mysql")).args(["bin", "mysqlbinlog"]).output().unwrap();
    let status = Command::new(String::from_utf8_lossy(&mysqlbinlog.stdout).trim())
        .args(["--no-defaults", "--base64-output=DECODE-ROWS", "--verbose"])
        .args(files)
        .stdout(Stdio::null())
        .status();
    assert!(status.unwrap().success());
    let theirs = start.elapsed();
    vec![Line {
        measurement: "binlog drain",
        value: rate(changes, ours),
        unit: "rows/s",
        beside: Some(("mysqlbinlog", rate(changes, theirs))),
    }]
}

/// From the acknowledged COMMIT in MySQL until a SUBSCRIBE of an indexed view has the row.
pub(crate) async fn latency() -> Vec<Line> {
    let mysql = Mysql::start(Version::V97).await;
    mysql.run(&["CREATE DATABASE d", "CREATE TABLE d.t (id BIGINT PRIMARY KEY, n BIGINT NOT NULL)"]).await;
    let server = Headwater::start().await;
    let client = server.connect().await;
    create_source(&client, &mysql, "s").await;
    client.run("CREATE VIEW v AS SELECT id, n + 1 AS m FROM t").await;
    client.run("CREATE INDEX v_id ON v (id)").await;

    let committed = Arc::new(Mutex::new(HashMap::new()));
    let times = Arc::clone(&committed);
    let mut conn = mysql.connect().await;
    let total = LATENCY_RATE * LATENCY_TIME.as_secs();
    let writer = tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_micros(1_000_000 / LATENCY_RATE));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
        for id in 0..total {
            tick.tick().await;
            conn.query_drop(format!("INSERT INTO d.t VALUES ({id}, {id})")).await.unwrap();
            times.lock().unwrap().insert(id, Instant::now());
        }
    });

    let mut reader = server.connect().await;
    let mut stream = pin!(reader.driver().copy_out("COPY (SUBSCRIBE v) TO STDOUT").await.unwrap());
    let mut seen: HashMap<u64, Instant> = HashMap::new();
    let mut pending = Vec::new();
    while (seen.len() as u64) < total {
        let chunk = tokio::time::timeout(Duration::from_secs(30), stream.next()).await.expect("rows arrive");
        let (chunk, now) = (chunk.expect("SUBSCRIBE goes on").unwrap(), Instant::now());
        pending.extend_from_slice(&chunk);
        while let Some(end) = pending.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            let line = String::from_utf8(line).unwrap();
            let id = line.split('\t').nth(2).expect("timestamp, diff, id").trim().parse().unwrap();
            seen.insert(id, now);
        }
    }
    writer.await.unwrap();
    let committed = committed.lock().unwrap();
    // A row may be seen before its writer has noted the time of its COMMIT: that is no delay.
    let mut delays: Vec<Duration> =
        seen.iter().map(|(id, at)| at.saturating_duration_since(committed[id])).collect();
    delays.sort();
    let at = |share: f64| millis(delays[((delays.len() - 1) as f64 * share) as usize]);
    vec![
        Line { measurement: "commit to visible, p50", value: at(0.50), unit: "ms", beside: None },
        Line { measurement: "commit to visible, p99", value: at(0.99), unit: "ms", beside: None },
    ]
}

/// pgbench's own select-only query, on both, with the same script and clients.
pub(crate) async fn reads() -> Vec<Line> {
    let mysql = Mysql::start(Version::V97).await;
    mysql
        .run(&[
            "CREATE DATABASE d",
            "CREATE TABLE d.pgbench_accounts (aid INT PRIMARY KEY, bid INT, abalance INT, filler CHAR(84))",
        ])
        .await;
    for chunk in 0..READ_ROWS / 10_000 {
        let ids = chunk * 10_000 + 1..=(chunk + 1) * 10_000;
        let values = ids.map(|id| format!("({id},1,0,'')")).collect::<Vec<_>>().join(",");
        mysql.run(&[&format!("INSERT INTO d.pgbench_accounts VALUES {values}")]).await;
    }
    let server = Headwater::start().await;
    let client = server.connect().await;
    create_source(&client, &mysql, "s").await;
    client.run("CREATE INDEX accounts_aid ON pgbench_accounts (aid)").await;
    assert_eq!(client.value("SELECT count(*) FROM pgbench_accounts").await, READ_ROWS.to_string());

    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("select.sql");
    let query = "SELECT abalance FROM pgbench_accounts WHERE aid = :aid;";
    fs::write(&script, format!("\\set aid random(1, {READ_ROWS})\n{query}\n")).unwrap();
    let ours = pgbench(&script, server.sql_port, "materialize", "materialize");

    let postgres = Postgres::start();
    let initialize = Command::new(Postgres::program("pgbench"))
        .args([
            "-h",
            "127.0.0.1",
            "-p",
            &postgres.port.to_string(),
            "-U",
            "postgres",
            "-i",
            "-s",
            "1",
            "--quiet",
        ])
        .arg("postgres")
        .stderr(Stdio::null())
        .status();
    assert!(initialize.unwrap().success());
    let theirs = pgbench(&script, postgres.port, "postgres", "postgres");
    vec![Line {
        measurement: "indexed point reads",
        value: ours,
        unit: "reads/s",
        beside: Some(("PostgreSQL, pgbench -S -M prepared", theirs)),
    }]
}

/// Transactions a second of a script.
fn pgbench(script: &Path, port: u16, user: &str, database: &str) -> f64 {
    let output = Command::new(Postgres::program("pgbench"))
        .args([
            "-h",
            "127.0.0.1",
            "-p",
            &port.to_string(),
            "-U",
            user,
            "-n",
            "-M",
            "prepared",
            "-c",
            "4",
            "-j",
            "1",
        ])
        .args(["-T", &READ_SECONDS.to_string(), "-f"])
        .arg(script)
        .arg(database)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let tps = text.lines().find_map(|l| l.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    tps.unwrap_or_else(|| panic!("pgbench: {text}{}", String::from_utf8_lossy(&output.stderr)))
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn rate(rows: u64, time: Duration) -> f64 {
    rows as f64 / time.as_secs_f64()
}
