//! Literals that name objects: `'t'::regclass`, `'int4'::regtype`.

use hw_expr::HirScalarExpr;
use hw_repr::{Datum, ScalarType};

use crate::context::StatementContext;
use crate::error::PlanError;

/// The value of a quoted literal of type regclass or regtype, if it is not a number.
pub(super) fn reg_literal(
    scx: &StatementContext<'_>,
    s: &str,
    to: &ScalarType,
) -> Result<Option<HirScalarExpr>, PlanError> {
    let trimmed = s.trim();
    if trimmed == "-" || trimmed.chars().all(|c| c.is_ascii_digit()) {
        return Ok(None);
    }
    let literal = |oid: u32| Ok(Some(HirScalarExpr::literal(Datum::UInt32(oid), to.clone())));
    match to {
        ScalarType::RegClass => {
            let item = scx.lookup_item(&split_name(trimmed));
            let item = item.ok_or_else(|| PlanError::unknown_relation(trimmed))?;
            literal(item.oid)
        }
        ScalarType::RegType => {
            let parts = split_name(trimmed);
            match scx.lookup_type(&parts) {
                Some(item) => literal(item.oid),
                None => Ok(None),
            }
        }
        _ => Ok(None),
    }
}

/// The parts of a name in text: dots separate, quotes protect, the rest is folded to lower case.
fn split_name(s: &str) -> Vec<String> {
    let (mut parts, mut current, mut quoted) = (vec![], String::new(), false);
    let mut chars = s.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                current.push('"');
            }
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(std::mem::take(&mut current)),
            c if quoted => current.push(c),
            c => current.extend(c.to_lowercase()),
        }
    }
    parts.push(current);
    parts
}
