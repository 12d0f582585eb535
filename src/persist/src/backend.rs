//! What a client needs of persist, met by the engine in process and by a gRPC connection elsewhere.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use hw_repr::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::PersistError;
use crate::id::{PartId, ShardId};
use crate::types::{AppendOutcome, ShardState};

/// A part as shard states name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartMeta {
    pub(crate) id: PartId,
    /// How many updates it holds.
    pub(crate) len: u64,
    /// Encoded size.
    pub(crate) bytes: u64,
    /// About how large it is in memory.
    pub(crate) raw: u64,
}

/// One shard's part of an append, as it goes to the engine.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AppendRequest {
    pub(crate) shard: ShardId,
    pub(crate) lower: Timestamp,
    pub(crate) upper: Timestamp,
    pub(crate) epoch: Option<u64>,
    /// Staged parts, each sorted in itself.
    pub(crate) parts: Vec<PartMeta>,
    /// Updates that are not in a part, see [`crate::part::inline`]; empty when there are none.
    pub(crate) inline: Bytes,
}

/// Encoded updates of a shard.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Piece {
    /// Whether they are in the inline encoding rather than a part.
    pub(crate) inline: bool,
    pub(crate) bytes: Bytes,
}

/// What a listen sends. Pieces hold all updates from the last progress up to the next one, and may hold others, which
/// the reader filters out by their time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    Piece(Piece),
    Progress(Timestamp),
}

pub(crate) type PieceStream = BoxStream<'static, Result<Piece, PersistError>>;
pub(crate) type ChangeStream = BoxStream<'static, Result<Change, PersistError>>;

/// A lease that a backend has granted. Dropping it gives it up.
pub(crate) trait LeaseControl: Send + Sync {
    /// Moves the hold forward. Earlier times are ignored.
    fn downgrade(&self, at: Timestamp);
    /// Whether the hold has been lost (it had expired and since has passed it).
    fn is_lost(&self) -> bool;
}

/// The operations of persist on encoded data. The documentation of [`crate::PersistClient`] holds.
#[async_trait]
pub(crate) trait Backend: std::fmt::Debug + Send + Sync + 'static {
    async fn ensure_shard(
        &self,
        shard: ShardId,
        desc: Bytes,
        initial: Timestamp,
    ) -> Result<ShardState, PersistError>;
    async fn state(&self, shard: ShardId) -> Result<Option<ShardState>, PersistError>;
    async fn put_part(&self, shard: ShardId, part: PartId, bytes: Bytes) -> Result<(), PersistError>;
    /// Gives up staged parts that no append will name.
    fn release_parts(&self, shard: ShardId, parts: Vec<PartId>);
    async fn append(&self, token: Uuid, appends: Vec<AppendRequest>) -> Result<AppendOutcome, PersistError>;
    async fn snapshot(&self, shard: ShardId, as_of: Timestamp) -> Result<PieceStream, PersistError>;
    async fn listen(&self, shard: ShardId, after: Timestamp) -> Result<ChangeStream, PersistError>;
    async fn open_lease(&self, shard: ShardId, at: Timestamp) -> Result<Box<dyn LeaseControl>, PersistError>;
    async fn allow_compaction(&self, downgrades: Vec<(ShardId, Timestamp)>) -> Result<(), PersistError>;
    async fn finalize(&self, shards: Vec<ShardId>) -> Result<(), PersistError>;
    async fn wait_upper_past(&self, shard: ShardId, ts: Timestamp) -> Result<Timestamp, PersistError>;
}
