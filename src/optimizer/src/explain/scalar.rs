//! Scalar expressions as text.

use hw_expr::func::FuncKind;
use hw_expr::{AggregateExpr, AggregateFunc, MirScalarExpr};
use hw_repr::ScalarType;

/// The expression, columns as `#0`.
pub(crate) fn text(e: &MirScalarExpr) -> String {
    match e {
        MirScalarExpr::Column(c) => format!("#{c}"),
        MirScalarExpr::Literal(Ok(row), typ) => literal(row.unpack_first(), &typ.scalar_type),
        MirScalarExpr::Literal(Err(e), _) => format!("error({:?})", e.to_string()),
        MirScalarExpr::Unmaterializable(f) => match f {
            hw_expr::UnmaterializableFunc::MzNow => "mz_now()".to_owned(),
            other => format!("{other:?}()"),
        },
        MirScalarExpr::Call { func, args } => call(func, args),
        MirScalarExpr::And(v) => joined(v, " AND ", "true"),
        MirScalarExpr::Or(v) => joined(v, " OR ", "false"),
        MirScalarExpr::Not(e) => match &**e {
            MirScalarExpr::IsNull(e) => format!("({}) IS NOT NULL", text(e)),
            other => format!("NOT({})", text(other)),
        },
        MirScalarExpr::IsNull(e) => format!("({}) IS NULL", text(e)),
        MirScalarExpr::Coalesce(v) => format!("coalesce({})", list(v)),
        MirScalarExpr::If { cond, then, els } => {
            format!("case when {} then {} else {} end", text(cond), text(then), text(els))
        }
    }
}

fn call(func: &hw_expr::Func, args: &[MirScalarExpr]) -> String {
    let def = func.def();
    match (def.kind, args) {
        (FuncKind::Operator, [x, y]) => format!("({} {} {})", text(x), def.name, text(y)),
        (FuncKind::Operator, [x]) => format!("({} {})", def.name, text(x)),
        (FuncKind::Cast(_), [x, ..]) => format!("({})::{}", text(x), func.types().ret),
        (FuncKind::Internal, _) => {
            format!("{}({})", def.key.split('(').next().unwrap_or_default(), list(args))
        }
        _ => format!("{}({})", def.name, list(args)),
    }
}

fn literal(datum: hw_repr::Datum<'_>, typ: &ScalarType) -> String {
    use hw_repr::Datum;
    match datum {
        Datum::Null => "null".to_owned(),
        Datum::Bool(b) => b.to_string(),
        Datum::Int16(_) | Datum::Int32(_) | Datum::Int64(_) | Datum::Numeric(_) | Datum::Float64(_) => {
            hw_repr::text::to_string(datum, typ)
        }
        Datum::String(s) => format!("{s:?}"),
        other => format!("{:?}", hw_repr::text::to_string(other, typ)),
    }
}

fn joined(v: &[MirScalarExpr], by: &str, none: &str) -> String {
    if v.is_empty() {
        return none.to_owned();
    }
    let parts: Vec<String> = v.iter().map(text).collect();
    format!("({})", parts.join(by))
}

/// Expressions with commas.
pub(crate) fn list(v: &[MirScalarExpr]) -> String {
    v.iter().map(text).collect::<Vec<_>>().join(", ")
}

/// An aggregate.
pub(crate) fn aggregate(a: &AggregateExpr) -> String {
    let name = match &a.func {
        AggregateFunc::Def(def, _) => def.name.to_owned(),
        AggregateFunc::Window(_) => "window".to_owned(),
    };
    let distinct = if a.distinct { "distinct " } else { "" };
    let args = if a.args.is_empty() { "*".to_owned() } else { list(&a.args) };
    let order: Vec<String> = a.order_by.iter().map(super::mir::order_text).collect();
    let order = if order.is_empty() { String::new() } else { format!(" order_by=[{}]", order.join(", ")) };
    let filter = a.filter.as_ref().map_or(String::new(), |f| format!(" filter={}", text(f)));
    format!("{name}({distinct}{args}{order}){filter}")
}
