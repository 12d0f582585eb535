//! `gcd`, `lcm`, `factorial`, `div` of integers.

use hw_repr::Datum;
use hw_repr::adt::numeric::{self, Numeric};

use crate::error::EvalError;
use crate::func::Registry;
use crate::functions::signature::f;
use crate::functions::{fail, ok, out_of_range};

fn gcd(mut x: i128, mut y: i128) -> i128 {
    while y != 0 {
        (x, y) = (y, x % y);
    }
    x.abs()
}

fn gcd_numeric(x: &Numeric, y: &Numeric) -> Result<Numeric, EvalError> {
    let (mut x, mut y) = (*x, *y);
    if x.0.is_special() || y.0.is_special() {
        return Ok(numeric::nan());
    }
    let scale = numeric::scale(&x).max(numeric::scale(&y));
    while !y.0.is_zero() {
        (x, y) = (y, numeric::rem(&x, &y)?);
    }
    Ok(numeric::rescale(&numeric::abs(&x), scale)?)
}

pub(super) fn register(r: &mut Registry) {
    r.add(f("gcd(int4, int4) -> int4", |_, _, a| {
        let v = gcd(a[0].unwrap_int32().into(), a[1].unwrap_int32().into());
        ok(i32::try_from(v).map_err(|_| out_of_range("integer"))?)
    }));
    r.add(f("gcd(int8, int8) -> int8", |_, _, a| {
        let v = gcd(a[0].unwrap_int64().into(), a[1].unwrap_int64().into());
        ok(i64::try_from(v).map_err(|_| out_of_range("bigint"))?)
    }));
    r.add(f("gcd(numeric, numeric) -> numeric", |_, _, a| {
        ok(gcd_numeric(&a[0].unwrap_numeric(), &a[1].unwrap_numeric())?)
    }));
    r.add(f("lcm(int4, int4) -> int4", |_, _, a| {
        let (x, y) = (i128::from(a[0].unwrap_int32()), i128::from(a[1].unwrap_int32()));
        let v = if x == 0 || y == 0 { 0 } else { (x / gcd(x, y) * y).abs() };
        ok(i32::try_from(v).map_err(|_| out_of_range("integer"))?)
    }));
    r.add(f("lcm(int8, int8) -> int8", |_, _, a| {
        let (x, y) = (i128::from(a[0].unwrap_int64()), i128::from(a[1].unwrap_int64()));
        let v = if x == 0 || y == 0 { 0 } else { (x / gcd(x, y) * y).abs() };
        ok(i64::try_from(v).map_err(|_| out_of_range("bigint"))?)
    }));
    r.add(f("lcm(numeric, numeric) -> numeric", |_, _, a| {
        let (x, y) = (a[0].unwrap_numeric(), a[1].unwrap_numeric());
        let scale = numeric::scale(&x).max(numeric::scale(&y));
        if x.0.is_zero() || y.0.is_zero() {
            return ok(numeric::rescale(&numeric::zero(), scale)?);
        }
        let parts = numeric::div_trunc(&x, &gcd_numeric(&x, &y)?)?;
        ok(numeric::rescale(&numeric::abs(&numeric::mul(&parts, &y)?), scale)?)
    }));
    r.add(f("factorial(int8) -> numeric", |_, _, a| {
        let n = a[0].unwrap_int64();
        if n < 0 {
            return fail("22003", "factorial of a negative number is undefined");
        }
        if n > 34 {
            return fail("22003", "value overflows numeric format");
        }
        let mut product = numeric::from_i64(1);
        for i in 2..=n {
            product = numeric::mul(&product, &numeric::from_i64(i))?;
        }
        ok(product)
    }));
    r.add(f("to_hex(int4) -> text total", |_, arena, a| {
        Ok(Datum::String(arena.push_string(format!("{:x}", a[0].unwrap_int32()))))
    }));
    r.add(f("to_hex(int8) -> text total", |_, arena, a| {
        Ok(Datum::String(arena.push_string(format!("{:x}", a[0].unwrap_int64()))))
    }));
}
