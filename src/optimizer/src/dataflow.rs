//! Whole dataflows: views are inlined, objects optimised and lowered, imports chosen.

use std::collections::BTreeMap;

use hw_expr::{Id, MirRelationExpr, MirScalarExpr};
use hw_plan::lir::{GetAccess, Key};
use hw_plan::temporal::MfpPlan;
use hw_plan::{DataflowDescription, DataflowExport, ExportKind, IndexImport, Lir, SourceImport};
use hw_repr::GlobalId;

use crate::context::DataflowContext;
use crate::error::OptimizerError;
use crate::inline::inline_views;
use crate::lower::{Binding, Lowerer};
use crate::stage::optimize_object;

/// A dataflow, as the optimizer made it.
#[derive(Debug, Clone)]
pub struct DataflowPlan {
    /// The optimised objects.
    pub mir: Vec<(GlobalId, MirRelationExpr)>,
    /// What is run; its as-of is to be filled in.
    pub lir: DataflowDescription,
}

/// Optimises objects (in an order in which each uses only what comes before it; views that are not exported may
/// disappear) into a dataflow. What they read besides is imported: an index where there is one, the shard otherwise.
///
/// # Errors
/// When something cannot be read, or `mz_now()` is used where it cannot be maintained.
pub fn optimize_dataflow(
    name: &str,
    objects: Vec<(GlobalId, MirRelationExpr)>,
    exports: BTreeMap<GlobalId, DataflowExport>,
    context: &dyn DataflowContext,
) -> Result<DataflowPlan, OptimizerError> {
    let keep: Vec<GlobalId> = exports.values().map(|e| e.on_id).collect();
    let objects = inline_views(objects, &keep);
    let exported: Vec<GlobalId> = exports.keys().copied().collect();
    let objects = optimize_objects(objects, context, &exported, false)?;
    lower_dataflow(name, objects, exports, context, false)
}

/// Optimises each object, knowing the types of those before it.
pub(crate) fn optimize_objects(
    objects: Vec<(GlobalId, MirRelationExpr)>,
    context: &dyn DataflowContext,
    exported: &[GlobalId],
    one_shot: bool,
) -> Result<Vec<(GlobalId, MirRelationExpr)>, OptimizerError> {
    let built: Vec<GlobalId> = objects.iter().map(|(id, _)| *id).collect();
    let mut out = Vec::with_capacity(objects.len());
    for (id, expr) in objects {
        let indexes = |id: GlobalId| match built.contains(&id) {
            true => vec![],
            false => usable_indexes(context, id, exported),
        };
        out.push((id, optimize_object(expr, context, &indexes, one_shot)?));
    }
    Ok(out)
}

/// The indexes on a collection that a dataflow with these exports may import.
fn usable_indexes(
    context: &dyn DataflowContext,
    id: GlobalId,
    exported: &[GlobalId],
) -> Vec<(GlobalId, Key)> {
    let mut indexes = context.indexes_on(id);
    indexes.retain(|(index, _)| !exported.contains(index));
    indexes
}

/// Lowers optimised objects.
pub(crate) fn lower_dataflow(
    name: &str,
    objects: Vec<(GlobalId, MirRelationExpr)>,
    exports: BTreeMap<GlobalId, DataflowExport>,
    context: &dyn DataflowContext,
    one_shot: bool,
) -> Result<DataflowPlan, OptimizerError> {
    let exported: Vec<GlobalId> = exports.keys().copied().collect();
    let import = |id: GlobalId| -> Option<Binding> {
        let mut keys: Vec<Key> = vec![];
        for (_, key) in usable_indexes(context, id, &exported) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        if keys.is_empty() {
            context.durable(id)?;
            return Some(Binding { keys, raw: true, import: Some(id) });
        }
        Some(Binding { keys, raw: false, import: Some(id) })
    };
    let (bindings, used) = (BTreeMap::new(), BTreeMap::new());
    let mut lowerer = Lowerer { bindings, used, import: &import, one_shot, in_loop: false };
    let mut lir = DataflowDescription::new(name);
    for (id, expr) in &objects {
        let mut lowered = lowerer.lower(expr)?;
        for export in exports.values().filter(|e| e.on_id == *id) {
            if let ExportKind::Index { key } = &export.kind {
                lowerer.arrange(&mut lowered, key);
            }
        }
        let binding = Binding { keys: lowered.keys, raw: lowered.raw, import: lowered.import };
        lowerer.bindings.insert(Id::Global(*id), binding);
        lir.objects.push((*id, lowered.plan));
    }
    for export in exports.values() {
        let binding = lowerer.binding(Id::Global(export.on_id))?;
        if let (ExportKind::Index { key }, Some(import)) = (&export.kind, binding.import)
            && binding.keys.contains(key)
        {
            lowerer.used.entry(import).or_default().insert(key.clone());
        }
    }
    let used = std::mem::take(&mut lowerer.used);
    for (id, keys) in used {
        import_collection(&mut lir, id, &keys.into_iter().collect::<Vec<_>>(), context, &exported)?;
    }
    lir.exports = exports;
    push_into_sources(&mut lir);
    Ok(DataflowPlan { mir: objects, lir })
}

/// Imports the indexes of a collection that are used, or its shard.
fn import_collection(
    lir: &mut DataflowDescription,
    id: GlobalId,
    used: &[Key],
    context: &dyn DataflowContext,
    exported: &[GlobalId],
) -> Result<(), OptimizerError> {
    let indexes = usable_indexes(context, id, exported);
    let durable = context.durable(id);
    let monotonic = durable.as_ref().is_some_and(|d| d.monotonic);
    if indexes.is_empty() {
        let info = durable.ok_or(OptimizerError::UnknownCollection(id))?;
        let mfp = MfpPlan::identity(info.desc.arity());
        lir.source_imports.insert(id, SourceImport { shard: info.shard, desc: info.desc, mfp, monotonic });
        return Ok(());
    }
    let typ = context.relation_type(id).ok_or(OptimizerError::UnknownCollection(id))?;
    let mut done: Vec<Key> = vec![];
    let any_used = indexes.iter().any(|(_, key)| used.contains(key));
    for (at, (index, key)) in indexes.into_iter().enumerate() {
        let wanted = if any_used { used.contains(&key) } else { at == 0 };
        if wanted && !done.contains(&key) {
            done.push(key.clone());
            lir.index_imports.insert(index, IndexImport { on_id: id, key, typ: typ.clone(), monotonic });
        }
    }
    Ok(())
}

/// Moves the map-filter-project of a durable collection's only reader into its import.
fn push_into_sources(lir: &mut DataflowDescription) {
    let exported: Vec<GlobalId> = lir.exports.values().map(|e| e.on_id).collect();
    let ids: Vec<GlobalId> = lir.source_imports.keys().copied().filter(|id| !exported.contains(id)).collect();
    for id in ids {
        let mut readers = 0;
        for (_, plan) in &mut lir.objects {
            visit_gets(plan, &mut |get, _| readers += usize::from(get == Id::Global(id)));
        }
        let Some(import) = lir.source_imports.get_mut(&id).filter(|_| readers == 1) else { continue };
        for (_, plan) in &mut lir.objects {
            visit_gets(plan, &mut |get, access| {
                if get == Id::Global(id)
                    && let GetAccess::Collection(mfp) = access
                {
                    import.mfp = mfp.clone();
                    *access = GetAccess::PassThrough;
                }
            });
        }
    }
}

/// Calls `f` with each `Get` of a plan.
fn visit_gets(plan: &mut Lir, f: &mut dyn FnMut(Id, &mut GetAccess)) {
    if let Lir::Get { id, access } = plan {
        f(*id, access);
    }
    stacker::maybe_grow(64 << 10, 1 << 20, || {
        for child in lir_children_mut(plan) {
            visit_gets(child, f);
        }
    });
}

/// The direct inputs.
pub(crate) fn lir_children_mut(plan: &mut Lir) -> Vec<&mut Lir> {
    match plan {
        Lir::Constant { .. } | Lir::Get { .. } => vec![],
        Lir::Let { value, body, .. } => vec![value, body],
        Lir::LetRec { values, body, .. } => values.iter_mut().chain([&mut **body]).collect(),
        Lir::Mfp { input, .. }
        | Lir::FlatMap { input, .. }
        | Lir::Reduce { input, .. }
        | Lir::TopK { input, .. }
        | Lir::Negate { input }
        | Lir::Threshold { input, .. }
        | Lir::ArrangeBy { input, .. } => vec![input],
        Lir::Join { inputs, .. } | Lir::Union { inputs, .. } => inputs.iter_mut().collect(),
    }
}

/// The key of an object's result by which it is arranged already, or all of its columns.
pub(crate) fn natural_key(expr: &MirRelationExpr) -> Key {
    match expr {
        MirRelationExpr::Reduce { group_key, .. } => {
            (0..group_key.len()).map(MirScalarExpr::Column).collect()
        }
        MirRelationExpr::Let { body, .. } | MirRelationExpr::LetRec { body, .. } => natural_key(body),
        other => (0..other.arity()).map(MirScalarExpr::Column).collect(),
    }
}
