//! Unions in which inputs cancel, and thresholds over what cannot be negative.
//!
//! ```text
//! Union(a, b, Negate(a))    b
//! Threshold(a)              a, when no multiplicity in a can be negative
//! ```

use std::collections::BTreeSet;

use hw_expr::{LocalId, MirRelationExpr};
use hw_repr::RelationType;

use crate::analysis::is_non_negative;

/// Applies the rule everywhere.
pub(crate) fn apply(expr: &mut MirRelationExpr) {
    go(expr, &mut BTreeSet::new());
}

fn go(e: &mut MirRelationExpr, known: &mut BTreeSet<LocalId>) {
    stacker::maybe_grow(64 << 10, 1 << 20, || {
        if let MirRelationExpr::Let { id, value, body } = e {
            go(value, known);
            if is_non_negative(value, known) {
                known.insert(*id);
            }
            go(body, known);
            return;
        }
        for child in e.children_mut() {
            go(child, known);
        }
        match e {
            MirRelationExpr::Union { .. } => cancel(e),
            MirRelationExpr::Threshold { input } if is_non_negative(input, known) => *e = super::take(input),
            _ => {}
        }
    });
}

fn cancel(e: &mut MirRelationExpr) {
    let typ = RelationType::new(e.column_types());
    let MirRelationExpr::Union { inputs } = e else { return };
    while let Some((a, b)) = cancelling(inputs) {
        inputs.remove(a.max(b));
        inputs.remove(a.min(b));
    }
    match inputs.len() {
        0 => *e = MirRelationExpr::empty(typ),
        1 => *e = inputs.remove(0),
        _ => {}
    }
}

fn cancelling(inputs: &[MirRelationExpr]) -> Option<(usize, usize)> {
    for (b, input) in inputs.iter().enumerate() {
        let MirRelationExpr::Negate { input } = input else { continue };
        if let Some(a) = inputs.iter().position(|other| *other == **input) {
            return Some((a, b));
        }
    }
    None
}
