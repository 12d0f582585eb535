//! Casts between numbers, booleans, object ids and `jsonb` scalars.

use hw_repr::adt::numeric;
use hw_repr::{Datum, ScalarType};

use crate::error::EvalError;
use crate::func::{EvalCx, FuncDef, Registry};
use crate::functions::signature::cast;
use crate::functions::{EvalResult, fail, ok, out_of_range};

/// A number of any type.
#[derive(Clone, Copy)]
enum Number {
    Int(i128),
    Float(f64),
    Numeric(numeric::Numeric),
}

fn number(d: Datum<'_>) -> Number {
    match d {
        Datum::Int16(v) => Number::Int(v.into()),
        Datum::Int32(v) => Number::Int(v.into()),
        Datum::Int64(v) => Number::Int(v.into()),
        Datum::UInt16(v) => Number::Int(v.into()),
        Datum::UInt32(v) => Number::Int(v.into()),
        Datum::UInt64(v) | Datum::MzTimestamp(v) => Number::Int(v.into()),
        Datum::Float32(v) => Number::Float(v.0.into()),
        Datum::Float64(v) => Number::Float(v.0),
        Datum::Numeric(v) => Number::Numeric(v),
        other => panic!("expected a number, found {other:?}"),
    }
}

fn to_int(n: Number, name: &str) -> Result<i128, EvalError> {
    match n {
        Number::Int(v) => Ok(v),
        // Halves go to the even neighbour, as the C library's rint does.
        Number::Float(v) if v.is_finite() && v.abs() < 1e30 => Ok(v.round_ties_even() as i128),
        Number::Float(_) => Err(out_of_range(name)),
        Number::Numeric(v) if v.0.is_special() => {
            let value = if v.0.is_nan() { "NaN" } else { "infinity" };
            fail("0A000", format!("cannot convert {value} to {name}"))
        }
        Number::Numeric(v) => {
            let whole = numeric::to_string(&numeric::rescale(&v, 0).map_err(|_| out_of_range(name))?);
            whole.parse().map_err(|_| out_of_range(name))
        }
    }
}

fn fit<T: TryFrom<i128>>(n: Number, name: &str) -> Result<T, EvalError> {
    T::try_from(to_int(n, name)?).map_err(|_| out_of_range(name))
}

/// Brings a number to a numeric type.
fn convert<'a>(d: Datum<'_>, to: &ScalarType) -> EvalResult<'a> {
    let n = number(d);
    match to {
        ScalarType::Int16 => ok(fit::<i16>(n, "smallint")?),
        ScalarType::Int32 => ok(fit::<i32>(n, "integer")?),
        ScalarType::Int64 => ok(fit::<i64>(n, "bigint")?),
        ScalarType::UInt16 => ok(fit::<u16>(n, "uint2")?),
        ScalarType::UInt32 => ok(fit::<u32>(n, "uint4")?),
        ScalarType::UInt64 => ok(fit::<u64>(n, "uint8")?),
        oid if oid.is_oid_like() => match d {
            // As PostgreSQL's: a negative int4 keeps its bits, others are checked.
            Datum::Int16(v) => ok(i32::from(v) as u32),
            Datum::Int32(v) => ok(v as u32),
            _ => ok(fit::<u32>(n, "OID")?),
        },
        ScalarType::MzTimestamp => Ok(Datum::MzTimestamp(fit::<u64>(n, "mz_timestamp")?)),
        ScalarType::Float32 => match n {
            Number::Int(v) => ok(v as f32),
            Number::Float(v) => {
                let narrow = v as f32;
                if narrow.is_infinite() && v.is_finite() {
                    return fail("22003", "value out of range: overflow");
                }
                if narrow == 0.0 && v != 0.0 {
                    return fail("22003", "value out of range: underflow");
                }
                ok(narrow)
            }
            Number::Numeric(v) => ok(numeric::to_f32(&v)?),
        },
        ScalarType::Float64 => match n {
            Number::Int(v) => ok(v as f64),
            Number::Float(v) => ok(v),
            Number::Numeric(v) => ok(numeric::to_f64(&v)),
        },
        ScalarType::Numeric { .. } => match d {
            Datum::Float32(v) => ok(numeric::from_f32(v.0)?),
            Datum::Float64(v) => ok(numeric::from_f64(v.0)?),
            Datum::Numeric(v) => ok(v),
            _ => ok(numeric::from_i128(to_int(n, "numeric")?)?),
        },
        other => fail("XX000", format!("no number is of type {other:?}")),
    }
}

fn convert_call<'a>(cx: &EvalCx<'_>, _: &'a hw_repr::RowArena, a: &[Datum<'a>]) -> EvalResult<'a> {
    convert(a[0], &cx.types.ret)
}

fn numeric_cast(signature: &'static str) -> FuncDef {
    cast(signature, convert_call)
}

/// Same bits, other type.
fn relabel(signature: &'static str) -> FuncDef {
    cast(signature, |_, _, a| Ok(a[0]))
}

const NUMBER_CASTS: &[&str] = &[
    "int2 -> int4 implicit injective total",
    "int2 -> int8 implicit injective total",
    "int2 -> numeric implicit injective total",
    "int2 -> float4 implicit injective total",
    "int2 -> float8 implicit injective total",
    "int2 -> oid implicit",
    "int2 -> regclass implicit",
    "int2 -> regproc implicit",
    "int2 -> regtype implicit",
    "int2 -> regnamespace implicit",
    "int2 -> regrole implicit",
    "int2 -> uint2 assignment",
    "int2 -> uint4 assignment",
    "int2 -> uint8 assignment",
    "int4 -> int2 assignment",
    "int4 -> int8 implicit injective total",
    "int4 -> numeric implicit injective total",
    "int4 -> float4 implicit total",
    "int4 -> float8 implicit injective total",
    "int4 -> oid implicit total",
    "int4 -> regclass implicit total",
    "int4 -> regproc implicit total",
    "int4 -> regtype implicit total",
    "int4 -> regnamespace implicit total",
    "int4 -> regrole implicit total",
    "int4 -> uint2 assignment",
    "int4 -> uint4 assignment",
    "int4 -> uint8 assignment",
    "int8 -> int2 assignment",
    "int8 -> int4 assignment",
    "int8 -> numeric implicit injective total",
    "int8 -> float4 implicit total",
    "int8 -> float8 implicit total",
    "int8 -> oid implicit",
    "int8 -> regclass implicit",
    "int8 -> regproc implicit",
    "int8 -> regtype implicit",
    "int8 -> regnamespace implicit",
    "int8 -> regrole implicit",
    "int8 -> uint2 assignment",
    "int8 -> uint4 assignment",
    "int8 -> uint8 assignment",
    "uint2 -> uint4 implicit injective total",
    "uint2 -> uint8 implicit injective total",
    "uint2 -> int4 implicit injective total",
    "uint2 -> int8 implicit injective total",
    "uint2 -> numeric implicit injective total",
    "uint2 -> float4 implicit injective total",
    "uint2 -> float8 implicit injective total",
    "uint2 -> int2 assignment",
    "uint4 -> uint2 assignment",
    "uint4 -> uint8 implicit injective total",
    "uint4 -> int2 assignment",
    "uint4 -> int4 assignment",
    "uint4 -> int8 implicit injective total",
    "uint4 -> numeric implicit injective total",
    "uint4 -> float4 implicit total",
    "uint4 -> float8 implicit injective total",
    "uint4 -> oid implicit total",
    "uint8 -> uint2 assignment",
    "uint8 -> uint4 assignment",
    "uint8 -> int2 assignment",
    "uint8 -> int4 assignment",
    "uint8 -> int8 assignment",
    "uint8 -> numeric implicit injective total",
    "uint8 -> float4 implicit total",
    "uint8 -> float8 implicit total",
    "uint8 -> oid assignment",
    "float4 -> int2 assignment",
    "float4 -> int4 assignment",
    "float4 -> int8 assignment",
    "float4 -> uint2 assignment",
    "float4 -> uint4 assignment",
    "float4 -> uint8 assignment",
    "float4 -> float8 implicit injective total",
    "float4 -> numeric assignment",
    "float8 -> int2 assignment",
    "float8 -> int4 assignment",
    "float8 -> int8 assignment",
    "float8 -> uint2 assignment",
    "float8 -> uint4 assignment",
    "float8 -> uint8 assignment",
    "float8 -> float4 assignment",
    "float8 -> numeric assignment",
    "numeric -> int2 assignment",
    "numeric -> int4 assignment",
    "numeric -> int8 assignment",
    "numeric -> uint2 assignment",
    "numeric -> uint4 assignment",
    "numeric -> uint8 assignment",
    "numeric -> float4 implicit",
    "numeric -> float8 implicit total",
    "int4 -> mz_timestamp implicit",
    "int8 -> mz_timestamp implicit",
    "uint4 -> mz_timestamp implicit injective total",
    "uint8 -> mz_timestamp implicit injective total",
    "numeric -> mz_timestamp implicit",
    "mz_timestamp -> uint8 assignment total",
    "mz_timestamp -> numeric assignment total",
    "mz_timestamp -> int8 assignment",
];

const OID_ALIASES: &[&str] = &[
    "oid -> regclass implicit injective total",
    "oid -> regproc implicit injective total",
    "oid -> regtype implicit injective total",
    "oid -> regnamespace implicit injective total",
    "oid -> regrole implicit injective total",
    "regclass -> oid implicit injective total",
    "regproc -> oid implicit injective total",
    "regtype -> oid implicit injective total",
    "regnamespace -> oid implicit injective total",
    "regrole -> oid implicit injective total",
];

const FROM_OID: &[&str] = &[
    "oid -> int8 assignment injective total",
    "regclass -> int8 assignment injective total",
    "regproc -> int8 assignment injective total",
    "regtype -> int8 assignment injective total",
    "regnamespace -> int8 assignment injective total",
    "regrole -> int8 assignment injective total",
    "oid -> uint4 assignment injective total",
];

const OID_TO_INT: &[&str] = &[
    "oid -> int4 assignment total",
    "regclass -> int4 assignment total",
    "regproc -> int4 assignment total",
    "regtype -> int4 assignment total",
    "regnamespace -> int4 assignment total",
    "regrole -> int4 assignment total",
];

const FROM_JSONB: &[&str] = &[
    "jsonb -> int2",
    "jsonb -> int4",
    "jsonb -> int8",
    "jsonb -> float4",
    "jsonb -> float8",
    "jsonb -> numeric",
    "jsonb -> uint2",
    "jsonb -> uint4",
    "jsonb -> uint8",
];

pub(super) fn register(r: &mut Registry) {
    NUMBER_CASTS.iter().chain(FROM_OID).for_each(|s| r.add(numeric_cast(s)));
    OID_ALIASES.iter().for_each(|s| r.add(relabel(s)));
    for s in OID_TO_INT {
        r.add(cast(s, |_, _, a| ok(a[0].unwrap_uint32() as i32)));
    }
    r.add(cast("bool -> int4 explicit injective total", |_, _, a| ok(i32::from(a[0].unwrap_bool()))));
    r.add(cast("int4 -> bool explicit total", |_, _, a| ok(a[0].unwrap_int32() != 0)));
    r.add(cast("bool -> int8 explicit injective total", |_, _, a| ok(i64::from(a[0].unwrap_bool()))));
    r.add(cast("int8 -> bool explicit total", |_, _, a| ok(a[0].unwrap_int64() != 0)));
    r.add(cast("numeric,int4 -> numeric implicit", |_, _, a| {
        let n = a[0].unwrap_numeric();
        match super::numeric_typmod(a[1].unwrap_int32()) {
            Some(typmod) => ok(numeric::apply_typmod(&n, typmod)?),
            None => ok(n),
        }
    }));
    for s in FROM_JSONB {
        r.add(cast(s, |cx, _, a| match a[0] {
            Datum::Numeric(_) => convert(a[0], &cx.types.ret),
            other => fail(
                "22023",
                format!("cannot cast jsonb {} to type {}", json_kind(other), sql_name(&cx.types.ret)),
            ),
        }));
    }
    r.add(cast("jsonb -> bool", |_, _, a| match a[0] {
        Datum::Bool(_) => Ok(a[0]),
        other => fail("22023", format!("cannot cast jsonb {} to type boolean", json_kind(other))),
    }));
}

fn json_kind(d: Datum<'_>) -> &'static str {
    match d {
        Datum::Bool(_) => "boolean",
        Datum::Numeric(_) => "numeric",
        Datum::String(_) => "string",
        Datum::JsonArray(_) => "array",
        Datum::Map(_) => "object",
        _ => "null",
    }
}

fn sql_name(t: &ScalarType) -> &'static str {
    match t {
        ScalarType::Int16 => "smallint",
        ScalarType::Int32 => "integer",
        ScalarType::Int64 => "bigint",
        ScalarType::UInt16 => "uint2",
        ScalarType::UInt32 => "uint4",
        ScalarType::UInt64 => "uint8",
        ScalarType::Float32 => "real",
        ScalarType::Float64 => "double precision",
        _ => "numeric",
    }
}
