//! `headwater worker`: one process of a cluster replica. It holds no durable state.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use hw_base::metrics::MetricsRegistry;
use hw_compute::ComputeConfig;
use hw_persist::PersistClient;
use hw_plan::SourceDescription;
use hw_protocol::transport::{ServerSession, serve_unix};
use hw_protocol::{Command, Response};
use hw_repr::GlobalId;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Options of `headwater worker`.
#[derive(Debug, clap::Args)]
pub(crate) struct WorkerArgs {
    /// The Unix socket on which the controller is awaited.
    #[arg(long)]
    listen: PathBuf,
    /// The Unix socket of the environment's storage service.
    #[arg(long)]
    persist: PathBuf,
    /// How many timely workers.
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// For logs.
    #[arg(long, default_value = "worker")]
    name: String,
    /// Ends when standard input closes, as it does when the parent process ends in whatever way.
    #[arg(long)]
    exit_with_stdin: bool,
}

/// Runs until the process is ended.
pub(crate) fn run(args: WorkerArgs) -> anyhow::Result<()> {
    // A worker that lost a thread would be wrong in silence. It holds nothing durable, so that ending it is safe: it is started again.
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        print(info);
        std::process::abort();
    }));
    if args.exit_with_stdin {
        std::thread::spawn(|| {
            let _end = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            std::process::exit(0);
        });
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(serve(args))
}

async fn serve(args: WorkerArgs) -> anyhow::Result<()> {
    let persist = PersistClient::connect_unix(&args.persist);
    let mut sessions = serve_unix(&args.listen)?;
    tracing::debug!(name = %args.name, workers = args.workers, "worker awaits its controller");
    let (compute_commands, rx) = mpsc::channel(1024);
    let (mut compute_responses, _compute) = hw_compute::start(
        ComputeConfig {
            workers: args.workers,
            persist: persist.clone(),
            runtime: tokio::runtime::Handle::current(),
            metrics: MetricsRegistry::new(),
            fatal: hw_compute::Fatal::abort(),
        },
        rx,
    )?;
    let (source_tx, mut source_responses) = mpsc::channel(1024);
    let mut sources = Sources { persist, responses: source_tx, running: BTreeMap::new() };
    let mut session: Option<ServerSession> = None;
    loop {
        tokio::select! {
            next = sessions.recv() => match next {
                None => return Ok(()),
                Some(next) => {
                    sources.new_session();
                    session = Some(next);
                }
            },
            command = receive(&mut session) => match command {
                Some(command) => {
                    if let Some(command) = sources.command(command).await {
                        anyhow::ensure!(compute_commands.send(command).await.is_ok(), "compute ended");
                    }
                }
                None => session = None,
            },
            Some(response) = compute_responses.recv() => respond(&mut session, response).await,
            Some(response) = source_responses.recv() => respond(&mut session, response).await,
        }
    }
}

async fn receive(session: &mut Option<ServerSession>) -> Option<Command> {
    match session {
        Some(s) => s.commands.recv().await,
        None => std::future::pending().await,
    }
}

/// Without a session, what would be told is told again by the history of the next one.
async fn respond(session: &mut Option<ServerSession>, response: Response) {
    if let Some(s) = session
        && s.responses.send(response).await.is_err()
    {
        *session = None;
    }
}

struct RunningSource {
    desc: SourceDescription,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
    /// Whether the current session has asked for it.
    wanted: bool,
}

/// The sources that this process runs.
struct Sources {
    persist: PersistClient,
    responses: mpsc::Sender<Response>,
    running: BTreeMap<GlobalId, RunningSource>,
}

impl Sources {
    /// A new session says again what is wanted.
    fn new_session(&mut self) {
        self.running.values_mut().for_each(|s| s.wanted = false);
    }

    /// Acts on commands that are about sources; others are given back.
    async fn command(&mut self, command: Command) -> Option<Command> {
        match command {
            Command::RunSource(desc) => {
                self.run(*desc).await;
                None
            }
            Command::StopSource(id) => {
                self.stop(id).await;
                None
            }
            Command::InitializationComplete => {
                let unwanted: Vec<GlobalId> =
                    self.running.iter().filter(|(_, s)| !s.wanted).map(|(id, _)| *id).collect();
                for id in unwanted {
                    self.stop(id).await;
                }
                Some(Command::InitializationComplete)
            }
            other => Some(other),
        }
    }

    async fn run(&mut self, desc: SourceDescription) {
        if let Some(running) = self.running.get_mut(&desc.id) {
            running.wanted = true;
            if running.desc == desc {
                return;
            }
        }
        self.stop(desc.id).await;
        let shutdown = CancellationToken::new();
        let task = hw_connector::run_source(
            desc.clone(),
            self.persist.clone(),
            self.responses.clone(),
            shutdown.clone(),
        );
        self.running.insert(desc.id, RunningSource { desc, shutdown, task, wanted: true });
    }

    async fn stop(&mut self, id: GlobalId) {
        const PATIENCE: Duration = Duration::from_secs(5);
        let Some(mut running) = self.running.remove(&id) else { return };
        running.shutdown.cancel();
        if tokio::time::timeout(PATIENCE, &mut running.task).await.is_err() {
            // Its writes are fenced off by the next run's epoch, whatever it still does.
            running.task.abort();
        }
    }
}
