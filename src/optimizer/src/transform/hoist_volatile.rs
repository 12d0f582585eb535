//! Expressions that call volatile functions are computed in one place, once for each row.
//!
//! ```text
//! Map random() (a)                 FlatMap value_once(random()) (a)
//! Filter #0 < random() (a)         Project (Filter #1 (FlatMap value_once(#0 < random()) (a)))
//! Reduce by random() (a)           Reduce by #1 (FlatMap value_once(random()) (a))
//! ```
//!
//! The other transforms move expressions about, write them out where their columns are used, and apply one predicate to
//! several inputs, all of which need an expression to have the same value for the same row each time. They do none of it with
//! the arguments of table functions, whose input the lowering to LIR consolidates.
//!
//! What is computed over constants alone, without being filtered or joined, stays as it is: it is computed once.

use hw_expr::{MirRelationExpr, MirScalarExpr, TableFunc};

use super::take;

/// Applies the rule everywhere.
pub(crate) fn apply(expr: &mut MirRelationExpr) {
    if computes_constants(expr) {
        return;
    }
    super::rewrite_post(expr, &mut |e| {
        if e.scalars_mut().into_iter().any(|s| s.contains_volatile())
            && let Some(next) = hoist(e)
        {
            *e = next;
        }
    });
}

/// Whether there are only constants below maps.
fn computes_constants(expr: &MirRelationExpr) -> bool {
    let mut at = expr;
    while let MirRelationExpr::Map { input, .. } | MirRelationExpr::Project { input, .. } = at {
        at = input;
    }
    matches!(at, MirRelationExpr::Constant { .. })
}

fn hoist(e: &mut MirRelationExpr) -> Option<MirRelationExpr> {
    match e {
        MirRelationExpr::Map { input, scalars } => Some(hoist_map(take(input), std::mem::take(scalars))),
        MirRelationExpr::Filter { input, predicates } => {
            let arity = input.arity();
            let (volatile, plain): (Vec<_>, Vec<_>) =
                std::mem::take(predicates).into_iter().partition(MirScalarExpr::contains_volatile);
            let mut below = take(input).filter(plain);
            let columns = volatile.into_iter().map(|p| once(&mut below, p)).collect();
            Some(below.filter(columns).project((0..arity).collect()))
        }
        MirRelationExpr::FlatMap { input, exprs, .. } => {
            let arity = input.arity();
            let mut below = take(input);
            exprs.iter_mut().for_each(|e| hoist_into(&mut below, e));
            let hoisted = below.arity();
            **input = below;
            let total = e.arity();
            Some(take(e).project((0..arity).chain(hoisted..total).collect()))
        }
        MirRelationExpr::Reduce { input, group_key, aggregates, .. } => {
            let mut below = take(input);
            let args = aggregates.iter_mut().flat_map(|a| a.args.iter_mut().chain(&mut a.filter));
            group_key.iter_mut().chain(args).for_each(|e| hoist_into(&mut below, e));
            **input = below;
            None
        }
        // Joins have no such expressions yet; a limit is computed for a whole group.
        _ => None,
    }
}

/// Each expression gives one column either way, so that columns stay where they are.
fn hoist_map(input: MirRelationExpr, scalars: Vec<MirScalarExpr>) -> MirRelationExpr {
    let mut out = input;
    for s in scalars {
        if s.contains_volatile() {
            once(&mut out, s);
        } else {
            out = out.map(vec![s]);
        }
    }
    out
}

/// Replaces a volatile expression by a column of `below`.
fn hoist_into(below: &mut MirRelationExpr, e: &mut MirScalarExpr) {
    if e.contains_volatile() {
        *e = once(below, e.clone());
    }
}

/// Adds an expression to a plan as a column.
fn once(below: &mut MirRelationExpr, e: MirScalarExpr) -> MirScalarExpr {
    let types = below.column_types();
    let func = TableFunc::value_once(e.typ(&types).scalar_type);
    let input = Box::new(take(below));
    *below = MirRelationExpr::FlatMap { input, func, exprs: vec![e] };
    MirScalarExpr::Column(types.len())
}
