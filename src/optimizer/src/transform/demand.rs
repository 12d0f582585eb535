//! Projections move towards the data: nodes produce only the columns that something needs.
//!
//! ```text
//! Project #2 (Join(a, b))     Project (Join(Project a, Project b))
//! Reduce with unused sums     Reduce without them
//! Let l = a, one column used  Let l = Project a
//! ```
//!
//! Inputs of top-ks and thresholds stay whole: rows are told apart by all of their columns there.

use std::collections::{BTreeMap, BTreeSet};

use hw_expr::{Id, LocalId, MirRelationExpr, MirScalarExpr};

use super::take;

type Needed = BTreeMap<LocalId, BTreeSet<usize>>;

/// Applies the rule to the whole plan.
pub(crate) fn apply(expr: &mut MirRelationExpr) {
    let all = (0..expr.arity()).collect();
    narrow(expr, &all, &mut Needed::new());
}

/// Renumbers columns to their places among those that are kept.
fn place(kept: &BTreeSet<usize>) -> impl Fn(usize) -> usize {
    let kept: Vec<usize> = kept.iter().copied().collect();
    move |c| kept.binary_search(&c).unwrap_or(usize::MAX)
}

/// Picks `needed` of a plan that has the columns `kept`.
fn pick(expr: &mut MirRelationExpr, needed: &BTreeSet<usize>, kept: &BTreeSet<usize>) {
    if needed != kept {
        let at = place(kept);
        *expr = take(expr).project(needed.iter().map(|c| at(*c)).collect());
    }
}

/// Makes the plan produce exactly the needed columns, in order.
fn narrow(expr: &mut MirRelationExpr, needed: &BTreeSet<usize>, lets: &mut Needed) {
    stacker::maybe_grow(64 << 10, 1 << 20, || narrow_node(expr, needed, lets));
}

fn narrow_node(expr: &mut MirRelationExpr, needed: &BTreeSet<usize>, lets: &mut Needed) {
    match expr {
        MirRelationExpr::Constant { rows, typ } => {
            if needed.len() < typ.arity() {
                if let Ok(rows) = rows {
                    for (row, _) in rows.iter_mut() {
                        let datums = row.unpack();
                        let narrow = hw_repr::Row::pack(needed.iter().map(|c| datums[*c]));
                        *row = narrow;
                    }
                }
                typ.column_types = needed.iter().map(|c| typ.column_types[*c].clone()).collect();
                typ.keys = vec![];
            }
        }
        MirRelationExpr::Get { id, typ } => {
            if let Id::Local(id) = id {
                lets.entry(*id).or_default().extend(needed.iter().copied());
            }
            let all = (0..typ.arity()).collect();
            pick(expr, needed, &all);
        }
        MirRelationExpr::Let { id, value, body } => {
            let id = *id;
            narrow(body, needed, lets);
            let all: BTreeSet<usize> = (0..value.arity()).collect();
            let wanted = lets.remove(&id).unwrap_or_default();
            narrow(value, &wanted, lets);
            if wanted != all {
                renumber_gets(body, id, &wanted, value);
            }
        }
        MirRelationExpr::LetRec { values, body, .. } => {
            narrow(body, needed, lets);
            for value in values {
                let all = (0..value.arity()).collect();
                narrow(value, &all, lets);
            }
        }
        MirRelationExpr::Project { input, outputs } => {
            let wanted: Vec<usize> = needed.iter().map(|c| outputs[*c]).collect();
            let set: BTreeSet<usize> = wanted.iter().copied().collect();
            narrow(input, &set, lets);
            let at = place(&set);
            let outputs: Vec<usize> = wanted.into_iter().map(at).collect();
            let input = take(input);
            let whole = outputs.iter().copied().eq(0..set.len());
            *expr = if whole { input } else { input.project(outputs) };
        }
        MirRelationExpr::Map { input, scalars } => {
            let arity = input.arity();
            let mut wanted = needed.clone();
            for (i, s) in scalars.iter().enumerate().rev() {
                if wanted.contains(&(arity + i)) {
                    wanted.extend(s.support());
                }
            }
            let below: BTreeSet<usize> = wanted.iter().copied().filter(|c| *c < arity).collect();
            narrow(input, &below, lets);
            let at = place(&wanted);
            let mut kept = vec![];
            for (i, mut s) in std::mem::take(scalars).into_iter().enumerate() {
                if wanted.contains(&(arity + i)) {
                    s.permute_map(&at);
                    kept.push(s);
                }
            }
            *expr = take(input).map(kept);
            pick(expr, needed, &wanted);
        }
        MirRelationExpr::FlatMap { .. } => {
            let total = expr.arity();
            let MirRelationExpr::FlatMap { input, exprs: own, .. } = expr else { return };
            let arity = input.arity();
            let mut below: BTreeSet<usize> = needed.iter().copied().filter(|c| *c < arity).collect();
            below.extend(own.iter().flat_map(MirScalarExpr::support));
            narrow(input, &below, lets);
            let mut kept = below.clone();
            kept.extend(arity..total);
            let at = place(&kept);
            own.iter_mut().for_each(|e| e.permute_map(&at));
            pick(expr, needed, &kept);
        }
        MirRelationExpr::Filter { input, predicates } => {
            let mut wanted = needed.clone();
            wanted.extend(predicates.iter().flat_map(MirScalarExpr::support));
            narrow(input, &wanted, lets);
            let at = place(&wanted);
            predicates.iter_mut().for_each(|p| p.permute_map(&at));
            pick(expr, needed, &wanted);
        }
        MirRelationExpr::Join { inputs, equivalences, .. } => {
            let mut wanted = needed.clone();
            wanted.extend(equivalences.iter().flatten().flat_map(MirScalarExpr::support));
            let mut offset = 0;
            for input in inputs {
                let arity = input.arity();
                let own = wanted.range(offset..offset + arity).map(|c| c - offset).collect();
                narrow(input, &own, lets);
                offset += arity;
            }
            let at = place(&wanted);
            equivalences.iter_mut().flatten().for_each(|e| e.permute_map(&at));
            pick(expr, needed, &wanted);
        }
        MirRelationExpr::Reduce { input, group_key, aggregates, .. } => {
            let keys = group_key.len();
            let mut kept: BTreeSet<usize> = (0..keys).collect();
            kept.extend(needed.iter().copied());
            let mut i = keys;
            aggregates.retain(|_| {
                i += 1;
                needed.contains(&(i - 1))
            });
            let mut below: BTreeSet<usize> = group_key.iter().flat_map(MirScalarExpr::support).collect();
            for a in aggregates.iter() {
                below.extend(a.args.iter().chain(&a.filter).flat_map(MirScalarExpr::support));
            }
            narrow(input, &below, lets);
            let at = place(&below);
            group_key.iter_mut().for_each(|k| k.permute_map(&at));
            for a in aggregates {
                a.args.iter_mut().chain(&mut a.filter).for_each(|e| e.permute_map(&at));
            }
            pick(expr, needed, &kept);
        }
        MirRelationExpr::Negate { input } => narrow(input, needed, lets),
        MirRelationExpr::Union { inputs } => {
            for input in inputs {
                narrow(input, needed, lets);
            }
        }
        MirRelationExpr::TopK { input, .. }
        | MirRelationExpr::Threshold { input }
        | MirRelationExpr::ArrangeBy { input, .. } => {
            let all = (0..input.arity()).collect();
            narrow(input, &all, lets);
            pick(expr, needed, &all);
        }
    }
}

/// The binding has only the wanted columns now: `Get`s of it, each under a projection, follow.
fn renumber_gets(body: &mut MirRelationExpr, id: LocalId, wanted: &BTreeSet<usize>, value: &MirRelationExpr) {
    let at = place(wanted);
    let types = value.column_types();
    body.visit_mut_post(&mut |e| match e {
        MirRelationExpr::Project { input, outputs } => {
            if let MirRelationExpr::Get { id: Id::Local(got), typ } = &mut **input
                && *got == id
            {
                outputs.iter_mut().for_each(|c| *c = at(*c));
                typ.column_types = types.clone();
                typ.keys = vec![];
            }
        }
        _ => {}
    });
}
