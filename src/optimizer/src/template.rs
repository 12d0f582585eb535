//! Plans of prepared queries that read one collection: all is done but what the parameters' values decide.

use hw_expr::{Id, MapFilterProject, MirRelationExpr, MirScalarExpr, RowSetFinishing, UnmaterializableFunc};
use hw_repr::{ColumnType, Datum, GlobalId, RelationType};

use crate::context::DataflowContext;
use crate::error::OptimizerError;
use crate::lower::extract_mfp;
use crate::peek::{PeekPlan, fast_path, peek_objects};

/// A read of one collection by a query in which parameters and functions of the statement's context stand as
/// [`UnmaterializableFunc`]s.
#[derive(Debug, Clone)]
pub struct PeekTemplate {
    id: GlobalId,
    typ: RelationType,
    mfp: MapFilterProject,
    /// The types of the collection's columns and of the expressions.
    types: Vec<ColumnType>,
}

impl PeekTemplate {
    /// Optimises a query; `None` when it is more than a read of one collection. The arguments are those of
    /// [`optimize_peek`](crate::optimize_peek).
    ///
    /// # Errors
    /// When something cannot be read.
    pub fn new(
        expr: MirRelationExpr,
        views: Vec<(GlobalId, MirRelationExpr)>,
        context: &dyn DataflowContext,
        finishing: &mut RowSetFinishing,
        transient_ids: (GlobalId, GlobalId),
    ) -> Result<Option<PeekTemplate>, OptimizerError> {
        let objects = peek_objects(expr, views, context, finishing, transient_ids)?;
        let [(_, expr)] = objects.as_slice() else { return Ok(None) };
        let (mfp, input) = extract_mfp(expr);
        let MirRelationExpr::Get { id: Id::Global(id), typ } = input else { return Ok(None) };
        let mut types = typ.column_types.clone();
        for e in &mfp.expressions {
            types.push(e.typ(&types));
        }
        Ok(Some(PeekTemplate { id: *id, typ: typ.clone(), mfp, types }))
    }

    /// The plan with values put in; `value_of` says which. `None` when it is better planned anew: a
    /// parameter has no value, or an expression fails.
    pub fn plan(
        &self,
        value_of: &dyn Fn(&UnmaterializableFunc) -> Option<MirScalarExpr>,
        context: &dyn DataflowContext,
    ) -> Option<PeekPlan> {
        let mut mfp = self.mfp.clone();
        let arity = mfp.input_arity;
        for (at, e) in mfp.expressions.iter_mut().enumerate() {
            fill(e, value_of, &self.types[..arity + at])?;
        }
        for (position, p) in &mut mfp.predicates {
            fill(p, value_of, &self.types[..*position])?;
        }
        if mfp.predicates.iter().any(|(_, p)| p.as_literal().is_some_and(|d| d != Datum::Bool(true))) {
            return Some(PeekPlan::Constant(Ok(vec![])));
        }
        mfp.predicates.retain(|(_, p)| p.as_literal().is_none());
        fast_path(self.id, &self.typ, mfp, context)
    }
}

/// Puts values into an expression and simplifies it, if there is anything to be put in; `None` when a parameter has no
/// value, or the expression fails then.
fn fill(
    e: &mut MirScalarExpr,
    value_of: &dyn Fn(&UnmaterializableFunc) -> Option<MirScalarExpr>,
    types: &[ColumnType],
) -> Option<()> {
    let (mut filled, mut missing) = (false, false);
    e.visit_mut_post(&mut |e| {
        let MirScalarExpr::Unmaterializable(f) = e else { return };
        match value_of(f) {
            Some(value) => {
                *e = value;
                filled = true;
            }
            None => missing |= matches!(f, UnmaterializableFunc::Parameter(..)),
        }
    });
    if filled {
        e.reduce(types);
    }
    (!missing && !matches!(e, MirScalarExpr::Literal(Err(_), _))).then_some(())
}
