//! Map-filter-project on rows, with temporal bounds.
//!
//! A row that passes is present from the greatest of its time and its lower bounds until the least of its upper bounds:
//! it is emitted at the one and retracted at the other, both known at once. Updates at or after `until` are left out.

use differential_dataflow::AsCollection;
use differential_dataflow::collection::vec::Collection as VecCollection;
use hw_expr::{EvalError, MirScalarExpr};
use hw_plan::temporal::MfpPlan;
use hw_repr::{Datum, Diff, Row, RowArena, Timestamp};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use super::unpack::{PairReader, RowReader, needed};
use crate::row_container::RowRef;
use crate::time::RenderTime;
use crate::typedefs::{Errs, Oks};

/// Where rows go.
pub(crate) type OkSink<D, T> = Vec<(D, T, Diff)>;
/// Where errors go.
pub(crate) type ErrSink<T> = Vec<(EvalError, T, Diff)>;

/// A plan, ready to be applied.
#[derive(Debug, Clone)]
pub(crate) struct RowMfp {
    plan: MfpPlan,
    needed: Vec<bool>,
    reader: RowReader,
    identity: bool,
    until: Timestamp,
}

impl RowMfp {
    pub(crate) fn new(plan: &MfpPlan, until: Timestamp) -> RowMfp {
        let needed = needed(&plan.mfp, plan.lower_bounds.iter().chain(&plan.upper_bounds));
        let reader = RowReader::new(&needed);
        RowMfp { identity: plan.is_identity(), plan: plan.clone(), needed, reader, until }
    }

    /// Which input columns it reads.
    pub(crate) fn needed(&self) -> &[bool] {
        &self.needed
    }

    /// Applies to a row.
    pub(crate) fn apply_row<T: RenderTime>(
        &self,
        row: Row,
        time: T,
        diff: Diff,
        oks: &mut OkSink<Row, T>,
        errs: &mut ErrSink<T>,
    ) {
        if self.identity {
            if time.system() < self.until {
                oks.push((row, time, diff));
            }
            return;
        }
        let arena = RowArena::new();
        let mut datums = Vec::with_capacity(self.width());
        self.reader.read(&row, &mut datums);
        self.apply(&mut datums, &arena, time, diff, oks, errs);
    }

    /// Applies to a row that an arrangement holds as key and value; `reader` reads the columns that are needed.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn apply_pair<T: RenderTime>(
        &self,
        key: RowRef<'_>,
        val: RowRef<'_>,
        reader: &PairReader,
        time: T,
        diff: Diff,
        oks: &mut OkSink<Row, T>,
        errs: &mut ErrSink<T>,
    ) {
        let arena = RowArena::new();
        let mut datums = Vec::with_capacity(self.width());
        reader.read(key, val, &mut datums);
        self.apply(&mut datums, &arena, time, diff, oks, errs);
    }

    /// How many columns there are before projection.
    pub(crate) fn width(&self) -> usize {
        self.plan.mfp.input_arity + self.plan.mfp.expressions.len()
    }

    /// Applies to unpacked columns.
    pub(crate) fn apply<'a, T: RenderTime>(
        &'a self,
        datums: &mut Vec<Datum<'a>>,
        arena: &'a RowArena,
        time: T,
        diff: Diff,
        oks: &mut OkSink<Row, T>,
        errs: &mut ErrSink<T>,
    ) {
        match self.present(datums, arena, time.system()) {
            Ok(None) => {}
            Ok(Some((enter, leave))) => {
                let row = Row::pack(self.plan.mfp.projection.iter().map(|c| datums[*c]));
                if leave < self.until {
                    let mut left = time.clone();
                    *left.system_mut() = leave;
                    oks.push((row.clone(), left, -diff));
                }
                let mut entered = time;
                *entered.system_mut() = enter;
                oks.push((row, entered, diff));
            }
            Err(e) => {
                if time.system() < self.until {
                    errs.push((e, time, diff));
                }
            }
        }
    }

    /// From when until when the row is present, if it is before `until`.
    fn present<'a>(
        &'a self,
        datums: &mut Vec<Datum<'a>>,
        arena: &'a RowArena,
        time: Timestamp,
    ) -> Result<Option<(Timestamp, Timestamp)>, EvalError> {
        if !self.plan.mfp.eval_columns(datums, arena)? {
            return Ok(None);
        }
        let (mut enter, mut leave) = (time, Timestamp::MAX);
        for bound in &self.plan.lower_bounds {
            match bound.eval(datums, arena)? {
                Datum::Null => return Ok(None),
                bound => enter = enter.max(bound.unwrap_mz_timestamp()),
            }
        }
        for bound in &self.plan.upper_bounds {
            match bound.eval(datums, arena)? {
                Datum::Null => return Ok(None),
                bound => leave = leave.min(bound.unwrap_mz_timestamp()),
            }
        }
        Ok((enter < leave && enter < self.until).then_some((enter, leave)))
    }
}

/// Evaluates expressions and packs their values.
pub(crate) fn pack_exprs<'a>(
    exprs: &'a [MirScalarExpr],
    datums: &[Datum<'a>],
    arena: &'a RowArena,
) -> Result<Row, EvalError> {
    Row::try_pack_with(|packer| {
        for expr in exprs {
            packer.push(expr.eval(datums, arena)?);
        }
        Ok(())
    })
}

/// What [`flat_map_rows`] does with each update.
pub(crate) type RowLogic<D1, D2, T> = Box<dyn FnMut(D1, T, Diff, &mut OkSink<D2, T>, &mut ErrSink<T>)>;

/// Turns each update into rows and errors at its time or later.
pub(crate) fn flat_map_rows<'scope, T: RenderTime, D1: Clone + 'static, D2: Clone + 'static>(
    input: VecCollection<'scope, T, D1, Diff>,
    name: &str,
    mut logic: RowLogic<D1, D2, T>,
) -> (VecCollection<'scope, T, D2, Diff>, Errs<'scope, T>) {
    let mut builder = OperatorBuilder::new(name.to_owned(), input.inner.scope());
    let (ok_output, ok_stream) = builder.new_output::<Vec<(D2, T, Diff)>>();
    let mut ok_output = OutputBuilder::<_, CapacityContainerBuilder<_>>::from(ok_output);
    let (err_output, err_stream) = builder.new_output::<Vec<(EvalError, T, Diff)>>();
    let mut err_output = OutputBuilder::<_, CapacityContainerBuilder<_>>::from(err_output);
    let mut input = builder.new_input(input.inner, Pipeline);
    builder.build(move |_capabilities| {
        let (mut oks, mut errs) = (Vec::new(), Vec::new());
        move |_frontiers| {
            let (mut ok_output, mut err_output) = (ok_output.activate(), err_output.activate());
            input.for_each(|capability, data| {
                let mut session = ok_output.session(&capability);
                for (row, time, diff) in data.drain(..) {
                    logic(row, time, diff, &mut oks, &mut errs);
                    if !oks.is_empty() {
                        session.give_iterator(oks.drain(..));
                    }
                }
                if !errs.is_empty() {
                    err_output.session(&capability).give_iterator(errs.drain(..));
                }
            });
        }
    });
    (ok_stream.as_collection(), err_stream.as_collection())
}

/// Parts rows from errors.
pub(crate) fn split_results<'scope, T: RenderTime>(
    input: VecCollection<'scope, T, Result<Row, EvalError>, Diff>,
) -> (Oks<'scope, T>, Errs<'scope, T>) {
    flat_map_rows(
        input,
        "SplitErrors",
        Box::new(|result, time, diff, oks, errs| match result {
            Ok(row) => oks.push((row, time, diff)),
            Err(e) => errs.push((e, time, diff)),
        }),
    )
}
