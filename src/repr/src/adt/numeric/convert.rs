//! Conversions of numerics from and to integers and floats.

use dec::{Decimal, OrderedDecimal};

use super::{MAX_DIGITS, Numeric, WIDTH, infinity, nan, neg_infinity, parse, rescale, write, write_digits};
use crate::adt::error::AdtError;

/// The numeric of an integer.
pub fn from_i64(v: i64) -> Numeric {
    from_sign_and_magnitude(v < 0, v.unsigned_abs())
}

/// The numeric of an integer.
pub fn from_u64(v: u64) -> Numeric {
    from_sign_and_magnitude(false, v)
}

fn from_sign_and_magnitude(negative: bool, magnitude: u64) -> Numeric {
    let mut lsu = [0u16; WIDTH];
    let mut rest = magnitude;
    for unit in &mut lsu {
        if rest == 0 {
            break;
        }
        *unit = (rest % 1000) as u16;
        rest /= 1000;
    }
    let digits = if magnitude == 0 { 1 } else { magnitude.ilog10() + 1 };
    OrderedDecimal(Decimal::from_raw_parts(digits, 0, if negative { 0x80 } else { 0 }, lsu))
}

/// `coefficient * 10^-scale`, for example microseconds as seconds of scale 6. The scale is at most 39.
///
/// # Panics
/// When the scale is above 39.
pub fn from_scaled_i64(coefficient: i64, scale: u32) -> Numeric {
    assert!(scale <= super::MAX_SCALE, "a scale is at most 39");
    let mut n = from_i64(coefficient);
    n.0.set_exponent(-(scale as i32));
    n
}

/// The numeric of an integer.
///
/// # Errors
/// When it has more than 39 digits.
pub fn from_i128(v: i128) -> Result<Numeric, AdtError> {
    parse(&v.to_string()).map_err(|_| AdtError::NumericOverflow)
}

/// The numeric of a float, by its 15 leading digits, as PostgreSQL converts it.
///
/// # Errors
/// When it has more than 39 digits before its point.
pub fn from_f64(v: f64) -> Result<Numeric, AdtError> {
    if v.is_finite() {
        parse(&format!("{v:.14e}")).map(|n| shed_zeros(&n, v)).map_err(|_| AdtError::NumericOverflow)
    } else {
        Ok(special(v))
    }
}

/// The numeric of a float, by its 6 leading digits, as PostgreSQL converts it.
///
/// # Errors
/// When it has more than 39 digits before its point.
pub fn from_f32(v: f32) -> Result<Numeric, AdtError> {
    if v.is_finite() {
        parse(&format!("{v:.5e}")).map(|n| shed_zeros(&n, v.into())).map_err(|_| AdtError::NumericOverflow)
    } else {
        Ok(special(v.into()))
    }
}

/// The zeros that filling up to the fixed number of digits has added are no part of the value.
fn shed_zeros(n: &Numeric, v: f64) -> Numeric {
    if v == 0.0 { super::zero() } else { super::trim_scale(n) }
}

fn special(v: f64) -> Numeric {
    match () {
        () if v.is_nan() => nan(),
        () if v > 0.0 => infinity(),
        () => neg_infinity(),
    }
}

/// The nearest float.
pub fn to_f64(n: &Numeric) -> f64 {
    match () {
        () if n.0.is_nan() => f64::NAN,
        () if n.0.is_infinite() && n.0.is_negative() => f64::NEG_INFINITY,
        () if n.0.is_infinite() => f64::INFINITY,
        () => {
            let mut text = String::new();
            write(n, &mut text);
            text.parse().unwrap_or(f64::NAN)
        }
    }
}

/// The nearest float.
///
/// # Errors
/// When the value is too large ("value out of range: overflow") or too small to tell from zero (underflow).
pub fn to_f32(n: &Numeric) -> Result<f32, AdtError> {
    if n.0.is_special() {
        return Ok(to_f64(n) as f32);
    }
    let mut text = String::new();
    write(n, &mut text);
    let v: f32 = text.parse().unwrap_or(f32::NAN);
    if v.is_infinite() || (v == 0.0 && !n.0.is_zero()) {
        return Err(AdtError::FloatOutOfRange(format!("\"{text}\" is out of range for type real").into()));
    }
    Ok(v)
}

/// The integer that a numeric rounds to (half away from zero), for the named type.
fn to_i128(n: &Numeric, typ: &str) -> Result<i128, AdtError> {
    if n.0.is_special() {
        let value = if n.0.is_nan() { "NaN" } else { "infinity" };
        return Err(AdtError::CannotConvert { value: value.into(), typ: typ.into() });
    }
    let out_of_range = || AdtError::IntegerOutOfRange(typ.into());
    let n = rescale(n, 0).map_err(|_| out_of_range())?;
    let mut digits = [0u8; MAX_DIGITS as usize];
    let len = write_digits(&n.0, &mut digits);
    if len > 38 {
        return Err(out_of_range());
    }
    let magnitude = digits[..len].iter().fold(0i128, |acc, d| acc * 10 + i128::from(*d));
    Ok(if n.0.is_negative() { -magnitude } else { magnitude })
}

macro_rules! to_integer {
    ($($name:ident -> $ty:ty, $sql:literal);+ $(;)?) => {
        $(
            #[doc = concat!("Rounds to ", $sql, ", half away from zero.")]
            ///
            /// # Errors
            /// When the value is out of range, NaN or infinite.
            pub fn $name(n: &Numeric) -> Result<$ty, AdtError> {
                <$ty>::try_from(to_i128(n, $sql)?).map_err(|_| AdtError::IntegerOutOfRange($sql.into()))
            }
        )+
    };
}

to_integer! {
    to_i16 -> i16, "smallint";
    to_i32 -> i32, "integer";
    to_i64 -> i64, "bigint";
    to_u16 -> u16, "uint2";
    to_u32 -> u32, "uint4";
    to_u64 -> u64, "uint8";
}
