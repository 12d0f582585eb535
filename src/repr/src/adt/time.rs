//! `time`: microseconds since midnight, 0 to 24:00:00 inclusive.

use chrono::{NaiveTime, Timelike};
use serde::{Deserialize, Serialize};

use super::error::AdtError;
use super::interval::Interval;
use super::timestamp::round_us;

/// Microseconds since midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Time(pub i64);

impl Time {
    /// The time that many microseconds after midnight.
    ///
    /// # Errors
    /// When it is before 00:00:00 or after 24:00:00.
    pub fn from_us(us: i64) -> Result<Time, AdtError> {
        if (0..=Interval::US_PER_DAY).contains(&us) { Ok(Time(us)) } else { Err(AdtError::TimeOutOfRange) }
    }

    /// A time of its parts; a second of 60 counts as the next minute. `None` when a part is out of range.
    pub fn from_hms_us(hour: u32, minute: u32, second: u32, us: u32) -> Option<Time> {
        if hour > 24 || minute > 59 || second > 60 || us > 1_000_000 {
            return None;
        }
        let seconds = (i64::from(hour) * 60 + i64::from(minute)) * 60 + i64::from(second);
        Self::from_us(seconds * 1_000_000 + i64::from(us)).ok()
    }

    /// Hour (0 to 24), minute, second and microsecond.
    pub fn hms_us(self) -> (u32, u32, u32, u32) {
        let us = self.0.clamp(0, Interval::US_PER_DAY);
        let seconds = us / 1_000_000;
        ((seconds / 3600) as u32, (seconds / 60 % 60) as u32, (seconds % 60) as u32, (us % 1_000_000) as u32)
    }

    /// The same time for chrono, unless it is 24:00:00.
    pub fn to_chrono(self) -> Option<NaiveTime> {
        let (h, m, s, us) = self.hms_us();
        NaiveTime::from_hms_micro_opt(h, m, s, us)
    }

    /// The same time from chrono, cut to microseconds; a leap second counts as the next second.
    pub fn from_chrono(time: NaiveTime) -> Time {
        let us =
            i64::from(time.num_seconds_from_midnight()) * 1_000_000 + i64::from(time.nanosecond() / 1000);
        Time(us.min(Interval::US_PER_DAY))
    }

    /// Adds the microseconds of an interval, around midnight if need be. Its months and days do not count.
    pub fn wrapping_add(self, interval: &Interval) -> Time {
        Time((self.0 + interval.micros % Interval::US_PER_DAY).rem_euclid(Interval::US_PER_DAY))
    }

    /// Subtracts the microseconds of an interval, around midnight if need be.
    pub fn wrapping_sub(self, interval: &Interval) -> Time {
        Time((self.0 - interval.micros % Interval::US_PER_DAY).rem_euclid(Interval::US_PER_DAY))
    }

    /// The time from `other` to this time.
    pub fn since(self, other: Time) -> Interval {
        Interval { months: 0, days: 0, micros: self.0 - other.0 }
    }

    /// Rounds to that many digits of fractional seconds.
    pub fn round(self, precision: u8) -> Time {
        Time(round_us(self.0, precision).unwrap_or(self.0))
    }
}
