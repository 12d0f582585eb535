//! Casts between dates, times, timestamps, intervals and logical times. Those that need a time zone use UTC; with
//! another session zone planning asks for [`crate::func::Func::zoned`].

use hw_repr::Datum;
use hw_repr::adt::{CivilTimestamp, Interval, Time};

use crate::func::Registry;
use crate::functions::signature::{cast, f};
use crate::functions::{EvalResult, fail, ok, zoned};

fn to_mz_timestamp<'a>(t: CivilTimestamp) -> EvalResult<'a> {
    match t.to_unix_ms().map(u64::try_from) {
        Some(Ok(ms)) => Ok(Datum::MzTimestamp(ms)),
        _ => fail("22003", "mz_timestamp out of range"),
    }
}

pub(super) fn register(r: &mut Registry) {
    register_step(r);
    r.add(cast("date -> timestamp implicit injective", |_, _, a| {
        Ok(Datum::Timestamp(a[0].unwrap_date().to_timestamp()?))
    }));
    zoned!(r, cast, "date -> timestamptz implicit injective stable", |tz, _cx, _arena, a| {
        Ok(Datum::TimestampTz(tz.to_utc(a[0].unwrap_date().to_timestamp()?)?))
    });
    r.add(cast("timestamp -> date assignment total", |_, _, a| {
        Ok(Datum::Date(a[0].unwrap_timestamp().date()))
    }));
    zoned!(r, cast, "timestamptz -> date assignment stable", |tz, _cx, _arena, a| {
        Ok(Datum::Date(tz.to_local(a[0].unwrap_timestamptz())?.date()))
    });
    r.add(cast("timestamp -> time assignment nullable total", |_, _, a| {
        let t = a[0].unwrap_timestamp();
        Ok(if t.is_finite() { Datum::Time(t.time()) } else { Datum::Null })
    }));
    zoned!(r, cast, "timestamptz -> time assignment nullable stable", |tz, _cx, _arena, a| {
        let t = tz.to_local(a[0].unwrap_timestamptz())?;
        Ok(if t.is_finite() { Datum::Time(t.time()) } else { Datum::Null })
    });
    zoned!(r, cast, "timestamp -> timestamptz implicit stable", |tz, _cx, _arena, a| {
        Ok(Datum::TimestampTz(tz.to_utc(a[0].unwrap_timestamp())?))
    });
    zoned!(r, cast, "timestamptz -> timestamp assignment stable", |tz, _cx, _arena, a| {
        Ok(Datum::Timestamp(tz.to_local(a[0].unwrap_timestamptz())?))
    });
    r.add(cast("time -> interval implicit injective total", |_, _, a| {
        ok(Interval::new(0, 0, a[0].unwrap_time().0))
    }));
    r.add(cast("interval -> time assignment total", |_, _, a| {
        ok(Time(a[0].unwrap_interval().micros.rem_euclid(Interval::US_PER_DAY)))
    }));
    r.add(cast("timestamp,int4 -> timestamp implicit", |_, _, a| {
        Ok(Datum::Timestamp(a[0].unwrap_timestamp().round(u8::try_from(a[1].unwrap_int32()).ok())?))
    }));
    r.add(cast("timestamptz,int4 -> timestamptz implicit", |_, _, a| {
        Ok(Datum::TimestampTz(a[0].unwrap_timestamptz().round(u8::try_from(a[1].unwrap_int32()).ok())?))
    }));
    r.add(cast("timestamp -> mz_timestamp implicit", |_, _, a| to_mz_timestamp(a[0].unwrap_timestamp())));
    r.add(cast("timestamptz -> mz_timestamp implicit", |_, _, a| to_mz_timestamp(a[0].unwrap_timestamptz())));
    r.add(cast("date -> mz_timestamp implicit", |_, _, a| {
        to_mz_timestamp(a[0].unwrap_date().to_timestamp()?)
    }));
    r.add(cast("mz_timestamp -> timestamp assignment", |_, _, a| from_mz(a[0]).map(Datum::Timestamp)));
    r.add(cast("mz_timestamp -> timestamptz assignment", |_, _, a| from_mz(a[0]).map(Datum::TimestampTz)));
}

/// The next logical time, for the bounds of temporal filters.
fn register_step(r: &mut Registry) {
    r.add(f("hw_step_mz_timestamp(mz_timestamp) -> mz_timestamp internal", |_, _, a| {
        let next = a[0].unwrap_mz_timestamp().checked_add(1);
        next.map(Datum::MzTimestamp).ok_or_else(|| crate::functions::out_of_range("mz_timestamp"))
    }));
}

fn from_mz(d: Datum<'_>) -> Result<CivilTimestamp, crate::error::EvalError> {
    let ms = i64::try_from(d.unwrap_mz_timestamp()).ok().and_then(CivilTimestamp::from_unix_ms);
    ms.ok_or_else(|| crate::error::EvalError::new("22008", "timestamp out of range"))
}
