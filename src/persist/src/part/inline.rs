//! The encoding of batches that are too small for a part: updates back to back.
//!
//! ```text
//! crc u32 of the rest, then for each update: time u64, diff i64, kind u8 (0 row, 1 error), length u32, bytes
//! ```

use bytes::Bytes;
use hw_repr::Row;

use crate::error::PersistError;
use crate::types::{ErrorPayload, Update};

const HEAD: usize = 8 + 8 + 1 + 4;

/// Encodes updates.
pub fn encode(updates: &[Update]) -> Bytes {
    let mut out = vec![0; 4];
    for (entry, ts, diff) in updates {
        let (kind, bytes) = match entry {
            Ok(row) => (0, row.data()),
            Err(e) => (1, e.as_bytes()),
        };
        out.extend_from_slice(&ts.to_le_bytes());
        out.extend_from_slice(&diff.to_le_bytes());
        out.push(kind);
        out.extend_from_slice(&u32::try_from(bytes.len()).expect("an entry is under 4 GiB").to_le_bytes());
        out.extend_from_slice(bytes);
    }
    let crc = crc32fast::hash(&out[4..]);
    out[..4].copy_from_slice(&crc.to_le_bytes());
    Bytes::from(out)
}

/// Decodes updates and gives each to `each`.
pub fn decode(bytes: &[u8], each: &mut impl FnMut(Update)) -> Result<(), PersistError> {
    let corrupt = |what: &str| PersistError::Corrupt(format!("inline batch: {what}"));
    let (crc, mut rest) = bytes.split_first_chunk::<4>().ok_or_else(|| corrupt("too short"))?;
    if crc32fast::hash(rest) != u32::from_le_bytes(*crc) {
        return Err(corrupt("checksum"));
    }
    while !rest.is_empty() {
        let (head, tail) = rest.split_first_chunk::<HEAD>().ok_or_else(|| corrupt("update cut off"))?;
        let word = |at: usize| <[u8; 8]>::try_from(&head[at..at + 8]).expect("8 of the head's bytes");
        let len = u32::from_le_bytes([head[17], head[18], head[19], head[20]]) as usize;
        let (data, tail) = tail.split_at_checked(len).ok_or_else(|| corrupt("entry cut off"))?;
        let entry = match head[16] {
            0 => Ok(Row::from_untrusted_bytes(data).ok_or_else(|| corrupt("malformed row"))?),
            1 => Err(ErrorPayload::new(data)),
            _ => return Err(corrupt("unknown kind of entry")),
        };
        each((entry, u64::from_le_bytes(word(0)), i64::from_le_bytes(word(8))));
        rest = tail;
    }
    Ok(())
}
