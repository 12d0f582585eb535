//! The queries inside INSERT, UPDATE and DELETE.

use hw_expr::func::CastContext;
use hw_expr::hir::JoinKind;
use hw_expr::{HirRelationExpr, HirScalarExpr, Id};
use hw_repr::{Datum, GlobalId, RelationDesc, RelationType, ScalarType};
use sqlparser::ast::{self, Expr, SetExpr};

use super::coerce::{Planned, Typed};
use super::context::{Ecx, Qcx, Shared, ident};
use super::entry::{TableRef, on_large_stack, table_scope};
use super::from::plan_from;
use super::query::{cast_rel, plan_nested, plan_values};
use super::scalar::{plan_condition, plan_expr};
use super::scope::{Frame, Scope, Visibility};
use super::select::plan_returning_items;
use super::types::named_type;
use crate::context::StatementContext;
use crate::error::PlanError;
use crate::plan::ReturningPlan;

fn assignment_error(scx: &StatementContext<'_>, column: &str, wanted: &ScalarType, given: &str) -> PlanError {
    let wanted = named_type(scx, wanted);
    PlanError::new(
        "42804",
        format!("column \"{column}\" is of type {wanted} but expression is of type {given}"),
    )
    .with_hint("You will need to rewrite or cast the expression.")
}

/// A value for a column.
fn assign(ecx: &Ecx<'_>, value: Planned, column: &str, typ: &ScalarType) -> Result<Typed, PlanError> {
    let given = value.typ().map_or_else(|| "unknown".to_owned(), |t| named_type(ecx.scx(), &t));
    // A row of another width is said to be no such row.
    let row = matches!(value, Planned::Row(_)) && matches!(typ, ScalarType::Record { .. });
    value.cast(ecx, typ, CastContext::Assignment).map_err(|e| match e.sqlstate {
        "42846" if !row => assignment_error(ecx.scx(), column, typ, &given),
        _ => e,
    })
}

fn is_default(e: &Expr) -> bool {
    matches!(e, Expr::Identifier(i) if i.quote_style.is_none() && ident(i) == "default")
}

/// Plans the rows of an INSERT: all of the table's columns (`desc`), those in `columns` (positions, in the order written) from
/// the query, the others from `defaults`. `DEFAULT` may stand in VALUES. Without
/// names (`named`) the query may give fewer columns, the first ones.
pub fn plan_insert_source(
    scx: &StatementContext<'_>,
    desc: &RelationDesc,
    columns: &[usize],
    named: bool,
    defaults: &[HirScalarExpr],
    query: &ast::Query,
) -> Result<HirRelationExpr, PlanError> {
    on_large_stack(|| {
        let shared = Shared::new(scx);
        let qcx = Qcx::new(&shared);
        let types = &desc.typ().column_types;
        let wanted: Vec<ScalarType> = columns.iter().map(|c| types[*c].scalar_type.clone()).collect();
        let plain = query.with.is_none()
            && query.order_by.is_none()
            && query.limit_clause.is_none()
            && query.fetch.is_none();
        let rel = match &*query.body {
            SetExpr::Values(values) if plain => {
                check_width(columns.len(), values.rows.first().map_or(0, |r| r.content.len()), named)?;
                let value = |ecx: &Ecx<'_>, c: usize, e: &Expr| {
                    if is_default(e) {
                        return Ok(Typed::new(defaults[columns[c]].clone(), wanted[c].clone()));
                    }
                    let result = assign(ecx, plan_expr(ecx, e)?, &desc.names()[columns[c]], &wanted[c]);
                    result.map_err(|err| ecx.error_at(err, e))
                };
                plan_values(&qcx, values, Some(&value))?
            }
            _ => {
                shared.want(wanted.clone());
                plan_nested(&qcx, query)?
            }
        };
        check_width(columns.len(), rel.types.len(), named)?;
        let given = rel.types.clone();
        let wanted = &wanted[..given.len()];
        let expr =
            cast_rel(scx, rel, wanted, CastContext::Assignment).map_err(|(i, e)| match e.sqlstate {
                "42846" => {
                    assignment_error(scx, &desc.names()[columns[i]], &wanted[i], &named_type(scx, &given[i]))
                }
                _ => e,
            })?;
        fill(desc, &columns[..given.len()], defaults, expr)
    })
}

fn check_width(columns: usize, given: usize, named: bool) -> Result<(), PlanError> {
    if given > columns {
        return Err(PlanError::syntax("INSERT has more expressions than target columns"));
    }
    if given < columns && named {
        return Err(PlanError::syntax("INSERT has more target columns than expressions"));
    }
    Ok(())
}

/// Puts the columns in the table's order, with defaults for those that are not given.
fn fill(
    desc: &RelationDesc,
    columns: &[usize],
    defaults: &[HirScalarExpr],
    expr: HirRelationExpr,
) -> Result<HirRelationExpr, PlanError> {
    if columns.len() == desc.arity() && columns.iter().copied().eq(0..desc.arity()) {
        return Ok(expr);
    }
    let mut scalars = vec![];
    let outputs = (0..desc.arity()).map(|c| match columns.iter().position(|x| *x == c) {
        Some(i) => i,
        None => {
            scalars.push(defaults[c].clone());
            columns.len() + scalars.len() - 1
        }
    });
    let outputs: Vec<usize> = outputs.collect();
    Ok(expr.map(scalars).project(outputs))
}

/// Plans RETURNING over the table's columns.
pub fn plan_returning(
    scx: &StatementContext<'_>,
    desc: &RelationDesc,
    table: Option<TableRef<'_>>,
    items: &[ast::SelectItem],
) -> Result<ReturningPlan, PlanError> {
    on_large_stack(|| {
        let shared = Shared::new(scx);
        returning_in(&Qcx::new(&shared), &table_scope(desc, table), items)
    })
}

fn returning_in(qcx: &Qcx<'_>, scope: &Scope, items: &[ast::SelectItem]) -> Result<ReturningPlan, PlanError> {
    let frame = qcx.frame(scope, "RETURNING");
    let outputs = plan_returning_items(&Ecx { qcx, frame: &frame }, items)?;
    let mut names = vec![];
    let mut types = vec![];
    let mut exprs = vec![];
    for (name, value) in outputs {
        let nullable = value.expr.typ(&mut vec![], &scope.types).nullable;
        names.push(name);
        types.push(value.typ.nullable(nullable));
        exprs.push(value.expr);
    }
    Ok(ReturningPlan { exprs, desc: RelationDesc::new(RelationType::new(types), names) })
}

/// A condition over the columns of a join, of which the left side has `arity`, as the join's right side sees it.
fn seen_from_right(mut condition: HirScalarExpr, arity: usize) -> HirScalarExpr {
    condition.visit_mut_post(0, &mut |depth, e| {
        if let HirScalarExpr::Column(c) = e
            && c.level == depth
        {
            match c.column.checked_sub(arity) {
                Some(column) => c.column = column,
                None => c.level += 1,
            }
        }
    });
    condition
}

fn first_row(input: HirRelationExpr) -> HirRelationExpr {
    let one = HirScalarExpr::literal(Datum::Int64(1), ScalarType::Int64);
    HirRelationExpr::TopK {
        input: Box::new(input),
        group_key: vec![],
        order_key: vec![],
        limit: Some(Box::new(one)),
        offset: None,
        expected_group_size: None,
    }
}

/// Plans the rows that DELETE … USING or UPDATE … FROM affects: each row of the target with one row of `from` that goes with it by
/// `selection`, if there is one (which one is not said, as in PostgreSQL). The target's columns come first; `assignments` are planned over
/// all columns and cast to the columns' types; so is `returning`.
pub fn plan_using_scope(
    scx: &StatementContext<'_>,
    target: (GlobalId, &RelationDesc, TableRef<'_>),
    from: &[ast::TableWithJoins],
    selection: Option<&Expr>,
    assignments: &[(usize, &Expr)],
    returning: Option<&[ast::SelectItem]>,
) -> Result<(HirRelationExpr, Vec<HirScalarExpr>, Option<ReturningPlan>), PlanError> {
    on_large_stack(|| {
        let shared = Shared::new(scx);
        let qcx = Qcx::new(&shared);
        let (id, desc, alias) = target;
        let mut scope = table_scope(desc, Some(alias));
        let mut rel = HirRelationExpr::Get { id: Id::Global(id), typ: desc.typ().clone() };
        let mut joined = None;
        if !from.is_empty() {
            let left = scope.clone();
            let frame = Frame {
                scope: &left,
                parent: None,
                collector: None,
                visible: Visibility::Lateral,
                clause: "FROM",
            };
            let inner = Qcx { shared: &shared, outer: Some(&frame), ctes: None, from_depth: 1 };
            let (right, right_scope) = plan_from(&inner, from)?;
            if right_scope.tables.iter().any(|t| t.alias == alias.alias) {
                return Err(PlanError::new(
                    "42712",
                    format!("table name \"{}\" specified more than once", alias.alias),
                ));
            }
            joined = Some(right);
            scope = scope.beside(right_scope);
        }
        let where_frame = qcx.frame(&scope, "WHERE");
        let condition = |e| plan_condition(&Ecx { qcx: &qcx, frame: &where_frame }, e, "WHERE");
        let predicate = selection.map(condition).transpose()?;
        rel = match joined {
            None => rel.filter(predicate.into_iter().collect()),
            Some(right) => {
                let predicate = predicate.map(|p| seen_from_right(p, desc.arity()));
                let right = right.filter(predicate.into_iter().collect());
                rel.join(first_row(right), HirScalarExpr::literal_true(), JoinKind::Inner)
            }
        };
        let frame = qcx.frame(&scope, "UPDATE");
        let ecx = Ecx { qcx: &qcx, frame: &frame };
        let value = |(column, e): &(usize, &Expr)| {
            let typ = &desc.typ().column_types[*column].scalar_type;
            let value = assign(&ecx, plan_expr(&ecx, e)?, &desc.names()[*column], typ);
            Ok(value.map_err(|err| ecx.error_at(err, e))?.expr)
        };
        let values = assignments.iter().map(value).collect::<Result<Vec<_>, PlanError>>()?;
        let returning = returning.map(|items| returning_in(&qcx, &scope, items)).transpose()?;
        Ok((rel, values, returning))
    })
}
