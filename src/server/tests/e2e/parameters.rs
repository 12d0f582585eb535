//! Parameters of prepared statements in the extended protocol: the types that are inferred, or why they are not, are
//! PostgreSQL's; values go in binary and come back.

use crate::support::client::Client;
use crate::support::postgres::Postgres;
use crate::support::server::Headwater;

const TABLE: &str = "CREATE TABLE t (a int, b text, c numeric(10,2), d date, v varchar(3), ts timestamptz)";

const STATEMENTS: &[&str] = &[
    "SELECT $1",
    "SELECT $1 + 1",
    "SELECT 1.5 * $1",
    "SELECT $1 + $2",
    "SELECT $1::int",
    "SELECT $1::int + $1",
    "SELECT $1 + $1::bigint",
    "SELECT CAST($1 AS varchar(10))",
    "SELECT coalesce($1, a) FROM t",
    "SELECT coalesce($1, $2)",
    "SELECT coalesce($1, $2::date)",
    "SELECT a FROM t WHERE a = ANY ($1)",
    "SELECT a FROM t WHERE v = ANY ($1)",
    "SELECT a FROM t WHERE $1 = ANY (ARRAY[1, 2])",
    "SELECT a FROM t WHERE a IN ($1, $2)",
    "SELECT a FROM t WHERE $1 IN (1, 2::bigint)",
    "SELECT a FROM t WHERE $1 IN (SELECT a FROM t)",
    "SELECT a FROM t WHERE a BETWEEN $1 AND $2",
    "SELECT $1 BETWEEN 1 AND 3000000000",
    "SELECT $1 BETWEEN 'a' AND 'b'",
    "SELECT a FROM t LIMIT $1 OFFSET $2",
    "SELECT a FROM t ORDER BY a FETCH FIRST $1 ROWS ONLY",
    "INSERT INTO t VALUES ($1, $2, $3, $4, $5, $6)",
    "INSERT INTO t (c, a) VALUES ($1 + 1, $2), ($3, 5)",
    "INSERT INTO t (a, b) SELECT $1, $2",
    "INSERT INTO t (a, b) VALUES ($1, $2) RETURNING $3, a + $4",
    "UPDATE t SET a = $1, v = $2 WHERE b = $3",
    "UPDATE t SET a = a + $1",
    "DELETE FROM t WHERE d < $1",
    "SELECT CASE WHEN $1 THEN $2 ELSE 1 END",
    "SELECT CASE $1 WHEN 'a' THEN 1 END",
    "SELECT CASE $1 WHEN 1 THEN 1 END",
    "SELECT CASE a WHEN $1 THEN $2 END FROM t",
    "SELECT $1 || 'a'",
    "SELECT $1 || $2",
    "SELECT $1 || 1",
    "SELECT (a, b) = ($1, $2) FROM t",
    "SELECT (a, b) < ($1, $2) FROM t",
    "SELECT (a, b) IN (($1, $2)) FROM t",
    "SELECT ROW($1)",
    "SELECT ROW($1, 1) = ROW(2, $2)",
    "SELECT upper($1), length($2), substr($3, $4)",
    "SELECT abs($1)",
    "SELECT -$1",
    "SELECT round($1, 2)",
    "SELECT date_trunc('day', $1)",
    "SELECT ts + $1 FROM t",
    "SELECT ts - $1 FROM t",
    "SELECT extract(year FROM $1)",
    "SELECT generate_series(1, $1)",
    "SELECT * FROM generate_series($1, 5)",
    "SELECT concat($1)",
    "SELECT format('%s', $1)",
    "SELECT count($1)",
    "SELECT sum($1)",
    "SELECT max($1)",
    "SELECT jsonb_build_object('a', $1)",
    "SELECT $1 IS NULL",
    "SELECT $1 IS NOT NULL, $1::int",
    "SELECT $1::int IS NULL, $1 IS NULL",
    "SELECT $1 IS TRUE",
    "SELECT $1 IS DISTINCT FROM 1",
    "SELECT NOT $1",
    "SELECT $1 AND true",
    "SELECT $1 = $2",
    "SELECT $1 = $1",
    "SELECT $1, $1::int",
    "SELECT $1::int, $1",
    "SELECT $1 WHERE $1 = 1",
    "SELECT $1 WHERE $1 = 'x'",
    "SELECT coalesce($1, 1), $1 || 'x'",
    "SELECT $1, count(*) FROM t GROUP BY $1",
    "SELECT DISTINCT $1 FROM t ORDER BY $1",
    "SELECT $2::int",
    "SELECT $3::int, $1::text",
    "SELECT $0",
    "SELECT $1 UNION SELECT 1",
    "SELECT 1 UNION ALL SELECT $1",
    "SELECT $1 UNION SELECT $2",
    "(SELECT $1) EXCEPT SELECT 1.5",
    "SELECT (SELECT $1)",
    "SELECT (SELECT $1) + 1",
    "SELECT * FROM (SELECT $1 AS x) s WHERE x = 1",
    "SELECT * FROM (SELECT $1 AS x) s, t WHERE s.x = t.b",
    "SELECT * FROM (VALUES ($1), (1)) v",
    "VALUES ($1, 1), (2, $2)",
    "WITH x AS (SELECT $1 AS y) SELECT y FROM x",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + $1 FROM r WHERE n < $2) SELECT n FROM r",
    "SELECT EXISTS (SELECT 1 WHERE $1)",
    "SELECT ARRAY[$1, 1]",
    "SELECT ARRAY[$1]",
    "SELECT (ARRAY[1, 2])[$1]",
    "SELECT array_append($1, 1)",
    "SELECT greatest($1, 1.5), nullif($2, 1), least($3, $4)",
    "SELECT $1 LIKE b FROM t",
    "SELECT b LIKE $1 ESCAPE $2 FROM t",
    "SELECT b SIMILAR TO $1 FROM t",
    "SELECT b ~ $1 FROM t",
    "SELECT $1 COLLATE \"C\"",
    "SELECT $1 AT TIME ZONE 'UTC'",
    "SELECT ts AT TIME ZONE $1 FROM t",
    "SELECT position($1 IN 'abc'), trim($2), substring($3 FROM $4 FOR $5)",
    "SELECT lag(a, $1) OVER (ORDER BY a) FROM t",
    "SELECT sum(a) OVER (ORDER BY a ROWS $1 PRECEDING) FROM t",
    "SELECT string_agg(b, $1) FROM t",
    "SELECT sum(a) FILTER (WHERE $1) FROM t",
    "SELECT a FROM t GROUP BY a HAVING count(*) > $1",
    "SELECT a FROM t u JOIN t w USING (a) WHERE $1 = u.b",
    "SELECT a FROM t JOIN (SELECT $1::int AS k) k ON k = a",
    "SELECT pg_typeof($1)",
    "SELECT date '2024-01-01' + $1",
    "SELECT d + $1 FROM t",
    "SELECT d - $1 FROM t",
    "SELECT $1 > d FROM t",
    "CREATE VIEW w AS SELECT $1",
];

/// The types of the parameters by name, or the SQLSTATE.
async fn inferred(client: &mut Client, sql: &str) -> String {
    match client.driver().prepare(sql).await {
        Ok(statement) => statement.params().iter().map(|t| t.name()).collect::<Vec<_>>().join(", "),
        Err(e) => e.code().map_or_else(|| e.to_string(), |c| c.code().to_owned()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn types_are_inferred_as_postgresql_does() {
    let (server, postgres) = (Headwater::start().await, Postgres::start());
    let mut ours = server.connect().await;
    let mut theirs = Client::connect_with(&postgres.config("postgres")).await.unwrap();
    for client in [&ours, &theirs] {
        client.run(TABLE).await;
    }
    let mut differ = vec![];
    for sql in STATEMENTS {
        let (found, wanted) = (inferred(&mut ours, sql).await, inferred(&mut theirs, sql).await);
        if found != wanted {
            differ.push(format!("{sql}\n  PostgreSQL {wanted}\n  Headwater  {found}"));
        }
    }
    assert!(differ.is_empty(), "{} of {} differ\n{}", differ.len(), STATEMENTS.len(), differ.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn values_go_in_binary() {
    let server = Headwater::start().await;
    let mut client = server.connect().await;
    client.run(TABLE).await;
    let driver = client.driver();
    let (array, text) = (vec![Some(1_i32), None, Some(3)], Some("x"));
    let row = driver
        .query_one("SELECT $1::int[], $2 || 'y', $3 + 1, $4::bool", &[&array, &text, &41_i32, &None::<bool>])
        .await
        .unwrap();
    assert_eq!(row.get::<_, Vec<Option<i32>>>(0), array);
    assert_eq!(row.get::<_, &str>(1), "xy");
    assert_eq!(row.get::<_, i32>(2), 42);
    assert_eq!(row.get::<_, Option<bool>>(3), None);
    let insert = "INSERT INTO t (a, b) SELECT $1, $2 RETURNING a, (SELECT count(*) FROM t)";
    let row = driver.query_one(insert, &[&7_i32, &text]).await.unwrap();
    assert_eq!((row.get::<_, i32>(0), row.get::<_, i64>(1)), (7, 0));
    let rows = driver.query("SELECT a FROM t WHERE a = ANY ($1) LIMIT $2", &[&vec![7_i32, 8], &5_i64]).await;
    assert_eq!(rows.unwrap().len(), 1);
    let statement = driver.prepare_typed("SELECT $1 IS NULL", &[tokio_postgres::types::Type::INT8]).await;
    let row = driver.query_one(&statement.unwrap(), &[&None::<i64>]).await.unwrap();
    assert!(row.get::<_, bool>(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn command_tags_of_cursors_and_transactions() {
    let server = Headwater::start().await;
    let printed = server.psql().must(
        "START TRANSACTION;
         DECLARE c CURSOR FOR SELECT * FROM generate_series(1, 10);
         MOVE 3 FROM c;
         FETCH c;
         MOVE RELATIVE 2 FROM c;
         MOVE 0 FROM c;
         MOVE FORWARD ALL FROM c;
         MOVE c;
         COMMIT;",
    );
    let expected = "START TRANSACTION\nDECLARE CURSOR\nMOVE 3\n generate_series \n-----------------\n               4\n(1 row)\n\n\
                    MOVE 1\nMOVE 1\nMOVE 4\nMOVE 0\nCOMMIT\n";
    assert_eq!(printed, expected);
}
