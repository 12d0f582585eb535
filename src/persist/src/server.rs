//! The persist of an environment: engine, storage and key-value store.

use std::path::Path;
use std::sync::Arc;

use hw_base::metrics::MetricsRegistry;

use crate::batch::BuilderConfig;
use crate::client::PersistClient;
use crate::config::PersistConfig;
use crate::engine::Engine;
use crate::error::PersistError;
use crate::kv::KvStore;
use crate::storage::memory::{MemoryBlob, MemoryConsensus};
use crate::storage::rocks::RocksStore;
use crate::storage::{Blob, Consensus};

/// Persist, opened. Cheap to clone. Background work stops when the last clone and client are dropped.
#[derive(Debug, Clone)]
pub struct PersistServer {
    pub(crate) engine: Arc<Engine>,
    kv: KvStore,
}

impl PersistServer {
    /// Opens (or creates) the RocksDB in `dir`. Only one process can have it open.
    pub async fn open(
        dir: &Path,
        config: PersistConfig,
        metrics: &MetricsRegistry,
    ) -> Result<Self, PersistError> {
        let store = RocksStore::open(dir, config.rocksdb_memory_bytes).await?;
        let kv = KvStore::rocks(store.clone());
        let engine = Engine::open(Arc::new(store.clone()), Arc::new(store), config, metrics).await?;
        Ok(PersistServer { engine, kv })
    }

    /// A persist in memory, for tests.
    pub async fn memory(config: PersistConfig) -> Result<Self, PersistError> {
        let (blob, consensus) = (Arc::new(MemoryBlob::default()), Arc::new(MemoryConsensus::default()));
        Self::on_storage(blob, consensus, KvStore::memory(), config).await
    }

    /// A persist on storage of the caller's choice.
    pub async fn on_storage(
        blob: Arc<dyn Blob>,
        consensus: Arc<dyn Consensus>,
        kv: KvStore,
        config: PersistConfig,
    ) -> Result<Self, PersistError> {
        let engine = Engine::open(blob, consensus, config, &MetricsRegistry::new()).await?;
        Ok(PersistServer { engine, kv })
    }

    /// A client in this process.
    pub fn client(&self) -> PersistClient {
        let config = self.engine.config();
        let builder = BuilderConfig {
            part_target_bytes: config.part_target_bytes,
            inline_limit_bytes: config.inline_limit_bytes,
        };
        PersistClient::new(self.engine.clone(), builder)
    }

    /// The key-value store.
    pub fn kv(&self) -> KvStore {
        self.kv.clone()
    }
}
