//! `jsonb` arrays and objects as rows.

use hw_repr::{Datum, RelationDesc, Row, RowArena, ScalarType};

use super::{column, rows, singles, table};
use crate::error::EvalError;
use crate::func::Registry;
use crate::functions::fail;
use crate::functions::jsonb::as_text;

fn elements<'a>(d: Datum<'a>) -> Result<hw_repr::DatumList<'a>, EvalError> {
    match d {
        Datum::JsonArray(l) => Ok(l),
        Datum::Map(_) => fail("22023", "cannot extract elements from an object"),
        _ => fail("22023", "cannot extract elements from a scalar"),
    }
}

fn entries<'a>(d: Datum<'a>, function: &str) -> Result<hw_repr::DatumMap<'a>, EvalError> {
    match d {
        Datum::Map(m) => Ok(m),
        _ => fail("22023", format!("cannot call {function} on a non-object")),
    }
}

fn key_and(typ: ScalarType, nullable: bool) -> RelationDesc {
    column("key", ScalarType::String, false).with_column("value", typ.nullable(nullable))
}

fn text_or_null<'a>(d: Datum<'a>, arena: &'a RowArena) -> Datum<'a> {
    as_text(d, arena)
}

pub(super) fn register(r: &mut Registry) {
    for s in ["jsonb_array_elements(jsonb)", "json_array_elements(jsonb)"] {
        r.add_table(table(
            s,
            |_| column("value", ScalarType::Jsonb, false),
            |_, _, a| singles(elements(a[0])?.iter()),
        ));
    }
    for s in ["jsonb_array_elements_text(jsonb)", "json_array_elements_text(jsonb)"] {
        r.add_table(table(
            s,
            |_| column("value", ScalarType::String, true),
            |_, arena, a| singles(elements(a[0])?.iter().map(move |d| text_or_null(d, arena))),
        ));
    }
    for s in ["jsonb_each(jsonb)", "json_each(jsonb)"] {
        r.add_table(table(
            s,
            |_| key_and(ScalarType::Jsonb, false),
            |_, _, a| {
                rows(
                    entries(a[0], "jsonb_each")?.iter().map(|(k, v)| Row::pack_slice(&[Datum::String(k), v])),
                )
            },
        ));
    }
    for s in ["jsonb_each_text(jsonb)", "json_each_text(jsonb)"] {
        r.add_table(table(
            s,
            |_| key_and(ScalarType::String, true),
            |_, arena, a| {
                let entries = entries(a[0], "jsonb_each_text")?;
                rows(
                    entries
                        .iter()
                        .map(move |(k, v)| Row::pack_slice(&[Datum::String(k), text_or_null(v, arena)])),
                )
            },
        ));
    }
    for s in ["jsonb_object_keys(jsonb)", "json_object_keys(jsonb)"] {
        r.add_table(table(
            s,
            |_| column("jsonb_object_keys", ScalarType::String, false),
            |_, _, a| match a[0] {
                Datum::Map(m) => singles(m.iter().map(|(k, _)| Datum::String(k))),
                Datum::JsonArray(_) => fail("22023", "cannot call jsonb_object_keys on an array"),
                _ => fail("22023", "cannot call jsonb_object_keys on a scalar"),
            },
        ));
    }
}
