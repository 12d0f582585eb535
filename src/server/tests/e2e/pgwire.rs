//! The wire protocol as drivers and psql use it: both protocols, text and binary results, portals with row limits,
//! errors with SQLSTATE and position, notices, parameter status, cancel, COPY, several statements in one string.

use std::pin::pin;
use std::process::Stdio;
use std::time::{Duration, Instant};

use futures::StreamExt;
use tokio_postgres::{NoTls, SimpleQueryMessage};

use crate::support::client::Client;
use crate::support::processes;
use crate::support::server::Headwater;

const LIMIT: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn psql_session() {
    let server = Headwater::start().await;
    let psql = server.psql();
    let printed = psql.must(
        "CREATE TABLE t (a int, b text);
         INSERT INTO t VALUES (1, 'one'), (2, NULL), (3, 'drei');
         UPDATE t SET b = 'two' WHERE a = 2;
         DELETE FROM t WHERE a = 3;
         SELECT * FROM t ORDER BY a;
         SELECT current_database(), current_schema();
         SHOW cluster;
         DROP TABLE t;",
    );
    let expected = "CREATE TABLE\nINSERT 0 3\nUPDATE 1\nDELETE 1\n a |  b  \n---+-----\n 1 | one\n 2 | two\n(2 rows)\n\n \
                    current_database | current_schema \n------------------+----------------\n materialize      | public\n\
                    (1 row)\n\n  cluster   \n------------\n quickstart\n(1 row)\n\nDROP TABLE\n";
    assert_eq!(printed, expected);

    // psql knows from the start that a backslash is a character like others.
    assert_eq!(psql.must("SELECT '\\' AS a, 'b;' AS b;\n"), " a | b  \n---+----\n \\ | b;\n(1 row)\n\n");

    let failed = psql.run(&["-v", "VERBOSITY=verbose"], "SELECT nosuch FROM mz_tables;\n");
    assert!(!failed.ok);
    assert!(failed.stderr.contains("ERROR:  42703:"), "{}", failed.stderr);
    let failed = psql.run(&[], "SELECT 1 +;\n");
    assert!(
        failed.stderr.contains("LINE 1: SELECT 1 +;") && failed.stderr.contains('^'),
        "{}",
        failed.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_carry_sqlstate_and_position() {
    let server = Headwater::start().await;
    let client = server.connect().await;
    client.run("CREATE TABLE t (a int)").await;
    for (sql, state) in [
        ("SELECT * FROM nosuch", "42P01"),
        ("SELECT nosuch FROM t", "42703"),
        ("SELECT nosuch(1)", "42883"),
        ("SELECT 1 / 0", "22012"),
        ("SELECT 'x'::int", "22P02"),
        ("SELECT a, count(*) FROM t", "42803"),
        ("CREATE TABLE t (a int)", "42P07"),
        ("DROP TABLE nosuch", "42P01"),
        ("SELEC 1", "42601"),
        ("SELECT 2147483647 + 1", "22003"),
        ("SELECT a FROM t AS x, t AS y", "42702"),
    ] {
        let (found, message) = client.error(sql).await;
        assert_eq!(found, state, "{sql}: {message}");
    }
    // The session goes on after every error.
    assert_eq!(client.value("SELECT 1").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn extended_protocol() {
    let server = Headwater::start().await;
    let mut client = server.connect().await;
    client.run("CREATE TABLE t (a int, b text, c bigint, d double precision, e boolean, f timestamptz, g numeric)").await;
    let driver = client.driver();
    let insert = driver.prepare("INSERT INTO t (a, b, c, d, e) VALUES ($1, $2, $3, $4, $5)").await.unwrap();
    for i in 0..100_i32 {
        let text = (i % 10 != 0).then(|| format!("text {i}"));
        let n = driver
            .execute(&insert, &[&i, &text, &(i64::from(i) << 40), &(f64::from(i) / 3.0), &(i % 2 == 0)])
            .await
            .unwrap();
        assert_eq!(n, 1);
    }
    // The driver asks for binary results.
    let rows =
        driver.query("SELECT a, b, c, d, e FROM t WHERE a >= $1 ORDER BY a", &[&90_i32]).await.unwrap();
    assert_eq!(rows.len(), 10);
    assert_eq!(rows[0].get::<_, Option<String>>(1), None);
    assert_eq!(rows[9].get::<_, i32>(0), 99);
    assert_eq!(rows[9].get::<_, i64>(2), 99 << 40);
    assert_eq!(rows[9].get::<_, f64>(3), 33.0);
    assert!(!rows[9].get::<_, bool>(4));
    let types: Vec<&str> = rows[0].columns().iter().map(|c| c.type_().name()).collect();
    assert_eq!(types, ["int4", "text", "int8", "float8", "bool"]);

    // Portals with row limits.
    let transaction = driver.transaction().await.unwrap();
    let portal = transaction.bind("SELECT a FROM t ORDER BY a", &[]).await.unwrap();
    let mut seen = Vec::new();
    loop {
        let rows = transaction.query_portal(&portal, 30).await.unwrap();
        if rows.is_empty() {
            break;
        }
        assert!(rows.len() <= 30);
        seen.extend(rows.iter().map(|r| r.get::<_, i32>(0)));
    }
    assert_eq!(seen, (0..100).collect::<Vec<i32>>());
    transaction.commit().await.unwrap();

    // An error in a pipeline leaves the connection usable.
    assert!(driver.query("SELECT 1 / (a - a) FROM t", &[]).await.is_err());
    assert_eq!(driver.query_one("SELECT 1", &[]).await.unwrap().get::<_, i32>(0), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_statements_in_one_string() {
    let server = Headwater::start().await;
    let mut client = server.connect().await;
    let messages = client.driver().simple_query("SELECT 1; SELECT 2, 3; SHOW cluster").await.unwrap();
    let rows: Vec<String> = messages
        .iter()
        .filter_map(|m| if let SimpleQueryMessage::Row(r) = m { r.get(0).map(str::to_owned) } else { None })
        .collect();
    assert_eq!(rows, ["1", "2", "quickstart"]);
    // The statements after a failing one do not run.
    let (state, _) = client.error("CREATE TABLE one (a int); SELECT 1 / 0; CREATE TABLE two (a int)").await;
    assert_eq!(state, "22012");
    assert_eq!(client.value("SELECT count(*) FROM mz_tables WHERE name = 'two'").await, "0");
    // An empty string is a statement too.
    client.run("").await;
    client.run(";;").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_and_defaults() {
    let server = Headwater::start().await;
    let client = server.connect().await;
    for (name, value) in [
        ("server_encoding", "UTF8"),
        ("client_encoding", "UTF8"),
        ("standard_conforming_strings", "on"),
        ("cluster", "quickstart"),
        ("database", "materialize"),
        ("search_path", "public"),
        ("transaction_isolation", "strict serializable"),
    ] {
        assert_eq!(client.value(&format!("SHOW {name}")).await, value, "{name}");
    }
    client.run("SET application_name = 'e2e'").await;
    assert_eq!(client.value("SHOW application_name").await, "e2e");
    let config = format!(
        "host=127.0.0.1 port={} user=materialize dbname=materialize options='-c cluster=mz_catalog_server'",
        server.sql_port
    );
    assert_eq!(Client::connect_with(&config).await.unwrap().value("SHOW cluster").await, "mz_catalog_server");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_ends_a_subscribe_and_a_copy() {
    let server = Headwater::start().await;
    let mut client = server.connect().await;
    client.run("CREATE TABLE t (a int)").await;
    for sql in ["SUBSCRIBE t", "COPY (SUBSCRIBE t) TO STDOUT"] {
        let token = client.cancel_token();
        let canceller = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            token.cancel_query(NoTls).await.unwrap();
        });
        let start = Instant::now();
        let state = if sql.starts_with("COPY") {
            let mut stream = pin!(client.driver().copy_out(sql).await.unwrap());
            loop {
                match stream.next().await {
                    Some(Ok(_)) => {}
                    Some(Err(e)) => break e.code().expect("an error of the server").code().to_owned(),
                    None => panic!("{sql} ended without an error"),
                }
            }
        } else {
            client.error(sql).await.0
        };
        assert_eq!(state, "57014", "{sql}");
        assert!(start.elapsed() < LIMIT);
        canceller.await.unwrap();
        assert_eq!(client.value("SELECT 1").await, "1", "the session goes on");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_in_psql_cancels() {
    let server = Headwater::start().await;
    server.psql().must("CREATE TABLE t (a int); INSERT INTO t VALUES (7);");
    // psql holds back what it prints into a pipe until there is much of it; stdbuf makes it print by lines.
    let psql = server.psql().command();
    let mut child = std::process::Command::new("stdbuf")
        .arg("-oL")
        .arg(psql.get_program())
        .args(psql.get_args())
        .envs(psql.get_envs().filter_map(|(k, v)| Some((k, v?))))
        .args(["-c", "COPY (SUBSCRIBE t) TO STDOUT", "-c", "SELECT 'after'"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The first row is on its way to the terminal without waiting for more.
    let mut first = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.as_mut().unwrap()), &mut first)
        .unwrap();
    assert!(first.trim_end().ends_with("\t1\t7"), "{first}");
    processes::signal(child.id(), "INT");
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.to_lowercase().contains("cancel"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_to_stdout() {
    let server = Headwater::start().await;
    let mut client = server.connect().await;
    client.run("CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, E'tab\\there'), (2, NULL), (3, 'back\\slash')").await;
    for (copy, expected) in [
        ("COPY (SELECT a, b FROM t ORDER BY a) TO STDOUT", "1\ttab\\there\n2\t\\N\n3\tback\\\\slash\n"),
        (
            "COPY (SELECT a, b FROM t ORDER BY a) TO STDOUT WITH (FORMAT csv)",
            "1,tab\there\n2,\n3,back\\slash\n",
        ),
    ] {
        let stream = client.driver().copy_out(copy).await.unwrap();
        let chunks: Vec<_> = stream.map(|c| c.unwrap().to_vec()).collect().await;
        assert_eq!(String::from_utf8(chunks.concat()).unwrap(), expected, "{copy}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribe_through_a_cursor() {
    let server = Headwater::start().await;
    let client = server.connect().await;
    client.run("CREATE TABLE t (a int); INSERT INTO t VALUES (1)").await;
    client.run("BEGIN; DECLARE c CURSOR FOR SUBSCRIBE (SELECT a FROM t)").await;
    let mut changes = Vec::new();
    let writer = server.connect().await;
    let start = Instant::now();
    while changes.len() < 3 {
        assert!(start.elapsed() < LIMIT, "only {changes:?}");
        for row in client.rows("FETCH ALL c WITH (timeout = '200ms')").await {
            changes.push((row[1].clone().unwrap(), row[2].clone().unwrap()));
        }
        if changes.len() == 1 {
            writer.run("UPDATE t SET a = 2").await;
        }
    }
    client.run("COMMIT").await;
    changes[1..].sort();
    let text: Vec<String> = changes.iter().map(|(diff, a)| format!("{diff}:{a}")).collect();
    assert_eq!(text, ["1:1", "-1:1", "1:2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_follow_writes_of_other_sessions() {
    let server = Headwater::start().await;
    let (writer, reader) = (server.connect().await, server.connect().await);
    writer.run("CREATE TABLE t (a int)").await;
    reader.run("CREATE MATERIALIZED VIEW m AS SELECT count(*) AS n FROM t").await;
    reader.run("CREATE VIEW v AS SELECT sum(a) AS s FROM t; CREATE INDEX v_s ON v (s)").await;
    // Strict serializability: what was acknowledged before a read begins is in the read.
    for i in 1..=50 {
        writer.run(&format!("INSERT INTO t VALUES ({i})")).await;
        assert_eq!(reader.value("SELECT count(*) FROM t").await, i.to_string());
        assert_eq!(reader.value("SELECT n FROM m").await, i.to_string());
        assert_eq!(reader.value("SELECT s FROM v").await, (i * (i + 1) / 2).to_string());
    }
}
