//! Top-ks that pick nothing or everything.
//!
//! ```text
//! TopK limit=0 (a)               Constant <empty>
//! TopK without limit, offset     a
//! TopK limit=3 over one row      a
//! ```

use hw_expr::{MirRelationExpr, MirScalarExpr};
use hw_repr::{Datum, RelationType};

use crate::analysis::keys;

/// Applies the rule everywhere.
pub(crate) fn apply(expr: &mut MirRelationExpr) {
    super::rewrite_post(expr, &mut |e| {
        let MirRelationExpr::TopK { input, group_key, limit, offset, .. } = e else { return };
        if limit.as_ref().is_some_and(MirScalarExpr::is_literal_null) {
            *limit = None;
        }
        match limit.as_ref().map(MirScalarExpr::as_literal) {
            Some(Some(Datum::Int64(0))) => {
                *e = MirRelationExpr::empty(RelationType::new(e.column_types()));
            }
            None if *offset == 0 => *e = super::take(input),
            // Groups of one row.
            Some(Some(Datum::Int64(n)))
                if n > 0
                    && *offset == 0
                    && keys(input).iter().any(|k| k.iter().all(|c| group_key.contains(c))) =>
            {
                *e = super::take(input);
            }
            _ => {}
        }
    });
}
