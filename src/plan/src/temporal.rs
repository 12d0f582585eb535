//! Map-filter-project with temporal bounds.
//!
//! A predicate `mz_now() < e` (and likewise `<=`, `=`, `>=`, `>`) says when a row is in the collection. Each such predicate
//! becomes a bound: an expression of type `mz_timestamp` over the input, at which the row enters or leaves.

use hw_expr::{MapFilterProject, MirScalarExpr};
use serde::{Deserialize, Serialize};

/// A [`MapFilterProject`] without `mz_now()`, and the times between which its output rows are valid.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MfpPlan {
    /// The part that does not depend on time.
    pub mfp: MapFilterProject,
    /// Expressions of type `mz_timestamp` over the columns of `mfp` before projection (input and appended columns): the
    /// row is present at `t` only if `t >= e` for each. NULL: never present.
    pub lower_bounds: Vec<MirScalarExpr>,
    /// Likewise: the row is present at `t` only if `t < e` for each. NULL: never present.
    pub upper_bounds: Vec<MirScalarExpr>,
}

impl MfpPlan {
    /// A plan without bounds.
    pub fn untimed(mfp: MapFilterProject) -> Self {
        MfpPlan { mfp, lower_bounds: vec![], upper_bounds: vec![] }
    }

    /// The identity.
    pub fn identity(arity: usize) -> Self {
        Self::untimed(MapFilterProject::new(arity))
    }

    /// Whether every row passes unchanged at all times.
    pub fn is_identity(&self) -> bool {
        self.mfp.is_identity() && !self.is_temporal()
    }

    /// Whether rows come and go with time alone.
    pub fn is_temporal(&self) -> bool {
        !self.lower_bounds.is_empty() || !self.upper_bounds.is_empty()
    }
}
