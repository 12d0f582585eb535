//! Hypothetical-set aggregates: the rank that a row would have (PostgreSQL manual 9.21, table 9.62).
//!
//! They count: `rank(v) WITHIN GROUP (ORDER BY a)` is one more than the rows that come before `v`, so that counts with filters
//! maintain them.

use hw_expr::func::CastContext;
use hw_expr::{AggregateFunc, HirScalarExpr};
use hw_repr::{ColumnOrder, Datum, ScalarType};
use sqlparser::tokenizer::Span;

use super::aggregate::{Emit, order_of};
use super::coerce::{Planned, Typed, unify};
use super::context::Ecx;
use super::function::{Call, function_error};
use super::internal;
use super::operator::{condition, operator};
use super::resolve::NoMatch;
use super::scalar::plan_expr;
use crate::error::PlanError;

/// Whether a call is one of these.
pub(super) fn is_hypothetical(call: &Call<'_>) -> bool {
    !call.within_group.is_empty()
        && matches!(call.name.as_str(), "rank" | "dense_rank" | "percent_rank" | "cume_dist")
}

/// One key: the row's value, the hypothetical one, and the order.
pub(super) struct Key {
    pub(super) row: Typed,
    pub(super) given: Typed,
    order: ColumnOrder,
}

/// The keys of a call, each pair brought to one type.
pub(super) fn plan_keys(ecx: &Ecx<'_>, call: &Call<'_>) -> Result<Vec<Key>, PlanError> {
    let (direct, sorted) = (call.args.len(), call.within_group.len());
    let exprs = call.args.iter().map(|a| &**a).chain(call.within_group.iter().map(|o| &o.expr));
    let mut values = exprs.map(|e| plan_expr(ecx, e)).collect::<Result<Vec<_>, _>>()?;
    if direct != sorted {
        let texts: Vec<String> = values.iter().map(Planned::type_text).collect();
        let hint = format!(
            "To use the hypothetical-set aggregate {}, the number of hypothetical direct arguments (here {direct}) must \
             match the number of ordering columns (here {sorted}).",
            call.name
        );
        return Err(function_error(&call.name, &texts, NoMatch::None).with_hint(hint));
    }
    let rows = values.split_off(direct);
    let pairs = rows.into_iter().zip(values).zip(call.within_group);
    let key = |((row, given), o)| {
        let (mut exprs, typ) = unify(ecx, vec![row, given], "WITHIN GROUP")?;
        let given = Typed::new(exprs.remove(1), typ.clone());
        Ok(Key { row: Typed::new(exprs.remove(0), typ), given, order: order_of(o, 0)? })
    };
    pairs.map(key).collect()
}

fn boolean(b: bool) -> HirScalarExpr {
    HirScalarExpr::literal(Datum::Bool(b), ScalarType::Bool)
}

impl Key {
    fn compare(&self, ecx: &Ecx<'_>, symbol: &str) -> Result<HirScalarExpr, PlanError> {
        let args = vec![Planned::Typed(self.row.clone()), Planned::Typed(self.given.clone())];
        condition(ecx, operator(ecx, symbol, args, Span::empty())?, "WITHIN GROUP")
    }

    /// Whether the row's value comes before the given one.
    fn before(&self, ecx: &Ecx<'_>) -> Result<HirScalarExpr, PlanError> {
        let (row, given) = (self.row.expr.clone().is_null(), self.given.expr.clone().is_null());
        let last = self.order.nulls_last;
        let less = self.compare(ecx, if self.order.desc { ">" } else { "<" })?;
        let row_is_null = given.clone().if_then_else(boolean(false), boolean(!last));
        Ok(row.if_then_else(row_is_null, given.if_then_else(boolean(last), less)))
    }

    /// Whether the row's value is the given one.
    fn peer(&self, ecx: &Ecx<'_>) -> Result<HirScalarExpr, PlanError> {
        let (row, given) = (self.row.expr.clone().is_null(), self.given.expr.clone().is_null());
        let equal = self.compare(ecx, "=")?;
        Ok(row.if_then_else(given.clone(), given.if_then_else(boolean(false), equal)))
    }
}

/// The aggregate's value, by counts.
pub(super) fn expand(
    ecx: &Ecx<'_>,
    name: &str,
    keys: &[Key],
    filter: Option<HirScalarExpr>,
    emit: &mut Emit<'_>,
) -> Result<Typed, PlanError> {
    let size: usize = keys.iter().map(|k| k.row.expr.size() + k.given.expr.size()).sum();
    ecx.qcx.shared.repeat(size, 8)?;
    let mut before = boolean(false);
    let mut peers = vec![];
    for k in keys.iter().rev() {
        let rest = HirScalarExpr::And(vec![k.peer(ecx)?, before]);
        before = HirScalarExpr::Or(vec![k.before(ecx)?, rest]);
        peers.push(k.peer(ecx)?);
    }
    let with = |e: Option<HirScalarExpr>| match (filter.clone(), e) {
        (Some(f), Some(e)) => Some(HirScalarExpr::And(vec![f, e])),
        (f, e) => f.or(e),
    };
    let int8 =
        |n| Planned::typed(HirScalarExpr::literal(Datum::Int64(n), ScalarType::Int64), ScalarType::Int64);
    let call = |symbol: &str, l: Planned, r: Planned| operator(ecx, symbol, vec![l, r], Span::empty());
    let float = |t: Typed| Planned::Typed(t).cast(ecx, &ScalarType::Float64, CastContext::Explicit);
    let mut count = |e: Option<HirScalarExpr>| -> Result<Typed, PlanError> {
        let func = AggregateFunc::by_key("count()", vec![]);
        emit(func.ok_or_else(missing)?, vec![], vec![], false, with(e))
    };
    match name {
        "rank" => call("+", Planned::Typed(count(Some(before))?), int8(1))?.resolve(ecx),
        "percent_rank" => {
            let (less, all) = (count(Some(before))?, count(None)?);
            let empty = call("=", Planned::Typed(all.clone()), int8(0))?.resolve(ecx)?.expr;
            let zero = HirScalarExpr::literal(Datum::Float64(0.0.into()), ScalarType::Float64);
            let share = call("/", Planned::Typed(float(less)?), Planned::Typed(float(all)?))?.resolve(ecx)?;
            Ok(Typed::new(empty.if_then_else(zero, share.expr), ScalarType::Float64))
        }
        "cume_dist" => {
            let upto = HirScalarExpr::Or(vec![before, HirScalarExpr::And(peers)]);
            let (upto, all) = (count(Some(upto))?, count(None)?);
            let upto = call("+", Planned::Typed(upto), int8(1))?.resolve(ecx)?;
            let all = call("+", Planned::Typed(all), int8(1))?.resolve(ecx)?;
            call("/", Planned::Typed(float(upto)?), Planned::Typed(float(all)?))?.resolve(ecx)
        }
        _ => {
            let rows = keys.iter().map(|k| k.row.clone()).collect();
            let row = internal::record(rows)?;
            let func = AggregateFunc::by_key("count(Any)", vec![row.typ]).ok_or_else(missing)?;
            let distinct = emit(func, vec![row.expr], vec![], true, with(Some(before)))?;
            call("+", Planned::Typed(distinct), int8(1))?.resolve(ecx)
        }
    }
}

fn missing() -> PlanError {
    PlanError::new("XX000", "count is missing")
}
