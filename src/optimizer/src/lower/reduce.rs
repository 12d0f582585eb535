//! Plans of reductions by the kind of their aggregates.

use hw_expr::aggregate::AggregateKind;
use hw_expr::{AggregateExpr, AggregateFunc};
use hw_plan::lir::{AccumulablePlan, BasicPlan, Extremum, HierarchicalPlan, ReducePlan};

use crate::error::OptimizerError;

/// How many rows a group is taken to have at most when nothing is known.
const DEFAULT_GROUP_SIZE: u64 = 1 << 29;

/// The levels of buckets for groups of that size: powers of 16 below it, decreasing.
pub(crate) fn buckets(expected_group_size: Option<u64>) -> Vec<u64> {
    let size = expected_group_size.unwrap_or(DEFAULT_GROUP_SIZE);
    let mut out = vec![];
    let mut level = 16u64;
    while level < size {
        out.push(level);
        let Some(next) = level.checked_mul(16) else { break };
        level = next;
    }
    out.reverse();
    out
}

/// Chooses the plan.
pub(crate) fn plan_reduce(
    aggregates: &[AggregateExpr],
    monotonic: bool,
    expected_group_size: Option<u64>,
) -> Result<ReducePlan, OptimizerError> {
    let mut accumulable = AccumulablePlan { simple: vec![], distinct: vec![] };
    let (mut extrema, mut basic) = (vec![], vec![]);
    for (i, aggregate) in aggregates.iter().enumerate() {
        let mut aggregate = aggregate.clone();
        match kind(&aggregate)? {
            AggregateKind::Accumulable(_) if aggregate.distinct => accumulable.distinct.push((i, aggregate)),
            AggregateKind::Accumulable(_) => accumulable.simple.push((i, aggregate)),
            kind @ (AggregateKind::Min | AggregateKind::Max) => {
                aggregate.distinct = false;
                let end = if matches!(kind, AggregateKind::Min) { Extremum::Min } else { Extremum::Max };
                extrema.push((i, aggregate, end));
            }
            AggregateKind::Basic(_) => basic.push((i, aggregate)),
        }
    }
    let has_sums = !accumulable.simple.is_empty() || !accumulable.distinct.is_empty();
    let hierarchical = HierarchicalPlan {
        aggregates: extrema,
        monotonic,
        buckets: if monotonic { vec![] } else { buckets(expected_group_size) },
    };
    let has_extrema = !hierarchical.aggregates.is_empty();
    let basic = BasicPlan { aggregates: basic };
    let has_basic = !basic.aggregates.is_empty();
    Ok(match (has_sums, has_extrema, has_basic) {
        (false, false, false) => ReducePlan::Distinct,
        (true, false, false) => ReducePlan::Accumulable(accumulable),
        (false, true, false) => ReducePlan::Hierarchical(hierarchical),
        (false, false, true) => ReducePlan::Basic(basic),
        _ => ReducePlan::Collation {
            accumulable: has_sums.then_some(accumulable),
            hierarchical: has_extrema.then_some(hierarchical),
            basic: has_basic.then_some(basic),
            arity: aggregates.len(),
        },
    })
}

fn kind(aggregate: &AggregateExpr) -> Result<AggregateKind, OptimizerError> {
    match &aggregate.func {
        // Windows see all of a group, as basic aggregates do.
        AggregateFunc::Window(_) => Ok(AggregateKind::Basic(|_, _, _| Ok(hw_repr::Datum::Null))),
        AggregateFunc::Def(def, _) => def
            .kind
            .ok_or_else(|| OptimizerError::internal(format!("aggregate {} was not expanded", def.key))),
    }
}
