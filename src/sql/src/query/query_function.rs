//! Functions that are queries: `pg_get_userbyid(oid)`, `obj_description(oid, name)`, the names of `regclass` values.
//!
//! A call becomes a scalar subquery: one row of the arguments, and over it the function's query one scope further in, in
//! which `$1` stands for the first argument. The query is planned by itself: it sees the arguments and nothing else.

use hw_expr::func::{CastContext, Func, FuncDef, FuncKind, registry};
use hw_expr::{HirRelationExpr, HirScalarExpr};
use hw_repr::{Datum, ScalarType};

use super::coerce::{Typed, cast_typed};
use super::context::{Qcx, Shared};
use super::query::plan_nested;
use super::scope::{Frame, Scope, ScopeItem, TableName, Visibility};
use crate::context::StatementContext;
use crate::error::PlanError;
use crate::parser::{Statement, parse_one};

/// The name by which a function's query knows its arguments.
const ARGUMENTS: &str = "hw_arguments";

/// Puts the query of a function in place of its call.
pub(super) fn call_query(
    scx: &StatementContext<'_>,
    def: &'static FuncDef,
    sql: &'static str,
    args: Vec<Typed>,
) -> Result<Typed, PlanError> {
    let (exprs, types): (Vec<HirScalarExpr>, Vec<ScalarType>) =
        args.into_iter().map(|a| (a.expr, a.typ)).unzip();
    let ret = Func::new(def, types.clone()).types().ret.clone();
    let (body, typ) = plan_body(scx, sql, &types)?;
    let value = cast_typed(Typed::new(body, typ), &ret, CastContext::Explicit)?;
    let arity = exprs.len();
    let row = HirRelationExpr::unit().map(exprs.into_iter().map(|e| e.shifted(1)).collect());
    let value = row.map(vec![value.expr]).project(vec![arity]);
    Ok(Typed::new(HirScalarExpr::Select(Box::new(value)), ret))
}

fn plan_body(
    scx: &StatementContext<'_>,
    sql: &'static str,
    types: &[ScalarType],
) -> Result<(HirScalarExpr, ScalarType), PlanError> {
    let mut text = sql.to_owned();
    for n in (1..=types.len()).rev() {
        text = text.replace(&format!("${n}"), &format!("{ARGUMENTS}.a{n}"));
    }
    let statement = parse_one(&text)?;
    let Statement::Select(select) = &statement.statement else {
        return Err(PlanError::new("XX000", "the body of a function is no query"));
    };
    let inner = StatementContext::new(scx.catalog, scx.session, &statement.extensions);
    let shared = Shared::new(&inner);
    let scope = arguments(types);
    let frame = Frame {
        scope: &scope,
        parent: None,
        collector: None,
        visible: Visibility::Yes,
        clause: "this function",
    };
    let outermost = Qcx::new(&shared);
    let rel = plan_nested(&outermost.within(&frame), &select.query.query)?;
    scx.uses.borrow_mut().extend(inner.uses.take());
    match &rel.types[..] {
        [typ] => Ok((HirScalarExpr::Select(Box::new(rel.expr)), typ.clone())),
        _ => Err(PlanError::new("XX000", "the body of a function has one column")),
    }
}

fn arguments(types: &[ScalarType]) -> Scope {
    let item = |column: usize| ScopeItem {
        table: Some(0),
        name: format!("a{}", column + 1),
        column,
        plain: false,
        system: false,
    };
    Scope {
        items: (0..types.len()).map(item).collect(),
        tables: vec![TableName::new(ARGUMENTS)],
        types: types.iter().map(|t| t.clone().nullable(true)).collect(),
    }
}

/// Whether a type's values are printed as names that the catalog knows.
pub(super) fn is_named_by_catalog(typ: &ScalarType) -> bool {
    matches!(typ, ScalarType::RegClass | ScalarType::RegNamespace | ScalarType::RegRole)
}

/// The text of a `regclass`, `regnamespace` or `regrole`: the name of what it refers to, its number if there is no such
/// thing, `-` for zero.
pub(super) fn name_text(scx: &StatementContext<'_>, value: Typed) -> Result<Typed, PlanError> {
    let missing = || PlanError::new("XX000", "hw_name_of is missing");
    let defs = registry().functions.get("hw_name_of").ok_or_else(missing)?;
    let of_type = |d: &&&'static FuncDef| d.params == [value.typ.clone().into()];
    let def = *defs.iter().find(of_type).ok_or_else(missing)?;
    let FuncKind::Query(sql) = def.kind else { return Err(missing()) };
    // What has no name keeps its number: the text of the plain value.
    let number = hw_expr::cast::cast_expr(
        value.expr.clone(),
        &value.typ,
        &ScalarType::String,
        CastContext::Explicit,
        HirScalarExpr::call,
        HirScalarExpr::literal,
    );
    let number = number.ok_or_else(missing)?;
    if matches!(value.expr.as_literal(), Some(Datum::Null | Datum::UInt32(0))) {
        return Ok(Typed::new(number, ScalarType::String));
    }
    let name = call_query(scx, def, sql, vec![value])?;
    Ok(Typed::new(HirScalarExpr::Coalesce(vec![name.expr, number]), ScalarType::String))
}
