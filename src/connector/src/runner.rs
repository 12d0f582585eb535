//! Running sources: start, retry, stop.

use std::time::Duration;

use hw_base::clock::NowFn;
use hw_base::task::spawn;
use hw_persist::PersistClient;
use hw_plan::SourceDescription;
use hw_plan::source::UpstreamDescription;
use hw_protocol::{Response, SourceStatus};
use hw_repr::GlobalId;
use rand::Rng;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::committer::{Committer, describe};
use crate::error::SourceError;
use crate::statistics::Statistics;
use crate::status::StatusReporter;

/// Waits between attempts double from the first to the last of these.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// An attempt that ran for so long starts the waits anew.
const STABLE_AFTER: Duration = Duration::from_secs(10);

/// What a running source works with.
#[derive(Debug)]
pub(crate) struct SourceContext {
    pub(crate) desc: SourceDescription,
    pub(crate) persist: PersistClient,
    pub(crate) now: NowFn,
    pub(crate) shutdown: CancellationToken,
    pub(crate) status: StatusReporter,
    pub(crate) statistics: Statistics,
    /// Whether the shards were there once.
    opened: bool,
}

impl SourceContext {
    /// How long to wait before a commit when there is something.
    pub(crate) fn tick_floor(&self) -> Duration {
        Duration::from_millis(self.desc.tick_floor_ms)
    }

    /// How long to wait before a commit when there is nothing.
    pub(crate) fn tick_idle(&self) -> Duration {
        Duration::from_millis(self.desc.tick_idle_ms.max(self.desc.tick_floor_ms).max(1))
    }

    /// Statuses of tables that have failed for good.
    pub(crate) async fn report_failed(&mut self, committer: &Committer) {
        for (id, error) in &committer.progress().failed {
            self.status.failed(*id, error, Some(REPAIR_HINT)).await;
        }
    }
}

/// What to do about a table with a definite error.
pub(crate) const REPAIR_HINT: &str = "Drop the table and add it to the source again.";

/// Runs a source until it is told to stop. Statuses and statistics go to `responses`. The description's shards are written by
/// this source only; when another process runs it under a newer epoch, this one ends.
pub fn run_source(
    desc: SourceDescription,
    persist: PersistClient,
    responses: mpsc::Sender<Response>,
    shutdown: CancellationToken,
) -> JoinHandle<()> {
    let now = NowFn::system();
    let exports: Vec<GlobalId> = desc.exports.iter().map(|e| e.id).collect();
    let ids = [desc.id, desc.progress_id].into_iter().chain(exports.iter().copied()).collect();
    let status = StatusReporter::new(ids, now.clone(), responses.clone());
    let statistics = Statistics::new(desc.id, &exports, responses);
    let name = format!("source {}", desc.id);
    let cx = SourceContext { desc, persist, now, shutdown, status, statistics, opened: false };
    spawn(name, supervise(cx))
}

async fn supervise(mut cx: SourceContext) {
    cx.status.all(SourceStatus::Starting, None, None).await;
    let mut wait = BACKOFF.0;
    loop {
        let started = Instant::now();
        let shutdown = cx.shutdown.clone();
        let ended = tokio::select! {
            biased;
            () = shutdown.cancelled() => SourceError::Stopped,
            ended = attempt(&mut cx) => ended,
        };
        match ended {
            SourceError::Stopped => break,
            SourceError::Fenced => {
                info!(source = %cx.desc.id, "the source runs elsewhere now");
                break;
            }
            SourceError::Raced => {
                info!(source = %cx.desc.id, "another writer was faster, reading the position again")
            }
            SourceError::Transient { message, hint } => {
                warn!(source = %cx.desc.id, error = %message, "source stalled, will retry");
                cx.status.all(SourceStatus::Stalled, Some(&message), hint.as_deref()).await;
            }
            SourceError::Definite(error) => {
                warn!(source = %cx.desc.id, %error, "source failed");
                if let Err(error) = fail(&mut cx, &error).await {
                    warn!(source = %cx.desc.id, %error, "the failure could not be recorded, will retry");
                }
            }
        }
        wait = if started.elapsed() >= STABLE_AFTER { BACKOFF.0 } else { (wait * 2).min(BACKOFF.1) };
        let jittered = wait.mul_f64(rand::rng().random_range(0.5..1.0));
        tokio::select! {
            () = cx.shutdown.cancelled() => break,
            () = tokio::time::sleep(jittered) => {}
        }
    }
}

/// Runs the source until something stops it.
async fn attempt(cx: &mut SourceContext) -> SourceError {
    let committer = match Committer::open(&cx.desc, cx.persist.clone(), cx.now.clone(), !cx.opened).await {
        Ok(committer) => committer,
        Err(e) => return e,
    };
    cx.opened = true;
    cx.report_failed(&committer).await;
    if let Some(error) = committer.progress().failed.get(&cx.desc.id).cloned() {
        cx.status.all(SourceStatus::Failed, Some(&error), Some(REPAIR_HINT)).await;
        return idle(cx, committer).await;
    }
    let upstream = cx.desc.upstream.clone();
    let result = match &upstream {
        UpstreamDescription::MySql(connection) => crate::mysql::ingest::run(cx, connection, committer).await,
        UpstreamDescription::LoadGenerator(generator) => {
            crate::load_generator::run(cx, generator, committer).await
        }
    };
    match result {
        Ok(never) => match never {},
        Err(e) => e,
    }
}

/// Records a definite error of the whole source in its data.
async fn fail(cx: &mut SourceContext, error: &hw_expr::EvalError) -> Result<(), SourceError> {
    let mut committer = Committer::open(&cx.desc, cx.persist.clone(), cx.now.clone(), false).await?;
    committer.fail_source(cx.desc.id, error).await?;
    let message = describe(error);
    committer.commit(None).await?;
    cx.status.all(SourceStatus::Failed, Some(&message), error.hint().or(Some(REPAIR_HINT))).await;
    Ok(())
}

/// A failed source: its shards go on with time, so that reads see the error at once.
async fn idle(cx: &mut SourceContext, mut committer: Committer) -> SourceError {
    loop {
        if let Err(e) = committer.commit(None).await {
            return e;
        }
        tokio::time::sleep(cx.tick_idle()).await;
    }
}
