//! Mathematical functions (PostgreSQL manual 9.3).

use hw_repr::adt::numeric::{self, Numeric};

use crate::error::EvalError;
use crate::func::Registry;

pub(super) fn register(_r: &mut Registry) {}

/// The square root, rounded to a scale.
pub(crate) fn sqrt_to_scale(n: &Numeric, scale: u32) -> Result<Numeric, EvalError> {
    if n.0.is_zero() || n.0.is_special() {
        return Ok(*n);
    }
    let mut cx = dec::Context::<dec::Decimal<27>>::default();
    cx.set_rounding(dec::Rounding::HalfUp);
    let mut wide: dec::Decimal<27> = cx.to_width(n.0);
    cx.sqrt(&mut wide);
    let text = wide.to_standard_notation_string();
    let root =
        numeric::parse(&text).map_err(|_| EvalError::new("22003", "value overflows numeric format"))?;
    Ok(numeric::rescale(&root, scale)?)
}
