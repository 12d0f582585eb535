//! The format of parts, and of small batches kept in shard states.
//!
//! A part is an immutable, sorted, consolidated run of updates, columnar by field:
//!
//! ```text
//! ┌──────────────┬────────────┬────────────┬─────────────────────────────────┐
//! │ "HWPART\x00\x01" │ header len │ header crc │ header (postcard)               │
//! │ 8 bytes      │ u32 LE     │ u32 LE     │ rows, errors, times, diffs, and │
//! │              │            │            │ for each block: encoding, raw   │
//! │              │            │            │ and stored length, crc; for     │
//! │              │            │            │ each column: nulls, min, max    │
//! ├──────────────┴────────────┴────────────┴─────────────────────────────────┤
//! │ column 0 │ column 1 │ … │ errors │ times │ diffs      each block lz4 if smaller │
//! └──────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Updates are in the order of (rows before errors, bytes of the row or error, time). All rows of a part have the same
//! number of fields; where they do not, a part stores each row as one opaque column ([`Shape::Opaque`]).
//!
//! A column's values are packed datums ([`hw_repr::Row`]), which say their own length, in one of the encodings:
//!
//! ```text
//! constant     the one datum
//! plain        datums back to back
//! fixed        tag once, then the payloads, which all have the same length
//! dictionary   count u16, distinct datums back to back, then a code for each row: u8, or u16 above 256 of them
//! ```
//!
//! Times and diffs are integers as offsets from their least, in 0, 1, 2, 4 or 8 bytes each. Errors are lengths (u32)
//! and bytes.
//!
//! Decoding checks lengths, checksums and every datum, and never panics. The last byte of the magic is the version.

mod column;
mod decode;
mod encode;
pub mod inline;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use hw_repr::{Diff, Timestamp};
use serde::{Deserialize, Serialize};

pub use column::Encoding;
pub use decode::{PartCursor, decode_header, decode_part};
pub use encode::encode_part;

use crate::types::Update;

/// First bytes of a part; the last one is the version.
pub const MAGIC: [u8; 8] = *b"HWPART\x00\x01";

/// Min and max of a column are left out (max) or cut (min) beyond so many bytes.
pub const STAT_BYTES_MAX: usize = 64;

/// No block is larger than this before compression.
const RAW_BYTES_MAX: u64 = 1 << 30;

/// The header of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartHeader {
    /// How many updates of rows.
    pub rows: u64,
    /// How many updates of errors; they come after the rows.
    pub errors: u64,
    /// Least and greatest time.
    pub times: (Timestamp, Timestamp),
    /// Least and greatest diff.
    pub diffs: (Diff, Diff),
    /// How rows are laid out.
    pub shape: Shape,
    /// The columns (or the one opaque column).
    pub columns: Vec<ColumnHeader>,
    /// The blocks of errors, times and diffs.
    pub tail: [Block; 3],
}

/// How the rows of a part are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// A block for each field.
    Columnar,
    /// One block of row lengths (u32) and bytes.
    Opaque,
}

/// A block of bytes in a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Length before compression.
    pub raw: u64,
    /// Length in the part; equal to `raw` when it is not compressed.
    pub stored: u64,
    /// CRC-32 of the stored bytes.
    pub crc: u32,
}

/// A column of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnHeader {
    /// How values are encoded.
    pub encoding: Encoding,
    /// Its block.
    pub block: Block,
    /// What is known of its values.
    pub stats: ColumnStats,
}

/// What is known of the values of a column.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnStats {
    /// How many are NULL.
    pub nulls: u64,
    /// A packed datum that no value other than NULL is less than, if known.
    pub min: Option<Bytes>,
    /// A packed datum that no value other than NULL is greater than, if known.
    pub max: Option<Bytes>,
}

/// About how many bytes an update takes in memory.
pub(crate) fn update_bytes((entry, _, _): &Update) -> usize {
    let entry = match entry {
        Ok(row) => row.byte_len(),
        Err(e) => e.as_bytes().len() + 32,
    };
    entry + size_of::<Timestamp>() + size_of::<Diff>()
}

/// Sorts updates and adds up those that are equal but for the diff. Diffs wrap, as differential dataflow's do.
pub(crate) fn consolidate(updates: &mut Vec<Update>) {
    let sorted = updates.windows(2).all(|w| (&w[0].0, w[0].1) < (&w[1].0, w[1].1));
    if !sorted {
        updates.sort_unstable_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        updates.dedup_by(|next, kept| {
            let same = next.1 == kept.1 && next.0 == kept.0;
            if same {
                kept.2 = kept.2.wrapping_add(next.2);
            }
            same
        });
    }
    updates.retain(|u| u.2 != 0);
}
