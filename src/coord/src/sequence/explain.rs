//! EXPLAIN.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use hw_catalog::CatalogState;
use hw_expr::{HirRelationExpr, MirRelationExpr, RowSetFinishing};
use hw_optimizer::{ExplainOption, ExplainOptions, Humanizer};
use hw_plan::{DataflowExport, ExportKind};
use hw_repr::{ClusterId, Datum, GlobalId, Row};
use hw_sql::ItemInfo;
use hw_sql::context::SessionInfo;
use hw_sql::names::quote_ident;
use hw_sql::plan::{
    ExplainPlan, ExplainStage, ExplainTarget, IndexDefinition, ItemDefinition, MaterializedViewDefinition,
    SelectPlan,
};

use super::select::{applies_transforms, peek_inputs};
use super::settings::constant_rows;
use crate::coordinator::{Coordinator, ExecuteContext};
use crate::dataflow::ClusterContext;
use crate::error::AdapterError;

/// What is explained.
enum Target {
    /// A query, with what is done to its rows at the end.
    Query(HirRelationExpr, RowSetFinishing),
    /// A materialized view: its id if it exists, and its name.
    MaterializedView(Option<GlobalId>, String, MaterializedViewDefinition),
    /// An index, likewise.
    Index(Option<GlobalId>, String, IndexDefinition),
}

/// Names of objects as the session would write them: without the database and the schema where they are found without.
struct Names {
    state: Arc<CatalogState>,
    session: SessionInfo,
    /// What is being explained and has no name in the catalog.
    own: BTreeMap<GlobalId, String>,
}

impl Names {
    fn short(&self, item: &ItemInfo) -> String {
        let name = &item.name;
        let Some(database) = name.database.as_ref().filter(|d| **d == self.session.database) else {
            return name.to_string();
        };
        let database = hw_sql::Catalog::database(&*self.state, database);
        let schemas = self
            .session
            .search_path
            .iter()
            .filter_map(|s| hw_sql::Catalog::schema(&*self.state, database, s));
        let found = schemas
            .filter_map(|schema| hw_sql::Catalog::item_by_name(&*self.state, schema, &name.item))
            .next();
        match found.is_some_and(|found| found.id == item.id) {
            true => quote_ident(&name.item),
            false => format!("{}.{}", quote_ident(&name.schema), quote_ident(&name.item)),
        }
    }
}

impl Humanizer for Names {
    fn object(&self, id: GlobalId) -> String {
        let item = || hw_sql::Catalog::item(&*self.state, id).map(|i| self.short(&i));
        self.own.get(&id).cloned().or_else(item).unwrap_or_else(|| id.to_string())
    }

    fn columns(&self, id: GlobalId) -> Vec<String> {
        let item = hw_sql::Catalog::item(&*self.state, id);
        let desc = item.as_ref().and_then(|i| i.desc());
        desc.map_or(vec![], |desc| desc.names().iter().map(|n| n.to_string()).collect())
    }
}

impl Coordinator {
    pub(crate) fn sequence_explain(&mut self, ctx: ExecuteContext, plan: ExplainPlan, params: Row) {
        let desc = plan.stage.desc();
        let result = self
            .explain(&ctx, plan, &params)
            .map(|text| constant_rows(desc, vec![Row::pack_slice(&[Datum::String(&text)])], "EXPLAIN"));
        ctx.retire(result);
    }

    fn explain(
        &mut self,
        ctx: &ExecuteContext,
        plan: ExplainPlan,
        params: &Row,
    ) -> Result<String, AdapterError> {
        let started = Instant::now();
        let options = options(&plan)?;
        let target = self.explained(plan.target, params)?;
        let mut text = match plan.stage {
            ExplainStage::Raw | ExplainStage::Decorrelated | ExplainStage::LocallyOptimized => {
                self.explain_alone(ctx, plan.stage, target, &options)?
            }
            ExplainStage::Optimized => self.explain_whole(ctx, target, false, &options)?,
            ExplainStage::Physical => self.explain_whole(ctx, target, true, &options)?,
            ExplainStage::Timestamp => self.explain_timestamp(ctx, target)?,
        };
        if options.has(ExplainOption::Timing) && !options.json {
            text.push_str(&format!("\nOptimization time: {:?}\n", started.elapsed()));
        }
        Ok(text)
    }

    /// What is explained, with parameters bound.
    fn explained(&self, target: ExplainTarget, params: &Row) -> Result<Target, AdapterError> {
        let state = self.catalog.state();
        let (id, name, definition) = match target {
            ExplainTarget::Select(SelectPlan { expr, finishing, .. }) => {
                return Ok(Target::Query(crate::hir::bind(expr, params)?, finishing));
            }
            ExplainTarget::Item(id) => {
                let item = hw_sql::Catalog::item(&*state, id)
                    .ok_or_else(|| AdapterError::internal("EXPLAIN of nothing"))?;
                (Some(id), quote_ident(&item.name.item), item.definition.clone())
            }
            ExplainTarget::Create(item) => (None, quote_ident(&item.name.item), item.definition.clone()),
        };
        Ok(match definition {
            ItemDefinition::View(v) => {
                let finishing = RowSetFinishing::trivial(v.desc.arity());
                Target::Query(v.expr, finishing)
            }
            ItemDefinition::MaterializedView(v) => Target::MaterializedView(id, name, v),
            ItemDefinition::Index(i) => Target::Index(id, name, i),
            _ => {
                return Err(AdapterError::new(
                    "42809",
                    "only views, materialized views, indexes and queries can be explained",
                ));
            }
        })
    }

    /// The plan of a query by itself, before it meets other objects.
    fn explain_alone(
        &self,
        ctx: &ExecuteContext,
        stage: ExplainStage,
        target: Target,
        options: &ExplainOptions,
    ) -> Result<String, AdapterError> {
        let state = self.catalog.state();
        let (hir, maintained) = match target {
            Target::Query(hir, _) => (hir, false),
            Target::MaterializedView(_, _, view) => (view.expr, true),
            Target::Index(_, _, index) => {
                let on = hw_sql::Catalog::item(&*state, index.on)
                    .ok_or_else(|| AdapterError::internal("index on nothing"))?;
                let hir = match &on.definition {
                    ItemDefinition::View(view) => view.expr.clone(),
                    _ => {
                        let typ = on.desc().map(|d| d.typ().clone()).unwrap_or_default();
                        HirRelationExpr::Get { id: hw_expr::Id::Global(index.on), typ }
                    }
                };
                (hir, true)
            }
        };
        let names = Names { state, session: ctx.session.info(), own: BTreeMap::new() };
        if stage == ExplainStage::Raw {
            return Ok(hw_optimizer::explain_hir(&hir, &names, options));
        }
        let mut mir = hw_sql::lowering::lower(hir)?;
        if stage == ExplainStage::Decorrelated {
            return Ok(hw_optimizer::explain_mir(&mir, &names, options));
        }
        if !maintained {
            self.replace_context_functions(&ctx.session, &mut mir);
        }
        let local = hw_optimizer::optimize_local(mir)?;
        Ok(hw_optimizer::explain_mir(local.expr(), &names, options))
    }

    /// The plan as it runs.
    fn explain_whole(
        &mut self,
        ctx: &ExecuteContext,
        target: Target,
        physical: bool,
        options: &ExplainOptions,
    ) -> Result<String, AdapterError> {
        match target {
            Target::Query(hir, finishing) => {
                let mut mir = hw_sql::lowering::lower(hir)?;
                self.replace_context_functions(&ctx.session, &mut mir);
                let cluster = self.read_cluster(&ctx.session, &mir)?;
                let views = self.expand_for(&ctx.session, &mir, cluster)?.views;
                let transforms = applies_transforms(&ctx.session);
                let ids = (self.transient_id(), self.transient_id());
                let context = self.cluster_context(cluster, transforms);
                let names = self.names(ctx, BTreeMap::new());
                Ok(hw_optimizer::explain_peek(
                    mir, views, &context, &finishing, ids, physical, &names, options,
                )?)
            }
            Target::MaterializedView(id, name, view) => {
                let mir = hw_sql::lowering::lower(view.expr)?;
                let mut objects = self.expand(&mir, view.cluster)?.views;
                let inner = GlobalId::Transient(u64::MAX);
                objects.push((inner, mir));
                let kind = ExportKind::MaterializedView { shard: Default::default() };
                let export = DataflowExport { on_id: inner, desc: view.desc, kind };
                let names = self.names(ctx, BTreeMap::from([(inner, name)]));
                self.explain_maintained(objects, id, export, view.cluster, names, physical, options)
            }
            Target::Index(id, name, index) => {
                let objects = self.indexed_objects(id, &index)?;
                let state = self.catalog.state();
                let desc = hw_sql::Catalog::item(&*state, index.on).and_then(|on| on.desc().cloned());
                let desc = desc.ok_or_else(|| AdapterError::internal("index on what cannot be read"))?;
                let kind = ExportKind::Index { key: index.keys };
                let export = DataflowExport { on_id: index.on, desc, kind };
                // An index that does not exist yet stands under an id that none has.
                let id = id.unwrap_or(GlobalId::User(u64::MAX));
                let names = self.names(ctx, BTreeMap::from([(id, name)]));
                self.explain_maintained(objects, Some(id), export, index.cluster, names, physical, options)
            }
        }
    }

    /// What an index's dataflow builds: the view that it is on, unless another index has it already.
    fn indexed_objects(
        &self,
        id: Option<GlobalId>,
        index: &IndexDefinition,
    ) -> Result<Vec<(GlobalId, MirRelationExpr)>, AdapterError> {
        let state = self.catalog.state();
        let earlier = |other: GlobalId| id.is_none_or(|id| other < id);
        if self.indexes_on(&state, index.cluster, index.on).iter().any(|(other, _)| earlier(*other)) {
            return Ok(vec![]);
        }
        let Some(mir) = self.view_mir(&state, index.on)? else { return Ok(vec![]) };
        let mut objects = self.expand(&mir, index.cluster)?.views;
        objects.push((index.on, mir));
        Ok(objects)
    }

    #[allow(clippy::too_many_arguments)]
    fn explain_maintained(
        &self,
        objects: Vec<(GlobalId, MirRelationExpr)>,
        id: Option<GlobalId>,
        export: DataflowExport,
        cluster: ClusterId,
        names: Names,
        physical: bool,
        options: &ExplainOptions,
    ) -> Result<String, AdapterError> {
        let exports = BTreeMap::from([(id.unwrap_or(GlobalId::Transient(0)), export)]);
        // What is maintained always goes through the transforms.
        let context = self.cluster_context(cluster, true);
        Ok(hw_optimizer::explain_dataflow(objects, exports, &context, physical, &names, options)?)
    }

    fn names(&self, ctx: &ExecuteContext, own: BTreeMap<GlobalId, String>) -> Names {
        Names { state: self.catalog.state(), session: ctx.session.info(), own }
    }

    fn cluster_context(&self, cluster: ClusterId, transforms: bool) -> ClusterContext<'_> {
        ClusterContext { state: self.catalog.state(), coord: self, cluster, transforms }
    }

    fn explain_timestamp(&mut self, ctx: &ExecuteContext, target: Target) -> Result<String, AdapterError> {
        let Target::Query(hir, mut finishing) = target else {
            return Err(AdapterError::new("0A000", "EXPLAIN TIMESTAMP is only for queries"));
        };
        let mut mir = hw_sql::lowering::lower(hir)?;
        self.replace_context_functions(&ctx.session, &mut mir);
        let cluster = self.read_cluster(&ctx.session, &mir)?;
        let names = self.names(ctx, BTreeMap::new());
        let transforms = applies_transforms(&ctx.session);
        let plan = self.plan_peek(&ctx.session, cluster, mir, &mut finishing, transforms)?;
        let inputs = peek_inputs(&plan);
        let mut out = String::new();
        out.push_str(&format!("     oracle read timestamp: {:>13}\n", self.oracle.read_ts()));
        out.push_str(&format!(
            "least valid read (since): {:>13}\n",
            self.controller.least_valid_read(&inputs)
        ));
        out.push_str(&format!(
            "      complete (upper - 1): {:>13}\n",
            self.controller.least_upper(&inputs).saturating_sub(1)
        ));
        for id in inputs {
            if let Some(f) = self.controller.frontiers(id) {
                out.push_str(&format!(
                    "\nsource {} ({id}):\n  read frontier: {:>13}\n write frontier: {:>13}\n",
                    names.object(id),
                    f.since,
                    f.upper
                ));
            }
        }
        Ok(out)
    }
}

/// The options as the optimizer knows them.
fn options(plan: &ExplainPlan) -> Result<ExplainOptions, AdapterError> {
    let mut out = ExplainOptions::default();
    out.json = plan.json;
    for (name, on) in &plan.options {
        let option = ExplainOption::by_name(name)
            .ok_or_else(|| AdapterError::internal(format!("EXPLAIN option {name} has no meaning")))?;
        out.set(option, *on);
    }
    Ok(out)
}
