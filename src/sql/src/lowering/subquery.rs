//! Subqueries in scalars and in conditions.

use std::collections::BTreeSet;

use hw_expr::{AggregateExpr, AggregateFunc, EvalError, HirRelationExpr, MirRelationExpr, MirScalarExpr};
use hw_repr::Datum;

use super::relation::{call2, literal_int8};
use super::scalar::Cx;
use super::{Lowerer, Outer, broken, join_on_keys};
use crate::error::PlanError;

/// What of the rows that a condition's subquery keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// Those for which it has rows.
    Matching,
    /// The others.
    Missing,
}

impl Lowerer {
    /// Lowers a subquery for all rows of `rel`, finishes it with `body` (given what it was lowered for, and the lowered rows),
    /// and joins `rel` with the result on the keys.
    fn branch(
        &mut self,
        sub: &HirRelationExpr,
        rel: &mut MirRelationExpr,
        cx: &Cx,
        body: impl FnOnce(&mut Self, &Outer, MirRelationExpr) -> Result<MirRelationExpr, PlanError>,
    ) -> Result<(), PlanError> {
        let input = std::mem::replace(rel, super::unit());
        let places = cx.inside();
        let needs: BTreeSet<_> = self.needs(sub, cx.depth + 1);
        *rel = self.bind_only(input, |this, get| {
            let (joined, ()) = this.with_keys(&get, &places, &needs, |this, outer, keys| {
                let lowered = this.relation(sub, outer, cx.depth + 1)?;
                let result = body(this, outer, lowered)?;
                let (left, right) = (get.arity(), result.arity());
                Ok((join_on_keys(get.clone(), left, keys, result, right), ()))
            })?;
            Ok(joined)
        })?;
        Ok(())
    }

    /// Appends whether the subquery has rows.
    pub(super) fn attach_exists(
        &mut self,
        sub: &HirRelationExpr,
        rel: &mut MirRelationExpr,
        cx: &Cx,
    ) -> Result<MirScalarExpr, PlanError> {
        self.branch(sub, rel, cx, |this, outer, rows| {
            let found = rows.project((0..outer.arity).collect()).distinct();
            this.bind_only(found, |_, found| {
                let missing = outer.rel.clone().union(found.clone().negate());
                let yes = found.map(vec![MirScalarExpr::literal_true()]);
                Ok(yes.union(missing.map(vec![MirScalarExpr::literal_false()])))
            })
        })?;
        Ok(MirScalarExpr::Column(rel.arity() - 1))
    }

    /// Keeps the rows for which the subquery has rows, or those for which it has none.
    pub(super) fn semijoin(
        &mut self,
        sub: &HirRelationExpr,
        keep: Keep,
        rel: &mut MirRelationExpr,
        cx: &Cx,
    ) -> Result<(), PlanError> {
        if let Some(members) = self.membership(sub, cx) {
            return self.keep_members(members, keep, rel, cx);
        }
        self.branch(sub, rel, cx, |_, outer, rows| {
            let found = rows.project((0..outer.arity).collect()).distinct();
            Ok(match keep {
                Keep::Matching => found,
                Keep::Missing => outer.rel.clone().union(found.negate()),
            })
        })
    }

    /// Appends the value of the subquery's one column.
    pub(super) fn attach_select(
        &mut self,
        sub: &HirRelationExpr,
        rel: &mut MirRelationExpr,
        cx: &Cx,
    ) -> Result<MirScalarExpr, PlanError> {
        let exactly_one = is_single(sub);
        let at_most_one = exactly_one || is_limited(sub);
        self.branch(sub, rel, cx, |this, outer, rows| {
            if exactly_one {
                return Ok(rows);
            }
            let arity = outer.arity;
            let typ = rows.column_types().get(arity).cloned();
            let typ =
                typ.ok_or_else(|| broken("a scalar subquery without a column"))?.scalar_type.nullable(true);
            this.bind_only(rows, |this, rows| {
                let guarded = if at_most_one {
                    rows
                } else {
                    let error = Err(EvalError::MultipleRowsFromSubquery);
                    let error = MirScalarExpr::Literal(error, typ.clone());
                    let several = count_rows(rows.clone(), arity)?
                        .filter(vec![call2(
                            "op:>(AnyCompatible,AnyCompatible)",
                            MirScalarExpr::Column(arity),
                            literal_int8(1),
                        )?])
                        .project((0..arity).collect())
                        .map(vec![error]);
                    rows.union(several)
                };
                this.bind_only(guarded, |_, values| {
                    let found = values.clone().project((0..arity).collect()).distinct();
                    let missing = outer.rel.clone().union(found.negate());
                    let null = MirScalarExpr::literal(Datum::Null, typ.scalar_type.clone());
                    Ok(values.union(missing.map(vec![null])))
                })
            })
        })?;
        Ok(MirScalarExpr::Column(rel.arity() - 1))
    }
}

/// The number of rows for each value of the first columns.
fn count_rows(rows: MirRelationExpr, keys: usize) -> Result<MirRelationExpr, PlanError> {
    let func = AggregateFunc::by_key("count()", vec![]).ok_or_else(|| broken("count is missing"))?;
    let count = AggregateExpr { func, args: vec![], order_by: vec![], distinct: false, filter: None };
    Ok(rows.reduce((0..keys).map(MirScalarExpr::Column).collect(), vec![count]))
}

/// Whether the relation has exactly one row, whatever the data: an aggregation without groups.
fn is_single(r: &HirRelationExpr) -> bool {
    match r {
        HirRelationExpr::Reduce { group_key, .. } => group_key.is_empty(),
        HirRelationExpr::Constant { rows, .. } => rows.len() == 1,
        HirRelationExpr::Project { input, .. } | HirRelationExpr::Map { input, .. } => is_single(input),
        HirRelationExpr::Let { body, .. } => is_single(body),
        _ => false,
    }
}

/// Whether the relation has at most one row.
fn is_limited(r: &HirRelationExpr) -> bool {
    match r {
        HirRelationExpr::TopK { group_key, limit: Some(limit), input, .. } => {
            let one = matches!(limit.as_literal(), Some(Datum::Int64(0 | 1)));
            (one && group_key.is_empty()) || is_limited(input)
        }
        HirRelationExpr::Project { input, .. }
        | HirRelationExpr::Map { input, .. }
        | HirRelationExpr::Filter { input, .. }
        | HirRelationExpr::Distinct { input } => is_single(input) || is_limited(input),
        HirRelationExpr::Let { body, .. } => is_limited(body),
        other => is_single(other),
    }
}
