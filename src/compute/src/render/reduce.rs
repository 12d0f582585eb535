//! Reductions: what all kinds share.
//!
//! A reduction arranges its input by the group key and keeps an arrangement of its output by it. Where the computation of a
//! group may fail it runs twice, once for the output and once for the errors, on the same input arrangement.

use std::collections::BTreeMap;
use std::rc::Rc;

use differential_dataflow::operators::arrange::Arranged;
use hw_expr::{EvalError, MirScalarExpr};
use hw_plan::lir::ReducePlan;
use hw_repr::{Datum, Diff, Row, RowArena};

use super::arrange::{Pairs, arrange_pairs};
use super::mfp::{flat_map_rows, pack_exprs};
use super::{Bundle, Collection, Flavor, basic, collate, hierarchical, sums};
use crate::row_container::RowRef;
use crate::time::RenderTime;
use crate::typedefs::{Errs, RowAgent, RowBuilder, RowErrBuilder, RowErrSpine, RowSpine};

/// A reduction's output.
pub(crate) type Reduced<'scope, T> = (Arranged<'scope, RowAgent<T>>, Errs<'scope, T>);

/// Renders `Reduce`.
pub(crate) fn render<'scope, T: RenderTime>(
    input: Collection<'scope, T>,
    key: &[MirScalarExpr],
    plan: &ReducePlan,
    one_off: bool,
) -> Bundle<'scope, T> {
    let ((arranged, errs), values) = match plan {
        ReducePlan::Distinct => (distinct(input, key), 0),
        ReducePlan::Accumulable(plan) => {
            (sums::render(input, key, plan), plan.simple.len() + plan.distinct.len())
        }
        ReducePlan::Hierarchical(plan) => {
            (hierarchical::render(input, key, plan, one_off), plan.aggregates.len())
        }
        ReducePlan::Basic(plan) => (basic::render(input, key, plan), plan.aggregates.len()),
        ReducePlan::Collation { accumulable, hierarchical, basic, arity } => {
            let parts = (accumulable.as_ref(), hierarchical.as_ref(), basic.as_ref());
            (collate::render(input, key, parts, *arity, one_off), *arity)
        }
    };
    let mut bundle = Bundle { oks: None, errs, arranged: BTreeMap::new(), arity: Some(key.len() + values) };
    let output_key = (0..key.len()).map(MirScalarExpr::Column).collect();
    bundle.arranged.insert(output_key, Flavor::Local(arranged));
    bundle
}

fn distinct<'scope, T: RenderTime>(
    input: Collection<'scope, T>,
    key: &[MirScalarExpr],
) -> Reduced<'scope, T> {
    let (pairs, errs) = keyed(input, key, Box::new(|_, _| Ok(Some(Row::default()))));
    let (oks, more) = reduce_fallible(
        arrange_pairs(pairs, "ArrangeDistinct"),
        "Distinct",
        Rc::new(|_, rows, out| {
            check_positive(rows)?;
            out.push((Row::default(), 1));
            Ok(())
        }),
    );
    (oks, errs.concat(more))
}

/// Makes the value row from a row's columns; `None` leaves the row out.
pub(crate) type ValueLogic =
    Box<dyn for<'a> Fn(&[Datum<'a>], &'a RowArena) -> Result<Option<Row>, EvalError>>;

/// Pairs of key and value for each row.
pub(crate) fn keyed<'scope, T: RenderTime>(
    input: Collection<'scope, T>,
    key: &[MirScalarExpr],
    value: ValueLogic,
) -> (Pairs<'scope, T>, Errs<'scope, T>) {
    let key = key.to_vec();
    let (pairs, errs) = flat_map_rows(
        input.oks,
        "ReduceKey",
        Box::new(move |row: Row, time, diff, oks, errs| match key_value(&key, &value, &row) {
            Ok(Some(pair)) => oks.push((pair, time, diff)),
            Ok(None) => {}
            Err(e) => errs.push((e, time, diff)),
        }),
    );
    (pairs, input.errs.concat(errs))
}

fn key_value(key: &[MirScalarExpr], value: &ValueLogic, row: &Row) -> Result<Option<(Row, Row)>, EvalError> {
    let arena = RowArena::new();
    let datums: smallvec::SmallVec<[Datum<'_>; 16]> = row.iter().collect();
    let key = pack_exprs(key, &datums, &arena)?;
    Ok(value(&datums, &arena)?.map(|value| (key, value)))
}

/// An error when a row is retracted more often than it was inserted.
pub(crate) fn check_positive(rows: &[(RowRef<'_>, Diff)]) -> Result<(), EvalError> {
    match rows.iter().any(|(_, diff)| *diff < 0) {
        true => Err(EvalError::NegativeMultiplicity),
        false => Ok(()),
    }
}

/// What a group's rows come to: from the key and the values with their multiplicities.
pub(crate) type GroupLogic =
    Rc<dyn for<'a, 'b> Fn(RowRef<'a>, &[(RowRef<'b>, Diff)], &mut Vec<(Row, Diff)>) -> Result<(), EvalError>>;

/// Reduces each group; a group that fails gives no rows.
pub(crate) fn reduce_rows<'scope, T: RenderTime>(
    input: Arranged<'scope, RowAgent<T>>,
    name: &str,
    logic: GroupLogic,
) -> Arranged<'scope, RowAgent<T>> {
    input.reduce_abelian::<_, RowBuilder<T>, RowSpine<T>, _, _>(
        name,
        move |key, rows, out| {
            let before = out.len();
            if logic(key, rows, out).is_err() {
                out.truncate(before);
            }
        },
        |buffer, key, updates| {
            buffer.clear();
            buffer.extend(updates.drain(..).map(|(val, time, diff)| ((key.to_row(), val), time, diff)));
        },
    )
}

/// Reduces each group to rows or an error.
pub(crate) fn reduce_fallible<'scope, T: RenderTime>(
    input: Arranged<'scope, RowAgent<T>>,
    name: &str,
    logic: GroupLogic,
) -> Reduced<'scope, T> {
    let oks = reduce_rows(input.clone(), name, Rc::clone(&logic));
    let errs = input.reduce_abelian::<_, RowErrBuilder<T>, RowErrSpine<T>, _, _>(
        &format!("{name}Errors"),
        move |key, rows, out| {
            if let Err(e) = logic(key, rows, &mut Vec::new()) {
                out.push((e, 1));
            }
        },
        |buffer, key, updates| {
            buffer.clear();
            buffer.extend(updates.drain(..).map(|(e, time, diff)| ((key.to_row(), e), time, diff)));
        },
    );
    (oks, errs.as_collection(|_, e| e.clone()))
}
