//! Frontiers of exports, noted by operators, read by the worker.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use hw_repr::{GlobalId, Timestamp};
use timely::Container;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

/// A frontier; `None` is the end.
pub(crate) type Frontier = Option<Timestamp>;

/// The frontiers that have changed since the log was read.
pub(crate) type FrontierLog = Rc<RefCell<BTreeMap<GlobalId, Frontier>>>;

/// Notes the least of two streams' frontiers whenever it changes.
pub(crate) fn watch<'scope, C1, C2>(
    name: &str,
    first: Stream<'scope, Timestamp, C1>,
    second: Stream<'scope, Timestamp, C2>,
    mut note: impl FnMut(Frontier) + 'static,
) where
    C1: Container + 'static,
    C2: Container + 'static,
{
    let mut builder = OperatorBuilder::new(format!("WatchFrontier({name})"), first.scope());
    let mut first = builder.new_input(first, Pipeline);
    let mut second = builder.new_input(second, Pipeline);
    builder.build(move |_capabilities| {
        let mut noted: Option<Frontier> = None;
        move |frontiers| {
            first.for_each(|_, _| {});
            second.for_each(|_, _| {});
            let least = frontiers.iter().filter_map(|f| f.frontier().first().copied()).min();
            if noted != Some(least) {
                noted = Some(least);
                note(least);
            }
        }
    });
}
