//! Scalar expressions.

use hw_expr::HirScalarExpr;
use hw_expr::func::CastContext;
use hw_repr::adt::Interval as DayInterval;
use hw_repr::{Datum, ScalarType};
use sqlparser::ast::{
    AccessExpr, Array, BinaryOperator, CaseWhen, CastKind, CeilFloorKind, DataType, DateTimeField, Expr,
    FunctionArguments, Ident, Interval, Spanned, Subscript, TypedString, UnaryOperator, Value, ValueWithSpan,
};
use sqlparser::tokenizer::Span;

use super::coerce::{Planned, Typed, parameter, unify, unify_types};
use super::context::{Ecx, ident, locate, name_parts};
use super::function::{call_named, call_syntax, function_error, one_row, plan_function, syntax_after};
use super::internal;
use super::operator::{condition, is_comparison, not_distinct, operator, second_operand};
use super::query::is_unknown;
use super::scope::Resolved;
use super::subquery::{
    as_query, plan_subquery, quantified, quantified_subquery, record_subquery, scalar_subquery,
};
use super::types::{plan_data_type, type_name};
use crate::error::PlanError;
use crate::parser::{LIST_CONSTRUCTOR, MAP_CONSTRUCTOR};

/// Plans an expression.
pub(super) fn plan_expr(ecx: &Ecx<'_>, expr: &Expr) -> Result<Planned, PlanError> {
    ecx.qcx.shared.deeper(|| plan_expr_here(ecx, expr))
}

/// Plans an expression; an unknown literal becomes text.
pub(super) fn plan_typed(ecx: &Ecx<'_>, expr: &Expr) -> Result<Typed, PlanError> {
    plan_expr(ecx, expr)?.resolve(ecx)
}

/// Plans a condition.
pub(super) fn plan_condition(
    ecx: &Ecx<'_>,
    expr: &Expr,
    construct: &str,
) -> Result<HirScalarExpr, PlanError> {
    condition(ecx, plan_expr(ecx, expr)?, construct).map_err(|e| ecx.error_at(e, expr))
}

fn plan_expr_here(ecx: &Ecx<'_>, expr: &Expr) -> Result<Planned, PlanError> {
    match expr {
        Expr::Identifier(i) => column(ecx, std::slice::from_ref(i)),
        Expr::CompoundIdentifier(parts) => column(ecx, parts),
        Expr::Value(v) => value(ecx, v),
        Expr::Nested(e) => plan_expr(ecx, e),
        Expr::BinaryOp { left, op, right } => binary(ecx, left, op, right),
        Expr::UnaryOp { op, expr } => unary(ecx, op, expr),
        Expr::IsNull(e) => Ok(Typed::bool(is_null(ecx, e, false)?)),
        Expr::IsNotNull(e) => Ok(Typed::bool(is_null(ecx, e, true)?)),
        Expr::IsTrue(e) => is_bool(ecx, e, true, false, "IS TRUE"),
        Expr::IsNotTrue(e) => is_bool(ecx, e, true, true, "IS NOT TRUE"),
        Expr::IsFalse(e) => is_bool(ecx, e, false, false, "IS FALSE"),
        Expr::IsNotFalse(e) => is_bool(ecx, e, false, true, "IS NOT FALSE"),
        Expr::IsUnknown(e) => Ok(Typed::bool(plan_condition(ecx, e, "IS UNKNOWN")?.is_null())),
        Expr::IsNotUnknown(e) => Ok(Typed::bool(plan_condition(ecx, e, "IS NOT UNKNOWN")?.is_null().not())),
        Expr::IsDistinctFrom(l, r) => {
            let (l, r) = (plan_expr(ecx, l)?, plan_expr(ecx, r)?);
            Ok(Typed::bool(not_distinct(ecx, l, r, expr.span())?.not()))
        }
        Expr::IsNotDistinctFrom(l, r) => {
            let (l, r) = (plan_expr(ecx, l)?, plan_expr(ecx, r)?);
            Ok(Typed::bool(not_distinct(ecx, l, r, expr.span())?))
        }
        Expr::InList { expr: e, list, negated } => in_list(ecx, e, list, *negated),
        Expr::InSubquery { expr: e, subquery, negated } => {
            let left = plan_row_or_expr(ecx, e)?;
            let span = e.span();
            negate_if(quantified_subquery(ecx, left, "=", subquery, false, span)?, *negated, ecx)
        }
        Expr::Between { expr: e, negated, low, high } => between(ecx, e, low, high, *negated),
        Expr::Like { negated, expr: e, pattern, escape_char, .. } => {
            let op = if *negated { "!~~" } else { "~~" };
            like(ecx, op, e, pattern, escape_char.as_deref(), "like_escape")
        }
        Expr::ILike { negated, expr: e, pattern, escape_char, .. } => {
            let op = if *negated { "!~~*" } else { "~~*" };
            like(ecx, op, e, pattern, escape_char.as_deref(), "like_escape")
        }
        Expr::SimilarTo { negated, expr: e, pattern, escape_char } => {
            similar(ecx, if *negated { "!~" } else { "~" }, e, pattern, escape_char.as_deref())
        }
        Expr::AnyOp { left, compare_op, right, .. } => any_all(ecx, left, compare_op, right, false),
        Expr::AllOp { left, compare_op, right } => any_all(ecx, left, compare_op, right, true),
        Expr::Cast { kind, expr: e, data_type, .. } => cast(ecx, kind, e, data_type),
        Expr::TypedString(TypedString { data_type, value, .. }) => {
            let typ = plan_data_type(ecx.scx(), data_type)?;
            let text = Planned::Unknown(literal_text(value)?, value.span);
            Ok(Planned::Typed(text.cast(ecx, &typ, CastContext::Explicit)?))
        }
        Expr::AtTimeZone { timestamp, time_zone } => {
            let args = vec![plan_expr(ecx, time_zone)?, plan_expr(ecx, timestamp)?];
            call_syntax(ecx, "timezone", args, expr.span())
        }
        Expr::Extract { field, expr: e, .. } => {
            let field = text_literal(&field_name(field));
            call_syntax(ecx, "extract", vec![field, plan_expr(ecx, e)?], expr.span())
        }
        Expr::Ceil { expr: e, field } => round_to(ecx, "ceil", e, field, expr.span()),
        Expr::Floor { expr: e, field } => round_to(ecx, "floor", e, field, expr.span()),
        Expr::Position { expr: e, r#in } => {
            let args = vec![plan_expr(ecx, r#in)?, plan_expr(ecx, e)?];
            call_syntax(ecx, "position", args, expr.span())
        }
        Expr::Substring { expr: e, substring_from, substring_for, shorthand, .. } => {
            let from = match substring_from {
                Some(f) => plan_expr(ecx, f)?,
                None => int_literal(1),
            };
            let mut args = vec![plan_expr(ecx, e)?, from];
            if let Some(f) = substring_for {
                args.push(plan_expr(ecx, f)?);
            }
            match shorthand {
                true => call_named(ecx, "substr", args, expr.span()),
                false => call_syntax(ecx, "substring", args, expr.span()),
            }
        }
        Expr::Trim { trim_where, trim_what, expr: e, trim_characters } => {
            let name = match trim_where {
                Some(sqlparser::ast::TrimWhereField::Leading) => "ltrim",
                Some(sqlparser::ast::TrimWhereField::Trailing) => "rtrim",
                _ => "btrim",
            };
            let mut args = vec![plan_expr(ecx, e)?];
            for what in trim_what.iter().map(|w| &**w).chain(trim_characters.iter().flatten()) {
                args.push(plan_expr(ecx, what)?);
            }
            call_syntax(ecx, name, args, expr.span())
        }
        Expr::Overlay { expr: e, overlay_what, overlay_from, overlay_for } => {
            let mut args =
                vec![plan_expr(ecx, e)?, plan_expr(ecx, overlay_what)?, plan_expr(ecx, overlay_from)?];
            if let Some(f) = overlay_for {
                args.push(plan_expr(ecx, f)?);
            }
            call_syntax(ecx, "overlay", args, expr.span())
        }
        Expr::IsNormalized { expr: e, form, negated } => {
            let form = form.as_ref().map_or_else(|| "NFC".to_owned(), ToString::to_string);
            let result =
                call_named(ecx, "is_normalized", vec![plan_expr(ecx, e)?, text_literal(&form)], expr.span())?;
            negate_if(result, *negated, ecx)
        }
        Expr::Collate { expr: e, collation } => {
            let name = name_parts(collation)?.pop().unwrap_or_default();
            if !matches!(name.to_ascii_lowercase().as_str(), "c" | "default" | "posix" | "ucs_basic") {
                let text = format!("collation \"{name}\" for encoding \"UTF8\" does not exist");
                return ecx.at(Err(PlanError::new("42704", text)), collation.span());
            }
            let typed = plan_expr(ecx, e)?.resolve(ecx)?;
            match super::types::category(&typed.typ) {
                'S' => Ok(Planned::Typed(typed)),
                _ => {
                    let t = type_name(&typed.typ);
                    Err(PlanError::new("42804", format!("collations are not supported by type {t}")))
                }
            }
        }
        Expr::Function(f) => plan_function(ecx, f),
        Expr::Case { operand, conditions, else_result, .. } => {
            case(ecx, operand.as_deref(), conditions, else_result.as_deref())
        }
        Expr::Exists { subquery, negated } => {
            let rel = plan_subquery(ecx, subquery)?;
            negate_if(Typed::bool(HirScalarExpr::Exists(Box::new(rel.expr))), *negated, ecx)
        }
        Expr::Subquery(q) => scalar_subquery(ecx, q),
        Expr::Tuple(items) => {
            Ok(Planned::Row(items.iter().map(|i| plan_expr(ecx, i)).collect::<Result<_, _>>()?))
        }
        Expr::Array(Array { elem, .. }) => array(ecx, elem),
        Expr::Map(m) => {
            let mut keys = vec![];
            let mut values = vec![];
            for e in &m.entries {
                keys.push(
                    plan_expr(ecx, &e.key)?.cast(ecx, &ScalarType::String, CastContext::Implicit)?.expr,
                );
                values.push(plan_expr(ecx, &e.value)?);
            }
            let (values, typ) = unify(ecx, values, "MAP")?;
            Ok(Planned::Typed(internal::map(keys.into_iter().zip(values).collect(), &typ)?))
        }
        Expr::Interval(i) => interval(ecx, i),
        Expr::CompoundFieldAccess { root, access_chain } => field_access(ecx, root, access_chain),
        Expr::QualifiedWildcard(name, _) => whole_row(ecx, &name_parts(name)?, name.span()),
        Expr::Prefixed { prefix, value } if prefix.value.eq_ignore_ascii_case("n") => plan_expr(ecx, value),
        Expr::Rollup(items) => Err(ecx.error_at(grouping_function(ecx, "rollup", items)?, expr)),
        Expr::Cube(items) => Err(ecx.error_at(grouping_function(ecx, "cube", items)?, expr)),
        other => Err(ecx.error_at(PlanError::unsupported(format!("the expression {other}")), other)),
    }
}

/// ROLLUP and CUBE outside of GROUP BY are functions that do not exist.
fn grouping_function(ecx: &Ecx<'_>, name: &str, items: &[Vec<Expr>]) -> Result<PlanError, PlanError> {
    let mut types = vec![];
    for item in items {
        types.push(match &item[..] {
            [e] => plan_expr(ecx, e)?.type_text(),
            _ => "record".to_owned(),
        });
    }
    Ok(function_error(name, &types, super::resolve::NoMatch::None))
}

/// `ceil` and `floor`, for which the parser has a syntax of its own.
fn round_to(
    ecx: &Ecx<'_>,
    name: &str,
    e: &Expr,
    field: &CeilFloorKind,
    span: Span,
) -> Result<Planned, PlanError> {
    let mut args = vec![plan_expr(ecx, e)?];
    match field {
        CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) => {}
        CeilFloorKind::DateTimeField(f) => {
            return Err(PlanError::syntax(format!("syntax error at or near \"{f}\"")));
        }
        CeilFloorKind::Scale(v) => args.push(value(ecx, v)?),
    }
    call_named(ecx, name, args, span)
}

fn negate_if(value: Planned, negated: bool, ecx: &Ecx<'_>) -> Result<Planned, PlanError> {
    if !negated {
        return Ok(value);
    }
    Ok(Typed::bool(value.resolve(ecx)?.expr.not()))
}

/// A text literal that has been given its type.
pub(super) fn text_literal(s: &str) -> Planned {
    Planned::typed(HirScalarExpr::literal(Datum::String(s), ScalarType::String), ScalarType::String)
}

fn int_literal(n: i32) -> Planned {
    Planned::typed(HirScalarExpr::literal(Datum::Int32(n), ScalarType::Int32), ScalarType::Int32)
}

fn field_name(field: &DateTimeField) -> String {
    match field {
        DateTimeField::Custom(i) => i.value.to_lowercase(),
        other => other.to_string().to_lowercase(),
    }
}

/// The text of a quoted literal.
pub(super) fn literal_text(v: &ValueWithSpan) -> Result<String, PlanError> {
    match &v.value {
        Value::SingleQuotedString(s)
        | Value::EscapedStringLiteral(s)
        | Value::UnicodeStringLiteral(s)
        | Value::NationalStringLiteral(s)
        | Value::Number(s, _) => Ok(s.clone()),
        Value::DollarQuotedString(s) => Ok(s.value.clone()),
        other => Err(PlanError::syntax(format!("syntax error at or near \"{other}\""))),
    }
}

fn value(ecx: &Ecx<'_>, v: &ValueWithSpan) -> Result<Planned, PlanError> {
    match &v.value {
        Value::Number(n, _) => ecx.at(number(n), v.span),
        Value::Boolean(b) => {
            Ok(Planned::typed(HirScalarExpr::literal(Datum::Bool(*b), ScalarType::Bool), ScalarType::Bool))
        }
        Value::Null => Ok(Planned::Null),
        Value::Placeholder(p) => {
            let n = p.strip_prefix('$').and_then(|n| n.parse().ok());
            let n = n.ok_or_else(|| PlanError::syntax(format!("syntax error at or near \"{p}\"")));
            ecx.at(parameter(ecx.scx(), ecx.at(n, v.span)?, v.span), v.span)
        }
        _ => Ok(Planned::Unknown(ecx.at(literal_text(v), v.span)?, v.span)),
    }
}

/// A number: integer or bigint if it fits, else numeric (manual 4.1.2.6).
fn number(n: &str) -> Result<Planned, PlanError> {
    if let Ok(i) = n.parse::<i32>() {
        return Ok(int_literal(i));
    }
    if let Ok(i) = n.parse::<i64>() {
        return Ok(Planned::typed(
            HirScalarExpr::literal(Datum::Int64(i), ScalarType::Int64),
            ScalarType::Int64,
        ));
    }
    let arena = hw_repr::RowArena::new();
    let datum = hw_repr::text::decode(n, &ScalarType::NUMERIC, &arena).map_err(hw_expr::EvalError::from)?;
    Ok(Planned::typed(HirScalarExpr::literal(datum, ScalarType::NUMERIC), ScalarType::NUMERIC))
}

/// A name: a column, a column of a table, a field of a record, or a whole row.
fn column(ecx: &Ecx<'_>, parts: &[Ident]) -> Result<Planned, PlanError> {
    let span = Span::union_iter(parts.iter().map(|p| p.span));
    ecx.at(column_here(ecx, parts, span), span)
}

fn column_here(ecx: &Ecx<'_>, parts: &[Ident], span: Span) -> Result<Planned, PlanError> {
    let names: Vec<String> = parts.iter().map(ident).collect();
    let Some((name, qualifier)) = names.split_last() else {
        return Err(PlanError::syntax("empty name"));
    };
    if qualifier.is_empty() {
        if let Some(Resolved::Column(e, t)) = ecx.frame.column(None, name)? {
            return Ok(Planned::typed(e, t));
        }
        if let Some(row) = table_row(ecx, &names)? {
            return Ok(row);
        }
        return match parts[0].quote_style {
            None => super::function::keyword_function(ecx, name, span)
                .unwrap_or_else(|| Err(PlanError::unknown_column(name))),
            Some(_) => Err(PlanError::unknown_column(name)),
        };
    }
    let direct = ecx.frame.column(Some(qualifier), name);
    if let Ok(Some(Resolved::Column(e, t))) = direct {
        return Ok(Planned::typed(e, t));
    }
    // The last name may be a field of a column that is a record.
    let prefix = match qualifier {
        [column] => ecx.frame.column(None, column).ok().flatten(),
        [table @ .., column] => ecx.frame.column(Some(table), column).ok().flatten(),
        [] => None,
    };
    if let Some(Resolved::Column(e, t)) = prefix
        && matches!(t, ScalarType::Record { .. })
    {
        return field(Typed::new(e, t), name).map(Planned::Typed);
    }
    match direct? {
        _ if ecx.frame.table(qualifier)?.is_some() => {
            Err(PlanError::new("42703", format!("column {}.{name} does not exist", qualifier.join("."))))
        }
        _ => Err(ecx.frame.missing_table(qualifier)),
    }
}

/// A table's row as a record.
fn table_row(ecx: &Ecx<'_>, parts: &[String]) -> Result<Option<Planned>, PlanError> {
    let Some(Resolved::Table(columns)) = ecx.frame.table(parts)? else { return Ok(None) };
    let (names, fields) = columns.into_iter().map(|(n, e, t)| (n, Typed::new(e, t))).unzip();
    Ok(Some(Planned::Typed(internal::named_record(fields, names)?)))
}

fn whole_row(ecx: &Ecx<'_>, parts: &[String], span: Span) -> Result<Planned, PlanError> {
    let row = ecx.at(table_row(ecx, parts), span)?;
    row.map_or_else(|| ecx.at(Err(ecx.frame.missing_table(parts)), span), Ok)
}

/// A field of a record by its name.
pub(super) fn field(record: Typed, name: &str) -> Result<Typed, PlanError> {
    let ScalarType::Record { fields, .. } = &record.typ else {
        let text = format!(
            "column notation .{name} applied to type {}, which is not a composite type",
            type_name(&record.typ)
        );
        return Err(PlanError::new("42809", text));
    };
    match fields.iter().position(|(n, _)| n == name) {
        Some(i) => internal::record_get(record, i),
        None => {
            Err(PlanError::new("42703", format!("could not identify column \"{name}\" in record data type")))
        }
    }
}

/// The position of an operator: what stands between its operands, past blanks.
fn operator_span(ecx: &Ecx<'_>, left: &Expr, right: &Expr) -> Span {
    let (start, end) = (left.span().end, right.span().start);
    let (Some(from), Some(to)) = (ecx.scx().position(start), ecx.scx().position(end)) else {
        return left.span();
    };
    let between: Vec<char> = ecx.scx().text.chars().skip(from - 1).take(to.saturating_sub(from)).collect();
    let skipped = between.iter().position(|c| !c.is_whitespace() && *c != ')');
    match skipped {
        Some(n) => {
            let mut at = start;
            at.column += n as u64;
            Span::new(at, end)
        }
        _ => left.span(),
    }
}

fn binary(ecx: &Ecx<'_>, left: &Expr, op: &BinaryOperator, right: &Expr) -> Result<Planned, PlanError> {
    match op {
        BinaryOperator::And | BinaryOperator::Or => return junction(ecx, left, op, right),
        BinaryOperator::Overlaps => {
            let (l, r) = (plan_expr(ecx, left)?, plan_expr(ecx, right)?);
            let (Planned::Row(mut l), Planned::Row(r)) = (l, r) else {
                return Err(PlanError::syntax("wrong number of parameters on OVERLAPS expression"));
            };
            l.extend(r);
            return call_syntax(ecx, "overlaps", l, left.span());
        }
        _ => {}
    }
    let symbol = operator_symbol(op);
    let (l, r) = if is_comparison(&symbol) {
        let l = plan_expr_beside(ecx, left, right)?;
        let r = plan_expr_beside(ecx, right, left)?;
        (l, r)
    } else {
        (plan_expr(ecx, left)?, plan_expr(ecx, right)?)
    };
    // Where the operator stands is looked for only if it has to be told.
    operator(ecx, &symbol, vec![l, r], Span::empty())
        .map_err(|e| locate(ecx.scx(), e, operator_span(ecx, left, right)))
}

/// One side of a comparison: next to a row, a subquery may have several columns.
fn plan_expr_beside(ecx: &Ecx<'_>, expr: &Expr, other: &Expr) -> Result<Planned, PlanError> {
    match (as_query(expr), other) {
        (Some(q), Expr::Tuple(_)) => record_subquery(ecx, q),
        _ => plan_expr(ecx, expr),
    }
}

fn plan_row_or_expr(ecx: &Ecx<'_>, expr: &Expr) -> Result<Planned, PlanError> {
    plan_expr(ecx, expr)
}

/// AND and OR, whose chains are flattened without recursion into their left sides.
fn junction(ecx: &Ecx<'_>, left: &Expr, op: &BinaryOperator, right: &Expr) -> Result<Planned, PlanError> {
    let mut operands = vec![right];
    let mut rest = left;
    while let Expr::BinaryOp { left, op: o, right } = rest
        && o == op
    {
        operands.push(right);
        rest = left;
    }
    operands.push(rest);
    let name = if *op == BinaryOperator::And { "AND" } else { "OR" };
    let planned =
        operands.into_iter().rev().map(|e| plan_condition(ecx, e, name)).collect::<Result<Vec<_>, _>>()?;
    Ok(Typed::bool(if *op == BinaryOperator::And {
        HirScalarExpr::And(planned)
    } else {
        HirScalarExpr::Or(planned)
    }))
}

fn operator_symbol(op: &BinaryOperator) -> String {
    match op {
        BinaryOperator::PGCustomBinaryOperator(parts) => parts.last().cloned().unwrap_or_default(),
        BinaryOperator::Custom(s) => s.clone(),
        other => other.to_string(),
    }
}

fn unary(ecx: &Ecx<'_>, op: &UnaryOperator, expr: &Expr) -> Result<Planned, PlanError> {
    if *op == UnaryOperator::Not {
        return Ok(Typed::bool(plan_condition(ecx, expr, "NOT")?.not()));
    }
    // The least integers have no positive counterpart.
    if *op == UnaryOperator::Minus
        && let Expr::Value(ValueWithSpan { value: Value::Number(n, _), span }) = expr
    {
        return ecx.at(number(&format!("-{n}")), *span);
    }
    let symbol = op.to_string();
    operator(ecx, symbol.trim(), vec![plan_expr(ecx, expr)?], prefix_span(ecx, symbol.trim(), expr))
}

/// The position of a prefix operator: before its operand, past blanks and parentheses.
fn prefix_span(ecx: &Ecx<'_>, symbol: &str, operand: &Expr) -> Span {
    let span = operand.span();
    let Some(at) = ecx.scx().position(span.start) else { return span };
    let before: Vec<char> = ecx.scx().text.chars().take(at - 1).collect();
    let skipped = before.iter().rev().take_while(|c| c.is_whitespace() || **c == '(').count();
    let back = (skipped + symbol.chars().count()) as u64;
    if before.len() < back as usize {
        return span;
    }
    let mut start = span.start;
    start.column -= back;
    Span::new(start, span.end)
}

/// IS [NOT] NULL; of a row, whether all its fields are (not) NULL.
fn is_null(ecx: &Ecx<'_>, expr: &Expr, negated: bool) -> Result<HirScalarExpr, PlanError> {
    let test = |e: HirScalarExpr| if negated { e.is_null().not() } else { e.is_null() };
    match plan_expr(ecx, expr)? {
        Planned::Row(fields) => {
            let fields = fields.into_iter().map(|f| Ok(test(f.left_open(ecx)?.expr)));
            Ok(HirScalarExpr::And(fields.collect::<Result<_, PlanError>>()?))
        }
        Planned::Typed(t) if matches!(&t.typ, ScalarType::Record { fields, .. } if !fields.is_empty()) => {
            let ScalarType::Record { fields, .. } = &t.typ else { return Ok(test(t.expr)) };
            ecx.qcx.shared.repeat(t.expr.size(), fields.len())?;
            let each = (0..fields.len()).map(|i| Ok(test(internal::record_get(t.clone(), i)?.expr)));
            Ok(HirScalarExpr::And(each.collect::<Result<_, PlanError>>()?))
        }
        other => Ok(test(other.left_open(ecx)?.expr)),
    }
}

fn is_bool(
    ecx: &Ecx<'_>,
    e: &Expr,
    wanted: bool,
    negated: bool,
    construct: &str,
) -> Result<Planned, PlanError> {
    let value = plan_condition(ecx, e, construct)?;
    let value = if wanted { value } else { value.not() };
    let is = HirScalarExpr::Coalesce(vec![value, HirScalarExpr::literal_false()]);
    Ok(Typed::bool(if negated { is.not() } else { is }))
}

fn in_list(ecx: &Ecx<'_>, expr: &Expr, list: &[Expr], negated: bool) -> Result<Planned, PlanError> {
    let left = plan_row_or_expr(ecx, expr)?;
    let items = list.iter().map(|e| plan_expr(ecx, e)).collect::<Result<Vec<_>, _>>()?;
    let span = list.first().map_or(expr.span(), |first| operator_span(ecx, expr, first));
    any_of(ecx, left, "=", items, false, span).and_then(|p| negate_if(p, negated, ecx))
}

/// The comparison with each of some values, at their common type if they have one.
fn any_of(
    ecx: &Ecx<'_>,
    left: Planned,
    symbol: &str,
    items: Vec<Planned>,
    all: bool,
    span: Span,
) -> Result<Planned, PlanError> {
    let rows = matches!(left, Planned::Row(_)) || items.iter().any(|i| matches!(i, Planned::Row(_)));
    let types: Vec<_> = std::iter::once(&left).chain(&items).filter_map(Planned::typ).collect();
    let common = if rows || items.len() < 2 { None } else { unify_types(&types, "IN").ok() };
    let (left, items) = match common {
        None => (left, items),
        Some(t) => {
            let cast = |p: Planned| p.cast(ecx, &t, CastContext::Implicit).map(Planned::Typed);
            (cast(left)?, items.into_iter().map(cast).collect::<Result<_, _>>()?)
        }
    };
    ecx.repeat(&left, items.len().saturating_sub(1))?;
    let compare = |i: Planned| condition(ecx, operator(ecx, symbol, vec![left.clone(), i], span)?, "IN");
    let mut tests = items.into_iter().map(compare).collect::<Result<Vec<_>, _>>()?;
    Ok(Typed::bool(match (tests.len(), all) {
        (1, _) => tests.remove(0),
        (_, true) => HirScalarExpr::And(tests),
        (_, false) => HirScalarExpr::Or(tests),
    }))
}

fn between(ecx: &Ecx<'_>, e: &Expr, low: &Expr, high: &Expr, negated: bool) -> Result<Planned, PlanError> {
    let (v, l, h) = (plan_expr(ecx, e)?, plan_expr(ecx, low)?, plan_expr(ecx, high)?);
    between_values(ecx, v, l, h, e.span(), negated)
}

/// `BETWEEN SYMMETRIC`: between the bounds in one order or the other.
pub(super) fn between_symmetric(ecx: &Ecx<'_>, args: Vec<Planned>, span: Span) -> Result<Planned, PlanError> {
    let [v, l, h] = <[Planned; 3]>::try_from(args)
        .map_err(|_| PlanError::syntax("BETWEEN SYMMETRIC has three operands"))?;
    args_repeat(ecx, [&v, &l, &h])?;
    let one = between_values(ecx, v.clone(), l.clone(), h.clone(), span, false)?;
    let (v, l, h) = (v.renewed(ecx)?, l.renewed(ecx)?, h.renewed(ecx)?);
    let other = between_values(ecx, v, h, l, span, false)?;
    let both = [one, other].map(|p| condition(ecx, p, "BETWEEN"));
    Ok(Typed::bool(HirScalarExpr::Or(both.into_iter().collect::<Result<_, _>>()?)))
}

fn args_repeat<const N: usize>(ecx: &Ecx<'_>, args: [&Planned; N]) -> Result<(), PlanError> {
    args.into_iter().try_for_each(|a| ecx.repeat(a, 1))
}

fn between_values(
    ecx: &Ecx<'_>,
    v: Planned,
    l: Planned,
    h: Planned,
    span: Span,
    negated: bool,
) -> Result<Planned, PlanError> {
    ecx.repeat(&v, 1)?;
    let at_least = operator(ecx, ">=", vec![v.clone(), l], span)?;
    let at_most = operator(ecx, "<=", vec![v.renewed(ecx)?, h.renewed(ecx)?], span)?;
    let both = vec![condition(ecx, at_least, "BETWEEN")?, condition(ecx, at_most, "BETWEEN")?];
    negate_if(Typed::bool(HirScalarExpr::And(both)), negated, ecx)
}

fn like(
    ecx: &Ecx<'_>,
    op: &str,
    expr: &Expr,
    pattern: &Expr,
    escape: Option<&Expr>,
    escape_function: &str,
) -> Result<Planned, PlanError> {
    let mut pattern_value = plan_expr(ecx, pattern)?;
    if let Some(e) = escape {
        pattern_value = call_named(ecx, escape_function, vec![pattern_value, plan_expr(ecx, e)?], e.span())?;
    }
    operator(ecx, op, vec![plan_expr(ecx, expr)?, pattern_value], operator_span(ecx, expr, pattern))
}

fn similar(
    ecx: &Ecx<'_>,
    op: &str,
    expr: &Expr,
    pattern: &Expr,
    escape: Option<&Expr>,
) -> Result<Planned, PlanError> {
    let mut args = vec![plan_expr(ecx, pattern)?];
    if let Some(e) = escape {
        args.push(plan_expr(ecx, e)?);
    }
    let regex = call_named(ecx, "similar_to_escape", args, pattern.span())?;
    operator(ecx, op, vec![plan_expr(ecx, expr)?, regex], expr.span())
}

/// `x op ANY (…)` and ALL, over a subquery or an array.
fn any_all(
    ecx: &Ecx<'_>,
    left: &Expr,
    op: &BinaryOperator,
    right: &Expr,
    all: bool,
) -> Result<Planned, PlanError> {
    let value = plan_row_or_expr(ecx, left)?;
    let symbol = operator_symbol(op);
    let span = left.span();
    if let Some(q) = as_query(right) {
        return quantified_subquery(ecx, value, &symbol, q, all, span);
    }
    let mut inner = right;
    while let Expr::Nested(e) = inner {
        inner = e;
    }
    if let Expr::Array(Array { elem, .. }) = inner
        && !elem.is_empty()
        && !elem.iter().any(|e| matches!(e, Expr::Array(_)))
    {
        let items = elem.iter().map(|e| plan_expr(ecx, e)).collect::<Result<Vec<_>, _>>()?;
        return any_of(ecx, value, &symbol, items, all, span);
    }
    let planned = plan_expr(ecx, inner)?;
    let array = match planned.typ() {
        None => {
            let element = match second_operand(&symbol, &value) {
                // Its operators are those of text.
                Some(ScalarType::VarChar { .. }) | None => ScalarType::String,
                Some(element) => element,
            };
            planned.cast(ecx, &element.without_modifiers().array_of(), CastContext::Implicit)?
        }
        Some(_) => planned.resolve(ecx)?,
    };
    let element = match &array.typ {
        ScalarType::Array(t) => (**t).clone(),
        ScalarType::List { element, .. } => (**element).clone(),
        ScalarType::Int2Vector => ScalarType::Int16,
        _ => {
            let e = PlanError::new("42809", "op ANY/ALL (array) requires array on right side");
            return Err(ecx.error_at(e, right));
        }
    };
    let value = match (value, &element) {
        (row @ Planned::Row(_), ScalarType::Record { .. }) => {
            Planned::Typed(row.cast(ecx, &element, CastContext::Implicit)?)
        }
        (value, _) => value,
    };
    if let Some(result) = internal::quantified(ecx, &symbol, &value, &array, &element, all)? {
        return Ok(Typed::bool(result));
    }
    let array_null = array.expr.clone().is_null();
    let rows = super::function::unnest(Typed::new(array.expr.shifted(1), array.typ))?;
    let result = quantified(ecx, value, &symbol, rows, &[element], all, span)?.resolve(ecx)?;
    Ok(Typed::bool(array_null.if_then_else(HirScalarExpr::null(ScalarType::Bool), result.expr)))
}

fn cast(ecx: &Ecx<'_>, kind: &CastKind, e: &Expr, data_type: &DataType) -> Result<Planned, PlanError> {
    if !matches!(kind, CastKind::Cast | CastKind::DoubleColon) {
        return Err(PlanError::unsupported("TRY_CAST"));
    }
    let place = match data_type {
        DataType::Custom(name, _) => name.span(),
        _ => e.span(),
    };
    let typ = ecx.at(plan_data_type(ecx.scx(), data_type), place)?;
    // ARRAY[] and ARRAY['a'] take their type from the cast.
    if let (Expr::Array(Array { elem, .. }), ScalarType::Array(t)) = (e, &typ)
        && !elem.iter().any(|e| matches!(e, Expr::Array(_)))
    {
        let cast_one = |e: &Expr| plan_expr(ecx, e)?.cast(ecx, t, CastContext::Explicit).map(|t| t.expr);
        let elements = elem.iter().map(cast_one).collect::<Result<Vec<_>, _>>()?;
        let array = internal::array(elements, t)?;
        return Ok(Planned::typed(array.expr, typ));
    }
    if let Some(empty) = empty_container(e, &typ)? {
        return Ok(Planned::typed(internal::relabel(empty.expr, &typ)?, typ));
    }
    let value = plan_expr(ecx, e)?;
    let typed = value.cast(ecx, &typ, CastContext::Explicit).map_err(|err| ecx.error_at(err, e))?;
    Ok(Planned::Typed(typed))
}

/// `LIST[]` and `MAP[]`, which take their type from the cast.
fn empty_container(e: &Expr, typ: &ScalarType) -> Result<Option<Typed>, PlanError> {
    let Expr::Function(f) = e else { return Ok(None) };
    let empty = matches!(&f.args, FunctionArguments::List(list) if list.args.is_empty());
    let constructs = |name: &str| empty && name_parts(&f.name).is_ok_and(|parts| parts == [name]);
    match typ {
        ScalarType::List { element, .. } if constructs(LIST_CONSTRUCTOR) => {
            Ok(Some(internal::list(vec![], element)?))
        }
        ScalarType::Map { value, .. } if constructs(MAP_CONSTRUCTOR) => {
            Ok(Some(internal::map(vec![], value)?))
        }
        _ => Ok(None),
    }
}

fn case(
    ecx: &Ecx<'_>,
    operand: Option<&Expr>,
    conditions: &[CaseWhen],
    else_result: Option<&Expr>,
) -> Result<Planned, PlanError> {
    // It becomes a conditional in the ELSE of a conditional.
    ecx.qcx.shared.deeper_by(conditions.len(), || case_here(ecx, operand, conditions, else_result))
}

fn case_here(
    ecx: &Ecx<'_>,
    operand: Option<&Expr>,
    conditions: &[CaseWhen],
    else_result: Option<&Expr>,
) -> Result<Planned, PlanError> {
    // What has no type of its own is text.
    let typed = |p: Planned| if is_unknown(&p) { p.resolve(ecx).map(Planned::Typed) } else { Ok(p) };
    let operand = operand.map(|o| one_row(ecx, "CASE", o).and_then(typed)).transpose()?;
    if let Some(o) = &operand {
        ecx.repeat(o, conditions.len().saturating_sub(1))?;
    }
    let mut tests = vec![];
    let mut results = vec![match else_result {
        Some(e) => one_row(ecx, "CASE", e)?,
        None => Planned::Null,
    }];
    for CaseWhen { condition: when, result } in conditions {
        tests.push(match &operand {
            None => {
                condition(ecx, one_row(ecx, "CASE", when)?, "CASE/WHEN").map_err(|e| ecx.error_at(e, when))?
            }
            Some(o) => {
                let equal = operator(ecx, "=", vec![o.clone(), one_row(ecx, "CASE", when)?], when.span())?;
                condition(ecx, equal, "CASE/WHEN")?
            }
        });
        results.push(one_row(ecx, "CASE", result)?);
    }
    let places: Vec<Option<&Expr>> =
        std::iter::once(else_result).chain(conditions.iter().map(|c| Some(&c.result))).collect();
    let (mut results, typ) = unify_at(ecx, results, "CASE", &places)?;
    let mut expr = results.remove(0);
    for (test, result) in tests.into_iter().zip(results).rev() {
        expr = test.if_then_else(result, expr);
    }
    Ok(Planned::typed(expr, typ))
}

/// Brings values to their common type; an error has the position of the first that does not fit.
fn unify_at(
    ecx: &Ecx<'_>,
    values: Vec<Planned>,
    construct: &str,
    places: &[Option<&Expr>],
) -> Result<(Vec<HirScalarExpr>, ScalarType), PlanError> {
    let types: Vec<Option<ScalarType>> = values.iter().map(Planned::typ).collect();
    unify(ecx, values, construct).map_err(|e| {
        let misfit = (1..=types.len()).find(|n| {
            let known: Vec<_> = types[..*n].iter().flatten().cloned().collect();
            unify_types(&known, construct).is_err()
        });
        match misfit.and_then(|n| places.get(n - 1).copied().flatten()) {
            Some(place) => ecx.error_at(e, place),
            None => e,
        }
    })
}

fn array(ecx: &Ecx<'_>, elem: &[Expr]) -> Result<Planned, PlanError> {
    if elem.is_empty() {
        return Err(PlanError::new("42P18", "cannot determine type of empty array")
            .with_hint("Explicitly cast to the desired type, for example ARRAY[]::integer[]."));
    }
    let values = elem.iter().map(|e| plan_expr(ecx, e)).collect::<Result<Vec<_>, _>>()?;
    let places: Vec<Option<&Expr>> = elem.iter().map(Some).collect();
    let (exprs, typ) = unify_at(ecx, values, "ARRAY", &places)?;
    Ok(Planned::Typed(internal::array(exprs, &typ)?))
}

/// `INTERVAL 'text' field`.
fn interval(ecx: &Ecx<'_>, i: &Interval) -> Result<Planned, PlanError> {
    let Expr::Value(v) = &*i.value else {
        return Err(ecx.error_at(PlanError::syntax("an interval literal is a quoted text"), &i.value));
    };
    let mut text = literal_text(v)?;
    let field = i.last_field.as_ref().or(i.leading_field.as_ref()).map(field_name);
    if let Some(field) = field
        && text.trim().parse::<f64>().is_ok()
    {
        text = format!("{text} {field}");
    }
    let typed = Planned::Unknown(text, v.span).cast(ecx, &ScalarType::Interval, CastContext::Explicit)?;
    let last = i.last_field.as_ref().or(i.leading_field.as_ref());
    Ok(match (typed.expr.as_literal(), last) {
        (Some(Datum::Interval(value)), Some(field)) => {
            let value = cut_interval(value, field, i.leading_field.as_ref());
            Planned::typed(HirScalarExpr::literal(Datum::Interval(value), typed.typ.clone()), typed.typ)
        }
        _ => Planned::Typed(typed),
    })
}

/// Leaves out what is less than the last field (manual 8.5.4).
fn cut_interval(
    mut value: DayInterval,
    last: &DateTimeField,
    leading: Option<&DateTimeField>,
) -> DayInterval {
    const HOUR: i64 = 3_600_000_000;
    const MINUTE: i64 = 60_000_000;
    match last {
        DateTimeField::Year if matches!(leading, Some(DateTimeField::Year)) => {
            value = DayInterval { months: value.months / 12 * 12, days: 0, micros: 0 };
        }
        DateTimeField::Month => value = DayInterval { months: value.months, days: 0, micros: 0 },
        DateTimeField::Day => value.micros = 0,
        DateTimeField::Hour => value.micros -= value.micros % HOUR,
        DateTimeField::Minute => value.micros -= value.micros % MINUTE,
        _ => {}
    }
    value
}

/// `(r).f`, `a[i]`, `a[i:j]`, and chains of them.
fn field_access(ecx: &Ecx<'_>, root: &Expr, chain: &[AccessExpr]) -> Result<Planned, PlanError> {
    // These need a parenthesis around them.
    if matches!(root, Expr::Tuple(_) | Expr::Array(_)) {
        let next = if matches!(chain.first(), Some(AccessExpr::Dot(_))) { '.' } else { '[' };
        return Err(syntax_after(ecx, root.span(), next));
    }
    ecx.qcx.shared.deeper_by(chain.len(), || field_access_here(ecx, root, chain))
}

fn field_access_here(ecx: &Ecx<'_>, root: &Expr, chain: &[AccessExpr]) -> Result<Planned, PlanError> {
    let mut value = plan_typed(ecx, root)?;
    let mut i = 0;
    while i < chain.len() {
        match &chain[i] {
            AccessExpr::Dot(Expr::Identifier(name)) => {
                value = ecx.at(field(value, &ident(name)), name.span)?;
                i += 1;
            }
            AccessExpr::Dot(other) => {
                return Err(PlanError::syntax(format!("syntax error at or near \"{other}\"")));
            }
            AccessExpr::Subscript(_) => {
                let subscripts: Vec<&Subscript> = chain[i..]
                    .iter()
                    .map_while(|a| match a {
                        AccessExpr::Subscript(s) => Some(s),
                        AccessExpr::Dot(_) => None,
                    })
                    .collect();
                i += subscripts.len();
                value = subscript(ecx, value, &subscripts).map_err(|e| ecx.error_at(e, root))?;
            }
        }
    }
    Ok(Planned::Typed(value))
}

fn subscript(ecx: &Ecx<'_>, value: Typed, subscripts: &[&Subscript]) -> Result<Typed, PlanError> {
    let index_type = match &value.typ {
        ScalarType::List { .. } => ScalarType::Int64,
        ScalarType::Map { .. } | ScalarType::Jsonb => return subscript_by_key(ecx, value, subscripts),
        _ => ScalarType::Int32,
    };
    let index = |e: &Expr| -> Result<Typed, PlanError> {
        let planned = plan_expr(ecx, e)?;
        let text = planned.type_text();
        planned.cast(ecx, &index_type, CastContext::Assignment).map_err(|e| match e.sqlstate {
            "42846" => PlanError::new("42804", format!("array subscript must have type integer, not {text}")),
            _ => e,
        })
    };
    if !subscripts.iter().any(|s| matches!(s, Subscript::Slice { .. })) {
        let indices = subscripts.iter().filter_map(|s| match s {
            Subscript::Index { index: e } => Some(index(e)),
            Subscript::Slice { .. } => None,
        });
        let indices = indices.collect::<Result<Vec<_>, _>>()?;
        // Each subscript of a list goes one list deeper.
        if matches!(value.typ, ScalarType::List { .. }) {
            return indices.into_iter().try_fold(value, |v, i| internal::subscript(v, vec![i]));
        }
        return internal::subscript(value, indices);
    }
    let mut bounds = vec![];
    let missing = || Typed::new(HirScalarExpr::null(index_type.clone()), index_type.clone());
    for s in subscripts {
        match s {
            // Among slices, a single subscript is an upper bound.
            Subscript::Index { index: e } => {
                let one = Planned::cast(int_literal(1), ecx, &index_type, CastContext::Implicit)?;
                bounds.extend([one, index(e)?]);
            }
            Subscript::Slice { lower_bound, upper_bound, stride: None } => {
                bounds.push(lower_bound.as_ref().map_or_else(|| Ok(missing()), index)?);
                bounds.push(upper_bound.as_ref().map_or_else(|| Ok(missing()), index)?);
            }
            Subscript::Slice { .. } => return Err(PlanError::syntax("syntax error at or near \":\"")),
        }
    }
    internal::slice(value, bounds)
}

/// `m['k']` and `j['k']`: the operator `->`.
fn subscript_by_key(ecx: &Ecx<'_>, value: Typed, subscripts: &[&Subscript]) -> Result<Typed, PlanError> {
    let mut value = value;
    for s in subscripts {
        let Subscript::Index { index } = s else {
            return Err(PlanError::new(
                "42804",
                format!("{} subscript does not support slices", type_name(&value.typ)),
            ));
        };
        let key = plan_expr(ecx, index)?;
        value = operator(ecx, "->", vec![Planned::Typed(value), key], index.span())?.resolve(ecx)?;
    }
    Ok(value)
}
