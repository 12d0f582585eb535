//! The names of columns that have none written.

use sqlparser::ast::{
    AccessExpr, BinaryOperator, CastKind, Expr, FunctionArguments, SelectItem, SetExpr, TrimWhereField,
};

use super::context::{Ecx, ident};
use super::types::{column_name_of_type, plan_data_type};

/// The name that PostgreSQL gives an output column.
pub(super) fn output_name(ecx: &Ecx<'_>, e: &Expr) -> String {
    name_of(ecx, e).map_or_else(|| "?column?".to_owned(), |(n, _)| n)
}

/// A name and whether it is a good one: a cast's type gives way to a good name of what is cast.
fn name_of(ecx: &Ecx<'_>, e: &Expr) -> Option<(String, bool)> {
    let good = |s: &str| Some((s.to_owned(), true));
    match e {
        Expr::Identifier(i) => Some((ident(i), true)),
        Expr::CompoundIdentifier(parts) => parts.last().map(|i| (ident(i), true)),
        Expr::Nested(e) | Expr::Collate { expr: e, .. } => name_of(ecx, e),
        Expr::CompoundFieldAccess { root, access_chain } => {
            let field = access_chain.iter().rev().find_map(|a| match a {
                AccessExpr::Dot(Expr::Identifier(i)) => Some(ident(i)),
                _ => None,
            });
            field.map(|f| (f, true)).or_else(|| name_of(ecx, root))
        }
        Expr::Function(f) => match (&f.args, f.name.0.last().and_then(|p| p.as_ident())) {
            (FunctionArguments::Subquery(_), Some(name)) if ident(name) == "array" => good("array"),
            (_, Some(name)) if name.value == crate::parser::BETWEEN_SYMMETRIC => None,
            (_, Some(name)) => {
                let name = ident(name);
                let name = name.trim_end_matches(['[', '(']);
                good(name)
            }
            _ => None,
        },
        Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, .. } => {
            let inner = name_of(ecx, expr);
            match inner {
                Some((n, true)) => Some((n, true)),
                _ => plan_data_type(ecx.scx(), data_type).ok().map(|t| (column_name_of_type(&t), false)),
            }
        }
        Expr::TypedString(t) => {
            plan_data_type(ecx.scx(), &t.data_type).ok().map(|t| (column_name_of_type(&t), false))
        }
        Expr::Interval(_) => Some(("interval".into(), false)),
        Expr::Value(v) if matches!(v.value, sqlparser::ast::Value::Boolean(_)) => {
            Some(("bool".into(), false))
        }
        Expr::Case { else_result, .. } => match else_result.as_ref().and_then(|e| name_of(ecx, e)) {
            Some((n, true)) => Some((n, true)),
            _ => Some(("case".into(), false)),
        },
        Expr::Extract { .. } => good("extract"),
        Expr::Ceil { .. } => good("ceil"),
        Expr::Floor { .. } => good("floor"),
        Expr::Position { .. } => good("position"),
        Expr::Substring { shorthand, .. } => good(if *shorthand { "substr" } else { "substring" }),
        Expr::BinaryOp { op: BinaryOperator::Overlaps, .. } => good("overlaps"),
        Expr::Overlay { .. } => good("overlay"),
        Expr::AtTimeZone { .. } => good("timezone"),
        Expr::IsNormalized { .. } => good("is_normalized"),
        Expr::Trim { trim_where, .. } => good(match trim_where {
            Some(TrimWhereField::Leading) => "ltrim",
            Some(TrimWhereField::Trailing) => "rtrim",
            _ => "btrim",
        }),
        Expr::Exists { .. } => good("exists"),
        Expr::Array(_) => good("array"),
        Expr::Map(_) => good("map"),
        Expr::Tuple(_) => good("row"),
        Expr::Subquery(q) => match &*q.body {
            SetExpr::Select(s) => match s.projection.first()? {
                SelectItem::ExprWithAlias { alias, .. } => Some((ident(alias), true)),
                SelectItem::UnnamedExpr(e) => name_of(ecx, e),
                _ => None,
            },
            SetExpr::Values(_) => good("column1"),
            _ => None,
        },
        _ => None,
    }
}
