//! Settings, transactions, prepared statements and cursors.

use std::collections::BTreeMap;

use hw_repr::ScalarType;
use sqlparser::ast::{DataType, Expr};

use super::resolve::{self, Options};
use crate::context::StatementContext;
use crate::error::PlanError;
use crate::parser::ast::{Ident, Name, SetValue, SqlOption, TransactionModes};
use crate::parser::position;
use crate::plan::{FetchDirection, Plan, TransactionMode};
use crate::query;

/// SET
pub(crate) fn set(name: &str, value: &SetValue, local: bool) -> Plan {
    let values = match value {
        SetValue::Default => None,
        SetValue::Values(v) => Some(v.clone()),
    };
    Plan::SetVariable { name: name.to_owned(), values, local }
}

/// SET TRANSACTION and SET SESSION CHARACTERISTICS AS TRANSACTION
pub(crate) fn set_transaction(session: bool, modes: &TransactionModes) -> Result<Plan, PlanError> {
    if *modes == TransactionModes::default() {
        return Err(PlanError::syntax("SET TRANSACTION needs a mode"));
    }
    Ok(Plan::SetTransaction { mode: mode(modes), session })
}

fn mode(modes: &TransactionModes) -> TransactionMode {
    TransactionMode { read_only: modes.read_only, isolation: modes.isolation.clone() }
}

/// BEGIN
pub(crate) fn begin(modes: &TransactionModes, tag: &'static str) -> Plan {
    Plan::Begin(mode(modes), tag)
}

/// PREPARE
pub(crate) fn prepare(
    scx: &StatementContext<'_>,
    name: &Ident,
    types: &[DataType],
    sql: &str,
) -> Result<Plan, PlanError> {
    let unknown =
        |t: &DataType| matches!(t, DataType::Custom(n, m) if m.is_empty() && n.to_string() == "unknown");
    let plan = |t: &DataType| {
        if unknown(t) { Ok(None) } else { query::plan_data_type(scx, t).map(Some) }
    };
    let types = types.iter().map(plan).collect::<Result<Vec<_>, _>>()?;
    Ok(Plan::Prepare { name: name.value.clone(), sql: sql.to_owned(), types })
}

/// EXECUTE of a statement whose parameters have these types.
pub fn plan_execute(
    scx: &StatementContext<'_>,
    name: &str,
    params: &[Expr],
    types: &[ScalarType],
) -> Result<Plan, PlanError> {
    if params.len() != types.len() {
        let text = format!("wrong number of parameters for prepared statement \"{name}\"");
        return Err(PlanError::syntax(text).with_detail(format!(
            "Expected {} parameters but got {}.",
            types.len(),
            params.len()
        )));
    }
    let plan = |(i, (e, t)): (usize, (&Expr, &ScalarType))| query::plan_execute_parameter(scx, i + 1, e, t);
    let params = params.iter().zip(types).enumerate().map(plan).collect::<Result<Vec<_>, _>>()?;
    Ok(Plan::Execute { name: name.to_owned(), params })
}

/// FETCH and MOVE
pub(crate) fn fetch(
    name: &Ident,
    direction: FetchDirection,
    discard: bool,
    options: &[SqlOption],
) -> Result<Plan, PlanError> {
    let mut options = Options::new("FETCH", options)?;
    let timeout_ms = options.milliseconds("TIMEOUT")?;
    options.finish()?;
    Ok(Plan::Fetch { name: name.value.clone(), direction, discard, timeout_ms })
}

/// CREATE DATABASE
pub(crate) fn create_database(
    scx: &StatementContext<'_>,
    name: &Ident,
    if_not_exists: bool,
) -> Result<Plan, PlanError> {
    if scx.catalog.database(&name.value).is_some() && !if_not_exists {
        return Err(PlanError::new("42P04", format!("database \"{}\" already exists", name.value))
            .at(position(name.span).unwrap_or(1)));
    }
    Ok(Plan::CreateDatabase { name: name.value.clone(), if_not_exists })
}

/// CREATE SCHEMA
pub(crate) fn create_schema(
    scx: &StatementContext<'_>,
    name: &Name,
    if_not_exists: bool,
) -> Result<Plan, PlanError> {
    let at = name.position();
    let database = match name.0.as_slice() {
        [_] => resolve::database(scx, &scx.session.database)?,
        [database, _] => resolve::database(scx, &database.value).map_err(|e| e.at(at))?,
        _ => {
            return Err(
                PlanError::syntax(format!("improper schema name (too many dotted names): {name}")).at(at)
            );
        }
    };
    let schema = name.last();
    if schema.starts_with("pg_") || schema.starts_with("mz_") {
        return Err(PlanError::new("42939", format!("unacceptable schema name \"{schema}\""))
            .with_detail("The prefixes \"mz_\" and \"pg_\" are reserved for system schemas.")
            .at(at));
    }
    if scx.catalog.schema(Some(database), schema).is_some() && !if_not_exists {
        return Err(PlanError::new("42P06", format!("schema \"{schema}\" already exists")).at(at));
    }
    Ok(Plan::CreateSchema { database, name: schema.to_owned(), if_not_exists })
}

/// CREATE ROLE
pub(crate) fn create_role(
    scx: &StatementContext<'_>,
    name: &Ident,
    options: &[(String, usize)],
) -> Result<Plan, PlanError> {
    let at = position(name.span).unwrap_or(1);
    if name.value.starts_with("mz_") || name.value.starts_with("pg_") || name.value == "public" {
        return Err(PlanError::new("42939", format!("role name \"{}\" is reserved", name.value)).at(at));
    }
    if scx.catalog.role(&name.value).is_some() {
        return Err(PlanError::new("42710", format!("role \"{}\" already exists", name.value)).at(at));
    }
    let mut planned = BTreeMap::new();
    for (option, at) in options {
        let (key, value) = match option.as_str() {
            "INHERIT" => ("inherit", "true"),
            "LOGIN" => ("login", "true"),
            "NOLOGIN" => ("login", "false"),
            "SUPERUSER" => ("superuser", "true"),
            "NOSUPERUSER" => ("superuser", "false"),
            other => return Err(PlanError::unsupported(format!("CREATE ROLE option {other}")).at(*at)),
        };
        if planned.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(PlanError::syntax("conflicting or redundant options").at(*at));
        }
    }
    Ok(Plan::CreateRole { name: name.value.clone(), options: planned })
}
