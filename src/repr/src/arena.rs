//! An arena for the temporary values of expression evaluation.

use elsa::FrozenVec;

use crate::datum::Datum;
use crate::row::{Row, RowPacker};

/// Owns temporary strings, bytes and packed datums, and lends them for as long as it lives itself.
#[derive(Default)]
pub struct RowArena {
    buffers: FrozenVec<Box<[u8]>>,
    strings: FrozenVec<Box<str>>,
}

impl RowArena {
    /// An empty arena.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps a string.
    pub fn push_string(&self, s: impl Into<Box<str>>) -> &str {
        self.strings.push_get(s.into())
    }

    /// Keeps bytes.
    pub fn push_bytes(&self, b: impl Into<Box<[u8]>>) -> &[u8] {
        self.buffers.push_get(b.into())
    }

    /// Keeps a packed row of one datum and returns that datum.
    ///
    /// # Panics
    /// When the row is empty.
    pub fn push_unary_row(&self, row: Row) -> Datum<'_> {
        let bytes = self.push_bytes(row.into_bytes());
        crate::row::read_first(bytes).expect("the row holds one datum")
    }

    /// Packs one datum with `f` and returns it.
    ///
    /// # Panics
    /// When `f` packs nothing.
    pub fn make_datum<F: FnOnce(&mut RowPacker<'_>)>(&self, f: F) -> Datum<'_> {
        let mut row = Row::default();
        f(&mut row.packer());
        self.push_unary_row(row)
    }

    /// As [`RowArena::make_datum`] for an `f` that may fail.
    pub fn try_make_datum<E, F: FnOnce(&mut RowPacker<'_>) -> Result<(), E>>(
        &self,
        f: F,
    ) -> Result<Datum<'_>, E> {
        let mut row = Row::default();
        f(&mut row.packer())?;
        Ok(self.push_unary_row(row))
    }

    /// Drops everything kept, so that the arena can serve the next row.
    pub fn clear(&mut self) {
        self.buffers.as_mut().clear();
        self.strings.as_mut().clear();
    }
}
