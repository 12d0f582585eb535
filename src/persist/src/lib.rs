//! Durable time-varying shards: since, upper, atomic append, compaction; on RocksDB.
//!
//! A **shard** is one durable collection of updates `(entry, time, diff)`, where an entry is a row or an evaluation
//! error. Each shard has
//!
//! * an **upper**: the times below it are complete; `Timestamp::MAX` says that the shard is closed;
//! * a **since**: times below it may have been advanced to it, so that the shard can be read only at or after it;
//! * an **epoch**, which fences writers: an append under a lower epoch than the newest one seen is refused.
//!
//! # Invariants
//!
//! 1. An append covers any number of shards and commits on all or on none of them ([`PersistClient::append`]).
//! 2. An append `[lower, upper)` commits only while the shard's upper is `lower`. A lost race is an
//!    [`AppendOutcome`], never an error.
//! 3. What was acknowledged is durable: the commit was synced before the answer.
//! 4. An append carries a token. A repeated request with the same token commits once and reports the first outcome.
//! 5. Reads at `as_of` see exactly the updates at times up to `as_of`; since never passes a held lease.
//! 6. A part that a commit, a reader or a staged batch names is never deleted.
//!
//! # The path of an update
//!
//! [`BatchBuilder::add`] buffers it; a full buffer is sorted, consolidated and encoded ([`part`]) and staged as an
//! immutable part through the [`storage::Blob`] trait. [`BatchBuilder::finish`] gives a [`Batch`]: names of staged
//! parts, or, when it is tiny, the updates themselves. [`PersistClient::append`] sends batches to the engine,
//! which checks uppers and epochs and commits through [`storage::Consensus`]; the committer thread of RocksDB writes
//! all commits that wait in one batch with one sync. Then uppers are pushed to those who listen. In the background the
//! engine merges batches, advances their times to since, and deletes what nothing names any more.
//!
//! In the environment the client works on the engine directly; in worker processes on a gRPC connection to it
//! ([`serve`], [`PersistClient::connect_unix`]). Both give the same API and the same guarantees.
//!
//! Left out: several environments over one store (the engine caches shard states and expects to be their only writer;
//! RocksDB's lock file ensures it).

mod backend;
mod batch;
mod client;
mod config;
mod engine;
mod error;
mod id;
mod kv;
pub mod part;
mod read;
mod rpc;
mod server;
pub mod storage;
#[cfg(test)]
mod tests;
mod types;

pub use batch::{Batch, BatchBuilder};
pub use client::PersistClient;
pub use config::{ClientConfig, PersistConfig};
pub use error::PersistError;
pub use id::{ParseShardIdError, PartId, ShardId};
pub use kv::{KvExpected, KvOp, KvStore};
pub use read::{Lease, Listen, ListenEvent, Snapshot};
pub use rpc::serve;
pub use server::PersistServer;
pub use types::{Append, AppendOutcome, Entry, ErrorPayload, ShardState, Update};
