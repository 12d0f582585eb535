//! What is fixed about a type, by its number, for the views over columns and types.

use hw_repr::{Datum, PSEUDO_TYPES, ScalarType};

use super::signature::f;
use super::{ok, text};
use crate::func::Registry;

pub(super) fn register(r: &mut Registry) {
    r.add(f("hw_type_length(oid) -> int2 notnull total", |_, _, a| ok(typ(a).map_or(-1, |t| t.typlen()))));
    r.add(f("hw_type_align(oid) -> char notnull total", |_, _, a| ok(typ(a).map_or("i", |t| align(&t)))));
    // Collatable types have the default collation.
    r.add(f("hw_type_collation(oid) -> oid notnull total", |_, _, a| {
        ok(typ(a).map_or(0u32, |t| if is_collatable(&t) { 100 } else { 0 }))
    }));
    r.add(f("hw_type_dimensions(oid) -> int4 notnull total", |_, _, a| {
        ok(i32::from(matches!(typ(a), Some(ScalarType::Array(_)))))
    }));
    r.add(f("hw_type_element(oid) -> oid nullable total", |_, _, a| match typ(a) {
        Some(ScalarType::Array(element)) => ok(element.oid()),
        _ => Ok(Datum::Null),
    }));
    r.add(f("hw_type_name(oid) -> name nullable total", |_, arena, a| {
        let oid = a[0].unwrap_uint32();
        let pseudo = || PSEUDO_TYPES.iter().find(|(o, _)| *o == oid).map(|(_, name)| *name);
        match typ(a).map(|t| t.pg_name()).or_else(pseudo) {
            Some(name) => text(arena, name),
            None => Ok(Datum::Null),
        }
    }));
}

fn typ(args: &[Datum<'_>]) -> Option<ScalarType> {
    // Those that never give NULL are called with it too.
    if let Datum::UInt32(oid) = args[0] { ScalarType::from_oid(oid) } else { None }
}

/// Whether values sort by a collation: character types and their arrays, the one-byte `"char"` excepted.
pub(crate) fn is_collatable(typ: &ScalarType) -> bool {
    match typ {
        ScalarType::Array(element) => is_collatable(element),
        other => other.is_string() && *other != ScalarType::PgLegacyChar,
    }
}

/// `pg_type.typalign`.
pub(crate) fn align(typ: &ScalarType) -> &'static str {
    match typ {
        ScalarType::Uuid => "c",
        ScalarType::Array(element) if align(element) == "d" => "d",
        other => match other.typlen() {
            1 | 64 => "c",
            2 => "s",
            8 | 16 => "d",
            _ => "i",
        },
    }
}
