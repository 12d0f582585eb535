//! Functions whose answer is a query over the system catalog (PostgreSQL manual 9.26). `$n` in the query is the n-th
//! argument; the query is put in place of the call by planning. It names everything with its schema and has no WITH.

use super::signature::query;
use crate::func::Registry;

/// `pg_class` and its like by name, as the descriptions' classes are numbered.
macro_rules! class_of {
    ($name:literal) => {
        concat!(
            "CASE ",
            $name,
            " WHEN 'pg_class' THEN 1259 WHEN 'pg_namespace' THEN 2615 WHEN 'pg_type' THEN 1247 \
             WHEN 'pg_database' THEN 1262 WHEN 'pg_authid' THEN 1260 END::oid"
        )
    };
}

/// The name of a relation, with its schema unless that is searched.
const RELATION: &str = "SELECT CASE WHEN n.nspname = ANY (current_schemas(true)) THEN quote_ident(c.relname) \
     ELSE quote_ident(n.nspname) || '.' || quote_ident(c.relname) END \
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON c.relnamespace = n.oid WHERE c.oid = $1";
const SCHEMA: &str = "SELECT quote_ident(nspname) FROM pg_catalog.pg_namespace WHERE oid = $1";
const ROLE: &str = "SELECT quote_ident(rolname) FROM pg_catalog.pg_roles WHERE oid = $1";

const VIEW: &str = "SELECT definition FROM mz_catalog.mz_views WHERE oid = $1 \
     UNION ALL SELECT definition FROM mz_catalog.mz_materialized_views WHERE oid = $1";
const VIEW_NAMED: &str = "SELECT v.definition FROM (SELECT oid, definition FROM mz_catalog.mz_views \
     UNION ALL SELECT oid, definition FROM mz_catalog.mz_materialized_views) v \
     JOIN pg_catalog.pg_class c ON v.oid = c.oid JOIN pg_catalog.pg_namespace n ON c.relnamespace = n.oid \
     WHERE (c.relname = $1 AND n.nspname = ANY (current_schemas(true))) OR n.nspname || '.' || c.relname = $1";
const INDEX: &str = "SELECT indexdef FROM mz_internal.mz_index_definitions WHERE oid = $1";
const INDEX_COLUMN: &str = "SELECT CASE WHEN $2 = 0 THEN d.indexdef ELSE (SELECT k.definition \
     FROM mz_internal.mz_index_key_definitions k WHERE k.oid = $1 AND k.position = $2) END \
     FROM mz_internal.mz_index_definitions d WHERE d.oid = $1";

/// Whether a relation's rows may be read, or changed if it is not the system's: everyone may do everything else.
const TABLE_PRIVILEGE: &str =
    "SELECT upper($2) = 'SELECT' OR c.oid >= 20000 FROM pg_catalog.pg_class c WHERE c.oid = $1";
const TABLE_PRIVILEGE_NAMED: &str = "SELECT bool_or(upper($2) = 'SELECT' OR c.oid >= 20000) FROM pg_catalog.pg_class c \
     JOIN pg_catalog.pg_namespace n ON c.relnamespace = n.oid \
     WHERE (c.relname = $1 AND n.nspname = ANY (current_schemas(true))) OR n.nspname || '.' || c.relname = $1";
const TABLE_PRIVILEGE_OF: &str =
    "SELECT upper($3) = 'SELECT' OR c.oid >= 20000 FROM pg_catalog.pg_class c WHERE c.oid = $2";

pub(super) fn register(r: &mut Registry) {
    for (signature, sql) in [
        ("hw_name_of(regclass) -> text", RELATION),
        ("hw_name_of(regnamespace) -> text", SCHEMA),
        ("hw_name_of(regrole) -> text", ROLE),
        (
            "pg_get_userbyid(oid) -> name",
            "SELECT coalesce((SELECT rolname FROM pg_catalog.pg_roles WHERE oid = $1), \
             'unknown (OID=' || $1::text || ')')",
        ),
        (
            "pg_table_is_visible(oid) -> bool",
            "SELECT n.nspname = ANY (current_schemas(true)) FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_namespace n ON c.relnamespace = n.oid WHERE c.oid = $1",
        ),
        (
            "obj_description(oid, name) -> text",
            concat!(
                "SELECT description FROM pg_catalog.pg_description WHERE objoid = $1 AND objsubid = 0 \
                 AND classoid = ",
                class_of!("$2")
            ),
        ),
        (
            "obj_description(oid) -> text",
            "SELECT description FROM pg_catalog.pg_description WHERE objoid = $1 AND objsubid = 0",
        ),
        (
            "shobj_description(oid, name) -> text",
            concat!(
                "SELECT description FROM pg_catalog.pg_shdescription WHERE objoid = $1 AND classoid = ",
                class_of!("$2")
            ),
        ),
        (
            "col_description(oid, int4) -> text",
            "SELECT description FROM pg_catalog.pg_description \
             WHERE objoid = $1 AND objsubid = $2 AND classoid = 1259 AND $2 > 0",
        ),
        ("has_table_privilege(oid, text) -> bool", TABLE_PRIVILEGE),
        ("has_table_privilege(text, text) -> bool", TABLE_PRIVILEGE_NAMED),
        ("has_table_privilege(name, oid, text) -> bool", TABLE_PRIVILEGE_OF),
        (
            "hw_setting(text) -> text",
            "SELECT setting FROM pg_catalog.pg_settings WHERE lower(name) = lower($1)",
        ),
        ("pg_get_viewdef(oid) -> text", VIEW),
        ("pg_get_viewdef(oid, bool) -> text", VIEW),
        ("pg_get_viewdef(oid, int4) -> text", VIEW),
        ("pg_get_viewdef(text) -> text", VIEW_NAMED),
        ("pg_get_viewdef(text, bool) -> text", VIEW_NAMED),
        ("pg_get_indexdef(oid) -> text", INDEX),
        ("pg_get_indexdef(oid, int4, bool) -> text", INDEX_COLUMN),
    ] {
        r.add(query(signature, sql));
    }
}
