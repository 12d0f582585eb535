//! Accumulable reductions: sums kept in the difference.

use differential_dataflow::collection::vec::Collection as VecCollection;
use differential_dataflow::operators::arrange::Arranged;
use differential_dataflow::operators::arrange::TraceAgent;
use differential_dataflow::operators::arrange::arrangement::arrange_core;
use std::rc::Rc;

use hw_expr::aggregate::{Accumulation, AggregateKind};
use hw_expr::{AggregateExpr, AggregateFunc, EvalError, MirScalarExpr};
use hw_plan::lir::AccumulablePlan;
use hw_repr::{Datum, Diff, Row, RowArena, ScalarType};
use smallvec::{SmallVec, smallvec};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use super::Collection;
use super::arrange::arrange_pairs;
use super::bundle::no_errs;
use super::mfp::pack_exprs;
use super::reduce::{Reduced, check_positive, keyed, reduce_fallible};
use crate::reduce_types::{Accum, Accums};
use crate::row_container::hash_bytes;
use crate::time::RenderTime;
use crate::typedefs::{AccumBatcher, AccumSpine, Errs, RowBuilder, RowErrBuilder, RowErrSpine, RowSpine};

/// One aggregate: how it sums and what type it gives.
#[derive(Debug, Clone)]
struct Sum {
    kind: Accumulation,
    ret: ScalarType,
    expr: AggregateExpr,
}

impl Sum {
    fn new(expr: &AggregateExpr) -> Sum {
        let (kind, ret) = match &expr.func {
            AggregateFunc::Def(def, types) => match def.kind {
                Some(AggregateKind::Accumulable(kind)) => (kind, types.ret.clone()),
                _ => unreachable!("the plan holds accumulable aggregates"),
            },
            AggregateFunc::Window(_) => unreachable!("the plan holds accumulable aggregates"),
        };
        Sum { kind, ret, expr: expr.clone() }
    }

    /// Whether the row counts.
    fn admits(&self, datums: &[Datum<'_>]) -> Result<bool, EvalError> {
        let arena = RowArena::new();
        match &self.expr.filter {
            Some(filter) => Ok(filter.eval(datums, &arena)? == Datum::Bool(true)),
            None => Ok(true),
        }
    }

    fn of(&self, datums: &[Datum<'_>]) -> Result<Accum, EvalError> {
        if !self.admits(datums)? {
            return Ok(Accum::Zero);
        }
        let arena = RowArena::new();
        match self.expr.args.first() {
            Some(arg) => Ok(Accum::of(self.kind, arg.eval(datums, &arena)?)),
            None => Ok(Accum::Count(1)),
        }
    }
}

type AccumStream<'scope, T> = VecCollection<'scope, T, (Row, ()), Accums>;

/// Renders an accumulable reduction. The output's values are in the order of the aggregates' positions.
pub(crate) fn render<'scope, T: RenderTime>(
    input: Collection<'scope, T>,
    key: &[MirScalarExpr],
    plan: &AccumulablePlan,
) -> Reduced<'scope, T> {
    let mut all: Vec<(usize, bool, Sum)> =
        plan.simple.iter().map(|(at, e)| (*at, false, Sum::new(e))).collect();
    all.extend(plan.distinct.iter().map(|(at, e)| (*at, true, Sum::new(e))));
    all.sort_by_key(|(at, ..)| *at);

    let simple: Vec<Option<Sum>> =
        all.iter().map(|(_, distinct, s)| (!distinct).then(|| s.clone())).collect();
    let (mut sums, mut errs) = sum_rows(input.clone(), key, simple);
    for (slot, (_, _, sum)) in all.iter().enumerate().filter(|(_, (_, distinct, _))| *distinct) {
        let rows = Collection { oks: input.oks.clone(), errs: no_errs(&input.errs) };
        let (more, more_errs) = sum_distinct(rows, key, sum, slot, all.len());
        sums = sums.concat(more);
        errs = errs.concat(more_errs);
    }
    let exchange = Exchange::new(|((key, ()), _, _): &((Row, ()), T, Accums)| hash_bytes(key.data()));
    let arranged = arrange_core::<_, _, AccumBatcher<T>, AccumSpine<T>>(
        sums.inner,
        exchange,
        "ArrangeSums",
        AccumBatcher::new,
    );
    let finishers = Rc::new(all.into_iter().map(|(_, _, s)| (s.kind, s.ret)).collect());
    let (oks, more) = finish(arranged, finishers);
    (oks, errs.concat(more))
}

/// Each row as the difference of its key.
fn sum_rows<'scope, T: RenderTime>(
    input: Collection<'scope, T>,
    key: &[MirScalarExpr],
    sums: Vec<Option<Sum>>,
) -> (AccumStream<'scope, T>, Errs<'scope, T>) {
    let key = key.to_vec();
    let of_row = move |row: &Row| {
        let arena = RowArena::new();
        let datums: SmallVec<[Datum<'_>; 16]> = row.iter().collect();
        let key = pack_exprs(&key, &datums, &arena)?;
        let sums = sums.iter().map(|s| s.as_ref().map_or(Ok(Accum::Zero), |s| s.of(&datums)));
        Ok((key, Accums { total: 1, sums: sums.collect::<Result<_, EvalError>>()? }))
    };
    let (sums, errs) = explode(input.oks, Box::new(of_row));
    (sums, input.errs.concat(errs))
}

/// The sums over distinct arguments: (key, argument) pairs are made distinct, and count no rows.
fn sum_distinct<'scope, T: RenderTime>(
    input: Collection<'scope, T>,
    key: &[MirScalarExpr],
    sum: &Sum,
    slot: usize,
    width: usize,
) -> (AccumStream<'scope, T>, Errs<'scope, T>) {
    let of_row = sum.clone();
    let group = key.to_vec();
    let (pairs, errs) = keyed(
        input,
        &[],
        Box::new(move |datums, arena| {
            if !of_row.admits(datums)? {
                return Ok(None);
            }
            let key = pack_exprs(&group, datums, arena)?;
            let arg = pack_exprs(&of_row.expr.args[..1.min(of_row.expr.args.len())], datums, arena)?;
            let mut pair = Row::default();
            let mut packer = pair.packer();
            packer.push_list_with(|p| p.extend_packed(key.data()));
            packer.push_list_with(|p| p.extend_packed(arg.data()));
            Ok(Some(pair))
        }),
    );
    let pairs = arrange_pairs(pairs.map(|(_, pair)| (pair, Row::default())), "ArrangeDistinctArguments");
    let (distinct, more) = reduce_fallible(
        pairs,
        "DistinctArguments",
        Rc::new(|_, rows, out| {
            check_positive(rows)?;
            out.push((Row::default(), 1));
            Ok(())
        }),
    );
    let kind = sum.kind;
    let of_pair = move |pair: &Row| {
        let mut parts = pair.iter().map(|d| match d {
            Datum::List(list) => list,
            other => unreachable!("a pair holds lists, found {other:?}"),
        });
        let (key, arg) = (parts.next().expect("a key"), parts.next().expect("an argument"));
        let accum = match arg.iter().next() {
            Some(d) => Accum::of(kind, d),
            None => Accum::Count(1),
        };
        let mut sums: SmallVec<[Accum; 1]> = smallvec![Accum::Zero; width];
        sums[slot] = accum;
        Ok((Row::from_trusted_bytes(key.packed()), Accums { total: 0, sums }))
    };
    let (sums, none) = explode(distinct.as_collection(|pair, _| pair.to_row()), Box::new(of_pair));
    (sums, errs.concat(more).concat(none))
}

type Explode = Box<dyn Fn(&Row) -> Result<(Row, Accums), EvalError>>;

/// Moves each row into the difference.
fn explode<'scope, T: RenderTime>(
    input: VecCollection<'scope, T, Row, Diff>,
    logic: Explode,
) -> (AccumStream<'scope, T>, Errs<'scope, T>) {
    use differential_dataflow::AsCollection;
    use differential_dataflow::difference::Multiply;
    let mut builder = OperatorBuilder::new("SumRows".to_owned(), input.inner.scope());
    let (ok_output, ok_stream) = builder.new_output::<Vec<((Row, ()), T, Accums)>>();
    let mut ok_output = OutputBuilder::<_, CapacityContainerBuilder<_>>::from(ok_output);
    let (err_output, err_stream) = builder.new_output::<Vec<(EvalError, T, Diff)>>();
    let mut err_output = OutputBuilder::<_, CapacityContainerBuilder<_>>::from(err_output);
    let mut input = builder.new_input(input.inner, Pipeline);
    builder.build(move |_capabilities| {
        move |_frontiers| {
            let (mut ok_output, mut err_output) = (ok_output.activate(), err_output.activate());
            input.for_each(|capability, data| {
                let mut errs = Vec::new();
                let mut session = ok_output.session(&capability);
                for (row, time, diff) in data.drain(..) {
                    match logic(&row) {
                        Ok((key, accums)) => session.give(((key, ()), time, accums.multiply(&diff))),
                        Err(e) => errs.push((e, time, diff)),
                    }
                }
                if !errs.is_empty() {
                    err_output.session(&capability).give_iterator(errs.into_iter());
                }
            });
        }
    });
    (ok_stream.as_collection(), err_stream.as_collection())
}

type Finishers = Rc<Vec<(Accumulation, ScalarType)>>;

fn finish_group(finishers: &[(Accumulation, ScalarType)], accums: &Accums) -> Result<Option<Row>, EvalError> {
    if accums.total < 0 {
        return Err(EvalError::NegativeMultiplicity);
    }
    if accums.total == 0 {
        // Rows have gone, yet something is left of their values.
        return Err(EvalError::NegativeMultiplicity);
    }
    let mut row = Row::default();
    let mut packer = row.packer();
    for (i, (kind, ret)) in finishers.iter().enumerate() {
        packer.push(accums.sums.get(i).unwrap_or(&Accum::Zero).finish(*kind, ret)?);
    }
    Ok(Some(row))
}

fn finish<'scope, T: RenderTime>(
    input: Arranged<'scope, TraceAgent<AccumSpine<T>>>,
    finishers: Finishers,
) -> Reduced<'scope, T> {
    let for_errors = Rc::clone(&finishers);
    let oks = input.clone().reduce_abelian::<_, RowBuilder<T>, RowSpine<T>, _, _>(
        "Sums",
        move |_key, sums, out| {
            if let Ok(Some(row)) = finish_group(&finishers, &sums[0].1) {
                out.push((row, 1));
            }
        },
        |buffer, key, updates| {
            buffer.clear();
            buffer.extend(updates.drain(..).map(|(val, time, diff)| ((key.to_row(), val), time, diff)));
        },
    );
    let errs = input.reduce_abelian::<_, RowErrBuilder<T>, RowErrSpine<T>, _, _>(
        "SumsErrors",
        move |_key, sums, out| {
            if let Err(e) = finish_group(&for_errors, &sums[0].1) {
                out.push((e, 1));
            }
        },
        |buffer, key, updates| {
            buffer.clear();
            buffer.extend(updates.drain(..).map(|(e, time, diff)| ((key.to_row(), e), time, diff)));
        },
    );
    (oks, errs.as_collection(|_, e| e.clone()))
}
