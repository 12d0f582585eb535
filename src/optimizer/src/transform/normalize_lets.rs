//! Bindings in one form: all at the top of their scope, each used at least twice, with up-to-date types.
//!
//! ```text
//! Join(Let l = a in b, c)     Let l = a in Join(b, c)
//! Let l = a in f(l)           f(a)
//! Let l = Project (x) in …    … with Project (x) in place of l
//! ```
//!
//! The values of a recursive binding are scopes of their own: what is used once inside one is not moved into it.

use std::collections::BTreeMap;

use hw_expr::relation::LetRecLimit;
use hw_expr::{Id, LocalId, MirRelationExpr, MirScalarExpr};
use hw_repr::RelationType;

use super::take;
use crate::analysis::keys;

/// Bindings of a scope, in order.
pub(crate) enum Binding {
    /// A name.
    Let(LocalId, MirRelationExpr),
    /// Names that refer to each other.
    Rec(Vec<LocalId>, Vec<MirRelationExpr>, Vec<Option<LetRecLimit>>),
}

impl Binding {
    fn ids(&self) -> &[LocalId] {
        match self {
            Binding::Let(id, _) => std::slice::from_ref(id),
            Binding::Rec(ids, ..) => ids,
        }
    }

    fn values_mut(&mut self) -> &mut [MirRelationExpr] {
        match self {
            Binding::Let(_, value) => std::slice::from_mut(value),
            Binding::Rec(_, values, _) => values,
        }
    }
}

/// Applies the rule to the whole plan.
pub(crate) fn apply(expr: &mut MirRelationExpr) {
    normalize(expr, true);
    refresh_types(expr, &mut BTreeMap::new());
}

/// The same, where with `cheap` also those bindings disappear that are used more than once but cost little.
pub(crate) fn normalize(expr: &mut MirRelationExpr, cheap: bool) {
    let mut bindings = vec![];
    hoist(expr, &mut bindings, cheap);
    rebuild(expr, bindings, cheap);
}

/// Puts bindings around a body, without those that are not needed.
pub(crate) fn rebuild(expr: &mut MirRelationExpr, mut bindings: Vec<Binding>, cheap: bool) {
    let mut uses: BTreeMap<LocalId, usize> = BTreeMap::new();
    count(expr, 1, &mut uses);
    let mut kept = vec![];
    while let Some(mut binding) = bindings.pop() {
        if binding.ids().iter().all(|id| !uses.contains_key(id)) {
            continue;
        }
        // A use in a recursive value counts twice: it stays outside the loop.
        let weight = if matches!(binding, Binding::Rec(..)) { 2 } else { 1 };
        for value in binding.values_mut() {
            count(value, weight, &mut uses);
        }
        kept.push(binding);
    }
    let mut inline: BTreeMap<LocalId, MirRelationExpr> = BTreeMap::new();
    let mut out = vec![];
    for mut binding in kept.into_iter().rev() {
        for value in binding.values_mut() {
            replace(value, &mut inline, &uses);
        }
        match binding {
            Binding::Let(id, value)
                if uses.get(&id) == Some(&1) || is_name(&value) || cheap && is_cheap(&value) =>
            {
                inline.insert(id, value);
            }
            other => out.push(other),
        }
    }
    replace(expr, &mut inline, &uses);
    for binding in out.into_iter().rev() {
        let body = Box::new(take(expr));
        *expr = match binding {
            Binding::Let(id, value) => MirRelationExpr::Let { id, value: Box::new(value), body },
            Binding::Rec(ids, values, limits) => MirRelationExpr::LetRec { ids, values, limits, body },
        };
    }
}

/// Moves all bindings of the scope into `out`.
fn hoist(expr: &mut MirRelationExpr, out: &mut Vec<Binding>, cheap: bool) {
    stacker::maybe_grow(64 << 10, 1 << 20, || match take(expr) {
        MirRelationExpr::Let { id, mut value, mut body } => {
            hoist(&mut value, out, cheap);
            out.push(Binding::Let(id, *value));
            hoist(&mut body, out, cheap);
            *expr = *body;
        }
        MirRelationExpr::LetRec { ids, mut values, limits, mut body } => {
            for value in &mut values {
                normalize(value, cheap);
            }
            out.push(Binding::Rec(ids, values, limits));
            hoist(&mut body, out, cheap);
            *expr = *body;
        }
        mut other => {
            for child in other.children_mut() {
                hoist(child, out, cheap);
            }
            *expr = other;
        }
    });
}

fn count(expr: &MirRelationExpr, weight: usize, uses: &mut BTreeMap<LocalId, usize>) {
    stacker::maybe_grow(64 << 10, 1 << 20, || {
        if let MirRelationExpr::Get { id: Id::Local(id), .. } = expr {
            *uses.entry(*id).or_default() += weight;
        }
        let recursive = matches!(expr, MirRelationExpr::LetRec { .. });
        for child in expr.children() {
            count(child, if recursive { 2 } else { weight }, uses);
        }
    });
}

fn replace(
    expr: &mut MirRelationExpr,
    inline: &mut BTreeMap<LocalId, MirRelationExpr>,
    uses: &BTreeMap<LocalId, usize>,
) {
    expr.visit_mut_post(&mut |e| {
        let MirRelationExpr::Get { id: Id::Local(id), .. } = e else { return };
        let value = if uses.get(id) == Some(&1) { inline.remove(id) } else { inline.get(id).cloned() };
        if let Some(value) = value {
            *e = value;
        }
    });
}

fn is_name(value: &MirRelationExpr) -> bool {
    matches!(value, MirRelationExpr::Get { .. })
}

/// A name or small constant under maps, filters and projections.
fn is_cheap(value: &MirRelationExpr) -> bool {
    match value {
        MirRelationExpr::Get { .. } => true,
        MirRelationExpr::Constant { rows, .. } => rows.as_ref().is_ok_and(|rows| rows.len() <= 1),
        MirRelationExpr::Project { input, .. } => is_cheap(input),
        MirRelationExpr::Map { input, scalars: exprs }
        | MirRelationExpr::Filter { input, predicates: exprs } => {
            !exprs.iter().any(MirScalarExpr::contains_volatile) && is_cheap(input)
        }
        _ => false,
    }
}

/// Gives each `Get` of a binding the type of its value, with keys.
fn refresh_types(expr: &mut MirRelationExpr, types: &mut BTreeMap<LocalId, RelationType>) {
    stacker::maybe_grow(64 << 10, 1 << 20, || match expr {
        MirRelationExpr::Get { id: Id::Local(id), typ } => {
            if let Some(known) = types.get(id) {
                *typ = known.clone();
            }
        }
        MirRelationExpr::Let { id, value, body } => {
            refresh_types(value, types);
            let typ = RelationType { column_types: value.column_types(), keys: keys(value) };
            types.insert(*id, typ);
            refresh_types(body, types);
        }
        other => {
            for child in other.children_mut() {
                refresh_types(child, types);
            }
        }
    });
}
