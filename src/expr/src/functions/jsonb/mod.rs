//! `jsonb` (PostgreSQL manual 9.16).

pub(crate) mod convert;

use hw_repr::{Datum, RowArena, ScalarType, text};

/// A JSON value as text, as `->>` gives it: strings bare, null as NULL.
pub(crate) fn as_text<'a>(d: Datum<'a>, arena: &'a RowArena) -> Datum<'a> {
    match d {
        Datum::JsonNull | Datum::Null => Datum::Null,
        Datum::String(s) => Datum::String(s),
        other => Datum::String(arena.push_string(text::to_string(other, &ScalarType::Jsonb))),
    }
}
