//! WITH MUTUALLY RECURSIVE, and WITH RECURSIVE as a special case of it.

use std::rc::Rc;

use hw_expr::HirRelationExpr;
use hw_expr::func::CastContext;
use hw_expr::relation::LetRecLimit;
use hw_repr::{ColumnType, RelationType, ScalarType};
use sqlparser::ast::{Cte as AstCte, SetExpr, SetOperator, SetQuantifier, With};

use super::context::{Cte, Qcx, ident};
use super::query::{Binding, Rel, cast_rel, cte_names, plan_nested, plan_set_expr};
use super::types::{plan_data_type, type_name};
use crate::error::PlanError;

/// A block of mutually recursive bindings.
pub(super) struct Block {
    limit: Option<LetRecLimit>,
}

/// Whether the WITH is MUTUALLY RECURSIVE.
pub(super) fn block_of(qcx: &Qcx<'_>, with: &With) -> Result<Option<Block>, PlanError> {
    Ok(qcx.scx().extensions.mutually_recursive(with).map(|limit| Block { limit }))
}

/// All bindings see each other, with the columns that are written.
pub(super) fn plan_mutually_recursive(
    qcx: &mut Qcx<'_>,
    with: &With,
    block: Block,
) -> Result<Vec<Binding>, PlanError> {
    let mut declared = vec![];
    for cte in &with.cte_tables {
        let name = ident(&cte.alias.name);
        let mut names = vec![];
        let mut types = vec![];
        for column in &cte.alias.columns {
            let Some(typ) = &column.data_type else {
                let text = format!("column \"{}\" of \"{name}\" needs a type", ident(&column.name));
                return Err(PlanError::syntax(text));
            };
            names.push(ident(&column.name));
            types.push(plan_data_type(qcx.scx(), typ)?);
        }
        if names.is_empty() {
            return Err(PlanError::syntax(format!("\"{name}\" needs a list of columns with their types")));
        }
        let id = qcx.shared.local_id();
        let column_types = types.iter().map(|t| t.clone().nullable(true)).collect();
        let earlier = qcx.ctes.take();
        qcx.ctes = Some(Rc::new(Cte { name: name.clone(), id, names, types: column_types, earlier }));
        declared.push((name, id, types));
    }
    let mut bindings = vec![];
    for (cte, (name, id, types)) in with.cte_tables.iter().zip(declared) {
        let rel = plan_nested(qcx, &cte.query)?;
        let value = fit(&name, rel, &types)?;
        bindings.push((
            name,
            id,
            value,
            RelationType::new(types.iter().map(|t| t.clone().nullable(true)).collect()),
        ));
    }
    Ok(vec![Binding::LetRec(bindings, block.limit)])
}

fn fit(name: &str, rel: Rel, types: &[ScalarType]) -> Result<HirRelationExpr, PlanError> {
    if rel.types.len() != types.len() {
        let (got, wanted) = (rel.types.len(), types.len());
        let text = format!("\"{name}\" declares {wanted} columns, but its query returns {got}");
        return Err(PlanError::new("42P10", text));
    }
    let given = rel.types.clone();
    cast_rel(rel, types, CastContext::Assignment).map_err(|(i, _)| {
        let (got, wanted) = (type_name(&given[i]), type_name(&types[i]));
        PlanError::new(
            "42804",
            format!("column {} of \"{name}\" is declared {wanted}, but its query gives {got}", i + 1),
        )
    })
}

/// `WITH RECURSIVE r AS (base UNION [ALL] step)`: r is the least fixed point of base plus step over r. `None` if the expression
/// does not refer to itself.
pub(super) fn plan_recursive(qcx: &mut Qcx<'_>, cte: &AstCte) -> Result<Option<Binding>, PlanError> {
    let name = ident(&cte.alias.name);
    let SetExpr::SetOperation { left, op: SetOperator::Union, set_quantifier, right } = &*cte.query.body
    else {
        return Ok(None);
    };
    if cte.query.with.is_some() {
        return Ok(None);
    }
    let base = plan_set_expr(qcx, left)?;
    let types = base.types.clone();
    let names = cte_names(cte, base.names.clone())?;
    let id = qcx.shared.local_id();
    let column_types: Vec<ColumnType> = types.iter().map(|t| t.clone().nullable(true)).collect();
    let saved = qcx.ctes.clone();
    let own = Cte { name: name.clone(), id, names, types: column_types.clone(), earlier: qcx.ctes.take() };
    qcx.ctes = Some(Rc::new(own));
    let step = plan_set_expr(qcx, right)?;
    if !step.expr.local_gets().contains(&id) {
        qcx.ctes = saved;
        return Ok(None);
    }
    if cte.query.order_by.is_some() || cte.query.limit_clause.is_some() || cte.query.fetch.is_some() {
        return Err(PlanError::unsupported("ORDER BY or LIMIT in a recursive query"));
    }
    if step.types.len() != types.len() {
        return Err(PlanError::syntax("each UNION query must have the same number of columns"));
    }
    let given = step.types.clone();
    let step = cast_rel(step, &types, CastContext::Implicit).map_err(|(i, _)| {
        let (b, s) = (type_name(&types[i]), type_name(&given[i]));
        let text = format!(
            "recursive query \"{name}\" column {} has type {b} in non-recursive term but type {s} overall",
            i + 1
        );
        PlanError::new("42804", text)
            .with_hint("Cast the output of the non-recursive term to the correct type.")
    })?;
    let both = base.expr.union(step);
    let value = if matches!(set_quantifier, SetQuantifier::All) { both } else { both.distinct() };
    Ok(Some(Binding::LetRec(vec![(name, id, value, RelationType::new(column_types))], None)))
}
