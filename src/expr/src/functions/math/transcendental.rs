//! Roots, powers, exponentials and logarithms of numerics, with PostgreSQL's scales.

use dec::{Context, Decimal, Rounding};
use hw_repr::adt::numeric::{self, Numeric};
use hw_repr::{Datum, RowArena};

use crate::error::EvalError;
use crate::func::{EvalCx, Registry};
use crate::functions::signature::{f, op};
use crate::functions::{EvalResult, fail, ok};

/// 81 digits, of which 39 are kept.
type Wide = Decimal<27>;

/// PostgreSQL's least number of significant digits.
const MIN_SIGNIFICANT_DIGITS: i64 = 16;

fn context() -> Context<Wide> {
    let mut cx = Context::<Wide>::default();
    cx.set_rounding(Rounding::HalfUp);
    // The mathematical functions of decNumber refuse wider ranges of the exponent.
    cx.set_max_exponent(99_999).expect("a valid exponent");
    cx.set_min_exponent(-99_999).expect("a valid exponent");
    cx
}

fn wide(n: &Numeric) -> Wide {
    context().to_width(n.0)
}

fn overflow() -> EvalError {
    EvalError::new("22003", "value overflows numeric format")
}

fn finish(d: Wide, scale: i64) -> Result<Numeric, EvalError> {
    if d.is_infinite() || d.is_nan() {
        return Err(overflow());
    }
    let mut d = d;
    // Far below the last digit of the scale is zero.
    if i64::from(d.exponent()) + i64::from(d.digits()) < -45 {
        return Ok(numeric::rescale(&numeric::zero(), scale as u32)?);
    }
    if d.exponent() < -60 {
        context().rescale(&mut d, &Decimal::<27>::from(-60));
    }
    let n = numeric::parse(&d.to_standard_notation_string()).map_err(|_| overflow())?;
    Ok(numeric::rescale(&n, scale.clamp(0, 39) as u32)?)
}

/// The square root, rounded to a scale.
pub(crate) fn sqrt_to_scale(n: &Numeric, scale: u32) -> Result<Numeric, EvalError> {
    if n.0.is_special() {
        return Ok(*n);
    }
    let mut d = wide(n);
    context().sqrt(&mut d);
    finish(d, scale.into())
}

/// The decimal exponent of a value's leading group of four digits, as PostgreSQL counts its weight.
fn weight(n: &Numeric) -> i64 {
    if n.0.is_zero() {
        return 0;
    }
    (i64::from(n.0.digits()) + i64::from(n.0.exponent()) - 1).div_euclid(4)
}

fn sqrt<'a>(_: &EvalCx<'_>, _: &'a RowArena, a: &[Datum<'a>]) -> EvalResult<'a> {
    let n = a[0].unwrap_numeric();
    if n < numeric::zero() && !n.0.is_nan() {
        return fail("2201F", "cannot take square root of a negative number");
    }
    // Half of the digits before the point.
    let whole = (weight(&n) + 1) * 2 - 1;
    let scale = (MIN_SIGNIFICANT_DIGITS - whole).max(numeric::scale(&n).into()).max(0);
    ok(sqrt_to_scale(&n, scale.min(39) as u32)?)
}

fn exp(n: &Numeric) -> Result<Numeric, EvalError> {
    if n.0.is_special() {
        return Ok(if n.0.is_infinite() && n.0.is_negative() { numeric::zero() } else { *n });
    }
    let digits = numeric::to_f64(n) * std::f64::consts::LOG10_E;
    if digits > 40.0 {
        return Err(overflow());
    }
    let scale = (MIN_SIGNIFICANT_DIGITS - digits.max(-2000.0) as i64).max(numeric::scale(n).into()).max(0);
    let mut d = wide(n);
    context().exp(&mut d);
    finish(d, scale)
}

/// The number of decimal digits of a logarithm, estimated.
fn ln_weight(n: &Numeric) -> i64 {
    let ln = ln_f64(n).abs();
    if ln > 0.0 { ln.log10() as i64 } else { 0 }
}

fn ln_f64(n: &Numeric) -> f64 {
    numeric::to_f64(n).ln()
}

fn check_log(n: &Numeric) -> Result<(), EvalError> {
    match numeric::sign(n) {
        Some(0) => fail("2201E", "cannot take logarithm of zero"),
        Some(-1) => fail("2201E", "cannot take logarithm of a negative number"),
        _ => Ok(()),
    }
}

fn ln(n: &Numeric) -> Result<Numeric, EvalError> {
    check_log(n)?;
    if n.0.is_special() {
        return Ok(*n);
    }
    let scale = (MIN_SIGNIFICANT_DIGITS - ln_weight(n)).max(numeric::scale(n).into()).max(0);
    let mut d = wide(n);
    context().ln(&mut d);
    finish(d, scale)
}

fn log(base: &Numeric, n: &Numeric) -> Result<Numeric, EvalError> {
    check_log(base)?;
    check_log(n)?;
    if base.0.is_special() || n.0.is_special() {
        return Ok(if base.0.is_nan() || n.0.is_nan() || base.0.is_infinite() && n.0.is_infinite() {
            numeric::nan()
        } else if base.0.is_infinite() {
            numeric::zero()
        } else {
            numeric::infinity()
        });
    }
    let mut cx = context();
    let (mut x, mut b) = (wide(n), wide(base));
    cx.ln(&mut x);
    cx.ln(&mut b);
    if b.is_zero() {
        return Err(EvalError::DivisionByZero);
    }
    cx.div(&mut x, &b);
    let result = (ln_f64(n) / ln_f64(base)).abs();
    let digits = if result > 0.0 { result.log10() as i64 } else { 0 };
    let scale =
        (MIN_SIGNIFICANT_DIGITS - digits).max(numeric::scale(base).into()).max(numeric::scale(n).into());
    finish(x, scale.max(0))
}

fn power<'a>(_: &EvalCx<'_>, _: &'a RowArena, a: &[Datum<'a>]) -> EvalResult<'a> {
    let (x, y) = (a[0].unwrap_numeric(), a[1].unwrap_numeric());
    if x.0.is_special() || y.0.is_special() {
        return special_power(&x, &y);
    }
    let integral = numeric::trunc(&y, 0) == y;
    match numeric::sign(&x) {
        Some(0) if numeric::sign(&y) == Some(-1) => {
            return fail("2201F", "zero raised to a negative power is undefined");
        }
        Some(-1) if !integral => {
            return fail("2201F", "a negative number raised to a non-integer power yields a complex result");
        }
        _ => {}
    }
    let scales = i64::from(numeric::scale(&x).max(numeric::scale(&y)));
    if x.0.is_zero() || y.0.is_zero() {
        let v = numeric::from_i64(i64::from(y.0.is_zero()));
        return ok(numeric::rescale(&v, scales.max(MIN_SIGNIFICANT_DIGITS) as u32)?);
    }
    let digits = (ln_f64(&numeric::abs(&x)) * numeric::to_f64(&y)) * std::f64::consts::LOG10_E;
    if digits > 40.0 {
        return Err(overflow());
    }
    let scale = if integral {
        MIN_SIGNIFICANT_DIGITS.max(numeric::scale(&x).into())
    } else {
        (MIN_SIGNIFICANT_DIGITS - digits.max(-2000.0) as i64).max(scales).max(0)
    };
    let mut d = wide(&x);
    context().pow(&mut d, &wide(&y));
    ok(finish(d, scale)?)
}

fn special_power<'a>(x: &Numeric, y: &Numeric) -> EvalResult<'a> {
    let one = numeric::from_i64(1);
    if *x == one || y.0.is_zero() {
        return ok(one);
    }
    if x.0.is_nan() || y.0.is_nan() {
        return ok(numeric::nan());
    }
    if x.0.is_zero() && y.0.is_negative() {
        return fail("2201F", "zero raised to a negative power is undefined");
    }
    let v = numeric::to_f64(x).powf(numeric::to_f64(y));
    match () {
        () if v.is_nan() => ok(numeric::nan()),
        () if v == f64::INFINITY => ok(numeric::infinity()),
        () if v == f64::NEG_INFINITY => ok(numeric::neg_infinity()),
        () => ok(numeric::from_f64(v)?),
    }
}

pub(super) fn register(r: &mut Registry) {
    r.add(f("sqrt(numeric) -> numeric", sqrt));
    r.add(f("exp(numeric) -> numeric", |_, _, a| ok(exp(&a[0].unwrap_numeric())?)));
    r.add(f("ln(numeric) -> numeric", |_, _, a| ok(ln(&a[0].unwrap_numeric())?)));
    for s in ["log(numeric) -> numeric", "log10(numeric) -> numeric"] {
        r.add(f(s, |_, _, a| ok(log(&numeric::from_i64(10), &a[0].unwrap_numeric())?)));
    }
    r.add(f("log(numeric, numeric) -> numeric", |_, _, a| {
        ok(log(&a[0].unwrap_numeric(), &a[1].unwrap_numeric())?)
    }));
    for s in ["power(numeric, numeric) -> numeric", "pow(numeric, numeric) -> numeric"] {
        r.add(f(s, power));
    }
    r.add(op("numeric ^ numeric -> numeric", power));
}
