//! The two traits that carry persist, and their implementations: memory, RocksDB, and a wrapper that injects faults.

use async_trait::async_trait;
use bytes::Bytes;

use crate::id::{PartId, ShardId};

pub mod fault;
pub mod memory;
pub mod rocks;

/// An error of storage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// The operation had no effect.
    #[error("{0}")]
    Determinate(String),
    /// The operation may have taken effect.
    #[error("{0}")]
    Indeterminate(String),
    /// Stored bytes are not what was written.
    #[error("{0}")]
    Corrupt(String),
}

/// Immutable parts by name.
#[async_trait]
pub trait Blob: std::fmt::Debug + Send + Sync + 'static {
    /// Writes a part. It need not be durable before the next [`Consensus::compare_and_set`] that is
    /// [`Durability::Synced`] returns.
    async fn put(&self, shard: ShardId, part: PartId, bytes: Bytes) -> Result<(), StorageError>;
    /// Reads a part; `None` when there is none of that name.
    async fn get(&self, shard: ShardId, part: PartId) -> Result<Option<Bytes>, StorageError>;
    /// Deletes parts. Missing ones are ignored.
    async fn delete(&self, parts: Vec<(ShardId, PartId)>) -> Result<(), StorageError>;
    /// The names of all parts.
    async fn list(&self) -> Result<Vec<(ShardId, PartId)>, StorageError>;
}

/// When a write of state counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// It survives a crash of the machine, together with all writes before it.
    Synced,
    /// It may be lost in a crash, but only together with all writes after it.
    Relaxed,
}

/// One shard's state as stored: a version, and values by key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredShard {
    /// The shard.
    pub shard: ShardId,
    /// Changes with each write.
    pub version: u64,
    /// Values in the order of their keys.
    pub entries: Vec<(Vec<u8>, Bytes)>,
}

/// One shard's part of a compare-and-set.
#[derive(Debug, Clone)]
pub struct ShardWrite {
    /// The shard.
    pub shard: ShardId,
    /// The version that must be stored now; `None`: the shard must not exist.
    pub expected: Option<u64>,
    /// The version afterwards; `None` removes the shard with all its values.
    pub next: Option<u64>,
    /// Values to write (`Some`) or to delete. Keys are not empty.
    pub entries: Vec<(Vec<u8>, Option<Bytes>)>,
}

/// How a compare-and-set ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CasOutcome {
    /// Written.
    Done,
    /// Nothing was written: a version was not the expected one.
    Conflict,
}

/// The state of shards, changed by compare-and-set over any number of them at once.
#[async_trait]
pub trait Consensus: std::fmt::Debug + Send + Sync + 'static {
    /// All shards.
    async fn load_all(&self) -> Result<Vec<StoredShard>, StorageError>;
    /// One shard; `None` when it does not exist.
    async fn load(&self, shard: ShardId) -> Result<Option<StoredShard>, StorageError>;
    /// Writes to all the shards or to none.
    async fn compare_and_set(
        &self,
        writes: Vec<ShardWrite>,
        durability: Durability,
    ) -> Result<CasOutcome, StorageError>;
}
