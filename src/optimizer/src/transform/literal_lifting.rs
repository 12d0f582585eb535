//! Columns that are literals move above what need not see them: they are not arranged, compared or grouped by.
//!
//! ```text
//! Union(Map 1 (a), Map 1 (b))            Map 1 (Union(a, b))
//! Join(a, Map 1 (b))                     Project (Map 1 (Join(a, b)))
//! Reduce by #0, 1 count(*) (a)           Project #0, #2, #1 (Map 1 (Reduce by #0 count(*) (a)))
//! TopK order_by=#1 (Map 1 (a))           Map 1 (TopK (a))
//! ```
//!
//! Keys of reductions that repeat are dropped likewise.

use std::collections::BTreeMap;

use hw_expr::{JoinImplementation, MirRelationExpr, MirScalarExpr};

use super::{substitute, take};

type Literals = BTreeMap<usize, MirScalarExpr>;

/// Applies the rule everywhere.
pub(crate) fn apply(expr: &mut MirRelationExpr) {
    super::rewrite_post(expr, &mut |e| {
        if let Some(next) = lift(e) {
            *e = next;
        }
    });
}

/// The plan's columns that its topmost maps give as literals.
fn literals(e: &MirRelationExpr) -> Literals {
    match e {
        MirRelationExpr::Map { input, scalars } => {
            let mut out = literals(input);
            let arity = input.arity();
            out.extend(
                scalars
                    .iter()
                    .enumerate()
                    .filter(|(_, s)| s.is_literal_ok())
                    .map(|(i, s)| (arity + i, s.clone())),
            );
            out
        }
        MirRelationExpr::Filter { input, .. } => literals(input),
        MirRelationExpr::Project { input, outputs } => {
            let below = literals(input);
            if below.is_empty() {
                return below;
            }
            outputs.iter().enumerate().filter_map(|(i, c)| Some((i, below.get(c)?.clone()))).collect()
        }
        _ => Literals::new(),
    }
}

/// The columns `0..arity` that are no literals.
fn others(arity: usize, literals: &Literals) -> Vec<usize> {
    (0..arity).filter(|c| !literals.contains_key(c)).collect()
}

/// A column as it is without the literals: a literal, or its new place.
fn without(c: usize, literals: &Literals) -> MirScalarExpr {
    literals.get(&c).cloned().unwrap_or_else(|| MirScalarExpr::Column(place(c, literals)))
}

fn place(c: usize, literals: &Literals) -> usize {
    c - literals.range(..c).count()
}

/// Puts literals back among the columns of a plan that has been made without them.
fn restored(e: MirRelationExpr, arity: usize, literals: &Literals) -> MirRelationExpr {
    let kept = arity - literals.len();
    let outputs = (0..arity).map(|c| match literals.contains_key(&c) {
        true => kept + literals.range(..c).count(),
        false => place(c, literals),
    });
    e.map(literals.values().cloned().collect()).project(outputs.collect())
}

fn lift(e: &mut MirRelationExpr) -> Option<MirRelationExpr> {
    match e {
        MirRelationExpr::Union { .. } => lift_union(e),
        MirRelationExpr::Join { implementation: JoinImplementation::Unimplemented, .. } => lift_join(e),
        MirRelationExpr::Reduce { .. } => lift_reduce(e),
        MirRelationExpr::TopK { .. } => lift_top_k(e),
        MirRelationExpr::Negate { input } | MirRelationExpr::Threshold { input } => {
            let found = literals(input);
            if found.is_empty() {
                return None;
            }
            let arity = input.arity();
            **input = take(input).project(others(arity, &found));
            Some(restored(take(e), arity, &found))
        }
        MirRelationExpr::FlatMap { input, exprs, func } => {
            let found = literals(input);
            if found.is_empty() {
                return None;
            }
            let arity = input.arity();
            **input = take(input).project(others(arity, &found));
            exprs.iter_mut().for_each(|e| *e = substitute(e, &|c| without(c, &found)));
            let total = arity + func.desc().arity();
            Some(restored(take(e), total, &found))
        }
        _ => None,
    }
}

fn lift_union(e: &mut MirRelationExpr) -> Option<MirRelationExpr> {
    let MirRelationExpr::Union { inputs } = e else { return None };
    let mut found = literals(inputs.first()?);
    for input in &inputs[1..] {
        if found.is_empty() {
            return None;
        }
        let other = literals(input);
        found.retain(|c, literal| other.get(c) == Some(literal));
    }
    if found.is_empty() {
        return None;
    }
    let arity = inputs[0].arity();
    for input in inputs.iter_mut() {
        *input = take(input).project(others(arity, &found));
    }
    Some(restored(take(e), arity, &found))
}

fn lift_join(e: &mut MirRelationExpr) -> Option<MirRelationExpr> {
    let MirRelationExpr::Join { inputs, equivalences, .. } = e else { return None };
    let mut found = Literals::new();
    let mut offset = 0;
    for input in inputs.iter_mut() {
        let arity = input.arity();
        let own = literals(input);
        if !own.is_empty() {
            *input = take(input).project(others(arity, &own));
        }
        found.extend(own.into_iter().map(|(c, literal)| (c + offset, literal)));
        offset += arity;
    }
    if found.is_empty() {
        return None;
    }
    for e in equivalences.iter_mut().flatten() {
        *e = substitute(e, &|c| without(c, &found));
    }
    super::fusion::merge_classes(equivalences);
    Some(restored(take(e), offset, &found))
}

fn lift_reduce(e: &mut MirRelationExpr) -> Option<MirRelationExpr> {
    let MirRelationExpr::Reduce { input, group_key, aggregates, .. } = e else { return None };
    let found = literals(input);
    if !found.is_empty() {
        let rewrite = |e: &mut MirScalarExpr| {
            *e = substitute(e, &|c| found.get(&c).cloned().unwrap_or(MirScalarExpr::Column(c)));
        };
        group_key.iter_mut().for_each(rewrite);
        for a in aggregates.iter_mut() {
            a.args.iter_mut().chain(&mut a.filter).for_each(rewrite);
        }
    }
    let fixed = |i: usize| group_key[i].is_literal_ok() || group_key[..i].contains(&group_key[i]);
    if !(0..group_key.len()).any(fixed) {
        return None;
    }
    let mut kept: Vec<MirScalarExpr> = vec![];
    let mut literals: Vec<MirScalarExpr> = vec![];
    // Where each key is found: among those that are kept, or among the literals.
    let mut places: Vec<Result<usize, usize>> = vec![];
    for key in std::mem::take(group_key) {
        if key.is_literal_ok() {
            places.push(Err(literals.len()));
            literals.push(key);
        } else if let Some(i) = kept.iter().position(|k| *k == key) {
            places.push(Ok(i));
        } else {
            places.push(Ok(kept.len()));
            kept.push(key);
        }
    }
    let (keys, values) = (kept.len(), aggregates.len());
    *group_key = kept;
    let outputs = places.into_iter().map(|p| match p {
        Ok(i) => i,
        Err(i) => keys + values + i,
    });
    let outputs = outputs.chain(keys..keys + values).collect();
    Some(take(e).map(literals).project(outputs))
}

fn lift_top_k(e: &mut MirRelationExpr) -> Option<MirRelationExpr> {
    let MirRelationExpr::TopK { input, group_key, order_key, limit, .. } = e else { return None };
    let found = literals(input);
    if found.is_empty() {
        return None;
    }
    let arity = input.arity();
    **input = take(input).project(others(arity, &found));
    group_key.retain(|c| !found.contains_key(c));
    group_key.iter_mut().for_each(|c| *c = place(*c, &found));
    order_key.retain(|o| !found.contains_key(&o.column));
    order_key.iter_mut().for_each(|o| o.column = place(o.column, &found));
    if let Some(limit) = limit {
        *limit = substitute(limit, &|c| without(c, &found));
    }
    Some(restored(take(e), arity, &found))
}
