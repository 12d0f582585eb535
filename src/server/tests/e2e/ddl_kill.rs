//! kill -9 of the server during DDL: the catalog opens again each time, and holds exactly the statements that
//! were acknowledged, plus at most the one in flight.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use rand::{Rng, SeedableRng};

use crate::support::client::Client;
use crate::support::scale::{scale, seed};
use crate::support::server::Headwater;

/// A statement and what it does to the set of objects.
#[derive(Clone, Debug)]
enum Ddl {
    Create { name: String, sql: String },
    Drop { name: String, sql: String },
}

impl Ddl {
    fn sql(&self) -> &str {
        match self {
            Ddl::Create { sql, .. } | Ddl::Drop { sql, .. } => sql,
        }
    }

    fn apply(&self, objects: &mut BTreeSet<String>) {
        match self {
            Ddl::Create { name, .. } => drop(objects.insert(name.clone())),
            Ddl::Drop { name, .. } => drop(objects.remove(name)),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_ddl_survives_kill() {
    let mut rng = StdRng::seed_from_u64(seed("ddl_kill"));
    let mut server = Headwater::start().await;
    server.connect().await.run("CREATE TABLE base (a int)").await;
    let mut objects = BTreeSet::from(["base".to_owned()]);
    let mut number = 0;
    let (mut in_flight_done, mut acknowledged) = (0, 0);
    for round in 0..scale().ddl_kills {
        let client = server.connect().await;
        // A few statements that are acknowledged, then one that the kill meets.
        for _ in 0..rng.random_range(0..3) {
            let ddl = next(&mut rng, &objects, &mut number);
            client.run(ddl.sql()).await;
            ddl.apply(&mut objects);
        }
        let ddl = next(&mut rng, &objects, &mut number);
        let sql = ddl.sql().to_owned();
        let statement = tokio::spawn(async move { client.try_run(&sql).await });
        tokio::time::sleep(Duration::from_micros(rng.random_range(0..20_000))).await;
        server.kill();
        let answer = tokio::time::timeout(Duration::from_secs(10), statement).await;
        let answer = answer.expect("a killed server closes its connections").unwrap();
        server.boot().await;

        let found = user_objects(&server.connect().await).await;
        let mut with = objects.clone();
        ddl.apply(&mut with);
        if answer.is_ok() {
            acknowledged += 1;
            assert_eq!(found, with, "round {round}: acknowledged: {ddl:?}");
        } else {
            in_flight_done += usize::from(found == with);
            assert!(
                found == with || found == objects,
                "round {round}: {ddl:?}\nfound {found:?}\nknown {objects:?}"
            );
        }
        objects = found;
    }
    eprintln!(
        "ddl_kill: {acknowledged} acknowledged before the kill, {in_flight_done} in flight took effect"
    );
    // What is listed also works.
    let client = server.connect().await;
    for name in objects.iter().filter(|n| n.starts_with("t_") || n.starts_with("v_")) {
        client.rows(&format!("SELECT * FROM {name}")).await;
    }
}

/// A random statement that must succeed on these objects.
fn next(rng: &mut StdRng, objects: &BTreeSet<String>, number: &mut usize) -> Ddl {
    *number += 1;
    let n = *number;
    let create = |prefix: &str, sql: String| Ddl::Create { name: format!("{prefix}_{n}"), sql };
    match rng.random_range(0..8) {
        0 => create("t", format!("CREATE TABLE t_{n} (a int, b text)")),
        1 => create("v", format!("CREATE VIEW v_{n} AS SELECT a + 1 AS b FROM base")),
        2 => create("m", format!("CREATE MATERIALIZED VIEW m_{n} AS SELECT count(*) AS n FROM base")),
        3 => create("i", format!("CREATE INDEX i_{n} ON base (a)")),
        4 => create("s", format!("CREATE SECRET s_{n} AS 'x'")),
        5 => create("c", format!("CREATE SCHEMA c_{n}")),
        _ => match objects.iter().filter(|o| *o != "base").choose(rng) {
            None => create("t", format!("CREATE TABLE t_{n} (a int)")),
            Some(name) => {
                let kind = match &name[..1] {
                    "t" => "TABLE",
                    "v" => "VIEW",
                    "m" => "MATERIALIZED VIEW",
                    "i" => "INDEX",
                    "s" => "SECRET",
                    _ => "SCHEMA",
                };
                Ddl::Drop { name: name.clone(), sql: format!("DROP {kind} {name}") }
            }
        },
    }
}

/// The names of all objects and schemas that a user has made.
async fn user_objects(client: &Client) -> BTreeSet<String> {
    let names = client
        .rows(
            "SELECT name FROM mz_objects WHERE id LIKE 'u%'
             UNION ALL SELECT name FROM mz_secrets WHERE id LIKE 'u%' AND id NOT IN (SELECT id FROM mz_objects)
             UNION ALL SELECT name FROM mz_schemas WHERE id LIKE 'u%' AND name <> 'public'",
        )
        .await;
    let count = names.len();
    let set: BTreeSet<String> = names.into_iter().map(|mut r| r.remove(0).unwrap()).collect();
    assert_eq!(set.len(), count, "an object is listed twice");
    set
}
