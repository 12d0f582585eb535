//! Conditions of which only the truth matters.
//!
//! A filter keeps a row if its predicate is true; whether it is false or NULL otherwise does not matter. `x IN (subquery)` is planned
//! with three answers, of which a filter needs one: with the others gone, what is left is an EXISTS that becomes a semijoin.

use hw_expr::HirScalarExpr;
use hw_repr::Datum;

/// The conjuncts of an expression that is true exactly when `e` is (`wanted` true) or exactly when `e` is false.
pub(super) fn conjuncts(e: &HirScalarExpr, wanted: bool) -> Vec<HirScalarExpr> {
    let mut out = vec![];
    flatten(truth(e, wanted), &mut out);
    out
}

fn flatten(e: HirScalarExpr, out: &mut Vec<HirScalarExpr>) {
    match e {
        HirScalarExpr::And(v) => v.into_iter().for_each(|e| flatten(e, out)),
        e if is(&e, Datum::Bool(true)) => {}
        e => out.push(e),
    }
}

fn is(e: &HirScalarExpr, d: Datum<'_>) -> bool {
    e.as_literal() == Some(d)
}

/// Whether the expression is never NULL, as far as its form tells.
fn is_two_valued(e: &HirScalarExpr) -> bool {
    match e {
        HirScalarExpr::Exists(_) | HirScalarExpr::IsNull(_) => true,
        HirScalarExpr::And(v) | HirScalarExpr::Or(v) => v.iter().all(is_two_valued),
        HirScalarExpr::Not(e) => is_two_valued(e),
        HirScalarExpr::Literal(row, _) => !row.unpack_first().is_null(),
        _ => false,
    }
}

/// An expression that is true exactly when `e` is `wanted`.
fn truth(e: &HirScalarExpr, wanted: bool) -> HirScalarExpr {
    stacker::maybe_grow(64 << 10, 1 << 20, || match e {
        HirScalarExpr::Not(e) => truth(e, !wanted),
        HirScalarExpr::And(v) if wanted => all(v.iter().map(|e| truth(e, true))),
        HirScalarExpr::And(v) => any(v.iter().map(|e| truth(e, false))),
        HirScalarExpr::Or(v) if wanted => any(v.iter().map(|e| truth(e, true))),
        HirScalarExpr::Or(v) => all(v.iter().map(|e| truth(e, false))),
        HirScalarExpr::Literal(row, _) if row.unpack_first().is_null() => HirScalarExpr::literal_false(),
        HirScalarExpr::If { cond, then, els } if is_two_valued(cond) => {
            let hit = all([truth(cond, true), truth(then, wanted)]);
            let miss = all([truth(cond, false), truth(els, wanted)]);
            match (is(&hit, Datum::Bool(false)), is(&miss, Datum::Bool(false))) {
                (true, _) => miss,
                (_, true) => hit,
                // Where the first branch is surely taken as wanted, the second need not exclude it.
                _ if is(&truth(then, wanted), Datum::Bool(true)) => any([hit, truth(els, wanted)]),
                _ if wanted => e.clone(),
                _ => e.clone().not(),
            }
        }
        e if wanted => e.clone(),
        e => e.clone().not(),
    })
}

fn all(items: impl IntoIterator<Item = HirScalarExpr>) -> HirScalarExpr {
    let mut kept = vec![];
    for e in items {
        if is(&e, Datum::Bool(false)) {
            return HirScalarExpr::literal_false();
        }
        flatten(e, &mut kept);
    }
    match kept.len() {
        0 => HirScalarExpr::literal_true(),
        1 => kept.remove(0),
        _ => HirScalarExpr::And(kept),
    }
}

fn any(items: impl IntoIterator<Item = HirScalarExpr>) -> HirScalarExpr {
    let mut kept = vec![];
    for e in items {
        if is(&e, Datum::Bool(true)) {
            return HirScalarExpr::literal_true();
        }
        if !is(&e, Datum::Bool(false)) {
            kept.push(e);
        }
    }
    match kept.len() {
        0 => HirScalarExpr::literal_false(),
        1 => kept.remove(0),
        _ => HirScalarExpr::Or(kept),
    }
}
