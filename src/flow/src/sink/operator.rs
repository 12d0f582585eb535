//! The sink's operator: gathers updates on one worker.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hw_base::task::{AbortOnDrop, spawn_scoped};
use hw_persist::{PersistClient, ShardId, Update};
use hw_repr::Timestamp;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::writer::{SinkEvent, Writer};
use crate::fatal::Fatal;
use crate::source::worker_of;

/// How many messages wait between the operator and the task.
const CHANNEL_EVENTS: usize = 64;
/// How many updates the operator keeps when the channel is full, before it makes its worker wait.
const BACKLOG_UPDATES: usize = 256 << 10;

/// What a shard sink needs.
#[derive(Debug, Clone)]
pub struct SinkConfig {
    /// For logs.
    pub name: String,
    /// Access to the shard.
    pub client: PersistClient,
    /// The shard, which exists.
    pub shard: ShardId,
    /// The time from which the input is correct.
    pub as_of: Timestamp,
    /// Where the writer runs.
    pub runtime: Handle,
    /// Called when the sink cannot go on.
    pub fatal: Fatal,
}

/// Writes the updates into the shard. `progress` is told each new frontier up to which the shard is written, `None` at the end;
/// on workers that do not write it is told `None` at once.
pub fn shard_sink<'scope>(
    updates: Stream<'scope, Timestamp, Vec<Update>>,
    config: SinkConfig,
    progress: impl Fn(Option<Timestamp>) + 'static,
) {
    let scope = updates.scope();
    let mut builder = OperatorBuilder::new(format!("ShardSink({})", config.name), scope);
    let target = worker_of(&config.shard, scope.peers());
    let here = target == scope.index();
    let activator = scope.worker().sync_activator_for(builder.operator_info().address.to_vec());
    let mut input = builder.new_input(updates, Exchange::new(move |_: &Update| target as u64));
    builder.build_reschedule(move |_capabilities| {
        if !here {
            progress(None);
        }
        let written = Arc::new(AtomicU64::new(0));
        let mut outlet = here.then(|| {
            let (sender, events) = mpsc::channel(CHANNEL_EVENTS);
            let runtime = config.runtime.clone();
            let _guard = runtime.enter();
            let writer = Writer::new(config.clone(), events, Arc::clone(&written), activator);
            let task = spawn_scoped(format!("flow: write {} ({})", config.name, config.shard), writer.run());
            Outlet { sender, backlog: VecDeque::new(), backlog_updates: 0, sent: 0, _task: task }
        });
        let mut reported = 0;
        move |frontiers| {
            let Some(out) = &mut outlet else {
                input.for_each(|_, data| data.clear());
                return false;
            };
            input.for_each(|_, data| out.push(SinkEvent::Updates(std::mem::take(data))));
            let frontier = frontiers[0].frontier().first().copied().unwrap_or(Timestamp::MAX);
            if frontier > out.sent {
                out.sent = frontier;
                out.push(SinkEvent::Frontier(frontier));
            }
            let waiting = out.pass_on();
            let upper = written.load(Ordering::Acquire);
            if upper > reported {
                reported = upper;
                progress((upper != Timestamp::MAX).then_some(upper));
            }
            // The operator stays until everything is written.
            waiting || reported != Timestamp::MAX
        }
    });
}

/// The operator's side of the channel.
struct Outlet {
    sender: mpsc::Sender<SinkEvent>,
    backlog: VecDeque<SinkEvent>,
    backlog_updates: usize,
    sent: Timestamp,
    _task: AbortOnDrop<()>,
}

impl Outlet {
    fn push(&mut self, event: SinkEvent) {
        if let SinkEvent::Updates(updates) = &event {
            self.backlog_updates += updates.len();
        }
        self.backlog.push_back(event);
    }

    /// Moves the backlog to the task; returns whether some is left.
    fn pass_on(&mut self) -> bool {
        while let Some(event) = self.backlog.pop_front() {
            let updates = if let SinkEvent::Updates(u) = &event { u.len() } else { 0 };
            let unsent = if self.backlog_updates > BACKLOG_UPDATES {
                // The writer has ended when this fails; it has said why.
                self.sender.blocking_send(event).err().map(|_| None)
            } else {
                match self.sender.try_send(event) {
                    Ok(()) => None,
                    Err(mpsc::error::TrySendError::Full(event)) => Some(Some(event)),
                    Err(mpsc::error::TrySendError::Closed(_)) => Some(None),
                }
            };
            match unsent {
                None | Some(None) => self.backlog_updates -= updates,
                Some(Some(event)) => {
                    self.backlog.push_front(event);
                    return true;
                }
            }
        }
        false
    }
}
