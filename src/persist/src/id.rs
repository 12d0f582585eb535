//! Identifiers of shards and parts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An error from parsing a shard's identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid shard id {0:?}")]
pub struct ParseShardIdError(String);

/// The identifier of a shard; prints as `s` and a UUID.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShardId(Uuid);

impl ShardId {
    /// A new random identifier.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        ShardId(Uuid::new_v4())
    }

    /// The identifier of these 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        ShardId(Uuid::from_bytes(bytes))
    }

    /// The identifier as 16 bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl From<Uuid> for ShardId {
    fn from(uuid: Uuid) -> Self {
        ShardId(uuid)
    }
}

impl From<ShardId> for Uuid {
    fn from(shard: ShardId) -> Self {
        shard.0
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

impl fmt::Debug for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ShardId({})", self.0)
    }
}

impl FromStr for ShardId {
    type Err = ParseShardIdError;
    fn from_str(s: &str) -> Result<Self, ParseShardIdError> {
        s.strip_prefix('s')
            .and_then(|rest| Uuid::parse_str(rest).ok())
            .map(ShardId)
            .ok_or_else(|| ParseShardIdError(s.to_owned()))
    }
}

/// The identifier of a part, unique over all shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PartId(Uuid);

impl PartId {
    /// A new random identifier.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        PartId(Uuid::new_v4())
    }

    /// The identifier of these 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        PartId(Uuid::from_bytes(bytes))
    }

    /// The identifier as 16 bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for PartId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}", self.0)
    }
}
