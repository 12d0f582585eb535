//! The one error family of the crate.

use hw_repr::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::ShardId;
use crate::storage::StorageError;

/// An error of persist. It travels over gRPC whole, so that both kinds of client see the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum PersistError {
    /// The operation had no effect. It may be tried again.
    #[error("storage operation failed: {0}")]
    Determinate(String),
    /// The operation may have taken effect. After an append the caller reads the shard's state again.
    #[error("storage operation may or may not have taken effect: {0}")]
    Indeterminate(String),
    /// A read at a time below the shard's since.
    #[error("shard {shard} cannot be read at time {requested}: its since is {since}")]
    SinceTooHigh {
        /// The shard.
        shard: ShardId,
        /// The time asked for.
        requested: Timestamp,
        /// The earliest time that can be read.
        since: Timestamp,
    },
    /// The shard does not exist, or was finalized meanwhile.
    #[error("unknown shard {0}")]
    UnknownShard(ShardId),
    /// Stored or received bytes are not what was written.
    #[error("corrupt data: {0}")]
    Corrupt(String),
    /// The request itself is wrong: an update outside its batch's bounds, a batch for another shard.
    #[error("invalid request: {0}")]
    Invalid(String),
    /// Staged parts of a batch are gone (the server restarted, or the session expired). Nothing was committed; the batch
    /// must be built again.
    #[error("staged parts of a batch for shard {0} are gone")]
    PartsLost(ShardId),
    /// A stream was cut after some of its updates had been handed out. The reader starts again.
    #[error("stream of updates was interrupted: {0}")]
    Interrupted(String),
}

impl PersistError {
    /// Whether the same request may succeed when it is sent again.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            PersistError::Determinate(_) | PersistError::Indeterminate(_) | PersistError::Interrupted(_)
        )
    }
}

impl From<StorageError> for PersistError {
    fn from(e: StorageError) -> Self {
        match e {
            StorageError::Determinate(m) => PersistError::Determinate(m),
            StorageError::Indeterminate(m) => PersistError::Indeterminate(m),
            StorageError::Corrupt(m) => PersistError::Corrupt(m),
        }
    }
}
