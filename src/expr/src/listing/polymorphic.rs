//! Pseudo-types of parameters and results.
//!
//! A result that is computed from the arguments is a pseudo-type too. Which one is found by asking twice: for a call with
//! integers and for one with text.

use hw_repr::{LIST_OID, MAP_OID, RECORD_OID, RelationDesc, ScalarType};

use super::columns_of;
use crate::func::{ParamType, ReturnType};

const ANY: u32 = 2276;
const ANYARRAY: u32 = 2277;
const ANYELEMENT: u32 = 2283;
const ANYNONARRAY: u32 = 2776;
const ANYRANGE: u32 = 3831;
const ANYCOMPATIBLE: u32 = 5077;
const ANYCOMPATIBLEARRAY: u32 = 5078;

/// The number of a parameter's type.
pub(super) fn param_oid(p: &ParamType) -> u32 {
    match p {
        ParamType::Type(t) => t.oid(),
        ParamType::Any | ParamType::ListElement | ParamType::MapValue => ANY,
        ParamType::AnyElement => ANYELEMENT,
        ParamType::AnyArray => ANYARRAY,
        ParamType::AnyNonArray => ANYNONARRAY,
        ParamType::AnyRange => ANYRANGE,
        ParamType::AnyCompatible => ANYCOMPATIBLE,
        ParamType::AnyCompatibleArray => ANYCOMPATIBLEARRAY,
        ParamType::AnyList => LIST_OID,
        ParamType::AnyMap => MAP_OID,
        ParamType::AnyRecord => RECORD_OID,
    }
}

/// The arguments of a call in which every polymorphic parameter is over `element`.
fn example(params: &[ParamType], element: &ScalarType) -> Vec<ScalarType> {
    let one = |p: &ParamType| match p {
        ParamType::Type(t) => t.clone(),
        ParamType::AnyArray | ParamType::AnyCompatibleArray => element.clone().array_of(),
        ParamType::AnyRange => ScalarType::Range(Box::new(element.clone())),
        ParamType::AnyList => element.clone().list_of(),
        ParamType::AnyMap => ScalarType::Map { value: Box::new(element.clone()), custom_id: None },
        ParamType::AnyRecord => ScalarType::Record { fields: vec![], custom_id: None },
        _ => element.clone(),
    };
    params.iter().map(one).collect()
}

/// Two element types that ranges have, too.
const PROBES: [ScalarType; 2] = [ScalarType::Int32, ScalarType::Date];

/// The pseudo-type of a type that follows from the arguments; `typ` is it for an example over `element`.
fn pseudo_oid(params: &[ParamType], typ: &ScalarType, element: &ScalarType) -> u32 {
    let compatible =
        params.iter().any(|p| matches!(p, ParamType::AnyCompatible | ParamType::AnyCompatibleArray));
    match typ {
        ScalarType::List { .. } => LIST_OID,
        ScalarType::Map { .. } => MAP_OID,
        ScalarType::Record { .. } => RECORD_OID,
        ScalarType::Range(_) => ANYRANGE,
        ScalarType::Array(_) if compatible => ANYCOMPATIBLEARRAY,
        ScalarType::Array(_) => ANYARRAY,
        t if t == element && compatible => ANYCOMPATIBLE,
        t if t == element => ANYELEMENT,
        other => other.oid(),
    }
}

fn computed(params: &[ParamType], typ: impl Fn(&[ScalarType]) -> ScalarType) -> u32 {
    let [first, second] = PROBES;
    let (a, b) = (typ(&example(params, &first)), typ(&example(params, &second)));
    if a == b { a.oid() } else { pseudo_oid(params, &a, &first) }
}

/// The number of a result's type.
pub(super) fn return_oid(params: &[ParamType], ret: ReturnType) -> u32 {
    match ret {
        ReturnType::Fixed(f) => f().oid(),
        ReturnType::Computed(f) => computed(params, f),
    }
}

/// The type of the rows of a table function, and its columns if there are several.
pub(super) fn desc_type(
    params: &[ParamType],
    desc: fn(&[ScalarType]) -> RelationDesc,
) -> (u32, Vec<(String, u32)>) {
    let columns = columns_of(&desc(&example(params, &PROBES[0])));
    if columns.len() != 1 {
        return (RECORD_OID, columns);
    }
    let first = |args: &[ScalarType]| desc(args).typ().column_types[0].scalar_type.clone();
    (computed(params, first), vec![])
}
