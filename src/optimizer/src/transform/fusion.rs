//! Fusion: neighbours of one kind become one node.
//!
//! ```text
//! Map, Filter, Project chains    one canonical chain without unused, doubled or renamed columns
//! Union(Union(a, b), c)          Union(a, b, c)
//! Negate(Negate(a))              a
//! Negate(Union(a, b))            Union(Negate(a), Negate(b))
//! Join(Join(a, b), c)            Join(a, b, c)
//! Distinct(Distinct(a))          Distinct(a), when the keys allow it
//! ```

use hw_expr::{JoinImplementation, MapFilterProject, MirRelationExpr, MirScalarExpr};

use super::take;
use crate::lower::extract_mfp;

/// Applies the rule everywhere.
pub(crate) fn apply(expr: &mut MirRelationExpr) {
    stacker::maybe_grow(64 << 10, 1 << 20, || {
        if is_mfp(expr) {
            let (mfp, _) = extract_mfp(expr);
            let mut below = take(expr);
            while let MirRelationExpr::Map { input, .. }
            | MirRelationExpr::Filter { input, .. }
            | MirRelationExpr::Project { input, .. } = below
            {
                below = *input;
            }
            apply(&mut below);
            *expr = with_mfp(below, tidy(mfp));
            return;
        }
        for child in expr.children_mut() {
            apply(child);
        }
        fuse(expr);
    });
}

fn is_mfp(expr: &MirRelationExpr) -> bool {
    matches!(
        expr,
        MirRelationExpr::Map { .. } | MirRelationExpr::Filter { .. } | MirRelationExpr::Project { .. }
    )
}

/// Replaces columns that are only other names or repetitions, and removes what nothing needs.
pub(crate) fn tidy(mut mfp: MapFilterProject) -> MapFilterProject {
    let arity = mfp.input_arity;
    let mut names: Vec<usize> = (0..arity).collect();
    for i in 0..mfp.expressions.len() {
        let mut e = mfp.expressions[i].clone();
        e.permute_map(|c| names[c]);
        let same = mfp.expressions[..i].iter().position(|other| *other == e && !e.contains_volatile());
        names.push(match (&e, same) {
            (MirScalarExpr::Column(c), _) => *c,
            (_, Some(at)) => arity + at,
            _ => arity + i,
        });
        mfp.expressions[i] = e;
    }
    let mut predicates: Vec<(usize, MirScalarExpr)> = vec![];
    for (position, mut p) in std::mem::take(&mut mfp.predicates) {
        p.permute_map(|c| names[c]);
        if !predicates.iter().any(|(_, other)| *other == p) {
            predicates.push((position, p));
        }
    }
    mfp.predicates = predicates;
    for c in &mut mfp.projection {
        *c = names[*c];
    }
    mfp.remove_unused();
    mfp
}

/// The chain of nodes that applies the map-filter-project: each predicate as soon as its columns are there.
pub(crate) fn with_mfp(input: MirRelationExpr, mfp: MapFilterProject) -> MirRelationExpr {
    let mut out = input;
    let mut next = 0;
    let mut predicates = mfp.predicates.into_iter().peekable();
    let total = mfp.expressions.len();
    while let Some((position, _)) = predicates.peek() {
        let position = *position;
        let upto = position - mfp.input_arity;
        out = out.map(mfp.expressions[next..upto].to_vec());
        next = upto;
        let mut now = vec![];
        while let Some((_, p)) = predicates.next_if(|(p, _)| *p == position) {
            now.push(p);
        }
        out = out.filter(now);
    }
    out = out.map(mfp.expressions[next..].to_vec());
    if mfp.projection.iter().copied().eq(0..mfp.input_arity + total) {
        return out;
    }
    out.project(mfp.projection)
}

fn fuse(expr: &mut MirRelationExpr) {
    match expr {
        MirRelationExpr::Union { inputs } => {
            if inputs.iter().any(|i| matches!(i, MirRelationExpr::Union { .. })) {
                let flat = std::mem::take(inputs).into_iter().flat_map(|i| match i {
                    MirRelationExpr::Union { inputs } => inputs,
                    other => vec![other],
                });
                *inputs = flat.collect();
            }
            if inputs.len() == 1 {
                *expr = inputs.remove(0);
            }
        }
        MirRelationExpr::Negate { input } => match &mut **input {
            MirRelationExpr::Negate { input } => *expr = take(input),
            MirRelationExpr::Union { inputs } => {
                let inputs = std::mem::take(inputs);
                let mut negated: Vec<_> = inputs.into_iter().map(MirRelationExpr::negate).collect();
                negated.iter_mut().for_each(fuse);
                *expr = MirRelationExpr::Union { inputs: negated };
            }
            _ => {}
        },
        MirRelationExpr::Threshold { input } if matches!(**input, MirRelationExpr::Threshold { .. }) => {
            *expr = take(input);
        }
        MirRelationExpr::Join { .. } => fuse_join(expr),
        _ => {}
    }
}

fn fuse_join(expr: &mut MirRelationExpr) {
    let MirRelationExpr::Join { inputs, equivalences, implementation } = expr else { return };
    let plain = |e: &MirRelationExpr| {
        matches!(e, MirRelationExpr::Join { implementation: JoinImplementation::Unimplemented, .. })
    };
    if *implementation == JoinImplementation::Unimplemented && inputs.iter().any(plain) {
        let mut offset = 0;
        let mut flat = vec![];
        for input in std::mem::take(inputs) {
            let arity = input.arity();
            match input {
                MirRelationExpr::Join {
                    inputs: inner,
                    equivalences: classes,
                    implementation: JoinImplementation::Unimplemented,
                } => {
                    equivalences.extend(classes.into_iter().map(|mut class| {
                        class.iter_mut().for_each(|e| e.permute_map(|c| c + offset));
                        class
                    }));
                    flat.extend(inner);
                }
                other => flat.push(other),
            }
            offset += arity;
        }
        *inputs = flat;
    }
    merge_classes(equivalences);
    if inputs.len() == 1 && equivalences.is_empty() {
        *expr = inputs.remove(0);
    }
}

/// Classes that share an expression become one; classes of one expression say nothing.
pub(crate) fn merge_classes(classes: &mut Vec<Vec<MirScalarExpr>>) {
    let mut out: Vec<Vec<MirScalarExpr>> = vec![];
    for class in std::mem::take(classes) {
        let (touching, apart): (Vec<_>, Vec<_>) =
            out.into_iter().partition(|c| c.iter().any(|e| class.contains(e)));
        out = apart;
        let mut merged = class;
        merged.extend(touching.into_iter().flatten());
        merged.sort();
        merged.dedup();
        out.push(merged);
    }
    out.retain(|c| c.len() > 1);
    out.sort();
    *classes = out;
}
