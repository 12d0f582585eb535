//! Renders LIR on differential dataflow; serves peeks and subscribes.
//!
//! [`start`] runs worker threads, each a timely worker. Commands go to all of them in the same order; their responses are
//! merged into one stream.
//!
//! # From command to answer
//!
//! `CreateDataflow` → [`dataflow`] reads shards (`hw-flow`) and imports indexes, [`render`]s the objects' plans, and gives each
//! export its operator: an index keeps its traces in the worker's state, a materialized view is written to its shard
//! (`hw-flow`), a [`subscribe`] tells its changes. [`frontier`] notes how far each has come. `Peek` → [`peek`] reads an index's
//! traces or a shard. `AllowCompaction` moves an export's since, or drops it; a dataflow goes with its last export, once
//! no other dataflow reads its indexes ([`exports`]). A new connection's history is compared with what runs ([`reconcile`]).
//!
//! # Invariants
//!
//! 1. All workers act on the same commands in the same order and decide from commands alone, so that they build the same
//!    dataflows.
//! 2. A collection is a pair of rows and errors. Where a row has no value, or an operator finds more retractions than rows,
//!    there is an error in place of rows, never a panic; a read at that time fails with it.
//! 3. An index is read at times from its since on, after its frontier has passed them.
//! 4. Each worker answers each peek once.
//!
//! Left out: workers of one replica in several processes; sources (`hw-connector` runs them beside this).

mod dataflow;
mod error;
mod exports;
mod frontier;
mod instance;
mod merge;
mod metrics;
mod peek;
mod reconcile;
mod reduce_types;
mod render;
mod row_container;
mod subscribe;
mod time;
mod typedefs;
mod worker;

pub use error::{ComputeError, decode_error, encode_error};
pub use hw_flow::Fatal;
pub use instance::{ComputeConfig, ComputeHandle, start};
