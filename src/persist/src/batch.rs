//! Batches of updates and how they are built in bounded memory.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use hw_base::task::{AbortOnDrop, spawn_scoped};
use hw_repr::{Diff, Timestamp};

use crate::backend::{Backend, PartMeta};
use crate::error::PersistError;
use crate::id::{PartId, ShardId};
use crate::part::{consolidate, encode_part, inline, update_bytes};
use crate::types::{Entry, Update};

/// How many full buffers may be in encoding or upload while the next one fills.
const UPLOADS_IN_FLIGHT: usize = 2;

/// Sizes that steer a builder.
#[derive(Debug, Clone)]
pub(crate) struct BuilderConfig {
    pub(crate) part_target_bytes: usize,
    pub(crate) inline_limit_bytes: usize,
}

/// Staged parts, which are given up on drop unless a commit has taken them.
#[derive(Debug)]
struct StagedParts {
    backend: Arc<dyn Backend>,
    shard: ShardId,
    ids: Vec<PartId>,
}

impl Drop for StagedParts {
    fn drop(&mut self) {
        if !self.ids.is_empty() {
            self.backend.release_parts(self.shard, std::mem::take(&mut self.ids));
        }
    }
}

/// A finished set of updates for one shard: staged parts, or, when small, the updates themselves. Dropping a batch that
/// was not committed gives up its parts.
#[derive(Debug)]
pub struct Batch {
    staged: StagedParts,
    lower: Timestamp,
    upper: Timestamp,
    /// Least and greatest time of the updates.
    times: Option<(Timestamp, Timestamp)>,
    parts: Vec<PartMeta>,
    inline: Bytes,
    len: u64,
}

impl Batch {
    /// The shard it is for.
    pub fn shard(&self) -> ShardId {
        self.staged.shard
    }

    /// The lower bound it was finished with.
    pub fn lower(&self) -> Timestamp {
        self.lower
    }

    /// The upper bound it was finished with.
    pub fn upper(&self) -> Timestamp {
        self.upper
    }

    /// How many updates it holds; some may cancel out between its parts.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it holds no updates.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn parts(&self) -> &[PartMeta] {
        &self.parts
    }

    pub(crate) fn inline(&self) -> &Bytes {
        &self.inline
    }

    /// Checks that all updates are in `[lower, upper)`.
    pub(crate) fn check_bounds(&self, lower: Timestamp, upper: Timestamp) -> Result<(), PersistError> {
        match self.times {
            Some((min, max)) if min < lower || max >= upper => Err(PersistError::Invalid(format!(
                "updates at times {min} to {max} in a batch of [{lower}, {upper})"
            ))),
            _ => Ok(()),
        }
    }

    /// The parts belong to the shard now.
    pub(crate) fn disarm(mut self) {
        self.staged.ids.clear();
    }
}

/// Collects updates into a [`Batch`]. Holds a few buffers of the configured part size at most.
#[derive(Debug)]
pub struct BatchBuilder {
    config: BuilderConfig,
    buffer: Vec<Update>,
    buffer_bytes: usize,
    times: Option<(Timestamp, Timestamp)>,
    // Uploads are before `staged`, so that they are aborted before their parts are given up.
    uploads: VecDeque<AbortOnDrop<Result<PartMeta, PersistError>>>,
    parts: Vec<PartMeta>,
    staged: StagedParts,
}

impl BatchBuilder {
    pub(crate) fn new(backend: Arc<dyn Backend>, config: BuilderConfig, shard: ShardId) -> Self {
        BatchBuilder {
            config,
            buffer: Vec::new(),
            buffer_bytes: 0,
            times: None,
            uploads: VecDeque::new(),
            parts: Vec::new(),
            staged: StagedParts { backend, shard, ids: Vec::new() },
        }
    }

    /// Adds an update. Waits when full buffers are written more slowly than they fill.
    pub async fn add(&mut self, entry: Entry, ts: Timestamp, diff: Diff) -> Result<(), PersistError> {
        if diff == 0 {
            return Ok(());
        }
        let (min, max) = self.times.unwrap_or((ts, ts));
        self.times = Some((min.min(ts), max.max(ts)));
        let update = (entry, ts, diff);
        self.buffer_bytes += update_bytes(&update);
        self.buffer.push(update);
        if self.buffer_bytes >= self.config.part_target_bytes {
            self.flush().await?;
        }
        Ok(())
    }

    /// About how many bytes of updates are buffered here.
    pub fn buffered_bytes(&self) -> usize {
        self.buffer_bytes
    }

    /// Finishes the batch for `[lower, upper)`.
    ///
    /// # Errors
    /// `Invalid` when an update is at a time outside.
    pub async fn finish(mut self, lower: Timestamp, upper: Timestamp) -> Result<Batch, PersistError> {
        consolidate(&mut self.buffer);
        let mut tail = Bytes::new();
        let mut len = 0;
        if !self.buffer.is_empty() {
            let small = self.uploads.is_empty()
                && self.parts.is_empty()
                && self.buffer.iter().map(update_bytes).sum::<usize>() <= self.config.inline_limit_bytes;
            if small {
                len += self.buffer.len() as u64;
                tail = inline::encode(&self.buffer);
            } else {
                self.flush().await?;
            }
        }
        while !self.uploads.is_empty() {
            self.finish_upload().await?;
        }
        len += self.parts.iter().map(|p| p.len).sum::<u64>();
        let batch = Batch {
            staged: self.staged,
            lower,
            upper,
            times: self.times,
            parts: self.parts,
            inline: tail,
            len,
        };
        batch.check_bounds(lower, upper)?;
        Ok(batch)
    }

    async fn flush(&mut self) -> Result<(), PersistError> {
        while self.uploads.len() >= UPLOADS_IN_FLIGHT {
            self.finish_upload().await?;
        }
        self.buffer_bytes = 0;
        let mut updates = std::mem::take(&mut self.buffer);
        let id = PartId::new();
        self.staged.ids.push(id);
        let (backend, shard) = (Arc::clone(&self.staged.backend), self.staged.shard);
        self.uploads.push_back(spawn_scoped("persist: stage part", async move {
            let encoded = tokio::task::spawn_blocking(move || {
                consolidate(&mut updates);
                let raw = updates.iter().map(|u| update_bytes(u) as u64).sum();
                (updates.len() as u64, raw, encode_part(&updates))
            });
            let (len, raw, bytes) = encoded.await.map_err(|e| PersistError::Determinate(e.to_string()))?;
            let meta = PartMeta { id, len, bytes: bytes.len() as u64, raw };
            if len > 0 {
                backend.put_part(shard, id, bytes).await?;
            }
            Ok(meta)
        }));
        Ok(())
    }

    async fn finish_upload(&mut self) -> Result<(), PersistError> {
        if let Some(upload) = self.uploads.front_mut() {
            let joined = upload.await;
            self.uploads.pop_front();
            let meta = joined.map_err(|e| PersistError::Determinate(e.to_string()))??;
            // Everything in it may have cancelled out.
            if meta.len > 0 {
                self.parts.push(meta);
            }
        }
        Ok(())
    }
}
