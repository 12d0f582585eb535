//! The registry is well-formed, and casts find their calls.

#![allow(clippy::unwrap_used)]

use hw_expr::cast::{cast_datum, cast_steps, common_type};
use hw_expr::func::{CastContext, registry};
use hw_expr::{EvalError, Func};
use hw_repr::{Datum, RowArena, ScalarType};

#[test]
fn keys_are_unique_and_functions_are_found_by_them() {
    let r = registry();
    assert!(r.functions.len() > 30, "{}", r.functions.len());
    assert!(r.operators.len() > 20, "{}", r.operators.len());
    assert!(r.casts.len() > 100, "{}", r.casts.len());
    for key in [
        "hw_canonical_key(Any)",
        "hw_to_text(Any)",
        "op:=(AnyCompatible,AnyCompatible)",
        "hw_array(Any...)",
        "hw_list(Any...)",
        "hw_map(Any...)",
        "hw_record(Any...)",
        "hw_record_get(AnyRecord,int4)",
        "hw_array_get(AnyArray,int4...)",
        "hw_array_slice(AnyArray,int4...)",
        "hw_list_get(AnyList,int8...)",
        "hw_list_slice(AnyList,int8...)",
        "hw_relabel(Any)",
        "hw_any_eq(Any,Any)",
        "hw_all_like(Any,Any)",
        "hw_var_samp(int8,numeric,numeric)",
        "hw_stddev_pop(int8,numeric,numeric)",
        "hw_raise_error(text)",
        "zoned:hw_to_text(Any)",
    ] {
        assert!(Func::by_key(key, vec![ScalarType::Int32, ScalarType::Int32]).is_some(), "{key}");
    }
    assert!(r.aggregates["sum"].iter().any(|d| d.key == "sum(int4)"));
    assert!(r.tables["unnest"].iter().any(|d| d.key == "unnest(AnyArray)"));
}

#[test]
fn casts_apply_modifiers() {
    let arena = RowArena::new();
    let varchar = |n| ScalarType::VarChar { max_length: Some(n) };
    let cut = |context| cast_datum(Datum::String("abcd"), &ScalarType::String, &varchar(2), context, &arena);
    assert_eq!(cut(CastContext::Explicit), Ok(Datum::String("ab")));
    assert_eq!(
        cut(CastContext::Assignment),
        Err(EvalError::new("22001", "value too long for type character varying(2)"))
    );
    let char3 = ScalarType::Char { length: Some(3) };
    let padded = cast_datum(Datum::String("a"), &ScalarType::String, &char3, CastContext::Implicit, &arena);
    assert_eq!(padded, Ok(Datum::String("a  ")));
    let big = cast_datum(
        Datum::Int64(1 << 40),
        &ScalarType::Int64,
        &ScalarType::Int32,
        CastContext::Explicit,
        &arena,
    );
    assert_eq!(big.unwrap_err().to_string(), "integer out of range");
    assert!(cast_steps(&ScalarType::Int64, &ScalarType::Int32, CastContext::Implicit).is_none());
    assert!(cast_steps(&ScalarType::Int32, &ScalarType::String, CastContext::Assignment).is_some());
}

#[test]
fn common_types_follow_implicit_casts() {
    use ScalarType::{Float64, Int16, Int32, Int64, String, UInt32, UInt64};
    let check = |types: &[ScalarType], expected: Option<ScalarType>| assert_eq!(common_type(types), expected);
    check(&[Int16, Int32], Some(Int32));
    check(&[Int64, ScalarType::NUMERIC, Int16], Some(ScalarType::NUMERIC));
    check(&[ScalarType::NUMERIC, Float64], Some(Float64));
    check(&[Int32, UInt32], Some(Int64));
    check(&[Int64, UInt64], Some(ScalarType::NUMERIC));
    check(&[ScalarType::Date, ScalarType::TIMESTAMPTZ], Some(ScalarType::TIMESTAMPTZ));
    check(&[String, ScalarType::VarChar { max_length: Some(3) }], Some(String));
    check(&[Int32, ScalarType::Bool], None);
    check(&[ScalarType::MzTimestamp, ScalarType::TIMESTAMPTZ], Some(ScalarType::MzTimestamp));
}
