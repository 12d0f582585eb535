//! The rows of `pg_catalog`'s relations. Relations of the list `pg_catalog.shapes` without an entry are always empty: there is
//! nothing of the kind here (constraints, triggers, policies, publications, foreign data, text search).
//!
//! Only objects of the current database show, as in PostgreSQL, whose databases have a catalog each.

/// Relations that follow from the objects of the catalog.
pub(super) const OBJECTS: &[(&str, &str)] = &[
    (
        "pg_namespace",
        "SELECT s.oid, s.name AS nspname, r.oid AS nspowner
        FROM mz_internal.mz_visible_schemas s JOIN mz_catalog.mz_roles r ON s.owner_id = r.id",
    ),
    (
        "pg_database",
        "SELECT d.oid, d.name AS datname, r.oid AS datdba, 6 AS encoding, 'c' AS datlocprovider, true AS datallowconn,
               -1 AS datconnlimit, 1663 AS dattablespace, 'C' AS datcollate, 'C' AS datctype
        FROM mz_catalog.mz_databases d JOIN mz_catalog.mz_roles r ON d.owner_id = r.id",
    ),
    (
        "pg_class",
        "SELECT o.oid, o.name AS relname, o.schema_oid AS relnamespace, o.owner_oid AS relowner,
               CASE o.type WHEN 'index' THEN 16590 ELSE 0 END AS relam, -1 AS reltuples, o.type <> 'index' AS relhasindex,
               'p' AS relpersistence, a.arity AS relnatts, true AS relispopulated,
               CASE o.type WHEN 'table' THEN 'r' WHEN 'source' THEN 'r' WHEN 'view' THEN 'v' WHEN 'materialized-view' THEN 'm'
                   ELSE 'i' END AS relkind,
               CASE o.type WHEN 'table' THEN 'd' WHEN 'source' THEN 'd' ELSE 'n' END AS relreplident
        FROM mz_internal.mz_visible_objects o JOIN mz_internal.mz_arities a ON o.id = a.id",
    ),
    (
        "pg_attribute",
        "SELECT c.oid AS attrelid, c.name AS attname, c.type_oid AS atttypid, -1 AS attstattarget,
               hw_type_length(c.type_oid) AS attlen, c.position AS attnum, hw_type_dimensions(c.type_oid) AS attndims,
               -1 AS attcacheoff, c.type_mod AS atttypmod, hw_type_length(c.type_oid) IN (1, 2, 4, 8) AS attbyval,
               hw_type_align(c.type_oid) AS attalign,
               CASE WHEN hw_type_length(c.type_oid) < 0 THEN 'x' ELSE 'p' END AS attstorage, NOT c.nullable AS attnotnull,
               c.default IS NOT NULL AS atthasdef, true AS attislocal, hw_type_collation(c.type_oid) AS attcollation
        FROM (
            SELECT r.oid, c.name, c.type_oid, c.type_mod, c.position::int2 AS position, c.nullable, c.default
            FROM mz_catalog.mz_columns c JOIN mz_catalog.mz_relations r ON c.id = r.id
            UNION ALL
            SELECT i.oid, k.name, k.type_oid, k.type_mod, k.position::int2, k.nullable, NULL
            FROM mz_internal.mz_index_keys k JOIN mz_catalog.mz_indexes i ON k.index_id = i.id
        ) c",
    ),
    (
        "pg_attrdef",
        "SELECT r.oid, r.oid AS adrelid, c.position::int2 AS adnum, c.default AS adbin
        FROM mz_catalog.mz_columns c JOIN mz_catalog.mz_relations r ON c.id = r.id WHERE c.default IS NOT NULL",
    ),
    (
        "pg_index",
        "SELECT i.oid AS indexrelid, r.oid AS indrelid, k.arity AS indnatts, k.arity AS indnkeyatts, true AS indimmediate,
               true AS indisvalid, true AS indisready, true AS indislive, k.positions::int2vector AS indkey,
               k.zeros::int2vector AS indoption, k.none AS indcollation, k.none AS indclass
        FROM mz_catalog.mz_indexes i JOIN mz_catalog.mz_relations r ON i.on_id = r.id
        JOIN (
            SELECT index_id, count(*) AS arity, string_agg(coalesce(on_position, 0::uint8)::text, ' ' ORDER BY index_position) AS positions,
                   string_agg('0', ' ') AS zeros, array_agg(0::oid) AS none
            FROM mz_catalog.mz_index_columns GROUP BY index_id
        ) k ON k.index_id = i.id",
    ),
    (
        "pg_description",
        "SELECT o.oid AS objoid, CASE o.type WHEN 'type' THEN 1247 ELSE 1259 END AS classoid,
               coalesce(c.object_sub_id, 0) AS objsubid, c.comment AS description
        FROM mz_internal.mz_comments c JOIN mz_catalog.mz_objects o ON c.id = o.id
        UNION ALL SELECT s.oid, 2615, 0, c.comment
        FROM mz_internal.mz_comments c JOIN mz_catalog.mz_schemas s ON c.id = s.id",
    ),
    (
        "pg_shdescription",
        "SELECT d.oid AS objoid, 1262 AS classoid, c.comment AS description
        FROM mz_internal.mz_comments c JOIN mz_catalog.mz_databases d ON c.id = d.id
        UNION ALL SELECT r.oid, 1260, c.comment FROM mz_internal.mz_comments c JOIN mz_catalog.mz_roles r ON c.id = r.id",
    ),
    (
        "pg_depend",
        "SELECT 1259 AS classid, o.oid AS objid, 1259 AS refclassid, r.oid AS refobjid, 'n' AS deptype
        FROM mz_internal.mz_object_dependencies d JOIN mz_catalog.mz_objects o ON d.object_id = o.id
        JOIN mz_catalog.mz_objects r ON d.referenced_object_id = r.id",
    ),
    (
        "pg_authid",
        "SELECT oid, name AS rolname, name = 'mz_system' AS rolsuper, inherit AS rolinherit, true AS rolcreaterole,
               true AS rolcreatedb, true AS rolcanlogin, -1 AS rolconnlimit FROM mz_catalog.mz_roles",
    ),
    (
        "pg_roles",
        "SELECT oid, name AS rolname, name = 'mz_system' AS rolsuper, inherit AS rolinherit, true AS rolcreaterole,
               true AS rolcreatedb, true AS rolcanlogin, false AS rolreplication, -1 AS rolconnlimit, '********' AS rolpassword,
               false AS rolbypassrls FROM mz_catalog.mz_roles",
    ),
    (
        "pg_user",
        "SELECT name AS usename, oid AS usesysid, true AS usecreatedb, name = 'mz_system' AS usesuper, false AS userepl,
               false AS usebypassrls, '********' AS passwd FROM mz_catalog.mz_roles",
    ),
    (
        "pg_shadow",
        "SELECT name AS usename, oid AS usesysid, true AS usecreatedb, name = 'mz_system' AS usesuper, false AS userepl,
               false AS usebypassrls FROM mz_catalog.mz_roles",
    ),
    (
        "pg_tables",
        "SELECT o.schema_name AS schemaname, o.name AS tablename, o.owner AS tableowner, false AS hasrules, false AS hastriggers,
               false AS rowsecurity, EXISTS (SELECT 1 FROM mz_catalog.mz_indexes i WHERE i.on_id = o.id) AS hasindexes
        FROM mz_internal.mz_visible_objects o WHERE o.type IN ('table', 'source')",
    ),
    (
        "pg_views",
        "SELECT o.schema_name AS schemaname, o.name AS viewname, o.owner AS viewowner, v.definition
        FROM mz_catalog.mz_views v JOIN mz_internal.mz_visible_objects o ON v.id = o.id",
    ),
    (
        "pg_matviews",
        "SELECT o.schema_name AS schemaname, o.name AS matviewname, o.owner AS matviewowner, true AS ispopulated, v.definition,
               EXISTS (SELECT 1 FROM mz_catalog.mz_indexes i WHERE i.on_id = o.id) AS hasindexes
        FROM mz_catalog.mz_materialized_views v JOIN mz_internal.mz_visible_objects o ON v.id = o.id",
    ),
    (
        "pg_indexes",
        "SELECT d.schemaname, d.tablename, d.indexname, d.indexdef
        FROM mz_internal.mz_index_definitions d JOIN mz_internal.mz_visible_objects o ON d.oid = o.oid",
    ),
];

/// Relations that follow from the program: types, functions, and what is the same in every environment.
pub(super) const PROGRAM: &[(&str, &str)] = &[
    (
        "pg_type",
        "SELECT oid, typname, 11 AS typnamespace, 16610 AS typowner, typlen, typlen IN (1, 2, 4, 8) AS typbyval, typtype,
               typcategory, typispreferred, true AS typisdefined, ',' AS typdelim, typelem, typarray, typinput, typreceive, typalign,
               CASE WHEN typlen < 0 THEN 'x' ELSE 'p' END AS typstorage, -1 AS typtypmod, typcollation
        FROM hw_pg_type()
        UNION ALL
        SELECT t.oid, t.name, s.oid, r.oid, -1, false, (CASE t.category WHEN 'P' THEN 'c' ELSE 'b' END)::\"char\",
               (CASE t.category WHEN 'P' THEN 'C' ELSE t.category END)::\"char\", false, true, ',', 0, 0, 0, 0, 'i', 'x', -1, 0
        FROM mz_catalog.mz_types t JOIN mz_internal.mz_visible_schemas s ON t.schema_id = s.id
        JOIN mz_catalog.mz_roles r ON t.owner_id = r.id WHERE t.id LIKE 'u%'",
    ),
    ("pg_range", "SELECT rngtypid, rngsubtype FROM hw_pg_range()"),
    (
        "pg_proc",
        "SELECT oid, proname, pronamespace, 16610 AS proowner, prolang, 1 AS procost, prorows, provariadic, prokind, proisstrict,
               proretset, provolatile, 's' AS proparallel, pronargs, prorettype, proargtypes, proallargtypes, proargmodes,
               proargnames, prosrc FROM hw_pg_proc()",
    ),
    (
        "pg_aggregate",
        "SELECT oid AS aggfnoid, 'n' AS aggkind, 'r' AS aggfinalmodify, 'r' AS aggmfinalmodify, prorettype AS aggtranstype
        FROM hw_pg_proc() WHERE prokind = 'a'",
    ),
    (
        "pg_operator",
        "SELECT oid, oprname, 11 AS oprnamespace, 16610 AS oprowner, oprkind, oprcanmerge, oprcanhash, oprleft, oprright,
               oprresult, oprcom, oprnegate FROM hw_pg_operator()",
    ),
    ("pg_cast", "SELECT oid, castsource, casttarget, castcontext, 'f' AS castmethod FROM hw_pg_cast()"),
    ("pg_am", "SELECT 16590 AS oid, 'arrangement' AS amname, 'i' AS amtype"),
    (
        "pg_collation",
        "SELECT oid, name AS collname, 11 AS collnamespace, 16610 AS collowner, provider AS collprovider,
               true AS collisdeterministic, -1 AS collencoding, locale AS collcollate, locale AS collctype
        FROM (VALUES (100, 'default', 'd', NULL), (950, 'C', 'c', 'C'), (951, 'POSIX', 'c', 'POSIX')) c (oid, name, provider, locale)",
    ),
    (
        "pg_language",
        "SELECT oid, name AS lanname, 16610 AS lanowner, trusted AS lanpltrusted
        FROM (VALUES (12, 'internal', false), (14, 'sql', true)) l (oid, name, trusted)",
    ),
    (
        "pg_tablespace",
        "SELECT oid, name AS spcname, 16610 AS spcowner FROM (VALUES (1663, 'pg_default'), (1664, 'pg_global')) t (oid, name)",
    ),
    ("pg_timezone_names", "SELECT name, abbrev, utc_offset, is_dst FROM hw_pg_timezone_names(now())"),
    ("pg_timezone_abbrevs", "SELECT abbrev, utc_offset, is_dst FROM hw_pg_timezone_abbrevs()"),
];

/// Relations that show the session that asks.
pub(super) const SESSION: &[(&str, &str)] = &[
    (
        "pg_stat_activity",
        "SELECT d.oid AS datid, d.name AS datname, pg_backend_pid() AS pid, r.oid AS usesysid, current_user AS usename,
               current_setting('application_name') AS application_name, now() AS xact_start, now() AS query_start, 'active' AS state,
               'client backend' AS backend_type
        FROM (SELECT 1 AS n) one LEFT JOIN mz_catalog.mz_databases d ON d.name = current_database()
        LEFT JOIN mz_catalog.mz_roles r ON r.name = current_user",
    ),
    (
        "pg_settings",
        "SELECT name, setting, short_desc, context, vartype, 'Headwater' AS category, false AS pending_restart FROM (VALUES
            ('application_name', current_setting('application_name'), 'The client''s name', 'user', 'string'),
            ('auto_route_catalog_queries', current_setting('auto_route_catalog_queries'), 'Whether queries of system relations run on mz_catalog_server', 'user', 'bool'),
            ('client_encoding', current_setting('client_encoding'), 'The client''s encoding', 'user', 'enum'),
            ('client_min_messages', current_setting('client_min_messages'), 'The least severity of notices that are sent', 'user', 'enum'),
            ('cluster', current_setting('cluster'), 'The current cluster', 'user', 'string'),
            ('cluster_replica', current_setting('cluster_replica'), 'The replica that reads go to; empty is any', 'user', 'string'),
            ('database', current_setting('database'), 'The current database', 'user', 'string'),
            ('DateStyle', current_setting('datestyle'), 'How dates are written', 'user', 'string'),
            ('default_transaction_isolation', current_setting('default_transaction_isolation'), 'The isolation of new transactions', 'user', 'enum'),
            ('default_transaction_read_only', current_setting('default_transaction_read_only'), 'Whether new transactions only read', 'user', 'bool'),
            ('enable_optimizer_transforms', current_setting('enable_optimizer_transforms'), 'Whether the optimizer transforms queries', 'user', 'bool'),
            ('emit_timestamp_notice', current_setting('emit_timestamp_notice'), 'Whether a notice tells the time at which a query read', 'user', 'bool'),
            ('extra_float_digits', current_setting('extra_float_digits'), 'Digits of floating-point output', 'user', 'integer'),
            ('idle_in_transaction_session_timeout', current_setting('idle_in_transaction_session_timeout'), 'How long a transaction may be idle; 0 is for ever', 'user', 'integer'),
            ('in_hot_standby', current_setting('in_hot_standby'), 'Whether the server is a standby', 'internal', 'bool'),
            ('integer_datetimes', current_setting('integer_datetimes'), 'Whether times are integers', 'internal', 'bool'),
            ('IntervalStyle', current_setting('intervalstyle'), 'How intervals are written', 'user', 'enum'),
            ('is_superuser', current_setting('is_superuser'), 'Whether the user is a superuser', 'internal', 'bool'),
            ('max_query_result_size', current_setting('max_query_result_size'), 'The greatest size of a query''s result for this session', 'user', 'integer'),
            ('mz_version', current_setting('mz_version'), 'The version of the server', 'internal', 'string'),
            ('password_encryption', current_setting('password_encryption'), 'How passwords are kept', 'user', 'enum'),
            ('real_time_recency', current_setting('real_time_recency'), 'Whether reads wait for what is upstream now', 'user', 'bool'),
            ('search_path', current_setting('search_path'), 'Where names without a schema are looked up', 'user', 'string'),
            ('server_encoding', current_setting('server_encoding'), 'The server''s encoding', 'internal', 'string'),
            ('server_version', current_setting('server_version'), 'The version of PostgreSQL that is spoken', 'internal', 'string'),
            ('server_version_num', current_setting('server_version_num'), 'The same as a number', 'internal', 'integer'),
            ('session_authorization', current_setting('session_authorization'), 'The user of the session', 'internal', 'string'),
            ('standard_conforming_strings', current_setting('standard_conforming_strings'), 'Whether backslashes in strings are plain', 'user', 'bool'),
            ('statement_timeout', current_setting('statement_timeout'), 'How long a statement may take; 0 is for ever', 'user', 'integer'),
            ('TimeZone', current_setting('timezone'), 'The session''s time zone', 'user', 'string'),
            ('transaction_isolation', current_setting('transaction_isolation'), 'The isolation of the current transaction', 'user', 'enum'),
            ('transaction_read_only', current_setting('transaction_read_only'), 'Whether the current transaction only reads', 'user', 'bool'),
            ('welcome_message', current_setting('welcome_message'), 'Whether a notice greets new sessions', 'user', 'bool')
        ) s (name, setting, short_desc, context, vartype)",
    ),
];
