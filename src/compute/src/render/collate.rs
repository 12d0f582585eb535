//! Reductions with aggregates of several kinds: each kind is computed alone, then the parts of a group are put together.

use std::rc::Rc;

use hw_expr::{EvalError, MirScalarExpr};
use hw_plan::lir::{AccumulablePlan, BasicPlan, HierarchicalPlan};
use hw_repr::{Datum, Diff, Row};

use super::Collection;
use super::arrange::arrange_pairs;
use super::reduce::{Reduced, reduce_fallible};
use super::{basic, hierarchical, sums};
use crate::row_container::RowRef;
use crate::time::RenderTime;

/// The kinds that there are.
pub(crate) type Parts<'a> =
    (Option<&'a AccumulablePlan>, Option<&'a HierarchicalPlan>, Option<&'a BasicPlan>);

/// Renders a collation of `arity` aggregates.
pub(crate) fn render<'scope, T: RenderTime>(
    input: Collection<'scope, T>,
    key: &[MirScalarExpr],
    (accumulable, hierarchical, basic): Parts<'_>,
    arity: usize,
    one_off: bool,
) -> Reduced<'scope, T> {
    // Of each part, where its values go.
    let mut parts: Vec<(Reduced<'scope, T>, Vec<usize>)> = Vec::new();
    if let Some(plan) = accumulable {
        let targets = plan.simple.iter().chain(&plan.distinct).map(|(at, _)| *at).collect();
        parts.push((sums::render(input.clone(), key, plan), targets));
    }
    if let Some(plan) = hierarchical {
        let targets = plan.aggregates.iter().map(|(at, ..)| *at).collect();
        parts.push((hierarchical::render(input.clone(), key, plan, one_off), targets));
    }
    if let Some(plan) = basic {
        let targets = plan.aggregates.iter().map(|(at, _)| *at).collect();
        parts.push((basic::render(input.clone(), key, plan), targets));
    }
    let mut errs = input.errs;
    let mut tagged = Vec::new();
    let mut targets = Vec::new();
    for (i, ((oks, part_errs), mut positions)) in parts.into_iter().enumerate() {
        positions.sort_unstable();
        targets.push(positions);
        errs = errs.concat(part_errs);
        tagged.push(oks.as_collection(move |key, val| {
            let mut row = Row::default();
            let mut packer = row.packer();
            packer.push(Datum::Int16(i as i16));
            packer.extend_packed(val.data());
            (key.to_row(), row)
        }));
    }
    let first = tagged.swap_remove(0);
    let all = first.concatenate(tagged);
    let logic = move |_key: RowRef<'_>, rows: &[(RowRef<'_>, Diff)], out: &mut Vec<(Row, Diff)>| {
        // A part that is missing has failed and has said why.
        if rows.len() == targets.len() {
            out.push((assemble(rows, &targets, arity)?, 1));
        }
        Ok(())
    };
    let (oks, more) = reduce_fallible(arrange_pairs(all, "ArrangeCollation"), "Collation", Rc::new(logic));
    (oks, errs.concat(more))
}

fn assemble(rows: &[(RowRef<'_>, Diff)], targets: &[Vec<usize>], arity: usize) -> Result<Row, EvalError> {
    let mut values = vec![Datum::Null; arity];
    for (row, _) in rows {
        let mut datums = row.iter();
        let part = match datums.next() {
            Some(Datum::Int16(part)) => part as usize,
            other => unreachable!("a part begins with its number, found {other:?}"),
        };
        for (target, datum) in targets[part].iter().zip(datums) {
            values[*target] = datum;
        }
    }
    Ok(Row::pack(values))
}
