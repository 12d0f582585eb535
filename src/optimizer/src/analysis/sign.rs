//! Signs of multiplicities, and growth: whether a collection never loses rows.

use std::collections::{BTreeMap, BTreeSet};

use hw_expr::{Id, LocalId, MirRelationExpr, MirScalarExpr};
use hw_repr::GlobalId;

/// Whether no row can have a negative multiplicity. `bindings` names the local bindings for which that is known.
pub(crate) fn is_non_negative(expr: &MirRelationExpr, bindings: &BTreeSet<LocalId>) -> bool {
    match expr {
        MirRelationExpr::Constant { rows, .. } => {
            rows.as_ref().map_or(true, |rows| rows.iter().all(|(_, diff)| *diff > 0))
        }
        MirRelationExpr::Get { id: Id::Local(id), .. } => bindings.contains(id),
        MirRelationExpr::Get { id: Id::Global(_), .. }
        | MirRelationExpr::Reduce { .. }
        | MirRelationExpr::TopK { .. }
        | MirRelationExpr::Threshold { .. } => true,
        MirRelationExpr::Negate { .. } => false,
        MirRelationExpr::Let { id, value, body } => {
            let mut inner = bindings.clone();
            if is_non_negative(value, bindings) {
                inner.insert(*id);
            }
            is_non_negative(body, &inner)
        }
        // What recurs is not looked into.
        MirRelationExpr::LetRec { body, .. } => is_non_negative(body, bindings),
        other => other.children().into_iter().all(|c| is_non_negative(c, bindings)),
    }
}

/// Notes at reductions and top-ks whether their input only ever grows. Returns whether the plan's result does.
pub(crate) fn mark_monotonic(
    expr: &mut MirRelationExpr,
    durable: &dyn Fn(GlobalId) -> bool,
    bindings: &mut BTreeMap<LocalId, bool>,
) -> bool {
    stacker::maybe_grow(64 << 10, 1 << 20, || match expr {
        MirRelationExpr::Constant { .. } => true,
        MirRelationExpr::Get { id: Id::Local(id), .. } => bindings.get(id).copied().unwrap_or(false),
        MirRelationExpr::Get { id: Id::Global(id), .. } => durable(*id),
        MirRelationExpr::Let { id, value, body } => {
            let grows = mark_monotonic(value, durable, bindings);
            bindings.insert(*id, grows);
            mark_monotonic(body, durable, bindings)
        }
        MirRelationExpr::LetRec { values, body, .. } => {
            for value in values {
                mark_monotonic(value, durable, bindings);
            }
            mark_monotonic(body, durable, bindings)
        }
        MirRelationExpr::Negate { input } => {
            mark_monotonic(input, durable, bindings);
            false
        }
        MirRelationExpr::Filter { input, predicates } => {
            let grows = mark_monotonic(input, durable, bindings);
            grows && !predicates.iter().any(MirScalarExpr::contains_temporal)
        }
        MirRelationExpr::Reduce { input, aggregates, monotonic, .. } => {
            *monotonic = mark_monotonic(input, durable, bindings);
            *monotonic && aggregates.is_empty()
        }
        MirRelationExpr::TopK { input, monotonic, .. } => {
            *monotonic = mark_monotonic(input, durable, bindings);
            false
        }
        other => {
            let all: Vec<bool> =
                other.children_mut().into_iter().map(|c| mark_monotonic(c, durable, bindings)).collect();
            all.into_iter().all(|grows| grows)
        }
    })
}
