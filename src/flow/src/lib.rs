//! Timely operators shared by workers: shard source and shard sink.
//!
//! * [`source`]: a shard as a stream of rows and a stream of errors, from its contents at `as_of` on.
//! * [`sink`]: a stream of updates into a shard, exactly once, by any number of replicas that write the same.
//! * [`fatal`]: what is done when an operator cannot go on.
//!
//! Persist is asynchronous and a timely worker must not wait, so each operator has a task on the tokio runtime beside it and
//! a bounded channel between the two. Whatever arrives for the operator activates it. Dropping the dataflow drops the
//! operator, which aborts the task.

pub mod fatal;
mod ledger;
pub mod sink;
pub mod source;

pub use fatal::Fatal;
pub use sink::{SinkConfig, shard_sink};
pub use source::{SourceConfig, shard_source};
