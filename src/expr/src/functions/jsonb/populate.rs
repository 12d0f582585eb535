//! JSON as rows of declared types: `jsonb_populate_record(set)` and, under another name in planning,
//! `jsonb_to_record(set)` (PostgreSQL manual 9.16, "Converting JSON to records").

use hw_repr::datum::ArrayDimension;
use hw_repr::{Datum, RelationDesc, Row, RowArena, ScalarType};

use super::as_text;
use crate::cast::cast_datum;
use crate::error::EvalError;
use crate::func::{CastContext, FuncTypes, Registry};
use crate::functions::signature::element_type;
use crate::functions::table::{rows, table};
use crate::functions::{fail, invalid_parameter};
use crate::table::TableRows;

/// A JSON value as a value of a type; JSON's null is NULL.
fn convert<'a>(d: Datum<'a>, typ: &ScalarType, arena: &'a RowArena) -> Result<Datum<'a>, EvalError> {
    match (d, typ) {
        (Datum::JsonNull | Datum::Null, _) => Ok(Datum::Null),
        (d, ScalarType::Jsonb) => Ok(d),
        (Datum::Map(_), ScalarType::Record { .. }) => record(d, Datum::Null, typ, arena),
        (Datum::JsonArray(_), ScalarType::Array(_)) => array(d, typ, arena),
        (Datum::JsonArray(items), ScalarType::List { element, .. }) => {
            let items = items.iter().map(|d| convert(d, element, arena)).collect::<Result<Vec<_>, _>>()?;
            Ok(arena.make_datum(|p| p.push_list(items)))
        }
        (Datum::String(_), ScalarType::Array(_) | ScalarType::Record { .. }) => of_text(d, typ, arena),
        (_, ScalarType::Array(_)) => fail("22P02", "expected JSON array"),
        (d, ScalarType::Record { .. }) => {
            let what = if matches!(d, Datum::JsonArray(_)) { "an array" } else { "a scalar" };
            Err(invalid_parameter(format!("cannot call populate_composite on {what}")))
        }
        (d, typ) => of_text(d, typ, arena),
    }
}

/// A value through its text and the input function of the type.
fn of_text<'a>(d: Datum<'a>, typ: &ScalarType, arena: &'a RowArena) -> Result<Datum<'a>, EvalError> {
    let base = typ.without_modifiers();
    let value = cast_datum(as_text(d, arena), &ScalarType::String, &base, CastContext::Explicit, arena)?;
    cast_datum(value, &base, typ, CastContext::Assignment, arena)
}

/// An object as a record; fields that it lacks are those of `base`.
fn record<'a>(
    d: Datum<'a>,
    base: Datum<'a>,
    typ: &ScalarType,
    arena: &'a RowArena,
) -> Result<Datum<'a>, EvalError> {
    let values = fields(d, base, typ, arena)?;
    Ok(arena.make_datum(|p| p.push_list(values)))
}

fn fields<'a>(
    d: Datum<'a>,
    base: Datum<'a>,
    typ: &ScalarType,
    arena: &'a RowArena,
) -> Result<Vec<Datum<'a>>, EvalError> {
    let ScalarType::Record { fields, .. } = typ else { return Ok(vec![]) };
    let mut defaults = if let Datum::List(l) = base { Some(l.iter()) } else { None };
    let mut out = Vec::with_capacity(fields.len());
    for (name, t) in fields {
        let default = defaults.as_mut().and_then(Iterator::next).unwrap_or(Datum::Null);
        let given = if let Datum::Map(m) = d { m.get(name) } else { None };
        out.push(match given {
            Some(value) => convert(value, &t.scalar_type, arena)?,
            None => default,
        });
    }
    Ok(out)
}

fn array<'a>(d: Datum<'a>, typ: &ScalarType, arena: &'a RowArena) -> Result<Datum<'a>, EvalError> {
    let mut element = element_type(typ);
    while let ScalarType::Array(inner) = element {
        element = *inner;
    }
    let json_elements = matches!(element, ScalarType::Jsonb);
    let mut lengths = vec![];
    let mut at = d;
    while let Datum::JsonArray(l) = at {
        lengths.push(l.iter().count());
        match l.iter().next() {
            Some(first) if !json_elements && lengths.len() < 6 => at = first,
            _ => break,
        }
    }
    let mut out = vec![];
    flatten(d, &lengths, &element, arena, &mut out)?;
    let dims: Vec<ArrayDimension> =
        lengths.iter().map(|n| ArrayDimension { lower_bound: 1, length: *n as u32 }).collect();
    let dims: &[ArrayDimension] = if out.is_empty() { &[] } else { &dims };
    Ok(arena.make_datum(|p| p.push_array_with(dims, |p| p.extend(out.iter()))))
}

fn flatten<'a>(
    d: Datum<'a>,
    lengths: &[usize],
    element: &ScalarType,
    arena: &'a RowArena,
    out: &mut Vec<Datum<'a>>,
) -> Result<(), EvalError> {
    let malformed = || {
        EvalError::new("22P02", "malformed JSON array")
            .with_detail("Multidimensional arrays must have sub-arrays with matching dimensions.")
    };
    match (d, lengths) {
        (d, []) if matches!(d, Datum::JsonArray(_)) && !matches!(element, ScalarType::Jsonb) => {
            Err(malformed())
        }
        (d, []) => {
            out.push(convert(d, element, arena)?);
            Ok(())
        }
        (Datum::JsonArray(l), [n, rest @ ..]) if l.iter().count() == *n => {
            l.iter().try_for_each(|d| flatten(d, rest, element, arena, out))
        }
        _ => Err(malformed()),
    }
}

fn columns(types: &[ScalarType]) -> RelationDesc {
    let ScalarType::Record { fields, .. } = &types[0] else { return RelationDesc::empty() };
    fields.iter().fold(RelationDesc::empty(), |d, (name, t)| {
        d.with_column(name.clone(), t.scalar_type.clone().nullable(true))
    })
}

fn populate_record<'a>(
    types: &'a FuncTypes,
    arena: &'a RowArena,
    a: &[Datum<'a>],
) -> Result<TableRows<'a>, EvalError> {
    let values = match (a[0], a[1]) {
        (base, Datum::Null | Datum::JsonNull) => fields(Datum::Null, base, &types.args[0], arena)?,
        (base, d @ Datum::Map(_)) => fields(d, base, &types.args[0], arena)?,
        (_, other) => {
            convert(other, &types.args[0], arena)?;
            return fail("22023", "cannot call jsonb_populate_record on a scalar");
        }
    };
    rows([Row::pack_slice(&values)])
}

fn populate_recordset<'a>(
    types: &'a FuncTypes,
    arena: &'a RowArena,
    a: &[Datum<'a>],
) -> Result<TableRows<'a>, EvalError> {
    let (base, list) = match (a[0], a[1]) {
        (base, Datum::JsonArray(l)) => (base, l),
        (_, Datum::Null) => return rows([]),
        (_, Datum::Map(_)) => return fail("22023", "cannot call jsonb_populate_recordset on an object"),
        _ => return fail("22023", "cannot call jsonb_populate_recordset on a scalar"),
    };
    Ok(Box::new(list.iter().map(move |d| match d {
        Datum::Map(_) => Ok((Row::pack_slice(&fields(d, base, &types.args[0], arena)?), 1)),
        _ => fail("22023", "argument of jsonb_populate_recordset must be an array of objects"),
    })))
}

pub(super) fn register(r: &mut Registry) {
    for s in ["jsonb_populate_record(AnyRecord, jsonb)", "json_populate_record(AnyRecord, jsonb)"] {
        let mut def = table(s, columns, populate_record);
        def.strict = false;
        r.add_table(def);
    }
    for s in ["jsonb_populate_recordset(AnyRecord, jsonb)", "json_populate_recordset(AnyRecord, jsonb)"] {
        let mut def = table(s, columns, populate_recordset);
        def.strict = false;
        r.add_table(def);
    }
}
