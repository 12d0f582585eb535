//! Appends: staging parts, and the atomic commit over several shards.

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::Engine;
use super::gc::PartHandle;
use super::shards::Locked;
use super::state::{BatchRecord, ShardData, StoredBatch, batch_key, encode};
use crate::backend::AppendRequest;
use crate::error::PersistError;
use crate::id::{PartId, ShardId};
use crate::storage::Durability;
use crate::types::AppendOutcome;

/// How often a commit is tried again after memory turned out to be behind storage.
const CONFLICTS_MAX: usize = 8;

impl Engine {
    pub(super) async fn stage(&self, shard: ShardId, part: PartId, bytes: Bytes) -> Result<(), PersistError> {
        self.shard(shard)?;
        if self.staged.lock().contains_key(&part) {
            return Ok(());
        }
        let len = bytes.len() as u64;
        // A part whose write fails is left for the next start: a second attempt may be writing it right now.
        self.blob.put(shard, part, bytes).await?;
        self.metrics.part_bytes.inc_by(len);
        let handle = PartHandle::new(shard, part, &self.garbage);
        self.staged.lock().entry(part).or_insert(handle);
        Ok(())
    }

    pub(super) async fn append_all(
        &self,
        token: Uuid,
        mut requests: Vec<AppendRequest>,
    ) -> Result<AppendOutcome, PersistError> {
        if requests.is_empty() {
            return Ok(AppendOutcome::Committed);
        }
        requests.sort_by_key(|r| r.shard);
        if requests.windows(2).any(|w| w[0].shard == w[1].shard) {
            return Err(PersistError::Invalid("a shard occurs twice in one append".into()));
        }
        let mut locked = Vec::with_capacity(requests.len());
        for r in &requests {
            locked.push(self.lock(self.shard(r.shard)?).await?);
        }
        for _ in 0..CONFLICTS_MAX {
            if let Some(outcome) = self.decided(token, &requests, &locked) {
                return Ok(outcome);
            }
            let handles = self.take_staged(&requests)?;
            match self.commit(token, &requests, &locked, &handles).await {
                Ok(true) => {
                    self.committed.lock().insert(token);
                    requests.iter().for_each(|r| self.schedule_compaction(r.shard));
                    return Ok(AppendOutcome::Committed);
                }
                Ok(false) => self.restage(handles),
                // The parts may be part of the shards now: the handles are dropped without deleting anything.
                Err(e @ PersistError::Indeterminate(_)) => return self.resolve(token, &locked, e).await,
                Err(e) => {
                    self.restage(handles);
                    return Err(e);
                }
            }
        }
        Err(PersistError::Determinate("shard states keep changing".into()))
    }

    /// The outcome, when it can be told without a write.
    fn decided(&self, token: Uuid, requests: &[AppendRequest], locked: &[Locked]) -> Option<AppendOutcome> {
        if self.committed.lock().set.contains(&token) {
            return Some(AppendOutcome::Committed);
        }
        let data: Vec<_> = locked.iter().map(|l| l.shard.data()).collect();
        // Commits are atomic: a token at one shard is at all of them, or was.
        if data.iter().any(|d| d.record.tokens.contains(&token)) {
            return Some(AppendOutcome::Committed);
        }
        for (r, d) in requests.iter().zip(&data) {
            if r.epoch.is_some_and(|e| e < d.record.epoch) {
                return Some(AppendOutcome::Fenced { shard: r.shard, epoch: d.record.epoch });
            }
        }
        let behind = requests.iter().zip(&data).find(|(r, d)| d.record.upper != r.lower);
        behind.map(|(r, d)| AppendOutcome::UpperMismatch { shard: r.shard, current: d.record.upper })
    }

    /// Takes the handles of all parts that the requests name.
    fn take_staged(&self, requests: &[AppendRequest]) -> Result<Vec<Vec<Arc<PartHandle>>>, PersistError> {
        let mut staged = self.staged.lock();
        for r in requests {
            let all = r.parts.iter().all(|p| staged.get(&p.id).is_some_and(|h| h.shard() == r.shard));
            if !all {
                return Err(PersistError::PartsLost(r.shard));
            }
        }
        let take = |r: &AppendRequest| r.parts.iter().filter_map(|p| staged.remove(&p.id)).collect();
        Ok(requests.iter().map(take).collect())
    }

    fn restage(&self, handles: Vec<Vec<Arc<PartHandle>>>) {
        self.staged.lock().extend(handles.into_iter().flatten().map(|h| (h.id(), h)));
    }

    async fn commit(
        &self,
        token: Uuid,
        requests: &[AppendRequest],
        locked: &[Locked],
        handles: &[Vec<Arc<PartHandle>>],
    ) -> Result<bool, PersistError> {
        let mut updates = Vec::with_capacity(requests.len());
        for ((r, l), handles) in requests.iter().zip(locked).zip(handles) {
            let mut data = (*l.shard.data()).clone();
            let mut entries = Vec::new();
            data.record.upper = r.upper;
            data.record.epoch = r.epoch.unwrap_or_default().max(data.record.epoch);
            data.record.push_token(token);
            if !r.parts.is_empty() || !r.inline.is_empty() {
                let (key, value) = push_batch(&mut data, r, handles);
                entries.push((key, Some(value)));
            }
            updates.push((l, data, entries));
        }
        self.write_shards(updates, Durability::Synced).await
    }

    /// After a commit whose result is unknown: if the token is there, it was committed.
    async fn resolve(
        &self,
        token: Uuid,
        locked: &[Locked],
        error: PersistError,
    ) -> Result<AppendOutcome, PersistError> {
        for l in locked {
            if self.reload(l).await.is_err() {
                return Err(error);
            }
        }
        if locked.iter().any(|l| l.shard.data().record.tokens.contains(&token)) {
            self.committed.lock().insert(token);
            return Ok(AppendOutcome::Committed);
        }
        Err(error)
    }
}

/// Adds a request's updates as a batch; gives its key and stored value.
fn push_batch(data: &mut ShardData, r: &AppendRequest, handles: &[Arc<PartHandle>]) -> (Vec<u8>, Bytes) {
    let seq = data.record.next_seq;
    data.record.next_seq += 1;
    let record = BatchRecord {
        lower: r.lower,
        upper: r.upper,
        runs: r.parts.iter().map(|p| vec![p.clone()]).collect(),
        inline: r.inline.clone(),
        compacted: false,
    };
    let value = encode(&record);
    data.batches.push(Arc::new(StoredBatch { seq, record, handles: handles.to_vec() }));
    (batch_key(seq), value)
}

/// Marks a part as garbage unless it is kept.
pub(super) struct GarbageOnDrop(Option<Arc<PartHandle>>);

impl GarbageOnDrop {
    pub(super) fn new(handle: Arc<PartHandle>) -> Self {
        GarbageOnDrop(Some(handle))
    }

    pub(super) fn handle(&self) -> Arc<PartHandle> {
        Arc::clone(self.0.as_ref().expect("the handle is there until it is kept"))
    }

    pub(super) fn keep(mut self) -> Arc<PartHandle> {
        self.0.take().expect("the handle is there until it is kept")
    }
}

impl Drop for GarbageOnDrop {
    fn drop(&mut self) {
        if let Some(handle) = &self.0 {
            handle.mark_garbage();
        }
    }
}
