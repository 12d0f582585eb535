//! Calls of functions by name.

use std::borrow::Cow;

use hw_expr::cast::can_cast;
use hw_expr::func::{CastContext, Func, registry};
use hw_expr::hir::HirAggregateExpr;
use hw_expr::{AggregateFunc, HirRelationExpr, HirScalarExpr, TableFunc, TableFuncDef, UnmaterializableFunc};
use hw_repr::{ColumnOrder, Datum, RelationDesc, Row, ScalarType};
use sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArguments, ObjectName, OrderByExpr, Query, Spanned, Value,
    helpers::attached_token::AttachedToken,
};
use sqlparser::tokenizer::Span;

use super::aggregate::plan_aggregate;
use super::coerce::{Planned, Typed, unify};
use super::context::{Ecx, ident, locate, name_parts};
use super::grouping::plan_grouping;
use super::hypothetical::is_hypothetical;
use super::named::in_order;
use super::operator::{Failure, call_best, operator};
use super::query::plan_parts;
use super::resolve::{NoMatch, Signature, choose};
use super::scalar::{between_symmetric, plan_expr, text_literal};
use super::select::GROUP_BY;
use super::types::{builtin_type, named_type, type_name};
use super::window::{is_window_function, plan_window_call};
use crate::error::PlanError;
use crate::parser::{
    BETWEEN_SYMMETRIC, LIST_CONSTRUCTOR, LIST_SUBQUERY, MAP_CONSTRUCTOR, MAP_SUBQUERY, VARIADIC,
};

/// How many arguments a function may have, as in PostgreSQL.
const MAX_ARGUMENTS: usize = 100;

/// The arguments of a call, taken apart.
pub(super) struct Call<'a> {
    /// The function's name without its schema.
    pub(super) name: String,
    /// The arguments.
    pub(super) args: Vec<Cow<'a, Expr>>,
    /// For each argument the name that is written before it.
    pub(super) names: Vec<Option<String>>,
    /// `f(*)`
    pub(super) star: bool,
    /// DISTINCT
    pub(super) distinct: bool,
    /// ORDER BY
    pub(super) order_by: &'a [OrderByExpr],
    /// WITHIN GROUP (ORDER BY …)
    pub(super) within_group: &'a [OrderByExpr],
    /// FILTER
    pub(super) filter: Option<&'a Expr>,
    /// Where it is.
    pub(super) span: Span,
}

/// The name of a function: built-in ones are in the system's schemas.
pub(super) fn function_name(name: &ObjectName) -> Result<String, PlanError> {
    let parts = name_parts(name)?;
    match &parts[..] {
        [name] => Ok(name.clone()),
        [schema, name]
            if matches!(
                schema.as_str(),
                "pg_catalog" | "mz_catalog" | "mz_internal" | "information_schema" | "mz_unsafe"
            ) =>
        {
            Ok(name.clone())
        }
        _ => Err(PlanError::new("42883", format!("function {} does not exist", parts.join(".")))),
    }
}

/// Takes a call apart.
pub(super) fn call_parts(f: &Function) -> Result<Call<'_>, PlanError> {
    let span = f.name.span();
    let mut call = Call {
        name: function_name(&f.name)?,
        args: vec![],
        names: vec![],
        star: false,
        distinct: false,
        order_by: &[],
        within_group: &f.within_group,
        filter: f.filter.as_deref(),
        span,
    };
    if let FunctionArguments::List(list) = &f.args {
        call.distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
        for arg in &list.args {
            match arg_expr(arg)? {
                Some(e) => {
                    call.names.push(arg_name(arg));
                    call.args.push(e);
                }
                None => call.star = true,
            }
        }
        for clause in &list.clauses {
            match clause {
                FunctionArgumentClause::OrderBy(o) => call.order_by = o,
                other => return Err(PlanError::unsupported(format!("{other} in a function call"))),
            }
        }
    }
    if f.null_treatment.is_some() {
        return Err(PlanError::unsupported("IGNORE NULLS and RESPECT NULLS"));
    }
    Ok(call)
}

/// The name that is written before an argument.
pub(super) fn arg_name(arg: &FunctionArg) -> Option<String> {
    match arg {
        FunctionArg::Named { name, .. } => Some(ident(name)),
        _ => None,
    }
}

/// That named arguments come last, each name once.
fn check_names(ecx: &Ecx<'_>, call: &Call<'_>) -> Result<(), PlanError> {
    for (i, (name, arg)) in call.names.iter().zip(&call.args).enumerate() {
        let before = &call.names[..i];
        let text = match name {
            None if before.iter().any(Option::is_some) => {
                "positional argument cannot follow named argument".to_owned()
            }
            Some(n) if before.contains(name) => format!("argument name \"{n}\" used more than once"),
            _ => continue,
        };
        return Err(ecx.error_at(PlanError::syntax(text), arg));
    }
    Ok(())
}

/// A syntax error at the first such character after a place.
pub(super) fn syntax_after(ecx: &Ecx<'_>, span: Span, c: char) -> PlanError {
    let error = PlanError::syntax(format!("syntax error at or near \"{c}\""));
    let Some(from) = ecx.scx().position(span.end) else { return error };
    let found = ecx.scx().text.chars().enumerate().skip(from - 1).find(|(_, x)| *x == c);
    match found {
        Some((i, _)) => error.at(i + 1),
        None => error,
    }
}

/// The expression of an argument; `None` for `*`.
pub(super) fn arg_expr(arg: &FunctionArg) -> Result<Option<Cow<'_, Expr>>, PlanError> {
    match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(e))
        | FunctionArg::Named { arg: FunctionArgExpr::Expr(e), .. } => Ok(Some(Cow::Borrowed(e))),
        FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(name)) => {
            Ok(Some(Cow::Owned(Expr::QualifiedWildcard(name.clone(), AttachedToken::empty()))))
        }
        FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => Ok(None),
        other => Err(PlanError::unsupported(format!("the argument {other}"))),
    }
}

/// Plans a call.
pub(super) fn plan_function(ecx: &Ecx<'_>, f: &Function) -> Result<Planned, PlanError> {
    let span = f.name.span();
    ecx.at(plan_function_here(ecx, f), span)
}

fn plan_function_here(ecx: &Ecx<'_>, f: &Function) -> Result<Planned, PlanError> {
    if let FunctionArguments::Subquery(q) = &f.args {
        return collect_subquery(ecx, &function_name(&f.name)?, q);
    }
    let mut call = call_parts(f)?;
    check_names(ecx, &call)?;
    if call.star && call.distinct {
        return Err(syntax_after(ecx, call.span, '*'));
    }
    if let Some(over) = &f.over {
        return plan_window_call(ecx, &call, over);
    }
    if registry().aggregates.contains_key(call.name.as_str()) || is_hypothetical(&call) {
        return plan_aggregate(ecx, &call);
    }
    if is_window_function(&call.name) {
        let text = format!("window function {} requires an OVER clause", call.name);
        return Err(PlanError::new("42809", text));
    }
    let wrong = if call.distinct {
        Some("DISTINCT")
    } else if !call.order_by.is_empty() {
        Some("ORDER BY")
    } else if !call.within_group.is_empty() {
        Some("WITHIN GROUP")
    } else if call.filter.is_some() {
        Some("FILTER")
    } else {
        None
    };
    if let Some(what) = wrong {
        let text = format!("{what} specified, but {} is not an aggregate function", call.name);
        return Err(PlanError::new("42809", text));
    }
    if call.star {
        return Err(PlanError::new(
            "42809",
            format!("{}(*) specified, but {0} is not an aggregate function", call.name),
        ));
    }
    if call.name == "grouping" {
        return plan_grouping(ecx, &call);
    }
    if too_few_for_syntax(&call) {
        return Err(syntax_after(ecx, call.span, ')'));
    }
    normal_form(&mut call);
    let plan = |a: &Cow<'_, Expr>| match call.name.as_str() {
        "coalesce" => one_row(ecx, "COALESCE", a),
        _ => plan_expr(ecx, a),
    };
    let args = call.args.iter().map(plan).collect::<Result<Vec<_>, _>>()?;
    if call.names.last().and_then(Option::as_deref) == Some(VARIADIC) {
        return spread(ecx, &call.name, args, call.span);
    }
    let args = in_order(&call.name, &call.names, args)?;
    call_named(ecx, &call.name, args, call.span)
}

/// Plans an expression in which no function may give several rows: it is not always computed.
pub(super) fn one_row(ecx: &Ecx<'_>, construct: &str, e: &Expr) -> Result<Planned, PlanError> {
    let before = ecx.frame.table_functions();
    let planned = plan_expr(ecx, e)?;
    if ecx.frame.table_functions() == before {
        return Ok(planned);
    }
    let text = format!("set-returning functions are not allowed in {construct}");
    let hint = "You might be able to move the set-returning function into a LATERAL FROM item.";
    Err(ecx.error_at(PlanError::new("0A000", text).with_hint(hint), e))
}

/// How many arguments stand before the array in a call of a variadic function.
fn fixed_arguments(name: &str) -> Option<usize> {
    match name {
        "concat" | "num_nulls" | "num_nonnulls" | "jsonb_build_array" | "json_build_array"
        | "jsonb_build_object" | "json_build_object" => Some(0),
        "concat_ws"
        | "format"
        | "jsonb_extract_path"
        | "jsonb_extract_path_text"
        | "json_extract_path"
        | "json_extract_path_text" => Some(1),
        _ => None,
    }
}

/// A call whose last argument is an array that stands for the arguments of a variadic function.
fn spread(ecx: &Ecx<'_>, name: &str, mut args: Vec<Planned>, span: Span) -> Result<Planned, PlanError> {
    let missing = |args: &[Planned]| {
        let texts: Vec<String> = args.iter().map(Planned::type_text).collect();
        locate(ecx.scx(), function_error(name, &texts, NoMatch::None), span)
    };
    if matches!(name, "coalesce" | "greatest" | "least" | "nullif") {
        return ecx.at(Err(PlanError::syntax("syntax error at or near \"variadic\"")), span);
    }
    if fixed_arguments(name) != Some(args.len().saturating_sub(1)) {
        return Err(missing(&args));
    }
    let text = ScalarType::String;
    let fits = |p: &Planned, to: &ScalarType| p.typ().is_none_or(|t| can_cast(&t, to, CastContext::Implicit));
    let path = name.ends_with("extract_path") || name.ends_with("extract_path_text");
    let all_fit = match &args[..] {
        [value, array] if path => fits(value, &ScalarType::Jsonb) && fits(array, &text.clone().array_of()),
        [first, _] => fits(first, &text),
        _ => true,
    };
    if !all_fit {
        return Err(missing(&args));
    }
    if path {
        let symbol = if name.ends_with("text") { "#>>" } else { "#>" };
        return operator(ecx, symbol, args, span);
    }
    let Some(array) = args.pop() else { return Err(PlanError::syntax("VARIADIC without an argument")) };
    let Planned::Typed(Typed { expr, typ: typ @ ScalarType::Array(_) }) = array else {
        return ecx.at(Err(PlanError::new("42804", "VARIADIC argument must be an array")), span);
    };
    let mut exprs = vec![];
    let mut types = vec![];
    for first in args {
        let first = first.cast(ecx, &text, CastContext::Implicit)?;
        exprs.push(first.expr);
        types.push(first.typ);
    }
    exprs.push(expr);
    types.push(typ);
    let params = if types.len() == 1 { "Any" } else { "text,Any" };
    let func = Func::by_key(&format!("hw_spread_{name}({params})"), types);
    let func = func.ok_or_else(|| PlanError::unsupported(format!("VARIADIC in a call of {name}")))?;
    let typ = func.types().ret.clone();
    Ok(Planned::typed(HirScalarExpr::call(func, exprs), typ))
}

/// Whether so few arguments are a syntax error: of what looks like a function and is syntax.
fn too_few_for_syntax(call: &Call<'_>) -> bool {
    match call.name.as_str() {
        "coalesce" | "greatest" | "least" => call.args.is_empty(),
        "nullif" => call.args.len() < 2,
        _ => false,
    }
}

/// `normalize(text, NFD)`: the form is a keyword.
fn normal_form(call: &mut Call<'_>) {
    let [_, form] = &mut call.args[..] else { return };
    let Expr::Identifier(i) = &**form else { return };
    let is_form = matches!(i.value.as_str(), "nfc" | "nfd" | "nfkc" | "nfkd") && i.quote_style.is_none();
    if call.name == "normalize" && is_form {
        let text = Value::SingleQuotedString(i.value.to_uppercase()).with_span(i.span);
        *form = Cow::Owned(Expr::Value(text));
    }
}

/// Calls the function behind a special syntax, such as `substring(x from y)`; errors name it as PostgreSQL does.
pub(super) fn call_syntax(
    ecx: &Ecx<'_>,
    name: &str,
    args: Vec<Planned>,
    span: Span,
) -> Result<Planned, PlanError> {
    call_named(ecx, name, args, span).map_err(|mut e| {
        if e.sqlstate == "42883" {
            e.message =
                e.message.replacen(&format!("function {name}("), &format!("function pg_catalog.{name}("), 1);
        }
        e
    })
}

/// Calls a function by name with planned arguments.
pub(super) fn call_named(
    ecx: &Ecx<'_>,
    name: &str,
    args: Vec<Planned>,
    span: Span,
) -> Result<Planned, PlanError> {
    ecx.at(call_named_here(ecx, name, args), span)
}

fn call_named_here(ecx: &Ecx<'_>, name: &str, args: Vec<Planned>) -> Result<Planned, PlanError> {
    if name == BETWEEN_SYMMETRIC {
        return between_symmetric(ecx, args, Span::empty());
    }
    let args = match special(ecx, name, args)? {
        Ok(done) => return Ok(done),
        Err(args) => args,
    };
    if registry().tables.contains_key(name) && !registry().functions.contains_key(name) {
        return table_function_value(ecx, name, args);
    }
    if args.len() > MAX_ARGUMENTS {
        return Err(PlanError::new(
            "54023",
            format!("cannot pass more than {MAX_ARGUMENTS} arguments to a function"),
        ));
    }
    let types: Vec<_> = args.iter().map(Planned::typ).collect();
    if let Some(e) = undetermined(name, &types) {
        return Err(e);
    }
    let empty = vec![];
    let candidates = registry().functions.get(name).unwrap_or(&empty);
    let one = (args.len() == 1).then(|| args[0].clone());
    match call_best(ecx, candidates, args, false) {
        Ok(p) => Ok(p),
        Err((Failure::Error(e), _)) => Err(e),
        Err((Failure::NoMatch(n), types)) => {
            // A type's name applied to one argument is a cast.
            if let (Some(arg), Some(typ)) = (one, builtin_type(name)) {
                return Ok(Planned::Typed(arg.cast(ecx, &typ, CastContext::Explicit)?));
            }
            Err(function_error(name, &types, n))
        }
    }
}

pub(super) fn function_error(name: &str, types: &[String], n: NoMatch) -> PlanError {
    let call = format!("{name}({})", types.join(", "));
    match n {
        NoMatch::None => PlanError::new("42883", format!("function {call} does not exist")).with_hint(
            "No function matches the given name and argument types. You might need to add explicit type casts.",
        ),
        NoMatch::Ambiguous => PlanError::new("42725", format!("function {call} is not unique"))
            .with_hint("Could not choose a best candidate function. You might need to add explicit type casts."),
    }
}

/// The error of a polymorphic function whose type only arguments without a type could tell (manual 38.2.5).
pub(super) fn undetermined(name: &str, args: &[Option<ScalarType>]) -> Option<PlanError> {
    match (name, args) {
        // There is more than one of the name.
        ("array_agg" | "unnest", [None]) => {
            Some(function_error(name, &["unknown".to_owned()], NoMatch::Ambiguous))
        }
        ("to_jsonb" | "mode", [None])
        | ("percentile_disc", [_, None])
        | ("array_fill" | "first_value" | "last_value" | "nth_value", [None, ..])
        | ("lag" | "lead", [None] | [None, _]) => {
            let text = "could not determine polymorphic type because input has type unknown";
            Some(PlanError::new("42804", text))
        }
        _ => None,
    }
}

fn context_function(f: UnmaterializableFunc) -> Planned {
    let typ = f.typ().scalar_type;
    Planned::typed(HirScalarExpr::Unmaterializable(f), typ)
}

/// Functions of the language rather than of the registry. Gives the arguments back if it is none.
fn special(
    ecx: &Ecx<'_>,
    name: &str,
    args: Vec<Planned>,
) -> Result<Result<Planned, Vec<Planned>>, PlanError> {
    let now_as = |typ: ScalarType| -> Result<Planned, PlanError> {
        let now = context_function(UnmaterializableFunc::Now);
        Ok(Planned::Typed(now.cast(ecx, &typ, CastContext::Explicit)?))
    };
    Ok(Ok(match (name, args.len()) {
        ("row", _) => Planned::Row(args),
        (LIST_CONSTRUCTOR, 0) => {
            return Err(PlanError::new("42P18", "cannot determine type of empty list")
                .with_hint("Explicitly cast to the desired type, for example LIST[]::int list."));
        }
        (LIST_CONSTRUCTOR, _) => {
            let (exprs, typ) = unify(ecx, args, "LIST")?;
            Planned::Typed(super::internal::list(exprs, &typ)?)
        }
        (MAP_CONSTRUCTOR, 0) => {
            return Err(PlanError::new("42P18", "cannot determine type of empty map")
                .with_hint("Explicitly cast to the desired type, for example MAP[]::map[text=>int]."));
        }
        (MAP_CONSTRUCTOR, _) => {
            let (mut keys, mut values) = (vec![], vec![]);
            for (i, arg) in args.into_iter().enumerate() {
                match i % 2 {
                    0 => keys.push(arg.cast(ecx, &ScalarType::String, CastContext::Implicit)?.expr),
                    _ => values.push(arg),
                }
            }
            let (values, typ) = unify(ecx, values, "MAP")?;
            Planned::Typed(super::internal::map(keys.into_iter().zip(values).collect(), &typ)?)
        }
        ("coalesce", 1..) => {
            let (exprs, typ) = unify(ecx, args, "COALESCE")?;
            Planned::typed(HirScalarExpr::Coalesce(exprs), typ)
        }
        ("now" | "current_timestamp" | "transaction_timestamp" | "statement_timestamp", 0) => {
            context_function(UnmaterializableFunc::Now)
        }
        ("current_timestamp", 1) | ("localtimestamp", 1) => {
            let precision = match &args[0] {
                Planned::Typed(t) => t.expr.as_literal().and_then(|d| match d {
                    Datum::Int32(p) => u8::try_from(p.clamp(0, 6)).ok(),
                    _ => None,
                }),
                _ => None,
            };
            match name {
                "current_timestamp" => now_as(ScalarType::TimestampTz { precision })?,
                _ => now_as(ScalarType::Timestamp { precision })?,
            }
        }
        ("localtimestamp", 0) => now_as(ScalarType::TIMESTAMP)?,
        ("current_date", 0) => now_as(ScalarType::Date)?,
        ("current_time" | "localtime", 0) => now_as(ScalarType::Time)?,
        // Since midnight of today.
        ("age", 1) => {
            let typ = match args[0].typ() {
                Some(ScalarType::Timestamp { .. }) => ScalarType::TIMESTAMP,
                _ => ScalarType::TIMESTAMPTZ,
            };
            let today = now_as(ScalarType::Date)?.resolve(ecx)?;
            let today = super::coerce::cast_typed(today, &typ, CastContext::Explicit)?;
            let arg = args.into_iter().next().unwrap_or(Planned::Null);
            let arg = arg.cast(ecx, &typ, CastContext::Implicit)?;
            call_named_here(ecx, "age", vec![Planned::Typed(today), Planned::Typed(arg)])?
        }
        ("mz_now", 0) => context_function(UnmaterializableFunc::MzNow),
        ("current_user" | "current_role" | "user", 0) => context_function(UnmaterializableFunc::CurrentUser),
        ("session_user", 0) => context_function(UnmaterializableFunc::SessionUser),
        ("current_database" | "current_catalog", 0) => {
            context_function(UnmaterializableFunc::CurrentDatabase)
        }
        ("current_schema", 0) => context_function(UnmaterializableFunc::CurrentSchema),
        ("current_schemas", 1) => {
            let [arg] = <[Planned; 1]>::try_from(args).map_err(|_| PlanError::syntax("current_schemas"))?;
            let arg = arg.cast(ecx, &ScalarType::Bool, CastContext::Implicit)?;
            let array = |include_implicit| {
                HirScalarExpr::Unmaterializable(UnmaterializableFunc::CurrentSchemas { include_implicit })
            };
            let typ = ScalarType::PgLegacyName.array_of();
            match arg.expr.as_literal() {
                Some(Datum::Bool(b)) => Planned::typed(array(b), typ),
                _ => Planned::typed(arg.expr.if_then_else(array(true), array(false)), typ),
            }
        }
        ("current_setting", 1 | 2) => current_setting(ecx, args)?,
        ("pg_backend_pid", 0) => context_function(UnmaterializableFunc::PgBackendPid),
        ("version", 0) => context_function(UnmaterializableFunc::Version),
        ("mz_version", 0) => context_function(UnmaterializableFunc::MzVersion),
        ("mz_environment_id", 0) => context_function(UnmaterializableFunc::EnvironmentId),
        ("mz_uptime", 0) => context_function(UnmaterializableFunc::Uptime),
        ("mz_session_id", 0) => context_function(UnmaterializableFunc::SessionId),
        ("pg_postmaster_start_time", 0) => context_function(UnmaterializableFunc::PostmasterStartTime),
        ("pg_typeof", 1) => {
            if let Planned::Param(..) = &args[0] {
                args[0].clone().left_open(ecx)?;
            }
            type_of(ecx, &args[0])
        }
        _ => return Ok(Err(args)),
    }))
}

/// The type of a value. Lists, maps and records have no number that says their elements: they are text.
fn type_of(ecx: &Ecx<'_>, value: &Planned) -> Planned {
    const UNKNOWN: u32 = 705;
    let typ = value.typ();
    let text = typ.as_ref().map_or_else(|| "unknown".to_owned(), |t| named_type(ecx.scx(), t));
    let oid = typ.map_or(UNKNOWN, |t| t.oid());
    if ScalarType::name_of_oid(oid).is_some_and(|name| name == text) {
        let literal = HirScalarExpr::literal(Datum::UInt32(oid), ScalarType::RegType);
        return Planned::typed(literal, ScalarType::RegType);
    }
    text_literal(&text)
}

fn current_setting(ecx: &Ecx<'_>, args: Vec<Planned>) -> Result<Planned, PlanError> {
    let mut args = args.into_iter();
    let name = args.next().ok_or_else(|| PlanError::syntax("current_setting"))?;
    let name = name.cast(ecx, &ScalarType::String, CastContext::Implicit)?;
    match name.expr.as_literal() {
        Some(Datum::String(s)) => {
            Ok(context_function(UnmaterializableFunc::CurrentSetting(s.to_lowercase())))
        }
        // Which setting it is shows only when the query runs.
        _ => {
            let defs = registry().functions.get("hw_setting").map(Vec::as_slice).unwrap_or_default();
            let value = call_best(ecx, defs, vec![Planned::Typed(name)], false);
            value.map_err(|_| PlanError::unsupported("current_setting of a name that is not a literal"))
        }
    }
}

/// Functions that are called without parentheses, for those that the parser takes for names.
pub(super) fn keyword_function(ecx: &Ecx<'_>, name: &str, span: Span) -> Option<Result<Planned, PlanError>> {
    matches!(
        name,
        "current_schema" | "current_role" | "current_catalog" | "session_user" | "user" | "localtimestamp"
    )
    .then(|| call_named(ecx, name, vec![], span))
}

/// `ARRAY(subquery)`, `LIST(subquery)`, `MAP(subquery)`: its rows in its order.
fn collect_subquery(ecx: &Ecx<'_>, name: &str, query: &Query) -> Result<Planned, PlanError> {
    let qcx = ecx.qcx.within(ecx.frame);
    let parts = plan_parts(&qcx, query)?;
    let (width, aggregate) = match name {
        "array" => (1, "array_agg"),
        LIST_SUBQUERY => (1, "list_agg"),
        MAP_SUBQUERY => (2, "map_agg"),
        _ => return Err(PlanError::new("42883", format!("function {name}(record) does not exist"))),
    };
    if parts.types.len() != width {
        let text = if width == 1 {
            "subquery must return only one column"
        } else {
            "expected map subquery to return 2 columns"
        };
        return Err(PlanError::syntax(text));
    }
    let types: Vec<Option<ScalarType>> = parts.types.iter().cloned().map(Some).collect();
    let defs = registry().aggregates.get(aggregate).map(Vec::as_slice).unwrap_or_default();
    let signatures: Vec<_> = defs.iter().map(|d| Signature { params: &d.params, variadic: None }).collect();
    let (chosen, bound) = choose(&signatures, &types, false).map_err(|_| {
        PlanError::new("42883", format!("cannot collect {} values", type_name(&parts.types[0])))
    })?;
    let func = AggregateFunc::new(defs[chosen], bound);
    let typ = func.output_type().scalar_type;
    let mut args: Vec<_> = parts.project.iter().map(|c| HirScalarExpr::column(*c)).collect();
    let order_by = parts.order_by.iter().map(|o| {
        args.push(HirScalarExpr::column(o.column));
        ColumnOrder { column: args.len() - 1, ..o.clone() }
    });
    let order_by = order_by.collect();
    let aggregate = HirAggregateExpr { func, args, order_by, distinct: false, filter: None };
    let rows = ecx.qcx.shared.intern(parts.expr)?;
    let value = HirScalarExpr::Select(Box::new(rows.reduce(vec![], vec![aggregate])));
    let mut empty = Row::default();
    match name {
        "array" => empty.packer().push_array(std::iter::empty::<Datum<'_>>()),
        LIST_SUBQUERY => empty.packer().push_list(std::iter::empty::<Datum<'_>>()),
        _ => empty.packer().push_map_with(|_| {}),
    };
    let empty = HirScalarExpr::Literal(empty, typ.clone().nullable(false));
    Ok(Planned::typed(HirScalarExpr::Coalesce(vec![value, empty]), typ))
}

/// A table function chosen for its arguments.
pub(super) fn choose_table_function(
    ecx: &Ecx<'_>,
    name: &str,
    args: Vec<Planned>,
) -> Result<(TableFunc, Vec<HirScalarExpr>), PlanError> {
    let empty = vec![];
    let defs: &[&'static TableFuncDef] = registry().tables.get(name).unwrap_or(&empty);
    let types: Vec<_> = args.iter().map(Planned::typ).collect();
    let texts: Vec<_> = args.iter().map(Planned::type_text).collect();
    if let Some(e) = undetermined(name, &types) {
        return Err(e);
    }
    let signatures: Vec<_> =
        defs.iter().map(|d| Signature { params: &d.params, variadic: d.variadic.as_ref() }).collect();
    let (chosen, bound) = choose(&signatures, &types, false).map_err(|n| function_error(name, &texts, n))?;
    let typed = signatures[chosen].fit(ecx, args, &bound)?;
    let (exprs, types) = typed.into_iter().map(|t| (t.expr, t.typ)).unzip();
    Ok((TableFunc::new(defs[chosen], types), exprs))
}

/// The rows of `unnest(container)`, which must be seen from one scope further in already.
pub(super) fn unnest(container: Typed) -> Result<HirRelationExpr, PlanError> {
    let missing = || PlanError::new("XX000", "unnest is missing");
    let defs = registry().tables.get("unnest").ok_or_else(missing)?;
    let types = [Some(container.typ.clone())];
    let signatures: Vec<_> = defs.iter().map(|d| Signature { params: &d.params, variadic: None }).collect();
    let (chosen, bound) = choose(&signatures, &types, false).map_err(|_| missing())?;
    Ok(HirRelationExpr::CallTable { func: TableFunc::new(defs[chosen], bound), exprs: vec![container.expr] })
}

/// A table function in an expression: gathered by the query level, which joins its rows in.
fn table_function_value(ecx: &Ecx<'_>, name: &str, args: Vec<Planned>) -> Result<Planned, PlanError> {
    let clause = ecx.frame.clause;
    let collector = match ecx.frame.collector {
        Some(c) if matches!(clause, "SELECT" | "ORDER BY" | "DISTINCT ON" | GROUP_BY) => c,
        _ => {
            let text = format!("set-returning functions are not allowed in {clause}");
            return Err(PlanError::new("0A000", text));
        }
    };
    let (func, exprs) = choose_table_function(ecx, name, args)?;
    let desc: RelationDesc = func.desc();
    let first = collector.borrow_mut().add_table_function(func, exprs, &desc);
    let mut columns = desc
        .iter()
        .enumerate()
        .map(|(i, (n, t))| (n.clone(), Typed::new(HirScalarExpr::column(first + i), t.scalar_type.clone())));
    if desc.arity() == 1
        && let Some((_, only)) = columns.next()
    {
        return Ok(Planned::Typed(only));
    }
    let (names, fields) = columns.unzip();
    Ok(Planned::Typed(super::internal::named_record(fields, names)?))
}

/// Adds the position of a call.
pub(super) fn call_error(ecx: &Ecx<'_>, call: &Call<'_>, e: PlanError) -> PlanError {
    locate(ecx.scx(), e, call.span)
}
