//! Of expressions that are known to be equal, one is used everywhere: a literal, or the first column.
//!
//! ```text
//! Project #1, #3 (Join(a, b) on #0 = #3)          Project #1, #0 (Join(a, b) on #0 = #3)
//! Filter #0 = #1 (Join(a, b) on #0 = #1)          Filter (#0) IS NOT NULL (Join(a, b) on #0 = #1)
//! Map coalesce(#0, #1) (Filter #0 = 5 (a))        Map 5 (Filter #0 = 5 (a))
//! Filter #0 = 5 AND #1 = #0 (a)                   Filter #0 = 5 AND #1 = 5 (a)
//! Filter (#0) IS NOT NULL AND #0 = 5 (a)          Filter #0 = 5 (a)
//! ```
//!
//! Columns that are not asked for any more need not be produced, and predicates that are known already disappear. What may
//! fail stays as it is: in another form it could be evaluated earlier.

use std::collections::{BTreeMap, BTreeSet};

use hw_expr::func::Role;
use hw_expr::{LocalId, MirRelationExpr, MirScalarExpr};
use hw_repr::ColumnType;

use crate::analysis::equivalences::{Classes, derive, equality, merge};

/// Applies the rule everywhere.
pub(crate) fn apply(expr: &mut MirRelationExpr) {
    propagate(expr, &mut BTreeMap::new());
}

/// Rewrites the plan and all below it; returns what is known of its rows.
fn propagate(e: &mut MirRelationExpr, bindings: &mut BTreeMap<LocalId, Classes>) -> Classes {
    stacker::maybe_grow(64 << 10, 1 << 20, || {
        if let MirRelationExpr::Let { id, value, body } = e {
            let known = propagate(value, bindings);
            bindings.insert(*id, known);
            return propagate(body, bindings);
        }
        let inputs: Vec<Classes> = e.children_mut().into_iter().map(|c| propagate(c, bindings)).collect();
        if matches!(e, MirRelationExpr::Filter { .. }) || inputs.iter().any(|known| !known.is_empty()) {
            rewrite(e, &inputs);
        }
        derive(e, inputs, bindings)
    })
}

fn rewrite(e: &mut MirRelationExpr, inputs: &[Classes]) {
    match e {
        MirRelationExpr::Project { input, outputs } => {
            let types = input.column_types();
            for c in outputs {
                if let Some(MirScalarExpr::Column(d)) =
                    representative(&MirScalarExpr::Column(*c), &inputs[0], &types)
                {
                    *c = d;
                }
            }
        }
        MirRelationExpr::Map { input, scalars } => {
            let mut types = input.column_types();
            for s in scalars {
                replace(s, &inputs[0], &types);
                types.push(s.typ(&types));
            }
        }
        MirRelationExpr::Filter { input, predicates } => {
            let types = input.column_types();
            *predicates = filter(std::mem::take(predicates), &inputs[0], &types);
        }
        MirRelationExpr::FlatMap { input, exprs, .. } => {
            let types = input.column_types();
            exprs.iter_mut().for_each(|e| replace(e, &inputs[0], &types));
        }
        MirRelationExpr::Reduce { input, group_key, aggregates, .. } => {
            let types = input.column_types();
            group_key.iter_mut().for_each(|k| replace(k, &inputs[0], &types));
            for a in aggregates {
                a.args.iter_mut().chain(&mut a.filter).for_each(|e| replace(e, &inputs[0], &types));
            }
        }
        MirRelationExpr::TopK { input, group_key, order_key, .. } => {
            let types = input.column_types();
            let first = |c: &mut usize| {
                if let Some(MirScalarExpr::Column(d)) =
                    representative(&MirScalarExpr::Column(*c), &inputs[0], &types)
                {
                    *c = d;
                }
            };
            group_key.iter_mut().for_each(first);
            order_key.iter_mut().for_each(|o| first(&mut o.column));
        }
        _ => {}
    }
}

/// Rewrites predicates, each by what the input and those before it say; the ones that say nothing new disappear.
fn filter(mut predicates: Vec<MirScalarExpr>, input: &Classes, types: &[ColumnType]) -> Vec<MirScalarExpr> {
    // Equalities with literals say most.
    predicates.sort_by_key(|p| match equality(p) {
        Some(sides) if sides.iter().any(MirScalarExpr::is_literal_ok) => 0,
        Some(_) => 1,
        None => 2,
    });
    let mut known = input.clone();
    let mut out: Vec<MirScalarExpr> = vec![];
    for mut p in predicates {
        replace(&mut p, &known, types);
        if let MirScalarExpr::Call { func, args } = &p
            && func.role() == Some(Role::Eq)
            && args[0] == args[1]
            && !p.could_error()
        {
            p = args[0].clone().is_null().not();
        }
        if let Some(class) = equality(&p) {
            known.push(class);
            merge(&mut known);
        }
        if !out.contains(&p) {
            out.push(p);
        }
    }
    // What may fail still needs the test before it.
    let rejects = |p: &MirScalarExpr| match p.could_error() {
        true => BTreeSet::new(),
        false => p.columns_not_null_where_true(),
    };
    let rejects: Vec<BTreeSet<usize>> = out.iter().map(rejects).collect();
    let mut i = 0;
    out.retain(|p| {
        i += 1;
        let elsewhere =
            |c: &usize| rejects.iter().enumerate().any(|(j, other)| j != i - 1 && other.contains(c));
        !matches!(not_null_column(p), Some(c) if elsewhere(&c))
    });
    out
}

/// The column of which the predicate says only that it is not NULL.
fn not_null_column(p: &MirScalarExpr) -> Option<usize> {
    let MirScalarExpr::Not(e) = p else { return None };
    let MirScalarExpr::IsNull(e) = &**e else { return None };
    match **e {
        MirScalarExpr::Column(c) => Some(c),
        _ => None,
    }
}

/// Replaces all parts of an expression for which there is something simpler.
fn replace(e: &mut MirScalarExpr, known: &Classes, types: &[ColumnType]) {
    if known.is_empty() || e.could_error() {
        return;
    }
    e.visit_mut_pre(&mut |part| match representative(part, known, types) {
        Some(simpler) => {
            *part = simpler;
            false
        }
        None => true,
    });
}

/// How simple an expression is; simpler is less.
fn simplicity(e: &MirScalarExpr) -> (u8, usize) {
    match e {
        MirScalarExpr::Literal(..) => (0, 0),
        MirScalarExpr::Column(c) => (1, *c),
        _ => (2, 0),
    }
}

/// What to use in place of an expression: a literal or a column that is simpler and of the same type.
fn representative(e: &MirScalarExpr, known: &Classes, types: &[ColumnType]) -> Option<MirScalarExpr> {
    if matches!(e, MirScalarExpr::Literal(..)) {
        return None;
    }
    let class = known.iter().find(|class| class.contains(e))?;
    let simplest = class.iter().min_by_key(|e| simplicity(e))?;
    let simpler = simplicity(simplest) < simplicity(e) && simplicity(simplest).0 < 2;
    (simpler && simplest.typ(types).scalar_type == e.typ(types).scalar_type).then(|| simplest.clone())
}
