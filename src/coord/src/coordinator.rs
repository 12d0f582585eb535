//! The coordinator's task: one loop over commands of sessions, events of the controller, and ends of its own tasks.
//!
//! Nothing in the loop waits for a client, a worker or an upstream system: what takes long runs in a task that reports back
//! with a [`Message`]. Only DDL waits, for the embedded store.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use hw_base::clock::NowFn;
use hw_base::metrics::MetricsRegistry;
use hw_catalog::Catalog;
use hw_controller::{Controller, ControllerOutput};
use hw_persist::{PersistClient, ShardId};
use hw_repr::{ClusterId, GlobalId, Timestamp};
use hw_sql::upstream::Upstream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::builtin::SystemCollections;
use crate::cancel::StatementCancel;
use crate::client::{Client, Command, ExecuteResponse};
use crate::error::AdapterError;
use crate::group_commit::GroupCommit;
use crate::metrics::CoordMetrics;
use crate::oracle::TimestampOracle;
use crate::reads::PendingReads;
use crate::sequence::cluster::PendingAlter;
use crate::sequence::purify::Purified;
use crate::session::Session;

/// What a coordinator is made of.
pub struct CoordinatorConfig {
    /// The catalog, open.
    pub catalog: Catalog,
    /// The controller, of nothing yet.
    pub controller: Controller,
    /// Durable collections.
    pub persist: PersistClient,
    /// Asks upstream systems.
    pub upstream: Arc<dyn Upstream>,
    /// The clock.
    pub now: NowFn,
    /// Where metrics go.
    pub metrics: MetricsRegistry,
}

/// The reply of a statement.
pub(crate) type Reply = tokio::sync::oneshot::Sender<(Box<Session>, Result<ExecuteResponse, AdapterError>)>;

/// A statement under way: the session, and where its result goes.
pub(crate) struct ExecuteContext {
    pub(crate) session: Box<Session>,
    pub(crate) reply: Reply,
}

impl ExecuteContext {
    /// Ends the statement.
    pub(crate) fn retire(self, result: Result<ExecuteResponse, AdapterError>) {
        // A frontend that is gone has dropped its end; the session goes with it.
        let _gone = self.reply.send((self.session, result));
    }

    /// Ends the statement with a command tag.
    pub(crate) fn done(self, tag: impl Into<String>) {
        self.retire(Ok(ExecuteResponse::Done(tag.into())));
    }
}

/// The end of one of the coordinator's own tasks.
pub(crate) enum Message {
    /// A group commit is durable, or failed.
    Committed(Timestamp, Result<(), AdapterError>),
    /// Upstream has been asked for a statement.
    Purified(Box<Purified>),
    /// A dataflow made for one read is no longer needed.
    DropTransient(ClusterId, GlobalId),
    /// A peek is no longer wanted.
    CancelPeek(ClusterId, uuid::Uuid),
    /// A subscribe is no longer wanted.
    DropSubscribe(GlobalId),
    /// The rows that a DELETE, UPDATE or INSERT … SELECT affects have been read.
    Affected(Box<crate::sequence::dml::Affected>),
    /// What a statement had to wait for has been written.
    Resume(Box<(ExecuteContext, hw_sql::Plan, hw_repr::Row)>),
    /// A waiting read was cancelled.
    ReadAbandoned(u64),
    /// A statement that waited for the write lock was cancelled.
    LockAbandoned(u64),
    /// A statement whose write waited was cancelled.
    WriteAbandoned(u64),
}

/// What is known of a connection.
pub(crate) struct Connection {
    pub(crate) secret: i32,
    /// Cancels what it executes.
    pub(crate) cancel: StatementCancel,
}

/// The coordinator.
pub struct Coordinator {
    pub(crate) catalog: Catalog,
    pub(crate) controller: Controller,
    pub(crate) persist: PersistClient,
    pub(crate) upstream: Arc<dyn Upstream>,
    pub(crate) oracle: TimestampOracle,
    pub(crate) connections: HashMap<u32, Connection>,
    pub(crate) next_conn_id: u32,
    pub(crate) next_transient: u64,
    pub(crate) messages: mpsc::UnboundedSender<Message>,
    /// Tables: written by the coordinator, advanced together. The shard and upper of each.
    pub(crate) tables: BTreeMap<GlobalId, (ShardId, Timestamp)>,
    pub(crate) group_commit: GroupCommit,
    pub(crate) pending_reads: PendingReads,
    pub(crate) pending_alters: Vec<PendingAlter>,
    pub(crate) system: SystemCollections,
    pub(crate) metrics: CoordMetrics,
    pub(crate) started: std::time::Instant,
    pub(crate) started_ms: u64,
}

/// How many commands of sessions may wait.
const COMMANDS: usize = 4096;

impl Coordinator {
    /// Starts the coordinator: brings the controller to what the catalog says, and serves. Returns once queries are served.
    ///
    /// # Errors
    /// When durable state cannot be read or written.
    pub async fn start(
        config: CoordinatorConfig,
        shutdown: CancellationToken,
    ) -> Result<Client, AdapterError> {
        let (tx, rx) = mpsc::channel(COMMANDS);
        // Unbounded, because tasks must be able to report while the loop waits for the store; there is at most a small number of
        // messages for each statement under way.
        let (messages, messages_rx) = mpsc::unbounded_channel();
        let metrics = CoordMetrics::new(&config.metrics);
        let started_ms = config.now.now_ms();
        let mut coordinator = Coordinator {
            oracle: TimestampOracle::new(0, config.now.clone()),
            catalog: config.catalog,
            controller: config.controller,
            persist: config.persist,
            upstream: config.upstream,
            connections: HashMap::new(),
            next_conn_id: 1,
            next_transient: 1,
            messages,
            tables: BTreeMap::new(),
            group_commit: GroupCommit::default(),
            pending_reads: PendingReads::default(),
            pending_alters: Vec::new(),
            system: SystemCollections::default(),
            metrics,
            started: std::time::Instant::now(),
            started_ms,
        };
        coordinator.bootstrap(&config.now).await?;
        hw_base::task::spawn("coordinator", coordinator.serve(rx, messages_rx, shutdown));
        Ok(Client { tx })
    }

    async fn serve(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut messages: mpsc::UnboundedReceiver<Message>,
        shutdown: CancellationToken,
    ) {
        let mut maintenance = tokio::time::interval(Duration::from_secs(1));
        maintenance.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut table_tick = tokio::time::interval(Duration::from_millis(TABLE_TICK_MS));
        table_tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                Some(message) = messages.recv() => self.message(message).await,
                event = self.controller.recv() => {
                    let outputs = self.controller.process(event);
                    self.controller_outputs(outputs).await;
                }
                command = commands.recv() => match command {
                    Some(command) => self.command(command).await,
                    None => return,
                },
                _ = maintenance.tick() => {
                    self.maintain();
                    // One that was cancelled does not wait for news of replicas.
                    self.check_alters().await;
                }
                _ = table_tick.tick() => self.table_tick(),
            }
            self.start_group_commit();
        }
    }

    async fn message(&mut self, message: Message) {
        match message {
            Message::Committed(ts, result) => self.group_committed(ts, result),
            Message::Purified(purified) => self.purified(*purified).await,
            Message::DropTransient(cluster, id) => {
                if self.controller.runs_on(cluster, id) {
                    let shards = self.controller.drop_collections([id]);
                    self.finalize_shards(shards);
                }
            }
            Message::CancelPeek(cluster, uuid) => self.controller.cancel_peek(cluster, uuid),
            Message::DropSubscribe(id) => self.controller.drop_subscribe(id),
            Message::Affected(affected) => self.affected(*affected),
            Message::Resume(resume) => {
                let (ctx, plan, params) = *resume;
                Box::pin(self.sequence(ctx, plan, params)).await;
            }
            Message::ReadAbandoned(seq) => self.abandon_read(seq),
            Message::LockAbandoned(seq) => self.abandon_lock(seq),
            Message::WriteAbandoned(seq) => self.abandon_write(seq),
        }
    }

    async fn controller_outputs(&mut self, outputs: Vec<ControllerOutput>) {
        for output in outputs {
            match output {
                ControllerOutput::Frontiers => self.retry_reads(),
                ControllerOutput::SourceStatus(update) => self.source_status(update),
                ControllerOutput::SourceStatistics(statistics) => self.source_statistics(statistics),
                ControllerOutput::ReplicaStatus { replica, online, reason, .. } => {
                    self.replica_status(replica, online, reason);
                }
            }
        }
        self.check_alters().await;
    }

    async fn command(&mut self, command: Command) {
        match command {
            Command::Startup { request, tx } => {
                let result = self.startup(request);
                let _gone = tx.send(result.map(Box::new));
            }
            Command::Prepare { session, statement, params, tx } => {
                let result = self.prepare(&session, statement, params);
                let _gone = tx.send((session, result));
            }
            Command::Execute { session, portal, tx } => {
                if let Some(connection) = self.connections.get_mut(&session.conn_id) {
                    connection.cancel = session.cancel.clone();
                }
                self.metrics.statements.inc();
                self.execute(ExecuteContext { session, reply: tx }, portal).await;
            }
            Command::EndTransaction { session, commit, tx } => {
                let (reply, rx) = tokio::sync::oneshot::channel();
                self.end_transaction(ExecuteContext { session, reply }, commit, "").await;
                hw_base::task::spawn("end-transaction", async move {
                    if let Ok((session, result)) = rx.await {
                        let _gone = tx.send((session, result.map(|_| ())));
                    }
                });
            }
            Command::CopyDone { session, copy, tx } => {
                self.copy_done(ExecuteContext { session, reply: tx }, copy)
            }
            Command::Cancel { conn_id, secret } => {
                if let Some(connection) = self.connections.get(&conn_id)
                    && connection.secret == secret
                {
                    connection.cancel.cancel();
                }
            }
            Command::Terminate { conn_id } => {
                if let Some(connection) = self.connections.remove(&conn_id) {
                    connection.cancel.cancel();
                    self.metrics.connections.dec();
                    self.drop_temporary_items(conn_id).await;
                }
            }
        }
    }

    /// A new id for a dataflow's own objects.
    pub(crate) fn transient_id(&mut self) -> GlobalId {
        let id = GlobalId::Transient(self.next_transient);
        self.next_transient += 1;
        id
    }

    fn maintain(&mut self) {
        self.controller.maintain();
        self.write_system_collections();
        self.metrics.pending_reads.set(self.pending_reads.len() as i64);
    }
}

/// How often tables advance when nothing is written to them and a dataflow reads them, in milliseconds.
const TABLE_TICK_MS: u64 = 100;
