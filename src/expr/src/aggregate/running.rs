//! Aggregates fed one value after the other.

use hw_repr::adt::numeric::{self, Numeric};
use hw_repr::{Datum, Row, ScalarType};

use super::{Accumulation, AggregateKind};
use crate::error::EvalError;

/// The state of an accumulable aggregate, or of min or max.
pub(crate) struct Running<'t> {
    kind: AggregateKind,
    ret: &'t ScalarType,
    count: i64,
    int: i128,
    float: f64,
    numeric: Numeric,
    any: bool,
    all: bool,
    extreme: Option<Row>,
}

impl<'t> Running<'t> {
    pub(crate) fn new(kind: AggregateKind, ret: &'t ScalarType) -> Self {
        Running {
            kind,
            ret,
            count: 0,
            int: 0,
            float: 0.0,
            numeric: numeric::zero(),
            any: false,
            all: true,
            extreme: None,
        }
    }

    /// Back to no values.
    pub(crate) fn clear(&mut self) {
        *self = Running::new(self.kind, self.ret);
    }

    /// Takes a row's argument; there is none for `count(*)`.
    ///
    /// # Errors
    /// When the sum does not fit.
    pub(crate) fn push(&mut self, arg: Option<Datum<'_>>) -> Result<(), EvalError> {
        let d = match arg {
            Some(Datum::Null) => return Ok(()),
            Some(d) => d,
            None => Datum::Bool(true),
        };
        self.count += 1;
        match self.kind {
            AggregateKind::Min => self.keep(d, |new, old| new < old),
            AggregateKind::Max => self.keep(d, |new, old| new > old),
            _ => match d {
                Datum::Int16(v) => self.int += i128::from(v),
                Datum::Int32(v) => self.int += i128::from(v),
                Datum::Int64(v) => self.int += i128::from(v),
                Datum::UInt16(v) => self.int += i128::from(v),
                Datum::UInt32(v) => self.int += i128::from(v),
                Datum::UInt64(v) => self.int += i128::from(v),
                Datum::Float32(v) => self.float += f64::from(v.0),
                Datum::Float64(v) => self.float += v.0,
                Datum::Bool(b) => (self.any, self.all) = (self.any | b, self.all & b),
                // count takes values of any type, and no sum of its numerics.
                Datum::Numeric(v) if *self.ret != ScalarType::Int64 => {
                    self.numeric = numeric::add(&self.numeric, &v)?;
                }
                _ => {}
            },
        }
        Ok(())
    }

    fn keep(&mut self, d: Datum<'_>, better: impl Fn(&Datum<'_>, &Datum<'_>) -> bool) {
        let replace = self.extreme.as_ref().is_none_or(|old| better(&d, &old.unpack_first()));
        if replace {
            self.extreme = Some(Row::pack_slice(&[d]));
        }
    }

    /// The aggregate of what was taken so far.
    ///
    /// # Errors
    /// When the sum does not fit its type.
    pub(crate) fn value(&self) -> Result<Datum<'_>, EvalError> {
        let out_of_range = |name: &str| EvalError::OutOfRange(name.into());
        let accumulation = match self.kind {
            AggregateKind::Accumulable(Accumulation::Count) => return Ok(Datum::Int64(self.count)),
            _ if self.count == 0 => return Ok(Datum::Null),
            AggregateKind::Accumulable(a) => a,
            _ => return Ok(self.extreme.as_ref().map_or(Datum::Null, Row::unpack_first)),
        };
        Ok(match accumulation {
            Accumulation::Count => Datum::Int64(self.count),
            Accumulation::SumSmallInt if *self.ret == ScalarType::UInt64 => {
                Datum::UInt64(u64::try_from(self.int).map_err(|_| out_of_range("uint8"))?)
            }
            Accumulation::SumSmallInt => {
                Datum::Int64(i64::try_from(self.int).map_err(|_| out_of_range("bigint"))?)
            }
            Accumulation::SumBigInt => Datum::Numeric(numeric::from_i128(self.int)?),
            Accumulation::SumNumeric => Datum::Numeric(self.numeric),
            Accumulation::SumFloat32 => Datum::Float32((self.float as f32).into()),
            Accumulation::SumFloat64 => Datum::Float64(self.float.into()),
            Accumulation::Any => Datum::Bool(self.any),
            Accumulation::All => Datum::Bool(self.all),
        })
    }
}
