//! PostgreSQL binary formats of values, both ways, for every [`crate::ScalarType`].
//!
//! [`encode`] is the type's send function, [`decode`] its receive function. Types that PostgreSQL lacks: `uint2`,
//! `uint4` and `uint8` are 2, 4 and 8 bytes, big-endian; `mz_timestamp` is 8; `list` has an array's format with at
//! most one dimension; `map` is a count of entries (4 bytes), then each key and value with its length in front.

mod decode;
mod encode;
mod numeric;

pub use decode::decode;
pub use encode::encode;

/// Flags of a range: it holds nothing.
const RANGE_EMPTY: u8 = 0x01;
/// The lower bound belongs to the range.
const RANGE_LOWER_INC: u8 = 0x02;
/// The upper bound belongs to the range.
const RANGE_UPPER_INC: u8 = 0x04;
/// There is no lower bound.
const RANGE_LOWER_INF: u8 = 0x08;
/// There is no upper bound.
const RANGE_UPPER_INF: u8 = 0x10;

/// The version byte in front of a `jsonb`.
const JSONB_VERSION: u8 = 1;
/// The version that begins the binary form of a `jsonpath`.
const JSONPATH_VERSION: u8 = 1;
