//! CREATE, ALTER and DROP: a catalog transaction, then what follows from it on clusters, then the system relations.
//!
//! The catalog is the truth: when the server dies between the transaction and what follows, the next start brings clusters to what the
//! catalog says.

use std::collections::{BTreeMap, BTreeSet};

use hw_catalog::{BuiltinUpdate, CatalogError, Op};
use hw_persist::ShardId;
use hw_repr::{ClusterId, Diff, GlobalId, ReplicaId, Row};
use hw_sql::ItemKind;
use hw_sql::plan::{ItemDefinition, NewItem, ObjectId, Plan};

use crate::coordinator::{Coordinator, ExecuteContext};
use crate::error::{AdapterError, Notice};
use crate::session::Session;

/// Turns a catalog's error into a client's.
pub(crate) fn catalog_error(e: CatalogError) -> AdapterError {
    let mut error = AdapterError::new(e.sqlstate(), e.to_string());
    error.detail = e.detail();
    error.hint = e.hint();
    error
}

/// An ALTER CLUSTER that waits for its new replicas.
pub(crate) struct PendingAlter {
    ctx: ExecuteContext,
    cluster: ClusterId,
    size: String,
    replication_factor: u32,
    /// New replicas with the names that they will have.
    new: Vec<(ReplicaId, String)>,
    old: Vec<ReplicaId>,
}

impl Coordinator {
    pub(crate) async fn sequence_ddl(&mut self, mut ctx: ExecuteContext, plan: Plan) {
        if let Plan::AlterCluster { cluster, size, replication_factor } = plan {
            return self.alter_cluster(ctx, cluster, size, replication_factor).await;
        }
        match self.ddl(&mut ctx.session, plan).await {
            Ok((tag, updates)) => self.finish_ddl(ctx, tag, updates),
            Err(e) => ctx.retire(Err(e)),
        }
    }

    /// Answers once the system relations show the change.
    fn finish_ddl(&mut self, ctx: ExecuteContext, tag: String, updates: Vec<BuiltinUpdate>) {
        self.write(
            group(updates),
            Some(Box::new(move |_, result| match result {
                Ok(_) => ctx.done(tag),
                Err(e) => ctx.retire(Err(e)),
            })),
        );
    }

    async fn transact(&mut self, ops: Vec<Op>) -> Result<Vec<BuiltinUpdate>, AdapterError> {
        self.catalog.transact(ops).await.map_err(catalog_error)
    }

    async fn ddl(
        &mut self,
        session: &mut Session,
        plan: Plan,
    ) -> Result<(String, Vec<BuiltinUpdate>), AdapterError> {
        let owner = session.role;
        match plan {
            Plan::CreateDatabase { name, if_not_exists } => {
                let result = self.transact(vec![Op::CreateDatabase { name, owner }]).await;
                lenient(session, result, if_not_exists, "42P04").map(|u| ("CREATE DATABASE".into(), u))
            }
            Plan::CreateSchema { database, name, if_not_exists } => {
                let result = self.transact(vec![Op::CreateSchema { database, name, owner }]).await;
                lenient(session, result, if_not_exists, "42P06").map(|u| ("CREATE SCHEMA".into(), u))
            }
            Plan::CreateRole { name, options } => {
                let updates = self.transact(vec![Op::CreateRole { name, options }]).await?;
                Ok(("CREATE ROLE".into(), updates))
            }
            Plan::CreateCluster { name, size, replication_factor, replicas, if_not_exists } => {
                let clusters = hw_sql::Catalog::clusters(&*self.catalog.state());
                let current = clusters.iter().filter(|c| matches!(c.id, ClusterId::User(_))).count();
                self.check_limit("cluster", "max_clusters", current, 1)?;
                let id = self.catalog.allocate_cluster_id();
                let mut ops =
                    vec![Op::CreateCluster { id, name, owner, size: size.clone(), replication_factor }];
                let managed = size
                    .iter()
                    .flat_map(|s| (1..=replication_factor).map(move |n| (format!("r{n}"), s.clone())));
                let replicas: Vec<(String, String)> = managed.chain(replicas).collect();
                let mut made = Vec::new();
                for (name, size) in replicas {
                    let workers = self.workers_of_size(&size)?;
                    let replica = self.catalog.allocate_replica_id(false);
                    ops.push(Op::CreateReplica { cluster: id, id: replica, name, size, owner });
                    made.push((replica, workers));
                }
                let result = self.transact(ops).await;
                let existed = result.is_err();
                let updates = lenient(session, result, if_not_exists, "42710")?;
                if !existed {
                    self.controller.create_cluster(id);
                    for (replica, workers) in made {
                        self.controller.create_replica(id, replica, workers);
                        self.system.replica_created(replica);
                    }
                }
                Ok(("CREATE CLUSTER".into(), updates))
            }
            Plan::CreateClusterReplica { cluster, name, size } => {
                let workers = self.workers_of_size(&size)?;
                let id = self.catalog.allocate_replica_id(false);
                let updates =
                    self.transact(vec![Op::CreateReplica { cluster, id, name, size, owner }]).await?;
                self.controller.create_replica(cluster, id, workers);
                self.system.replica_created(id);
                Ok(("CREATE CLUSTER REPLICA".into(), updates))
            }
            Plan::CreateSecret { item, value, if_not_exists } => {
                self.check_limits(&[ItemKind::Secret])?;
                let (op, id) = self.create_op(item, session);
                let result = self.transact(vec![op, Op::SetSecret { id, value }]).await;
                lenient(session, result, if_not_exists, "42710").map(|u| ("CREATE SECRET".into(), u))
            }
            Plan::AlterSecret { id, value } => {
                let updates = self.transact(vec![Op::SetSecret { id, value }]).await?;
                self.restart_sources_using(id);
                Ok(("ALTER SECRET".into(), updates))
            }
            Plan::CreateConnection { item, validate, if_not_exists } => {
                if validate && let ItemDefinition::Connection(connection) = &item.definition {
                    let connection = self.resolve_connection(connection)?;
                    self.upstream.validate_mysql(&connection).await?;
                }
                let (op, _) = self.create_op(item, session);
                let result = self.transact(vec![op]).await;
                lenient(session, result, if_not_exists, "42710").map(|u| ("CREATE CONNECTION".into(), u))
            }
            Plan::CreateItems { items, replace, if_not_exists, tag } => {
                let updates = self.create_items(session, items, replace, if_not_exists).await?;
                Ok((tag.to_owned(), updates))
            }
            Plan::Drop(plan) => {
                session.notices.extend(plan.notices.into_iter().map(Notice::notice));
                let updates = self.drop_objects(plan.objects).await?;
                Ok((plan.tag.to_owned(), updates))
            }
            Plan::Rename { object, to } => {
                Ok((alter_tag(object), self.transact(vec![Op::Rename { object, to }]).await?))
            }
            Plan::Swap { a, b } => Ok((alter_tag(a), self.transact(vec![Op::Swap { a, b }]).await?)),
            Plan::SetSchema { id, schema } => {
                Ok((alter_tag(ObjectId::Item(id)), self.transact(vec![Op::SetSchema { id, schema }]).await?))
            }
            Plan::SetOwner { object, role } => {
                Ok((alter_tag(object), self.transact(vec![Op::SetOwner { object, role }]).await?))
            }
            Plan::AlterSystem { name, value } => self.alter_system(session, name, value).await,
            Plan::Comment { object, column, text } => {
                Ok(("COMMENT".into(), self.transact(vec![Op::Comment { object, column, text }]).await?))
            }
            other => Err(AdapterError::internal(format!("unexpected plan {other:?}"))),
        }
    }

    async fn alter_system(
        &mut self,
        session: &Session,
        name: Option<String>,
        value: Option<String>,
    ) -> Result<(String, Vec<BuiltinUpdate>), AdapterError> {
        if session.user != "mz_system" {
            return Err(AdapterError::new("42501", "permission denied to ALTER SYSTEM")
                .with_detail("You must be the 'mz_system' role"));
        }
        let tag = if value.is_some() { "ALTER SYSTEM SET" } else { "ALTER SYSTEM RESET" };
        let (name, value) = match name {
            None => (None, None),
            Some(name) => {
                let def = crate::vars::lookup(&name).ok_or_else(|| crate::vars::unknown(&name))?;
                let value = value.map(|v| def.normalize(&[v])).transpose()?;
                (Some(def.name.to_owned()), value)
            }
        };
        let updates = self.transact(vec![Op::AlterSystem { name, value }]).await?;
        self.restart_all_sources();
        Ok((tag.to_owned(), updates))
    }

    /// Checks the system's limits on how many objects of a kind there may be.
    fn check_limits(&self, new: &[ItemKind]) -> Result<(), AdapterError> {
        const LIMITS: [(ItemKind, &str); 4] = [
            (ItemKind::Table, "max_tables"),
            (ItemKind::Source, "max_sources"),
            (ItemKind::MaterializedView, "max_materialized_views"),
            (ItemKind::Secret, "max_secrets"),
        ];
        for (kind, name) in LIMITS {
            let wanted = new.iter().filter(|k| **k == kind).count();
            if wanted > 0 {
                let state = self.catalog.state();
                let current = state.items().filter(|i| i.id.is_user() && i.kind() == kind).count();
                self.check_limit(&kind.to_string(), name, current, wanted)?;
            }
        }
        Ok(())
    }

    fn check_limit(&self, what: &str, name: &str, current: usize, new: usize) -> Result<(), AdapterError> {
        let set = hw_sql::Catalog::system_parameter(&*self.catalog.state(), name);
        let default = crate::vars::lookup(name).map_or("0", |v| v.default).to_owned();
        let limit: usize = set.unwrap_or(default).parse().unwrap_or(usize::MAX);
        if current + new <= limit {
            return Ok(());
        }
        Err(AdapterError::new("54000", format!("creating {what} would violate {name} limit (desired: {}, limit: {limit}, current: {current})", current + new))
            .with_hint("Drop an existing object or have the limit raised with ALTER SYSTEM SET."))
    }

    fn workers_of_size(&self, size: &str) -> Result<usize, AdapterError> {
        let state = self.catalog.state();
        state.workers_of_size(size).ok_or_else(|| {
            let sizes = hw_sql::Catalog::replica_sizes(&*state);
            let names: Vec<String> = sizes.into_iter().map(|(n, _)| n).collect();
            AdapterError::new("22023", format!("unknown cluster replica size {size}"))
                .with_hint(format!("Valid sizes are: {}.", names.join(", ")))
        })
    }

    fn create_op(&mut self, item: NewItem, session: &Session) -> (Op, GlobalId) {
        let id = item.id.unwrap_or_else(|| self.catalog.allocate_user_id());
        let durable = match &item.definition {
            ItemDefinition::Table(_) | ItemDefinition::MaterializedView(_) => true,
            ItemDefinition::Source(source) => source.desc.is_some(),
            _ => false,
        };
        let temporary = match &item.definition {
            ItemDefinition::View(v) => v.temporary,
            ItemDefinition::Table(t) => t.temporary,
            _ => false,
        };
        let op = Op::CreateItem {
            id,
            schema: item.name.schema,
            name: item.name.item,
            create_sql: item.create_sql,
            definition: item.definition,
            uses: item.uses,
            owner: session.role,
            temporary: temporary.then_some(session.conn_id),
            shard: durable.then(uuid::Uuid::new_v4),
        };
        (op, id)
    }

    async fn create_items(
        &mut self,
        session: &mut Session,
        items: Vec<NewItem>,
        replace: Option<GlobalId>,
        if_not_exists: bool,
    ) -> Result<Vec<BuiltinUpdate>, AdapterError> {
        for item in &items {
            self.check_materializable(&item.definition)?;
        }
        let new: Vec<ItemKind> = items.iter().map(|i| i.definition.kind()).collect();
        self.check_limits(&new)?;
        let mut ops = Vec::new();
        if let Some(id) = replace {
            ops.push(Op::DropObjects(vec![ObjectId::Item(id)]));
        }
        let mut ids = Vec::new();
        for item in items {
            let (op, id) = self.create_op(item, session);
            ops.push(op);
            ids.push(id);
        }
        let result = self.transact(ops).await;
        let existed = result.is_err();
        let updates = lenient(session, result, if_not_exists, "42P07")?;
        if !existed {
            if let Some(id) = replace {
                self.controller.drop_collections([id]);
                self.tables.remove(&id);
            }
            self.start_items(&ids).await?;
        }
        Ok(updates)
    }

    /// Brings clusters to run new items: shards first, then what fills them.
    pub(crate) async fn start_items(&mut self, ids: &[GlobalId]) -> Result<(), AdapterError> {
        let state = self.catalog.state();
        let mut sources = BTreeSet::new();
        for id in ids {
            self.add_shard(*id).await?;
            let Some(item) = hw_sql::Catalog::item(&*state, *id) else { continue };
            if let Some(source) = source_of(&item.definition, *id) {
                sources.insert(source);
            }
        }
        for id in ids {
            self.start_dataflow(*id)?;
        }
        for id in sources {
            self.start_source(id)?;
        }
        Ok(())
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
        let initial = if written_here { self.oracle.read_ts().max(1) } else { 0 };
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
                let mir = hw_sql::lowering::lower(view.expr.clone())?;
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

    async fn drop_objects(&mut self, objects: Vec<ObjectId>) -> Result<Vec<BuiltinUpdate>, AdapterError> {
        let state = self.catalog.state();
        let updates = self.transact(vec![Op::DropObjects(objects.clone())]).await?;
        let mut changed_sources = BTreeSet::new();
        let mut dropped = Vec::new();
        for object in objects {
            match object {
                ObjectId::Item(id) => {
                    if let Some(item) = hw_sql::Catalog::item(&*state, id)
                        && let Some(source) = source_of(&item.definition, id)
                    {
                        changed_sources.insert(source);
                    }
                    self.tables.remove(&id);
                    self.system.dropped(id);
                    dropped.push(id);
                }
                ObjectId::Cluster(id) => self.controller.drop_cluster(id),
                ObjectId::Replica(cluster, replica) => {
                    self.controller.drop_replica(cluster, replica);
                    self.system.replica_dropped(replica);
                }
                _ => {}
            }
        }
        self.controller.drop_collections(dropped.iter().copied());
        for source in changed_sources.into_iter().filter(|s| !dropped.contains(s)) {
            self.start_source(source)?;
        }
        Ok(updates)
    }

    /// Drops a session's temporary items.
    pub(crate) async fn drop_temporary_items(&mut self, conn_id: u32) {
        let ids = self.catalog.temporary_items(conn_id);
        if ids.is_empty() {
            return;
        }
        let objects = ids.into_iter().map(ObjectId::Item).collect();
        match self.drop_objects(objects).await {
            Ok(updates) => self.write(group(updates), None),
            Err(e) => tracing::warn!(error = %e, "temporary items of a session are not dropped"),
        }
    }

    async fn alter_cluster(
        &mut self,
        ctx: ExecuteContext,
        cluster: ClusterId,
        size: Option<String>,
        replication_factor: Option<u32>,
    ) {
        match self.begin_alter_cluster(&ctx.session, cluster, size, replication_factor).await {
            Err(e) => ctx.retire(Err(e)),
            Ok((updates, pending)) => {
                self.write(group(updates), None);
                let (size, replication_factor, new, old) = pending;
                self.pending_alters.push(PendingAlter { ctx, cluster, size, replication_factor, new, old });
                self.check_alters().await;
            }
        }
    }

    /// Adds the replicas that the cluster is to have.
    #[allow(clippy::type_complexity)]
    async fn begin_alter_cluster(
        &mut self,
        session: &Session,
        cluster: ClusterId,
        size: Option<String>,
        replication_factor: Option<u32>,
    ) -> Result<(Vec<BuiltinUpdate>, (String, u32, Vec<(ReplicaId, String)>, Vec<ReplicaId>)), AdapterError>
    {
        let state = self.catalog.state();
        let info = hw_sql::Catalog::cluster(&*state, cluster)
            .ok_or_else(|| AdapterError::new("42704", "the cluster does not exist"))?;
        let current = info
            .size
            .clone()
            .ok_or_else(|| AdapterError::new("0A000", format!("cluster \"{}\" is not managed", info.name)))?;
        let new_size = size.unwrap_or_else(|| current.clone());
        let factor = replication_factor.unwrap_or(info.replication_factor);
        let workers = self.workers_of_size(&new_size)?;
        let resized = new_size != current;
        let kept = if resized { 0 } else { info.replicas.len().min(factor as usize) };
        let old: Vec<ReplicaId> = info.replicas.iter().skip(kept).map(|(id, _, _)| *id).collect();
        let mut ops = Vec::new();
        let mut new = Vec::new();
        for n in kept..factor as usize {
            let id = self.catalog.allocate_replica_id(false);
            let name = format!("r{}", n + 1);
            let taken = info.replicas.iter().any(|(_, other, _)| *other == name);
            let first_name = if taken { format!("{name}-pending") } else { name.clone() };
            ops.push(Op::CreateReplica {
                cluster,
                id,
                name: first_name,
                size: new_size.clone(),
                owner: session.role,
            });
            new.push((id, name));
        }
        let updates = self.transact(ops).await?;
        for (id, _) in &new {
            self.controller.create_replica(cluster, *id, workers);
            self.system.replica_created(*id);
        }
        Ok((updates, (new_size, factor, new, old)))
    }

    /// Ends every ALTER CLUSTER whose new replicas have what they need, or that was cancelled.
    pub(crate) async fn check_alters(&mut self) {
        let mut waiting = Vec::new();
        for alter in std::mem::take(&mut self.pending_alters) {
            let hydrated =
                alter.new.iter().all(|(id, _)| self.controller.replica_hydrated(alter.cluster, *id));
            if hydrated {
                self.finish_alter(alter).await;
            } else if alter.ctx.session.cancel.is_cancelled() {
                self.undo_alter(alter).await;
            } else {
                waiting.push(alter);
            }
        }
        self.pending_alters.extend(waiting);
    }

    async fn finish_alter(&mut self, alter: PendingAlter) {
        let PendingAlter { ctx, cluster, size, replication_factor, new, old } = alter;
        let mut ops: Vec<Op> = Vec::new();
        let drops: Vec<ObjectId> = old.iter().map(|r| ObjectId::Replica(cluster, *r)).collect();
        if !drops.is_empty() {
            ops.push(Op::DropObjects(drops));
        }
        ops.extend(new.into_iter().map(|(id, to)| Op::RenameReplica { cluster, id, to }));
        ops.push(Op::UpdateCluster { id: cluster, size: Some(size), replication_factor });
        match self.transact(ops).await {
            Ok(updates) => {
                for replica in old {
                    self.controller.drop_replica(cluster, replica);
                    self.system.replica_dropped(replica);
                }
                self.finish_ddl(ctx, "ALTER CLUSTER".into(), updates);
            }
            Err(e) => ctx.retire(Err(e)),
        }
    }

    async fn undo_alter(&mut self, alter: PendingAlter) {
        let objects: Vec<ObjectId> =
            alter.new.iter().map(|(id, _)| ObjectId::Replica(alter.cluster, *id)).collect();
        if let Ok(updates) = self.drop_objects(objects).await {
            self.write(group(updates), None);
        }
        alter.ctx.retire(Err(AdapterError::canceled()));
    }
}

/// Whether the coordinator itself writes a collection.
pub(crate) fn is_written_here(definition: &ItemDefinition) -> bool {
    matches!(definition, ItemDefinition::Table(t) if t.source.is_none())
}

/// The source that an item is or belongs to.
fn source_of(definition: &ItemDefinition, id: GlobalId) -> Option<GlobalId> {
    use hw_sql::plan::SourceKind;
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
pub(crate) fn group(updates: Vec<BuiltinUpdate>) -> BTreeMap<GlobalId, Vec<(Row, Diff)>> {
    let mut out: BTreeMap<GlobalId, Vec<(Row, Diff)>> = BTreeMap::new();
    for u in updates {
        out.entry(u.id).or_default().push((u.row, u.diff));
    }
    out
}

/// IF NOT EXISTS: that the name is taken is then only a notice.
fn lenient(
    session: &mut Session,
    result: Result<Vec<BuiltinUpdate>, AdapterError>,
    if_not_exists: bool,
    _sqlstate: &str,
) -> Result<Vec<BuiltinUpdate>, AdapterError> {
    match result {
        Err(e) if if_not_exists && e.message.ends_with("already exists") => {
            session
                .notices
                .push(Notice { sqlstate: "42710", ..Notice::notice(format!("{}, skipping", e.message)) });
            Ok(vec![])
        }
        other => other,
    }
}

fn alter_tag(object: ObjectId) -> String {
    match object {
        ObjectId::Item(_) => "ALTER TABLE",
        ObjectId::Database(_) => "ALTER DATABASE",
        ObjectId::Schema(_) => "ALTER SCHEMA",
        ObjectId::Cluster(_) => "ALTER CLUSTER",
        ObjectId::Replica(..) => "ALTER CLUSTER REPLICA",
        ObjectId::Role(_) => "ALTER ROLE",
    }
    .to_owned()
}
