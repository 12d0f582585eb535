//! WITH MUTUALLY RECURSIVE, and WITH RECURSIVE as a special case of it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::rc::Rc;

use hw_expr::func::CastContext;
use hw_expr::hir::JoinKind;
use hw_expr::relation::LetRecLimit;
use hw_expr::{HirRelationExpr, HirScalarExpr, Id, LocalId};
use hw_repr::{ColumnType, RelationType, ScalarType};
use sqlparser::ast::{
    Cte as AstCte, LimitClause, Query, SetExpr, SetOperator, SetQuantifier, Spanned, Visit, With,
    visit_relations,
};
use sqlparser::tokenizer::Span;

use super::coerce::unify_types;
use super::context::{Cte, Qcx, ident, name_parts};
use super::query::{Binding, Rel, Unknown, cast_rel, cte_names, plan_nested, plan_set_expr, settle_as_text};
use super::search_cycle;
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
        check_clauses(qcx, cte)?;
        let value = fit(qcx, &name, rel, &types)?;
        bindings.push((
            name,
            id,
            value,
            RelationType::new(types.iter().map(|t| t.clone().nullable(true)).collect()),
        ));
    }
    Ok(vec![Binding::LetRec(bindings, block.limit)])
}

/// SEARCH and CYCLE are for what refers to itself in WITH RECURSIVE.
pub(super) fn check_clauses(qcx: &Qcx<'_>, cte: &AstCte) -> Result<(), PlanError> {
    match qcx.scx().extensions.cte_clauses(cte) {
        None => Ok(()),
        Some(_) => qcx.at(Err(PlanError::syntax("WITH query is not recursive")), cte.alias.name.span),
    }
}

fn fit(qcx: &Qcx<'_>, name: &str, rel: Rel, types: &[ScalarType]) -> Result<HirRelationExpr, PlanError> {
    if rel.types.len() != types.len() {
        let (got, wanted) = (rel.types.len(), types.len());
        let text = format!("\"{name}\" declares {wanted} columns, but its query returns {got}");
        return Err(PlanError::new("42P10", text));
    }
    let given = rel.types.clone();
    cast_rel(qcx.scx(), rel, types, CastContext::Assignment).map_err(|(i, _)| {
        let (got, wanted) = (type_name(&given[i]), type_name(&types[i]));
        PlanError::new(
            "42804",
            format!("column {} of \"{name}\" is declared {wanted}, but its query gives {got}", i + 1),
        )
    })
}

/// The common table expressions of a WITH RECURSIVE so that each comes after those that it refers to.
pub(super) fn in_order<'w>(qcx: &Qcx<'_>, with: &'w With) -> Result<Vec<&'w AstCte>, PlanError> {
    let place: BTreeMap<String, usize> =
        with.cte_tables.iter().enumerate().map(|(i, c)| (ident(&c.alias.name), i)).collect();
    let mut waiting: Vec<(usize, BTreeSet<usize>)> = vec![];
    for (i, cte) in with.cte_tables.iter().enumerate() {
        let mut needs = BTreeSet::new();
        let _ = visit_relations(&*cte.query, |name| {
            if let Ok([name]) = name_parts(name).as_deref() {
                needs.extend(place.get(name).copied().filter(|n| *n != i));
            }
            ControlFlow::<()>::Continue(())
        });
        waiting.push((i, needs));
    }
    let mut done = BTreeSet::new();
    let mut order = vec![];
    while !waiting.is_empty() {
        let ready = waiting.iter().position(|(_, needs)| needs.is_subset(&done));
        let Some(ready) = ready else {
            let first = &with.cte_tables[waiting[0].0];
            let e = PlanError::new("0A000", "mutual recursion between WITH items is not implemented")
                .with_hint("Use WITH MUTUALLY RECURSIVE.");
            return qcx.at(Err(e), first.alias.name.span);
        };
        let (i, _) = waiting.remove(ready);
        done.insert(i);
        order.push(&with.cte_tables[i]);
    }
    Ok(order)
}

/// Where a query names a relation.
fn mention<V: Visit>(query: &V, name: &str) -> Option<Span> {
    let found = visit_relations(query, |n| match name_parts(n).as_deref() {
        Ok([n_name]) if n_name == name => ControlFlow::Break(n.span()),
        _ => ControlFlow::Continue(()),
    });
    found.break_value()
}

/// `WITH RECURSIVE r AS (base UNION [ALL] step)`: r is the least fixed point of base plus step over r. `None` if the expression
/// does not refer to itself.
pub(super) fn plan_recursive(qcx: &mut Qcx<'_>, cte: &AstCte) -> Result<Option<Binding>, PlanError> {
    let name = ident(&cte.alias.name);
    if mention(&*cte.query, &name).is_none() {
        return Ok(None);
    }
    let SetExpr::SetOperation { left, op: SetOperator::Union, set_quantifier, right } = &*cte.query.body
    else {
        let text = format!(
            "recursive query \"{name}\" does not have the form non-recursive-term UNION [ALL] recursive-term"
        );
        return qcx.at(Err(PlanError::new("42P19", text)), cte.alias.name.span);
    };
    if cte.query.with.is_some() {
        return Err(PlanError::unsupported("WITH in a recursive query"));
    }
    if let Some(span) = mention(&**left, &name) {
        let text =
            format!("recursive reference to query \"{name}\" must not appear within its non-recursive term");
        return qcx.at(Err(PlanError::new("42P19", text)), span);
    }
    refuse_order(qcx, &cte.query)?;
    if let Some(clauses) = qcx.scx().extensions.cte_clauses(cte) {
        let names = cte_names(cte, plan_set_expr(qcx, left)?.names)?;
        let planned = plan_recursive(qcx, &search_cycle::rewrite(qcx, cte, clauses, &names)?)?;
        search_cycle::check_names(qcx, clauses, &names)?;
        return Ok(planned);
    }
    let mut base = plan_set_expr(qcx, left)?;
    settle_as_text(qcx.scx(), &mut base.unknown)?;
    let types = base.types.clone();
    let names = cte_names(cte, base.names.clone())?;
    let id = qcx.shared.local_id();
    let column_types: Vec<ColumnType> = types.iter().map(|t| t.clone().nullable(true)).collect();
    let saved = qcx.ctes.clone();
    let own = Cte { name: name.clone(), id, names, types: column_types.clone(), earlier: qcx.ctes.take() };
    qcx.ctes = Some(Rc::new(own));
    let step = plan_set_expr(qcx, right)?;
    if !step.expr.local_gets().contains(&id) {
        // What it names is something else, bound further in.
        qcx.ctes = saved;
        return Ok(None);
    }
    let all = matches!(set_quantifier, SetQuantifier::All);
    let mut reference = Reference { id, name: &name, all, seen: false };
    qcx.at(reference.check(&step.expr, None), mention(&**right, &name).unwrap_or_else(Span::empty))?;
    if step.types.len() != types.len() {
        return Err(PlanError::syntax("each UNION query must have the same number of columns"));
    }
    for (i, typ) in types.iter().enumerate().filter(|(i, _)| step.unknown[*i] == Unknown::No) {
        let overall = unify_types(&[typ.clone(), step.types[i].clone()], "UNION")?;
        if overall.without_modifiers() != typ.without_modifiers() {
            let (b, o) = (type_name(typ), type_name(&overall));
            let text = format!(
                "recursive query \"{name}\" column {} has type {b} in non-recursive term but type {o} overall",
                i + 1
            );
            return Err(PlanError::new("42804", text)
                .with_hint("Cast the output of the non-recursive term to the correct type."));
        }
    }
    let step = cast_rel(qcx.scx(), step, &types, CastContext::Implicit).map_err(|(_, e)| e)?;
    let both = base.expr.union(step);
    let value = if all { both } else { both.distinct() };
    Ok(Some(Binding::LetRec(vec![(name, id, value, RelationType::new(column_types))], None)))
}

/// PostgreSQL's recursive queries have no order of their own.
fn refuse_order(qcx: &Qcx<'_>, query: &Query) -> Result<(), PlanError> {
    let (limit, offset) = match &query.limit_clause {
        Some(LimitClause::LimitOffset { limit, offset, .. }) => (limit.is_some(), offset.is_some()),
        Some(LimitClause::OffsetCommaLimit { .. }) => (true, true),
        None => (false, false),
    };
    let what = if query.order_by.is_some() {
        "ORDER BY"
    } else if offset {
        "OFFSET"
    } else if limit || query.fetch.is_some() {
        "LIMIT"
    } else if !query.locks.is_empty() {
        "FOR UPDATE/SHARE"
    } else {
        return Ok(());
    };
    let span = query.order_by.as_ref().map_or_else(Span::empty, |o| o.span());
    qcx.at(Err(PlanError::new("0A000", format!("{what} in a recursive query is not implemented"))), span)
}

/// The reference of a recursive term to itself: only where the fixed point is what PostgreSQL computes row by row.
struct Reference<'n> {
    id: LocalId,
    name: &'n str,
    /// UNION ALL
    all: bool,
    seen: bool,
}

impl Reference<'_> {
    /// Checks a relation; a reference in it is refused for the reason that is given.
    fn check(&mut self, expr: &HirRelationExpr, refused: Option<&'static str>) -> Result<(), PlanError> {
        stacker::maybe_grow(64 << 10, 1 << 20, || self.check_here(expr, refused))
    }

    fn check_here(&mut self, expr: &HirRelationExpr, refused: Option<&'static str>) -> Result<(), PlanError> {
        use HirRelationExpr as R;
        for scalar in expr.scalars() {
            self.check_subqueries(scalar)?;
        }
        let inputs: Vec<&HirRelationExpr> = expr.inputs().into_iter().map(|(_, i)| i).collect();
        let outer = Some("within an outer join");
        match expr {
            R::Get { id: Id::Local(id), .. } if *id == self.id => {
                return match refused {
                    Some(reason) => Err(self.error(reason)),
                    None if self.seen => Err(self.error("more than once")),
                    None => {
                        self.seen = true;
                        Ok(())
                    }
                };
            }
            R::Join { left, right, kind, .. } => {
                let (l, r) = match kind {
                    JoinKind::Inner => (refused, refused),
                    JoinKind::LeftOuter => (refused, outer),
                    JoinKind::RightOuter => (outer, refused),
                    JoinKind::FullOuter => (outer, outer),
                };
                self.check(left, l)?;
                return self.check(right, r);
            }
            _ => {}
        }
        let refused = match expr {
            R::Reduce { aggregates, .. } if !aggregates.is_empty() => Some(AGGREGATED),
            R::Distinct { .. } | R::Reduce { .. } if !self.all => refused,
            R::Map { scalars, .. } if !scalars.iter().any(|e| matches!(e, HirScalarExpr::Windowing(_))) => {
                refused
            }
            R::Map { .. } | R::Reduce { .. } | R::Distinct { .. } | R::TopK { .. } => Some(NOT_BY_ROW),
            R::Let { name, .. } if name == "intersect" => Some("within INTERSECT"),
            R::Negate { .. } => Some("within EXCEPT"),
            _ => refused,
        };
        inputs.into_iter().try_for_each(|i| self.check(i, refused))
    }

    fn check_subqueries(&mut self, e: &HirScalarExpr) -> Result<(), PlanError> {
        let mut inside = false;
        e.visit_pre(0, &mut |_, e| {
            inside |= e.subquery().is_some_and(|r| r.local_gets().contains(&self.id));
        });
        if inside { Err(self.error("within a subquery")) } else { Ok(()) }
    }

    fn error(&self, reason: &'static str) -> PlanError {
        match reason {
            AGGREGATED => PlanError::new("42P19", AGGREGATED),
            NOT_BY_ROW => PlanError::unsupported(NOT_BY_ROW).with_hint("Use WITH MUTUALLY RECURSIVE."),
            reason => {
                let text = format!("recursive reference to query \"{}\" must not appear {reason}", self.name);
                PlanError::new("42P19", text)
            }
        }
    }
}

const AGGREGATED: &str = "aggregate functions are not allowed in a recursive query's recursive term";
const NOT_BY_ROW: &str = "DISTINCT, GROUP BY, LIMIT or a window function over a recursive reference";
