//! Literals that name objects: `'t'::regclass`, `'int4'::regtype`, `'now'::regproc`, `'pg_catalog'::regnamespace`,
//! `'mz_system'::regrole`.

use hw_expr::HirScalarExpr;
use hw_expr::listing::listing;
use hw_repr::{Datum, ScalarType};

use crate::context::StatementContext;
use crate::error::PlanError;

/// The value of a quoted literal of one of these types, if it is not a number.
pub(super) fn reg_literal(
    scx: &StatementContext<'_>,
    s: &str,
    to: &ScalarType,
) -> Result<Option<HirScalarExpr>, PlanError> {
    let trimmed = s.trim();
    if trimmed == "-" || trimmed.chars().all(|c| c.is_ascii_digit()) {
        return Ok(None);
    }
    let parts = || split_name(trimmed);
    let oid = match to {
        ScalarType::RegClass => {
            let item = scx.lookup_item(&parts());
            Some(item.ok_or_else(|| PlanError::unknown_relation(trimmed))?.oid)
        }
        ScalarType::RegType => type_oid(scx, &parts()),
        ScalarType::RegProc => Some(proc_oid(&parts())?),
        ScalarType::RegNamespace => {
            let schema = scx.resolve_schema(&parts())?;
            let unknown = || PlanError::new("3F000", format!("schema \"{trimmed}\" does not exist"));
            Some(scx.catalog.schema_oid(schema).ok_or_else(unknown)?)
        }
        ScalarType::RegRole => {
            let name = parts().join(".");
            let role = scx.catalog.role(&name).and_then(|r| scx.catalog.role_oid(r));
            Some(role.ok_or_else(|| PlanError::new("42704", format!("role \"{name}\" does not exist")))?)
        }
        _ => None,
    };
    Ok(oid.map(|oid| HirScalarExpr::literal(Datum::UInt32(oid), to.clone())))
}

/// A built-in type named with its schema, or a type that someone has made; others are the input function's to find.
fn type_oid(scx: &StatementContext<'_>, parts: &[String]) -> Option<u32> {
    if let [schema, name] = parts
        && schema == "pg_catalog"
    {
        return ScalarType::from_name(name).map(|t| t.oid());
    }
    scx.lookup_type(parts).map(|item| item.oid)
}

fn proc_oid(parts: &[String]) -> Result<u32, PlanError> {
    let full = parts.join(".");
    let name = match parts {
        [name] => name,
        [schema, name] if schema == "pg_catalog" || schema == "mz_catalog" => name,
        _ => return Err(PlanError::new("42883", format!("function \"{full}\" does not exist"))),
    };
    match listing().procs_named(name) {
        [] => Err(PlanError::new("42883", format!("function \"{full}\" does not exist"))),
        [oid] => Ok(*oid),
        _ => Err(PlanError::new("42725", format!("more than one function named \"{full}\""))),
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
