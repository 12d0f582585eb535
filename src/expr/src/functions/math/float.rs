//! Functions of floats, and the rounding of floats and numerics.

use hw_repr::adt::numeric;
use hw_repr::{Datum, RowArena};

use crate::error::EvalError;
use crate::func::{EvalCx, Registry};
use crate::functions::arithmetic::check_f64;
use crate::functions::signature::{f, op};
use crate::functions::{EvalResult, fail, ok};

fn domain<T>() -> Result<T, EvalError> {
    fail("22003", "input is out of range")
}

/// A result that overflows though the argument is finite is an error.
fn checked<'a>(x: f64, v: f64) -> EvalResult<'a> {
    ok(check_f64(v, x.is_infinite(), true)?)
}

macro_rules! plain {
    ($r:ident: $($sig:literal $e:expr;)+) => {
        $($r.add(f($sig, |_, _, a| {
            let eval: fn(f64) -> f64 = $e;
            ok(eval(a[0].unwrap_float64().0))
        }));)+
    };
}

/// Functions that infinity is no argument of.
macro_rules! finite {
    ($r:ident: $($sig:literal $e:expr;)+) => {
        $($r.add(f($sig, |_, _, a| {
            let (x, eval): (f64, fn(f64) -> f64) = (a[0].unwrap_float64().0, $e);
            if x.is_infinite() { domain() } else { ok(eval(x)) }
        }));)+
    };
}

/// Degrees to radians.
const RADIAN: f64 = 0.017_453_292_519_943_295;

/// The sine of 0 to 30 degrees, exact at its end; scaled as PostgreSQL does, so that the digits agree.
fn sine_to_30(x: f64) -> f64 {
    (x * RADIAN).sin() / (30.0 * RADIAN).sin() / 2.0
}

/// The cosine of 0 to 60 degrees, exact at its end.
fn cosine_to_60(x: f64) -> f64 {
    1.0 - (1.0 - (x * RADIAN).cos()) / (1.0 - (60.0 * RADIAN).cos()) / 2.0
}

/// The sine of 0 to 90 degrees.
fn sine_to_90(x: f64) -> f64 {
    if x <= 30.0 { sine_to_30(x) } else { cosine_to_60(90.0 - x) }
}

/// The cosine of 0 to 90 degrees.
fn cosine_to_90(x: f64) -> f64 {
    if x <= 60.0 { cosine_to_60(x) } else { sine_to_30(90.0 - x) }
}

fn sind(x: f64) -> f64 {
    let x = x % 360.0;
    let (x, sign) = if x < 0.0 { (-x, -1.0) } else { (x, 1.0) };
    let (x, sign) = if x > 180.0 { (360.0 - x, -sign) } else { (x, sign) };
    sign * sine_to_90(if x > 90.0 { 180.0 - x } else { x })
}

fn cosd(x: f64) -> f64 {
    let x = (x % 360.0).abs();
    let x = if x > 180.0 { 360.0 - x } else { x };
    let (x, sign) = if x > 90.0 { (180.0 - x, -1.0) } else { (x, 1.0) };
    sign * cosine_to_90(x)
}

/// The angle between 0 and 90 degrees of the same tangent, and the sign.
fn reduced(x: f64) -> (f64, f64) {
    let x = x % 360.0;
    let (x, sign) = if x < 0.0 { (-x, -1.0) } else { (x, 1.0) };
    let (x, sign) = if x > 180.0 { (360.0 - x, -sign) } else { (x, sign) };
    if x > 90.0 { (180.0 - x, -sign) } else { (x, sign) }
}

fn tand(x: f64) -> f64 {
    let (x, sign) = reduced(x);
    let at_45 = sine_to_90(45.0) / cosine_to_90(45.0);
    sign * (sine_to_90(x) / cosine_to_90(x) / at_45)
}

fn cotd(x: f64) -> f64 {
    let (x, sign) = reduced(x);
    let at_45 = cosine_to_90(45.0) / sine_to_90(45.0);
    sign * (cosine_to_90(x) / sine_to_90(x) / at_45)
}

/// The arc sine of 0 to 1 in degrees.
fn arc_sine(x: f64) -> f64 {
    if x <= 0.5 { x.asin() / 0.5f64.asin() * 30.0 } else { 90.0 - x.acos() / 0.5f64.acos() * 60.0 }
}

/// The arc cosine of 0 to 1 in degrees.
fn arc_cosine(x: f64) -> f64 {
    if x <= 0.5 { 90.0 - x.asin() / 0.5f64.asin() * 30.0 } else { x.acos() / 0.5f64.acos() * 60.0 }
}

fn asind(x: f64) -> f64 {
    if x >= 0.0 { arc_sine(x) } else { -arc_sine(-x) }
}

fn acosd(x: f64) -> f64 {
    if x >= 0.0 { arc_cosine(x) } else { 90.0 + arc_sine(-x) }
}

/// Degrees of an arc tangent, exact at 45.
fn degrees(radians: f64) -> f64 {
    radians / 1f64.atan() * 45.0
}

pub(super) fn register(r: &mut Registry) {
    plain! { r:
        "atan(float8) -> float8 total" f64::atan;
        "atand(float8) -> float8 total" |x| degrees(x.atan());
        "asinh(float8) -> float8 total" f64::asinh;
        "tanh(float8) -> float8 total" f64::tanh;
        "sinh(float8) -> float8 total" f64::sinh;
        "cosh(float8) -> float8 total" f64::cosh;
        "cbrt(float8) -> float8 total" f64::cbrt;
        "floor(float8) -> float8 total" f64::floor;
        "ceil(float8) -> float8 total" f64::ceil;
        "ceiling(float8) -> float8 total" f64::ceil;
        "round(float8) -> float8 total" f64::round_ties_even;
        "trunc(float8) -> float8 total" f64::trunc;
        "sign(float8) -> float8 total" |x| if x > 0.0 { 1.0 } else if x < 0.0 { -1.0 } else if x.is_nan() { x } else { 0.0 };
        "degrees(float8) -> float8 total" |x| x / (std::f64::consts::PI / 180.0);
        "radians(float8) -> float8 total" |x| x * (std::f64::consts::PI / 180.0);
    }
    finite! { r:
        "sin(float8) -> float8" f64::sin;
        "cos(float8) -> float8" f64::cos;
        "tan(float8) -> float8" f64::tan;
        "cot(float8) -> float8" |x| 1.0 / x.tan();
        "sind(float8) -> float8" sind;
        "cosd(float8) -> float8" cosd;
        "tand(float8) -> float8" tand;
        "cotd(float8) -> float8" cotd;
    }
    r.add(op("|/ float8 -> float8", |_, _, a| sqrt(a[0].unwrap_float64().0)));
    r.add(op("||/ float8 -> float8 total", |_, _, a| ok(a[0].unwrap_float64().0.cbrt())));
    r.add(f("sqrt(float8) -> float8", |_, _, a| sqrt(a[0].unwrap_float64().0)));
    r.add(f("exp(float8) -> float8", |_, _, a| {
        let x = a[0].unwrap_float64().0;
        ok(check_f64(x.exp(), x.is_infinite(), x == f64::NEG_INFINITY)?)
    }));
    r.add(f("ln(float8) -> float8", |_, _, a| logarithm(a[0].unwrap_float64().0, f64::ln)));
    for s in ["log(float8) -> float8", "log10(float8) -> float8"] {
        r.add(f(s, |_, _, a| logarithm(a[0].unwrap_float64().0, f64::log10)));
    }
    for s in ["power(float8, float8) -> float8", "pow(float8, float8) -> float8"] {
        r.add(f(s, power));
    }
    r.add(op("float8 ^ float8 -> float8", power));
    r.add(f("atan2(float8, float8) -> float8 total", |_, _, a| {
        ok(a[0].unwrap_float64().0.atan2(a[1].unwrap_float64().0))
    }));
    r.add(f("atan2d(float8, float8) -> float8 total", |_, _, a| {
        ok(degrees(a[0].unwrap_float64().0.atan2(a[1].unwrap_float64().0)))
    }));
    register_inverse(r);
    r.add(f("pi() -> float8 total", |_, _, _| ok(std::f64::consts::PI)));
    r.add(f("random() -> float8 volatile total", |_, _, _| {
        let bits = uuid::Uuid::new_v4().as_u64_pair();
        // The version bits of the first half are constant: the second half has enough others.
        ok((bits.1 & ((1 << 53) - 1)) as f64 / (1u64 << 53) as f64)
    }));
    register_rounding(r);
    register_buckets(r);
}

fn register_inverse(r: &mut Registry) {
    fn unit<'a>(x: f64, eval: fn(f64) -> f64) -> EvalResult<'a> {
        if (-1.0..=1.0).contains(&x) || x.is_nan() { ok(eval(x)) } else { domain() }
    }
    r.add(f("asin(float8) -> float8", |_, _, a| unit(a[0].unwrap_float64().0, f64::asin)));
    r.add(f("acos(float8) -> float8", |_, _, a| unit(a[0].unwrap_float64().0, f64::acos)));
    r.add(f("asind(float8) -> float8", |_, _, a| unit(a[0].unwrap_float64().0, asind)));
    r.add(f("acosd(float8) -> float8", |_, _, a| unit(a[0].unwrap_float64().0, acosd)));
    r.add(f("atanh(float8) -> float8", |_, _, a| unit(a[0].unwrap_float64().0, f64::atanh)));
    r.add(f("acosh(float8) -> float8", |_, _, a| match a[0].unwrap_float64().0 {
        x if x < 1.0 => domain(),
        x => ok(x.acosh()),
    }));
}

fn sqrt<'a>(x: f64) -> EvalResult<'a> {
    if x < 0.0 { fail("2201F", "cannot take square root of a negative number") } else { ok(x.sqrt()) }
}

fn logarithm<'a>(x: f64, log: fn(f64) -> f64) -> EvalResult<'a> {
    match () {
        () if x == 0.0 => fail("2201E", "cannot take logarithm of zero"),
        () if x < 0.0 => fail("2201E", "cannot take logarithm of a negative number"),
        () => ok(log(x)),
    }
}

fn power<'a>(_: &EvalCx<'_>, _: &'a RowArena, a: &[Datum<'a>]) -> EvalResult<'a> {
    let (x, y) = (a[0].unwrap_float64().0, a[1].unwrap_float64().0);
    if x == 0.0 && y < 0.0 {
        return fail("2201F", "zero raised to a negative power is undefined");
    }
    if x < 0.0 && y.is_finite() && y != y.trunc() {
        return fail("2201F", "a negative number raised to a non-integer power yields a complex result");
    }
    let v = x.powf(y);
    if v == 0.0 && x != 0.0 && x.is_finite() && y.is_finite() {
        return fail("22003", "value out of range: underflow");
    }
    checked(if y.is_infinite() { y } else { x }, v)
}

fn places(d: Datum<'_>) -> i32 {
    d.unwrap_int32()
}

fn register_rounding(r: &mut Registry) {
    r.add(f("round(numeric) -> numeric", |_, _, a| ok(numeric::round(&a[0].unwrap_numeric(), 0)?)));
    r.add(f("round(numeric, int4) -> numeric", |_, _, a| {
        ok(numeric::round(&a[0].unwrap_numeric(), places(a[1]))?)
    }));
    r.add(f("trunc(numeric) -> numeric total", |_, _, a| ok(numeric::trunc(&a[0].unwrap_numeric(), 0))));
    r.add(f("trunc(numeric, int4) -> numeric total", |_, _, a| {
        ok(numeric::trunc(&a[0].unwrap_numeric(), places(a[1])))
    }));
    r.add(f("floor(numeric) -> numeric", |_, _, a| ok(numeric::floor(&a[0].unwrap_numeric())?)));
    for s in ["ceil(numeric) -> numeric", "ceiling(numeric) -> numeric"] {
        r.add(f(s, |_, _, a| ok(numeric::ceil(&a[0].unwrap_numeric())?)));
    }
    r.add(f("sign(numeric) -> numeric total", |_, _, a| {
        ok(numeric::sign(&a[0].unwrap_numeric()).map_or_else(numeric::nan, |s| numeric::from_i64(s.into())))
    }));
    r.add(f("scale(numeric) -> int4 nullable total", |_, _, a| {
        let n = a[0].unwrap_numeric();
        Ok(if n.0.is_special() { Datum::Null } else { Datum::Int32(numeric::scale(&n) as i32) })
    }));
    r.add(f("min_scale(numeric) -> int4 nullable total", |_, _, a| {
        let n = a[0].unwrap_numeric();
        Ok(if n.0.is_special() { Datum::Null } else { Datum::Int32(numeric::min_scale(&n) as i32) })
    }));
    r.add(f("trim_scale(numeric) -> numeric total", |_, _, a| {
        ok(numeric::trim_scale(&a[0].unwrap_numeric()))
    }));
}

fn register_buckets(r: &mut Registry) {
    fn count(d: Datum<'_>) -> Result<i32, EvalError> {
        match d.unwrap_int32() {
            n if n <= 0 => fail("2201G", "count must be greater than zero"),
            n => Ok(n),
        }
    }
    r.add(f("width_bucket(float8, float8, float8, int4) -> int4", |_, _, a| {
        let (x, low, high) = (a[0].unwrap_float64().0, a[1].unwrap_float64().0, a[2].unwrap_float64().0);
        let n = count(a[3])?;
        if x.is_nan() || low.is_nan() || high.is_nan() {
            return fail("2201G", "operand, lower bound, and upper bound cannot be NaN");
        }
        if !low.is_finite() || !high.is_finite() {
            return fail("2201G", "lower and upper bounds must be finite");
        }
        if low == high {
            return fail("2201G", "lower bound cannot equal upper bound");
        }
        let (at, span) = if low < high { (x - low, high - low) } else { (low - x, low - high) };
        ok(match () {
            () if at < 0.0 => 0,
            () if at >= span => n.checked_add(1).ok_or_else(|| EvalError::OutOfRange("integer".into()))?,
            () => ((f64::from(n) * (at / span)) as i32).min(n - 1) + 1,
        })
    }));
    r.add(f("width_bucket(numeric, numeric, numeric, int4) -> int4", |_, _, a| {
        let (x, low, high) = (a[0].unwrap_numeric(), a[1].unwrap_numeric(), a[2].unwrap_numeric());
        let n = count(a[3])?;
        if x.0.is_nan() || low.0.is_nan() || high.0.is_nan() {
            return fail("2201G", "operand, lower bound, and upper bound cannot be NaN");
        }
        if low.0.is_infinite() || high.0.is_infinite() {
            return fail("2201G", "lower and upper bounds must be finite");
        }
        if low == high {
            return fail("2201G", "lower bound cannot equal upper bound");
        }
        let ((from, to), outside) =
            if low < high { ((low, x), (x < low, x >= high)) } else { ((x, low), (x > low, x <= high)) };
        if outside.0 {
            return ok(0);
        }
        if outside.1 {
            return ok(n.checked_add(1).ok_or_else(|| EvalError::OutOfRange("integer".into()))?);
        }
        let at = numeric::mul(&numeric::sub(&to, &from)?, &numeric::from_i64(n.into()))?;
        let span = numeric::abs(&numeric::sub(&high, &low)?);
        ok(numeric::to_i32(&numeric::div_trunc(&at, &span)?)? + 1)
    }));
    r.add(f("width_bucket(AnyCompatible, AnyCompatibleArray) -> int4", |_, _, a| {
        let array = a[1].unwrap_array();
        if array.ndims() > 1 {
            return fail("2202E", "thresholds must be one-dimensional array");
        }
        let thresholds: Vec<Datum<'_>> = array.elements().iter().collect();
        if thresholds.iter().any(Datum::is_null) {
            return fail("22004", "thresholds array must not contain NULLs");
        }
        ok(thresholds.partition_point(|t| *t <= a[0]) as i32)
    }));
}
