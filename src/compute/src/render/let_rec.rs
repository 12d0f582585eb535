//! Recursion: bindings iterated together from empty until nothing changes.
//!
//! In each iteration the bindings are computed in order, each from the newest contents of those before it and the previous
//! contents of itself and those after it. A binding's errors recur too, each once, so that they reach a fixed point.

use std::rc::Rc;

use differential_dataflow::AsCollection;
use differential_dataflow::dynamic::feedback_summary;
use differential_dataflow::operators::iterate::VecVariable;
use hw_expr::relation::{LetRecLimit, LocalId};
use hw_expr::{EvalError, Id};
use hw_repr::{Diff, Row, Timestamp};
use timely::dataflow::operators::vec::Filter;
use timely::order::Product;

use super::arrange::arrange_pairs;
use super::reduce::{GroupLogic, reduce_fallible};
use super::{Bundle, Collection, Context, Stage};
use crate::time::IterTime;

/// Renders the bindings and binds their fixed points.
pub(crate) fn render<'scope>(context: &mut Context<'scope, IterTime>, stage: Stage<'_>) {
    context.depth += 1;
    let depth = context.depth;
    let mut variables = Vec::new();
    for id in stage.ids {
        let step = || Product::new(Timestamp::default(), feedback_summary::<u64>(depth, 1));
        let (oks_variable, oks) = VecVariable::<_, Row, Diff>::new(context.scope, step());
        let (errs_variable, errs) = VecVariable::<_, EvalError, Diff>::new(context.scope, step());
        variables.push((oks_variable, errs_variable));
        context.bindings.insert(Id::Local(*id), Collection { oks, errs }.into());
    }
    let mut results: Vec<(LocalId, Bundle<'scope, IterTime>)> = Vec::new();
    for (i, (oks_variable, errs_variable)) in variables.into_iter().enumerate() {
        let value = context.render(&stage.values[i]).collection();
        let oks = value.oks.consolidate();
        let (oks, errs) = match stage.limits[i] {
            None => (oks, value.errs),
            Some(limit) => {
                let limited = limit_iterations(Collection { oks, errs: value.errs }, limit, depth);
                (limited.oks, limited.errs)
            }
        };
        let errs = errs.distinct_core::<Diff>();
        oks_variable.set(oks.clone());
        errs_variable.set(errs.clone());
        let bundle: Bundle<'scope, IterTime> = Collection { oks, errs }.into();
        context.bindings.insert(Id::Local(stage.ids[i]), bundle.clone());
        results.push((stage.ids[i], bundle));
    }
    context.depth -= 1;
    for (id, bundle) in results {
        let Collection { oks, errs } = bundle.collection();
        let left = Collection { oks: oks.leave_dynamic(depth), errs: errs.leave_dynamic(depth) };
        context.bindings.insert(Id::Local(id), left.into());
    }
}

/// Leaves out changes from the limit's iteration on; unless the limit is to be returned at, what they come to is an error.
fn limit_iterations(
    input: Collection<'_, IterTime>,
    limit: LetRecLimit,
    depth: usize,
) -> Collection<'_, IterTime> {
    let within = move |time: &IterTime| time.inner.get(depth - 1).copied().unwrap_or(0) < limit.max_iters;
    let oks = input.oks.inner.clone().filter(move |(_, time, _)| within(time)).as_collection();
    if limit.return_at_limit {
        return Collection { oks, errs: input.errs };
    }
    let beyond = input.oks.inner.filter(move |(_, time, _)| !within(time)).as_collection();
    let changed = arrange_pairs(beyond.map(|row| (row, Row::default())), "ArrangeBeyondLimit");
    let logic: GroupLogic = Rc::new(move |_, _, _| Err(over_limit(limit.max_iters)));
    let (_, errs) = reduce_fallible(changed, "BeyondLimit", logic);
    Collection { oks, errs: input.errs.concat(errs) }
}

fn over_limit(max_iters: u64) -> EvalError {
    EvalError::new(
        "54001",
        format!(
            "Recursive query exceeded the recursion limit {max_iters}. (Use RETURN AT RECURSION LIMIT to not error, but return the current state as the final result when reaching the limit.)"
        ),
    )
}
