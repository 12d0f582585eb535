//! Exact sums of floats.

use hw_repr::Diff;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

const LIMB_BITS: i32 = 32;

/// A sum of floats. The finite part is the sum of `limbs[i].1 * 2^(32 * limbs[i].0)`; a limb takes up to 85 bits from one
/// value, so that 2^42 values fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct FloatSum {
    /// By exponent, without zeros.
    limbs: SmallVec<[(i16, i128); 1]>,
    finite: Diff,
    nans: Diff,
    infinities: Diff,
    negative_infinities: Diff,
}

impl FloatSum {
    /// The sum of one value.
    pub(crate) fn of(v: f64) -> FloatSum {
        let mut sum = FloatSum::default();
        if v.is_nan() {
            sum.nans = 1;
        } else if v == f64::INFINITY {
            sum.infinities = 1;
        } else if v == f64::NEG_INFINITY {
            sum.negative_infinities = 1;
        } else {
            sum.finite = 1;
            let bits = v.to_bits();
            let raw_exponent = ((bits >> 52) & 0x7ff) as i32;
            let fraction = bits & ((1 << 52) - 1);
            let (mantissa, exponent) = match raw_exponent {
                0 => (fraction, -1074),
                e => (fraction | (1 << 52), e - 1075),
            };
            if mantissa != 0 {
                let limb = exponent.div_euclid(LIMB_BITS);
                let part = i128::from(mantissa) << exponent.rem_euclid(LIMB_BITS);
                sum.limbs.push((limb as i16, if v < 0.0 { -part } else { part }));
            }
        }
        sum
    }

    /// How many values there are.
    pub(crate) fn count(&self) -> Diff {
        self.finite + self.nans + self.infinities + self.negative_infinities
    }

    /// Whether there are values that are not finite.
    pub(crate) fn has_specials(&self) -> bool {
        self.nans != 0 || self.infinities != 0 || self.negative_infinities != 0
    }

    pub(crate) fn is_zero(&self) -> bool {
        *self == FloatSum::default()
    }

    pub(crate) fn add(&mut self, other: &FloatSum) {
        for (exponent, part) in &other.limbs {
            match self.limbs.binary_search_by_key(exponent, |(e, _)| *e) {
                Ok(i) => {
                    self.limbs[i].1 = self.limbs[i].1.wrapping_add(*part);
                    if self.limbs[i].1 == 0 {
                        self.limbs.remove(i);
                    }
                }
                Err(i) => self.limbs.insert(i, (*exponent, *part)),
            }
        }
        self.finite += other.finite;
        self.nans += other.nans;
        self.infinities += other.infinities;
        self.negative_infinities += other.negative_infinities;
    }

    pub(crate) fn times(&self, n: Diff) -> FloatSum {
        let mut out = self.clone();
        out.limbs.iter_mut().for_each(|(_, part)| *part = part.wrapping_mul(n.into()));
        out.limbs.retain(|(_, part)| *part != 0);
        out.finite *= n;
        out.nans *= n;
        out.infinities *= n;
        out.negative_infinities *= n;
        out
    }

    /// The sum, rounded once, to nearest, ties to even.
    pub(crate) fn finish(&self) -> f64 {
        if self.nans > 0 || (self.infinities > 0 && self.negative_infinities > 0) {
            return f64::NAN;
        }
        if self.infinities > 0 {
            return f64::INFINITY;
        }
        if self.negative_infinities > 0 {
            return f64::NEG_INFINITY;
        }
        self.finish_finite()
    }

    fn finish_finite(&self) -> f64 {
        let (Some(first), Some(last)) = (self.limbs.first(), self.limbs.last()) else { return 0.0 };
        // Carries take up to 128 bits beyond the last limb.
        let base = first.0;
        let len = usize::from((last.0 - base) as u16) + 5;
        let mut dense = vec![0i128; len];
        for (e, part) in &self.limbs {
            dense[usize::from((e - base) as u16)] = *part;
        }
        let negative = normalize(&mut dense);
        if negative {
            dense.iter_mut().for_each(|l| *l = -*l);
            normalize(&mut dense);
        }
        let magnitude = round(&dense, i32::from(base) * LIMB_BITS);
        if negative { -magnitude } else { magnitude }
    }
}

/// Brings all limbs but the last into `[0, 2^32)`; returns whether the number is negative.
fn normalize(limbs: &mut [i128]) -> bool {
    let mut carry = 0i128;
    for limb in limbs.iter_mut() {
        let value = *limb + carry;
        *limb = value & 0xffff_ffff;
        carry = value >> LIMB_BITS;
    }
    if let Some(last) = limbs.last_mut() {
        *last += carry << LIMB_BITS;
        return *last < 0;
    }
    false
}

/// Rounds `limbs * 2^exponent`, all limbs in `[0, 2^32)`.
fn round(limbs: &[i128], exponent: i32) -> f64 {
    let Some(top) = limbs.iter().rposition(|l| *l != 0) else { return 0.0 };
    // The highest 96 to 128 bits, with whether anything is set below them.
    let lowest = top.saturating_sub(3);
    let mut head = 0u128;
    for limb in limbs[lowest..=top].iter().rev() {
        head = (head << LIMB_BITS) | (*limb as u128);
    }
    let sticky = limbs[..lowest].iter().any(|l| *l != 0);
    let mut exponent = exponent + lowest as i32 * LIMB_BITS;
    // Keep 53 bits, fewer for subnormal results.
    let bits = 128 - head.leading_zeros() as i32;
    let drop = (bits - 53).max(-1074 - exponent).max(0);
    if drop > 0 {
        if drop >= 128 {
            return 0.0;
        }
        let half = 1u128 << (drop - 1);
        let rest = head & ((half << 1) - 1);
        head >>= drop;
        if rest > half || (rest == half && (sticky || head & 1 == 1)) {
            head += 1;
        }
        exponent += drop;
    }
    // `head` has at most 54 bits, exact in f64; scaling by powers of two is exact, too, or overflows.
    let mut value = head as f64;
    while exponent > 0 {
        let step = exponent.min(1000);
        value *= 2f64.powi(step);
        exponent -= step;
    }
    while exponent < 0 {
        let step = (-exponent).min(1000);
        value /= 2f64.powi(step);
        exponent += step;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(values: &[f64]) -> FloatSum {
        let mut out = FloatSum::default();
        values.iter().for_each(|v| out.add(&FloatSum::of(*v)));
        out
    }

    #[test]
    fn single_values_come_back() {
        for v in [0.0, 1.0, -1.5, 0.1, 1e300, -1e-300, 5e-324, f64::MAX, f64::MIN_POSITIVE, 123_456_789.125] {
            assert_eq!(FloatSum::of(v).finish(), v);
        }
    }

    #[test]
    fn retractions_are_exact() {
        let mut s = sum(&[1e308, 1e-308, 0.1, 3.0]);
        s.add(&FloatSum::of(1e308).times(-1));
        s.add(&FloatSum::of(1e-308).times(-1));
        s.add(&FloatSum::of(3.0).times(-1));
        assert_eq!(s.finish(), 0.1);
        s.add(&FloatSum::of(0.1).times(-1));
        assert!(s.is_zero());
        assert_eq!(sum(&[0.1, 0.2, 0.3, -0.6]).finish(), 2.7755575615628914e-17);
        assert_eq!(sum(&[f64::MAX, f64::MAX]).finish(), f64::INFINITY);
        assert_eq!(sum(&[f64::MAX, f64::MAX, -f64::MAX]).finish(), f64::MAX);
    }
}
