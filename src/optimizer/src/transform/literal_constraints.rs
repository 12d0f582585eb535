//! Several literal values of an index's key become lookups in the index.
//!
//! ```text
//! Filter #0 = 1 OR #0 = 2 (t)        Join(Constant (1), (2); t) on the index of t by #0
//! ```
//!
//! One value is a lookup when the plan is lowered; a query that does nothing else reads the index directly. What is left of the
//! condition is applied to the rows found.

use hw_expr::{Id, JoinImplementation, MirRelationExpr, MirScalarExpr};
use hw_repr::RelationType;

use super::join_implementation::Indexes;
use super::take;
use crate::literal::literal_keys;
use crate::lower::{extract_mfp, permute_input};

/// Applies the rule everywhere.
pub(crate) fn apply(expr: &mut MirRelationExpr, indexes: Indexes<'_>) {
    stacker::maybe_grow(64 << 10, 1 << 20, || {
        if let Some(next) = looked_up(expr, indexes) {
            *expr = next;
            return;
        }
        for child in expr.children_mut() {
            apply(child, indexes);
        }
    });
}

fn looked_up(expr: &mut MirRelationExpr, indexes: Indexes<'_>) -> Option<MirRelationExpr> {
    if !matches!(
        expr,
        MirRelationExpr::Map { .. } | MirRelationExpr::Filter { .. } | MirRelationExpr::Project { .. }
    ) {
        return None;
    }
    let (mfp, get) = extract_mfp(expr);
    let MirRelationExpr::Get { id: Id::Global(id), typ } = get else { return None };
    let found = indexes(*id).into_iter().filter_map(|(_, key)| Some((literal_keys(&mfp, &key)?, key)));
    let (found, key) = found.max_by_key(|(_, key)| key.len())?;
    if found.rows.len() < 2 {
        return None;
    }
    let (arity, width) = (typ.arity(), key.len());
    let types = key.iter().map(|k| k.typ(&typ.column_types).scalar_type.nullable(false)).collect();
    let values = MirRelationExpr::constant(found.rows, RelationType::new(types));
    let shifted = |k: &MirScalarExpr| {
        let mut k = k.clone();
        k.permute_map(|c| c + width);
        k
    };
    let classes = key.iter().enumerate().map(|(i, k)| vec![MirScalarExpr::Column(i), shifted(k)]).collect();
    let joined = MirRelationExpr::Join {
        inputs: vec![values, get.clone()],
        equivalences: classes,
        implementation: JoinImplementation::Linear(vec![(0, vec![]), (1, key)]),
    };
    let rest = permute_input(found.rest, arity + width, |c| c + width);
    let _ = take(expr);
    Some(super::fusion::with_mfp(joined, rest))
}
