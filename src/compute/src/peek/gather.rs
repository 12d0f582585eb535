//! Gathering an answer in bounded memory.

use std::cmp::Ordering;

use hw_expr::{EvalError, RowSetFinishing};
use hw_repr::{ColumnOrder, Datum, Row, compare_rows_by};

use super::too_large;

/// What each row costs besides its bytes.
const ROW_OVERHEAD: u64 = 16;

/// Rows with multiplicities, no more than the finishing's order, limit and offset need.
pub(crate) struct Gather {
    rows: Vec<(Row, u64)>,
    bytes: u64,
    max_bytes: u64,
    order: Vec<ColumnOrder>,
    /// Limit and offset together.
    wanted: Option<u64>,
    /// The sum of multiplicities.
    count: u64,
}

impl Gather {
    pub(crate) fn new(finishing: &RowSetFinishing, max_bytes: u64) -> Gather {
        Gather {
            rows: vec![],
            bytes: 0,
            max_bytes,
            order: finishing.order_by.clone(),
            wanted: finishing.limit.map(|limit| limit.saturating_add(finishing.offset)),
            count: 0,
        }
    }

    /// Adds a row; returns whether more rows may matter.
    pub(crate) fn push(&mut self, row: Row, count: u64) -> Result<bool, EvalError> {
        if self.wanted == Some(0) {
            return Ok(false);
        }
        self.bytes += row.data().len() as u64 + ROW_OVERHEAD;
        self.count = self.count.saturating_add(count);
        self.rows.push((row, count));
        if self.order.is_empty() && self.wanted.is_some_and(|wanted| self.count >= wanted) {
            return Ok(false);
        }
        let doubled =
            self.wanted.is_some_and(|wanted| self.rows.len() as u64 > wanted.saturating_mul(2).max(1024));
        if doubled || self.bytes > self.max_bytes {
            self.shrink();
            if self.bytes > self.max_bytes {
                return Err(too_large(self.max_bytes));
            }
        }
        Ok(true)
    }

    /// The answer.
    pub(crate) fn finish(mut self) -> Vec<(Row, u64)> {
        self.shrink();
        self.rows
    }

    /// Leaves out what comes after the rows that are wanted.
    fn shrink(&mut self) {
        let Some(wanted) = self.wanted else { return };
        if self.count <= wanted {
            return;
        }
        let order = &self.order;
        self.rows.sort_by(|(a, _), (b, _)| compare(order, a, b));
        let mut left = wanted;
        let mut kept = 0;
        for (_, count) in &mut self.rows {
            if left == 0 {
                break;
            }
            *count = left.min(*count);
            left -= *count;
            kept += 1;
        }
        self.rows.truncate(kept);
        self.count = wanted - left;
        self.bytes = self.rows.iter().map(|(row, _)| row.data().len() as u64 + ROW_OVERHEAD).sum();
    }
}

fn compare(order: &[ColumnOrder], a: &Row, b: &Row) -> Ordering {
    if order.is_empty() {
        return a.cmp(b);
    }
    let (left, right): (Vec<Datum<'_>>, Vec<Datum<'_>>) = (a.iter().collect(), b.iter().collect());
    compare_rows_by(order, &left, &right, || a.cmp(b))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn row(v: i64) -> Row {
        Row::pack_slice(&[Datum::Int64(v)])
    }

    #[test]
    fn keeps_the_first_rows_and_refuses_what_is_too_large() {
        let order = vec![ColumnOrder { column: 0, desc: true, nulls_last: true }];
        let finishing = RowSetFinishing { order_by: order, limit: Some(3), offset: 1, project: vec![0] };
        let mut gather = Gather::new(&finishing, 1 << 20);
        for v in 0..5000 {
            assert!(gather.push(row(v % 2500), 1).unwrap());
        }
        let rows = gather.finish();
        assert_eq!(rows, vec![(row(2499), 1), (row(2499), 1), (row(2498), 1), (row(2498), 1)]);

        let mut gather = Gather::new(&RowSetFinishing::trivial(1), 100);
        let full = (0..100).find_map(|v| gather.push(row(v), 1).err()).unwrap();
        assert_eq!(full.to_string(), "result exceeds max size of 100 B");
    }
}
