//! What a predicate or an expression says of NULLs.

use std::collections::BTreeSet;

use super::MirScalarExpr;

impl MirScalarExpr {
    /// Columns that are not NULL in any row for which the expression is true.
    pub fn columns_not_null_where_true(&self) -> BTreeSet<usize> {
        stacker::maybe_grow(64 << 10, 1 << 20, || match self {
            MirScalarExpr::And(v) => v.iter().flat_map(Self::columns_not_null_where_true).collect(),
            MirScalarExpr::Or(v) => {
                let all = v.iter().map(Self::columns_not_null_where_true);
                all.reduce(|a, b| a.intersection(&b).copied().collect()).unwrap_or_default()
            }
            MirScalarExpr::Not(e) => match &**e {
                MirScalarExpr::IsNull(e) => e.columns_that_make_null(),
                other => other.columns_that_make_null(),
            },
            other => other.columns_that_make_null(),
        })
    }

    /// Columns that make the expression NULL, or fail, where they are NULL.
    pub fn columns_that_make_null(&self) -> BTreeSet<usize> {
        stacker::maybe_grow(64 << 10, 1 << 20, || match self {
            MirScalarExpr::Column(c) => BTreeSet::from([*c]),
            MirScalarExpr::Call { func, args } if func.def().strict => {
                args.iter().flat_map(Self::columns_that_make_null).collect()
            }
            MirScalarExpr::Not(e) => e.columns_that_make_null(),
            MirScalarExpr::Coalesce(v) | MirScalarExpr::And(v) | MirScalarExpr::Or(v) => {
                let all = v.iter().map(Self::columns_that_make_null);
                all.reduce(|a, b| a.intersection(&b).copied().collect()).unwrap_or_default()
            }
            _ => BTreeSet::new(),
        })
    }
}
