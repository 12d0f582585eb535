//! Writing parts.

use bytes::Bytes;
use hw_repr::row::split_packed;

use super::column::{encode as encode_column, encode_offsets};
use super::{Block, ColumnHeader, ColumnStats, Encoding, MAGIC, PartHeader, Shape};
use crate::types::{ErrorPayload, Update};

/// Encodes updates as a part. They must be sorted and consolidated; there must be fewer than 2^32, of rows of under
/// 1 GiB in all.
pub fn encode_part(updates: &[Update]) -> Bytes {
    debug_assert!(updates.windows(2).all(|w| (&w[0].0, w[0].1) < (&w[1].0, w[1].1)), "parts are sorted");
    let rows = updates.partition_point(|u| u.0.is_ok());
    let row_bytes: Vec<&[u8]> =
        updates[..rows].iter().filter_map(|u| u.0.as_ref().ok()).map(|r| r.data()).collect();
    let errors: Vec<&[u8]> =
        updates[rows..].iter().filter_map(|u| u.0.as_ref().err()).map(ErrorPayload::as_bytes).collect();

    let mut out = Out::default();
    let (shape, columns) = match split_columns(&row_bytes) {
        Some(columns) => (Shape::Columnar, columns.iter().map(|values| out.column(values)).collect()),
        None => (Shape::Opaque, vec![out.opaque(&row_bytes)]),
    };
    let times = (
        updates.iter().map(|u| u.1).min().unwrap_or_default(),
        updates.iter().map(|u| u.1).max().unwrap_or_default(),
    );
    let diffs = (
        updates.iter().map(|u| u.2).min().unwrap_or_default(),
        updates.iter().map(|u| u.2).max().unwrap_or_default(),
    );
    let time_offsets = encode_offsets(updates.iter().map(|u| u.1 - times.0), times.1 - times.0);
    let diff_span = diffs.1.wrapping_sub(diffs.0) as u64;
    let diff_offsets = encode_offsets(updates.iter().map(|u| u.2.wrapping_sub(diffs.0) as u64), diff_span);
    let tail = [out.block(&with_lengths(&errors)), out.block(&time_offsets), out.block(&diff_offsets)];

    let header =
        PartHeader { rows: rows as u64, errors: errors.len() as u64, times, diffs, shape, columns, tail };
    let header = postcard::to_stdvec(&header).expect("a header can be serialized");
    let mut part = Vec::with_capacity(16 + header.len() + out.bytes.len());
    part.extend_from_slice(&MAGIC);
    part.extend_from_slice(&(header.len() as u32).to_le_bytes());
    part.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
    part.extend_from_slice(&header);
    part.extend_from_slice(&out.bytes);
    Bytes::from(part)
}

/// The blocks written so far.
#[derive(Default)]
struct Out {
    bytes: Vec<u8>,
}

impl Out {
    fn block(&mut self, raw: &[u8]) -> Block {
        let start = self.bytes.len();
        let compressed = if raw.len() > 32 { lz4_flex::block::compress(raw) } else { Vec::new() };
        let smaller = !compressed.is_empty() && compressed.len() < raw.len();
        self.bytes.extend_from_slice(if smaller { &compressed } else { raw });
        let stored = &self.bytes[start..];
        Block { raw: raw.len() as u64, stored: stored.len() as u64, crc: crc32fast::hash(stored) }
    }

    fn column(&mut self, values: &[&[u8]]) -> ColumnHeader {
        let (encoding, raw, stats) = encode_column(values);
        ColumnHeader { encoding, block: self.block(&raw), stats }
    }

    fn opaque(&mut self, rows: &[&[u8]]) -> ColumnHeader {
        let block = self.block(&with_lengths(rows));
        ColumnHeader { encoding: Encoding::Plain, block, stats: ColumnStats::default() }
    }
}

fn with_lengths(items: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(items.iter().map(|i| i.len() + 4).sum());
    for item in items {
        out.extend_from_slice(&(item.len() as u32).to_le_bytes());
        out.extend_from_slice(item);
    }
    out
}

/// The packed datums of each column; `None` when rows differ in their number of fields.
fn split_columns<'a>(rows: &[&'a [u8]]) -> Option<Vec<Vec<&'a [u8]>>> {
    let mut columns: Vec<Vec<&[u8]>> = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        let mut rest = *row;
        let mut column = 0;
        while !rest.is_empty() {
            let (datum, tail) = split_packed(rest)?;
            if i == 0 {
                columns.push(Vec::with_capacity(rows.len()));
            }
            columns.get_mut(column)?.push(datum);
            column += 1;
            rest = tail;
        }
        if column != columns.len() {
            return None;
        }
    }
    Some(columns)
}
