//! `date`: days since 2000-01-01, as PostgreSQL keeps them; the two ends of the range are `infinity`.

use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};

use super::calendar::{days_from_ymd, days_in_month, ymd_from_days};
use super::error::AdtError;
use super::interval::Interval;
use super::timestamp::CivilTimestamp;

/// Days since 2000-01-01 (proleptic Gregorian).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Date(pub i32);

impl Date {
    /// `infinity`, after every other date.
    pub const INFINITY: Date = Date(i32::MAX);
    /// `-infinity`, before every other date.
    pub const NEG_INFINITY: Date = Date(i32::MIN);
    /// The first date, 4714-11-24 BC (Julian day 0).
    pub const MIN: Date = Date(-2_451_545);
    /// The last date, 5874897-12-31.
    pub const MAX: Date = Date(2_145_031_948);
    /// Julian day of 2000-01-01.
    pub const JULIAN_EPOCH: i32 = 2_451_545;
    /// Days from the Unix epoch to 2000-01-01.
    pub const UNIX_EPOCH_OFFSET_DAYS: i32 = 10_957;

    /// Whether this is neither `infinity` nor `-infinity`.
    pub fn is_finite(self) -> bool {
        self != Self::INFINITY && self != Self::NEG_INFINITY
    }

    /// The date that many days after 2000-01-01.
    ///
    /// # Errors
    /// When it is out of range.
    pub fn from_days(days: i64) -> Result<Date, AdtError> {
        match i32::try_from(days) {
            Ok(d) if (Self::MIN.0..=Self::MAX.0).contains(&d) => Ok(Date(d)),
            _ => Err(AdtError::DateOutOfRange),
        }
    }

    /// A date of an astronomical year (0 is 1 BC), a month (1 to 12) and a day of the month; `None` when there is
    /// no such day or it is out of range.
    pub fn from_ymd(year: i32, month: u32, day: u32) -> Option<Date> {
        if !(1..=12).contains(&month) || day == 0 || day > days_in_month(year, month) {
            return None;
        }
        Self::from_days(days_from_ymd(year, month, day)).ok()
    }

    /// The astronomical year, the month and the day. Meaningless for infinities.
    pub fn ymd(self) -> (i32, u32, u32) {
        ymd_from_days(i64::from(self.0))
    }

    /// The same date for chrono, unless it is infinite or out of its range.
    pub fn to_chrono(self) -> Option<NaiveDate> {
        if !self.is_finite() {
            return None;
        }
        let (y, m, d) = self.ymd();
        NaiveDate::from_ymd_opt(y, m, d)
    }

    /// The same date from chrono, when it is in range.
    pub fn from_chrono(date: NaiveDate) -> Option<Date> {
        Self::from_ymd(date.year(), date.month(), date.day())
    }

    /// Adds days. Infinities stay.
    ///
    /// # Errors
    /// When the result is out of range.
    pub fn checked_add_days(self, days: i64) -> Result<Date, AdtError> {
        if !self.is_finite() {
            return Ok(self);
        }
        Self::from_days(i64::from(self.0).checked_add(days).ok_or(AdtError::DateOutOfRange)?)
    }

    /// Days from `other` to this date.
    ///
    /// # Errors
    /// When one of them is infinite ("cannot subtract infinite dates") or the result does not fit.
    pub fn checked_sub(self, other: Date) -> Result<i32, AdtError> {
        if !self.is_finite() || !other.is_finite() {
            return Err(AdtError::InfiniteDates);
        }
        self.0.checked_sub(other.0).ok_or(AdtError::DateOutOfRange)
    }

    /// Midnight of the date. Infinities stay.
    ///
    /// # Errors
    /// When it is out of range of timestamps.
    pub fn to_timestamp(self) -> Result<CivilTimestamp, AdtError> {
        if self == Self::INFINITY {
            return Ok(CivilTimestamp::INFINITY);
        }
        if self == Self::NEG_INFINITY {
            return Ok(CivilTimestamp::NEG_INFINITY);
        }
        i64::from(self.0)
            .checked_mul(Interval::US_PER_DAY)
            .map(CivilTimestamp)
            .filter(|t| t.is_in_range())
            .ok_or(AdtError::DateOutOfRangeForTimestamp)
    }
}
