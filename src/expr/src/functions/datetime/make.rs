//! `make_date` and its like, and `to_timestamp` of a number.

use hw_repr::Datum;
use hw_repr::adt::{CivilTimestamp, Date, Interval, Time, TimeZone};

use crate::error::EvalError;
use crate::func::Registry;
use crate::functions::signature::f;
use crate::functions::{fail, ok, text, zoned};

fn date(year: i32, month: i32, day: i32) -> Result<Date, EvalError> {
    // A negative year is BC; there is no year 0.
    let astronomical = if year < 0 { year + 1 } else { year };
    let parts = (u32::try_from(month).ok(), u32::try_from(day).ok());
    let too_far = !(-4714..=5_874_897).contains(&astronomical);
    if too_far && let (Some(m @ 1..=12), Some(d @ 1..=28)) = parts {
        return Err(EvalError::new("22008", format!("date out of range: {year}-{m:02}-{d:02}")));
    }
    match parts {
        (Some(m), Some(d)) if year != 0 => Date::from_ymd(astronomical, m, d),
        _ => None,
    }
    .ok_or_else(|| {
        EvalError::new("22008", format!("date field value out of range: {year}-{month:02}-{day:02}"))
    })
}

fn time(hour: i32, minute: i32, seconds: f64) -> Result<Time, EvalError> {
    let error = || {
        let seconds =
            if seconds == seconds.trunc() { format!("{seconds:02.0}") } else { format!("{seconds:02}") };
        EvalError::new("22008", format!("time field value out of range: {hour}:{minute:02}:{seconds}"))
    };
    let valid = (0..=24).contains(&hour)
        && (0..60).contains(&minute)
        && (0.0..=60.0).contains(&seconds)
        && (hour < 24 || (minute == 0 && seconds == 0.0));
    if !valid {
        return Err(error());
    }
    let us =
        (i64::from(hour) * 60 + i64::from(minute)) * 60_000_000 + (seconds * 1e6).round_ties_even() as i64;
    Time::from_us(us).map_err(|_| error())
}

fn timestamp(a: &[Datum<'_>]) -> Result<CivilTimestamp, EvalError> {
    let int = |i: usize| a[i].unwrap_int32();
    let date = date(int(0), int(1), int(2))?;
    Ok(CivilTimestamp::from_parts(date, time(int(3), int(4), a[5].unwrap_float64().0)?)?)
}

pub(super) fn register(r: &mut Registry) {
    r.add(f("make_date(int4, int4, int4) -> date", |_, _, a| {
        ok(date(a[0].unwrap_int32(), a[1].unwrap_int32(), a[2].unwrap_int32())?)
    }));
    r.add(f("make_time(int4, int4, float8) -> time", |_, _, a| {
        ok(time(a[0].unwrap_int32(), a[1].unwrap_int32(), a[2].unwrap_float64().0)?)
    }));
    r.add(f("make_timestamp(int4, int4, int4, int4, int4, float8) -> timestamp", |_, _, a| {
        timestamp(a).map(Datum::Timestamp)
    }));
    zoned!(
        r,
        f,
        "make_timestamptz(int4, int4, int4, int4, int4, float8) -> timestamptz stable",
        |tz, _cx, _arena, a| Ok(Datum::TimestampTz(tz.to_utc(timestamp(a)?)?))
    );
    r.add(f("make_timestamptz(int4, int4, int4, int4, int4, float8, text) -> timestamptz", |_, _, a| {
        Ok(Datum::TimestampTz(TimeZone::parse(a[6].unwrap_str())?.to_utc(timestamp(a)?)?))
    }));
    for s in [
        "make_interval() -> interval",
        "make_interval(int4) -> interval",
        "make_interval(int4, int4) -> interval",
        "make_interval(int4, int4, int4) -> interval",
        "make_interval(int4, int4, int4, int4) -> interval",
        "make_interval(int4, int4, int4, int4, int4) -> interval",
        "make_interval(int4, int4, int4, int4, int4, int4) -> interval",
        "make_interval(int4, int4, int4, int4, int4, int4, float8) -> interval",
    ] {
        r.add(f(s, |_, _, a| interval(a)));
    }
    r.add(f("clock_timestamp() -> timestamptz volatile", |_, _, _| {
        let now = CivilTimestamp::from_unix_us(chrono::Utc::now().timestamp_micros());
        now.map(Datum::TimestampTz).ok_or_else(|| EvalError::new("22008", "timestamp out of range"))
    }));
    r.add(f("timeofday() -> text volatile", |_, arena, _| {
        text(arena, chrono::Utc::now().format("%a %b %d %H:%M:%S%.6f %Y UTC").to_string())
    }));
    r.add(f("to_timestamp(float8) -> timestamptz", |_, _, a| {
        let seconds = a[0].unwrap_float64().0;
        Ok(Datum::TimestampTz(match seconds {
            s if s.is_nan() => return fail("22008", "timestamp cannot be NaN"),
            f64::INFINITY => CivilTimestamp::INFINITY,
            f64::NEG_INFINITY => CivilTimestamp::NEG_INFINITY,
            s => {
                let us = (s * 1e6).round_ties_even();
                let t = if us.abs() < 9.3e18 { CivilTimestamp::from_unix_us(us as i64) } else { None };
                t.ok_or_else(|| EvalError::new("22008", format!("timestamp out of range: \"{s}\"")))?
            }
        }))
    }));
}

/// Years, months, weeks, days, hours, minutes, seconds; those left out are zero.
fn interval<'a>(a: &[Datum<'a>]) -> crate::functions::EvalResult<'a> {
    let int = |i: usize| a.get(i).map_or(0, |d| i64::from(d.unwrap_int32()));
    let out_of_range = || EvalError::new("22008", "interval out of range");
    let months = i32::try_from(int(0) * 12 + int(1)).map_err(|_| out_of_range())?;
    let days = i32::try_from(int(2) * 7 + int(3)).map_err(|_| out_of_range())?;
    let seconds = a.get(6).map_or(0.0, |d| d.unwrap_float64().0);
    let us = (seconds * 1e6).round_ties_even();
    if !us.is_finite() || us.abs() >= 9e18 {
        return Err(out_of_range());
    }
    let micros = (int(4) * 3600 + int(5) * 60).checked_mul(1_000_000).and_then(|v| v.checked_add(us as i64));
    ok(Interval::new(months, days, micros.ok_or_else(out_of_range)?))
}
