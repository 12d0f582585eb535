//! MIR to MIR transforms and MIR to LIR.
//!
//! ```text
//! MIR of a query ── inline views ── logical transforms ── physical transforms ── lowering ── LIR
//! ```
//!
//! * [`optimize_dataflow`]: objects to a dataflow. [`optimize_peek`]: a one-off query to a constant, a read of something
//!   that exists, or a dataflow.
//! * [`optimize_local`]: the transforms that need no knowledge of other objects.
//! * [`bind_time`]: the time of a one-off query, once it is chosen, in its plan.
//! * [`explain_hir`], [`explain_mir`], [`explain_peek`], [`explain_dataflow`]: plans as text or JSON.
//!
//! What the optimizer knows of existing objects comes through [`DataflowContext`].

mod analysis;
mod bind_time;
mod context;
mod dataflow;
mod error;
mod explain;
mod inline;
mod literal;
mod lower;
mod peek;
mod stage;
mod template;
#[cfg(test)]
mod tests;
mod transform;

pub use bind_time::bind_time;
pub use context::{DataflowContext, DurableInfo};
pub use dataflow::{DataflowPlan, optimize_dataflow};
pub use error::OptimizerError;
pub use explain::{
    ExplainOption, ExplainOptions, Humanizer, explain_dataflow, explain_hir, explain_mir, explain_peek,
};
pub use peek::{PeekPlan, optimize_peek};
pub use stage::{LocallyOptimizedMir, optimize_local};
pub use template::PeekTemplate;
