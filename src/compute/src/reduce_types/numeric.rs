//! Exact sums of numerics.

use hw_expr::EvalError;
use hw_repr::Diff;
use hw_repr::adt::Numeric;
use hw_repr::adt::numeric::{self as num, MAX_SCALE};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

const LIMBS: usize = 6;

/// A sum of numerics: the sum scaled by 10^39 in two's complement (values stay below 10^39, so that 2^63 of them take 323
/// bits), how many inputs there are of each scale, and how many special values.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct NumericSum {
    limbs: [u64; LIMBS],
    /// The number of finite inputs of each scale, by scale, without zeros.
    scales: SmallVec<[(u8, Diff); 1]>,
    nans: Diff,
    infinities: Diff,
    negative_infinities: Diff,
}

impl NumericSum {
    /// The sum of one value.
    pub(crate) fn of(n: &Numeric) -> NumericSum {
        let mut sum = NumericSum::default();
        if n.0.is_nan() {
            sum.nans = 1;
        } else if n.0.is_infinite() {
            let side = if n.0.is_negative() { &mut sum.negative_infinities } else { &mut sum.infinities };
            *side = 1;
        } else {
            let (digits, exponent) = num::digits(n);
            for d in &digits {
                sum.times_small(10);
                sum.add_small(u64::from(*d));
            }
            for _ in 0..(MAX_SCALE as i32 + exponent).max(0) {
                sum.times_small(10);
            }
            if n.0.is_negative() {
                sum.negate_limbs();
            }
            sum.scales.push((num::scale(n) as u8, 1));
        }
        sum
    }

    /// How many values there are.
    pub(crate) fn count(&self) -> Diff {
        let finite: Diff = self.scales.iter().map(|(_, n)| n).sum();
        finite + self.nans + self.infinities + self.negative_infinities
    }

    pub(crate) fn is_zero(&self) -> bool {
        *self == NumericSum::default()
    }

    pub(crate) fn add(&mut self, other: &NumericSum) {
        let mut carry = 0u128;
        for (a, b) in self.limbs.iter_mut().zip(other.limbs) {
            carry += u128::from(*a) + u128::from(b);
            *a = carry as u64;
            carry >>= 64;
        }
        for (scale, n) in &other.scales {
            match self.scales.binary_search_by_key(scale, |(s, _)| *s) {
                Ok(i) => {
                    self.scales[i].1 += n;
                    if self.scales[i].1 == 0 {
                        self.scales.remove(i);
                    }
                }
                Err(i) => self.scales.insert(i, (*scale, *n)),
            }
        }
        self.nans += other.nans;
        self.infinities += other.infinities;
        self.negative_infinities += other.negative_infinities;
    }

    pub(crate) fn times(&self, n: Diff) -> NumericSum {
        let mut out = self.clone();
        out.times_small(n.unsigned_abs());
        if n < 0 {
            out.negate_limbs();
        }
        out.scales.iter_mut().for_each(|(_, count)| *count *= n);
        out.scales.retain(|(_, count)| *count != 0);
        out.nans *= n;
        out.infinities *= n;
        out.negative_infinities *= n;
        out
    }

    /// The sum as a numeric.
    pub(crate) fn finish(&self) -> Result<Numeric, EvalError> {
        if self.nans > 0 || (self.infinities > 0 && self.negative_infinities > 0) {
            return Ok(num::nan());
        }
        if self.infinities > 0 {
            return Ok(num::infinity());
        }
        if self.negative_infinities > 0 {
            return Ok(num::neg_infinity());
        }
        let mut rest = self.clone();
        let negative = rest.limbs[LIMBS - 1] >> 63 == 1;
        if negative {
            rest.negate_limbs();
        }
        // Digits from the last; all after the greatest scale are zeros, which are left out.
        let scale = self.scales.last().map_or(0, |(s, _)| u32::from(*s));
        let mut digits = Vec::new();
        for place in 0.. {
            let digit = rest.divide_by_ten();
            if place >= MAX_SCALE - scale {
                digits.push(digit);
            }
            if rest.limbs == [0; LIMBS] && place >= MAX_SCALE {
                break;
            }
        }
        digits.reverse();
        num::from_digits(negative, &digits, -i64::from(scale))
            .map_err(|e| EvalError::new("22003", e.to_string()))
    }

    fn times_small(&mut self, n: u64) {
        let mut carry = 0u128;
        for limb in &mut self.limbs {
            carry += u128::from(*limb) * u128::from(n);
            *limb = carry as u64;
            carry >>= 64;
        }
    }

    fn add_small(&mut self, n: u64) {
        let mut carry = u128::from(n);
        for limb in &mut self.limbs {
            carry += u128::from(*limb);
            *limb = carry as u64;
            carry >>= 64;
        }
    }

    fn negate_limbs(&mut self) {
        self.limbs.iter_mut().for_each(|l| *l = !*l);
        self.add_small(1);
    }

    /// Divides and returns the remainder.
    fn divide_by_ten(&mut self) -> u8 {
        let mut rest = 0u128;
        for limb in self.limbs.iter_mut().rev() {
            let value = (rest << 64) | u128::from(*limb);
            *limb = (value / 10) as u64;
            rest = value % 10;
        }
        rest as u8
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(s: &str) -> Numeric {
        num::parse(s).unwrap()
    }

    #[test]
    fn sums_are_exact_and_keep_the_scale() {
        let mut sum = NumericSum::default();
        for s in ["1.50", "-0.5", "123456789012345678901234567890.123", "-123456789012345678901234567890.123"]
        {
            sum.add(&NumericSum::of(&parse(s)));
        }
        assert_eq!(num::to_string(&sum.finish().unwrap()), "1.000");
        sum.add(&NumericSum::of(&parse("123456789012345678901234567890.123")).times(-1));
        sum.add(&NumericSum::of(&parse("-123456789012345678901234567890.123")).times(-1));
        assert_eq!(num::to_string(&sum.finish().unwrap()), "1.00");
        sum.add(&NumericSum::of(&parse("1.50")).times(-1));
        assert_eq!(num::to_string(&sum.finish().unwrap()), "-0.5");
        sum.add(&NumericSum::of(&parse("-0.5")).times(-1));
        assert!(sum.is_zero());
        sum.add(&NumericSum::of(&parse("7")).times(6));
        assert_eq!(num::to_string(&sum.finish().unwrap()), "42");
        assert_eq!(sum.count(), 6);
    }
}
