//! System information that needs no catalog (PostgreSQL manual 9.26). Privilege checks that this system always
//! grants are true; what needs the catalog is planning's.

use hw_repr::{Datum, ScalarType};

use super::signature::f;
use super::{ok, text};
use crate::func::Registry;
use crate::listing::listing;

pub(super) fn register(r: &mut Registry) {
    r.add(f("pg_typeof(Any) -> regtype notnull total stable", |cx, _, _| ok(cx.types.args[0].oid())));
    r.add(f("format_type(oid, int4) -> text lax_total stable", |_, arena, a| {
        let Datum::UInt32(oid) = a[0] else { return Ok(Datum::Null) };
        let typmod = if let Datum::Int32(m) = a[1] { Some(m) } else { None };
        let Some(typ) = ScalarType::from_oid(oid) else {
            return match ScalarType::name_of_oid(oid) {
                Some(name) => text(arena, name),
                None => ok(if oid == 0 { "-" } else { "???" }),
            };
        };
        // Without a modifier `bpchar` is SQL's `character`.
        text(
            arena,
            match typmod {
                Some(m) => typ.with_typmod(m).to_string(),
                None => typ.sql_name().into_owned(),
            },
        )
    }));
    r.add(f("pg_encoding_to_char(int4) -> name total stable", |_, _, a| {
        ok(if a[0].unwrap_int32() == 6 { "UTF8" } else { "" })
    }));
    r.add(f("pg_client_encoding() -> name total stable", |_, _, _| ok("UTF8")));
    r.add(f("getdatabaseencoding() -> name total stable", |_, _, _| ok("UTF8")));
    for s in [
        "pg_type_is_visible(oid) -> bool total stable",
        "pg_function_is_visible(oid) -> bool total stable",
        "pg_operator_is_visible(oid) -> bool total stable",
        "pg_opclass_is_visible(oid) -> bool total stable",
        "pg_opfamily_is_visible(oid) -> bool total stable",
        "pg_conversion_is_visible(oid) -> bool total stable",
        "pg_statistics_obj_is_visible(oid) -> bool total stable",
        "pg_ts_config_is_visible(oid) -> bool total stable",
        "pg_ts_dict_is_visible(oid) -> bool total stable",
        "pg_ts_parser_is_visible(oid) -> bool total stable",
        "pg_ts_template_is_visible(oid) -> bool total stable",
        "pg_collation_is_visible(oid) -> bool total stable",
        "has_any_column_privilege(oid, text) -> bool total stable",
        "has_any_column_privilege(text, text) -> bool total stable",
        "has_any_column_privilege(name, oid, text) -> bool total stable",
        "has_column_privilege(oid, int2, text) -> bool total stable",
        "has_column_privilege(oid, text, text) -> bool total stable",
        "has_column_privilege(name, oid, text, text) -> bool total stable",
        "has_foreign_data_wrapper_privilege(oid, text) -> bool total stable",
        "has_database_privilege(oid, text) -> bool total stable",
        "has_database_privilege(text, text) -> bool total stable",
        "has_database_privilege(name, oid, text) -> bool total stable",
        "has_schema_privilege(oid, text) -> bool total stable",
        "has_schema_privilege(text, text) -> bool total stable",
        "has_schema_privilege(name, oid, text) -> bool total stable",
        "has_type_privilege(oid, text) -> bool total stable",
        "has_function_privilege(oid, text) -> bool total stable",
        "has_language_privilege(oid, text) -> bool total stable",
        "has_server_privilege(oid, text) -> bool total stable",
        "has_tablespace_privilege(oid, text) -> bool total stable",
    ] {
        r.add(f(s, |_, _, _| ok(true)));
    }
    r.add(f("pg_char_to_encoding(name) -> int4 total", |_, _, a| {
        let utf8 = ["utf8", "utf-8", "unicode"].contains(&a[0].unwrap_str().to_lowercase().as_str());
        ok(if utf8 { 6 } else { -1 })
    }));
    r.add(f("pg_get_function_arguments(oid) -> text nullable total stable", |_, arena, a| {
        arguments(arena, a[0].unwrap_uint32(), true)
    }));
    r.add(f("pg_get_function_identity_arguments(oid) -> text nullable total stable", |_, arena, a| {
        arguments(arena, a[0].unwrap_uint32(), false)
    }));
    r.add(f("pg_get_function_result(oid) -> text nullable total stable", |_, arena, a| {
        match listing().proc(a[0].unwrap_uint32()) {
            None => Ok(Datum::Null),
            Some(p) => text(arena, format!("{}{}", if p.set { "SETOF " } else { "" }, type_name(p.ret))),
        }
    }));
    for s in [
        "pg_is_in_recovery() -> bool total stable",
        "pg_relation_is_publishable(regclass) -> bool total stable",
        "pg_is_other_temp_schema(oid) -> bool total stable",
    ] {
        r.add(f(s, |_, _, _| ok(false)));
    }
    // Expressions are shown as they are kept.
    for s in
        ["pg_get_expr(text, oid) -> text total stable", "pg_get_expr(text, oid, bool) -> text total stable"]
    {
        r.add(f(s, |_, _, a| Ok(a[0])));
    }
    for s in [
        "pg_get_constraintdef(oid) -> text nullable total stable",
        "pg_get_constraintdef(oid, bool) -> text nullable total stable",
        "pg_get_ruledef(oid) -> text nullable total stable",
        "pg_get_ruledef(oid, bool) -> text nullable total stable",
        "pg_get_function_sqlbody(oid) -> text nullable total stable",
        "pg_get_partition_constraintdef(oid) -> text nullable total stable",
        "pg_get_triggerdef(oid) -> text nullable total stable",
        "pg_get_partkeydef(oid) -> text nullable total stable",
        "pg_get_serial_sequence(text, text) -> text nullable total stable",
        "pg_get_statisticsobjdef_columns(oid) -> text nullable total stable",
        "pg_tablespace_location(oid) -> text nullable total stable",
    ] {
        r.add(f(s, |_, _, _| Ok(Datum::Null)));
    }
    for s in [
        "pg_relation_size(regclass) -> int8 total stable",
        "pg_total_relation_size(regclass) -> int8 total stable",
        "pg_table_size(regclass) -> int8 total stable",
        "pg_indexes_size(regclass) -> int8 total stable",
        "pg_database_size(oid) -> int8 total stable",
        "pg_database_size(name) -> int8 total stable",
    ] {
        r.add(f(s, |_, _, _| ok(0i64)));
    }
    r.add(f("pg_size_pretty(int8) -> text total", |_, arena, a| {
        text(arena, size_pretty(a[0].unwrap_int64()))
    }));
    r.add(f("pg_column_size(Any) -> int4 total stable", |_, _, a| {
        ok(hw_repr::Row::pack_slice(&[a[0]]).data().len() as i32)
    }));
}

fn type_name(oid: u32) -> String {
    ScalarType::name_of_oid(oid).map_or_else(|| "???".to_owned(), |n| n.into_owned())
}

/// A function's parameters as CREATE FUNCTION writes them, with the columns of its rows or without.
fn arguments(arena: &hw_repr::RowArena, oid: u32, outputs: bool) -> super::EvalResult<'_> {
    let Some(p) = listing().proc(oid) else { return Ok(Datum::Null) };
    let last = p.args.len().saturating_sub(1);
    let one = |(i, oid): (usize, &u32)| {
        let variadic = if p.variadic != 0 && i == last { "VARIADIC " } else { "" };
        format!("{variadic}{}", type_name(*oid))
    };
    let mut parts: Vec<String> = p.args.iter().enumerate().map(one).collect();
    if outputs {
        parts.extend(p.columns.iter().map(|(name, oid)| format!("OUT {name} {}", type_name(*oid))));
    }
    text(arena, parts.join(", "))
}

fn size_pretty(bytes: i64) -> String {
    const UNITS: [&str; 6] = ["bytes", "kB", "MB", "GB", "TB", "PB"];
    let mut unit = 0;
    let mut size = i128::from(bytes);
    // Above 10 of a unit and 10240 of the one below, rounded half away from zero.
    while size.abs() >= 10_240 && unit + 1 < UNITS.len() {
        size = (size + 512 * size.signum()) / 1024;
        unit += 1;
    }
    format!("{size} {}", UNITS[unit])
}
