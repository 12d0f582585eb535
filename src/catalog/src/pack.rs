//! The rows by which objects show in system relations.

use std::collections::BTreeMap;

use hw_expr::MirScalarExpr;
use hw_repr::{Datum, GlobalId, Row, ScalarType};
use hw_sql::catalog::ItemInfo;
use hw_sql::plan::{ItemDefinition, ObjectId, SourceKind};
use hw_sql::statement::{column_defaults, index_key_texts};

use crate::builtin::tables::TABLES;
use crate::builtin::{MZ_TEMP_SCHEMA_ID, PG_CATALOG_SCHEMA_ID};
use crate::ops::{BuiltinUpdate, belongs_to};
use crate::state::CatalogState;

type Rows = Vec<(GlobalId, Row)>;

/// The id of the system table of that name.
fn table(name: &str) -> GlobalId {
    let found = TABLES.iter().find(|t| t.name == name);
    GlobalId::System(found.expect("rows are packed for tables that exist").id)
}

impl CatalogState {
    /// What the system tables that follow from the catalog hold.
    pub fn pack_all(&self) -> Vec<BuiltinUpdate> {
        let mut rows = constant_rows(self);
        let items = self.items.keys().map(|id| ObjectId::Item(*id));
        let databases = self.databases.keys().map(|id| ObjectId::Database(*id));
        let schemas = self.schemas.keys().map(|id| ObjectId::Schema(*id));
        let roles = self.roles.keys().map(|id| ObjectId::Role(*id));
        let clusters = self.clusters.keys().map(|id| ObjectId::Cluster(*id));
        let replicas = self
            .clusters
            .values()
            .flat_map(|c| c.replicas.iter().map(|(r, _, _)| ObjectId::Replica(c.id, *r)));
        for object in items.chain(databases).chain(schemas).chain(roles).chain(clusters).chain(replicas) {
            rows.extend(pack_object(self, object));
        }
        rows.into_iter().map(|(id, row)| BuiltinUpdate { id, row, diff: 1 }).collect()
    }

    /// The tables that [`CatalogState::pack_all`] fills.
    pub fn catalog_derived_tables(&self) -> Vec<GlobalId> {
        TABLES.iter().filter(|t| t.derived).map(|t| GlobalId::System(t.id)).collect()
    }
}

/// Rows that depend on no object.
fn constant_rows(state: &CatalogState) -> Rows {
    let mut rows = Rows::new();
    for (name, size) in &state.sizes.0 {
        let datums = [
            Datum::String(name),
            Datum::UInt64(1),
            Datum::UInt64(size.workers as u64),
            size.memory_bytes.into(),
        ];
        rows.push((table("mz_cluster_replica_sizes"), Row::pack_slice(&datums)));
    }
    for cidr in state.egress_ips.iter() {
        let (ip, length) = cidr.split_once('/').unwrap_or((cidr, "32"));
        let cidr = format!("{ip}/{length}");
        let datums = [Datum::String(ip), Datum::Int32(length.parse().unwrap_or(32)), Datum::String(&cidr)];
        rows.push((table("mz_egress_ips"), Row::pack_slice(&datums)));
    }
    let schema = PG_CATALOG_SCHEMA_ID.to_string();
    for typ in ScalarType::builtins() {
        let id = format!("s{}", 100_000 + typ.oid());
        let category = typ.category().to_string();
        let datums = [
            Datum::String(&id),
            Datum::UInt32(typ.oid()),
            Datum::String(&schema),
            Datum::String(typ.pg_name()),
            Datum::String(&category),
            Datum::String("s1"),
        ];
        rows.push((table("mz_types"), Row::pack_slice(&datums)));
    }
    rows
}

/// The rows of one object; none if it does not exist.
pub(crate) fn pack_object(state: &CatalogState, object: ObjectId) -> Rows {
    let mut rows = match object {
        ObjectId::Item(id) => state.items.get(&id).map(|i| pack_item(state, i)).unwrap_or_default(),
        ObjectId::Database(id) => {
            let pack = |d: &crate::state::Database| {
                let (id, owner) = (id.to_string(), d.owner.to_string());
                let row =
                    [Datum::String(&id), Datum::UInt32(d.oid), Datum::String(&d.name), Datum::String(&owner)];
                vec![(table("mz_databases"), Row::pack_slice(&row))]
            };
            state.databases.get(&id).map(|d| pack(d)).unwrap_or_default()
        }
        ObjectId::Schema(id) if id == MZ_TEMP_SCHEMA_ID => vec![],
        ObjectId::Schema(id) => {
            let pack = |s: &crate::state::Schema| {
                let (id, owner, database) =
                    (id.to_string(), s.owner.to_string(), s.database.map(|d| d.to_string()));
                let row = [
                    Datum::String(&id),
                    Datum::UInt32(s.oid),
                    database.as_deref().into(),
                    Datum::String(&s.name),
                    Datum::String(&owner),
                ];
                vec![(table("mz_schemas"), Row::pack_slice(&row))]
            };
            state.schemas.get(&id).map(|s| pack(s)).unwrap_or_default()
        }
        ObjectId::Role(id) => {
            let pack = |r: &crate::state::Role| {
                let id = id.to_string();
                let inherit = r.options.get("inherit").is_none_or(|v| v != "false");
                let row =
                    [Datum::String(&id), Datum::UInt32(r.oid), Datum::String(&r.name), Datum::Bool(inherit)];
                vec![(table("mz_roles"), Row::pack_slice(&row))]
            };
            state.roles.get(&id).map(|r| pack(r)).unwrap_or_default()
        }
        ObjectId::Cluster(id) => {
            let pack = |c: &hw_sql::ClusterInfo| {
                let (id, owner) = (id.to_string(), c.owner.to_string());
                let row = [
                    Datum::String(&id),
                    Datum::String(&c.name),
                    Datum::String(&owner),
                    Datum::Bool(c.size.is_some()),
                    c.size.as_deref().into(),
                    if c.size.is_some() { Datum::UInt32(c.replication_factor) } else { Datum::Null },
                ];
                vec![(table("mz_clusters"), Row::pack_slice(&row))]
            };
            state.clusters.get(&id).map(|c| pack(c)).unwrap_or_default()
        }
        ObjectId::Replica(cluster, id) => {
            let found = state.clusters.get(&cluster);
            let found = found.and_then(|c| c.replicas.iter().find(|(r, _, _)| *r == id));
            let owner = state.replica_owners.get(&id).map_or("s1".to_owned(), |o| o.to_string());
            let pack = |(id, name, size): &(hw_repr::ReplicaId, String, String)| {
                let (id, cluster) = (id.to_string(), cluster.to_string());
                let row = [
                    Datum::String(&id),
                    Datum::String(name),
                    Datum::String(&cluster),
                    Datum::String(size),
                    Datum::String(&owner),
                ];
                vec![(table("mz_cluster_replicas"), Row::pack_slice(&row))]
            };
            found.map(pack).unwrap_or_default()
        }
    };
    rows.extend(pack_comments(state, object));
    rows
}

fn pack_comments(state: &CatalogState, object: ObjectId) -> Rows {
    let (id, kind) = match object {
        ObjectId::Item(id) => {
            let kind = state.items.get(&id).map(|i| i.kind().to_string().replace(' ', "-"));
            (id.to_string(), kind.unwrap_or_default())
        }
        ObjectId::Database(id) => (id.to_string(), "database".into()),
        ObjectId::Schema(id) => (id.to_string(), "schema".into()),
        ObjectId::Cluster(id) => (id.to_string(), "cluster".into()),
        ObjectId::Replica(_, id) => (id.to_string(), "cluster-replica".into()),
        ObjectId::Role(id) => (id.to_string(), "role".into()),
    };
    let comments = state.comments.range((object, None)..).take_while(|((o, _), _)| *o == object);
    let pack = |((_, column), text): (&(ObjectId, Option<usize>), &String)| {
        let column = column.and_then(|c| i32::try_from(c).ok());
        let row = [Datum::String(&id), Datum::String(&kind), column.into(), Datum::String(text)];
        (table("mz_comments"), Row::pack_slice(&row))
    };
    comments.map(pack).collect()
}

fn pack_item(state: &CatalogState, item: &ItemInfo) -> Rows {
    let mut rows = Rows::new();
    pack_kind(state, item, &mut rows);
    pack_columns(state, item, &mut rows);
    let id = item.id.to_string();
    for used in &item.uses {
        // A table belongs to its source: the source refers to it, not it to the source, as the monitoring queries expect.
        if belongs_to(state, item.id).contains(used) {
            continue;
        }
        rows.push(dependency(&id, &used.to_string()));
    }
    for source in belongs_to(state, item.id) {
        rows.push(dependency(&source.to_string(), &id));
    }
    rows
}

fn dependency(object: &str, referenced: &str) -> (GlobalId, Row) {
    let row = Row::pack_slice(&[Datum::String(object), Datum::String(referenced)]);
    (table("mz_object_dependencies"), row)
}

fn pack_columns(state: &CatalogState, item: &ItemInfo, rows: &mut Rows) {
    let Some(desc) = item.desc() else { return };
    let id = item.id.to_string();
    rows.push(arity(&id, desc.arity()));
    let defaults = match &item.definition {
        // Parsing is only worth it where there is something to find.
        ItemDefinition::Table(t) if t.source.is_none() && item.create_sql.contains("DEFAULT") => {
            column_defaults(&humanize(state, item))
        }
        _ => BTreeMap::new(),
    };
    for (i, (name, typ)) in desc.iter().enumerate() {
        let type_name = typ.scalar_type.sql_name();
        let row = [
            Datum::String(&id),
            Datum::String(name),
            Datum::UInt64(i as u64 + 1),
            Datum::Bool(typ.nullable),
            Datum::String(&type_name),
            defaults.get(name).map(String::as_str).into(),
            Datum::UInt32(typ.scalar_type.oid()),
            Datum::Int32(typ.scalar_type.typmod()),
        ];
        rows.push((table("mz_columns"), Row::pack_slice(&row)));
    }
}

fn arity(id: &str, columns: usize) -> (GlobalId, Row) {
    let columns = i32::try_from(columns).unwrap_or(i32::MAX);
    (table("mz_arities"), Row::pack_slice(&[Datum::String(id), Datum::Int32(columns)]))
}

fn pack_kind(state: &CatalogState, item: &ItemInfo, rows: &mut Rows) {
    let (id, owner) = (item.id.to_string(), item.owner.to_string());
    let schema = item.schema_id.to_string();
    let sql = if item.create_sql.is_empty() { String::new() } else { humanize(state, item) };
    let create_sql = if sql.is_empty() { Datum::Null } else { Datum::String(&sql) };
    let name = Datum::String(&item.name.item);
    let (id_d, oid, owner_d, schema_d) =
        (Datum::String(&id), Datum::UInt32(item.oid), Datum::String(&owner), Datum::String(&schema));
    match &item.definition {
        ItemDefinition::Table(t) => {
            let source = t.source.as_ref().map(|(s, _)| s.to_string());
            let row = [id_d, oid, schema_d, name, owner_d, create_sql, source.as_deref().into()];
            rows.push((table("mz_tables"), Row::pack_slice(&row)));
        }
        ItemDefinition::Source(s) => {
            let (kind, connection) = match &s.kind {
                SourceKind::MySql { connection, .. } => ("mysql", Some(connection.to_string())),
                SourceKind::LoadGenerator { .. } => ("load-generator", None),
                SourceKind::Subsource { .. } => ("subsource", None),
                SourceKind::Progress => ("progress", None),
            };
            let cluster = s.cluster.map(|c| c.to_string());
            let row = [
                id_d,
                oid,
                schema_d,
                name,
                Datum::String(kind),
                connection.as_deref().into(),
                Datum::Null,
                Datum::Null,
                Datum::Null,
                Datum::Null,
                cluster.as_deref().into(),
                owner_d,
                create_sql,
            ];
            rows.push((table("mz_sources"), Row::pack_slice(&row)));
        }
        ItemDefinition::View(_) => {
            let row = [id_d, oid, schema_d, name, Datum::String(definition_of(&sql)), owner_d, create_sql];
            rows.push((table("mz_views"), Row::pack_slice(&row)));
        }
        ItemDefinition::MaterializedView(v) => {
            let cluster = v.cluster.to_string();
            let definition = Datum::String(definition_of(&sql));
            let row = [id_d, oid, schema_d, name, Datum::String(&cluster), definition, owner_d, create_sql];
            rows.push((table("mz_materialized_views"), Row::pack_slice(&row)));
        }
        ItemDefinition::Index(index) => {
            let (on, cluster) = (index.on.to_string(), index.cluster.to_string());
            let row = [id_d, oid, name, Datum::String(&on), Datum::String(&cluster), owner_d, create_sql];
            rows.push((table("mz_indexes"), Row::pack_slice(&row)));
            pack_index_columns(state, &id, index, rows);
            pack_index_keys(state, &id, index, &index_key_texts(&sql), rows);
            rows.push(arity(&id, index.keys.len()));
        }
        ItemDefinition::Connection(_) => {
            let row = [id_d, oid, schema_d, name, Datum::String("mysql"), owner_d, create_sql];
            rows.push((table("mz_connections"), Row::pack_slice(&row)));
        }
        ItemDefinition::Secret => {
            rows.push((table("mz_secrets"), Row::pack_slice(&[id_d, oid, schema_d, name, owner_d])));
        }
        ItemDefinition::Type(typ) => {
            let category = typ.category().to_string();
            let row = [id_d, oid, schema_d, name, Datum::String(&category), owner_d];
            rows.push((table("mz_types"), Row::pack_slice(&row)));
        }
    }
}

fn pack_index_columns(
    state: &CatalogState,
    id: &str,
    index: &hw_sql::plan::IndexDefinition,
    rows: &mut Rows,
) {
    let types = state.items.get(&index.on).and_then(|i| i.desc().map(|d| d.typ().column_types.clone()));
    let types = types.unwrap_or_default();
    for (i, key) in index.keys.iter().enumerate() {
        let (position, text) = match key {
            MirScalarExpr::Column(c) => (Some(*c as u64 + 1), None),
            other => (None, Some(format!("{other:?}"))),
        };
        let row = [
            Datum::String(id),
            Datum::UInt64(i as u64 + 1),
            position.into(),
            text.as_deref().into(),
            Datum::Bool(key.typ(&types).nullable),
        ];
        rows.push((table("mz_index_columns"), Row::pack_slice(&row)));
    }
}

/// An index's key as columns: names as PostgreSQL gives them, definitions as people wrote them.
fn pack_index_keys(
    state: &CatalogState,
    id: &str,
    index: &hw_sql::plan::IndexDefinition,
    texts: &[String],
    rows: &mut Rows,
) {
    let Some(desc) = state.items.get(&index.on).and_then(|i| i.desc().cloned()) else { return };
    for (i, key) in index.keys.iter().enumerate() {
        let typ = key.typ(&desc.typ().column_types);
        let column = match key {
            MirScalarExpr::Column(c) => desc.names().get(*c),
            _ => None,
        };
        let name = column.map_or("expr", String::as_str);
        let quoted = column.map(|c| hw_sql::names::quote_ident(c));
        let definition = quoted.or_else(|| texts.get(i).map(|t| format!("({t})"))).unwrap_or_default();
        let row = [
            Datum::String(id),
            Datum::Int32(i32::try_from(i + 1).unwrap_or(i32::MAX)),
            Datum::String(name),
            Datum::String(&definition),
            Datum::UInt32(typ.scalar_type.oid()),
            Datum::Int32(typ.scalar_type.typmod()),
            Datum::Bool(typ.nullable),
        ];
        rows.push((table("mz_index_keys"), Row::pack_slice(&row)));
    }
}

fn humanize(state: &CatalogState, item: &ItemInfo) -> String {
    if item.id.is_system() {
        return item.create_sql.trim().to_owned();
    }
    hw_sql::statement::humanize(&item.create_sql, state)
}

/// The query in a view's SQL.
fn definition_of(sql: &str) -> &str {
    sql.split_once(" AS ").map_or(sql, |(_, query)| query)
}
