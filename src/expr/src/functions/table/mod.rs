//! Table functions (PostgreSQL manual 9.16, 9.19, 9.25).

mod expand;
mod json;
mod registry;
mod series;

pub(crate) use expand::{VALUE_ONCE, split_string};
use hw_repr::{Datum, RelationDesc, Row, ScalarType};

use super::signature::{params, plain_key};
use crate::error::EvalError;
use crate::func::Registry;
use crate::table::{TableFn, TableFuncDef, TableRows};

pub(super) fn register(r: &mut Registry) {
    series::register(r);
    expand::register(r);
    json::register(r);
    registry::register(r);
}

/// A strict table function.
pub(crate) fn table(
    signature: &'static str,
    desc: fn(&[ScalarType]) -> RelationDesc,
    eval: TableFn,
) -> TableFuncDef {
    let (name, list) =
        signature.split_once('(').unwrap_or_else(|| panic!("a function has parameters: {signature}"));
    let (params, variadic) = params(list.trim_end_matches(')'));
    TableFuncDef { name, key: plain_key(name, &params), params, variadic, desc, strict: true, eval }
}

/// A description of one column.
fn column(name: &str, typ: ScalarType, nullable: bool) -> RelationDesc {
    RelationDesc::empty().with_column(name, typ.nullable(nullable))
}

/// Rows that are all there.
pub(crate) fn rows<'a>(
    rows: impl IntoIterator<Item = Row, IntoIter: 'a>,
) -> Result<TableRows<'a>, EvalError> {
    Ok(Box::new(rows.into_iter().map(|r| Ok((r, 1)))))
}

/// Rows of one column.
fn singles<'a, 'd>(
    datums: impl IntoIterator<Item = Datum<'d>, IntoIter: 'a>,
) -> Result<TableRows<'a>, EvalError>
where
    'd: 'a,
{
    rows(datums.into_iter().map(|d| Row::pack_slice(&[d])))
}
