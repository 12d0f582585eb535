//! The send functions.

use bytes::{BufMut, BytesMut};

use super::{
    JSONB_VERSION, JSONPATH_VERSION, RANGE_EMPTY, RANGE_LOWER_INC, RANGE_LOWER_INF, RANGE_UPPER_INC,
    RANGE_UPPER_INF, numeric,
};
use crate::adt::jsonb;
use crate::datum::{ArrayDimension, ArrayRef, Datum, RangeRef};
use crate::types::ScalarType;

/// Appends the binary form of a value. NULL appends nothing: the caller writes the length -1.
pub fn encode(datum: Datum<'_>, typ: &ScalarType, out: &mut BytesMut) {
    if *typ == ScalarType::Jsonb && !datum.is_null() {
        let mut text = String::new();
        jsonb::write(datum, &mut text);
        out.put_u8(JSONB_VERSION);
        return out.put_slice(text.as_bytes());
    }
    match datum {
        // Of the kinds that only `jsonb` has none is left here.
        Datum::Null | Datum::JsonNull | Datum::JsonArray(_) => {}
        Datum::Bool(v) => out.put_u8(v.into()),
        Datum::Int16(v) => out.put_i16(v),
        Datum::Int32(v) => out.put_i32(v),
        Datum::Int64(v) => out.put_i64(v),
        Datum::UInt16(v) => out.put_u16(v),
        Datum::UInt32(v) => out.put_u32(v),
        Datum::UInt64(v) | Datum::MzTimestamp(v) => out.put_u64(v),
        Datum::Float32(v) => out.put_f32(v.0),
        Datum::Float64(v) => out.put_f64(v.0),
        Datum::Numeric(v) => numeric::encode(&v, out),
        Datum::String(v) if *typ == ScalarType::PgLegacyChar && v.is_empty() => out.put_u8(0),
        Datum::String(v) => {
            if *typ == ScalarType::Jsonpath {
                out.put_u8(JSONPATH_VERSION);
            }
            out.put_slice(v.as_bytes());
        }
        Datum::Bytes(v) => out.put_slice(v),
        Datum::Date(v) => out.put_i32(v.0),
        Datum::Time(v) => out.put_i64(v.0),
        Datum::Timestamp(v) | Datum::TimestampTz(v) => out.put_i64(v.0),
        Datum::Interval(v) => {
            out.put_i64(v.micros);
            out.put_i32(v.days);
            out.put_i32(v.months);
        }
        Datum::Uuid(v) => out.put_slice(v.as_bytes()),
        Datum::Array(a) => {
            let element = match typ {
                ScalarType::Int2Vector => &ScalarType::Int16,
                other => innermost(other),
            };
            put_array(a, element, out);
        }
        Datum::List(l) => match typ {
            ScalarType::Record { fields, .. } => {
                put_count(fields.len(), out);
                for (datum, (_, field)) in l.iter().zip(fields) {
                    out.put_u32(field.scalar_type.oid());
                    put_lengthed(datum, &field.scalar_type, out);
                }
            }
            ScalarType::List { element, .. } => {
                let count = l.iter().count();
                let dim =
                    [ArrayDimension { lower_bound: 1, length: u32::try_from(count).unwrap_or(u32::MAX) }];
                put_array_head(
                    if count == 0 { &[] } else { &dim },
                    l.iter().any(|d| d.is_null()),
                    element,
                    out,
                );
                l.iter().for_each(|d| put_lengthed(d, element, out));
            }
            _ => {}
        },
        Datum::Map(m) => {
            if let ScalarType::Map { value, .. } = typ {
                put_count(m.iter().count(), out);
                for (key, datum) in m.iter() {
                    put_lengthed(Datum::String(key), &ScalarType::String, out);
                    put_lengthed(datum, value, out);
                }
            }
        }
        Datum::Range(r) => {
            if let ScalarType::Range(element) = typ {
                put_range(r, element, out);
            }
        }
    }
}

/// The element type of an array, whatever its nesting.
pub(super) fn innermost(typ: &ScalarType) -> &ScalarType {
    match typ {
        ScalarType::Array(inner) => innermost(inner),
        other => other,
    }
}

fn put_count(n: usize, out: &mut BytesMut) {
    out.put_i32(i32::try_from(n).expect("a value has fewer than 2^31 parts"));
}

/// Appends a value with its length in front, -1 for NULL.
fn put_lengthed(datum: Datum<'_>, typ: &ScalarType, out: &mut BytesMut) {
    if datum.is_null() {
        return out.put_i32(-1);
    }
    let start = out.len();
    out.put_i32(0);
    encode(datum, typ, out);
    let length = i32::try_from(out.len() - start - 4).expect("a value is under 2 GiB");
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

fn put_array_head(dims: &[ArrayDimension], has_nulls: bool, element: &ScalarType, out: &mut BytesMut) {
    put_count(dims.len(), out);
    out.put_i32(has_nulls.into());
    out.put_u32(element.oid());
    for d in dims {
        out.put_u32(d.length);
        out.put_i32(d.lower_bound);
    }
}

fn put_array(a: ArrayRef<'_>, element: &ScalarType, out: &mut BytesMut) {
    let dims: Vec<ArrayDimension> = a.dims().collect();
    put_array_head(&dims, a.elements().iter().any(|d| d.is_null()), element, out);
    a.elements().iter().for_each(|d| put_lengthed(d, element, out));
}

fn put_range(r: RangeRef<'_>, element: &ScalarType, out: &mut BytesMut) {
    if r.is_empty() {
        return out.put_u8(RANGE_EMPTY);
    }
    let flag = |on: bool, bit: u8| if on { bit } else { 0 };
    out.put_u8(
        flag(r.lower_inc(), RANGE_LOWER_INC)
            | flag(r.upper_inc(), RANGE_UPPER_INC)
            | flag(r.lower().is_none(), RANGE_LOWER_INF)
            | flag(r.upper().is_none(), RANGE_UPPER_INF),
    );
    for bound in [r.lower(), r.upper()].into_iter().flatten() {
        put_lengthed(bound, element, out);
    }
}
