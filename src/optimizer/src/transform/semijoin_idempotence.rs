//! A semijoin with keys that were semijoined themselves needs to be done once.
//!
//! ```text
//! Join(a, Distinct k (Join(Distinct k (a), b) on k)) on k     Join(a, Distinct k (b)) on k
//! ```
//!
//! What the inner `a` is filtered by is kept, said of the keys. The keys are those of `a`'s rows that have a partner in `b`. That they are `a`'s is known already, as they are joined with
//! `a`: what is left is that `b` has them. Decorrelation makes such plans of EXISTS.
//!
//! Invariant: every column of the distinct plan is joined with the column of `a` whose value it is, and `a` is joined
//! with `b` on nothing else.

use hw_expr::{JoinImplementation, MirRelationExpr, MirScalarExpr};

use super::redundant_join::{Origin, origins};
use super::{substitute, take};

/// Applies the rule everywhere.
pub(crate) fn apply(expr: &mut MirRelationExpr) {
    // Plans that look the same would not be.
    if super::has_volatile(expr) {
        return;
    }
    super::rewrite_post(expr, &mut |e| {
        let MirRelationExpr::Join { inputs, implementation: JoinImplementation::Unimplemented, .. } = e
        else {
            return;
        };
        for at in 0..inputs.len() {
            if let Some(next) = simplified(e, at)
                && let MirRelationExpr::Join { inputs, .. } = e
            {
                inputs[at] = next;
            }
        }
    });
}

/// A reduction without aggregates over a join: the kept columns of the join, and the join.
struct Keys<'a> {
    outputs: Vec<MirScalarExpr>,
    inputs: &'a [MirRelationExpr],
    classes: &'a [Vec<MirScalarExpr>],
}

impl Keys<'_> {
    /// An output that has the value of a column of the join, itself or through a class.
    fn output_of(&self, c: usize) -> Option<usize> {
        let column = MirScalarExpr::Column(c);
        self.outputs.iter().position(|o| {
            *o == column || self.classes.iter().any(|class| class.contains(o) && class.contains(&column))
        })
    }
}

fn keys_of_join(e: &MirRelationExpr) -> Option<Keys<'_>> {
    let MirRelationExpr::Reduce { input, group_key, aggregates, .. } = e else { return None };
    if !aggregates.is_empty() {
        return None;
    }
    let mut outputs = group_key.clone();
    let mut below = &**input;
    while let MirRelationExpr::Project { input, outputs: picked } = below {
        outputs.iter_mut().for_each(|k| k.permute_map(|c| picked[c]));
        below = input;
    }
    match below {
        MirRelationExpr::Join { inputs, equivalences, implementation: JoinImplementation::Unimplemented }
            if inputs.len() > 1 =>
        {
            Some(Keys { outputs, inputs, classes: equivalences })
        }
        _ => None,
    }
}

fn simplified(e: &MirRelationExpr, at: usize) -> Option<MirRelationExpr> {
    let MirRelationExpr::Join { inputs, equivalences, .. } = e else { return None };
    let keys = keys_of_join(&inputs[at])?;
    let start: usize = inputs[..at].iter().map(MirRelationExpr::arity).sum();
    let mut offset = 0;
    for (o, outer) in inputs.iter().enumerate() {
        if o != at {
            for theirs in origins(outer) {
                for gone in 0..keys.inputs.len() {
                    for mine in origins(&keys.inputs[gone]) {
                        if let Some(predicates) = &mine.filtered
                            && mine.plan == theirs.plan
                            && tied(&keys, gone, &mine, &theirs, equivalences, start, offset)
                            && let Some(kept) = over_outputs(&keys, gone, &mine, predicates)
                            && let Some(next) = without(&keys, gone)
                        {
                            return Some(next.filter(kept));
                        }
                    }
                }
            }
        }
        offset += outer.arity();
    }
    None
}

/// What the input `gone` is filtered by, said of the columns that are kept.
fn over_outputs(
    keys: &Keys<'_>,
    gone: usize,
    mine: &Origin<'_>,
    predicates: &[MirScalarExpr],
) -> Option<Vec<MirScalarExpr>> {
    let first: usize = keys.inputs[..gone].iter().map(MirRelationExpr::arity).sum();
    let output_of = |origin: usize| {
        let at = mine.columns.iter().position(|c| *c == Some(origin))?;
        keys.output_of(first + at)
    };
    let moved = |p: &MirScalarExpr| {
        let known = p.support().iter().all(|c| output_of(*c).is_some());
        known.then(|| substitute(p, &|c| MirScalarExpr::Column(output_of(c).unwrap_or(c))))
    };
    predicates.iter().map(moved).collect()
}

/// Whether each kept column of the input `gone`, and each by which it is joined, is joined outside with the column of the same origin.
fn tied(
    keys: &Keys<'_>,
    gone: usize,
    mine: &Origin<'_>,
    theirs: &Origin<'_>,
    outside: &[Vec<MirScalarExpr>],
    start: usize,
    outer_start: usize,
) -> bool {
    let first: usize = keys.inputs[..gone].iter().map(MirRelationExpr::arity).sum();
    let range = first..first + keys.inputs[gone].arity();
    let same_origin = |c: usize, output: usize| {
        let Some(origin) = mine.columns[c - first] else { return false };
        let joined = MirScalarExpr::Column(start + output);
        outside.iter().filter(|class| class.contains(&joined)).any(|class| {
            theirs.columns.iter().enumerate().any(|(d, other)| {
                *other == Some(origin) && class.contains(&MirScalarExpr::Column(outer_start + d))
            })
        })
    };
    let mut any = false;
    for e in keys.classes.iter().flatten().chain(&keys.outputs) {
        let support = e.support();
        if !support.iter().any(|c| range.contains(c)) {
            continue;
        }
        any = true;
        let MirScalarExpr::Column(c) = e else { return false };
        if !keys.output_of(*c).is_some_and(|output| same_origin(*c, output)) {
            return false;
        }
    }
    any
}

/// The distinct plan without one input of its join, if the others have all that is kept.
fn without(keys: &Keys<'_>, gone: usize) -> Option<MirRelationExpr> {
    let first: usize = keys.inputs[..gone].iter().map(MirRelationExpr::arity).sum();
    let width = keys.inputs[gone].arity();
    let range = first..first + width;
    let own = |e: &MirScalarExpr| e.support().iter().any(|c| range.contains(c));
    let shifted = |e: &MirScalarExpr| {
        substitute(e, &|c| MirScalarExpr::Column(if c >= range.end { c - width } else { c }))
    };
    let instead = |e: &MirScalarExpr| {
        if !own(e) {
            return Some(shifted(e));
        }
        let class = keys.classes.iter().find(|class| class.contains(e))?;
        class.iter().find(|other| !own(other) && !other.support().is_empty()).map(shifted)
    };
    // What may fail would be evaluated for rows without a partner too.
    if keys.outputs.iter().chain(keys.classes.iter().flatten()).any(MirScalarExpr::could_error) {
        return None;
    }
    let outputs = keys.outputs.iter().map(instead).collect::<Option<Vec<_>>>()?;
    let mut classes: Vec<Vec<MirScalarExpr>> =
        keys.classes.iter().map(|class| class.iter().filter(|e| !own(e)).map(shifted).collect()).collect();
    super::fusion::merge_classes(&mut classes);
    let mut rest: Vec<MirRelationExpr> = keys.inputs.to_vec();
    let _ = take(&mut rest[gone]);
    rest.remove(gone);
    let joined = if rest.len() == 1 && classes.is_empty() {
        rest.remove(0)
    } else {
        MirRelationExpr::join(rest, classes)
    };
    Some(joined.reduce(outputs, vec![]))
}
