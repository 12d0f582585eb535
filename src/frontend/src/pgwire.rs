//! PostgreSQL's wire protocol, versions 3.0 and 3.2 (PostgreSQL manual, chapter "Frontend/Backend Protocol").
//!
//! A connection goes through `handshake` (start-up packet, authentication) and then lives in `connection`, a loop over
//! messages. `wire` frames bytes, `message` decodes what clients send, `response` says what we answer; what we send is
//! encoded by the `pgwire` crate, but for rows, which go straight into the output buffer.
//!
//! Invariants:
//! 1. Memory of a connection is bounded: output is flushed at [`wire::FLUSH_BYTES`], nothing is read ahead beyond
//!    [`wire::READ_AHEAD_BYTES`] while a statement runs, a message is at most [`wire::MAX_MESSAGE_BYTES`].
//! 2. Wherever the task waits, it sees the server going down; while a statement runs, also that the client has gone;
//!    while rows are sent, also a cancel request.
//! 3. No bytes from the network make it panic; what cannot be understood is an error response.

mod connection;
mod copy_in;
mod copy_out;
mod extended;
mod handshake;
mod message;
mod params;
mod response;
mod rows;
mod simple;
mod startup;
mod wire;

pub(crate) use message::utf8;
pub(crate) use params::{decode_text as decode_text_params, value_error};

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hw_base::metrics::{IntCounter, IntGauge, MetricsRegistry, Opts};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How many connections are open at once, those that have not logged in included. Sessions have their own limit
/// (`max_connections`).
const MAX_OPEN_CONNECTIONS: usize = 10_000;

/// How long connections may take to say goodbye when the server goes down.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// How a SQL server behaves.
#[derive(Debug, Clone)]
pub struct SqlServerConfig {
    /// Whether system roles may log in here. Such a server answers only clients on the same machine.
    pub internal: bool,
    /// Where its metrics are registered.
    pub metrics: MetricsRegistry,
    /// Ends the server.
    pub shutdown: CancellationToken,
}

/// The metrics of one SQL server.
#[derive(Debug)]
pub(crate) struct SqlMetrics {
    open: IntGauge,
    accepted: IntCounter,
    pub(crate) errors: IntCounter,
}

impl SqlMetrics {
    fn new(registry: &MetricsRegistry, internal: bool) -> Self {
        let opts = |name: &str, help: &str| {
            Opts::new(name, help).const_label("port", if internal { "internal" } else { "sql" })
        };
        let counter = |name, help| {
            registry.register(IntCounter::with_opts(opts(name, help)).expect("metric names are valid"))
        };
        let open = IntGauge::with_opts(opts("hw_pgwire_connections", "Open connections of SQL clients"));
        SqlMetrics {
            open: registry.register(open.expect("metric names are valid")),
            accepted: counter("hw_pgwire_connections_total", "Connections accepted from SQL clients"),
            errors: counter("hw_pgwire_errors_total", "Error responses sent to SQL clients"),
        }
    }
}

/// What the connections of one server share.
pub(crate) struct Shared {
    pub(crate) client: hw_coord::Client,
    pub(crate) internal: bool,
    pub(crate) metrics: SqlMetrics,
    pub(crate) shutdown: CancellationToken,
}

/// Serves SQL clients until `shutdown` is cancelled; then tells them (57P01) and returns within about a second.
pub async fn serve_sql(listener: TcpListener, client: hw_coord::Client, config: SqlServerConfig) {
    let SqlServerConfig { internal, metrics, shutdown } = config;
    if let Ok(addr) = listener.local_addr()
        && !addr.ip().is_loopback()
    {
        tracing::warn!(%addr, internal, "SQL clients of other machines are not authenticated");
    }
    let shared =
        Arc::new(Shared { client, internal, metrics: SqlMetrics::new(&metrics, internal), shutdown });
    let slots = Arc::new(Semaphore::new(MAX_OPEN_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = shared.shutdown.cancelled() => break,
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended
                    && error.is_panic()
                {
                    tracing::error!(%error, "a connection's task panicked");
                }
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
                    tracing::warn!(%peer, "too many connections");
                    continue;
                };
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    serve_connection(&shared, stream, peer).await;
                    drop(slot);
                });
            }
            Err(error) => {
                // Out of file descriptors, or the client was gone at once.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_TIMEOUT, drained).await.is_err() {
        connections.abort_all();
    }
}

async fn serve_connection(shared: &Shared, stream: TcpStream, peer: SocketAddr) {
    let metrics = &shared.metrics;
    metrics.accepted.inc();
    metrics.open.inc();
    let open = OpenGuard(&metrics.open);
    if let Err(error) = stream.set_nodelay(true).and_then(|()| keep_alive(&stream)) {
        tracing::debug!(%peer, %error, "cannot set socket options");
    }
    tracing::debug!(%peer, "SQL client connected");
    handshake::serve(shared, stream, peer.ip().is_loopback()).await;
    tracing::debug!(%peer, "SQL client disconnected");
    drop(open);
}

/// A client that vanished without a word is noticed after about two minutes.
fn keep_alive(stream: &TcpStream) -> std::io::Result<()> {
    let probe = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(15));
    socket2::SockRef::from(stream).set_tcp_keepalive(&probe.with_retries(4))
}

struct OpenGuard<'a>(&'a IntGauge);

impl Drop for OpenGuard<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}
