//! A timely worker's state and its loop.
//!
//! Each turn: dataflows take a step (or the thread parks until something arrives), commands are handled in order, noted frontiers
//! and subscribe batches are told, peeks get a slice of time, and dataflows that nothing needs any more are dropped.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hw_plan::peek::{PeekResponse, PeekTarget};
use hw_plan::{DataflowDescription, Peek};
use hw_protocol::Command;
use hw_repr::{GlobalId, Timestamp};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::dataflow::{Surroundings, build};
use crate::exports::{DataflowToken, Droppable, Export, IndexTraces};
use crate::merge::WorkerResponse;
use crate::metrics::ComputeMetrics;
use crate::peek::{IndexPeek, ShardPeek, worker_of};
use crate::reconcile::{Running, reconcile};

/// How long an idle worker parks at most.
const PARK: Duration = Duration::from_secs(1);
/// How many rows peeks look at in a turn.
const PEEK_FUEL: usize = 50_000;
/// How many commands are handled in a turn.
const COMMANDS_PER_TURN: usize = 256;

/// What a worker is connected to.
pub(crate) struct Links {
    pub(crate) commands: mpsc::Receiver<Arc<Command>>,
    pub(crate) responses: mpsc::Sender<(usize, WorkerResponse)>,
    pub(crate) stop: Arc<AtomicBool>,
}

/// A peek that has not been answered.
struct PendingPeek {
    peek: Peek,
    state: PeekState,
}

enum PeekState {
    /// The index is not complete through the peek's time.
    Waiting,
    Index(Box<IndexPeek>),
    Shard(ShardPeek),
}

/// A worker's state.
pub(crate) struct Worker<'w> {
    timely: &'w mut timely::worker::Worker,
    links: Links,
    surroundings: Surroundings,
    metrics: ComputeMetrics,
    descriptions: BTreeMap<u64, DataflowDescription>,
    next_dataflow: u64,
    exports: BTreeMap<GlobalId, Export>,
    droppable: Droppable,
    peeks: BTreeMap<Uuid, PendingPeek>,
    /// The commands of a connection that has not sent its whole history.
    history: Option<Vec<Arc<Command>>>,
    connection: u64,
}

impl<'w> Worker<'w> {
    pub(crate) fn new(
        timely: &'w mut timely::worker::Worker,
        links: Links,
        surroundings: Surroundings,
        metrics: ComputeMetrics,
    ) -> Worker<'w> {
        Worker {
            timely,
            links,
            surroundings,
            metrics,
            descriptions: BTreeMap::new(),
            next_dataflow: 0,
            exports: BTreeMap::new(),
            droppable: Rc::new(RefCell::new(vec![])),
            peeks: BTreeMap::new(),
            history: None,
            connection: 0,
        }
    }

    /// Runs until told to stop or the commands end.
    pub(crate) fn run(mut self) {
        let mut busy = true;
        while !self.links.stop.load(Ordering::Acquire) {
            self.timely.step_or_park(Some(if busy { Duration::ZERO } else { PARK }));
            busy = false;
            for _ in 0..COMMANDS_PER_TURN {
                match self.links.commands.try_recv() {
                    Ok(command) => {
                        busy = true;
                        self.receive(command);
                    }
                    Err(mpsc::error::TryRecvError::Empty) => break,
                    Err(mpsc::error::TryRecvError::Disconnected) => {
                        self.links.stop.store(true, Ordering::Release);
                        break;
                    }
                }
            }
            self.tell_progress();
            busy |= self.work_on_peeks();
            busy |= self.drop_unneeded();
            if busy && self.first() {
                self.metrics.dataflows.set(self.timely.installed_dataflows().len() as i64);
            }
        }
        self.peeks.clear();
        self.exports.clear();
        for dataflow in self.timely.installed_dataflows() {
            self.timely.drop_dataflow(dataflow);
        }
    }

    fn first(&self) -> bool {
        self.timely.index() == 0
    }

    fn tell(&self, response: WorkerResponse) {
        // When nobody listens any more the instance is being stopped.
        let _unheard = self.links.responses.blocking_send((self.timely.index(), response));
    }

    fn receive(&mut self, command: Arc<Command>) {
        match (&*command, &mut self.history) {
            (Command::Configuration(_), _) => {
                self.connection += 1;
                self.peeks.clear();
                self.history = Some(vec![]);
                self.tell(WorkerResponse::Connected(self.connection));
            }
            (Command::InitializationComplete, history) => {
                if let Some(history) = history.take() {
                    self.reconcile(&history);
                }
            }
            (_, Some(history)) => history.push(command),
            (command, None) => self.handle(command),
        }
    }

    fn handle(&mut self, command: &Command) {
        match command {
            Command::CreateDataflow(description) => self.create(description),
            Command::AllowCompaction(id, since) => self.allow_compaction(*id, *since),
            Command::Peek(peek) => self.begin_peek(peek),
            Command::CancelPeek(uuid) => {
                if let Some(pending) = self.peeks.remove(uuid) {
                    self.answer(&pending.peek, PeekResponse::Canceled);
                }
            }
            Command::Configuration(_)
            | Command::InitializationComplete
            | Command::RunSource(_)
            | Command::StopSource(_) => {}
        }
    }

    /// Takes over what goes on from the connection before, drops the rest, and handles what is new.
    fn reconcile(&mut self, history: &[Arc<Command>]) {
        let wanted: Vec<&DataflowDescription> = history
            .iter()
            .filter_map(|c| match &**c {
                Command::CreateDataflow(d) => Some(&**d),
                _ => None,
            })
            .collect();
        let numbers: Vec<u64> = self.descriptions.keys().copied().collect();
        let running: Vec<Running<'_>> = self
            .descriptions
            .iter()
            .map(|(number, description)| {
                let exports = || self.exports.values().filter(|e| e.dataflow == *number);
                Running {
                    description,
                    since: exports().map(|e| e.since).max().unwrap_or(Timestamp::MAX),
                    whole: exports().count() == description.exports.len(),
                }
            })
            .collect();
        let kept: Vec<Option<u64>> =
            reconcile(&running, &wanted).into_iter().map(|i| i.map(|i| numbers[i])).collect();
        let goes_on: BTreeSet<u64> = kept.iter().flatten().copied().collect();
        let dropped: Vec<GlobalId> =
            self.exports.iter().filter(|(_, e)| !goes_on.contains(&e.dataflow)).map(|(id, _)| *id).collect();
        for id in dropped {
            self.drop_export(id);
        }
        let mut kept = kept.into_iter();
        for command in history {
            match &**command {
                Command::CreateDataflow(description) if kept.next().flatten().is_some() => {
                    for id in description.export_ids() {
                        self.allow_compaction(id, description.as_of);
                    }
                }
                command => self.handle(command),
            }
        }
        self.tell_progress();
        self.tell(WorkerResponse::Reconciled);
    }

    fn create(&mut self, description: &DataflowDescription) {
        for id in description.export_ids().collect::<Vec<_>>() {
            if self.exports.contains_key(&id) {
                tracing::error!(%id, "export exists already and is replaced");
                self.drop_export(id);
            }
        }
        let mut imports: BTreeMap<GlobalId, IndexTraces> = BTreeMap::new();
        let mut inputs = Vec::new();
        for id in description.index_imports.keys() {
            match self.exports.get(id) {
                Some(Export { index: Some(traces), token, since, .. }) => {
                    if *since > description.as_of {
                        tracing::error!(%id, since, as_of = description.as_of, "index cannot be read that early");
                    }
                    imports.insert(*id, traces.clone());
                    inputs.push(Rc::clone(token));
                }
                _ => {
                    tracing::error!(%id, dataflow = %description.name, "imported index does not exist");
                    return;
                }
            }
        }
        let index = self.timely.next_dataflow_index();
        let mut traces = build(self.timely, description, imports, &self.surroundings);
        let token = DataflowToken::new(index, Rc::clone(&self.droppable), inputs);
        let number = self.next_dataflow;
        self.next_dataflow += 1;
        for (id, export) in &description.exports {
            let mut index = traces.remove(id);
            if let Some(index) = &mut index {
                index.compact_logically(description.as_of);
            }
            let export = Export {
                token: Rc::clone(&token),
                dataflow: number,
                since: description.as_of,
                frontier: Some(0),
                index,
                arity: export.desc.arity(),
            };
            self.exports.insert(*id, export);
        }
        self.descriptions.insert(number, description.clone());
    }

    fn allow_compaction(&mut self, id: GlobalId, since: Timestamp) {
        if since == Timestamp::MAX {
            self.drop_export(id);
            return;
        }
        let Some(export) = self.exports.get_mut(&id) else { return };
        if let Some(index) = &mut export.index
            && since > export.since
        {
            export.since = since;
            index.compact_logically(since);
        }
    }

    fn drop_export(&mut self, id: GlobalId) {
        let Some(export) = self.exports.remove(&id) else { return };
        if !self.exports.values().any(|e| e.dataflow == export.dataflow) {
            self.descriptions.remove(&export.dataflow);
        }
        self.surroundings.frontiers.borrow_mut().remove(&id);
        self.surroundings.subscribes.borrow_mut().retain(|(of, _)| *of != id);
        let orphans: Vec<Uuid> = self
            .peeks
            .iter()
            .filter(|(_, p)| matches!(&p.peek.target, PeekTarget::Index { id: of, .. } if *of == id))
            .map(|(uuid, _)| *uuid)
            .collect();
        for uuid in orphans {
            if let Some(pending) = self.peeks.remove(&uuid) {
                self.answer(&pending.peek, PeekResponse::Canceled);
            }
        }
        self.tell(WorkerResponse::Dropped(id));
    }

    /// Drops dataflows whose last token is gone; returns whether there were any.
    fn drop_unneeded(&mut self) -> bool {
        let mut any = false;
        // Dropping one may release the indexes that it read.
        loop {
            let Some(index) = self.droppable.borrow_mut().pop() else { return any };
            self.timely.drop_dataflow(index);
            any = true;
        }
    }

    /// Tells noted frontiers and subscribe batches.
    fn tell_progress(&mut self) {
        let noted = std::mem::take(&mut *self.surroundings.frontiers.borrow_mut());
        for (id, frontier) in noted {
            let Some(export) = self.exports.get_mut(&id) else { continue };
            export.frontier = frontier;
            if let Some(index) = &mut export.index {
                index.compact_physically(frontier);
            }
            self.tell(WorkerResponse::Frontier(id, frontier));
        }
        let batches = std::mem::take(&mut *self.surroundings.subscribes.borrow_mut());
        for (id, batch) in batches {
            if self.exports.contains_key(&id) {
                self.tell(WorkerResponse::Subscribe(id, batch));
            }
        }
    }

    fn answer(&self, peek: &Peek, response: PeekResponse) {
        self.tell(WorkerResponse::Peek(self.connection, peek.uuid, peek.max_result_bytes, response));
    }

    fn begin_peek(&mut self, peek: &Peek) {
        if self.first() {
            self.metrics.peeks.inc();
        }
        let state = match &peek.target {
            PeekTarget::Index { id, .. } => match self.exports.get(id) {
                Some(Export { index: Some(_), since, .. }) if *since <= peek.timestamp => PeekState::Waiting,
                Some(Export { index: Some(_), since, .. }) => {
                    let message =
                        format!("index {id} cannot be read at {}: its since is {since}", peek.timestamp);
                    return self.answer(peek, PeekResponse::Error(hw_expr::EvalError::new("XX000", message)));
                }
                _ => {
                    let message = format!("index {id} does not exist on this replica");
                    return self.answer(peek, PeekResponse::Error(hw_expr::EvalError::new("XX000", message)));
                }
            },
            PeekTarget::Shard { shard, .. } => {
                if worker_of(&peek.uuid, self.timely.peers()) != self.timely.index() {
                    return self.answer(peek, PeekResponse::Rows(vec![]));
                }
                let shard = hw_persist::ShardId::from_bytes(shard.into_bytes());
                let thread = std::thread::current();
                let (persist, runtime) = (self.surroundings.persist.clone(), &self.surroundings.runtime);
                PeekState::Shard(ShardPeek::begin(peek.clone(), shard, persist, runtime, move || {
                    thread.unpark()
                }))
            }
        };
        self.peeks.insert(peek.uuid, PendingPeek { peek: peek.clone(), state });
    }

    /// Gives each peek a slice of time; returns whether one is in the midst of its work.
    fn work_on_peeks(&mut self) -> bool {
        let mut busy = false;
        let mut answers = Vec::new();
        for (uuid, pending) in &mut self.peeks {
            if matches!(pending.state, PeekState::Waiting) {
                let PeekTarget::Index { id, key, .. } = &pending.peek.target else { continue };
                let Some(export) = self.exports.get_mut(id) else { continue };
                if export.frontier.is_some_and(|f| f <= pending.peek.timestamp) {
                    continue;
                }
                let Some(index) = &mut export.index else { continue };
                match IndexPeek::begin(&pending.peek, key, export.arity, index) {
                    Ok(scan) => pending.state = PeekState::Index(Box::new(scan)),
                    Err(response) => {
                        answers.push((*uuid, response));
                        continue;
                    }
                }
            }
            let response = match &mut pending.state {
                PeekState::Waiting => None,
                PeekState::Index(scan) => {
                    let mut fuel = PEEK_FUEL;
                    let response = scan.step(&mut fuel);
                    busy |= response.is_none();
                    response
                }
                PeekState::Shard(read) => read.poll(),
            };
            answers.extend(response.map(|r| (*uuid, r)));
        }
        for (uuid, response) in answers {
            if let Some(pending) = self.peeks.remove(&uuid) {
                self.answer(&pending.peek, response);
            }
        }
        busy
    }
}
