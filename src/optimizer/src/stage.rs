//! The stages of a plan, each a type of its own, so that none can be skipped.

use std::collections::BTreeMap;

use hw_expr::{MirRelationExpr, MirScalarExpr};
use hw_repr::GlobalId;

use crate::context::DataflowContext;
use crate::error::OptimizerError;
use crate::{analysis, transform};

/// A plan to which all transforms have been applied that need no knowledge of other objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocallyOptimizedMir(MirRelationExpr);

impl LocallyOptimizedMir {
    /// The plan.
    pub fn expr(&self) -> &MirRelationExpr {
        &self.0
    }

    /// The plan.
    pub fn into_expr(self) -> MirRelationExpr {
        self.0
    }
}

/// Applies the logical transforms.
///
/// # Errors
/// When the plan breaks an invariant.
pub fn optimize_local(mut expr: MirRelationExpr) -> Result<LocallyOptimizedMir, OptimizerError> {
    transform::optimize_logical(&mut expr);
    Ok(LocallyOptimizedMir(expr))
}

/// Applies the logical transforms, then those that choose how. `one_shot` is for plans that run for one time only.
/// Where the context wants no transforms, joins are decided, and no more.
pub(crate) fn optimize_object(
    expr: MirRelationExpr,
    context: &dyn DataflowContext,
    indexes: &dyn Fn(GlobalId) -> Vec<(GlobalId, Vec<MirScalarExpr>)>,
    one_shot: bool,
) -> Result<MirRelationExpr, OptimizerError> {
    let mut expr = expr;
    transform::hoist_volatile::apply(&mut expr);
    if !context.applies_transforms() {
        transform::normalize_lets::apply(&mut expr);
        transform::join_implementation::apply(&mut expr, indexes, one_shot);
        return Ok(expr);
    }
    // Most queries of programs are of this kind, and what is left of them is one read of an index or shard.
    let (_, read) = crate::lower::extract_mfp(&expr);
    if one_shot && matches!(read, MirRelationExpr::Get { .. }) {
        transform::optimize_one_collection(&mut expr);
        return Ok(expr);
    }
    let mut expr = optimize_local(expr)?.into_expr();
    transform::eliminate_common_subexpressions(&mut expr);
    transform::normalize_lets::apply(&mut expr);
    // A query that only filters one collection reads its index directly.
    let (_, read) = crate::lower::extract_mfp(&expr);
    if !(one_shot && matches!(read, MirRelationExpr::Get { .. })) {
        transform::literal_constraints::apply(&mut expr, indexes);
    }
    transform::join_implementation::apply(&mut expr, indexes, one_shot);
    transform::fusion_once(&mut expr);
    transform::eliminate_common_subexpressions(&mut expr);
    let durable = |id: GlobalId| context.durable(id).is_some_and(|d| d.monotonic);
    analysis::mark_monotonic(&mut expr, &durable, &mut BTreeMap::new());
    Ok(expr)
}
