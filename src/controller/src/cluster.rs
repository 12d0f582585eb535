//! The state of one cluster, without I/O: what it runs, and what a replica that connects is told.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use hw_plan::peek::PeekResponse;
use hw_plan::{DataflowDescription, ExportKind, Peek, SourceDescription};
use hw_protocol::Command;
use hw_protocol::command::ReplicaConfiguration;
use hw_repr::{GlobalId, ReplicaId, Timestamp};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::collection::ReadHold;

/// A replica as the controller sees it.
#[derive(Debug, Default)]
pub(crate) struct Replica {
    /// Where commands go while it is connected.
    pub(crate) commands: Option<mpsc::UnboundedSender<Command>>,
    pub(crate) incarnation: u64,
    pub(crate) pid: Option<u32>,
    /// How far each export is on it.
    pub(crate) frontiers: HashMap<GlobalId, Timestamp>,
}

pub(crate) struct PendingPeek {
    pub(crate) peek: Peek,
    pub(crate) answer: oneshot::Sender<PeekResponse>,
    pub(crate) _holds: Vec<ReadHold>,
}

/// A dataflow that runs; its exports that have been dropped are out of `live`.
#[derive(Debug)]
pub(crate) struct Dataflow {
    pub(crate) desc: DataflowDescription,
    pub(crate) live: BTreeSet<GlobalId>,
}

#[derive(Default)]
pub(crate) struct Cluster {
    pub(crate) replicas: BTreeMap<ReplicaId, Replica>,
    pub(crate) configuration: ReplicaConfiguration,
    dataflows: BTreeMap<u64, Dataflow>,
    by_export: HashMap<GlobalId, u64>,
    next_dataflow: u64,
    pub(crate) peeks: HashMap<Uuid, PendingPeek>,
    sources: BTreeMap<GlobalId, (SourceDescription, Option<ReplicaId>)>,
}

impl Cluster {
    /// Sends to every connected replica. A replica whose session has just ended will be told by its history.
    fn broadcast(&self, command: &Command) {
        for replica in self.replicas.values() {
            send(replica, command.clone());
        }
    }

    pub(crate) fn create_dataflow(&mut self, desc: DataflowDescription) {
        let seq = self.next_dataflow;
        self.next_dataflow += 1;
        let live: BTreeSet<GlobalId> = desc.export_ids().collect();
        self.by_export.extend(live.iter().map(|id| (*id, seq)));
        self.broadcast(&Command::CreateDataflow(Box::new(desc.clone())));
        self.dataflows.insert(seq, Dataflow { desc, live });
    }

    pub(crate) fn drop_export(&mut self, id: GlobalId) {
        let Some(seq) = self.by_export.remove(&id) else { return };
        self.broadcast(&Command::AllowCompaction(id, Timestamp::MAX));
        for replica in self.replicas.values_mut() {
            replica.frontiers.remove(&id);
        }
        if let Some(dataflow) = self.dataflows.get_mut(&seq) {
            dataflow.live.remove(&id);
            if dataflow.live.is_empty() {
                self.dataflows.remove(&seq);
            }
        }
    }

    pub(crate) fn has_export(&self, id: GlobalId) -> bool {
        self.by_export.contains_key(&id)
    }

    pub(crate) fn exports(&self) -> impl Iterator<Item = GlobalId> + '_ {
        self.by_export.keys().copied()
    }

    pub(crate) fn allow_compaction(&self, id: GlobalId, since: Timestamp) {
        if self.by_export.contains_key(&id) {
            self.broadcast(&Command::AllowCompaction(id, since));
        }
    }

    pub(crate) fn peek(&mut self, pending: PendingPeek) {
        self.broadcast(&Command::Peek(Box::new(pending.peek.clone())));
        self.peeks.insert(pending.peek.uuid, pending);
    }

    pub(crate) fn cancel_peek(&mut self, uuid: Uuid) {
        if let Some(pending) = self.peeks.remove(&uuid) {
            self.broadcast(&Command::CancelPeek(uuid));
            // The receiver may be gone, which is why it was cancelled.
            let _gone = pending.answer.send(PeekResponse::Canceled);
        }
    }

    /// An answer from one replica: the first wins, the others need not go on.
    pub(crate) fn peek_answered(&mut self, replica: ReplicaId, uuid: Uuid, response: PeekResponse) {
        if let Some(pending) = self.peeks.remove(&uuid) {
            for (id, other) in &self.replicas {
                if *id != replica {
                    send(other, Command::CancelPeek(uuid));
                }
            }
            let _gone = pending.answer.send(response);
        }
    }

    pub(crate) fn run_source(&mut self, desc: SourceDescription) {
        let host = self.sources.get(&desc.id).and_then(|(_, host)| *host);
        let host = host.filter(|h| self.is_connected(*h)).or_else(|| self.any_connected());
        if let Some(replica) = host.and_then(|h| self.replicas.get(&h)) {
            send(replica, Command::RunSource(Box::new(desc.clone())));
        }
        self.sources.insert(desc.id, (desc, host));
    }

    pub(crate) fn stop_source(&mut self, id: GlobalId) -> bool {
        let Some((_, host)) = self.sources.remove(&id) else { return false };
        if let Some(replica) = host.and_then(|h| self.replicas.get(&h)) {
            send(replica, Command::StopSource(id));
        }
        true
    }

    pub(crate) fn sources(&self) -> impl Iterator<Item = &SourceDescription> {
        self.sources.values().map(|(d, _)| d)
    }

    fn is_connected(&self, id: ReplicaId) -> bool {
        self.replicas.get(&id).is_some_and(|r| r.commands.is_some())
    }

    fn any_connected(&self) -> Option<ReplicaId> {
        self.replicas.iter().find(|(_, r)| r.commands.is_some()).map(|(id, _)| *id)
    }

    /// A replica connected: it is told everything. `as_of` says from where an export is to be computed now.
    pub(crate) fn connected(
        &mut self,
        id: ReplicaId,
        incarnation: u64,
        commands: mpsc::UnboundedSender<Command>,
        pid: Option<u32>,
        as_of: impl Fn(GlobalId, &DataflowDescription) -> Timestamp,
    ) {
        let Some(replica) = self.replicas.get_mut(&id) else { return };
        replica.frontiers.clear();
        replica.incarnation = incarnation;
        replica.pid = pid;
        let tell = |c: Command| {
            // A session that ended meanwhile will be followed by another one.
            let _ended = commands.send(c);
        };
        tell(Command::Configuration(self.configuration.clone()));
        for dataflow in self.dataflows.values() {
            let mut desc = dataflow.desc.clone();
            desc.exports.retain(|id, _| dataflow.live.contains(id));
            let restart = desc.export_ids().map(|id| as_of(id, &desc)).min();
            let restart = restart.unwrap_or(desc.as_of).max(desc.as_of);
            if restart > desc.as_of {
                desc.as_of = restart;
                // What a subscribe had at the beginning has been sent.
                for export in desc.exports.values_mut() {
                    if let ExportKind::Subscribe { with_snapshot, .. } = &mut export.kind {
                        *with_snapshot = false;
                    }
                }
            }
            tell(Command::CreateDataflow(Box::new(desc)));
        }
        for pending in self.peeks.values() {
            tell(Command::Peek(Box::new(pending.peek.clone())));
        }
        replica.commands = Some(commands.clone());
        self.assign_sources();
        tell(Command::InitializationComplete);
    }

    /// A replica's session ended.
    pub(crate) fn disconnected(&mut self, id: ReplicaId) {
        if let Some(replica) = self.replicas.get_mut(&id) {
            replica.commands = None;
            replica.frontiers.clear();
            replica.pid = None;
        }
        for (_, host) in self.sources.values_mut() {
            if *host == Some(id) {
                *host = None;
            }
        }
        self.assign_sources();
    }

    pub(crate) fn drop_replica(&mut self, id: ReplicaId) {
        self.disconnected(id);
        self.replicas.remove(&id);
    }

    /// Gives sources without a host to a connected replica, under a new epoch.
    fn assign_sources(&mut self) {
        let Some(host) = self.any_connected() else { return };
        let replica = &self.replicas[&host];
        for (desc, slot) in self.sources.values_mut() {
            if slot.is_none() {
                desc.epoch += 1;
                *slot = Some(host);
                send(replica, Command::RunSource(Box::new(desc.clone())));
            }
        }
    }

    /// The greatest frontier that any replica reports for an export; `None` if none does.
    pub(crate) fn upper(&self, id: GlobalId) -> Option<Timestamp> {
        self.replicas.values().filter_map(|r| r.frontiers.get(&id)).copied().max()
    }
}

fn send(replica: &Replica, command: Command) {
    if let Some(commands) = &replica.commands {
        let _ended = commands.send(command);
    }
}
