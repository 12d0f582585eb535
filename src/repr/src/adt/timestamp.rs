//! `timestamp` and `timestamptz`: microseconds since 2000-01-01 00:00:00 (UTC for `timestamptz`), as PostgreSQL
//! keeps them; the two ends of the range are `infinity`.

use chrono::{DateTime, NaiveDateTime};
use serde::{Deserialize, Serialize};

use super::calendar::{days_from_ymd, days_in_month};
use super::date::Date;
use super::error::AdtError;
use super::interval::Interval;
use super::time::Time;
use super::timezone::TimeZone;

/// Microseconds since 2000-01-01 00:00:00.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CivilTimestamp(pub i64);

/// Rounds microseconds to that many digits of fractional seconds, half away from zero.
pub(crate) fn round_us(us: i64, precision: u8) -> Option<i64> {
    if precision >= 6 {
        return Some(us);
    }
    let unit = 10i64.pow(6 - u32::from(precision));
    let half = unit / 2;
    let shifted = if us >= 0 { us.checked_add(half)? } else { us.checked_sub(half)? };
    Some(shifted / unit * unit)
}

impl CivilTimestamp {
    /// `infinity`, after every other timestamp.
    pub const INFINITY: CivilTimestamp = CivilTimestamp(i64::MAX);
    /// `-infinity`, before every other timestamp.
    pub const NEG_INFINITY: CivilTimestamp = CivilTimestamp(i64::MIN);
    /// The first timestamp, 4714-11-24 BC 00:00:00.
    pub const MIN: CivilTimestamp = CivilTimestamp(-211_813_488_000_000_000);
    /// The last timestamp, 294276-12-31 23:59:59.999999.
    pub const MAX: CivilTimestamp = CivilTimestamp(9_223_371_331_199_999_999);
    /// Microseconds from the Unix epoch to 2000-01-01.
    pub const UNIX_EPOCH_OFFSET_US: i64 = 946_684_800_000_000;
    /// 1970-01-01 00:00:00.
    pub const UNIX_EPOCH: CivilTimestamp = CivilTimestamp(-Self::UNIX_EPOCH_OFFSET_US);

    /// Whether this is neither `infinity` nor `-infinity`.
    pub fn is_finite(self) -> bool {
        self != Self::INFINITY && self != Self::NEG_INFINITY
    }

    /// Whether this is a finite timestamp that PostgreSQL accepts.
    pub fn is_in_range(self) -> bool {
        self >= Self::MIN && self <= Self::MAX
    }

    fn checked(us: Option<i64>) -> Result<CivilTimestamp, AdtError> {
        us.map(CivilTimestamp).filter(|t| t.is_in_range()).ok_or(AdtError::TimestampOutOfRange)
    }

    /// The timestamp that many milliseconds after the Unix epoch, when it is in range.
    pub fn from_unix_ms(ms: i64) -> Option<CivilTimestamp> {
        Some(CivilTimestamp(ms.checked_mul(1000)?.checked_sub(Self::UNIX_EPOCH_OFFSET_US)?))
            .filter(|t| t.is_in_range())
    }

    /// The timestamp that many microseconds after the Unix epoch, when it is in range.
    pub fn from_unix_us(us: i64) -> Option<CivilTimestamp> {
        us.checked_sub(Self::UNIX_EPOCH_OFFSET_US).map(CivilTimestamp).filter(|t| t.is_in_range())
    }

    /// Microseconds since the Unix epoch, unless infinite or too large.
    pub fn to_unix_us(self) -> Option<i64> {
        if self.is_finite() { self.0.checked_add(Self::UNIX_EPOCH_OFFSET_US) } else { None }
    }

    /// Whole milliseconds since the Unix epoch, rounded down, unless infinite.
    pub fn to_unix_ms(self) -> Option<i64> {
        if self.is_finite() {
            Some(self.0.div_euclid(1000) + Self::UNIX_EPOCH_OFFSET_US / 1000)
        } else {
            None
        }
    }

    /// The same time for chrono, unless it is infinite or out of its range.
    pub fn to_chrono(self) -> Option<NaiveDateTime> {
        DateTime::from_timestamp_micros(self.to_unix_us()?).map(|d| d.naive_utc())
    }

    /// The same time from chrono, cut to microseconds, when it is in range.
    pub fn from_chrono(t: NaiveDateTime) -> Option<CivilTimestamp> {
        Self::from_unix_us(t.and_utc().timestamp_micros())
    }

    /// A time on a date. Infinite dates give infinite timestamps.
    ///
    /// # Errors
    /// When the result is out of range.
    pub fn from_parts(date: Date, time: Time) -> Result<CivilTimestamp, AdtError> {
        let midnight = date.to_timestamp().map_err(|_| AdtError::TimestampOutOfRange)?;
        if !midnight.is_finite() { Ok(midnight) } else { midnight.checked_add_us(time.0) }
    }

    /// The date. Infinities stay.
    pub fn date(self) -> Date {
        match self {
            Self::INFINITY => Date::INFINITY,
            Self::NEG_INFINITY => Date::NEG_INFINITY,
            _ => Date(self.0.div_euclid(Interval::US_PER_DAY) as i32),
        }
    }

    /// The time of day. Midnight for infinities.
    pub fn time(self) -> Time {
        if self.is_finite() { Time(self.0.rem_euclid(Interval::US_PER_DAY)) } else { Time(0) }
    }

    /// Adds microseconds to a finite timestamp.
    ///
    /// # Errors
    /// When the result is out of range.
    pub fn checked_add_us(self, us: i64) -> Result<CivilTimestamp, AdtError> {
        Self::checked(self.0.checked_add(us))
    }

    /// Rounds to that many digits of fractional seconds. Infinities stay.
    ///
    /// # Errors
    /// When the result is out of range.
    pub fn round(self, precision: Option<u8>) -> Result<CivilTimestamp, AdtError> {
        match precision {
            Some(p) if self.is_finite() => Self::checked(round_us(self.0, p)),
            _ => Ok(self),
        }
    }

    /// Adds an interval: first its months, where a day past the end of the month becomes the last, then its days,
    /// then its microseconds. Infinities stay.
    ///
    /// # Errors
    /// When the result is out of range.
    pub fn add_interval(self, interval: &Interval) -> Result<CivilTimestamp, AdtError> {
        if !self.is_finite() {
            return Ok(self);
        }
        self.add_months(interval.months)?.add_days(interval.days)?.checked_add_us(interval.micros)
    }

    /// Subtracts an interval, part by part as [`CivilTimestamp::add_interval`] adds it.
    ///
    /// # Errors
    /// When the result is out of range.
    pub fn sub_interval(self, interval: &Interval) -> Result<CivilTimestamp, AdtError> {
        self.add_interval(&interval.checked_neg().map_err(|_| AdtError::TimestampOutOfRange)?)
    }

    /// Adds an interval to a `timestamptz`: months and days in the local time of `tz`, microseconds in UTC.
    ///
    /// # Errors
    /// When the result is out of range.
    pub fn add_interval_tz(self, interval: &Interval, tz: &TimeZone) -> Result<CivilTimestamp, AdtError> {
        if !self.is_finite() {
            return Ok(self);
        }
        let mut t = self;
        if interval.months != 0 {
            t = tz.to_utc(tz.to_local(t)?.add_months(interval.months)?)?;
        }
        if interval.days != 0 {
            t = tz.to_utc(tz.to_local(t)?.add_days(interval.days)?)?;
        }
        t.checked_add_us(interval.micros)
    }

    /// Adds months to a finite timestamp; a day past the end of the month becomes the last.
    ///
    /// # Errors
    /// When the result is out of range.
    pub fn add_months(self, months: i32) -> Result<CivilTimestamp, AdtError> {
        if months == 0 {
            return Ok(self);
        }
        let (year, month, day) = self.date().ymd();
        let total = i64::from(year) * 12 + i64::from(month) - 1 + i64::from(months);
        let year = i32::try_from(total.div_euclid(12)).map_err(|_| AdtError::TimestampOutOfRange)?;
        let month = total.rem_euclid(12) as u32 + 1;
        let day = day.min(days_in_month(year, month));
        let midnight = days_from_ymd(year, month, day).checked_mul(Interval::US_PER_DAY);
        Self::checked(midnight.and_then(|m| m.checked_add(self.time().0)))
    }

    /// Adds days to a finite timestamp.
    ///
    /// # Errors
    /// When the result is out of range.
    pub fn add_days(self, days: i32) -> Result<CivilTimestamp, AdtError> {
        let us = i64::from(days).checked_mul(Interval::US_PER_DAY);
        Self::checked(us.and_then(|us| self.0.checked_add(us)))
    }

    /// The time from `other` to this, in days and microseconds.
    ///
    /// # Errors
    /// When one of them is infinite ("cannot subtract infinite timestamps") or the result does not fit.
    pub fn checked_sub(self, other: CivilTimestamp) -> Result<Interval, AdtError> {
        if !self.is_finite() || !other.is_finite() {
            return Err(AdtError::InfiniteTimestamps);
        }
        let micros = self.0.checked_sub(other.0).ok_or(AdtError::IntervalOutOfRange)?;
        Interval { months: 0, days: 0, micros }.justify_hours()
    }

    /// The time from `other` to this in years, months and days, as `age` shows it. For `timestamptz` both are
    /// given in local time.
    ///
    /// # Errors
    /// When one of them is infinite.
    pub fn age(self, other: CivilTimestamp) -> Result<Interval, AdtError> {
        if !self.is_finite() || !other.is_finite() {
            return Err(AdtError::TimestampOutOfRange);
        }
        let negative = self < other;
        let (late, early) = if negative { (other, self) } else { (self, other) };
        let (ly, lm, ld) = late.date().ymd();
        let (ey, em, ed) = early.date().ymd();
        let mut months = (ly - ey) * 12 + lm as i32 - em as i32;
        let mut days = ld as i32 - ed as i32;
        let mut micros = late.time().0 - early.time().0;
        if micros < 0 {
            micros += Interval::US_PER_DAY;
            days -= 1;
        }
        if days < 0 {
            days += days_in_month(ey, em) as i32;
            months -= 1;
        }
        let age = Interval { months, days, micros };
        if negative { age.checked_neg() } else { Ok(age) }
    }
}
