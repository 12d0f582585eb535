//! The shard sink: a collection into a shard.
//!
//! One worker, chosen by the shard's id, gathers all updates and hands them to a task, which appends everything below the
//! input's frontier as `[upper, frontier)`. Each replica of a cluster does the same; since a dataflow is deterministic, whose
//! append wins does not matter: who loses the race drops what has been written.
//!
//! # Invariants
//!
//! 1. What is at times below the shard's upper is there already and is never written again; so a sink resumes where the
//!    shard stands.
//! 2. If the shard ends before `as_of` (the input cannot be read from where the shard ends), the sink writes at `as_of` the
//!    difference between the input and what the shard holds.
//! 3. Memory is bounded: beyond [`SPILL_BYTES`] the updates of the least time are staged as parts. A staged batch cannot be
//!    cut in two, so it holds one time only and is appended alone.
//! 4. The reported frontier is one up to which the shard is written.

mod operator;
mod writer;

pub use operator::{SinkConfig, shard_sink};
