//! Fields of dates, times and intervals: what `extract`, `date_part` and `date_trunc` take (PostgreSQL manual 9.9).

use super::calendar::{days_from_iso_week, days_from_ymd, iso_week, weekday_from_monday};
use super::date::Date;
use super::error::AdtError;
use super::interval::Interval;
use super::numeric::{self, Numeric};
use super::time::Time;
use super::timestamp::CivilTimestamp;
use super::timezone::TimeZone;

/// A field of a date, time or interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs, reason = "the names are the fields' own")]
pub enum DateTimeField {
    Microseconds,
    Milliseconds,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
    Epoch,
    Dow,
    IsoDow,
    Doy,
    IsoYear,
    Julian,
    Timezone,
    TimezoneHour,
    TimezoneMinute,
}

use DateTimeField::{
    Century, Day, Decade, Dow, Doy, Epoch, Hour, IsoDow, IsoYear, Julian, Microseconds, Millennium,
    Milliseconds, Minute, Month, Quarter, Second, Timezone, TimezoneHour, TimezoneMinute, Week, Year,
};

impl DateTimeField {
    /// The field of a name, in any case; PostgreSQL's abbreviations and plurals count.
    pub fn parse(name: &str) -> Option<DateTimeField> {
        Some(match name.to_ascii_lowercase().as_str() {
            "microseconds" | "microsecond" | "microsec" | "microsecs" | "microsecon" | "us" | "usec"
            | "usecs" | "usecond" | "useconds" => Microseconds,
            "milliseconds" | "millisecond" | "millisec" | "millisecs" | "msec" | "msecs" | "msecond"
            | "mseconds" | "millisecon" | "ms" => Milliseconds,
            "second" | "seconds" | "sec" | "secs" | "s" => Second,
            "minute" | "minutes" | "min" | "mins" | "m" => Minute,
            "hour" | "hours" | "hr" | "hrs" | "h" => Hour,
            "day" | "days" | "d" => Day,
            "week" | "weeks" | "w" => Week,
            "month" | "months" | "mon" | "mons" => Month,
            "quarter" | "qtr" => Quarter,
            "year" | "years" | "yr" | "yrs" | "y" => Year,
            "decade" | "decades" | "dec" | "decs" => Decade,
            "century" | "centuries" | "cent" | "c" => Century,
            "millennium" | "millennia" | "mil" | "mils" => Millennium,
            "epoch" => Epoch,
            "dow" => Dow,
            "isodow" => IsoDow,
            "doy" => Doy,
            "isoyear" => IsoYear,
            "julian" | "j" | "jd" => Julian,
            "timezone" => Timezone,
            "timezone_hour" | "timezone_h" => TimezoneHour,
            "timezone_minute" | "timezone_m" => TimezoneMinute,
            _ => return None,
        })
    }

    /// The field of a name.
    ///
    /// # Errors
    /// `unit "…" not recognized for type …` when there is none.
    pub fn parse_for(name: &str, typ: &str) -> Result<DateTimeField, AdtError> {
        Self::parse(name).ok_or_else(|| AdtError::UnitNotRecognized {
            unit: name.to_ascii_lowercase().into(),
            typ: typ.into(),
        })
    }

    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Microseconds => "microseconds",
            Milliseconds => "milliseconds",
            Second => "second",
            Minute => "minute",
            Hour => "hour",
            Day => "day",
            Week => "week",
            Month => "month",
            Quarter => "quarter",
            Year => "year",
            Decade => "decade",
            Century => "century",
            Millennium => "millennium",
            Epoch => "epoch",
            Dow => "dow",
            IsoDow => "isodow",
            Doy => "doy",
            IsoYear => "isoyear",
            Julian => "julian",
            Timezone => "timezone",
            TimezoneHour => "timezone_hour",
            TimezoneMinute => "timezone_minute",
        }
    }

    /// Whether an infinite date's field is infinite too; of the others nothing is known.
    fn grows_with_time(self) -> bool {
        matches!(self, Year | Decade | Century | Millennium | Epoch | IsoYear | Julian)
    }

    /// Why a value cannot be cut to this field: some are fields of dates, but no units.
    fn no_unit(self, typ: &str) -> AdtError {
        match self {
            Epoch | Dow | IsoDow | Doy | IsoYear | Julian => {
                AdtError::UnitNotRecognized { unit: self.name().into(), typ: typ.into() }
            }
            _ => self.unsupported(typ),
        }
    }

    fn unsupported(self, typ: &str) -> AdtError {
        AdtError::UnitNotSupported { unit: self.name().into(), typ: typ.into() }
    }
}

fn int(v: impl Into<i64>) -> Result<Numeric, AdtError> {
    Ok(numeric::from_i64(v.into()))
}

/// The year as people count it: there is no year 0.
fn shown_year(year: i32) -> i32 {
    if year > 0 { year } else { year - 1 }
}

/// Fields that depend on the date alone.
fn date_field(field: DateTimeField, date: Date) -> Option<i64> {
    let (year, month, day) = date.ymd();
    let days = i64::from(date.0);
    let (y, m) = (i64::from(year), i64::from(month));
    Some(match field {
        Day => i64::from(day),
        Month => m,
        Quarter => (m - 1) / 3 + 1,
        Year => i64::from(shown_year(year)),
        Week => i64::from(iso_week(days).1),
        IsoYear => i64::from(shown_year(iso_week(days).0)),
        Decade => y.div_euclid(10),
        Century if y > 0 => (y + 99) / 100,
        Century => -((99 - (y - 1)) / 100),
        Millennium if y > 0 => (y + 999) / 1000,
        Millennium => -((999 - (y - 1)) / 1000),
        Dow => (weekday_from_monday(days) + 1) % 7,
        IsoDow => weekday_from_monday(days) + 1,
        Doy => days - days_from_ymd(year, 1, 1) + 1,
        _ => return None,
    })
}

/// Fields that depend on the time of day alone; seconds carry their fraction.
fn time_field(field: DateTimeField, us: i64) -> Option<Numeric> {
    Some(match field {
        Microseconds => numeric::from_i64(us % 60_000_000),
        Milliseconds => numeric::from_scaled_i64(us % 60_000_000, 3),
        Second => numeric::from_scaled_i64(us % 60_000_000, 6),
        Minute => numeric::from_i64(us / 60_000_000 % 60),
        Hour => numeric::from_i64(us / 3_600_000_000),
        _ => return None,
    })
}

/// A field of a timestamp without time zone. `None` stands for NULL (a field of an infinity that says nothing).
///
/// # Errors
/// When the type has no such field.
pub fn extract_timestamp(field: DateTimeField, t: CivilTimestamp) -> Result<Option<Numeric>, AdtError> {
    const TYPE: &str = "timestamp without time zone";
    if !t.is_finite() {
        return Ok(infinite_field(field, t == CivilTimestamp::INFINITY));
    }
    if matches!(field, Timezone | TimezoneHour | TimezoneMinute) {
        return Err(field.unsupported(TYPE));
    }
    civil_field(field, t, t).map(Some)
}

/// A field of a timestamp with time zone, in the local time of `tz`.
///
/// # Errors
/// When the local time is out of range.
pub fn extract_timestamptz(
    field: DateTimeField,
    t: CivilTimestamp,
    tz: &TimeZone,
) -> Result<Option<Numeric>, AdtError> {
    if !t.is_finite() {
        return Ok(infinite_field(field, t == CivilTimestamp::INFINITY));
    }
    let offset = tz.offset_at_utc(t);
    match field {
        Timezone => int(offset).map(Some),
        TimezoneHour => int(offset / 3600).map(Some),
        TimezoneMinute => int(offset / 60 % 60).map(Some),
        _ => civil_field(field, tz.to_local(t)?, t).map(Some),
    }
}

fn infinite_field(field: DateTimeField, positive: bool) -> Option<Numeric> {
    let value = if positive { numeric::infinity() } else { numeric::neg_infinity() };
    field.grows_with_time().then_some(value)
}

fn civil_field(
    field: DateTimeField,
    local: CivilTimestamp,
    utc: CivilTimestamp,
) -> Result<Numeric, AdtError> {
    if let Some(v) = date_field(field, local.date()) {
        return int(v);
    }
    if let Some(v) = time_field(field, local.time().0) {
        return Ok(v);
    }
    match field {
        Epoch => {
            let offset = numeric::from_scaled_i64(CivilTimestamp::UNIX_EPOCH_OFFSET_US, 6);
            numeric::add(&numeric::from_scaled_i64(utc.0, 6), &offset)
        }
        Julian => {
            let day = numeric::from_i64(i64::from(local.date().0) + i64::from(Date::JULIAN_EPOCH));
            let us = numeric::from_i64(local.time().0);
            numeric::add(&day, &numeric::div(&us, &numeric::from_i64(Interval::US_PER_DAY))?)
        }
        _ => Err(field.unsupported("timestamp without time zone")),
    }
}

/// A field of a date. `None` stands for NULL.
///
/// # Errors
/// When the type has no such field, as those of the time of day.
pub fn extract_date(field: DateTimeField, date: Date) -> Result<Option<Numeric>, AdtError> {
    const TYPE: &str = "date";
    let value = match field {
        Epoch => (i64::from(date.0) + i64::from(Date::UNIX_EPOCH_OFFSET_DAYS)) * 86_400,
        Julian => i64::from(date.0) + i64::from(Date::JULIAN_EPOCH),
        _ => date_field(field, date).ok_or_else(|| field.unsupported(TYPE))?,
    };
    if !date.is_finite() {
        return Ok(infinite_field(field, date == Date::INFINITY));
    }
    int(value).map(Some)
}

/// A field of a time.
///
/// # Errors
/// When the type has no such field.
pub fn extract_time(field: DateTimeField, time: Time) -> Result<Numeric, AdtError> {
    match field {
        Epoch => Ok(numeric::from_scaled_i64(time.0, 6)),
        _ => time_field(field, time.0).ok_or_else(|| field.unsupported("time without time zone")),
    }
}

/// A field of an interval.
///
/// # Errors
/// When the type has no such field.
pub fn extract_interval(field: DateTimeField, interval: &Interval) -> Result<Numeric, AdtError> {
    let months = i64::from(interval.months);
    match field {
        Day => int(interval.days),
        Month => int(months % 12),
        Quarter => int(months % 12 / 3 + 1),
        Year => int(months / 12),
        Decade => int(months / 120),
        Century => int(months / 1200),
        Millennium => int(months / 12_000),
        Epoch => {
            // A year counts 365.25 days and each further month 30.
            let quarter_days = months / 12 * 1461 + months % 12 * 120 + i64::from(interval.days) * 4;
            let seconds = numeric::from_scaled_i64(quarter_days * 21_600, 0);
            numeric::add(&seconds, &numeric::from_scaled_i64(interval.micros, 6))
        }
        _ => time_field(field, interval.micros).ok_or_else(|| field.unsupported("interval")),
    }
}

/// The timestamp cut to a field.
///
/// # Errors
/// When the field cannot be cut to or the result is out of range.
pub fn trunc_timestamp(field: DateTimeField, t: CivilTimestamp) -> Result<CivilTimestamp, AdtError> {
    trunc_named(field, t, "timestamp without time zone")
}

fn trunc_named(field: DateTimeField, t: CivilTimestamp, typ: &str) -> Result<CivilTimestamp, AdtError> {
    if !t.is_finite() {
        return Ok(t);
    }
    let unit = match field {
        Microseconds => 1,
        Milliseconds => 1000,
        Second => 1_000_000,
        Minute => 60_000_000,
        Hour => 3_600_000_000,
        Day => Interval::US_PER_DAY,
        Week | Month | Quarter | Year | Decade | Century | Millennium => 0,
        _ => return Err(field.no_unit(typ)),
    };
    if unit != 0 {
        return CivilTimestamp(t.0 - t.0.rem_euclid(unit)).checked_add_us(0);
    }
    let (year, month, _) = t.date().ymd();
    let days = match field {
        Week => {
            let (iso_year, week) = iso_week(i64::from(t.date().0));
            days_from_iso_week(iso_year, week)
        }
        Month => days_from_ymd(year, month, 1),
        Quarter => days_from_ymd(year, (month - 1) / 3 * 3 + 1, 1),
        Year => days_from_ymd(year, 1, 1),
        Decade => days_from_ymd(year.div_euclid(10) * 10, 1, 1),
        // The first century begins with the year 1; there is no century 0.
        Century => days_from_ymd((year - 1).div_euclid(100) * 100 + 1, 1, 1),
        _ => days_from_ymd((year - 1).div_euclid(1000) * 1000 + 1, 1, 1),
    };
    CivilTimestamp(days * Interval::US_PER_DAY).checked_add_us(0)
}

/// The timestamp with time zone cut to a field in the local time of `tz`.
///
/// # Errors
/// When the field cannot be cut to or the result is out of range.
pub fn trunc_timestamptz(
    field: DateTimeField,
    t: CivilTimestamp,
    tz: &TimeZone,
) -> Result<CivilTimestamp, AdtError> {
    let cut = trunc_named(field, tz.to_local(t)?, "timestamp with time zone")?;
    match field {
        // Within an hour the offset stays, even where the local time occurs twice.
        Microseconds | Milliseconds | Second | Minute | Hour if t.is_finite() => {
            cut.checked_add_us(-i64::from(tz.offset_at_utc(t)) * 1_000_000)
        }
        _ => tz.to_utc(cut),
    }
}

/// The interval cut to a field.
///
/// # Errors
/// When the field cannot be cut to: weeks, since months are not whole numbers of them.
pub fn trunc_interval(field: DateTimeField, interval: &Interval) -> Result<Interval, AdtError> {
    let Interval { months, days, micros } = *interval;
    let to_months = |unit: i32| Interval { months: months / unit * unit, days: 0, micros: 0 };
    let to_us = |unit: i64| Interval { months, days, micros: micros / unit * unit };
    Ok(match field {
        Microseconds => *interval,
        Milliseconds => to_us(1000),
        Second => to_us(1_000_000),
        Minute => to_us(60_000_000),
        Hour => to_us(3_600_000_000),
        Day => to_us(i64::MAX),
        Month => to_months(1),
        Quarter => to_months(3),
        Year => to_months(12),
        Decade => to_months(120),
        Century => to_months(1200),
        Millennium => to_months(12_000),
        _ => return Err(field.no_unit("interval")),
    })
}
