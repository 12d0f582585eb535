//! The receive functions.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::encode::innermost;
use super::{
    JSONB_VERSION, JSONPATH_VERSION, RANGE_EMPTY, RANGE_LOWER_INC, RANGE_LOWER_INF, RANGE_UPPER_INC,
    RANGE_UPPER_INF, numeric,
};
use crate::adt::{CivilTimestamp, Date, Interval, Time, jsonb, jsonpath};
use crate::arena::RowArena;
use crate::datum::{ArrayDimension, Datum};
use crate::text::array::{MAX_DIMENSIONS, MAX_ELEMENTS, too_many_dimensions};
use crate::text::{ParseError, ParseErrorKind, range, scalar};
use crate::types::ScalarType;

/// How deep containers may nest.
const MAX_DEPTH: usize = 128;

/// Reads the binary form of a value. The type's modifiers are applied as by [`crate::text::decode`].
///
/// # Errors
/// When the bytes are no value of the type.
pub fn decode<'a>(bytes: &[u8], typ: &ScalarType, arena: &'a RowArena) -> Result<Datum<'a>, ParseError> {
    decode_at(bytes, typ, arena, 0)
}

fn decode_at<'a>(
    bytes: &[u8],
    typ: &ScalarType,
    arena: &'a RowArena,
    depth: usize,
) -> Result<Datum<'a>, ParseError> {
    if depth > MAX_DEPTH {
        return Err(ParseError::new(ParseErrorKind::LimitExceeded, "value is nested too deep"));
    }
    let mut r = Reader { rest: bytes };
    let datum = match typ {
        ScalarType::Bool => Datum::Bool(r.array::<1>()?[0] != 0),
        ScalarType::Int16 => Datum::Int16(i16::from_be_bytes(r.array()?)),
        ScalarType::Int32 => Datum::Int32(r.i32()?),
        ScalarType::Int64 => Datum::Int64(r.i64()?),
        ScalarType::UInt16 => Datum::UInt16(u16::from_be_bytes(r.array()?)),
        ScalarType::UInt32
        | ScalarType::Oid
        | ScalarType::RegClass
        | ScalarType::RegType
        | ScalarType::RegProc
        | ScalarType::RegNamespace
        | ScalarType::RegRole => Datum::UInt32(r.u32()?),
        ScalarType::UInt64 => Datum::UInt64(u64::from_be_bytes(r.array()?)),
        ScalarType::MzTimestamp => Datum::MzTimestamp(u64::from_be_bytes(r.array()?)),
        ScalarType::Float32 => Datum::Float32(f32::from_be_bytes(r.array()?).into()),
        ScalarType::Float64 => Datum::Float64(f64::from_be_bytes(r.array()?).into()),
        ScalarType::Numeric { typmod } => {
            let n = numeric::decode(r.take_rest())?;
            Datum::Numeric(match typmod {
                Some(t) => crate::adt::numeric::apply_typmod(&n, *t)?,
                None => n,
            })
        }
        ScalarType::String | ScalarType::MzAclItem => Datum::String(arena.push_string(r.text()?)),
        ScalarType::VarChar { max_length } => {
            Datum::String(arena.push_string(scalar::varchar(r.text()?, *max_length)?))
        }
        ScalarType::Char { length } => Datum::String(arena.push_string(scalar::bpchar(r.text()?, *length)?)),
        ScalarType::PgLegacyChar if bytes == [0] => {
            r.take_rest();
            Datum::String("")
        }
        ScalarType::PgLegacyChar => Datum::String(arena.push_string(scalar::first_char(r.text()?))),
        ScalarType::PgLegacyName => Datum::String(arena.push_string(scalar::name(r.text()?))),
        ScalarType::Bytes => Datum::Bytes(arena.push_bytes(r.take_rest())),
        ScalarType::Date => Datum::Date(date(r.i32()?)?),
        ScalarType::Time => Datum::Time(Time::from_us(r.i64()?)?),
        ScalarType::Timestamp { precision } => Datum::Timestamp(timestamp(r.i64()?)?.round(*precision)?),
        ScalarType::TimestampTz { precision } => Datum::TimestampTz(timestamp(r.i64()?)?.round(*precision)?),
        ScalarType::Interval => {
            let micros = r.i64()?;
            let days = r.i32()?;
            Datum::Interval(Interval { months: r.i32()?, days, micros })
        }
        ScalarType::Uuid => Datum::Uuid(Uuid::from_bytes(r.array()?)),
        ScalarType::Jsonb => {
            let [version] = r.array()?;
            if version != JSONB_VERSION {
                return Err(ParseError::invalid_binary(format!(
                    "unsupported jsonb version number {version}"
                )));
            }
            let text = r.text()?;
            arena.try_make_datum(|p| jsonb::parse(text, p)).map_err(scalar::json_error)?
        }
        ScalarType::Jsonpath => {
            let [version] = r.array()?;
            if version != JSONPATH_VERSION {
                return Err(ParseError::invalid_binary(format!(
                    "unsupported jsonpath version number: {version}"
                )));
            }
            Datum::String(arena.push_string(jsonpath::parse(r.text()?)?.to_string()))
        }
        ScalarType::Int2Vector => read_array(&mut r, &ScalarType::Int16, arena, depth)?,
        ScalarType::Array(_) => read_array(&mut r, innermost(typ), arena, depth)?,
        ScalarType::List { element, .. } => {
            let (dims, datums) = read_elements(&mut r, element, arena, depth)?;
            if dims.len() > 1 {
                return Err(ParseError::invalid_binary("a list has one dimension"));
            }
            arena.make_datum(|p| p.push_list(&datums))
        }
        ScalarType::Map { value, .. } => read_map(&mut r, value, arena, depth)?,
        ScalarType::Record { fields, .. } => {
            if r.i32()? as usize != fields.len() {
                let message = format!("wrong number of columns, expected {}", fields.len());
                return Err(ParseError::new(ParseErrorKind::DatatypeMismatch, message));
            }
            let mut datums = Vec::with_capacity(fields.len());
            for (_, field) in fields {
                expect_oid(r.u32()?, &field.scalar_type, "record column")?;
                datums.push(r.lengthed(&field.scalar_type, arena, depth)?);
            }
            arena.make_datum(|p| p.push_list(&datums))
        }
        ScalarType::Range(element) => read_range(&mut r, element, arena, depth)?,
    };
    if r.rest.is_empty() {
        Ok(datum)
    } else {
        Err(ParseError::invalid_binary("incorrect binary data format"))
    }
}

fn date(days: i32) -> Result<Date, ParseError> {
    let d = Date(days);
    if d.is_finite() { Ok(Date::from_days(i64::from(days))?) } else { Ok(d) }
}

fn timestamp(us: i64) -> Result<CivilTimestamp, ParseError> {
    let t = CivilTimestamp(us);
    if t.is_finite() { Ok(t.checked_add_us(0)?) } else { Ok(t) }
}

struct Reader<'b> {
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    fn take(&mut self, n: usize) -> Result<&'b [u8], ParseError> {
        if n > self.rest.len() {
            return Err(ParseError::new(
                ParseErrorKind::ProtocolViolation,
                "insufficient data left in message",
            ));
        }
        let (head, tail) = self.rest.split_at(n);
        self.rest = tail;
        Ok(head)
    }

    fn take_rest(&mut self) -> &'b [u8] {
        std::mem::take(&mut self.rest)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ParseError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    fn i32(&mut self) -> Result<i32, ParseError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, ParseError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn i64(&mut self) -> Result<i64, ParseError> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// The rest as text, which holds no NUL.
    fn text(&mut self) -> Result<&'b str, ParseError> {
        let bytes = self.take_rest();
        let invalid = |at: usize| {
            let shown: Vec<String> = bytes[at..].iter().take(1).map(|b| format!("0x{b:02x}")).collect();
            let message = format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" "));
            ParseError::new(ParseErrorKind::InvalidEncoding, message)
        };
        let text = std::str::from_utf8(bytes).map_err(|e| invalid(e.valid_up_to()))?;
        match text.find('\0') {
            Some(at) => Err(invalid(at)),
            None => Ok(text),
        }
    }

    /// A value with its length in front, -1 for NULL.
    fn lengthed<'a>(
        &mut self,
        typ: &ScalarType,
        arena: &'a RowArena,
        depth: usize,
    ) -> Result<Datum<'a>, ParseError> {
        match self.i32()? {
            -1 => Ok(Datum::Null),
            n => {
                let n = usize::try_from(n)
                    .map_err(|_| ParseError::invalid_binary("incorrect binary data format"))?;
                decode_at(self.take(n)?, typ, arena, depth + 1)
            }
        }
    }
}

fn expect_oid(found: u32, typ: &ScalarType, what: &str) -> Result<(), ParseError> {
    if found == typ.oid() {
        return Ok(());
    }
    let name = ScalarType::from_oid(found).map_or_else(|| "???".into(), |t| t.sql_name());
    let message = format!(
        "binary data has {what} type {found} ({name}) instead of expected {} ({})",
        typ.oid(),
        typ.sql_name()
    );
    Err(ParseError::new(ParseErrorKind::DatatypeMismatch, message))
}

fn read_array<'a>(
    r: &mut Reader<'_>,
    element: &ScalarType,
    arena: &'a RowArena,
    depth: usize,
) -> Result<Datum<'a>, ParseError> {
    let (dims, datums) = read_elements(r, element, arena, depth)?;
    let dims: &[ArrayDimension] = if datums.is_empty() { &[] } else { &dims };
    Ok(arena.make_datum(|p| p.push_array_with(dims, |p| p.extend(&datums))))
}

fn read_elements<'a>(
    r: &mut Reader<'_>,
    element: &ScalarType,
    arena: &'a RowArena,
    depth: usize,
) -> Result<(Vec<ArrayDimension>, Vec<Datum<'a>>), ParseError> {
    let ndims = r.i32()?;
    let ndims = usize::try_from(ndims)
        .map_err(|_| ParseError::invalid_binary(format!("invalid number of dimensions: {ndims}")))?;
    if ndims > MAX_DIMENSIONS {
        return Err(too_many_dimensions(ndims));
    }
    if !matches!(r.i32()?, 0 | 1) {
        return Err(ParseError::invalid_binary("invalid array flags"));
    }
    expect_oid(r.u32()?, element, "array element")?;
    let mut dims = Vec::with_capacity(ndims);
    let mut count = usize::from(ndims > 0);
    for _ in 0..ndims {
        let length = r.u32()?;
        let lower_bound = r.i32()?;
        let too_many = || {
            let message = format!("array size exceeds the maximum allowed ({MAX_ELEMENTS})");
            ParseError::new(ParseErrorKind::LimitExceeded, message)
        };
        count = count.checked_mul(length as usize).filter(|n| *n <= MAX_ELEMENTS).ok_or_else(too_many)?;
        if i64::from(lower_bound) + i64::from(length) > i64::from(i32::MAX) {
            return Err(ParseError::new(
                ParseErrorKind::LimitExceeded,
                format!("array lower bound is too large: {lower_bound}"),
            ));
        }
        dims.push(ArrayDimension { lower_bound, length });
    }
    let mut datums = Vec::new();
    for _ in 0..count {
        datums.push(r.lengthed(element, arena, depth)?);
    }
    Ok((dims, datums))
}

fn read_map<'a>(
    r: &mut Reader<'_>,
    value: &ScalarType,
    arena: &'a RowArena,
    depth: usize,
) -> Result<Datum<'a>, ParseError> {
    let mut entries = BTreeMap::new();
    for _ in 0..r.i32()? {
        let Datum::String(key) = r.lengthed(&ScalarType::String, arena, depth)? else {
            return Err(ParseError::invalid_binary("a map's key is not null"));
        };
        entries.insert(key, r.lengthed(value, arena, depth)?);
    }
    Ok(arena.make_datum(|p| {
        p.push_map_with(|p| {
            for (key, value) in &entries {
                p.push(Datum::String(key));
                p.push(value);
            }
        });
    }))
}

fn read_range<'a>(
    r: &mut Reader<'_>,
    element: &ScalarType,
    arena: &'a RowArena,
    depth: usize,
) -> Result<Datum<'a>, ParseError> {
    let [flags] = r.array()?;
    if flags & RANGE_EMPTY != 0 {
        return Ok(arena.make_datum(|p| p.push_empty_range()));
    }
    let mut bound = |infinite: u8, inclusive: u8| -> Result<range::Bound<'a>, ParseError> {
        if flags & infinite != 0 {
            return Ok(None);
        }
        match r.lengthed(element, arena, depth)? {
            Datum::Null => Err(ParseError::invalid_binary("a range's bound is not null")),
            datum => Ok(Some((datum, flags & inclusive != 0))),
        }
    };
    let lower = bound(RANGE_LOWER_INF, RANGE_LOWER_INC)?;
    let upper = bound(RANGE_UPPER_INF, RANGE_UPPER_INC)?;
    arena.try_make_datum(|p| range::pack(lower, upper, p))
}
