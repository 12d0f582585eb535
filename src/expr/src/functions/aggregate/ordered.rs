//! Ordered-set aggregates (PostgreSQL manual 9.21, table 9.61): `mode`, `percentile_cont`, `percentile_disc`.
//!
//! Each row is the direct arguments and then the sorted one; rows come sorted by that. The direct arguments are the
//! same in all rows. NULLs in the sorted argument are left out.

use hw_repr::adt::Interval;
use hw_repr::datum::ArrayDimension;
use hw_repr::{Datum, RowArena, ScalarType};

use super::aggregate;
use crate::aggregate::{AggregateKind, BasicFn};
use crate::error::EvalError;
use crate::func::{FuncTypes, Registry, ReturnType};
use crate::functions::fail;
use crate::functions::signature::array_type;

type Rows<'r, 'a> = &'r [Vec<Datum<'a>>];

/// The values of the sorted argument, without NULLs.
fn sorted<'a>(rows: Rows<'_, 'a>, at: usize) -> Vec<Datum<'a>> {
    rows.iter().map(|r| r[at]).filter(|d| !d.is_null()).collect()
}

/// The most frequent value, the first of several.
fn mode<'a>(_: &FuncTypes, _: &'a RowArena, rows: Rows<'_, 'a>) -> Result<Datum<'a>, EvalError> {
    let values = sorted(rows, 0);
    let mut best: Option<(Datum<'a>, usize)> = None;
    for run in values.chunk_by(|x, y| x == y) {
        if best.is_none_or(|(_, n)| run.len() > n) {
            best = Some((run[0], run.len()));
        }
    }
    Ok(best.map_or(Datum::Null, |(d, _)| d))
}

/// A value at a fraction of the sorted values, which are at least one.
type Pick = for<'a> fn(&[Datum<'a>], f64) -> Result<Datum<'a>, EvalError>;

fn check(fraction: f64) -> Result<f64, EvalError> {
    if (0.0..=1.0).contains(&fraction) {
        return Ok(fraction);
    }
    fail("22003", format!("percentile value {} is not between 0 and 1", shown(fraction)))
}

/// As C's `%g`.
fn shown(v: f64) -> String {
    let exponent = if v == 0.0 || !v.is_finite() { 0 } else { v.abs().log10().floor() as i32 };
    if v.is_nan() {
        "nan".to_owned()
    } else if v.is_infinite() {
        if v > 0.0 { "inf" } else { "-inf" }.to_owned()
    } else if (-4..6).contains(&exponent) {
        let text = format!("{v:.*}", (5 - exponent).max(0) as usize);
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    } else {
        let text = format!("{v:.5e}");
        let (mantissa, exp) = text.split_once('e').unwrap_or((&text, "0"));
        let mantissa = mantissa.trim_end_matches('0').trim_end_matches('.');
        let exp: i32 = exp.parse().unwrap_or(0);
        format!("{mantissa}e{}{:02}", if exp < 0 { '-' } else { '+' }, exp.abs())
    }
}

/// The first value whose position is at or after the fraction.
fn disc<'a>(values: &[Datum<'a>], fraction: f64) -> Result<Datum<'a>, EvalError> {
    let at = (fraction * values.len() as f64).ceil() as usize;
    Ok(values[at.max(1).min(values.len()) - 1])
}

/// Interpolates between the values on both sides of the fraction.
fn cont<'a>(values: &[Datum<'a>], fraction: f64) -> Result<Datum<'a>, EvalError> {
    let position = fraction * (values.len() - 1) as f64;
    let (low, high) = (position.floor() as usize, position.ceil() as usize);
    let (x, y) = (values[low], values[high.min(values.len() - 1)]);
    if low == high {
        return Ok(x);
    }
    let part = position - low as f64;
    Ok(match (x, y) {
        (Datum::Interval(x), Datum::Interval(y)) => Datum::Interval(between(&x, &y, part)?),
        (x, y) => {
            let (x, y) = (x.unwrap_float64().0, y.unwrap_float64().0);
            Datum::Float64((x + part * (y - x)).into())
        }
    })
}

fn between(x: &Interval, y: &Interval, part: f64) -> Result<Interval, EvalError> {
    Ok(y.checked_sub(x)?.checked_mul(part)?.checked_add(x)?)
}

fn single<'a>(rows: Rows<'_, 'a>, pick: Pick) -> Result<Datum<'a>, EvalError> {
    let Some(Datum::Float64(fraction)) = rows.first().map(|r| r[0]) else { return Ok(Datum::Null) };
    let fraction = check(fraction.0)?;
    match sorted(rows, 1) {
        values if values.is_empty() => Ok(Datum::Null),
        values => pick(&values, fraction),
    }
}

fn several<'a>(arena: &'a RowArena, rows: Rows<'_, 'a>, pick: Pick) -> Result<Datum<'a>, EvalError> {
    let Some(Datum::Array(fractions)) = rows.first().map(|r| r[0]) else { return Ok(Datum::Null) };
    let values = sorted(rows, 1);
    if values.is_empty() {
        return Ok(Datum::Null);
    }
    let mut out = vec![];
    for f in fractions.elements().iter() {
        out.push(match f {
            Datum::Float64(f) => pick(&values, check(f.0)?)?,
            _ => Datum::Null,
        });
    }
    let dims: Vec<ArrayDimension> = fractions.dims().collect();
    Ok(arena.make_datum(|p| p.push_array_with(&dims, |p| p.extend(out.iter()))))
}

fn add(
    r: &mut Registry,
    signature: &'static str,
    direct: usize,
    ret: Option<fn(&[ScalarType]) -> ScalarType>,
    eval: BasicFn,
) {
    let mut def = aggregate(signature, Some(AggregateKind::Basic(eval)));
    def.direct = Some(direct);
    if let Some(ret) = ret {
        def.ret = ReturnType::Computed(ret);
    }
    r.add_aggregate(def);
}

pub(super) fn register(r: &mut Registry) {
    add(r, "mode(AnyElement) -> $1", 0, None, mode);
    add(r, "percentile_disc(float8, AnyElement) -> $2", 1, None, |_, _, rows| single(rows, disc));
    add(r, "percentile_cont(float8, float8) -> float8", 1, None, |_, _, rows| single(rows, cont));
    add(r, "percentile_cont(float8, interval) -> interval", 1, None, |_, _, rows| single(rows, cont));
    add(
        r,
        "percentile_disc(float8[], AnyElement) -> $2",
        1,
        Some(|t| array_type(&t[1].without_modifiers())),
        |_, arena, rows| several(arena, rows, disc),
    );
    add(r, "percentile_cont(float8[], float8) -> float8[]", 1, None, |_, arena, rows| {
        several(arena, rows, cont)
    });
    add(r, "percentile_cont(float8[], interval) -> interval[]", 1, None, |_, arena, rows| {
        several(arena, rows, cont)
    });
}
