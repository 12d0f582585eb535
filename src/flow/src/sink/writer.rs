//! The sink's task: appends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hw_persist::{Append, AppendOutcome, BatchBuilder, Entry, PersistError, Update};
use hw_repr::{Diff, Timestamp};
use timely::scheduling::SyncActivator;
use tokio::sync::mpsc;

use super::operator::SinkConfig;

/// Updates kept in memory before those of the least time are staged.
pub(super) const SPILL_BYTES: usize = 16 << 20;
/// How many messages are taken before an append.
const EVENTS_PER_APPEND: usize = 256;
/// The wait before a failed request is repeated.
const RETRY_AFTER: Duration = Duration::from_millis(50);

pub(super) enum SinkEvent {
    Updates(Vec<Update>),
    Frontier(Timestamp),
}

/// Why the writer ends.
enum Stop {
    /// Nothing is left to write, or the operator is gone.
    Done,
    Error(PersistError),
    /// Staged data was lost.
    Lost(String),
}

impl From<PersistError> for Stop {
    fn from(e: PersistError) -> Self {
        Stop::Error(e)
    }
}

pub(super) struct Writer {
    config: SinkConfig,
    events: mpsc::Receiver<SinkEvent>,
    written: Arc<AtomicU64>,
    activator: SyncActivator,
    /// The shard's upper, as last seen.
    upper: Timestamp,
    /// Updates at times at or after `upper`.
    pending: BTreeMap<Timestamp, Vec<(Entry, Diff)>>,
    pending_bytes: usize,
    /// Staged updates, all at one time.
    spilled: Option<(Timestamp, BatchBuilder)>,
}

impl Writer {
    pub(super) fn new(
        config: SinkConfig,
        events: mpsc::Receiver<SinkEvent>,
        written: Arc<AtomicU64>,
        activator: SyncActivator,
    ) -> Writer {
        Writer {
            config,
            events,
            written,
            activator,
            upper: 0,
            pending: BTreeMap::new(),
            pending_bytes: 0,
            spilled: None,
        }
    }

    pub(super) async fn run(mut self) {
        match self.write().await {
            Ok(()) | Err(Stop::Done) => {}
            Err(Stop::Error(e @ PersistError::UnknownShard(_))) => {
                tracing::warn!(sink = %self.config.name, error = %e, "sink stands still");
            }
            Err(Stop::Error(e)) => self.config.fatal.raise(&format!("sink {}: {e}", self.config.name)),
            Err(Stop::Lost(e)) => self.config.fatal.raise(&format!("sink {}: {e}", self.config.name)),
        }
    }

    async fn write(&mut self) -> Result<(), Stop> {
        self.upper = self.read_upper().await?;
        self.bridge().await?;
        let mut frontier = 0;
        loop {
            let first = self.events.recv().await.ok_or(Stop::Done)?;
            let mut next = Some(first);
            for _ in 0..EVENTS_PER_APPEND {
                match next {
                    Some(SinkEvent::Updates(updates)) => self.take(updates).await?,
                    Some(SinkEvent::Frontier(f)) => frontier = f,
                    None => break,
                }
                next = self.events.try_recv().ok();
            }
            if let Some(event) = next {
                match event {
                    SinkEvent::Updates(updates) => self.take(updates).await?,
                    SinkEvent::Frontier(f) => frontier = f,
                }
            }
            // Nothing is committed before the whole contents at `as_of` are there.
            if frontier > self.config.as_of {
                self.append_to(frontier).await?;
                self.written.store(frontier, Ordering::Release);
            }
            // Also when nothing was written: there is room in the channel now.
            if self.activator.activate().is_err() || frontier == Timestamp::MAX {
                return Ok(());
            }
        }
    }

    async fn read_upper(&self) -> Result<Timestamp, Stop> {
        loop {
            match self.config.client.state(self.config.shard).await {
                Ok(Some(state)) => return Ok(state.upper),
                Ok(None) => return Err(Stop::Error(PersistError::UnknownShard(self.config.shard))),
                Err(e) if e.is_transient() => tokio::time::sleep(RETRY_AFTER).await,
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// When the shard ends before `as_of`: takes its contents away at `as_of`.
    async fn bridge(&mut self) -> Result<(), Stop> {
        let (upper, as_of) = (self.upper, self.config.as_of);
        if upper == 0 || upper > as_of {
            return Ok(());
        }
        'attempt: loop {
            self.pending.clear();
            self.pending_bytes = 0;
            self.spilled = None;
            let mut chunks = match self.config.client.snapshot(self.config.shard, upper - 1).await {
                Ok(chunks) => chunks,
                // Never written to: it begins at its upper.
                Err(PersistError::SinceTooHigh { .. }) => return Ok(()),
                Err(e) if e.is_transient() => {
                    tokio::time::sleep(RETRY_AFTER).await;
                    continue;
                }
                Err(e) => return Err(e.into()),
            };
            while let Some(chunk) = chunks.next().await {
                match chunk {
                    Ok(updates) => {
                        self.take(updates.into_iter().map(|(e, _, diff)| (e, as_of, -diff)).collect())
                            .await?;
                    }
                    Err(e) if e.is_transient() => {
                        tokio::time::sleep(RETRY_AFTER).await;
                        continue 'attempt;
                    }
                    Err(e) => return Err(e.into()),
                }
            }
            return Ok(());
        }
    }

    /// Notes updates, without those that are written already.
    async fn take(&mut self, updates: Vec<Update>) -> Result<(), Stop> {
        for (entry, time, diff) in updates {
            if time < self.upper {
                continue;
            }
            self.pending_bytes += entry_bytes(&entry);
            self.pending.entry(time).or_default().push((entry, diff));
        }
        if self.pending_bytes > SPILL_BYTES { self.spill().await } else { Ok(()) }
    }

    /// Stages the updates of the least time, unless another time is staged already.
    async fn spill(&mut self) -> Result<(), Stop> {
        let Some(&least) = self.pending.keys().next() else { return Ok(()) };
        let time = self.spilled.as_ref().map_or(least, |(time, _)| *time);
        let Some(updates) = self.pending.remove(&time) else { return Ok(()) };
        let client = &self.config.client;
        let (_, builder) =
            self.spilled.get_or_insert_with(|| (time, client.batch_builder(self.config.shard)));
        for (entry, diff) in updates {
            self.pending_bytes = self.pending_bytes.saturating_sub(entry_bytes(&entry));
            // A staged batch cannot be built again: what it held is gone from memory.
            builder.add(entry, time, diff).await.map_err(|e| Stop::Lost(e.to_string()))?;
        }
        Ok(())
    }

    /// Writes everything below `frontier`.
    async fn append_to(&mut self, frontier: Timestamp) -> Result<(), Stop> {
        while self.upper < frontier {
            match &self.spilled {
                Some((time, _)) if *time < self.upper => self.spilled = None,
                Some((time, _)) if *time == self.upper => self.append_spilled().await?,
                Some((time, _)) if *time < frontier => self.append_pending(*time).await?,
                _ => self.append_pending(frontier).await?,
            }
        }
        Ok(())
    }

    /// Appends the staged batch with what is pending at the same time. Whoever has moved the upper meanwhile has written that time.
    async fn append_spilled(&mut self) -> Result<(), Stop> {
        let Some((time, mut builder)) = self.spilled.take() else { return Ok(()) };
        let lost = |e: PersistError| Stop::Lost(e.to_string());
        for (entry, diff) in self.pending.remove(&time).unwrap_or_default() {
            self.pending_bytes = self.pending_bytes.saturating_sub(entry_bytes(&entry));
            builder.add(entry, time, diff).await.map_err(lost)?;
        }
        let batch = builder.finish(time, time + 1).await.map_err(lost)?;
        match self.config.client.append(vec![Append::new(batch)]).await {
            Ok(outcome) => self.settle(outcome, time + 1),
            Err(e) => {
                let upper = self.read_upper().await?;
                if upper <= time {
                    return Err(lost(e));
                }
                self.advance(upper);
                Ok(())
            }
        }
    }

    /// Appends what is pending as `[upper, to)`.
    async fn append_pending(&mut self, to: Timestamp) -> Result<(), Stop> {
        let mut builder = self.config.client.batch_builder(self.config.shard);
        for (time, updates) in self.pending.range(..to) {
            for (entry, diff) in updates {
                if let Err(e) = builder.add(entry.clone(), *time, *diff).await {
                    return self.retry(e).await;
                }
            }
        }
        let batch = match builder.finish(self.upper, to).await {
            Ok(batch) => batch,
            Err(e) => return self.retry(e).await,
        };
        match self.config.client.append(vec![Append::new(batch)]).await {
            Ok(outcome) => self.settle(outcome, to),
            Err(e) => self.retry(e).await,
        }
    }

    /// After an error whose effect is unknown: looks where the shard stands. The caller tries again.
    async fn retry(&mut self, e: PersistError) -> Result<(), Stop> {
        if !e.is_transient() && !matches!(e, PersistError::PartsLost(_)) {
            return Err(e.into());
        }
        tracing::debug!(sink = %self.config.name, error = %e, "append is tried again");
        tokio::time::sleep(RETRY_AFTER).await;
        let upper = self.read_upper().await?;
        self.advance(upper);
        Ok(())
    }

    fn settle(&mut self, outcome: AppendOutcome, to: Timestamp) -> Result<(), Stop> {
        match outcome {
            AppendOutcome::Committed => self.advance(to),
            AppendOutcome::UpperMismatch { current, .. } => self.advance(current),
            AppendOutcome::Fenced { epoch, .. } => {
                tracing::warn!(sink = %self.config.name, epoch, "sink was fenced off");
                return Err(Stop::Done);
            }
        }
        Ok(())
    }

    /// The shard is written up to `upper`.
    fn advance(&mut self, upper: Timestamp) {
        self.upper = upper;
        while let Some(entry) = self.pending.first_entry() {
            if *entry.key() >= upper {
                break;
            }
            let bytes: usize = entry.remove().iter().map(|(e, _)| entry_bytes(e)).sum();
            self.pending_bytes = self.pending_bytes.saturating_sub(bytes);
        }
    }
}

fn entry_bytes(entry: &Entry) -> usize {
    match entry {
        Ok(row) => row.byte_len() + 16,
        Err(e) => e.as_bytes().len() + 64,
    }
}
