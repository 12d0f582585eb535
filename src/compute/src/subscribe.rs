//! Subscribes: a collection's changes as a sequence of batches.
//!
//! All changes meet on one worker, which sends those below the frontier whenever it advances: consolidated, in the order of
//! time, and within a time in the subscribe's order. Batches are contiguous. An error in the collection ends the subscribe.

use std::hash::{DefaultHasher, Hash, Hasher};

use differential_dataflow::consolidation::consolidate_updates;
use hw_expr::EvalError;
use hw_protocol::SubscribeBatch;
use hw_repr::{ColumnOrder, Datum, Diff, GlobalId, Row, Timestamp, compare_rows_by};
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use crate::render::Collection;

/// What a subscribe needs.
#[derive(Debug, Clone)]
pub(crate) struct SubscribeConfig {
    pub(crate) id: GlobalId,
    pub(crate) as_of: Timestamp,
    pub(crate) with_snapshot: bool,
    pub(crate) up_to: Option<Timestamp>,
    pub(crate) order_by: Vec<ColumnOrder>,
}

/// Sends the collection's changes to `send`.
pub(crate) fn subscribe(
    input: Collection<'_, Timestamp>,
    config: SubscribeConfig,
    mut send: impl FnMut(SubscribeBatch) + 'static,
) {
    let scope = input.oks.inner.scope();
    let mut builder = OperatorBuilder::new(format!("Subscribe({})", config.id), scope);
    let mut hasher = DefaultHasher::new();
    config.id.hash(&mut hasher);
    let target = hasher.finish() % scope.peers() as u64;
    let here = target as usize == scope.index();
    let mut oks = builder.new_input(input.oks.inner, Exchange::new(move |_: &(Row, Timestamp, Diff)| target));
    let mut errs =
        builder.new_input(input.errs.inner, Exchange::new(move |_: &(EvalError, Timestamp, Diff)| target));
    builder.build(move |_capabilities| {
        let mut pending = here.then(|| Pending { lower: config.as_of, config, rows: vec![], errs: vec![] });
        move |frontiers| {
            let Some(p) = &mut pending else {
                oks.for_each(|_, data| data.clear());
                errs.for_each(|_, data| data.clear());
                return;
            };
            oks.for_each(|_, data| p.rows.extend(data.drain(..).filter(|u| p.config.wants(u.1))));
            errs.for_each(|_, data| p.errs.append(data));
            let upper = frontiers.iter().filter_map(|f| f.frontier().first().copied()).min();
            if let Some(batch) = p.take(upper) {
                let ended = batch.upper.is_none();
                send(batch);
                if ended {
                    pending = None;
                }
            }
        }
    });
}

impl SubscribeConfig {
    fn wants(&self, time: Timestamp) -> bool {
        (self.with_snapshot || time > self.as_of) && self.up_to.is_none_or(|up_to| time < up_to)
    }
}

/// Changes that have not been sent.
struct Pending {
    config: SubscribeConfig,
    lower: Timestamp,
    rows: Vec<(Row, Timestamp, Diff)>,
    errs: Vec<(EvalError, Timestamp, Diff)>,
}

impl Pending {
    /// The changes below `upper`, if that is beyond what has been sent.
    fn take(&mut self, upper: Option<Timestamp>) -> Option<SubscribeBatch> {
        // The end has come when there is nothing left that is wanted.
        let upper = upper.filter(|upper| self.config.up_to.is_none_or(|up_to| *upper < up_to));
        if upper.is_some_and(|upper| upper <= self.lower) {
            return None;
        }
        let below = |time: Timestamp| upper.is_none_or(|upper| time < upper);
        if let Some(error) = self.error(upper.or(self.config.up_to)) {
            return Some(SubscribeBatch { lower: self.lower, upper: None, updates: Err(error) });
        }
        let (mut ready, later): (Vec<_>, Vec<_>) = self.rows.drain(..).partition(|u| below(u.1));
        self.rows = later;
        consolidate_updates(&mut ready);
        let order = &self.config.order_by;
        ready.sort_by(|a, b| {
            a.1.cmp(&b.1).then_with(|| {
                if order.is_empty() {
                    return a.0.cmp(&b.0);
                }
                let (left, right): (Vec<Datum<'_>>, Vec<Datum<'_>>) =
                    (a.0.iter().collect(), b.0.iter().collect());
                compare_rows_by(order, &left, &right, || a.0.cmp(&b.0))
            })
        });
        let updates = ready.into_iter().map(|(row, time, diff)| (time, row, diff)).collect();
        let batch = SubscribeBatch { lower: self.lower, upper, updates: Ok(updates) };
        self.lower = upper.unwrap_or(Timestamp::MAX);
        Some(batch)
    }

    /// The least error that the collection holds at a time before `upper`.
    fn error(&mut self, upper: Option<Timestamp>) -> Option<EvalError> {
        if self.errs.is_empty() {
            return None;
        }
        consolidate_updates(&mut self.errs);
        let held = |(_, time, diff): &&(EvalError, Timestamp, Diff)| {
            *diff > 0 && upper.is_none_or(|upper| *time < upper)
        };
        self.errs.iter().filter(held).map(|(e, ..)| e.clone()).min()
    }
}
