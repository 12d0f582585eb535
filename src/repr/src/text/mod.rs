//! PostgreSQL text formats of values, both ways, for every [`crate::ScalarType`].
//!
//! [`encode`] is the type's output function, [`decode`] its input function. Both are pure: the session's settings
//! that matter arrive in a context. Formats are those of PostgreSQL 15 with `DateStyle = ISO, MDY`,
//! `IntervalStyle = postgres`, `bytea_output = hex` and `extra_float_digits = 1`.
//!
//! A type's modifiers (length, precision, scale) are applied by [`decode`] as on assignment: a string that is too
//! long is an error unless the excess is blanks, a numeric is rounded to its scale. An explicit cast, which
//! truncates, decodes [`crate::ScalarType::without_modifiers`] and then coerces.
//!
//! Texts of `list` and `map` follow the array's rules of quoting: `{1,2}`, `{a=>1,b=>NULL}`; lists and maps inside
//! of them stand without quotes.

pub mod array;
pub mod composite;
pub mod datetime;
pub mod decode;
pub mod encode;
pub mod error;
pub mod interval;
pub mod range;
pub mod scalar;

pub use decode::{DecodeContext, decode, decode_with};
pub use encode::{EncodeContext, encode, encode_with, to_string};
pub use error::{ParseError, ParseErrorKind};
