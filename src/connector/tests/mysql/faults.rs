//! Crashes, lost connections, servers that go away: nothing is lost, nothing is there twice, statuses are true.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hw_protocol::{Response, SourceStatus};
use hw_repr::Datum;
use mysql_async::prelude::Queryable;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::support::{Server, Source, Version, until};

const ACCOUNTS: i64 = 50;
const TOTAL: i64 = ACCOUNTS * 100;

/// Transfers between two tables in transactions of several rows, some of them rolled back, until told to stop. Survives the server.
async fn transfers(port: u16, seed: u64, stop: Arc<AtomicBool>) -> u64 {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut done = 0;
    while !stop.load(Ordering::SeqCst) {
        let opts = mysql_async::OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(port)
            .user(Some("root"))
            .prefer_socket(false);
        let Ok(mut conn) = mysql_async::Conn::new(opts).await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        while !stop.load(Ordering::SeqCst) {
            let amount = rng.random_range(1..20);
            let mut script = vec!["BEGIN".to_owned()];
            for _ in 0..rng.random_range(1..4) {
                let (from, to) = (rng.random_range(0..ACCOUNTS), rng.random_range(0..ACCOUNTS));
                let tables = if rng.random() { ["a", "b"] } else { ["b", "a"] };
                script.push(format!(
                    "UPDATE bank.{} SET balance = balance - {amount}, note = 'n{}' WHERE id = {from}",
                    tables[0],
                    rng.random::<u8>()
                ));
                script.push(format!(
                    "UPDATE bank.{} SET balance = balance + {amount} WHERE id = {to}",
                    tables[1]
                ));
            }
            script.push(format!("INSERT INTO bank.log (amount) VALUES ({amount})"));
            script.push(if rng.random_range(0..5) == 0 { "ROLLBACK" } else { "COMMIT" }.to_owned());
            let mut ok = true;
            for s in &script {
                ok &= conn.query_drop(s).await.is_ok();
                if !ok {
                    break;
                }
            }
            if !ok && conn.query_drop("ROLLBACK").await.is_err() {
                break;
            }
            done += 1;
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..5))).await;
        }
    }
    done
}

async fn kill_dump_threads(server: &Server) {
    let mut conn = server.connect().await;
    let ids: Vec<u64> = conn
        .query("SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'")
        .await
        .unwrap();
    for id in ids {
        let _ = conn.query_drop(format!("KILL {id}")).await;
    }
}

/// The sum over both account tables at each time is the total.
async fn check_totals(source: &Source) {
    let mut by_time: BTreeMap<u64, i64> = BTreeMap::new();
    for index in [0, 1] {
        for (entry, time, diff) in source.history(index).await {
            let row = entry.unwrap();
            let Datum::Int64(balance) = row.unpack()[1] else { panic!("{row:?}") };
            *by_time.entry(time).or_default() += balance * diff;
        }
    }
    let mut total = 0;
    for (i, (time, change)) in by_time.into_iter().enumerate() {
        total += change;
        assert_eq!(total, 2 * TOTAL, "at the {i}th time {time}");
    }
}

async fn survive(version: Version, seed: u64, rounds: usize) {
    let mut rng = StdRng::seed_from_u64(seed);
    let server = Server::start(version);
    let accounts = |t: &str| {
        let values: Vec<String> = (0..ACCOUNTS).map(|i| format!("({i}, 100, NULL)")).collect();
        [
            format!("CREATE TABLE bank.{t} (id int PRIMARY KEY, balance bigint NOT NULL, note varchar(20))"),
            format!("INSERT INTO bank.{t} VALUES {}", values.join(", ")),
        ]
    };
    let mut setup = vec![
        "CREATE DATABASE bank".to_owned(),
        "CREATE TABLE bank.log (id int AUTO_INCREMENT PRIMARY KEY, amount int)".to_owned(),
    ];
    setup.extend(accounts("a"));
    setup.extend(accounts("b"));
    server.sql(&setup.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let names = [("bank", "a"), ("bank", "b"), ("bank", "log")];
    let mut source = Source::new(&server, server.tables(&names).await).await;
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> =
        (0..3).map(|i| tokio::spawn(transfers(server.port, seed + i, Arc::clone(&stop)))).collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    source.start();
    for round in 0..rounds {
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..400))).await;
        let fault = rng.random_range(0..10);
        match fault {
            0..4 => {
                source.crash().await;
                source.start();
            }
            4..6 => {
                source.stop().await;
                source.desc.epoch += 1;
                source.start();
            }
            6..9 => kill_dump_threads(&server).await,
            _ => {
                server.kill();
                source.wait_status(source.desc.id, SourceStatus::Stalled).await;
                server.restart();
            }
        }
        if round % 7 == 0 {
            source.catch_up(&server).await;
        }
    }
    stop.store(true, Ordering::SeqCst);
    let mut done = 0;
    for w in writers {
        done += w.await.unwrap();
    }
    source.catch_up(&server).await;
    source.wait_status(source.desc.id, SourceStatus::Running).await;
    check_totals(&source).await;

    // A second source, which only reads a snapshot, agrees.
    let mut fresh = Source::new(&server, server.tables(&names).await).await;
    fresh.start();
    fresh.catch_up(&server).await;
    for index in 0..3 {
        assert_eq!(source.rows(index).await, fresh.rows(index).await, "seed {seed}, table {index}");
    }
    assert!(done > 100 && source.rows(2).await.len() > 50, "{done} transactions");
    source.stop().await;
    fresh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_while_streaming_9_7() {
    survive(Version::V97, 20_260_101, 25).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_while_streaming_5_7() {
    survive(Version::V57, 57, 12).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interrupted_snapshots_start_again() {
    let server = Server::start(Version::V97);
    server
        .sql(&[
            "CREATE DATABASE s",
            "CREATE TABLE s.t (id int PRIMARY KEY, v varchar(200))",
            "SET SESSION cte_max_recursion_depth = 100000000",
            "INSERT INTO s.t WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) SELECT i, REPEAT('x', 100) FROM n",
            "CREATE TABLE s.u LIKE s.t",
            "INSERT INTO s.u VALUES (1, 'one')",
        ])
        .await;
    let mut source = Source::new(&server, server.tables(&[("s", "t"), ("s", "u")]).await).await;
    let mut rng = StdRng::seed_from_u64(3);
    for _ in 0..5 {
        source.start();
        tokio::time::sleep(Duration::from_millis(rng.random_range(50..250))).await;
        source.crash().await;
    }
    // The server's side of it.
    source.start();
    let reading = || source.statistics(source.export(0)).is_some_and(|s| s.snapshot_records_staged > Some(0));
    until("rows are read", async || reading() || source.progress().await.position.is_some()).await;
    let mut conn = server.connect().await;
    let ids: Vec<u64> = conn
        .query("SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT `id`%'")
        .await
        .unwrap();
    for id in ids {
        let _ = conn.query_drop(format!("KILL {id}")).await;
    }
    source.catch_up(&server).await;
    let history = source.history(0).await;
    assert_eq!(history.len(), 200_000, "committed once");
    assert_eq!(source.rows(1).await.len(), 1);
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_epoch_takes_over() {
    let server = Server::start(Version::V97);
    server.sql(&["CREATE DATABASE e", "CREATE TABLE e.t (id int PRIMARY KEY)"]).await;
    let mut old = Source::new(&server, server.tables(&[("e", "t")]).await).await;
    old.start();
    old.catch_up(&server).await;
    let mut new = Source::new(&server, vec![]).await;
    (new.desc, new.persist) = (old.desc.clone(), old.persist.clone());
    new.desc.epoch = 2;
    new.start();
    for i in 0..50 {
        server.sql(&[&format!("INSERT INTO e.t VALUES ({i})")]).await;
    }
    new.catch_up(&server).await;
    assert_eq!(new.rows(0).await.len(), 50);
    // The older one ends by itself.
    old.ended().await;
    new.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_binlogs_and_reset_servers_are_definite() {
    let server = Server::start(Version::V97);
    server
        .sql(&["CREATE DATABASE l", "CREATE TABLE l.t (id int PRIMARY KEY)", "INSERT INTO l.t VALUES (1)"])
        .await;
    for cause in ["purge", "reset"] {
        let mut source = Source::new(&server, server.tables(&[("l", "t")]).await).await;
        source.start();
        source.catch_up(&server).await;
        source.stop().await;
        let mut conn = server.connect().await;
        if cause == "purge" {
            conn.query_drop("INSERT INTO l.t VALUES (2)").await.unwrap();
            conn.query_drop("FLUSH BINARY LOGS").await.unwrap();
            conn.query_drop("INSERT INTO l.t VALUES (3)").await.unwrap();
            let row: mysql_async::Row = conn.query_first("SHOW BINARY LOG STATUS").await.unwrap().unwrap();
            let file: String = row.get(0).unwrap();
            conn.query_drop(format!("PURGE BINARY LOGS TO '{file}'")).await.unwrap();
        } else {
            conn.query_drop("RESET BINARY LOGS AND GTIDS").await.unwrap();
            conn.query_drop("INSERT INTO l.t VALUES (4)").await.unwrap();
        }
        source.start();
        source.wait_status(source.desc.id, SourceStatus::Failed).await;
        source.wait_status(source.export(0), SourceStatus::Failed).await;
        let (_, errors) = source.contents(0).await;
        let text = if cause == "purge" { "purged" } else { "has lost transactions" };
        assert!(errors.len() == 1 && errors[0].contains(text), "{errors:?}");
        let running = source
            .told
            .lock()
            .unwrap()
            .iter()
            .rev()
            .take_while(|r| !matches!(r, Response::SourceStatus(s) if s.status == SourceStatus::Starting))
            .any(|r| matches!(r, Response::SourceStatus(s) if s.status == SourceStatus::Running));
        assert!(!running, "never running while nothing can arrive");
        source.crash().await;
        source.start();
        source.wait_status(source.desc.id, SourceStatus::Failed).await;
        source.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statuses_while_the_server_is_away() {
    let server = Server::start(Version::V97);
    server.sql(&["CREATE DATABASE w", "CREATE TABLE w.t (id int PRIMARY KEY)"]).await;
    let mut source = Source::new(&server, server.tables(&[("w", "t")]).await).await;
    server.kill();
    source.start();
    source.wait_status(source.export(0), SourceStatus::Stalled).await;
    let (_, error) = source.status(source.desc.id).unwrap();
    assert!(error.unwrap().contains("could not connect"));
    server.restart();
    source.wait_status(source.desc.progress_id, SourceStatus::Running).await;
    source.catch_up(&server).await;
    let order: Vec<SourceStatus> = source
        .told
        .lock()
        .unwrap()
        .iter()
        .filter_map(|r| match r {
            Response::SourceStatus(s) if s.id == source.desc.id => Some(s.status),
            _ => None,
        })
        .collect();
    assert_eq!(order.first(), Some(&SourceStatus::Starting));
    assert_eq!(order.last(), Some(&SourceStatus::Running));
    assert!(order[1..order.len() - 1].iter().all(|s| *s == SourceStatus::Stalled), "{order:?}");
    source.stop().await;
}
