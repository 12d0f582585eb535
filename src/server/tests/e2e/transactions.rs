//! Transactions that meet each other and crashes: DDL that becomes visible and durable as a whole, at COMMIT.

use std::time::Duration;

use crate::support::client::Client;
use crate::support::server::Headwater;

const TABLES: &str = "SELECT count(*) FROM mz_tables WHERE name LIKE 'ddl_%'";

#[tokio::test(flavor = "multi_thread")]
async fn ddl_becomes_visible_as_a_whole() {
    let server = Headwater::start().await;
    let (one, other) = (server.connect().await, server.connect().await);
    one.run("CREATE TABLE base (a int)").await;
    one.run("INSERT INTO base VALUES (1), (2)").await;
    one.run("BEGIN").await;
    one.run("CREATE SCHEMA s").await;
    one.run("CREATE TABLE s.ddl_t (a int)").await;
    one.run("CREATE MATERIALIZED VIEW s.m AS SELECT sum(a) AS total FROM public.base").await;
    one.run("CREATE INDEX m_idx ON s.m (total)").await;
    one.run("COMMENT ON TABLE s.ddl_t IS 'mine'").await;
    // Only its own session sees it, and that cannot read yet.
    assert_eq!(other.error("SELECT * FROM s.ddl_t").await.0, "42P01");
    assert_eq!(other.value(TABLES).await, "0");
    assert_eq!(other.error("CREATE TABLE s.other (a int)").await.0, "3F000");
    one.run("COMMIT").await;
    assert_eq!(other.value(TABLES).await, "1");
    assert_eq!(other.value("SELECT total FROM s.m").await, "3");
    assert_eq!(other.value("SELECT comment FROM mz_internal.mz_comments").await, "mine");

    // What may not be together.
    for (first, second, state) in [
        ("CREATE TABLE ddl_x (a int)", "INSERT INTO base VALUES (3)", "25000"),
        ("CREATE TABLE ddl_x (a int)", "SELECT * FROM base", "25000"),
        ("INSERT INTO base VALUES (3)", "CREATE TABLE ddl_x (a int)", "25000"),
        ("INSERT INTO base VALUES (3)", "SELECT * FROM base", "25000"),
        ("INSERT INTO base VALUES (3)", "DELETE FROM base", "25001"),
        ("INSERT INTO base VALUES (3)", "INSERT INTO base SELECT a FROM base", "25001"),
        ("SELECT * FROM base", "UPDATE base SET a = 0", "25001"),
        ("SELECT * FROM base", "INSERT INTO base VALUES (3)", "25000"),
        ("SELECT * FROM base", "SUBSCRIBE base", "25000"),
        ("SELECT 1", "ALTER CLUSTER quickstart SET (SIZE '100cc')", "25001"),
    ] {
        one.run("BEGIN").await;
        one.run(first).await;
        assert_eq!(one.error(second).await.0, state, "{first}; {second}");
        assert_eq!(one.error("SELECT 1").await.0, "25P02");
        one.run("ROLLBACK").await;
    }
    // Queries of no relation go with everything.
    one.run("BEGIN; CREATE TABLE ddl_x (a int); SELECT 1, now(); SET LOCAL cluster = quickstart; COMMIT")
        .await;
    one.run("BEGIN; INSERT INTO ddl_x SELECT * FROM generate_series(1, 2000); SELECT 1; ROLLBACK").await;
    assert_eq!(one.value("SELECT count(*) FROM ddl_x").await, "0");
    assert_eq!(one.value("SELECT count(*) FROM base").await, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn overlapping_ddl_stays_consistent() {
    let server = Headwater::start().await;
    let (one, other) = (server.connect().await, server.connect().await);
    // The same name twice: the second to commit fails.
    one.run("BEGIN; CREATE TABLE ddl_t (a int)").await;
    other.run("CREATE TABLE ddl_t (b text)").await;
    assert_eq!(one.error("COMMIT").await.0, "42P07");
    assert_eq!(one.value("SELECT 1").await, "1", "the transaction is over");
    // Others' changes in between are seen by the next statement, and new ids do not mix.
    one.run("BEGIN; CREATE SCHEMA s1").await;
    other.run("CREATE SCHEMA s2").await;
    other.run("CREATE TABLE s2.ddl_u (a int)").await;
    one.run("CREATE VIEW s1.v AS SELECT b FROM ddl_t").await;
    other.run("CREATE TABLE s2.ddl_w (a int)").await;
    one.run("COMMIT").await;
    assert_eq!(one.rows("SELECT * FROM s1.v").await.len(), 0);
    assert_eq!(
        one.value("SELECT s.name FROM mz_views v JOIN mz_schemas s ON v.schema_id = s.id WHERE v.name = 'v'")
            .await,
        "s1"
    );
    // What a transaction refers to goes away under it.
    one.run("BEGIN; CREATE VIEW s1.w AS SELECT a FROM s2.ddl_u").await;
    other.run("DROP TABLE s2.ddl_u").await;
    assert_eq!(one.error("COMMIT").await.0, "40001");
    assert_eq!(one.error("SELECT * FROM s1.w").await.0, "42P01");
    // What a transaction drops is built upon meanwhile.
    one.run("BEGIN; DROP TABLE s2.ddl_w").await;
    other.run("CREATE VIEW x AS SELECT a FROM s2.ddl_w").await;
    assert_eq!(one.error("COMMIT").await.0, "2BP01");
    one.run("BEGIN; DROP SCHEMA s1 CASCADE").await;
    other.run("CREATE TABLE s1.late (a int)").await;
    assert_eq!(one.error("COMMIT").await.0, "2BP01");
    assert_eq!(other.rows("SELECT * FROM x, s1.late").await.len(), 0);
    // A table that is written to goes away before the commit.
    one.run("BEGIN; INSERT INTO s1.late VALUES (1)").await;
    other.run("DROP TABLE s1.late").await;
    assert_eq!(one.error("COMMIT").await.0, "40001");
    // Replacing a view takes its indexes along and nothing else.
    one.run("CREATE VIEW r AS SELECT 1 AS a; CREATE INDEX r_idx ON r (a)").await;
    one.run("CREATE OR REPLACE VIEW r AS SELECT 2 AS a").await;
    assert_eq!(one.value("SELECT a FROM r").await, "2");
    one.run("CREATE VIEW on_r AS SELECT a FROM r").await;
    assert_eq!(one.error("CREATE OR REPLACE VIEW r AS SELECT 3 AS a").await.0, "2BP01");
    assert_eq!(one.value("SELECT a FROM on_r").await, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn ddl_transactions_survive_kill_as_a_whole() {
    let mut server = Headwater::start().await;
    let statement = |n: usize| {
        format!(
            "BEGIN; CREATE TABLE ddl_a{n} (a int); CREATE TABLE ddl_b{n} (a int); CREATE VIEW ddl_v{n} AS SELECT a FROM ddl_a{n}; COMMIT"
        )
    };
    // One that was never committed.
    let client = server.connect().await;
    client.run("BEGIN; CREATE TABLE ddl_never (a int)").await;
    let mut acknowledged = Vec::new();
    for n in 0..6 {
        let client = server.connect().await;
        let sql = statement(n);
        let running = tokio::spawn(async move { client.try_run(&sql).await });
        tokio::time::sleep(Duration::from_millis(3 * n as u64)).await;
        server.kill();
        let answer = tokio::time::timeout(Duration::from_secs(10), running).await.unwrap().unwrap();
        acknowledged.push(answer.is_ok());
        server.boot().await;
    }
    let client = server.connect().await;
    for (n, acknowledged) in acknowledged.into_iter().enumerate() {
        let found = count(&client, n).await;
        assert!(found == 3 || (found == 0 && !acknowledged), "{n}: {found} objects, {acknowledged}");
    }
    assert_eq!(client.value("SELECT count(*) FROM mz_tables WHERE name = 'ddl_never'").await, "0");
}

async fn count(client: &Client, n: usize) -> usize {
    let sql = format!("SELECT name FROM mz_objects WHERE name IN ('ddl_a{n}', 'ddl_b{n}', 'ddl_v{n}')");
    client.rows(&sql).await.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_statements_are_one_transaction() {
    let server = Headwater::start().await;
    let mut client = server.connect().await;
    client.run("CREATE TABLE t (a int)").await;
    let driver = client.driver();
    // FETCH and EXECUTE tell what they return.
    let transaction = driver.transaction().await.unwrap();
    transaction.batch_execute("DECLARE c CURSOR FOR VALUES (1, 'x'), (2, 'y')").await.unwrap();
    let rows = transaction.query("FETCH 1 FROM c", &[]).await.unwrap();
    assert_eq!((rows[0].get::<_, i32>(0), rows[0].get::<_, &str>(1)), (1, "x"));
    transaction.batch_execute("PREPARE p (int) AS SELECT $1 * 2").await.unwrap();
    let rows = transaction.query("EXECUTE p (21)", &[]).await.unwrap();
    assert_eq!(rows[0].get::<_, i32>(0), 42);
    transaction.rollback().await.unwrap();
    // An error skips what follows until Sync, and undoes what came before.
    let (first, second) = tokio::join!(
        driver.query("INSERT INTO t VALUES (1) RETURNING a / 0", &[]),
        driver.query("SELECT count(*) FROM t", &[])
    );
    assert_eq!(first.unwrap_err().code().unwrap().code(), "22012");
    assert_eq!(second.unwrap()[0].get::<_, i64>(0), 0);
}
