//! `generate_series` and `generate_subscripts`.

use hw_repr::adt::{CivilTimestamp, Interval, numeric};
use hw_repr::{Datum, Row, ScalarType};

use super::{column, rows, singles, table};
use crate::error::EvalError;
use crate::func::Registry;
use crate::functions::invalid_parameter;
use crate::table::TableRows;

/// The integers from one to another by a step.
fn integers(start: i64, stop: i64, step: i64) -> Result<impl Iterator<Item = i64>, EvalError> {
    if step == 0 {
        return Err(invalid_parameter("step size cannot equal zero"));
    }
    let mut next = Some(start);
    Ok(std::iter::from_fn(move || {
        let current = next.filter(|v| if step > 0 { *v <= stop } else { *v >= stop })?;
        next = current.checked_add(step);
        Some(current)
    }))
}

fn numerics<'a>(a: &[Datum<'a>]) -> Result<TableRows<'a>, EvalError> {
    let (start, stop) = (a[0].unwrap_numeric(), a[1].unwrap_numeric());
    let step = a.get(2).map_or_else(|| numeric::from_i64(1), Datum::unwrap_numeric);
    for (n, name) in [(&start, "start value"), (&stop, "stop value"), (&step, "step size")] {
        if n.0.is_special() {
            let what = if n.0.is_nan() { "NaN" } else { "infinity" };
            return Err(invalid_parameter(format!("{name} cannot be {what}")));
        }
    }
    if step.0.is_zero() {
        return Err(invalid_parameter("step size cannot equal zero"));
    }
    let descending = step.0.is_negative();
    let mut next = Some(start);
    singles(std::iter::from_fn(move || {
        let current = next.filter(|v| if descending { *v >= stop } else { *v <= stop })?;
        next = numeric::add(&current, &step).ok();
        Some(Datum::Numeric(current))
    }))
}

fn timestamps(
    start: CivilTimestamp,
    stop: CivilTimestamp,
    step: Interval,
) -> Result<impl Iterator<Item = Result<CivilTimestamp, EvalError>>, EvalError> {
    let direction = step.cmp(&Interval::ZERO);
    if direction.is_eq() {
        return Err(invalid_parameter("step size cannot equal zero"));
    }
    let mut next = Some(start);
    Ok(std::iter::from_fn(move || {
        let current = next.filter(|v| if direction.is_gt() { *v <= stop } else { *v >= stop })?;
        match current.add_interval(&step) {
            // An infinite start would repeat for ever.
            Ok(v) if v != current => next = Some(v),
            Ok(_) => next = None,
            Err(e) => {
                next = None;
                return Some(Err(e.into()));
            }
        }
        Some(Ok(current))
    }))
}

pub(super) fn register(r: &mut Registry) {
    for sig in ["generate_series(int4, int4)", "generate_series(int4, int4, int4)"] {
        r.add_table(table(
            sig,
            |_| column("generate_series", ScalarType::Int32, false),
            |_, _, a| {
                let step = a.get(2).map_or(1, |d| d.unwrap_int32().into());
                let series = integers(a[0].unwrap_int32().into(), a[1].unwrap_int32().into(), step)?;
                singles(series.map(|v| Datum::Int32(v as i32)))
            },
        ));
    }
    for sig in ["generate_series(int8, int8)", "generate_series(int8, int8, int8)"] {
        r.add_table(table(
            sig,
            |_| column("generate_series", ScalarType::Int64, false),
            |_, _, a| {
                let step = a.get(2).map_or(1, Datum::unwrap_int64);
                singles(integers(a[0].unwrap_int64(), a[1].unwrap_int64(), step)?.map(Datum::Int64))
            },
        ));
    }
    for sig in ["generate_series(numeric, numeric)", "generate_series(numeric, numeric, numeric)"] {
        r.add_table(table(
            sig,
            |_| column("generate_series", ScalarType::NUMERIC, false),
            |_, _, a| numerics(a),
        ));
    }
    r.add_table(table(
        "generate_series(timestamp, timestamp, interval)",
        |_| column("generate_series", ScalarType::TIMESTAMP, false),
        |_, _, a| {
            let s = timestamps(a[0].unwrap_timestamp(), a[1].unwrap_timestamp(), a[2].unwrap_interval())?;
            Ok(Box::new(s.map(|t| t.map(|t| (Row::pack_slice(&[Datum::Timestamp(t)]), 1)))))
        },
    ));
    r.add_table(table(
        "generate_series(timestamptz, timestamptz, interval)",
        |_| column("generate_series", ScalarType::TIMESTAMPTZ, false),
        |_, _, a| {
            let s = timestamps(a[0].unwrap_timestamptz(), a[1].unwrap_timestamptz(), a[2].unwrap_interval())?;
            Ok(Box::new(s.map(|t| t.map(|t| (Row::pack_slice(&[Datum::TimestampTz(t)]), 1)))))
        },
    ));
    for sig in ["generate_subscripts(AnyArray, int4)", "generate_subscripts(AnyArray, int4, bool)"] {
        r.add_table(table(
            sig,
            |_| column("generate_subscripts", ScalarType::Int32, false),
            |_, _, a| {
                let wanted = usize::try_from(a[1].unwrap_int32()).ok().and_then(|d| d.checked_sub(1));
                let dim = wanted.and_then(|d| a[0].unwrap_array().dims().nth(d));
                let reverse = a.get(2).is_some_and(Datum::unwrap_bool);
                let mut subscripts: Vec<i32> = dim.map_or(vec![], |d| {
                    (0..d.length as i32).map(|i| d.lower_bound.wrapping_add(i)).collect()
                });
                if reverse {
                    subscripts.reverse();
                }
                rows(subscripts.into_iter().map(|v| Row::pack_slice(&[Datum::Int32(v)])))
            },
        ));
    }
}
