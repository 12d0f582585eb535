//! System relations, and the objects that every environment has.
//!
//! Ids are stable: they stand in stored dependencies and in shards' bookkeeping. A new relation takes a new number; a number is never
//! used again.

mod information_schema;
mod pg_catalog;
mod shape;
pub mod tables;
pub mod views;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hw_expr::MirScalarExpr;
use hw_repr::{ClusterId, GlobalId, MZ_CATALOG_OID, PG_CATALOG_OID, ReplicaId, RoleId, SchemaId};
use hw_sql::catalog::{ClusterInfo, ItemInfo};
use hw_sql::plan::{IndexDefinition, ItemDefinition, TableDefinition, ViewDefinition};
use uuid::Uuid;

use crate::durable::{Changes, Kind};
use crate::ops::{CatalogConfig, ItemPlanner, Op, insert_item};
use crate::proto;
use crate::state::{CatalogState, Role, Schema};

/// `mz_catalog`
pub const MZ_CATALOG_SCHEMA_ID: SchemaId = SchemaId::System(1);
/// `mz_internal`
pub const MZ_INTERNAL_SCHEMA_ID: SchemaId = SchemaId::System(2);
/// `pg_catalog`
pub const PG_CATALOG_SCHEMA_ID: SchemaId = SchemaId::System(3);
/// `information_schema`
pub const INFORMATION_SCHEMA_ID: SchemaId = SchemaId::System(4);
/// `mz_unsafe`
pub const MZ_UNSAFE_SCHEMA_ID: SchemaId = SchemaId::System(5);
/// `mz_temp`, of which each session has its own
pub const MZ_TEMP_SCHEMA_ID: SchemaId = SchemaId::System(6);

/// The cluster that serves system relations.
pub const MZ_CATALOG_SERVER_CLUSTER_ID: ClusterId = ClusterId::System(1);
/// The cluster of the system role.
pub const MZ_SYSTEM_CLUSTER_ID: ClusterId = ClusterId::System(2);

/// The system role, which may do everything.
pub const MZ_SYSTEM_ROLE_ID: RoleId = RoleId::System(1);
/// The role of those who help.
pub const MZ_SUPPORT_ROLE_ID: RoleId = RoleId::System(2);

/// `mz_internal.mz_source_status_history`
pub const MZ_SOURCE_STATUS_HISTORY_ID: GlobalId = GlobalId::System(101);
/// `mz_internal.mz_source_statistics`
pub const MZ_SOURCE_STATISTICS_ID: GlobalId = GlobalId::System(102);
/// `mz_internal.mz_cluster_replica_statuses`
pub const MZ_CLUSTER_REPLICA_STATUSES_ID: GlobalId = GlobalId::System(103);
/// `mz_internal.mz_frontiers`
pub const MZ_FRONTIERS_ID: GlobalId = GlobalId::System(104);

/// The first oid of system relations; users' objects follow at [`FIRST_USER_OID`].
const FIRST_SYSTEM_OID: u32 = 16_700;
const FIRST_USER_OID: u32 = 20_000;

/// The id counters of a new environment.
pub(crate) fn first_counters() -> proto::Counters {
    // The first cluster is made with its number, see `first_objects`.
    proto::Counters { oid: FIRST_USER_OID, cluster: 1, ..proto::Counters::default() }
}

/// What a new environment has.
pub(crate) fn first_objects(config: &CatalogConfig) -> Vec<Op> {
    let owner = RoleId::User(1);
    let cluster = ClusterId::User(1);
    let size = config.default_cluster_size.clone();
    vec![
        Op::CreateRole { name: "materialize".into(), options: BTreeMap::new() },
        Op::CreateDatabase { name: "materialize".into(), owner },
        Op::CreateCluster {
            id: cluster,
            name: "quickstart".into(),
            owner,
            size: Some(size.clone()),
            replication_factor: 1,
        },
        // Numbers below a thousand are for the first objects.
        Op::CreateReplica { cluster, id: ReplicaId::User(0), name: "r1".into(), size, owner },
    ]
}

/// Puts system objects into a state that has the users' databases, roles and clusters.
pub(crate) fn load(
    state: &mut CatalogState,
    shards: &BTreeMap<String, proto::BuiltinShard>,
    changes: &mut Changes,
    planner: &dyn ItemPlanner,
) {
    load_schemas(state);
    load_roles(state);
    load_clusters(state);
    for table in tables::TABLES {
        let desc = table.desc();
        let nulls = desc.iter().map(|(_, t)| {
            let null = hw_repr::Row::pack_slice(&[hw_repr::Datum::Null]);
            hw_expr::HirScalarExpr::Literal(null, t.scalar_type.clone().nullable(true))
        });
        let definition = TableDefinition { defaults: nulls.collect(), desc, source: None, temporary: false };
        add(
            state,
            table.id,
            table.schema,
            table.name,
            ItemDefinition::Table(definition),
            BTreeSet::new(),
            "",
            None,
        );
        let key = GlobalId::System(table.id).to_string();
        let known = shards.get(&key).and_then(|s| Uuid::parse_str(&s.shard).ok());
        let shard = known.unwrap_or_else(|| {
            let shard = Uuid::new_v4();
            changes.put(Kind::Builtin, &key, &proto::BuiltinShard { shard: shard.to_string() });
            shard
        });
        state.shards.insert(GlobalId::System(table.id), shard);
    }
    for view in views::VIEWS {
        match planner.plan_builtin_view(state, view.sql) {
            Ok((expr, desc, uses)) => {
                let definition = ItemDefinition::View(ViewDefinition { expr, desc, temporary: false });
                add(state, view.id, view.schema, view.name, definition, uses, view.sql, None);
            }
            Err(e) => tracing::error!(view = view.name, error = %e, "built-in view does not plan"),
        }
    }
    for view in shape::shapes() {
        match shape::plan(&view, state, planner) {
            Ok((expr, desc, uses)) => {
                let definition = ItemDefinition::View(ViewDefinition { expr, desc, temporary: false });
                let sql = view.sql.unwrap_or_default();
                add(state, view.id, view.schema, view.name, definition, uses, sql, view.oid);
            }
            Err(e) => tracing::error!(view = view.name, error = %e, "built-in view does not plan"),
        }
    }
    for index in tables::INDEXES {
        let on = GlobalId::System(index.on);
        let Some(item) = state.items.get(&on) else { continue };
        let keys = index.keys.iter().map(|c| MirScalarExpr::Column(*c)).collect();
        let name = format!("{}_ind", item.name.item);
        let definition = IndexDefinition { on, keys, cluster: MZ_CATALOG_SERVER_CLUSTER_ID };
        let schema = item.schema_id;
        add(
            state,
            index.id,
            schema,
            &name,
            ItemDefinition::Index(definition),
            BTreeSet::from([on]),
            "",
            None,
        );
    }
}

#[allow(clippy::too_many_arguments)] // an item's parts, once each
fn add(
    state: &mut CatalogState,
    id: u64,
    schema_id: SchemaId,
    name: &str,
    definition: ItemDefinition,
    uses: BTreeSet<GlobalId>,
    create_sql: &str,
    oid: Option<u32>,
) {
    let info = ItemInfo {
        id: GlobalId::System(id),
        oid: oid.unwrap_or(FIRST_SYSTEM_OID + id as u32),
        schema_id,
        name: state.full_name(schema_id, name),
        owner: MZ_SYSTEM_ROLE_ID,
        create_sql: create_sql.to_owned(),
        definition,
        uses,
        used_by: BTreeSet::new(),
    };
    insert_item(state, info);
}

fn load_schemas(state: &mut CatalogState) {
    const SCHEMAS: [(SchemaId, &str, u32); 6] = [
        (MZ_CATALOG_SCHEMA_ID, "mz_catalog", MZ_CATALOG_OID),
        (MZ_INTERNAL_SCHEMA_ID, "mz_internal", 16_601),
        (PG_CATALOG_SCHEMA_ID, "pg_catalog", PG_CATALOG_OID),
        (INFORMATION_SCHEMA_ID, "information_schema", 16_602),
        (MZ_UNSAFE_SCHEMA_ID, "mz_unsafe", 16_603),
        (MZ_TEMP_SCHEMA_ID, "mz_temp", 16_604),
    ];
    for (id, name, oid) in SCHEMAS {
        let schema = Schema {
            database: None,
            name: name.into(),
            owner: MZ_SYSTEM_ROLE_ID,
            oid,
            items: BTreeMap::new(),
            types: BTreeMap::new(),
        };
        state.schemas.insert(id, Arc::new(schema));
    }
}

fn load_roles(state: &mut CatalogState) {
    for (id, name, oid) in
        [(MZ_SYSTEM_ROLE_ID, "mz_system", 16_610), (MZ_SUPPORT_ROLE_ID, "mz_support", 16_611)]
    {
        let role = Role { name: name.into(), options: BTreeMap::new(), oid };
        state.roles.insert(id, Arc::new(role));
    }
}

fn load_clusters(state: &mut CatalogState) {
    let smallest = state.sizes.0.iter().min_by_key(|(name, s)| (s.workers, name.len(), (*name).clone()));
    let size = smallest.map(|(name, _)| name.clone()).unwrap_or_default();
    // The system role's cluster has a replica only when someone gives it one: it costs memory.
    let clusters = [
        (
            MZ_CATALOG_SERVER_CLUSTER_ID,
            "mz_catalog_server",
            vec![(ReplicaId::System(1), "r1".to_owned(), size.clone())],
        ),
        (MZ_SYSTEM_CLUSTER_ID, "mz_system", vec![]),
    ];
    for (id, name, replicas) in clusters {
        let info = ClusterInfo {
            id,
            name: name.into(),
            owner: MZ_SYSTEM_ROLE_ID,
            size: Some(size.clone()),
            replication_factor: replicas.len() as u32,
            replicas,
            bound_objects: BTreeSet::new(),
        };
        state.clusters.insert(id, Arc::new(info));
    }
}
