//! Building a dataflow from its description.
//!
//! Every worker builds the same operators in the same order. Shards and indexes that the description imports are bound to
//! their names, the objects are rendered, and each export gets its operator. A dataflow without recursion is rendered at plain
//! timestamps in a region of its own; one with recursion under iteration counters, which its exports leave again.

use std::collections::BTreeMap;
use std::rc::Rc;

use differential_dataflow::AsCollection;
use hw_expr::Id;
use hw_flow::{Fatal, SinkConfig, SourceConfig, shard_sink, shard_source};
use hw_persist::{PersistClient, ShardId};
use hw_plan::lir::Lir;
use hw_plan::{DataflowDescription, DataflowExport, ExportKind, SourceImport};
use hw_protocol::SubscribeBatch;
use hw_repr::{GlobalId, Timestamp};
use timely::dataflow::Scope;
use timely::progress::Antichain;
use tokio::runtime::Handle;

use crate::error::{decode_error, encode_error};
use crate::exports::IndexTraces;
use crate::frontier::{FrontierLog, watch};
use crate::render::arrange::{arrange_by, arrange_errs};
use crate::render::mfp::RowMfp;
use crate::render::{Bundle, Collection, Context, Flavor};
use crate::subscribe::{SubscribeConfig, subscribe};
use crate::time::{IterTime, RenderTime};

/// What dataflows need of their worker.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) persist: PersistClient,
    pub(crate) runtime: Handle,
    pub(crate) fatal: Fatal,
    pub(crate) frontiers: FrontierLog,
    pub(crate) subscribes: Rc<std::cell::RefCell<Vec<(GlobalId, SubscribeBatch)>>>,
}

/// Builds the dataflow; returns the traces of the indexes that it exports. `imports` holds those that it reads.
pub(crate) fn build(
    worker: &mut timely::worker::Worker,
    description: &DataflowDescription,
    mut imports: BTreeMap<GlobalId, IndexTraces>,
    surroundings: &Surroundings,
) -> BTreeMap<GlobalId, IndexTraces> {
    let recursive = description.objects.iter().any(|(_, plan)| has_recursion(plan));
    worker.dataflow_named::<Timestamp, _, _>(&description.name, |scope| {
        let sources = read_sources(scope, description, surroundings);
        if !recursive {
            return scope.region_named("Build", |inner| {
                let mut context = context(inner, description);
                for (id, source) in sources {
                    let entered = Collection {
                        oks: source.oks.enter_region(inner),
                        errs: source.errs.enter_region(inner),
                    };
                    context.bindings.insert(Id::Global(id), entered.into());
                }
                bind_indexes(scope, &mut context, description, &mut imports);
                build_objects(&mut context, description);
                export_all(&mut context, description, &imports, surroundings)
            });
        }
        let mut outer: Context<'_, Timestamp> = context(scope, description);
        scope.scoped::<IterTime, _, _>("BuildRecursive", |inner| {
            let mut context = context(inner, description);
            for (id, source) in sources {
                let entered = Collection { oks: source.oks.enter(inner), errs: source.errs.enter(inner) };
                context.bindings.insert(Id::Global(id), entered.into());
            }
            bind_indexes(scope, &mut context, description, &mut imports);
            build_objects(&mut context, description);
            for export in description.exports.values() {
                let id = Id::Global(export.on_id);
                let Some(bundle) = context.bindings.get(&id) else { continue };
                let collection = bundle.collection();
                let left =
                    Collection { oks: collection.oks.leave(scope), errs: collection.errs.leave(scope) };
                outer.bindings.insert(id, left.into());
            }
        });
        export_all(&mut outer, description, &imports, surroundings)
    })
}

fn has_recursion(plan: &Lir) -> bool {
    match plan {
        Lir::LetRec { .. } => true,
        Lir::Constant { .. } | Lir::Get { .. } => false,
        Lir::Let { value, body, .. } => has_recursion(value) || has_recursion(body),
        Lir::Join { inputs, .. } | Lir::Union { inputs, .. } => inputs.iter().any(has_recursion),
        Lir::Mfp { input, .. }
        | Lir::FlatMap { input, .. }
        | Lir::Reduce { input, .. }
        | Lir::TopK { input, .. }
        | Lir::Negate { input }
        | Lir::Threshold { input, .. }
        | Lir::ArrangeBy { input, .. } => has_recursion(input),
    }
}

fn context<'scope, T: RenderTime>(
    scope: Scope<'scope, T>,
    description: &DataflowDescription,
) -> Context<'scope, T> {
    Context {
        scope,
        as_of: description.as_of,
        until: description.until.unwrap_or(Timestamp::MAX),
        bindings: BTreeMap::new(),
        depth: 0,
    }
}

type Source<'scope> = Collection<'scope, Timestamp>;

fn read_sources<'scope>(
    scope: Scope<'scope, Timestamp>,
    description: &DataflowDescription,
    surroundings: &Surroundings,
) -> Vec<(GlobalId, Source<'scope>)> {
    let import = |(id, source): (&GlobalId, &SourceImport)| {
        let config = SourceConfig {
            name: id.to_string(),
            client: surroundings.persist.clone(),
            shard: ShardId::from_bytes(source.shard.into_bytes()),
            as_of: description.as_of,
            until: description.until,
            runtime: surroundings.runtime.clone(),
            fatal: surroundings.fatal.clone(),
        };
        let mfp = RowMfp::new(&source.mfp, description.until.unwrap_or(Timestamp::MAX));
        let (oks, errs) = shard_source(scope, config, move |entry, time, diff, oks, errs| match entry {
            Ok(row) => mfp.apply_row(row, time, diff, oks, errs),
            Err(e) => errs.push((decode_error(&e), time, diff)),
        });
        (*id, Collection { oks: oks.as_collection(), errs: errs.as_collection() })
    };
    description.source_imports.iter().map(import).collect()
}

/// Binds each imported index to its collection's name. Two indexes on one collection share a bundle.
fn bind_indexes<'outer, 'inner, T: RenderTime>(
    outer: Scope<'outer, Timestamp>,
    context: &mut Context<'inner, T>,
    description: &DataflowDescription,
    imports: &mut BTreeMap<GlobalId, IndexTraces>,
) {
    for (id, import) in &description.index_imports {
        let Some(traces) = imports.get_mut(id) else { continue };
        let since = Antichain::from_elem(description.as_of);
        let until = description.until.map_or(Antichain::new(), Antichain::from_elem);
        let (oks, _) =
            traces.oks.import_frontier_core(outer, &format!("Import({id})"), since.clone(), until.clone());
        let (errs, _) = traces.errs.import_frontier_core(outer, &format!("ImportErrors({id})"), since, until);
        let errs = errs.as_collection(|e, ()| e.clone()).enter(context.scope);
        let flavor = Flavor::Import(*id, oks.enter(context.scope));
        let name = Id::Global(import.on_id);
        match context.bindings.get_mut(&name) {
            // The collection's errors come with each of its indexes.
            Some(bundle) => {
                bundle.arranged.insert(import.key.clone(), flavor);
            }
            None => {
                let bundle = Bundle {
                    oks: None,
                    errs,
                    arranged: BTreeMap::from([(import.key.clone(), flavor)]),
                    arity: Some(import.typ.arity()),
                };
                context.bindings.insert(name, bundle);
            }
        }
    }
}

fn build_objects<T: RenderTime>(context: &mut Context<'_, T>, description: &DataflowDescription) {
    for (id, plan) in &description.objects {
        let bundle = context.render(plan);
        context.bindings.insert(Id::Global(*id), bundle);
    }
}

fn export_all(
    context: &mut Context<'_, Timestamp>,
    description: &DataflowDescription,
    imports: &BTreeMap<GlobalId, IndexTraces>,
    surroundings: &Surroundings,
) -> BTreeMap<GlobalId, IndexTraces> {
    let mut indexes = BTreeMap::new();
    for (id, export) in &description.exports {
        let Some(bundle) = context.bindings.get(&Id::Global(export.on_id)).cloned() else {
            tracing::error!(export = %id, on = %export.on_id, "exported collection is not in the dataflow");
            continue;
        };
        match &export.kind {
            ExportKind::Index { key } => {
                let arity = export.desc.arity();
                indexes.insert(*id, export_index(*id, bundle, key, arity, imports, surroundings));
            }
            ExportKind::MaterializedView { shard } => {
                let shard = ShardId::from_bytes(shard.into_bytes());
                export_shard(*id, bundle, shard, description, surroundings);
            }
            ExportKind::Subscribe { .. } => export_subscribe(*id, bundle, export, description, surroundings),
        }
    }
    indexes
}

fn export_index(
    id: GlobalId,
    bundle: Bundle<'_, Timestamp>,
    key: &hw_plan::lir::Key,
    arity: usize,
    imports: &BTreeMap<GlobalId, IndexTraces>,
    surroundings: &Surroundings,
) -> IndexTraces {
    let frontiers = Rc::clone(&surroundings.frontiers);
    let note = move |frontier| {
        frontiers.borrow_mut().insert(id, frontier);
    };
    let name = id.to_string();
    if let Some(Flavor::Import(imported, arranged)) = bundle.arranged.get(key)
        && let Some(traces) = imports.get(imported)
    {
        // The index of another dataflow: share it.
        watch(&name, arranged.stream.clone(), bundle.errs.inner.clone(), note);
        return traces.clone();
    }
    let (oks, errs) = match bundle.arranged.get(key) {
        Some(Flavor::Local(arranged)) => (arranged.clone(), bundle.errs.clone()),
        _ => {
            let collection = bundle.collection();
            let errs = collection.errs.clone();
            let (arranged, key_errs) = arrange_by(collection, key, arity);
            (arranged, errs.concat(key_errs))
        }
    };
    let errs = arrange_errs(errs);
    watch(&name, oks.stream.clone(), errs.stream.clone(), note);
    IndexTraces { oks: oks.trace, errs: errs.trace }
}

fn export_shard(
    id: GlobalId,
    bundle: Bundle<'_, Timestamp>,
    shard: ShardId,
    description: &DataflowDescription,
    surroundings: &Surroundings,
) {
    let Collection { oks, errs } = bundle.collection();
    let entries = oks.map(Ok).concat(errs.map(|e| Err(encode_error(&e))));
    let config = SinkConfig {
        name: id.to_string(),
        client: surroundings.persist.clone(),
        shard,
        as_of: description.as_of,
        runtime: surroundings.runtime.clone(),
        fatal: surroundings.fatal.clone(),
    };
    let frontiers = Rc::clone(&surroundings.frontiers);
    shard_sink(entries.inner, config, move |frontier| {
        frontiers.borrow_mut().insert(id, frontier);
    });
}

fn export_subscribe(
    id: GlobalId,
    bundle: Bundle<'_, Timestamp>,
    export: &DataflowExport,
    description: &DataflowDescription,
    surroundings: &Surroundings,
) {
    let ExportKind::Subscribe { with_snapshot, up_to, order_by } = &export.kind else { return };
    let config = SubscribeConfig {
        id,
        as_of: description.as_of,
        with_snapshot: *with_snapshot,
        up_to: *up_to,
        order_by: order_by.clone(),
    };
    let batches = Rc::clone(&surroundings.subscribes);
    subscribe(bundle.collection(), config, move |batch| batches.borrow_mut().push((id, batch)));
}
