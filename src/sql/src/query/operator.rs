//! Operators, comparisons of rows, and conditions.

use hw_expr::HirScalarExpr;
use hw_expr::func::{CastContext, Func, FuncDef, FuncKind, registry};
use hw_repr::ScalarType;
use sqlparser::tokenizer::Span;

use super::coerce::{Planned, Typed};
use super::context::{Ecx, locate};
use super::internal;
use super::query_function::{call_query, is_named_by_catalog, name_text};
use super::resolve::{NoMatch, Signature, choose};
use super::types::{is_incomparable, type_name};
use crate::error::PlanError;

/// A call of an operator.
pub(super) fn operator(
    ecx: &Ecx<'_>,
    symbol: &str,
    args: Vec<Planned>,
    span: Span,
) -> Result<Planned, PlanError> {
    if args.iter().any(|a| matches!(a, Planned::Row(_))) && args.len() == 2 && is_comparison(symbol) {
        return row_comparison(ecx, symbol, args, span);
    }
    if is_comparison(symbol) && args.iter().any(|a| a.typ().is_some_and(|t| is_incomparable(&t))) {
        let types: Vec<String> = args.iter().map(Planned::type_text).collect();
        return Err(locate(ecx.scx(), operator_error(symbol, &types, NoMatch::None), span));
    }
    let empty = vec![];
    let candidates: &[&'static FuncDef] = registry().operators.get(symbol).unwrap_or(&empty);
    call_best(ecx, candidates, args, true).map_err(|(e, args)| {
        let error = match e {
            Failure::NoMatch(n) => operator_error(symbol, &args, n),
            Failure::Error(e) => e,
        };
        locate(ecx.scx(), error, span)
    })
}

/// The type that the right operand is given if it has none of its own.
pub(super) fn second_operand(symbol: &str, left: &Planned) -> Option<ScalarType> {
    let candidates = registry().operators.get(symbol)?;
    let signatures: Vec<_> =
        candidates.iter().map(|c| Signature { params: &c.params, variadic: c.variadic.as_ref() }).collect();
    let chosen = choose(&signatures, &[left.typ(), None], true).ok();
    chosen.and_then(|(_, bound)| bound.into_iter().nth(1)).or_else(|| left.typ())
}

/// Why a call could not be planned.
pub(super) enum Failure {
    NoMatch(NoMatch),
    Error(PlanError),
}

/// Chooses the best of the candidates and calls it; on failure gives the arguments' types as texts.
pub(super) fn call_best(
    ecx: &Ecx<'_>,
    candidates: &[&'static FuncDef],
    args: Vec<Planned>,
    operator: bool,
) -> Result<Planned, (Failure, Vec<String>)> {
    let types: Vec<Option<ScalarType>> = args.iter().map(Planned::typ).collect();
    let signatures: Vec<Signature<'_>> =
        candidates.iter().map(|c| Signature { params: &c.params, variadic: c.variadic.as_ref() }).collect();
    let texts = || args.iter().map(Planned::type_text).collect();
    let (chosen, bound) =
        choose(&signatures, &types, operator).map_err(|n| (Failure::NoMatch(n), texts()))?;
    let names: Vec<String> = texts();
    let typed = signatures[chosen].fit(ecx, args, &bound);
    let value = typed.and_then(|args| call_def(ecx, candidates[chosen], args));
    value.map(Planned::Typed).map_err(|e| (Failure::Error(e), names))
}

/// Calls an entry with arguments that fit, by its query if it is one. Functions that print their arguments get those that
/// the catalog names as text.
fn call_def(ecx: &Ecx<'_>, def: &'static FuncDef, args: Vec<Typed>) -> Result<Typed, PlanError> {
    if let FuncKind::Query(sql) = def.kind {
        return call_query(ecx.scx(), def, sql, args);
    }
    if !matches!(def.name, "concat" | "concat_ws" | "format" | "||") {
        return Ok(call(def, args));
    }
    let shown = |a: Typed| if is_named_by_catalog(&a.typ) { name_text(ecx.scx(), a) } else { Ok(a) };
    Ok(call(def, args.into_iter().map(shown).collect::<Result<_, _>>()?))
}

/// Calls an entry with arguments that fit.
pub(super) fn call(def: &'static FuncDef, args: Vec<Typed>) -> Typed {
    let (exprs, types): (Vec<_>, Vec<_>) = args.into_iter().map(|a| (a.expr, a.typ)).unzip();
    let func = Func::new(def, types);
    let typ = func.types().ret.clone();
    Typed::new(HirScalarExpr::call(func, exprs), typ)
}

fn operator_error(symbol: &str, args: &[String], n: NoMatch) -> PlanError {
    let call = match args {
        [a] => format!("{symbol} {a}"),
        [a, b] => format!("{a} {symbol} {b}"),
        _ => symbol.to_owned(),
    };
    match n {
        NoMatch::None => PlanError::new("42883", format!("operator does not exist: {call}")).with_hint(
            "No operator matches the given name and argument types. You might need to add explicit type casts.",
        ),
        NoMatch::Ambiguous => PlanError::new("42725", format!("operator is not unique: {call}"))
            .with_hint("Could not choose a best candidate operator. You might need to add explicit type casts."),
    }
}

pub(super) fn is_comparison(symbol: &str) -> bool {
    matches!(symbol, "=" | "<>" | "<" | "<=" | ">" | ">=")
}

/// The fields of a row or record, each to be compared on its own.
pub(super) fn fields_of(ecx: &Ecx<'_>, value: Planned) -> Result<Vec<Planned>, PlanError> {
    match value {
        Planned::Row(fields) => Ok(fields),
        Planned::Typed(t) if matches!(t.typ, ScalarType::Record { .. }) => {
            let ScalarType::Record { fields, .. } = &t.typ else { return Ok(vec![]) };
            ecx.qcx.shared.repeat(t.expr.size(), fields.len())?;
            (0..fields.len()).map(|i| internal::record_get(t.clone(), i).map(Planned::Typed)).collect()
        }
        other => {
            Err(PlanError::new("42804", format!("cannot compare a row with type {}", other.type_text())))
        }
    }
}

/// Comparison of rows (manual 9.24.5): field by field.
fn row_comparison(ecx: &Ecx<'_>, symbol: &str, args: Vec<Planned>, span: Span) -> Result<Planned, PlanError> {
    let mut args = args.into_iter();
    let (Some(left), Some(right)) = (args.next(), args.next()) else {
        return Err(PlanError::syntax("a comparison has two operands"));
    };
    if !matches!((&left, &right), (Planned::Row(_) | Planned::Typed(_), Planned::Row(_) | Planned::Typed(_)))
    {
        return operator(
            ecx,
            symbol,
            vec![Planned::Typed(left.resolve(ecx)?), Planned::Typed(right.resolve(ecx)?)],
            span,
        );
    }
    let is_row = |p: &Planned| matches!(p.typ(), Some(ScalarType::Record { .. }));
    if !is_row(&left) || !is_row(&right) {
        let texts = [left.type_text(), right.type_text()];
        return Err(locate(ecx.scx(), operator_error(symbol, &texts, NoMatch::None), span));
    }
    let (left, right) = (fields_of(ecx, left)?, fields_of(ecx, right)?);
    compare_fields(ecx, symbol, left, right, span)
}

/// Compares two equally long lists of fields.
pub(super) fn compare_fields(
    ecx: &Ecx<'_>,
    symbol: &str,
    left: Vec<Planned>,
    right: Vec<Planned>,
    span: Span,
) -> Result<Planned, PlanError> {
    if left.len() != right.len() {
        return Err(locate(
            ecx.scx(),
            PlanError::syntax("unequal number of entries in row expressions"),
            span,
        ));
    }
    if left.is_empty() {
        return Err(locate(ecx.scx(), PlanError::new("0A000", "cannot compare rows of zero length"), span));
    }
    for value in left.iter().chain(&right) {
        ecx.repeat(value, 1)?;
    }
    ecx.qcx.shared.deeper_by(left.len(), || compare_pairs(ecx, symbol, left, right, span))
}

fn compare_pairs(
    ecx: &Ecx<'_>,
    symbol: &str,
    left: Vec<Planned>,
    right: Vec<Planned>,
    span: Span,
) -> Result<Planned, PlanError> {
    let one = |op: &str, l: &Planned, r: &Planned| {
        condition(ecx, operator(ecx, op, vec![l.clone(), r.clone()], span)?, "row comparison")
    };
    let pairs: Vec<(Planned, Planned)> = left.into_iter().zip(right).collect();
    let all = |op: &str| pairs.iter().map(|(l, r)| one(op, l, r)).collect::<Result<Vec<_>, _>>();
    Ok(Typed::bool(match symbol {
        "=" => HirScalarExpr::And(all("=")?),
        "<>" => HirScalarExpr::Or(all("<>")?),
        _ => {
            // The first fields that differ decide: (a, b) < (c, d) is a < c, or a = c and b < d.
            let strict = &symbol[..1];
            let (last, init) = pairs.split_last().ok_or_else(|| PlanError::syntax("empty row"))?;
            let mut result = one(symbol, &last.0, &last.1)?;
            for (l, r) in init.iter().rev() {
                result = HirScalarExpr::Or(vec![
                    one(strict, l, r)?,
                    HirScalarExpr::And(vec![one("=", l, r)?, result]),
                ]);
            }
            result
        }
    }))
}

/// `IS NOT DISTINCT FROM`.
pub(super) fn not_distinct(
    ecx: &Ecx<'_>,
    left: Planned,
    right: Planned,
    span: Span,
) -> Result<HirScalarExpr, PlanError> {
    match (&left, &right) {
        (Planned::Null, _) => return Ok(right.resolve(ecx)?.expr.is_null()),
        (_, Planned::Null) => return Ok(left.resolve(ecx)?.expr.is_null()),
        (Planned::Row(a), Planned::Row(b)) if a.len() == b.len() => {
            let pairs = a.iter().zip(b);
            let all = pairs.map(|(l, r)| not_distinct(ecx, l.clone(), r.clone(), span));
            return Ok(HirScalarExpr::And(all.collect::<Result<_, _>>()?));
        }
        _ => {}
    }
    ecx.repeat(&left, 2)?;
    ecx.repeat(&right, 2)?;
    // Equal, or both NULL. The comparison's casts keep NULL, so that its operands tell.
    let equal = operator(ecx, "=", vec![left, right], span)?.resolve(ecx)?;
    let HirScalarExpr::Call { args, .. } = &equal.expr else {
        return Ok(equal.expr);
    };
    let (l, r) = (args[0].clone(), args[1].clone());
    let both = HirScalarExpr::And(vec![l.clone().is_null(), r.clone().is_null()]);
    let neither = HirScalarExpr::And(vec![l.is_null().not(), r.is_null().not()]);
    Ok(HirScalarExpr::Or(vec![HirScalarExpr::And(vec![neither, equal.expr]), both]))
}

/// A value as a condition; `construct` names the place in the error.
pub(super) fn condition(ecx: &Ecx<'_>, value: Planned, construct: &str) -> Result<HirScalarExpr, PlanError> {
    match value.typ() {
        None | Some(ScalarType::Bool) => Ok(value.cast(ecx, &ScalarType::Bool, CastContext::Implicit)?.expr),
        Some(t) => {
            let t = type_name(&t);
            Err(PlanError::new(
                "42804",
                format!("argument of {construct} must be type boolean, not type {t}"),
            ))
        }
    }
}
