//! Functions, operators and casts give PostgreSQL's answers: each line of `golden/*.txt` is an expression over typed
//! literals and the text (or the error) that PostgreSQL 15 gives for it. `HW_GOLDEN` names another file to check.

#![allow(clippy::unwrap_used)]

use hw_expr::cast::cast_datum;
use hw_expr::func::{CastContext, FuncDef, ParamType, registry};
use hw_expr::{EvalError, Func};
use hw_repr::{Datum, RowArena, ScalarType, text};

/// A typed literal.
struct Literal {
    text: Option<String>,
    typ: ScalarType,
}

fn literal(s: &str) -> (Literal, &str) {
    let s = s.trim_start();
    let (text, rest) = match s.strip_prefix("NULL") {
        Some(rest) => (None, rest),
        None => {
            let body = s.strip_prefix('\'').unwrap_or_else(|| panic!("a literal at {s}"));
            let mut out = String::new();
            let mut chars = body.char_indices().peekable();
            let end = loop {
                let (i, c) = chars.next().unwrap();
                if c != '\'' {
                    out.push(c);
                } else if chars.peek().is_some_and(|(_, c)| *c == '\'') {
                    chars.next();
                    out.push('\'');
                } else {
                    break i + 1;
                }
            };
            (Some(out), &body[end..])
        }
    };
    let rest = rest.strip_prefix("::").unwrap_or_else(|| panic!("a type at {rest}"));
    let len = rest.find(|c: char| !(c.is_alphanumeric() || "_[]".contains(c))).unwrap_or(rest.len());
    let typ = ScalarType::from_name(&rest[..len]).unwrap_or_else(|| panic!("no type {}", &rest[..len]));
    (Literal { text, typ }, &rest[len..])
}

fn fits(def: &FuncDef, types: &[ScalarType]) -> bool {
    let param = |i: usize| def.params.get(i).or(def.variadic.as_ref());
    let element = |i: usize| {
        def.params.iter().zip(types).enumerate().find_map(|(j, (p, t))| match (p, t) {
            (
                ParamType::AnyArray | ParamType::AnyCompatibleArray | ParamType::AnyRange,
                ScalarType::Array(e) | ScalarType::Range(e),
            ) if i != j => Some((**e).clone()),
            _ => None,
        })
    };
    types.len() >= def.params.len()
        && types.iter().enumerate().all(|(i, t)| match param(i) {
            Some(ParamType::Type(p)) => p.base_eq(t),
            Some(ParamType::AnyArray | ParamType::AnyCompatibleArray) => matches!(t, ScalarType::Array(_)),
            Some(ParamType::AnyNonArray) => !matches!(t, ScalarType::Array(_) | ScalarType::String),
            Some(ParamType::AnyRange) => matches!(t, ScalarType::Range(_)),
            Some(ParamType::AnyList | ParamType::AnyMap | ParamType::ListElement | ParamType::MapValue) => {
                false
            }
            Some(ParamType::AnyCompatible | ParamType::AnyElement) => element(i).is_none_or(|e| e.base_eq(t)),
            Some(_) => true,
            None => false,
        })
}

fn find(defs: Option<&Vec<&'static FuncDef>>, types: &[ScalarType]) -> Option<&'static FuncDef> {
    let mut fitting: Vec<_> = defs?.iter().copied().filter(|d| fits(d, types)).collect();
    // Exact parameters before polymorphic ones.
    fitting.sort_by_key(|d| d.params.iter().filter(|p| !matches!(p, ParamType::Type(_))).count());
    fitting.first().copied()
}

/// The value as a cast to text shows it.
fn shown(d: Datum<'_>, typ: &ScalarType, arena: &RowArena) -> Result<Option<String>, EvalError> {
    let kept = arena.make_datum(|p| p.push(d));
    let d = cast_datum(kept, typ, &ScalarType::String, CastContext::Explicit, arena)?;
    Ok(if let Datum::String(s) = d { Some(s.to_owned()) } else { None })
}

fn evaluate(expr: &str) -> Result<Option<String>, EvalError> {
    let arena = RowArena::new();
    let decode = |l: &Literal| match &l.text {
        Some(s) => text::decode(s, &l.typ, &arena).map_err(EvalError::from),
        None => Ok(Datum::Null),
    };
    let (def, literals) = if let Some(rest) = expr.strip_prefix("cast(") {
        let (l, rest) = literal(rest);
        let to = rest.trim().strip_prefix("as ").unwrap().trim_end_matches(')');
        let to = ScalarType::from_name(to).unwrap();
        let d = cast_datum(decode(&l)?, &l.typ, &to, CastContext::Explicit, &arena)?;
        return shown(d, &to, &arena);
    } else if expr.starts_with(|c: char| c.is_ascii_lowercase()) {
        let (name, mut rest) = expr.split_once('(').unwrap();
        let mut literals = vec![];
        while !rest.trim_start().starts_with(')') {
            let (l, after) = literal(rest.trim_start().trim_start_matches(','));
            literals.push(l);
            rest = after;
        }
        let types: Vec<_> = literals.iter().map(|l| l.typ.clone()).collect();
        (find(registry().functions.get(name), &types), literals)
    } else {
        let mut literals = vec![];
        let mut rest = expr.trim();
        if rest.starts_with('\'') || rest.starts_with("NULL") {
            let (l, after) = literal(rest);
            literals.push(l);
            rest = after.trim_start();
        }
        let (symbol, after) = rest.split_once(' ').unwrap();
        literals.push(literal(after).0);
        let types: Vec<_> = literals.iter().map(|l| l.typ.clone()).collect();
        (find(registry().operators.get(symbol), &types), literals)
    };
    let def = def.ok_or_else(|| EvalError::new("42883", format!("no entry for {expr}")))?;
    let func = Func::new(def, literals.iter().map(|l| l.typ.clone()).collect());
    let args: Result<Vec<_>, _> = literals.iter().map(decode).collect();
    let d = func.eval(&arena, &args?)?;
    shown(d, &func.types().ret, &arena)
}

#[test]
fn answers_are_those_of_postgresql() {
    let mut wrong = vec![];
    let golden = match std::env::var("HW_GOLDEN") {
        Ok(path) => std::fs::read_to_string(path).unwrap(),
        Err(_) => [include_str!("golden/functions.txt"), include_str!("golden/generated.txt")].concat(),
    };
    for line in golden.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let (expr, expected) = line.split_once(" => ").unwrap();
        let actual = match evaluate(expr) {
            Ok(Some(s)) => format!("|{}|", s.replace('\n', "\\n")),
            Ok(None) => "NULL".to_owned(),
            Err(e) => format!("ERROR {} {e}", e.sqlstate()),
        };
        if actual != expected {
            wrong.push(format!("{expr}\n   expected {expected}\n   actual   {actual}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
