//! Semijoins with relations that stand alone.
//!
//! `x IN (SELECT … GROUP BY …)` is an EXISTS whose rows do not depend on `x`; only the comparison does. Lowered in the general
//! way, the aggregation would be computed for the values of `x` alone, after everything that they come from. Here it is
//! computed once, by itself, and its distinct values are one more input of the join, where the join's order can begin.
//!
//! Relations without aggregation keep to the general way: it looks up what it needs by `x`, which indexes serve.

use hw_expr::func::Role;
use hw_expr::hir::ColumnRef;
use hw_expr::{HirRelationExpr, HirScalarExpr, MirRelationExpr, MirScalarExpr};

use super::join::{Side, comparable, key_values, without_partners};
use super::scalar::{Cx, lower_alone};
use super::simplify::conjuncts;
use super::subquery::Keep;
use super::{Lowerer, Outer};
use crate::error::PlanError;

/// A relation that stands alone, and what is compared with what: an expression of the enclosing scope, one over its columns.
pub(super) struct Membership<'e> {
    rows: &'e HirRelationExpr,
    pairs: Vec<(HirScalarExpr, HirScalarExpr)>,
}

impl Lowerer {
    /// Takes the subquery of an EXISTS apart, if it is of this kind.
    pub(super) fn membership<'e>(&self, sub: &'e HirRelationExpr, cx: &Cx) -> Option<Membership<'e>> {
        let HirRelationExpr::Filter { input, predicates } = sub else { return None };
        if !aggregates(input) || !self.needs(input, cx.depth + 1).is_empty() {
            return None;
        }
        let all = predicates.iter().flat_map(|p| conjuncts(p, true));
        let pairs = all.map(|p| pair(&p)).collect::<Option<Vec<_>>>()?;
        (!pairs.is_empty()).then_some(Membership { rows: input, pairs })
    }

    /// Keeps the rows of `rel` that are, or are not, among the members.
    pub(super) fn keep_members(
        &mut self,
        members: Membership<'_>,
        keep: Keep,
        rel: &mut MirRelationExpr,
        cx: &Cx,
    ) -> Result<(), PlanError> {
        let arity = rel.arity();
        let rows = self.relation(members.rows, &Outer::unit(), cx.depth + 1)?;
        let types: Vec<_> = rel.column_types().into_iter().chain(rows.column_types()).collect();
        let (mut own, mut theirs) = (vec![], vec![]);
        for (outside, inside) in &members.pairs {
            let outside = self.scalar(outside, rel, cx)?;
            let mut inside = lower_alone(inside)?;
            inside.permute_map(|c| c + arity);
            let (outside, mut inside) = comparable((outside, inside), &types);
            inside.permute_map(|c| c - arity);
            own.push(outside);
            theirs.push(inside);
        }
        let members = key_values(rows, 0, theirs);
        let input = std::mem::replace(rel, super::unit());
        *rel = match keep {
            Keep::Matching => {
                let equal =
                    own.into_iter().enumerate().map(|(i, e)| vec![e, MirScalarExpr::Column(arity + i)]);
                MirRelationExpr::join(vec![input, members], equal.collect()).project((0..arity).collect())
            }
            Keep::Missing => self
                .bind_only(input, |_, rel| Ok(without_partners(&Side { rel, arity }, &[], &own, members)))?,
        };
        Ok(())
    }
}

/// Whether rows are put together somewhere in the relation.
fn aggregates(rows: &HirRelationExpr) -> bool {
    let mut found = false;
    rows.visit_relations(&mut |r| {
        found |= matches!(
            r,
            HirRelationExpr::Reduce { .. } | HirRelationExpr::Distinct { .. } | HirRelationExpr::TopK { .. }
        );
    });
    found
}

/// An equality of something outside, as the enclosing scope sees it, and something inside.
fn pair(predicate: &HirScalarExpr) -> Option<(HirScalarExpr, HirScalarExpr)> {
    let HirScalarExpr::Call { func, args } = predicate else { return None };
    let ([a, b], Some(Role::Eq)) = (args.as_slice(), func.role()) else { return None };
    if predicate.contains_subquery() || predicate.contains_volatile() {
        return None;
    }
    let (outside, inside) = match (levels(a)?, levels(b)?) {
        ((1.., _), (0, 0)) => (a, b),
        ((0, 0), (1.., _)) => (b, a),
        _ => return None,
    };
    let mut outside = outside.clone();
    outside.visit_mut_post(0, &mut |_, e| {
        if let HirScalarExpr::Column(ColumnRef { level, .. }) = e {
            *level -= 1;
        }
    });
    Some((outside, inside.clone()))
}

/// The least and the greatest level of the columns; `None` without columns.
fn levels(e: &HirScalarExpr) -> Option<(usize, usize)> {
    let mut found: Option<(usize, usize)> = None;
    e.visit_free(&mut |c| {
        let (least, greatest) = found.unwrap_or((c.level, c.level));
        found = Some((least.min(c.level), greatest.max(c.level)));
    });
    found
}
