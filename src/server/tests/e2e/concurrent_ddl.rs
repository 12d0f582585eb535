//! DDL of one session beside writes of another: neither makes the other fail.

use crate::support::server::Headwater;

/// How often a table comes and goes.
const TABLES: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn drops_do_not_fail_writes() {
    let server = Headwater::start().await;
    let (ddl, writer) = (server.connect().await, server.connect().await);
    writer.run("CREATE TABLE kept (n int)").await;
    let drops = async {
        for n in 0..TABLES {
            ddl.run(&format!("CREATE TABLE gone_{n} (n int)")).await;
            ddl.run(&format!("INSERT INTO gone_{n} VALUES (1)")).await;
            ddl.run(&format!("DROP TABLE gone_{n}")).await;
        }
    };
    let writes = async {
        for n in 0..3 * TABLES {
            writer.run(&format!("INSERT INTO kept VALUES ({n})")).await;
        }
    };
    tokio::join!(drops, writes);
    assert_eq!(writer.value("SELECT count(*) FROM kept").await, (3 * TABLES).to_string());
}
