//! Temporary objects: they are their session's own and go with it, however it ends.

use std::time::Duration;

use anyhow::ensure;

use crate::support::eventually;
use crate::support::server::Headwater;

const TEMPORARY: &str = "SELECT count(*) FROM mz_objects WHERE name LIKE 'temp_%'";

#[tokio::test(flavor = "multi_thread")]
async fn temporary_objects_go_with_their_session() {
    let mut server = Headwater::start().await;
    let (one, other) = (server.connect().await, server.connect().await);
    for client in [&one, &other] {
        client
            .run(
                "CREATE TEMP TABLE temp_t (a int); CREATE TEMP VIEW temp_v AS SELECT sum(a) AS s FROM temp_t",
            )
            .await;
        client.run("CREATE INDEX temp_i ON temp_v (s)").await;
    }
    one.run("INSERT INTO temp_t VALUES (1), (2)").await;
    other.run("INSERT INTO temp_t VALUES (10)").await;
    assert_eq!(one.value("SELECT s FROM temp_v").await, "3");
    assert_eq!(other.value("SELECT s FROM temp_v").await, "10");
    assert_eq!(one.value(TEMPORARY).await, "6");
    // What stays cannot depend on what goes.
    for sql in [
        "CREATE VIEW v AS SELECT * FROM temp_v",
        "CREATE MATERIALIZED VIEW m AS SELECT * FROM temp_t",
        "CREATE TABLE pg_temp.x AS SELECT 1",
    ] {
        let (state, message) = one.error(sql).await;
        assert!(state == "42P16" || state == "0A000", "{sql}: {state} {message}");
    }
    assert_eq!(one.error("CREATE MATERIALIZED VIEW pg_temp.m AS SELECT 1").await.0, "0A000");
    one.run("COMMENT ON TABLE temp_t IS 'gone soon'; ALTER TABLE temp_t RENAME TO temp_u").await;
    assert_eq!(one.value("SELECT count(*) FROM temp_u").await, "2");
    // The end of a session.
    drop(one);
    eventually("the session's objects are gone", Duration::from_secs(10), async || {
        let n = other.value(TEMPORARY).await;
        ensure!(n == "3", "{n}");
        Ok(())
    })
    .await;
    assert_eq!(other.value("SELECT s FROM temp_v").await, "10");
    // A crash.
    server.kill_and_restart().await;
    let client = server.connect().await;
    assert_eq!(client.value(TEMPORARY).await, "0");
    assert_eq!(client.value("SELECT count(*) FROM mz_internal.mz_comments").await, "0");
    client.run("CREATE TEMP TABLE temp_t (a text); INSERT INTO temp_t VALUES ('new')").await;
    assert_eq!(client.value("SELECT a FROM temp_t").await, "new");
    assert!(!server.log().contains("no longer plans"), "{}", server.log());
    // A second crash after a statement in flight.
    server.kill_and_restart().await;
    assert_eq!(server.connect().await.value(TEMPORARY).await, "0");
}
