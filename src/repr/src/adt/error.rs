//! Errors of conversions and arithmetic on values, in PostgreSQL's words.

use serde::{Deserialize, Serialize};

/// A conversion or an operation on values failed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum AdtError {
    /// A date outside of 4713 BC to 5874897 AD.
    #[error("date out of range")]
    DateOutOfRange,
    /// A date that has no timestamp.
    #[error("date out of range for timestamp")]
    DateOutOfRangeForTimestamp,
    /// The difference of infinite dates.
    #[error("cannot subtract infinite dates")]
    InfiniteDates,
    /// The difference of infinite timestamps.
    #[error("cannot subtract infinite timestamps")]
    InfiniteTimestamps,
    /// A timestamp outside of 4713 BC to 294276 AD.
    #[error("timestamp out of range")]
    TimestampOutOfRange,
    /// An interval whose parts do not fit.
    #[error("interval out of range")]
    IntervalOutOfRange,
    /// A time outside of 00:00:00 to 24:00:00.
    #[error("time out of range")]
    TimeOutOfRange,
    /// A field such as the month is outside of its range; holds the value as written.
    #[error("date/time field value out of range: {0}")]
    DatetimeFieldOutOfRange(Box<str>),
    /// No such field of a date or time.
    #[error("unit \"{unit}\" not recognized for type {typ}")]
    UnitNotRecognized {
        /// The field as written.
        unit: Box<str>,
        /// The type.
        typ: Box<str>,
    },
    /// The type has no such field.
    #[error("unit \"{unit}\" not supported for type {typ}")]
    UnitNotSupported {
        /// The field as written.
        unit: Box<str>,
        /// The type.
        typ: Box<str>,
    },
    /// No such time zone.
    #[error("time zone \"{0}\" not recognized")]
    UnknownTimeZone(Box<str>),
    /// A numeric does not fit its precision and scale.
    #[error("numeric field overflow")]
    NumericFieldOverflow {
        /// The declared precision.
        precision: u8,
        /// The declared scale.
        scale: u8,
        /// Whether the value was infinite.
        infinite: bool,
    },
    /// A numeric has more than 39 digits before its point.
    #[error("value overflows numeric format")]
    NumericOverflow,
    /// A division by zero.
    #[error("division by zero")]
    DivisionByZero,
    /// NaN or an infinity has no value of an integer type.
    #[error("cannot convert {value} to {typ}")]
    CannotConvert {
        /// `NaN` or `infinity`.
        value: Box<str>,
        /// The type.
        typ: Box<str>,
    },
    /// A number does not fit the named integer type.
    #[error("{0} out of range")]
    IntegerOutOfRange(Box<str>),
    /// A number does not fit the named float type.
    #[error("{0}")]
    FloatOutOfRange(Box<str>),
}

impl AdtError {
    /// The SQLSTATE.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            AdtError::DateOutOfRange
            | AdtError::DateOutOfRangeForTimestamp
            | AdtError::InfiniteDates
            | AdtError::InfiniteTimestamps
            | AdtError::TimestampOutOfRange
            | AdtError::IntervalOutOfRange
            | AdtError::TimeOutOfRange
            | AdtError::DatetimeFieldOutOfRange(_) => "22008",
            AdtError::UnknownTimeZone(_) | AdtError::UnitNotRecognized { .. } => "22023",
            AdtError::UnitNotSupported { .. } | AdtError::CannotConvert { .. } => "0A000",
            AdtError::NumericFieldOverflow { .. }
            | AdtError::NumericOverflow
            | AdtError::IntegerOutOfRange(_)
            | AdtError::FloatOutOfRange(_) => "22003",
            AdtError::DivisionByZero => "22012",
        }
    }

    /// The detail that goes with the message, if any.
    pub fn detail(&self) -> Option<String> {
        match self {
            AdtError::NumericFieldOverflow { precision, scale, infinite: true } => Some(format!(
                "A field with precision {precision}, scale {scale} cannot hold an infinite value."
            )),
            AdtError::NumericFieldOverflow { precision, scale, infinite: false } => {
                let digits = i16::from(*precision) - i16::from(*scale);
                let bound = if digits == 0 { "1".to_owned() } else { format!("10^{digits}") };
                Some(format!(
                    "A field with precision {precision}, scale {scale} must round to an absolute value less than {bound}."
                ))
            }
            _ => None,
        }
    }
}
