//! Rows in arrangements: their bytes back to back.
//!
//! A batch of an arrangement keeps all of its keys in one byte string with an offset for each, and likewise its values. A
//! row costs its bytes and four more (eight beyond 4 GiB), and scans are sequential in memory.

use differential_dataflow::trace::implementations::{BatchContainer, OffsetList};
use hw_repr::row::iter_packed;
use hw_repr::{Datum, Row};
use timely::container::PushInto;

/// The bytes of a row in an arrangement. The order is that of [`Row`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowRef<'a>(pub(crate) &'a [u8]);

impl<'a> RowRef<'a> {
    /// The packed bytes.
    pub(crate) fn data(self) -> &'a [u8] {
        self.0
    }

    /// The datums in order.
    pub(crate) fn iter(self) -> impl Iterator<Item = Datum<'a>> {
        iter_packed(self.0)
    }

    /// A row of its own.
    pub(crate) fn to_row(self) -> Row {
        Row::from_trusted_bytes(self.0)
    }
}

impl<'a> PartialEq<&'a Row> for RowRef<'a> {
    fn eq(&self, other: &&'a Row) -> bool {
        self.0 == other.data()
    }
}

/// A list of rows.
#[derive(Debug)]
pub(crate) struct RowContainer {
    bytes: Vec<u8>,
    /// Where each row ends; it begins where the one before ends.
    ends: OffsetList,
}

impl RowContainer {
    fn push(&mut self, row: &[u8]) {
        self.bytes.extend_from_slice(row);
        self.ends.push(self.bytes.len());
    }
}

impl PushInto<Row> for RowContainer {
    fn push_into(&mut self, row: Row) {
        self.push(row.data());
    }
}

impl BatchContainer for RowContainer {
    type Owned = Row;
    type ReadItem<'a> = RowRef<'a>;

    fn into_owned(item: RowRef<'_>) -> Row {
        item.to_row()
    }

    fn push_ref(&mut self, item: RowRef<'_>) {
        self.push(item.0);
    }

    fn push_own(&mut self, item: &Row) {
        self.push(item.data());
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn with_capacity(size: usize) -> Self {
        RowContainer { bytes: Vec::new(), ends: OffsetList::with_capacity(size) }
    }

    fn merge_capacity(a: &Self, b: &Self) -> Self {
        RowContainer {
            bytes: Vec::with_capacity(a.bytes.len() + b.bytes.len()),
            ends: OffsetList::with_capacity(a.ends.len() + b.ends.len()),
        }
    }

    fn reborrow<'b, 'a: 'b>(item: RowRef<'a>) -> RowRef<'b> {
        item
    }

    fn index(&self, index: usize) -> RowRef<'_> {
        let start = if index == 0 { 0 } else { self.ends.index(index - 1) };
        RowRef(&self.bytes[start..self.ends.index(index)])
    }

    fn len(&self) -> usize {
        self.ends.len()
    }
}

/// The hash by which rows are spread over workers and buckets.
pub(crate) fn hash_bytes(bytes: &[u8]) -> u64 {
    const K: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut hash = bytes.len() as u64 ^ K;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        hash = (hash.rotate_left(23) ^ u64::from_le_bytes(word)).wrapping_mul(K);
    }
    let mut last = [0; 8];
    last[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
    hash = (hash.rotate_left(23) ^ u64::from_le_bytes(last)).wrapping_mul(K);
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0xD6E8_FEB8_6659_FD93);
    hash ^ (hash >> 29)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back() {
        let rows: Vec<Row> = (0..50i64)
            .map(|i| Row::pack((0..i % 4).map(|j| Datum::Int64(i * 1000 + j)).collect::<Vec<_>>()))
            .collect();
        let mut container = RowContainer::with_capacity(0);
        rows.iter().for_each(|r| container.push_own(r));
        assert_eq!(container.len(), rows.len());
        for (i, row) in rows.iter().enumerate() {
            assert_eq!(&container.index(i).to_row(), row);
            assert!(container.index(i) == row);
        }
    }
}
