//! Random queries by `sqlsmith`, which reads the catalog and makes queries of everything that it finds there: no panic, no hang, no
//! lost connection, no internal error.
//!
//! Each run is against a database with tables of all types, views, a materialized view and indexes; one run has the system catalog
//! in its queries, the other only the database's own relations.

use std::process::Stdio;
use std::time::Duration;

use crate::support::scale::{scale, seed};
use crate::support::server::Headwater;
use crate::support::sniffer::{SUCCESS, Seen, Sniffer};

/// A query that takes longer hangs: sqlsmith sets `statement_timeout` to a second.
const HANG: Duration = Duration::from_secs(20);
/// The least share of queries that must succeed for a run to test anything.
const LEAST_SUCCESS: f64 = 0.25;

const TABLES: &str = "
    CREATE TABLE numbers (
        a smallint, b integer NOT NULL, c bigint, d numeric(12, 3), e real, f double precision, g uint4, h oid, i boolean);
    INSERT INTO numbers VALUES
        (1, 1, 1, 1.5, 1.5, 1.5, 1, 1, true), (-32768, -2147483648, -9223372036854775808, -999999999.999, 'NaN'::real, '-Infinity'::double precision, 0, 0, false),
        (32767, 2147483647, 9223372036854775807, 999999999.999, '3.4e38'::real, '1.7e308'::double precision, 4294967295, 4294967295, NULL),
        (NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (0, 0, 0, 0, 0, 0, 0, 0, true), (0, 0, 0, 0, 0, 0, 0, 0, true);
    CREATE TABLE texts (k integer NOT NULL DEFAULT 7, s text, v varchar(20), c char(5), n name, b bytea, u uuid, j jsonb);
    INSERT INTO texts VALUES
        (1, 'one', 'eins', 'un', 'uno', '\\x01', '00000000-0000-0000-0000-000000000001', '{\"a\": [1, 2.5, null], \"b\": {\"c\": \"d\"}}'),
        (2, '', '', '', '', '\\x', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '[]'), (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
        (4, E'quote '' and \\\\ and \\u00e9\\U0001f600', '%_', 'a b', 'x', '\\xdeadbeef', NULL, 'null'), (5, '12', '1999-12-31', '3.5', 't', NULL, NULL, '12');
    CREATE TABLE times (k integer, d date, t time, ts timestamp, tz timestamptz(3), i interval);
    INSERT INTO times VALUES
        (1, '2024-02-29', '12:34:56.789', '2024-02-29 12:34:56', '2024-02-29 12:34:56+02', '1 year 2 mons -3 days 04:05:06'),
        (2, '1970-01-01', '00:00', '1970-01-01', '1970-01-01', '0'), (3, NULL, NULL, NULL, NULL, NULL),
        (4, '9999-12-31', '23:59:59.999999', '9999-12-31 23:59:59', '9999-12-31 00:00+00', '-178 years'), (5, 'infinity', '24:00', '-infinity', 'infinity', '1 us');
    CREATE TABLE containers (k integer, ia integer[], ta text[], r int4range, nr numrange, dr daterange, l integer list, m map[text=>integer]);
    INSERT INTO containers VALUES
        (1, '{1,2,NULL}', '{a,NULL,\"b c\"}', '[1,5)', '(,2.5]', '[2024-01-01,2024-02-01)', LIST[1, NULL], '{a=>1}'),
        (2, '{}', '{}', 'empty', 'empty', 'empty', '{}'::integer list, '{}'), (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
        (4, '{{1,2},{3,4}}', '{{x}}', '(,)', '[0,0]', '(,infinity)', LIST[2, 2], '{b=>NULL}');
    CREATE TABLE many (id integer NOT NULL, parent integer, grade text, score bigint);
    INSERT INTO many SELECT n, n / 3, 'grade ' || (n % 7)::text, CASE WHEN n % 5 <> 0 THEN n * 10 END FROM generate_series(1, 500) n;
    CREATE INDEX numbers_b ON numbers (b);
    CREATE INDEX many_parent ON many (parent, upper(grade));
    CREATE VIEW grades AS SELECT grade, count(*) AS n, sum(score) AS total, max(id) AS last FROM many GROUP BY grade;
    CREATE INDEX grades_grade ON grades (grade);
    CREATE VIEW pairs AS SELECT m.id, p.grade AS above, m.score FROM many m LEFT JOIN many p ON m.parent = p.id;
    CREATE MATERIALIZED VIEW top AS SELECT DISTINCT ON (grade) grade, id, score FROM many ORDER BY grade, score DESC NULLS LAST;
";

#[tokio::test(flavor = "multi_thread")]
async fn sqlsmith_own_relations() {
    run("sqlsmith_own_relations", &["--exclude-catalog"], scale().sqlsmith).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlsmith_with_the_catalog() {
    run("sqlsmith_with_the_catalog", &[], scale().sqlsmith).await;
}

async fn run(test: &str, arguments: &[&str], queries: u64) {
    let mut server = Headwater::start().await;
    server.connect().await.run(TABLES).await;
    let before = server.pids();
    // sqlsmith takes its seed as an int.
    let seed = seed(test) % 1_000_000_000;
    let sniffer = Sniffer::start(server.sql_port, in_order).await;
    let printed = sqlsmith(sniffer.port, seed, queries, arguments).await;
    let seen = std::mem::take(&mut *sniffer.seen.lock().unwrap());
    report(test, &seen);

    // It tells now and then how many there have been; the last time at its end.
    let mut told = printed.lines().filter_map(|l| l.strip_prefix("queries: ")?.trim().parse::<u64>().ok());
    let ran = told.next_back();
    assert_eq!(ran, Some(queries), "{printed}");
    server.assert_alive().unwrap();
    assert_eq!(server.pids(), before, "a process of the server has ended and been replaced");
    let log = server.log();
    let panics: Vec<&str> = log.lines().filter(|l| l.contains("panicked at")).collect();
    assert!(panics.is_empty(), "panics in the log: {panics:#?}");
    assert!(seen.internal.is_empty(), "internal errors: {:#?}", seen.internal);
    assert!(seen.lost.is_empty(), "connections lost during: {:#?}", seen.lost);
    assert!(seen.slowest.0 < HANG, "{:?}: {}", seen.slowest.0, seen.slowest.1);
    assert!(seen.success() > LEAST_SUCCESS, "only {:.0} % of the queries succeeded", seen.success() * 100.0);
    // The server still answers.
    assert_eq!(server.connect().await.value("SELECT count(*) FROM many").await, "500");
}

/// sqlsmith takes the rows of `unnest` for the types of parameters in their order, which rows without ORDER BY do not have.
fn in_order(query: &str) -> Option<String> {
    let of = query.strip_prefix("select unnest(proargtypes) from pg_proc ")?;
    Some(format!("SELECT t FROM pg_proc, unnest(proargtypes) WITH ORDINALITY a (t, n) {of} ORDER BY n"))
}

/// Runs sqlsmith to its end; gives what it printed.
async fn sqlsmith(port: u16, seed: u64, queries: u64, arguments: &[&str]) -> String {
    let target = format!(
        "host=127.0.0.1 port={port} user=materialize dbname=materialize sslmode=disable gssencmode=disable"
    );
    // Start-up reads the catalog with a query for each function; no query takes longer than its second.
    let limit = Duration::from_secs(120 + 2 * queries);
    let child = tokio::process::Command::new("sqlsmith")
        .arg(format!("--target={target}"))
        .arg(format!("--seed={seed}"))
        .arg(format!("--max-queries={queries}"))
        .arg("--verbose")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("sqlsmith is installed (bin/setup --tests)");
    let output = tokio::time::timeout(limit, child.wait_with_output()).await;
    let output = output.unwrap_or_else(|_| panic!("sqlsmith hangs: not done within {limit:?}")).unwrap();
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "sqlsmith ended with {}:\n{printed}", output.status);
    printed
}

fn report(test: &str, seen: &Seen) {
    let all: u64 = seen.states.values().sum();
    eprintln!(
        "{test}: {all} queries, {:.0} % succeeded, slowest {:.1} s",
        seen.success() * 100.0,
        seen.slowest.0.as_secs_f64()
    );
    for (state, n) in &seen.states {
        let (message, _) = &seen.examples[state];
        let message = if state == SUCCESS { "" } else { message };
        eprintln!("{test}: {state} {n:>6}  {message:.120}");
    }
}
