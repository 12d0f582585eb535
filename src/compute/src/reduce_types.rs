//! Sums kept in the difference: what an accumulable reduction arranges.
//!
//! Each key's difference is [`Accums`]: how many rows there are, and one [`Accum`] for each aggregate. All parts form a
//! commutative group exactly, floating point included, so that a retraction takes away just what its insertion brought:
//!
//! * integers in 128 bits;
//! * numerics as 384-bit fixed-point integers of scale 39, with the number of values of each scale beside them (the sum is
//!   shown with the greatest scale among its inputs);
//! * floats as a sparse sum of 32-bit-aligned parts, with the special values counted.

mod float;
mod numeric;

use differential_dataflow::difference::{Abelian, IsZero, Monoid, Multiply, Semigroup};
use hw_expr::EvalError;
use hw_expr::aggregate::Accumulation;
use hw_repr::adt::numeric as num;
use hw_repr::{Datum, Diff, ScalarType};
use ordered_float::OrderedFloat;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

pub(crate) use float::FloatSum;
pub(crate) use numeric::NumericSum;

/// The difference of an accumulable reduction.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Accums {
    /// How many rows.
    pub(crate) total: Diff,
    /// The sums; none stands for zeros.
    pub(crate) sums: SmallVec<[Accum; 1]>,
}

/// One aggregate's sum. `Zero` is the zero of each kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Accum {
    /// Nothing.
    #[default]
    Zero,
    /// The number of values.
    Count(Diff),
    /// Integers.
    Int {
        /// Their sum.
        sum: i128,
        /// Their number.
        count: Diff,
    },
    /// Booleans, counted.
    Bool {
        /// How many are true.
        trues: Diff,
        /// How many are false.
        falses: Diff,
    },
    /// Numerics.
    Numeric(Box<NumericSum>),
    /// Floats.
    Float(Box<FloatSum>),
}

impl Accum {
    /// The sum of one value; zero when the value is NULL.
    pub(crate) fn of(kind: Accumulation, datum: Datum<'_>) -> Accum {
        if datum.is_null() {
            return Accum::Zero;
        }
        match kind {
            Accumulation::Count => Accum::Count(1),
            Accumulation::SumSmallInt | Accumulation::SumBigInt => {
                Accum::Int { sum: integer(datum), count: 1 }
            }
            Accumulation::SumNumeric => Accum::Numeric(Box::new(NumericSum::of(&datum.unwrap_numeric()))),
            Accumulation::SumFloat32 => {
                Accum::Float(Box::new(FloatSum::of(f64::from(datum.unwrap_float32().0))))
            }
            Accumulation::SumFloat64 => Accum::Float(Box::new(FloatSum::of(datum.unwrap_float64().0))),
            Accumulation::Any | Accumulation::All => match datum.unwrap_bool() {
                true => Accum::Bool { trues: 1, falses: 0 },
                false => Accum::Bool { trues: 0, falses: 1 },
            },
        }
    }

    /// The aggregate's value, of type `ret`. A count below zero is an error: more was retracted than was there.
    pub(crate) fn finish(&self, kind: Accumulation, ret: &ScalarType) -> Result<Datum<'static>, EvalError> {
        let present = |count: Diff| match count {
            0 => Ok(false),
            1.. => Ok(true),
            _ => Err(EvalError::NegativeMultiplicity),
        };
        match self {
            Accum::Zero if matches!(kind, Accumulation::Count) => Ok(Datum::Int64(0)),
            Accum::Zero => Ok(Datum::Null),
            Accum::Count(n) => present(*n).map(|_| Datum::Int64(*n)),
            Accum::Int { sum, count } => match present(*count)? {
                true => finish_integer(*sum, ret),
                false => Ok(Datum::Null),
            },
            Accum::Bool { trues, falses } => {
                let (any, not_all) = (present(*trues)?, present(*falses)?);
                Ok(match kind {
                    _ if !any && !not_all => Datum::Null,
                    Accumulation::All => Datum::Bool(!not_all),
                    _ => Datum::Bool(any),
                })
            }
            Accum::Numeric(sum) => match present(sum.count())? {
                true => sum.finish().map(Datum::Numeric),
                false => Ok(Datum::Null),
            },
            Accum::Float(sum) => match present(sum.count())? {
                true => finish_float(sum, ret),
                false => Ok(Datum::Null),
            },
        }
    }

    fn add(&mut self, other: &Accum) {
        match (&mut *self, other) {
            (_, Accum::Zero) => {}
            (Accum::Zero, other) => *self = other.clone(),
            (Accum::Count(a), Accum::Count(b)) => *a += b,
            (Accum::Int { sum, count }, Accum::Int { sum: s, count: c }) => {
                *sum = sum.wrapping_add(*s);
                *count += c;
            }
            (Accum::Bool { trues, falses }, Accum::Bool { trues: t, falses: f }) => {
                *trues += t;
                *falses += f;
            }
            (Accum::Numeric(a), Accum::Numeric(b)) => a.add(b),
            (Accum::Float(a), Accum::Float(b)) => a.add(b),
            // An aggregate has one kind.
            (a, b) => unreachable!("sums of two kinds: {a:?} and {b:?}"),
        }
    }

    fn times(&self, n: Diff) -> Accum {
        match self {
            Accum::Zero => Accum::Zero,
            Accum::Count(c) => Accum::Count(c * n),
            Accum::Int { sum, count } => Accum::Int { sum: sum.wrapping_mul(n.into()), count: count * n },
            Accum::Bool { trues, falses } => Accum::Bool { trues: trues * n, falses: falses * n },
            Accum::Numeric(sum) => Accum::Numeric(Box::new(sum.times(n))),
            Accum::Float(sum) => Accum::Float(Box::new(sum.times(n))),
        }
    }

    fn is_nothing(&self) -> bool {
        match self {
            Accum::Zero => true,
            Accum::Count(c) => *c == 0,
            Accum::Int { sum, count } => *sum == 0 && *count == 0,
            Accum::Bool { trues, falses } => *trues == 0 && *falses == 0,
            Accum::Numeric(sum) => sum.is_zero(),
            Accum::Float(sum) => sum.is_zero(),
        }
    }
}

fn integer(datum: Datum<'_>) -> i128 {
    match datum {
        Datum::Int16(v) => v.into(),
        Datum::Int32(v) => v.into(),
        Datum::Int64(v) => v.into(),
        Datum::UInt16(v) => v.into(),
        Datum::UInt32(v) => v.into(),
        Datum::UInt64(v) => v.into(),
        other => unreachable!("an integer sum of {other:?}"),
    }
}

fn finish_integer(sum: i128, ret: &ScalarType) -> Result<Datum<'static>, EvalError> {
    match ret {
        ScalarType::Int64 => {
            i64::try_from(sum).map(Datum::Int64).map_err(|_| EvalError::OutOfRange("bigint".into()))
        }
        ScalarType::UInt64 => {
            u64::try_from(sum).map(Datum::UInt64).map_err(|_| EvalError::OutOfRange("uint8".into()))
        }
        _ => num::from_i128(sum).map(Datum::Numeric).map_err(|e| EvalError::new("22003", e.to_string())),
    }
}

fn finish_float(sum: &FloatSum, ret: &ScalarType) -> Result<Datum<'static>, EvalError> {
    let overflow = || EvalError::new("22003", "value out of range: overflow");
    let finite = !sum.has_specials();
    let total = sum.finish();
    if total.is_infinite() && finite {
        return Err(overflow());
    }
    if *ret != ScalarType::Float32 {
        return Ok(Datum::Float64(OrderedFloat(total)));
    }
    let narrow = total as f32;
    if narrow.is_infinite() && finite {
        return Err(overflow());
    }
    Ok(Datum::Float32(OrderedFloat(narrow)))
}

impl IsZero for Accums {
    fn is_zero(&self) -> bool {
        self.total == 0 && self.sums.iter().all(Accum::is_nothing)
    }
}

impl Semigroup for Accums {
    fn plus_equals(&mut self, rhs: &Self) {
        self.total += rhs.total;
        if self.sums.is_empty() {
            self.sums = rhs.sums.clone();
        } else {
            for (a, b) in self.sums.iter_mut().zip(&rhs.sums) {
                a.add(b);
            }
        }
    }
}

impl Monoid for Accums {
    fn zero() -> Self {
        Accums::default()
    }
}

impl Abelian for Accums {
    fn negate(&mut self) {
        *self = std::mem::take(self).multiply(&-1);
    }
}

impl Multiply<Diff> for Accums {
    type Output = Accums;
    fn multiply(self, n: &Diff) -> Accums {
        if *n == 1 {
            return self;
        }
        Accums { total: self.total * n, sums: self.sums.iter().map(|s| s.times(*n)).collect() }
    }
}
