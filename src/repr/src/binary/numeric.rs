//! The binary form of `numeric`: groups of four decimal digits, aligned to the point.
//!
//! ```text
//! count of groups i16, weight i16 (position of the first group; 0 is just before the point),
//! sign u16, scale u16, then each group u16
//! ```

use bytes::{BufMut, BytesMut};

use crate::adt::Numeric;
use crate::adt::numeric;
use crate::text::{ParseError, ParseErrorKind};

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const NEG_INFINITY: u16 = 0xF000;
/// Decimal digits in a group.
const GROUP: usize = 4;

pub(super) fn encode(n: &Numeric, out: &mut BytesMut) {
    let special = match () {
        () if n.0.is_nan() => Some(NAN),
        () if n.0.is_infinite() && n.0.is_negative() => Some(NEG_INFINITY),
        () if n.0.is_infinite() => Some(INFINITY),
        () => None,
    };
    let scale = numeric::scale(n) as u16;
    if let Some(sign) = special {
        put_head(0, 0, sign, 0, out);
        return;
    }
    let (mut digits, exponent) = numeric::digits(n);
    // Fill up on both sides so that groups begin and end at multiples of four from the point.
    digits.extend(std::iter::repeat_n(0, exponent.max(0) as usize));
    let exponent = exponent.min(0);
    let pad_right = exponent.rem_euclid(GROUP as i32) as usize;
    digits.extend(std::iter::repeat_n(0, pad_right));
    let last_weight = (exponent - pad_right as i32) / GROUP as i32;
    let pad_left = (GROUP - digits.len() % GROUP) % GROUP;
    let mut aligned = vec![0u8; pad_left];
    aligned.extend(digits);
    let mut groups: Vec<u16> =
        aligned.chunks(GROUP).map(|c| c.iter().fold(0, |acc, d| acc * 10 + u16::from(*d))).collect();
    let mut weight = last_weight + groups.len() as i32 - 1;
    while groups.last() == Some(&0) {
        groups.pop();
    }
    let leading = groups.iter().take_while(|g| **g == 0).count();
    groups.drain(..leading);
    weight = if groups.is_empty() { 0 } else { weight - leading as i32 };
    let sign = if n.0.is_negative() { NEGATIVE } else { POSITIVE };
    put_head(groups.len() as i16, weight as i16, sign, scale, out);
    groups.iter().for_each(|g| out.put_u16(*g));
}

fn put_head(count: i16, weight: i16, sign: u16, scale: u16, out: &mut BytesMut) {
    out.put_i16(count);
    out.put_i16(weight);
    out.put_u16(sign);
    out.put_u16(scale);
}

pub(super) fn decode(bytes: &[u8]) -> Result<Numeric, ParseError> {
    let word = |i: usize| bytes.get(i * 2..i * 2 + 2).map(|b| u16::from_be_bytes([b[0], b[1]]));
    let insufficient =
        || ParseError::new(ParseErrorKind::ProtocolViolation, "insufficient data left in message");
    let head = |i: usize| word(i).ok_or_else(insufficient);
    let (count, weight, sign, scale) = (head(0)? as usize, head(1)? as i16, head(2)?, head(3)?);
    let invalid =
        |what: &str| ParseError::invalid_binary(format!("invalid {what} in external \"numeric\" value"));
    match sign {
        POSITIVE | NEGATIVE => {}
        NAN => return Ok(numeric::nan()),
        INFINITY => return Ok(numeric::infinity()),
        NEG_INFINITY => return Ok(numeric::neg_infinity()),
        _ => return Err(invalid("sign")),
    }
    if scale > 0x3FFF {
        return Err(invalid("scale"));
    }
    if bytes.len() != (4 + count) * 2 {
        return Err(if bytes.len() < (4 + count) * 2 { insufficient() } else { invalid("length") });
    }
    let mut digits = Vec::with_capacity(count * GROUP + usize::from(scale));
    for i in 0..count {
        let group = word(4 + i).ok_or_else(insufficient)?;
        if group > 9999 {
            return Err(invalid("digit"));
        }
        digits.extend([group / 1000, group / 100 % 10, group / 10 % 10, group % 10].map(|d| d as u8));
    }
    // The value says the scale apart from its groups, which may be fewer or reach further.
    let mut exponent = (i64::from(weight) + 1) * GROUP as i64 - digits.len() as i64;
    let wanted = -i64::from(scale);
    if exponent < wanted {
        let excess = usize::try_from(wanted - exponent).unwrap_or(usize::MAX);
        digits.truncate(digits.len().saturating_sub(excess));
        exponent = wanted;
    } else if digits.iter().any(|d| *d != 0) {
        let missing = usize::try_from(exponent - wanted).unwrap_or(usize::MAX);
        // More than this overflows anyway, unless it is all scale.
        digits.extend(std::iter::repeat_n(0, missing.min(1 << 18)));
        exponent -= missing.min(1 << 18) as i64;
    } else {
        exponent = wanted;
    }
    Ok(numeric::from_digits(sign == NEGATIVE, &digits, exponent)?)
}
