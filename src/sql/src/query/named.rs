//! Arguments by name: `make_interval(days => 10)` (PostgreSQL manual 4.3).
//!
//! The registry knows parameters by position; the functions whose parameters PostgreSQL names are listed here. Named
//! arguments are put in their places, and defaults in the gaps.

use hw_expr::HirScalarExpr;
use hw_repr::{Datum, ScalarType};

use super::coerce::Planned;
use super::function::function_error;
use super::resolve::NoMatch;
use super::scalar::text_literal;
use crate::error::PlanError;

/// The value of a parameter that is left out.
#[derive(Clone, Copy)]
enum Preset {
    Int(i32),
    Float(f64),
    Bool(bool),
    Text(&'static str),
    Json(&'static str),
}

/// A function, the names of its parameters, and the values of the last of them.
type Names = (&'static str, &'static [&'static str], &'static [Preset]);

const ZERO: Preset = Preset::Int(0);
const DATE: &[&str] = &["year", "month", "day"];
const TIMESTAMP: &[&str] = &["year", "month", "mday", "hour", "min", "sec"];
const ZONED: &[&str] = &["year", "month", "mday", "hour", "min", "sec", "timezone"];
const JSONB_SET: &[&str] = &["jsonb_in", "path", "replacement", "create_if_missing"];
const JSONB_SET_LAX: &[&str] =
    &["jsonb_in", "path", "replacement", "create_if_missing", "null_value_treatment"];
const JSONB_INSERT: &[&str] = &["jsonb_in", "path", "replacement", "insert_after"];
const JSON_PATH: &[&str] = &["target", "path", "vars", "silent"];
const JSON_PATH_PRESETS: &[Preset] = &[Preset::Json("{}"), Preset::Bool(false)];
const FROM_JSON: &[&str] = &["from_json"];

const FUNCTIONS: &[Names] = &[
    (
        "make_interval",
        &["years", "months", "weeks", "days", "hours", "mins", "secs"],
        &[ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, Preset::Float(0.0)],
    ),
    ("make_date", DATE, &[]),
    ("make_time", &["hour", "min", "sec"], &[]),
    ("make_timestamp", TIMESTAMP, &[]),
    ("make_timestamptz", TIMESTAMP, &[]),
    ("make_timestamptz", ZONED, &[]),
    ("parse_ident", &["str", "strict"], &[Preset::Bool(true)]),
    ("jsonb_set", JSONB_SET, &[Preset::Bool(true)]),
    ("jsonb_set_lax", JSONB_SET_LAX, &[Preset::Bool(true), Preset::Text("use_json_null")]),
    ("jsonb_insert", JSONB_INSERT, &[Preset::Bool(false)]),
    ("jsonb_path_exists", JSON_PATH, JSON_PATH_PRESETS),
    ("jsonb_path_match", JSON_PATH, JSON_PATH_PRESETS),
    ("jsonb_path_query", JSON_PATH, JSON_PATH_PRESETS),
    ("jsonb_path_query_array", JSON_PATH, JSON_PATH_PRESETS),
    ("jsonb_path_query_first", JSON_PATH, JSON_PATH_PRESETS),
    ("jsonb_array_elements", FROM_JSON, &[]),
    ("jsonb_array_elements_text", FROM_JSON, &[]),
    ("jsonb_each", FROM_JSON, &[]),
    ("jsonb_each_text", FROM_JSON, &[]),
];

/// Puts arguments, of which those with a name come last, in the order of the function's parameters.
pub(super) fn in_order(
    function: &str,
    names: &[Option<String>],
    args: Vec<Planned>,
) -> Result<Vec<Planned>, PlanError> {
    let positional = names.iter().take_while(|n| n.is_none()).count();
    let named: Vec<&String> = names.iter().flatten().collect();
    if named.is_empty() {
        return Ok(args);
    }
    let fits = |(f, params, presets): &&Names| {
        let given = |i: usize| i < positional || named.iter().any(|n| *n == params[i]);
        let unknown = |n: &&&String| !params.iter().skip(positional).any(|p| p == *n);
        *f == function
            && positional <= params.len()
            && !named.iter().any(|n| unknown(&n))
            && (0..params.len() - presets.len()).all(given)
    };
    let Some((_, params, presets)) = FUNCTIONS.iter().find(fits) else {
        let text = |(n, a): (&Option<String>, &Planned)| match n {
            Some(n) => format!("{n} => {}", a.type_text()),
            None => a.type_text(),
        };
        let texts: Vec<String> = names.iter().zip(&args).map(text).collect();
        return Err(function_error(function, &texts, NoMatch::None));
    };
    let mut ordered: Vec<Option<Planned>> = vec![None; params.len()];
    for (i, (name, arg)) in names.iter().zip(args).enumerate() {
        let place = match name {
            None => i,
            Some(n) => params.iter().position(|p| p == n).unwrap_or(i),
        };
        ordered[place] = Some(arg);
    }
    let first_preset = params.len() - presets.len();
    let filled = ordered.into_iter().enumerate().map(|(i, a)| match a {
        Some(a) => a,
        None => preset(presets[i - first_preset]),
    });
    Ok(filled.collect())
}

fn preset(p: Preset) -> Planned {
    let typed = |d: Datum<'_>, t: ScalarType| Planned::typed(HirScalarExpr::literal(d, t.clone()), t);
    match p {
        Preset::Int(n) => typed(Datum::Int32(n), ScalarType::Int32),
        Preset::Float(v) => typed(Datum::Float64(v.into()), ScalarType::Float64),
        Preset::Bool(b) => typed(Datum::Bool(b), ScalarType::Bool),
        Preset::Text(s) => text_literal(s),
        Preset::Json(s) => Planned::Unknown(s.to_owned(), sqlparser::tokenizer::Span::empty()),
    }
}
