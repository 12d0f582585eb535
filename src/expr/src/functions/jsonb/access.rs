//! Operators and functions that read.

use hw_repr::adt::jsonb::write_pretty;
use hw_repr::{Datum, DatumList, RowArena};

use super::{as_text, path, position};
use crate::func::{EvalCx, Registry};
use crate::functions::signature::{f, op};
use crate::functions::{EvalResult, fail, ok, text};

fn element<'a>(list: DatumList<'a>, index: i64) -> Option<Datum<'a>> {
    position(index, list.iter().count()).and_then(|at| list.iter().nth(at))
}

fn field<'a>(d: Datum<'a>, key: &str) -> Option<Datum<'a>> {
    if let Datum::Map(m) = d { m.get(key) } else { None }
}

fn at_path<'a>(d: Datum<'a>, path: &[&str]) -> Option<Datum<'a>> {
    path.iter().try_fold(d, |d, step| match d {
        Datum::Map(m) => m.get(step),
        Datum::JsonArray(l) => element(l, step.trim().parse::<i32>().ok()?.into()),
        _ => None,
    })
}

fn textual<'a>(d: Option<Datum<'a>>, arena: &'a RowArena) -> Datum<'a> {
    d.map_or(Datum::Null, |d| as_text(d, arena))
}

/// Whether `a @> b`. An array may contain a bare scalar, at the top only.
fn contains(a: Datum<'_>, b: Datum<'_>, top: bool) -> bool {
    match (a, b) {
        (Datum::Map(a), Datum::Map(b)) => {
            b.iter().all(|(k, v)| a.get(k).is_some_and(|x| contains(x, v, false)))
        }
        (Datum::JsonArray(a), Datum::JsonArray(b)) => {
            b.iter().all(|v| a.iter().any(|x| contains(x, v, false)))
        }
        (Datum::JsonArray(a), b) if top && !matches!(b, Datum::Map(_)) => a.iter().any(|x| x == b),
        (Datum::Map(_) | Datum::JsonArray(_), _) | (_, Datum::Map(_) | Datum::JsonArray(_)) => false,
        (a, b) => a == b,
    }
}

fn exists(d: Datum<'_>, key: &str) -> bool {
    match d {
        Datum::Map(m) => m.get(key).is_some(),
        Datum::JsonArray(l) => l.iter().any(|x| x == Datum::String(key)),
        Datum::String(s) => s == key,
        _ => false,
    }
}

pub(super) fn register(r: &mut Registry) {
    for def in [
        op("jsonb -> text -> jsonb nullable total", by_name),
        f("jsonb_object_field(jsonb, text) -> jsonb nullable total", by_name),
        op("jsonb ->> text -> text nullable total", by_name_as_text),
        f("jsonb_object_field_text(jsonb, text) -> text nullable total", by_name_as_text),
        f("jsonb_array_element(jsonb, int4) -> jsonb nullable total", |_, _, a| {
            Ok(indexed(a[0], a[1]).unwrap_or(Datum::Null))
        }),
        f("jsonb_array_element_text(jsonb, int4) -> text nullable total", |_, arena, a| {
            Ok(textual(indexed(a[0], a[1]), arena))
        }),
    ] {
        r.add(def);
    }
    for s in ["jsonb -> int4 -> jsonb nullable total", "jsonb -> int8 -> jsonb nullable total"] {
        r.add(op(s, |_, _, a| Ok(indexed(a[0], a[1]).unwrap_or(Datum::Null))));
    }
    for s in ["jsonb ->> int4 -> text nullable total", "jsonb ->> int8 -> text nullable total"] {
        r.add(op(s, |_, arena, a| Ok(textual(indexed(a[0], a[1]), arena))));
    }
    r.add(op("jsonb #> text[] -> jsonb nullable total", |_, _, a| {
        Ok(path(a[1]).and_then(|p| at_path(a[0], &p)).unwrap_or(Datum::Null))
    }));
    r.add(op("jsonb #>> text[] -> text nullable total", |_, arena, a| {
        Ok(textual(path(a[1]).and_then(|p| at_path(a[0], &p)), arena))
    }));
    for s in [
        "jsonb_extract_path(jsonb, text...) -> jsonb nullable total",
        "json_extract_path(jsonb, text...) -> jsonb nullable total",
    ] {
        r.add(f(s, |_, _, a| {
            let path: Vec<&str> = a[1..].iter().map(Datum::unwrap_str).collect();
            Ok(at_path(a[0], &path).unwrap_or(Datum::Null))
        }));
    }
    for s in [
        "jsonb_extract_path_text(jsonb, text...) -> text nullable total",
        "json_extract_path_text(jsonb, text...) -> text nullable total",
    ] {
        r.add(f(s, |_, arena, a| {
            let path: Vec<&str> = a[1..].iter().map(Datum::unwrap_str).collect();
            Ok(textual(at_path(a[0], &path), arena))
        }));
    }
    register_tests(r);
    for s in ["jsonb_typeof(jsonb) -> text total", "json_typeof(jsonb) -> text total"] {
        r.add(f(s, |_, _, a| ok(kind(a[0]))));
    }
    for s in ["jsonb_array_length(jsonb) -> int4", "json_array_length(jsonb) -> int4"] {
        r.add(f(s, |_, _, a| match a[0] {
            Datum::JsonArray(l) => ok(l.iter().count() as i32),
            Datum::Map(_) => fail("22023", "cannot get array length of a non-array"),
            _ => fail("22023", "cannot get array length of a scalar"),
        }));
    }
    r.add(f("jsonb_pretty(jsonb) -> text total", |_, arena, a| {
        let mut out = String::new();
        write_pretty(a[0], &mut out);
        text(arena, out)
    }));
}

fn by_name<'a>(_: &EvalCx<'_>, _: &'a RowArena, a: &[Datum<'a>]) -> EvalResult<'a> {
    Ok(field(a[0], a[1].unwrap_str()).unwrap_or(Datum::Null))
}

fn by_name_as_text<'a>(_: &EvalCx<'_>, arena: &'a RowArena, a: &[Datum<'a>]) -> EvalResult<'a> {
    Ok(textual(field(a[0], a[1].unwrap_str()), arena))
}

/// Containment and existence, as operators and as the functions behind them.
macro_rules! tests {
    ($r:ident: $($operator:literal $function:literal |$x:ident, $y:ident| $test:expr;)+) => {
        $(
            $r.add(op(concat!($operator, " -> bool total"), |_, _, a| {
                let ($x, $y) = (a[0], a[1]);
                ok($test)
            }));
            $r.add(f(concat!($function, " -> bool total"), |_, _, a| {
                let ($x, $y) = (a[0], a[1]);
                ok($test)
            }));
        )+
    };
}

fn register_tests(r: &mut Registry) {
    tests! { r:
        "jsonb @> jsonb" "jsonb_contains(jsonb, jsonb)" |x, y| contains(x, y, true);
        "jsonb <@ jsonb" "jsonb_contained(jsonb, jsonb)" |x, y| contains(y, x, true);
        "jsonb ? text" "jsonb_exists(jsonb, text)" |x, y| exists(x, y.unwrap_str());
        "jsonb ?| text[]" "jsonb_exists_any(jsonb, text[])" |x, y| keys(y).into_iter().any(|k| exists(x, k));
        "jsonb ?& text[]" "jsonb_exists_all(jsonb, text[])" |x, y| keys(y).into_iter().all(|k| exists(x, k));
    }
}

/// The keys of an array, without NULLs.
fn keys<'a>(d: Datum<'a>) -> Vec<&'a str> {
    let keys = d.unwrap_array().elements().iter();
    keys.filter_map(|k| if let Datum::String(k) = k { Some(k) } else { None }).collect()
}

fn indexed<'a>(d: Datum<'a>, index: Datum<'_>) -> Option<Datum<'a>> {
    let index = match index {
        Datum::Int32(i) => i.into(),
        other => other.unwrap_int64(),
    };
    match d {
        Datum::JsonArray(l) => element(l, index),
        Datum::Map(_) => None,
        // A scalar counts as an array of itself.
        scalar => position(index, 1).map(|_| scalar),
    }
}

/// What `jsonb_typeof` calls a value.
pub(crate) fn kind(d: Datum<'_>) -> &'static str {
    match d {
        Datum::Bool(_) => "boolean",
        Datum::Numeric(_) => "number",
        Datum::String(_) => "string",
        Datum::JsonArray(_) => "array",
        Datum::Map(_) => "object",
        _ => "null",
    }
}
