//! Basic reductions: aggregates recomputed from all of a group's rows, window functions among them.

use std::rc::Rc;

use hw_expr::{AggregateExpr, AggregateFunc, EvalError, MirScalarExpr};
use hw_plan::lir::BasicPlan;
use hw_repr::{Datum, Diff, Row, RowArena, compare_rows_by};

use super::Collection;
use super::arrange::arrange_pairs;
use super::reduce::{Reduced, check_positive, keyed, reduce_fallible};
use crate::row_container::RowRef;
use crate::time::RenderTime;

/// Renders a basic reduction. A row's value is a list for each aggregate: whether its filter admits the row, then its arguments.
pub(crate) fn render<'scope, T: RenderTime>(
    input: Collection<'scope, T>,
    key: &[MirScalarExpr],
    plan: &BasicPlan,
) -> Reduced<'scope, T> {
    let mut ordered = plan.aggregates.clone();
    ordered.sort_by_key(|(at, _)| *at);
    let aggregates: Rc<Vec<AggregateExpr>> = Rc::new(ordered.into_iter().map(|(_, a)| a).collect());
    let of_row = Rc::clone(&aggregates);
    let (pairs, errs) = keyed(
        input,
        key,
        Box::new(move |datums, arena| {
            let mut row = Row::default();
            let mut packer = row.packer();
            for aggregate in of_row.iter() {
                let admitted = match &aggregate.filter {
                    Some(filter) => filter.eval(datums, arena)? == Datum::Bool(true),
                    None => true,
                };
                let args = match admitted {
                    true => {
                        aggregate.args.iter().map(|a| a.eval(datums, arena)).collect::<Result<Vec<_>, _>>()?
                    }
                    false => vec![],
                };
                packer.push_list([Datum::Bool(admitted)].into_iter().chain(args));
            }
            Ok(Some(row))
        }),
    );
    let logic = Rc::new(move |_key: RowRef<'_>, rows: &[(RowRef<'_>, Diff)], out: &mut Vec<(Row, Diff)>| {
        check_positive(rows)?;
        let mut row = Row::default();
        let mut packer = row.packer();
        for (i, aggregate) in aggregates.iter().enumerate() {
            let arena = RowArena::new();
            packer.push(compute(aggregate, i, rows, &arena)?);
        }
        out.push((row, 1));
        Ok(())
    });
    let (oks, more) = reduce_fallible(arrange_pairs(pairs, "ArrangeBasic"), "Basic", logic);
    (oks, errs.concat(more))
}

fn compute<'a>(
    aggregate: &'a AggregateExpr,
    position: usize,
    rows: &[(RowRef<'a>, Diff)],
    arena: &'a RowArena,
) -> Result<Datum<'a>, EvalError> {
    let mut lists: Vec<Vec<Datum<'a>>> = Vec::new();
    for (row, count) in rows {
        let Some(Datum::List(list)) = row.iter().nth(position) else {
            unreachable!("a value holds a list for each aggregate");
        };
        let mut items = list.iter();
        if items.next() != Some(Datum::Bool(true)) {
            continue;
        }
        let args: Vec<Datum<'a>> = items.collect();
        let copies = if aggregate.distinct { 1 } else { *count };
        for _ in 1..copies {
            lists.push(args.clone());
        }
        lists.push(args);
    }
    lists.sort_by(|a, b| compare_rows_by(&aggregate.order_by, a, b, || a.cmp(b)));
    if aggregate.distinct {
        lists.dedup();
    }
    match &aggregate.func {
        AggregateFunc::Def(def, _) if lists.is_empty() && def.null_on_empty => Ok(Datum::Null),
        func => func.eval(arena, &lists),
    }
}
