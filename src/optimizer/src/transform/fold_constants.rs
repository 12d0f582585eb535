//! Constant folding: scalars are simplified, nodes over constants evaluated, empty inputs spread upwards.
//!
//! ```text
//! Filter 1 = 2 (a)          Constant <empty>
//! Map #0 + 1 (Constant 1)   Constant (1, 2)
//! Join(a, <empty>)          Constant <empty>
//! Union(a, <empty>)         a
//! ```

use hw_expr::{MirRelationExpr, MirScalarExpr};
use hw_repr::{ColumnType, RelationType};

use super::eval::{consolidated, eval_node};

/// Results of more rows are left to be computed at run time.
const MAX_ROWS: usize = 10_000;

/// Applies the rule everywhere.
pub(crate) fn apply(expr: &mut MirRelationExpr) {
    super::rewrite_post(expr, &mut |e| {
        simplify_scalars(e);
        fold(e);
    });
}

fn simplify_scalars(e: &mut MirRelationExpr) {
    match e {
        MirRelationExpr::Map { input, scalars } => {
            let mut types = input.column_types();
            for s in scalars {
                reduce(s, &types);
                types.push(s.typ(&types));
            }
        }
        MirRelationExpr::Filter { input, predicates } => {
            let types = input.column_types();
            let mut out = vec![];
            for mut p in std::mem::take(predicates) {
                reduce(&mut p, &types);
                flatten(p, &mut out);
            }
            let mut seen: Vec<MirScalarExpr> = vec![];
            for p in out {
                if !p.is_literal_true() && !seen.contains(&p) {
                    seen.push(p);
                }
            }
            seen.sort_by_key(MirScalarExpr::could_error);
            *predicates = seen;
        }
        MirRelationExpr::FlatMap { input, exprs, .. } => {
            let types = input.column_types();
            exprs.iter_mut().for_each(|e| reduce(e, &types));
        }
        MirRelationExpr::Join { inputs, equivalences, .. } => {
            let types: Vec<ColumnType> = inputs.iter().flat_map(|i| i.column_types()).collect();
            equivalences.iter_mut().flatten().for_each(|e| reduce(e, &types));
            super::fusion::merge_classes(equivalences);
        }
        MirRelationExpr::Reduce { input, group_key, aggregates, .. } => {
            let types = input.column_types();
            group_key.iter_mut().for_each(|k| reduce(k, &types));
            for a in aggregates {
                a.args.iter_mut().for_each(|e| reduce(e, &types));
                if let Some(f) = &mut a.filter {
                    reduce(f, &types);
                    if f.is_literal_true() {
                        a.filter = None;
                    }
                }
            }
        }
        MirRelationExpr::TopK { input, limit: Some(limit), .. } => reduce(limit, &input.column_types()),
        _ => {}
    }
}

/// Simplifies, keeping the declared type of literals, so that types of columns do not change.
fn reduce(e: &mut MirScalarExpr, types: &[ColumnType]) {
    e.reduce(types);
}

/// Takes a conjunction apart. Operands that may fail stay together: if one of them is false, it does not matter that another fails.
fn flatten(p: MirScalarExpr, out: &mut Vec<MirScalarExpr>) {
    match p {
        MirScalarExpr::And(v) => {
            let (mut risky, safe): (Vec<_>, Vec<_>) = v.into_iter().partition(MirScalarExpr::could_error);
            safe.into_iter().for_each(|p| flatten(p, out));
            match risky.len() {
                0 => {}
                1 => flatten(risky.remove(0), out),
                _ => out.push(MirScalarExpr::And(risky)),
            }
        }
        other => out.push(other),
    }
}

fn empty_like(e: &MirRelationExpr) -> MirRelationExpr {
    MirRelationExpr::empty(RelationType::new(e.column_types()))
}

fn is_empty(e: &MirRelationExpr) -> bool {
    matches!(e, MirRelationExpr::Constant { rows: Ok(rows), .. } if rows.is_empty())
}

fn fold(e: &mut MirRelationExpr) {
    match e {
        MirRelationExpr::Filter { input, predicates } => {
            if predicates.iter().any(|p| p.is_literal_false() || p.is_literal_null()) {
                *e = empty_like(e);
                return;
            }
            if predicates.is_empty() {
                *e = super::take(input);
                return;
            }
        }
        // A strict table function of NULL has no rows.
        MirRelationExpr::FlatMap { func, exprs, .. }
            if func.def().strict && exprs.iter().any(MirScalarExpr::is_literal_null) =>
        {
            *e = empty_like(e);
            return;
        }
        MirRelationExpr::Union { inputs } => {
            if inputs.iter().any(is_empty) {
                let typ = RelationType::new(e.column_types());
                let MirRelationExpr::Union { inputs } = e else { return };
                inputs.retain(|i| !is_empty(i));
                match inputs.len() {
                    0 => *e = MirRelationExpr::empty(typ),
                    1 => *e = inputs.remove(0),
                    _ => {}
                }
                return;
            }
        }
        MirRelationExpr::Constant { rows: Ok(rows), .. } => {
            *rows = consolidated(std::mem::take(rows));
            return;
        }
        _ => {}
    }
    let children = e.children();
    let bindings = matches!(e, MirRelationExpr::Let { .. } | MirRelationExpr::LetRec { .. });
    if children.is_empty() || bindings {
        return;
    }
    if !matches!(e, MirRelationExpr::Union { .. }) && children.iter().any(|c| is_empty(c)) {
        *e = empty_like(e);
        return;
    }
    if uses_context(e) {
        return;
    }
    let mut inputs = vec![];
    for child in e.children() {
        match child {
            MirRelationExpr::Constant { rows: Ok(rows), .. } if rows.len() <= MAX_ROWS => {
                inputs.push(rows.clone())
            }
            _ => return,
        }
    }
    // An error stays where it is: a filter above may yet keep it from being met.
    if let Some(Ok(rows)) = eval_node(e, &inputs, MAX_ROWS) {
        let typ = RelationType::new(e.column_types());
        *e = MirRelationExpr::Constant { rows: Ok(rows), typ };
    }
}

fn uses_context(e: &mut MirRelationExpr) -> bool {
    e.scalars_mut().into_iter().any(|s| s.contains_unmaterializable() || s.contains_volatile())
}
