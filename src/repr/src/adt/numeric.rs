//! `numeric`: decimals of at most 39 digits that remember their scale, as PostgreSQL's do: `1.50` prints its zero.
//!
//! Invariants of every value that this module makes:
//! 1. The exponent is 0 to -39; its negation is the scale. `1e2` is kept as `100`.
//! 2. There is no negative zero, and NaN and the infinities have one form each.
//!
//! PostgreSQL's results may have more digits than there is room for. Then digits after the point are rounded off
//! (half away from zero) until 39 remain; when the digits before the point alone are more, the operation fails
//! with [`AdtError::NumericOverflow`].

use dec::{Context, Decimal, OrderedDecimal, Rounding};

use super::error::AdtError;
use crate::types::NumericTypmod;

mod convert;
mod format;
pub use convert::*;
pub use format::*;

/// How many 3-digit units a numeric has: 39 digits.
pub const WIDTH: usize = 13;
/// The greatest number of digits.
pub const MAX_DIGITS: u32 = 39;
/// The greatest scale.
pub const MAX_SCALE: u32 = 39;

/// Units of intermediate results: 81 digits, enough for exact sums and products.
const WIDE: usize = 27;

/// A decimal. Order and equality are numeric (`1.5 = 1.50`); NaN equals itself and is above everything.
pub type Numeric = OrderedDecimal<Decimal<WIDTH>>;

/// An intermediate result of 81 digits.
type Wide = Decimal<WIDE>;

/// A fresh arithmetic context of 39 digits that rounds half away from zero.
pub fn context() -> Context<Decimal<WIDTH>> {
    let mut cx = Context::default();
    cx.set_max_exponent(isize::try_from(MAX_DIGITS).expect("fits") - 1).expect("valid exponent");
    cx.set_min_exponent(-isize::try_from(MAX_DIGITS).expect("fits")).expect("valid exponent");
    cx.set_rounding(Rounding::HalfUp);
    cx
}

fn wide_context() -> Context<Wide> {
    let mut cx = Context::<Wide>::default();
    cx.set_rounding(Rounding::HalfUp);
    cx
}

fn widen(n: &Numeric) -> Wide {
    wide_context().to_width(n.0)
}

/// NaN.
pub fn nan() -> Numeric {
    OrderedDecimal(Decimal::nan())
}

/// `Infinity`.
pub fn infinity() -> Numeric {
    OrderedDecimal(Decimal::infinity())
}

/// `-Infinity`.
pub fn neg_infinity() -> Numeric {
    OrderedDecimal(-Decimal::infinity())
}

/// Zero of scale 0.
pub fn zero() -> Numeric {
    OrderedDecimal(Decimal::zero())
}

/// Brings a decimal from elsewhere into the form that this module promises.
///
/// # Errors
/// When it has more than 39 digits before its point.
pub fn canonicalize(d: Decimal<WIDTH>) -> Result<Numeric, AdtError> {
    let scale = d.exponent().saturating_neg().max(0) as u32;
    finish(widen(&OrderedDecimal(d)), scale)
}

/// Digits before the point, 0 for a value below 1.
fn integer_digits(d: &Wide) -> i64 {
    if d.is_zero() { 0 } else { (i64::from(d.digits()) + i64::from(d.exponent())).max(0) }
}

/// Rounds a result to `scale` digits after the point, or fewer when 39 digits have no room for them.
fn finish(mut d: Wide, scale: u32) -> Result<Numeric, AdtError> {
    if d.is_nan() {
        return Ok(nan());
    }
    if d.is_infinite() {
        return Ok(if d.is_negative() { neg_infinity() } else { infinity() });
    }
    let room = i64::from(MAX_DIGITS) - integer_digits(&d);
    if room < 0 {
        return Err(AdtError::NumericOverflow);
    }
    let mut cx = wide_context();
    let scale = i64::from(scale.min(MAX_SCALE)).min(room);
    if i64::from(d.exponent()) != -scale {
        let unrounded = d;
        cx.rescale(&mut d, &Decimal::<WIDE>::from(-(scale as i32)));
        if d.digits() > MAX_DIGITS {
            // Rounding carried into one more digit before the point.
            if scale == 0 {
                return Err(AdtError::NumericOverflow);
            }
            d = unrounded;
            cx.rescale(&mut d, &Decimal::<WIDE>::from(1 - scale as i32));
        }
    }
    let mut out: Decimal<WIDTH> = exact_context().to_width(d);
    if out.is_zero() && out.is_negative() {
        out = -out;
    }
    Ok(OrderedDecimal(out))
}

/// A context that changes nothing that fits.
fn exact_context() -> Context<Decimal<WIDTH>> {
    let mut cx = Context::<Decimal<WIDTH>>::default();
    cx.set_rounding(Rounding::HalfUp);
    cx
}

/// Digits after the point, 0 for NaN and infinities.
pub fn scale(n: &Numeric) -> u32 {
    if n.0.is_special() { 0 } else { n.0.exponent().saturating_neg().max(0) as u32 }
}

/// The fewest digits after the point that keep the value.
pub fn min_scale(n: &Numeric) -> u32 {
    scale(&trim_scale(n))
}

/// The same value without zeros at the end of its fraction.
pub fn trim_scale(n: &Numeric) -> Numeric {
    if n.0.is_special() || n.0.exponent() >= 0 {
        return *n;
    }
    let mut d = n.0;
    if d.is_zero() {
        return zero();
    }
    d.trim();
    rescale(&OrderedDecimal(d), d.exponent().saturating_neg().max(0) as u32).unwrap_or(*n)
}

/// The value with exactly `new_scale` digits after the point, rounded half away from zero. When 39 digits have no
/// room for that many zeros the scale is less. NaN and infinities stay.
///
/// # Errors
/// When rounding carries into a 40th digit.
pub fn rescale(n: &Numeric, new_scale: u32) -> Result<Numeric, AdtError> {
    finish(widen(n), new_scale)
}

/// `round(n, places)`: a negative number of places rounds before the point.
///
/// # Errors
/// When rounding carries into a 40th digit.
pub fn round(n: &Numeric, places: i32) -> Result<Numeric, AdtError> {
    round_with(n, places, Rounding::HalfUp)
}

/// `trunc(n, places)`: a negative number of places cuts before the point.
pub fn trunc(n: &Numeric, places: i32) -> Numeric {
    round_with(n, places, Rounding::Down).unwrap_or(*n)
}

/// The greatest integer that is not above `n`.
///
/// # Errors
/// When it has 40 digits.
pub fn floor(n: &Numeric) -> Result<Numeric, AdtError> {
    round_with(n, 0, Rounding::Floor)
}

/// The least integer that is not below `n`.
///
/// # Errors
/// When it has 40 digits.
pub fn ceil(n: &Numeric) -> Result<Numeric, AdtError> {
    round_with(n, 0, Rounding::Ceiling)
}

fn round_with(n: &Numeric, places: i32, rounding: Rounding) -> Result<Numeric, AdtError> {
    if n.0.is_special() {
        return Ok(*n);
    }
    let places = places.clamp(-(MAX_DIGITS as i32) - 1, MAX_SCALE as i32);
    let mut d = widen(n);
    if -d.exponent() > places {
        let mut cx = wide_context();
        cx.set_rounding(rounding);
        cx.rescale(&mut d, &Decimal::<WIDE>::from(-places));
    }
    finish(d, places.max(0) as u32)
}

/// Rounds to a declared scale and checks the precision.
///
/// # Errors
/// [`AdtError::NumericFieldOverflow`] when the value has too many digits before the point or is infinite.
pub fn apply_typmod(n: &Numeric, typmod: NumericTypmod) -> Result<Numeric, AdtError> {
    if n.0.is_nan() {
        return Ok(*n);
    }
    let overflow = AdtError::NumericFieldOverflow {
        precision: typmod.precision,
        scale: typmod.scale,
        infinite: n.0.is_infinite(),
    };
    if n.0.is_infinite() {
        return Err(overflow);
    }
    let mut d = widen(n);
    wide_context().rescale(&mut d, &Decimal::<WIDE>::from(-i32::from(typmod.scale)));
    if integer_digits(&d) > i64::from(typmod.precision) - i64::from(typmod.scale) {
        return Err(overflow);
    }
    finish(d, u32::from(typmod.scale))
}

/// The sum, of the greater scale.
///
/// # Errors
/// When it does not fit.
pub fn add(a: &Numeric, b: &Numeric) -> Result<Numeric, AdtError> {
    let mut d = widen(a);
    wide_context().add(&mut d, &b.0);
    finish(d, scale(a).max(scale(b)))
}

/// The difference, of the greater scale.
///
/// # Errors
/// When it does not fit.
pub fn sub(a: &Numeric, b: &Numeric) -> Result<Numeric, AdtError> {
    let mut d = widen(a);
    wide_context().sub(&mut d, &b.0);
    finish(d, scale(a).max(scale(b)))
}

/// The product, whose scale is the sum of the scales.
///
/// # Errors
/// When it does not fit.
pub fn mul(a: &Numeric, b: &Numeric) -> Result<Numeric, AdtError> {
    let mut d = widen(a);
    wide_context().mul(&mut d, &b.0);
    finish(d, scale(a) + scale(b))
}

/// The negation.
pub fn neg(n: &Numeric) -> Numeric {
    if n.0.is_nan() || n.0.is_zero() { *n } else { OrderedDecimal(-n.0) }
}

/// The absolute value.
pub fn abs(n: &Numeric) -> Numeric {
    if n.0.is_negative() { neg(n) } else { *n }
}

/// -1, 0 or 1; `None` for NaN.
pub fn sign(n: &Numeric) -> Option<i32> {
    match () {
        () if n.0.is_nan() => None,
        () if n.0.is_zero() => Some(0),
        () if n.0.is_negative() => Some(-1),
        () => Some(1),
    }
}

/// The quotient, of the scale that PostgreSQL gives it: at least 16 significant digits and no less than either
/// argument's scale.
///
/// # Errors
/// When the divisor is zero or the quotient does not fit.
pub fn div(a: &Numeric, b: &Numeric) -> Result<Numeric, AdtError> {
    if a.0.is_nan() || b.0.is_nan() {
        return Ok(nan());
    }
    if b.0.is_zero() {
        return Err(AdtError::DivisionByZero);
    }
    if a.0.is_infinite() || b.0.is_infinite() {
        return Ok(match (a.0.is_infinite(), b.0.is_infinite()) {
            (true, true) => nan(),
            (false, _) => zero(),
            (true, false) if a.0.is_negative() == b.0.is_negative() => infinity(),
            (true, false) => neg_infinity(),
        });
    }
    // Cut, not rounded, so that the one rounding happens in `finish`.
    let mut cx = wide_context();
    cx.set_rounding(Rounding::Down);
    let mut d = widen(a);
    cx.div(&mut d, &b.0);
    finish(d, div_scale(a, b))
}

/// The scale of a quotient of finite values (PostgreSQL's rule, on groups of four digits).
pub fn div_scale(a: &Numeric, b: &Numeric) -> u32 {
    const MIN_SIGNIFICANT_DIGITS: i64 = 16;
    let ((wa, fa), (wb, fb)) = (leading_group(a), leading_group(b));
    let weight = wa - wb - i64::from(fa <= fb);
    let wanted =
        (MIN_SIGNIFICANT_DIGITS - weight * 4).max(0).max(i64::from(scale(a))).max(i64::from(scale(b)));
    u32::try_from(wanted).unwrap_or(MAX_SCALE)
}

/// The position of the leading group of four digits, counted from the point, and that group.
fn leading_group(n: &Numeric) -> (i64, u32) {
    if n.0.is_zero() {
        return (0, 0);
    }
    let adjusted = i64::from(n.0.digits()) + i64::from(n.0.exponent()) - 1;
    let weight = adjusted.div_euclid(4);
    let wanted = adjusted.rem_euclid(4) as usize + 1;
    let mut digits = [0u8; MAX_DIGITS as usize];
    let len = write_digits(&n.0, &mut digits);
    let group = (0..wanted).fold(0u32, |acc, i| acc * 10 + u32::from(if i < len { digits[i] } else { 0 }));
    (weight, group)
}

/// The quotient cut to an integer, as `div(a, b)` gives it.
///
/// # Errors
/// When the divisor is zero or the quotient does not fit.
pub fn div_trunc(a: &Numeric, b: &Numeric) -> Result<Numeric, AdtError> {
    if a.0.is_special() || b.0.is_special() || b.0.is_zero() {
        return div(a, b);
    }
    let mut cx = wide_context();
    cx.set_rounding(Rounding::Down);
    let mut d = widen(a);
    cx.div(&mut d, &b.0);
    if integer_digits(&d) > i64::from(MAX_DIGITS) {
        return Err(AdtError::NumericOverflow);
    }
    cx.rescale(&mut d, &Decimal::<WIDE>::zero());
    finish(d, 0)
}

/// The remainder, with the sign of `a` and the greater scale.
///
/// # Errors
/// When the divisor is zero.
pub fn rem(a: &Numeric, b: &Numeric) -> Result<Numeric, AdtError> {
    if a.0.is_nan() || b.0.is_nan() {
        return Ok(nan());
    }
    if b.0.is_zero() {
        return Err(AdtError::DivisionByZero);
    }
    if a.0.is_infinite() {
        return Ok(nan());
    }
    if b.0.is_infinite() {
        return Ok(*a);
    }
    let mut d = widen(a);
    wide_context().rem(&mut d, &b.0);
    finish(d, scale(a).max(scale(b)))
}
