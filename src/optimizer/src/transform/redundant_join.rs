//! Join inputs that neither add nor remove rows.
//!
//! ```text
//! Join(a, Distinct(Project #0 (a))) on a.#0 = #n     Map #0 (a)
//! ```
//!
//! An input can go if each row of the others has exactly one partner in it: at most one, because the columns that it is
//! looked up by contain a key of it; at least one, because it holds the values of columns of some plan, without filter, and
//! another input's rows come from the same plan. Decorrelation makes such joins.

use std::collections::BTreeSet;

use hw_expr::{JoinImplementation, MirRelationExpr, MirScalarExpr};

use super::{substitute, take};
use crate::analysis::keys;

/// Where a plan's columns come from.
pub(crate) struct Origin<'a> {
    pub(crate) plan: &'a MirRelationExpr,
    /// For each column the column of `plan` whose values it has.
    pub(crate) columns: Vec<Option<usize>>,
    /// Whether all of `plan`'s rows are there (each combination of the columns at least once).
    pub(crate) exact: bool,
    /// Whether all are there but for those that these predicates, over `plan`'s columns, remove.
    pub(crate) filtered: Option<Vec<MirScalarExpr>>,
}

/// Plans deeper down are not compared.
const MAX_ORIGINS: usize = 24;

/// Applies the rule everywhere.
pub(crate) fn apply(expr: &mut MirRelationExpr) {
    // Plans that look the same would not be.
    if super::has_volatile(expr) {
        return;
    }
    super::rewrite_post(expr, &mut |e| {
        while let Some(next) = remove_one(e) {
            *e = next;
            let MirRelationExpr::Project { input, .. } = e else { break };
            let Some(inner) = remove_one(input) else { break };
            **input = inner;
        }
    });
}

pub(crate) fn origins(e: &MirRelationExpr) -> Vec<Origin<'_>> {
    let mut out = vec![Origin {
        plan: e,
        columns: (0..e.arity()).map(Some).collect(),
        exact: true,
        filtered: Some(vec![]),
    }];
    match e {
        MirRelationExpr::Project { input, outputs } => {
            out.extend(origins(input).into_iter().map(|mut o| {
                o.columns = outputs.iter().map(|c| o.columns[*c]).collect();
                o
            }));
        }
        MirRelationExpr::Map { input, scalars } => {
            out.extend(origins(input).into_iter().map(|mut o| {
                o.columns.extend(scalars.iter().map(|_| None));
                o
            }));
        }
        MirRelationExpr::ArrangeBy { input, .. } => out.extend(origins(input)),
        MirRelationExpr::Filter { input, predicates } => {
            out.extend(origins(input).into_iter().map(|mut o| {
                o.exact = false;
                let of_plan = |p: &MirScalarExpr| {
                    let known = p.support().iter().all(|c| o.columns[*c].is_some()) && !p.could_error();
                    known.then(|| substitute(p, &|c| MirScalarExpr::Column(o.columns[c].unwrap_or(c))))
                };
                let own: Option<Vec<_>> = predicates.iter().map(of_plan).collect();
                o.filtered = o.filtered.zip(own).map(|(before, own)| [before, own].concat());
                o
            }));
        }
        MirRelationExpr::TopK { input, .. } => {
            out.extend(origins(input).into_iter().map(|mut o| {
                o.exact = false;
                o.filtered = None;
                o
            }));
        }
        MirRelationExpr::Reduce { input, group_key, aggregates, .. } => {
            out.extend(origins(input).into_iter().map(|mut o| {
                let of = |k: &MirScalarExpr| match k {
                    MirScalarExpr::Column(c) => o.columns[*c],
                    _ => None,
                };
                o.columns = group_key.iter().map(of).chain(aggregates.iter().map(|_| None)).collect();
                o
            }));
        }
        MirRelationExpr::Join { inputs, .. } => {
            let arities: Vec<usize> = inputs.iter().map(MirRelationExpr::arity).collect();
            for (i, input) in inputs.iter().enumerate() {
                let before: usize = arities[..i].iter().sum();
                let after: usize = arities[i + 1..].iter().sum();
                out.extend(origins(input).into_iter().map(|mut o| {
                    let mut columns = vec![None; before];
                    columns.append(&mut o.columns);
                    columns.extend(vec![None; after]);
                    Origin { plan: o.plan, columns, exact: false, filtered: None }
                }));
            }
        }
        _ => {}
    }
    out.truncate(MAX_ORIGINS);
    out
}

fn remove_one(e: &mut MirRelationExpr) -> Option<MirRelationExpr> {
    let MirRelationExpr::Join { inputs, equivalences, implementation: JoinImplementation::Unimplemented } = e
    else {
        return None;
    };
    if inputs.len() < 2 {
        return None;
    }
    let mut offsets = vec![0];
    for input in inputs.iter() {
        offsets.push(offsets.last().copied().unwrap_or(0) + input.arity());
    }
    let (gone, replacement) = find(inputs, equivalences, &offsets)?;
    let (start, end) = (offsets[gone], offsets[gone + 1]);
    let width = end - start;
    let shift = |c: usize| if c >= end { c - width } else { c };
    let of = |c: usize| if (start..end).contains(&c) { shift(replacement[c - start]) } else { shift(c) };
    let mut classes: Vec<Vec<MirScalarExpr>> = equivalences
        .iter()
        .map(|class| class.iter().map(|e| substitute(e, &|c| MirScalarExpr::Column(of(c)))).collect())
        .collect();
    super::fusion::merge_classes(&mut classes);
    let total = offsets[inputs.len()];
    let mut rest: Vec<MirRelationExpr> = inputs.iter_mut().map(take).collect();
    rest.remove(gone);
    let joined = MirRelationExpr::join(rest, classes);
    Some(joined.project((0..total).map(of).collect()))
}

/// An input that can go, with the column among all that replaces each of its columns.
fn find(
    inputs: &[MirRelationExpr],
    classes: &[Vec<MirScalarExpr>],
    offsets: &[usize],
) -> Option<(usize, Vec<usize>)> {
    let all: Vec<Vec<Origin<'_>>> = inputs.iter().map(origins).collect();
    for gone in (0..inputs.len()).rev() {
        let unique = keys(&inputs[gone]);
        if unique.is_empty() {
            continue;
        }
        for other in (0..inputs.len()).filter(|o| *o != gone) {
            for mine in all[gone].iter().filter(|o| o.exact) {
                for theirs in all[other].iter().filter(|o| o.plan == mine.plan) {
                    let found = replacement(gone, other, mine, theirs, classes, offsets, &unique);
                    if let Some(columns) = found {
                        return Some((gone, columns));
                    }
                }
            }
        }
    }
    None
}

fn replacement(
    gone: usize,
    other: usize,
    mine: &Origin<'_>,
    theirs: &Origin<'_>,
    classes: &[Vec<MirScalarExpr>],
    offsets: &[usize],
    unique: &[Vec<usize>],
) -> Option<Vec<usize>> {
    let mut replaced = vec![];
    let mut equated = BTreeSet::new();
    for (c, origin) in mine.columns.iter().enumerate() {
        let column = MirScalarExpr::Column(offsets[gone] + c);
        let origin = (*origin)?;
        let matching = |d: &usize| theirs.columns[*d] == Some(origin);
        let classes: Vec<_> = classes.iter().filter(|class| class.contains(&column)).collect();
        let candidates = (0..theirs.columns.len()).filter(matching);
        // In each class that constrains the column, the other input's column of the same origin must be.
        let fits = |d: &usize| {
            classes.iter().all(|class| class.contains(&MirScalarExpr::Column(offsets[other] + d)))
        };
        let chosen = candidates.clone().find(fits)?;
        if !classes.is_empty() {
            equated.insert(c);
        }
        replaced.push(offsets[other] + chosen);
    }
    unique.iter().any(|k| k.iter().all(|c| equated.contains(c))).then_some(replaced)
}
