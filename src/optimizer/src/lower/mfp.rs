//! Maps, filters and projections of a plan gathered into one [`MapFilterProject`].

use std::collections::BTreeSet;

use hw_expr::{MapFilterProject, MirRelationExpr, MirScalarExpr};
use hw_plan::temporal::MfpPlan;

use crate::error::OptimizerError;

/// The map-filter-project at the top of a plan, and what it applies to.
pub(crate) fn extract_mfp(expr: &MirRelationExpr) -> (MapFilterProject, &MirRelationExpr) {
    let mut nodes = vec![];
    let mut at = expr;
    while let MirRelationExpr::Map { input, .. }
    | MirRelationExpr::Filter { input, .. }
    | MirRelationExpr::Project { input, .. } = at
    {
        nodes.push(at);
        at = input;
    }
    let mut mfp = MapFilterProject::new(at.arity());
    for node in nodes.into_iter().rev() {
        mfp = match node {
            MirRelationExpr::Map { scalars, .. } => mfp.map_each(scalars),
            MirRelationExpr::Filter { predicates, .. } => mfp.filter(predicates.iter().cloned()),
            MirRelationExpr::Project { outputs, .. } => mfp.project(outputs.iter().copied()),
            _ => mfp,
        };
    }
    mfp.remove_unused();
    (mfp, at)
}

/// Appending one expression after the other, so that each may use the ones before it.
trait MapEach {
    fn map_each(self, scalars: &[MirScalarExpr]) -> Self;
}

impl MapEach for MapFilterProject {
    fn map_each(mut self, scalars: &[MirScalarExpr]) -> Self {
        for s in scalars {
            self = self.map([s.clone()]);
        }
        self
    }
}

/// Splits the temporal predicates off. With `bindable`, a use of `mz_now()` that is no bound stays, to be replaced by the
/// time when it is known.
pub(crate) fn plan_mfp(mfp: MapFilterProject, bindable: bool) -> Result<MfpPlan, OptimizerError> {
    let temporal = mfp.expressions.iter().any(MirScalarExpr::contains_temporal)
        || mfp.predicates.iter().any(|(_, p)| p.contains_temporal());
    if !temporal {
        return Ok(MfpPlan::untimed(mfp));
    }
    match mfp.clone().extract_temporal() {
        Ok((mfp, lower_bounds, upper_bounds)) => Ok(MfpPlan { mfp, lower_bounds, upper_bounds }),
        Err(_) if bindable => Ok(MfpPlan::untimed(mfp)),
        Err(e) => Err(e.into()),
    }
}

/// The input columns that it needs.
pub(crate) fn demand(mfp: &MapFilterProject) -> BTreeSet<usize> {
    let exprs = mfp.expressions.iter().chain(mfp.predicates.iter().map(|(_, p)| p));
    let mut out: BTreeSet<usize> = exprs.flat_map(MirScalarExpr::support).collect();
    out.extend(mfp.projection.iter().copied());
    out.retain(|c| *c < mfp.input_arity);
    out
}

/// The same over other input columns: input column `c` is found at `map(c)` of `arity` columns.
pub(crate) fn permute_input(
    mut mfp: MapFilterProject,
    arity: usize,
    map: impl Fn(usize) -> usize,
) -> MapFilterProject {
    let old = mfp.input_arity;
    let map = |c: usize| if c < old { map(c) } else { c - old + arity };
    for e in &mut mfp.expressions {
        e.permute_map(map);
    }
    for (_, p) in &mut mfp.predicates {
        p.permute_map(map);
    }
    for c in &mut mfp.projection {
        *c = map(*c);
    }
    mfp.input_arity = arity;
    mfp.place_predicates();
    mfp
}
