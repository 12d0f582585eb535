//! Unions in which inputs cancel.
//!
//! ```text
//! Union(a, b, Negate(a))               b
//! Union(a, Negate(a))                  Constant <empty>
//! ```

use hw_expr::MirRelationExpr;
use hw_repr::RelationType;

use super::has_volatile;

/// Applies the rule everywhere.
pub(crate) fn apply(expr: &mut MirRelationExpr) {
    super::rewrite_post(expr, &mut |e| {
        if matches!(e, MirRelationExpr::Union { .. }) {
            cancel(e);
        }
    });
}

fn cancel(e: &mut MirRelationExpr) {
    let MirRelationExpr::Union { inputs } = &*e else { return };
    if cancelling(inputs).is_none() {
        return;
    }
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
        if let Some(a) = inputs.iter().position(|other| *other == **input && !has_volatile(other)) {
            return Some((a, b));
        }
    }
    None
}
