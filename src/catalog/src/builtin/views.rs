//! System views of our own. Those in PostgreSQL's shape are in [`super::shape`].

use hw_repr::SchemaId;

use super::{MZ_CATALOG_SCHEMA_ID as CATALOG, MZ_INTERNAL_SCHEMA_ID as INTERNAL};

/// A system view.
#[derive(Debug)]
pub struct BuiltinView {
    /// The number of its id.
    pub id: u64,
    /// Its schema.
    pub schema: SchemaId,
    /// Its name.
    pub name: &'static str,
    /// Its query.
    pub sql: &'static str,
}

const fn view(id: u64, schema: SchemaId, name: &'static str, sql: &'static str) -> BuiltinView {
    BuiltinView { id, schema, name, sql }
}

/// All system views, each after those that it uses.
pub const VIEWS: &[BuiltinView] = &[
    view(201, CATALOG, "mz_relations", "
        SELECT id, oid, schema_id, name, 'table' AS type, owner_id, NULL::text AS cluster_id FROM mz_catalog.mz_tables
        UNION ALL SELECT id, oid, schema_id, name, 'source', owner_id, cluster_id FROM mz_catalog.mz_sources
        UNION ALL SELECT id, oid, schema_id, name, 'view', owner_id, NULL::text FROM mz_catalog.mz_views
        UNION ALL SELECT id, oid, schema_id, name, 'materialized-view', owner_id, cluster_id FROM mz_catalog.mz_materialized_views"),
    view(202, CATALOG, "mz_objects", "
        SELECT id, oid, schema_id, name, type, owner_id, cluster_id FROM mz_catalog.mz_relations
        UNION ALL SELECT id, oid, schema_id, name, 'sink', owner_id, cluster_id FROM mz_catalog.mz_sinks
        UNION ALL SELECT i.id, i.oid, r.schema_id, i.name, 'index', i.owner_id, i.cluster_id
            FROM mz_catalog.mz_indexes i JOIN mz_catalog.mz_relations r ON i.on_id = r.id
        UNION ALL SELECT id, oid, schema_id, name, 'connection', owner_id, NULL::text FROM mz_catalog.mz_connections
        UNION ALL SELECT id, oid, schema_id, name, 'type', owner_id, NULL::text FROM mz_catalog.mz_types
        UNION ALL SELECT id, oid, schema_id, name, 'secret', owner_id, NULL::text FROM mz_catalog.mz_secrets"),
    view(203, INTERNAL, "mz_source_statuses", "
        SELECT s.id, s.name, s.type, h.occurred_at AS last_status_change_at,
               COALESCE(h.status, 'created') AS status, h.error, h.details
        FROM mz_catalog.mz_sources s
        LEFT JOIN (
            SELECT DISTINCT ON (source_id) source_id, occurred_at, status, error, details
            FROM mz_internal.mz_source_status_history ORDER BY source_id, occurred_at DESC
        ) h ON s.id = h.source_id
        UNION ALL
        SELECT t.id, t.name, 'table', h.occurred_at, COALESCE(h.status, 'created'), h.error, h.details
        FROM mz_catalog.mz_tables t
        LEFT JOIN (
            SELECT DISTINCT ON (source_id) source_id, occurred_at, status, error, details
            FROM mz_internal.mz_source_status_history ORDER BY source_id, occurred_at DESC
        ) h ON t.id = h.source_id
        WHERE t.source_id IS NOT NULL"),
    view(204, INTERNAL, "mz_hydration_statuses", "
        SELECT object_id, write_frontier IS NOT NULL AND read_frontier < write_frontier AS hydrated FROM mz_internal.mz_frontiers"),
    view(205, INTERNAL, "mz_visible_schemas", "
        SELECT id, oid, name, owner_id FROM mz_catalog.mz_schemas WHERE database_id IS NULL
        UNION ALL SELECT s.id, s.oid, s.name, s.owner_id
            FROM mz_catalog.mz_schemas s JOIN mz_catalog.mz_databases d ON s.database_id = d.id WHERE d.name = current_database()"),
    view(206, INTERNAL, "mz_visible_objects", "
        SELECT o.id, o.oid, o.name, o.type, s.oid AS schema_oid, s.name AS schema_name, r.oid AS owner_oid, r.name AS owner
        FROM (
            SELECT id, oid, schema_id, name, type, owner_id FROM mz_catalog.mz_relations
            UNION ALL SELECT i.id, i.oid, r.schema_id, i.name, 'index', i.owner_id
                FROM mz_catalog.mz_indexes i JOIN mz_catalog.mz_relations r ON i.on_id = r.id
        ) o JOIN mz_internal.mz_visible_schemas s ON o.schema_id = s.id JOIN mz_catalog.mz_roles r ON o.owner_id = r.id"),
    view(207, INTERNAL, "mz_index_key_definitions", "
        SELECT i.oid, k.position, k.definition
        FROM mz_internal.mz_index_keys k JOIN mz_catalog.mz_indexes i ON k.index_id = i.id"),
    view(208, INTERNAL, "mz_index_definitions", "
        SELECT i.oid, s.name AS schemaname, r.name AS tablename, i.name AS indexname,
               'CREATE INDEX ' || quote_ident(i.name) || ' ON ' || quote_ident(s.name) || '.' || quote_ident(r.name)
               || ' USING arrangement (' || k.definitions || ')' AS indexdef
        FROM mz_catalog.mz_indexes i JOIN mz_catalog.mz_relations r ON i.on_id = r.id JOIN mz_catalog.mz_schemas s ON r.schema_id = s.id
        JOIN (
            SELECT index_id, string_agg(definition, ', ' ORDER BY position) AS definitions
            FROM mz_internal.mz_index_keys GROUP BY index_id
        ) k ON k.index_id = i.id"),
];
