//! Threshold: only rows of positive multiplicity.

use std::rc::Rc;

use hw_repr::Row;

use super::Collection;
use super::arrange::arrange_pairs;
use super::reduce::reduce_rows;
use crate::time::RenderTime;

/// Renders `Threshold`.
pub(crate) fn render<'scope, T: RenderTime>(input: Collection<'scope, T>) -> Collection<'scope, T> {
    let rows = arrange_pairs(input.oks.map(|row| (row, Row::default())), "ArrangeThreshold");
    let positive = reduce_rows(
        rows,
        "Threshold",
        Rc::new(|_, rows, out| {
            let count = rows[0].1;
            if count > 0 {
                out.push((Row::default(), count));
            }
            Ok(())
        }),
    );
    Collection { oks: positive.as_collection(|key, _| key.to_row()), errs: input.errs }
}
