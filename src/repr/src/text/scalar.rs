//! Input functions of numbers, strings, bytes and other plain types.

use std::str::FromStr;

use uuid::Uuid;

use super::decode::DecodeContext;
use super::error::{ParseError, ParseErrorKind};
use crate::adt::Numeric;
use crate::adt::jsonb::JsonbError;
use crate::adt::numeric::{self as num, ParseNumericError};
use crate::types::{PSEUDO_TYPES, ScalarType};

/// Whether C's `isspace` counts the character; Unicode's other blanks are ordinary characters.
pub(crate) fn is_space(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\x0b'
}

/// Without blanks around it.
pub(crate) fn trim(s: &str) -> &str {
    s.trim_matches(is_space)
}

/// Without blanks in front.
pub(crate) fn trim_start(s: &str) -> &str {
    s.trim_start_matches(is_space)
}

/// A boolean: `true`, `yes`, `on`, `1` and their opposites, in any case and cut short where unique.
pub fn bool(s: &str) -> Result<bool, ParseError> {
    let word = trim(s).to_ascii_lowercase();
    let is = |full: &str, shortest: usize| word.len() >= shortest && full.starts_with(&word);
    match word.as_str() {
        "1" => Ok(true),
        "0" => Ok(false),
        _ if is("true", 1) || is("yes", 1) || is("on", 2) => Ok(true),
        _ if is("false", 1) || is("no", 1) || is("off", 2) => Ok(false),
        _ => Err(ParseError::invalid_syntax("boolean", s)),
    }
}

/// An integer of the named type.
pub fn integer<T: FromStr>(s: &str, typ: &str) -> Result<T, ParseError> {
    let text = trim(s);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ParseError::invalid_syntax(typ, s));
    }
    // An unsigned type takes -0.
    let text = if text.starts_with('-') && digits.bytes().all(|b| b == b'0') { digits } else { text };
    text.parse().map_err(|_| ParseError::out_of_range(typ, s))
}

/// A `double precision`.
pub fn float64(s: &str) -> Result<f64, ParseError> {
    float(s, "double precision", f64::is_infinite, |v| *v == 0.0, |h| h.scaled(h.mantissa as f64))
}

/// A `real`.
pub fn float32(s: &str) -> Result<f32, ParseError> {
    float(s, "real", |v: f32| v.is_infinite(), |v| *v == 0.0, |h| h.scaled((h.mantissa as f32).into()) as f32)
}

/// A hexadecimal float as C writes it, `-0x1.8p3`: its leading digits and a power of two.
struct Hex {
    negative: bool,
    /// The last bit is set if digits that did not fit are not zero.
    mantissa: u64,
    exponent: i64,
}

impl Hex {
    /// A mantissa that has been rounded, with the sign and the power of two.
    fn scaled(&self, mantissa: f64) -> f64 {
        let mut v = if self.negative { -mantissa } else { mantissa };
        let mut exponent = self.exponent.clamp(-3000, 3000) as i32;
        while exponent != 0 {
            let step = exponent.clamp(-1000, 1000);
            v *= 2f64.powi(step);
            exponent -= step;
        }
        v
    }
}

fn hex(text: &str) -> Option<Hex> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let rest = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X"))?;
    let (digits, exponent) = rest.split_once(['p', 'P']).map_or((rest, None), |(d, e)| (d, Some(e)));
    let mut exponent: i64 = match exponent {
        None => 0,
        Some(e) => {
            let digits = e.strip_prefix(['+', '-']).unwrap_or(e);
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            const BOUND: i64 = 1 << 40;
            let magnitude = digits.parse::<i64>().unwrap_or(BOUND).min(BOUND);
            if e.starts_with('-') { -magnitude } else { magnitude }
        }
    };
    let (mut mantissa, mut any, mut point) = (0u64, false, false);
    for c in digits.chars() {
        if c == '.' && !point {
            point = true;
            continue;
        }
        let digit = u64::from(c.to_digit(16)?);
        any = true;
        if mantissa >> 60 == 0 {
            mantissa = mantissa << 4 | digit;
            exponent -= if point { 4 } else { 0 };
        } else {
            mantissa |= u64::from(digit != 0);
            exponent += if point { 0 } else { 4 };
        }
    }
    any.then_some(Hex { negative: text.starts_with('-'), mantissa, exponent })
}

fn float<T: FromStr + Copy>(
    s: &str,
    typ: &str,
    is_infinite: impl Fn(T) -> bool,
    is_zero: impl Fn(&T) -> bool,
    of_hex: impl Fn(&Hex) -> T,
) -> Result<T, ParseError> {
    let text = trim(s);
    let hex = hex(text);
    let v: T = match &hex {
        Some(hex) => of_hex(hex),
        None => text.parse().map_err(|_| ParseError::invalid_syntax(typ, s))?,
    };
    let numeric = text.contains(|c: char| c.is_ascii_digit());
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let nonzero = match &hex {
        Some(hex) => hex.mantissa != 0,
        None => mantissa.contains(|c: char| ('1'..='9').contains(&c)),
    };
    if numeric && (is_infinite(v) || (is_zero(&v) && nonzero)) {
        let message = format!("\"{text}\" is out of range for type {typ}");
        return Err(ParseError::new(ParseErrorKind::NumericOutOfRange, message));
    }
    Ok(v)
}

/// A `numeric` of any scale.
pub fn numeric(s: &str) -> Result<Numeric, ParseError> {
    num::parse(s).map_err(|e| match e {
        ParseNumericError::Syntax => ParseError::invalid_syntax("numeric", s),
        ParseNumericError::Overflow => {
            ParseError::new(ParseErrorKind::NumericOutOfRange, "value overflows numeric format")
        }
    })
}

/// An `oid`, which may be written as a negative number, or one of its aliases as a number; `regtype` also by name.
/// Names of other kinds need a catalog, which the caller has.
pub fn oid(s: &str, typ: &ScalarType) -> Result<u32, ParseError> {
    let text = trim(s);
    if *typ != ScalarType::Oid && text == "-" {
        return Ok(0);
    }
    if *typ == ScalarType::RegType
        && let Some(t) = ScalarType::from_name(text)
    {
        return Ok(t.oid());
    }
    if *typ == ScalarType::RegType
        && let Some((oid, _)) = PSEUDO_TYPES.iter().find(|(_, name)| *name == text.trim_matches('"'))
    {
        return Ok(*oid);
    }
    let v: i64 = integer(s, &typ.sql_name())?;
    u32::try_from(v)
        .or_else(|_| i32::try_from(v).map(|v| v as u32))
        .map_err(|_| ParseError::out_of_range(&typ.sql_name(), s))
}

/// A logical time: milliseconds since the Unix epoch, or a timestamp.
pub fn mz_timestamp(s: &str, cx: &DecodeContext) -> Result<u64, ParseError> {
    if trim(s).bytes().all(|b| b.is_ascii_digit()) {
        return integer(s, "mz_timestamp");
    }
    let t = super::datetime::parse_timestamptz(s, cx);
    let ms = t.ok().and_then(|t| t.to_unix_ms()).and_then(|ms| u64::try_from(ms).ok());
    ms.ok_or_else(|| ParseError::invalid_syntax("mz_timestamp", s))
}

fn too_long(typ: &str, limit: u32) -> ParseError {
    ParseError::new(ParseErrorKind::StringTooLong, format!("value too long for type {typ}({limit})"))
}

/// The text up to `limit` characters, when all that follows are blanks.
fn cut_blanks<'s>(s: &'s str, limit: u32, typ: &str) -> Result<&'s str, ParseError> {
    match s.char_indices().nth(limit as usize) {
        None => Ok(s),
        Some((at, _)) if s[at..].bytes().all(|b| b == b' ') => Ok(&s[..at]),
        Some(_) => Err(too_long(typ, limit)),
    }
}

/// A `varchar(n)`.
pub fn varchar(s: &str, max_length: Option<u32>) -> Result<&str, ParseError> {
    max_length.map_or(Ok(s), |n| cut_blanks(s, n, "character varying"))
}

/// A `char(n)`, padded to its length.
pub fn bpchar(s: &str, length: Option<u32>) -> Result<String, ParseError> {
    let Some(n) = length else { return Ok(s.to_owned()) };
    let mut text = cut_blanks(s, n, "character")?.to_owned();
    let missing = (n as usize).saturating_sub(text.chars().count());
    text.extend(std::iter::repeat_n(' ', missing));
    Ok(text)
}

/// The first character, or nothing.
pub fn first_char(s: &str) -> &str {
    s.char_indices().nth(1).map_or(s, |(at, _)| &s[..at])
}

/// A `name`: at most 63 bytes, the rest is cut.
pub fn name(s: &str) -> &str {
    const MAX_BYTES: usize = 63;
    &s[..s.floor_char_boundary(MAX_BYTES)]
}

/// A `bytea` in hex (`\x…`) or escape format.
pub fn bytea(s: &str) -> Result<Vec<u8>, ParseError> {
    match s.strip_prefix("\\x") {
        Some(digits) => bytea_hex(digits),
        None => bytea_escape(s.as_bytes()).ok_or_else(|| {
            ParseError::new(ParseErrorKind::InvalidText, "invalid input syntax for type bytea")
        }),
    }
}

fn bytea_hex(digits: &str) -> Result<Vec<u8>, ParseError> {
    let error = |message: String| ParseError::new(ParseErrorKind::InvalidParameter, message);
    let value = |c: char| {
        let digit = c.to_digit(16).and_then(|d| u8::try_from(d).ok());
        digit.ok_or_else(|| error(format!("invalid hexadecimal digit: \"{c}\"")))
    };
    let mut out = Vec::with_capacity(digits.len() / 2);
    let mut chars = digits.chars();
    while let Some(c) = chars.next() {
        if matches!(c, ' ' | '\n' | '\t' | '\r') {
            continue;
        }
        let high = value(c)?;
        let next =
            chars.next().ok_or_else(|| error("invalid hexadecimal data: odd number of digits".into()))?;
        out.push(high << 4 | value(next)?);
    }
    Ok(out)
}

fn bytea_escape(mut s: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(s.len());
    loop {
        s = match s {
            [] => return Some(out),
            [b'\\', b'\\', rest @ ..] => {
                out.push(b'\\');
                rest
            }
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', rest @ ..] => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest
            }
            [b'\\', ..] => return None,
            [b, rest @ ..] => {
                out.push(*b);
                rest
            }
        };
    }
}

/// A UUID: 32 hexadecimal digits, a hyphen allowed after each four, braces around it allowed.
pub fn uuid(s: &str) -> Result<Uuid, ParseError> {
    parse_uuid(s).ok_or_else(|| ParseError::invalid_syntax("uuid", s))
}

fn parse_uuid(s: &str) -> Option<Uuid> {
    let body = match s.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}')?,
        None => s,
    };
    let mut bytes = [0u8; 16];
    let mut digits = 0;
    let mut after_hyphen = true;
    for c in body.bytes() {
        if c == b'-' {
            if after_hyphen || digits % 4 != 0 || digits == 32 {
                return None;
            }
            after_hyphen = true;
            continue;
        }
        after_hyphen = false;
        let value = char::from(c).to_digit(16)? as u8;
        let byte = bytes.get_mut(digits / 2)?;
        *byte = *byte << 4 | value;
        digits += 1;
    }
    (digits == 32).then(|| Uuid::from_bytes(bytes))
}

/// The error of an input function for what was wrong with JSON.
pub(crate) fn json_error(e: JsonbError) -> ParseError {
    let message = e.to_string();
    match e {
        JsonbError::Syntax(detail) => {
            ParseError::new(ParseErrorKind::InvalidText, message).with_detail(detail)
        }
        JsonbError::NulCharacter => ParseError::new(ParseErrorKind::UntranslatableCharacter, message)
            .with_detail("\\u0000 cannot be converted to text."),
        JsonbError::NumberOverflow => ParseError::new(ParseErrorKind::NumericOutOfRange, message),
    }
}
