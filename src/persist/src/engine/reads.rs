//! Reads: snapshots, listens, waits, and the holds that protect them.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use hw_repr::Timestamp;

use super::Engine;
use super::gc::PartHandle;
use super::state::{Shard, StoredBatch};
use crate::backend::{Change, ChangeStream, LeaseControl, Piece, PieceStream};
use crate::error::PersistError;
use crate::id::ShardId;
use crate::storage::Blob;

/// How many parts are fetched ahead of a snapshot's reader.
const PARTS_AHEAD: usize = 2;

/// A hold on a shard's since in this process.
pub(super) struct LocalLease {
    engine: Weak<Engine>,
    shard: Arc<Shard>,
    id: u64,
}

impl LocalLease {
    fn changed(&self) {
        if let Some(engine) = self.engine.upgrade() {
            engine.advance_since(&self.shard);
        }
    }
}

impl LeaseControl for LocalLease {
    fn downgrade(&self, at: Timestamp) {
        self.shard.holds.lock().downgrade(self.id, at);
        self.changed();
    }

    fn is_lost(&self) -> bool {
        self.shard.is_gone()
    }
}

impl Drop for LocalLease {
    fn drop(&mut self) {
        self.shard.holds.lock().close(self.id);
        self.changed();
    }
}

/// What can be read of a shard's batches, kept from being deleted.
enum PieceRef {
    Inline(Bytes),
    Part(Arc<PartHandle>),
}

fn piece_refs(batch: &StoredBatch) -> impl Iterator<Item = PieceRef> {
    let inline = (!batch.record.inline.is_empty()).then(|| PieceRef::Inline(batch.record.inline.clone()));
    batch.handles.iter().cloned().map(PieceRef::Part).chain(inline).collect::<Vec<_>>().into_iter()
}

async fn fetch(blob: &Arc<dyn Blob>, piece: &PieceRef) -> Result<Piece, PersistError> {
    match piece {
        PieceRef::Inline(bytes) => Ok(Piece { inline: true, bytes: bytes.clone() }),
        PieceRef::Part(handle) => {
            let bytes = blob.get(handle.shard(), handle.id()).await?;
            let missing = || {
                PersistError::Corrupt(format!("part {} of shard {} is missing", handle.id(), handle.shard()))
            };
            Ok(Piece { inline: false, bytes: bytes.ok_or_else(missing)? })
        }
    }
}

impl Engine {
    /// Holds since at `at`.
    pub(super) fn hold(&self, shard: &Arc<Shard>, at: Timestamp) -> Result<LocalLease, PersistError> {
        let mut holds = shard.holds.lock();
        if at < holds.since {
            return Err(PersistError::SinceTooHigh { shard: shard.id, requested: at, since: holds.since });
        }
        let id = holds.open(at);
        Ok(LocalLease { engine: self.this.clone(), shard: Arc::clone(shard), id })
    }

    pub(super) async fn wait_past(&self, shard: &Shard, ts: Timestamp) -> Result<Timestamp, PersistError> {
        let mut progress = shard.progress.subscribe();
        let unknown = || PersistError::UnknownShard(shard.id);
        let reached = *progress.wait_for(|p| p.gone || p.upper > ts).await.map_err(|_| unknown())?;
        if reached.gone { Err(unknown()) } else { Ok(reached.upper) }
    }

    pub(super) async fn read_snapshot(
        &self,
        id: ShardId,
        as_of: Timestamp,
    ) -> Result<PieceStream, PersistError> {
        let shard = self.fresh_shard(id).await?;
        let hold = self.hold(&shard, as_of)?;
        self.wait_past(&shard, as_of).await?;
        let data = shard.data();
        // From here on the handles keep the parts as they are; since may move on.
        drop(hold);
        if shard.is_gone() {
            return Err(PersistError::UnknownShard(id));
        }
        let pieces: Vec<_> =
            data.batches.iter().filter(|b| b.record.lower <= as_of).flat_map(|b| piece_refs(b)).collect();
        let blob = Arc::clone(&self.blob);
        let fetched = stream::iter(pieces).map(move |piece| {
            let blob = Arc::clone(&blob);
            async move { fetch(&blob, &piece).await }
        });
        Ok(fetched.buffered(PARTS_AHEAD).boxed())
    }

    pub(super) async fn read_changes(
        &self,
        id: ShardId,
        after: Timestamp,
    ) -> Result<ChangeStream, PersistError> {
        let shard = self.fresh_shard(id).await?;
        let hold = self.hold(&shard, after)?;
        let listener = Listener {
            blob: Arc::clone(&self.blob),
            shard,
            hold,
            frontier: after.saturating_add(1),
            pieces: VecDeque::new(),
            progress: None,
            ended: false,
        };
        Ok(stream::unfold(listener, Listener::step).boxed())
    }
}

/// A listen in the engine.
struct Listener {
    blob: Arc<dyn Blob>,
    shard: Arc<Shard>,
    hold: LocalLease,
    frontier: Timestamp,
    pieces: VecDeque<PieceRef>,
    progress: Option<Timestamp>,
    ended: bool,
}

impl Listener {
    async fn step(mut self) -> Option<(Result<Change, PersistError>, Self)> {
        if self.ended {
            return None;
        }
        let change = self.next_change().await;
        self.ended = change.is_err() || self.frontier == Timestamp::MAX;
        Some((change, self))
    }

    async fn next_change(&mut self) -> Result<Change, PersistError> {
        if let Some(piece) = self.pieces.pop_front() {
            return fetch(&self.blob, &piece).await.map(Change::Piece);
        }
        if self.progress.is_none() {
            self.await_progress().await?;
            if let Some(piece) = self.pieces.pop_front() {
                return fetch(&self.blob, &piece).await.map(Change::Piece);
            }
        }
        let upper = self.progress.take().expect("progress was awaited");
        self.frontier = upper;
        self.hold.downgrade(upper - 1);
        Ok(Change::Progress(upper))
    }

    /// Waits until the upper passes the frontier, and notes what is new.
    async fn await_progress(&mut self) -> Result<(), PersistError> {
        let mut progress = self.shard.progress.subscribe();
        let frontier = self.frontier;
        let unknown = || PersistError::UnknownShard(self.shard.id);
        let gone = progress.wait_for(|p| p.gone || p.upper > frontier).await.map_err(|_| unknown())?.gone;
        let data = self.shard.data();
        if gone || self.shard.is_gone() {
            return Err(unknown());
        }
        let new = data.batches.iter().filter(|b| b.record.upper > frontier);
        self.pieces.extend(new.flat_map(|b| piece_refs(b)));
        self.progress = Some(data.record.upper);
        Ok(())
    }
}
