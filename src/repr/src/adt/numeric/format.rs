//! The text form of numerics, and their digits.

use dec::Decimal;

use super::{MAX_DIGITS, MAX_SCALE, Numeric, WIDE, WIDTH, Wide, finish, infinity, nan, neg_infinity};
use crate::adt::error::AdtError;

/// A text is no numeric.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseNumericError {
    /// It is not written as one.
    #[error("invalid syntax")]
    Syntax,
    /// It has more than 39 digits before its point.
    #[error("value overflows numeric format")]
    Overflow,
}

/// Writes the digits of the coefficient, most significant first, without leading zeros (one zero for zero), and
/// returns how many there are.
pub(crate) fn write_digits(d: &Decimal<WIDTH>, out: &mut [u8; MAX_DIGITS as usize]) -> usize {
    let mut len = 0;
    for unit in d.coefficient_units().iter().rev().take(WIDTH) {
        for digit in [unit / 100, unit / 10 % 10, unit % 10] {
            if (len > 0 || digit != 0) && len < out.len() {
                out[len] = digit as u8;
                len += 1;
            }
        }
    }
    if len == 0 {
        out[0] = 0;
        len = 1;
    }
    len
}

/// Appends the text with all digits of the scale, never in exponential notation.
pub fn write(n: &Numeric, out: &mut String) {
    if n.0.is_nan() {
        out.push_str("NaN");
        return;
    }
    if n.0.is_negative() {
        out.push('-');
    }
    if n.0.is_infinite() {
        out.push_str("Infinity");
        return;
    }
    let mut buffer = [0u8; MAX_DIGITS as usize];
    let len = write_digits(&n.0, &mut buffer);
    let digits = &buffer[..len];
    let exponent = n.0.exponent();
    let push = |digits: &[u8], out: &mut String| out.extend(digits.iter().map(|d| char::from(b'0' + d)));
    if exponent >= 0 {
        push(digits, out);
        if !n.0.is_zero() {
            out.extend(std::iter::repeat_n('0', exponent as usize));
        }
        return;
    }
    let scale = exponent.unsigned_abs() as usize;
    if len > scale {
        push(&digits[..len - scale], out);
        out.push('.');
        push(&digits[len - scale..], out);
    } else {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', scale - len));
        push(digits, out);
    }
}

/// The text with all digits of the scale.
pub fn to_string(n: &Numeric) -> String {
    let mut out = String::new();
    write(n, &mut out);
    out
}

/// Reads a numeric: digits with an optional point and exponent, `NaN`, or `Infinity`, with blanks around it.
/// Digits after the point beyond the 39 that there is room for are rounded off.
///
/// # Errors
/// When the text is no numeric or has more than 39 digits before its point.
pub fn parse(text: &str) -> Result<Numeric, ParseNumericError> {
    let s = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    if s.eq_ignore_ascii_case("nan") {
        return Ok(nan());
    }
    let (negative, s) = match s.as_bytes().first() {
        Some(b'-') => (true, &s[1..]),
        Some(b'+') => (false, &s[1..]),
        _ => (false, s),
    };
    if s.eq_ignore_ascii_case("infinity") || s.eq_ignore_ascii_case("inf") {
        return Ok(if negative { neg_infinity() } else { infinity() });
    }
    let (mantissa, exponent) = match s.find(['e', 'E']) {
        Some(at) => (&s[..at], parse_exponent(&s[at + 1..])?),
        None => (s, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
        return Err(ParseNumericError::Syntax);
    }
    let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|b| b - b'0').collect();
    let fraction_len = i64::try_from(fraction.len()).map_err(|_| ParseNumericError::Overflow)?;
    from_digits(negative, &digits, exponent - fraction_len).map_err(|_| ParseNumericError::Overflow)
}

fn parse_exponent(s: &str) -> Result<i64, ParseNumericError> {
    let digits = s.strip_prefix(['+', '-']).unwrap_or(s);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ParseNumericError::Syntax);
    }
    // Beyond this the outcome no longer depends on the exponent.
    const BOUND: i64 = 1 << 40;
    let magnitude = digits.parse::<i64>().unwrap_or(BOUND).min(BOUND);
    Ok(if s.starts_with('-') { -magnitude } else { magnitude })
}

/// The numeric of decimal digits (most significant first) times a power of ten; its scale is what the exponent
/// says, at most 39.
///
/// # Errors
/// When there are more than 39 digits before the point.
pub fn from_digits(negative: bool, digits: &[u8], exponent: i64) -> Result<Numeric, AdtError> {
    let scale = u32::try_from((-exponent).clamp(0, i64::from(MAX_SCALE))).unwrap_or(MAX_SCALE);
    let leading = digits.iter().take_while(|d| **d == 0).count();
    let (mut digits, mut exponent) = (&digits[leading..], exponent);
    // Digits past the 81st cannot change how 39 are rounded half away from zero.
    const KEPT: usize = WIDE * 3;
    if digits.len() > KEPT {
        exponent += (digits.len() - KEPT) as i64;
        digits = &digits[..KEPT];
    }
    let magnitude = exponent + digits.len() as i64;
    if digits.is_empty() || magnitude < -i64::from(MAX_SCALE) {
        return finish(Wide::zero(), scale);
    }
    if magnitude > i64::from(MAX_DIGITS) {
        return Err(AdtError::NumericOverflow);
    }
    let mut lsu = [0u16; WIDE];
    for (unit, chunk) in lsu.iter_mut().zip(digits.rchunks(3)) {
        *unit = chunk.iter().fold(0, |acc, d| acc * 10 + u16::from(*d));
    }
    let bits = if negative { 0x80 } else { 0 };
    let wide = Decimal::from_raw_parts(digits.len() as u32, exponent as i32, bits, lsu);
    finish(wide, scale)
}

/// The decimal digits of a finite numeric's magnitude and the power of ten of the last one.
pub fn digits(n: &Numeric) -> (Vec<u8>, i32) {
    let mut buffer = [0u8; MAX_DIGITS as usize];
    let len = write_digits(&n.0, &mut buffer);
    (buffer[..len].to_vec(), n.0.exponent())
}
