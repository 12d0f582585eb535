//! Half joins: a stream of updates looks up an arrangement, once.
//!
//! For an update `(key, val)` with initial time `t`, the operator finds all updates of the arrangement under `key` at times
//! `t'` with `t' < t` (strict) or `t' <= t`, in the times' total order, and emits each combination at the join of the row's
//! time and `t'`. Nothing is kept of the stream.
//!
//! # Invariants
//!
//! 1. An update waits until the arrangement is complete for the comparison: until no element of its frontier compares as
//!    above. The total order extends the partial one, so no later update does either.
//! 2. What waits holds capabilities for its own initial times only. In a loop the arrangement depends on the output, so that
//!    a capability kept from an earlier time would hold back what is waited for.
//! 3. The trace is compacted only to times stepped back from all initial times that may still be looked up: a compacted
//!    time compares with those as the original did, and joins with them to the same.

use std::collections::VecDeque;

use differential_dataflow::AsCollection;
use differential_dataflow::collection::vec::Collection as VecCollection;
use differential_dataflow::operators::arrange::Arranged;
use differential_dataflow::trace::cursor::cursor_list;
use differential_dataflow::trace::{BatchCursor, Cursor};
use hw_expr::EvalError;
use hw_repr::{Diff, Row};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::CapabilitySet;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::Antichain;
use timely::progress::frontier::AntichainRef;

use super::arrange::RowTrace;
use super::join_delta::Timed;
use super::join_linear::Combine;
use crate::row_container::{RowRef, hash_bytes};
use crate::time::RenderTime;
use crate::typedefs::Errs;

/// About how many updates are produced before others run.
const FUEL: usize = 64 << 10;

/// Key, rest, initial time.
pub(crate) type Keyed<T> = (Row, Row, T);

/// Updates that came together.
struct Work<T: RenderTime> {
    ok_capability: CapabilitySet<T>,
    err_capability: CapabilitySet<T>,
    /// Ready ones are sorted by key, the least last.
    updates: Vec<(Keyed<T>, T, Diff)>,
}

/// Looks the stream up.
#[allow(clippy::type_complexity)]
pub(crate) fn half_join<'scope, T: RenderTime, Tr: RowTrace<T>>(
    stream: VecCollection<'scope, T, Keyed<T>, Diff>,
    arranged: Arranged<'scope, Tr>,
    strict: bool,
    combine: Combine,
) -> (VecCollection<'scope, T, Timed<T>, Diff>, Errs<'scope, T>) {
    let scope = stream.inner.scope();
    let mut builder = OperatorBuilder::new("HalfJoin".to_owned(), scope);
    let (ok_output, ok_stream) = builder.new_output::<Vec<(Timed<T>, T, Diff)>>();
    let mut ok_output = OutputBuilder::<_, CapacityContainerBuilder<_>>::from(ok_output);
    let (err_output, err_stream) = builder.new_output::<Vec<(EvalError, T, Diff)>>();
    let mut err_output = OutputBuilder::<_, CapacityContainerBuilder<_>>::from(err_output);
    let exchange = Exchange::new(|((key, _, _), _, _): &(Keyed<T>, T, Diff)| hash_bytes(key.data()));
    let mut updates = builder.new_input(stream.inner, exchange);
    // The arrangement's stream only tells its frontier; its updates produce nothing here.
    let mut batches = builder.new_input_connection(arranged.stream, Pipeline, []);
    let activator = scope.activator_for(builder.operator_info().address);
    let mut trace = Some(arranged.trace);
    builder.build(move |_capabilities| {
        let mut waiting: Vec<Work<T>> = Vec::new();
        let mut ready: VecDeque<Work<T>> = VecDeque::new();
        let (mut oks, mut errs) = (Vec::new(), Vec::new());
        move |frontiers| {
            updates.for_each(|capability, data| {
                waiting.push(Work {
                    ok_capability: capability.retain_stamp(0),
                    err_capability: capability.retain_stamp(1),
                    updates: std::mem::take(data),
                });
            });
            batches.for_each(|_, data| data.clear());
            let Some(reader) = &mut trace else { return };
            admit(&mut waiting, &mut ready, frontiers[1].frontier(), strict);

            if !ready.is_empty() {
                let (mut ok_output, mut err_output) = (ok_output.activate(), err_output.activate());
                // All batches: later updates are told apart by their times.
                let all = reader.batches_through(AntichainRef::new(&[])).unwrap_or_default();
                let (mut cursor, storage) = cursor_list(all);
                let mut fuel = FUEL;
                while let Some(work) = ready.front_mut() {
                    cursor.rewind_keys(&storage);
                    let mut session = ok_output.session(&work.ok_capability);
                    while fuel > 0
                        && let Some(((key, val, initial), time, diff)) = work.updates.pop()
                    {
                        let used = look_up::<T, Tr>(
                            &mut cursor,
                            &storage,
                            &key,
                            &val,
                            &initial,
                            &time,
                            diff,
                            strict,
                            &combine,
                            &mut oks,
                            &mut errs,
                        );
                        fuel = fuel.saturating_sub(used);
                        session.give_iterator(
                            oks.drain(..).map(|(row, time, diff)| ((row, initial.clone()), time, diff)),
                        );
                    }
                    drop(session);
                    if !errs.is_empty() {
                        err_output.session(&work.err_capability).give_iterator(errs.drain(..));
                    }
                    if work.updates.is_empty() {
                        ready.pop_front();
                    }
                    if fuel == 0 {
                        activator.activate();
                        break;
                    }
                }
            }

            if frontiers[0].is_empty() && waiting.is_empty() && ready.is_empty() {
                trace = None;
                return;
            }
            let mut hold = Antichain::new();
            let pending = waiting.iter().chain(&ready).flat_map(|w| w.ok_capability.iter().map(|c| c.time()));
            for time in frontiers[0].frontier().iter().chain(pending) {
                hold.insert(time.step_back());
            }
            reader.set_logical_compaction(hold.borrow());
            reader.set_physical_compaction(AntichainRef::new(&[]));
        }
    });
    (ok_stream.as_collection(), err_stream.as_collection())
}

/// Moves updates for which the arrangement is complete from `waiting` to `ready`.
fn admit<T: RenderTime>(
    waiting: &mut Vec<Work<T>>,
    ready: &mut VecDeque<Work<T>>,
    frontier: AntichainRef<'_, T>,
    strict: bool,
) {
    for mut work in std::mem::take(waiting) {
        let (mut now, later): (Vec<_>, Vec<_>) = work
            .updates
            .into_iter()
            .partition(|((_, _, initial), _, _)| !frontier.iter().any(|t| counts(t, initial, strict)));
        if !later.is_empty() {
            // Capabilities no earlier than what waits: in a loop, an earlier one could hold back what is waited for.
            let mut initials = Antichain::new();
            for ((_, _, initial), _, _) in &later {
                initials.insert_ref(initial);
            }
            waiting.push(Work {
                ok_capability: initials.iter().map(|t| work.ok_capability.delayed(t)).collect(),
                err_capability: initials.iter().map(|t| work.err_capability.delayed(t)).collect(),
                updates: later,
            });
        }
        if !now.is_empty() {
            now.sort_by(|a, b| b.0.cmp(&a.0));
            work.updates = now;
            ready.push_back(work);
        }
    }
}

/// Whether an update at `time` is seen by one that started at `initial`.
fn counts<T: RenderTime>(time: &T, initial: &T, strict: bool) -> bool {
    if strict { time < initial } else { time <= initial }
}

/// Combines one update with what the arrangement holds; returns how much was looked at.
#[allow(clippy::too_many_arguments, clippy::type_complexity)]
fn look_up<T: RenderTime, Tr: RowTrace<T>>(
    cursor: &mut differential_dataflow::trace::cursor::CursorList<BatchCursor<Tr>>,
    storage: &Vec<Tr::Batch>,
    key: &Row,
    val: &Row,
    initial: &T,
    time: &T,
    diff: Diff,
    strict: bool,
    combine: &Combine,
    oks: &mut Vec<(Row, T, Diff)>,
    errs: &mut Vec<(EvalError, T, Diff)>,
) -> usize {
    let mut looked_at = 1;
    let key = RowRef(key.data());
    cursor.seek_key(storage, key);
    if cursor.get_key(storage) != Some(key) {
        return looked_at;
    }
    // Several updates may have the same key.
    cursor.rewind_vals(storage);
    while let Some(found) = cursor.get_val(storage) {
        let mut matches: smallvec::SmallVec<[(T, Diff); 2]> = smallvec::SmallVec::new();
        cursor.map_times(storage, |t, d| {
            looked_at += 1;
            let t = <BatchCursor<Tr> as Cursor>::owned_time(t);
            if counts(&t, initial, strict) {
                let joined = t.join(time);
                let d = <BatchCursor<Tr> as Cursor>::owned_diff(d);
                match matches.iter_mut().find(|(at, _)| *at == joined) {
                    Some((_, sum)) => *sum += d,
                    None => matches.push((joined, d)),
                }
            }
        });
        for (at, d) in matches {
            if d != 0 {
                combine.apply(key, RowRef(val.data()), found, at, diff * d, oks, errs);
            }
        }
        cursor.step_val(storage);
    }
    looked_at
}
