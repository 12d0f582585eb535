//! Calls of functions that have no SQL name.

use hw_expr::HirScalarExpr;
use hw_expr::cast::common_type;
use hw_expr::func::{CastContext, Func};
use hw_repr::{Datum, ScalarType};

use super::coerce::{Planned, Typed, cast_typed};
use super::context::Ecx;
use crate::error::PlanError;

fn internal(key: &str, args: Vec<ScalarType>) -> Result<Func, PlanError> {
    Func::by_key(key, args)
        .ok_or_else(|| PlanError::new("XX000", format!("internal function {key} is missing")))
}

fn call(key: &str, args: Vec<Typed>, ret: &ScalarType) -> Result<HirScalarExpr, PlanError> {
    let (exprs, types): (Vec<_>, Vec<_>) = args.into_iter().map(|a| (a.expr, a.typ)).unzip();
    Ok(HirScalarExpr::call(internal(key, types)?.with_ret(ret.clone()), exprs))
}

/// How many fields a record may have, those of records in it included.
const MAX_FIELDS: usize = 10_000;

/// How many fields there are in a value of a type.
fn width(typ: &ScalarType) -> usize {
    match typ {
        ScalarType::Record { fields, .. } => {
            1 + fields.iter().map(|(_, t)| width(&t.scalar_type)).sum::<usize>()
        }
        ScalarType::Array(t) | ScalarType::Range(t) => width(t),
        ScalarType::List { element, .. } => width(element),
        ScalarType::Map { value, .. } => width(value),
        _ => 1,
    }
}

/// `ROW(…)` of these fields, named f1, f2, ….
pub(super) fn record(fields: Vec<Typed>) -> Result<Typed, PlanError> {
    let names = (1..=fields.len()).map(|i| format!("f{i}")).collect();
    named_record(fields, names)
}

/// A record with named fields.
pub(super) fn named_record(fields: Vec<Typed>, names: Vec<String>) -> Result<Typed, PlanError> {
    // Records of records may double with each level.
    if fields.iter().map(|f| width(&f.typ)).sum::<usize>() > MAX_FIELDS {
        let text = format!("a record can have at most {MAX_FIELDS} fields, those of its records included");
        return Err(PlanError::new("54011", text));
    }
    let typ = ScalarType::Record {
        fields: names.into_iter().zip(&fields).map(|(n, f)| (n, f.typ.clone().nullable(true))).collect(),
        custom_id: None,
    };
    Ok(Typed::new(call("hw_record(Any...)", fields, &typ)?, typ))
}

/// A field of a record, by its position.
pub(super) fn record_get(record: Typed, field: usize) -> Result<Typed, PlanError> {
    let ScalarType::Record { fields, .. } = &record.typ else {
        return Err(PlanError::new("42809", "a field is taken of a value that is no record"));
    };
    let typ = fields[field].1.scalar_type.clone();
    let at = i32::try_from(field).map_err(|_| PlanError::new("54011", "too many columns"))?;
    let position = Typed::new(HirScalarExpr::literal(Datum::Int32(at), ScalarType::Int32), ScalarType::Int32);
    Ok(Typed::new(call(RECORD_GET, vec![record, position], &typ)?, typ))
}

/// The key of the function that takes a field of a record, by its position from 0.
pub(crate) const RECORD_GET: &str = "hw_record_get(AnyRecord,int4)";

/// The same value under another type of the same base.
pub(super) fn relabel(expr: HirScalarExpr, typ: &ScalarType) -> Result<HirScalarExpr, PlanError> {
    Ok(HirScalarExpr::call(internal("hw_relabel(Any)", vec![typ.clone()])?.with_ret(typ.clone()), vec![expr]))
}

/// `ARRAY[…]` of elements of one type; of arrays, an array of one more dimension.
pub(super) fn array(elements: Vec<HirScalarExpr>, element: &ScalarType) -> Result<Typed, PlanError> {
    let typ = match element {
        ScalarType::Array(_) => element.clone(),
        t => t.clone().array_of(),
    };
    let args = elements.into_iter().map(|e| Typed::new(e, element.clone())).collect();
    Ok(Typed::new(call("hw_array(Any...)", args, &typ)?, typ))
}

/// `LIST[…]`.
pub(super) fn list(elements: Vec<HirScalarExpr>, element: &ScalarType) -> Result<Typed, PlanError> {
    let typ = element.clone().list_of();
    let args = elements.into_iter().map(|e| Typed::new(e, element.clone())).collect();
    Ok(Typed::new(call("hw_list(Any...)", args, &typ)?, typ))
}

/// `MAP[…]`: keys and values in turn.
pub(super) fn map(
    entries: Vec<(HirScalarExpr, HirScalarExpr)>,
    value: &ScalarType,
) -> Result<Typed, PlanError> {
    let typ = ScalarType::Map { value: Box::new(value.clone()), custom_id: None };
    let pair = |(k, v)| [Typed::new(k, ScalarType::String), Typed::new(v, value.clone())];
    let args = entries.into_iter().flat_map(pair).collect();
    Ok(Typed::new(call("hw_map(Any...)", args, &typ)?, typ))
}

/// Elements of a container by subscripts: `a[i][j]`, of a list `l[i]`, of a map `m[k]`.
pub(super) fn subscript(container: Typed, subscripts: Vec<Typed>) -> Result<Typed, PlanError> {
    let (key, typ) = match &container.typ {
        ScalarType::Array(t) => ("hw_array_get(AnyArray,int4...)", (**t).clone()),
        ScalarType::Int2Vector => ("hw_array_get(AnyArray,int4...)", ScalarType::Int16),
        ScalarType::List { element, .. } => ("hw_list_get(AnyList,int8...)", (**element).clone()),
        other => {
            let text = format!(
                "cannot subscript type {} because it does not support subscripting",
                super::types::type_name(other)
            );
            return Err(PlanError::new("42804", text));
        }
    };
    let mut args = vec![container];
    args.extend(subscripts);
    Ok(Typed::new(call(key, args, &typ)?, typ))
}

/// A slice of an array or list: lower and upper bounds in turn (NULL where left out).
pub(super) fn slice(container: Typed, bounds: Vec<Typed>) -> Result<Typed, PlanError> {
    let typ = container.typ.without_modifiers();
    let key = match &typ {
        ScalarType::List { .. } => "hw_list_slice(AnyList,int8...)",
        _ => "hw_array_slice(AnyArray,int4...)",
    };
    let mut args = vec![container];
    args.extend(bounds);
    Ok(Typed::new(call(key, args, &typ)?, typ))
}

/// `value symbol ANY (array)`, or ALL, where there is a function for it.
pub(super) fn quantified(
    ecx: &Ecx<'_>,
    symbol: &str,
    value: &Planned,
    array: &Typed,
    element: &ScalarType,
    all: bool,
) -> Result<Option<HirScalarExpr>, PlanError> {
    let name = match symbol {
        "=" => "eq",
        "<>" => "ne",
        "<" => "lt",
        "<=" => "le",
        ">" => "gt",
        ">=" => "ge",
        "~~" => "like",
        "!~~" => "not_like",
        "~~*" => "ilike",
        "!~~*" => "not_ilike",
        _ => return Ok(None),
    };
    let types: Vec<ScalarType> = value.typ().into_iter().chain([element.clone()]).collect();
    let common = match common_type(&types) {
        // Blanks at the end do not count there.
        Some(ScalarType::Char { .. }) | None => return Ok(None),
        Some(t) => t,
    };
    if matches!(value, Planned::Row(_)) || (name.ends_with("like") && common != ScalarType::String) {
        return Ok(None);
    }
    let container = match &array.typ {
        ScalarType::List { .. } => common.clone().list_of(),
        _ => common.clone().array_of(),
    };
    let key = format!("hw_{}_{name}(Any,Any)", if all { "all" } else { "any" });
    let Some(func) = Func::by_key(&key, vec![common.clone(), container.clone()]) else { return Ok(None) };
    let array = if array.typ.base_eq(&container) {
        array.clone()
    } else {
        cast_typed(array.clone(), &container, CastContext::Implicit)?
    };
    let value = value.clone().cast(ecx, &common, CastContext::Implicit)?;
    Ok(Some(HirScalarExpr::call(func, vec![value.expr, array.expr])))
}
