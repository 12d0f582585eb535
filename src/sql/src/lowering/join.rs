//! Joins.
//!
//! An outer join is the inner one, and the rows of the preserved side that have no partner, with NULLs. Those are found without
//! looking at the inner join if the condition only equates expressions of the two sides (and filters the other side): a row
//! has a partner if its key is among the other side's keys.

use hw_expr::func::Role;
use hw_expr::hir::JoinKind;
use hw_expr::scalar::{canonical_key, is_canonical};
use hw_expr::{HirRelationExpr, HirScalarExpr, MirRelationExpr, MirScalarExpr};
use hw_repr::ColumnType;

use super::relation::cut;
use super::scalar::{Cx, lower_alone};
use super::simplify::conjuncts;
use super::{Lowerer, Outer, join_on_keys};
use crate::error::PlanError;

/// A lowered side of a join.
pub(super) struct Side {
    pub(super) rel: MirRelationExpr,
    /// How many columns it has.
    pub(super) arity: usize,
}

/// An equality between the sides: an expression over the left's columns and one over the right's.
pub(super) type KeyPair = (MirScalarExpr, MirScalarExpr);

impl Lowerer {
    pub(super) fn join(
        &mut self,
        left: &HirRelationExpr,
        right: &HirRelationExpr,
        on: &HirScalarExpr,
        kind: JoinKind,
        outer: &Outer,
        depth: usize,
    ) -> Result<MirRelationExpr, PlanError> {
        match kind {
            JoinKind::Inner | JoinKind::LeftOuter => self.join_left(left, right, on, kind, outer, depth),
            JoinKind::RightOuter | JoinKind::FullOuter => self.join_full(left, right, on, kind, outer, depth),
        }
    }

    /// Inner and left joins, whose right side may be correlated with the left.
    fn join_left(
        &mut self,
        left: &HirRelationExpr,
        right: &HirRelationExpr,
        on: &HirScalarExpr,
        kind: JoinKind,
        outer: &Outer,
        depth: usize,
    ) -> Result<MirRelationExpr, PlanError> {
        let prefix = outer.arity;
        let needs = self.needs(right, depth + 1);
        let rel = self.relation(left, outer, depth)?;
        let (left_arity, right_arity) = (rel.arity(), right.arity());
        let cx =
            Cx { places: outer.places.clone(), own: (prefix..left_arity + right_arity).collect(), depth };
        if kind == JoinKind::Inner && needs.is_empty() {
            let right = self.relation(right, &Outer::unit(), depth + 1)?;
            return self.filter(rel.product(right), std::slice::from_ref(on), &cx);
        }
        let mut places = outer.places.clone();
        places.extend((0..left_arity - prefix).map(|c| ((depth, c), prefix + c)));
        self.bind_only(rel, |this, l| {
            let (joined, ()) = this.with_keys(&l, &places, &needs, |this, inner, keys| {
                let r = this.relation(right, inner, depth + 1)?;
                if kind == JoinKind::Inner {
                    let joined = join_on_keys(l.clone(), left_arity, keys, r, keys.len() + right_arity);
                    return Ok((this.filter(joined, std::slice::from_ref(on), &cx)?, ()));
                }
                let side = Side { rel: l.clone(), arity: left_arity };
                Ok((this.left_outer(side, keys, r, right_arity, on, &cx)?, ()))
            })?;
            Ok(joined)
        })
    }

    /// `l LEFT JOIN r`; `r`'s first columns are the values of `l`'s columns `keys`.
    fn left_outer(
        &mut self,
        l: Side,
        keys: &[usize],
        r: MirRelationExpr,
        right_arity: usize,
        on: &HirScalarExpr,
        cx: &Cx,
    ) -> Result<MirRelationExpr, PlanError> {
        let width = keys.len() + right_arity;
        let types = r.column_types();
        let nulls: Vec<MirScalarExpr> =
            types[keys.len()..].iter().map(|t| MirScalarExpr::null(t.scalar_type.clone())).collect();
        if let Some((pairs, right_only)) =
            equi_condition(on, cx, l.arity, &l.rel.column_types(), &types[keys.len()..])
        {
            // The right side's columns lie behind its keys.
            let shift = |mut e: MirScalarExpr| {
                e.permute_map(|c| c - l.arity + keys.len());
                e
            };
            let right_only: Vec<_> = right_only.into_iter().map(shift).collect();
            return self.bind_only(r.filter(right_only), |this, r| {
                let joined = join_on_keys(l.rel.clone(), l.arity, keys, r.clone(), width);
                let joined = this.filter(joined, std::slice::from_ref(on), cx)?;
                let pairs: Vec<KeyPair> = pairs.into_iter().map(|(a, b)| (a, shift(b))).collect();
                let partners = key_values(r, keys.len(), pairs.iter().map(|(_, b)| b.clone()).collect());
                let lone = without_partners(
                    &l,
                    keys,
                    &pairs.into_iter().map(|(a, _)| a).collect::<Vec<_>>(),
                    partners,
                );
                Ok(joined.union(lone.map(nulls)))
            });
        }
        let joined = join_on_keys(l.rel.clone(), l.arity, keys, r, width);
        let joined = self.filter(joined, std::slice::from_ref(on), cx)?;
        self.bind_only(joined, |_, joined| {
            let matched = joined.clone().project((0..l.arity).collect()).distinct();
            Ok(joined.union(without(&l, matched).map(nulls)))
        })
    }

    /// Right and full joins, whose sides do not see each other.
    fn join_full(
        &mut self,
        left: &HirRelationExpr,
        right: &HirRelationExpr,
        on: &HirScalarExpr,
        kind: JoinKind,
        outer: &Outer,
        depth: usize,
    ) -> Result<MirRelationExpr, PlanError> {
        let prefix = outer.arity;
        let l = self.relation(left, outer, depth)?;
        let r = self.relation(right, outer, depth + 1)?;
        let (left_arity, right_arity) = (l.arity(), r.arity() - prefix);
        let arity = left_arity + right_arity;
        let keys: Vec<usize> = (0..prefix).collect();
        let cx = Cx { places: outer.places.clone(), own: (prefix..arity).collect(), depth };
        let (left_types, right_types) = (l.column_types(), r.column_types());
        let null = |t: &ColumnType| MirScalarExpr::null(t.scalar_type.clone());
        let left_nulls: Vec<_> = left_types[prefix..].iter().map(null).collect();
        let right_nulls: Vec<_> = right_types[prefix..].iter().map(null).collect();
        // Rows of the right side with NULLs behind them, brought into order.
        let pad_left = |rel: MirRelationExpr| {
            let padded = rel.map(left_nulls.clone());
            let right_end = prefix + right_arity;
            let outputs = (0..prefix).chain(right_end..right_end + left_nulls.len()).chain(prefix..right_end);
            padded.project(outputs.collect())
        };
        let equi = equi_condition(on, &cx, left_arity, &left_types, &right_types[prefix..]);
        let equi = equi.filter(|(_, right_only)| right_only.is_empty()).map(|(pairs, _)| pairs);
        self.bind_only(l, |this, l| {
            this.bind_only(r, |this, r| {
                let joined = join_on_keys(l.clone(), left_arity, &keys, r.clone(), prefix + right_arity);
                let joined = this.filter(joined, std::slice::from_ref(on), &cx)?;
                let l = Side { rel: l, arity: left_arity };
                let r = Side { rel: r, arity: prefix + right_arity };
                this.bind_only(joined, |_, joined| {
                    let mut inputs = vec![joined.clone()];
                    let (lone_left, lone_right) = match equi {
                        Some(pairs) => {
                            let shift = |mut e: MirScalarExpr| {
                                e.permute_map(|c| c - left_arity + prefix);
                                e
                            };
                            let (a, b): (Vec<_>, Vec<_>) =
                                pairs.into_iter().map(|(a, b)| (a, shift(b))).unzip();
                            let right_keys = key_values(r.rel.clone(), prefix, b.clone());
                            let left_keys = key_values(l.rel.clone(), prefix, a.clone());
                            (
                                without_partners(&l, &keys, &a, right_keys),
                                without_partners(&r, &keys, &b, left_keys),
                            )
                        }
                        None => {
                            let of_left = joined.clone().project((0..left_arity).collect()).distinct();
                            let of_right = cut(joined, prefix, left_arity..arity, arity).distinct();
                            (without(&l, of_left), without(&r, of_right))
                        }
                    };
                    if kind == JoinKind::FullOuter {
                        inputs.push(lone_left.map(right_nulls));
                    }
                    inputs.push(pad_left(lone_right));
                    Ok(MirRelationExpr::Union { inputs })
                })
            })
        })
    }
}

/// The side's rows that are not in `matched`, a set of its rows.
fn without(side: &Side, matched: MirRelationExpr) -> MirRelationExpr {
    let all: Vec<usize> = (0..side.arity).collect();
    let semi = join_on_keys(side.rel.clone(), side.arity, &all, matched, side.arity);
    side.rel.clone().union(semi.negate())
}

/// The distinct values of a side's first columns and of expressions over it, without those that have a NULL.
pub(super) fn key_values(rel: MirRelationExpr, keys: usize, exprs: Vec<MirScalarExpr>) -> MirRelationExpr {
    let arity = rel.arity();
    let not_null = (0..exprs.len()).map(|i| MirScalarExpr::Column(arity + i).is_null().not()).collect();
    let width = exprs.len();
    let values = rel.map(exprs).filter(not_null);
    cut(values, keys, arity..arity + width, usize::MAX).distinct()
}

/// The side's rows whose key is not among `partners`.
pub(super) fn without_partners(
    side: &Side,
    keys: &[usize],
    exprs: &[MirScalarExpr],
    partners: MirRelationExpr,
) -> MirRelationExpr {
    let mut equivalences = vec![];
    for (i, k) in keys.iter().enumerate() {
        equivalences.push(vec![MirScalarExpr::Column(*k), MirScalarExpr::Column(side.arity + i)]);
    }
    for (i, e) in exprs.iter().enumerate() {
        equivalences.push(vec![e.clone(), MirScalarExpr::Column(side.arity + keys.len() + i)]);
    }
    let semi = MirRelationExpr::join(vec![side.rel.clone(), partners], equivalences);
    side.rel.clone().union(semi.project((0..side.arity).collect()).negate())
}

/// Takes a condition apart, if it consists of equalities between the sides and of predicates over the right side alone.
fn equi_condition(
    on: &HirScalarExpr,
    cx: &Cx,
    left_arity: usize,
    left: &[ColumnType],
    right: &[ColumnType],
) -> Option<(Vec<KeyPair>, Vec<MirScalarExpr>)> {
    let mut pairs = vec![];
    let mut right_only = vec![];
    let types: Vec<ColumnType> = left.iter().chain(right).cloned().collect();
    for e in conjuncts(on, true) {
        let mut outside = e.contains_subquery();
        e.visit_free(&mut |c| outside |= c.level > 0);
        // What is taken apart is computed twice.
        if outside || e.contains_volatile() {
            return None;
        }
        let mut e = lower_alone(&e).ok()?;
        e.permute_map(|c| cx.own[c]);
        let support = e.support();
        let on_right = |s: &std::collections::BTreeSet<usize>| s.iter().all(|c| *c >= left_arity);
        let on_left = |s: &std::collections::BTreeSet<usize>| s.iter().all(|c| *c < left_arity);
        if !support.is_empty() && on_right(&support) {
            right_only.push(e);
            continue;
        }
        let MirScalarExpr::Call { func, args } = &e else { return None };
        let [a, b] = &args[..] else { return None };
        if func.role() != Some(Role::Eq) {
            return None;
        }
        let (sa, sb) = (a.support(), b.support());
        if sa.is_empty() || sb.is_empty() {
            return None;
        }
        let pair = if on_left(&sa) && on_right(&sb) {
            (a.clone(), b.clone())
        } else if on_left(&sb) && on_right(&sa) {
            (b.clone(), a.clone())
        } else {
            return None;
        };
        pairs.push(comparable(pair, &types));
    }
    (!pairs.is_empty()).then_some((pairs, right_only))
}

/// Expressions whose bytes are equal when their values are.
pub(super) fn comparable((a, b): KeyPair, types: &[ColumnType]) -> KeyPair {
    let (ta, tb) = (a.typ(types).scalar_type, b.typ(types).scalar_type);
    let force = ta != tb || !is_canonical(&ta);
    (canonical_key(a, &ta, force), canonical_key(b, &tb, force))
}
