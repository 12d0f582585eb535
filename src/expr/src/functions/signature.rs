//! Signatures of entries, written as PostgreSQL's manual writes them and read once, when the registry is built.
//!
//! ```text
//! lpad(text, int4, text) -> text                    a function
//! concat(Any...) -> text lax                        any number of further arguments
//! int4 + int4 -> int4                               an operator; `- int4 -> int4` is a prefix one
//! int4 -> int8 implicit injective                   a cast
//! ```
//!
//! After the result type, words change the entry: `total` (never fails), `nullable` (may give NULL for arguments that
//! are not), `lax` (is called with NULL arguments, may give NULL), `lax_total` (both), `notnull` (never gives NULL),
//! `stable`, `volatile`, `internal`; for casts `implicit`, `assignment`, `explicit` and `injective`. The result `$1`
//! is the first argument's type without modifiers, `elem1` the element type of its array, list or range, `arr1` an
//! array of it.

use hw_repr::ScalarType;

use crate::func::{CastContext, EvalFn, FuncDef, FuncKind, ParamType, ReturnType, Role, Volatility};

type TypeFn = fn() -> ScalarType;

macro_rules! types {
    ($($name:literal => $typ:expr),+ $(,)?) => {
        /// Names of types, and what they stand for, each with its array.
        const TYPES: &[(&str, TypeFn, TypeFn)] = &[$(($name, || $typ, || ScalarType::array_of($typ))),+];
    };
}

types! {
    "bool" => ScalarType::Bool, "int2" => ScalarType::Int16, "int4" => ScalarType::Int32,
    "int8" => ScalarType::Int64, "uint2" => ScalarType::UInt16, "uint4" => ScalarType::UInt32,
    "uint8" => ScalarType::UInt64, "float4" => ScalarType::Float32, "float8" => ScalarType::Float64,
    "numeric" => ScalarType::NUMERIC, "text" => ScalarType::String,
    "varchar" => ScalarType::VarChar { max_length: None }, "bpchar" => ScalarType::Char { length: None },
    "char" => ScalarType::PgLegacyChar, "name" => ScalarType::PgLegacyName, "bytea" => ScalarType::Bytes,
    "date" => ScalarType::Date, "time" => ScalarType::Time, "timestamp" => ScalarType::TIMESTAMP,
    "timestamptz" => ScalarType::TIMESTAMPTZ, "interval" => ScalarType::Interval, "uuid" => ScalarType::Uuid,
    "jsonb" => ScalarType::Jsonb, "jsonpath" => ScalarType::Jsonpath, "oid" => ScalarType::Oid, "regclass" => ScalarType::RegClass,
    "regtype" => ScalarType::RegType, "regproc" => ScalarType::RegProc, "regnamespace" => ScalarType::RegNamespace,
    "regrole" => ScalarType::RegRole, "int2vector" => ScalarType::Int2Vector,
    "mz_timestamp" => ScalarType::MzTimestamp, "mz_aclitem" => ScalarType::MzAclItem,
    "int4range" => ScalarType::Range(Box::new(ScalarType::Int32)),
    "int8range" => ScalarType::Range(Box::new(ScalarType::Int64)),
    "numrange" => ScalarType::Range(Box::new(ScalarType::NUMERIC)),
    "daterange" => ScalarType::Range(Box::new(ScalarType::Date)),
    "tsrange" => ScalarType::Range(Box::new(ScalarType::TIMESTAMP)),
    "tstzrange" => ScalarType::Range(Box::new(ScalarType::TIMESTAMPTZ)),
}

/// The function that makes the type of a name.
///
/// # Panics
/// When there is no such type: signatures are part of the program.
pub(crate) fn type_fn(name: &str) -> TypeFn {
    let (base, array) = match name.strip_suffix("[]") {
        Some(base) => (base, true),
        None => (name, false),
    };
    let found = TYPES.iter().find(|(n, _, _)| *n == base);
    let (_, typ, array_typ) = found.unwrap_or_else(|| panic!("signatures name known types, not {name}"));
    if array { *array_typ } else { *typ }
}

/// The name that keys use for a type.
pub(crate) fn type_key(typ: &ScalarType) -> String {
    let base = typ.without_modifiers();
    for (name, typ, array) in TYPES {
        if typ() == base {
            return (*name).to_owned();
        }
        if array() == base {
            return format!("{name}[]");
        }
    }
    format!("{base:?}")
}

fn param(name: &str) -> ParamType {
    match name {
        "Any" => ParamType::Any,
        "AnyElement" => ParamType::AnyElement,
        "AnyArray" => ParamType::AnyArray,
        "AnyNonArray" => ParamType::AnyNonArray,
        "AnyRange" => ParamType::AnyRange,
        "AnyCompatible" => ParamType::AnyCompatible,
        "AnyCompatibleArray" => ParamType::AnyCompatibleArray,
        "AnyList" => ParamType::AnyList,
        "ListElement" => ParamType::ListElement,
        "AnyMap" => ParamType::AnyMap,
        "MapValue" => ParamType::MapValue,
        "AnyRecord" => ParamType::AnyRecord,
        other => ParamType::Type(type_fn(other)()),
    }
}

/// The name of a parameter in keys.
pub(crate) fn param_key(p: &ParamType) -> String {
    match p {
        ParamType::Type(t) => type_key(t),
        other => format!("{other:?}"),
    }
}

fn arg(args: &[ScalarType], i: usize) -> ScalarType {
    args.get(i).map_or(ScalarType::String, ScalarType::without_modifiers)
}

/// The type of the elements of an array, list, map or range; other types stand for themselves.
pub fn element_type(typ: &ScalarType) -> ScalarType {
    match typ {
        ScalarType::Array(t) | ScalarType::Range(t) => (**t).clone(),
        ScalarType::List { element, .. } => (**element).clone(),
        ScalarType::Map { value, .. } => (**value).clone(),
        ScalarType::Int2Vector => ScalarType::Int16,
        other => other.clone(),
    }
}

/// An array of that type; an array of arrays is the same array type.
pub fn array_type(typ: &ScalarType) -> ScalarType {
    match typ {
        ScalarType::Array(_) => typ.clone(),
        other => other.clone().array_of(),
    }
}

/// How a result type is written.
pub(crate) fn return_type(name: &str) -> ReturnType {
    match name {
        "$1" => ReturnType::Computed(|a| arg(a, 0)),
        "$2" => ReturnType::Computed(|a| arg(a, 1)),
        "$3" => ReturnType::Computed(|a| arg(a, 2)),
        "elem1" => ReturnType::Computed(|a| element_type(&arg(a, 0))),
        "arr1" => ReturnType::Computed(|a| array_type(&arg(a, 0))),
        "arr2" => ReturnType::Computed(|a| array_type(&arg(a, 1))),
        other => ReturnType::Fixed(type_fn(other)),
    }
}

/// Parameters, and the type of further ones.
pub(crate) fn params(list: &str) -> (Vec<ParamType>, Option<ParamType>) {
    let mut fixed = vec![];
    let mut variadic = None;
    for name in list.split(',').map(str::trim).filter(|n| !n.is_empty()) {
        match name.strip_suffix("...") {
            Some(name) => variadic = Some(param(name)),
            None => fixed.push(param(name)),
        }
    }
    (fixed, variadic)
}

fn key_of(name: &str, params: &[ParamType], variadic: Option<&ParamType>) -> String {
    let mut names: Vec<String> = params.iter().map(param_key).collect();
    names.extend(variadic.map(|v| format!("{}...", param_key(v))));
    format!("{name}({})", names.join(","))
}

/// The key of an aggregate or table function.
pub(crate) fn plain_key(name: &str, params: &[ParamType]) -> String {
    key_of(name, params, None)
}

fn apply_words(mut def: FuncDef, words: &str) -> FuncDef {
    for word in words.split_whitespace() {
        match word {
            "total" => def.could_error = false,
            "nullable" => def.introduces_null = true,
            "lax" => (def.strict, def.introduces_null) = (false, true),
            "lax_total" => (def.strict, def.introduces_null, def.could_error) = (false, true, false),
            "notnull" => (def.strict, def.introduces_null) = (false, false),
            "stable" => def.volatility = Volatility::Stable,
            "volatile" => def.volatility = Volatility::Volatile,
            "internal" => def.kind = FuncKind::Internal,
            "implicit" => def.kind = FuncKind::Cast(CastContext::Implicit),
            "assignment" => def.kind = FuncKind::Cast(CastContext::Assignment),
            "explicit" => def.kind = FuncKind::Cast(CastContext::Explicit),
            "injective" => def.role = Some(Role::InjectiveCast),
            other => panic!("signatures use known words, not {other}"),
        }
    }
    def
}

fn entry(name: &'static str, list: &str, result: &str, eval: EvalFn) -> FuncDef {
    let (params, variadic) = params(list);
    let (ret, words) = result.trim().split_once(' ').unwrap_or((result.trim(), ""));
    let def = FuncDef {
        name,
        key: key_of(name, &params, variadic.as_ref()),
        params,
        variadic,
        ret: return_type(ret),
        kind: FuncKind::Function,
        volatility: Volatility::Immutable,
        strict: true,
        introduces_null: false,
        could_error: true,
        role: None,
        eval,
    };
    apply_words(def, words)
}

fn halves(signature: &'static str) -> (&'static str, &'static str) {
    // The arrow that matters is the last: `->` is also an operator.
    signature.rsplit_once(" -> ").unwrap_or_else(|| panic!("a signature has a result: {signature}"))
}

/// A function: immutable, strict and fallible unless words say otherwise.
pub(crate) fn f(signature: &'static str, eval: EvalFn) -> FuncDef {
    let (call, result) = halves(signature);
    let (name, list) =
        call.split_once('(').unwrap_or_else(|| panic!("a function has parameters: {signature}"));
    entry(name.trim(), list.trim_end().trim_end_matches(')'), result, eval)
}

/// A function that is a query, see [`FuncKind::Query`]; its value may be NULL.
pub(crate) fn query(signature: &'static str, sql: &'static str) -> FuncDef {
    let mut def = f(signature, |_, _, _| {
        Err(crate::error::EvalError::new("XX000", "a function that is a query is planned, not called"))
    });
    def.kind = FuncKind::Query(sql);
    def.volatility = Volatility::Stable;
    def.introduces_null = true;
    def
}

/// An operator. Its key is that of a function of its symbol after `op:`.
pub(crate) fn op(signature: &'static str, eval: EvalFn) -> FuncDef {
    let (call, result) = halves(signature);
    let parts: Vec<&'static str> = call.split_whitespace().collect();
    let (symbol, list) = match parts[..] {
        [symbol, operand] => (symbol, operand.to_owned()),
        [left, symbol, right] => (symbol, format!("{left},{right}")),
        _ => panic!("an operator has one or two operands: {signature}"),
    };
    let mut def = entry(symbol, &list, result, eval);
    if def.kind == FuncKind::Function {
        def.kind = FuncKind::Operator;
    }
    def.key = format!("op:{}", def.key);
    def
}

/// A cast; explicit unless words say otherwise.
pub(crate) fn cast(signature: &'static str, eval: EvalFn) -> FuncDef {
    let (list, result) = halves(signature);
    let mut def = entry("cast", list, result, eval);
    if def.kind == FuncKind::Function {
        def.kind = FuncKind::Cast(CastContext::Explicit);
    }
    def.role = def.role.or(Some(Role::Cast));
    def.key = format!("{}->{}", def.key, result.split_whitespace().next().unwrap_or_default());
    def
}
