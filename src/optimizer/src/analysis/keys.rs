//! Unique keys: sets of columns whose values occur at most once, with multiplicity one.
//!
//! Keys of bindings are read off the types of their `Get`s, which [`crate::transform::normalize_lets`] keeps up to date.

use std::collections::BTreeSet;

use hw_expr::func::Role;
use hw_expr::{MirRelationExpr, MirScalarExpr};
use hw_repr::{Diff, Row};

/// At most so many keys are kept of a plan.
const MAX_KEYS: usize = 8;
/// Constants of more rows are not searched for keys.
const MAX_CONSTANT_ROWS: usize = 100;

type Keys = Vec<Vec<usize>>;

/// The keys that are known, smallest sets only.
pub(crate) fn keys(expr: &MirRelationExpr) -> Keys {
    stacker::maybe_grow(64 << 10, 1 << 20, || minimal(derive(expr)))
}

fn minimal(found: Keys) -> Keys {
    let mut sets: Vec<BTreeSet<usize>> = found.into_iter().map(|k| k.into_iter().collect()).collect();
    sets.sort_by_key(BTreeSet::len);
    let mut out: Vec<BTreeSet<usize>> = vec![];
    for set in sets {
        if out.len() < MAX_KEYS && !out.iter().any(|k| k.is_subset(&set)) {
            out.push(set);
        }
    }
    out.into_iter().map(|k| k.into_iter().collect()).collect()
}

fn derive(expr: &MirRelationExpr) -> Keys {
    match expr {
        MirRelationExpr::Constant { rows: Ok(rows), typ } => constant(rows, typ.arity()),
        MirRelationExpr::Constant { rows: Err(_), .. } => vec![vec![]],
        MirRelationExpr::Get { typ, .. } => typ.keys.clone(),
        MirRelationExpr::Let { body, .. } | MirRelationExpr::LetRec { body, .. } => keys(body),
        MirRelationExpr::Project { input, outputs } => project(keys(input), outputs),
        MirRelationExpr::Map { input, .. }
        | MirRelationExpr::Threshold { input }
        | MirRelationExpr::ArrangeBy { input, .. } => keys(input),
        MirRelationExpr::Filter { input, predicates } => {
            let fixed: BTreeSet<usize> = predicates.iter().filter_map(fixed_column).collect();
            let without = |k: Vec<usize>| k.into_iter().filter(|c| !fixed.contains(c)).collect();
            keys(input).into_iter().map(without).collect()
        }
        MirRelationExpr::Join { inputs, equivalences, .. } => join(inputs, equivalences),
        MirRelationExpr::Reduce { input, group_key, .. } => {
            let mut out = vec![(0..group_key.len()).collect()];
            let at = |c: &usize| group_key.iter().position(|k| *k == MirScalarExpr::Column(*c));
            out.extend(keys(input).iter().filter_map(|k| k.iter().map(at).collect::<Option<Vec<_>>>()));
            out
        }
        MirRelationExpr::TopK { input, group_key, limit, .. } => {
            let mut out = keys(input);
            if limit.as_ref().and_then(MirScalarExpr::as_literal) == Some(hw_repr::Datum::Int64(1)) {
                out.push(group_key.clone());
            }
            out
        }
        MirRelationExpr::FlatMap { .. } | MirRelationExpr::Negate { .. } | MirRelationExpr::Union { .. } => {
            vec![]
        }
    }
}

fn constant(rows: &[(Row, Diff)], arity: usize) -> Keys {
    if rows.iter().any(|(_, diff)| *diff != 1) || rows.len() > MAX_CONSTANT_ROWS {
        return vec![];
    }
    if rows.len() <= 1 {
        return vec![vec![]];
    }
    let unique = |c: &usize| {
        let mut seen = BTreeSet::new();
        rows.iter().all(|(row, _)| row.iter().nth(*c).is_some_and(|d| seen.insert(Row::pack_slice(&[d]))))
    };
    (0..arity).filter(unique).map(|c| vec![c]).collect()
}

fn project(keys: Keys, outputs: &[usize]) -> Keys {
    let at = |c: &usize| outputs.iter().position(|o| o == c);
    keys.iter().filter_map(|k| k.iter().map(at).collect::<Option<Vec<_>>>()).collect()
}

/// The column that the predicate fixes to one value of bytes.
fn fixed_column(predicate: &MirScalarExpr) -> Option<usize> {
    match predicate {
        MirScalarExpr::IsNull(e) => match **e {
            MirScalarExpr::Column(c) => Some(c),
            _ => None,
        },
        MirScalarExpr::Call { func, args } if func.role() == Some(Role::Eq) => match args.as_slice() {
            [MirScalarExpr::Column(c), literal] | [literal, MirScalarExpr::Column(c)]
                if literal.is_literal_ok() && hw_expr::scalar::is_canonical(&func.types().args[0]) =>
            {
                Some(*c)
            }
            _ => None,
        },
        _ => None,
    }
}

/// Keys of a join: inputs that are looked up by a key of theirs add no rows; the keys of the others together are a key.
fn join(inputs: &[MirRelationExpr], equivalences: &[Vec<MirScalarExpr>]) -> Keys {
    let input_keys: Vec<Keys> = inputs.iter().map(keys).collect();
    if input_keys.iter().any(Vec::is_empty) {
        return vec![];
    }
    let mut offsets = vec![0];
    for input in inputs {
        offsets.push(offsets.last().copied().unwrap_or(0) + input.arity());
    }
    (0..inputs.len()).flat_map(|first| join_from(first, &input_keys, &offsets, equivalences)).collect()
}

fn join_from(
    first: usize,
    input_keys: &[Keys],
    offsets: &[usize],
    equivalences: &[Vec<MirScalarExpr>],
) -> Keys {
    let mut roots = vec![first];
    let mut have: BTreeSet<usize> = (offsets[first]..offsets[first + 1]).collect();
    let mut done = BTreeSet::from([first]);
    while done.len() < input_keys.len() {
        let determined = |c: &usize, i: usize, have: &BTreeSet<usize>| {
            let column = MirScalarExpr::Column(offsets[i] + c);
            equivalences.iter().any(|class| {
                class.contains(&column) && class.iter().any(|e| e.support().iter().all(|s| have.contains(s)))
            })
        };
        let next = (0..input_keys.len())
            .filter(|i| !done.contains(i))
            .find(|i| input_keys[*i].iter().any(|key| key.iter().all(|c| determined(c, *i, &have))));
        let next = match next {
            Some(i) => i,
            None => {
                let Some(i) = (0..input_keys.len()).find(|i| !done.contains(i)) else { break };
                roots.push(i);
                i
            }
        };
        have.extend(offsets[next]..offsets[next + 1]);
        done.insert(next);
    }
    let mut out: Keys = vec![vec![]];
    for root in roots {
        let shifted = |k: &Vec<usize>| k.iter().map(|c| c + offsets[root]).collect::<Vec<_>>();
        out = out
            .iter()
            .flat_map(|prefix| input_keys[root].iter().map(|k| [prefix.clone(), shifted(k)].concat()))
            .take(MAX_KEYS)
            .collect();
    }
    out
}
