//! Compaction: merges batches in the background and advances their times to since.
//!
//! New batches gather at the end of a shard. When there are enough of them, they are merged, together with the older
//! batches to their left as long as those are not much larger than what has been gathered, so that sizes fall
//! geometrically from left to right and an update is rewritten a logarithmic number of times. Memory is bounded by the
//! number of runs merged at once; a batch keeps runs that did not fit, and is merged again while it has many.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use hw_repr::Timestamp;
use tokio::sync::Notify;

use super::Engine;
use super::append::GarbageOnDrop;
use super::gc::PartHandle;
use super::merge::{Input, merge};
use super::state::{BatchRecord, Run, Shard, ShardData, StoredBatch, batch_key, encode};
use crate::backend::PartMeta;
use crate::config::PersistConfig;
use crate::error::PersistError;
use crate::id::{PartId, ShardId};
use crate::part::{encode_part, inline, update_bytes};
use crate::storage::Durability;
use crate::types::Update;

/// Wait after an error.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// So many new batches with more bytes than as many parts are merged before there are many.
const LARGE_BATCHES: usize = 4;
/// How many neighbours are merged when there are too many batches in spite of all.
const NEIGHBOURS: usize = 8;

/// Compacts shards as they become due, one at a time, until the engine is dropped.
pub(super) async fn run(engine: Weak<Engine>, wake: Arc<Notify>) {
    let mut last = None;
    loop {
        let Some(engine_now) = engine.upgrade() else { return };
        last = next_after(&mut engine_now.compactable.lock(), last);
        let Some(id) = last else {
            drop(engine_now);
            wake.notified().await;
            continue;
        };
        match engine_now.compact_once(id).await {
            Ok(true) => engine_now.schedule_compaction(id),
            Ok(false) | Err(PersistError::UnknownShard(_)) => {}
            Err(error) => {
                tracing::warn!(%error, shard = %id, "compaction failed, trying again");
                engine_now.schedule_compaction(id);
                drop(engine_now);
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }
}

/// Takes the next shard after `last`, around in a circle, so that none starves.
fn next_after(due: &mut BTreeSet<ShardId>, last: Option<ShardId>) -> Option<ShardId> {
    let later = last.and_then(|l| due.range(l..).find(|s| **s != l).copied());
    let next = later.or_else(|| due.first().copied())?;
    due.remove(&next);
    Some(next)
}

/// Which batches to merge, if any.
fn plan(data: &ShardData, config: &PersistConfig) -> Option<Range<usize>> {
    let batches = &data.batches;
    let sizes: Vec<u64> = batches.iter().map(|b| b.record.bytes()).collect();
    let count = batches.len();
    let new = batches.iter().rev().take_while(|b| !b.record.compacted).count();
    let new_bytes: u64 = sizes[count - new..].iter().sum();
    let large = LARGE_BATCHES as u64 * config.part_target_bytes as u64;
    if new >= config.inline_batches_max || (new >= LARGE_BATCHES && new_bytes >= large) {
        let (mut start, mut total) = (count, 0);
        while start > 0
            && (start == count || sizes[start - 1] <= (2 * total).max(config.inline_limit_bytes as u64))
        {
            start -= 1;
            total += sizes[start];
        }
        if count - start >= 2 {
            return Some(start..count);
        }
    }
    // Runs that did not fit into an earlier merge.
    if let Some(at) =
        batches.iter().position(|b| b.record.compacted && b.record.runs.len() > config.compaction_fan_in)
    {
        return Some(at..at + 1);
    }
    if count > 2 * config.inline_batches_max.max(NEIGHBOURS) {
        let best = (0..=count - NEIGHBOURS).min_by_key(|i| sizes[*i..*i + NEIGHBOURS].iter().sum::<u64>())?;
        return Some(best..best + NEIGHBOURS);
    }
    None
}

/// Runs of a range of batches, with the handles of their parts.
type HeldRun = (Run, Vec<Arc<PartHandle>>);

fn held_runs(batches: &[Arc<StoredBatch>]) -> Vec<HeldRun> {
    let mut out = Vec::new();
    for batch in batches {
        let mut handles = batch.handles.iter().cloned();
        for run in &batch.record.runs {
            out.push((run.clone(), handles.by_ref().take(run.len()).collect()));
        }
    }
    out
}

/// Chooses the smallest runs that can be merged at once in bounded memory; the rest is kept as it is.
fn choose(mut runs: Vec<HeldRun>, config: &PersistConfig) -> (Vec<HeldRun>, Vec<HeldRun>) {
    runs.sort_by_key(|(run, _)| run.iter().map(|p| p.bytes).sum::<u64>());
    // A part may be somewhat larger than its target.
    let budget = (config.compaction_fan_in * config.part_target_bytes * 5 / 4) as u64;
    let mut needed = 0;
    let fits = runs.iter().enumerate().take_while(|(i, (run, _))| {
        needed += run.iter().map(|p| p.raw).max().unwrap_or_default();
        *i < 2 || needed <= budget
    });
    let count = fits.count();
    let kept = runs.split_off(count);
    (runs, kept)
}

/// What a merge has written.
struct Merged {
    parts: Vec<(PartMeta, GarbageOnDrop)>,
    inline: Bytes,
}

impl Engine {
    /// Does one merge. Says whether there may be more to do.
    async fn compact_once(&self, id: ShardId) -> Result<bool, PersistError> {
        let shard = self.fresh_shard(id).await?;
        let data = shard.data();
        let since = shard.holds.lock().since;
        let Some(range) = plan(&data, &self.config) else { return Ok(false) };
        let batches = data.batches[range].to_vec();
        let inline: Vec<Bytes> =
            batches.iter().map(|b| b.record.inline.clone()).filter(|bytes| !bytes.is_empty()).collect();
        let (chosen, kept) = choose(held_runs(&batches), &self.config);
        let mut inputs = vec![Input::inline(&inline, since)?];
        inputs.extend(chosen.iter().map(|(_, handles)| Input::parts(handles.clone())));

        let engine = self.this.upgrade().expect("the engine lives while it is borrowed");
        let runtime = tokio::runtime::Handle::current();
        let merged =
            tokio::task::spawn_blocking(move || engine.merge_runs(id, inputs, since, &runtime)).await;
        let merged = merged.map_err(|e| PersistError::Determinate(format!("merge was stopped: {e}")))??;
        let consumed = chosen.into_iter().flat_map(|(_, handles)| handles).collect();
        let engine = self.this.upgrade().expect("the engine lives while it is borrowed");
        hw_base::task::spawn("persist: swap batches", async move {
            engine.swap(shard, &batches, kept, merged, consumed).await
        })
        .await
        .unwrap_or_else(|e| Err(PersistError::Indeterminate(format!("task was stopped: {e}"))))
    }

    /// Merges on a blocking thread.
    fn merge_runs(
        &self,
        shard: ShardId,
        inputs: Vec<Input<Arc<PartHandle>>>,
        since: Timestamp,
        runtime: &tokio::runtime::Handle,
    ) -> Result<Merged, PersistError> {
        let fetch = |handle: Arc<PartHandle>| {
            let bytes = runtime.block_on(self.blob.get(handle.shard(), handle.id()))?;
            bytes.ok_or_else(|| PersistError::Corrupt(format!("part {} is missing", handle.id())))
        };
        let mut parts = Vec::new();
        let mut write = |updates: Vec<Update>| {
            let handle = PartHandle::new(shard, PartId::new(), &self.garbage);
            let raw = updates.iter().map(|u| update_bytes(u) as u64).sum();
            let bytes = encode_part(&updates);
            let meta =
                PartMeta { id: handle.id(), len: updates.len() as u64, bytes: bytes.len() as u64, raw };
            drop(updates);
            let guard = GarbageOnDrop::new(handle);
            self.metrics.part_bytes.inc_by(meta.bytes);
            runtime.block_on(self.blob.put(shard, meta.id, bytes))?;
            parts.push((meta, guard));
            Ok(())
        };
        let (last, last_bytes) = merge(inputs, since, self.config.part_target_bytes, fetch, &mut write)?;
        let mut tail = Bytes::new();
        if !last.is_empty() {
            if last_bytes <= self.config.inline_limit_bytes {
                tail = inline::encode(&last);
            } else {
                write(last)?;
            }
        }
        Ok(Merged { parts, inline: tail })
    }

    /// Puts the merged batch in place of the others, if they are still there.
    async fn swap(
        &self,
        shard: Arc<Shard>,
        old: &[Arc<StoredBatch>],
        kept: Vec<HeldRun>,
        merged: Merged,
        consumed: Vec<Arc<PartHandle>>,
    ) -> Result<bool, PersistError> {
        let locked = self.lock(shard).await?;
        let mut data = (*locked.shard.data()).clone();
        let (Some(first), Some(last)) = (old.first(), old.last()) else { return Ok(false) };
        let Some(at) = data.batches.iter().position(|b| b.seq == first.seq) else { return Ok(true) };
        let same = |now: &[Arc<StoredBatch>]| {
            now.iter().zip(old).all(|(a, b)| a.seq == b.seq && a.record == b.record)
        };
        if !data.batches.get(at..at + old.len()).is_some_and(same) {
            return Ok(true);
        }
        let (mut runs, mut handles) = (Vec::new(), Vec::new());
        for (run, run_handles) in kept {
            runs.push(run);
            handles.extend(run_handles);
        }
        let (metas, guards): (Run, Vec<GarbageOnDrop>) = merged.parts.into_iter().unzip();
        if !metas.is_empty() {
            runs.push(metas);
            handles.extend(guards.iter().map(GarbageOnDrop::handle));
        }
        let record = BatchRecord {
            lower: first.record.lower,
            upper: last.record.upper,
            runs,
            inline: merged.inline,
            compacted: true,
        };
        let mut entries: Vec<_> = old.iter().map(|b| (batch_key(b.seq), None)).collect();
        let empty = record.runs.is_empty() && record.inline.is_empty();
        let new = (!empty).then(|| {
            entries[0].1 = Some(encode(&record));
            Arc::new(StoredBatch { seq: first.seq, record, handles })
        });
        data.batches.splice(at..at + old.len(), new);
        let result = self.write_shards(vec![(&locked, data, entries)], Durability::Synced).await;
        match &result {
            Ok(true) => {
                guards.into_iter().for_each(|g| drop(g.keep()));
                consumed.iter().for_each(|h| h.mark_garbage());
                self.metrics.compactions.inc();
            }
            Ok(false) | Err(PersistError::Determinate(_)) => {}
            // They may be part of the shard now.
            Err(_) => guards.into_iter().for_each(|g| drop(g.keep())),
        }
        result.map(|_| true)
    }
}
