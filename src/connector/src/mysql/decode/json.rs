//! JSON: MySQL's binary form in the binlog, its text in the snapshot, and both to `jsonb`.
//!
//! Binary (MySQL source documentation, `json_binary.h`): a type byte, then by type
//!
//! ```text
//! 0, 1   small, large object   count, size, count × (key offset, key length u16), count × (type, offset or value), …
//! 2, 3   small, large array    count, size, count × (type, offset or value), …
//! 4      literal               0 null, 1 true, 2 false
//! 5..10  int16, uint16, int32, uint32, int64, uint64
//! 11     double
//! 12     string                length (7 bits a byte, low first), utf8mb4
//! 15     opaque                MySQL type, length, data
//! ```
//!
//! Counts, sizes and offsets are of 2 bytes in small and 4 in large ones; offsets count from `count`.
//!
//! Numbers: MySQL's text writes decimals with their scale, doubles like `1e20`, and integral doubles `1.0` or (5.7) `1`; they cannot
//! be told apart by their text. So a number with a point or exponent sheds trailing zeros: `1.50` is `1.5`, `2.0` is `2`.

use std::borrow::Cow;

use base64::Engine as _;
use hw_repr::RowPacker;
use hw_repr::adt::jsonb;
use serde_json::{Map, Number, Value};

use super::temporal::{Civil, time_from_packed, time_text};
use super::{DecodeError, decimal};

/// MySQL allows documents of depth 100.
const MAX_DEPTH: usize = 128;

fn bad() -> DecodeError {
    DecodeError::shape("invalid binary JSON")
}

/// Reads MySQL's text of a document.
pub(crate) fn from_text(text: &str) -> Result<Value, DecodeError> {
    // MySQL 5.7 does not escape the line ends within the base 64 of opaque values, and writes no others.
    let escaped =
        if text.contains('\n') { Cow::Owned(text.replace('\n', "\\n")) } else { Cow::Borrowed(text) };
    serde_json::from_str(&escaped).map_err(|e| DecodeError::shape(format!("invalid JSON: {e}")))
}

/// Reads MySQL's binary form of a document.
pub(crate) fn from_binary(data: &[u8]) -> Result<Value, DecodeError> {
    match data.split_first() {
        // Kept by columns that were made NOT NULL without a value.
        None => Ok(Value::Null),
        Some((typ, rest)) => value(*typ, rest, 0),
    }
}

/// Packs a document as one datum.
pub(crate) fn push(mut value: Value, packer: &mut RowPacker<'_>) -> Result<(), DecodeError> {
    normalize(&mut value);
    jsonb::pack(&value, packer).map_err(|e| DecodeError::value(format!("JSON that jsonb cannot hold: {e}")))
}

fn normalize(value: &mut Value) {
    match value {
        Value::Number(n) => {
            if let Some(text) = normalized_number(n.as_str())
                && let Ok(number) = text.parse()
            {
                *n = number;
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(normalize),
        Value::Object(entries) => entries.values_mut().for_each(normalize),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// A number with a point or an exponent, written without exponent and trailing zeros; `None` for an integer or a number that is
/// too large to be held anyway.
fn normalized_number(text: &str) -> Option<String> {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
        None => (text, 0),
    };
    if mantissa.len() == text.len() && !text.contains('.') {
        return None;
    }
    if exponent.abs() > 1000 {
        return None;
    }
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |m| ("-", m));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = format!("{whole}{fraction}");
    let mut point = whole.len() as i32 + exponent;
    if point < 1 {
        digits.insert_str(0, &"0".repeat((1 - point) as usize));
        point = 1;
    }
    let point = point as usize;
    while digits.len() < point {
        digits.push('0');
    }
    let (whole, fraction) = digits.split_at(point);
    let whole = whole.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    Some(if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

fn value(typ: u8, data: &[u8], depth: usize) -> Result<Value, DecodeError> {
    if depth > MAX_DEPTH {
        return Err(bad());
    }
    Ok(match typ {
        0 | 1 => object(data, typ == 1, depth)?,
        2 | 3 => array(data, typ == 3, depth)?,
        4 => match data.first().ok_or_else(bad)? {
            0 => Value::Null,
            1 => Value::Bool(true),
            2 => Value::Bool(false),
            _ => return Err(bad()),
        },
        5 => i16::from_le_bytes(fixed(data)?).into(),
        6 => u16::from_le_bytes(fixed(data)?).into(),
        7 => i32::from_le_bytes(fixed(data)?).into(),
        8 => u32::from_le_bytes(fixed(data)?).into(),
        9 => i64::from_le_bytes(fixed(data)?).into(),
        10 => u64::from_le_bytes(fixed(data)?).into(),
        11 => double(f64::from_le_bytes(fixed(data)?))?,
        12 => {
            let text = sized(data)?;
            Value::String(std::str::from_utf8(text).map_err(|_| bad())?.to_owned())
        }
        15 => {
            let (typ, rest) = data.split_first().ok_or_else(bad)?;
            opaque(*typ, sized(rest)?)?
        }
        _ => return Err(bad()),
    })
}

fn fixed<const N: usize>(data: &[u8]) -> Result<[u8; N], DecodeError> {
    data.first_chunk::<N>().copied().ok_or_else(bad)
}

/// Bytes after their length, which has 7 bits in each byte.
fn sized(data: &[u8]) -> Result<&[u8], DecodeError> {
    let mut length = 0usize;
    for (i, b) in data.iter().take(5).enumerate() {
        length |= usize::from(b & 0x7f) << (7 * i);
        if b & 0x80 == 0 {
            return data.get(i + 1..).and_then(|rest| rest.get(..length)).ok_or_else(bad);
        }
    }
    Err(bad())
}

fn double(v: f64) -> Result<Value, DecodeError> {
    let text = format!("{v:e}");
    text.parse::<Number>().map(Value::Number).map_err(|_| bad())
}

fn unsigned(data: &[u8], at: usize, width: usize) -> Result<usize, DecodeError> {
    let bytes = data.get(at..).and_then(|rest| rest.get(..width)).ok_or_else(bad)?;
    Ok(bytes.iter().rev().fold(0usize, |v, b| v << 8 | usize::from(*b)))
}

/// The value of an entry: in it, when it is small, or at its offset.
fn entry(data: &[u8], at: usize, width: usize, depth: usize) -> Result<Value, DecodeError> {
    let typ = *data.get(at).ok_or_else(bad)?;
    let inline = matches!(typ, 4..=6) || (width == 4 && matches!(typ, 7 | 8));
    let from = if inline { at + 1 } else { unsigned(data, at + 1, width)? };
    value(typ, data.get(from..).ok_or_else(bad)?, depth + 1)
}

fn array(data: &[u8], large: bool, depth: usize) -> Result<Value, DecodeError> {
    let width = if large { 4 } else { 2 };
    let count = unsigned(data, 0, width)?;
    let elements = (0..count).map(|i| entry(data, 2 * width + i * (1 + width), width, depth));
    elements.collect::<Result<Vec<_>, _>>().map(Value::Array)
}

fn object(data: &[u8], large: bool, depth: usize) -> Result<Value, DecodeError> {
    let width = if large { 4 } else { 2 };
    let count = unsigned(data, 0, width)?;
    let keys = 2 * width;
    let values = count.checked_mul(width + 2).and_then(|n| n.checked_add(keys)).ok_or_else(bad)?;
    let mut map = Map::new();
    for i in 0..count {
        let offset = unsigned(data, keys + i * (width + 2), width)?;
        let length = unsigned(data, keys + i * (width + 2) + width, 2)?;
        let key = data.get(offset..).and_then(|rest| rest.get(..length)).ok_or_else(bad)?;
        let key = std::str::from_utf8(key).map_err(|_| bad())?;
        map.insert(key.to_owned(), entry(data, values + i * (1 + width), width, depth)?);
    }
    Ok(Value::Object(map))
}

/// A value of another SQL type, as MySQL's text shows it.
fn opaque(typ: u8, data: &[u8]) -> Result<Value, DecodeError> {
    let packed = || i64::from_le_bytes(fixed(data).unwrap_or_default());
    let civil = || {
        let packed = packed().unsigned_abs();
        Civil::from_packed(packed >> 24, (packed & 0xff_ffff) as u32)
    };
    Ok(match typ {
        246 => {
            let [precision, scale] = fixed(data)?;
            let mut text = String::new();
            decimal::binary_to_text(&data[2..], precision, scale, &mut text)?;
            Value::Number(text.parse().map_err(|_| bad())?)
        }
        10 | 14 => Value::String(civil().date_text()),
        7 | 12 | 17 | 18 => Value::String(civil().datetime_text(6)),
        11 | 19 => Value::String(time_text(time_from_packed(packed()), 6)),
        _ => Value::String(format!("base64:type{typ}:{}", base64_lines(data))),
    })
}

/// Base 64 in lines of 76 characters, as MySQL writes it.
fn base64_lines(data: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(data);
    let mut out = String::with_capacity(text.len() + text.len() / 76);
    for (i, c) in text.chars().enumerate() {
        if i > 0 && i % 76 == 0 {
            out.push('\n');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (text, normal) in [
            ("1.50", "1.5"),
            ("1.0", "1"),
            ("2e0", "2"),
            ("1e3", "1000"),
            ("1.25e-3", "0.00125"),
            ("-0.10", "-0.1"),
            ("12.5e1", "125"),
            ("1.2345e2", "123.45"),
            ("0e0", "0"),
        ] {
            assert_eq!(normalized_number(text).as_deref(), Some(normal), "{text}");
        }
        assert_eq!(normalized_number("-17"), None);
    }

    #[test]
    fn binary() {
        assert_eq!(from_binary(&[5, 0xfe, 0xff]).unwrap().to_string(), "-2");
        assert_eq!(from_binary(&[12, 2, b'h', b'i']).unwrap().to_string(), "\"hi\"");
        // {"a": [true, "x"]}
        let doc = [0, 1, 0, 24, 0, 11, 0, 1, 0, 2, 12, 0, b'a', 2, 0, 12, 0, 4, 1, 0, 12, 10, 0, 1, b'x'];
        assert_eq!(from_binary(&doc).unwrap().to_string(), r#"{"a":[true,"x"]}"#);
        for cut in 1..doc.len() {
            let _ = from_binary(&doc[..cut]);
        }
        // A document that contains itself.
        assert!(from_binary(&[2, 1, 0, 7, 0, 2, 0, 0]).is_err());
        assert!(from_binary(&[99]).is_err());
    }
}
