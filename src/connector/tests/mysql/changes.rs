//! What changes upstream, and what becomes of it: transactions, definitions, tables that are added later.

use hw_protocol::SourceStatus;
use hw_repr::{Datum, Row};
use mysql_async::prelude::Queryable;

use crate::support::{Server, Source, Version, shared, until};

fn ints(rows: &[Row]) -> Vec<Vec<i64>> {
    let int = |d: Datum<'_>| match d {
        Datum::Int32(v) => i64::from(v),
        Datum::Int64(v) => v,
        other => panic!("{other:?}"),
    };
    let mut all: Vec<Vec<i64>> = rows.iter().map(|r| r.iter().map(int).collect()).collect();
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_added_later_join_at_one_position() {
    for version in [Version::V97, Version::V57] {
        let server = shared(version);
        let mut conn = server.connect().await;
        for s in [
            "CREATE DATABASE later",
            "CREATE TABLE later.a (id int PRIMARY KEY, v int NOT NULL)",
            "CREATE TABLE later.b LIKE later.a",
        ] {
            conn.query_drop(s).await.unwrap();
        }
        // A source without tables first, as the two-step form makes it.
        let mut source = Source::new(server, vec![]).await;
        source.start();
        source.wait_status(source.desc.id, SourceStatus::Running).await;
        source.catch_up(server).await;
        conn.query_drop("INSERT INTO later.a VALUES (1, 10), (2, 20)").await.unwrap();
        source.catch_up(server).await;
        source.stop().await;

        source.add(server.tables(&[("later", "a")]).await);
        source.start();
        // The position is there already, the snapshot is not.
        until("a is there", async || source.rows(0).await.len() == 2).await;
        assert_eq!(ints(&source.rows(0).await), [[1, 10], [2, 20]]);
        assert_eq!(source.status(source.export(0)).unwrap().0, SourceStatus::Running);

        // While writes go on, and with a backlog that the source has not read.
        source.stop().await;
        for i in 3..200 {
            conn.query_drop(format!(
                "BEGIN; INSERT INTO later.a VALUES ({i}, {i}); INSERT INTO later.b VALUES ({i}, -{i}); COMMIT"
            ))
            .await
            .unwrap();
        }
        source.add(server.tables(&[("later", "b")]).await);
        source.start();
        for i in 200..400 {
            conn.query_drop(format!(
                "BEGIN; INSERT INTO later.a VALUES ({i}, {i}); INSERT INTO later.b VALUES ({i}, -{i}); COMMIT"
            ))
            .await
            .unwrap();
        }
        conn.query_drop("DELETE FROM later.b WHERE id < 10").await.unwrap();
        source.catch_up(server).await;
        until("b is there", async || source.rows(1).await.len() == 390).await;
        let (a, b) = (ints(&source.rows(0).await), ints(&source.rows(1).await));
        assert_eq!(a.len(), 399);
        assert_eq!(b, (10..400).map(|i| vec![i, -i]).collect::<Vec<_>>());
        let s = source.statistics(source.export(1)).unwrap();
        assert!(s.snapshot_committed && s.snapshot_records_known == s.snapshot_records_staged);
        source.stop().await;
        conn.query_drop("DROP DATABASE later").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn definite_errors_are_the_tables_own() {
    for version in [Version::V97, Version::V57] {
        let server = shared(version);
        let mut conn = server.connect().await;
        conn.query_drop("CREATE DATABASE ddl").await.unwrap();
        let names = ["ok", "trunc", "dropped", "renamed", "retyped", "colgone", "keygone", "part", "nulls"];
        for t in names {
            let partitions = if t == "part" {
                "PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE)"
            } else {
                ""
            };
            conn.query_drop(format!(
                "CREATE TABLE ddl.`{t}` (id int PRIMARY KEY, v int NOT NULL, w int) {partitions}"
            ))
            .await
            .unwrap();
            conn.query_drop(format!("INSERT INTO ddl.`{t}` VALUES (1, 1, 1)")).await.unwrap();
        }
        let tables = server.tables(&names.map(|t| ("ddl", t))).await;
        let mut source = Source::new(server, tables).await;
        source.start();
        source.catch_up(server).await;

        // Compatible changes.
        for s in [
            "ALTER TABLE ddl.ok ADD COLUMN x varchar(10) DEFAULT 'x' FIRST, ADD INDEX (w)",
            "INSERT INTO ddl.ok (id, v, w) VALUES (2, 2, 2)",
            "ALTER TABLE ddl.ok DROP COLUMN x, ADD COLUMN y int AFTER id",
            "INSERT INTO ddl.ok (id, v, w) VALUES (3, 3, 3)",
            "CREATE UNIQUE INDEX u ON ddl.ok (v)",
            "DROP INDEX u ON ddl.ok",
            "ALTER TABLE ddl.ok MODIFY w int NOT NULL, COMMENT 'truncate table ddl.ok'",
            "UPDATE ddl.ok SET w = w + 10",
            "CREATE TABLE ddl.other (id int)",
            "TRUNCATE ddl.other",
        ] {
            conn.query_drop(s).await.unwrap();
            if version == Version::V57 {
                // Its table maps have no column names, so that columns are only known as they are now.
                source.catch_up(server).await;
            }
        }
        source.catch_up(server).await;
        assert_eq!(ints(&source.rows(0).await), [[1, 1, 11], [2, 2, 12], [3, 3, 13]]);
        assert_eq!(source.status(source.export(0)).unwrap().0, SourceStatus::Running);

        // Incompatible ones, each followed by a change that must not be taken.
        let changes = [
            ("trunc", "TRUNCATE TABLE `ddl`.`trunc`", "truncated"),
            ("dropped", "DROP TABLE IF EXISTS ddl.dropped", "dropped"),
            ("renamed", "RENAME TABLE ddl.renamed TO ddl.elsewhere", "renamed"),
            (
                "retyped",
                "ALTER TABLE ddl.retyped MODIFY v bigint NOT NULL",
                "the type of column \"v\" was changed",
            ),
            ("colgone", "ALTER TABLE ddl.colgone DROP COLUMN w", "column \"w\" was dropped"),
            ("keygone", "ALTER TABLE ddl.keygone DROP PRIMARY KEY", "the key (id) was dropped"),
            ("part", "ALTER TABLE ddl.part TRUNCATE PARTITION p0", "truncated"),
            ("nulls", "ALTER TABLE ddl.nulls MODIFY v int NULL", "may be NULL now"),
        ];
        for (_, change, _) in changes {
            conn.query_drop(change).await.unwrap();
        }
        conn.query_drop("INSERT INTO ddl.ok (id, v, w) VALUES (4, 4, 4)").await.unwrap();
        conn.query_drop("INSERT INTO ddl.trunc VALUES (9, 9, 9)").await.unwrap();
        source.catch_up(server).await;
        let check = async |source: &Source| {
            for (i, (table, _, text)) in changes.iter().enumerate() {
                let (_, errors) = source.contents(i + 1).await;
                assert!(errors.len() == 1 && errors[0].contains(text), "{table}: {errors:?}");
                let (status, error) = source.status(source.export(i + 1)).unwrap();
                assert_eq!((status, error.unwrap().contains(text)), (SourceStatus::Failed, true));
            }
            assert_eq!(source.status(source.export(0)).unwrap().0, SourceStatus::Running);
            assert_eq!(source.status(source.desc.id).unwrap().0, SourceStatus::Running);
        };
        check(&source).await;
        assert_eq!(source.rows(0).await.len(), 4);

        // A restart knows it all.
        source.crash().await;
        source.told.lock().unwrap().clear();
        source.start();
        conn.query_drop("INSERT INTO ddl.ok (id, v, w) VALUES (5, 5, 5)").await.unwrap();
        source.catch_up(server).await;
        source.wait_status(source.export(0), SourceStatus::Running).await;
        check(&source).await;
        assert_eq!(source.rows(0).await.len(), 5);

        // A statement that was logged as text cannot be followed.
        for s in [
            "SET SESSION binlog_format = 'STATEMENT'",
            "INSERT INTO ddl.ok (id, v, w) VALUES (6, 6, 6)",
            "DROP DATABASE ddl",
        ] {
            conn.query_drop(s).await.unwrap();
        }
        source.catch_up(server).await;
        let (_, errors) = source.contents(0).await;
        assert!(errors.len() == 1 && errors[0].contains("logged as a statement"), "{errors:?}");
        source.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn definitions_that_change_while_the_source_is_away() {
    for version in [Version::V97, Version::V57] {
        let server = shared(version);
        let mut conn = server.connect().await;
        for s in [
            "CREATE DATABASE away",
            "CREATE TABLE away.t (id int PRIMARY KEY, v int)",
            "INSERT INTO away.t VALUES (1, 1)",
        ] {
            conn.query_drop(s).await.unwrap();
        }
        let mut source = Source::new(server, server.tables(&[("away", "t")]).await).await;
        source.start();
        source.catch_up(server).await;
        source.stop().await;
        for s in [
            "INSERT INTO away.t VALUES (2, 2)",
            "ALTER TABLE away.t ADD COLUMN a int DEFAULT 7",
            "INSERT INTO away.t (id, v) VALUES (3, 3)",
            "ALTER TABLE away.t ADD COLUMN b varchar(300) DEFAULT 'b'",
            "INSERT INTO away.t (id, v) VALUES (4, 4)",
        ] {
            conn.query_drop(s).await.unwrap();
        }
        source.start();
        source.catch_up(server).await;
        assert_eq!(ints(&source.rows(0).await), [[1, 1], [2, 2], [3, 3], [4, 4]]);
        source.stop().await;
        conn.query_drop("DROP DATABASE away").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn xa_transactions_count_from_their_commit() {
    for version in [Version::V97, Version::V57] {
        let server = shared(version);
        let mut conn = server.connect().await;
        for s in ["CREATE DATABASE xa", "CREATE TABLE xa.t (id int PRIMARY KEY)"] {
            conn.query_drop(s).await.unwrap();
        }
        let mut source = Source::new(server, server.tables(&[("xa", "t")]).await).await;
        source.start();
        source.catch_up(server).await;
        for s in ["XA START 'one'", "INSERT INTO xa.t VALUES (1)", "XA END 'one'", "XA PREPARE 'one'"] {
            conn.query_drop(s).await.unwrap();
        }
        // 5.7 lets nothing else happen in the session until it is decided.
        let mut other = server.connect().await;
        other.query_drop("INSERT INTO xa.t VALUES (2)").await.unwrap();
        until("the other row", async || source.rows(0).await.len() == 1).await;
        assert_eq!(ints(&source.rows(0).await), [[2]]);
        // A restart between prepare and commit.
        source.crash().await;
        source.start();
        other.query_drop("INSERT INTO xa.t VALUES (3)").await.unwrap();
        until("the third row", async || source.rows(0).await.len() == 2).await;
        conn.query_drop("XA COMMIT 'one'").await.unwrap();
        source.catch_up(server).await;
        assert_eq!(ints(&source.rows(0).await), [[1], [2], [3]]);
        for s in [
            "XA START 'two'",
            "INSERT INTO xa.t VALUES (4)",
            "XA END 'two'",
            "XA PREPARE 'two'",
            "XA ROLLBACK 'two'",
            "XA START 'three'",
            "INSERT INTO xa.t VALUES (5)",
            "XA END 'three'",
            "XA COMMIT 'three' ONE PHASE",
        ] {
            conn.query_drop(s).await.unwrap();
        }
        source.catch_up(server).await;
        assert_eq!(ints(&source.rows(0).await), [[1], [2], [3], [5]]);
        source.stop().await;
        conn.query_drop("DROP DATABASE xa").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_compressed_and_tagged_transactions() {
    let server = Server::start(Version::V97);
    let mut conn = server.connect().await;
    for s in [
        "CREATE DATABASE big",
        "CREATE TABLE big.t (id int PRIMARY KEY, v bigint NOT NULL, s varchar(200))",
        "SET SESSION cte_max_recursion_depth = 100000000",
    ] {
        conn.query_drop(s).await.unwrap();
    }
    let mut source = Source::new(&server, server.tables(&[("big", "t")]).await).await;
    source.start();
    source.catch_up(&server).await;
    let fill = |from: u32, to: u32| {
        format!(
            "INSERT INTO big.t WITH RECURSIVE n (i) AS (SELECT {from} UNION ALL SELECT i + 1 FROM n WHERE i < {to}) \
             SELECT i, i * 3, REPEAT(CHAR(97 + i % 26), 150) FROM n"
        )
    };
    conn.query_drop(fill(1, 100_000)).await.unwrap();
    conn.query_drop("SET SESSION binlog_transaction_compression = ON").await.unwrap();
    conn.query_drop(fill(100_001, 130_000)).await.unwrap();
    conn.query_drop("CREATE TABLE big.copy SELECT * FROM big.t WHERE id < 100").await.unwrap();
    conn.query_drop("SET SESSION gtid_next = 'AUTOMATIC:mine'").await.unwrap();
    conn.query_drop("UPDATE big.t SET v = v + 1 WHERE id <= 1000").await.unwrap();
    conn.query_drop("SET SESSION gtid_next = 'AUTOMATIC'").await.unwrap();
    source.catch_up(&server).await;
    assert!(source.progress().await.position.unwrap().to_string().contains(":mine:1"));
    let history = source.history(0).await;
    let at_once = history.iter().filter(|u| u.1 == history[0].1).count();
    assert_eq!(at_once, 100_000, "a transaction has one time");
    assert_eq!(history.len(), 130_000 + 2000);
    // Tags are told to the server, too.
    source.crash().await;
    source.start();
    conn.query_drop("DELETE FROM big.t WHERE id > 1000").await.unwrap();
    source.catch_up(&server).await;
    let rows = source.rows(0).await;
    assert_eq!(rows.len(), 1000);
    assert!(
        rows.iter()
            .all(|r| r.unpack()[1] == Datum::Int64(i64::from(r.unpack_first().unwrap_int32()) * 3 + 1))
    );
    source.stop().await;
}
