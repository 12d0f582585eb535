//! Scalars: columns get their places, subqueries become columns.

use hw_expr::hir::ColumnRef;
use hw_expr::{HirScalarExpr, MirRelationExpr, MirScalarExpr};

use super::{Lowerer, Places, broken};
use crate::error::PlanError;

/// Where the columns are that a scalar refers to.
#[derive(Clone)]
pub(super) struct Cx {
    /// Those of enclosing scopes.
    pub(super) places: Places,
    /// Those of its own input.
    pub(super) own: Vec<usize>,
    /// The number of enclosing scopes.
    pub(super) depth: usize,
}

impl Cx {
    /// The places as a subquery in the scalar sees them.
    pub(super) fn inside(&self) -> Places {
        let mut places = self.places.clone();
        places.extend(self.own.iter().enumerate().map(|(c, p)| ((self.depth, c), *p)));
        places
    }

    fn place(&self, c: ColumnRef) -> Result<usize, PlanError> {
        let found = match c.level {
            0 => self.own.get(c.column).copied(),
            level => self.depth.checked_sub(level).and_then(|s| self.places.get(&(s, c.column)).copied()),
        };
        found.ok_or_else(|| broken("a scalar's column has no place"))
    }
}

/// A parameter that has no value.
fn unbound(n: usize) -> PlanError {
    PlanError::new("42P02", format!("there is no parameter ${n}"))
}

impl Lowerer {
    /// Lowers a scalar over `rel`, to which columns are appended for its subqueries.
    pub(super) fn scalar(
        &mut self,
        e: &HirScalarExpr,
        rel: &mut MirRelationExpr,
        cx: &Cx,
    ) -> Result<MirScalarExpr, PlanError> {
        stacker::maybe_grow(128 << 10, 2 << 20, || {
            lower_with(e, &mut |e| match e {
                HirScalarExpr::Column(c) => Ok(Some(MirScalarExpr::Column(cx.place(*c)?))),
                HirScalarExpr::Exists(r) => Ok(Some(self.attach_exists(r, rel, cx)?)),
                HirScalarExpr::Select(r) => Ok(Some(self.attach_select(r, rel, cx)?)),
                HirScalarExpr::Windowing(_) => {
                    Err(broken("a window function below the top of an expression"))
                }
                _ => Ok(None),
            })
        })
    }

    /// Lowers several.
    pub(super) fn scalars<'e>(
        &mut self,
        exprs: impl IntoIterator<Item = &'e HirScalarExpr>,
        rel: &mut MirRelationExpr,
        cx: &Cx,
    ) -> Result<Vec<MirScalarExpr>, PlanError> {
        exprs.into_iter().map(|e| self.scalar(e, rel, cx)).collect()
    }
}

/// Lowers a scalar that has no subqueries.
pub(super) fn lower_alone(e: &HirScalarExpr) -> Result<MirScalarExpr, PlanError> {
    lower_with(e, &mut |e| match e {
        HirScalarExpr::Column(ColumnRef { level: 0, column }) => Ok(Some(MirScalarExpr::Column(*column))),
        HirScalarExpr::Column(_) => Err(broken("a column of an enclosing scope")),
        HirScalarExpr::Exists(_) | HirScalarExpr::Select(_) => {
            Err(PlanError::new("0A000", "subqueries are not allowed here"))
        }
        HirScalarExpr::Windowing(_) => Err(PlanError::new("42P20", "window functions are not allowed here")),
        _ => Ok(None),
    })
}

type Special<'f> = dyn FnMut(&HirScalarExpr) -> Result<Option<MirScalarExpr>, PlanError> + 'f;

fn lower_with(e: &HirScalarExpr, special: &mut Special<'_>) -> Result<MirScalarExpr, PlanError> {
    stacker::maybe_grow(64 << 10, 1 << 20, || {
        if let Some(done) = special(e)? {
            return Ok(done);
        }
        let mut all =
            |v: &[HirScalarExpr]| v.iter().map(|e| lower_with(e, special)).collect::<Result<Vec<_>, _>>();
        Ok(match e {
            HirScalarExpr::Parameter(n, _) => return Err(unbound(*n)),
            HirScalarExpr::Literal(row, typ) => MirScalarExpr::Literal(Ok(row.clone()), typ.clone()),
            HirScalarExpr::Unmaterializable(f) => MirScalarExpr::Unmaterializable(f.clone()),
            HirScalarExpr::Call { func, args } => MirScalarExpr::call(func.clone(), all(args)?),
            HirScalarExpr::And(v) => MirScalarExpr::And(all(v)?),
            HirScalarExpr::Or(v) => MirScalarExpr::Or(all(v)?),
            HirScalarExpr::Coalesce(v) => MirScalarExpr::Coalesce(all(v)?),
            HirScalarExpr::Not(e) => lower_with(e, special)?.not(),
            HirScalarExpr::IsNull(e) => lower_with(e, special)?.is_null(),
            HirScalarExpr::If { cond, then, els } => {
                let cond = lower_with(cond, special)?;
                let then = lower_with(then, special)?;
                cond.if_then_else(then, lower_with(els, special)?)
            }
            HirScalarExpr::Column(_)
            | HirScalarExpr::Exists(_)
            | HirScalarExpr::Select(_)
            | HirScalarExpr::Windowing(_) => {
                return Err(broken("an expression that was to be lowered specially"));
            }
        })
    })
}
