//! The state of one shard: what is stored, and how it is published in memory.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use hw_repr::Timestamp;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use uuid::Uuid;

use super::gc::{Garbage, PartHandle};
use crate::backend::PartMeta;
use crate::error::PersistError;
use crate::id::{PartId, ShardId};
use crate::storage::StoredShard;

/// How many tokens of the last appends are kept durably with each shard.
const TOKENS_KEPT: usize = 4;

pub(super) const KEY_RECORD: &[u8] = b"s";
pub(super) const KEY_DESC: &[u8] = b"d";
const KEY_BATCH: u8 = b'b';

/// The key of a batch.
pub(super) fn batch_key(seq: u64) -> Vec<u8> {
    let mut key = vec![KEY_BATCH];
    key.extend_from_slice(&seq.to_be_bytes());
    key
}

/// What is stored of a shard besides its batches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ShardRecord {
    /// Not below the since of any reader's answer that compaction has used.
    pub(super) since: Timestamp,
    /// What the environment allows; leases may hold since back.
    pub(super) requested: Timestamp,
    pub(super) upper: Timestamp,
    pub(super) epoch: u64,
    pub(super) next_seq: u64,
    /// Of the last appends, oldest first.
    pub(super) tokens: Vec<Uuid>,
}

impl ShardRecord {
    pub(super) fn push_token(&mut self, token: Uuid) {
        if self.tokens.len() >= TOKENS_KEPT {
            self.tokens.remove(0);
        }
        self.tokens.push(token);
    }
}

/// Parts that are sorted and do not overlap, in order.
pub(super) type Run = Vec<PartMeta>;

/// A batch as stored: the updates at times in `[lower, upper)`, some of them advanced to a since.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct BatchRecord {
    pub(super) lower: Timestamp,
    pub(super) upper: Timestamp,
    pub(super) runs: Vec<Run>,
    pub(super) inline: Bytes,
    /// Whether compaction has made it.
    pub(super) compacted: bool,
}

impl BatchRecord {
    /// Encoded bytes of its updates.
    pub(super) fn bytes(&self) -> u64 {
        self.runs.iter().flatten().map(|p| p.bytes).sum::<u64>() + self.inline.len() as u64
    }
}

/// A batch with the handles that keep its parts.
#[derive(Debug)]
pub(super) struct StoredBatch {
    pub(super) seq: u64,
    pub(super) record: BatchRecord,
    /// One for each part, in the order of the runs.
    pub(super) handles: Vec<Arc<PartHandle>>,
}

/// One version of a shard, immutable.
#[derive(Debug, Clone)]
pub(super) struct ShardData {
    pub(super) version: u64,
    pub(super) record: ShardRecord,
    /// In the order of time.
    pub(super) batches: Vec<Arc<StoredBatch>>,
}

impl ShardData {
    /// Decodes stored state. Handles of parts that `before` names are taken over from it.
    pub(super) fn decode(
        stored: StoredShard,
        before: Option<&ShardData>,
        garbage: &Arc<Garbage>,
    ) -> Result<ShardData, PersistError> {
        let corrupt = |what: &str| PersistError::Corrupt(format!("state of shard {}: {what}", stored.shard));
        let known: HashMap<PartId, &Arc<PartHandle>> = before
            .into_iter()
            .flat_map(|d| &d.batches)
            .flat_map(|b| &b.handles)
            .map(|h| (h.id(), h))
            .collect();
        let mut record = None;
        let mut batches = Vec::new();
        for (key, value) in &stored.entries {
            if key == KEY_RECORD {
                record = Some(postcard::from_bytes(value).map_err(|_| corrupt("record"))?);
            } else if let Some((&KEY_BATCH, seq)) = key.split_first() {
                let seq = u64::from_be_bytes(seq.try_into().map_err(|_| corrupt("key of a batch"))?);
                let batch: BatchRecord = postcard::from_bytes(value).map_err(|_| corrupt("batch"))?;
                let handles = batch.runs.iter().flatten().map(|part| match known.get(&part.id) {
                    Some(handle) => Arc::clone(handle),
                    None => PartHandle::new(stored.shard, part.id, garbage),
                });
                let handles = handles.collect();
                batches.push(Arc::new(StoredBatch { seq, record: batch, handles }));
            }
        }
        let record = record.ok_or_else(|| corrupt("no record"))?;
        Ok(ShardData { version: stored.version, record, batches })
    }
}

pub(super) fn encode<T: Serialize>(value: &T) -> Bytes {
    Bytes::from(postcard::to_stdvec(value).expect("state can be serialized"))
}

/// What those who wait on a shard are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) upper: Timestamp,
    /// The shard was finalized.
    pub(super) gone: bool,
}

/// What holds since back.
#[derive(Debug)]
pub(super) struct Holds {
    pub(super) since: Timestamp,
    pub(super) requested: Timestamp,
    leases: HashMap<u64, Timestamp>,
    next_lease: u64,
}

impl Holds {
    /// Moves since as far as requests and leases allow. Says whether it moved.
    pub(super) fn advance(&mut self) -> bool {
        let allowed = self.leases.values().copied().fold(self.requested, Timestamp::min);
        let moved = allowed > self.since;
        self.since = self.since.max(allowed);
        moved
    }

    pub(super) fn open(&mut self, at: Timestamp) -> u64 {
        self.next_lease += 1;
        self.leases.insert(self.next_lease, at);
        self.next_lease
    }

    pub(super) fn downgrade(&mut self, lease: u64, at: Timestamp) {
        if let Some(held) = self.leases.get_mut(&lease) {
            *held = at.max(*held);
        }
    }

    pub(super) fn close(&mut self, lease: u64) {
        self.leases.remove(&lease);
    }
}

/// A shard in memory.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) id: ShardId,
    /// Held by who writes the shard's stored state. Several are locked in the order of their ids.
    pub(super) write: Arc<tokio::sync::Mutex<()>>,
    current: RwLock<Arc<ShardData>>,
    pub(super) progress: watch::Sender<Progress>,
    pub(super) holds: Mutex<Holds>,
    /// A write may or may not have taken effect: what is stored must be read before it is relied on.
    stale: AtomicBool,
}

impl Shard {
    pub(super) fn new(id: ShardId, data: ShardData) -> Arc<Shard> {
        let record = &data.record;
        let holds =
            Holds { since: record.since, requested: record.requested, leases: HashMap::new(), next_lease: 0 };
        let progress = Progress { upper: record.upper, gone: false };
        Arc::new(Shard {
            id,
            write: Arc::default(),
            progress: watch::Sender::new(progress),
            holds: Mutex::new(holds),
            stale: AtomicBool::new(false),
            current: RwLock::new(Arc::new(data)),
        })
    }

    pub(super) fn data(&self) -> Arc<ShardData> {
        Arc::clone(&self.current.read())
    }

    /// Makes a new version visible. The caller holds `write`.
    pub(super) fn publish(&self, data: ShardData) {
        let upper = data.record.upper;
        {
            let mut holds = self.holds.lock();
            holds.requested = holds.requested.max(data.record.requested);
            holds.since = holds.since.max(data.record.since);
        }
        *self.current.write() = Arc::new(data);
        self.progress.send_if_modified(|p| std::mem::replace(&mut p.upper, upper) != upper);
    }

    pub(super) fn is_stale(&self) -> bool {
        self.stale.load(Ordering::SeqCst)
    }

    pub(super) fn set_stale(&self, stale: bool) {
        self.stale.store(stale, Ordering::SeqCst);
    }

    pub(super) fn is_gone(&self) -> bool {
        self.progress.borrow().gone
    }
}
