//! Whether a datum is stored as its type says, for assertions at boundaries.

use super::{ColumnType, ScalarType};
use crate::datum::Datum;

/// Whether the datum is a value of the column type: NULL only where allowed, and stored as the type says.
/// Containers are checked through; cost is linear in the datum.
pub fn datum_matches_type(datum: Datum<'_>, typ: &ColumnType) -> bool {
    if datum.is_null() { typ.nullable } else { datum_matches_scalar_type(datum, &typ.scalar_type) }
}

/// Whether the datum is a value of the type, NULL not counted as one.
pub fn datum_matches_scalar_type(datum: Datum<'_>, typ: &ScalarType) -> bool {
    let element_matches = |d: Datum<'_>, t: &ScalarType| d.is_null() || datum_matches_scalar_type(d, t);
    match (datum, typ) {
        (Datum::Bool(_), ScalarType::Bool)
        | (Datum::Int16(_), ScalarType::Int16)
        | (Datum::Int32(_), ScalarType::Int32)
        | (Datum::Int64(_), ScalarType::Int64)
        | (Datum::UInt16(_), ScalarType::UInt16)
        | (Datum::UInt32(_), ScalarType::UInt32)
        | (Datum::UInt64(_), ScalarType::UInt64)
        | (Datum::Float32(_), ScalarType::Float32)
        | (Datum::Float64(_), ScalarType::Float64)
        | (Datum::Numeric(_), ScalarType::Numeric { .. })
        | (Datum::Bytes(_), ScalarType::Bytes)
        | (Datum::Date(_), ScalarType::Date)
        | (Datum::Time(_), ScalarType::Time)
        | (Datum::Timestamp(_), ScalarType::Timestamp { .. })
        | (Datum::TimestampTz(_), ScalarType::TimestampTz { .. })
        | (Datum::Interval(_), ScalarType::Interval)
        | (Datum::Uuid(_), ScalarType::Uuid)
        | (Datum::MzTimestamp(_), ScalarType::MzTimestamp) => true,
        (Datum::String(_), t) => t.is_stored_as_string() || *t == ScalarType::Jsonb,
        (Datum::UInt32(_), t) => t.is_oid_like(),
        (d, ScalarType::Jsonb) => match d {
            Datum::JsonNull | Datum::Bool(_) | Datum::Numeric(_) => true,
            Datum::JsonArray(l) => l.iter().all(|e| datum_matches_scalar_type(e, typ)),
            Datum::Map(m) => m.iter().all(|(_, v)| datum_matches_scalar_type(v, typ)),
            _ => false,
        },
        (Datum::Array(a), ScalarType::Array(element)) => {
            let mut element = element.as_ref();
            while let ScalarType::Array(inner) = element {
                element = inner;
            }
            a.elements().iter().all(|d| element_matches(d, element))
        }
        (Datum::Array(a), ScalarType::Int2Vector) => {
            a.ndims() <= 1 && a.elements().iter().all(|d| matches!(d, Datum::Int16(_)))
        }
        (Datum::List(l), ScalarType::List { element, .. }) => l.iter().all(|d| element_matches(d, element)),
        (Datum::List(l), ScalarType::Record { fields, .. }) => {
            l.iter().count() == fields.len()
                && l.iter().zip(fields).all(|(d, (_, t))| datum_matches_type(d, t))
        }
        (Datum::Map(m), ScalarType::Map { value, .. }) => m.iter().all(|(_, d)| element_matches(d, value)),
        (Datum::Range(r), ScalarType::Range(element)) => {
            [r.lower(), r.upper()].into_iter().flatten().all(|d| datum_matches_scalar_type(d, element))
        }
        _ => false,
    }
}
