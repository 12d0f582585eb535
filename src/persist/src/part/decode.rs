//! Reading parts.

use hw_repr::{Diff, Row, Timestamp};

use super::column::{ColumnReader, offset_width, read_offset};
use super::{Block, MAGIC, PartHeader, RAW_BYTES_MAX, Shape};
use crate::error::PersistError;
use crate::types::{Entry, ErrorPayload, Update};

fn corrupt(what: &str) -> PersistError {
    PersistError::Corrupt(format!("part: {what}"))
}

/// Decodes a part and gives each update to `each`, in order.
pub fn decode_part(bytes: &[u8], each: &mut impl FnMut(Update)) -> Result<(), PersistError> {
    let mut cursor = PartCursor::open(bytes)?;
    while let Some(update) = cursor.next_update()? {
        each(update);
    }
    Ok(())
}

/// Decodes only the header, for its statistics. Also gives the blocks that follow it.
pub fn decode_header(bytes: &[u8]) -> Result<(PartHeader, &[u8]), PersistError> {
    let rest = bytes.strip_prefix(&MAGIC).ok_or_else(|| corrupt("not a part of a known version"))?;
    let (len, rest) = rest.split_first_chunk::<4>().ok_or_else(|| corrupt("too short"))?;
    let (crc, rest) = rest.split_first_chunk::<4>().ok_or_else(|| corrupt("too short"))?;
    let len = u32::from_le_bytes(*len) as usize;
    let (header, blocks) = rest.split_at_checked(len).ok_or_else(|| corrupt("header cut off"))?;
    if crc32fast::hash(header) != u32::from_le_bytes(*crc) {
        return Err(corrupt("header checksum"));
    }
    let header = postcard::from_bytes(header).map_err(|_| corrupt("malformed header"))?;
    Ok((header, blocks))
}

/// Takes a block off `blocks`, checks and decompresses it.
fn take_block(blocks: &mut &[u8], block: Block) -> Result<Vec<u8>, PersistError> {
    let stored = usize::try_from(block.stored).map_err(|_| corrupt("block length"))?;
    let (bytes, rest) = blocks.split_at_checked(stored).ok_or_else(|| corrupt("block cut off"))?;
    *blocks = rest;
    if crc32fast::hash(bytes) != block.crc {
        return Err(corrupt("block checksum"));
    }
    if block.raw == block.stored {
        return Ok(bytes.to_vec());
    }
    // LZ4 compresses at most about 255 times; a larger claim must not make us allocate.
    if block.raw > RAW_BYTES_MAX || block.raw / 256 > block.stored {
        return Err(corrupt("block length"));
    }
    let raw = lz4_flex::block::decompress(bytes, block.raw as usize).map_err(|_| corrupt("compression"))?;
    if raw.len() as u64 == block.raw { Ok(raw) } else { Err(corrupt("block length")) }
}

/// A part being read update by update.
#[derive(Debug)]
pub struct PartCursor {
    shape: Shape,
    columns: Vec<ColumnReader>,
    opaque: Vec<u8>,
    opaque_at: usize,
    errors: Vec<u8>,
    errors_at: usize,
    times: Vec<u8>,
    time_width: usize,
    time_base: Timestamp,
    diffs: Vec<u8>,
    diff_width: usize,
    diff_base: Diff,
    rows: usize,
    len: usize,
    next: usize,
    scratch: Vec<u8>,
}

impl PartCursor {
    /// Checks and decompresses a part.
    pub fn open(bytes: &[u8]) -> Result<PartCursor, PersistError> {
        let (header, mut blocks) = decode_header(bytes)?;
        let rows = usize::try_from(header.rows).map_err(|_| corrupt("row count"))?;
        let errors = usize::try_from(header.errors).map_err(|_| corrupt("error count"))?;
        let len = rows
            .checked_add(errors)
            .filter(|n| *n <= u32::MAX as usize)
            .ok_or_else(|| corrupt("row count"))?;
        let mut columns = Vec::new();
        let mut opaque = Vec::new();
        match (header.shape, header.columns.as_slice()) {
            (Shape::Columnar, headers) => {
                for c in headers {
                    let data = take_block(&mut blocks, c.block)?;
                    let reader = ColumnReader::new(c.encoding, data, rows)
                        .ok_or_else(|| corrupt("malformed column"))?;
                    columns.push(reader);
                }
            }
            (Shape::Opaque, [one]) => opaque = take_block(&mut blocks, one.block)?,
            (Shape::Opaque, _) => return Err(corrupt("column count")),
        }
        let [error_block, time_block, diff_block] = header.tail;
        let error_bytes = take_block(&mut blocks, error_block)?;
        let times = take_block(&mut blocks, time_block)?;
        let diffs = take_block(&mut blocks, diff_block)?;
        let time_width = offset_width(header.times.1.wrapping_sub(header.times.0));
        let diff_width = offset_width(header.diffs.1.wrapping_sub(header.diffs.0) as u64);
        if times.len() != len * time_width || diffs.len() != len * diff_width {
            return Err(corrupt("times or diffs cut off"));
        }
        Ok(PartCursor {
            shape: header.shape,
            columns,
            opaque,
            opaque_at: 0,
            errors: error_bytes,
            errors_at: 0,
            times,
            time_width,
            time_base: header.times.0,
            diffs,
            diff_width,
            diff_base: header.diffs.0,
            rows,
            len,
            next: 0,
            scratch: Vec::new(),
        })
    }

    /// The next update; `None` at the end.
    pub fn next_update(&mut self) -> Result<Option<Update>, PersistError> {
        let i = self.next;
        if i == self.len {
            return Ok(None);
        }
        self.next += 1;
        let ts = self.time_base.wrapping_add(read_offset(&self.times, self.time_width, i));
        let diff = self.diff_base.wrapping_add(read_offset(&self.diffs, self.diff_width, i) as i64);
        Ok(Some((self.next_entry(i)?, ts, diff)))
    }

    fn next_entry(&mut self, i: usize) -> Result<Entry, PersistError> {
        if i >= self.rows {
            let bytes =
                take_item(&self.errors, &mut self.errors_at).ok_or_else(|| corrupt("error cut off"))?;
            return Ok(Err(ErrorPayload::new(bytes)));
        }
        if self.shape == Shape::Opaque {
            let bytes = take_item(&self.opaque, &mut self.opaque_at).ok_or_else(|| corrupt("row cut off"))?;
            return Ok(Ok(Row::from_untrusted_bytes(bytes).ok_or_else(|| corrupt("malformed row"))?));
        }
        self.scratch.clear();
        for column in &mut self.columns {
            column.next_into(&mut self.scratch).ok_or_else(|| corrupt("malformed column"))?;
        }
        // Each datum has been checked where it was split off.
        Ok(Ok(Row::from_trusted_bytes(&self.scratch)))
    }
}

fn take_item<'a>(data: &'a [u8], at: &mut usize) -> Option<&'a [u8]> {
    let rest = data.get(*at..)?;
    let len = u32::from_le_bytes(*rest.first_chunk::<4>()?) as usize;
    let item = rest.get(4..4usize.checked_add(len)?)?;
    *at += 4 + len;
    Some(item)
}
