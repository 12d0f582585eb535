//! Reductions whose groups have one row each.
//!
//! ```text
//! Distinct #0, #1 (a)                     Project #0, #1 (a), when #0 is a key of a
//! Reduce by #0 min(#1), count(*) (a)      Map #1, 1 (a), likewise
//! Reduce by #0 sum(#1) (a)                Map #1::numeric (a), likewise
//! Distinct (Distinct a)                   Distinct a
//! ```

use hw_expr::aggregate::{Accumulation, AggregateKind};
use hw_expr::{AggregateExpr, AggregateFunc, Func, MirRelationExpr, MirScalarExpr};
use hw_repr::{Datum, ScalarType};

use crate::analysis::keys;

/// Applies the rule everywhere.
pub(crate) fn apply(expr: &mut MirRelationExpr) {
    super::rewrite_post(expr, &mut |e| {
        let MirRelationExpr::Reduce { input, group_key, aggregates, .. } = e else { return };
        let contains = |c: &usize| group_key.contains(&MirScalarExpr::Column(*c));
        if !keys(input).iter().any(|k| k.iter().all(contains)) {
            return;
        }
        let Some(values) = aggregates.iter().map(of_one_row).collect::<Option<Vec<_>>>() else { return };
        let arity = input.arity();
        let scalars: Vec<MirScalarExpr> = group_key.iter().cloned().chain(values).collect();
        let outputs = (arity..arity + scalars.len()).collect();
        *e = super::take(input).map(scalars).project(outputs);
    });
}

/// The aggregate's value over one row, if it can be written down.
fn of_one_row(a: &AggregateExpr) -> Option<MirScalarExpr> {
    let AggregateFunc::Def(def, types) = &a.func else { return None };
    let int = |i: i64| MirScalarExpr::literal(Datum::Int64(i), ScalarType::Int64);
    let (value, otherwise) = match def.kind? {
        AggregateKind::Min | AggregateKind::Max => {
            (a.args.first()?.clone(), MirScalarExpr::null(types.ret.clone()))
        }
        AggregateKind::Accumulable(Accumulation::Count) => match a.args.first() {
            None => (int(1), int(0)),
            Some(x) => (x.clone().is_null().if_then_else(int(0), int(1)), int(0)),
        },
        AggregateKind::Accumulable(Accumulation::Any | Accumulation::All) => {
            (a.args.first()?.clone(), MirScalarExpr::null(types.ret.clone()))
        }
        AggregateKind::Accumulable(Accumulation::SumSmallInt | Accumulation::SumBigInt) => (
            widened(a.args.first()?, types.args.first()?, &types.ret)?,
            MirScalarExpr::null(types.ret.clone()),
        ),
        _ => return None,
    };
    Some(match &a.filter {
        None => value,
        Some(f) => f.clone().if_then_else(value, otherwise),
    })
}

/// The one value that is summed, of the sum's type; only by a cast that cannot fail.
fn widened(value: &MirScalarExpr, from: &ScalarType, to: &ScalarType) -> Option<MirScalarExpr> {
    let key = match (from, to) {
        (ScalarType::Int16, ScalarType::Int64) => "cast(int2)->int8",
        (ScalarType::Int32, ScalarType::Int64) => "cast(int4)->int8",
        (ScalarType::Int64, ScalarType::Numeric { .. }) => "cast(int8)->numeric",
        _ => return None,
    };
    let func = Func::by_key(key, vec![from.clone()])?;
    (!func.def().could_error).then(|| MirScalarExpr::call(func, vec![value.clone()]))
}
