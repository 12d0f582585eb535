//! Storage in memory, for tests.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;

use super::{Blob, CasOutcome, Consensus, Durability, ShardWrite, StorageError, StoredShard};
use crate::id::{PartId, ShardId};

/// Parts in memory.
#[derive(Debug, Default)]
pub struct MemoryBlob(Mutex<BTreeMap<(ShardId, PartId), Bytes>>);

#[async_trait]
impl Blob for MemoryBlob {
    async fn put(&self, shard: ShardId, part: PartId, bytes: Bytes) -> Result<(), StorageError> {
        self.0.lock().insert((shard, part), bytes);
        Ok(())
    }

    async fn get(&self, shard: ShardId, part: PartId) -> Result<Option<Bytes>, StorageError> {
        Ok(self.0.lock().get(&(shard, part)).cloned())
    }

    async fn delete(&self, parts: Vec<(ShardId, PartId)>) -> Result<(), StorageError> {
        let mut map = self.0.lock();
        for key in parts {
            map.remove(&key);
        }
        Ok(())
    }

    async fn list(&self) -> Result<Vec<(ShardId, PartId)>, StorageError> {
        Ok(self.0.lock().keys().copied().collect())
    }
}

#[derive(Debug)]
struct Stored {
    version: u64,
    entries: BTreeMap<Vec<u8>, Bytes>,
}

impl Stored {
    fn export(&self, shard: ShardId) -> StoredShard {
        let entries = self.entries.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        StoredShard { shard, version: self.version, entries }
    }
}

/// Shard states in memory.
#[derive(Debug, Default)]
pub struct MemoryConsensus(Mutex<BTreeMap<ShardId, Stored>>);

#[async_trait]
impl Consensus for MemoryConsensus {
    async fn load_all(&self) -> Result<Vec<StoredShard>, StorageError> {
        Ok(self.0.lock().iter().map(|(id, s)| s.export(*id)).collect())
    }

    async fn load(&self, shard: ShardId) -> Result<Option<StoredShard>, StorageError> {
        Ok(self.0.lock().get(&shard).map(|s| s.export(shard)))
    }

    async fn compare_and_set(
        &self,
        writes: Vec<ShardWrite>,
        _: Durability,
    ) -> Result<CasOutcome, StorageError> {
        let mut map = self.0.lock();
        if writes.iter().any(|w| map.get(&w.shard).map(|s| s.version) != w.expected) {
            return Ok(CasOutcome::Conflict);
        }
        for write in writes {
            let Some(version) = write.next else {
                map.remove(&write.shard);
                continue;
            };
            let stored =
                map.entry(write.shard).or_insert_with(|| Stored { version, entries: BTreeMap::new() });
            stored.version = version;
            for (key, value) in write.entries {
                match value {
                    Some(value) => stored.entries.insert(key, value),
                    None => stored.entries.remove(&key),
                };
            }
        }
        Ok(CasOutcome::Done)
    }
}
