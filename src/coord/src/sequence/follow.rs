//! What clusters do when the catalog has changed.
//!
//! The catalog is the truth: what is to be done follows from its states before and after a transaction, not from the statements that made
//! it. When the server dies between the two, the next start brings clusters to what the catalog says.

use std::collections::{BTreeMap, BTreeSet};

use hw_catalog::{BuiltinUpdate, CatalogState, Op, OpenTransaction};
use hw_persist::ShardId;
use hw_repr::{ClusterId, GlobalId, ReplicaId};
use hw_sql::plan::{ItemDefinition, ObjectId, SourceKind};

use super::ddl::catalog_error;
use crate::coordinator::Coordinator;
use crate::dataflow::materialized_view_mir;
use crate::error::AdapterError;
use crate::group_commit::Updates;
use crate::session::Session;

type Replicas = BTreeMap<(ClusterId, ReplicaId), String>;

fn replicas_of(state: &CatalogState) -> Replicas {
    let clusters = hw_sql::Catalog::clusters(state);
    let each = clusters.iter().flat_map(|c| c.replicas.iter().map(move |r| (c.id, r)));
    each.map(|(cluster, (id, _, size))| ((cluster, *id), size.clone())).collect()
}

fn clusters_of(state: &CatalogState) -> BTreeSet<ClusterId> {
    hw_sql::Catalog::clusters(state).iter().map(|c| c.id).collect()
}

fn items_of(state: &CatalogState) -> BTreeSet<GlobalId> {
    state.items().map(|i| i.id).collect()
}

impl Coordinator {
    /// Commits a transaction of DDL and has clusters follow. Gives what is to be written to system relations, and whether clusters could
    /// follow.
    ///
    /// # Errors
    /// When nothing was committed.
    pub(crate) async fn commit_ddl(
        &mut self,
        session: &Session,
        open: OpenTransaction,
    ) -> Result<(Updates, Result<(), AdapterError>), AdapterError> {
        if !self.connections.contains_key(&session.conn_id) {
            // Its temporary items would stay for ever.
            return Err(AdapterError::new("57P01", "the connection has ended").fatal());
        }
        let before = self.catalog.state();
        let ops = open.ops().to_vec();
        let updates = self.catalog.commit(open).await.map_err(catalog_error)?;
        let mut followed = self.follow(&before).await;
        for op in ops {
            match op {
                Op::SetSecret { id, .. } if hw_sql::Catalog::item(&*before, id).is_some() => {
                    self.restart_sources_using(id);
                }
                Op::AlterSystem { .. } => self.restart_all_sources(),
                _ => {}
            }
        }
        if let Err(e) = &mut followed {
            tracing::error!(error = %e, "a change of the catalog could not be carried out on its cluster");
            e.detail.get_or_insert_with(|| "The change of the catalog has been committed.".into());
        }
        Ok((group(updates), followed))
    }

    /// Commits steps at once, without a session's transaction.
    pub(crate) async fn transact_now(&mut self, ops: Vec<Op>) -> Result<Vec<BuiltinUpdate>, AdapterError> {
        self.catalog.transact(ops).await.map_err(catalog_error)
    }

    /// Brings clusters from what the catalog was to what it is.
    async fn follow(&mut self, before: &CatalogState) -> Result<(), AdapterError> {
        let now = self.catalog.state();
        self.follow_clusters(before, &now);
        let (old, new) = (items_of(before), items_of(&now));
        let dropped: BTreeSet<GlobalId> = old.difference(&new).copied().collect();
        let created: Vec<GlobalId> = new.difference(&old).copied().collect();
        let changed_sources = self.drop_items(before, &dropped);
        let mut result = self.start_items(&created).await;
        for source in changed_sources {
            result = result.and(self.start_source(source));
        }
        result
    }

    fn follow_clusters(&mut self, before: &CatalogState, now: &CatalogState) {
        let (old, new) = (replicas_of(before), replicas_of(now));
        for (cluster, replica) in old.keys().filter(|r| !new.contains_key(*r)) {
            self.controller.drop_replica(*cluster, *replica);
            self.system.replica_dropped(*replica);
        }
        let (old_clusters, new_clusters) = (clusters_of(before), clusters_of(now));
        for cluster in old_clusters.difference(&new_clusters) {
            self.controller.drop_cluster(*cluster);
        }
        for cluster in new_clusters.difference(&old_clusters) {
            self.controller.create_cluster(*cluster);
        }
        for ((cluster, replica), size) in new.iter().filter(|(r, _)| !old.contains_key(*r)) {
            self.controller.create_replica(*cluster, *replica, now.workers_of_size(size).unwrap_or(1));
            self.system.replica_created(*replica);
        }
    }

    /// Forgets items that are gone; gives the sources that remain and have fewer tables now.
    fn drop_items(&mut self, before: &CatalogState, dropped: &BTreeSet<GlobalId>) -> BTreeSet<GlobalId> {
        let mut sources = BTreeSet::new();
        for id in dropped {
            let item = hw_sql::Catalog::item(before, *id);
            sources.extend(item.and_then(|item| source_of(&item.definition, *id)));
            self.tables.remove(id);
            self.system.dropped(*id);
        }
        let shards = self.controller.drop_collections(dropped.iter().copied());
        self.finalize_shards(shards);
        sources.retain(|s| !dropped.contains(s));
        sources
    }

    /// Brings clusters to run new items: shards first, then what fills them. One that cannot run does not keep the others from it.
    pub(crate) async fn start_items(&mut self, ids: &[GlobalId]) -> Result<(), AdapterError> {
        let state = self.catalog.state();
        let mut sources = BTreeSet::new();
        for id in ids {
            self.add_shard(*id).await?;
            let Some(item) = hw_sql::Catalog::item(&*state, *id) else { continue };
            sources.extend(source_of(&item.definition, *id));
        }
        let mut result = Ok(());
        for id in ids {
            result = result.and(self.start_dataflow(*id));
        }
        for id in sources {
            result = result.and(self.start_source(id));
        }
        result
    }

    /// Registers an item's durable collection.
    pub(crate) async fn add_shard(&mut self, id: GlobalId) -> Result<(), AdapterError> {
        let state = self.catalog.state();
        let (Some(shard), Some(item)) = (state.shard(id), hw_sql::Catalog::item(&*state, id)) else {
            return Ok(());
        };
        let Some(desc) = item.desc() else { return Ok(()) };
        let shard = ShardId::from(shard);
        let written_here = is_written_here(&item.definition);
        // A table has contents (none) from now on; what others fill has none until they say so.
        let now = self.oracle.read_ts().max(self.tables_upper()).max(1);
        let initial = if written_here { now } else { 0 };
        let found = self.persist.ensure_shard(shard, desc, initial).await?;
        let frontiers = hw_controller::collection::Frontiers { since: found.since, upper: found.upper };
        self.controller.add_durable(id, shard, frontiers);
        if written_here {
            self.tables.insert(id, (shard, found.upper));
        }
        Ok(())
    }

    /// Runs an index's or materialized view's dataflow.
    pub(crate) fn start_dataflow(&mut self, id: GlobalId) -> Result<(), AdapterError> {
        let state = self.catalog.state();
        let Some(item) = hw_sql::Catalog::item(&*state, id) else { return Ok(()) };
        let name = item.name.to_string();
        match &item.definition {
            ItemDefinition::Index(index) => {
                let dataflow = self.index_dataflow(&name, id, index.on, &index.keys, index.cluster)?;
                self.ship(index.cluster, dataflow, 0);
            }
            ItemDefinition::MaterializedView(view) => {
                let mir = materialized_view_mir(view)?;
                let (desc, cluster) = (view.desc.clone(), view.cluster);
                let dataflow = self.materialized_view_dataflow(&name, id, mir, desc, cluster)?;
                let frontiers = self.controller.frontiers(id);
                // What has been written stays; computation goes on from its last time.
                let floor = frontiers.filter(|f| f.upper > f.since && f.upper > 0).map_or(0, |f| f.upper - 1);
                self.ship(cluster, dataflow, floor);
            }
            _ => {}
        }
        Ok(())
    }

    /// Drops objects at once, without a session's transaction.
    pub(crate) async fn drop_now(&mut self, objects: Vec<ObjectId>) -> Result<(), AdapterError> {
        let before = self.catalog.state();
        let updates = self.transact_now(vec![Op::DropObjects(objects)]).await?;
        self.write(group(updates), None);
        self.follow(&before).await
    }

    /// Drops a session's temporary items.
    pub(crate) async fn drop_temporary_items(&mut self, conn_id: u32) {
        let ids = self.catalog.temporary_items(conn_id);
        if ids.is_empty() {
            return;
        }
        let objects = ids.into_iter().map(ObjectId::Item).collect();
        if let Err(e) = self.drop_now(objects).await {
            tracing::warn!(error = %e, "temporary items of a session are not dropped");
        }
    }
}

/// Whether the coordinator itself writes a collection.
pub(crate) fn is_written_here(definition: &ItemDefinition) -> bool {
    matches!(definition, ItemDefinition::Table(t) if t.source.is_none())
}

/// The source that an item is or belongs to.
fn source_of(definition: &ItemDefinition, id: GlobalId) -> Option<GlobalId> {
    match definition {
        ItemDefinition::Table(t) => t.source.as_ref().map(|(source, _)| *source),
        ItemDefinition::Source(s) => match &s.kind {
            SourceKind::MySql { .. } | SourceKind::LoadGenerator { .. } => Some(id),
            SourceKind::Subsource { source, .. } => Some(*source),
            SourceKind::Progress => None,
        },
        _ => None,
    }
}

/// Row changes by table.
pub(crate) fn group(updates: Vec<BuiltinUpdate>) -> Updates {
    let mut out: Updates = BTreeMap::new();
    for u in updates {
        out.entry(u.id).or_default().push((u.row, u.diff));
    }
    out
}
