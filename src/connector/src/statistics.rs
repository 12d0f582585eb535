//! Statistics of a source's exports, told when they change and at most once a second.

use std::time::Duration;

use hw_protocol::{Response, SourceStatistics};
use hw_repr::GlobalId;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Least time between two reports.
const INTERVAL: Duration = Duration::from_secs(1);

/// The statistics of the source itself (index 0) and of its exports (from 1 on).
#[derive(Debug)]
pub(crate) struct Statistics {
    current: Vec<SourceStatistics>,
    told: Vec<SourceStatistics>,
    told_at: Option<Instant>,
    started: Instant,
    responses: mpsc::Sender<Response>,
}

impl Statistics {
    pub(crate) fn new(source: GlobalId, exports: &[GlobalId], responses: mpsc::Sender<Response>) -> Self {
        let of = |id: &GlobalId| SourceStatistics { id: Some(*id), ..SourceStatistics::default() };
        let current: Vec<_> = std::iter::once(&source).chain(exports).map(of).collect();
        Statistics { current, told: Vec::new(), told_at: None, started: Instant::now(), responses }
    }

    /// Those of the source.
    pub(crate) fn source(&mut self) -> &mut SourceStatistics {
        &mut self.current[0]
    }

    /// Those of an export by its position.
    pub(crate) fn export(&mut self, index: usize) -> &mut SourceStatistics {
        &mut self.current[index + 1]
    }

    /// An export's data has arrived upstream of the commit.
    pub(crate) fn received(&mut self, index: usize, messages: u64, bytes: u64) {
        for at in [0, index + 1] {
            self.current[at].messages_received += messages;
            self.current[at].bytes_received += bytes;
            self.current[at].updates_staged += messages;
        }
    }

    /// Whatever was staged is committed.
    pub(crate) fn committed(&mut self) {
        for s in &mut self.current {
            s.updates_committed = s.updates_staged;
        }
    }

    /// An export can be read from now on.
    pub(crate) fn hydrated(&mut self, index: usize) {
        let latency = self.started.elapsed().as_millis() as u64;
        let export = self.export(index);
        export.snapshot_committed = true;
        export.rehydration_latency_ms.get_or_insert(latency);
        let all = self.current[1..].iter().all(|s| s.snapshot_committed);
        let source = self.source();
        source.snapshot_committed = all;
        if all {
            source.rehydration_latency_ms.get_or_insert(latency);
        }
    }

    /// How many upstream transactions there are and are committed.
    pub(crate) fn offsets(&mut self, known: u64, committed: u64) {
        for s in &mut self.current {
            s.offset_known = Some(s.offset_known.unwrap_or(0).max(known).max(committed));
            s.offset_committed = Some(committed);
        }
    }

    /// Tells what has changed, unless the last report is too fresh; then the next call will.
    pub(crate) async fn report(&mut self, force: bool) {
        let due = self.told_at.is_none_or(|at| at.elapsed() >= INTERVAL);
        if !(due || force) || self.current == self.told {
            return;
        }
        self.told_at = Some(Instant::now());
        for (i, s) in self.current.iter().enumerate() {
            if self.told.get(i) != Some(s) {
                // Nobody listens any more when the process is stopping.
                let _ = self.responses.send(Response::SourceStatistics(s.clone())).await;
            }
        }
        self.told = self.current.clone();
    }
}
