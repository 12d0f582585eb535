//! Joins with constants of one row.
//!
//! ```text
//! Join(a, Constant ())               a
//! Join(a, Constant (1)) on #0 = #1   Map 1 (Filter #0 = 1 (a)), through the class that names the constant
//! ```

use hw_expr::{JoinImplementation, MirRelationExpr, MirScalarExpr};
use hw_repr::Row;

use super::{substitute, take};

/// Applies the rule everywhere.
pub(crate) fn apply(expr: &mut MirRelationExpr) {
    super::rewrite_post(expr, &mut |e| {
        while let Some(next) = remove_one(e) {
            *e = next;
            if !matches!(e, MirRelationExpr::Join { .. }) {
                break;
            }
        }
    });
}

fn single_row(e: &MirRelationExpr) -> Option<&Row> {
    match e {
        MirRelationExpr::Constant { rows: Ok(rows), .. } => match rows.as_slice() {
            [(row, 1)] => Some(row),
            _ => None,
        },
        _ => None,
    }
}

fn remove_one(e: &mut MirRelationExpr) -> Option<MirRelationExpr> {
    let MirRelationExpr::Join { inputs, equivalences, implementation: JoinImplementation::Unimplemented } = e
    else {
        return None;
    };
    let at = inputs.iter().position(|i| single_row(i).is_some())?;
    if inputs.len() < 2 {
        return None;
    }
    let start: usize = inputs[..at].iter().map(MirRelationExpr::arity).sum();
    let total: usize = inputs.iter().map(MirRelationExpr::arity).sum();
    let types = inputs[at].column_types();
    let literals: Vec<MirScalarExpr> = single_row(&inputs[at])?
        .iter()
        .zip(&types)
        .map(|(d, t)| MirScalarExpr::literal(d, t.scalar_type.clone()))
        .collect();
    let width = literals.len();
    let of = |c: usize| match c {
        c if c < start => MirScalarExpr::Column(c),
        c if c < start + width => literals[c - start].clone(),
        c => MirScalarExpr::Column(c - width),
    };
    let mut classes: Vec<Vec<MirScalarExpr>> = std::mem::take(equivalences)
        .into_iter()
        .map(|class| class.iter().map(|e| substitute(e, &of)).collect())
        .collect();
    let mut rest: Vec<MirRelationExpr> = inputs.iter_mut().map(take).collect();
    rest.remove(at);
    super::fusion::merge_classes(&mut classes);
    let kept = total - width;
    let joined = MirRelationExpr::join(rest, classes);
    let projection = (0..total).map(|c| match c {
        c if c < start => c,
        c if c < start + width => kept + (c - start),
        c => c - width,
    });
    let projection: Vec<usize> = projection.collect();
    Some(joined.map(literals).project(projection))
}
