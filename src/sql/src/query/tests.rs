//! Golden names, types and errors; and decorrelated plans against nested loops.

#![allow(clippy::unwrap_used)]

use hw_repr::text;

use super::testing::{Bag, Data, TestCatalog, eval_hir, eval_mir};
use super::{PlannedQuery, plan_query};
use crate::context::{SessionInfo, StatementContext};
use crate::error::PlanError;
use crate::parser::{Statement, parse_one};
use hw_repr::{Datum, Row, compare_rows_by};

pub(crate) fn plan(catalog: &TestCatalog, sql: &str) -> Result<PlannedQuery, PlanError> {
    let parsed = parse_one(sql)?;
    let session = SessionInfo::default();
    let scx = StatementContext::new(catalog, &session, &parsed.extensions)
        .with_text(&parsed.sql)
        .with_params(vec![]);
    match &parsed.statement {
        Statement::Select(s) => plan_query(&scx, &s.query.query),
        other => panic!("no query: {other:?}"),
    }
}

fn data(catalog: &TestCatalog, tables: &[(&str, Vec<Row>)]) -> Data {
    let mut data = Data::new();
    for (name, rows) in tables {
        let mut bag = Bag::new();
        rows.iter().for_each(|r| *bag.entry(r.clone()).or_default() += 1);
        data.insert(catalog.id(name), bag);
    }
    data
}

/// Small numbers with NULLs and duplicates.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn int(&mut self) -> Datum<'static> {
        match self.below(5) {
            0 => Datum::Null,
            n => Datum::Int32(n as i32),
        }
    }

    fn text(&mut self) -> Datum<'static> {
        [Datum::Null, Datum::String("x"), Datum::String("y")][self.below(3) as usize]
    }

    fn data(&mut self, catalog: &TestCatalog) -> Data {
        let mut rows = |f: &mut dyn FnMut(&mut Random) -> Vec<Datum<'static>>| -> Vec<Row> {
            let n = self.below(6);
            (0..n).map(|_| Row::pack_slice(&f(self))).collect()
        };
        let t = rows(&mut |r| vec![r.int(), r.int(), r.text()]);
        let u = rows(&mut |r| vec![r.int(), r.int()]);
        let v = rows(&mut |r| vec![r.int(), r.text()]);
        data(catalog, &[("t", t), ("u", u), ("v", v), ("n", vec![])])
    }
}

/// Compares the two interpreters; errors are compared by whether the nested loops fail.
fn check(catalog: &TestCatalog, sql: &str, data: &Data) -> Result<usize, String> {
    let planned = plan(catalog, sql).map_err(|e| format!("{sql}: {e}"))?;
    let expected = eval_hir(&planned.expr, data);
    let mir = crate::lowering::lower(planned.expr).map_err(|e| format!("{sql}: {e}"))?;
    let actual = eval_mir(&mir, data);
    match (expected, actual) {
        (Ok(rows), Ok(bag)) => {
            let mut wanted = Bag::new();
            rows.into_iter().for_each(|r| *wanted.entry(r).or_default() += 1);
            if wanted == bag {
                Ok(bag.len())
            } else {
                Err(format!("{sql}\nwanted {wanted:?}\nfound  {bag:?}\n{mir:#?}"))
            }
        }
        // Plans compute subqueries also where they are not needed, so they may fail where loops do not.
        (_, Err(_)) => Ok(0),
        (Err(e), Ok(bag)) => Err(format!("{sql}\nwanted error {e}\nfound {bag:?}")),
    }
}

const QUERIES: &[&str] = &[
    "SELECT * FROM t",
    "SELECT a + b AS s, c FROM t WHERE a > 1 ORDER BY s DESC NULLS LAST, c",
    "SELECT t.a, u.d FROM t JOIN u ON t.a = u.a",
    "SELECT t.a, u.d FROM t LEFT JOIN u ON t.a = u.a",
    "SELECT t.a, u.d FROM t LEFT JOIN u ON t.a = u.a AND u.d > 2",
    "SELECT t.a, u.d FROM t LEFT JOIN u ON t.a = u.a AND t.b > 2",
    "SELECT t.a, u.d FROM t LEFT JOIN u ON t.a < u.a OR u.d IS NULL",
    "SELECT t.a, u.d FROM t RIGHT JOIN u ON t.a = u.a",
    "SELECT t.a, u.d FROM t RIGHT JOIN u ON t.a = u.a AND t.b = 1",
    "SELECT t.a, u.d FROM t FULL JOIN u ON t.a = u.a",
    "SELECT t.a, u.d FROM t FULL JOIN u ON t.a < u.d",
    "SELECT * FROM t NATURAL JOIN u",
    "SELECT a, t.a, u.a FROM t FULL JOIN u USING (a)",
    "SELECT * FROM t LEFT JOIN u USING (a) LEFT JOIN v USING (d)",
    "SELECT * FROM t, LATERAL (SELECT u.d FROM u WHERE u.a = t.a) s",
    "SELECT * FROM t LEFT JOIN LATERAL (SELECT u.d FROM u WHERE u.a = t.a ORDER BY d LIMIT 1) s ON true",
    "SELECT * FROM t LEFT JOIN LATERAL (SELECT count(*) AS n, max(u.d) FROM u WHERE u.a <= t.b) s ON s.n > 1",
    "SELECT a, (SELECT max(d) FROM u WHERE u.a = t.a) FROM t",
    "SELECT a, (SELECT count(*) FROM u WHERE u.a = t.a AND u.d > t.b) FROM t",
    "SELECT a, (SELECT d FROM u WHERE u.a = t.a) FROM t",
    "SELECT a, (SELECT d FROM u WHERE u.a = t.a ORDER BY d LIMIT 1) FROM t",
    "SELECT a FROM t WHERE EXISTS (SELECT FROM u WHERE u.a = t.a)",
    "SELECT a FROM t WHERE NOT EXISTS (SELECT FROM u WHERE u.a = t.a AND u.d = t.b)",
    "SELECT a, EXISTS (SELECT FROM u WHERE u.a = t.a) FROM t",
    "SELECT a FROM t WHERE a IN (SELECT d FROM u)",
    "SELECT a FROM t WHERE a NOT IN (SELECT d FROM u)",
    "SELECT a FROM t WHERE a NOT IN (SELECT d FROM u WHERE u.a = t.b)",
    "SELECT a, a IN (SELECT d FROM u), a NOT IN (SELECT d FROM u WHERE u.a = t.a) FROM t",
    "SELECT a, a > ALL (SELECT d FROM u WHERE u.a = t.a), a < ANY (SELECT d FROM u) FROM t",
    "SELECT a FROM t WHERE (a, b) IN (SELECT a, d FROM u)",
    "SELECT a FROM t WHERE (a, b) NOT IN (SELECT a, d FROM u)",
    "SELECT a, (a, b) = (SELECT a, d FROM u LIMIT 1) FROM t",
    "SELECT a, count(*), sum(b), min(c) FROM t GROUP BY a HAVING count(*) > 1",
    "SELECT a + 1, count(DISTINCT b) FILTER (WHERE b > 1) FROM t GROUP BY a + 1",
    "SELECT count(*), sum(a), (SELECT count(*) FROM u) FROM t",
    "SELECT a, (SELECT sum(t.b) FROM u WHERE u.d = t.a) FROM t GROUP BY a",
    "SELECT a, (SELECT max(x.n) FROM (SELECT count(*) AS n FROM u WHERE u.a = t.a GROUP BY u.d) x) FROM t",
    "SELECT a, (SELECT (SELECT count(*) FROM v WHERE v.d = u.d AND v.e = t.c) FROM u WHERE u.a = t.a LIMIT 1) FROM t",
    "SELECT a FROM t GROUP BY a HAVING EXISTS (SELECT FROM u WHERE u.a = sum(t.b))",
    "SELECT a, (SELECT count(*) FROM u WHERE u.a = t.a) + sum(b) FROM t GROUP BY a",
    "SELECT a FROM t UNION SELECT d FROM u",
    "SELECT a FROM t UNION ALL SELECT d FROM u",
    "SELECT a FROM t EXCEPT SELECT d FROM u",
    "SELECT a FROM t EXCEPT ALL SELECT d FROM u",
    "SELECT a FROM t INTERSECT SELECT d FROM u",
    "SELECT a FROM t INTERSECT ALL SELECT d FROM u",
    "SELECT a, (SELECT count(*) FROM (SELECT u.d FROM u WHERE u.a = t.a EXCEPT SELECT t.b) x) FROM t",
    "SELECT a, (SELECT count(*) FROM (SELECT u.d FROM u WHERE u.a = t.a INTERSECT ALL SELECT v.d FROM v) x) FROM t",
    "SELECT DISTINCT a, c FROM t ORDER BY c",
    "SELECT DISTINCT ON (a) a, b FROM t ORDER BY a, b DESC",
    "WITH x AS (SELECT a, count(*) AS n FROM t GROUP BY a) SELECT * FROM x JOIN x y USING (a)",
    "SELECT a, (WITH x AS (SELECT d FROM u WHERE u.a = t.a) SELECT count(*) FROM x, x y) FROM t",
    "SELECT a, (WITH x AS (SELECT d FROM u WHERE u.a = t.a) SELECT (SELECT max(d) FROM x WHERE x.d < v.d) FROM v LIMIT 1) FROM t",
    "SELECT a, g FROM t, generate_series(1, t.a) AS g",
    "SELECT a, generate_series(1, b) FROM t",
    "SELECT a, generate_series(1, 2), generate_series(1, a) FROM t",
    "SELECT * FROM generate_series(1, 3) WITH ORDINALITY AS x(v, o)",
    "SELECT * FROM ROWS FROM (generate_series(1, 2), generate_series(5, 7)) AS x(p, q)",
    "VALUES (1, 'x'), (2, NULL)",
    "SELECT * FROM (VALUES (1), (2)) AS x(n) WHERE n > 1",
    "SELECT a FROM t ORDER BY b LIMIT 2 OFFSET 1",
    "SELECT a, (SELECT count(*) FROM (SELECT FROM u ORDER BY u.d LIMIT t.b) x) FROM t",
    "SELECT a FROM (SELECT a FROM t ORDER BY a LIMIT (SELECT count(*) FROM u)) x",
    "SELECT CASE WHEN a = 1 THEN 'one' WHEN a IS NULL THEN 'none' ELSE c END FROM t",
    "SELECT a BETWEEN 1 AND 2, a IN (1, 2, NULL), a IS DISTINCT FROM b, (a, b) < (b, a), a IS NOT NULL FROM t",
    "SELECT count(*) FROM t, u, v WHERE t.a = u.a AND u.d = v.d",
    "SELECT t.a FROM t WHERE t.b = (SELECT min(b) FROM t t2 WHERE t2.a = t.a)",
    "SELECT a FROM t GROUP BY ROLLUP (a, b)",
    "SELECT a, b, count(*) FROM t GROUP BY CUBE (a, b)",
    "SELECT a, b, sum(a) FROM t GROUP BY GROUPING SETS ((a), (b), ())",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION SELECT n + 1 FROM r WHERE n < 4) SELECT n FROM r",
    "WITH MUTUALLY RECURSIVE r (n int) AS (SELECT 1 UNION SELECT n + 1 FROM r WHERE n < 4) SELECT n FROM r",
    "SELECT a, (WITH MUTUALLY RECURSIVE r (n int) AS (SELECT t.a UNION SELECT n + 1 FROM r WHERE n < 4) SELECT count(*) FROM r) FROM t",
    "SELECT a, row_number() OVER (PARTITION BY a ORDER BY b, c) FROM t",
    "SELECT a, sum(b) OVER (PARTITION BY a ORDER BY b), rank() OVER (ORDER BY b), lag(b) OVER (ORDER BY b, a, c) FROM t",
    "SELECT a, sum(sum(b)) OVER (ORDER BY a) FROM t GROUP BY a",
    "SELECT a, (SELECT max(r) FROM (SELECT rank() OVER (ORDER BY u.d) AS r FROM u WHERE u.a = t.a) x) FROM t",
    "SELECT a FROM t ORDER BY (SELECT count(*) FROM u WHERE u.a = t.a), a LIMIT 2",
    "SELECT (SELECT a FROM t ORDER BY a, b, c OFFSET 1 LIMIT 1), d FROM u",
    "SELECT x.a, y.d FROM (t JOIN u USING (a)) AS x JOIN LATERAL (SELECT v.d FROM v WHERE v.d = x.d) y ON true",
    "SELECT t.*, u.* FROM t CROSS JOIN u WHERE t.b = u.d OR t.a IS NULL",
    "SELECT a FROM t WHERE CASE WHEN b > 1 THEN EXISTS (SELECT FROM u WHERE u.a = t.a) ELSE a IN (SELECT d FROM v) END",
    "SELECT a = ANY (ARRAY[1, 2]), a <> ALL (ARRAY[1, b]) FROM t",
];

#[test]
fn plans_agree_with_nested_loops() {
    let catalog = TestCatalog::new();
    let mut random = Random(7);
    let sets: Vec<Data> = (0..25).map(|_| random.data(&catalog)).collect();
    let mut failures = vec![];
    for sql in QUERIES {
        let failure = sets.iter().find_map(|d| check(&catalog, sql, d).err());
        failures.extend(failure);
    }
    let texts: Vec<&str> = failures.iter().map(|f| &f[..f.len().min(1500)]).collect();
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), texts.join("\n----\n"));
}

/// Makes queries that nest subqueries of all kinds, correlated at any level.
struct Generator<'r> {
    random: &'r mut Random,
    aliases: usize,
}

impl Generator<'_> {
    fn pick<'s>(&mut self, items: &[&'s str]) -> &'s str {
        items[self.random.below(items.len() as u64) as usize]
    }

    /// An integer expression over the columns that can be seen.
    fn int(&mut self, columns: &[String], depth: usize) -> String {
        match self.random.below(if depth == 0 { 4 } else { 7 }) {
            0 => format!("{}", self.random.below(4)),
            1..=3 => columns[self.random.below(columns.len() as u64) as usize].clone(),
            4 => format!("({} + {})", self.int(columns, depth - 1), self.int(columns, depth - 1)),
            5 => {
                let (from, mut inner) = self.from(columns, depth - 1);
                let alias = inner[0].clone();
                inner.extend_from_slice(columns);
                let f = self.pick(&["max", "min", "count", "sum"]);
                let condition = self.condition(&inner, depth - 1);
                format!("(SELECT {f}({alias})::int FROM {from} WHERE {condition})")
            }
            _ => {
                let (c, a) = (self.condition(columns, depth - 1), self.int(columns, depth - 1));
                format!("CASE WHEN {c} THEN {a} END")
            }
        }
    }

    fn condition(&mut self, columns: &[String], depth: usize) -> String {
        let op = self.pick(&["=", "=", "<", "<>", ">="]);
        match self.random.below(if depth == 0 { 3 } else { 9 }) {
            0..=1 => format!("{} {op} {}", self.int(columns, depth), self.int(columns, 0)),
            2 => format!("{} IS NULL", self.int(columns, depth)),
            3 => {
                format!("({} AND {})", self.condition(columns, depth - 1), self.condition(columns, depth - 1))
            }
            4 => {
                format!("({} OR {})", self.condition(columns, depth - 1), self.condition(columns, depth - 1))
            }
            5 => format!("NOT ({})", self.condition(columns, depth - 1)),
            n => {
                let (from, mut inner) = self.from(columns, depth - 1);
                let own = inner[0].clone();
                inner.extend_from_slice(columns);
                let condition = self.condition(&inner, depth - 1);
                let not = self.pick(&["", "NOT "]);
                match n {
                    6 => format!("{not}EXISTS (SELECT FROM {from} WHERE {condition})"),
                    7 => format!(
                        "{} {not}IN (SELECT {own} FROM {from} WHERE {condition})",
                        self.int(columns, 0)
                    ),
                    _ => {
                        let quantifier = self.pick(&["ANY", "ALL"]);
                        format!(
                            "{} {op} {quantifier} (SELECT {own} FROM {from} WHERE {condition})",
                            self.int(columns, 0)
                        )
                    }
                }
            }
        }
    }

    fn table(&mut self) -> (String, Vec<String>) {
        self.aliases += 1;
        let alias = format!("q{}", self.aliases);
        let (table, columns) = [("t", ["a", "b"]), ("u", ["a", "d"])][self.random.below(2) as usize];
        (format!("{table} AS {alias}"), columns.iter().map(|c| format!("{alias}.{c}")).collect())
    }

    /// A FROM clause and its integer columns.
    fn from(&mut self, outer: &[String], depth: usize) -> (String, Vec<String>) {
        let (mut from, mut columns) = self.table();
        if depth == 0 {
            return (from, columns);
        }
        match self.random.below(4) {
            0 => {
                let (right, more) = self.table();
                columns.extend(more);
                let kind = self.pick(&["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
                let condition = self.condition(&columns, depth - 1);
                from = format!("({from} {kind} {right} ON {condition})");
            }
            1 => {
                let (inner_from, mut inner) = self.from(outer, depth - 1);
                let own = inner[0].clone();
                inner.extend_from_slice(&columns);
                inner.extend_from_slice(outer);
                let condition = self.condition(&inner, depth - 1);
                self.aliases += 1;
                let alias = format!("q{}", self.aliases);
                let join = self.pick(&["JOIN LATERAL", "LEFT JOIN LATERAL"]);
                let body = match self.random.below(4) {
                    0 => format!(
                        "SELECT count(*)::int AS n, max({own}) AS m FROM {inner_from} WHERE {condition}"
                    ),
                    1 => format!(
                        "SELECT {own} AS n, {} AS m FROM {inner_from} ORDER BY 1, 2 LIMIT 1",
                        self.int(&inner, 0)
                    ),
                    2 => format!("SELECT DISTINCT {own} AS n, 1 AS m FROM {inner_from} WHERE {condition}"),
                    _ => format!(
                        "SELECT {own} AS n, {} AS m FROM {inner_from} WHERE {condition}",
                        self.int(&inner, depth - 1)
                    ),
                };
                from = format!("{from} {join} ({body}) AS {alias} ON true");
                columns.extend([format!("{alias}.n"), format!("{alias}.m")]);
            }
            _ => {}
        }
        (from, columns)
    }

    fn query(&mut self) -> String {
        let (from, columns) = self.from(&[], 2);
        let (e, c) = (self.int(&columns, 2), self.condition(&columns, 2));
        format!("SELECT {}, {e} FROM {from} WHERE {c}", columns[0])
    }
}

#[test]
fn random_queries_agree_with_nested_loops() {
    let catalog = TestCatalog::new();
    let mut random = Random(42);
    let mut rows = 0;
    for i in 0..400 {
        let seed = random.0;
        let sql = Generator { random: &mut random, aliases: 0 }.query();
        for _ in 0..3 {
            let data = random.data(&catalog);
            match check(&catalog, &sql, &data) {
                Ok(n) => rows += n,
                Err(e) => panic!("query {i}, seed {seed}: {}\n{data:?}", &e[..e.len().min(6000)]),
            }
        }
    }
    // Most queries have rows: what is compared is not nothing.
    assert!(rows > 1000, "only {rows} rows were compared");
}

/// Each line: SQLSTATE, position, message, query.
const ERRORS: &[(&str, Option<usize>, &str, &str)] = &[
    ("42703", Some(8), "column \"nope\" does not exist", "SELECT nope FROM t"),
    ("42703", Some(8), "column t.nope does not exist", "SELECT t.nope FROM t"),
    ("42P01", Some(15), "relation \"nope\" does not exist", "SELECT * FROM nope"),
    ("42P01", Some(8), "missing FROM-clause entry for table \"x\"", "SELECT x.a FROM t"),
    ("42702", Some(8), "column reference \"a\" is ambiguous", "SELECT a FROM t, u"),
    ("42883", Some(10), "operator does not exist: integer + boolean", "SELECT 1 + true"),
    ("42883", Some(8), "function nope(integer) does not exist", "SELECT nope(1)"),
    (
        "42803",
        Some(8),
        "column \"t.a\" must appear in the GROUP BY clause or be used in an aggregate function",
        "SELECT a, count(*) FROM t",
    ),
    (
        "42803",
        None,
        "subquery uses ungrouped column \"t.b\" from outer query",
        "SELECT (SELECT max(d) FROM u WHERE u.a = t.b) FROM t GROUP BY t.a",
    ),
    ("42803", Some(23), "aggregate functions are not allowed in WHERE", "SELECT a FROM t WHERE sum(a) > 1"),
    ("42803", Some(12), "aggregate function calls cannot be nested", "SELECT sum(max(a)) FROM t"),
    ("42P20", None, "window functions are not allowed in WHERE", "SELECT a FROM t WHERE rank() OVER () > 1"),
    ("42804", None, "argument of WHERE must be type boolean, not type integer", "SELECT a FROM t WHERE a"),
    (
        "42804",
        None,
        "CASE types boolean and integer cannot be matched",
        "SELECT CASE WHEN true THEN 1 ELSE true END",
    ),
    ("42804", None, "UNION types integer and boolean cannot be matched", "SELECT 1 UNION SELECT true"),
    ("42601", None, "each UNION query must have the same number of columns", "SELECT 1 UNION SELECT 1, 2"),
    ("42601", None, "subquery must return only one column", "SELECT (SELECT 1, 2)"),
    ("42601", None, "subquery has too many columns", "SELECT 1 IN (SELECT 1, 2)"),
    ("22P02", Some(8), "invalid input syntax for type integer: \"x\"", "SELECT 'x'::int"),
    ("42846", Some(8), "cannot cast type boolean to date", "SELECT true::date"),
    ("42P10", None, "ORDER BY position 3 is not in select list", "SELECT a FROM t ORDER BY 3"),
    (
        "42P10",
        None,
        "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
        "SELECT DISTINCT a FROM t ORDER BY b",
    ),
    (
        "42P10",
        None,
        "SELECT DISTINCT ON expressions must match initial ORDER BY expressions",
        "SELECT DISTINCT ON (a) a FROM t ORDER BY b",
    ),
    ("42712", None, "table name \"t\" specified more than once", "SELECT * FROM t, t"),
    (
        "42P01",
        Some(45),
        "invalid reference to FROM-clause entry for table \"t\"",
        "SELECT * FROM t, (SELECT * FROM u WHERE a = t.a) x",
    ),
    (
        "42703",
        None,
        "column \"zz\" specified in USING clause does not exist in left table",
        "SELECT * FROM t JOIN u USING (zz)",
    ),
    ("2201W", None, "LIMIT must not be negative", "SELECT 1 LIMIT -1"),
    ("42704", None, "type \"nope\" does not exist", "SELECT 1::nope"),
    ("42809", None, "window function rank requires an OVER clause", "SELECT rank()"),
    ("42P18", None, "cannot determine type of empty array", "SELECT ARRAY[]"),
];

#[test]
fn errors() {
    let catalog = TestCatalog::new();
    let mut wrong = vec![];
    for (sqlstate, position, message, sql) in ERRORS {
        match plan(&catalog, sql) {
            Ok(_) => wrong.push(format!("{sql}: no error")),
            Err(e) => {
                let position_ok = position.is_none() || e.position == *position;
                if e.sqlstate != *sqlstate || e.message != *message || !position_ok {
                    wrong.push(format!("{sql}: {} {:?} {}", e.sqlstate, e.position, e.message));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Query, names and types of the result, and its one row.
const VALUES: &[(&str, &str, &str)] = &[
    ("SELECT 1, 'a', NULL", "?column? integer, ?column? text, ?column? text", "1|a|NULL"),
    ("SELECT 1::bigint, '2'::int4 + 1, 3.50", "int8 bigint, ?column? integer, ?column? numeric", "1|3|3.50"),
    (
        "SELECT 1 + 2::bigint, 1 + 2.5, 2147483648, -2147483648",
        "?column? bigint, ?column? numeric, ?column? bigint, ?column? integer",
        "3|3.5|2147483648|-2147483648",
    ),
    (
        "SELECT upper('x'), coalesce(NULL, 5), nullif(1, 1), greatest(1, 3, 2)",
        "upper text, coalesce integer, nullif integer, greatest integer",
        "X|5|NULL|3",
    ),
    (
        "SELECT CASE 2 WHEN 1 THEN 'a' WHEN 2 THEN 'b' END, 1 IN (1, 2), NOT true",
        "case text, ?column? boolean, ?column? boolean",
        "b|t|f",
    ),
    (
        "SELECT 1 = ANY (ARRAY[1, 2]), 5 = ALL ('{5,5}'), 1 IS NULL",
        "?column? boolean, ?column? boolean, ?column? boolean",
        "t|t|f",
    ),
    (
        "SELECT avg(x), sum(x), count(*), max(x) FROM (VALUES (1), (2)) AS v(x)",
        "avg numeric, sum bigint, count bigint, max integer",
        "1.5000000000000000|3|2|2",
    ),
    (
        "SELECT 'a' || 'b', 1 || 'x', 'x' LIKE 'x%', 'A' ILIKE 'a'",
        "?column? text, ?column? text, ?column? boolean, ?column? boolean",
        "ab|1x|t|t",
    ),
    (
        "SELECT (1, 'x') = (1, 'x'), (1, 2) < (1, 3), ROW(1, NULL) IS NULL",
        "?column? boolean, ?column? boolean, ?column? boolean",
        "t|t|f",
    ),
    ("SELECT 1 UNION SELECT '1'", "?column? integer", "1"),
    (
        "SELECT substring('abcdef' from 2 for 3), trim(both 'x' from 'xax'), position('c' in 'abc')",
        "substring text, btrim text, position integer",
        "bcd|a|3",
    ),
];

#[test]
fn values() {
    let catalog = TestCatalog::new();
    let mut wrong = vec![];
    for (sql, columns, values) in VALUES {
        let planned = match plan(&catalog, sql) {
            Ok(p) => p,
            Err(e) => {
                wrong.push(format!("{sql}: {e}"));
                continue;
            }
        };
        let found: Vec<String> =
            planned.desc.iter().map(|(n, t)| format!("{n} {}", super::type_name(&t.scalar_type))).collect();
        let types: Vec<_> = planned.desc.iter().map(|(_, t)| t.scalar_type.clone()).collect();
        let mir = crate::lowering::lower(planned.expr).unwrap();
        let rows = match eval_mir(&mir, &data(&catalog, &[])) {
            Ok(rows) => rows,
            Err(e) => {
                wrong.push(format!("{sql}: {e}"));
                continue;
            }
        };
        let row = rows.keys().next().cloned().unwrap_or_default();
        let datums = row.unpack();
        let shown: Vec<String> = planned
            .finishing
            .project
            .iter()
            .zip(&types)
            .map(|(c, t)| if datums[*c].is_null() { "NULL".into() } else { text::to_string(datums[*c], t) })
            .collect();
        if found.join(", ") != *columns || shown.join("|") != *values {
            wrong.push(format!("{sql}:\n  {}\n  {}", found.join(", "), shown.join("|")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn deep_queries_do_not_overflow() {
    let catalog = TestCatalog::new();
    let mut sql = "SELECT 1 AS x".to_owned();
    for _ in 0..60 {
        sql = format!("SELECT x FROM ({sql}) AS q WHERE x IN (SELECT 1)");
    }
    let sum = |n| format!("SELECT {}1", "1 + ".repeat(n));
    for sql in [sql, sum(1000)] {
        crate::lowering::lower(plan(&catalog, &sql).unwrap().expr).unwrap();
    }
    assert_eq!(plan(&catalog, &sum(2000)).unwrap_err().sqlstate, "54001");
}

/// A query over `t(a int, b int, c text)`, and the types of its parameters, or the error.
const PARAMETERS: &[(&str, &str)] = &[
    ("SELECT $2 || 'x', a FROM t WHERE a = $1 LIMIT $3", "integer, text, bigint"),
    ("SELECT $1", "text"),
    ("SELECT $1 UNION SELECT 1", "integer"),
    ("(SELECT $1) UNION (SELECT 1)", "integer"),
    ("SELECT $1 UNION SELECT $2", "text, text"),
    ("SELECT a FROM t WHERE a = ANY ($1)", "integer[]"),
    ("SELECT coalesce($1, $2::date)", "date, date"),
    ("SELECT $1 BETWEEN 1 AND 3000000000", "integer"),
    ("SELECT CASE $1 WHEN 'a' THEN 1 END", "text"),
    ("SELECT CASE $1 WHEN 1 THEN 1 END", "42883 operator does not exist: text = integer"),
    ("SELECT (a, c) < ($1, $2) FROM t", "integer, text"),
    ("SELECT $1, count(*) FROM t GROUP BY $1", "text"),
    ("SELECT * FROM (SELECT $1 AS x) s WHERE x = 1", "42883 operator does not exist: text = integer"),
    ("SELECT $1 IS NULL, $2::int", "42P18 could not determine data type of parameter $1"),
    ("SELECT $1 IS NULL, $1::int", "42P08 could not determine data type of parameter $1"),
    ("SELECT concat($1, 'x')", "42P18 could not determine data type of parameter $1"),
    ("SELECT ROW($1)", "42P18 could not determine data type of parameter $1"),
    ("SELECT $2::int", "42P18 could not determine data type of parameter $1"),
    ("SELECT $1 WHERE $1 = 1", "42P08 inconsistent types deduced for parameter $1"),
    ("SELECT $1, $1::int", "42P08 inconsistent types deduced for parameter $1"),
    ("SELECT $0", "42P02 there is no parameter $0"),
];

#[test]
fn parameters_take_their_types_from_where_they_stand() {
    let catalog = TestCatalog::new();
    let session = SessionInfo::default();
    let mut wrong = vec![];
    for (sql, expected) in PARAMETERS {
        let types = parse_one(sql).and_then(|parsed| {
            let scx = StatementContext::new(&catalog, &session, &parsed.extensions).with_params(vec![]);
            let Statement::Select(s) = &parsed.statement else { panic!("a query") };
            plan_query(&scx, &s.query.query)?;
            scx.settled_params()
        });
        let found = match types {
            Ok(types) => types.iter().map(super::type_name).collect::<Vec<_>>().join(", "),
            Err(e) => format!("{} {}", e.sqlstate, e.message),
        };
        if found != *expected {
            wrong.push(format!("{sql}\n  wanted {expected}\n  found  {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a query gives: its columns and rows, or its error, as `testdata/pg15.txt` has them.
fn answer(catalog: &TestCatalog, sql: &str, data: &Data) -> String {
    let error = |e: PlanError| {
        let position = e.position.map_or("None".to_owned(), |p| p.to_string());
        format!("ERR {} {position} {}", e.sqlstate, e.message)
    };
    let planned = match plan(catalog, sql) {
        Ok(p) => p,
        Err(e) => return error(e),
    };
    let types: Vec<_> = planned.desc.typ().column_types.iter().map(|t| t.scalar_type.clone()).collect();
    let columns: Vec<String> = planned
        .desc
        .names()
        .iter()
        .zip(&types)
        .map(|(n, t)| format!("{n}:{}", super::type_name(t)))
        .collect();
    let finishing = planned.finishing;
    let bag = match crate::lowering::lower(planned.expr).map(|mir| eval_mir(&mir, data)) {
        Ok(Ok(bag)) => bag,
        Ok(Err(e)) => return error(e.into()),
        Err(e) => return error(e),
    };
    let mut rows: Vec<Row> = bag.into_iter().flat_map(|(r, n)| std::iter::repeat_n(r, n as usize)).collect();
    rows.sort_by(|x, y| compare_rows_by(&finishing.order_by, &x.unpack(), &y.unpack(), || x.cmp(y)));
    let limit = finishing.limit.map_or(usize::MAX, |l| l as usize);
    let show = |row: &Row| {
        let datums = row.unpack();
        let fields = finishing.project.iter().zip(&types);
        let shown = fields
            .map(|(c, t)| if datums[*c].is_null() { "NULL".into() } else { text::to_string(datums[*c], t) });
        shown.collect::<Vec<_>>().join("|")
    };
    let mut shown: Vec<String> = rows.iter().skip(finishing.offset as usize).take(limit).map(show).collect();
    if finishing.order_by.is_empty() {
        shown.sort();
    }
    format!("{}\t{}", columns.join(","), shown.join("~"))
}

/// Each line: a query, and what PostgreSQL 15 answers (rows without an order are sorted as texts).
fn check_answers(answers: &str, catalog: &TestCatalog, data: &Data) {
    let mut wrong = vec![];
    for line in answers.lines() {
        let (sql, expected) = line.split_once('\t').unwrap();
        let found = answer(catalog, sql, data);
        if found != expected {
            wrong.push(format!("{sql}\n  wanted {expected}\n  found  {found}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn answers_are_those_of_postgresql() {
    let catalog = TestCatalog::new();
    let data = data(&catalog, &[]);
    check_answers(include_str!("testdata/pg15.txt"), &catalog, &data);
}

/// Over tables; `HW_ANSWERS` names another file, for work on something new.
#[test]
fn answers_over_tables_are_those_of_postgresql() {
    let (catalog, data) = TestCatalog::of_pg_compat();
    match std::env::var("HW_ANSWERS") {
        Ok(path) => check_answers(&std::fs::read_to_string(path).unwrap(), &catalog, &data),
        Err(_) => check_answers(include_str!("testdata/pg15_tables.txt"), &catalog, &data),
    }
}
