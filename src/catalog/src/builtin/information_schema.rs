//! The rows of the information schema's views. Views of the list `information_schema.shapes` without an entry are always empty.
//!
//! Materialized views show as tables of the type `MATERIALIZED VIEW`, which PostgreSQL leaves out.

/// The words for a type, as `data_type` has them.
macro_rules! data_type {
    ($oid:literal) => {
        concat!(
            "CASE WHEN hw_type_dimensions(",
            $oid,
            ") > 0 THEN 'ARRAY' ELSE format_type(",
            $oid,
            ", NULL) END"
        )
    };
}

/// Columns with their sizes, over `c` with `type_oid` and `type_mod`.
macro_rules! sizes {
    () => {
        "CASE WHEN c.type_oid IN (1042, 1043) AND c.type_mod > 4 THEN c.type_mod - 4 END AS character_maximum_length,
         CASE WHEN c.type_oid IN (1042, 1043) AND c.type_mod > 4 THEN (c.type_mod - 4) * 4
              WHEN c.type_oid IN (25, 1042, 1043) THEN 1073741824 END AS character_octet_length,
         CASE c.type_oid WHEN 21 THEN 16 WHEN 23 THEN 32 WHEN 20 THEN 64 WHEN 700 THEN 24 WHEN 701 THEN 53
              WHEN 1700 THEN CASE WHEN c.type_mod > 4 THEN (c.type_mod - 4) / 65536 END END AS numeric_precision,
         CASE WHEN c.type_oid IN (20, 21, 23, 700, 701) THEN 2 WHEN c.type_oid = 1700 THEN 10 END AS numeric_precision_radix,
         CASE WHEN c.type_oid IN (20, 21, 23) THEN 0
              WHEN c.type_oid = 1700 AND c.type_mod > 4 THEN (c.type_mod - 4) % 65536 END AS numeric_scale,
         CASE WHEN c.type_oid = 1082 THEN 0
              WHEN c.type_oid IN (1083, 1114, 1184, 1186) THEN CASE WHEN c.type_mod >= 0 THEN c.type_mod ELSE 6 END
              END AS datetime_precision"
    };
}

/// The views, each after those that it uses.
pub(super) const ROWS: &[(&str, &str)] = &[
    ("information_schema_catalog_name", "SELECT current_database() AS catalog_name"),
    (
        "schemata",
        "SELECT current_database() AS catalog_name, s.name AS schema_name, r.name AS schema_owner
        FROM mz_internal.mz_visible_schemas s JOIN mz_catalog.mz_roles r ON s.owner_id = r.id",
    ),
    (
        "tables",
        "SELECT current_database() AS table_catalog, o.schema_name AS table_schema, o.name AS table_name,
               CASE o.type WHEN 'view' THEN 'VIEW' WHEN 'materialized-view' THEN 'MATERIALIZED VIEW' ELSE 'BASE TABLE' END AS table_type,
               CASE WHEN t.id IS NOT NULL THEN 'YES' ELSE 'NO' END AS is_insertable_into, 'NO' AS is_typed
        FROM mz_internal.mz_visible_objects o
        LEFT JOIN (SELECT id FROM mz_catalog.mz_tables WHERE source_id IS NULL AND id LIKE 'u%') t ON o.id = t.id
        WHERE o.type <> 'index'",
    ),
    (
        "columns",
        concat!(
            "SELECT current_database() AS table_catalog, o.schema_name AS table_schema, o.name AS table_name,
                   c.name AS column_name, c.position AS ordinal_position, c.default AS column_default,
                   CASE WHEN c.nullable THEN 'YES' ELSE 'NO' END AS is_nullable, ",
            data_type!("c.type_oid"), " AS data_type, ", sizes!(),
            ", current_database() AS udt_catalog, 'pg_catalog' AS udt_schema, hw_type_name(c.type_oid) AS udt_name,
                   c.position::text AS dtd_identifier, 'NO' AS is_self_referencing, 'NO' AS is_identity, 'NO' AS identity_cycle,
                   'NEVER' AS is_generated, CASE WHEN o.type = 'table' AND o.id LIKE 'u%' THEN 'YES' ELSE 'NO' END AS is_updatable
            FROM mz_catalog.mz_columns c JOIN mz_internal.mz_visible_objects o ON c.id = o.id"
        ),
    ),
    (
        "element_types",
        concat!(
            "SELECT current_database() AS object_catalog, o.schema_name AS object_schema, o.name AS object_name,
                   'TABLE' AS object_type, c.position::text AS collection_type_identifier, ",
            data_type!("hw_type_element(c.type_oid)"),
            " AS data_type, current_database() AS udt_catalog, 'pg_catalog' AS udt_schema,
                   hw_type_name(hw_type_element(c.type_oid)) AS udt_name, 'a' || c.position::text AS dtd_identifier
            FROM mz_catalog.mz_columns c JOIN mz_internal.mz_visible_objects o ON c.id = o.id
            WHERE hw_type_dimensions(c.type_oid) > 0"
        ),
    ),
    (
        "views",
        "SELECT current_database() AS table_catalog, o.schema_name AS table_schema, o.name AS table_name, v.definition AS view_definition,
               'NONE' AS check_option, 'NO' AS is_updatable, 'NO' AS is_insertable_into, 'NO' AS is_trigger_updatable,
               'NO' AS is_trigger_deletable, 'NO' AS is_trigger_insertable_into
        FROM mz_catalog.mz_views v JOIN mz_internal.mz_visible_objects o ON v.id = o.id",
    ),
    (
        "view_table_usage",
        "SELECT current_database() AS view_catalog, v.schema_name AS view_schema, v.name AS view_name,
               current_database() AS table_catalog, t.schema_name AS table_schema, t.name AS table_name
        FROM mz_internal.mz_object_dependencies d JOIN mz_internal.mz_visible_objects v ON d.object_id = v.id
        JOIN mz_internal.mz_visible_objects t ON d.referenced_object_id = t.id WHERE v.type = 'view'",
    ),
    (
        "routines",
        concat!(
            "SELECT current_database() AS specific_catalog, n.name AS specific_schema, p.proname || '_' || p.oid::text AS specific_name,
                   current_database() AS routine_catalog, n.name AS routine_schema, p.proname AS routine_name, 'FUNCTION' AS routine_type, ",
            data_type!("p.prorettype"),
            " AS data_type, current_database() AS type_udt_catalog, 'pg_catalog' AS type_udt_schema,
                   hw_type_name(p.prorettype) AS type_udt_name, '0' AS dtd_identifier,
                   CASE p.prolang WHEN 14 THEN 'SQL' ELSE 'EXTERNAL' END AS routine_body, p.prosrc AS routine_definition,
                   CASE p.prolang WHEN 14 THEN 'SQL' ELSE 'INTERNAL' END AS external_language, 'GENERAL' AS parameter_style,
                   CASE p.provolatile WHEN 'i' THEN 'YES' ELSE 'NO' END AS is_deterministic, 'MODIFIES' AS sql_data_access,
                   CASE WHEN p.proisstrict THEN 'YES' ELSE 'NO' END AS is_null_call, 'YES' AS schema_level_routine,
                   0 AS max_dynamic_result_sets, 'INVOKER' AS security_type, 'NO' AS as_locator, 'NO' AS is_udt_dependent
            FROM hw_pg_proc() p JOIN mz_catalog.mz_schemas n ON p.pronamespace = n.oid WHERE p.prokind = 'f'"
        ),
    ),
    (
        "parameters",
        concat!(
            "SELECT current_database() AS specific_catalog, n.name AS specific_schema, p.proname || '_' || p.oid::text AS specific_name,
                   a.ordinality AS ordinal_position, 'IN' AS parameter_mode, 'NO' AS is_result, 'NO' AS as_locator, ",
            data_type!("a.type_oid"),
            " AS data_type, current_database() AS udt_catalog, 'pg_catalog' AS udt_schema, hw_type_name(a.type_oid) AS udt_name,
                   a.ordinality::text AS dtd_identifier
            FROM hw_pg_proc() p CROSS JOIN LATERAL unnest(p.proargtypes) WITH ORDINALITY a (type_oid, ordinality)
            JOIN mz_catalog.mz_schemas n ON p.pronamespace = n.oid WHERE p.prokind = 'f'"
        ),
    ),
    (
        "character_sets",
        "SELECT 'UTF8' AS character_set_name, 'UCS' AS character_repertoire, 'UTF8' AS form_of_use,
               current_database() AS default_collate_catalog, 'pg_catalog' AS default_collate_schema, 'C' AS default_collate_name",
    ),
    (
        "collations",
        "SELECT current_database() AS collation_catalog, 'pg_catalog' AS collation_schema, collname AS collation_name,
               'NO PAD' AS pad_attribute FROM pg_catalog.pg_collation",
    ),
    (
        "collation_character_set_applicability",
        "SELECT current_database() AS collation_catalog, 'pg_catalog' AS collation_schema, collname AS collation_name,
               'UTF8' AS character_set_name FROM pg_catalog.pg_collation",
    ),
    ("enabled_roles", "SELECT name AS role_name FROM mz_catalog.mz_roles WHERE name = current_user"),
    (
        "user_defined_types",
        "SELECT current_database() AS user_defined_type_catalog, s.name AS user_defined_type_schema, t.name AS user_defined_type_name,
               'STRUCTURED' AS user_defined_type_category, 'YES' AS is_instantiable
        FROM mz_catalog.mz_types t JOIN mz_internal.mz_visible_schemas s ON t.schema_id = s.id
        WHERE t.id LIKE 'u%' AND t.category = 'P'",
    ),
];
