//! The controller's handle, owned by the coordinator. Its methods do not wait; what happens later arrives through
//! [`Controller::recv`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hw_base::metrics::{IntCounter, IntGauge, MetricsRegistry};
use hw_base::task::{AbortOnDrop, spawn, spawn_scoped};
use hw_expr::EvalError;
use hw_persist::{PersistClient, ShardId};
use hw_plan::peek::PeekResponse;
use hw_plan::{DataflowDescription, ExportKind, Peek, PeekTarget, SourceDescription};
use hw_protocol::command::SubscribeBatch;
use hw_protocol::{Response, SourceStatistics, SourceStatusUpdate};
use hw_repr::{ClusterId, GlobalId, ReplicaId, Timestamp};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::cluster::{Cluster, PendingPeek, Replica};
use crate::collection::{Collections, Frontiers, ReadHold, RestartFrom};
use crate::orchestrator::{Orchestrator, ProcessSpec};
use crate::replica::{ReplicaEvent, ReplicaMessage, ReplicaTask};

/// What a controller needs.
pub struct ControllerConfig {
    /// Durable collections.
    pub persist: PersistClient,
    /// Starts worker processes.
    pub orchestrator: Arc<dyn Orchestrator>,
    /// The environment's epoch.
    pub epoch: u64,
    /// Where metrics go.
    pub metrics: MetricsRegistry,
}

/// Something that happened; given back to [`Controller::process`].
#[derive(Debug)]
pub enum ControllerEvent {
    /// A durable collection's upper advanced.
    Upper(GlobalId, Timestamp),
    /// Something of a replica.
    Replica(ReplicaMessage),
}

/// What the coordinator is told.
#[derive(Debug)]
pub enum ControllerOutput {
    /// Frontiers advanced: waiting reads may go on.
    Frontiers,
    /// A source's status.
    SourceStatus(SourceStatusUpdate),
    /// A source's statistics.
    SourceStatistics(SourceStatistics),
    /// A replica came or went.
    ReplicaStatus {
        /// The cluster.
        cluster: ClusterId,
        /// The replica.
        replica: ReplicaId,
        /// Whether it is there.
        online: bool,
        /// Why not.
        reason: Option<String>,
    },
}

/// The receiving end of a subscribe.
///
/// The controller must not wait for a slow client, so the channel itself has no bound; instead a subscribe whose undelivered
/// batches exceed [`SUBSCRIBE_BUFFER_BYTES`] is ended with an error.
#[derive(Debug)]
pub struct SubscribeStream {
    rx: mpsc::UnboundedReceiver<(SubscribeBatch, usize)>,
    buffered: Arc<AtomicUsize>,
}

impl SubscribeStream {
    /// The next batch; `None` when the subscribe has been dropped. Safe to cancel.
    pub async fn recv(&mut self) -> Option<SubscribeBatch> {
        let (batch, bytes) = self.rx.recv().await?;
        self.buffered.fetch_sub(bytes, Ordering::Relaxed);
        Some(batch)
    }

    /// The next batch, if one is there.
    pub fn try_recv(&mut self) -> Option<SubscribeBatch> {
        let (batch, bytes) = self.rx.try_recv().ok()?;
        self.buffered.fetch_sub(bytes, Ordering::Relaxed);
        Some(batch)
    }
}

/// How much a subscribe's client may be behind.
pub const SUBSCRIBE_BUFFER_BYTES: usize = 256 << 20;

struct Subscribe {
    cluster: ClusterId,
    tx: mpsc::UnboundedSender<(SubscribeBatch, usize)>,
    buffered: Arc<AtomicUsize>,
    /// All changes before this have been passed on.
    frontier: Timestamp,
}

struct Metrics {
    peeks: IntCounter,
    dataflows: IntGauge,
    replicas: IntGauge,
    replica_restarts: IntCounter,
}

/// How far since lags behind upper, so that collections have times in common.
const DEFAULT_LAG_MS: u64 = 1000;

/// The controller.
pub struct Controller {
    persist: PersistClient,
    orchestrator: Arc<dyn Orchestrator>,
    epoch: u64,
    collections: Collections,
    shards: HashMap<GlobalId, (ShardId, AbortOnDrop<()>)>,
    clusters: BTreeMap<ClusterId, Cluster>,
    replica_tasks: HashMap<(ClusterId, ReplicaId), AbortOnDrop<()>>,
    subscribes: HashMap<GlobalId, Subscribe>,
    upper_tx: mpsc::Sender<(GlobalId, Timestamp)>,
    upper_rx: mpsc::Receiver<(GlobalId, Timestamp)>,
    replica_tx: mpsc::Sender<ReplicaMessage>,
    replica_rx: mpsc::Receiver<ReplicaMessage>,
    metrics: Metrics,
}

impl Controller {
    /// A controller of nothing yet.
    pub fn new(config: ControllerConfig) -> Controller {
        const EVENTS: usize = 4096;
        let (upper_tx, upper_rx) = mpsc::channel(EVENTS);
        let (replica_tx, replica_rx) = mpsc::channel(EVENTS);
        let m = &config.metrics;
        let metrics = Metrics {
            peeks: m.counter("hw_controller_peeks_total", "Peeks sent to clusters"),
            dataflows: m.gauge(
                "hw_controller_dataflow_exports",
                "Indexes, materialized views and subscribes that run",
            ),
            replicas: m.gauge("hw_controller_replicas", "Cluster replicas"),
            replica_restarts: m.counter("hw_controller_replica_restarts_total", "Lost replica sessions"),
        };
        Controller {
            persist: config.persist,
            orchestrator: config.orchestrator,
            epoch: config.epoch,
            collections: Collections::default(),
            shards: HashMap::new(),
            clusters: BTreeMap::new(),
            replica_tasks: HashMap::new(),
            subscribes: HashMap::new(),
            upper_tx,
            upper_rx,
            replica_tx,
            replica_rx,
            metrics,
        }
    }

    /// The next event, to be given to [`Controller::process`]. Safe to cancel.
    pub async fn recv(&mut self) -> ControllerEvent {
        tokio::select! {
            Some((id, upper)) = self.upper_rx.recv() => ControllerEvent::Upper(id, upper),
            Some(message) = self.replica_rx.recv() => ControllerEvent::Replica(message),
        }
    }

    /// Acts on an event and on all others that have arrived.
    pub fn process(&mut self, event: ControllerEvent) -> Vec<ControllerOutput> {
        const BATCH: usize = 1024;
        let mut out = Vec::new();
        let mut frontiers = self.process_one(event, &mut out);
        for _ in 0..BATCH {
            if let Ok((id, upper)) = self.upper_rx.try_recv() {
                frontiers |= self.process_one(ControllerEvent::Upper(id, upper), &mut out);
            } else if let Ok(message) = self.replica_rx.try_recv() {
                frontiers |= self.process_one(ControllerEvent::Replica(message), &mut out);
            } else {
                break;
            }
        }
        if frontiers {
            out.push(ControllerOutput::Frontiers);
        }
        out
    }

    fn process_one(&mut self, event: ControllerEvent, out: &mut Vec<ControllerOutput>) -> bool {
        match event {
            ControllerEvent::Upper(id, upper) => self.collections.advance_upper(id, upper),
            ControllerEvent::Replica(message) => self.process_replica(message, out),
        }
    }

    fn process_replica(&mut self, message: ReplicaMessage, out: &mut Vec<ControllerOutput>) -> bool {
        let ReplicaMessage { cluster: cluster_id, replica: replica_id, incarnation, event } = message;
        let Some(cluster) = self.clusters.get_mut(&cluster_id) else { return false };
        if !cluster.replicas.contains_key(&replica_id) {
            return false;
        }
        match event {
            ReplicaEvent::Connected(commands, pid) => {
                let (collections, subscribes) = (&self.collections, &self.subscribes);
                cluster.connected(replica_id, incarnation, commands, pid, |id, desc| {
                    restart_time(collections, subscribes, id, desc)
                });
                out.push(ControllerOutput::ReplicaStatus {
                    cluster: cluster_id,
                    replica: replica_id,
                    online: true,
                    reason: None,
                });
                false
            }
            ReplicaEvent::Disconnected(reason) => {
                self.metrics.replica_restarts.inc();
                cluster.disconnected(replica_id);
                let exports: Vec<GlobalId> = cluster.exports().collect();
                for id in exports {
                    self.index_upper_changed(cluster_id, id);
                }
                out.push(ControllerOutput::ReplicaStatus {
                    cluster: cluster_id,
                    replica: replica_id,
                    online: false,
                    reason: Some(reason),
                });
                false
            }
            ReplicaEvent::Response(response) => self.process_response(cluster_id, replica_id, response, out),
        }
    }

    fn process_response(
        &mut self,
        cluster_id: ClusterId,
        replica_id: ReplicaId,
        response: Response,
        out: &mut Vec<ControllerOutput>,
    ) -> bool {
        let Some(cluster) = self.clusters.get_mut(&cluster_id) else { return false };
        match response {
            Response::Frontier(id, frontier) => {
                if !cluster.has_export(id) {
                    return false;
                }
                if let Some(replica) = cluster.replicas.get_mut(&replica_id) {
                    replica.frontiers.insert(id, frontier.unwrap_or(Timestamp::MAX));
                }
                self.index_upper_changed(cluster_id, id)
            }
            Response::Peek(uuid, response) => {
                cluster.peek_answered(replica_id, uuid, response);
                false
            }
            Response::Subscribe(id, batch) => {
                self.pass_on(id, batch);
                false
            }
            Response::SourceStatus(update) => {
                out.push(ControllerOutput::SourceStatus(update));
                false
            }
            Response::SourceStatistics(statistics) => {
                out.push(ControllerOutput::SourceStatistics(statistics));
                false
            }
        }
    }

    /// Takes over the upper of an index from its replicas; a materialized view's comes from its shard.
    fn index_upper_changed(&mut self, cluster: ClusterId, id: GlobalId) -> bool {
        if self.shards.contains_key(&id) {
            return false;
        }
        let Some(frontiers) = self.collections.frontiers(id) else { return false };
        let upper = self.clusters.get(&cluster).and_then(|c| c.upper(id));
        let upper = upper.unwrap_or(frontiers.since).max(frontiers.since);
        if upper != frontiers.upper {
            self.collections.set_upper(id, upper);
        }
        upper > frontiers.upper
    }

    fn pass_on(&mut self, id: GlobalId, mut batch: SubscribeBatch) {
        let Some(subscribe) = self.subscribes.get_mut(&id) else { return };
        let upper = batch.upper.unwrap_or(Timestamp::MAX);
        if upper <= subscribe.frontier {
            return;
        }
        if let Ok(updates) = &mut batch.updates {
            // Another replica, or the same before it was restarted, has sent these.
            updates.retain(|(t, _, _)| *t >= subscribe.frontier);
        }
        batch.lower = batch.lower.max(subscribe.frontier);
        subscribe.frontier = upper;
        self.collections.advance_upper(id, upper);
        let bytes = match &batch.updates {
            Ok(updates) => updates.iter().map(|(_, r, _)| r.byte_len() + 16).sum(),
            Err(_) => 0,
        };
        let before = subscribe.buffered.fetch_add(bytes, Ordering::Relaxed);
        let too_slow = before > SUBSCRIBE_BUFFER_BYTES;
        if too_slow {
            batch.updates = Err(EvalError::new(
                "53200",
                "subscribe has fallen too far behind: its client reads too slowly",
            ));
            batch.upper = None;
        }
        if subscribe.tx.send((batch, bytes)).is_err() || too_slow {
            self.drop_subscribe(id);
        }
    }

    /// Adds a cluster.
    pub fn create_cluster(&mut self, id: ClusterId) {
        self.clusters.entry(id).or_default();
    }

    /// Removes a cluster and its replicas. Its objects have been dropped.
    pub fn drop_cluster(&mut self, id: ClusterId) {
        if let Some(cluster) = self.clusters.remove(&id) {
            for replica in cluster.replicas.keys() {
                self.replica_tasks.remove(&(id, *replica));
                self.metrics.replicas.dec();
            }
        }
    }

    /// Adds a replica and starts its process.
    pub fn create_replica(&mut self, cluster: ClusterId, replica: ReplicaId, workers: usize) {
        let Some(state) = self.clusters.get_mut(&cluster) else { return };
        state.replicas.insert(replica, Replica::default());
        self.metrics.replicas.inc();
        let task = ReplicaTask {
            cluster,
            replica,
            spec: ProcessSpec { name: format!("cluster-{cluster}-replica-{replica}"), workers },
            orchestrator: Arc::clone(&self.orchestrator),
            epoch: self.epoch,
            events: self.replica_tx.clone(),
        };
        let handle = spawn_scoped(format!("replica-{cluster}-{replica}"), task.run());
        self.replica_tasks.insert((cluster, replica), handle);
    }

    /// Removes a replica and ends its process.
    pub fn drop_replica(&mut self, cluster: ClusterId, replica: ReplicaId) {
        self.replica_tasks.remove(&(cluster, replica));
        if let Some(state) = self.clusters.get_mut(&cluster)
            && state.replicas.contains_key(&replica)
        {
            state.drop_replica(replica);
            self.metrics.replicas.dec();
            let exports: Vec<GlobalId> = state.exports().collect();
            for id in exports {
                self.index_upper_changed(cluster, id);
            }
        }
    }

    /// The operating system id of a replica's process, while it is connected.
    pub fn replica_pid(&self, cluster: ClusterId, replica: ReplicaId) -> Option<u32> {
        self.clusters.get(&cluster)?.replicas.get(&replica)?.pid
    }

    /// Whether a replica is connected.
    pub fn replica_online(&self, cluster: ClusterId, replica: ReplicaId) -> bool {
        let replica = self.clusters.get(&cluster).and_then(|c| c.replicas.get(&replica));
        replica.is_some_and(|r| r.commands.is_some())
    }

    /// Whether a replica is connected and as far as its cluster's collections are: it has everything that they need.
    pub fn replica_hydrated(&self, cluster: ClusterId, replica: ReplicaId) -> bool {
        let Some(state) = self.clusters.get(&cluster) else { return false };
        let Some(r) = state.replicas.get(&replica) else { return false };
        let within = |id: GlobalId| {
            let Some(f) = self.collections.frontiers(id) else { return true };
            r.frontiers.get(&id).is_some_and(|upper| *upper > f.since || f.upper <= f.since)
        };
        r.commands.is_some() && state.exports().all(within)
    }

    /// Adds a durable collection whose shard exists, with the frontiers that it has.
    pub fn add_durable(&mut self, id: GlobalId, shard: ShardId, frontiers: Frontiers) {
        self.collections.add(id, frontiers, DEFAULT_LAG_MS, vec![], RestartFrom::Since);
        let (persist, tx) = (self.persist.clone(), self.upper_tx.clone());
        let watch = spawn_scoped(format!("upper-{id}"), watch_upper(persist, shard, id, frontiers.upper, tx));
        self.shards.insert(id, (shard, watch));
    }

    /// Forgets collections and ends what computes them; gives their shards, to be reclaimed with
    /// [`Controller::finalize_shards`] once nothing writes to them.
    #[must_use]
    pub fn drop_collections(&mut self, ids: impl IntoIterator<Item = GlobalId>) -> Vec<ShardId> {
        let mut shards = Vec::new();
        for id in ids {
            for cluster in self.clusters.values_mut() {
                if cluster.has_export(id) {
                    cluster.drop_export(id);
                    self.metrics.dataflows.dec();
                }
                cluster.stop_source(id);
            }
            self.collections.remove(id);
            self.subscribes.remove(&id);
            if let Some((shard, _watch)) = self.shards.remove(&id) {
                shards.push(shard);
            }
        }
        shards
    }

    /// Reclaims shards that nothing writes to any more.
    pub fn finalize_shards(&self, shards: Vec<ShardId>) {
        if shards.is_empty() {
            return;
        }
        let persist = self.persist.clone();
        spawn("finalize-shards", async move {
            if let Err(e) = persist.finalize(shards).await {
                tracing::warn!(error = %e, "dropped shards are not reclaimed yet");
            }
        });
    }

    /// Runs a dataflow. Its inputs exist; its as-of is one at which they can be read.
    pub fn create_dataflow(&mut self, cluster: ClusterId, desc: DataflowDescription) {
        let inputs: Vec<GlobalId> = desc.import_ids().collect();
        for (id, export) in &desc.exports {
            self.metrics.dataflows.inc();
            match export.kind {
                ExportKind::MaterializedView { .. } => self.collections.set_inputs(*id, inputs.clone()),
                ExportKind::Index { .. } => {
                    let frontiers = Frontiers { since: desc.as_of, upper: desc.as_of };
                    let lag = if id.is_transient() { Timestamp::MAX } else { DEFAULT_LAG_MS };
                    self.collections.add(*id, frontiers, lag, inputs.clone(), RestartFrom::Since);
                }
                ExportKind::Subscribe { .. } => {
                    let frontiers = Frontiers { since: desc.as_of, upper: desc.as_of };
                    self.collections.add(*id, frontiers, 0, inputs.clone(), RestartFrom::Upper);
                }
            }
        }
        if let Some(state) = self.clusters.get_mut(&cluster) {
            state.create_dataflow(desc);
        }
    }

    /// Runs a dataflow that exports one subscribe, and gives its stream.
    pub fn create_subscribe(
        &mut self,
        cluster: ClusterId,
        id: GlobalId,
        desc: DataflowDescription,
    ) -> SubscribeStream {
        let (tx, rx) = mpsc::unbounded_channel();
        let buffered = Arc::new(AtomicUsize::new(0));
        let stream = SubscribeStream { rx, buffered: Arc::clone(&buffered) };
        self.subscribes.insert(id, Subscribe { cluster, tx, buffered, frontier: desc.as_of });
        self.create_dataflow(cluster, desc);
        stream
    }

    /// Ends a subscribe.
    pub fn drop_subscribe(&mut self, id: GlobalId) {
        if let Some(subscribe) = self.subscribes.remove(&id) {
            if let Some(cluster) = self.clusters.get_mut(&subscribe.cluster) {
                cluster.drop_export(id);
            }
            self.metrics.dataflows.dec();
            self.collections.remove(id);
        }
    }

    /// Runs a source, or changes one that runs.
    pub fn run_source(&mut self, cluster: ClusterId, mut desc: SourceDescription) {
        // Epochs of this environment are above all of earlier ones.
        desc.epoch = desc.epoch.max(self.epoch << 20);
        if let Some(state) = self.clusters.get_mut(&cluster) {
            let running = state.sources().find(|s| s.id == desc.id).map(|s| s.epoch);
            desc.epoch = desc.epoch.max(running.map_or(0, |e| e + 1));
            state.run_source(desc);
        }
    }

    /// Stops a source.
    pub fn stop_source(&mut self, cluster: ClusterId, id: GlobalId) {
        if let Some(state) = self.clusters.get_mut(&cluster) {
            state.stop_source(id);
        }
    }

    /// Sends a peek. What it reads is held until it is answered.
    pub fn peek(&mut self, cluster: ClusterId, peek: Peek) -> oneshot::Receiver<PeekResponse> {
        let (answer, rx) = oneshot::channel();
        let id = match &peek.target {
            PeekTarget::Index { id, .. } | PeekTarget::Shard { id, .. } => *id,
        };
        let holds = self.collections.hold(id, peek.timestamp).into_iter().collect();
        self.metrics.peeks.inc();
        if let Some(state) = self.clusters.get_mut(&cluster) {
            state.peek(PendingPeek { peek, answer, _holds: holds });
        }
        rx
    }

    /// Cancels a peek.
    pub fn cancel_peek(&mut self, cluster: ClusterId, uuid: Uuid) {
        if let Some(state) = self.clusters.get_mut(&cluster) {
            state.cancel_peek(uuid);
        }
    }

    /// Holds collections at a time, or at their since where that is greater; unknown ids are left out.
    pub fn hold(&mut self, ids: impl IntoIterator<Item = GlobalId>, timestamp: Timestamp) -> Vec<ReadHold> {
        ids.into_iter().filter_map(|id| self.collections.hold(id, timestamp)).collect()
    }

    /// A collection's frontiers.
    pub fn frontiers(&self, id: GlobalId) -> Option<Frontiers> {
        self.collections.frontiers(id)
    }

    /// A collection's shard.
    pub fn shard(&self, id: GlobalId) -> Option<ShardId> {
        self.shards.get(&id).map(|(s, _)| *s)
    }

    /// The least time at which all of these can be read.
    pub fn least_valid_read(&self, ids: &BTreeSet<GlobalId>) -> Timestamp {
        self.collections.least_valid_read(ids)
    }

    /// The least upper of these.
    pub fn least_upper(&self, ids: &BTreeSet<GlobalId>) -> Timestamp {
        self.collections.least_upper(ids)
    }

    /// Notes that the coordinator itself has advanced a durable collection.
    pub fn note_upper(&mut self, id: GlobalId, upper: Timestamp) {
        self.collections.advance_upper(id, upper);
    }

    /// Whether an id is an export that runs on the cluster.
    pub fn runs_on(&self, cluster: ClusterId, id: GlobalId) -> bool {
        self.clusters.get(&cluster).is_some_and(|c| c.has_export(id))
    }

    /// To be called about once a second: advances sinces and tells shards and replicas of it.
    pub fn maintain(&mut self) {
        let moved = self.collections.advance_sinces();
        let mut downgrades = Vec::new();
        for (id, since) in moved {
            if let Some((shard, _)) = self.shards.get(&id) {
                downgrades.push((*shard, since));
            } else {
                for cluster in self.clusters.values() {
                    cluster.allow_compaction(id, since);
                }
            }
        }
        if downgrades.is_empty() {
            return;
        }
        let persist = self.persist.clone();
        spawn("allow-compaction", async move {
            if let Err(e) = persist.allow_compaction(downgrades).await {
                tracing::warn!(error = %e, "compaction is held up");
            }
        });
    }
}

/// From where an export has to be computed on a replica that starts now.
fn restart_time(
    collections: &Collections,
    subscribes: &HashMap<GlobalId, Subscribe>,
    id: GlobalId,
    desc: &DataflowDescription,
) -> Timestamp {
    if let Some(subscribe) = subscribes.get(&id) {
        return if subscribe.frontier > desc.as_of { subscribe.frontier - 1 } else { desc.as_of };
    }
    let Some(c) = collections.get(id) else { return desc.as_of };
    match c.restart {
        RestartFrom::Since => c.frontiers.since,
        RestartFrom::Upper if c.frontiers.upper > desc.as_of => c.frontiers.upper - 1,
        RestartFrom::Upper => desc.as_of,
    }
}

/// Tells each advance of a shard's upper until the shard is closed or gone.
async fn watch_upper(
    persist: PersistClient,
    shard: ShardId,
    id: GlobalId,
    mut upper: Timestamp,
    tx: mpsc::Sender<(GlobalId, Timestamp)>,
) {
    const RETRY: Duration = Duration::from_millis(500);
    while upper < Timestamp::MAX {
        // The upper is past `upper - 1` already; what is waited for is past `upper`.
        match persist.wait_upper_past(shard, upper).await {
            Ok(new) => {
                upper = new;
                if tx.send((id, upper)).await.is_err() {
                    return;
                }
            }
            Err(e) => {
                tracing::debug!(%id, error = %e, "cannot follow a shard's upper");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}
