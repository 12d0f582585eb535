//! The engine: shard states in memory over storage, appends, reads, holds on since, and background work.
//!
//! Stored state is what counts; memory is a cache of it, kept exact because the engine is the only writer. A write whose
//! result is unknown marks its shards stale, and they are read again before they are used. Every change of stored state
//! runs in a task of its own, so that a caller who goes away cannot leave memory and storage apart.

mod append;
mod compact;
mod gc;
mod merge;
mod reads;
mod shards;
mod state;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hw_base::metrics::{Histogram, IntCounter, MetricsRegistry};
use hw_base::task::{AbortOnDrop, spawn_scoped};
use hw_repr::Timestamp;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use crate::backend::{AppendRequest, Backend, ChangeStream, LeaseControl, PieceStream};
use crate::config::PersistConfig;
use crate::error::PersistError;
use crate::id::{PartId, ShardId};
use crate::storage::{Blob, Consensus};
use crate::types::{AppendOutcome, ShardState};
use gc::{Garbage, PartHandle};
use state::{Shard, ShardData};

/// How many tokens of committed appends are remembered in memory.
const TOKENS_REMEMBERED: usize = 4096;

/// The engine. Its operations are those of [`Backend`].
#[derive(Debug)]
pub(crate) struct Engine {
    /// For tasks.
    this: Weak<Engine>,
    blob: Arc<dyn Blob>,
    consensus: Arc<dyn Consensus>,
    config: PersistConfig,
    shards: RwLock<HashMap<ShardId, Arc<Shard>>>,
    /// Held while shards are created or removed.
    membership: tokio::sync::Mutex<()>,
    /// Parts that no state names yet.
    staged: Mutex<HashMap<PartId, Arc<PartHandle>>>,
    garbage: Arc<Garbage>,
    committed: Mutex<Tokens>,
    /// Shards that compaction should look at.
    compactable: Mutex<BTreeSet<ShardId>>,
    compact_wake: Arc<Notify>,
    /// Until then holders from before a restart may renew, and since stands still.
    since_frozen_until: Instant,
    metrics: Metrics,
    tasks: Mutex<Vec<AbortOnDrop<()>>>,
}

#[derive(Debug)]
struct Metrics {
    appends: IntCounter,
    append_seconds: Histogram,
    part_bytes: IntCounter,
    compactions: IntCounter,
}

impl Metrics {
    fn register(registry: &MetricsRegistry) -> Metrics {
        let buckets = vec![0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0];
        Metrics {
            appends: registry.counter("headwater_persist_appends_total", "Committed appends"),
            append_seconds: registry.histogram(
                "headwater_persist_append_seconds",
                "Time to commit an append",
                buckets,
            ),
            part_bytes: registry
                .counter("headwater_persist_part_bytes_total", "Encoded bytes of parts written"),
            compactions: registry
                .counter("headwater_persist_compactions_total", "Merges committed by compaction"),
        }
    }
}

/// The last tokens, of which the oldest is forgotten first.
#[derive(Debug, Default)]
struct Tokens {
    set: HashSet<Uuid>,
    order: VecDeque<Uuid>,
}

impl Tokens {
    fn insert(&mut self, token: Uuid) {
        if self.set.insert(token) {
            self.order.push_back(token);
        }
        if self.order.len() > TOKENS_REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
    }
}

impl Engine {
    /// Loads all shards, deletes parts that none names, and starts background work.
    pub(crate) async fn open(
        blob: Arc<dyn Blob>,
        consensus: Arc<dyn Consensus>,
        config: PersistConfig,
        metrics: &MetricsRegistry,
    ) -> Result<Arc<Engine>, PersistError> {
        let garbage = Arc::new(Garbage::default());
        let mut shards = HashMap::new();
        let mut named = HashSet::new();
        for stored in consensus.load_all().await? {
            let id = stored.shard;
            let data = ShardData::decode(stored, None, &garbage)?;
            named.extend(data.batches.iter().flat_map(|b| &b.handles).map(|h| h.id()));
            shards.insert(id, Shard::new(id, data));
        }
        let unnamed: Vec<_> =
            blob.list().await?.into_iter().filter(|(_, part)| !named.contains(part)).collect();
        if !unnamed.is_empty() {
            tracing::info!(parts = unnamed.len(), "deleting parts that no shard names");
            blob.delete(unnamed).await?;
        }
        let frozen = if shards.is_empty() { Duration::ZERO } else { config.session_expiry };
        let engine = Arc::new_cyclic(|this| Engine {
            this: this.clone(),
            blob,
            consensus,
            config,
            compactable: Mutex::new(shards.keys().copied().collect()),
            shards: RwLock::new(shards),
            membership: tokio::sync::Mutex::default(),
            staged: Mutex::default(),
            garbage,
            committed: Mutex::default(),
            compact_wake: Arc::new(Notify::new()),
            since_frozen_until: Instant::now() + frozen,
            metrics: Metrics::register(metrics),
            tasks: Mutex::default(),
        });
        engine.start_tasks();
        Ok(engine)
    }

    fn start_tasks(self: &Arc<Self>) {
        let collect = Arc::clone(&self.garbage).collect(Arc::clone(&self.blob));
        let compact = compact::run(Arc::downgrade(self), Arc::clone(&self.compact_wake));
        let (this, thaw_at) = (Arc::downgrade(self), self.since_frozen_until);
        let thaw = async move {
            tokio::time::sleep_until(thaw_at).await;
            if let Some(engine) = this.upgrade() {
                let shards: Vec<_> = engine.shards.read().values().cloned().collect();
                shards.iter().for_each(|s| engine.advance_since(s));
            }
        };
        self.compact_wake.notify_one();
        self.tasks.lock().extend([
            spawn_scoped("persist: delete parts", collect),
            spawn_scoped("persist: compact", compact),
            spawn_scoped("persist: thaw since", thaw),
        ]);
    }

    pub(crate) fn config(&self) -> &PersistConfig {
        &self.config
    }

    fn shard(&self, id: ShardId) -> Result<Arc<Shard>, PersistError> {
        self.shards.read().get(&id).cloned().ok_or(PersistError::UnknownShard(id))
    }

    /// Runs work that must not stop halfway when the caller goes away.
    async fn to_the_end<T, F>(
        &self,
        name: &str,
        work: impl FnOnce(Arc<Engine>) -> F,
    ) -> Result<T, PersistError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, PersistError>> + Send + 'static,
    {
        let engine = self.this.upgrade().expect("the engine lives while it is borrowed");
        let joined = hw_base::task::spawn(name, work(engine)).await;
        joined.unwrap_or_else(|e| Err(PersistError::Indeterminate(format!("task was stopped: {e}"))))
    }

    fn schedule_compaction(&self, shard: ShardId) {
        if self.compactable.lock().insert(shard) {
            self.compact_wake.notify_one();
        }
    }

    /// Moves since as far as holds allow.
    fn advance_since(&self, shard: &Shard) {
        if Instant::now() >= self.since_frozen_until {
            shard.holds.lock().advance();
        }
    }
}

#[async_trait]
impl Backend for Engine {
    async fn ensure_shard(
        &self,
        shard: ShardId,
        desc: Bytes,
        initial: Timestamp,
    ) -> Result<ShardState, PersistError> {
        self.to_the_end("persist: ensure shard", |e| async move { e.create(shard, desc, initial).await })
            .await
    }

    async fn state(&self, shard: ShardId) -> Result<Option<ShardState>, PersistError> {
        self.read_state(shard).await
    }

    async fn put_part(&self, shard: ShardId, part: PartId, bytes: Bytes) -> Result<(), PersistError> {
        self.to_the_end("persist: stage part", |e| async move { e.stage(shard, part, bytes).await }).await
    }

    fn release_parts(&self, _: ShardId, parts: Vec<PartId>) {
        let handles: Vec<_> = {
            let mut staged = self.staged.lock();
            parts.iter().filter_map(|part| staged.remove(part)).collect()
        };
        handles.iter().for_each(|h| h.mark_garbage());
    }

    async fn append(&self, token: Uuid, appends: Vec<AppendRequest>) -> Result<AppendOutcome, PersistError> {
        let started = Instant::now();
        let outcome =
            self.to_the_end("persist: append", |e| async move { e.append_all(token, appends).await }).await?;
        if outcome == AppendOutcome::Committed {
            self.metrics.appends.inc();
            self.metrics.append_seconds.observe(started.elapsed().as_secs_f64());
        }
        Ok(outcome)
    }

    async fn snapshot(&self, shard: ShardId, as_of: Timestamp) -> Result<PieceStream, PersistError> {
        self.read_snapshot(shard, as_of).await
    }

    async fn listen(&self, shard: ShardId, after: Timestamp) -> Result<ChangeStream, PersistError> {
        self.read_changes(shard, after).await
    }

    async fn open_lease(&self, shard: ShardId, at: Timestamp) -> Result<Box<dyn LeaseControl>, PersistError> {
        let shard = self.fresh_shard(shard).await?;
        Ok(Box::new(self.hold(&shard, at)?))
    }

    async fn allow_compaction(&self, downgrades: Vec<(ShardId, Timestamp)>) -> Result<(), PersistError> {
        self.to_the_end("persist: allow compaction", |e| async move { e.request_since(downgrades).await })
            .await
    }

    async fn finalize(&self, shards: Vec<ShardId>) -> Result<(), PersistError> {
        self.to_the_end("persist: finalize", |e| async move { e.remove(shards).await }).await
    }

    async fn wait_upper_past(&self, shard: ShardId, ts: Timestamp) -> Result<Timestamp, PersistError> {
        let shard = self.fresh_shard(shard).await?;
        self.wait_past(&shard, ts).await
    }
}
