//! `DECIMAL`: its binary form in the binlog, and its text to a numeric.
//!
//! Binary (MySQL's `decimal2bin`): the digits before and after the point in groups of nine as big-endian integers of four
//! bytes; the incomplete group, first before and last after the point, takes `BYTES[digits]` bytes. The first bit is
//! inverted; of a negative number all bytes are inverted first.

use hw_repr::adt::numeric::{self, Numeric};

use super::{DecodeError, MAX_NUMERIC_DIGITS};

const BYTES: [usize; 10] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];

/// How many bytes a `decimal(precision, scale)` takes; `None` when there is no such type.
pub(crate) fn binary_len(precision: u8, scale: u8) -> Option<usize> {
    let whole = precision.checked_sub(scale)? as usize;
    let scale = scale as usize;
    Some(whole / 9 * 4 + BYTES[whole % 9] + scale / 9 * 4 + BYTES[scale % 9])
}

/// The text of a binary decimal, with exactly `scale` digits after the point.
pub(crate) fn binary_to_text(
    data: &[u8],
    precision: u8,
    scale: u8,
    out: &mut String,
) -> Result<(), DecodeError> {
    let bad = || DecodeError::shape("invalid binary decimal");
    let len = binary_len(precision, scale).filter(|n| *n == data.len() && *n > 0).ok_or_else(bad)?;
    let mut bytes = [0u8; 40];
    let bytes = bytes.get_mut(..len).ok_or_else(bad)?;
    bytes.copy_from_slice(data);
    let negative = bytes[0] & 0x80 == 0;
    bytes[0] ^= 0x80;
    if negative {
        bytes.iter_mut().for_each(|b| *b = !*b);
    }
    let (whole, scale) = (usize::from(precision - scale), usize::from(scale));
    let mut rest: &[u8] = bytes;
    let mut group = |digits: usize| -> Result<u32, DecodeError> {
        let (head, tail) = rest.split_at_checked(BYTES[digits]).ok_or_else(bad)?;
        rest = tail;
        let v = head.iter().fold(0u32, |v, b| v << 8 | u32::from(*b));
        if v < 10u32.pow(digits as u32) { Ok(v) } else { Err(bad()) }
    };
    use std::fmt::Write;
    let start = out.len();
    let mut digits = String::with_capacity(whole + scale + 1);
    if whole % 9 > 0 {
        let v = group(whole % 9)?;
        let _ = write!(digits, "{v:0width$}", width = whole % 9);
    }
    for _ in 0..whole / 9 {
        let v = group(9)?;
        let _ = write!(digits, "{v:09}");
    }
    let trimmed = digits.trim_start_matches('0');
    let whole_text = if trimmed.is_empty() { "0" } else { trimmed };
    out.push_str(whole_text);
    if scale > 0 {
        out.push('.');
        for _ in 0..scale / 9 {
            let v = group(9)?;
            let _ = write!(out, "{v:09}");
        }
        if scale % 9 > 0 {
            let v = group(scale % 9)?;
            let _ = write!(out, "{v:0width$}", width = scale % 9);
        }
    }
    if negative && out[start..].bytes().any(|b| b != b'0' && b != b'.') {
        out.insert(start, '-');
    }
    Ok(())
}

/// The numeric of a decimal's text, with the text's scale. When that needs more than 39 digits, trailing zeros go first.
pub(crate) fn to_numeric(text: &str) -> Result<Numeric, DecodeError> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
        return Err(DecodeError::shape("invalid decimal"));
    }
    if whole.len() + fraction.len() <= 18 {
        let magnitude = whole.bytes().chain(fraction.bytes()).fold(0i64, |v, b| v * 10 + i64::from(b - b'0'));
        return Ok(numeric::from_scaled_i64(
            if negative { -magnitude } else { magnitude },
            fraction.len() as u32,
        ));
    }
    let whole = whole.trim_start_matches('0');
    let mut kept = fraction;
    while whole.len() + kept.len() > MAX_NUMERIC_DIGITS && kept.ends_with('0') {
        kept = &kept[..kept.len() - 1];
    }
    if whole.len() + kept.len() > MAX_NUMERIC_DIGITS {
        // Zeros right after the point count only when there are digits before it.
        let significant =
            if whole.is_empty() { kept.trim_start_matches('0').len() } else { whole.len() + kept.len() };
        if significant > MAX_NUMERIC_DIGITS || kept.len() > MAX_NUMERIC_DIGITS {
            return Err(DecodeError::value(format!(
                "a decimal of more than {MAX_NUMERIC_DIGITS} digits: {text}"
            )));
        }
    }
    let sign = if negative { "-" } else { "" };
    let whole = if whole.is_empty() { "0" } else { whole };
    let text = if kept.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{kept}") };
    numeric::parse(&text).map_err(|_| DecodeError::value(format!("decimal out of range: {text}")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn binary_form() {
        // The manual's example: 1234567890.1234 as decimal(14,4).
        let example = [0x81, 0x0d, 0xfb, 0x38, 0xd2, 0x04, 0xd2];
        let text = |data: &[u8], p, s| {
            let mut out = String::new();
            binary_to_text(data, p, s, &mut out).map(|()| out)
        };
        assert_eq!(text(&example, 14, 4).unwrap(), "1234567890.1234");
        let negative: Vec<u8> = example.iter().map(|b| !b).collect();
        assert_eq!(text(&negative, 14, 4).unwrap(), "-1234567890.1234");
        assert_eq!(text(&[0x80], 1, 0).unwrap(), "0");
        assert_eq!(text(&[0x80, 0x05], 3, 2).unwrap(), "0.05");
        assert!(text(&[0x80], 3, 2).is_err());
        assert!(text(&[], 0, 0).is_err());
        assert!(text(&[0xff; 4], 9, 0).is_err());
    }

    #[test]
    fn numerics() {
        let n = |s: &str| to_numeric(s).map(|n| numeric::to_string(&n));
        assert_eq!(n("12.50").unwrap(), "12.50");
        assert_eq!(n("-0.05").unwrap(), "-0.05");
        assert_eq!(n("0.00").unwrap(), "0.00");
        let long = "123456789012345678901234567890123456789";
        assert_eq!(n(long).unwrap(), long);
        assert!(n(&format!("{long}0")).is_err());
        assert!(n(&format!("{long}.1")).is_err());
        assert_eq!(n(&format!("{long}.00")).unwrap(), long);
        assert_eq!(n("00000000000000000000000000000000000000000012.340").unwrap(), "12.340");
    }
}
