//! Aggregates (PostgreSQL manual 9.21).
//!
//! Those without a kind are expanded by planning: `avg` into sum and count, the variances of exact numbers into sums and
//! the internal functions `hw_var_pop`, `hw_var_samp`, `hw_stddev_pop`, `hw_stddev_samp` of (count, sum, sum of squares).
//! Those of floats cannot be had from sums without losing digits; they see all values, see [`statistics`].

mod ordered;
mod statistics;

use hw_repr::adt::{Interval, numeric};
use hw_repr::{Datum, RowArena, ScalarType};

use super::fail;
use super::jsonb::convert::{ObjectBuilder, pack_json};
use super::signature::{f, params, plain_key, return_type};
use crate::aggregate::{Accumulation, AggregateDef, AggregateKind, BasicFn};
use crate::error::EvalError;
use crate::func::{FuncTypes, Registry, ReturnType};

fn aggregate(signature: &'static str, kind: Option<AggregateKind>) -> AggregateDef {
    let (call, ret) =
        signature.rsplit_once(" -> ").unwrap_or_else(|| panic!("a signature has a result: {signature}"));
    let (name, list) =
        call.split_once('(').unwrap_or_else(|| panic!("an aggregate has parameters: {signature}"));
    let (params, _) = params(list.trim_end_matches(')'));
    AggregateDef {
        name,
        key: plain_key(name, &params),
        params,
        ret: return_type(ret),
        kind,
        null_on_empty: !matches!(name, "count" | "regr_count"),
        direct: None,
    }
}

fn basic(signature: &'static str, eval: BasicFn) -> AggregateDef {
    aggregate(signature, Some(AggregateKind::Basic(eval)))
}

pub(super) fn register(r: &mut Registry) {
    register_accumulable(r);
    register_expanded(r);
    register_collecting(r);
    r.add_aggregate(aggregate("min(AnyElement) -> $1", Some(AggregateKind::Min)));
    r.add_aggregate(aggregate("max(AnyElement) -> $1", Some(AggregateKind::Max)));
    r.add_aggregate(basic("sum(interval) -> interval", |_, _, rows| {
        let mut sum: Option<Interval> = None;
        for row in rows {
            if let Datum::Interval(i) = row[0] {
                sum = Some(sum.map_or(Ok(i), |s| s.checked_add(&i))?);
            }
        }
        Ok(sum.map_or(Datum::Null, Datum::Interval))
    }));
    register_bits(r);
    register_moments(r);
    ordered::register(r);
    statistics::register(r);
}

fn register_accumulable(r: &mut Registry) {
    for (signature, accumulation) in [
        ("count() -> int8", Accumulation::Count),
        ("count(Any) -> int8", Accumulation::Count),
        ("sum(int2) -> int8", Accumulation::SumSmallInt),
        ("sum(int4) -> int8", Accumulation::SumSmallInt),
        ("sum(uint2) -> uint8", Accumulation::SumSmallInt),
        ("sum(uint4) -> uint8", Accumulation::SumSmallInt),
        ("sum(int8) -> numeric", Accumulation::SumBigInt),
        ("sum(uint8) -> numeric", Accumulation::SumBigInt),
        ("sum(numeric) -> numeric", Accumulation::SumNumeric),
        ("sum(float4) -> float4", Accumulation::SumFloat32),
        ("sum(float8) -> float8", Accumulation::SumFloat64),
        ("bool_and(bool) -> bool", Accumulation::All),
        ("every(bool) -> bool", Accumulation::All),
        ("bool_or(bool) -> bool", Accumulation::Any),
    ] {
        r.add_aggregate(aggregate(signature, Some(AggregateKind::Accumulable(accumulation))));
    }
}

fn register_expanded(r: &mut Registry) {
    for signature in [
        "avg(int2) -> numeric",
        "avg(int4) -> numeric",
        "avg(int8) -> numeric",
        "avg(uint2) -> numeric",
        "avg(uint4) -> numeric",
        "avg(uint8) -> numeric",
        "avg(numeric) -> numeric",
        "avg(float4) -> float8",
        "avg(float8) -> float8",
        "avg(interval) -> interval",
    ] {
        r.add_aggregate(aggregate(signature, None));
    }
    const VARIANCES: [&str; 6] = ["stddev", "stddev_pop", "stddev_samp", "variance", "var_pop", "var_samp"];
    const TYPES: [(&str, fn() -> ScalarType); 7] = [
        ("int2", || ScalarType::NUMERIC),
        ("int4", || ScalarType::NUMERIC),
        ("int8", || ScalarType::NUMERIC),
        ("uint2", || ScalarType::NUMERIC),
        ("uint4", || ScalarType::NUMERIC),
        ("uint8", || ScalarType::NUMERIC),
        ("numeric", || ScalarType::NUMERIC),
    ];
    for name in VARIANCES {
        for (typ, ret) in TYPES {
            let (params, _) = params(typ);
            let key = plain_key(name, &params);
            r.add_aggregate(AggregateDef {
                name,
                key,
                params,
                ret: ReturnType::Fixed(ret),
                kind: None,
                null_on_empty: true,
                direct: None,
            });
        }
    }
}

fn no_rows<'a>(rows: &[Vec<Datum<'a>>]) -> bool {
    rows.is_empty()
}

fn register_collecting(r: &mut Registry) {
    r.add_aggregate(basic("string_agg(text, text) -> text", |_, arena, rows| {
        let mut out: Option<String> = None;
        for row in rows {
            let Datum::String(s) = row[0] else { continue };
            match &mut out {
                Some(out) => {
                    if let Datum::String(separator) = row[1] {
                        out.push_str(separator);
                    }
                    out.push_str(s);
                }
                None => out = Some(s.to_owned()),
            }
        }
        Ok(out.map_or(Datum::Null, |s| Datum::String(arena.push_string(s))))
    }));
    r.add_aggregate(basic("string_agg(bytea, bytea) -> bytea", |_, arena, rows| {
        let mut out: Option<Vec<u8>> = None;
        for row in rows {
            let Datum::Bytes(s) = row[0] else { continue };
            match &mut out {
                Some(out) => {
                    if let Datum::Bytes(separator) = row[1] {
                        out.extend_from_slice(separator);
                    }
                    out.extend_from_slice(s);
                }
                None => out = Some(s.to_owned()),
            }
        }
        Ok(out.map_or(Datum::Null, |b| Datum::Bytes(arena.push_bytes(b))))
    }));
    r.add_aggregate(basic("array_agg(AnyElement) -> arr1", array_agg));
    let mut list_agg = basic("list_agg(Any) -> $1", |_, arena, rows| {
        if no_rows(rows) {
            return Ok(Datum::Null);
        }
        Ok(arena.make_datum(|p| p.push_list(rows.iter().map(|row| row[0]))))
    });
    list_agg.ret = ReturnType::Computed(|a| a[0].without_modifiers().list_of());
    r.add_aggregate(list_agg);
    let mut map_agg = basic("map_agg(text, Any) -> $2", |_, arena, rows| {
        if no_rows(rows) {
            return Ok(Datum::Null);
        }
        let entries = rows.iter().filter_map(|row| match row[0] {
            Datum::String(k) => Some((k, row[1])),
            _ => None,
        });
        let entries: std::collections::BTreeMap<&str, Datum<'_>> = entries.collect();
        Ok(arena.make_datum(|p| {
            p.push_map_with(|p| entries.into_iter().for_each(|(k, v)| p.extend([Datum::String(k), v])))
        }))
    });
    map_agg.ret = ReturnType::Computed(|a| ScalarType::Map {
        value: Box::new(a[1].without_modifiers()),
        custom_id: None,
    });
    r.add_aggregate(map_agg);
    for signature in ["jsonb_agg(Any) -> jsonb", "json_agg(Any) -> jsonb"] {
        r.add_aggregate(basic(signature, |types, arena, rows| {
            if no_rows(rows) {
                return Ok(Datum::Null);
            }
            arena.try_make_datum(|p| {
                p.push_json_array_with(|p| {
                    rows.iter().try_for_each(|row| pack_json(row[0], &types.args[0], p))
                })
            })
        }));
    }
    for signature in ["jsonb_object_agg(Any, Any) -> jsonb", "json_object_agg(Any, Any) -> jsonb"] {
        r.add_aggregate(basic(signature, |types, arena, rows| {
            if no_rows(rows) {
                return Ok(Datum::Null);
            }
            let mut object = ObjectBuilder::default();
            for row in rows {
                if row[0].is_null() {
                    return fail("22023", "field name must not be null");
                }
                let mut key = String::new();
                super::string::write_value(row[0], &types.args[0], &mut key);
                object.insert(&key, |p| pack_json(row[1], &types.args[1], p))?;
            }
            Ok(arena.make_datum(|p| object.pack(p)))
        }));
    }
}

fn array_agg<'a>(
    _: &FuncTypes,
    arena: &'a RowArena,
    rows: &[Vec<Datum<'a>>],
) -> Result<Datum<'a>, EvalError> {
    let Some(first) = rows.first() else { return Ok(Datum::Null) };
    let Datum::Array(first) = first[0] else {
        return match rows.iter().find_map(|r| if let Datum::Array(_) = r[0] { Some(()) } else { None }) {
            Some(()) => fail("22004", "cannot accumulate null arrays"),
            None => Ok(arena.make_datum(|p| p.push_array(rows.iter().map(|row| row[0])))),
        };
    };
    // Arrays of one shape become an array of one more dimension.
    let inner: Vec<_> = first.dims().collect();
    if inner.is_empty() {
        return fail("2202E", "cannot accumulate empty arrays");
    }
    for row in rows {
        match row[0] {
            Datum::Array(a) if a.dims().eq(inner.iter().copied()) => {}
            Datum::Array(_) => return fail("2202E", "cannot accumulate arrays of different dimensionality"),
            _ => return fail("22004", "cannot accumulate null arrays"),
        }
    }
    let mut dims = vec![hw_repr::datum::ArrayDimension { lower_bound: 1, length: rows.len() as u32 }];
    dims.extend(inner);
    Ok(arena.make_datum(|p| {
        p.push_array_with(&dims, |p| {
            rows.iter().for_each(|row| p.extend(row[0].unwrap_array().elements().iter()))
        })
    }))
}

macro_rules! bit_aggregates {
    ($r:ident: $($t:literal $variant:ident;)+) => {
        $(
            $r.add_aggregate(basic(concat!("bit_and(", $t, ") -> ", $t), |_, _, rows| {
                let values = rows.iter().filter_map(|r| if let Datum::$variant(v) = r[0] { Some(v) } else { None });
                Ok(values.reduce(|x, y| x & y).map_or(Datum::Null, Datum::$variant))
            }));
            $r.add_aggregate(basic(concat!("bit_or(", $t, ") -> ", $t), |_, _, rows| {
                let values = rows.iter().filter_map(|r| if let Datum::$variant(v) = r[0] { Some(v) } else { None });
                Ok(values.reduce(|x, y| x | y).map_or(Datum::Null, Datum::$variant))
            }));
            $r.add_aggregate(basic(concat!("bit_xor(", $t, ") -> ", $t), |_, _, rows| {
                let values = rows.iter().filter_map(|r| if let Datum::$variant(v) = r[0] { Some(v) } else { None });
                Ok(values.reduce(|x, y| x ^ y).map_or(Datum::Null, Datum::$variant))
            }));
        )+
    };
}

fn register_bits(r: &mut Registry) {
    bit_aggregates! { r:
        "int2" Int16; "int4" Int32; "int8" Int64; "uint2" UInt16; "uint4" UInt32; "uint8" UInt64;
    }
}

/// Variance from count, sum and sum of squares, with PostgreSQL's scale.
fn moments(
    n: i64,
    sum: &numeric::Numeric,
    squares: &numeric::Numeric,
    sample: bool,
    root: bool,
) -> Result<Option<numeric::Numeric>, EvalError> {
    if n == 0 || (sample && n == 1) {
        return Ok(None);
    }
    if sum.0.is_special() || squares.0.is_special() {
        return Ok(Some(numeric::nan()));
    }
    let count = numeric::from_i64(n);
    let spread = numeric::sub(&numeric::mul(&count, squares)?, &numeric::mul(sum, sum)?)?;
    if spread.0.is_zero() || spread.0.is_negative() {
        return Ok(Some(numeric::zero()));
    }
    let divisor = numeric::mul(&count, &numeric::from_i64(if sample { n - 1 } else { n }))?;
    let variance = numeric::div(&spread, &divisor)?;
    if !root {
        return Ok(Some(variance));
    }
    Ok(Some(super::math::sqrt_to_scale(&variance, numeric::scale(&variance))?))
}

macro_rules! moment_functions {
    ($r:ident: $($name:literal $sample:literal $root:literal;)+) => {
        $(
            $r.add(f(concat!($name, "(int8, numeric, numeric) -> numeric nullable internal"), |_, _, a| {
                let v = moments(a[0].unwrap_int64(), &a[1].unwrap_numeric(), &a[2].unwrap_numeric(), $sample, $root)?;
                Ok(v.into())
            }));
        )+
    };
}

fn register_moments(r: &mut Registry) {
    moment_functions! { r:
        "hw_var_pop" false false;
        "hw_var_samp" true false;
        "hw_stddev_pop" false true;
        "hw_stddev_samp" true true;
    }
}
