//! Plans from text: the language of EXPLAIN, read back, so that tests are written as people read plans.
//!
//! Columns of tables are `int8`, `text`, `numeric`, `bool` or `ts` (mz_timestamp). Operators find their types by their operands.

use std::collections::BTreeMap;

use hw_expr::relation::LetRecLimit;
use hw_expr::{
    AggregateExpr, AggregateFunc, Func, LocalId, MirRelationExpr as R, MirScalarExpr as S, TableFunc,
    UnmaterializableFunc,
};
use hw_repr::{ColumnOrder, ColumnType, Datum, GlobalId, RelationType, Row, ScalarType};

/// What names stand for.
#[derive(Default)]
pub(crate) struct Names {
    pub(crate) tables: BTreeMap<String, (GlobalId, RelationType)>,
    pub(crate) locals: BTreeMap<LocalId, RelationType>,
}

/// A type by name.
pub(crate) fn scalar_type(name: &str) -> ScalarType {
    match name {
        "int8" => ScalarType::Int64,
        "int4" => ScalarType::Int32,
        "text" => ScalarType::String,
        "numeric" => ScalarType::NUMERIC,
        "bool" => ScalarType::Bool,
        "ts" => ScalarType::MzTimestamp,
        other => panic!("no type {other}"),
    }
}

struct Line<'t> {
    indent: usize,
    text: &'t str,
}

/// Reads a plan.
pub(crate) fn plan(text: &str, names: &mut Names) -> R {
    let lines: Vec<Line<'_>> = text
        .lines()
        .filter(|l| !l.trim().is_empty())
        .map(|l| Line { indent: l.len() - l.trim_start().len(), text: l.trim() })
        .collect();
    let mut at = 0;
    let read = node(&lines, &mut at, names);
    assert_eq!(at, lines.len(), "lines after the plan: {}", lines[at].text);
    read
}

fn local(text: &str) -> LocalId {
    LocalId(text.strip_prefix('l').unwrap().parse().unwrap())
}

fn node(lines: &[Line<'_>], at: &mut usize, names: &mut Names) -> R {
    let line = &lines[*at];
    *at += 1;
    if line.text == "With Mutually Recursive" {
        return recursive(lines, at, line.indent, names);
    }
    if let Some(name) = line.text.strip_prefix("With ") {
        let id = local(name.trim_end_matches(" ="));
        let value = node(lines, at, names);
        names.locals.insert(id, typ(&value));
        assert_eq!(lines[*at].text, "Return");
        *at += 1;
        let body = node(lines, at, names);
        return R::Let { id, value: Box::new(value), body: Box::new(body) };
    }
    if line.text == "Constant" {
        return constant(lines, at, line.indent);
    }
    let mut inputs = vec![];
    while lines.get(*at).is_some_and(|l| l.indent > line.indent) {
        inputs.push(node(lines, at, names));
    }
    operator(line.text, inputs, names)
}

fn typ(e: &R) -> RelationType {
    RelationType { column_types: e.column_types(), keys: crate::analysis::keys(e) }
}

/// `l0 (int8, int8?) [recursion_limit=3] =` and its value, several times, then `Return`.
fn recursive(lines: &[Line<'_>], at: &mut usize, indent: usize, names: &mut Names) -> R {
    let start = *at;
    let declared = |line: &str| {
        let (id, rest) = line.split_once(" (").unwrap();
        let (types, rest) = rest.split_once(')').unwrap();
        let types =
            types.split(", ").map(|t| scalar_type(t.trim_end_matches('?')).nullable(t.ends_with('?')));
        let limit = rest.split_once("recursion_limit=").map(|(_, l)| LetRecLimit {
            max_iters: l.split(']').next().unwrap().parse().unwrap(),
            return_at_limit: true,
        });
        (local(id), RelationType::new(types.collect()), limit)
    };
    for line in &lines[start..] {
        if line.indent == indent && line.text == "Return" {
            break;
        }
        if line.text.ends_with(" =") {
            let (id, typ, _) = declared(line.text);
            names.locals.insert(id, typ);
        }
    }
    let (mut ids, mut values, mut limits) = (vec![], vec![], vec![]);
    while lines[*at].text != "Return" {
        let (id, _, limit) = declared(lines[*at].text);
        *at += 1;
        ids.push(id);
        limits.push(limit);
        values.push(node(lines, at, names));
    }
    *at += 1;
    R::LetRec { ids, values, limits, body: Box::new(node(lines, at, names)) }
}

/// `- (1, null) x 2` for each row.
fn constant(lines: &[Line<'_>], at: &mut usize, indent: usize) -> R {
    let mut rows = vec![];
    let mut types: Vec<ColumnType> = vec![];
    while lines.get(*at).is_some_and(|l| l.indent >= indent && l.text.starts_with("- ")) {
        let text = lines[*at].text.trim_start_matches("- (");
        *at += 1;
        let (values, times) = text.split_once(')').unwrap();
        let values = scalars(values, &[]);
        let times = times.strip_prefix(" x ").map_or(1, |n| n.parse().unwrap());
        let own: Vec<ColumnType> = values.iter().map(|v| v.typ(&[])).collect();
        if types.is_empty() {
            types = own;
        } else {
            types.iter_mut().zip(own).for_each(|(t, o)| t.nullable |= o.nullable);
        }
        rows.push((Row::pack(values.iter().map(|v| v.as_literal().unwrap())), times));
    }
    R::Constant { rows: Ok(rows), typ: RelationType::new(types) }
}

/// The text in brackets after `name=`.
fn attribute<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let start = text.find(&format!("{name}=["))? + name.len() + 2;
    let mut depth = 1;
    for (i, c) in text[start..].char_indices() {
        depth += i32::from(c == '[') - i32::from(c == ']');
        if depth == 0 {
            return Some(&text[start..start + i]);
        }
    }
    panic!("unclosed {name} in {text}")
}

fn word<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.split(&format!(" {name}=")).nth(1)?.split(' ').next()
}

fn column(text: &str) -> usize {
    text.trim().strip_prefix('#').unwrap().parse().unwrap()
}

fn columns(text: &str) -> Vec<usize> {
    text.split(',').filter(|t| !t.trim().is_empty()).map(column).collect()
}

fn operator(text: &str, mut inputs: Vec<R>, names: &Names) -> R {
    let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
    let types: Vec<ColumnType> = inputs.iter().flat_map(R::column_types).collect();
    let parens = |t: &'_ str| t.trim_start_matches('(').strip_suffix(')').unwrap_or("").to_owned();
    match name {
        "Get" => get(rest, names),
        "Join" | "CrossJoin" => {
            let on = rest.strip_prefix("on=(").map(|on| on.strip_suffix(')').unwrap());
            R::join(inputs, on.map_or(vec![], |on| classes(on, &types)))
        }
        "Union" => R::Union { inputs },
        _ => {
            assert_eq!(inputs.len(), 1, "{text}");
            let input = inputs.remove(0);
            match name {
                "Project" => input.project(columns(&parens(rest))),
                "Map" => {
                    let inner = rest.strip_prefix('(').unwrap().strip_suffix(')').unwrap();
                    let mut reader = Reader::new(inner, &types);
                    let mut out = vec![];
                    while !reader.done() {
                        let e = reader.expr(0);
                        reader.types.push(e.typ(&reader.types));
                        out.push(e);
                        reader.take(",");
                    }
                    input.map(out)
                }
                "Filter" => {
                    let predicates = match Reader::new(rest, &types).expr(0) {
                        S::And(v) if !rest.starts_with('(') || rest.contains(") AND (") => v,
                        other => vec![other],
                    };
                    input.filter(predicates)
                }
                "FlatMap" => {
                    let (func, args) = rest.split_once('(').unwrap();
                    let exprs = scalars(args.strip_suffix(')').unwrap(), &types);
                    let args: Vec<ScalarType> = exprs.iter().map(|e| e.typ(&types).scalar_type).collect();
                    let listed: Vec<String> = args.iter().map(|_| "int8".to_owned()).collect();
                    let func = TableFunc::by_key(&format!("{func}({})", listed.join(",")), args).unwrap();
                    R::FlatMap { input: Box::new(input), func, exprs }
                }
                "Distinct" => input.reduce(scalars(attribute(rest, "project").unwrap(), &types), vec![]),
                "Reduce" => {
                    let key = attribute(rest, "group_by").map_or(vec![], |k| scalars(k, &types));
                    let mut reader = Reader::new(attribute(rest, "aggregates").unwrap(), &types);
                    let mut aggregates = vec![];
                    while !reader.done() {
                        aggregates.push(reader.aggregate());
                        reader.take(",");
                    }
                    input.reduce(key, aggregates)
                }
                "TopK" => R::TopK {
                    input: Box::new(input),
                    group_key: attribute(rest, "group_by").map_or(vec![], columns),
                    order_key: attribute(rest, "order_by").map_or(vec![], orders),
                    limit: word(text, "limit").map(|l| Reader::new(l, &types).expr(0)),
                    offset: word(text, "offset").map_or(0, |o| o.parse().unwrap()),
                    monotonic: false,
                    expected_group_size: None,
                },
                "Negate" => input.negate(),
                "Threshold" => input.threshold(),
                other => panic!("no operator {other}"),
            }
        }
    }
}

fn get(name: &str, names: &Names) -> R {
    if let Some((id, typ)) = names.tables.get(name) {
        return R::global_get(*id, typ.clone());
    }
    let id = local(name);
    R::local_get(id, names.locals.get(&id).unwrap_or_else(|| panic!("no binding {name}")).clone())
}

fn orders(text: &str) -> Vec<ColumnOrder> {
    text.split(", ")
        .filter(|t| !t.is_empty())
        .map(|t| ColumnOrder {
            column: column(t.split(' ').next().unwrap()),
            desc: t.contains(" desc"),
            nulls_last: t.contains("nulls_last"),
        })
        .collect()
}

/// Expressions with commas between them.
fn scalars(text: &str, types: &[ColumnType]) -> Vec<S> {
    let mut reader = Reader::new(text, types);
    let mut out = vec![];
    while !reader.done() {
        out.push(reader.expr(0));
        reader.take(",");
    }
    out
}

/// `a = b = c AND d = e`
fn classes(text: &str, types: &[ColumnType]) -> Vec<Vec<S>> {
    let mut reader = Reader::new(text, types);
    let mut out = vec![];
    while !reader.done() {
        let mut class = vec![reader.expr(4)];
        while reader.take("=") {
            class.push(reader.expr(4));
        }
        out.push(class);
        reader.take("AND");
    }
    out
}

/// Reads scalar expressions.
struct Reader {
    tokens: Vec<String>,
    at: usize,
    types: Vec<ColumnType>,
}

impl Reader {
    fn new(text: &str, types: &[ColumnType]) -> Reader {
        let mut tokens: Vec<String> = vec![];
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let mut token = c.to_string();
            if c.is_whitespace() {
                continue;
            } else if c == '"' {
                for c in chars.by_ref() {
                    token.push(c);
                    if c == '"' {
                        break;
                    }
                }
            } else if c.is_alphanumeric() || c == '#' {
                while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    token.push(c);
                }
            } else if "<>:".contains(c) {
                while let Some(c) = chars.next_if(|c| "=>:".contains(*c)) {
                    token.push(c);
                }
            }
            tokens.push(token);
        }
        Reader { tokens, at: 0, types: types.to_vec() }
    }

    fn done(&self) -> bool {
        self.at == self.tokens.len()
    }

    fn peek(&self) -> &str {
        self.tokens.get(self.at).map_or("", String::as_str)
    }

    fn next(&mut self) -> String {
        self.at += 1;
        self.tokens[self.at - 1].clone()
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.peek() == token;
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, token: &str) {
        assert!(self.take(token), "{token} expected at {:?}", &self.tokens[self.at..]);
    }

    fn expr(&mut self, least: u8) -> S {
        let mut left = self.operand();
        loop {
            let binding = match self.peek() {
                "OR" => 1,
                "AND" => 2,
                "IS" | "=" | "<>" | "<" | "<=" | ">" | ">=" => 3,
                "+" | "-" => 4,
                "*" | "/" => 5,
                "::" => 6,
                _ => return left,
            };
            if binding < least || binding == 3 && least > 3 {
                return left;
            }
            let op = self.next();
            left = match op.as_str() {
                "IS" => {
                    let not = self.take("NOT");
                    self.expect("NULL");
                    let null = left.is_null();
                    if not { null.not() } else { null }
                }
                "AND" | "OR" => {
                    let mut parts = vec![left, self.expr(binding + 1)];
                    while self.take(&op) {
                        parts.push(self.expr(binding + 1));
                    }
                    if op == "AND" { S::And(parts) } else { S::Or(parts) }
                }
                "::" => {
                    let from = left.typ(&self.types).scalar_type;
                    let name = match self.next().as_str() {
                        "bigint" => "int8".to_owned(),
                        other => other.to_owned(),
                    };
                    let key = format!("cast(int4)->{name}");
                    S::call(Func::by_key(&key, vec![from]).unwrap_or_else(|| panic!("no {key}")), vec![left])
                }
                _ => {
                    let right = self.expr(binding + 1);
                    self.binary(&op, left, right)
                }
            };
        }
    }

    fn binary(&self, op: &str, x: S, y: S) -> S {
        let types = [&x, &y].map(|e| e.typ(&self.types).scalar_type).to_vec();
        let func = Func::operator(op, types.clone()).unwrap_or_else(|| panic!("no {op} of {types:?}"));
        S::call(func, vec![x, y])
    }

    fn list(&mut self) -> Vec<S> {
        let mut out = vec![];
        self.expect("(");
        while !self.take(")") {
            out.push(self.expr(0));
            self.take(",");
        }
        out
    }

    fn operand(&mut self) -> S {
        let token = self.next();
        if let Some(c) = token.strip_prefix('#') {
            return S::Column(c.parse().unwrap());
        }
        if let Ok(n) = token.parse::<i64>() {
            return S::literal(Datum::Int64(n), ScalarType::Int64);
        }
        if let Some(text) = token.strip_prefix('"') {
            return S::literal(Datum::String(text.trim_end_matches('"')), ScalarType::String);
        }
        match token.as_str() {
            "(" => {
                let e = self.expr(0);
                self.expect(")");
                e
            }
            "-" => match self.operand().as_literal() {
                Some(Datum::Int64(n)) => S::literal(Datum::Int64(-n), ScalarType::Int64),
                other => panic!("minus {other:?}"),
            },
            "null" => S::null(ScalarType::Int64),
            "true" => S::literal_true(),
            "false" => S::literal_false(),
            "NOT" => self.operand().not(),
            "coalesce" => S::Coalesce(self.list()),
            "mz_now" => {
                self.list();
                S::Unmaterializable(UnmaterializableFunc::MzNow)
            }
            "case" => {
                self.expect("when");
                let cond = self.expr(0);
                self.expect("then");
                let then = self.expr(0);
                self.expect("else");
                let els = self.expr(0);
                self.expect("end");
                cond.if_then_else(then, els)
            }
            other => panic!("{other} begins no expression"),
        }
    }

    /// `count(*)`, `sum(distinct #0) filter=…`
    fn aggregate(&mut self) -> AggregateExpr {
        let name = self.next();
        self.expect("(");
        let distinct = self.take("distinct");
        let mut args = vec![];
        if !self.take("*") {
            args.push(self.expr(0));
        }
        self.expect(")");
        let filter = self.take("filter").then(|| {
            self.expect("=");
            self.expr(0)
        });
        let types: Vec<ScalarType> = args.iter().map(|a| a.typ(&self.types).scalar_type).collect();
        let key = match (name.as_str(), args.is_empty()) {
            ("count", true) => "count()".to_owned(),
            ("count", false) => "count(Any)".to_owned(),
            ("min" | "max", _) => format!("{name}(AnyElement)"),
            ("bool_and" | "bool_or", _) => format!("{name}(bool)"),
            _ => format!(
                "{name}({})",
                types[0].to_string().replace("bigint", "int8").replace("integer", "int4")
            ),
        };
        let func = AggregateFunc::by_key(&key, types).unwrap_or_else(|| panic!("no aggregate {key}"));
        AggregateExpr { func, args, order_by: vec![], distinct, filter }
    }
}
