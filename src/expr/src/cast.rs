//! Which types convert to which, by what calls, and to what type several are brought (PostgreSQL manual 10).
//!
//! A cast is a sequence of calls: at most one that changes the type and one that applies the target's modifier
//! (length, precision, scale). No call at all means that values of the one type are values of the other.

use hw_repr::{Datum, RowArena, ScalarType};

use crate::error::EvalError;
use crate::func::{CastContext, Func, FuncKind, registry};
use crate::functions::cast::container::elements_convert;
use crate::functions::cast::string::is_string;
use crate::functions::cast::{CONTAINER, FROM_TEXT, TO_TEXT, typmod_of};

/// One call of a cast: the function, whose first argument is the value, and its constant further arguments.
#[derive(Debug, Clone, PartialEq)]
pub struct CastStep {
    /// The function.
    pub func: Func,
    /// Arguments after the value.
    pub extra: Vec<(Datum<'static>, ScalarType)>,
}

/// The calls that bring a value from one type to another, modifiers included; `None` when the cast does not exist in
/// that context.
///
/// `text` (and its like) to another type goes through the type's input function and is explicit; any type to text goes
/// through its output function and is for assignment. An unknown-typed literal is not a cast: planning decodes it.
pub fn cast_steps(from: &ScalarType, to: &ScalarType, context: CastContext) -> Option<Vec<CastStep>> {
    let mut steps = vec![];
    if from.base_eq(to) {
        steps.extend(same_base(from, to, context));
    } else {
        let (needed, step) = find(from, to, context)?;
        if needed > context {
            return None;
        }
        steps.push(step);
    }
    steps.extend(length_coercion(from, to, context));
    Some(steps)
}

/// Whether a value may be brought to a type in a context.
pub fn can_cast(from: &ScalarType, to: &ScalarType, context: CastContext) -> bool {
    from.base_eq(to) || find(from, to, context).is_some_and(|(needed, _)| needed <= context)
}

/// The context that the cast from one type to another asks for, when there is one.
pub fn cast_context(from: &ScalarType, to: &ScalarType) -> Option<CastContext> {
    if from.base_eq(to) {
        Some(CastContext::Implicit)
    } else {
        Some(find(from, to, CastContext::Explicit)?.0)
    }
}

/// Applies a cast to an expression of any language: `call` makes a call and `literal` a literal.
pub fn cast_expr<E>(
    expr: E,
    from: &ScalarType,
    to: &ScalarType,
    context: CastContext,
    call: impl Fn(Func, Vec<E>) -> E,
    literal: impl Fn(Datum<'static>, ScalarType) -> E,
) -> Option<E> {
    let steps = cast_steps(from, to, context)?;
    Some(steps.into_iter().fold(expr, |e, step| {
        let mut args = vec![e];
        args.extend(step.extra.into_iter().map(|(d, t)| literal(d, t)));
        call(step.func, args)
    }))
}

/// Applies a cast to a value.
///
/// # Errors
/// When the value does not convert, or there is no such cast.
pub fn cast_datum<'a>(
    datum: Datum<'a>,
    from: &ScalarType,
    to: &ScalarType,
    context: CastContext,
    arena: &'a RowArena,
) -> Result<Datum<'a>, EvalError> {
    if datum.is_null() {
        return Ok(datum);
    }
    let steps = cast_steps(from, to, context);
    let steps = steps.ok_or_else(|| EvalError::new("42846", "cannot cast between these types"))?;
    steps.iter().try_fold(datum, |d, step| {
        let mut args = vec![d];
        args.extend(step.extra.iter().map(|(d, _)| *d));
        step.func.eval(arena, &args)
    })
}

fn step(func: Option<Func>) -> Option<CastStep> {
    func.map(|func| CastStep { func, extra: vec![] })
}

/// The call that changes the type, and the context that it asks for.
fn find(from: &ScalarType, to: &ScalarType, context: CastContext) -> Option<(CastContext, CastStep)> {
    let (base_from, base_to) = (from.without_modifiers(), to.without_modifiers());
    if let Some(def) = registry().cast_by_types.get(&(base_from, base_to.clone())) {
        let FuncKind::Cast(needed) = def.kind else { return None };
        return Some((needed, CastStep { func: Func::new(def, vec![from.clone()]), extra: vec![] }));
    }
    if let Some(elements) = elements_convert(from, to) {
        let mut needed = CastContext::Implicit;
        for (x, y) in &elements {
            needed = needed.max(cast_context(x, y)?);
        }
        if matches!(
            (from, to),
            (ScalarType::Array(_), ScalarType::List { .. }) | (ScalarType::List { .. }, ScalarType::Array(_))
        ) {
            needed = CastContext::Explicit;
        }
        return Some((needed, container_step(from, to, context)?));
    }
    if is_string(to) && *to != ScalarType::PgLegacyChar {
        let func = Func::by_key(TO_TEXT, vec![from.clone()])?.with_ret(base_to);
        return Some((CastContext::Assignment, step(Some(func))?));
    }
    if is_string(from) {
        let func = Func::by_key(FROM_TEXT, vec![from.clone()])?.with_ret(base_to);
        return Some((CastContext::Explicit, step(Some(func))?));
    }
    None
}

fn container_step(from: &ScalarType, to: &ScalarType, context: CastContext) -> Option<CastStep> {
    let func = Func::by_key(CONTAINER, vec![from.clone(), ScalarType::Bool])?.with_ret(to.clone());
    let explicit = Datum::Bool(context == CastContext::Explicit);
    Some(CastStep { func, extra: vec![(explicit, ScalarType::Bool)] })
}

/// Between types of one base: containers whose elements have a modifier are converted, named types given their name.
fn same_base(from: &ScalarType, to: &ScalarType, context: CastContext) -> Option<CastStep> {
    let container = matches!(
        to,
        ScalarType::Array(_) | ScalarType::List { .. } | ScalarType::Map { .. } | ScalarType::Record { .. }
    );
    if from == to || !container {
        return None;
    }
    let modified = elements_convert(from, to)?.iter().any(|(x, y)| x != y && y != &y.without_modifiers());
    if modified {
        return container_step(from, to, context);
    }
    let func = Func::by_key("hw_relabel(Any)", vec![from.clone()])?.with_ret(to.clone());
    step(Some(func))
}

fn length_coercion(from: &ScalarType, to: &ScalarType, context: CastContext) -> Option<CastStep> {
    let typmod = typmod_of(to);
    if typmod < 0 || from == to {
        return None;
    }
    let base = to.without_modifiers();
    let mut extra = vec![(Datum::Int32(typmod), ScalarType::Int32)];
    let key = match to {
        ScalarType::Numeric { .. } => "cast(numeric,int4)->numeric",
        ScalarType::Timestamp { .. } => "cast(timestamp,int4)->timestamp",
        ScalarType::TimestampTz { .. } => "cast(timestamptz,int4)->timestamptz",
        ScalarType::VarChar { .. } => "cast(varchar,int4,bool)->varchar",
        ScalarType::Char { .. } => "cast(bpchar,int4,bool)->bpchar",
        _ => return None,
    };
    if is_string(to) {
        extra.push((Datum::Bool(context == CastContext::Explicit), ScalarType::Bool));
    }
    let mut args = vec![base];
    args.extend(extra.iter().map(|(_, t)| t.clone()));
    Some(CastStep { func: Func::by_key(key, args)?.with_ret(to.clone()), extra })
}

/// Whether the type is the one that its category falls back to (`pg_type.typispreferred`).
pub fn is_preferred(typ: &ScalarType) -> bool {
    matches!(
        typ,
        ScalarType::Bool
            | ScalarType::String
            | ScalarType::Oid
            | ScalarType::Float64
            | ScalarType::TimestampTz { .. }
            | ScalarType::Interval
    )
}

/// The type to which values of all the types are brought by implicit casts (PostgreSQL manual 10.5), for UNION, CASE,
/// COALESCE, arrays and the parameters `AnyCompatible`. Unknown-typed literals are left out by the caller; `None` for no
/// types at all or when there is no such type. Where PostgreSQL has no answer since neither of two types converts to
/// the other (signed and unsigned integers), the narrowest number type to which all do is taken.
pub fn common_type(types: &[ScalarType]) -> Option<ScalarType> {
    let (first, rest) = types.split_first()?;
    if rest.iter().all(|t| t == first) {
        return Some(first.clone());
    }
    let implicit = |x: &ScalarType, y: &ScalarType| can_cast(x, y, CastContext::Implicit);
    let mut chosen = first.clone();
    for t in rest {
        if !t.base_eq(&chosen) && !is_preferred(&chosen) && implicit(&chosen, t) && !implicit(t, &chosen) {
            chosen = t.clone();
        }
    }
    let all_reach = |to: &ScalarType| types.iter().all(|t| implicit(t, to));
    // Modifiers survive only where all agree.
    let agree = types.iter().filter(|t| t.base_eq(&chosen)).all(|t| *t == chosen)
        && types.iter().all(|t| t.base_eq(&chosen));
    let chosen = if agree { chosen } else { unmodified(&chosen) };
    if all_reach(&chosen) {
        return Some(chosen);
    }
    let wider = [ScalarType::Int32, ScalarType::Int64, ScalarType::NUMERIC, ScalarType::Float64];
    let others = types.iter().map(unmodified);
    wider.into_iter().chain(others).find(all_reach)
}

/// The type without its own modifier; named containers keep their name.
fn unmodified(typ: &ScalarType) -> ScalarType {
    if typmod_of(typ) < 0 { typ.clone() } else { typ.without_modifiers() }
}
