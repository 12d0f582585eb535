//! Functions whose columns the query declares: `jsonb_to_record(j) AS r(a int, b text)` (PostgreSQL manual 7.2.1.4).

use hw_expr::func::CastContext;
use hw_expr::{HirScalarExpr, TableFunc};
use hw_repr::ScalarType;
use sqlparser::ast::TableAlias;

use super::coerce::Planned;
use super::context::{Ecx, ident};
use super::from::RowsOf;
use super::types::plan_data_type;
use crate::error::PlanError;

/// The table function that does the work, which takes a record of the declared type and the JSON.
fn worker(name: &str) -> Option<&'static str> {
    match name {
        "jsonb_to_record" | "json_to_record" => Some("jsonb_populate_record(AnyRecord,jsonb)"),
        "jsonb_to_recordset" | "json_to_recordset" => Some("jsonb_populate_recordset(AnyRecord,jsonb)"),
        _ => None,
    }
}

/// The rows of a call whose columns the alias declares, if the function is of that kind. Gives the arguments back if not.
///
/// # Errors
/// When columns are declared for another function, or not declared for one that needs it.
pub(super) fn plan_declared(
    ecx: &Ecx<'_>,
    name: &str,
    args: Vec<Planned>,
    alias: Option<&TableAlias>,
) -> Result<Result<RowsOf, Vec<Planned>>, PlanError> {
    let typed = alias.is_some_and(|a| a.columns.iter().any(|c| c.data_type.is_some()));
    let (key, alias) = match (worker(name), alias) {
        (None, _) if typed => {
            return Err(PlanError::syntax(
                "a column definition list is only allowed for functions returning \"record\"",
            ));
        }
        (None, _) => return Ok(Err(args)),
        (Some(key), Some(alias)) if typed => (key, alias),
        (Some(_), _) => {
            return Err(PlanError::syntax(
                "a column definition list is required for functions returning \"record\"",
            ));
        }
    };
    let mut fields = vec![];
    for column in &alias.columns {
        let Some(typ) = &column.data_type else {
            return Err(PlanError::syntax("a column definition list has a type for each column"));
        };
        fields.push((ident(&column.name), plan_data_type(ecx.scx(), typ)?.nullable(true)));
    }
    let [json] = <[Planned; 1]>::try_from(args).map_err(|args| {
        let types: Vec<String> = args.iter().map(Planned::type_text).collect();
        PlanError::new("42883", format!("function {name}({}) does not exist", types.join(", ")))
    })?;
    let json = json.cast(ecx, &ScalarType::Jsonb, CastContext::Implicit)?;
    let record = ScalarType::Record { fields, custom_id: None };
    let base = HirScalarExpr::null(record.clone());
    let func = TableFunc::by_key(key, vec![record, ScalarType::Jsonb])
        .ok_or_else(|| PlanError::new("XX000", format!("table function {key} is missing")))?;
    Ok(Ok(RowsOf::Table(func, vec![base, json.expr])))
}
