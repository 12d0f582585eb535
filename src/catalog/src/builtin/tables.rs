//! System tables: written from the catalog's objects, or by the coordinator.

use hw_repr::{RelationDesc, ScalarType, SchemaId};

use super::{MZ_CATALOG_SCHEMA_ID as CATALOG, MZ_INTERNAL_SCHEMA_ID as INTERNAL};

/// The types that system tables' columns have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum T {
    /// text
    Text,
    /// oid
    Oid,
    /// boolean
    Bool,
    /// uint8
    U8,
    /// uint4
    U4,
    /// integer
    I4,
    /// timestamptz
    Time,
    /// interval
    Interval,
    /// jsonb
    Json,
    /// mz_timestamp
    Mz,
}

/// A system table.
#[derive(Debug)]
pub struct BuiltinTable {
    /// The number of its id.
    pub id: u64,
    /// Its schema.
    pub schema: SchemaId,
    /// Its name.
    pub name: &'static str,
    /// Its columns: name, type, whether NULL may occur.
    pub columns: &'static [(&'static str, T, bool)],
    /// Whether its rows follow from the catalog's objects; otherwise the coordinator writes them.
    pub derived: bool,
}

impl BuiltinTable {
    /// Its columns.
    pub fn desc(&self) -> RelationDesc {
        self.columns.iter().fold(RelationDesc::empty(), |desc, (name, typ, nullable)| {
            let scalar = match typ {
                T::Text => ScalarType::String,
                T::Oid => ScalarType::Oid,
                T::Bool => ScalarType::Bool,
                T::U8 => ScalarType::UInt64,
                T::U4 => ScalarType::UInt32,
                T::I4 => ScalarType::Int32,
                T::Time => ScalarType::TIMESTAMPTZ,
                T::Interval => ScalarType::Interval,
                T::Json => ScalarType::Jsonb,
                T::Mz => ScalarType::MzTimestamp,
            };
            desc.with_column(*name, scalar.nullable(*nullable))
        })
    }
}

/// An index on a system relation, for the system's cluster.
#[derive(Debug)]
pub struct BuiltinIndex {
    /// The number of its id.
    pub id: u64,
    /// The number of the relation's id.
    pub on: u64,
    /// Positions of its key.
    pub keys: &'static [usize],
}

const fn table(
    id: u64,
    schema: SchemaId,
    name: &'static str,
    columns: &'static [(&'static str, T, bool)],
) -> BuiltinTable {
    BuiltinTable { id, schema, name, columns, derived: true }
}

const fn written(
    id: u64,
    schema: SchemaId,
    name: &'static str,
    columns: &'static [(&'static str, T, bool)],
) -> BuiltinTable {
    BuiltinTable { id, schema, name, columns, derived: false }
}

/// All system tables.
pub const TABLES: &[BuiltinTable] = &[
    table(
        1,
        CATALOG,
        "mz_databases",
        &[
            ("id", T::Text, false),
            ("oid", T::Oid, false),
            ("name", T::Text, false),
            ("owner_id", T::Text, false),
        ],
    ),
    table(
        2,
        CATALOG,
        "mz_schemas",
        &[
            ("id", T::Text, false),
            ("oid", T::Oid, false),
            ("database_id", T::Text, true),
            ("name", T::Text, false),
            ("owner_id", T::Text, false),
        ],
    ),
    table(
        3,
        CATALOG,
        "mz_columns",
        &[
            ("id", T::Text, false),
            ("name", T::Text, false),
            ("position", T::U8, false),
            ("nullable", T::Bool, false),
            ("type", T::Text, false),
            ("default", T::Text, true),
            ("type_oid", T::Oid, false),
            ("type_mod", T::I4, false),
        ],
    ),
    table(
        4,
        CATALOG,
        "mz_sources",
        &[
            ("id", T::Text, false),
            ("oid", T::Oid, false),
            ("schema_id", T::Text, false),
            ("name", T::Text, false),
            ("type", T::Text, false),
            ("connection_id", T::Text, true),
            ("size", T::Text, true),
            ("envelope_type", T::Text, true),
            ("key_format", T::Text, true),
            ("value_format", T::Text, true),
            ("cluster_id", T::Text, true),
            ("owner_id", T::Text, false),
            ("create_sql", T::Text, true),
        ],
    ),
    table(
        5,
        CATALOG,
        "mz_tables",
        &[
            ("id", T::Text, false),
            ("oid", T::Oid, false),
            ("schema_id", T::Text, false),
            ("name", T::Text, false),
            ("owner_id", T::Text, false),
            ("create_sql", T::Text, true),
            ("source_id", T::Text, true),
        ],
    ),
    table(
        6,
        CATALOG,
        "mz_views",
        &[
            ("id", T::Text, false),
            ("oid", T::Oid, false),
            ("schema_id", T::Text, false),
            ("name", T::Text, false),
            ("definition", T::Text, false),
            ("owner_id", T::Text, false),
            ("create_sql", T::Text, true),
        ],
    ),
    table(
        7,
        CATALOG,
        "mz_materialized_views",
        &[
            ("id", T::Text, false),
            ("oid", T::Oid, false),
            ("schema_id", T::Text, false),
            ("name", T::Text, false),
            ("cluster_id", T::Text, false),
            ("definition", T::Text, false),
            ("owner_id", T::Text, false),
            ("create_sql", T::Text, true),
        ],
    ),
    table(
        8,
        CATALOG,
        "mz_indexes",
        &[
            ("id", T::Text, false),
            ("oid", T::Oid, false),
            ("name", T::Text, false),
            ("on_id", T::Text, false),
            ("cluster_id", T::Text, false),
            ("owner_id", T::Text, false),
            ("create_sql", T::Text, true),
        ],
    ),
    table(
        9,
        CATALOG,
        "mz_index_columns",
        &[
            ("index_id", T::Text, false),
            ("index_position", T::U8, false),
            ("on_position", T::U8, true),
            ("on_expression", T::Text, true),
            ("nullable", T::Bool, false),
        ],
    ),
    table(
        10,
        CATALOG,
        "mz_connections",
        &[
            ("id", T::Text, false),
            ("oid", T::Oid, false),
            ("schema_id", T::Text, false),
            ("name", T::Text, false),
            ("type", T::Text, false),
            ("owner_id", T::Text, false),
            ("create_sql", T::Text, true),
        ],
    ),
    table(
        11,
        CATALOG,
        "mz_ssh_tunnel_connections",
        &[("id", T::Text, false), ("public_key_1", T::Text, false), ("public_key_2", T::Text, false)],
    ),
    table(
        12,
        CATALOG,
        "mz_aws_privatelink_connections",
        &[("id", T::Text, false), ("principal", T::Text, false)],
    ),
    table(
        13,
        CATALOG,
        "mz_secrets",
        &[
            ("id", T::Text, false),
            ("oid", T::Oid, false),
            ("schema_id", T::Text, false),
            ("name", T::Text, false),
            ("owner_id", T::Text, false),
        ],
    ),
    table(
        14,
        CATALOG,
        "mz_clusters",
        &[
            ("id", T::Text, false),
            ("name", T::Text, false),
            ("owner_id", T::Text, false),
            ("managed", T::Bool, false),
            ("size", T::Text, true),
            ("replication_factor", T::U4, true),
        ],
    ),
    table(
        15,
        CATALOG,
        "mz_cluster_replicas",
        &[
            ("id", T::Text, false),
            ("name", T::Text, false),
            ("cluster_id", T::Text, false),
            ("size", T::Text, true),
            ("owner_id", T::Text, false),
        ],
    ),
    table(
        16,
        CATALOG,
        "mz_cluster_replica_sizes",
        &[
            ("size", T::Text, false),
            ("processes", T::U8, false),
            ("workers", T::U8, false),
            ("memory_bytes", T::U8, true),
        ],
    ),
    table(
        17,
        CATALOG,
        "mz_roles",
        &[
            ("id", T::Text, false),
            ("oid", T::Oid, false),
            ("name", T::Text, false),
            ("inherit", T::Bool, false),
        ],
    ),
    table(
        18,
        CATALOG,
        "mz_types",
        &[
            ("id", T::Text, false),
            ("oid", T::Oid, false),
            ("schema_id", T::Text, false),
            ("name", T::Text, false),
            ("category", T::Text, false),
            ("owner_id", T::Text, false),
        ],
    ),
    table(
        19,
        CATALOG,
        "mz_egress_ips",
        &[("egress_ip", T::Text, false), ("prefix_length", T::I4, false), ("cidr", T::Text, false)],
    ),
    table(
        20,
        CATALOG,
        "mz_sinks",
        &[
            ("id", T::Text, false),
            ("oid", T::Oid, false),
            ("schema_id", T::Text, false),
            ("name", T::Text, false),
            ("type", T::Text, false),
            ("connection_id", T::Text, true),
            ("cluster_id", T::Text, false),
            ("owner_id", T::Text, false),
        ],
    ),
    table(
        21,
        INTERNAL,
        "mz_object_dependencies",
        &[("object_id", T::Text, false), ("referenced_object_id", T::Text, false)],
    ),
    table(
        22,
        INTERNAL,
        "mz_comments",
        &[
            ("id", T::Text, false),
            ("object_type", T::Text, false),
            ("object_sub_id", T::I4, true),
            ("comment", T::Text, false),
        ],
    ),
    table(23, INTERNAL, "mz_arities", &[("id", T::Text, false), ("arity", T::I4, false)]),
    table(
        24,
        INTERNAL,
        "mz_index_keys",
        &[
            ("index_id", T::Text, false),
            ("position", T::I4, false),
            ("name", T::Text, false),
            ("definition", T::Text, false),
            ("type_oid", T::Oid, false),
            ("type_mod", T::I4, false),
            ("nullable", T::Bool, false),
        ],
    ),
    written(
        101,
        INTERNAL,
        "mz_source_status_history",
        &[
            ("occurred_at", T::Time, false),
            ("source_id", T::Text, false),
            ("status", T::Text, false),
            ("error", T::Text, true),
            ("details", T::Json, true),
        ],
    ),
    written(
        102,
        INTERNAL,
        "mz_source_statistics",
        &[
            ("id", T::Text, false),
            ("messages_received", T::U8, false),
            ("bytes_received", T::U8, false),
            ("updates_staged", T::U8, false),
            ("updates_committed", T::U8, false),
            ("records_indexed", T::U8, false),
            ("bytes_indexed", T::U8, false),
            ("rehydration_latency", T::Interval, true),
            ("snapshot_records_known", T::U8, true),
            ("snapshot_records_staged", T::U8, true),
            ("snapshot_committed", T::Bool, false),
            ("offset_known", T::U8, true),
            ("offset_committed", T::U8, true),
        ],
    ),
    written(
        103,
        INTERNAL,
        "mz_cluster_replica_statuses",
        &[
            ("replica_id", T::Text, false),
            ("process_id", T::U8, false),
            ("status", T::Text, false),
            ("reason", T::Text, true),
            ("updated_at", T::Time, true),
        ],
    ),
    written(
        104,
        INTERNAL,
        "mz_frontiers",
        &[("object_id", T::Text, false), ("read_frontier", T::Mz, true), ("write_frontier", T::Mz, true)],
    ),
];

/// Indexes on system relations that are looked into often.
pub const INDEXES: &[BuiltinIndex] = &[];
