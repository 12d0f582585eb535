//! A small durable key-value store beside the shards, for the catalog.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::error::PersistError;
use crate::storage::rocks::RocksStore;

/// One change to a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KvOp {
    /// Sets the key's value.
    Put {
        /// The key.
        key: Vec<u8>,
        /// Its value.
        value: Vec<u8>,
    },
    /// Removes the key.
    Delete {
        /// The key.
        key: Vec<u8>,
    },
}

/// Conditions of a conditional write: each key's value, `None` where it must be absent.
pub type KvExpected = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// A durable map from keys to values. Cheap to clone.
#[derive(Debug, Clone)]
pub struct KvStore(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Memory(Arc<Mutex<BTreeMap<Vec<u8>, Vec<u8>>>>),
    Rocks(RocksStore),
}

impl KvStore {
    /// An empty store in memory.
    pub fn memory() -> Self {
        KvStore(Kind::Memory(Arc::default()))
    }

    pub(crate) fn rocks(store: RocksStore) -> Self {
        KvStore(Kind::Rocks(store))
    }

    /// All keys that begin with `prefix`, with their values, in the order of the keys.
    pub async fn get_all(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>, PersistError> {
        match &self.0 {
            Kind::Memory(map) => Ok(map
                .lock()
                .range(prefix.to_vec()..)
                .take_while(|(k, _)| k.starts_with(prefix))
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect()),
            Kind::Rocks(store) => Ok(store.kv_get_all(prefix.to_vec()).await?),
        }
    }

    /// Applies all changes or none, durable when it returns.
    ///
    /// # Errors
    /// `Indeterminate`: they may have been applied.
    pub async fn write(&self, ops: Vec<KvOp>) -> Result<(), PersistError> {
        self.compare_and_write(Vec::new(), ops).await.map(|_| ())
    }

    /// Applies all changes if every key in `expected` has the value given there; otherwise none. Says whether it did.
    pub async fn compare_and_write(
        &self,
        expected: KvExpected,
        ops: Vec<KvOp>,
    ) -> Result<bool, PersistError> {
        match &self.0 {
            Kind::Memory(map) => {
                let mut map = map.lock();
                if expected.iter().any(|(k, v)| map.get(k) != v.as_ref()) {
                    return Ok(false);
                }
                for op in ops {
                    match op {
                        KvOp::Put { key, value } => map.insert(key, value),
                        KvOp::Delete { key } => map.remove(&key),
                    };
                }
                Ok(true)
            }
            Kind::Rocks(store) => Ok(store.kv_write(expected, ops).await?),
        }
    }
}
