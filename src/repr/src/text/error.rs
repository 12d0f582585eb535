//! What can be wrong with the text or bytes of a value, in PostgreSQL's words.

use serde::{Deserialize, Serialize};

use crate::adt::AdtError;

/// Why a value was refused. It fixes the SQLSTATE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ParseErrorKind {
    /// The text is no value of the type (22P02).
    InvalidText,
    /// A number is outside of the type's range (22003).
    NumericOutOfRange,
    /// The text is no date, time or interval (22007).
    InvalidDatetime,
    /// A date or time is outside of the range (22008).
    DatetimeOverflow,
    /// An interval is outside of the range (22015).
    IntervalOverflow,
    /// A time zone offset is outside of the range (22009).
    InvalidTimeZone,
    /// A parameter has no such value, for example a time zone's name (22023).
    InvalidParameter,
    /// A string is longer than the type allows (22001).
    StringTooLong,
    /// A string holds what the encoding cannot (22021).
    InvalidEncoding,
    /// A character cannot be kept, such as U+0000 (22P05).
    UntranslatableCharacter,
    /// The bounds of a range are in the wrong order (22000).
    RangeBounds,
    /// There are too many elements or levels (54000).
    LimitExceeded,
    /// Array dimensions do not fit together (2202E).
    ArraySubscript,
    /// Binary data is of another type (42804).
    DatatypeMismatch,
    /// Binary data is not of the type's format (22P03).
    InvalidBinary,
    /// A message ended too soon (08P01).
    ProtocolViolation,
    /// The text, such as `now` or `today`, stands for the current time, and the [`super::DecodeContext`] has none.
    Volatile,
    /// The text does not follow the grammar of a language that the type holds (42601).
    Syntax,
    /// The text nests deeper than is allowed (54001).
    TooComplex,
    /// What the text asks for is not supported (0A000).
    NotSupported,
}

/// A value was refused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    /// The family of the error.
    pub kind: ParseErrorKind,
    /// The primary message.
    pub message: Box<str>,
    /// The detail, if any.
    pub detail: Option<Box<str>>,
    /// The hint, if any.
    pub hint: Option<Box<str>>,
}

impl ParseError {
    /// An error without detail or hint.
    pub fn new(kind: ParseErrorKind, message: impl Into<Box<str>>) -> Self {
        ParseError { kind, message: message.into(), detail: None, hint: None }
    }

    /// The same with a detail.
    pub fn with_detail(mut self, detail: impl Into<Box<str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same with a hint.
    pub fn with_hint(mut self, hint: impl Into<Box<str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// `invalid input syntax for type …: "…"`, 22P02.
    pub fn invalid_syntax(type_name: &str, input: &str) -> Self {
        Self::new(
            ParseErrorKind::InvalidText,
            format!("invalid input syntax for type {type_name}: \"{input}\""),
        )
    }

    /// `value "…" is out of range for type …`, 22003.
    pub fn out_of_range(type_name: &str, input: &str) -> Self {
        Self::new(
            ParseErrorKind::NumericOutOfRange,
            format!("value \"{input}\" is out of range for type {type_name}"),
        )
    }

    /// `incorrect binary data format`, 22P03, or a more precise message.
    pub fn invalid_binary(message: impl Into<Box<str>>) -> Self {
        Self::new(ParseErrorKind::InvalidBinary, message)
    }

    /// The SQLSTATE.
    pub fn sqlstate(&self) -> &'static str {
        match self.kind {
            ParseErrorKind::InvalidText => "22P02",
            ParseErrorKind::NumericOutOfRange => "22003",
            ParseErrorKind::InvalidDatetime => "22007",
            ParseErrorKind::DatetimeOverflow => "22008",
            ParseErrorKind::IntervalOverflow => "22015",
            ParseErrorKind::InvalidTimeZone => "22009",
            ParseErrorKind::InvalidParameter => "22023",
            ParseErrorKind::StringTooLong => "22001",
            ParseErrorKind::InvalidEncoding => "22021",
            ParseErrorKind::UntranslatableCharacter => "22P05",
            ParseErrorKind::RangeBounds => "22000",
            ParseErrorKind::LimitExceeded => "54000",
            ParseErrorKind::ArraySubscript => "2202E",
            ParseErrorKind::DatatypeMismatch => "42804",
            ParseErrorKind::InvalidBinary => "22P03",
            ParseErrorKind::ProtocolViolation => "08P01",
            ParseErrorKind::Volatile | ParseErrorKind::NotSupported => "0A000",
            ParseErrorKind::Syntax => "42601",
            ParseErrorKind::TooComplex => "54001",
        }
    }
}

impl From<AdtError> for ParseError {
    fn from(e: AdtError) -> Self {
        let kind = match e {
            AdtError::DateOutOfRange
            | AdtError::DateOutOfRangeForTimestamp
            | AdtError::InfiniteDates
            | AdtError::InfiniteTimestamps
            | AdtError::TimestampOutOfRange
            | AdtError::IntervalOutOfRange
            | AdtError::TimeOutOfRange
            | AdtError::DatetimeFieldOutOfRange(_) => ParseErrorKind::DatetimeOverflow,
            AdtError::UnknownTimeZone(_)
            | AdtError::UnitNotRecognized { .. }
            | AdtError::UnitNotSupported { .. }
            | AdtError::CannotConvert { .. } => ParseErrorKind::InvalidParameter,
            AdtError::NumericFieldOverflow { .. }
            | AdtError::NumericOverflow
            | AdtError::DivisionByZero
            | AdtError::IntegerOutOfRange(_)
            | AdtError::FloatOutOfRange(_) => ParseErrorKind::NumericOutOfRange,
        };
        let detail = e.detail();
        let error = ParseError::new(kind, e.to_string());
        match detail {
            Some(d) => error.with_detail(d),
            None => error,
        }
    }
}
