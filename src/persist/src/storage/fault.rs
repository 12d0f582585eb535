//! A wrapper around storage that injects seeded faults. A determinate fault happens instead of the operation; an
//! indeterminate one happens instead of it or after it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{Blob, CasOutcome, Consensus, Durability, ShardWrite, StorageError, StoredShard};
use crate::id::{PartId, ShardId};

enum Fault {
    None,
    Determinate,
    IndeterminateBefore,
    IndeterminateAfter,
}

/// When to inject faults. Shared by the wrappers of one test.
#[derive(Debug)]
pub struct FaultPlan {
    rng: Mutex<StdRng>,
    determinate: f64,
    indeterminate: f64,
    enabled: AtomicBool,
}

impl FaultPlan {
    /// Faults of the two kinds with the given probabilities for each operation.
    pub fn new(seed: u64, determinate: f64, indeterminate: f64) -> Arc<Self> {
        let rng = Mutex::new(StdRng::seed_from_u64(seed));
        Arc::new(FaultPlan { rng, determinate, indeterminate, enabled: AtomicBool::new(true) })
    }

    /// Turns faults on or off.
    pub fn set_enabled(&self, enabled: bool) {
        self.enabled.store(enabled, Ordering::SeqCst);
    }

    fn draw(&self) -> Fault {
        if !self.enabled.load(Ordering::SeqCst) {
            return Fault::None;
        }
        let mut rng = self.rng.lock();
        let x: f64 = rng.random();
        if x < self.determinate {
            Fault::Determinate
        } else if x < self.determinate + self.indeterminate {
            if rng.random() { Fault::IndeterminateBefore } else { Fault::IndeterminateAfter }
        } else {
            Fault::None
        }
    }

    async fn run<T>(
        &self,
        operation: impl Future<Output = Result<T, StorageError>>,
    ) -> Result<T, StorageError> {
        let lost = || StorageError::Indeterminate("injected: the answer was lost".into());
        match self.draw() {
            Fault::None => operation.await,
            Fault::Determinate => Err(StorageError::Determinate("injected: refused".into())),
            Fault::IndeterminateBefore => Err(lost()),
            Fault::IndeterminateAfter => {
                operation.await?;
                Err(lost())
            }
        }
    }

    /// Reads have no effect, so that their faults are determinate.
    async fn run_read<T>(
        &self,
        operation: impl Future<Output = Result<T, StorageError>>,
    ) -> Result<T, StorageError> {
        match self.draw() {
            Fault::None => operation.await,
            _ => Err(StorageError::Determinate("injected: cannot be read now".into())),
        }
    }
}

/// Parts with faults.
#[derive(Debug)]
pub struct FaultBlob {
    plan: Arc<FaultPlan>,
    blob: Arc<dyn Blob>,
}

impl FaultBlob {
    /// Wraps a blob store.
    pub fn new(plan: Arc<FaultPlan>, blob: Arc<dyn Blob>) -> Self {
        FaultBlob { plan, blob }
    }
}

#[async_trait]
impl Blob for FaultBlob {
    async fn put(&self, shard: ShardId, part: PartId, bytes: Bytes) -> Result<(), StorageError> {
        self.plan.run(self.blob.put(shard, part, bytes)).await
    }

    async fn get(&self, shard: ShardId, part: PartId) -> Result<Option<Bytes>, StorageError> {
        self.plan.run_read(self.blob.get(shard, part)).await
    }

    async fn delete(&self, parts: Vec<(ShardId, PartId)>) -> Result<(), StorageError> {
        self.plan.run(self.blob.delete(parts)).await
    }

    async fn list(&self) -> Result<Vec<(ShardId, PartId)>, StorageError> {
        self.plan.run_read(self.blob.list()).await
    }
}

/// Shard states with faults.
#[derive(Debug)]
pub struct FaultConsensus {
    plan: Arc<FaultPlan>,
    consensus: Arc<dyn Consensus>,
}

impl FaultConsensus {
    /// Wraps a store of shard states.
    pub fn new(plan: Arc<FaultPlan>, consensus: Arc<dyn Consensus>) -> Self {
        FaultConsensus { plan, consensus }
    }
}

#[async_trait]
impl Consensus for FaultConsensus {
    async fn load_all(&self) -> Result<Vec<StoredShard>, StorageError> {
        self.plan.run_read(self.consensus.load_all()).await
    }

    async fn load(&self, shard: ShardId) -> Result<Option<StoredShard>, StorageError> {
        self.plan.run_read(self.consensus.load(shard)).await
    }

    async fn compare_and_set(
        &self,
        writes: Vec<ShardWrite>,
        durability: Durability,
    ) -> Result<CasOutcome, StorageError> {
        self.plan.run(self.consensus.compare_and_set(writes, durability)).await
    }
}
