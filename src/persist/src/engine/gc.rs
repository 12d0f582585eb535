//! When parts are deleted: handles, and the queue of what nothing names any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::id::{PartId, ShardId};
use crate::storage::Blob;

/// Parts to be deleted. No longer than the number of parts there are.
#[derive(Debug, Default)]
pub(super) struct Garbage {
    parts: Mutex<Vec<(ShardId, PartId)>>,
    wake: Notify,
}

impl Garbage {
    fn push(&self, shard: ShardId, part: PartId) {
        self.parts.lock().push((shard, part));
        self.wake.notify_one();
    }

    /// Deletes what comes in, for ever.
    pub(super) async fn collect(self: Arc<Self>, blob: Arc<dyn Blob>) {
        loop {
            let parts = std::mem::take(&mut *self.parts.lock());
            if parts.is_empty() {
                self.wake.notified().await;
                continue;
            }
            if let Err(error) = blob.delete(parts.clone()).await {
                tracing::warn!(%error, parts = parts.len(), "cannot delete parts, trying again");
                self.parts.lock().extend(parts);
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
        }
    }
}

/// Keeps a part from being deleted. Once marked as garbage, it is deleted when the last handle has gone.
#[derive(Debug)]
pub(super) struct PartHandle {
    shard: ShardId,
    id: PartId,
    is_garbage: AtomicBool,
    garbage: Arc<Garbage>,
}

impl PartHandle {
    pub(super) fn new(shard: ShardId, id: PartId, garbage: &Arc<Garbage>) -> Arc<PartHandle> {
        Arc::new(PartHandle { shard, id, is_garbage: AtomicBool::new(false), garbage: Arc::clone(garbage) })
    }

    pub(super) fn shard(&self) -> ShardId {
        self.shard
    }

    pub(super) fn id(&self) -> PartId {
        self.id
    }

    /// Nothing stored names the part any more.
    pub(super) fn mark_garbage(&self) {
        self.is_garbage.store(true, Ordering::SeqCst);
    }
}

impl Drop for PartHandle {
    fn drop(&mut self) {
        if self.is_garbage.load(Ordering::SeqCst) {
            self.garbage.push(self.shard, self.id);
        }
    }
}
