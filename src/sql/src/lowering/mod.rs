//! Decorrelation: HIR to MIR.
//!
//! A correlated relation is lowered for all rows of what it is correlated with at once. `outer` is a collection with one row
//! for each distinct combination of the values that are referred to; the lowered relation has `outer`'s columns first, and for
//! each of `outer`'s rows the rows that the relation has there. So
//!
//! ```text
//! lower(R, outer)  =  { (o, r) : o in outer, r in R evaluated at o }
//! ```
//!
//! and what stands around joins it back on `outer`'s columns (NULL equal to NULL). An uncorrelated relation is lowered over the one
//! row of no columns, so it is computed once.
//!
//! Terms: a *scope* is one level of column references, counted from the outermost (0); a relation at depth `d` stands within
//! scopes 0 to d-1. The *prefix* of a lowered relation are `outer`'s columns.
//!
//! Invariants:
//!
//! 1. `outer` is a set, and cheap to repeat: a binding or the one row of no columns.
//! 2. Each scalar subquery gives exactly one row for each row of its keys: an error where it has several, NULL where it has none.
//! 3. Where equality of values and of bytes differ, keys are wrapped with [`hw_expr::scalar::canonical_key`].
//!
//! Subqueries under CASE and COALESCE are computed for all rows, also those for which they are not needed.

mod join;
mod membership;
mod relation;
mod scalar;
mod simplify;
mod subquery;
mod window;

use std::collections::{BTreeMap, BTreeSet};

use hw_expr::{HirRelationExpr, HirScalarExpr, Id, LocalId, MirRelationExpr, MirScalarExpr};
use hw_repr::{ColumnType, RelationType, Row};

use crate::error::PlanError;

/// A column of a scope: the scope, counted from the outermost, and the position in it.
type ScopedColumn = (usize, usize);

/// Where columns of scopes are in a lowered relation.
type Places = BTreeMap<ScopedColumn, usize>;

/// What a relation is lowered for.
#[derive(Clone)]
struct Outer {
    /// The collection.
    rel: MirRelationExpr,
    /// How many columns it has.
    arity: usize,
    /// What they are.
    places: Places,
}

impl Outer {
    /// One row of no columns.
    fn unit() -> Outer {
        Outer { rel: unit(), arity: 0, places: Places::new() }
    }
}

/// One row of no columns.
fn unit() -> MirRelationExpr {
    MirRelationExpr::constant(vec![Row::default()], RelationType::new(vec![]))
}

/// A common table expression that has been lowered.
#[derive(Clone)]
struct Bound {
    /// Its binding.
    id: LocalId,
    /// What its first columns are.
    keys: Vec<ScopedColumn>,
    /// All its columns.
    types: Vec<ColumnType>,
}

struct Lowerer {
    next_id: u64,
    bound: BTreeMap<LocalId, Bound>,
}

/// Lowers an uncorrelated relation without parameters.
///
/// # Errors
/// When a parameter is left in it.
pub fn lower(expr: HirRelationExpr) -> Result<MirRelationExpr, PlanError> {
    stacker::maybe_grow(16 << 20, 64 << 20, || {
        let mut lowerer = Lowerer { next_id: 0, bound: BTreeMap::new() };
        lowerer.relation(&expr, &Outer::unit(), 0)
    })
}

/// Lowers a scalar without subqueries and outer references; columns stay as they are.
///
/// # Errors
/// When it has what only a query can have.
pub fn lower_scalar(expr: HirScalarExpr) -> Result<MirScalarExpr, PlanError> {
    scalar::lower_alone(&expr)
}

fn broken(what: &str) -> PlanError {
    PlanError::new("XX000", format!("lowering: {what}"))
}

impl Lowerer {
    fn fresh(&mut self) -> LocalId {
        let id = LocalId(self.next_id);
        self.next_id += 1;
        id
    }

    /// Gives a relation a name, so that it can be used several times.
    fn bind<R>(
        &mut self,
        value: MirRelationExpr,
        body: impl FnOnce(&mut Self, MirRelationExpr) -> Result<(MirRelationExpr, R), PlanError>,
    ) -> Result<(MirRelationExpr, R), PlanError> {
        if matches!(&value, MirRelationExpr::Get { .. })
            || matches!(&value, MirRelationExpr::Constant { rows: Ok(rows), .. } if rows.len() <= 1)
        {
            return body(self, value);
        }
        let id = self.fresh();
        let get = MirRelationExpr::local_get(id, RelationType::new(value.column_types()));
        let (body, result) = body(self, get)?;
        Ok((MirRelationExpr::Let { id, value: Box::new(value), body: Box::new(body) }, result))
    }

    /// As [`Lowerer::bind`], for a body that gives nothing else.
    fn bind_only(
        &mut self,
        value: MirRelationExpr,
        body: impl FnOnce(&mut Self, MirRelationExpr) -> Result<MirRelationExpr, PlanError>,
    ) -> Result<MirRelationExpr, PlanError> {
        Ok(self.bind(value, |this, get| Ok((body(this, get)?, ())))?.0)
    }

    /// The columns of enclosing scopes that a relation at `depth` needs, through common table expressions too.
    fn needs(&self, expr: &HirRelationExpr, depth: usize) -> BTreeSet<ScopedColumn> {
        let mut needs = BTreeSet::new();
        expr.visit_free(&mut |c| {
            needs.insert((depth.wrapping_sub(c.level), c.column));
        });
        for id in expr.local_gets() {
            if let Some(bound) = self.bound.get(&id) {
                needs.extend(bound.keys.iter().copied());
            }
        }
        needs
    }

    /// Makes what a correlated relation is lowered for: the distinct values, in `rel`, of the columns that it needs. The body is
    /// given the positions of those columns in `rel`.
    fn with_keys<R>(
        &mut self,
        rel: &MirRelationExpr,
        places: &Places,
        needs: &BTreeSet<ScopedColumn>,
        body: impl FnOnce(&mut Self, &Outer, &[usize]) -> Result<(MirRelationExpr, R), PlanError>,
    ) -> Result<(MirRelationExpr, R), PlanError> {
        if needs.is_empty() {
            return body(self, &Outer::unit(), &[]);
        }
        let mut positions = vec![];
        let mut inner = Places::new();
        for need in needs {
            let place = places.get(need).ok_or_else(|| broken("a column of no enclosing scope"))?;
            let position = positions.iter().position(|p| p == place).unwrap_or_else(|| {
                positions.push(*place);
                positions.len() - 1
            });
            inner.insert(*need, position);
        }
        let keys = rel.clone().project(positions.clone()).distinct();
        self.bind(keys, |this, keys| {
            let outer = Outer { rel: keys, arity: positions.len(), places: inner };
            body(this, &outer, &positions)
        })
    }
}

/// All combinations with `outer`'s rows.
fn with_prefix(outer: &Outer, rel: MirRelationExpr) -> MirRelationExpr {
    if outer.arity == 0 { rel } else { outer.rel.clone().product(rel) }
}

/// Joins `left` with `right`, whose first columns are the values of these columns of `left`; gives `left`'s columns and the rest of
/// `right`'s.
fn join_on_keys(
    left: MirRelationExpr,
    left_arity: usize,
    keys: &[usize],
    right: MirRelationExpr,
    right_arity: usize,
) -> MirRelationExpr {
    let equal =
        |(i, k): (usize, &usize)| vec![MirScalarExpr::Column(*k), MirScalarExpr::Column(left_arity + i)];
    let equivalences = keys.iter().enumerate().map(equal).collect();
    let joined = MirRelationExpr::join(vec![left, right], equivalences);
    if keys.is_empty() {
        return joined;
    }
    let rest = left_arity + keys.len()..left_arity + right_arity;
    joined.project((0..left_arity).chain(rest).collect())
}

/// A collection of the catalog or a binding.
fn is_global(id: &Id) -> bool {
    matches!(id, Id::Global(_))
}
