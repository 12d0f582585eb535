//! Inlining of views.
//!
//! A view that is used once, or that is cheap, is put where it is used, so that predicates and projections reach into it.
//! Others are built once. Views that nothing uses disappear.

use std::collections::BTreeMap;

use hw_expr::{Id, LocalId, MirRelationExpr};
use hw_repr::GlobalId;

/// A view with at most so many nodes, none of them keeping state, is cheap.
const CHEAP_NODES: usize = 16;

/// Inlines views into the objects after them. The objects `keep` stay.
pub(crate) fn inline_views(
    objects: Vec<(GlobalId, MirRelationExpr)>,
    keep: &[GlobalId],
) -> Vec<(GlobalId, MirRelationExpr)> {
    let mut uses: BTreeMap<GlobalId, usize> = BTreeMap::new();
    for (_, expr) in &objects {
        expr.visit_post(&mut |e| {
            if let MirRelationExpr::Get { id: Id::Global(id), .. } = e {
                *uses.entry(*id).or_default() += 1;
            }
        });
    }
    let mut inlined: BTreeMap<GlobalId, MirRelationExpr> = BTreeMap::new();
    let mut out: Vec<(GlobalId, MirRelationExpr)> = vec![];
    for (id, mut expr) in objects {
        let mut next = next_local(&expr);
        expr.visit_mut_post(&mut |e| {
            if let MirRelationExpr::Get { id: Id::Global(id), .. } = e
                && let Some(view) = inlined.get(id)
            {
                let mut view = view.clone();
                rename_locals(&mut view, &mut next);
                *e = view;
            }
        });
        let once = uses.get(&id).copied().unwrap_or(0) <= 1;
        if !keep.contains(&id) && (once || is_cheap(&expr)) {
            inlined.insert(id, expr);
        } else {
            out.push((id, expr));
        }
    }
    drop_unused(out, keep)
}

fn drop_unused(
    objects: Vec<(GlobalId, MirRelationExpr)>,
    keep: &[GlobalId],
) -> Vec<(GlobalId, MirRelationExpr)> {
    let mut wanted: std::collections::BTreeSet<GlobalId> = keep.iter().copied().collect();
    let mut out = vec![];
    for (id, expr) in objects.into_iter().rev() {
        if wanted.contains(&id) {
            wanted.extend(expr.global_gets());
            out.push((id, expr));
        }
    }
    out.reverse();
    out
}

fn is_cheap(expr: &MirRelationExpr) -> bool {
    let (mut nodes, mut stateless) = (0, true);
    expr.visit_post(&mut |e| {
        nodes += 1;
        stateless &= !matches!(
            e,
            MirRelationExpr::Join { .. }
                | MirRelationExpr::Reduce { .. }
                | MirRelationExpr::TopK { .. }
                | MirRelationExpr::Threshold { .. }
                | MirRelationExpr::ArrangeBy { .. }
                | MirRelationExpr::LetRec { .. }
        );
    });
    stateless && nodes <= CHEAP_NODES
}

/// A name that no binding of the plan has, nor any after it.
pub(crate) fn next_local(expr: &MirRelationExpr) -> u64 {
    let mut next = 0;
    expr.visit_post(&mut |e| {
        let ids: &[LocalId] = match e {
            MirRelationExpr::Let { id, .. } | MirRelationExpr::Get { id: Id::Local(id), .. } => {
                std::slice::from_ref(id)
            }
            MirRelationExpr::LetRec { ids, .. } => ids,
            _ => &[],
        };
        next = ids.iter().map(|id| id.0 + 1).fold(next, u64::max);
    });
    next
}

/// Gives each binding of the plan a new name. Names that are bound elsewhere stay.
pub(crate) fn rename_locals(expr: &mut MirRelationExpr, next: &mut u64) {
    let mut names: BTreeMap<LocalId, LocalId> = BTreeMap::new();
    expr.visit_post(&mut |e| {
        let ids: &[LocalId] = match e {
            MirRelationExpr::Let { id, .. } => std::slice::from_ref(id),
            MirRelationExpr::LetRec { ids, .. } => ids,
            _ => &[],
        };
        for id in ids {
            names.insert(*id, LocalId(*next));
            *next += 1;
        }
    });
    let rename = |id: &mut LocalId| *id = names.get(id).copied().unwrap_or(*id);
    expr.visit_mut_post(&mut |e| match e {
        MirRelationExpr::Let { id, .. } | MirRelationExpr::Get { id: Id::Local(id), .. } => rename(id),
        MirRelationExpr::LetRec { ids, .. } => ids.iter_mut().for_each(rename),
        _ => {}
    });
}
