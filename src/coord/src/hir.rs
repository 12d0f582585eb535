//! Small steps between planned statements and their execution: parameters, and descriptions of unnamed results.

use hw_expr::{HirRelationExpr, HirScalarExpr, UnmaterializableFunc};
use hw_repr::{ColumnType, RelationDesc, RelationType, Row};

use crate::error::AdapterError;

/// Replaces parameter `$n` by the n-th datum of `params`.
pub(crate) fn bind(mut expr: HirRelationExpr, params: &Row) -> Result<HirRelationExpr, AdapterError> {
    if !params.is_empty() {
        expr.visit_scalars_mut(0, &mut |_, e| bind_one(e, params));
    }
    unbound(expr.contains_parameters())?;
    Ok(expr)
}

/// Makes parameters functions of the context, whose values a kept plan is given each time.
pub(crate) fn keep_parameters(mut expr: HirRelationExpr) -> HirRelationExpr {
    expr.visit_scalars_mut(0, &mut |_, e| {
        if let HirScalarExpr::Parameter(n, typ) = e {
            *e = HirScalarExpr::Unmaterializable(UnmaterializableFunc::Parameter(*n, typ.clone()));
        }
    });
    expr
}

/// As [`bind`] for a scalar.
pub(crate) fn bind_scalar(mut expr: HirScalarExpr, params: &Row) -> Result<HirScalarExpr, AdapterError> {
    expr.visit_mut_post(0, &mut |_, e| bind_one(e, params));
    unbound(expr.contains_parameters())?;
    Ok(expr)
}

fn bind_one(e: &mut HirScalarExpr, params: &Row) {
    if let HirScalarExpr::Parameter(n, typ) = e
        && let Some(datum) = n.checked_sub(1).and_then(|i| params.iter().nth(i))
    {
        let typ = ColumnType { scalar_type: typ.clone(), nullable: datum.is_null() };
        *e = HirScalarExpr::Literal(Row::pack_slice(&[datum]), typ);
    }
}

fn unbound(found: bool) -> Result<(), AdapterError> {
    if found {
        return Err(AdapterError::new("42P02", "there is no value for a parameter of the statement"));
    }
    Ok(())
}

/// A description of a relation whose columns have no names.
pub(crate) fn anonymous_desc(expr: &HirRelationExpr) -> RelationDesc {
    let types = expr.column_types(&mut Vec::new());
    let names = (1..=types.len()).map(|i| format!("column{i}")).collect();
    RelationDesc::new(RelationType::new(types), names)
}
