//! Functions that read arrays.

use std::fmt::Write;

use hw_repr::datum::ArrayDimension;
use hw_repr::text as format;
use hw_repr::{ArrayRef, Datum, ScalarType};

use super::{elements, make_plain};
use crate::func::{EvalCx, Registry};
use crate::functions::signature::{element_type, f, op};
use crate::functions::table::split_string;
use crate::functions::{EvalResult, fail, ok, text};

fn dimension(a: &[Datum<'_>]) -> Option<ArrayDimension> {
    let at = usize::try_from(a[1].unwrap_int32()).ok()?.checked_sub(1)?;
    a[0].unwrap_array().dims().nth(at)
}

/// The elements of an array of one dimension with their subscripts.
fn positions<'a>(array: ArrayRef<'a>) -> impl Iterator<Item = (i32, Datum<'a>)> {
    let lower = array.dims().next().map_or(1, |d| d.lower_bound);
    (0..).zip(array.elements().iter()).map(move |(i, d)| (lower.wrapping_add(i), d))
}

fn contains(x: Datum<'_>, y: Datum<'_>) -> bool {
    let x = elements(x.unwrap_array());
    elements(y.unwrap_array()).into_iter().all(|d| !d.is_null() && x.contains(&d))
}

pub(super) fn register(r: &mut Registry) {
    r.add(f("array_length(AnyArray, int4) -> int4 nullable total", |_, _, a| {
        Ok(dimension(a).map(|d| d.length as i32).into())
    }));
    r.add(f("array_lower(AnyArray, int4) -> int4 nullable total", |_, _, a| {
        Ok(dimension(a).map(|d| d.lower_bound).into())
    }));
    r.add(f("array_upper(AnyArray, int4) -> int4 nullable total", |_, _, a| {
        Ok(dimension(a).map(|d| d.lower_bound.wrapping_add(d.length as i32 - 1)).into())
    }));
    r.add(f("array_ndims(AnyArray) -> int4 nullable total", |_, _, a| {
        Ok(Some(a[0].unwrap_array().ndims() as i32).filter(|n| *n > 0).into())
    }));
    r.add(f("array_dims(AnyArray) -> text nullable total", |_, arena, a| {
        let mut out = String::new();
        for d in a[0].unwrap_array().dims() {
            let upper = i64::from(d.lower_bound) + i64::from(d.length) - 1;
            let _ = write!(out, "[{}:{upper}]", d.lower_bound);
        }
        if out.is_empty() { Ok(Datum::Null) } else { text(arena, out) }
    }));
    r.add(f("cardinality(AnyArray) -> int4 total", |_, _, a| {
        ok(a[0].unwrap_array().elements().iter().count() as i32)
    }));
    r.add(op("AnyArray @> AnyArray -> bool total", |_, _, a| ok(contains(a[0], a[1]))));
    r.add(op("AnyArray <@ AnyArray -> bool total", |_, _, a| ok(contains(a[1], a[0]))));
    r.add(op("AnyArray && AnyArray -> bool total", |_, _, a| {
        let x = elements(a[0].unwrap_array());
        ok(elements(a[1].unwrap_array()).into_iter().any(|d| !d.is_null() && x.contains(&d)))
    }));
    for s in [
        "array_position(AnyCompatibleArray, AnyCompatible) -> int4 lax",
        "array_position(AnyCompatibleArray, AnyCompatible, int4) -> int4 lax",
    ] {
        r.add(f(s, |_, _, a| {
            let Datum::Array(array) = a[0] else { return Ok(Datum::Null) };
            if array.ndims() > 1 {
                return fail("0A000", "searching for elements in multidimensional arrays is not supported");
            }
            let lower = array.dims().next().map_or(1, |d| d.lower_bound);
            let from = match a.get(2) {
                Some(Datum::Int32(from)) => *from,
                Some(_) => return fail("22004", "initial position must not be null"),
                None => lower,
            };
            let mut positions = positions(array).filter(|(i, _)| *i >= from);
            Ok(positions.find(|(_, d)| *d == a[1]).map(|(i, _)| i).into())
        }));
    }
    r.add(f("array_positions(AnyCompatibleArray, AnyCompatible) -> int4[] lax", |_, arena, a| {
        let Datum::Array(array) = a[0] else { return Ok(Datum::Null) };
        if array.ndims() > 1 {
            return fail("0A000", "searching for elements in multidimensional arrays is not supported");
        }
        let found = positions(array).filter(|(_, d)| *d == a[1]);
        let found: Vec<_> = found.map(|(i, _)| Datum::Int32(i)).collect();
        Ok(make_plain(arena, &found))
    }));
    for s in [
        "array_to_string(AnyArray, text) -> text stable",
        "array_to_string(AnyArray, text, text) -> text lax_total stable",
    ] {
        r.add(f(s, to_string));
    }
    for s in [
        "string_to_array(text, text) -> text[] lax_total",
        "string_to_array(text, text, text) -> text[] lax_total",
    ] {
        r.add(f(s, |_, arena, a| {
            let Datum::String(s) = a[0] else { return Ok(Datum::Null) };
            let delimiter = if let Datum::String(d) = a[1] { Some(d) } else { None };
            let parts = split_string(s, delimiter).into_iter();
            let null = a.get(2).copied().unwrap_or(Datum::Null);
            let parts: Vec<_> = parts
                .map(|p| if Datum::String(p) == null { Datum::Null } else { Datum::String(p) })
                .collect();
            Ok(make_plain(arena, &parts))
        }));
    }
}

fn to_string<'a>(cx: &EvalCx<'_>, arena: &'a hw_repr::RowArena, a: &[Datum<'a>]) -> EvalResult<'a> {
    let (Datum::Array(array), Datum::String(separator)) = (a[0], a[1]) else { return Ok(Datum::Null) };
    let null = a.get(2).and_then(|d| if let Datum::String(s) = d { Some(*s) } else { None });
    let typ = element_type(&cx.types.args[0]);
    let mut out = String::new();
    let mut first = true;
    for d in array.elements().iter() {
        if d.is_null() && null.is_none() {
            continue;
        }
        if !first {
            out.push_str(separator);
        }
        first = false;
        match (d, &typ) {
            (Datum::Null, _) => out.push_str(null.unwrap_or_default()),
            (Datum::String(s), t) if *t != ScalarType::Jsonb => out.push_str(s),
            (d, t) => format::encode(d, t, &mut out),
        }
    }
    text(arena, out)
}
