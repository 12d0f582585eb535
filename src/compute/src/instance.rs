//! A compute instance: worker threads, commands to all of them, one stream of responses.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::Thread;

use hw_base::metrics::MetricsRegistry;
use hw_flow::Fatal;
use hw_persist::PersistClient;
use hw_protocol::{Command, Response};
use timely::WorkerConfig;
use timely::communication::Config as CommunicationConfig;
use timely::communication::WorkerGuards;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::dataflow::Surroundings;
use crate::error::ComputeError;
use crate::merge::{Merge, WorkerResponse};
use crate::metrics::ComputeMetrics;
use crate::worker::{Links, Worker};

/// How many commands wait for a worker.
const COMMANDS: usize = 1024;
/// How many responses wait to be merged, and to be taken.
const RESPONSES: usize = 1024;
/// What an idle arrangement merges in a turn, in updates.
const IDLE_MERGE_EFFORT: isize = 10_000;

/// What a compute instance needs.
#[derive(Debug, Clone)]
pub struct ComputeConfig {
    /// How many worker threads.
    pub workers: usize,
    /// Access to shards.
    pub persist: PersistClient,
    /// Where asynchronous work runs.
    pub runtime: Handle,
    /// Where metrics are registered.
    pub metrics: MetricsRegistry,
    /// Called when a dataflow cannot go on; [`Fatal::abort`] in worker processes.
    pub fatal: Fatal,
}

/// A running compute instance. Dropping it stops it, and waits for its threads.
pub struct ComputeHandle {
    stop: Arc<AtomicBool>,
    threads: Arc<Vec<OnceLock<Thread>>>,
    guards: Option<WorkerGuards<()>>,
}

impl ComputeHandle {
    /// Stops the workers and waits for them. Blocks: not for asynchronous code.
    pub fn shutdown(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.threads.iter().filter_map(OnceLock::get).for_each(Thread::unpark);
        if let Some(guards) = self.guards.take() {
            for result in guards.join() {
                if let Err(e) = result {
                    tracing::error!(error = %e, "worker thread has panicked");
                }
            }
        }
    }
}

impl Drop for ComputeHandle {
    fn drop(&mut self) {
        self.stop();
    }
}

impl std::fmt::Debug for ComputeHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ComputeHandle").field("workers", &self.threads.len()).finish_non_exhaustive()
    }
}

/// Starts an instance. It ends when the commands end or the handle is dropped. `RunSource` and `StopSource` are
/// ignored. Responses must be taken: workers wait when too many are not.
pub fn start(
    config: ComputeConfig,
    commands: mpsc::Receiver<Command>,
) -> Result<(mpsc::Receiver<Response>, ComputeHandle), ComputeError> {
    let workers = config.workers.max(1);
    let stop = Arc::new(AtomicBool::new(false));
    let threads: Arc<Vec<OnceLock<Thread>>> = Arc::new((0..workers).map(|_| OnceLock::new()).collect());
    let (to_merge, from_workers) = mpsc::channel(RESPONSES);
    let (mut to_workers, mut links) = (Vec::new(), Vec::new());
    for _ in 0..workers {
        let (sender, commands) = mpsc::channel(COMMANDS);
        to_workers.push(sender);
        links.push(Some(Links { commands, responses: to_merge.clone(), stop: Arc::clone(&stop) }));
    }
    drop(to_merge);
    let links = Mutex::new(links);
    let metrics = ComputeMetrics::register(&config.metrics);

    let mut worker_config = WorkerConfig::default();
    let differential = differential_dataflow::Config::default().idle_merge_effort(Some(IDLE_MERGE_EFFORT));
    differential_dataflow::configure(&mut worker_config, &differential);
    let communication = match workers {
        1 => CommunicationConfig::Thread,
        n => CommunicationConfig::Process(n),
    };
    let timely_config = timely::Config { communication, worker: worker_config };
    let (own_threads, surroundings) = (Arc::clone(&threads), config.clone());
    let guards = timely::execute(timely_config, move |worker| {
        let index = worker.index();
        let links = links.lock().ok().and_then(|mut links| links.get_mut(index).and_then(Option::take));
        let Some(links) = links else { return };
        let _only_once = own_threads[index].set(std::thread::current());
        let surroundings = Surroundings {
            persist: surroundings.persist.clone(),
            runtime: surroundings.runtime.clone(),
            fatal: surroundings.fatal.clone(),
            frontiers: Default::default(),
            subscribes: Default::default(),
        };
        Worker::new(worker, links, surroundings, metrics.clone()).run();
    })
    .map_err(ComputeError::Workers)?;

    let _guard = config.runtime.enter();
    let (to_outside, responses) = mpsc::channel(RESPONSES);
    hw_base::task::spawn("compute: commands", fan_out(commands, to_workers, Arc::clone(&threads)));
    hw_base::task::spawn("compute: responses", fan_in(from_workers, to_outside, workers));
    Ok((responses, ComputeHandle { stop, threads, guards: Some(guards) }))
}

/// Sends each command to all workers.
async fn fan_out(
    mut commands: mpsc::Receiver<Command>,
    workers: Vec<mpsc::Sender<Arc<Command>>>,
    threads: Arc<Vec<OnceLock<Thread>>>,
) {
    let wake = || threads.iter().filter_map(OnceLock::get).for_each(Thread::unpark);
    loop {
        let command = tokio::select! {
            command = commands.recv() => command,
            // The workers are gone.
            () = workers[0].closed() => None,
        };
        let Some(command) = command else { break };
        let command = Arc::new(command);
        for worker in &workers {
            if worker.send(Arc::clone(&command)).await.is_err() {
                return;
            }
        }
        wake();
    }
    drop(workers);
    wake();
}

/// Merges the workers' responses.
async fn fan_in(
    mut from_workers: mpsc::Receiver<(usize, WorkerResponse)>,
    to_outside: mpsc::Sender<Response>,
    workers: usize,
) {
    let mut merge = Merge::new(workers);
    while let Some((worker, response)) = from_workers.recv().await {
        for response in merge.absorb(worker, response) {
            if to_outside.send(response).await.is_err() {
                return;
            }
        }
    }
}
