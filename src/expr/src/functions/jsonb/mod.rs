//! `jsonb` (PostgreSQL manual 9.16).

mod access;
mod build;
pub(crate) mod convert;
mod modify;
mod populate;

pub(crate) use access::kind;

use hw_repr::{Datum, RowArena, ScalarType, text};

use crate::func::Registry;

pub(super) fn register(r: &mut Registry) {
    access::register(r);
    build::register(r);
    modify::register(r);
    populate::register(r);
}

/// A JSON value as text, as `->>` gives it: strings bare, null as NULL.
pub(crate) fn as_text<'a>(d: Datum<'a>, arena: &'a RowArena) -> Datum<'a> {
    match d {
        Datum::JsonNull | Datum::Null => Datum::Null,
        Datum::String(s) => Datum::String(s),
        other => Datum::String(arena.push_string(text::to_string(other, &ScalarType::Jsonb))),
    }
}

/// The position that an index, negative from the end, means in a list of that length.
fn position(index: i64, len: usize) -> Option<usize> {
    let at = if index < 0 { index.checked_add(len as i64)? } else { index };
    usize::try_from(at).ok().filter(|i| *i < len)
}

/// The parts of a text array path; `None` when one is NULL.
fn path(d: Datum<'_>) -> Option<Vec<&str>> {
    let parts = d.unwrap_array().elements();
    parts.iter().map(|p| if let Datum::String(s) = p { Some(s) } else { None }).collect()
}
