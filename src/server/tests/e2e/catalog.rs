//! The system catalog as clients read it: psql's commands, the shape of PostgreSQL's relations, what they say of objects.

use std::collections::BTreeMap;
use std::process::Command;

use crate::support::client::Client;
use crate::support::postgres::Postgres;
use crate::support::server::Headwater;

/// psql's commands that describe; `t`, `v`, `mv` and `ti` are a table, its views and its index.
const COMMANDS: &[&str] = &[
    "\\d",
    "\\d t",
    "\\d v",
    "\\d mv",
    "\\d ti",
    "\\d+ t",
    "\\d+ v",
    "\\dt",
    "\\dt+",
    "\\dv",
    "\\dv+",
    "\\di",
    "\\di+",
    "\\dm",
    "\\ds",
    "\\dn",
    "\\dn+",
    "\\df",
    "\\df+ lower",
    "\\df lower",
    "\\da",
    "\\l",
    "\\l+",
    "\\du",
    "\\du+",
    "\\dg",
    "\\dT",
    "\\dT+",
    "\\do",
    "\\do+ =",
    "\\dC",
    "\\dC+",
    "\\dd",
    "\\dL",
    "\\db",
    "\\dp",
    "\\dx",
    "\\dO",
    "\\dD",
    "\\dy",
    "\\dF",
    "\\drds",
    "\\ddp",
    "\\dRp",
    "\\dRs",
    "\\dA",
    "\\dE",
    "\\dP",
    "\\dX",
    "\\z",
    "\\dconfig",
    "\\des",
    "\\dew",
    "\\deu",
    "\\det",
    "\\dc",
];

const OBJECTS: &str = "CREATE TABLE t (a int NOT NULL, b text DEFAULT 'x', c numeric(10,2), d int[])";
const DERIVED: &str = "CREATE VIEW v AS SELECT a, b FROM t; CREATE MATERIALIZED VIEW mv AS SELECT a FROM t; CREATE INDEX ti ON t (b, a)";

#[tokio::test(flavor = "multi_thread")]
async fn psql_describes() {
    let server = Headwater::start().await;
    let client = server.connect().await;
    client.run(OBJECTS).await;
    client.run(DERIVED).await;
    let postgres = Postgres::start();
    let oracle = Client::connect_with(&postgres.config("postgres")).await.unwrap();
    oracle.run(OBJECTS).await;
    oracle.run(DERIVED).await;
    let mut wrong = Vec::new();
    for command in COMMANDS {
        let here = describe(server.sql_port, "materialize", "materialize", command);
        let there = describe(postgres.port, "postgres", "postgres", command);
        match (here, there) {
            (Ok(here), Ok(there)) if headings(&here) != headings(&there) => {
                wrong.push(format!(
                    "{command}: columns {:?} instead of {:?}",
                    headings(&here),
                    headings(&there)
                ));
            }
            (Ok(_), Ok(_)) => {}
            (Err(e), _) => wrong.push(format!("{command}: {e}")),
            (_, Err(e)) => wrong.push(format!("{command} in PostgreSQL: {e}")),
        }
    }
    assert!(wrong.is_empty(), "{} of {} commands:\n{}", wrong.len(), COMMANDS.len(), wrong.join("\n"));
}

/// What psql prints for a command, or the errors.
fn describe(port: u16, user: &str, database: &str, command: &str) -> Result<String, String> {
    let output = Command::new("psql")
        .args([
            "-X",
            "-A",
            "-h",
            "127.0.0.1",
            "-p",
            &port.to_string(),
            "-U",
            user,
            "-d",
            database,
            "-c",
            command,
        ])
        .output()
        .expect("psql is installed (bin/setup)");
    let errors = String::from_utf8_lossy(&output.stderr);
    // That there is nothing to show is said there too.
    if output.status.success() && !errors.contains("ERROR") {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(errors.trim().to_owned())
    }
}

/// The columns of the first table printed; none when psql found nothing to print.
fn headings(printed: &str) -> Option<Vec<&str>> {
    printed.lines().find(|l| l.contains('|')).map(|l| l.split('|').collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn relations_have_postgres_columns() {
    let server = Headwater::start().await;
    let here = columns(&server.connect().await).await;
    let postgres = Postgres::start();
    let there = columns(&Client::connect_with(&postgres.config("postgres")).await.unwrap()).await;
    assert!(here.len() > 120, "{} relations", here.len());
    let mut wrong = Vec::new();
    for (relation, columns) in &here {
        match there.get(relation) {
            None => wrong.push(format!("{relation} is not in PostgreSQL")),
            Some(expected) => {
                let expected: Vec<String> = expected.iter().map(|c| as_here(c)).collect();
                if *columns != expected {
                    wrong.push(format!("{relation}\n  here:  {columns:?}\n  there: {expected:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn columns(client: &Client) -> BTreeMap<String, Vec<String>> {
    let rows = client
        .rows(
            "SELECT n.nspname || '.' || c.relname, a.attname || ' ' || format_type(a.atttypid, NULL)
             FROM pg_attribute a JOIN pg_class c ON a.attrelid = c.oid JOIN pg_namespace n ON c.relnamespace = n.oid
             WHERE n.nspname IN ('pg_catalog', 'information_schema') AND c.relkind IN ('r', 'v') AND a.attnum > 0
                 AND NOT a.attisdropped
             ORDER BY 1, a.attnum",
        )
        .await;
    let mut relations: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows {
        let [Some(relation), Some(column)] = &row[..] else { panic!("NULL in {row:?}") };
        relations.entry(relation.clone()).or_default().push(column.clone());
    }
    relations
}

/// A column of PostgreSQL's with the type that stands for one that does not exist here.
fn as_here(column: &str) -> String {
    let (name, typ) = column.split_once(' ').unwrap();
    let typ = match typ {
        "information_schema.sql_identifier" => "name",
        "information_schema.cardinal_number" => "integer",
        "information_schema.character_data" | "information_schema.yes_or_no" => "character varying",
        "information_schema.time_stamp" => "timestamp with time zone",
        "aclitem[]" => "text[]",
        "pg_node_tree" | "anyarray" | "inet" | "pg_lsn" => "text",
        "xid" => "uint4",
        "oidvector" => "oid[]",
        other => other,
    };
    format!("{name} {typ}")
}

#[tokio::test(flavor = "multi_thread")]
async fn catalog_tells_of_objects() {
    let server = Headwater::start().await;
    let client = server.connect().await;
    client.run(OBJECTS).await;
    client.run(DERIVED).await;
    client.run("CREATE TYPE pair AS (x int, y text); CREATE INDEX te ON t (upper(b))").await;
    client.run("COMMENT ON TABLE t IS 'a table'; COMMENT ON COLUMN t.b IS 'a column'").await;
    client.run("CREATE DATABASE other; CREATE TABLE other.public.elsewhere (a int)").await;
    for (query, expected) in [
        ("SELECT relkind FROM pg_class WHERE relname = 'mv'", "m"),
        ("SELECT relnatts FROM pg_class WHERE oid = 't'::regclass", "4"),
        // Other databases' objects are not in this one's catalog.
        ("SELECT count(*) FROM pg_class WHERE relname = 'elsewhere'", "0"),
        ("SELECT count(*) FROM pg_namespace WHERE nspname = 'public'", "1"),
        (
            "SELECT string_agg(attname || ':' || atttypid::regtype::text, ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 't'::regclass",
            "a:integer,b:text,c:numeric,d:integer[]",
        ),
        ("SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 't'::regclass", "'x'"),
        ("SELECT obj_description('t'::regclass)", "a table"),
        ("SELECT obj_description('t'::regclass, 'pg_class')", "a table"),
        ("SELECT col_description('t'::regclass, 2)", "a column"),
        ("SELECT pg_get_indexdef('ti'::regclass)", "CREATE INDEX ti ON public.t USING arrangement (b, a)"),
        ("SELECT pg_get_indexdef('te'::regclass, 1, true)", "(upper(b))"),
        ("SELECT indkey::text FROM pg_index WHERE indexrelid = 'ti'::regclass", "2 1"),
        ("SELECT indkey::text FROM pg_index WHERE indexrelid = 'te'::regclass", "0"),
        ("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 't'", "materialize"),
        ("SELECT pg_table_is_visible('t'::regclass)", "t"),
        ("SELECT 't'::regclass::text", "t"),
        ("SELECT 'pg_class'::regclass::oid", "1259"),
        (
            "SELECT oid::regclass::text FROM pg_class WHERE relname = 'tables' AND relkind = 'v'",
            "information_schema.tables",
        ),
        ("SELECT 'public'::regnamespace::text", "public"),
        (
            "SELECT format('%I.%I', typnamespace::regnamespace, typname) FROM pg_type WHERE typname = 'pair'",
            "public.pair",
        ),
        ("SELECT typtype FROM pg_type WHERE typname = 'pair'", "c"),
        ("SELECT typelem::regtype::text FROM pg_type WHERE typname = '_int4'", "integer"),
        (
            "SELECT typinput::text FROM pg_type WHERE typname = '_int4' AND typinput = 'array_in'::regproc",
            "array_in",
        ),
        ("SELECT rngsubtype::regtype::text FROM pg_range WHERE rngtypid = 'daterange'::regtype", "date"),
        (
            "SELECT prorettype::regtype::text FROM pg_proc WHERE proname = 'array_append'",
            "anycompatiblearray",
        ),
        (
            "SELECT string_agg(prokind::text, '') FROM pg_proc WHERE proname IN ('row_number', 'bool_and')",
            "aw",
        ),
        (
            "SELECT pg_get_function_arguments(oid) FROM pg_proc WHERE proname = 'split_part'",
            "text, text, integer",
        ),
        ("SELECT count(*) > 1 FROM pg_proc WHERE proname = 'max'", "t"),
        (
            "SELECT count(*) FROM pg_proc p WHERE NOT EXISTS (SELECT 1 FROM pg_type t WHERE t.oid = p.prorettype)",
            "0",
        ),
        (
            "SELECT count(*) FROM pg_proc p, unnest(p.proargtypes) a WHERE NOT EXISTS (SELECT 1 FROM pg_type t WHERE t.oid = a)",
            "0",
        ),
        ("SELECT count(*) FROM (SELECT oid FROM pg_proc GROUP BY oid HAVING count(*) > 1) d", "0"),
        (
            "SELECT oprresult::regtype::text FROM pg_operator WHERE oprname = '+' AND oprleft = 'date'::regtype AND oprright = 'interval'::regtype",
            "timestamp without time zone",
        ),
        (
            "SELECT n.oprname FROM pg_operator o JOIN pg_operator n ON o.oprnegate = n.oid WHERE o.oprname = '<' AND o.oprleft = 'int4'::regtype",
            ">=",
        ),
        (
            "SELECT castcontext FROM pg_cast WHERE castsource = 'int4'::regtype AND casttarget = 'int8'::regtype",
            "i",
        ),
        (
            "SELECT data_type FROM information_schema.columns WHERE table_name = 't' AND column_name = 'd'",
            "ARRAY",
        ),
        (
            "SELECT numeric_precision || ',' || numeric_scale FROM information_schema.columns WHERE table_name = 't' AND column_name = 'c'",
            "10,2",
        ),
        ("SELECT is_insertable_into FROM information_schema.tables WHERE table_name = 't'", "YES"),
        ("SELECT catalog_name FROM information_schema.schemata WHERE schema_name = 'public'", "materialize"),
        ("SELECT setting FROM pg_settings WHERE name = 'search_path'", "public"),
        ("SELECT utc_offset FROM pg_timezone_names WHERE name = 'Asia/Kolkata'", "05:30:00"),
        ("SELECT is_dst FROM pg_timezone_abbrevs WHERE abbrev = 'CEST'", "t"),
        ("SELECT state FROM pg_stat_activity WHERE pid = pg_backend_pid()", "active"),
    ] {
        assert_eq!(client.value(query).await, expected, "{query}");
    }
    client.run("CREATE VIEW w AS SELECT current_user AS u").await;
    for (query, state) in [
        ("SELECT 'nosuch'::regnamespace", "3F000"),
        ("SELECT 'nosuch'::regproc", "42883"),
        ("SELECT 'abs'::regproc", "42725"),
        ("SELECT 'nosuch'::regrole", "42704"),
        ("CREATE MATERIALIZED VIEW m AS SELECT relname FROM pg_class", "0A000"),
        ("CREATE INDEX wi ON w (u)", "0A000"),
    ] {
        assert_eq!(client.error(query).await.0, state, "{query}");
    }
    // What a view asks of the session is answered for each session.
    assert_eq!(client.value("SELECT u FROM w").await, "materialize");
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_settings_shows_what_show_all_shows() {
    let server = Headwater::start().await;
    let client = server.connect().await;
    let shown = client.rows("SHOW ALL").await;
    let listed = client.rows("SELECT name, setting FROM pg_settings").await;
    let pairs = |rows: &[Vec<Option<String>>]| -> BTreeMap<String, Option<String>> {
        rows.iter().map(|r| (r[0].clone().unwrap_or_default(), r[1].clone())).collect()
    };
    assert_eq!(pairs(&listed), pairs(&shown));
}
