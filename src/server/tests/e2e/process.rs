//! The server as a process: readiness, metrics, a clean end on SIGTERM, and what it keeps over a restart.

use std::time::Duration;

use anyhow::ensure;

use crate::support::eventually;
use crate::support::processes;
use crate::support::server::Headwater;

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_the_server_and_its_workers() {
    let mut server = Headwater::start().await;
    let client = server.connect().await;
    client.run("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2)").await;
    client.run("CREATE MATERIALIZED VIEW m AS SELECT sum(a) AS s FROM t").await;
    assert_eq!(client.value("SELECT s FROM m").await, "3");
    assert!(!server.workers().is_empty(), "replicas are processes");
    server.stop().await;

    server.boot().await;
    let client = server.connect().await;
    client.run("INSERT INTO t VALUES (4)").await;
    assert_eq!(client.value("SELECT s FROM m").await, "7");
    // A second orderly stop, with a query running.
    let busy = server.connect().await;
    let running = tokio::spawn(async move { busy.try_run("COPY (SUBSCRIBE t) TO STDOUT").await });
    server.stop().await;
    drop(running.await);
}

#[tokio::test(flavor = "multi_thread")]
async fn http_tells_health_and_metrics() {
    let server = Headwater::start().await;
    assert_eq!(server.get("/api/livez").unwrap().0, 200);
    assert_eq!(server.get("/api/readyz").unwrap().0, 200);
    let (status, body) = server.get("/metrics").unwrap();
    assert_eq!(status, 200);
    assert!(body.lines().any(|l| l.starts_with("# TYPE ")), "Prometheus text format, not {body:.200}");
    assert_eq!(server.get("/no/such/page").unwrap().0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_worker_is_replaced() {
    let server = Headwater::start().await;
    let client = server.connect().await;
    client.run("CREATE TABLE t (a int); INSERT INTO t VALUES (1)").await;
    client.run("CREATE VIEW v AS SELECT count(*) AS n FROM t; CREATE INDEX v_n ON v (n)").await;
    assert_eq!(client.value("SELECT n FROM v").await, "1");
    for worker in server.workers() {
        processes::signal(worker, "KILL");
    }
    client.run("INSERT INTO t VALUES (2)").await;
    eventually("an answer after the kill", Duration::from_secs(30), async || {
        let n = tokio::time::timeout(Duration::from_secs(10), client.try_value("SELECT n FROM v")).await??;
        ensure!(n == "2", "{n}");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn second_server_on_one_data_directory_is_refused() {
    let mut server = Headwater::start().await;
    let output = server.second_start();
    // 124: it was still running after the time limit.
    assert!(!matches!(output.status.code(), None | Some(0 | 124)), "two servers on one data directory");
    server.assert_alive().unwrap();
    assert_eq!(server.connect().await.value("SELECT 1").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn system_settings_are_for_the_system_role() {
    let server = Headwater::start().await;
    let (state, _) = server.connect().await.error("ALTER SYSTEM SET max_tables = 7").await;
    assert_eq!(state, "42501");
    server.connect_system().await.run("ALTER SYSTEM SET max_tables = 7").await;
}
