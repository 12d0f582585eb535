//! The life of shards: creation, stored state and its reloading, the environment's since, removal.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use hw_repr::Timestamp;
use tokio::sync::OwnedMutexGuard;

use super::Engine;
use super::state::{KEY_DESC, KEY_RECORD, Shard, ShardData, ShardRecord, encode};
use crate::error::PersistError;
use crate::id::ShardId;
use crate::storage::{CasOutcome, Durability, ShardWrite};
use crate::types::ShardState;

/// How often a write is tried again after memory turned out to be behind storage.
const CONFLICTS_MAX: usize = 8;

/// Values to write (`Some`) or to delete.
pub(super) type Entries = Vec<(Vec<u8>, Option<Bytes>)>;

/// A shard whose stored state the holder may write.
pub(super) struct Locked {
    pub(super) shard: Arc<Shard>,
    _write: OwnedMutexGuard<()>,
}

impl Engine {
    /// Locks a shard's stored state and makes sure that memory agrees with it.
    pub(super) async fn lock(&self, shard: Arc<Shard>) -> Result<Locked, PersistError> {
        let write = Arc::clone(&shard.write).lock_owned().await;
        if shard.is_gone() {
            return Err(PersistError::UnknownShard(shard.id));
        }
        let locked = Locked { shard, _write: write };
        if locked.shard.is_stale() {
            self.reload(&locked).await?;
        }
        Ok(locked)
    }

    /// Reads the stored state again.
    pub(super) async fn reload(&self, locked: &Locked) -> Result<(), PersistError> {
        let shard = &locked.shard;
        match self.consensus.load(shard.id).await? {
            Some(stored) => {
                let before = shard.data();
                let data = ShardData::decode(stored, Some(&before), &self.garbage)?;
                shard.publish(data);
                shard.set_stale(false);
                self.advance_since(shard);
                Ok(())
            }
            None => {
                self.forget(shard);
                Err(PersistError::UnknownShard(shard.id))
            }
        }
    }

    /// The shard, with its state known.
    pub(super) async fn fresh_shard(&self, id: ShardId) -> Result<Arc<Shard>, PersistError> {
        let shard = self.shard(id)?;
        if shard.is_stale() {
            self.lock(Arc::clone(&shard)).await?;
        }
        Ok(shard)
    }

    fn state_of(shard: &Shard) -> ShardState {
        let data = shard.data();
        let since = shard.holds.lock().since;
        ShardState { since, upper: data.record.upper, epoch: data.record.epoch }
    }

    pub(super) async fn read_state(&self, id: ShardId) -> Result<Option<ShardState>, PersistError> {
        match self.fresh_shard(id).await {
            Ok(shard) => Ok(Some(Self::state_of(&shard))),
            Err(PersistError::UnknownShard(_)) => Ok(None),
            Err(e) => Err(e),
        }
    }

    pub(super) async fn create(
        &self,
        id: ShardId,
        desc: Bytes,
        initial: Timestamp,
    ) -> Result<ShardState, PersistError> {
        if let Some(state) = self.read_state(id).await? {
            return Ok(state);
        }
        let _membership = self.membership.lock().await;
        if let Some(state) = self.read_state(id).await? {
            return Ok(state);
        }
        let record = ShardRecord {
            since: initial,
            requested: initial,
            upper: initial,
            epoch: 0,
            next_seq: 0,
            tokens: Vec::new(),
        };
        let entries = vec![(KEY_RECORD.to_vec(), Some(encode(&record))), (KEY_DESC.to_vec(), Some(desc))];
        let write = ShardWrite { shard: id, expected: None, next: Some(1), entries };
        let data = match self.consensus.compare_and_set(vec![write], Durability::Synced).await? {
            CasOutcome::Done => ShardData { version: 1, record, batches: Vec::new() },
            // An earlier creation, whose answer was lost, has taken effect.
            CasOutcome::Conflict => match self.consensus.load(id).await? {
                Some(stored) => ShardData::decode(stored, None, &self.garbage)?,
                None => return Err(PersistError::Determinate(format!("shard {id} is being removed"))),
            },
        };
        let shard = Shard::new(id, data);
        self.shards.write().insert(id, Arc::clone(&shard));
        Ok(Self::state_of(&shard))
    }

    pub(super) async fn request_since(
        &self,
        downgrades: Vec<(ShardId, Timestamp)>,
    ) -> Result<(), PersistError> {
        let mut wanted: BTreeMap<ShardId, Timestamp> = BTreeMap::new();
        for (id, ts) in downgrades {
            let held = wanted.entry(id).or_insert(ts);
            *held = ts.max(*held);
        }
        for _ in 0..CONFLICTS_MAX {
            let mut locked = Vec::new();
            for (id, ts) in &wanted {
                let Ok(shard) = self.shard(*id) else { continue };
                match self.lock(shard).await {
                    Ok(l) if l.shard.data().record.requested < *ts => locked.push((l, *ts)),
                    Ok(_) | Err(PersistError::UnknownShard(_)) => {}
                    Err(e) => return Err(e),
                }
            }
            if locked.is_empty() {
                return Ok(());
            }
            let mut updates = Vec::new();
            for (l, ts) in &locked {
                let mut data = (*l.shard.data()).clone();
                data.record.requested = *ts;
                updates.push((l, data, Vec::new()));
            }
            if self.write_shards(updates, Durability::Relaxed).await? {
                locked.iter().for_each(|(l, _)| self.advance_since(&l.shard));
                return Ok(());
            }
        }
        Err(PersistError::Determinate("shard states keep changing".into()))
    }

    /// Writes new versions of locked shards, with their records and the given entries, and publishes them. `false` when
    /// memory was behind storage; the shards have been read again.
    pub(super) async fn write_shards(
        &self,
        updates: Vec<(&Locked, ShardData, Entries)>,
        durability: Durability,
    ) -> Result<bool, PersistError> {
        let mut writes = Vec::with_capacity(updates.len());
        let mut versions = Vec::with_capacity(updates.len());
        for (locked, mut data, mut entries) in updates {
            let expected = data.version;
            data.version += 1;
            data.record.since = data.record.since.max(locked.shard.holds.lock().since);
            entries.push((KEY_RECORD.to_vec(), Some(encode(&data.record))));
            let next = Some(data.version);
            writes.push(ShardWrite { shard: locked.shard.id, expected: Some(expected), next, entries });
            versions.push((locked, data));
        }
        match self.consensus.compare_and_set(writes, durability).await.map_err(PersistError::from) {
            Ok(CasOutcome::Done) => {
                versions.into_iter().for_each(|(locked, data)| locked.shard.publish(data));
                Ok(true)
            }
            Ok(CasOutcome::Conflict) => {
                versions.iter().for_each(|(locked, _)| locked.shard.set_stale(true));
                for (locked, _) in versions {
                    self.reload(locked).await?;
                }
                Ok(false)
            }
            Err(e) => {
                if !matches!(e, PersistError::Determinate(_)) {
                    versions.iter().for_each(|(locked, _)| locked.shard.set_stale(true));
                }
                Err(e)
            }
        }
    }

    pub(super) async fn remove(&self, ids: Vec<ShardId>) -> Result<(), PersistError> {
        let _membership = self.membership.lock().await;
        let mut ids = ids;
        ids.sort_unstable();
        ids.dedup();
        for _ in 0..CONFLICTS_MAX {
            let mut locked = Vec::new();
            for id in &ids {
                let Ok(shard) = self.shard(*id) else { continue };
                match self.lock(shard).await {
                    Ok(l) => locked.push(l),
                    Err(PersistError::UnknownShard(_)) => {}
                    Err(e) => return Err(e),
                }
            }
            if locked.is_empty() {
                return Ok(());
            }
            let write = |l: &Locked| {
                let expected = Some(l.shard.data().version);
                ShardWrite { shard: l.shard.id, expected, next: None, entries: Vec::new() }
            };
            let writes = locked.iter().map(write).collect();
            match self.consensus.compare_and_set(writes, Durability::Synced).await.map_err(PersistError::from)
            {
                Ok(CasOutcome::Done) => {
                    locked.iter().for_each(|l| self.forget(&l.shard));
                    return Ok(());
                }
                Ok(CasOutcome::Conflict) => locked.iter().for_each(|l| l.shard.set_stale(true)),
                Err(e) => {
                    locked.iter().for_each(|l| l.shard.set_stale(true));
                    return Err(e);
                }
            }
        }
        Err(PersistError::Determinate("shard states keep changing".into()))
    }

    /// The shard is not stored any more.
    fn forget(&self, shard: &Shard) {
        self.shards.write().remove(&shard.id);
        shard.progress.send_modify(|p| p.gone = true);
        shard.data().batches.iter().flat_map(|b| &b.handles).for_each(|h| h.mark_garbage());
        // What is left in memory are readers, which hold on to what they read.
        let mut empty = (*shard.data()).clone();
        empty.batches.clear();
        shard.publish(empty);
    }
}
