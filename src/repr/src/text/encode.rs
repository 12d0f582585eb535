//! The output functions.

use std::fmt::Write;

use crate::adt::{CivilTimestamp, Date, Time, TimeZone, jsonb, numeric};
use crate::datum::{ArrayRef, Datum, DatumList, DatumMap, RangeRef};
use crate::types::ScalarType;

use super::scalar::is_space;

/// The session's settings that the output functions depend on.
#[derive(Debug, Clone, Copy, Default)]
pub struct EncodeContext {
    /// The zone in which `timestamptz` is shown; UTC by default.
    pub timezone: TimeZone,
}

/// Appends the text of a value, in UTC. NULL appends nothing: at the top level it has no text.
pub fn encode(datum: Datum<'_>, typ: &ScalarType, out: &mut String) {
    encode_with(datum, typ, &EncodeContext::default(), out);
}

/// The text of a value, in UTC.
pub fn to_string(datum: Datum<'_>, typ: &ScalarType) -> String {
    let mut out = String::new();
    encode(datum, typ, &mut out);
    out
}

/// Writing to a string cannot fail.
macro_rules! put {
    ($out:expr, $($arg:tt)*) => { write!($out, $($arg)*).expect("a string takes all that is written") };
}

/// Appends the text of a value.
pub fn encode_with(datum: Datum<'_>, typ: &ScalarType, cx: &EncodeContext, out: &mut String) {
    if *typ == ScalarType::Jsonb && !datum.is_null() {
        return jsonb::write(datum, out);
    }
    match datum {
        Datum::Null => {}
        Datum::Bool(b) => out.push(if b { 't' } else { 'f' }),
        Datum::Int16(v) => put!(out, "{v}"),
        Datum::Int32(v) => put!(out, "{v}"),
        Datum::Int64(v) => put!(out, "{v}"),
        Datum::UInt16(v) => put!(out, "{v}"),
        Datum::UInt32(v) => write_oid(v, typ, out),
        Datum::UInt64(v) | Datum::MzTimestamp(v) => put!(out, "{v}"),
        Datum::Float32(v) => write_f32(v.0, out),
        Datum::Float64(v) => write_f64(v.0, out),
        Datum::Numeric(v) => numeric::write(&v, out),
        Datum::String(s) => out.push_str(s),
        Datum::Bytes(b) => write_bytea(b, out),
        Datum::Date(d) => write_date(d, out),
        Datum::Time(t) => write_time(t, out),
        Datum::Timestamp(t) => write_timestamp(t, out),
        Datum::TimestampTz(t) => write_timestamptz(t, &cx.timezone, out),
        Datum::Interval(i) => super::interval::write(&i, out),
        Datum::Uuid(u) => put!(out, "{}", u.hyphenated()),
        Datum::JsonNull => out.push_str("null"),
        Datum::Array(a) if *typ == ScalarType::Int2Vector => write_vector(a, out),
        Datum::Array(a) => write_array(a, typ, cx, out),
        Datum::List(l) => match typ {
            ScalarType::Record { fields, .. } => {
                let types = fields.iter().map(|(_, t)| &t.scalar_type);
                write_record(l.iter().zip(types), cx, out);
            }
            ScalarType::List { element, .. } => write_list(l, element, cx, out),
            _ => write_list(l, &ScalarType::String, cx, out),
        },
        Datum::JsonArray(_) => jsonb::write(datum, out),
        Datum::Map(m) => match typ {
            ScalarType::Map { value, .. } => write_map(m, value, cx, out),
            _ => write_map(m, &ScalarType::String, cx, out),
        },
        Datum::Range(r) => match typ {
            ScalarType::Range(element) => write_range(r, element, cx, out),
            _ => write_range(r, &ScalarType::String, cx, out),
        },
    }
}

fn write_oid(v: u32, typ: &ScalarType, out: &mut String) {
    match typ {
        ScalarType::RegType if v != 0 => match ScalarType::name_of_oid(v) {
            Some(name) => out.push_str(&name),
            None => put!(out, "{v}"),
        },
        other if v == 0 && other.is_oid_like() && *other != ScalarType::Oid => out.push('-'),
        _ => put!(out, "{v}"),
    }
}

/// Appends the shortest text that reads back as the same float, as PostgreSQL 12 and later print it.
pub fn write_f64(v: f64, out: &mut String) {
    write_float(v.is_nan(), v.is_infinite(), v.is_sign_negative(), &format!("{:e}", v.abs()), 15, out);
}

/// Appends the shortest text that reads back as the same float.
pub fn write_f32(v: f32, out: &mut String) {
    write_float(v.is_nan(), v.is_infinite(), v.is_sign_negative(), &format!("{:e}", v.abs()), 6, out);
}

/// `shortest` is the magnitude as `d.ddde±x`; numbers of `max_fixed` or more digits before the point, or of more
/// than four zeros after it, are written with an exponent.
fn write_float(nan: bool, infinite: bool, negative: bool, shortest: &str, max_fixed: i32, out: &mut String) {
    if nan {
        return out.push_str("NaN");
    }
    if negative {
        out.push('-');
    }
    if infinite {
        return out.push_str("Infinity");
    }
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..max_fixed).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return put!(out, "{mantissa}e{sign}{:02}", exponent.unsigned_abs());
    }
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    if exponent < 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', (-exponent - 1) as usize));
        return out.push_str(&digits);
    }
    let whole = exponent as usize + 1;
    if digits.len() <= whole {
        out.push_str(&digits);
        out.extend(std::iter::repeat_n('0', whole - digits.len()));
    } else {
        out.push_str(&digits[..whole]);
        out.push('.');
        out.push_str(&digits[whole..]);
    }
}

fn write_bytea(bytes: &[u8], out: &mut String) {
    out.push_str("\\x");
    out.push_str(&hex::encode(bytes));
}

/// Appends a date; years before 1 as `BC`.
pub fn write_date(date: Date, out: &mut String) {
    match date {
        Date::INFINITY => out.push_str("infinity"),
        Date::NEG_INFINITY => out.push_str("-infinity"),
        _ => {
            let bc = write_ymd(date, out);
            write_bc(bc, out);
        }
    }
}

fn write_ymd(date: Date, out: &mut String) -> bool {
    let (year, month, day) = date.ymd();
    let shown = if year > 0 { i64::from(year) } else { 1 - i64::from(year) };
    put!(out, "{shown:04}-{month:02}-{day:02}");
    year <= 0
}

fn write_bc(bc: bool, out: &mut String) {
    if bc {
        out.push_str(" BC");
    }
}

/// Appends a time of day with as many fractional digits as it needs.
pub fn write_time(time: Time, out: &mut String) {
    let (h, m, s, us) = time.hms_us();
    put!(out, "{h:02}:{m:02}:{s:02}");
    write_fraction(us, out);
}

/// Appends microseconds as `.ffffff` without zeros at the end, nothing for none.
pub(crate) fn write_fraction(us: u32, out: &mut String) {
    if us != 0 {
        let digits = format!("{us:06}");
        out.push('.');
        out.push_str(digits.trim_end_matches('0'));
    }
}

fn write_infinite(t: CivilTimestamp, out: &mut String) -> bool {
    match t {
        CivilTimestamp::INFINITY => out.push_str("infinity"),
        CivilTimestamp::NEG_INFINITY => out.push_str("-infinity"),
        _ => return false,
    }
    true
}

/// Appends a timestamp without time zone.
pub fn write_timestamp(t: CivilTimestamp, out: &mut String) {
    if write_infinite(t, out) {
        return;
    }
    let bc = write_ymd(t.date(), out);
    out.push(' ');
    write_time(t.time(), out);
    write_bc(bc, out);
}

/// Appends a timestamp with time zone in the local time of `tz`, with its offset.
pub fn write_timestamptz(t: CivilTimestamp, tz: &TimeZone, out: &mut String) {
    if write_infinite(t, out) {
        return;
    }
    let offset = tz.offset_at_utc(t);
    // At the ends of the range the local time may lie outside of it; it still has a text.
    let local = CivilTimestamp(t.0.saturating_add(i64::from(offset) * 1_000_000));
    let bc = write_ymd(local.date(), out);
    out.push(' ');
    write_time(local.time(), out);
    write_offset(offset, out);
    write_bc(bc, out);
}

/// Appends an offset in seconds as `+hh`, `+hh:mm` or `+hh:mm:ss`.
pub fn write_offset(offset: i32, out: &mut String) {
    let a = offset.unsigned_abs();
    put!(out, "{}{:02}", if offset < 0 { '-' } else { '+' }, a / 3600);
    if !a.is_multiple_of(3600) {
        put!(out, ":{:02}", a / 60 % 60);
    }
    if !a.is_multiple_of(60) {
        put!(out, ":{:02}", a % 60);
    }
}

fn write_vector(a: ArrayRef<'_>, out: &mut String) {
    for (i, d) in a.elements().iter().enumerate() {
        if i > 0 {
            out.push(' ');
        }
        encode(d, &ScalarType::Int16, out);
    }
}

fn write_array(a: ArrayRef<'_>, typ: &ScalarType, cx: &EncodeContext, out: &mut String) {
    let mut element = typ;
    while let ScalarType::Array(inner) = element {
        element = inner;
    }
    if a.ndims() == 0 {
        return out.push_str("{}");
    }
    if a.dims().any(|d| d.lower_bound != 1) {
        for d in a.dims() {
            let upper = i64::from(d.lower_bound) + i64::from(d.length) - 1;
            put!(out, "[{}:{upper}]", d.lower_bound);
        }
        out.push('=');
    }
    let lengths: Vec<u32> = a.dims().map(|d| d.length).collect();
    write_dimension(&lengths, &mut a.elements().iter(), element, cx, out);
}

fn write_dimension<'a>(
    lengths: &[u32],
    elements: &mut impl Iterator<Item = Datum<'a>>,
    typ: &ScalarType,
    cx: &EncodeContext,
    out: &mut String,
) {
    let Some((length, inner)) = lengths.split_first() else {
        if let Some(datum) = elements.next() {
            write_element(datum, typ, cx, out);
        }
        return;
    };
    out.push('{');
    for i in 0..*length {
        if i > 0 {
            out.push(',');
        }
        write_dimension(inner, elements, typ, cx, out);
    }
    out.push('}');
}

/// Appends an element of an array, list or map, in quotes if it could be mistaken.
fn write_element(datum: Datum<'_>, typ: &ScalarType, cx: &EncodeContext, out: &mut String) {
    if datum.is_null() {
        return out.push_str("NULL");
    }
    let start = out.len();
    encode_with(datum, typ, cx, out);
    if element_needs_quotes(&out[start..]) {
        let bare = out.split_off(start);
        write_backslashed(&bare, out);
    }
}

fn element_needs_quotes(s: &str) -> bool {
    s.is_empty()
        || s.eq_ignore_ascii_case("null")
        || s.contains(|c: char| matches!(c, '"' | '\\' | '{' | '}' | ',') || is_space(c))
}

fn write_backslashed(s: &str, out: &mut String) {
    out.push('"');
    for c in s.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

/// Appends an element of a list or a value of a map: lists and maps themselves stand bare.
fn write_nested(datum: Datum<'_>, typ: &ScalarType, cx: &EncodeContext, out: &mut String) {
    match (datum, typ) {
        (Datum::List(_), ScalarType::List { .. }) | (Datum::Map(_), ScalarType::Map { .. }) => {
            encode_with(datum, typ, cx, out);
        }
        _ => write_element(datum, typ, cx, out),
    }
}

fn write_list(list: DatumList<'_>, element: &ScalarType, cx: &EncodeContext, out: &mut String) {
    out.push('{');
    for (i, datum) in list.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write_nested(datum, element, cx, out);
    }
    out.push('}');
}

fn write_map(map: DatumMap<'_>, value: &ScalarType, cx: &EncodeContext, out: &mut String) {
    out.push('{');
    for (i, (key, datum)) in map.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        if element_needs_quotes(key) || key.contains("=>") {
            write_backslashed(key, out);
        } else {
            out.push_str(key);
        }
        out.push_str("=>");
        write_nested(datum, value, cx, out);
    }
    out.push('}');
}

fn write_record<'a, 't>(
    fields: impl Iterator<Item = (Datum<'a>, &'t ScalarType)>,
    cx: &EncodeContext,
    out: &mut String,
) {
    out.push('(');
    for (i, (datum, typ)) in fields.enumerate() {
        if i > 0 {
            out.push(',');
        }
        if !datum.is_null() {
            write_doubled(datum, typ, cx, &['(', ')', ','], out);
        }
    }
    out.push(')');
}

/// Appends a field of a record or a bound of a range, in quotes with `"` and `\` doubled if it could be mistaken.
fn write_doubled(datum: Datum<'_>, typ: &ScalarType, cx: &EncodeContext, special: &[char], out: &mut String) {
    let start = out.len();
    encode_with(datum, typ, cx, out);
    let bare = &out[start..];
    let quote = |c: char| matches!(c, '"' | '\\') || special.contains(&c) || is_space(c);
    if !bare.is_empty() && !bare.contains(quote) {
        return;
    }
    let bare = out.split_off(start);
    out.push('"');
    for c in bare.chars() {
        if matches!(c, '"' | '\\') {
            out.push(c);
        }
        out.push(c);
    }
    out.push('"');
}

fn write_range(range: RangeRef<'_>, element: &ScalarType, cx: &EncodeContext, out: &mut String) {
    const SPECIAL: &[char] = &['(', ')', '[', ']', ','];
    if range.is_empty() {
        return out.push_str("empty");
    }
    out.push(if range.lower_inc() { '[' } else { '(' });
    if let Some(bound) = range.lower() {
        write_doubled(bound, element, cx, SPECIAL, out);
    }
    out.push(',');
    if let Some(bound) = range.upper() {
        write_doubled(bound, element, cx, SPECIAL, out);
    }
    out.push(if range.upper_inc() { ']' } else { ')' });
}
