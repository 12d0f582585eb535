//! Arrangements: making and reading them.

use std::collections::VecDeque;

use differential_dataflow::collection::vec::Collection as VecCollection;
use differential_dataflow::operators::arrange::Arranged;
use differential_dataflow::operators::arrange::arrangement::arrange_core;
use differential_dataflow::trace::{BatchCursor, Cursor, Navigable, TraceReader};
use hw_expr::EvalError;
use hw_plan::lir::Key;
use hw_plan::temporal::MfpPlan;
use hw_repr::{Diff, Row, Timestamp};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::CapabilitySet;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use super::mfp::{ErrSink, OkSink, flat_map_rows};
use super::unpack::KeySplit;
use super::{Bundle, Collection, Flavor};
use crate::row_container::{RowContainer, RowRef, hash_bytes};
use crate::time::RenderTime;
use crate::typedefs::{ErrAgent, Errs, RowAgent, RowBatcher, RowSpine};

/// About how many updates are read from an arrangement before others run.
const READ_FUEL: usize = 64 << 10;

/// Key rows and value rows, with differences.
pub(crate) type Pairs<'scope, T> = VecCollection<'scope, T, (Row, Row), Diff>;

/// Renders `ArrangeBy`.
pub(crate) fn render<'scope, T: RenderTime>(
    mut input: Bundle<'scope, T>,
    arity: usize,
    keys: &[Key],
    input_key: Option<&Key>,
) -> Bundle<'scope, T> {
    let missing: Vec<_> = keys.iter().filter(|k| !input.arranged.contains_key(*k)).collect();
    input.arity = Some(arity);
    if missing.is_empty() {
        return input;
    }
    let collection = match input_key {
        Some(key) if input.oks.is_none() => {
            input.read(key, None, arity, &MfpPlan::identity(arity), Timestamp::MAX)
        }
        _ => input.collection(),
    };
    input.oks.get_or_insert_with(|| collection.oks.clone());
    for key in missing {
        let (arranged, errs) = arrange_by(collection.clone(), key, arity);
        input.errs = input.errs.concat(errs);
        input.arranged.insert(key.clone(), Flavor::Local(arranged));
    }
    input
}

/// Arranges a collection by a key; with the errors of the key's expressions.
pub(crate) fn arrange_by<'scope, T: RenderTime>(
    input: Collection<'scope, T>,
    key: &Key,
    arity: usize,
) -> (Arranged<'scope, RowAgent<T>>, Errs<'scope, T>) {
    let split = KeySplit::new(key, arity);
    let (pairs, errs) = flat_map_rows(
        input.oks,
        "FormKey",
        Box::new(move |row: Row, time, diff, oks, errs| match split.split(&row) {
            Ok(pair) => oks.push((pair, time, diff)),
            Err(e) => errs.push((e, time, diff)),
        }),
    );
    (arrange_pairs(pairs, "ArrangeBy"), errs)
}

/// Arranges pairs by the first row.
pub(crate) fn arrange_pairs<'scope, T: RenderTime>(
    pairs: Pairs<'scope, T>,
    name: &str,
) -> Arranged<'scope, RowAgent<T>> {
    let exchange = Exchange::new(|((key, _), _, _): &((Row, Row), T, Diff)| hash_bytes(key.data()));
    arrange_core::<_, _, RowBatcher<T>, RowSpine<T>>(pairs.inner, exchange, name, RowBatcher::new)
}

/// Arranges errors.
pub(crate) fn arrange_errs<'scope, T: RenderTime>(errs: Errs<'scope, T>) -> Arranged<'scope, ErrAgent<T>> {
    errs.arrange_by_self_named("ArrangeErrors")
}

/// What [`read_arrangement`] does with each key, value and update.
pub(crate) type PairLogic<D, T> =
    Box<dyn FnMut(RowRef<'_>, RowRef<'_>, &T, Diff, &mut OkSink<D, T>, &mut ErrSink<T>)>;

/// A trace of key rows and value rows.
pub(crate) trait RowTrace<T: RenderTime>:
    TraceReader<
        Time = T,
        Batch: Navigable<
            Cursor: for<'a> Cursor<
                Key<'a> = RowRef<'a>,
                Val<'a> = RowRef<'a>,
                ValOwn = Row,
                Time = T,
                Diff = Diff,
                KeyContainer = RowContainer,
            >,
        >,
    > + Clone
    + 'static
{
}

impl<T: RenderTime, Tr> RowTrace<T> for Tr where
    Tr: TraceReader<
            Time = T,
            Batch: Navigable<
                Cursor: for<'a> Cursor<
                    Key<'a> = RowRef<'a>,
                    Val<'a> = RowRef<'a>,
                    ValOwn = Row,
                    Time = T,
                    Diff = Diff,
                    KeyContainer = RowContainer,
                >,
            >,
        > + Clone
        + 'static
{
}

/// A batch that is being read.
struct Reading<T: RenderTime, Tr: RowTrace<T>> {
    ok_capability: CapabilitySet<T>,
    err_capability: CapabilitySet<T>,
    batch: Tr::Batch,
    cursor: BatchCursor<Tr>,
    /// Whether the cursor has been set on the literal key.
    sought: bool,
}

/// Reads an arrangement's updates, a slice at a time, only those under `literal` if given.
#[allow(clippy::type_complexity)]
pub(crate) fn read_arrangement<'scope, T, Tr, D>(
    arranged: Arranged<'scope, Tr>,
    literal: Option<Row>,
    mut logic: PairLogic<D, T>,
) -> (Stream<'scope, T, Vec<(D, T, Diff)>>, Stream<'scope, T, Vec<(EvalError, T, Diff)>>)
where
    T: RenderTime,
    Tr: RowTrace<T>,
    D: Clone + 'static,
{
    let scope = arranged.stream.scope();
    let mut builder = OperatorBuilder::new("ReadArrangement".to_owned(), scope);
    let (ok_output, ok_stream) = builder.new_output::<Vec<(D, T, Diff)>>();
    let mut ok_output = OutputBuilder::<_, CapacityContainerBuilder<_>>::from(ok_output);
    let (err_output, err_stream) = builder.new_output::<Vec<(EvalError, T, Diff)>>();
    let mut err_output = OutputBuilder::<_, CapacityContainerBuilder<_>>::from(err_output);
    let activator = scope.activator_for(builder.operator_info().address);
    let mut input = builder.new_input(arranged.stream, Pipeline);
    builder.build(move |_capabilities| {
        let mut queue: VecDeque<Reading<T, Tr>> = VecDeque::new();
        let (mut oks, mut errs) = (Vec::new(), Vec::new());
        move |_frontiers| {
            input.for_each(|capability, spans| {
                for span in spans.drain(..) {
                    let Some(batch) = span.inner else { continue };
                    queue.push_back(Reading {
                        ok_capability: capability.retain_stamp(0),
                        err_capability: capability.retain_stamp(1),
                        cursor: batch.cursor(),
                        batch,
                        sought: false,
                    });
                }
            });
            let (mut ok_output, mut err_output) = (ok_output.activate(), err_output.activate());
            let mut fuel = READ_FUEL;
            while let Some(reading) = queue.front_mut() {
                let capability = reading.ok_capability.clone();
                let mut session = ok_output.session(&capability);
                let done =
                    read_some::<T, Tr>(reading, literal.as_ref(), &mut fuel, &mut |key, val, time, diff| {
                        logic(key, val, time, diff, &mut oks, &mut errs);
                        if !oks.is_empty() {
                            session.give_iterator(oks.drain(..));
                        }
                    });
                drop(session);
                if !errs.is_empty() {
                    err_output.session(&reading.err_capability).give_iterator(errs.drain(..));
                }
                if done {
                    queue.pop_front();
                }
                if fuel == 0 {
                    activator.activate();
                    break;
                }
            }
        }
    });
    (ok_stream, err_stream)
}

/// Reads until the batch or the fuel is at its end; returns whether the batch is.
fn read_some<T: RenderTime, Tr: RowTrace<T>>(
    reading: &mut Reading<T, Tr>,
    literal: Option<&Row>,
    fuel: &mut usize,
    each: &mut dyn FnMut(RowRef<'_>, RowRef<'_>, &T, Diff),
) -> bool {
    let (cursor, batch) = (&mut reading.cursor, &reading.batch);
    if let (Some(literal), false) = (literal, reading.sought) {
        cursor.seek_key(batch, RowRef(literal.data()));
        reading.sought = true;
    }
    while let Some(key) = cursor.get_key(batch) {
        if literal.is_some_and(|l| l.data() != key.data()) {
            return true;
        }
        while let Some(val) = cursor.get_val(batch) {
            if *fuel == 0 {
                return false;
            }
            cursor.map_times(batch, |time, diff| {
                *fuel = fuel.saturating_sub(1);
                let time = <BatchCursor<Tr> as Cursor>::owned_time(time);
                each(key, val, &time, <BatchCursor<Tr> as Cursor>::owned_diff(diff));
            });
            cursor.step_val(batch);
        }
        cursor.step_key(batch);
    }
    true
}
