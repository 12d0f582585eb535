//! Linear joins: one sequence of lookups, each stage's result arranged for the next.

use differential_dataflow::AsCollection;
use differential_dataflow::collection::vec::Collection as VecCollection;
use differential_dataflow::operators::arrange::Arranged;
use differential_dataflow::operators::join::join_traces;
use hw_expr::EvalError;
use hw_plan::lir::{JoinPath, JoinStage};
use hw_plan::temporal::MfpPlan;
use hw_repr::{Diff, Row, RowArena, Timestamp};
use timely::container::CapacityContainerBuilder;

use super::arrange::{RowTrace, arrange_by};
use super::mfp::{ErrSink, OkSink, RowMfp, split_results};
use super::unpack::PairReader;
use super::{Bundle, Collection, Flavor};
use crate::row_container::{RowContainer, RowRef};
use crate::time::RenderTime;

/// Renders a linear join.
pub(crate) fn render<'scope, T: RenderTime>(
    inputs: Vec<Bundle<'scope, T>>,
    input_arities: &[usize],
    path: &JoinPath,
    until: Timestamp,
) -> Collection<'scope, T> {
    let source = &inputs[path.source];
    let arity = input_arities[path.source];
    let others = inputs.iter().enumerate().filter(|(i, _)| *i != path.source);
    let mut errs = source.errs.clone();
    for (_, other) in others {
        errs = errs.concat(other.errs.clone());
    }
    // The first stage can use the source's own arrangement.
    let direct = match (&path.source_key, path.stages.first()) {
        (Some(key), Some(stage)) if path.initial.is_identity() && stage.stream_key == *key => {
            source.arranged.get(key).cloned()
        }
        _ => None,
    };
    let mut oks = None;
    let mut stages = path.stages.iter();
    if let Some(flavor) = direct
        && let Some(stage) = stages.next()
    {
        let (joined, more) = lookup(flavor, &inputs[stage.input], input_arities, stage, until);
        oks = Some(joined);
        errs = errs.concat(more);
    }
    let mut oks = oks.unwrap_or_else(|| {
        let start = without_errs(source).start(path.source_key.as_ref(), arity, &path.initial, until);
        errs = errs.clone().concat(start.errs);
        start.oks
    });
    for stage in stages {
        let stream = Collection { oks, errs: super::bundle::no_errs(&errs) };
        let (arranged, key_errs) = arrange_by(stream, &stage.stream_key, stage.stream_arity);
        let flavor = Flavor::Local(arranged);
        let (joined, more) = lookup(flavor, &inputs[stage.input], input_arities, stage, until);
        oks = joined;
        errs = errs.concat(key_errs).concat(more);
    }
    Collection { oks, errs }
}

/// The same without errors, which are counted once for the join as a whole.
fn without_errs<'scope, T: RenderTime>(bundle: &Bundle<'scope, T>) -> Bundle<'scope, T> {
    Bundle { errs: super::bundle::no_errs(&bundle.errs), ..bundle.clone() }
}

impl<'scope, T: RenderTime> Bundle<'scope, T> {
    /// The source of a join path, read from its arrangement if the path says so.
    fn start(
        &self,
        key: Option<&hw_plan::lir::Key>,
        arity: usize,
        initial: &MfpPlan,
        until: Timestamp,
    ) -> Collection<'scope, T> {
        match key {
            Some(key) if self.arranged.contains_key(key) => self.read(key, None, arity, initial, until),
            _ => self.collection().mfp(initial, until),
        }
    }
}

/// Puts a stream's row and an input's row together and applies the stage's map-filter-project.
pub(crate) struct Combine {
    stream: PairReader,
    input: PairReader,
    mfp: RowMfp,
}

impl Combine {
    pub(crate) fn new(stage: &JoinStage, input_arity: usize, until: Timestamp) -> Combine {
        let mfp = RowMfp::new(&stage.mfp, until);
        debug_assert_eq!(mfp.needed().len(), stage.stream_arity + input_arity, "the plan is over both sides");
        let (stream, input) = mfp.needed().split_at(stage.stream_arity);
        Combine {
            stream: PairReader::new(&stage.stream_key, stream),
            input: PairReader::new(&stage.lookup_key, input),
            mfp,
        }
    }

    #[allow(clippy::too_many_arguments)]
    pub(crate) fn apply<T: RenderTime>(
        &self,
        key: RowRef<'_>,
        stream: RowRef<'_>,
        input: RowRef<'_>,
        time: T,
        diff: Diff,
        oks: &mut OkSink<Row, T>,
        errs: &mut ErrSink<T>,
    ) {
        let arena = RowArena::new();
        let mut datums = Vec::with_capacity(self.mfp.width());
        self.stream.read(key, stream, &mut datums);
        self.input.read(key, input, &mut datums);
        self.mfp.apply(&mut datums, &arena, time, diff, oks, errs);
    }
}

fn lookup<'scope, T: RenderTime>(
    stream: Flavor<'scope, T>,
    input: &Bundle<'scope, T>,
    input_arities: &[usize],
    stage: &JoinStage,
    until: Timestamp,
) -> (crate::typedefs::Oks<'scope, T>, crate::typedefs::Errs<'scope, T>) {
    let combine = Combine::new(stage, input_arities[stage.input], until);
    let input =
        input.arranged.get(&stage.lookup_key).expect("the plan has arranged what is looked up").clone();
    let joined = match (stream, input) {
        (Flavor::Local(a), Flavor::Local(b)) => join(a, b, combine),
        (Flavor::Local(a), Flavor::Import(_, b)) => join(a, b, combine),
        (Flavor::Import(_, a), Flavor::Local(b)) => join(a, b, combine),
        (Flavor::Import(_, a), Flavor::Import(_, b)) => join(a, b, combine),
    };
    split_results(joined)
}

type Results<T> = Vec<(Result<Row, EvalError>, T, Diff)>;

fn join<'scope, T: RenderTime, Tr1: RowTrace<T>, Tr2: RowTrace<T>>(
    stream: Arranged<'scope, Tr1>,
    input: Arranged<'scope, Tr2>,
    combine: Combine,
) -> VecCollection<'scope, T, Result<Row, EvalError>, Diff> {
    let (mut oks, mut errs) = (Vec::new(), Vec::new());
    join_traces::<Tr1, Tr2, RowContainer, _, CapacityContainerBuilder<Results<T>>>(
        stream,
        input,
        "Join",
        move |key, v1, v2, time, d1, d2, builder| {
            use timely::container::PushInto;
            combine.apply(key, v1, v2, time, d1 * d2, &mut oks, &mut errs);
            for (row, time, diff) in oks.drain(..) {
                builder.push_into((Ok(row), time, diff));
            }
            for (e, time, diff) in errs.drain(..) {
                builder.push_into((Err(e), time, diff));
            }
        },
    )
    .as_collection()
}
