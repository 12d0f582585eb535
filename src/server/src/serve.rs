//! `headwater serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use hw_base::clock::NowFn;
use hw_base::metrics::MetricsRegistry;
use hw_catalog::{Catalog, CatalogConfig, ReplicaSizes};
use hw_controller::{Controller, ControllerConfig, ProcessOrchestrator};
use hw_coord::{Client, Coordinator, CoordinatorConfig};
use hw_frontend::{HttpConfig, SqlServerConfig, serve_http, serve_sql};
use hw_persist::{PersistConfig, PersistServer};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::data_dir::DataDir;
use crate::planner::SqlPlanner;

/// Options of `headwater serve`. Each may also come from the environment.
#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    /// Where everything durable is kept.
    #[arg(long, env = "HEADWATER_DATA_DIR", default_value = "headwater-data")]
    data_dir: PathBuf,
    /// Where SQL clients connect.
    #[arg(long, env = "HEADWATER_SQL_LISTEN_ADDR", default_value = "127.0.0.1:6875")]
    sql_listen_addr: SocketAddr,
    /// Where the system roles connect.
    #[arg(long, env = "HEADWATER_INTERNAL_SQL_LISTEN_ADDR", default_value = "127.0.0.1:6877")]
    internal_sql_listen_addr: SocketAddr,
    /// Where HTTP clients connect.
    #[arg(long, env = "HEADWATER_HTTP_LISTEN_ADDR", default_value = "127.0.0.1:6876")]
    http_listen_addr: SocketAddr,
    /// A TOML file of cluster replica sizes, in place of the default ones.
    #[arg(long, env = "HEADWATER_CLUSTER_REPLICA_SIZES")]
    cluster_replica_sizes: Option<PathBuf>,
    /// The size of the clusters that a new environment has.
    #[arg(long, env = "HEADWATER_DEFAULT_CLUSTER_SIZE", default_value = "25cc")]
    default_cluster_size: String,
    /// The addresses from which this server reaches out, in CIDR notation, as `mz_egress_ips` shows them.
    #[arg(long, env = "HEADWATER_EGRESS_IPS", value_delimiter = ',')]
    egress_ips: Vec<String>,
}

/// Runs until a signal ends it.
pub(crate) fn run(args: ServeArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(serve(args));
    runtime.shutdown_timeout(Duration::from_secs(2));
    result
}

async fn bind(addr: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(addr).await.with_context(|| format!("cannot listen on {addr}"))
}

async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    let started = std::time::Instant::now();
    let data_dir = DataDir::open(&args.data_dir)?;
    let sql = bind(args.sql_listen_addr).await?;
    let internal_sql = bind(args.internal_sql_listen_addr).await?;
    let http = bind(args.http_listen_addr).await?;
    let metrics = MetricsRegistry::new();
    let shutdown = CancellationToken::new();
    let (ready_tx, ready) = watch::channel(false);
    let (client_tx, client_rx) = watch::channel(None::<Client>);
    let config = HttpConfig {
        client: client_rx,
        metrics: metrics.clone(),
        readiness: ready,
        shutdown: shutdown.clone(),
    };
    let http_task = hw_base::task::spawn("http", serve_http(http, config));

    let client = start_environment(&args, &data_dir, &metrics, &shutdown).await?;
    client_tx.send_replace(Some(client.clone()));
    let sql_config =
        |internal| SqlServerConfig { internal, metrics: metrics.clone(), shutdown: shutdown.clone() };
    let sql_task = hw_base::task::spawn("sql", serve_sql(sql, client.clone(), sql_config(false)));
    let internal_task =
        hw_base::task::spawn("internal-sql", serve_sql(internal_sql, client.clone(), sql_config(true)));
    ready_tx.send_replace(true);
    tracing::info!(
        sql = %args.sql_listen_addr,
        http = %args.http_listen_addr,
        data_dir = %data_dir.root().display(),
        "serving after {} ms",
        started.elapsed().as_millis()
    );

    let failed = tokio::select! {
        signal = signalled() => { tracing::info!("{signal}: shutting down"); false }
        () = gone(&client) => true,
    };
    shutdown.cancel();
    let tasks = async {
        let _ended = tokio::join!(sql_task, internal_task, http_task);
        gone(&client).await;
    };
    if tokio::time::timeout(Duration::from_secs(3), tasks).await.is_err() {
        tracing::warn!("some connections did not end in time");
    }
    anyhow::ensure!(!failed, "the coordinator ended unexpectedly");
    Ok(())
}

/// Opens storage and catalog and starts the coordinator.
async fn start_environment(
    args: &ServeArgs,
    data_dir: &DataDir,
    metrics: &MetricsRegistry,
    shutdown: &CancellationToken,
) -> anyhow::Result<Client> {
    let db = data_dir.db();
    let persist = PersistServer::open(&db, PersistConfig::default(), metrics);
    let persist = persist.await.context("cannot open storage")?;
    let persist_socket = data_dir.run().join("persist.sock");
    let listener = UnixListener::bind(&persist_socket)?;
    let served = hw_persist::serve(persist.clone(), listener);
    let token = shutdown.clone();
    hw_base::task::spawn("persist-grpc", async move {
        tokio::select! {
            result = served => if let Err(e) = result { tracing::error!(error = %e, "storage service ended") },
            // Workers are going down too; they may still be writing until then.
            () = async { token.cancelled().await; tokio::time::sleep(Duration::from_secs(1)).await } => {}
        }
    });
    let sizes = match &args.cluster_replica_sizes {
        None => ReplicaSizes::default(),
        Some(path) => ReplicaSizes::from_toml_file(path).context("cannot read cluster replica sizes")?,
    };
    let now = NowFn::system();
    let catalog = Catalog::open(CatalogConfig {
        kv: persist.kv(),
        data_dir: data_dir.root().to_owned(),
        sizes,
        default_cluster_size: args.default_cluster_size.clone(),
        egress_ips: args.egress_ips.clone(),
        planner: Arc::new(SqlPlanner),
        now: now.clone(),
    });
    let catalog = catalog.await.context("cannot open catalog")?;
    let controller = Controller::new(ControllerConfig {
        persist: persist.client(),
        orchestrator: Arc::new(ProcessOrchestrator {
            program: std::env::current_exe()?,
            run_dir: data_dir.run(),
            persist_socket,
        }),
        epoch: catalog.epoch(),
        metrics: metrics.clone(),
    });
    let config = CoordinatorConfig {
        catalog,
        controller,
        persist: persist.client(),
        upstream: Arc::new(hw_connector::MySqlUpstream),
        now,
        metrics: metrics.clone(),
    };
    Coordinator::start(config, shutdown.clone()).await.map_err(|e| anyhow::anyhow!("cannot start: {e}"))
}

async fn signalled() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => "SIGTERM",
        _ = int.recv() => "SIGINT",
    }
}

/// Waits until the coordinator is gone.
async fn gone(client: &Client) {
    while client.is_alive() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
