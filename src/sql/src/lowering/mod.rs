//! Decorrelation: HIR to MIR.

use hw_expr::{HirRelationExpr, HirScalarExpr, MirRelationExpr, MirScalarExpr};

use crate::error::PlanError;

/// Lowers an uncorrelated relation without parameters.
pub fn lower(_expr: HirRelationExpr) -> Result<MirRelationExpr, PlanError> {
    Err(PlanError::unsupported("this query"))
}

/// Lowers a scalar without subqueries and outer references; columns stay as they are.
pub fn lower_scalar(_expr: HirScalarExpr) -> Result<MirScalarExpr, PlanError> {
    Err(PlanError::unsupported("this expression"))
}
