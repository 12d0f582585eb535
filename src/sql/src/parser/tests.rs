//! Tests of parser.

#![allow(clippy::unwrap_used)]

use super::ast::{AsOf, ForTables, OptionValue, SourceFrom, SubscribeForm};
use super::*;

/// Statements that have to be understood, one a line; `--` lines are skipped.
const ACCEPTED: &str = include_str!("testdata/accepted.sql");
/// Statements that have to be refused: `SQLSTATE position message` and the statement on the next line.
const REFUSED: &str = include_str!("testdata/refused.sql");

#[test]
fn accepted_statements() {
    for line in ACCEPTED.lines().filter(|l| !l.is_empty() && !l.starts_with("--")) {
        match parse(line) {
            Ok(s) => assert_eq!(s.len(), 1, "{line}"),
            Err(e) => panic!("{line}\n{e:?}"),
        }
    }
}

#[test]
fn refused_statements() {
    let mut lines = REFUSED.lines().filter(|l| !l.is_empty() && !l.starts_with("--"));
    while let (Some(expected), Some(sql)) = (lines.next(), lines.next()) {
        let e = parse(sql).expect_err(sql);
        let position = e.position.map_or("-".to_owned(), |p| p.to_string());
        assert_eq!(format!("{} {position} {}", e.sqlstate, e.message), expected, "{sql}");
    }
}

#[test]
fn statements_have_their_own_text_and_place() {
    let parsed = parse("select 1 ; /* é; */ Select 'ü;' ;; select \"A\" from T").unwrap();
    let texts: Vec<_> = parsed.iter().map(|p| (p.offset, p.sql.as_str())).collect();
    assert_eq!(texts, [(0, "select 1"), (20, "Select 'ü;'"), (35, "select \"A\" from T")]);
}

#[test]
fn string_literals_on_several_lines_are_one() {
    let parsed = parse_one("select 'a'\n 'b'").unwrap();
    let Statement::Select(s) = parsed.statement else { panic!() };
    assert_eq!(s.query.query.to_string(), "SELECT 'ab'");
    assert!(parse("select 'a' 'b' 'c'").is_err());
}

#[test]
fn identifiers_are_folded() {
    let Statement::Drop { names, .. } = parse_one("DROP TABLE Foo.\"Bar\", ÄB").unwrap().statement else {
        panic!()
    };
    assert_eq!(names[0].parts(), ["foo", "Bar"]);
    assert_eq!(names[1].parts(), ["Äb"]);
}

#[test]
fn as_of_ends_a_query() {
    let Statement::Select(s) = parse_one("SELECT * FROM t AS OF AT LEAST now() - '1s'").unwrap().statement
    else {
        panic!()
    };
    assert_eq!(s.query.query.to_string(), "SELECT * FROM t");
    assert!(matches!(s.as_of, Some(AsOf::AtLeast(_))));
    let Statement::Subscribe(s) =
        parse_one("SUBSCRIBE (SELECT 1 AS x) WITH (SNAPSHOT = false, PROGRESS) AS OF 5 UP TO 9 ENVELOPE UPSERT (KEY (x))")
            .unwrap()
            .statement
    else {
        panic!()
    };
    assert_eq!(s.options.len(), 2);
    assert!(s.as_of.is_some() && s.up_to.is_some());
    assert!(matches!(&s.form, SubscribeForm::Upsert(k) if k[0].value == "x"));
}

#[test]
fn recursion_and_hints_are_kept_by_place() {
    let sql = "WITH MUTUALLY RECURSIVE (RETURN AT RECURSION LIMIT 10) a (x int list, m map[text=>int]) AS (SELECT 1), b (y int) AS (SELECT y FROM b) \
               SELECT x FROM a GROUP BY x OPTIONS (AGGREGATE INPUT GROUP SIZE = 7) ORDER BY x";
    let p = parse_one(sql).unwrap();
    let Statement::Select(s) = p.statement else { panic!() };
    let with = s.query.query.with.as_ref().unwrap();
    let limit = p.extensions.mutually_recursive(with).unwrap().unwrap();
    assert_eq!((limit.max_iters, limit.return_at_limit), (10, true));
    let columns = &with.cte_tables[0].alias.columns;
    let types: Vec<_> = columns
        .iter()
        .map(|c| match c.data_type.as_ref().unwrap() {
            sqlparser::ast::DataType::Custom(n, _) => p.extensions.extended_type(n).unwrap(),
            other => panic!("{other}"),
        })
        .collect();
    assert!(matches!(types[0], ExtendedType::List(_)));
    assert!(matches!(types[1], ExtendedType::Map(..)));
    let sqlparser::ast::SetExpr::Select(select) = &*s.query.query.body else { panic!() };
    assert_eq!(p.extensions.hints(select).aggregate, Some(7));
    assert!(s.query.query.order_by.is_some());
}

#[test]
fn types_of_the_dialect() {
    for (sql, n) in [
        ("SELECT '{}'::int list list", 2),
        ("SELECT CAST(x AS numeric(10, 2) list) FROM t", 1),
        ("SELECT '{}'::map[text=>map[text=>int list]]", 3),
        ("SELECT '{}'::double precision list[]", 1),
        ("CREATE TABLE t (a int list NOT NULL, b map[text=>text])", 2),
        ("CREATE TYPE x AS LIST (ELEMENT TYPE = int4 list)", 1),
        ("SELECT list, map FROM list, map", 0),
        ("SELECT a list FROM t", 0),
        (
            "SELECT LIST[1, 2], MAP['a' => 1, 'b' => 2], MAP['a' => ['b' => 1]], LIST[[1], [2]], LIST(SELECT 1)",
            0,
        ),
    ] {
        let p = parse_one(sql).unwrap_or_else(|e| panic!("{sql}: {e:?}"));
        assert_eq!(p.extensions.types.len(), n, "{sql}");
    }
}

#[test]
fn precedence_is_that_of_postgres() {
    for (sql, grouped) in [
        ("- 2 ^ 2", "UnaryOp"),
        ("a || b ~ c", "BinaryOp"),
        ("not a between 1 and 2", "Not"),
        ("a between symmetric 1 and 2", "Nested"),
        ("a isnull", "IsNull"),
        ("a -> 'x' = 'y'", "Eq"),
    ] {
        let Statement::Select(s) = parse_one(&format!("SELECT {sql}")).unwrap().statement else { panic!() };
        let text = format!("{:?}", s.query.query.body);
        assert!(text.contains(grouped), "{sql}: {text}");
    }
    let Statement::Select(s) = parse_one("SELECT - 2 ^ 2").unwrap().statement else { panic!() };
    let sqlparser::ast::SetExpr::Select(s) = *s.query.query.body else { panic!() };
    let sqlparser::ast::SelectItem::UnnamedExpr(sqlparser::ast::Expr::BinaryOp { left, .. }) =
        &s.projection[0]
    else {
        panic!("{:?}", s.projection)
    };
    assert!(matches!(**left, sqlparser::ast::Expr::UnaryOp { .. }));
}

#[test]
fn sources_and_connections() {
    let Statement::CreateSource(s) = parse_one(
        "CREATE SOURCE IF NOT EXISTS a.s IN CLUSTER c FROM MYSQL CONNECTION m (TEXT COLUMNS (d.t.c, d.t.e), EXCLUDE COLUMNS = (d.t.f)) \
         FOR TABLES (d.t AS x, d.\"U\") EXPOSE PROGRESS AS p",
    )
    .unwrap()
    .statement
    else {
        panic!()
    };
    let SourceFrom::MySql { options, .. } = &s.from else { panic!() };
    assert!(matches!(&options[0].value, OptionValue::List(l) if l.len() == 2 && l[0].to_string() == "d.t.c"));
    assert!(matches!(&s.tables, ForTables::Tables(t) if t.len() == 2 && t[0].1.is_some()));
    let Statement::CreateConnection(c) = parse_one(
        "CREATE CONNECTION m TO MYSQL (HOST db-1.example.com, PORT 3306, USER 'u', PASSWORD SECRET s.p, SSL MODE REQUIRED)",
    )
    .unwrap()
    .statement
    else {
        panic!()
    };
    assert_eq!(c.kind, "MYSQL");
    assert_eq!(c.options[0].value, OptionValue::Raw("db-1.example.com".into(), None));
    assert!(matches!(&c.options[3].value, OptionValue::Secret(n) if n.to_string() == "s.p"));
    assert!(matches!(&c.options[4].value, OptionValue::Raw(t, _) if t == "REQUIRED"));
}

#[test]
fn deep_statements_do_not_overflow() {
    let run = |sql: String| {
        let thread = std::thread::Builder::new().stack_size(2 << 20);
        thread.spawn(move || parse(&sql).map(|_| ()).map_err(|e| e.sqlstate)).unwrap().join().unwrap()
    };
    assert_eq!(run(format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000))), Err("54001"));
    assert_eq!(run(format!("SELECT {}1{}", "(select ".repeat(5000), ")".repeat(5000))), Err("54001"));
    assert_eq!(run(format!("SELECT 1{}", " + 1".repeat(20_000))), Err("54001"));
    assert_eq!(run(format!("SELECT 1{}", " + 1".repeat(2000))), Ok(()));
    assert_eq!(run(format!("SELECT 1{}", " UNION SELECT 1".repeat(5000))), Err("54001"));
    assert_eq!(run(format!("SELECT 1{}", " UNION SELECT 1".repeat(1400))), Ok(()));
    assert_eq!(run(format!("SELECT {}1", "- ".repeat(5000))), Err("54001"));
    // What sqlparser tries and gives up in an inner place may end as a syntax error.
    assert!(run(format!("SELECT {}true", "not ".repeat(5000))).is_err());
    assert_eq!(run(format!("SELECT {}1{}", "(".repeat(100), ")".repeat(100))), Ok(()));
    assert_eq!(run(format!("SELECT {}1{}", "(select ".repeat(60), ")".repeat(60))), Ok(()));
    assert_eq!(run(format!("SELECT 1::{}int", "int::".repeat(20_000))), Err("54001"));
    assert!(run(format!("SELECT {}1{}", "case when true then ".repeat(5000), " end".repeat(5000))).is_err());
    assert_eq!(run(format!("SELECT x{}", " is null".repeat(20_000))), Err("54001"));
    assert_eq!(run(format!("SELECT {}", "list[".repeat(5000))), Err("54001"));
    assert_eq!(run(format!("SELECT 1::{}int{}", "map[text=>".repeat(5000), "]".repeat(5000))), Err("42601"));
    assert_eq!(run(format!("EXPLAIN {}SELECT 1", "EXPLAIN ".repeat(5000))), Err("0A000"));
}
