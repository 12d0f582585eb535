//! Functions that make `jsonb`.

use hw_repr::{Datum, RowArena, ScalarType};

use super::convert::{ObjectBuilder, pack_json};
use crate::error::EvalError;
use crate::func::Registry;
use crate::functions::signature::f;
use crate::functions::string::write_value;
use crate::functions::{EvalResult, fail, invalid_parameter};

pub(super) fn register(r: &mut Registry) {
    for s in [
        "to_jsonb(Any) -> jsonb stable",
        "to_json(Any) -> jsonb stable",
        "row_to_json(Any) -> jsonb stable",
        "array_to_json(Any) -> jsonb stable",
    ] {
        r.add(f(s, |cx, arena, a| arena.try_make_datum(|p| pack_json(a[0], &cx.types.args[0], p))));
    }
    for s in [
        "jsonb_build_array() -> jsonb",
        "json_build_array() -> jsonb",
        "jsonb_build_array(Any...) -> jsonb notnull stable",
        "json_build_array(Any...) -> jsonb notnull stable",
    ] {
        r.add(f(s, |cx, arena, a| {
            arena.try_make_datum(|p| {
                p.push_json_array_with(|p| {
                    a.iter().zip(&cx.types.args).try_for_each(|(d, t)| pack_json(*d, t, p))
                })
            })
        }));
    }
    for s in [
        "jsonb_build_object() -> jsonb",
        "json_build_object() -> jsonb",
        "jsonb_build_object(Any...) -> jsonb notnull stable",
        "json_build_object(Any...) -> jsonb notnull stable",
    ] {
        r.add(f(s, |cx, arena, a| {
            if a.len() % 2 != 0 {
                return Err(invalid_parameter("argument list must have even number of elements").with_hint(
                    "The arguments of jsonb_build_object() must consist of alternating keys and values.",
                ));
            }
            let mut object = ObjectBuilder::default();
            for (i, pair) in a.chunks(2).enumerate() {
                if pair[0].is_null() {
                    return fail("22023", format!("argument {}: key must not be null", i * 2 + 1));
                }
                let mut key = String::new();
                write_value(pair[0], &cx.types.args[i * 2], &mut key);
                object.insert(&key, |p| pack_json(pair[1], &cx.types.args[i * 2 + 1], p))?;
            }
            Ok(arena.make_datum(|p| object.pack(p)))
        }));
    }
    for s in ["jsonb_object(text[]) -> jsonb", "json_object(text[]) -> jsonb"] {
        r.add(f(s, |_, arena, a| object_of_one(arena, a[0])));
    }
    for s in ["jsonb_object(text[], text[]) -> jsonb", "json_object(text[], text[]) -> jsonb"] {
        r.add(f(s, |_, arena, a| object_of_two(arena, a[0], a[1])));
    }
}

/// Keys and values in turn, or in two columns.
fn object_of_one<'a>(arena: &'a RowArena, d: Datum<'a>) -> EvalResult<'a> {
    let array = d.unwrap_array();
    let dims: Vec<_> = array.dims().map(|d| d.length).collect();
    match dims[..] {
        [] => {}
        [n] if n % 2 == 0 => {}
        [_] => return fail("2202E", "array must have even number of elements"),
        [_, 2] => {}
        [_, _] => return fail("2202E", "array must have two columns"),
        _ => return fail("2202E", "wrong number of array subscripts"),
    }
    let elements: Vec<Datum<'_>> = array.elements().iter().collect();
    let pairs = elements.chunks_exact(2).map(|c| (c[0], c[1]));
    let object = object_of(pairs)?;
    Ok(arena.make_datum(|p| object.pack(p)))
}

fn object_of_two<'a>(arena: &'a RowArena, keys: Datum<'a>, values: Datum<'a>) -> EvalResult<'a> {
    let (keys, values) = (keys.unwrap_array(), values.unwrap_array());
    if keys.ndims() > 1 || keys.ndims() != values.ndims() {
        return fail("2202E", "wrong number of array subscripts");
    }
    if keys.elements().iter().count() != values.elements().iter().count() {
        return fail("2202E", "mismatched array dimensions");
    }
    let object = object_of(keys.elements().iter().zip(values.elements().iter()))?;
    Ok(arena.make_datum(|p| object.pack(p)))
}

fn object_of<'d>(pairs: impl Iterator<Item = (Datum<'d>, Datum<'d>)>) -> Result<ObjectBuilder, EvalError> {
    let mut object = ObjectBuilder::default();
    for (key, value) in pairs {
        match key {
            Datum::String(k) => object.insert(k, |p| pack_json(value, &ScalarType::String, p))?,
            _ => return fail("22004", "null value not allowed for object key"),
        }
    }
    Ok(object)
}
