//! The guide's chapter "Ingest data from self-hosted MySQL", statement by statement as written, through psql.
//!
//! Only host, port and password are filled in. Sections A.2 (in MySQL), C.1 to C.5 and D.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;

use crate::support::eventually;
use crate::support::mysql::{Mysql, PASSWORD, Version};
use crate::support::server::Headwater;

/// C.1
const CREATE_CLUSTER: &str = "
    CREATE CLUSTER ingest_mysql (SIZE = '200cc');

    SET CLUSTER = ingest_mysql;
";

/// C.2
const CREATE_SECRET: &str = "
    CREATE SECRET mysqlpass AS '<PASSWORD>';
";

/// C.2
const CREATE_CONNECTION: &str = "
    CREATE CONNECTION mysql_connection TO MYSQL (
        HOST <host>,
        PORT 3306,
        USER 'materialize',
        PASSWORD SECRET mysqlpass,
        SSL MODE REQUIRED
    );
";

/// C.3
const CREATE_SOURCE: &str = "
CREATE SOURCE mz_source
  FROM MYSQL CONNECTION mysql_connection
  FOR ALL TABLES;
";

/// C.4
const MONITOR_STATUS: &str = "
    WITH
      source_ids AS
      (SELECT id FROM mz_sources WHERE name = 'mz_source')
    SELECT *
    FROM
      mz_internal.mz_source_statuses
        JOIN
          (
            SELECT referenced_object_id
            FROM mz_internal.mz_object_dependencies
            WHERE
              object_id IN (SELECT id FROM source_ids)
            UNION SELECT id FROM source_ids
          )
          AS sources
        ON mz_source_statuses.id = sources.referenced_object_id;
";

/// C.4
const MONITOR_SNAPSHOT: &str = "
    WITH
      source_ids AS
      (SELECT id FROM mz_sources WHERE name = 'mz_source')
    SELECT sources.referenced_object_id AS id, mz_sources.name, snapshot_committed
    FROM
      mz_internal.mz_source_statistics
        JOIN
          (
            SELECT object_id, referenced_object_id
            FROM mz_internal.mz_object_dependencies
            WHERE
              object_id IN (SELECT id FROM source_ids)
            UNION SELECT id, id FROM source_ids
          )
          AS sources
        ON mz_source_statistics.id = sources.referenced_object_id
        JOIN mz_sources ON mz_sources.id = sources.referenced_object_id;
";

/// C.5
const RESIZE: &str = "
    ALTER CLUSTER ingest_mysql SET (SIZE '100cc');
";

/// C.5
const SHOW_REPLICAS: &str = "
    SHOW CLUSTER REPLICAS WHERE cluster = 'ingest_mysql';
";

const TABLES: [&str; 3] = ["customers", "orders", "order_items"];

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn guide_on_mysql_97() {
    // As the guide writes it: a bare host name.
    follow_the_guide(Version::V97, "localhost").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guide_on_mysql_57() {
    follow_the_guide(Version::V57, "'127.0.0.1'").await;
}

async fn follow_the_guide(version: Version, host: &str) {
    let mysql = Mysql::start(version).await;
    mysql
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.customers (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(100) NOT NULL)",
            "CREATE TABLE shop.orders (id INT PRIMARY KEY, customer_id INT NOT NULL, placed DATETIME NOT NULL)",
            "CREATE TABLE shop.order_items (order_id INT, line INT, price DECIMAL(10,2), PRIMARY KEY (order_id, line))",
            "INSERT INTO shop.customers (name) VALUES ('Ada'), ('Grace'), ('Édith')",
            "INSERT INTO shop.orders VALUES (1, 1, '2026-01-02 03:04:05'), (2, 3, '2026-02-03 04:05:06')",
            "INSERT INTO shop.order_items VALUES (1, 1, 9.99), (1, 2, 0.01), (2, 1, 100.00)",
        ])
        .await;
    let server = Headwater::start().await;
    let psql = server.psql();

    // C.1 to C.3: one session, as the cluster is set for it.
    let connection =
        CREATE_CONNECTION.replace("<host>", host).replace("PORT 3306", &format!("PORT {}", mysql.port));
    let secret = CREATE_SECRET.replace("<PASSWORD>", PASSWORD);
    let printed = psql.must(&[CREATE_CLUSTER, &secret, &connection, CREATE_SOURCE].concat());
    let tags: Vec<&str> = printed.lines().collect();
    assert_eq!(tags, ["CREATE CLUSTER", "SET", "CREATE SECRET", "CREATE CONNECTION", "CREATE SOURCE"]);

    // C.4: the source and each of its tables run, and the snapshot is committed.
    eventually("the guide's status query shows running", LIMIT, async || {
        let rows = psql.table(MONITOR_STATUS);
        for name in TABLES.iter().chain(["mz_source"].iter()) {
            ensure!(rows.iter().any(|r| r["name"] == *name), "{name} is missing in {rows:?}");
        }
        ensure!(rows.iter().all(|r| r["status"] == "running"), "{rows:?}");
        Ok(())
    })
    .await;
    eventually("the guide's snapshot query shows t", LIMIT, async || {
        let rows = psql.table(MONITOR_SNAPSHOT);
        ensure!(!rows.is_empty() && rows.iter().all(|r| r["snapshot_committed"] == "t"), "{rows:?}");
        Ok(())
    })
    .await;

    // C.5
    assert_eq!(psql.must(RESIZE).trim(), "ALTER CLUSTER");
    eventually("one ready 100cc replica", LIMIT, async || {
        let rows = psql.table(SHOW_REPLICAS);
        let [row] = rows.as_slice() else { anyhow::bail!("{rows:?}") };
        let columns: Vec<&str> = row.keys().map(String::as_str).collect();
        assert_eq!(columns, ["cluster", "ready", "replica", "size"]);
        ensure!(
            row["cluster"] == "ingest_mysql" && row["size"] == "100cc" && row["ready"] == "t",
            "{rows:?}"
        );
        Ok(())
    })
    .await;

    explore(&mysql, &server).await;
}

/// Section D: SHOW SOURCES, SELECT, views, indexes, materialized views; all fresh while MySQL changes.
async fn explore(mysql: &Mysql, server: &Headwater) {
    let psql = server.psql();
    let names: Vec<String> =
        psql.table("SHOW SOURCES;").into_iter().map(|mut r| r.remove("name").unwrap()).collect();
    for name in TABLES.iter().chain(["mz_source"].iter()) {
        assert!(names.iter().any(|n| n == name), "SHOW SOURCES lacks {name}: {names:?}");
    }
    psql.must(
        "CREATE VIEW spent AS
           SELECT c.name, count(*) AS items, sum(i.price) AS total
           FROM customers c JOIN orders o ON o.customer_id = c.id JOIN order_items i ON i.order_id = o.id
           GROUP BY c.name;
         CREATE INDEX spent_by_name ON spent (name);
         CREATE MATERIALIZED VIEW spent_mv AS SELECT * FROM spent;",
    );
    assert_spent(server, &[("Ada", "2", "10.00"), ("Édith", "1", "100.00")]).await;

    mysql
        .run(&[
            "INSERT INTO shop.order_items VALUES (2, 2, 5.50)",
            "DELETE FROM shop.order_items WHERE order_id = 1 AND line = 2",
            "UPDATE shop.customers SET name = 'Edith' WHERE id = 3",
        ])
        .await;
    assert_spent(server, &[("Ada", "1", "9.99"), ("Edith", "2", "105.50")]).await;
}

/// Both the indexed view and the materialized view come to show these rows.
async fn assert_spent(server: &Headwater, expected: &[(&str, &str, &str)]) {
    let psql = server.psql();
    let expected: Vec<BTreeMap<String, String>> = expected
        .iter()
        .map(|(name, items, total)| {
            [("name", name), ("items", items), ("total", total)]
                .map(|(k, v)| (k.to_string(), v.to_string()))
                .into()
        })
        .collect();
    for relation in ["spent", "spent_mv"] {
        eventually(relation, LIMIT, async || {
            let rows = psql.table(&format!("SELECT * FROM {relation} ORDER BY name;"));
            ensure!(rows == expected, "{rows:?}");
            Ok(())
        })
        .await;
    }
}
