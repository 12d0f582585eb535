//! CREATE, ALTER and DROP become steps of the session's transaction of the catalog. They are checked as they are added, and the
//! transaction's later statements see them; when it commits all of them are carried out together, and clusters `follow`.

use hw_catalog::builtin::MZ_TEMP_SCHEMA_ID;
use hw_catalog::{CatalogError, CatalogState, Op};
use hw_repr::{ClusterId, GlobalId};
use hw_sql::ItemKind;
use hw_sql::plan::{DiscardWhat, ItemDefinition, NewItem, ObjectId, Plan};

use crate::client::ExecuteResponse;
use crate::coordinator::{Coordinator, ExecuteContext, Message};
use crate::error::{AdapterError, Notice};
use crate::session::{Session, TransactionOps};

/// Turns a catalog's error into a client's.
pub(crate) fn catalog_error(e: CatalogError) -> AdapterError {
    let mut error = AdapterError::new(e.sqlstate(), e.to_string());
    error.detail = e.detail();
    error.hint = e.hint();
    error
}

impl Coordinator {
    pub(crate) async fn sequence_ddl(&mut self, mut ctx: ExecuteContext, plan: Plan) {
        match plan {
            Plan::AlterCluster { cluster, size, replication_factor } => {
                self.alter_cluster(ctx, cluster, size, replication_factor).await;
            }
            Plan::CreateConnection { item, validate: true, if_not_exists } => {
                self.validate_new_connection(ctx, item, if_not_exists);
            }
            plan => {
                let result = self.stage(&mut ctx.session, plan);
                ctx.retire(result.map(ExecuteResponse::Done));
            }
        }
    }

    /// CREATE CONNECTION that asks upstream first.
    fn validate_new_connection(&mut self, ctx: ExecuteContext, item: NewItem, if_not_exists: bool) {
        let connection = match &item.definition {
            ItemDefinition::Connection(connection) => self.resolve_connection(&ctx.session, connection),
            _ => Err(AdapterError::internal("a connection that is none")),
        };
        let connection = match connection {
            Ok(connection) => connection,
            Err(e) => return ctx.retire(Err(e)),
        };
        let (upstream, messages) = (std::sync::Arc::clone(&self.upstream), self.messages.clone());
        let cancel = ctx.session.cancel.clone();
        hw_base::task::spawn("validate-connection", async move {
            let result = tokio::select! {
                result = upstream.validate_mysql(&connection) => result.map_err(AdapterError::from),
                () = cancel.cancelled() => Err(cancel.error()),
            };
            match result {
                Ok(()) => {
                    let plan = Plan::CreateConnection { item, validate: false, if_not_exists };
                    let _gone = messages.send(Message::Resume(Box::new((ctx, plan, Default::default()))));
                }
                Err(e) => ctx.retire(Err(e)),
            }
        });
    }

    /// Adds steps to the session's transaction.
    fn stage_ops(&mut self, session: &mut Session, ops: Vec<Op>) -> Result<(), AdapterError> {
        let transaction = session.transaction_mut(self.oracle.now_ms());
        if !matches!(transaction.ops, TransactionOps::Ddl(_)) {
            transaction.ops = TransactionOps::Ddl(Box::new(self.catalog.begin()));
        }
        match &mut transaction.ops {
            TransactionOps::Ddl(open) => self.catalog.extend(open, ops).map_err(catalog_error),
            _ => Err(AdapterError::internal("a transaction of DDL that is none")),
        }
    }

    /// Adds a statement's steps to the session's transaction; gives the command tag.
    fn stage(&mut self, session: &mut Session, plan: Plan) -> Result<String, AdapterError> {
        let owner = session.role;
        let state = self.session_state(session);
        match plan {
            Plan::CreateDatabase { name, if_not_exists } => {
                let result = self.stage_ops(session, vec![Op::CreateDatabase { name, owner }]);
                lenient(session, result, if_not_exists)?;
                Ok("CREATE DATABASE".into())
            }
            Plan::CreateSchema { database, name, if_not_exists } => {
                let result = self.stage_ops(session, vec![Op::CreateSchema { database, name, owner }]);
                lenient(session, result, if_not_exists)?;
                Ok("CREATE SCHEMA".into())
            }
            Plan::CreateRole { name, options } => {
                self.stage_ops(session, vec![Op::CreateRole { name, options }])?;
                Ok("CREATE ROLE".into())
            }
            plan @ Plan::CreateCluster { .. } => self.stage_cluster(session, &state, plan),
            Plan::CreateClusterReplica { cluster, name, size } => {
                workers_of_size(&state, &size)?;
                let id = self.catalog.allocate_replica_id(false);
                self.stage_ops(session, vec![Op::CreateReplica { cluster, id, name, size, owner }])?;
                Ok("CREATE CLUSTER REPLICA".into())
            }
            Plan::CreateSecret { item, value, if_not_exists } => {
                check_limits(&state, &[ItemKind::Secret])?;
                let (op, id) = self.create_op(item, session);
                let result = self.stage_ops(session, vec![op, Op::SetSecret { id, value }]);
                lenient(session, result, if_not_exists)?;
                Ok("CREATE SECRET".into())
            }
            Plan::AlterSecret { id, value } => {
                self.stage_ops(session, vec![Op::SetSecret { id, value }])?;
                Ok("ALTER SECRET".into())
            }
            Plan::CreateConnection { item, if_not_exists, .. } => {
                let (op, _) = self.create_op(item, session);
                let result = self.stage_ops(session, vec![op]);
                lenient(session, result, if_not_exists)?;
                Ok("CREATE CONNECTION".into())
            }
            Plan::CreateItems { items, replace, if_not_exists, tag } => {
                self.stage_items(session, &state, items, replace, if_not_exists)?;
                Ok(tag.to_owned())
            }
            Plan::Drop(plan) => {
                session.notices.extend(plan.notices.into_iter().map(Notice::notice));
                if !plan.objects.is_empty() {
                    self.stage_ops(session, vec![Op::DropObjects(plan.objects)])?;
                }
                Ok(plan.tag.to_owned())
            }
            Plan::Discard(DiscardWhat::Temp) => {
                self.stage_temporary_drop(session)?;
                Ok("DISCARD TEMP".into())
            }
            plan => self.stage_alteration(session, &state, plan),
        }
    }

    fn stage_alteration(
        &mut self,
        session: &mut Session,
        state: &CatalogState,
        plan: Plan,
    ) -> Result<String, AdapterError> {
        let (tag, op) = match plan {
            Plan::Rename { object, to } => (alter_tag(state, object), Op::Rename { object, to }),
            Plan::Swap { a, b } => (alter_tag(state, a), Op::Swap { a, b }),
            Plan::SetSchema { id, schema } => {
                (alter_tag(state, ObjectId::Item(id)), Op::SetSchema { id, schema })
            }
            Plan::SetOwner { object, role } => (alter_tag(state, object), Op::SetOwner { object, role }),
            Plan::Comment { object, column, text } => {
                ("COMMENT".to_owned(), Op::Comment { object, column, text })
            }
            Plan::AlterSystem { name, value } => alter_system(session, name, value)?,
            other => return Err(AdapterError::internal(format!("unexpected plan {other:?}"))),
        };
        self.stage_ops(session, vec![op])?;
        Ok(tag)
    }

    fn stage_cluster(
        &mut self,
        session: &mut Session,
        state: &CatalogState,
        plan: Plan,
    ) -> Result<String, AdapterError> {
        let Plan::CreateCluster { name, size, replication_factor, replicas, if_not_exists } = plan else {
            return Err(AdapterError::internal("a cluster that is none"));
        };
        let owner = session.role;
        let clusters = hw_sql::Catalog::clusters(state);
        let current = clusters.iter().filter(|c| matches!(c.id, ClusterId::User(_))).count();
        check_limit(state, "cluster", "max_clusters", current, 1)?;
        let id = self.catalog.allocate_cluster_id();
        let managed =
            size.iter().flat_map(|s| (1..=replication_factor).map(move |n| (format!("r{n}"), s.clone())));
        let replicas: Vec<(String, String)> = managed.chain(replicas).collect();
        let mut ops = vec![Op::CreateCluster { id, name, owner, size: size.clone(), replication_factor }];
        for (name, size) in replicas {
            workers_of_size(state, &size)?;
            let replica = self.catalog.allocate_replica_id(false);
            ops.push(Op::CreateReplica { cluster: id, id: replica, name, size, owner });
        }
        let result = self.stage_ops(session, ops);
        lenient(session, result, if_not_exists)?;
        Ok("CREATE CLUSTER".into())
    }

    /// Drops the session's temporary items with the transaction.
    pub(crate) fn stage_temporary_drop(&mut self, session: &mut Session) -> Result<(), AdapterError> {
        let state = self.session_state(session);
        let ids = state.temporary_items(session.conn_id);
        if ids.is_empty() {
            return Ok(());
        }
        self.stage_ops(session, vec![Op::DropObjects(ids.into_iter().map(ObjectId::Item).collect())])
    }

    fn create_op(&mut self, item: NewItem, session: &Session) -> (Op, GlobalId) {
        let id = item.id.unwrap_or_else(|| self.catalog.allocate_user_id());
        let durable = match &item.definition {
            ItemDefinition::Table(_) | ItemDefinition::MaterializedView(_) => true,
            ItemDefinition::Source(source) => source.desc.is_some(),
            _ => false,
        };
        let temporary = item.name.schema == MZ_TEMP_SCHEMA_ID;
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

    fn stage_items(
        &mut self,
        session: &mut Session,
        state: &CatalogState,
        items: Vec<NewItem>,
        replace: Option<GlobalId>,
        if_not_exists: bool,
    ) -> Result<(), AdapterError> {
        for item in &items {
            self.check_materializable(state, &item.definition)?;
        }
        let new: Vec<ItemKind> = items.iter().map(|i| i.definition.kind()).collect();
        check_limits(state, &new)?;
        let mut ops = Vec::new();
        if let Some(id) = replace {
            // Its indexes go with it; what others have built on it stands in the way.
            let objects = state.drop_closure(&[ObjectId::Item(id)], false).map_err(catalog_error)?;
            ops.push(Op::DropObjects(objects));
        }
        for item in items {
            ops.push(self.create_op(item, session).0);
        }
        let result = self.stage_ops(session, ops);
        lenient(session, result, if_not_exists)
    }
}

/// Checks the system's limits on how many objects of a kind there may be.
fn check_limits(state: &CatalogState, new: &[ItemKind]) -> Result<(), AdapterError> {
    const LIMITS: [(ItemKind, &str); 4] = [
        (ItemKind::Table, "max_tables"),
        (ItemKind::Source, "max_sources"),
        (ItemKind::MaterializedView, "max_materialized_views"),
        (ItemKind::Secret, "max_secrets"),
    ];
    for (kind, name) in LIMITS {
        let wanted = new.iter().filter(|k| **k == kind).count();
        if wanted > 0 {
            let current = state.items().filter(|i| i.id.is_user() && i.kind() == kind).count();
            check_limit(state, &kind.to_string(), name, current, wanted)?;
        }
    }
    Ok(())
}

fn check_limit(
    state: &CatalogState,
    what: &str,
    name: &str,
    current: usize,
    new: usize,
) -> Result<(), AdapterError> {
    let set = hw_sql::Catalog::system_parameter(state, name);
    let default = crate::vars::lookup(name).map_or("0", |v| v.default).to_owned();
    let limit: usize = set.unwrap_or(default).parse().unwrap_or(usize::MAX);
    let desired = current + new;
    if desired <= limit {
        return Ok(());
    }
    let message = format!(
        "creating {what} would violate {name} limit (desired: {desired}, limit: {limit}, current: {current})"
    );
    Err(AdapterError::new("54000", message)
        .with_hint("Drop an existing object or have the limit raised with ALTER SYSTEM SET."))
}

/// How many workers a replica of a size has.
pub(crate) fn workers_of_size(state: &CatalogState, size: &str) -> Result<usize, AdapterError> {
    let allowed =
        hw_sql::Catalog::system_parameter(state, "allowed_cluster_replica_sizes").unwrap_or_default();
    let allowed = crate::vars::parse_ident_list(&allowed).unwrap_or_default();
    if !allowed.is_empty() && !allowed.iter().any(|a| a == size) {
        return Err(AdapterError::new("22023", format!("cluster replica size {size} is not allowed"))
            .with_hint(format!("Allowed sizes are: {}.", allowed.join(", "))));
    }
    state.workers_of_size(size).ok_or_else(|| {
        let sizes = hw_sql::Catalog::replica_sizes(state);
        let names: Vec<String> = sizes.into_iter().map(|(n, _)| n).collect();
        AdapterError::new("22023", format!("unknown cluster replica size {size}"))
            .with_hint(format!("Valid sizes are: {}.", names.join(", ")))
    })
}

fn alter_system(
    session: &Session,
    name: Option<String>,
    value: Option<String>,
) -> Result<(String, Op), AdapterError> {
    if session.user != "mz_system" {
        return Err(AdapterError::new("42501", "permission denied to ALTER SYSTEM")
            .with_detail("You must be the 'mz_system' role"));
    }
    let tag = if value.is_some() { "ALTER SYSTEM SET" } else { "ALTER SYSTEM RESET" };
    let Some(name) = name else { return Ok((tag.to_owned(), Op::AlterSystem { name: None, value: None })) };
    let def = crate::vars::lookup(&name).ok_or_else(|| crate::vars::unknown(&name))?;
    let value = value.map(|v| def.normalize_text(&v)).transpose()?;
    Ok((tag.to_owned(), Op::AlterSystem { name: Some(def.name.to_owned()), value }))
}

/// IF NOT EXISTS: that the name is taken is then only a notice.
fn lenient(
    session: &mut Session,
    result: Result<(), AdapterError>,
    if_not_exists: bool,
) -> Result<(), AdapterError> {
    match result {
        Err(e) if if_not_exists && e.message.ends_with("already exists") => {
            session
                .notices
                .push(Notice { sqlstate: "42710", ..Notice::notice(format!("{}, skipping", e.message)) });
            Ok(())
        }
        other => other,
    }
}

fn alter_tag(state: &CatalogState, object: ObjectId) -> String {
    let what = match object {
        ObjectId::Item(id) => {
            let kind = hw_sql::Catalog::item(state, id).map_or(ItemKind::Table, |i| i.kind());
            return format!("ALTER {}", kind.to_string().to_uppercase());
        }
        ObjectId::Database(_) => "DATABASE",
        ObjectId::Schema(_) => "SCHEMA",
        ObjectId::Cluster(_) => "CLUSTER",
        ObjectId::Replica(..) => "CLUSTER REPLICA",
        ObjectId::Role(_) => "ROLE",
    };
    format!("ALTER {what}")
}
