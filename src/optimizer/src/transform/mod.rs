//! Transforms: small rules, one file each, applied in rounds until nothing changes.
//!
//! Each keeps the multiset of rows that the plan denotes. Errors are kept as far as rows that are in the result need them;
//! no transform makes a row fail that was filtered out before its failing expression.

mod cse;
mod demand;
mod equivalences;
pub(crate) mod eval;
mod fold_constants;
pub(crate) mod fusion;
pub(crate) mod hoist_volatile;
mod join_constants;
pub(crate) mod join_implementation;
pub(crate) mod literal_constraints;
mod literal_lifting;
pub(crate) mod normalize_lets;
mod or_restriction;
mod predicate_pushdown;
mod reduce_elision;
mod reduce_fusion;
mod reduce_pushdown;
mod redundant_join;
mod semijoin_idempotence;
mod threshold_elision;
mod topk_elision;
mod topk_fusion;
mod union_cancel;

use hw_expr::{MirRelationExpr, MirScalarExpr};

pub(crate) use cse::eliminate_common_subexpressions;

/// More rounds than this are not tried: the plan is valid after each.
const MAX_ROUNDS: usize = 100;

/// A rule.
pub(crate) type Rule = fn(&mut MirRelationExpr);

/// The logical rules in the order in which a round applies them.
pub(crate) const LOGICAL: &[(&str, Rule)] = &[
    ("normalize_lets", normalize_lets::apply),
    ("fusion", fusion::apply),
    ("fold_constants", fold_constants::apply),
    ("join_constants", join_constants::apply),
    ("or_restriction", or_restriction::apply),
    ("predicate_pushdown", predicate_pushdown::apply),
    ("equivalences", equivalences::apply),
    ("literal_lifting", literal_lifting::apply),
    ("union_cancel", union_cancel::apply),
    ("threshold_elision", threshold_elision::apply),
    ("topk_fusion", topk_fusion::apply),
    ("topk_elision", topk_elision::apply),
    ("reduce_fusion", reduce_fusion::apply),
    ("reduce_elision", reduce_elision::apply),
    ("semijoin_idempotence", semijoin_idempotence::apply),
    ("reduce_pushdown", reduce_pushdown::apply),
    ("redundant_join", redundant_join::apply),
    ("demand", demand::apply),
];

/// Those of them that do something to maps, filters and projections of one collection.
const OF_ONE_COLLECTION: &[(&str, Rule)] = &[
    ("fusion", fusion::apply),
    ("fold_constants", fold_constants::apply),
    ("predicate_pushdown", predicate_pushdown::apply),
    ("equivalences", equivalences::apply),
];

/// Applies the logical rules until nothing changes.
pub(crate) fn optimize_logical(expr: &mut MirRelationExpr) {
    apply_all(expr, LOGICAL);
}

/// The same, in a fraction of the time, for maps, filters and projections of one collection.
pub(crate) fn optimize_one_collection(expr: &mut MirRelationExpr) {
    apply_all(expr, OF_ONE_COLLECTION);
}

fn apply_all(expr: &mut MirRelationExpr, rules: &[(&str, Rule)]) {
    for round in 0..MAX_ROUNDS {
        let before = expr.clone();
        for (name, rule) in rules {
            rule(expr);
            tracing::trace!(round, rule = name, "applied");
        }
        if *expr == before {
            fusion::apply(expr);
            return;
        }
    }
    fusion::apply(expr);
    tracing::debug!("no fixed point after {MAX_ROUNDS} rounds");
}

/// Brings chains of maps, filters and projections into one form.
pub(crate) fn fusion_once(expr: &mut MirRelationExpr) {
    fusion::apply(expr);
}

/// Replaces columns by expressions.
pub(crate) fn substitute(e: &MirScalarExpr, of: &dyn Fn(usize) -> MirScalarExpr) -> MirScalarExpr {
    let mut out = e.clone();
    out.visit_mut_post(&mut |e| {
        if let MirScalarExpr::Column(c) = e {
            *e = of(*c);
        }
    });
    out
}

/// Whether volatile functions are called: plans that look the same do not have the same rows then.
pub(crate) fn has_volatile(expr: &MirRelationExpr) -> bool {
    let mut found = false;
    expr.visit_post(&mut |e| {
        // They are nowhere else once they have been hoisted.
        if let MirRelationExpr::FlatMap { exprs, .. } = e {
            found |= exprs.iter().any(MirScalarExpr::contains_volatile);
        }
    });
    found
}

/// Visits inputs first. The closure replaces nodes.
pub(crate) fn rewrite_post(expr: &mut MirRelationExpr, f: &mut dyn FnMut(&mut MirRelationExpr)) {
    expr.visit_mut_post(f);
}

/// Takes a plan out of its place.
pub(crate) fn take(expr: &mut MirRelationExpr) -> MirRelationExpr {
    std::mem::replace(expr, MirRelationExpr::Union { inputs: vec![] })
}
