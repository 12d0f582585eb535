//! Subqueries that are planned more than once.
//!
//! An expression that stands twice in a statement (`SELECT e … GROUP BY e`) is planned twice, and what a subquery in it
//! binds gets other ids each time. The second is replaced by the first, so that equal expressions are equal values.

use std::collections::{BTreeMap, HashMap};

use hw_expr::{HirRelationExpr, HirScalarExpr, Id, LocalId};

use super::context::Shared;
use crate::error::PlanError;

/// The subqueries of a statement that bind names, by their form with ids in the order of binding.
#[derive(Debug, Default)]
pub(super) struct Subqueries(HashMap<HirRelationExpr, HirRelationExpr>);

impl Shared<'_> {
    /// The subquery, or an earlier one that differs from it in the ids of its bindings only.
    pub(super) fn intern(&self, query: HirRelationExpr) -> Result<HirRelationExpr, PlanError> {
        if !binds(&query) {
            return Ok(query);
        }
        self.repeat(query.size(), 1)?;
        let mut form = query.clone();
        Ids::default().renumber(&mut form);
        let mut known = self.subqueries.borrow_mut();
        Ok(known.0.entry(form).or_insert(query).clone())
    }
}

fn binds(query: &HirRelationExpr) -> bool {
    let mut found = false;
    query.visit_relations(&mut |r| {
        found |= matches!(r, HirRelationExpr::Let { .. } | HirRelationExpr::LetRec { .. });
    });
    found
}

/// The ids of what has been bound so far.
#[derive(Default)]
struct Ids {
    new: BTreeMap<LocalId, LocalId>,
    count: u64,
}

impl Ids {
    /// Gives a binding an id that no other has, the greatest first.
    fn bind(&mut self, id: &mut LocalId) {
        let new = LocalId(u64::MAX - self.count);
        self.count += 1;
        self.new.insert(std::mem::replace(id, new), new);
    }

    /// Renames what is bound in a relation; what is bound outside keeps its id.
    fn renumber(&mut self, rel: &mut HirRelationExpr) {
        stacker::maybe_grow(64 << 10, 1 << 20, || self.renumber_here(rel));
    }

    fn renumber_here(&mut self, rel: &mut HirRelationExpr) {
        match rel {
            HirRelationExpr::Get { id: Id::Local(id), .. } => {
                *id = self.new.get(id).copied().unwrap_or(*id);
            }
            HirRelationExpr::Let { id, value, body, .. } => {
                self.renumber(value);
                self.bind(id);
                return self.renumber(body);
            }
            HirRelationExpr::LetRec { bindings, .. } => bindings.iter_mut().for_each(|b| self.bind(&mut b.1)),
            _ => {}
        }
        for scalar in rel.scalars_mut() {
            scalar.visit_mut_pre(0, &mut |_, e| match e {
                HirScalarExpr::Exists(r) | HirScalarExpr::Select(r) => {
                    self.renumber(r);
                    true
                }
                _ => false,
            });
        }
        rel.inputs_mut().into_iter().for_each(|(_, input)| self.renumber(input));
    }
}
