//! A top-k of a top-k in the same order and groups is one.
//!
//! ```text
//! TopK limit=5 offset=1 (TopK limit=10 offset=2 (a))     TopK limit=5 offset=3 (a)
//! TopK limit=10 (TopK limit=5 offset=2 (a))              TopK limit=5 offset=2 (a)
//! ```
//!
//! The orders must be the same: where they are not, ties are broken otherwise.

use std::collections::BTreeSet;

use hw_expr::{MirRelationExpr, MirScalarExpr};
use hw_repr::{Datum, ScalarType};

/// Applies the rule everywhere.
pub(crate) fn apply(expr: &mut MirRelationExpr) {
    super::rewrite_post(expr, &mut |e| while fuse(e) {});
}

/// A limit that is known: `None` is no limit.
fn known(limit: &Option<MirScalarExpr>) -> Option<Option<i64>> {
    match limit {
        None => Some(None),
        Some(l) => match l.as_literal()? {
            Datum::Null => Some(None),
            Datum::Int64(n) => Some(Some(n.max(0))),
            _ => None,
        },
    }
}

fn fuse(e: &mut MirRelationExpr) -> bool {
    let MirRelationExpr::TopK { input, group_key, order_key, limit, offset, expected_group_size, .. } = e
    else {
        return false;
    };
    let MirRelationExpr::TopK {
        input: below,
        group_key: inner_group,
        order_key: inner_order,
        limit: inner_limit,
        offset: inner_offset,
        expected_group_size: inner_size,
        ..
    } = &mut **input
    else {
        return false;
    };
    let set = |v: &[usize]| v.iter().copied().collect::<BTreeSet<usize>>();
    if set(group_key) != set(inner_group) || order_key != inner_order {
        return false;
    }
    let (Some(outer), Some(inner)) = (known(limit), known(inner_limit)) else { return false };
    let Some(skip) = offset.checked_add(*inner_offset) else { return false };
    let Ok(skipped) = i64::try_from(*offset) else { return false };
    // Of what the inner one leaves, the outer one skips some.
    let left = inner.map(|n| n.saturating_sub(skipped).max(0));
    let both = match (outer, left) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    };
    *limit = both.map(|n| MirScalarExpr::literal(Datum::Int64(n), ScalarType::Int64));
    *offset = skip;
    *expected_group_size = inner_size.or(*expected_group_size);
    **input = super::take(below);
    true
}
