//! Sources: how rows get from upstream systems into shards.
//!
//! A **source** is a connection, a position in the upstream system and a set of **exports**, the tables that become
//! collections. [`run_source`] runs one as tokio tasks: it reads a snapshot of exports that are new, then follows the
//! upstream's log, and commits what it has read.
//!
//! # The path of a row
//!
//! For MySQL: a connection ([`mysql`]) → packed row (`mysql::decode`, one decoder for snapshot and binlog, so that one value
//! has one encoding) → the committer (`committer`), which is the only one to write → persist.
//!
//! # Invariants
//!
//! 1. **One commit for everything**: the changes of all exports and the new position (the progress shard) are one atomic
//!    append. So after any crash the tables and the position agree: nothing is lost, nothing is there twice.
//! 2. All changes of one upstream transaction are at one time, which is in the commit that moves the position past it.
//! 3. An export without a committed snapshot has its shard untouched. Its snapshot is committed at one time together with a
//!    position at or after the snapshot.
//! 4. Each commit covers `[upper, T + 1)` of every shard, where `T` is the wall clock, but never below an upper.
//! 5. A definite error of a table is in its data, recorded with the position, and touches no sibling. A value that cannot
//!    be held is an error in place of its row and goes when the row goes.
//! 6. A status is told when it changes and is true: `running` only after the upstream has answered with data or log.

pub mod error;
pub mod mysql;

mod committer;
mod load_generator;
mod runner;
mod statistics;
mod status;
mod upstream;

pub use error::{UpstreamError, decode_payload, payload};
pub use mysql::progress::progress_desc;
pub use runner::run_source;
pub use upstream::MySqlUpstream;
