//! Entries, updates, shard states and appends.

use std::sync::Arc;

use hw_repr::{Diff, Row, Timestamp};
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::id::ShardId;

/// An evaluation or source error, serialized by those who make and read it; opaque here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ErrorPayload(Arc<[u8]>);

impl ErrorPayload {
    /// Wraps serialized bytes.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        ErrorPayload(bytes.into())
    }

    /// The serialized bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What a collection holds: rows, and errors in place of rows.
pub type Entry = Result<Row, ErrorPayload>;

/// A change to a collection.
pub type Update = (Entry, Timestamp, Diff);

/// What is known of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardState {
    /// The earliest time at which the shard can be read.
    pub since: Timestamp,
    /// The times below it are complete; `Timestamp::MAX` when the shard is closed.
    pub upper: Timestamp,
    /// The newest writer epoch seen.
    pub epoch: u64,
}

/// One shard's part of an atomic append.
#[derive(Debug)]
pub struct Append {
    /// The shard.
    pub shard: ShardId,
    /// Its updates, at times in `[lower, upper)`.
    pub batch: Batch,
    /// The shard's upper as the writer knows it.
    pub lower: Timestamp,
    /// The shard's upper after the commit.
    pub upper: Timestamp,
    /// The writer's epoch; `None` is not fenced.
    pub epoch: Option<u64>,
}

impl Append {
    /// An append of a batch at the bounds with which it was finished, not fenced.
    pub fn new(batch: Batch) -> Self {
        Append { shard: batch.shard(), lower: batch.lower(), upper: batch.upper(), batch, epoch: None }
    }

    /// The same under an epoch.
    pub fn with_epoch(mut self, epoch: u64) -> Self {
        self.epoch = Some(epoch);
        self
    }
}

/// How an append ended, when it ended without error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AppendOutcome {
    /// Durable on all shards.
    Committed,
    /// Nothing was written: another writer has moved this shard's upper.
    UpperMismatch {
        /// The first shard whose upper was not `lower`.
        shard: ShardId,
        /// Its upper.
        current: Timestamp,
    },
    /// Nothing was written: a writer of a newer epoch has taken over this shard.
    Fenced {
        /// The shard.
        shard: ShardId,
        /// The newest epoch.
        epoch: u64,
    },
}
