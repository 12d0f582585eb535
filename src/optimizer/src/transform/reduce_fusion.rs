//! A reduction of a reduction is one, where the inner groups only refine the outer ones.
//!
//! ```text
//! Distinct #0 (Distinct #0, #1 (a))                      Distinct #0 (a)
//! Distinct #0 (Reduce by #0, #1 sum(#2) (a))             Distinct #0 (a)
//! Reduce by #0 max(#1) (Distinct #0, #1 (a))             Reduce by #0 max(#1) (a)
//! Reduce by #0 min(#2) (Reduce by #0, #1 min(#2) (a))    Reduce by #0 min(#2) (a)
//! ```
//!
//! Aggregates that count rows stay: they would see the inner groups' rows.

use hw_expr::aggregate::{Accumulation, AggregateKind};
use hw_expr::{AggregateExpr, AggregateFunc, MirRelationExpr, MirScalarExpr};

use super::substitute;

/// Applies the rule everywhere.
pub(crate) fn apply(expr: &mut MirRelationExpr) {
    super::rewrite_post(expr, &mut |e| while fuse(e).is_some() {});
}

fn fuse(e: &mut MirRelationExpr) -> Option<()> {
    let MirRelationExpr::Reduce { input, group_key, aggregates, expected_group_size, .. } = e else {
        return None;
    };
    let MirRelationExpr::Reduce { input: below, group_key: inner_key, aggregates: inner, .. } = &mut **input
    else {
        return None;
    };
    let keys = inner_key.len();
    let of_key = |e: &MirScalarExpr| {
        e.support().iter().all(|c| *c < keys).then(|| substitute(e, &|c| inner_key[c].clone()))
    };
    let new_key = group_key.iter().map(of_key).collect::<Option<Vec<_>>>()?;
    let new_aggregates: Option<Vec<AggregateExpr>> = aggregates
        .iter()
        .map(|a| {
            if ignores_repetition(a)
                && let Some(args) = a.args.iter().map(of_key).collect::<Option<Vec<_>>>()
                && let Some(filter) = a.filter.as_ref().map(of_key).map_or(Some(None), |f| f.map(Some))
            {
                return Some(AggregateExpr { args, filter, ..a.clone() });
            }
            same_of_same(a, keys, inner)
        })
        .collect();
    let new_aggregates = new_aggregates?;
    *group_key = new_key;
    *aggregates = new_aggregates;
    *expected_group_size = None;
    **input = super::take(below);
    Some(())
}

fn kind(a: &AggregateExpr) -> Option<AggregateKind> {
    match &a.func {
        AggregateFunc::Def(def, _) => def.kind,
        AggregateFunc::Window(_) => None,
    }
}

/// Whether the aggregate is the same however often each argument occurs.
fn ignores_repetition(a: &AggregateExpr) -> bool {
    match kind(a) {
        Some(AggregateKind::Min | AggregateKind::Max) => true,
        Some(AggregateKind::Accumulable(Accumulation::Any | Accumulation::All)) => true,
        Some(AggregateKind::Accumulable(_)) => a.distinct && !a.args.is_empty(),
        _ => false,
    }
}

/// The least of the least, the greatest of the greatest, and so on: the inner aggregate over all rows.
fn same_of_same(a: &AggregateExpr, keys: usize, inner: &[AggregateExpr]) -> Option<AggregateExpr> {
    let [MirScalarExpr::Column(c)] = a.args.as_slice() else { return None };
    let below = inner.get(c.checked_sub(keys)?)?;
    let merges = match (kind(a)?, kind(below)?) {
        (AggregateKind::Min, AggregateKind::Min) | (AggregateKind::Max, AggregateKind::Max) => true,
        (AggregateKind::Accumulable(x), AggregateKind::Accumulable(y)) => {
            x == y && matches!(x, Accumulation::Any | Accumulation::All)
        }
        _ => false,
    };
    (merges && a.filter.is_none() && a.func == below.func).then(|| below.clone())
}
