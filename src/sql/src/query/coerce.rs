//! Values whose type may not be known yet, and making them fit a type (PostgreSQL manual 10.3 to 10.5).

use hw_expr::HirScalarExpr;
use hw_expr::cast;
use hw_expr::func::CastContext;
use hw_repr::adt::TimeZone;
use hw_repr::text::{self, DecodeContext};
use hw_repr::{ColumnType, Datum, Row, RowArena, ScalarType};
use sqlparser::tokenizer::Span;

use super::context::{Ecx, locate};
use super::internal;
use super::query_function::{is_named_by_catalog, name_text};
use super::types::{named_type, type_name};
use crate::context::StatementContext;
use crate::error::PlanError;

/// A typed value.
#[derive(Debug, Clone)]
pub(super) struct Typed {
    pub(super) expr: HirScalarExpr,
    pub(super) typ: ScalarType,
}

/// A planned value.
#[derive(Debug, Clone)]
pub(super) enum Planned {
    /// Of a known type.
    Typed(Typed),
    /// A quoted literal, whose type is unknown until it is used.
    Unknown(String, Span),
    /// NULL of unknown type.
    Null,
    /// A parameter of unknown type, and where it stands.
    Param(usize, Span),
    /// A row constructor.
    Row(Vec<Planned>),
}

impl Typed {
    pub(super) fn new(expr: HirScalarExpr, typ: ScalarType) -> Self {
        Typed { expr, typ }
    }

    pub(super) fn bool(expr: HirScalarExpr) -> Planned {
        Planned::Typed(Typed { expr, typ: ScalarType::Bool })
    }
}

impl Planned {
    pub(super) fn typed(expr: HirScalarExpr, typ: ScalarType) -> Planned {
        Planned::Typed(Typed { expr, typ })
    }

    /// The type, `None` while unknown.
    pub(super) fn typ(&self) -> Option<ScalarType> {
        match self {
            Planned::Typed(t) => Some(t.typ.clone()),
            Planned::Row(fields) => Some(ScalarType::Record {
                fields: fields
                    .iter()
                    .enumerate()
                    .map(|(i, f)| {
                        (format!("f{}", i + 1), f.typ().unwrap_or(ScalarType::String).nullable(true))
                    })
                    .collect(),
                custom_id: None,
            }),
            _ => None,
        }
    }

    /// How large the expression is.
    pub(super) fn size(&self) -> usize {
        match self {
            Planned::Typed(t) => t.expr.size(),
            Planned::Row(fields) => 1 + fields.iter().map(Planned::size).sum::<usize>(),
            Planned::Unknown(..) | Planned::Null | Planned::Param(..) => 1,
        }
    }

    /// The type as error texts show it.
    pub(super) fn type_text(&self) -> String {
        self.typ().map_or_else(|| "unknown".to_owned(), |t| type_name(&t))
    }

    /// The value, as text if its type is unknown.
    pub(super) fn resolve(self, ecx: &Ecx<'_>) -> Result<Typed, PlanError> {
        match self {
            Planned::Typed(t) => Ok(t),
            Planned::Row(fields) => {
                let fields = fields.into_iter().map(|f| f.left_open(ecx)).collect::<Result<Vec<_>, _>>()?;
                internal::record(fields)
            }
            other => other.cast(ecx, &ScalarType::String, CastContext::Implicit),
        }
    }

    /// The value where any type will do: a parameter's type is still to be found elsewhere in the statement.
    pub(super) fn left_open(self, ecx: &Ecx<'_>) -> Result<Typed, PlanError> {
        match self {
            Planned::Param(n, span) => {
                ecx.scx().open_params.borrow_mut().push((n, span));
                Ok(Typed::new(HirScalarExpr::Parameter(n, ScalarType::String), ScalarType::String))
            }
            other => other.resolve(ecx),
        }
    }

    /// The value as if it were planned now: a parameter may have been given its type meanwhile.
    pub(super) fn renewed(self, ecx: &Ecx<'_>) -> Result<Planned, PlanError> {
        match self {
            Planned::Param(n, span) => parameter(ecx.scx(), n, span),
            other => Ok(other),
        }
    }

    /// The value brought to a type.
    pub(super) fn cast(
        self,
        ecx: &Ecx<'_>,
        to: &ScalarType,
        context: CastContext,
    ) -> Result<Typed, PlanError> {
        let scx = ecx.scx();
        match self {
            Planned::Typed(t)
                if context >= CastContext::Assignment && to.is_string() && is_named_by_catalog(&t.typ) =>
            {
                cast_typed(name_text(scx, t)?, to, context)
            }
            Planned::Typed(t) => cast_typed(t, to, context),
            Planned::Null => Ok(Typed::new(HirScalarExpr::null(to.clone()), to.clone())),
            Planned::Unknown(s, span) => literal(scx, &s, to, context).map_err(|e| locate(scx, e, span)),
            Planned::Param(n, span) => {
                let typ = settle(scx, n, span, to)?;
                cast_typed(Typed::new(HirScalarExpr::Parameter(n, typ.clone()), typ), to, context)
            }
            Planned::Row(items) => match to {
                ScalarType::Record { fields, .. } => {
                    if fields.len() != items.len() {
                        let few = if items.len() < fields.len() { "few" } else { "many" };
                        return Err(PlanError::new(
                            "42846",
                            format!("cannot cast type record to {}", named_type(scx, to)),
                        )
                        .with_detail(format!("Input has too {few} columns.")));
                    }
                    let cast_item =
                        |(i, (_, t)): (Planned, &(String, ColumnType))| i.cast(ecx, &t.scalar_type, context);
                    let items =
                        items.into_iter().zip(fields).map(cast_item).collect::<Result<Vec<_>, _>>()?;
                    let record = internal::record(items)?;
                    Ok(Typed::new(internal::relabel(record.expr, to)?, to.clone()))
                }
                _ => cast_typed(Planned::Row(items).resolve(ecx)?, to, context),
            },
        }
    }
}

/// Casts a typed value.
pub(super) fn cast_typed(t: Typed, to: &ScalarType, context: CastContext) -> Result<Typed, PlanError> {
    if t.typ == *to {
        return Ok(t);
    }
    let cannot =
        || PlanError::new("42846", format!("cannot cast type {} to {}", type_name(&t.typ), type_name(to)));
    let expr = cast::cast_expr(t.expr.clone(), &t.typ, to, context, HirScalarExpr::call, |d, t| {
        HirScalarExpr::literal(d, t)
    });
    Ok(Typed::new(expr.ok_or_else(cannot)?, to.clone()))
}

/// The session's time zone.
pub(super) fn session_zone(scx: &StatementContext<'_>) -> TimeZone {
    let setting = scx.session.vars.get("timezone").and_then(|z| TimeZone::parse_setting(z).ok());
    setting.unwrap_or_default()
}

/// A quoted literal read as a type.
fn literal(
    scx: &StatementContext<'_>,
    s: &str,
    to: &ScalarType,
    context: CastContext,
) -> Result<Typed, PlanError> {
    if let Some(reg) = super::catalog_literal::reg_literal(scx, s, to)? {
        return Ok(Typed::new(reg, to.clone()));
    }
    let arena = RowArena::new();
    let base = to.without_modifiers();
    // Names of types are kept; only lengths, precisions and scales are applied afterwards.
    let decode_as =
        if matches!(to, ScalarType::Record { .. } | ScalarType::List { .. } | ScalarType::Map { .. }) {
            to
        } else {
            &base
        };
    let cx = DecodeContext { timezone: session_zone(scx), now: None };
    let datum = match text::decode_with(s, decode_as, &cx, &arena) {
        Ok(datum) => datum,
        Err(e) if e.kind == text::ParseErrorKind::Volatile => {
            let value = super::clock_literal::clock_literal(s, to)?;
            return value.ok_or_else(|| parse_error(e));
        }
        Err(e) => return Err(parse_error(e)),
    };
    if let (ScalarType::Jsonpath, Datum::String(path)) = (decode_as, datum) {
        hw_expr::check_jsonpath_patterns(path)?;
    }
    let row = Row::pack_slice(&[datum]);
    let typed = Typed::new(HirScalarExpr::Literal(row, decode_as.clone().nullable(false)), decode_as.clone());
    cast_typed(typed, to, context)
}

fn parse_error(e: text::ParseError) -> PlanError {
    PlanError::from(hw_expr::EvalError::from(e))
}

/// The type of a parameter, if it is known.
pub(super) fn param_type(scx: &StatementContext<'_>, n: usize) -> Result<Option<ScalarType>, PlanError> {
    if !scx.allow_params || n == 0 || n > 65_535 {
        return Err(PlanError::new("42P02", format!("there is no parameter ${n}")));
    }
    Ok(scx.param_types.borrow().get(n - 1).cloned().flatten())
}

/// The type of a parameter that is used as `to` where it was planned with its type open.
pub(super) fn settle(
    scx: &StatementContext<'_>,
    n: usize,
    span: Span,
    to: &ScalarType,
) -> Result<ScalarType, PlanError> {
    let wanted = to.without_modifiers();
    match param_type(scx, n)? {
        Some(known) if !known.base_eq(&wanted) => {
            let text = format!("inconsistent types deduced for parameter ${n}");
            let detail = format!("{} versus {}", type_name(&known), type_name(&wanted));
            Err(locate(scx, PlanError::new("42P08", text).with_detail(detail), span))
        }
        Some(known) => Ok(known),
        None => {
            set_param_type(scx, n, wanted.clone());
            Ok(wanted)
        }
    }
}

fn set_param_type(scx: &StatementContext<'_>, n: usize, typ: ScalarType) {
    let mut types = scx.param_types.borrow_mut();
    if types.len() < n {
        types.resize(n, None);
    }
    types[n - 1] = Some(typ);
}

/// A parameter.
pub(super) fn parameter(scx: &StatementContext<'_>, n: usize, span: Span) -> Result<Planned, PlanError> {
    Ok(match param_type(scx, n)? {
        Some(typ) => Planned::typed(HirScalarExpr::Parameter(n, typ.clone()), typ),
        None => {
            let mut types = scx.param_types.borrow_mut();
            if types.len() < n {
                types.resize(n, None);
            }
            Planned::Param(n, span)
        }
    })
}

/// The type to which several values are brought (manual 10.5); `construct` names the place in errors, such as `CASE`.
pub(super) fn common_type(values: &[&Planned], construct: &str) -> Result<ScalarType, PlanError> {
    let types: Vec<ScalarType> = values.iter().filter_map(|v| v.typ()).collect();
    unify_types(&types, construct)
}

/// The type to which values of several types are brought; text for none at all.
pub(super) fn unify_types(types: &[ScalarType], construct: &str) -> Result<ScalarType, PlanError> {
    if types.is_empty() {
        return Ok(ScalarType::String);
    }
    if let Some(t) = cast::common_type(types) {
        return Ok(t);
    }
    let first = &types[0];
    let other =
        types.iter().find(|t| cast::common_type(&[first.clone(), (*t).clone()]).is_none()).unwrap_or(first);
    let (a, b) = (type_name(first), type_name(other));
    Err(PlanError::new("42804", format!("{construct} types {a} and {b} cannot be matched")))
}

/// Brings values to their common type.
pub(super) fn unify(
    ecx: &Ecx<'_>,
    values: Vec<Planned>,
    construct: &str,
) -> Result<(Vec<HirScalarExpr>, ScalarType), PlanError> {
    let typ = common_type(&values.iter().collect::<Vec<_>>(), construct)?;
    let cast_one = |v: Planned| v.cast(ecx, &typ, CastContext::Implicit).map(|t| t.expr);
    let exprs = values.into_iter().map(cast_one).collect::<Result<Vec<_>, _>>()?;
    Ok((exprs, typ))
}
