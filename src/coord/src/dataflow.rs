//! From planned queries to dataflows: views are expanded, indexes found, as-of times chosen, and results handed to the controller.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hw_catalog::CatalogState;
use hw_expr::{MirRelationExpr, MirScalarExpr};
use hw_optimizer::{DataflowContext, DurableInfo};
use hw_plan::{DataflowDescription, DataflowExport, ExportKind};
use hw_repr::{ClusterId, GlobalId, RelationDesc, Timestamp};
use hw_sql::plan::ItemDefinition;

use crate::coordinator::Coordinator;
use crate::error::AdapterError;

/// What the optimizer is told of a cluster and the durable collections.
pub(crate) struct ClusterContext<'a> {
    pub(crate) state: Arc<CatalogState>,
    pub(crate) coord: &'a Coordinator,
    pub(crate) cluster: ClusterId,
    /// See [`DataflowContext::applies_transforms`].
    pub(crate) transforms: bool,
}

impl DataflowContext for ClusterContext<'_> {
    fn durable(&self, id: GlobalId) -> Option<DurableInfo> {
        let item = hw_sql::Catalog::item(&*self.state, id)?;
        let desc = item.desc()?.clone();
        let shard = self.coord.controller.shard(id)?;
        Some(DurableInfo { shard: shard.into(), desc, monotonic: false })
    }

    fn indexes_on(&self, id: GlobalId) -> Vec<(GlobalId, Vec<MirScalarExpr>)> {
        self.coord.indexes_on(&self.state, self.cluster, id)
    }

    fn relation_type(&self, id: GlobalId) -> Option<hw_repr::RelationType> {
        Some(hw_sql::Catalog::item(&*self.state, id)?.desc()?.typ().clone())
    }

    fn applies_transforms(&self) -> bool {
        self.transforms
    }
}

/// A query with the views that it needs.
pub(crate) struct Expanded {
    /// Views, each before those that use it.
    pub(crate) views: Vec<(GlobalId, MirRelationExpr)>,
    /// The durable collections and indexed views that it reads.
    pub(crate) leaves: BTreeSet<GlobalId>,
}

impl Coordinator {
    /// The indexes on a collection that run on a cluster.
    pub(crate) fn indexes_on(
        &self,
        state: &CatalogState,
        cluster: ClusterId,
        id: GlobalId,
    ) -> Vec<(GlobalId, Vec<MirScalarExpr>)> {
        let Some(item) = hw_sql::Catalog::item(state, id) else { return vec![] };
        let users = item.used_by.iter().filter_map(|u| hw_sql::Catalog::item(state, *u));
        let mut found: Vec<_> = users
            .filter_map(|user| match &user.definition {
                ItemDefinition::Index(index)
                    if index.on == id
                        && index.cluster == cluster
                        && self.controller.runs_on(cluster, user.id) =>
                {
                    Some((user.id, index.keys.clone()))
                }
                _ => None,
            })
            .collect();
        found.sort_by_key(|(id, _)| *id);
        found
    }

    /// The MIR of a view.
    pub(crate) fn view_mir(
        &self,
        state: &CatalogState,
        id: GlobalId,
    ) -> Result<Option<MirRelationExpr>, AdapterError> {
        let Some(item) = hw_sql::Catalog::item(state, id) else {
            // It was there when the query was planned.
            return Err(AdapterError::new("42P01", format!("object {id} has been dropped")));
        };
        match &item.definition {
            ItemDefinition::View(view) => Ok(Some(hw_sql::lowering::lower(view.expr.clone())?)),
            _ => Ok(None),
        }
    }

    /// Finds the views that a query needs on a cluster. A view with an index there is a leaf.
    pub(crate) fn expand(
        &self,
        expr: &MirRelationExpr,
        cluster: ClusterId,
    ) -> Result<Expanded, AdapterError> {
        self.expand_in(&self.catalog.state(), expr, cluster)
    }

    /// The same with the catalog as a transaction sees it.
    pub(crate) fn expand_in(
        &self,
        state: &CatalogState,
        expr: &MirRelationExpr,
        cluster: ClusterId,
    ) -> Result<Expanded, AdapterError> {
        let mut out = Expanded { views: vec![], leaves: BTreeSet::new() };
        let mut seen = BTreeSet::new();
        for id in expr.global_gets() {
            self.expand_id(state, id, cluster, &mut seen, &mut out)?;
        }
        Ok(out)
    }

    fn expand_id(
        &self,
        state: &CatalogState,
        id: GlobalId,
        cluster: ClusterId,
        seen: &mut BTreeSet<GlobalId>,
        out: &mut Expanded,
    ) -> Result<(), AdapterError> {
        if !seen.insert(id) {
            return Ok(());
        }
        let mir = self.view_mir(state, id)?;
        let Some(mir) = mir.filter(|_| self.indexes_on(state, cluster, id).is_empty()) else {
            out.leaves.insert(id);
            return Ok(());
        };
        for below in mir.global_gets() {
            self.expand_id(state, below, cluster, seen, out)?;
        }
        out.views.push((id, mir));
        Ok(())
    }

    /// The durable collections below a query, through all views.
    pub(crate) fn durable_leaves(&self, ids: impl IntoIterator<Item = GlobalId>) -> BTreeSet<GlobalId> {
        let state = self.catalog.state();
        let (mut out, mut seen) = (BTreeSet::new(), BTreeSet::new());
        let mut todo: Vec<GlobalId> = ids.into_iter().collect();
        while let Some(id) = todo.pop() {
            if !seen.insert(id) {
                continue;
            }
            match hw_sql::Catalog::item(&*state, id) {
                Some(item) if matches!(item.definition, ItemDefinition::View(_)) => {
                    todo.extend(item.uses.iter())
                }
                Some(_) => {
                    out.insert(id);
                }
                None => {}
            }
        }
        out
    }

    /// A time from which a dataflow over these inputs can run: the newest complete one.
    pub(crate) fn as_of(&self, inputs: &BTreeSet<GlobalId>) -> Timestamp {
        let since = self.controller.least_valid_read(inputs);
        match self.controller.least_upper(inputs) {
            Timestamp::MAX => since,
            upper => since.max(upper.saturating_sub(1)),
        }
    }

    /// The dataflow of an index, without an as-of.
    pub(crate) fn index_dataflow(
        &self,
        name: &str,
        id: GlobalId,
        on: GlobalId,
        keys: &[MirScalarExpr],
        cluster: ClusterId,
    ) -> Result<DataflowDescription, AdapterError> {
        let state = self.catalog.state();
        let item =
            hw_sql::Catalog::item(&*state, on).ok_or_else(|| AdapterError::internal("index on nothing"))?;
        let desc = item.desc().ok_or_else(|| AdapterError::internal("index on what cannot be read"))?.clone();
        let get = MirRelationExpr::global_get(on, desc.typ().clone());
        let Expanded { mut views, .. } = self.expand(&get, cluster)?;
        if views.is_empty() {
            // A durable collection, or a view with another index: the dataflow imports it as it is.
            views = vec![];
        }
        let export = DataflowExport { on_id: on, desc, kind: ExportKind::Index { key: keys.to_vec() } };
        self.build(name, views, BTreeMap::from([(id, export)]), cluster)
    }

    /// The dataflow of a query's materialized view, without an as-of.
    pub(crate) fn materialized_view_dataflow(
        &self,
        name: &str,
        id: GlobalId,
        expr: MirRelationExpr,
        desc: RelationDesc,
        cluster: ClusterId,
    ) -> Result<DataflowDescription, AdapterError> {
        let shard = self
            .controller
            .shard(id)
            .ok_or_else(|| AdapterError::internal("materialized view without shard"))?;
        let Expanded { mut views, .. } = self.expand(&expr, cluster)?;
        let inner = GlobalId::Transient(u64::MAX);
        views.push((inner, expr));
        let kind = ExportKind::MaterializedView { shard: shard.into() };
        let export = DataflowExport { on_id: inner, desc, kind };
        self.build(name, views, BTreeMap::from([(id, export)]), cluster)
    }

    /// Optimises objects into a dataflow.
    pub(crate) fn build(
        &self,
        name: &str,
        objects: Vec<(GlobalId, MirRelationExpr)>,
        exports: BTreeMap<GlobalId, DataflowExport>,
        cluster: ClusterId,
    ) -> Result<DataflowDescription, AdapterError> {
        let context = ClusterContext { state: self.catalog.state(), coord: self, cluster, transforms: true };
        Ok(hw_optimizer::optimize_dataflow(name, objects, exports, &context)?.lir)
    }

    /// Chooses the as-of of a dataflow and runs it.
    pub(crate) fn ship(&mut self, cluster: ClusterId, mut dataflow: DataflowDescription, floor: Timestamp) {
        let inputs: BTreeSet<GlobalId> = dataflow.import_ids().collect();
        dataflow.as_of = if floor > 0 {
            self.controller.least_valid_read(&inputs).max(floor)
        } else {
            self.as_of(&inputs)
        };
        self.controller.create_dataflow(cluster, dataflow);
        self.note_table_readers();
    }

    /// Notes whether a dataflow outside the system's own cluster reads tables.
    fn note_table_readers(&mut self) {
        // Any user dataflow may: the cost of ticking is small, so what it reads is not traced.
        self.system.user_tables_are_read = true;
    }
}
