//! Random operations compared with a model that is a vector of updates.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::part::consolidate;
use crate::storage::fault::{FaultBlob, FaultConsensus, FaultPlan};
use crate::storage::memory::{MemoryBlob, MemoryConsensus};
use crate::storage::rocks::RocksStore;
use crate::{Batch, KvStore, Lease, Listen, ListenEvent, PersistServer};

#[derive(Default)]
struct Model {
    updates: Vec<Update>,
    upper: Timestamp,
    requested: Timestamp,
}

impl Model {
    fn at(&self, as_of: Timestamp) -> Vec<Update> {
        let mut out: Vec<Update> =
            self.updates.iter().filter(|u| u.1 <= as_of).map(|(e, _, d)| (e.clone(), as_of, *d)).collect();
        consolidate(&mut out);
        out
    }
}

/// A listen, and what it has reported.
struct Listener {
    shard: ShardId,
    after: Timestamp,
    listen: Listen,
    seen: Vec<Update>,
}

struct Run {
    rng: StdRng,
    client: PersistClient,
    models: BTreeMap<ShardId, Model>,
    listeners: Vec<Listener>,
    leases: Vec<Lease>,
}

impl Run {
    async fn new(seed: u64, client: PersistClient) -> Run {
        let mut models = BTreeMap::new();
        for _ in 0..3 {
            let id = ShardId::new();
            retry(async || client.ensure_shard(id, &RelationDesc::empty(), 0).await).await;
            models.insert(id, Model::default());
        }
        Run { rng: StdRng::seed_from_u64(seed), client, models, listeners: Vec::new(), leases: Vec::new() }
    }

    fn pick(&mut self) -> ShardId {
        let n = self.rng.random_range(0..self.models.len());
        *self.models.keys().nth(n).unwrap()
    }

    async fn step(&mut self) {
        match self.rng.random_range(0..20) {
            0..10 => self.append().await,
            10..13 => self.snapshot().await,
            13..15 => self.allow_compaction().await,
            15 => self.listen().await,
            16..18 => self.progress().await,
            18 => self.lease().await,
            _ => {
                if !self.leases.is_empty() {
                    let n = self.rng.random_range(0..self.leases.len());
                    self.leases.swap_remove(n);
                }
            }
        }
    }

    async fn batch(&mut self, shard: ShardId, updates: &[Update], lower: u64, upper: u64) -> Batch {
        retry(async || {
            let mut builder = self.client.batch_builder(shard);
            for (entry, ts, diff) in updates {
                builder.add(entry.clone(), *ts, *diff).await?;
            }
            builder.finish(lower, upper).await
        })
        .await
    }

    async fn append(&mut self) {
        let mut planned = Vec::new();
        for shard in self.models.keys().copied().collect::<Vec<_>>() {
            if self.rng.random_bool(0.6) {
                let lower = self.models[&shard].upper;
                let upper = lower + self.rng.random_range(1..4);
                let count = if self.rng.random_bool(0.2) { 150 } else { self.rng.random_range(0..6) };
                let mut updates = Vec::new();
                for _ in 0..count {
                    let entry = match self.rng.random_range(0..30) {
                        0 => Err(crate::ErrorPayload::new(&b"an error"[..])),
                        _ => row(self.rng.random_range(0..300)),
                    };
                    let diff = if self.rng.random_bool(0.4) { -1 } else { 1 };
                    updates.push((entry, self.rng.random_range(lower..upper), diff));
                }
                planned.push((shard, updates, lower, upper));
            }
        }
        loop {
            let mut appends = Vec::new();
            for (shard, updates, lower, upper) in &planned {
                appends.push(Append::new(self.batch(*shard, updates, *lower, *upper).await));
            }
            match self.client.append(appends).await {
                Ok(AppendOutcome::Committed) => break,
                Ok(other) => panic!("a single writer sees {other:?}"),
                Err(PersistError::Determinate(_)) => {}
                Err(PersistError::Indeterminate(_)) => {
                    // All or nothing: every shard must say the same.
                    let mut done = Vec::new();
                    for (shard, _, lower, upper) in &planned {
                        let state = retry(async || self.client.state(*shard).await).await.unwrap();
                        assert!(state.upper == *lower || state.upper == *upper);
                        done.push(state.upper == *upper);
                    }
                    assert!(done.windows(2).all(|w| w[0] == w[1]), "a commit was torn");
                    if done.first() != Some(&false) {
                        break;
                    }
                }
                Err(e) => panic!("{e}"),
            }
        }
        for (shard, updates, _, upper) in planned {
            let model = self.models.get_mut(&shard).unwrap();
            model.updates.extend(updates);
            model.upper = upper;
        }
    }

    async fn snapshot(&mut self) {
        let shard = self.pick();
        let state = retry(async || self.client.state(shard).await).await.unwrap();
        let model = &self.models[&shard];
        assert_eq!(state.upper, model.upper);
        assert!(state.since <= model.requested);
        if state.since < state.upper {
            let as_of = self.rng.random_range(state.since..state.upper);
            let seen = retry(async || contents(&self.client, shard, as_of).await).await;
            assert_eq!(seen, model.at(as_of), "shard {shard} as of {as_of}");
        }
    }

    async fn allow_compaction(&mut self) {
        let shard = self.pick();
        let model = self.models.get_mut(&shard).unwrap();
        let to = self.rng.random_range(model.requested..=model.upper.max(model.requested));
        model.requested = to;
        retry(async || self.client.allow_compaction(vec![(shard, to)]).await).await;
    }

    async fn lease(&mut self) {
        let shard = self.pick();
        let since = retry(async || self.client.state(shard).await).await.unwrap().since;
        let at = since + self.rng.random_range(0..3);
        let lease = retry(async || self.client.open_lease(shard, at).await).await;
        self.leases.push(lease);
    }

    async fn listen(&mut self) {
        let shard = self.pick();
        let since = retry(async || self.client.state(shard).await).await.unwrap().since;
        let after = since + self.rng.random_range(0..2);
        let listen = retry(async || self.client.listen(shard, after).await).await;
        self.listeners.push(Listener { shard, after, listen, seen: Vec::new() });
        if self.listeners.len() > 4 {
            self.listeners.remove(0);
        }
    }

    /// Brings all listens up to date and compares what they have reported.
    async fn progress(&mut self) {
        for l in &mut self.listeners {
            let model = &self.models[&l.shard];
            while l.listen.frontier() < model.upper {
                match l.listen.next().await.unwrap() {
                    ListenEvent::Updates(updates) => {
                        assert!(updates.iter().all(|u| u.1 >= l.listen.frontier()));
                        l.seen.extend(updates);
                    }
                    ListenEvent::Progress(upper) => assert_eq!(upper, l.listen.frontier()),
                }
            }
            let mut seen = l.seen.clone();
            consolidate(&mut seen);
            let mut expected: Vec<Update> = model.updates.iter().filter(|u| u.1 > l.after).cloned().collect();
            consolidate(&mut expected);
            assert_eq!(seen, expected, "listen to {} after {}", l.shard, l.after);
        }
    }

    /// A different client of the same storage.
    fn reopened(&mut self, client: PersistClient) {
        self.client = client;
        self.listeners.clear();
        self.leases.clear();
    }
}

/// Tries again until the faults let it through.
async fn retry<T>(mut operation: impl AsyncFnMut() -> Result<T, PersistError>) -> T {
    loop {
        match operation().await {
            Ok(value) => return value,
            Err(PersistError::Determinate(_) | PersistError::Indeterminate(_)) => {}
            Err(e) => panic!("{e}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_behaves_as_the_model() {
    for seed in 0..12 {
        eprintln!("seed {seed}");
        let server = PersistServer::memory(small()).await.unwrap();
        let mut run = Run::new(seed, server.client()).await;
        for _ in 0..250 {
            run.step().await;
        }
    }
}

async fn open(dir: &Path) -> PersistServer {
    let opened = async || {
        // Background work of the one before may be about to let go of the lock.
        for _ in 0..200 {
            if let Ok(store) = RocksStore::open(dir, 16 << 20).await {
                return store;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the database stays locked");
    };
    let store = opened().await;
    let storage = Arc::new(store.clone());
    PersistServer::on_storage(storage.clone(), storage, KvStore::rocks(store), small()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rocksdb_behaves_as_the_model_across_restarts() {
    for seed in 100..103 {
        eprintln!("seed {seed}");
        let dir = tempfile::tempdir().unwrap();
        let server = open(dir.path()).await;
        let mut run = Run::new(seed, server.client()).await;
        drop(server);
        for _ in 0..4 {
            for _ in 0..80 {
                run.step().await;
            }
            let nothing = PersistServer::memory(small()).await.unwrap();
            run.reopened(nothing.client());
            run.reopened(open(dir.path()).await.client());
            for shard in run.models.keys().copied().collect::<Vec<_>>() {
                let state = run.client.state(shard).await.unwrap().unwrap();
                assert_eq!(state.upper, run.models[&shard].upper);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_neither_lose_nor_repeat_anything() {
    for seed in 200..210 {
        eprintln!("seed {seed}");
        let plan = FaultPlan::new(seed, 0.03, 0.05);
        plan.set_enabled(false);
        let blob = FaultBlob::new(plan.clone(), Arc::new(MemoryBlob::default()));
        let consensus = FaultConsensus::new(plan.clone(), Arc::new(MemoryConsensus::default()));
        let server =
            PersistServer::on_storage(Arc::new(blob), Arc::new(consensus), KvStore::memory(), small())
                .await
                .unwrap();
        let mut run = Run::new(seed, server.client()).await;
        plan.set_enabled(true);
        for _ in 0..200 {
            run.step().await;
        }
        plan.set_enabled(false);
        for shard in run.models.keys().copied().collect::<Vec<_>>() {
            let upper = run.models[&shard].upper;
            if upper > 0 && run.client.state(shard).await.unwrap().unwrap().since < upper {
                let seen = contents(&run.client, shard, upper - 1).await.unwrap();
                assert_eq!(seen, run.models[&shard].at(upper - 1));
            }
        }
    }
}
