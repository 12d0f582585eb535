//! The input functions: which of them reads which type.

use crate::adt::{CivilTimestamp, TimeZone, jsonb, jsonpath, numeric};
use crate::arena::RowArena;
use crate::datum::Datum;
use crate::types::ScalarType;

use super::error::{ParseError, ParseErrorKind};
use super::{array, composite, datetime, interval, range, scalar};

/// The session's settings that the input functions depend on.
#[derive(Debug, Clone, Copy, Default)]
pub struct DecodeContext {
    /// The zone of a `timestamptz` written without one; UTC by default.
    pub timezone: TimeZone,
    /// The current time, for `now`, `today`, `tomorrow` and `yesterday`. Without it these are refused with
    /// [`ParseErrorKind::Volatile`], since their value may not be kept in a plan.
    pub now: Option<CivilTimestamp>,
}

/// How deep containers may nest.
pub(crate) const MAX_DEPTH: usize = 128;

/// Reads the text of a value, in UTC.
///
/// # Errors
/// When the text is no value of the type.
pub fn decode<'a>(s: &str, typ: &ScalarType, arena: &'a RowArena) -> Result<Datum<'a>, ParseError> {
    decode_with(s, typ, &DecodeContext::default(), arena)
}

/// Reads the text of a value.
///
/// # Errors
/// When the text is no value of the type.
pub fn decode_with<'a>(
    s: &str,
    typ: &ScalarType,
    cx: &DecodeContext,
    arena: &'a RowArena,
) -> Result<Datum<'a>, ParseError> {
    decode_at(s, typ, cx, arena, 0)
}

/// Reads the text of a value inside of `depth` containers.
pub(crate) fn decode_at<'a>(
    s: &str,
    typ: &ScalarType,
    cx: &DecodeContext,
    arena: &'a RowArena,
    depth: usize,
) -> Result<Datum<'a>, ParseError> {
    if depth > MAX_DEPTH {
        return Err(ParseError::new(ParseErrorKind::LimitExceeded, "value is nested too deep"));
    }
    if s.contains('\0') {
        let message = "invalid byte sequence for encoding \"UTF8\": 0x00";
        return Err(ParseError::new(ParseErrorKind::InvalidEncoding, message));
    }
    Ok(match typ {
        ScalarType::Bool => Datum::Bool(scalar::bool(s)?),
        ScalarType::Int16 => Datum::Int16(scalar::integer(s, "smallint")?),
        ScalarType::Int32 => Datum::Int32(scalar::integer(s, "integer")?),
        ScalarType::Int64 => Datum::Int64(scalar::integer(s, "bigint")?),
        ScalarType::UInt16 => Datum::UInt16(scalar::integer(s, "uint2")?),
        ScalarType::UInt32 => Datum::UInt32(scalar::integer(s, "uint4")?),
        ScalarType::UInt64 => Datum::UInt64(scalar::integer(s, "uint8")?),
        ScalarType::Float32 => Datum::Float32(scalar::float32(s)?.into()),
        ScalarType::Float64 => Datum::Float64(scalar::float64(s)?.into()),
        ScalarType::Numeric { typmod } => {
            let n = scalar::numeric(s)?;
            Datum::Numeric(match typmod {
                Some(t) => numeric::apply_typmod(&n, *t)?,
                None => n,
            })
        }
        ScalarType::String | ScalarType::MzAclItem => Datum::String(arena.push_string(s)),
        ScalarType::VarChar { max_length } => {
            Datum::String(arena.push_string(scalar::varchar(s, *max_length)?))
        }
        ScalarType::Char { length } => Datum::String(arena.push_string(scalar::bpchar(s, *length)?)),
        ScalarType::PgLegacyChar => Datum::String(arena.push_string(scalar::first_char(s))),
        ScalarType::PgLegacyName => Datum::String(arena.push_string(scalar::name(s))),
        ScalarType::Bytes => Datum::Bytes(arena.push_bytes(scalar::bytea(s)?)),
        ScalarType::Date => Datum::Date(datetime::parse_date(s, cx)?),
        ScalarType::Time => Datum::Time(datetime::parse_time(s, cx)?),
        ScalarType::Timestamp { precision } => {
            Datum::Timestamp(datetime::parse_timestamp(s, cx)?.round(*precision)?)
        }
        ScalarType::TimestampTz { precision } => {
            Datum::TimestampTz(datetime::parse_timestamptz(s, cx)?.round(*precision)?)
        }
        ScalarType::Interval => Datum::Interval(interval::parse(s)?),
        ScalarType::Uuid => Datum::Uuid(scalar::uuid(s)?),
        ScalarType::Jsonb => arena.try_make_datum(|p| jsonb::parse(s, p)).map_err(scalar::json_error)?,
        ScalarType::Jsonpath => Datum::String(arena.push_string(jsonpath::parse(s)?.to_string())),
        ScalarType::Oid
        | ScalarType::RegClass
        | ScalarType::RegProc
        | ScalarType::RegType
        | ScalarType::RegNamespace
        | ScalarType::RegRole => Datum::UInt32(scalar::oid(s, typ)?),
        ScalarType::Int2Vector => array::decode_vector(s, arena)?,
        ScalarType::MzTimestamp => Datum::MzTimestamp(scalar::mz_timestamp(s, cx)?),
        ScalarType::Array(element) => array::decode(s, element, cx, arena, depth)?,
        ScalarType::List { element, .. } => composite::decode_list(s, element, cx, arena, depth)?,
        ScalarType::Map { value, .. } => composite::decode_map(s, value, cx, arena, depth)?,
        ScalarType::Record { fields, .. } => {
            let types: Vec<&ScalarType> = fields.iter().map(|(_, t)| &t.scalar_type).collect();
            composite::decode_record(s, &types, cx, arena, depth)?
        }
        ScalarType::Range(element) => range::decode(s, element, cx, arena, depth)?,
    })
}
