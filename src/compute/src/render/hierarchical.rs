//! Hierarchical reductions: min and max.
//!
//! Values are hashed into buckets, each bucket is reduced to one row of extrema, and those again in fewer buckets, until one
//! row is left for the group: a change costs one bucket on each level.

use std::rc::Rc;

use differential_dataflow::operators::arrange::Arranged;
use hw_expr::MirScalarExpr;
use hw_plan::lir::{Extremum, HierarchicalPlan};
use hw_repr::{Datum, Diff, Row};

use super::Collection;
use super::arrange::{Pairs, arrange_pairs};
use super::reduce::{GroupLogic, Reduced, check_positive, keyed, reduce_fallible, reduce_rows};
use crate::row_container::{RowRef, hash_bytes};
use crate::time::RenderTime;
use crate::typedefs::{Errs, RowAgent};

/// The bytes of a bucket's number before the key: a packed `mz_timestamp`, whose size is fixed.
const BUCKET_BYTES: usize = 9;

/// Renders a hierarchical reduction. Values are in the order of the aggregates' positions.
pub(crate) fn render<'scope, T: RenderTime>(
    input: Collection<'scope, T>,
    key: &[MirScalarExpr],
    plan: &HierarchicalPlan,
    one_off: bool,
) -> Reduced<'scope, T> {
    let mut aggregates = plan.aggregates.clone();
    aggregates.sort_by_key(|(at, ..)| *at);
    let ends: Vec<Extremum> = aggregates.iter().map(|(_, _, end)| *end).collect();
    let (pairs, errs) = keyed(
        input,
        key,
        Box::new(move |datums, arena| {
            let mut row = Row::default();
            let mut packer = row.packer();
            for (_, aggregate, _) in &aggregates {
                // What the filter leaves out counts as NULL.
                let admitted = match &aggregate.filter {
                    Some(filter) => filter.eval(datums, arena)? == Datum::Bool(true),
                    None => true,
                };
                packer.push(if admitted { aggregate.args[0].eval(datums, arena)? } else { Datum::Null });
            }
            Ok(Some(row))
        }),
    );
    let logic: GroupLogic = Rc::new(move |_, rows, out| {
        check_positive(rows)?;
        out.push((extrema(&ends, rows), 1));
        Ok(())
    });
    let buckets = levels(&plan.buckets, plan.monotonic, one_off);
    let (oks, more) = in_buckets(pairs, buckets, "Extrema", Rc::clone(&logic), logic);
    (oks, errs.concat(more))
}

/// One row of the extrema of each column; NULLs count only where there is nothing else.
fn extrema(ends: &[Extremum], rows: &[(RowRef<'_>, Diff)]) -> Row {
    let mut best: Vec<Datum<'_>> = vec![Datum::Null; ends.len()];
    for (row, _) in rows {
        for ((best, end), datum) in best.iter_mut().zip(ends).zip(row.iter()) {
            let better = match end {
                _ if datum.is_null() => false,
                _ if best.is_null() => true,
                Extremum::Min => datum < *best,
                Extremum::Max => datum > *best,
            };
            if better {
                *best = datum;
            }
        }
    }
    Row::pack(best)
}

/// Buckets for plans that only grow and come without: enough that no change costs a whole group.
const GROWING_BUCKETS: [u64; 2] = [1 << 14, 1 << 7];

/// The levels to use: none when nothing changes.
pub(crate) fn levels(buckets: &[u64], monotonic: bool, one_off: bool) -> &[u64] {
    match (one_off, monotonic && buckets.is_empty()) {
        (true, _) => &[],
        (false, true) => &GROWING_BUCKETS,
        (false, false) => buckets,
    }
}

/// Reduces pairs level by level: `each` in every bucket, `last` for the group. The first level looks for errors.
pub(crate) fn in_buckets<'scope, T: RenderTime>(
    pairs: Pairs<'scope, T>,
    buckets: &[u64],
    name: &str,
    each: GroupLogic,
    last: GroupLogic,
) -> (Arranged<'scope, RowAgent<T>>, Errs<'scope, T>) {
    let Some((first, rest)) = buckets.split_first() else {
        return reduce_fallible(arrange_pairs(pairs, &format!("Arrange{name}")), name, last);
    };
    let first = *first;
    let bucketed = pairs.map(move |(key, val)| {
        let bucket = hash_bytes(val.data()) % first;
        (with_bucket(bucket, key.data()), val)
    });
    let level = format!("{name}In{first}");
    let arranged = arrange_pairs(bucketed, &format!("Arrange{level}"));
    let (mut reduced, errs) = reduce_fallible(arranged, &level, Rc::clone(&each));
    for buckets in rest {
        let buckets = *buckets;
        let bucketed = reduced.as_collection(move |key, val| {
            let (bucket, key) = split_bucket(key);
            (with_bucket(bucket % buckets, key), val.to_row())
        });
        let level = format!("{name}In{buckets}");
        reduced = reduce_rows(arrange_pairs(bucketed, &format!("Arrange{level}")), &level, Rc::clone(&each));
    }
    let whole =
        reduced.as_collection(|key, val| (Row::from_trusted_bytes(split_bucket(key).1), val.to_row()));
    (reduce_rows(arrange_pairs(whole, &format!("Arrange{name}")), name, last), errs)
}

fn with_bucket(bucket: u64, key: &[u8]) -> Row {
    let mut row = Row::default();
    let mut packer = row.packer();
    packer.push(Datum::MzTimestamp(bucket));
    packer.extend_packed(key);
    row
}

fn split_bucket(key: RowRef<'_>) -> (u64, &[u8]) {
    let bucket = match key.iter().next() {
        Some(Datum::MzTimestamp(bucket)) => bucket,
        other => unreachable!("a key in a bucket begins with its number, found {other:?}"),
    };
    (bucket, &key.data()[BUCKET_BYTES..])
}
