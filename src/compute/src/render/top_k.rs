//! The first rows of each group.

use std::cmp::Ordering;
use std::rc::Rc;

use hw_expr::{EvalError, MirScalarExpr};
use hw_plan::lir::TopKPlan;
use hw_repr::{ColumnOrder, Datum, Diff, Row, RowArena, compare_rows_by};

use super::Collection;
use super::hierarchical::{in_buckets, levels};
use super::mfp::flat_map_rows;
use super::reduce::check_positive;
use crate::row_container::RowRef;
use crate::time::RenderTime;

/// Renders `TopK`.
pub(crate) fn render<'scope, T: RenderTime>(
    input: Collection<'scope, T>,
    plan: &TopKPlan,
    one_off: bool,
) -> Collection<'scope, T> {
    let group_key = plan.group_key.clone();
    let (pairs, errs) = flat_map_rows(
        input.oks,
        "TopKKey",
        Box::new(move |row: Row, time, diff, oks, _errs| {
            let key = {
                let datums: smallvec::SmallVec<[Datum<'_>; 16]> = row.iter().collect();
                Row::pack(group_key.iter().map(|c| datums[*c]))
            };
            oks.push(((key, row), time, diff));
        }),
    );
    let errs = input.errs.concat(errs);
    let first = Rc::new(First {
        order: plan.order_key.clone(),
        limit: plan.limit.clone(),
        offset: plan.offset as Diff,
    });
    // Without limit, nothing can be left out before the end.
    let buckets = match plan.limit {
        None => &[],
        Some(_) => levels(&plan.buckets, plan.monotonic, one_off),
    };
    let (each, last) = (Rc::clone(&first), first);
    let (oks, more) = in_buckets(
        pairs,
        buckets,
        "TopK",
        Rc::new(move |_, rows, out| each.pick(rows, out, false)),
        Rc::new(move |_, rows, out| last.pick(rows, out, true)),
    );
    Collection { oks: oks.as_collection(|_, row| row.to_row()), errs: errs.concat(more) }
}

/// Which rows are first.
struct First {
    order: Vec<ColumnOrder>,
    limit: Option<MirScalarExpr>,
    offset: Diff,
}

impl First {
    /// The first rows; those before the offset are left out if `skip`.
    fn pick(
        &self,
        rows: &[(RowRef<'_>, Diff)],
        out: &mut Vec<(Row, Diff)>,
        skip: bool,
    ) -> Result<(), EvalError> {
        check_positive(rows)?;
        let mut wanted = self.limit_of(rows[0].0)?.map(|limit| limit.saturating_add(self.offset));
        let mut skipped = if skip { self.offset } else { 0 };
        let mut sorted: Vec<(Vec<Datum<'_>>, RowRef<'_>, Diff)> =
            rows.iter().map(|(row, diff)| (row.iter().collect(), *row, *diff)).collect();
        sorted.sort_by(|a, b| self.compare(a, b));
        for (_, row, count) in sorted {
            let mut count = match &mut wanted {
                None => count,
                Some(0) => break,
                Some(left) => {
                    let taken = count.min(*left);
                    *left -= taken;
                    taken
                }
            };
            let dropped = skipped.min(count);
            skipped -= dropped;
            count -= dropped;
            if count > 0 {
                out.push((row.to_row(), count));
            }
        }
        Ok(())
    }

    fn compare(
        &self,
        a: &(Vec<Datum<'_>>, RowRef<'_>, Diff),
        b: &(Vec<Datum<'_>>, RowRef<'_>, Diff),
    ) -> Ordering {
        compare_rows_by(&self.order, &a.0, &b.0, || a.1.cmp(&b.1))
    }

    /// The limit, which is the same for all rows of a group.
    fn limit_of(&self, row: RowRef<'_>) -> Result<Option<Diff>, EvalError> {
        let Some(limit) = &self.limit else { return Ok(None) };
        let arena = RowArena::new();
        let datums: Vec<Datum<'_>> = row.iter().collect();
        match limit.eval(&datums, &arena)? {
            Datum::Null => Ok(None),
            limit => match limit.unwrap_int64() {
                limit if limit < 0 => Err(EvalError::new("2201W", "LIMIT must not be negative")),
                limit => Ok(Some(limit)),
            },
        }
    }
}
