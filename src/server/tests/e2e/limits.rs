//! Limits of statements and sessions: time, size of results, idleness, depth. Each has its own error, and the session goes on.

use std::pin::pin;
use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};

use crate::support::client::Client;
use crate::support::server::Headwater;

const LIMIT: Duration = Duration::from_secs(20);

/// One row, a thousand million times.
const MANY: &str = "SELECT 1 FROM (SELECT 1 FROM t) AS a, (SELECT 1 FROM t) AS b, (SELECT 1 FROM t) AS c";

/// A query that takes minutes.
const LONG: &str = "SELECT count(*) FROM big a, big b, big c WHERE a.x + b.x + c.x < 0";

async fn with_big_table(server: &Headwater) -> Client {
    let client = server.connect().await;
    client.run("CREATE TABLE big (x int); CREATE TABLE t (a int)").await;
    client.run("INSERT INTO big SELECT * FROM generate_series(1, 3000)").await;
    client.run("INSERT INTO t VALUES (1), (2)").await;
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn statement_timeout_ends_everything() {
    let server = Headwater::start().await;
    let client = with_big_table(&server).await;
    client.run("SET statement_timeout = '300ms'").await;
    for sql in [
        LONG,
        "COPY (SELECT count(*) FROM big a, big b, big c WHERE a.x + b.x + c.x < 0) TO STDOUT",
        "INSERT INTO t SELECT count(*) FROM big a, big b, big c WHERE a.x + b.x + c.x < 0",
        "DELETE FROM t WHERE a = (SELECT count(*) FROM big a, big b, big c WHERE a.x + b.x + c.x < 0)",
        "UPDATE t SET a = 0 FROM big b, big c, big d WHERE b.x + c.x + d.x + t.a < 0",
        "SUBSCRIBE t",
        "SELECT * FROM t AS OF AT LEAST now() + interval '1 hour'",
    ] {
        let start = Instant::now();
        let (state, message) = client.error(sql).await;
        assert_eq!(state, "57014", "{sql}: {message}");
        assert_eq!(message, "canceling statement due to statement timeout", "{sql}");
        assert!(start.elapsed() < LIMIT, "{sql}: {:?}", start.elapsed());
        assert_eq!(client.value("SELECT 1").await, "1", "the session goes on after {sql}");
    }
    // A cursor over a subscription: FETCH waits and is ended, the transaction fails.
    client.run("BEGIN; DECLARE c CURSOR FOR SUBSCRIBE t WITH (SNAPSHOT = false)").await;
    assert_eq!(client.error("FETCH 1 FROM c").await.0, "57014");
    assert_eq!(client.error("SELECT 1").await.0, "25P02");
    client.run("ROLLBACK").await;
    // Without the limit, or below it, statements run through.
    client.run("SET statement_timeout = '10s'").await;
    assert_eq!(client.value("SELECT count(*) FROM t").await, "2");
    client.run("BEGIN; SET LOCAL statement_timeout = 0; SELECT count(*) FROM t; COMMIT").await;
    assert_eq!(client.value("SHOW statement_timeout").await, "10000");
    assert_eq!(client.error("SET statement_timeout = '-1'").await.0, "22023");
}

#[tokio::test(flavor = "multi_thread")]
async fn statement_timeout_of_a_copy_from_stdin_and_of_the_write_lock() {
    let server = Headwater::start().await;
    let mut client = with_big_table(&server).await;
    client.run("SET statement_timeout = '500ms'").await;
    let mut sink = pin!(client.driver().copy_in::<_, bytes::Bytes>("COPY t FROM STDIN").await.unwrap());
    sink.send(bytes::Bytes::from_static(b"7\n")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(800)).await;
    let ended = sink.finish().await.unwrap_err();
    assert_eq!(ended.code().unwrap().code(), "57014");
    assert_eq!(client.value("SELECT count(*) FROM t").await, "2");
    // A statement that reads before it writes waits for another one.
    let holder = server.connect().await;
    let token = holder.cancel_token();
    let holding = tokio::spawn(async move {
        holder.error("DELETE FROM t WHERE a = (SELECT count(*) FROM big a, big b, big c WHERE a.x + b.x + c.x < 0)").await
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let start = Instant::now();
    assert_eq!(
        client.error("DELETE FROM t WHERE a = 1").await.1,
        "canceling statement due to statement timeout"
    );
    assert!(start.elapsed() < LIMIT);
    token.cancel_query(tokio_postgres::NoTls).await.unwrap();
    assert_eq!(
        holding.await.unwrap(),
        ("57014".to_owned(), "canceling statement due to user request".to_owned())
    );
    client.run("DELETE FROM t WHERE a = 1").await;
    assert_eq!(client.value("SELECT count(*) FROM t").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn results_have_a_greatest_size() {
    let server = Headwater::start().await;
    let mut client = server.connect().await;
    client
        .run("CREATE TABLE t (a int, b text); CREATE VIEW v AS SELECT * FROM t; CREATE INDEX v_a ON v (a)")
        .await;
    client.run("INSERT INTO t SELECT g, repeat('x', 1000) FROM generate_series(1, 1000) AS g").await;
    client.run("SET max_query_result_size = '100kB'").await;
    for sql in [
        "SELECT * FROM t",
        "SELECT * FROM v",
        "SELECT b || 'y' FROM t, (VALUES (1)) AS w (c)",
        "COPY t TO STDOUT",
        "VALUES (repeat('x', 200000))",
        // One row, many times.
        "SELECT 1 FROM (SELECT 1 FROM t) AS x, (SELECT 1 FROM t) AS y",
        "INSERT INTO t SELECT * FROM t",
    ] {
        let (state, message) = client.error(sql).await;
        assert_eq!(
            (state.as_str(), message.as_str()),
            ("53200", "result exceeds max size of 100 kB"),
            "{sql}"
        );
    }
    assert_eq!(client.rows("SELECT * FROM t ORDER BY a LIMIT 50").await.len(), 50);
    assert_eq!(client.value("SELECT count(*) FROM t").await, "1000");
    client.run("RESET max_query_result_size").await;
    assert_eq!(client.rows("SELECT * FROM t").await.len(), 1000);
    // A row that occurs very often does not fill the server's memory.
    assert_eq!(client.error(MANY).await.0, "53200");
    // The system's limit is below every session's.
    server.connect_system().await.run("ALTER SYSTEM SET max_result_size = '50kB'").await;
    assert_eq!(client.error("SELECT * FROM t").await.1, "result exceeds max size of 50 kB");
    // What counts is what is returned or ordered by, not whole rows of the table.
    let rows = pin!(client.driver().copy_out("COPY (SELECT a FROM t) TO STDOUT").await.unwrap());
    assert_eq!(rows.filter(|r| std::future::ready(r.is_ok())).count().await, 1000);
    assert_eq!(client.rows("SELECT length(b) FROM t ORDER BY a DESC").await.len(), 1000);
    assert_eq!(client.error("SELECT a FROM t ORDER BY b").await.0, "53200");
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_transactions_and_deep_statements() {
    let server = Headwater::start().await;
    let client = server.connect().await;
    client.run("SET idle_in_transaction_session_timeout = '300ms'").await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(client.value("SELECT 1").await, "1", "idle outside of a transaction is no harm");
    client.run("BEGIN").await;
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert!(client.try_run("SELECT 1").await.is_err(), "the connection has been ended");

    let client = server.connect().await;
    let nested = |open: &str, middle: &str, close: &str, n: usize| {
        format!("SELECT {}{middle}{}", open.repeat(n), close.repeat(n))
    };
    for sql in [
        nested("(", "1", ")", 50_000),
        nested("- ", "1", "", 50_000),
        nested("(SELECT ", "1", ")", 5_000),
        nested("abs(", "1", ")", 20_000),
        nested("1 + ", "1", "", 50_000),
    ] {
        match client.try_run(&sql).await {
            Ok(()) => {}
            Err(e) => assert!(
                format!("{e:#}").starts_with("54001") || format!("{e:#}").starts_with("42601"),
                "{e:#}"
            ),
        }
        assert_eq!(client.value("SELECT 1").await, "1");
    }
}
