//! Calls of variadic functions with an array in place of the arguments: `f(a, VARIADIC array)` (PostgreSQL manual
//! 38.5.6). Each such function has an internal twin whose last argument is the array.

use hw_repr::{Datum, RowArena, ScalarType};

use super::signature::{element_type, f};
use super::{EvalResult, fail};
use crate::error::EvalError;
use crate::func::{EvalCx, FuncTypes, Registry, registry};

/// How many elements may stand for arguments.
const MAX_ARGUMENTS: usize = 1 << 20;

/// Calls the function of a key with the elements of the last argument. A NULL array makes the value NULL, or counts as
/// an array of no elements if `lenient`.
fn spread<'a>(
    key: &str,
    lenient: bool,
    cx: &EvalCx<'_>,
    arena: &'a RowArena,
    a: &[Datum<'a>],
) -> EvalResult<'a> {
    let missing = || EvalError::new("XX000", format!("function {key} is missing"));
    let def = registry().by_key.get(key).copied().ok_or_else(missing)?;
    let (Some((array, fixed)), Some((array_type, fixed_types))) =
        (a.split_last(), cx.types.args.split_last())
    else {
        return Err(missing());
    };
    let mut args = fixed.to_vec();
    match array {
        Datum::Array(array) => args.extend(array.elements().iter().take(MAX_ARGUMENTS + 1)),
        Datum::Null if lenient => {}
        Datum::Null => return Ok(Datum::Null),
        _ => return fail("42804", "VARIADIC argument must be an array"),
    }
    if args.len() > MAX_ARGUMENTS {
        return fail("54023", format!("cannot pass more than {MAX_ARGUMENTS} arguments to a function"));
    }
    let mut element = element_type(array_type);
    while let ScalarType::Array(inner) = element {
        element = *inner;
    }
    let mut types = fixed_types.to_vec();
    types.resize(args.len(), element);
    let types = FuncTypes { args: types, ret: cx.types.ret.clone() };
    (def.eval)(&EvalCx { types: &types }, arena, &args)
}

macro_rules! twins {
    ($r:ident: $($twin:literal $key:literal $lenient:literal;)+) => {
        $($r.add(f($twin, |cx, arena, a| spread($key, $lenient, cx, arena, a)));)+
    };
}

pub(super) fn register(r: &mut Registry) {
    twins! { r:
        "hw_spread_concat(Any) -> text lax stable internal" "concat(Any...)" false;
        "hw_spread_concat_ws(text, Any) -> text lax stable internal" "concat_ws(text,Any...)" false;
        "hw_spread_format(text, Any) -> text lax stable internal" "format(text,Any...)" true;
        "hw_spread_num_nulls(Any) -> int4 lax internal" "num_nulls(Any...)" false;
        "hw_spread_num_nonnulls(Any) -> int4 lax internal" "num_nonnulls(Any...)" false;
        "hw_spread_jsonb_build_array(Any) -> jsonb lax stable internal" "jsonb_build_array(Any...)" false;
        "hw_spread_json_build_array(Any) -> jsonb lax stable internal" "json_build_array(Any...)" false;
        "hw_spread_jsonb_build_object(Any) -> jsonb lax stable internal" "jsonb_build_object(Any...)" false;
        "hw_spread_json_build_object(Any) -> jsonb lax stable internal" "json_build_object(Any...)" false;
    }
}
