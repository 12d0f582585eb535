//! How long planning takes: from the text of a query to what would run, without a server.
//!
//! The bound here is far above what planning takes on any machine: it finds plans that explode. How long the queries of TPC-H take
//! (less than 100 ms each in a release build) is measured by `bin/soak tpch`.

#![allow(clippy::unwrap_used)]

#[path = "planning/catalog.rs"]
mod catalog;

use std::path::Path;
use std::time::{Duration, Instant};

use catalog::Objects;
use hw_expr::RowSetFinishing;
use hw_optimizer::PeekPlan;
use hw_repr::GlobalId;

/// What a query may take.
fn bound() -> Duration {
    Duration::from_secs(10)
}

/// Plans a query as the coordinator does; the best of three times.
fn plan(objects: &Objects, sql: &str) -> (Duration, PeekPlan) {
    let once = || {
        let started = Instant::now();
        let select = objects.select(sql);
        let mir = hw_sql::lowering::lower(select.expr).unwrap();
        let views = objects.views(&mir);
        let mut finishing: RowSetFinishing = select.finishing;
        let ids = (GlobalId::Transient(1), GlobalId::Transient(2));
        let plan = hw_optimizer::optimize_peek(mir, views, objects, &mut finishing, ids).unwrap();
        (started.elapsed(), plan)
    };
    (0..3).map(|_| once()).min_by_key(|(time, _)| *time).unwrap()
}

/// Plans what a materialized view of the query would run.
fn plan_maintained(objects: &Objects, sql: &str) -> Duration {
    let started = Instant::now();
    let mir = hw_sql::lowering::lower(objects.select(sql).expr).unwrap();
    let mut all = objects.views(&mir);
    let id = GlobalId::Transient(1);
    let desc = hw_repr::RelationDesc::new(
        hw_repr::RelationType::new(mir.column_types()),
        (0..mir.arity()).map(|i| format!("c{i}")).collect(),
    );
    let kind = hw_plan::ExportKind::MaterializedView { shard: Default::default() };
    let export = hw_plan::DataflowExport { on_id: id, desc, kind };
    all.push((id, mir));
    let exports = std::collections::BTreeMap::from([(GlobalId::Transient(2), export)]);
    hw_optimizer::optimize_dataflow("planning", all, exports, objects).unwrap();
    started.elapsed()
}

fn check(objects: &Objects, name: &str, sql: &str) -> Vec<String> {
    let (read, _) = plan(objects, sql);
    let maintained = plan_maintained(objects, sql);
    let late = read.max(maintained) > bound();
    late.then(|| format!("{name}: {read:?} as a query, {maintained:?} as a view")).into_iter().collect()
}

/// Tables `t0` to `t7` of eight columns each, with indexes on the first two.
fn wide() -> Objects {
    let mut objects = Objects::default();
    for t in 0..8 {
        let columns: Vec<String> = (0..8).map(|c| format!("c{c} bigint")).collect();
        objects.run(&format!("CREATE TABLE t{t} ({})", columns.join(", ")));
        objects.index(&format!("t{t}"), &[0]);
        objects.index(&format!("t{t}"), &[1]);
    }
    objects
}

fn from(conditions: impl Iterator<Item = String>) -> String {
    let tables: Vec<String> = (0..8).map(|t| format!("t{t}")).collect();
    let conditions: Vec<String> = conditions.collect();
    format!("SELECT * FROM {} WHERE {}", tables.join(", "), conditions.join(" AND "))
}

#[test]
fn joins_of_eight_tables_are_planned_in_time() {
    let objects = wide();
    let pairs = || (0..8).flat_map(|a| (a + 1..8).map(move |b| (a, b)));
    let outer: Vec<String> = (1..8).map(|t| format!("LEFT JOIN t{t} ON t{}.c1 = t{t}.c0", t - 1)).collect();
    let exists: Vec<String> =
        (1..8).map(|t| format!("EXISTS (SELECT 1 FROM t{t} WHERE t{t}.c0 = t0.c{t})")).collect();
    let scalar: Vec<String> =
        (1..8).map(|t| format!("(SELECT max(t{t}.c1) FROM t{t} WHERE t{t}.c0 = t0.c{t})")).collect();
    let cases = [
        ("chain", from((1..8).map(|t| format!("t{}.c1 = t{t}.c0", t - 1)))),
        ("star", from((1..8).map(|t| format!("t0.c{} = t{t}.c0", t)))),
        ("one key", from((1..8).map(|t| format!("t0.c0 = t{t}.c0")))),
        ("clique", from(pairs().map(|(a, b)| format!("t{a}.c{b} = t{b}.c{a}")))),
        ("cross", "SELECT count(*) FROM t0, t1, t2, t3, t4, t5, t6, t7".to_owned()),
        ("outer", format!("SELECT * FROM t0 {} WHERE t7.c2 > 5", outer.join(" "))),
        ("exists", format!("SELECT * FROM t0 WHERE {}", exists.join(" AND "))),
        ("scalar", format!("SELECT {} FROM t0", scalar.join(", "))),
    ];
    let late: Vec<String> = cases.iter().flat_map(|(name, sql)| check(&objects, name, sql)).collect();
    assert!(late.is_empty(), "{}", late.join("\n"));
}

#[test]
fn deep_queries_are_planned() {
    let objects = wide();
    let nested = (0..20).fold("SELECT c0, c1 FROM t0".to_owned(), |sql, i| {
        format!("SELECT c0, c1 + {i} AS c1 FROM ({sql}) AS s{i} WHERE c0 <> {i}")
    });
    let unions = vec!["SELECT c0 FROM t0"; 100].join(" UNION ALL ");
    let ors: Vec<String> = (0..1000).map(|i| format!("c0 = {i}")).collect();
    let sum = vec!["c0"; 500].join(" + ");
    for sql in [
        nested,
        unions,
        format!("SELECT c0 FROM t0 WHERE {}", ors.join(" OR ")),
        format!("SELECT {sum} FROM t0"),
    ] {
        let (time, _) = plan(&objects, &sql);
        assert!(time < 10 * bound(), "{time:?}: {}", &sql[..100]);
    }
}

#[test]
fn tpch_is_planned_in_time() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sql-tests/tpch");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap().replace(":scale", "1");
    let mut late = vec![];
    for indexed in [false, true] {
        let mut objects = Objects::default();
        objects.run(&read("schema.sql"));
        if indexed {
            objects.run(&read("indexes.sql"));
        }
        for n in 1..=22 {
            let query = read(&format!("q{n:02}.sql"));
            late.extend(check(&objects, &format!("q{n:02}, indexed {indexed}"), &query));
        }
    }
    assert!(late.is_empty(), "{}", late.join("\n"));
}
