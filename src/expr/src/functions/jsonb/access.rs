//! Operators and functions that read.

use hw_repr::adt::jsonb::write_pretty;
use hw_repr::{Datum, DatumList, RowArena};

use super::{as_text, path, position};
use crate::func::Registry;
use crate::functions::signature::{f, op};
use crate::functions::{fail, ok, text};

fn element<'a>(list: DatumList<'a>, index: i64) -> Option<Datum<'a>> {
    position(index, list.iter().count()).and_then(|at| list.iter().nth(at))
}

fn field<'a>(d: Datum<'a>, key: &str) -> Option<Datum<'a>> {
    if let Datum::Map(m) = d { m.get(key) } else { None }
}

fn at_path<'a>(d: Datum<'a>, path: &[&str]) -> Option<Datum<'a>> {
    path.iter().try_fold(d, |d, step| match d {
        Datum::Map(m) => m.get(step),
        Datum::List(l) => element(l, step.trim().parse::<i32>().ok()?.into()),
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
        (Datum::List(a), Datum::List(b)) => b.iter().all(|v| a.iter().any(|x| contains(x, v, false))),
        (Datum::List(a), b) if top && !matches!(b, Datum::Map(_)) => a.iter().any(|x| x == b),
        (Datum::Map(_) | Datum::List(_), _) | (_, Datum::Map(_) | Datum::List(_)) => false,
        (a, b) => a == b,
    }
}

fn exists(d: Datum<'_>, key: &str) -> bool {
    match d {
        Datum::Map(m) => m.get(key).is_some(),
        Datum::List(l) => l.iter().any(|x| x == Datum::String(key)),
        Datum::String(s) => s == key,
        _ => false,
    }
}

pub(super) fn register(r: &mut Registry) {
    r.add(op("jsonb -> text -> jsonb nullable total", |_, _, a| {
        Ok(field(a[0], a[1].unwrap_str()).unwrap_or(Datum::Null))
    }));
    r.add(op("jsonb ->> text -> text nullable total", |_, arena, a| {
        Ok(textual(field(a[0], a[1].unwrap_str()), arena))
    }));
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
    r.add(f("jsonb_extract_path(jsonb, text...) -> jsonb nullable total", |_, _, a| {
        let path: Vec<&str> = a[1..].iter().map(Datum::unwrap_str).collect();
        Ok(at_path(a[0], &path).unwrap_or(Datum::Null))
    }));
    r.add(f("jsonb_extract_path_text(jsonb, text...) -> text nullable total", |_, arena, a| {
        let path: Vec<&str> = a[1..].iter().map(Datum::unwrap_str).collect();
        Ok(textual(at_path(a[0], &path), arena))
    }));
    r.add(op("jsonb @> jsonb -> bool total", |_, _, a| ok(contains(a[0], a[1], true))));
    r.add(op("jsonb <@ jsonb -> bool total", |_, _, a| ok(contains(a[1], a[0], true))));
    r.add(op("jsonb ? text -> bool total", |_, _, a| ok(exists(a[0], a[1].unwrap_str()))));
    r.add(op("jsonb ?| text[] -> bool total", |_, _, a| {
        ok(a[1]
            .unwrap_array()
            .elements()
            .iter()
            .any(|k| if let Datum::String(k) = k { exists(a[0], k) } else { false }))
    }));
    r.add(op("jsonb ?& text[] -> bool total", |_, _, a| {
        ok(a[1]
            .unwrap_array()
            .elements()
            .iter()
            .all(|k| if let Datum::String(k) = k { exists(a[0], k) } else { true }))
    }));
    r.add(f("jsonb_typeof(jsonb) -> text total", |_, _, a| ok(kind(a[0]))));
    r.add(f("jsonb_array_length(jsonb) -> int4", |_, _, a| match a[0] {
        Datum::List(l) => ok(l.iter().count() as i32),
        Datum::Map(_) => fail("22023", "cannot get array length of a non-array"),
        _ => fail("22023", "cannot get array length of a scalar"),
    }));
    r.add(f("jsonb_pretty(jsonb) -> text total", |_, arena, a| {
        let mut out = String::new();
        write_pretty(a[0], &mut out);
        text(arena, out)
    }));
}

fn indexed<'a>(d: Datum<'a>, index: Datum<'_>) -> Option<Datum<'a>> {
    let index = match index {
        Datum::Int32(i) => i.into(),
        other => other.unwrap_int64(),
    };
    match d {
        Datum::List(l) => element(l, index),
        Datum::Map(_) => None,
        // A scalar counts as an array of itself.
        scalar => position(index, 1).map(|_| scalar),
    }
}

fn kind(d: Datum<'_>) -> &'static str {
    match d {
        Datum::Bool(_) => "boolean",
        Datum::Numeric(_) => "number",
        Datum::String(_) => "string",
        Datum::List(_) => "array",
        Datum::Map(_) => "object",
        _ => "null",
    }
}
