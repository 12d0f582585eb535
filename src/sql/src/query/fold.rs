//! Constants: what planning needs to know the value of.

use hw_expr::HirScalarExpr;
use hw_expr::func::Volatility;
use hw_repr::{Row, RowArena};

/// The value of an expression that depends on nothing; `None` for any other, and for one that fails.
pub(super) fn fold_literal(e: &HirScalarExpr) -> Option<Row> {
    if let HirScalarExpr::Literal(row, _) = e {
        return Some(row.clone());
    }
    let mut constant = true;
    e.visit_pre(0, &mut |_, e| {
        constant &= match e {
            HirScalarExpr::Column(_)
            | HirScalarExpr::Parameter(..)
            | HirScalarExpr::Unmaterializable(_)
            | HirScalarExpr::Exists(_)
            | HirScalarExpr::Select(_)
            | HirScalarExpr::Windowing(_) => false,
            HirScalarExpr::Call { func, .. } => func.def().volatility == Volatility::Immutable,
            _ => true,
        };
    });
    if !constant {
        return None;
    }
    let mir = crate::lowering::lower_scalar(e.clone()).ok()?;
    let arena = RowArena::new();
    let value = mir.eval(&[], &arena).ok()?;
    Some(Row::pack_slice(&[value]))
}
