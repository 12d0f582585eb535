//! `to_jsonb`: any value as `jsonb`, and the building of objects.

use std::collections::BTreeMap;

use hw_repr::adt::numeric;
use hw_repr::text as format;
use hw_repr::{Datum, Row, RowPacker, ScalarType};

use crate::error::EvalError;
use crate::functions::signature::element_type;

/// An object's entries, in the order of `jsonb`: by the length of the key, then bytewise. Of equal keys the last wins.
#[derive(Default)]
pub(crate) struct ObjectBuilder {
    entries: BTreeMap<(usize, String), Row>,
}

impl ObjectBuilder {
    /// Adds an entry whose value `f` packs.
    pub(crate) fn insert<E>(
        &mut self,
        key: &str,
        f: impl FnOnce(&mut RowPacker<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut row = Row::default();
        f(&mut row.packer())?;
        self.entries.insert((key.len(), key.to_owned()), row);
        Ok(())
    }

    /// Adds an entry.
    pub(crate) fn insert_datum(&mut self, key: &str, value: Datum<'_>) {
        self.entries.insert((key.len(), key.to_owned()), Row::pack_slice(&[value]));
    }

    /// Removes an entry.
    pub(crate) fn remove(&mut self, key: &str) {
        self.entries.remove(&(key.len(), key.to_owned()));
    }

    /// Packs the object.
    pub(crate) fn pack(&self, p: &mut RowPacker<'_>) {
        p.push_map_with(|p| {
            for ((_, key), value) in &self.entries {
                p.push(Datum::String(key));
                p.extend_packed(value.data());
            }
        });
    }
}

/// Packs a value as `jsonb`; NULL becomes JSON's null.
pub(crate) fn pack_json(d: Datum<'_>, typ: &ScalarType, p: &mut RowPacker<'_>) -> Result<(), EvalError> {
    match (d, typ) {
        (Datum::Null, _) => p.push(Datum::JsonNull),
        (d, ScalarType::Jsonb) => p.push(d),
        (Datum::Bool(_) | Datum::Numeric(_), _) if !is_special(d) => p.push(d),
        (Datum::Int16(v), _) => p.push(Datum::Numeric(numeric::from_i64(v.into()))),
        (Datum::Int32(v), _) => p.push(Datum::Numeric(numeric::from_i64(v.into()))),
        (Datum::Int64(v), _) => p.push(Datum::Numeric(numeric::from_i64(v))),
        (Datum::UInt16(v), _) => p.push(Datum::Numeric(numeric::from_u64(v.into()))),
        // Object ids are shown as strings.
        (Datum::UInt32(v), ScalarType::UInt32) => p.push(Datum::Numeric(numeric::from_u64(v.into()))),
        (Datum::UInt64(v), _) => p.push(Datum::Numeric(numeric::from_u64(v))),
        (Datum::Float32(_) | Datum::Float64(_), _) if !is_special(d) => {
            let text = format::to_string(d, typ);
            let n = numeric::parse(&text)
                .map_err(|_| EvalError::new("22003", "value overflows numeric format"))?;
            p.push(Datum::Numeric(n));
        }
        (Datum::Timestamp(_) | Datum::TimestampTz(_), _) => {
            let mut text = format::to_string(d, typ).replacen(' ', "T", 1);
            if matches!(d, Datum::TimestampTz(_)) && text.ends_with("+00") {
                text.push_str(":00");
            }
            p.push(Datum::String(&text));
        }
        (Datum::List(l), ScalarType::Record { fields, .. }) => {
            let mut object = ObjectBuilder::default();
            for (d, (name, t)) in l.iter().zip(fields) {
                object.insert(name, |p| pack_json(d, &t.scalar_type, p))?;
            }
            object.pack(p);
        }
        (Datum::List(l), _) => {
            let element = element_type(typ);
            p.push_json_array_with(|p| l.iter().try_for_each(|d| pack_json(d, &element, p)))?;
        }
        (Datum::Map(m), _) => {
            let value = element_type(typ);
            let mut object = ObjectBuilder::default();
            for (k, v) in m.iter() {
                object.insert(k, |p| pack_json(v, &value, p))?;
            }
            object.pack(p);
        }
        (Datum::Array(array), _) => {
            let lengths: Vec<usize> = array.dims().map(|d| d.length as usize).collect();
            let elements: Vec<Datum<'_>> = array.elements().iter().collect();
            pack_array(&elements, &lengths, &element_type(typ), p)?;
        }
        (Datum::String(s), ScalarType::Char { .. }) => p.push(Datum::String(s)),
        (Datum::String(s), _) => p.push(Datum::String(s)),
        (d, _) => p.push(Datum::String(&format::to_string(d, typ))),
    }
    Ok(())
}

fn is_special(d: Datum<'_>) -> bool {
    match d {
        Datum::Numeric(n) => n.0.is_special(),
        Datum::Float32(v) => !v.is_finite(),
        Datum::Float64(v) => !v.is_finite(),
        _ => false,
    }
}

fn pack_array(
    elements: &[Datum<'_>],
    lengths: &[usize],
    typ: &ScalarType,
    p: &mut RowPacker<'_>,
) -> Result<(), EvalError> {
    match lengths {
        [] => {
            p.push_json_array::<_, Datum<'_>>([]);
            Ok(())
        }
        [_] => p.push_json_array_with(|p| elements.iter().try_for_each(|d| pack_json(*d, typ, p))),
        [_, inner @ ..] => {
            let stride = inner.iter().product::<usize>().max(1);
            p.push_json_array_with(|p| elements.chunks(stride).try_for_each(|c| pack_array(c, inner, typ, p)))
        }
    }
}
