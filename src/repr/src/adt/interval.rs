//! `interval`: months, days and microseconds kept apart, as PostgreSQL does.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use super::error::AdtError;

/// A span of time. Comparison takes a month for 30 days and a day for 24 hours (PostgreSQL manual, 8.5.4), so
/// that `1 day` and `24 hours` are equal.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, Default)]
pub struct Interval {
    /// Whole months.
    pub months: i32,
    /// Whole days.
    pub days: i32,
    /// Microseconds.
    pub micros: i64,
}

impl Interval {
    /// Microseconds in a day of 24 hours.
    pub const US_PER_DAY: i64 = 86_400_000_000;

    /// No time at all.
    pub const ZERO: Interval = Interval { months: 0, days: 0, micros: 0 };
    /// Days in a month where a month must have a length.
    pub const DAYS_PER_MONTH: i32 = 30;

    /// An interval of its parts.
    pub fn new(months: i32, days: i32, micros: i64) -> Interval {
        Interval { months, days, micros }
    }

    /// The length under the convention by which intervals compare.
    pub fn comparable_us(&self) -> i128 {
        (i128::from(self.months) * 30 + i128::from(self.days)) * i128::from(Self::US_PER_DAY)
            + i128::from(self.micros)
    }

    /// The sum, part by part.
    ///
    /// # Errors
    /// When a part does not fit.
    pub fn checked_add(&self, other: &Interval) -> Result<Interval, AdtError> {
        let sum = || {
            Some(Interval {
                months: self.months.checked_add(other.months)?,
                days: self.days.checked_add(other.days)?,
                micros: self.micros.checked_add(other.micros)?,
            })
        };
        sum().ok_or(AdtError::IntervalOutOfRange)
    }

    /// The difference, part by part.
    ///
    /// # Errors
    /// When a part does not fit.
    pub fn checked_sub(&self, other: &Interval) -> Result<Interval, AdtError> {
        let difference = || {
            Some(Interval {
                months: self.months.checked_sub(other.months)?,
                days: self.days.checked_sub(other.days)?,
                micros: self.micros.checked_sub(other.micros)?,
            })
        };
        difference().ok_or(AdtError::IntervalOutOfRange)
    }

    /// Each part negated.
    ///
    /// # Errors
    /// When a part does not fit.
    pub fn checked_neg(&self) -> Result<Interval, AdtError> {
        Interval::ZERO.checked_sub(self)
    }

    /// Multiplies by a factor. Fractions of a month become days (30 to a month) and fractions of a day time.
    ///
    /// # Errors
    /// When the result does not fit.
    pub fn checked_mul(&self, factor: f64) -> Result<Interval, AdtError> {
        self.scale(|part| part * factor)
    }

    /// Divides by a number. Fractions are carried down as in [`Interval::checked_mul`].
    ///
    /// # Errors
    /// When the divisor is zero or the result does not fit.
    pub fn checked_div(&self, divisor: f64) -> Result<Interval, AdtError> {
        if divisor == 0.0 {
            return Err(AdtError::DivisionByZero);
        }
        self.scale(|part| part / divisor)
    }

    fn scale(&self, apply: impl Fn(f64) -> f64) -> Result<Interval, AdtError> {
        const SECS_PER_DAY: f64 = 86_400.0;
        // To the microsecond, so that noise of the floats does not tip a part over.
        let settle = |x: f64| (x * 1e6).round_ties_even() / 1e6;
        let fit = |x: f64| {
            if x.is_nan() || x < f64::from(i32::MIN) || x > f64::from(i32::MAX) {
                Err(AdtError::IntervalOutOfRange)
            } else {
                Ok(x.trunc())
            }
        };
        let exact_months = apply(f64::from(self.months));
        let exact_days = apply(f64::from(self.days));
        let months = fit(exact_months)?;
        let mut days = fit(exact_days)?;
        let carried_days = settle((exact_months - months) * f64::from(Self::DAYS_PER_MONTH));
        let mut carried_secs =
            settle((exact_days - days + carried_days - carried_days.trunc()) * SECS_PER_DAY);
        if carried_secs.abs() >= SECS_PER_DAY {
            let whole = (carried_secs / SECS_PER_DAY).trunc();
            days += whole;
            carried_secs -= whole * SECS_PER_DAY;
        }
        let days = fit(days + carried_days.trunc())?;
        let micros = (apply(self.micros as f64) + carried_secs * 1e6).round_ties_even();
        if micros.is_nan() || micros < -(2f64.powi(63)) || micros >= 2f64.powi(63) {
            return Err(AdtError::IntervalOutOfRange);
        }
        Ok(Interval { months: months as i32, days: days as i32, micros: micros as i64 })
    }

    /// Turns each 24 hours into a day and gives days and time one sign.
    ///
    /// # Errors
    /// When the days do not fit.
    pub fn justify_hours(&self) -> Result<Interval, AdtError> {
        let mut days = i64::from(self.days) + self.micros / Self::US_PER_DAY;
        let mut micros = self.micros % Self::US_PER_DAY;
        if days > 0 && micros < 0 {
            micros += Self::US_PER_DAY;
            days -= 1;
        } else if days < 0 && micros > 0 {
            micros -= Self::US_PER_DAY;
            days += 1;
        }
        let days = i32::try_from(days).map_err(|_| AdtError::IntervalOutOfRange)?;
        Ok(Interval { months: self.months, days, micros })
    }

    /// Turns each 30 days into a month and gives months and days one sign.
    ///
    /// # Errors
    /// When the months do not fit.
    pub fn justify_days(&self) -> Result<Interval, AdtError> {
        let mut months = i64::from(self.months) + i64::from(self.days / Self::DAYS_PER_MONTH);
        let mut days = self.days % Self::DAYS_PER_MONTH;
        if months > 0 && days < 0 {
            days += Self::DAYS_PER_MONTH;
            months -= 1;
        } else if months < 0 && days > 0 {
            days -= Self::DAYS_PER_MONTH;
            months += 1;
        }
        let months = i32::try_from(months).map_err(|_| AdtError::IntervalOutOfRange)?;
        Ok(Interval { months, days, micros: self.micros })
    }

    /// Turns hours into days and days into months, and gives all parts one sign.
    ///
    /// # Errors
    /// When a part does not fit.
    pub fn justify_interval(&self) -> Result<Interval, AdtError> {
        let per_month = i64::from(Self::DAYS_PER_MONTH);
        let mut days = i64::from(self.days) + self.micros / Self::US_PER_DAY;
        let mut micros = self.micros % Self::US_PER_DAY;
        let mut months = i64::from(self.months) + days / per_month;
        days %= per_month;
        if months > 0 && (days < 0 || (days == 0 && micros < 0)) {
            days += per_month;
            months -= 1;
        } else if months < 0 && (days > 0 || (days == 0 && micros > 0)) {
            days -= per_month;
            months += 1;
        }
        if days > 0 && micros < 0 {
            micros += Self::US_PER_DAY;
            days -= 1;
        } else if days < 0 && micros > 0 {
            micros -= Self::US_PER_DAY;
            days += 1;
        }
        let months = i32::try_from(months).map_err(|_| AdtError::IntervalOutOfRange)?;
        Ok(Interval { months, days: days as i32, micros })
    }
}

impl PartialEq for Interval {
    fn eq(&self, other: &Self) -> bool {
        self.comparable_us() == other.comparable_us()
    }
}

impl Eq for Interval {}

impl PartialOrd for Interval {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Interval {
    fn cmp(&self, other: &Self) -> Ordering {
        self.comparable_us().cmp(&other.comparable_us())
    }
}

impl Hash for Interval {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.comparable_us().hash(state);
    }
}
