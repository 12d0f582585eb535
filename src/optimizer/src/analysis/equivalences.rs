//! What a plan's rows are known to have equal: classes of expressions whose values have the same bytes in every row.
//!
//! ```text
//! Map #0 + 1 (a)                 #n = #0 + 1
//! Filter #0 = #1 (a)             #0 = #1, for types whose equality is that of bytes
//! Join(a, b) on #0 = #2          #0 = #2, and what is known of a and of b
//! Union(a, b)                    what is known of both
//! ```

use std::collections::BTreeMap;

use hw_expr::func::{Role, Volatility};
use hw_expr::scalar::is_canonical;
use hw_expr::{Id, LocalId, MirRelationExpr, MirScalarExpr};

/// Expressions larger than this are not kept.
const MAX_SIZE: usize = 16;
/// No more than so many expressions are kept of a plan.
const MAX_MEMBERS: usize = 64;

/// Classes of equal expressions over a plan's columns.
pub(crate) type Classes = Vec<Vec<MirScalarExpr>>;

/// The classes of an operator's result, given those of its inputs.
pub(crate) fn derive(
    expr: &MirRelationExpr,
    mut inputs: Vec<Classes>,
    bindings: &BTreeMap<LocalId, Classes>,
) -> Classes {
    let mut first = || if inputs.is_empty() { vec![] } else { std::mem::take(&mut inputs[0]) };
    let mut out = match expr {
        MirRelationExpr::Constant { .. } => vec![],
        MirRelationExpr::Get { id: Id::Local(id), .. } => bindings.get(id).cloned().unwrap_or_default(),
        MirRelationExpr::Get { .. } => vec![],
        MirRelationExpr::Let { .. } | MirRelationExpr::LetRec { .. } => inputs.pop().unwrap_or_default(),
        MirRelationExpr::Project { outputs, .. } => project(first(), outputs),
        MirRelationExpr::Map { input, scalars } => {
            let mut out = first();
            let arity = input.arity();
            for (i, s) in scalars.iter().enumerate() {
                if out.len() < MAX_MEMBERS && keeps(s) {
                    out.push(vec![MirScalarExpr::Column(arity + i), s.clone()]);
                }
            }
            out
        }
        MirRelationExpr::Filter { predicates, .. } => {
            let mut out = first();
            out.extend(predicates.iter().filter_map(equality));
            out
        }
        MirRelationExpr::Join { inputs: plans, equivalences, .. } => {
            let mut out: Classes = equivalences.clone();
            let mut offset = 0;
            for (classes, plan) in inputs.into_iter().zip(plans) {
                out.extend(classes.into_iter().map(|mut class| {
                    class.iter_mut().for_each(|e| e.permute_map(|c| c + offset));
                    class
                }));
                offset += plan.arity();
            }
            out.iter_mut().for_each(|class| class.retain(keeps));
            out
        }
        MirRelationExpr::Reduce { group_key, .. } => reduce(first(), group_key),
        MirRelationExpr::Union { .. } => inputs.into_iter().reduce(|a, b| common(&a, &b)).unwrap_or_default(),
        _ => first(),
    };
    merge(&mut out);
    out
}

/// Whether the expression may be put in place of another, or be replaced.
fn keeps(e: &MirScalarExpr) -> bool {
    let mut size = 0;
    let mut plain = true;
    e.visit_post(&mut |e| {
        size += 1;
        plain &= match e {
            MirScalarExpr::Call { func, .. } => func.def().volatility != Volatility::Volatile,
            MirScalarExpr::Unmaterializable(_) => false,
            _ => true,
        };
    });
    plain && size <= MAX_SIZE && !e.could_error()
}

/// The sides of an equality that holds only between values with the same bytes.
pub(crate) fn equality(p: &MirScalarExpr) -> Option<Vec<MirScalarExpr>> {
    let MirScalarExpr::Call { func, args } = p else { return None };
    let types = &func.types().args;
    let exact = types.iter().all(is_canonical) && types.windows(2).all(|t| t[0] == t[1]);
    (func.role() == Some(Role::Eq) && exact && args.iter().all(keeps)).then(|| args.clone())
}

/// Classes that share a member become one.
pub(crate) fn merge(classes: &mut Classes) {
    crate::transform::fusion::merge_classes(classes);
    let mut left = MAX_MEMBERS;
    classes.retain(|class| {
        let fits = class.len() <= left;
        left = left.saturating_sub(class.len());
        fits
    });
}

fn project(classes: Classes, outputs: &[usize]) -> Classes {
    let mut places: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (i, c) in outputs.iter().enumerate() {
        places.entry(*c).or_default().push(i);
    }
    let moved = |e: &MirScalarExpr| {
        let mut e = e.clone();
        let there = e.support().iter().all(|c| places.contains_key(c));
        there.then(|| {
            e.permute_map(|c| places[&c][0]);
            e
        })
    };
    let mut out: Classes =
        classes.iter().map(|class| class.iter().filter_map(moved).collect::<Vec<_>>()).collect();
    out.extend(
        places
            .values()
            .filter(|p| p.len() > 1)
            .map(|p| p.iter().copied().map(MirScalarExpr::Column).collect()),
    );
    out
}

/// What is known of the key: members that are keys, or use only columns that are.
fn reduce(classes: Classes, group_key: &[MirScalarExpr]) -> Classes {
    let at = |e: &MirScalarExpr| group_key.iter().position(|k| k == e);
    let moved = |e: &MirScalarExpr| {
        if let Some(i) = at(e) {
            return Some(MirScalarExpr::Column(i));
        }
        let support = e.support();
        support.iter().all(|c| at(&MirScalarExpr::Column(*c)).is_some()).then(|| {
            let mut e = e.clone();
            e.permute_map(|c| at(&MirScalarExpr::Column(c)).unwrap_or(c));
            e
        })
    };
    let mut out: Classes =
        classes.iter().map(|class| class.iter().filter_map(moved).collect::<Vec<_>>()).collect();
    for (i, key) in group_key.iter().enumerate() {
        if key.is_literal_ok() {
            out.push(vec![MirScalarExpr::Column(i), key.clone()]);
        }
    }
    out
}

/// What both know.
fn common(a: &Classes, b: &Classes) -> Classes {
    let mut out = vec![];
    for class in a {
        let mut left = class.clone();
        while let Some(e) = left.pop() {
            let Some(other) = b.iter().find(|other| other.contains(&e)) else { continue };
            let (mut same, apart): (Vec<_>, Vec<_>) = left.into_iter().partition(|x| other.contains(x));
            left = apart;
            same.push(e);
            out.push(same);
        }
    }
    out
}
