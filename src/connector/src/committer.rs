//! The only writer of a source: collects changes and commits them with the position.
//!
//! Changes of transactions are collected in memory, and when there are many in persist's batch builders, which stage parts; so memory
//! is bounded for transactions of any size. The time of a commit is chosen when it is made, or, if parts have been staged, when
//! the first of them was.

use std::collections::BTreeMap;

use hw_base::clock::NowFn;
use hw_expr::EvalError;
use hw_persist::{Append, AppendOutcome, BatchBuilder, Entry, PersistClient, ShardId, ShardState};
use hw_plan::SourceDescription;
use hw_repr::{Diff, GlobalId, RelationDesc, Row, Timestamp};

use crate::error::{SourceError, payload};
use crate::mysql::progress::Progress;

/// Changes in memory up to so many bytes.
const MEMORY_BYTES: usize = 12 << 20;

/// How often in a row the shards are claimed against a writer that commits in between.
const CLAIMS: usize = 1000;

/// A change of an export, by the export's position in the description.
pub(crate) type Change = (usize, Entry, Diff);

/// An export as the committer sees it.
#[derive(Debug)]
pub(crate) struct ExportShard {
    /// The collection.
    pub(crate) id: GlobalId,
    /// Its shard.
    pub(crate) shard: ShardId,
    upper: Timestamp,
    /// Whether its snapshot has been committed.
    pub(crate) active: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Committer {
    persist: PersistClient,
    now: NowFn,
    epoch: u64,
    progress_shard: ShardId,
    progress_upper: Timestamp,
    progress: Progress,
    /// The rows in the progress shard.
    progress_rows: Vec<Row>,
    exports: Vec<ExportShard>,
    changes: Vec<Change>,
    changes_bytes: usize,
    staged: Option<(Timestamp, BTreeMap<usize, BatchBuilder>)>,
}

impl Committer {
    /// Fences off older writers and reads where the source is. Shards that are not there are made only with `create`: later in a run a missing one has been
    /// dropped, and the run is about to be told.
    pub(crate) async fn open(
        desc: &SourceDescription,
        persist: PersistClient,
        now: NowFn,
        create: bool,
    ) -> Result<Self, SourceError> {
        let epoch = desc.epoch.max(1);
        let progress_shard = ShardId::from_bytes(*desc.progress_shard.as_bytes());
        let (progress_state, exports) = claim(desc, &persist, &now, epoch, create).await?;
        let mut progress_rows = Vec::new();
        if progress_state.upper <= progress_state.since {
            return Err(SourceError::transient("the progress subsource has been compacted up to its upper"));
        }
        let updates = persist.snapshot(progress_shard, progress_state.upper - 1).await?.collect().await?;
        progress_rows.extend(updates.into_iter().filter(|u| u.2 > 0).filter_map(|(entry, _, _)| entry.ok()));
        let progress = Progress::from_rows(&progress_rows).ok_or_else(|| {
            SourceError::transient("the progress subsource holds rows that are no position")
        })?;
        Ok(Committer {
            persist,
            now,
            epoch,
            progress_shard,
            progress_upper: progress_state.upper,
            progress,
            progress_rows,
            exports,
            changes: Vec::new(),
            changes_bytes: 0,
            staged: None,
        })
    }

    /// The committed position and failed tables.
    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The exports, in the description's order.
    pub(crate) fn exports(&self) -> &[ExportShard] {
        &self.exports
    }

    /// The persist client.
    pub(crate) fn persist(&self) -> &PersistClient {
        &self.persist
    }

    /// About how many bytes are collected in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.changes_bytes
    }

    /// The time of a commit that begins now: no time below any upper, so that no shard is left behind.
    fn commit_time(&self) -> Timestamp {
        let uppers = self.exports.iter().map(|e| e.upper);
        uppers.fold(self.now.now_ms().max(self.progress_upper), Timestamp::max)
    }

    /// The time at which the next commit will be, from now on fixed.
    pub(crate) fn fix_time(&mut self) -> Timestamp {
        let time = self.commit_time();
        self.staged.get_or_insert_with(|| (time, BTreeMap::new())).0
    }

    /// Takes an export's batch under construction, all of whose updates are at the fixed time, and activates the export.
    pub(crate) async fn adopt(&mut self, index: usize, builder: BatchBuilder) -> Result<(), SourceError> {
        self.fix_time();
        self.exports[index].active = true;
        if let Some((_, builders)) = &mut self.staged {
            builders.insert(index, builder);
        }
        Ok(())
    }

    /// Collects changes. Those of exports that have failed are dropped.
    pub(crate) async fn add(&mut self, changes: Vec<Change>) -> Result<(), SourceError> {
        for change in changes {
            if self.progress.failed.contains_key(&self.exports[change.0].id) {
                continue;
            }
            self.changes_bytes += 64 + change.1.as_ref().map_or(64, |row| row.data().len());
            self.changes.push(change);
        }
        if self.changes_bytes > MEMORY_BYTES {
            self.stage().await?;
        }
        Ok(())
    }

    /// Records a definite error of an export: from the next commit on it is in the data, and the export gets nothing else.
    pub(crate) async fn fail(&mut self, index: usize, error: &EvalError) -> Result<(), SourceError> {
        let id = self.exports[index].id;
        if self.progress.failed.contains_key(&id) {
            return Ok(());
        }
        self.exports[index].active = true;
        self.changes.push((index, Err(payload(error)), 1));
        self.stage().await?;
        self.progress.failed.insert(id, describe(error));
        Ok(())
    }

    /// Records that the source as a whole has failed, in all its exports.
    pub(crate) async fn fail_source(
        &mut self,
        source: GlobalId,
        error: &EvalError,
    ) -> Result<(), SourceError> {
        for index in 0..self.exports.len() {
            self.fail(index, error).await?;
        }
        self.progress.failed.insert(source, describe(error));
        Ok(())
    }

    /// Moves collected changes from memory to batch builders.
    async fn stage(&mut self) -> Result<(), SourceError> {
        let time = self.fix_time();
        self.changes_bytes = 0;
        let Some((_, builders)) = &mut self.staged else { return Ok(()) };
        for (index, entry, diff) in self.changes.drain(..) {
            let shard = self.exports[index].shard;
            let builder = builders.entry(index).or_insert_with(|| self.persist.batch_builder(shard));
            builder.add(entry, time, diff).await?;
        }
        Ok(())
    }

    /// Commits all that has been collected, and the position, in one append over all shards.
    pub(crate) async fn commit(
        &mut self,
        position: Option<crate::mysql::gtid::GtidSet>,
    ) -> Result<(), SourceError> {
        self.stage().await?;
        let (time, mut builders) = self.staged.take().unwrap_or_default();
        let upper = time + 1;
        if position.is_some() {
            self.progress.position = position;
        }
        let known: Vec<GlobalId> = self.exports.iter().map(|e| e.id).collect();
        // What is recorded of tables that were dropped goes; a failed source stays so.
        let kept = |id: &GlobalId, source_failed: bool| source_failed || known.contains(id);
        let source_failed = known.iter().all(|id| self.progress.failed.contains_key(id));
        self.progress.failed.retain(|id, _| kept(id, source_failed));

        let mut appends = Vec::with_capacity(self.exports.len() + 1);
        for (index, export) in self.exports.iter().enumerate().filter(|(_, e)| e.active) {
            let builder = builders.remove(&index).unwrap_or_else(|| self.persist.batch_builder(export.shard));
            let batch = builder.finish(export.upper, upper).await?;
            appends.push(Append::new(batch).with_epoch(self.epoch));
        }
        let rows = self.progress.to_rows();
        let mut builder = self.persist.batch_builder(self.progress_shard);
        if rows != self.progress_rows {
            for row in &self.progress_rows {
                builder.add(Ok(row.clone()), time, -1).await?;
            }
            for row in &rows {
                builder.add(Ok(row.clone()), time, 1).await?;
            }
        }
        appends.push(Append::new(builder.finish(self.progress_upper, upper).await?).with_epoch(self.epoch));
        match self.persist.append(appends).await? {
            AppendOutcome::Committed => {
                self.progress_rows = rows;
                self.progress_upper = upper;
                self.exports.iter_mut().filter(|e| e.active).for_each(|e| e.upper = upper);
                Ok(())
            }
            AppendOutcome::UpperMismatch { .. } => Err(SourceError::Raced),
            AppendOutcome::Fenced { .. } => Err(SourceError::Fenced),
        }
    }
}

/// Reads the shards' states once they are this writer's: an empty append under its epoch, which fences off older writers. They may
/// be committing several times between any two looks, so that this must not wait for anything else.
async fn claim(
    desc: &SourceDescription,
    persist: &PersistClient,
    now: &NowFn,
    epoch: u64,
    create: bool,
) -> Result<(ShardState, Vec<ExportShard>), SourceError> {
    let progress_shard = ShardId::from_bytes(*desc.progress_shard.as_bytes());
    for _ in 0..CLAIMS {
        let progress = shard_state(persist, progress_shard, &crate::progress_desc(), create).await?;
        let mut owned = progress.epoch == epoch;
        let mut newest = progress.epoch;
        let mut exports = Vec::with_capacity(desc.exports.len());
        for export in &desc.exports {
            let shard = ShardId::from_bytes(*export.shard.as_bytes());
            let state = shard_state(persist, shard, &export.desc, create).await?;
            // All appends of sources have an epoch of at least 1, so that 0 says that there was none.
            let active = state.epoch > 0;
            owned &= !active || state.epoch == epoch;
            newest = newest.max(state.epoch);
            exports.push(ExportShard { id: export.id, shard, upper: state.upper, active });
        }
        if newest > epoch {
            return Err(SourceError::Fenced);
        }
        if owned {
            return Ok((progress, exports));
        }
        let shards = exports
            .iter()
            .filter(|e| e.active)
            .map(|e| (e.shard, e.upper))
            .chain([(progress_shard, progress.upper)]);
        let shards: Vec<_> = shards.collect();
        let upper = 1 + shards.iter().fold(now.now_ms(), |time, (_, upper)| time.max(*upper));
        let mut appends = Vec::with_capacity(shards.len());
        for (shard, lower) in shards {
            let batch = persist.batch_builder(shard).finish(lower, upper).await?;
            appends.push(Append::new(batch).with_epoch(epoch));
        }
        // Whatever the outcome, the states tell.
        persist.append(appends).await?;
    }
    Err(SourceError::Raced)
}

async fn shard_state(
    persist: &PersistClient,
    shard: ShardId,
    desc: &RelationDesc,
    create: bool,
) -> Result<ShardState, SourceError> {
    if create {
        return Ok(persist.ensure_shard(shard, desc, 0).await?);
    }
    let state = persist.state(shard).await?;
    state.ok_or_else(|| SourceError::transient(format!("shard {shard} of the source has been dropped")))
}

/// Message and detail, as the status shows them.
pub(crate) fn describe(error: &EvalError) -> String {
    match error.detail() {
        Some(detail) => format!("{error}: {detail}"),
        None => error.to_string(),
    }
}
