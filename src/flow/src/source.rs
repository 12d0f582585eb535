//! The shard source: a shard as streams of rows and errors.
//!
//! One worker, chosen by the shard's id, reads: first the snapshot at `as_of`, then the listen from there. Chunks go through
//! a bounded channel into the operator `ShardRead`, which sends large ones round to all workers, where `ShardDecode` applies
//! the caller's logic to each update (typically a map-filter-project).
//!
//! # Invariants
//!
//! 1. All updates have times at or after `as_of`, and before `until`.
//! 2. The frontier is `as_of` until the snapshot has been sent as a whole, then the shard's upper.
//! 3. Since is held at `as_of` until the listen holds it itself.
//! 4. A read that is cut is repeated such that what was sent adds up, see [`crate::ledger`].

use std::time::Duration;

use hw_base::task::{AbortOnDrop, spawn_scoped};
use hw_persist::{Entry, Lease, ListenEvent, PersistClient, PersistError, ShardId, Update};
use hw_repr::{Diff, Row, Timestamp};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::generic::{OutputBuilder, source};
use timely::dataflow::{Scope, Stream};
use timely::scheduling::SyncActivator;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::fatal::Fatal;
use crate::ledger::Ledger;

/// How many events wait between the task and the operator.
const CHANNEL_EVENTS: usize = 4;
/// How many updates travel between workers as one.
const PIECE_UPDATES: usize = 2048;
/// About how many updates the operator passes on before others run.
const UPDATES_PER_ACTIVATION: usize = 64 << 10;
/// The wait before a failed read is repeated.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// What a shard source needs.
#[derive(Debug, Clone)]
pub struct SourceConfig {
    /// For logs.
    pub name: String,
    /// Access to the shard.
    pub client: PersistClient,
    /// The shard.
    pub shard: ShardId,
    /// The time to which its contents are advanced.
    pub as_of: Timestamp,
    /// The time before which it is read; `None` is for ever.
    pub until: Option<Timestamp>,
    /// Where the reader runs.
    pub runtime: Handle,
    /// Called when the source cannot go on.
    pub fatal: Fatal,
}

/// Rows with times and differences.
pub type RowStream<'scope> = Stream<'scope, Timestamp, Vec<(Row, Timestamp, Diff)>>;
/// Errors with times and differences.
pub type ErrorStream<'scope, E> = Stream<'scope, Timestamp, Vec<(E, Timestamp, Diff)>>;

enum Event {
    Updates(Vec<Update>),
    Progress(Timestamp),
}

/// A piece of a chunk, with the number by which its worker is chosen.
type Piece = (u64, Vec<Update>);

/// Reads the shard. `logic` turns each update into rows and errors, at the update's time or later.
pub fn shard_source<'scope, E, L>(
    scope: Scope<'scope, Timestamp>,
    config: SourceConfig,
    logic: L,
) -> (RowStream<'scope>, ErrorStream<'scope, E>)
where
    E: Clone + 'static,
    L: FnMut(Entry, Timestamp, Diff, &mut Vec<(Row, Timestamp, Diff)>, &mut Vec<(E, Timestamp, Diff)>)
        + 'static,
{
    let name = config.name.clone();
    let pieces = read(scope, config);
    decode(scope, &name, pieces, logic)
}

/// The worker that handles a shard.
pub(crate) fn worker_of(shard: &ShardId, peers: usize) -> usize {
    let bytes = shard.as_bytes();
    let sum = bytes.iter().fold(0usize, |h, b| h.wrapping_mul(31).wrapping_add(usize::from(*b)));
    sum % peers
}

fn read<'scope>(
    scope: Scope<'scope, Timestamp>,
    config: SourceConfig,
) -> Stream<'scope, Timestamp, Vec<Piece>> {
    let name = format!("ShardRead({})", config.name);
    let (index, peers) = (scope.index(), scope.peers());
    source::<_, CapacityContainerBuilder<Vec<Piece>>, _, _>(scope, &name, move |capability, info| {
        let here = worker_of(&config.shard, peers) == index;
        let activator = scope.activator_for(info.address.clone());
        let mut reader = here.then(|| {
            Reader::start(config, capability, scope.worker().sync_activator_for(info.address.to_vec()))
        });
        let mut next_piece = index as u64;
        move |output| {
            let Some(r) = &mut reader else { return };
            let mut passed = 0;
            while passed < UPDATES_PER_ACTIVATION {
                match r.events.try_recv() {
                    Ok(Event::Updates(updates)) => {
                        passed += updates.len();
                        let mut session = output.session(&r.capability);
                        if updates.len() <= PIECE_UPDATES {
                            session.give((index as u64, updates));
                            continue;
                        }
                        let mut updates = updates.into_iter();
                        loop {
                            let piece: Vec<Update> = updates.by_ref().take(PIECE_UPDATES).collect();
                            if piece.is_empty() {
                                break;
                            }
                            session.give((next_piece, piece));
                            next_piece = (next_piece + 1) % peers as u64;
                        }
                    }
                    Ok(Event::Progress(upper)) if upper == Timestamp::MAX => {
                        reader = None;
                        return;
                    }
                    Ok(Event::Progress(upper)) => r.capability.downgrade(&upper),
                    // When the task has ended early the source stands still.
                    Err(_) => return,
                }
            }
            activator.activate();
        }
    })
}

/// The operator's side of the task.
struct Reader {
    capability: Capability<Timestamp>,
    events: mpsc::Receiver<Event>,
    _task: AbortOnDrop<()>,
}

impl Reader {
    fn start(
        config: SourceConfig,
        mut capability: Capability<Timestamp>,
        activator: SyncActivator,
    ) -> Reader {
        capability.downgrade(&config.as_of);
        let (sender, events) = mpsc::channel(CHANNEL_EVENTS);
        let runtime = config.runtime.clone();
        let _guard = runtime.enter();
        let task = spawn_scoped(format!("flow: read {} ({})", config.name, config.shard), async move {
            let out = Outlet { sender, activator, until: config.until };
            match follow(&config, &out).await {
                Ok(()) => {}
                Err(Stop::Dropped) => {}
                Err(Stop::Error(e @ PersistError::UnknownShard(_))) => {
                    tracing::warn!(source = %config.name, error = %e, "source stands still");
                }
                Err(Stop::Unreadable(e)) => {
                    tracing::error!(source = %config.name, as_of = config.as_of, error = %e, "source cannot be read");
                }
                Err(Stop::Torn) => {
                    config
                        .fatal
                        .raise(&format!("source {}: a read that was cut cannot be completed", config.name));
                }
                Err(Stop::Error(e)) => config.fatal.raise(&format!("source {}: {e}", config.name)),
            }
        });
        Reader { capability, events, _task: task }
    }
}

/// Why a reader ends early.
enum Stop {
    /// The operator is gone.
    Dropped,
    /// The contents at `as_of` cannot be read.
    Unreadable(PersistError),
    /// Updates have been handed out that are not there any more.
    Torn,
    Error(PersistError),
}

/// The task's side of the channel.
struct Outlet {
    sender: mpsc::Sender<Event>,
    activator: SyncActivator,
    until: Option<Timestamp>,
}

impl Outlet {
    async fn send(&self, event: Event) -> Result<(), Stop> {
        self.sender.send(event).await.map_err(|_| Stop::Dropped)?;
        self.activator.activate().map_err(|_| Stop::Dropped)
    }

    async fn updates(&self, mut updates: Vec<Update>) -> Result<(), Stop> {
        if let Some(until) = self.until {
            updates.retain(|u| u.1 < until);
        }
        if updates.is_empty() {
            return Ok(());
        }
        self.send(Event::Updates(updates)).await
    }

    /// Whether there is more to read.
    async fn progress(&self, upper: Timestamp) -> Result<bool, Stop> {
        let done = upper == Timestamp::MAX || self.until.is_some_and(|until| upper >= until);
        self.send(Event::Progress(if done { Timestamp::MAX } else { upper })).await?;
        Ok(!done)
    }
}

async fn follow(config: &SourceConfig, out: &Outlet) -> Result<(), Stop> {
    let lease = hold(config).await?;
    snapshot(config, out).await?;
    let mut frontier = config.as_of.saturating_add(1);
    if !out.progress(frontier).await? {
        return Ok(());
    }
    // Since is held at the frontier whenever no listen holds it.
    let mut lease = Some(lease);
    let mut ledger = Ledger::default();
    loop {
        let mut listen = match config.client.listen(config.shard, frontier - 1).await {
            Ok(listen) => listen,
            Err(e) if e.is_transient() => {
                tracing::debug!(source = %config.name, error = %e, "listen is tried again");
                tokio::time::sleep(RETRY_AFTER).await;
                continue;
            }
            Err(e) => return Err(Stop::Error(e)),
        };
        drop(lease.take());
        loop {
            match listen.next().await {
                Ok(ListenEvent::Updates(mut updates)) => {
                    ledger.admit(&mut updates);
                    out.updates(updates).await?;
                }
                Ok(ListenEvent::Progress(upper)) => {
                    if !ledger.settle() {
                        return Err(Stop::Torn);
                    }
                    if upper > frontier {
                        frontier = upper;
                        if !out.progress(frontier).await? {
                            return Ok(());
                        }
                    }
                }
                Err(e) if e.is_transient() => {
                    tracing::debug!(source = %config.name, error = %e, "listen begins again");
                    break;
                }
                Err(e) => return Err(Stop::Error(e)),
            }
        }
        // The broken listen still holds since until the new one does.
        lease = Some(hold_at(config, frontier - 1).await?);
        ledger.restart();
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

async fn hold(config: &SourceConfig) -> Result<Lease, Stop> {
    hold_at(config, config.as_of).await.map_err(|stop| match stop {
        Stop::Error(e @ PersistError::SinceTooHigh { .. }) => Stop::Unreadable(e),
        other => other,
    })
}

async fn hold_at(config: &SourceConfig, at: Timestamp) -> Result<Lease, Stop> {
    loop {
        match config.client.open_lease(config.shard, at).await {
            Ok(lease) => return Ok(lease),
            Err(e) if e.is_transient() => tokio::time::sleep(RETRY_AFTER).await,
            Err(e) => return Err(Stop::Error(e)),
        }
    }
}

/// Sends the contents at `as_of`.
async fn snapshot(config: &SourceConfig, out: &Outlet) -> Result<(), Stop> {
    let mut ledger = Ledger::default();
    'attempt: loop {
        let mut chunks = match config.client.snapshot(config.shard, config.as_of).await {
            Ok(chunks) => chunks,
            Err(e) if e.is_transient() => {
                tokio::time::sleep(RETRY_AFTER).await;
                continue;
            }
            Err(e) => return Err(Stop::Error(e)),
        };
        while let Some(chunk) = chunks.next().await {
            match chunk {
                Ok(mut updates) => {
                    ledger.admit(&mut updates);
                    out.updates(updates).await?;
                }
                Err(e) if e.is_transient() => {
                    tracing::debug!(source = %config.name, error = %e, "snapshot begins again");
                    ledger.restart();
                    tokio::time::sleep(RETRY_AFTER).await;
                    continue 'attempt;
                }
                Err(e) => return Err(Stop::Error(e)),
            }
        }
        return if ledger.settle() { Ok(()) } else { Err(Stop::Torn) };
    }
}

fn decode<'scope, E, L>(
    scope: Scope<'scope, Timestamp>,
    name: &str,
    pieces: Stream<'scope, Timestamp, Vec<Piece>>,
    mut logic: L,
) -> (RowStream<'scope>, ErrorStream<'scope, E>)
where
    E: Clone + 'static,
    L: FnMut(Entry, Timestamp, Diff, &mut Vec<(Row, Timestamp, Diff)>, &mut Vec<(E, Timestamp, Diff)>)
        + 'static,
{
    let mut builder = OperatorBuilder::new(format!("ShardDecode({name})"), scope);
    let (ok_output, ok_stream) = builder.new_output::<Vec<(Row, Timestamp, Diff)>>();
    let mut ok_output = OutputBuilder::<_, CapacityContainerBuilder<_>>::from(ok_output);
    let (err_output, err_stream) = builder.new_output::<Vec<(E, Timestamp, Diff)>>();
    let mut err_output = OutputBuilder::<_, CapacityContainerBuilder<_>>::from(err_output);
    let mut input = builder.new_input(pieces, Exchange::new(|piece: &Piece| piece.0));
    builder.build(move |_capabilities| {
        let (mut oks, mut errs) = (Vec::new(), Vec::new());
        move |_frontiers| {
            let (mut ok_output, mut err_output) = (ok_output.activate(), err_output.activate());
            input.for_each(|capability, data| {
                let mut session = ok_output.session(&capability);
                for (_, updates) in data.drain(..) {
                    for (entry, time, diff) in updates {
                        logic(entry, time, diff, &mut oks, &mut errs);
                    }
                    session.give_iterator(oks.drain(..));
                }
                if !errs.is_empty() {
                    err_output.session(&capability).give_iterator(errs.drain(..));
                }
            });
        }
    });
    (ok_stream, err_stream)
}
