//! Orders over rows, as ORDER BY states them.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::datum::Datum;

/// One ORDER BY item over a column position.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ColumnOrder {
    /// The column's position.
    pub column: usize,
    /// Whether greater values come first.
    pub desc: bool,
    /// Whether NULLs come after all other values.
    pub nulls_last: bool,
}

/// Compares two rows by `order`; rows equal under it are then ordered by `tiebreaker`.
pub fn compare_rows_by<'a, F>(
    order: &[ColumnOrder],
    left: &[Datum<'a>],
    right: &[Datum<'a>],
    tiebreaker: F,
) -> Ordering
where
    F: FnOnce() -> Ordering,
{
    for o in order {
        let (l, r) = (left[o.column], right[o.column]);
        let cmp = match (l.is_null(), r.is_null()) {
            (true, true) => Ordering::Equal,
            (true, false) if o.nulls_last => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, true) if o.nulls_last => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) if o.desc => r.cmp(&l),
            (false, false) => l.cmp(&r),
        };
        if cmp != Ordering::Equal {
            return cmp;
        }
    }
    tiebreaker()
}
