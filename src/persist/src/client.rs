//! The client: the one API of persist, in process and over gRPC.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use hw_repr::{RelationDesc, Timestamp};
use uuid::Uuid;

use crate::backend::{AppendRequest, Backend};
use crate::batch::{BatchBuilder, BuilderConfig};
use crate::config::ClientConfig;
use crate::error::PersistError;
use crate::id::ShardId;
use crate::read::{Lease, Listen, Snapshot};
use crate::rpc::RemoteBackend;
use crate::types::{Append, AppendOutcome, ShardState};

/// Access to shards. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PersistClient {
    backend: Arc<dyn Backend>,
    builder: BuilderConfig,
}

impl PersistClient {
    pub(crate) fn new(backend: Arc<dyn Backend>, builder: BuilderConfig) -> Self {
        PersistClient { backend, builder }
    }

    /// A client of the server that listens on a Unix socket. It connects on first use and again whenever the
    /// connection is lost. Must be called within a tokio runtime.
    pub fn connect_unix(path: impl AsRef<Path>) -> Self {
        Self::connect_unix_with(path, ClientConfig::default())
    }

    /// [`PersistClient::connect_unix`] with settings.
    pub fn connect_unix_with(path: impl AsRef<Path>, config: ClientConfig) -> Self {
        let builder = BuilderConfig {
            part_target_bytes: config.part_target_bytes,
            inline_limit_bytes: config.inline_limit_bytes,
        };
        PersistClient::new(RemoteBackend::connect(path.as_ref(), config), builder)
    }

    /// Creates the shard if it does not exist, with since and upper at `initial`, and returns its state. Idempotent.
    pub async fn ensure_shard(
        &self,
        shard: ShardId,
        desc: &RelationDesc,
        initial: Timestamp,
    ) -> Result<ShardState, PersistError> {
        let desc = postcard::to_stdvec(desc).map_err(|e| PersistError::Invalid(e.to_string()))?;
        self.backend.ensure_shard(shard, Bytes::from(desc), initial).await
    }

    /// The shard's state; `None` when it does not exist.
    pub async fn state(&self, shard: ShardId) -> Result<Option<ShardState>, PersistError> {
        self.backend.state(shard).await
    }

    /// Starts a batch of updates for the shard.
    pub fn batch_builder(&self, shard: ShardId) -> BatchBuilder {
        BatchBuilder::new(Arc::clone(&self.backend), self.builder.clone(), shard)
    }

    /// Commits on all shards or on none. A shard may occur once. Lost races are outcomes; the batches are given up
    /// unless the outcome is `Committed`.
    ///
    /// # Errors
    /// `Determinate` and `PartsLost`: nothing was committed. `Indeterminate`: unknown; read the state again.
    pub async fn append(&self, appends: Vec<Append>) -> Result<AppendOutcome, PersistError> {
        let token = Uuid::new_v4();
        let mut requests = Vec::with_capacity(appends.len());
        for a in &appends {
            if a.batch.shard() != a.shard {
                return Err(PersistError::Invalid(format!(
                    "a batch of {} appended to {}",
                    a.batch.shard(),
                    a.shard
                )));
            }
            if a.lower >= a.upper {
                return Err(PersistError::Invalid(format!(
                    "append of the empty interval [{}, {})",
                    a.lower, a.upper
                )));
            }
            a.batch.check_bounds(a.lower, a.upper)?;
            requests.push(AppendRequest {
                shard: a.shard,
                lower: a.lower,
                upper: a.upper,
                epoch: a.epoch,
                parts: a.batch.parts().to_vec(),
                inline: a.batch.inline().clone(),
            });
        }
        let outcome = self.backend.append(token, requests).await;
        // An indeterminate append may have made the parts part of a shard, so they must not be released.
        if matches!(outcome, Ok(AppendOutcome::Committed) | Err(PersistError::Indeterminate(_))) {
            appends.into_iter().for_each(|a| a.batch.disarm());
        }
        outcome
    }

    /// The collection at `as_of`, as a stream of chunks. Waits until it is complete (`upper > as_of`).
    ///
    /// # Errors
    /// `SinceTooHigh` when `as_of` is below since.
    pub async fn snapshot(&self, shard: ShardId, as_of: Timestamp) -> Result<Snapshot, PersistError> {
        Ok(Snapshot::new(self.backend.snapshot(shard, as_of).await?, as_of))
    }

    /// All updates at times greater than `after`, as they are committed. Since is held at `after` while the listen
    /// lives and follows its progress.
    ///
    /// # Errors
    /// `SinceTooHigh` when `after` is below since.
    pub async fn listen(&self, shard: ShardId, after: Timestamp) -> Result<Listen, PersistError> {
        // The stream holds since as well, but only while its connection lasts.
        let hold = self.backend.open_lease(shard, after).await?;
        let changes = self.backend.listen(shard, after).await?;
        Ok(Listen::new(Arc::clone(&self.backend), hold, shard, after, changes))
    }

    /// Holds since at `at` for as long as the lease lives.
    ///
    /// # Errors
    /// `SinceTooHigh` when `at` is below since.
    pub async fn open_lease(&self, shard: ShardId, at: Timestamp) -> Result<Lease, PersistError> {
        Ok(Lease::new(self.backend.open_lease(shard, at).await?, shard, at))
    }

    /// Lets since advance to the given times, durably. The shard's since is the least of this and all leases; it never
    /// goes back. Shards that do not exist are ignored.
    pub async fn allow_compaction(&self, downgrades: Vec<(ShardId, Timestamp)>) -> Result<(), PersistError> {
        self.backend.allow_compaction(downgrades).await
    }

    /// Drops shards and reclaims their space. Shards that do not exist are ignored.
    pub async fn finalize(&self, shards: Vec<ShardId>) -> Result<(), PersistError> {
        self.backend.finalize(shards).await
    }

    /// Waits until the shard's upper is greater than `ts` and returns it.
    pub async fn wait_upper_past(&self, shard: ShardId, ts: Timestamp) -> Result<Timestamp, PersistError> {
        self.backend.wait_upper_past(shard, ts).await
    }
}
