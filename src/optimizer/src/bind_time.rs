//! `mz_now()` in plans that run for one time: once that time is chosen, it is a literal.

use hw_expr::{MirScalarExpr, UnmaterializableFunc};
use hw_plan::lir::{GetAccess, JoinPath, JoinPlan, ReducePlan};
use hw_plan::temporal::MfpPlan;
use hw_plan::{DataflowDescription, Lir};
use hw_repr::{Datum, ScalarType, Timestamp};

use crate::dataflow::lir_children_mut;

/// Replaces `mz_now()` in a one-off query's dataflow. Bounds stay: they hold at that time or not.
pub fn bind_time(dataflow: &mut DataflowDescription, timestamp: Timestamp) {
    let now = MirScalarExpr::literal(Datum::MzTimestamp(timestamp), ScalarType::MzTimestamp);
    let mut bind = |scalar: &mut MirScalarExpr| {
        scalar.visit_mut_post(&mut |e| {
            if matches!(e, MirScalarExpr::Unmaterializable(UnmaterializableFunc::MzNow)) {
                *e = now.clone();
            }
        });
    };
    for import in dataflow.source_imports.values_mut() {
        in_mfp(&mut import.mfp, &mut bind);
    }
    for (_, plan) in &mut dataflow.objects {
        in_plan(plan, &mut bind);
    }
}

type Bind<'a> = &'a mut dyn FnMut(&mut MirScalarExpr);

fn in_mfp(mfp: &mut MfpPlan, bind: Bind<'_>) {
    mfp.mfp.expressions.iter_mut().for_each(&mut *bind);
    mfp.mfp.predicates.iter_mut().for_each(|(_, p)| bind(p));
}

fn in_path(path: &mut JoinPath, bind: Bind<'_>) {
    in_mfp(&mut path.initial, bind);
    for stage in &mut path.stages {
        in_mfp(&mut stage.mfp, bind);
    }
}

fn in_plan(plan: &mut Lir, bind: Bind<'_>) {
    match plan {
        Lir::Get { access: GetAccess::Collection(mfp) | GetAccess::Arrangement(_, _, mfp), .. }
        | Lir::Mfp { mfp, .. } => in_mfp(mfp, bind),
        Lir::FlatMap { exprs, mfp, .. } => {
            exprs.iter_mut().for_each(&mut *bind);
            in_mfp(mfp, bind);
        }
        Lir::Join { plan: JoinPlan::Linear(path), .. } => in_path(path, bind),
        Lir::Join { plan: JoinPlan::Delta(paths), .. } => paths.iter_mut().for_each(|p| in_path(p, bind)),
        Lir::Reduce { key, plan, .. } => {
            key.iter_mut().for_each(&mut *bind);
            in_reduce(plan, bind);
        }
        Lir::TopK { plan, .. } => plan.limit.iter_mut().for_each(&mut *bind),
        _ => {}
    }
    stacker::maybe_grow(64 << 10, 1 << 20, || {
        for child in lir_children_mut(plan) {
            in_plan(child, bind);
        }
    });
}

fn in_reduce(plan: &mut ReducePlan, bind: Bind<'_>) {
    let (sums, extrema, basic) = match plan {
        ReducePlan::Distinct => return,
        ReducePlan::Accumulable(p) => (Some(p), None, None),
        ReducePlan::Hierarchical(p) => (None, Some(p), None),
        ReducePlan::Basic(p) => (None, None, Some(p)),
        ReducePlan::Collation { accumulable, hierarchical, basic, .. } => {
            (accumulable.as_mut(), hierarchical.as_mut(), basic.as_mut())
        }
    };
    let sums = sums.into_iter().flat_map(|p| p.simple.iter_mut().chain(&mut p.distinct)).map(|(_, a)| a);
    let extrema = extrema.into_iter().flat_map(|p| p.aggregates.iter_mut()).map(|(_, a, _)| a);
    let basic = basic.into_iter().flat_map(|p| p.aggregates.iter_mut()).map(|(_, a)| a);
    for aggregate in sums.chain(extrema).chain(basic) {
        aggregate.args.iter_mut().chain(&mut aggregate.filter).for_each(&mut *bind);
    }
}
