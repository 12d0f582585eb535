//! Operators on dates, times, timestamps and intervals (PostgreSQL manual, table 9.30).

use hw_repr::Datum;
use hw_repr::adt::Interval;

use crate::error::EvalError;
use crate::func::Registry;
use crate::functions::signature::{f, op};
use crate::functions::{EvalResult, ok, zoned};

fn plus<'a>(d: Datum<'a>, i: &Interval) -> EvalResult<'a> {
    Ok(match d {
        Datum::Date(v) => Datum::Timestamp(v.to_timestamp()?.add_interval(i)?),
        Datum::Timestamp(v) => Datum::Timestamp(v.add_interval(i)?),
        Datum::Time(v) => Datum::Time(v.wrapping_add(i)),
        other => Datum::TimestampTz(other.unwrap_timestamptz().add_interval(i)?),
    })
}

fn minus<'a>(d: Datum<'a>, i: &Interval) -> EvalResult<'a> {
    Ok(match d {
        Datum::Date(v) => Datum::Timestamp(v.to_timestamp()?.sub_interval(i)?),
        Datum::Timestamp(v) => Datum::Timestamp(v.sub_interval(i)?),
        Datum::Time(v) => Datum::Time(v.wrapping_sub(i)),
        other => Datum::TimestampTz(other.unwrap_timestamptz().sub_interval(i)?),
    })
}

pub(super) fn register(r: &mut Registry) {
    for s in
        ["date + interval -> timestamp", "timestamp + interval -> timestamp", "time + interval -> time total"]
    {
        r.add(op(s, |_, _, a| plus(a[0], &a[1].unwrap_interval())));
    }
    for s in
        ["interval + date -> timestamp", "interval + timestamp -> timestamp", "interval + time -> time total"]
    {
        r.add(op(s, |_, _, a| plus(a[1], &a[0].unwrap_interval())));
    }
    for s in
        ["date - interval -> timestamp", "timestamp - interval -> timestamp", "time - interval -> time total"]
    {
        r.add(op(s, |_, _, a| minus(a[0], &a[1].unwrap_interval())));
    }
    zoned!(r, op, "timestamptz + interval -> timestamptz stable", |tz, _cx, _arena, a| {
        Ok(Datum::TimestampTz(a[0].unwrap_timestamptz().add_interval_tz(&a[1].unwrap_interval(), tz)?))
    });
    zoned!(r, op, "interval + timestamptz -> timestamptz stable", |tz, _cx, _arena, a| {
        Ok(Datum::TimestampTz(a[1].unwrap_timestamptz().add_interval_tz(&a[0].unwrap_interval(), tz)?))
    });
    zoned!(r, op, "timestamptz - interval -> timestamptz stable", |tz, _cx, _arena, a| {
        let i = a[1].unwrap_interval().checked_neg()?;
        Ok(Datum::TimestampTz(a[0].unwrap_timestamptz().add_interval_tz(&i, tz)?))
    });
    register_dates(r);
    register_differences(r);
    register_intervals(r);
    register_overlaps(r);
}

fn register_dates(r: &mut Registry) {
    r.add(op("date + int4 -> date", |_, _, a| {
        ok(a[0].unwrap_date().checked_add_days(a[1].unwrap_int32().into())?)
    }));
    r.add(op("int4 + date -> date", |_, _, a| {
        ok(a[1].unwrap_date().checked_add_days(a[0].unwrap_int32().into())?)
    }));
    r.add(op("date - int4 -> date", |_, _, a| {
        ok(a[0].unwrap_date().checked_add_days(-i64::from(a[1].unwrap_int32()))?)
    }));
    r.add(op("date - date -> int4", |_, _, a| ok(a[0].unwrap_date().checked_sub(a[1].unwrap_date())?)));
    r.add(op("date + time -> timestamp", |_, _, a| {
        Ok(Datum::Timestamp(hw_repr::adt::CivilTimestamp::from_parts(
            a[0].unwrap_date(),
            a[1].unwrap_time(),
        )?))
    }));
    r.add(op("time + date -> timestamp", |_, _, a| {
        Ok(Datum::Timestamp(hw_repr::adt::CivilTimestamp::from_parts(
            a[1].unwrap_date(),
            a[0].unwrap_time(),
        )?))
    }));
}

fn register_differences(r: &mut Registry) {
    r.add(op("timestamp - timestamp -> interval", |_, _, a| {
        ok(a[0].unwrap_timestamp().checked_sub(a[1].unwrap_timestamp())?)
    }));
    r.add(op("timestamptz - timestamptz -> interval", |_, _, a| {
        ok(a[0].unwrap_timestamptz().checked_sub(a[1].unwrap_timestamptz())?)
    }));
    r.add(op("time - time -> interval total", |_, _, a| ok(a[0].unwrap_time().since(a[1].unwrap_time()))));
    r.add(f("age(timestamp, timestamp) -> interval", |_, _, a| {
        ok(a[0].unwrap_timestamp().age(a[1].unwrap_timestamp())?)
    }));
    zoned!(r, f, "age(timestamptz, timestamptz) -> interval stable", |tz, _cx, _arena, a| {
        ok(tz.to_local(a[0].unwrap_timestamptz())?.age(tz.to_local(a[1].unwrap_timestamptz())?)?)
    });
}

fn register_intervals(r: &mut Registry) {
    r.add(op("interval + interval -> interval", |_, _, a| {
        ok(a[0].unwrap_interval().checked_add(&a[1].unwrap_interval())?)
    }));
    r.add(op("interval - interval -> interval", |_, _, a| {
        ok(a[0].unwrap_interval().checked_sub(&a[1].unwrap_interval())?)
    }));
    r.add(op("- interval -> interval", |_, _, a| ok(a[0].unwrap_interval().checked_neg()?)));
    r.add(op("interval * float8 -> interval", |_, _, a| {
        ok(a[0].unwrap_interval().checked_mul(a[1].unwrap_float64().0)?)
    }));
    r.add(op("float8 * interval -> interval", |_, _, a| {
        ok(a[1].unwrap_interval().checked_mul(a[0].unwrap_float64().0)?)
    }));
    r.add(op("interval / float8 -> interval", |_, _, a| {
        ok(a[0].unwrap_interval().checked_div(a[1].unwrap_float64().0)?)
    }));
    r.add(f("justify_hours(interval) -> interval", |_, _, a| ok(a[0].unwrap_interval().justify_hours()?)));
    r.add(f("justify_days(interval) -> interval", |_, _, a| ok(a[0].unwrap_interval().justify_days()?)));
    r.add(f("justify_interval(interval) -> interval", |_, _, a| {
        ok(a[0].unwrap_interval().justify_interval()?)
    }));
}

/// `OVERLAPS` (PostgreSQL manual 9.9): half-open spans, whose ends may be given in any order, or as intervals.
fn register_overlaps(r: &mut Registry) {
    for s in [
        "overlaps(date, date, date, date) -> bool lax",
        "overlaps(time, time, time, time) -> bool lax",
        "overlaps(timestamp, timestamp, timestamp, timestamp) -> bool lax",
        "overlaps(timestamptz, timestamptz, timestamptz, timestamptz) -> bool lax",
        "overlaps(date, interval, date, interval) -> bool lax",
        "overlaps(time, interval, time, interval) -> bool lax",
        "overlaps(timestamp, interval, timestamp, interval) -> bool lax",
        "overlaps(timestamptz, interval, timestamptz, interval) -> bool lax",
        "overlaps(timestamp, interval, timestamp, timestamp) -> bool lax",
        "overlaps(timestamp, timestamp, timestamp, interval) -> bool lax",
        "overlaps(timestamptz, interval, timestamptz, timestamptz) -> bool lax",
        "overlaps(timestamptz, timestamptz, timestamptz, interval) -> bool lax",
        "overlaps(time, interval, time, time) -> bool lax",
        "overlaps(time, time, time, interval) -> bool lax",
    ] {
        r.add(f(s, |_, _, a| overlaps(a)));
    }
}

fn overlaps<'a>(a: &[Datum<'a>]) -> EvalResult<'a> {
    let (s1, e1) = span(a[0], a[1])?;
    let (s2, e2) = span(a[2], a[3])?;
    if s1.is_null() || s2.is_null() {
        return Ok(Datum::Null);
    }
    let ((s1, e1), (s2, e2)) = if s1 <= s2 { ((s1, e1), (s2, e2)) } else { ((s2, e2), (s1, e1)) };
    Ok(match () {
        () if s1 == s2 && (e1.is_null() || e2.is_null()) => {
            if e1.is_null() && e2.is_null() {
                Datum::Null
            } else {
                Datum::Bool(true)
            }
        }
        () if s1 == s2 => Datum::Bool(true),
        () if e1.is_null() => Datum::Null,
        () if s2 < e1 => Datum::Bool(true),
        () if e2.is_null() => Datum::Null,
        () => Datum::Bool(false),
    })
}

/// Start and end in order; a NULL end is last, a NULL start gives place to the end.
fn span<'a>(start: Datum<'a>, end: Datum<'a>) -> Result<(Datum<'a>, Datum<'a>), EvalError> {
    let (start, end) = match end {
        Datum::Interval(_) if start.is_null() => (start, Datum::Null),
        Datum::Interval(i) => {
            let end = plus(start, &i)?;
            match start {
                Datum::Date(d) => (Datum::Timestamp(d.to_timestamp()?), end),
                _ => (start, end),
            }
        }
        _ => (start, end),
    };
    Ok(match (start.is_null(), end.is_null()) {
        (true, _) => (end, start),
        (false, false) if end < start => (end, start),
        _ => (start, end),
    })
}
