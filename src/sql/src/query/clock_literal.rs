//! Literals that stand for the current time: `'now'::timestamptz`, `'today'::date` (PostgreSQL manual 8.5.1.4).

use hw_expr::func::{CastContext, Func};
use hw_expr::{HirScalarExpr, UnmaterializableFunc};
use hw_repr::{Datum, ScalarType};

use super::coerce::{Typed, cast_typed};
use crate::error::PlanError;

/// The value of such a literal as that type; `None` for any other text or type.
pub(super) fn clock_literal(s: &str, to: &ScalarType) -> Result<Option<Typed>, PlanError> {
    let days = match s.trim().to_ascii_lowercase().as_str() {
        "now" => None,
        "today" => Some(0),
        "tomorrow" => Some(1),
        "yesterday" => Some(-1),
        _ => return Ok(None),
    };
    let dated =
        matches!(to, ScalarType::Date | ScalarType::Timestamp { .. } | ScalarType::TimestampTz { .. });
    if !dated && !(days.is_none() && *to == ScalarType::Time) {
        return Ok(None);
    }
    let now = HirScalarExpr::Unmaterializable(UnmaterializableFunc::Now);
    let now = Typed::new(now, ScalarType::TIMESTAMPTZ);
    let Some(days) = days else { return cast_typed(now, to, CastContext::Explicit).map(Some) };
    let today = cast_typed(now, &ScalarType::Date, CastContext::Explicit)?;
    let plus = Func::operator("+", vec![ScalarType::Date, ScalarType::Int32])
        .ok_or_else(|| PlanError::new("XX000", "there is no sum of a date and days"))?;
    let days = HirScalarExpr::literal(Datum::Int32(days), ScalarType::Int32);
    let day = Typed::new(HirScalarExpr::call(plus, vec![today.expr, days]), ScalarType::Date);
    cast_typed(day, to, CastContext::Explicit).map(Some)
}
