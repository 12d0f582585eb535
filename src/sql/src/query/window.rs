//! Window functions (PostgreSQL manual 4.2.8 and 9.22).

use hw_expr::HirScalarExpr;
use hw_expr::func::{CastContext, registry};
use hw_expr::hir::WindowExpr;
use hw_expr::window::{FrameBound, FrameExclusion, FrameUnits, WindowFrame, WindowFunc};
use hw_repr::{ColumnOrder, Datum, ScalarType};
use sqlparser::ast::{self, Spanned, WindowFrameBound, WindowFrameUnits, WindowSpec, WindowType};

use super::aggregate::{order_of, plan_aggregate_parts};
use super::coerce::{Planned, Typed, unify};
use super::context::{Ecx, ident};
use super::function::{Call, function_error, undetermined};
use super::resolve::NoMatch;
use super::scalar::plan_expr;
use super::scope::Frame;
use super::types::{category, check_comparable, type_name};
use crate::error::PlanError;

/// The clause of a window function's arguments, in which no other may stand.
const WINDOW_ARGUMENTS: &str = "window function calls";
/// The clause of a window's PARTITION BY and ORDER BY.
const WINDOW_DEFINITIONS: &str = "window definitions";

/// Whether the name is that of a function that needs OVER.
pub(super) fn is_window_function(name: &str) -> bool {
    matches!(
        name,
        "row_number"
            | "rank"
            | "dense_rank"
            | "percent_rank"
            | "cume_dist"
            | "ntile"
            | "lag"
            | "lead"
            | "first_value"
            | "last_value"
            | "nth_value"
    )
}

/// A window, planned.
#[derive(Clone)]
struct Window {
    partition_by: Vec<HirScalarExpr>,
    order_by: Vec<(HirScalarExpr, ColumnOrder)>,
    order_types: Vec<ScalarType>,
    frame: WindowFrame,
    frame_offsets: Vec<HirScalarExpr>,
}

/// Plans a call with OVER: gives the column that will hold its value.
pub(super) fn plan_window_call(
    ecx: &Ecx<'_>,
    call: &Call<'_>,
    over: &WindowType,
) -> Result<Planned, PlanError> {
    let clause = ecx.frame.clause;
    let collector = match ecx.frame.collector {
        Some(c) if matches!(clause, "SELECT" | "ORDER BY" | "DISTINCT ON") => c,
        _ if clause == WINDOW_ARGUMENTS => {
            return Err(PlanError::new("42P20", "window function calls cannot be nested"));
        }
        _ if clause == super::aggregate::AGGREGATE_ARGUMENTS => {
            let text = "aggregate function calls cannot contain window function calls";
            return Err(PlanError::new("42803", text));
        }
        _ => return Err(PlanError::new("42P20", format!("window functions are not allowed in {clause}"))),
    };
    let frame = Frame { clause: WINDOW_ARGUMENTS, ..*ecx.frame };
    let inner = Ecx { qcx: ecx.qcx, frame: &frame };
    let window = plan_definition(ecx, window_spec(ecx, over)?)?;
    let emit =
        |func: WindowFunc, args: Vec<HirScalarExpr>, filter: Option<HirScalarExpr>, typ: ScalarType| {
            let window = window.clone();
            let expr = WindowExpr {
                func,
                args,
                filter: filter.map(Box::new),
                partition_by: window.partition_by,
                order_by: window.order_by,
                frame: window.frame,
                frame_offsets: window.frame_offsets,
                typ: typ.clone().nullable(true),
            };
            let column = collector.borrow_mut().add_window(expr);
            Typed::new(HirScalarExpr::column(column), typ)
        };
    if !call.within_group.is_empty() {
        let text = format!("OVER is not supported for ordered-set aggregate {}", call.name);
        return Err(PlanError::new("0A000", text));
    }
    if registry().aggregates.contains_key(call.name.as_str()) {
        if call.distinct {
            return Err(PlanError::new("0A000", "DISTINCT is not implemented for window functions"));
        }
        if !call.order_by.is_empty() {
            return Err(PlanError::new(
                "0A000",
                "aggregate ORDER BY is not implemented for window functions",
            ));
        }
        let parts = plan_aggregate_parts(&inner, call)?;
        let value = parts.expand(&inner, &mut |func, args, _, _, filter| {
            let typ = func.output_type().scalar_type;
            Ok(emit(WindowFunc::Aggregate(func), args, filter, typ))
        })?;
        return Ok(Planned::Typed(value));
    }
    if !is_window_function(&call.name) {
        let text =
            format!("OVER specified, but {} is not a window function nor an aggregate function", call.name);
        return Err(PlanError::new("42809", text));
    }
    if call.filter.is_some() {
        return Err(PlanError::new("0A000", "FILTER is not implemented for non-aggregate window functions"));
    }
    let (func, args, typ) = plan_ranking(&inner, call)?;
    Ok(Planned::Typed(emit(func, args, None, typ)))
}

/// The functions that are not aggregates, with all their arguments.
fn plan_ranking(
    ecx: &Ecx<'_>,
    call: &Call<'_>,
) -> Result<(WindowFunc, Vec<HirScalarExpr>, ScalarType), PlanError> {
    let mut args = call.args.iter().map(|a| plan_expr(ecx, a)).collect::<Result<Vec<_>, _>>()?;
    let texts: Vec<_> = args.iter().map(Planned::type_text).collect();
    let types: Vec<_> = args.iter().map(Planned::typ).collect();
    if let Some(e) = undetermined(&call.name, &types) {
        return Err(e);
    }
    let missing = || function_error(&call.name, &texts, NoMatch::None);
    let int4 = |p: Planned| {
        p.cast(ecx, &ScalarType::Int32, CastContext::Implicit).map(|t| t.expr).map_err(|_| missing())
    };
    let plain = |func, typ| Ok((func, vec![], typ));
    match (call.name.as_str(), args.len()) {
        ("row_number", 0) => plain(WindowFunc::RowNumber, ScalarType::Int64),
        ("rank", 0) => plain(WindowFunc::Rank, ScalarType::Int64),
        ("dense_rank", 0) => plain(WindowFunc::DenseRank, ScalarType::Int64),
        ("percent_rank", 0) => plain(WindowFunc::PercentRank, ScalarType::Float64),
        ("cume_dist", 0) => plain(WindowFunc::CumeDist, ScalarType::Float64),
        ("ntile", 1) => Ok((WindowFunc::Ntile, vec![int4(args.remove(0))?], ScalarType::Int32)),
        ("first_value" | "last_value", 1) => {
            let value = args.remove(0).resolve(ecx)?;
            let func =
                if call.name == "first_value" { WindowFunc::FirstValue } else { WindowFunc::LastValue };
            Ok((func, vec![value.expr], value.typ))
        }
        ("nth_value", 2) => {
            let n = int4(args.remove(1))?;
            let value = args.remove(0).resolve(ecx)?;
            Ok((WindowFunc::NthValue, vec![value.expr, n], value.typ))
        }
        ("lag" | "lead", 1..=3) => {
            let func = if call.name == "lag" { WindowFunc::Lag } else { WindowFunc::Lead };
            let default = if args.len() == 3 { args.remove(2) } else { Planned::Null };
            let one = HirScalarExpr::literal(Datum::Int32(1), ScalarType::Int32);
            let offset = if args.len() == 2 { int4(args.remove(1))? } else { one };
            let (mut values, typ) = unify(ecx, vec![args.remove(0), default], &call.name)?;
            let default = values.remove(1);
            Ok((func, vec![values.remove(0), offset, default], typ))
        }
        _ => Err(missing()),
    }
}

/// A window's definition, and what its frame excludes.
type Definition = (WindowSpec, FrameExclusion);

/// The window's definition, with what it takes from a named window.
fn window_spec(ecx: &Ecx<'_>, over: &WindowType) -> Result<Definition, PlanError> {
    match over {
        WindowType::NamedWindow(name) => ecx.at(named_window(ecx, &ident(name)), name.span),
        WindowType::WindowSpec(spec) => inherit(ecx, spec),
    }
}

fn named_window(ecx: &Ecx<'_>, name: &str) -> Result<Definition, PlanError> {
    ecx.qcx.shared.deeper(|| named_window_here(ecx, name))
}

fn named_window_here(ecx: &Ecx<'_>, name: &str) -> Result<Definition, PlanError> {
    let found = ecx.frame.collector.and_then(|c| c.borrow().named_windows.get(name).cloned());
    let spec = found.ok_or_else(|| PlanError::new("42704", format!("window \"{name}\" does not exist")))?;
    inherit(ecx, &spec)
}

fn inherit(ecx: &Ecx<'_>, spec: &WindowSpec) -> Result<Definition, PlanError> {
    let named = spec.window_name.as_ref().map(|n| ecx.scx().extensions.window(n));
    let (base, exclusion) = named.unwrap_or((None, FrameExclusion::NoOthers));
    let Some(base) = base else { return Ok((WindowSpec { window_name: None, ..spec.clone() }, exclusion)) };
    ecx.at(inherit_from(ecx, spec, &ident(base)), base.span).map(|s| (s, exclusion))
}

fn inherit_from(ecx: &Ecx<'_>, spec: &WindowSpec, name: &str) -> Result<WindowSpec, PlanError> {
    let (base, _) = named_window(ecx, name)?;
    let cannot =
        |what: &str| PlanError::new("42P20", format!("cannot override {what} clause of window \"{name}\""));
    if !spec.partition_by.is_empty() {
        return Err(cannot("PARTITION BY"));
    }
    if !spec.order_by.is_empty() && !base.order_by.is_empty() {
        return Err(cannot("ORDER BY"));
    }
    if base.window_frame.is_some() {
        return Err(PlanError::new(
            "42P20",
            format!("cannot copy window \"{name}\" because it has a frame clause"),
        ));
    }
    let order_by = if spec.order_by.is_empty() { base.order_by } else { spec.order_by.clone() };
    Ok(WindowSpec {
        window_name: None,
        partition_by: base.partition_by,
        order_by,
        window_frame: spec.window_frame.clone(),
    })
}

/// Plans all windows of a WINDOW clause, whether they are used or not: a mistake in one is an error.
pub(super) fn check_named_windows(ecx: &Ecx<'_>) -> Result<(), PlanError> {
    let Some(collector) = ecx.frame.collector else { return Ok(()) };
    let names: Vec<String> = collector.borrow().named_windows.keys().cloned().collect();
    for name in names {
        plan_definition(ecx, named_window(ecx, &name)?)?;
    }
    Ok(())
}

fn plan_definition(ecx: &Ecx<'_>, (spec, exclusion): Definition) -> Result<Window, PlanError> {
    let frame = Frame { clause: WINDOW_DEFINITIONS, ..*ecx.frame };
    let mut window = plan_window(&Ecx { qcx: ecx.qcx, frame: &frame }, &spec)?;
    window.frame.exclusion = exclusion;
    Ok(window)
}

fn plan_window(ecx: &Ecx<'_>, spec: &WindowSpec) -> Result<Window, PlanError> {
    let value = |e: &ast::Expr| plan_expr(ecx, e)?.resolve(ecx);
    let partition_by = spec.partition_by.iter().map(|e| {
        let e = value(e)?;
        check_comparable(&e.typ, "equality")?;
        Ok(e.expr)
    });
    let partition_by = partition_by.collect::<Result<Vec<_>, PlanError>>()?;
    let mut order_by = vec![];
    let mut order_types = vec![];
    for (i, o) in spec.order_by.iter().enumerate() {
        let e = value(&o.expr)?;
        check_comparable(&e.typ, "ordering")?;
        order_by.push((e.expr, order_of(o, i)?));
        order_types.push(e.typ);
    }
    let mut window =
        Window { partition_by, order_by, order_types, frame: WindowFrame::default(), frame_offsets: vec![] };
    if let Some(frame) = &spec.window_frame {
        plan_frame(ecx, frame, &mut window)?;
    }
    Ok(window)
}

fn plan_frame(ecx: &Ecx<'_>, frame: &ast::WindowFrame, window: &mut Window) -> Result<(), PlanError> {
    let invalid = |text: &str| PlanError::new("42P20", text);
    let units = match frame.units {
        WindowFrameUnits::Rows => FrameUnits::Rows,
        WindowFrameUnits::Range => FrameUnits::Range,
        WindowFrameUnits::Groups => FrameUnits::Groups,
    };
    if units == FrameUnits::Groups && window.order_by.is_empty() {
        return Err(invalid("GROUPS mode requires an ORDER BY clause"));
    }
    let end = frame.end_bound.as_ref().unwrap_or(&WindowFrameBound::CurrentRow);
    if matches!(frame.start_bound, WindowFrameBound::Following(None)) {
        return Err(invalid("frame start cannot be UNBOUNDED FOLLOWING"));
    }
    if matches!(end, WindowFrameBound::Preceding(None)) {
        return Err(invalid("frame end cannot be UNBOUNDED PRECEDING"));
    }
    match (&frame.start_bound, end) {
        (WindowFrameBound::CurrentRow, WindowFrameBound::Preceding(_)) => {
            return Err(invalid("frame starting from current row cannot have preceding rows"));
        }
        (WindowFrameBound::Following(_), WindowFrameBound::Preceding(_)) => {
            return Err(invalid("frame starting from following row cannot have preceding rows"));
        }
        (WindowFrameBound::Following(_), WindowFrameBound::CurrentRow) => {
            return Err(invalid("frame starting from following row cannot end with current row"));
        }
        _ => {}
    }
    let start = plan_bound(ecx, &frame.start_bound, units, window)?;
    let end = plan_bound(ecx, end, units, window)?;
    window.frame = WindowFrame { units, start, end, exclusion: FrameExclusion::NoOthers };
    Ok(())
}

fn plan_bound(
    ecx: &Ecx<'_>,
    bound: &WindowFrameBound,
    units: FrameUnits,
    window: &mut Window,
) -> Result<FrameBound, PlanError> {
    let mut offset = |e: &ast::Expr| -> Result<usize, PlanError> {
        let typ = match units {
            FrameUnits::Rows | FrameUnits::Groups => ScalarType::Int64,
            FrameUnits::Range => {
                let [order] = &window.order_types[..] else {
                    let text = "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column";
                    return Err(PlanError::new("42P20", text));
                };
                range_offset_type(order)?
            }
        };
        // The parser takes a quoted offset for an interval.
        let e = match e {
            ast::Expr::Interval(i) if i.leading_field.is_none() && i.last_field.is_none() => &i.value,
            e => e,
        };
        let name = match units {
            FrameUnits::Rows => "ROWS",
            FrameUnits::Range => "RANGE",
            FrameUnits::Groups => "GROUPS",
        };
        let frame = Frame { collector: None, clause: offset_clause(units), ..*ecx.frame };
        let ecx = &Ecx { qcx: ecx.qcx, frame: &frame };
        let place = e.span();
        let value = plan_expr(ecx, e)?;
        let text = value.type_text();
        let context = match units {
            FrameUnits::Range => CastContext::Implicit,
            FrameUnits::Rows | FrameUnits::Groups => CastContext::Assignment,
        };
        let value = value.cast(ecx, &typ, context).map_err(|e| {
            let wanted = type_name(&typ);
            match e.sqlstate {
                "42846" => PlanError::new(
                    "42804",
                    format!("argument of {name} must be type {wanted}, not type {text}"),
                ),
                _ => e,
            }
        })?;
        let mut own = false;
        value.expr.visit_free(&mut |c| own |= c.level == 0);
        if own {
            let text = format!("argument of {name} must not contain variables");
            return ecx.at(Err(PlanError::new("42P10", text)), place);
        }
        window.frame_offsets.push(value.expr);
        Ok(window.frame_offsets.len() - 1)
    };
    Ok(match bound {
        WindowFrameBound::CurrentRow => FrameBound::CurrentRow,
        WindowFrameBound::Preceding(None) => FrameBound::UnboundedPreceding,
        WindowFrameBound::Following(None) => FrameBound::UnboundedFollowing,
        WindowFrameBound::Preceding(Some(e)) => FrameBound::Preceding(offset(e)?),
        WindowFrameBound::Following(Some(e)) => FrameBound::Following(offset(e)?),
    })
}

fn offset_clause(units: FrameUnits) -> &'static str {
    match units {
        FrameUnits::Rows => "window ROWS",
        FrameUnits::Range => "window RANGE",
        FrameUnits::Groups => "window GROUPS",
    }
}

/// What is added to a value to bound a RANGE frame: intervals for times, numbers of the same type otherwise.
fn range_offset_type(order: &ScalarType) -> Result<ScalarType, PlanError> {
    match (order, category(order)) {
        (_, 'D') => Ok(ScalarType::Interval),
        (ScalarType::Interval, _) => Ok(ScalarType::Interval),
        (ScalarType::Int16 | ScalarType::Int32 | ScalarType::Int64, _) => Ok(ScalarType::Int64),
        (_, 'N') => Ok(order.without_modifiers()),
        _ => {
            let t = type_name(order);
            let text = format!("RANGE with offset PRECEDING/FOLLOWING is not supported for column type {t}");
            Err(PlanError::new("0A000", text))
        }
    }
}
