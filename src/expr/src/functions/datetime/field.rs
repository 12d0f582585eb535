//! `extract`, `date_part`, `date_trunc`, `date_bin`, `AT TIME ZONE`.

use hw_repr::Datum;
use hw_repr::adt::fields::{
    extract_date, extract_interval, extract_time, extract_timestamp, extract_timestamptz, trunc_interval,
    trunc_timestamp, trunc_timestamptz,
};
use hw_repr::adt::{CivilTimestamp, DateTimeField, Interval, TimeZone, numeric};

use crate::error::EvalError;
use crate::func::Registry;
use crate::functions::signature::f;
use crate::functions::{EvalResult, fail, ok, zoned};

const TIMESTAMP: &str = "timestamp without time zone";
const TIMESTAMPTZ: &str = "timestamp with time zone";

fn field(d: Datum<'_>, typ: &str) -> Result<DateTimeField, EvalError> {
    Ok(DateTimeField::parse_for(d.unwrap_str(), typ)?)
}

fn extract(name: Datum<'_>, value: Datum<'_>, tz: &TimeZone) -> Result<Option<numeric::Numeric>, EvalError> {
    Ok(match value {
        Datum::Date(v) => extract_date(field(name, "date")?, v)?,
        Datum::Time(v) => Some(extract_time(field(name, "time without time zone")?, v)?),
        Datum::Timestamp(v) => extract_timestamp(field(name, TIMESTAMP)?, v)?,
        Datum::TimestampTz(v) => extract_timestamptz(field(name, TIMESTAMPTZ)?, v, tz)?,
        other => Some(extract_interval(field(name, "interval")?, &other.unwrap_interval())?),
    })
}

fn float<'a>(v: Option<numeric::Numeric>) -> EvalResult<'a> {
    Ok(v.map(|n| numeric::to_f64(&n)).into())
}

pub(super) fn register(r: &mut Registry) {
    for s in [
        "extract(text, date) -> numeric nullable",
        "extract(text, time) -> numeric",
        "extract(text, timestamp) -> numeric nullable",
        "extract(text, interval) -> numeric",
    ] {
        r.add(f(s, |_, _, a| Ok(extract(a[0], a[1], &TimeZone::UTC)?.into())));
    }
    zoned!(r, f, "extract(text, timestamptz) -> numeric nullable stable", |tz, _cx, _arena, a| {
        Ok(extract(a[0], a[1], tz)?.into())
    });
    for s in [
        "date_part(text, time) -> float8",
        "date_part(text, timestamp) -> float8 nullable",
        "date_part(text, interval) -> float8",
    ] {
        r.add(f(s, |_, _, a| float(extract(a[0], a[1], &TimeZone::UTC)?)));
    }
    r.add(f("date_part(text, date) -> float8 nullable", |_, _, a| {
        let t = Datum::Timestamp(a[1].unwrap_date().to_timestamp()?);
        float(extract(a[0], t, &TimeZone::UTC)?)
    }));
    zoned!(r, f, "date_part(text, timestamptz) -> float8 nullable stable", |tz, _cx, _arena, a| {
        float(extract(a[0], a[1], tz)?)
    });
    register_trunc(r);
    register_zones(r);
    for s in [
        "isfinite(date) -> bool total",
        "isfinite(timestamp) -> bool total",
        "isfinite(timestamptz) -> bool total",
        "isfinite(interval) -> bool total",
    ] {
        r.add(f(s, |_, _, a| {
            ok(match a[0] {
                Datum::Date(d) => d.is_finite(),
                Datum::Timestamp(t) | Datum::TimestampTz(t) => t.is_finite(),
                _ => true,
            })
        }));
    }
}

fn register_trunc(r: &mut Registry) {
    r.add(f("date_trunc(text, timestamp) -> timestamp", |_, _, a| {
        let t = a[1].unwrap_timestamp();
        if !t.is_finite() {
            return Ok(a[1]);
        }
        Ok(Datum::Timestamp(trunc_timestamp(field(a[0], TIMESTAMP)?, t)?))
    }));
    zoned!(r, f, "date_trunc(text, timestamptz) -> timestamptz stable", |tz, _cx, _arena, a| {
        let t = a[1].unwrap_timestamptz();
        if !t.is_finite() {
            return Ok(a[1]);
        }
        Ok(Datum::TimestampTz(trunc_timestamptz(field(a[0], TIMESTAMPTZ)?, t, tz)?))
    });
    r.add(f("date_trunc(text, timestamptz, text) -> timestamptz", |_, _, a| {
        let t = a[1].unwrap_timestamptz();
        if !t.is_finite() {
            return Ok(a[1]);
        }
        let tz = TimeZone::parse(a[2].unwrap_str())?;
        Ok(Datum::TimestampTz(trunc_timestamptz(field(a[0], TIMESTAMPTZ)?, t, &tz)?))
    }));
    r.add(f("date_trunc(text, interval) -> interval", |_, _, a| {
        ok(trunc_interval(field(a[0], "interval")?, &a[1].unwrap_interval())?)
    }));
    r.add(f("date_bin(interval, timestamp, timestamp) -> timestamp", |_, _, a| {
        bin(&a[0].unwrap_interval(), a[1].unwrap_timestamp(), a[2].unwrap_timestamp()).map(Datum::Timestamp)
    }));
    r.add(f("date_bin(interval, timestamptz, timestamptz) -> timestamptz", |_, _, a| {
        bin(&a[0].unwrap_interval(), a[1].unwrap_timestamptz(), a[2].unwrap_timestamptz())
            .map(Datum::TimestampTz)
    }));
}

fn bin(stride: &Interval, t: CivilTimestamp, origin: CivilTimestamp) -> Result<CivilTimestamp, EvalError> {
    if !t.is_finite() {
        return Ok(t);
    }
    if !origin.is_finite() {
        return fail("22008", "origin out of range");
    }
    if stride.months != 0 {
        return fail("0A000", "timestamps cannot be binned into intervals containing months or years");
    }
    let us = i128::from(stride.days) * i128::from(Interval::US_PER_DAY) + i128::from(stride.micros);
    if us <= 0 {
        return fail("22008", "stride must be greater than zero");
    }
    let away = i128::from(t.0) - i128::from(origin.0);
    let binned = i128::from(origin.0) + away.div_euclid(us) * us;
    let binned = i64::try_from(binned).map_err(|_| EvalError::new("22008", "timestamp out of range"))?;
    Ok(CivilTimestamp(binned).checked_add_us(0)?)
}

/// `AT TIME ZONE`, whose zone is only looked at where it matters. Infinities stay.
fn register_zones(r: &mut Registry) {
    fn to_utc<'a>(local: Datum<'a>, zone: impl FnOnce() -> Result<TimeZone, EvalError>) -> EvalResult<'a> {
        match local.unwrap_timestamp() {
            t if t.is_finite() => Ok(Datum::TimestampTz(zone()?.to_utc(t)?)),
            t => Ok(Datum::TimestampTz(t)),
        }
    }
    fn to_local<'a>(utc: Datum<'a>, zone: impl FnOnce() -> Result<TimeZone, EvalError>) -> EvalResult<'a> {
        match utc.unwrap_timestamptz() {
            t if t.is_finite() => Ok(Datum::Timestamp(zone()?.to_local(t)?)),
            t => Ok(Datum::Timestamp(t)),
        }
    }
    fn named(d: Datum<'_>) -> Result<TimeZone, EvalError> {
        Ok(TimeZone::parse(d.unwrap_str())?)
    }
    r.add(f("timezone(text, timestamp) -> timestamptz", |_, _, a| to_utc(a[1], || named(a[0]))));
    r.add(f("timezone(text, timestamptz) -> timestamp", |_, _, a| to_local(a[1], || named(a[0]))));
    r.add(f("timezone(interval, timestamp) -> timestamptz", |_, _, a| to_utc(a[1], || interval_zone(a[0]))));
    r.add(f("timezone(interval, timestamptz) -> timestamp", |_, _, a| {
        to_local(a[1], || interval_zone(a[0]))
    }));
}

fn interval_zone(d: Datum<'_>) -> Result<TimeZone, EvalError> {
    TimeZone::from_interval(&d.unwrap_interval()).map_err(|_| {
        let text = hw_repr::text::to_string(d, &hw_repr::ScalarType::Interval);
        EvalError::new("22023", format!("interval time zone \"{text}\" must not include months or days"))
    })
}
