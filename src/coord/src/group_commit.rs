//! Group commit: all writes to tables that come while one commit is under way make up the next one. Every commit advances all
//! tables, so that they can always be read together.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use hw_base::task::AbortOnDrop;
use hw_persist::{Append, AppendOutcome, PersistClient, ShardId};
use hw_repr::{Diff, GlobalId, Row, Timestamp};

use crate::cancel::StatementCancel;
use crate::coordinator::{Coordinator, Message};
use crate::error::AdapterError;

/// Changes by table.
pub(crate) type Updates = BTreeMap<GlobalId, Vec<(Row, Diff)>>;

/// What happens when a write is durable (or is not).
pub(crate) type OnCommit = Box<dyn FnOnce(&mut Coordinator, Result<Timestamp, AdapterError>) + Send>;

/// A write that waits for the next commit.
pub(crate) struct PendingWrite {
    pub(crate) updates: BTreeMap<GlobalId, Vec<(Row, Diff)>>,
    pub(crate) on_commit: Option<OnCommit>,
    /// Whether it is the write of whoever holds the write lock.
    pub(crate) locked: bool,
    /// Cancels it for as long as its commit has not begun; with its number and the task that watches.
    cancel: Option<(u64, StatementCancel, AbortOnDrop<()>)>,
}

impl PendingWrite {
    /// Whether it may be committed while someone holds the write lock: what the system writes for itself, no statement changes.
    fn passes_lock(&self) -> bool {
        self.locked || self.updates.keys().all(GlobalId::is_system)
    }
}

/// What waits for the write lock: it has it, or was cancelled.
pub(crate) type OnLock = Box<dyn FnOnce(&mut Coordinator, Result<(), AdapterError>) + Send>;

struct LockWaiter {
    seq: u64,
    cancel: StatementCancel,
    on_lock: OnLock,
    /// Ends the task that watches for cancellation.
    _watch: AbortOnDrop<()>,
}

/// The state of group commit.
#[derive(Default)]
pub(crate) struct GroupCommit {
    pending: Vec<PendingWrite>,
    under_way: Option<UnderWay>,
    /// Shards of tables that were dropped while the commit that is under way writes to them.
    dropped: Vec<ShardId>,
    /// Tables are wanted to be complete through these times, which may be far ahead: AS OF AT LEAST can name any.
    wanted: BTreeSet<Timestamp>,
    /// Whether a statement that reads before it writes is under way.
    locked: bool,
    /// Such statements that wait.
    lock_queue: VecDeque<LockWaiter>,
    /// The number of the next that waits and can be cancelled.
    next_waiter: u64,
}

struct UnderWay {
    on_commit: Vec<OnCommit>,
    tables: Vec<GlobalId>,
    /// What the system writes for itself: nobody else writes it again if this fails.
    own: Updates,
}

impl Coordinator {
    /// Adds a write to the next commit.
    pub(crate) fn write(
        &mut self,
        updates: BTreeMap<GlobalId, Vec<(Row, Diff)>>,
        on_commit: Option<OnCommit>,
    ) {
        self.group_commit.pending.push(PendingWrite { updates, on_commit, locked: false, cancel: None });
    }

    /// The same for a statement that may be cancelled while it waits.
    pub(crate) fn write_unless_cancelled(
        &mut self,
        updates: Updates,
        cancel: StatementCancel,
        on_commit: OnCommit,
    ) {
        let (seq, watch) = self.watch(&cancel, Message::WriteAbandoned);
        let cancel = Some((seq, cancel, watch));
        self.group_commit.pending.push(PendingWrite {
            updates,
            on_commit: Some(on_commit),
            locked: false,
            cancel,
        });
    }

    /// A statement whose write waits was cancelled.
    pub(crate) fn abandon_write(&mut self, seq: u64) {
        let pending = &mut self.group_commit.pending;
        let found = pending.iter().position(|w| w.cancel.as_ref().is_some_and(|(s, _, _)| *s == seq));
        let Some(write) = found.map(|at| pending.remove(at)) else { return };
        if let (Some((_, cancel, _)), Some(on_commit)) = (write.cancel, write.on_commit) {
            on_commit(self, Err(cancel.error()));
        }
    }

    /// Sends a message with a new number when a statement is cancelled, unless what is returned is dropped before.
    fn watch(&mut self, cancel: &StatementCancel, message: fn(u64) -> Message) -> (u64, AbortOnDrop<()>) {
        let seq = self.group_commit.next_waiter;
        self.group_commit.next_waiter += 1;
        let (messages, cancel) = (self.messages.clone(), cancel.clone());
        let watch = hw_base::task::spawn_scoped("write-waits", async move {
            cancel.cancelled().await;
            let _gone = messages.send(message(seq));
        });
        (seq, watch)
    }

    /// Adds the write of whoever holds the write lock to the next commit.
    pub(crate) fn write_locked(
        &mut self,
        updates: BTreeMap<GlobalId, Vec<(Row, Diff)>>,
        on_commit: OnCommit,
    ) {
        self.group_commit.pending.push(PendingWrite {
            updates,
            on_commit: Some(on_commit),
            locked: true,
            cancel: None,
        });
    }

    /// Goes on with `on_lock` once nothing else writes; until [`Coordinator::unlock_writes`] nothing else will. If the statement is
    /// cancelled before, it goes on without the lock.
    pub(crate) fn lock_writes(&mut self, cancel: StatementCancel, on_lock: OnLock) {
        let (seq, watch) = self.watch(&cancel, Message::LockAbandoned);
        self.group_commit.lock_queue.push_back(LockWaiter { seq, cancel, on_lock, _watch: watch });
        self.grant_write_lock();
    }

    /// A statement that waits for the write lock was cancelled.
    pub(crate) fn abandon_lock(&mut self, seq: u64) {
        let queue = &mut self.group_commit.lock_queue;
        if let Some(at) = queue.iter().position(|w| w.seq == seq)
            && let Some(waiter) = queue.remove(at)
        {
            let error = waiter.cancel.error();
            (waiter.on_lock)(self, Err(error));
        }
    }

    /// Gives the write lock back.
    pub(crate) fn unlock_writes(&mut self) {
        self.group_commit.locked = false;
        self.grant_write_lock();
    }

    fn grant_write_lock(&mut self) {
        // A commit that is under way must be visible to the read.
        if self.group_commit.locked || self.group_commit.under_way.is_some() {
            return;
        }
        if let Some(waiter) = self.group_commit.lock_queue.pop_front() {
            self.group_commit.locked = true;
            (waiter.on_lock)(self, Ok(()));
        }
    }

    /// Wants all tables to be complete through `ts`, once the clock has come to it.
    pub(crate) fn advance_tables(&mut self, ts: Timestamp) {
        if ts >= self.tables_upper() {
            self.group_commit.wanted.insert(ts);
        }
    }

    /// The greatest time through which tables are wanted to be complete already; 0 if there is none.
    fn advance_to(&self) -> Timestamp {
        // What has been read or written has been at that time, whatever the clock says.
        let now = self.oracle.now_ms().max(self.oracle.read_ts());
        self.group_commit.wanted.range(..=now).next_back().copied().unwrap_or(0)
    }

    /// The least upper of all tables.
    pub(crate) fn tables_upper(&self) -> Timestamp {
        self.tables.values().map(|(_, upper)| *upper).min().unwrap_or(0)
    }

    /// Advances tables that dataflows read, so that what is joined with them stays fresh; others once a second.
    pub(crate) fn table_tick(&mut self) {
        const IDLE_MS: u64 = 1000;
        let now = self.oracle.now_ms();
        let lag = now.saturating_sub(self.tables_upper());
        if lag > IDLE_MS || (lag > 50 && self.system.user_tables_are_read) {
            self.advance_tables(now);
        }
    }

    /// Commits at once and waits for it: only while nothing else runs yet.
    pub(crate) async fn commit_now(&mut self, updates: Updates) -> Result<(), AdapterError> {
        let ts = self.oracle.write_ts().max(self.tables_upper());
        self.oracle.note_write(ts);
        let tables: Vec<(GlobalId, ShardId, Timestamp)> =
            self.tables.iter().filter(|(_, (_, u))| *u <= ts).map(|(id, (s, u))| (*id, *s, *u)).collect();
        commit(&self.persist, tables.clone(), updates, ts).await?;
        self.oracle.apply(ts);
        for (id, _, _) in tables {
            if let Some((_, upper)) = self.tables.get_mut(&id) {
                *upper = ts + 1;
            }
            self.controller.note_upper(id, ts + 1);
        }
        Ok(())
    }

    /// Starts a commit if one is wanted and none is under way.
    pub(crate) fn start_group_commit(&mut self) {
        let locked = self.group_commit.locked;
        let idle = !self.group_commit.pending.iter().any(|w| !locked || w.passes_lock())
            && self.advance_to() < self.tables_upper();
        if self.group_commit.under_way.is_some() || idle || self.tables.is_empty() {
            return;
        }
        let ts = self.oracle.write_ts().max(self.advance_to()).max(self.tables_upper());
        self.oracle.note_write(ts);
        let mut updates: BTreeMap<GlobalId, Vec<(Row, Diff)>> = BTreeMap::new();
        let (mut on_commit, mut own) = (Vec::new(), Updates::new());
        let (now, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.group_commit.pending)
            .into_iter()
            .partition(|w| !locked || w.passes_lock());
        self.group_commit.pending = later;
        for write in now {
            for (id, rows) in write.updates {
                // A table that was dropped meanwhile takes no rows.
                if self.tables.contains_key(&id) {
                    if write.on_commit.is_none() {
                        own.entry(id).or_default().extend(rows.iter().cloned());
                    }
                    updates.entry(id).or_default().extend(rows);
                }
            }
            on_commit.extend(write.on_commit);
        }
        let tables: Vec<(GlobalId, ShardId, Timestamp)> =
            self.tables.iter().filter(|(_, (_, u))| *u <= ts).map(|(id, (s, u))| (*id, *s, *u)).collect();
        self.group_commit.under_way =
            Some(UnderWay { on_commit, tables: tables.iter().map(|(id, _, _)| *id).collect(), own });
        self.metrics.group_commits.inc();
        let (persist, messages) = (self.persist.clone(), self.messages.clone());
        hw_base::task::spawn("group-commit", async move {
            let result = commit(&persist, tables, updates, ts).await;
            // The loop is gone only when the server is.
            let _gone = messages.send(Message::Committed(ts, result));
        });
    }

    /// Reclaims the shards of what was dropped, when the commit that is under way has ended: it may write to them.
    pub(crate) fn finalize_shards(&mut self, shards: Vec<ShardId>) {
        match self.group_commit.under_way {
            Some(_) => self.group_commit.dropped.extend(shards),
            None => self.controller.finalize_shards(shards),
        }
    }

    /// A commit ended.
    pub(crate) fn group_committed(&mut self, ts: Timestamp, result: Result<(), AdapterError>) {
        let Some(under_way) = self.group_commit.under_way.take() else { return };
        self.controller.finalize_shards(std::mem::take(&mut self.group_commit.dropped));
        if let Err(e) = &result {
            tracing::error!(error = %e, "a group commit failed");
            self.system.put_back(under_way.own);
        } else {
            if !under_way.on_commit.is_empty() {
                self.oracle.apply(ts);
            }
            self.group_commit.wanted = self.group_commit.wanted.split_off(&(ts + 1));
            for id in under_way.tables {
                if let Some((_, upper)) = self.tables.get_mut(&id) {
                    *upper = ts + 1;
                    self.controller.note_upper(id, ts + 1);
                }
            }
        }
        for f in under_way.on_commit {
            f(self, result.clone().map(|()| ts));
        }
        self.retry_reads();
        self.grant_write_lock();
    }
}

async fn commit(
    persist: &PersistClient,
    tables: Vec<(GlobalId, ShardId, Timestamp)>,
    mut updates: BTreeMap<GlobalId, Vec<(Row, Diff)>>,
    ts: Timestamp,
) -> Result<(), AdapterError> {
    let mut appends = Vec::with_capacity(tables.len());
    for (id, shard, lower) in tables {
        let mut builder = persist.batch_builder(shard);
        for (row, diff) in updates.remove(&id).unwrap_or_default() {
            builder.add(Ok(row), ts, diff).await?;
        }
        let batch = builder.finish(lower, ts + 1).await?;
        appends.push(Append { shard, batch, lower, upper: ts + 1, epoch: None });
    }
    match persist.append(appends).await? {
        AppendOutcome::Committed => Ok(()),
        other => {
            Err(AdapterError::internal(format!("another environment writes to the tables: {other:?}"))
                .fatal())
        }
    }
}
