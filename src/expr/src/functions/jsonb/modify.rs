//! Operators and functions that change: `||`, `-`, `#-`, `jsonb_set`, `jsonb_insert`, `jsonb_strip_nulls`.

use hw_repr::{Datum, Row, RowPacker};

use super::convert::ObjectBuilder;
use super::{path, position};
use crate::error::EvalError;
use crate::func::Registry;
use crate::functions::signature::{f, op};
use crate::functions::{EvalResult, fail};

fn object<'d>(entries: impl Iterator<Item = (&'d str, Datum<'d>)>) -> ObjectBuilder {
    let mut out = ObjectBuilder::default();
    entries.for_each(|(k, v)| out.insert_datum(k, v));
    out
}

fn concat<'a>(arena: &'a hw_repr::RowArena, x: Datum<'a>, y: Datum<'a>) -> EvalResult<'a> {
    let items = |d: Datum<'a>| match d {
        Datum::JsonArray(l) => l.iter().collect::<Vec<_>>(),
        other => vec![other],
    };
    match (x, y) {
        (Datum::Map(x), Datum::Map(y)) => {
            let merged = object(x.iter().chain(y.iter()));
            Ok(arena.make_datum(|p| merged.pack(p)))
        }
        _ => Ok(arena.make_datum(|p| p.push_json_array(items(x).into_iter().chain(items(y))))),
    }
}

fn delete_keys<'a>(arena: &'a hw_repr::RowArena, d: Datum<'a>, keys: &[&str]) -> EvalResult<'a> {
    match d {
        Datum::Map(m) => {
            let left = object(m.iter().filter(|(k, _)| !keys.contains(k)));
            Ok(arena.make_datum(|p| left.pack(p)))
        }
        Datum::JsonArray(l) => Ok(arena.make_datum(|p| {
            p.push_json_array(
                l.iter().filter(|e| if let Datum::String(s) = e { !keys.contains(s) } else { true }),
            );
        })),
        _ => fail("22023", "cannot delete from scalar"),
    }
}

/// What to do at the end of a path.
#[derive(Clone, Copy)]
enum Change<'d> {
    Delete,
    Set { value: Datum<'d>, create: bool },
    Insert { value: Datum<'d>, after: bool },
}

/// Packs `d` changed at a path.
fn change(
    d: Datum<'_>,
    path: &[&str],
    depth: usize,
    c: Change<'_>,
    p: &mut RowPacker<'_>,
) -> Result<(), EvalError> {
    let Some((step, rest)) = path.split_first() else {
        p.push(d);
        return Ok(());
    };
    match d {
        Datum::Map(m) => change_object(m, step, rest, depth, c, p),
        Datum::JsonArray(l) => {
            let items: Vec<Datum<'_>> = l.iter().collect();
            change_array(&items, step, rest, depth, c, p)
        }
        other => {
            p.push(other);
            Ok(())
        }
    }
}

fn change_object(
    m: hw_repr::DatumMap<'_>,
    step: &str,
    rest: &[&str],
    depth: usize,
    c: Change<'_>,
    p: &mut RowPacker<'_>,
) -> Result<(), EvalError> {
    let mut out = object(m.iter());
    let old = m.get(step);
    match (rest.is_empty(), old, c) {
        (false, Some(old), _) => out.insert(step, |p| change(old, rest, depth + 1, c, p))?,
        (true, Some(_), Change::Delete) => out.remove(step),
        (true, Some(_), Change::Set { value, .. }) | (true, None, Change::Set { value, create: true }) => {
            out.insert_datum(step, value);
        }
        (true, None, Change::Insert { value, .. }) => out.insert_datum(step, value),
        (true, Some(_), Change::Insert { .. }) => {
            return Err(EvalError::new("22023", "cannot replace existing key")
                .with_hint("Try using the function jsonb_set to replace key value."));
        }
        _ => {}
    }
    out.pack(p);
    Ok(())
}

fn change_array(
    items: &[Datum<'_>],
    step: &str,
    rest: &[&str],
    depth: usize,
    c: Change<'_>,
    p: &mut RowPacker<'_>,
) -> Result<(), EvalError> {
    let index: i32 = step.trim().parse().map_err(|_| {
        EvalError::new(
            "22P02",
            format!("path element at position {} is not an integer: \"{step}\"", depth + 1),
        )
    })?;
    let at = position(index.into(), items.len());
    let mut rows: Vec<Row> = items.iter().map(|d| Row::pack_slice(&[*d])).collect();
    let edge = |value: Datum<'_>, rows: &mut Vec<Row>| {
        let row = Row::pack_slice(&[value]);
        if index < 0 { rows.insert(0, row) } else { rows.push(row) }
    };
    match (rest.is_empty(), at, c) {
        (false, Some(at), _) => {
            let mut row = Row::default();
            change(items[at], rest, depth + 1, c, &mut row.packer())?;
            rows[at] = row;
        }
        (true, Some(at), Change::Delete) => {
            rows.remove(at);
        }
        (true, Some(at), Change::Set { value, .. }) => rows[at] = Row::pack_slice(&[value]),
        (true, Some(at), Change::Insert { value, after }) => {
            rows.insert(at + usize::from(after), Row::pack_slice(&[value]));
        }
        (true, None, Change::Set { value, create: true } | Change::Insert { value, .. }) => {
            edge(value, &mut rows)
        }
        _ => {}
    }
    p.push_json_array_with(|p| rows.iter().for_each(|r| p.extend_packed(r.data())));
    Ok(())
}

fn changed<'a>(
    arena: &'a hw_repr::RowArena,
    d: Datum<'a>,
    at: Datum<'a>,
    c: Change<'a>,
    what: &str,
) -> EvalResult<'a> {
    let empty = match d {
        Datum::Map(m) => m.is_empty(),
        Datum::JsonArray(l) => l.is_empty(),
        _ => return fail("22023", format!("cannot {what} scalar")),
    };
    if empty && matches!(c, Change::Delete | Change::Set { create: false, .. }) {
        return Ok(d);
    }
    match path(at) {
        None => fail("22004", "path element at position 1 is null"),
        Some(path) if path.is_empty() => Ok(d),
        Some(path) => arena.try_make_datum(|p| change(d, &path, 0, c, p)),
    }
}

/// `jsonb_set` that says what a NULL as new value means.
fn set_lax<'a>(arena: &'a hw_repr::RowArena, a: &[Datum<'a>]) -> EvalResult<'a> {
    let create = match a.get(3) {
        None => true,
        Some(Datum::Bool(b)) => *b,
        Some(_) => return Ok(Datum::Null),
    };
    if a[0].is_null() || a[1].is_null() {
        return Ok(Datum::Null);
    }
    let treatment = match a.get(4) {
        None => "use_json_null",
        Some(Datum::String(s)) => s,
        Some(_) => {
            return fail(
                "22023",
                "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"",
            );
        }
    };
    let set = |value| changed(arena, a[0], a[1], Change::Set { value, create }, "set path in");
    match (a[2], treatment) {
        (Datum::Null, "raise_exception") => {
            let e = EvalError::new("22004", "JSON value must not be null");
            Err(e
                .with_detail("Exception was raised because null_value_treatment is \"raise_exception\".")
                .with_hint("To avoid, either change the null_value_treatment argument or ensure that an SQL NULL is not passed."))
        }
        (Datum::Null, "use_json_null") => set(Datum::JsonNull),
        (Datum::Null, "delete_key") => changed(arena, a[0], a[1], Change::Delete, "delete path in"),
        (Datum::Null, "return_target") => Ok(a[0]),
        (Datum::Null, _) => fail(
            "22023",
            "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"",
        ),
        (value, _) => set(value),
    }
}

fn strip_nulls(d: Datum<'_>, p: &mut RowPacker<'_>) {
    match d {
        Datum::Map(m) => p.push_map_with(|p| {
            for (k, v) in m.iter().filter(|(_, v)| *v != Datum::JsonNull) {
                p.push(Datum::String(k));
                strip_nulls(v, p);
            }
        }),
        Datum::JsonArray(l) => p.push_json_array_with(|p| l.iter().for_each(|e| strip_nulls(e, p))),
        other => p.push(other),
    }
}

pub(super) fn register(r: &mut Registry) {
    r.add(op("jsonb || jsonb -> jsonb total", |_, arena, a| concat(arena, a[0], a[1])));
    r.add(f("jsonb_concat(jsonb, jsonb) -> jsonb total", |_, arena, a| concat(arena, a[0], a[1])));
    r.add(op("jsonb - text -> jsonb", |_, arena, a| delete_keys(arena, a[0], &[a[1].unwrap_str()])));
    r.add(op("jsonb - text[] -> jsonb", |_, arena, a| {
        if a[1].unwrap_array().ndims() > 1 {
            return fail("2202E", "wrong number of array subscripts");
        }
        let keys = a[1].unwrap_array().elements();
        let keys: Vec<&str> =
            keys.iter().filter_map(|k| if let Datum::String(s) = k { Some(s) } else { None }).collect();
        delete_keys(arena, a[0], &keys)
    }));
    r.add(op("jsonb - int4 -> jsonb", |_, arena, a| match a[0] {
        Datum::JsonArray(l) => {
            let gone = position(a[1].unwrap_int32().into(), l.iter().count());
            Ok(arena.make_datum(|p| {
                p.push_json_array(l.iter().enumerate().filter(|(i, _)| Some(*i) != gone).map(|(_, d)| d))
            }))
        }
        Datum::Map(_) => fail("22023", "cannot delete from object using integer index"),
        _ => fail("22023", "cannot delete from scalar"),
    }));
    r.add(f("jsonb_delete_path(jsonb, text[]) -> jsonb", |_, arena, a| {
        changed(arena, a[0], a[1], Change::Delete, "delete path in")
    }));
    r.add(op("jsonb #- text[] -> jsonb", |_, arena, a| {
        changed(arena, a[0], a[1], Change::Delete, "delete path in")
    }));
    for s in ["jsonb_set(jsonb, text[], jsonb) -> jsonb", "jsonb_set(jsonb, text[], jsonb, bool) -> jsonb"] {
        r.add(f(s, |_, arena, a| {
            let create = a.get(3).is_none_or(Datum::unwrap_bool);
            changed(arena, a[0], a[1], Change::Set { value: a[2], create }, "set path in")
        }));
    }
    for s in [
        "jsonb_set_lax(jsonb, text[], jsonb) -> jsonb lax",
        "jsonb_set_lax(jsonb, text[], jsonb, bool) -> jsonb lax",
        "jsonb_set_lax(jsonb, text[], jsonb, bool, text) -> jsonb lax",
    ] {
        r.add(f(s, |_, arena, a| set_lax(arena, a)));
    }
    for s in
        ["jsonb_insert(jsonb, text[], jsonb) -> jsonb", "jsonb_insert(jsonb, text[], jsonb, bool) -> jsonb"]
    {
        r.add(f(s, |_, arena, a| {
            let after = a.get(3).is_some_and(Datum::unwrap_bool);
            changed(arena, a[0], a[1], Change::Insert { value: a[2], after }, "set path in")
        }));
    }
    for s in ["jsonb_strip_nulls(jsonb) -> jsonb total", "json_strip_nulls(jsonb) -> jsonb total"] {
        r.add(f(s, |_, arena, a| Ok(arena.make_datum(|p| strip_nulls(a[0], p)))));
    }
}
