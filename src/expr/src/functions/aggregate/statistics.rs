//! Aggregates for statistics (PostgreSQL manual 9.21, table 9.60): of pairs `corr`, `covar_*`, `regr_*`, and the variances
//! and standard deviations of floats.
//!
//! Pairs with a NULL are left out. As in PostgreSQL the sums of squares are kept by the method of Youngs and Cramer,
//! which does not lose digits where plain sums of squares would.

use hw_repr::Datum;

use super::basic;
use crate::error::EvalError;
use crate::func::Registry;
use crate::functions::fail;

/// Number, sums, and sums of squares and products about the means, of the pairs (y, x).
#[derive(Default)]
struct Sums {
    n: f64,
    x: f64,
    y: f64,
    xx: f64,
    yy: f64,
    xy: f64,
}

impl Sums {
    fn of(rows: &[Vec<Datum<'_>>]) -> Result<Sums, EvalError> {
        let mut sums = Sums::default();
        for row in rows {
            if let (Datum::Float64(y), Datum::Float64(x)) = (row[0], row[1]) {
                sums.push(y.0, x.0)?;
            }
        }
        Ok(sums)
    }

    fn push(&mut self, y: f64, x: f64) -> Result<(), EvalError> {
        let before = self.n;
        self.n += 1.0;
        self.x += x;
        self.y += y;
        if before == 0.0 {
            // One pair has no spread, unless it is not finite.
            let undefined = |v: f64| if v.is_finite() { 0.0 } else { f64::NAN };
            (self.xx, self.yy) = (undefined(x), undefined(y));
            self.xy = undefined(x) + undefined(y);
            return Ok(());
        }
        let (dx, dy) = (x * self.n - self.x, y * self.n - self.y);
        let scale = 1.0 / (self.n * before);
        self.xx += dx * dx * scale;
        self.yy += dy * dy * scale;
        self.xy += dx * dy * scale;
        let sums = [self.x, self.y, self.xx, self.yy, self.xy];
        if sums.iter().any(|v| v.is_infinite()) {
            let given = x.is_infinite() || y.is_infinite() || self.xx.is_nan() || self.yy.is_nan();
            if !given {
                return fail("22003", "value out of range: overflow");
            }
            for v in [&mut self.xx, &mut self.yy, &mut self.xy] {
                if v.is_infinite() {
                    *v = f64::NAN;
                }
            }
        }
        Ok(())
    }

    /// Of values alone; the other of each pair is zero.
    fn of_values(rows: &[Vec<Datum<'_>>]) -> Result<Sums, EvalError> {
        let mut sums = Sums::default();
        for row in rows {
            match row[0] {
                Datum::Float32(x) => sums.push(0.0, x.0.into())?,
                Datum::Float64(x) => sums.push(0.0, x.0)?,
                _ => {}
            }
        }
        Ok(sums)
    }

    /// The variance, or its square root: of a sample, or of all there is.
    fn variance(&self, sample: bool, root: bool) -> Option<f64> {
        let divisor = if sample { self.n - 1.0 } else { self.n };
        let variance = (divisor > 0.0).then(|| self.xx / divisor)?;
        Some(if root { variance.sqrt() } else { variance })
    }

    fn corr(&self) -> Option<f64> {
        (self.xx != 0.0 && self.yy != 0.0).then(|| self.xy / (self.xx * self.yy).sqrt())
    }

    fn slope(&self) -> Option<f64> {
        (self.xx != 0.0).then(|| self.xy / self.xx)
    }

    fn intercept(&self) -> Option<f64> {
        (self.xx != 0.0).then(|| (self.y - self.x * self.xy / self.xx) / self.n)
    }

    fn r2(&self) -> Option<f64> {
        match (self.xx == 0.0, self.yy == 0.0) {
            (true, _) => None,
            (false, true) => Some(1.0),
            (false, false) => Some((self.xy * self.xy) / (self.xx * self.yy)),
        }
    }
}

macro_rules! of_pairs {
    ($r:ident: $($signature:literal |$s:ident| $value:expr;)+) => {
        $($r.add_aggregate(basic($signature, |_, _, rows| {
            let $s = Sums::of(rows)?;
            let value: Option<f64> = if $s.n < 1.0 { None } else { $value };
            Ok(value.into())
        }));)+
    };
}

macro_rules! variances {
    ($r:ident: $($name:literal $sample:literal $root:literal;)+) => {
        $(
            $r.add_aggregate(basic(concat!($name, "(float4) -> float8"), |_, _, rows| {
                Ok(Sums::of_values(rows)?.variance($sample, $root).into())
            }));
            $r.add_aggregate(basic(concat!($name, "(float8) -> float8"), |_, _, rows| {
                Ok(Sums::of_values(rows)?.variance($sample, $root).into())
            }));
        )+
    };
}

pub(super) fn register(r: &mut Registry) {
    variances! { r:
        "stddev" true true;
        "stddev_samp" true true;
        "stddev_pop" false true;
        "variance" true false;
        "var_samp" true false;
        "var_pop" false false;
    }
    of_pairs! { r:
        "corr(float8, float8) -> float8" |s| s.corr();
        "covar_pop(float8, float8) -> float8" |s| Some(s.xy / s.n);
        "covar_samp(float8, float8) -> float8" |s| (s.n > 1.0).then(|| s.xy / (s.n - 1.0));
        "regr_avgx(float8, float8) -> float8" |s| Some(s.x / s.n);
        "regr_avgy(float8, float8) -> float8" |s| Some(s.y / s.n);
        "regr_sxx(float8, float8) -> float8" |s| Some(s.xx);
        "regr_syy(float8, float8) -> float8" |s| Some(s.yy);
        "regr_sxy(float8, float8) -> float8" |s| Some(s.xy);
        "regr_slope(float8, float8) -> float8" |s| s.slope();
        "regr_intercept(float8, float8) -> float8" |s| s.intercept();
        "regr_r2(float8, float8) -> float8" |s| s.r2();
    }
    let count = basic("regr_count(float8, float8) -> int8", |_, _, rows| {
        let both = rows.iter().filter(|r| !r[0].is_null() && !r[1].is_null());
        Ok(Datum::Int64(both.count() as i64))
    });
    r.add_aggregate(count);
}
