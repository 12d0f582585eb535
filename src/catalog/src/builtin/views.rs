//! System views.

use hw_repr::SchemaId;

use super::{
    INFORMATION_SCHEMA_ID as INFORMATION, MZ_CATALOG_SCHEMA_ID as CATALOG, MZ_INTERNAL_SCHEMA_ID as INTERNAL,
    PG_CATALOG_SCHEMA_ID as PG,
};

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
    view(301, PG, "pg_namespace", "
        SELECT oid, name AS nspname, 10::oid AS nspowner, NULL::text[] AS nspacl FROM mz_catalog.mz_schemas"),
    view(302, PG, "pg_database", "
        SELECT oid, name AS datname, 10::oid AS datdba, 6 AS encoding, 'C' AS datcollate, 'C' AS datctype,
               false AS datistemplate, true AS datallowconn, -1 AS datconnlimit, NULL::text[] AS datacl
        FROM mz_catalog.mz_databases"),
    view(303, PG, "pg_class", "
        SELECT r.oid, r.name AS relname, s.oid AS relnamespace, 0::oid AS reltype, 0::oid AS reloftype, 10::oid AS relowner,
               0::oid AS relam, 0::oid AS relfilenode, 0::oid AS reltablespace,
               CASE r.type WHEN 'table' THEN 'r' WHEN 'source' THEN 'r' WHEN 'view' THEN 'v' WHEN 'materialized-view' THEN 'm' WHEN 'index' THEN 'i' ELSE '' END AS relkind,
               false AS relhasindex, false AS relisshared, 'p' AS relpersistence, false AS relrowsecurity, false AS relforcerowsecurity,
               false AS relhasrules, false AS relhastriggers, 0::smallint AS relchecks, 'd' AS relreplident, false AS relispartition, 0::real AS reltuples, NULL::text[] AS relacl
        FROM mz_catalog.mz_objects r JOIN mz_catalog.mz_schemas s ON r.schema_id = s.id
        WHERE r.type IN ('table', 'source', 'view', 'materialized-view', 'index')"),
    view(304, PG, "pg_attribute", "
        SELECT r.oid AS attrelid, c.name AS attname, c.type_oid AS atttypid, c.position::smallint AS attnum, -1 AS attlen,
               c.type_mod AS atttypmod, NOT c.nullable AS attnotnull, c.default IS NOT NULL AS atthasdef,
               '' AS attidentity, '' AS attgenerated, false AS attisdropped, 0::oid AS attcollation, -1 AS attstattarget
        FROM mz_catalog.mz_columns c JOIN mz_catalog.mz_relations r ON c.id = r.id"),
    view(305, PG, "pg_type", "
        SELECT t.oid, t.name AS typname, s.oid AS typnamespace, 10::oid AS typowner, t.category AS typcategory, 'b' AS typtype,
               0::oid AS typrelid, 0::oid AS typelem, 0::oid AS typarray, false AS typnotnull, 0::oid AS typbasetype, -1 AS typtypmod, -1::smallint AS typlen, 0::oid AS typcollation
        FROM mz_catalog.mz_types t JOIN mz_catalog.mz_schemas s ON t.schema_id = s.id"),
    view(306, PG, "pg_roles", "
        SELECT oid, name AS rolname, name = 'mz_system' AS rolsuper, inherit AS rolinherit, true AS rolcreaterole, true AS rolcreatedb,
               true AS rolcanlogin, false AS rolreplication, false AS rolbypassrls, -1 AS rolconnlimit, NULL::timestamptz AS rolvaliduntil
        FROM mz_catalog.mz_roles"),
    view(307, PG, "pg_tables", "
        SELECT s.name AS schemaname, t.name AS tablename, r.name AS tableowner
        FROM mz_catalog.mz_tables t JOIN mz_catalog.mz_schemas s ON t.schema_id = s.id LEFT JOIN mz_catalog.mz_roles r ON t.owner_id = r.id"),
    view(308, PG, "pg_views", "
        SELECT s.name AS schemaname, v.name AS viewname, r.name AS viewowner, v.definition
        FROM mz_catalog.mz_views v JOIN mz_catalog.mz_schemas s ON v.schema_id = s.id LEFT JOIN mz_catalog.mz_roles r ON v.owner_id = r.id"),
    view(309, PG, "pg_matviews", "
        SELECT s.name AS schemaname, v.name AS matviewname, r.name AS matviewowner, v.definition
        FROM mz_catalog.mz_materialized_views v JOIN mz_catalog.mz_schemas s ON v.schema_id = s.id LEFT JOIN mz_catalog.mz_roles r ON v.owner_id = r.id"),
    view(310, INFORMATION, "schemata", "
        SELECT d.name AS catalog_name, s.name AS schema_name
        FROM mz_catalog.mz_schemas s LEFT JOIN mz_catalog.mz_databases d ON s.database_id = d.id"),
    view(311, INFORMATION, "tables", "
        SELECT d.name AS table_catalog, s.name AS table_schema, r.name AS table_name,
               CASE r.type WHEN 'table' THEN 'BASE TABLE' WHEN 'source' THEN 'BASE TABLE' ELSE upper(r.type) END AS table_type
        FROM mz_catalog.mz_relations r JOIN mz_catalog.mz_schemas s ON r.schema_id = s.id LEFT JOIN mz_catalog.mz_databases d ON s.database_id = d.id"),
    view(312, INFORMATION, "columns", "
        SELECT d.name AS table_catalog, s.name AS table_schema, r.name AS table_name, c.name AS column_name,
               c.position::int AS ordinal_position, c.default AS column_default, CASE WHEN c.nullable THEN 'YES' ELSE 'NO' END AS is_nullable, c.type AS data_type
        FROM mz_catalog.mz_columns c JOIN mz_catalog.mz_relations r ON c.id = r.id
        JOIN mz_catalog.mz_schemas s ON r.schema_id = s.id LEFT JOIN mz_catalog.mz_databases d ON s.database_id = d.id"),
    view(313, INFORMATION, "views", "
        SELECT d.name AS table_catalog, s.name AS table_schema, v.name AS table_name, v.definition AS view_definition
        FROM mz_catalog.mz_views v JOIN mz_catalog.mz_schemas s ON v.schema_id = s.id LEFT JOIN mz_catalog.mz_databases d ON s.database_id = d.id"),
];
