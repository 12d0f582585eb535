//! Common subexpressions are computed once.
//!
//! ```text
//! Union(Filter p (Join(a, b)), Negate(Join(a, b)))     Let l = Join(a, b) in Union(Filter p (l), Negate(l))
//! ```
//!
//! Each node gets a name, equal nodes the same one; names that are used once disappear again. Nodes that call volatile
//! functions are never equal.

use std::collections::{BTreeMap, HashMap};

use hw_expr::{LocalId, MirRelationExpr};
use hw_repr::RelationType;

use super::normalize_lets::{Binding, rebuild};
use super::take;
use crate::inline::next_local;

/// Applies the rule to the whole plan.
pub(crate) fn eliminate_common_subexpressions(expr: &mut MirRelationExpr) {
    let mut next = next_local(expr);
    scope(expr, &mut next, &BTreeMap::new());
}

/// One scope: the plan, or a value of a recursive binding.
fn scope(expr: &mut MirRelationExpr, next: &mut u64, outer: &BTreeMap<LocalId, MirRelationExpr>) {
    let mut naming = Naming { names: HashMap::new(), bindings: vec![], subst: outer.clone(), next };
    let mut body = naming.name(take(expr));
    let bindings = naming.bindings;
    rebuild(&mut body, bindings, false);
    *expr = body;
}

struct Naming<'a> {
    names: HashMap<MirRelationExpr, MirRelationExpr>,
    bindings: Vec<Binding>,
    subst: BTreeMap<LocalId, MirRelationExpr>,
    next: &'a mut u64,
}

impl Naming<'_> {
    /// The name of a plan: a `Get`, or a constant as it is.
    fn name(&mut self, expr: MirRelationExpr) -> MirRelationExpr {
        stacker::maybe_grow(64 << 10, 1 << 20, || self.name_node(expr))
    }

    fn name_node(&mut self, mut expr: MirRelationExpr) -> MirRelationExpr {
        match expr {
            MirRelationExpr::Get { id: hw_expr::Id::Local(id), .. } => {
                self.subst.get(&id).cloned().unwrap_or(expr)
            }
            MirRelationExpr::Get { .. } | MirRelationExpr::Constant { .. } => expr,
            MirRelationExpr::Let { id, value, body } => {
                let value = self.name(*value);
                self.subst.insert(id, value);
                self.name(*body)
            }
            MirRelationExpr::LetRec { ids, mut values, limits, body } => {
                for value in &mut values {
                    scope(value, self.next, &self.subst);
                }
                self.bindings.push(Binding::Rec(ids, values, limits));
                self.name(*body)
            }
            _ => {
                for child in expr.children_mut() {
                    *child = self.name(take(child));
                }
                if let Some(known) = self.names.get(&expr)
                    && !expr.scalars_mut().into_iter().any(|s| s.contains_volatile())
                {
                    return known.clone();
                }
                let id = LocalId(*self.next);
                *self.next += 1;
                let keys = crate::analysis::keys(&expr);
                let typ = RelationType { column_types: expr.column_types(), keys };
                let get = MirRelationExpr::local_get(id, typ);
                self.names.insert(expr.clone(), get.clone());
                self.bindings.push(Binding::Let(id, expr));
                get
            }
        }
    }
}
