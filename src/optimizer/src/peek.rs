//! One-off queries: a constant, a read of an index or shard, or a dataflow with an index that is read once.

use std::collections::{BTreeMap, BTreeSet};

use hw_expr::{EvalError, Id, MapFilterProject, MirRelationExpr, MirScalarExpr, RowSetFinishing};
use hw_plan::lir::Key;
use hw_plan::{DataflowDescription, DataflowExport, ExportKind, PeekTarget};
use hw_repr::{Diff, GlobalId, RelationDesc, RelationType, Row, RowArena};

use crate::context::DataflowContext;
use crate::dataflow::{lower_dataflow, natural_key, optimize_objects};
use crate::error::OptimizerError;
use crate::inline::inline_views;
use crate::literal::literal_keys;
use crate::lower::extract_mfp;

/// How a query is answered.
#[derive(Debug, Clone)]
pub enum PeekPlan {
    /// The answer is known.
    Constant(Result<Vec<(Row, Diff)>, EvalError>),
    /// One existing collection is read.
    FastPath {
        /// What is read.
        target: PeekTarget,
        /// Only rows under these keys, if given.
        literal_keys: Option<Vec<Row>>,
        /// Applied to its rows; may contain `mz_now()`.
        mfp: MapFilterProject,
    },
    /// A dataflow is run and its index read.
    SlowPath {
        /// The dataflow, with one index.
        dataflow: Box<DataflowDescription>,
        /// The index.
        index: GlobalId,
        /// Its key.
        key: Key,
        /// The result's columns.
        desc: RelationDesc,
    },
}

/// Optimises a query. `views` are those that it reads, each before those that use it; `transient_ids` name the result and
/// its index, should a dataflow be needed. Columns that the finishing neither returns nor orders by are left out of what is
/// gathered, which renumbers those that it names.
///
/// # Errors
/// When something cannot be read.
pub fn optimize_peek(
    expr: MirRelationExpr,
    views: Vec<(GlobalId, MirRelationExpr)>,
    context: &dyn DataflowContext,
    finishing: &mut RowSetFinishing,
    transient_ids: (GlobalId, GlobalId),
) -> Result<PeekPlan, OptimizerError> {
    let objects = peek_objects(expr, views, context, finishing, transient_ids)?;
    plan_peek(objects, context, transient_ids, true)
}

/// The optimised objects of a query, the result last.
pub(crate) fn peek_objects(
    expr: MirRelationExpr,
    mut views: Vec<(GlobalId, MirRelationExpr)>,
    context: &dyn DataflowContext,
    finishing: &mut RowSetFinishing,
    (result, index): (GlobalId, GlobalId),
) -> Result<Vec<(GlobalId, MirRelationExpr)>, OptimizerError> {
    let expr = if context.applies_transforms() { without_unneeded(expr, finishing) } else { expr };
    views.push((result, expr));
    let objects = inline_views(views, &[result]);
    optimize_objects(objects, context, &[index], true)
}

/// Leaves out columns that the finishing does not name.
fn without_unneeded(expr: MirRelationExpr, finishing: &mut RowSetFinishing) -> MirRelationExpr {
    let order = finishing.order_by.iter().map(|o| o.column);
    let needed: BTreeSet<usize> = finishing.project.iter().copied().chain(order).collect();
    if needed.len() == expr.arity() {
        return expr;
    }
    let needed: Vec<usize> = needed.into_iter().collect();
    let places: BTreeMap<usize, usize> = needed.iter().enumerate().map(|(at, c)| (*c, at)).collect();
    finishing.project.iter_mut().for_each(|c| *c = places[c]);
    finishing.order_by.iter_mut().for_each(|o| o.column = places[&o.column]);
    expr.project(needed)
}

/// Chooses how the query is answered: without a dataflow if that is possible and `fast`.
pub(crate) fn plan_peek(
    objects: Vec<(GlobalId, MirRelationExpr)>,
    context: &dyn DataflowContext,
    (result, index): (GlobalId, GlobalId),
    fast: bool,
) -> Result<PeekPlan, OptimizerError> {
    if let [(_, expr)] = objects.as_slice()
        && fast
    {
        let (mfp, input) = extract_mfp(expr);
        if let MirRelationExpr::Constant { rows, .. } = input
            && let Some(rows) = constant(rows, &mfp)
        {
            return Ok(PeekPlan::Constant(rows));
        }
        if let MirRelationExpr::Get { id: Id::Global(id), typ } = input
            && let Some(plan) = fast_path(*id, typ, mfp, context)
        {
            return Ok(plan);
        }
    }
    let (_, expr) = objects.last().ok_or_else(|| OptimizerError::internal("a query has a result"))?;
    let key = natural_key(expr);
    let desc = described(RelationType::new(expr.column_types()));
    let export =
        DataflowExport { on_id: result, desc: desc.clone(), kind: ExportKind::Index { key: key.clone() } };
    let exports = BTreeMap::from([(index, export)]);
    let plan = lower_dataflow(&format!("peek-{result}"), objects, exports, context, true)?;
    Ok(PeekPlan::SlowPath { dataflow: Box::new(plan.lir), index, key, desc })
}

/// A description with made-up names, for results that nobody sees by name.
fn described(typ: RelationType) -> RelationDesc {
    let names = (1..=typ.arity()).map(|i| format!("column{i}")).collect();
    RelationDesc::new(typ, names)
}

/// A constant's rows, unless something of the context is needed.
fn constant(
    rows: &Result<Vec<(Row, Diff)>, EvalError>,
    mfp: &MapFilterProject,
) -> Option<Result<Vec<(Row, Diff)>, EvalError>> {
    let exprs = || mfp.expressions.iter().chain(mfp.predicates.iter().map(|(_, p)| p));
    if exprs().any(MirScalarExpr::contains_unmaterializable) {
        return None;
    }
    let rows = match rows {
        Err(e) => return Some(Err(e.clone())),
        Ok(rows) => rows,
    };
    // A row that occurs several times has another value of a volatile function each time.
    let volatile = exprs().any(MirScalarExpr::contains_volatile);
    let mut out = vec![];
    for (row, diff) in rows {
        let (times, diff) = if volatile && *diff > 1 { (*diff, 1) } else { (1, *diff) };
        for _ in 0..times {
            let arena = RowArena::new();
            let mut datums = row.unpack();
            let mut result = Row::default();
            match mfp.eval(&mut datums, &arena, &mut result) {
                Ok(true) => out.push((result, diff)),
                Ok(false) => {}
                Err(e) => return Some(Err(e)),
            }
        }
    }
    Some(Ok(out))
}

/// A read of one collection: by an index if there is one, one that the predicates fix the key of before others.
pub(crate) fn fast_path(
    id: GlobalId,
    typ: &RelationType,
    mfp: MapFilterProject,
    context: &dyn DataflowContext,
) -> Option<PeekPlan> {
    let durable = context.durable(id);
    let desc = || durable.as_ref().map_or_else(|| described(typ.clone()), |d| d.desc.clone());
    let indexes = context.indexes_on(id);
    let lookups = indexes.iter().filter_map(|(index, key)| Some((index, key, literal_keys(&mfp, key)?)));
    // The longest key is the most selective, as far as one can tell.
    if let Some((index, key, found)) = lookups.max_by_key(|(_, key, _)| key.len()) {
        let target = PeekTarget::Index { id: *index, desc: desc(), key: key.clone() };
        return Some(PeekPlan::FastPath { target, literal_keys: Some(found.rows), mfp: found.rest });
    }
    if let Some((index, key)) = indexes.first() {
        let target = PeekTarget::Index { id: *index, desc: desc(), key: key.clone() };
        return Some(PeekPlan::FastPath { target, literal_keys: None, mfp });
    }
    let info = durable?;
    let target = PeekTarget::Shard { id, shard: info.shard, desc: info.desc };
    Some(PeekPlan::FastPath { target, literal_keys: None, mfp })
}
