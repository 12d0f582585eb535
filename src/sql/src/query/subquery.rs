//! Subqueries as values (PostgreSQL manual 9.23 and 9.24).

use hw_expr::hir::HirAggregateExpr;
use hw_expr::{AggregateFunc, HirRelationExpr, HirScalarExpr};
use hw_repr::ScalarType;
use sqlparser::ast::{Expr, Query, Spanned};
use sqlparser::tokenizer::Span;

use super::coerce::{Planned, Typed};
use super::context::{Ecx, locate};
use super::internal;
use super::operator::{compare_fields, condition, operator};
use super::query::{Rel, plan_nested};
use super::scope::Scope;
use crate::error::PlanError;

/// Plans a subquery of an expression.
pub(super) fn plan_subquery(ecx: &Ecx<'_>, query: &Query) -> Result<Rel, PlanError> {
    let qcx = ecx.qcx.within(ecx.frame);
    let rel = plan_nested(&qcx, query)?;
    Ok(Rel { expr: ecx.qcx.shared.intern(rel.expr)?, ..rel })
}

/// A subquery as a value: of one column, that column; NULL without rows.
pub(super) fn scalar_subquery(ecx: &Ecx<'_>, query: &Query) -> Result<Planned, PlanError> {
    let rel = plan_subquery(ecx, query)?;
    let [typ] = &rel.types[..] else {
        return Err(locate(
            ecx.scx(),
            PlanError::syntax("subquery must return only one column"),
            query.span(),
        ));
    };
    Ok(Planned::typed(HirScalarExpr::Select(Box::new(rel.expr)), typ.clone()))
}

/// A subquery compared with a row: its columns as one record.
pub(super) fn record_subquery(ecx: &Ecx<'_>, query: &Query) -> Result<Planned, PlanError> {
    let rel = plan_subquery(ecx, query)?;
    let columns = rel.types.iter().enumerate().map(|(i, t)| Typed::new(HirScalarExpr::column(i), t.clone()));
    let record = internal::record(columns.collect())?;
    let arity = rel.types.len();
    let expr = rel.expr.map(vec![record.expr]).project(vec![arity]);
    Ok(Planned::typed(HirScalarExpr::Select(Box::new(expr)), record.typ))
}

/// `left symbol ANY (subquery)`, or ALL.
pub(super) fn quantified_subquery(
    ecx: &Ecx<'_>,
    left: Planned,
    symbol: &str,
    query: &Query,
    all: bool,
    span: Span,
) -> Result<Planned, PlanError> {
    let rel = plan_subquery(ecx, query)?;
    let width = match &left {
        Planned::Row(fields) => fields.len(),
        _ => 1,
    };
    if rel.types.len() != width {
        let text = if rel.types.len() > width {
            "subquery has too many columns"
        } else {
            "subquery has too few columns"
        };
        return Err(locate(ecx.scx(), PlanError::syntax(text), span));
    }
    quantified(ecx, left, symbol, rel.expr, &rel.types, all, span)
}

/// `left symbol ANY (rows)`: true if the comparison is true for some row, else NULL if it is NULL for some, else false. ALL
/// is the negation of ANY of the negated comparison.
pub(super) fn quantified(
    ecx: &Ecx<'_>,
    left: Planned,
    symbol: &str,
    rows: HirRelationExpr,
    types: &[ScalarType],
    all: bool,
    span: Span,
) -> Result<Planned, PlanError> {
    // The comparison stands in a filter over the rows, one scope further in.
    let scope = Scope { types: types.iter().map(|t| t.clone().nullable(true)).collect(), ..Scope::default() };
    let qcx = ecx.qcx.within(ecx.frame);
    let frame = qcx.frame(&scope, "WHERE");
    let inner = Ecx { qcx: &qcx, frame: &frame };
    let left = shift(left);
    let columns: Vec<Planned> =
        types.iter().enumerate().map(|(i, t)| Planned::typed(HirScalarExpr::column(i), t.clone())).collect();
    let compared = match left {
        Planned::Row(fields) => compare_fields(&inner, symbol, fields, columns, span)?,
        left => {
            let right = columns
                .into_iter()
                .next()
                .ok_or_else(|| PlanError::syntax("subquery has too few columns"))?;
            operator(&inner, symbol, vec![left, right], span)?
        }
    };
    let mut test = condition(&inner, compared, "a quantified comparison")?;
    if all {
        test = test.not();
    }
    let mut outers = ecx.frame.outer_types();
    let known = rows.column_types(&mut outers);
    // Where aggregates may stand, columns are those before grouping, which may make them NULL.
    let grouped = ecx.frame.collector.is_some();
    let nullable = grouped || test.typ(&mut outers, &known).nullable;
    let any = any_true(rows, test, nullable)?;
    Ok(Typed::bool(if all { any.not() } else { any }))
}

/// Whether `test` is true for some row, NULL if it is not but is NULL for some.
fn any_true(rows: HirRelationExpr, test: HirScalarExpr, nullable: bool) -> Result<HirScalarExpr, PlanError> {
    let null = HirScalarExpr::null(ScalarType::Bool);
    let exists =
        |rows: HirRelationExpr, p: HirScalarExpr| HirScalarExpr::Exists(Box::new(rows.filter(vec![p])));
    if !nullable {
        return Ok(exists(rows, test));
    }
    if size(&rows) <= 40 && test.size() <= 200 {
        let unknown = exists(rows.clone(), test.clone().is_null());
        let els = unknown.if_then_else(null, HirScalarExpr::literal_false());
        return Ok(exists(rows, test).if_then_else(HirScalarExpr::literal_true(), els));
    }
    // A large subquery is not planned twice: both answers are aggregates.
    let arity = rows.arity();
    let aggregate = |column| -> Result<HirAggregateExpr, PlanError> {
        let func = AggregateFunc::by_key("bool_or(bool)", vec![ScalarType::Bool]);
        let func = func.ok_or_else(|| PlanError::new("XX000", "bool_or is missing"))?;
        let args = vec![HirScalarExpr::column(column)];
        Ok(HirAggregateExpr { func, args, order_by: vec![], distinct: false, filter: None })
    };
    let tests = rows.map(vec![test.clone(), HirScalarExpr::column(arity).is_null()]);
    let both = tests.reduce(vec![], vec![aggregate(arity)?, aggregate(arity + 1)?]);
    let els = HirScalarExpr::column(1).if_then_else(null, HirScalarExpr::literal_false());
    let result = HirScalarExpr::column(0).if_then_else(HirScalarExpr::literal_true(), els);
    Ok(HirScalarExpr::Select(Box::new(both.map(vec![result]).project(vec![2]))))
}

/// How many operators there are, roughly.
fn size(rows: &HirRelationExpr) -> usize {
    let mut n = 0;
    rows.visit_relations(&mut |_| n += 1);
    n
}

/// The value as seen from one scope further in.
pub(super) fn shift(value: Planned) -> Planned {
    match value {
        Planned::Typed(t) => Planned::typed(t.expr.shifted(1), t.typ),
        Planned::Row(fields) => Planned::Row(fields.into_iter().map(shift).collect()),
        other => other,
    }
}

/// The query in `ANY (…)`, if it is one.
pub(super) fn as_query(expr: &Expr) -> Option<&Query> {
    match expr {
        Expr::Subquery(q) => Some(q),
        Expr::Nested(e) => as_query(e),
        _ => None,
    }
}
