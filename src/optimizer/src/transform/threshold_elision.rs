//! Thresholds over what cannot be negative.
//!
//! ```text
//! Threshold(a)                                   a, when no multiplicity in a can be negative
//! Threshold(Union(a, Negate(Filter p (a))))      Union(a, Negate(Filter p (a)))
//! ```

use std::collections::BTreeSet;

use hw_expr::{LocalId, MirRelationExpr};

use crate::analysis::is_non_negative;

/// Applies the rule everywhere.
pub(crate) fn apply(expr: &mut MirRelationExpr) {
    // That rows are among others is seen by plans that look the same, which they would not be.
    if super::has_volatile(expr) {
        return;
    }
    elide(expr, &mut BTreeSet::new());
}

fn elide(e: &mut MirRelationExpr, known: &mut BTreeSet<LocalId>) {
    stacker::maybe_grow(64 << 10, 1 << 20, || {
        if let MirRelationExpr::Let { id, value, body } = e {
            elide(value, known);
            if is_non_negative(value, known) {
                known.insert(*id);
            }
            elide(body, known);
            return;
        }
        for child in e.children_mut() {
            elide(child, known);
        }
        if let MirRelationExpr::Threshold { input } = e
            && is_non_negative(input, known)
        {
            *e = super::take(input);
        }
    });
}
