//! Errors of optimisation.

use hw_expr::mfp::TemporalError;

/// Why a plan could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptimizerError {
    /// `mz_now()` where it cannot be maintained.
    #[error(transparent)]
    Temporal(#[from] TemporalError),
    /// A plan reads what neither the dataflow builds nor the cluster offers.
    #[error("collection {0} is not readable here")]
    UnknownCollection(hw_repr::GlobalId),
    /// A broken invariant of plans.
    #[error("internal error in plan: {0}")]
    Internal(String),
}

impl OptimizerError {
    /// A broken invariant.
    pub(crate) fn internal(text: impl Into<String>) -> Self {
        OptimizerError::Internal(text.into())
    }
}
