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
        MirRelationExpr::Union { inputs } => {
            let (taken, added): (Vec<_>, Vec<_>) =
                inputs.iter().partition(|i| matches!(i, MirRelationExpr::Negate { .. }));
            // Each subtracted input is part of an added one of its own.
            let mut left: Vec<&MirRelationExpr> = added.clone();
            let covered = taken.iter().all(|t| {
                let MirRelationExpr::Negate { input } = t else { return false };
                let at = left.iter().position(|a| is_part(input, a));
                at.map(|i| left.remove(i)).is_some()
            });
            covered && added.iter().all(|c| is_non_negative(c, bindings))
        }
        other => other.children().into_iter().all(|c| is_non_negative(c, bindings)),
    }
}

/// Whether `part` has each row at most as often as `whole`, which has no negative multiplicities.
fn is_part(part: &MirRelationExpr, whole: &MirRelationExpr) -> bool {
    if part == whole {
        return true;
    }
    match (part, whole) {
        (
            MirRelationExpr::Project { input, outputs },
            MirRelationExpr::Project { input: other, outputs: same },
        ) if outputs == same => is_part(input, other),
        (MirRelationExpr::Map { input, scalars }, MirRelationExpr::Map { input: other, scalars: same })
            if scalars == same =>
        {
            is_part(input, other)
        }
        (MirRelationExpr::Filter { input, .. } | MirRelationExpr::TopK { input, .. }, _) => {
            is_part(input, whole)
        }
        (MirRelationExpr::Reduce { input, group_key, aggregates, .. }, _) if aggregates.is_empty() => {
            let whole_row = group_key.iter().cloned().eq((0..input.arity()).map(MirScalarExpr::Column));
            whole_row && is_part(input, whole)
        }
        _ => false,
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
        // What recurs loses rows though its inputs grow: a new row that is found in an earlier round takes the place of what a
        // later round had found.
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
