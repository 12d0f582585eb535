//! SQL's names of types, both ways.

use hw_repr::{NumericTypmod, ScalarType};
use sqlparser::ast::{
    ArrayElemTypeDef, CharacterLength, DataType, ExactNumberInfo, ObjectName, TimezoneInfo,
};

use super::context::{name_parts, object_name_text};
use crate::catalog::ItemKind;
use crate::context::StatementContext;
use crate::error::PlanError;
use crate::parser::ExtendedType;
use crate::plan::ItemDefinition;

/// The greatest precision of a numeric.
const MAX_PRECISION: u64 = 39;
/// The greatest length of a character type.
const MAX_LENGTH: u64 = 10_485_760;

/// The type that is written.
pub(super) fn plan_data_type(scx: &StatementContext<'_>, typ: &DataType) -> Result<ScalarType, PlanError> {
    Ok(match typ {
        DataType::Boolean | DataType::Bool => ScalarType::Bool,
        DataType::SmallInt(None) | DataType::Int2(None) => ScalarType::Int16,
        DataType::Int(None) | DataType::Integer(None) | DataType::Int4(None) => ScalarType::Int32,
        DataType::BigInt(None) | DataType::Int8(None) => ScalarType::Int64,
        DataType::Real | DataType::Float4 => ScalarType::Float32,
        DataType::Double(ExactNumberInfo::None) | DataType::DoublePrecision | DataType::Float8 => {
            ScalarType::Float64
        }
        DataType::Float(ExactNumberInfo::None) => ScalarType::Float64,
        DataType::Float(ExactNumberInfo::Precision(p)) => float(*p)?,
        DataType::Numeric(i) | DataType::Decimal(i) | DataType::Dec(i) => numeric(i)?,
        DataType::Text => ScalarType::String,
        DataType::Varchar(l) | DataType::CharacterVarying(l) | DataType::CharVarying(l) => {
            ScalarType::VarChar { max_length: l.as_ref().map(|l| length(l, "varchar")).transpose()? }
        }
        DataType::Char(l) | DataType::Character(l) => {
            let n = l.as_ref().map(|l| length(l, "char")).transpose()?;
            ScalarType::Char { length: Some(n.unwrap_or(1)) }
        }
        // sqlparser takes some of our names for those of other systems.
        DataType::UInt8 => ScalarType::UInt64,
        DataType::Bytea => ScalarType::Bytes,
        DataType::Date => ScalarType::Date,
        DataType::Time(_, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => ScalarType::Time,
        DataType::Timestamp(p, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            ScalarType::Timestamp { precision: p.map(|p| precision(p, "")).transpose()? }
        }
        DataType::Timestamp(p, _) => {
            ScalarType::TimestampTz { precision: p.map(|p| precision(p, " WITH TIME ZONE")).transpose()? }
        }
        DataType::Interval { .. } => ScalarType::Interval,
        DataType::Uuid => ScalarType::Uuid,
        DataType::JSONB => ScalarType::Jsonb,
        DataType::JSON => {
            return Err(
                PlanError::new("42704", "type \"json\" does not exist").with_hint("Use jsonb instead.")
            );
        }
        DataType::Regclass => ScalarType::RegClass,
        DataType::Array(ArrayElemTypeDef::SquareBracket(t, _) | ArrayElemTypeDef::Qualified(t, _)) => {
            match plan_data_type(scx, t)? {
                // Arrays of any number of dimensions are one type.
                array @ ScalarType::Array(_) => array,
                element => element.array_of(),
            }
        }
        DataType::Map(k, v, _) => {
            if plan_data_type(scx, k)? != ScalarType::String {
                return Err(PlanError::unsupported("a map with keys other than text"));
            }
            ScalarType::Map { value: Box::new(plan_data_type(scx, v)?), custom_id: None }
        }
        DataType::Custom(name, modifiers) => return custom(scx, name, modifiers),
        other => {
            let name = other.to_string().to_lowercase();
            return Err(PlanError::new("42704", format!("type \"{name}\" does not exist")));
        }
    })
}

fn float(p: u64) -> Result<ScalarType, PlanError> {
    match p {
        0 => Err(PlanError::new("22023", "precision for type float must be at least 1 bit")),
        1..=24 => Ok(ScalarType::Float32),
        25..=53 => Ok(ScalarType::Float64),
        _ => Err(PlanError::new("22023", "precision for type float must be less than 54 bits")),
    }
}

fn numeric(info: &ExactNumberInfo) -> Result<ScalarType, PlanError> {
    let (precision, scale) = match info {
        ExactNumberInfo::None => return Ok(ScalarType::NUMERIC),
        ExactNumberInfo::Precision(p) => (*p, 0),
        ExactNumberInfo::PrecisionAndScale(p, s) => (*p, *s),
    };
    if precision == 0 || precision > MAX_PRECISION {
        let text = format!("NUMERIC precision {precision} must be between 1 and {MAX_PRECISION}");
        return Err(PlanError::new("22023", text));
    }
    match (u8::try_from(precision), u8::try_from(scale)) {
        (Ok(precision), Ok(scale)) if scale <= precision => {
            Ok(ScalarType::Numeric { typmod: Some(NumericTypmod { precision, scale }) })
        }
        _ => Err(PlanError::new(
            "22023",
            format!("NUMERIC scale {scale} must be between 0 and precision {precision}"),
        )),
    }
}

fn length(l: &CharacterLength, typ: &str) -> Result<u32, PlanError> {
    let CharacterLength::IntegerLength { length, .. } = l else {
        return Err(PlanError::syntax("syntax error at or near \"max\""));
    };
    if *length == 0 {
        return Err(PlanError::new("22023", format!("length for type {typ} must be at least 1")));
    }
    if *length > MAX_LENGTH {
        return Err(PlanError::new("22023", format!("length for type {typ} cannot exceed {MAX_LENGTH}")));
    }
    u32::try_from(*length).map_err(|_| PlanError::new("22023", format!("length for type {typ} is too large")))
}

fn precision(p: u64, suffix: &str) -> Result<u8, PlanError> {
    match u8::try_from(p) {
        Ok(p) if p <= 6 => Ok(p),
        _ => {
            Err(PlanError::new("22023", format!("TIMESTAMP({p}){suffix} precision must be between 0 and 6")))
        }
    }
}

/// The built-in type of a name that is not a keyword.
pub(super) fn builtin_type(name: &str) -> Option<ScalarType> {
    let range = |t| ScalarType::Range(Box::new(t));
    Some(match name {
        "bool" | "boolean" => ScalarType::Bool,
        "int2" | "smallint" => ScalarType::Int16,
        "int4" | "int" | "integer" => ScalarType::Int32,
        "int8" | "bigint" => ScalarType::Int64,
        "uint2" => ScalarType::UInt16,
        "uint4" => ScalarType::UInt32,
        "uint8" => ScalarType::UInt64,
        "float4" | "real" => ScalarType::Float32,
        "float8" | "float" | "double" => ScalarType::Float64,
        "numeric" | "decimal" | "dec" => ScalarType::NUMERIC,
        "text" | "string" => ScalarType::String,
        "varchar" => ScalarType::VarChar { max_length: None },
        "bpchar" => ScalarType::Char { length: None },
        "char" => ScalarType::PgLegacyChar,
        "name" => ScalarType::PgLegacyName,
        "bytea" | "bytes" => ScalarType::Bytes,
        "date" => ScalarType::Date,
        "time" => ScalarType::Time,
        "timestamp" => ScalarType::TIMESTAMP,
        "timestamptz" => ScalarType::TIMESTAMPTZ,
        "interval" => ScalarType::Interval,
        "uuid" => ScalarType::Uuid,
        "jsonb" => ScalarType::Jsonb,
        "jsonpath" => ScalarType::Jsonpath,
        "oid" => ScalarType::Oid,
        "regclass" => ScalarType::RegClass,
        "regtype" => ScalarType::RegType,
        "regproc" => ScalarType::RegProc,
        "regnamespace" => ScalarType::RegNamespace,
        "regrole" => ScalarType::RegRole,
        "int2vector" => ScalarType::Int2Vector,
        "mz_timestamp" => ScalarType::MzTimestamp,
        "mz_aclitem" => ScalarType::MzAclItem,
        "int4range" => range(ScalarType::Int32),
        "int8range" => range(ScalarType::Int64),
        "numrange" => range(ScalarType::NUMERIC),
        "daterange" => range(ScalarType::Date),
        "tsrange" => range(ScalarType::TIMESTAMP),
        "tstzrange" => range(ScalarType::TIMESTAMPTZ),
        _ => return None,
    })
}

fn extended(scx: &StatementContext<'_>, typ: &ExtendedType) -> Result<ScalarType, PlanError> {
    Ok(match typ {
        ExtendedType::Plain(t) => plan_data_type(scx, t)?,
        ExtendedType::List(t) => extended(scx, t)?.list_of(),
        ExtendedType::Map(k, v) => {
            if extended(scx, k)? != ScalarType::String {
                return Err(PlanError::unsupported("a map with keys other than text"));
            }
            ScalarType::Map { value: Box::new(extended(scx, v)?), custom_id: None }
        }
    })
}

fn custom(
    scx: &StatementContext<'_>,
    name: &ObjectName,
    modifiers: &[String],
) -> Result<ScalarType, PlanError> {
    if let Some(typ) = scx.extensions.extended_type(name) {
        return extended(scx, typ);
    }
    let parts = name_parts(name)?;
    let builtin = match &parts[..] {
        [name] => Some(name),
        [schema, name] if schema == "pg_catalog" || schema == "mz_catalog" => Some(name),
        _ => None,
    };
    if let Some(name) = builtin {
        let array = name.strip_prefix('_').and_then(builtin_type);
        if let Some(typ) = array {
            return Ok(typ.array_of());
        }
        if let Some(typ) = builtin_type(name) {
            return with_modifiers(typ, name, modifiers);
        }
    }
    match scx.lookup_type(&parts) {
        Some(item) if item.kind() == ItemKind::Type => {
            scx.uses.borrow_mut().insert(item.id);
            match &item.definition {
                ItemDefinition::Type(t) => Ok(t.clone()),
                _ => Err(PlanError::new("42704", format!("type \"{}\" does not exist", parts.join(".")))),
            }
        }
        _ => Err(PlanError::new("42704", format!("type \"{}\" does not exist", object_name_text(name)))),
    }
}

fn with_modifiers(typ: ScalarType, name: &str, modifiers: &[String]) -> Result<ScalarType, PlanError> {
    let invalid = || PlanError::new("22023", "invalid type modifier");
    let numbers: Vec<u64> =
        modifiers.iter().map(|m| m.parse().map_err(|_| invalid())).collect::<Result<_, _>>()?;
    let len = |n| CharacterLength::IntegerLength { length: n, unit: None };
    match (typ, &numbers[..]) {
        (typ, []) => Ok(typ),
        (ScalarType::TimestampTz { .. }, [p]) => {
            Ok(ScalarType::TimestampTz { precision: Some(precision(*p, " WITH TIME ZONE")?) })
        }
        (ScalarType::Timestamp { .. }, [p]) => {
            Ok(ScalarType::Timestamp { precision: Some(precision(*p, "")?) })
        }
        (ScalarType::VarChar { .. }, [n]) => {
            Ok(ScalarType::VarChar { max_length: Some(length(&len(*n), "varchar")?) })
        }
        (ScalarType::Char { .. }, [n]) => Ok(ScalarType::Char { length: Some(length(&len(*n), "char")?) }),
        (ScalarType::Numeric { .. }, [p]) => numeric(&ExactNumberInfo::Precision(*p)),
        (ScalarType::Numeric { .. }, [p, s]) => {
            numeric(&ExactNumberInfo::PrecisionAndScale(*p, i64::try_from(*s).map_err(|_| invalid())?))
        }
        (ScalarType::Float64, [p]) => float(*p),
        _ => Err(PlanError::new("42601", format!("type modifier is not allowed for type \"{name}\""))),
    }
}

/// The name of a type with the names of users' types as the catalog has them.
pub(super) fn named_type(scx: &StatementContext<'_>, typ: &ScalarType) -> String {
    let custom = match typ {
        ScalarType::Array(t) => return format!("{}[]", named_type(scx, t)),
        ScalarType::Record { custom_id, .. }
        | ScalarType::List { custom_id, .. }
        | ScalarType::Map { custom_id, .. } => *custom_id,
        _ => None,
    };
    let Some(item) = custom.and_then(|id| scx.catalog.item(id)) else { return type_name(typ) };
    let name = &item.name;
    let found = scx.lookup_type(std::slice::from_ref(&name.item));
    // As in PostgreSQL, the schema is left out where the search path finds the type.
    match found.is_some_and(|i| i.id == item.id) {
        true => crate::names::quote_ident(&name.item),
        false => {
            format!("{}.{}", crate::names::quote_ident(&name.schema), crate::names::quote_ident(&name.item))
        }
    }
}

/// The name of a type as error texts show it: PostgreSQL's `format_type` without modifiers.
pub fn type_name(typ: &ScalarType) -> String {
    let name = match typ {
        ScalarType::Bool => "boolean",
        ScalarType::Int16 => "smallint",
        ScalarType::Int32 => "integer",
        ScalarType::Int64 => "bigint",
        ScalarType::UInt16 => "uint2",
        ScalarType::UInt32 => "uint4",
        ScalarType::UInt64 => "uint8",
        ScalarType::Float32 => "real",
        ScalarType::Float64 => "double precision",
        ScalarType::Numeric { .. } => "numeric",
        ScalarType::String => "text",
        ScalarType::VarChar { .. } => "character varying",
        ScalarType::Char { .. } => "character",
        ScalarType::PgLegacyChar => "\"char\"",
        ScalarType::PgLegacyName => "name",
        ScalarType::Bytes => "bytea",
        ScalarType::Date => "date",
        ScalarType::Time => "time without time zone",
        ScalarType::Timestamp { .. } => "timestamp without time zone",
        ScalarType::TimestampTz { .. } => "timestamp with time zone",
        ScalarType::Interval => "interval",
        ScalarType::Uuid => "uuid",
        ScalarType::Jsonb => "jsonb",
        ScalarType::Jsonpath => "jsonpath",
        ScalarType::Oid => "oid",
        ScalarType::RegClass => "regclass",
        ScalarType::RegType => "regtype",
        ScalarType::RegProc => "regproc",
        ScalarType::RegNamespace => "regnamespace",
        ScalarType::RegRole => "regrole",
        ScalarType::Int2Vector => "int2vector",
        ScalarType::MzTimestamp => "mz_timestamp",
        ScalarType::MzAclItem => "mz_aclitem",
        ScalarType::Array(t) => return format!("{}[]", type_name(t)),
        ScalarType::List { element, .. } => return format!("{} list", type_name(element)),
        ScalarType::Map { value, .. } => return format!("map[text=>{}]", type_name(value)),
        ScalarType::Record { .. } => "record",
        ScalarType::Range(t) => match &**t {
            ScalarType::Int32 => "int4range",
            ScalarType::Int64 => "int8range",
            ScalarType::Date => "daterange",
            ScalarType::Timestamp { .. } => "tsrange",
            ScalarType::TimestampTz { .. } => "tstzrange",
            _ => "numrange",
        },
    };
    name.to_owned()
}

/// Whether values of a type have neither an order nor an equality.
pub(super) fn is_incomparable(typ: &ScalarType) -> bool {
    match typ {
        ScalarType::Array(t) | ScalarType::List { element: t, .. } | ScalarType::Map { value: t, .. } => {
            is_incomparable(t)
        }
        other => *other == ScalarType::Jsonpath,
    }
}

/// Refuses a type without the operators that ORDER BY (`ordering`) or grouping and DISTINCT (`equality`) need.
pub(super) fn check_comparable(typ: &ScalarType, operator: &str) -> Result<(), PlanError> {
    if !is_incomparable(typ) {
        return Ok(());
    }
    let text = format!("could not identify an {operator} operator for type {}", type_name(typ));
    let error = PlanError::new("42883", text);
    Err(match operator {
        "ordering" => error.with_hint("Use an explicit ordering operator or modify the query."),
        _ => error,
    })
}

/// The short name that PostgreSQL gives to the column of a cast.
pub(super) fn column_name_of_type(typ: &ScalarType) -> String {
    let name = match typ {
        ScalarType::Bool => "bool",
        ScalarType::Int16 => "int2",
        ScalarType::Int32 => "int4",
        ScalarType::Int64 => "int8",
        ScalarType::Float32 => "float4",
        ScalarType::Float64 => "float8",
        ScalarType::VarChar { .. } => "varchar",
        ScalarType::Char { .. } => "bpchar",
        ScalarType::PgLegacyChar => "char",
        ScalarType::Time => "time",
        ScalarType::Timestamp { .. } => "timestamp",
        ScalarType::TimestampTz { .. } => "timestamptz",
        ScalarType::Array(t) => return column_name_of_type(t),
        ScalarType::List { .. } => "list",
        ScalarType::Map { .. } => "map",
        ScalarType::Record { .. } => "row",
        other => return type_name(other),
    };
    name.to_owned()
}

/// PostgreSQL's type categories (`pg_type.typcategory`).
pub(super) fn category(typ: &ScalarType) -> char {
    match typ {
        ScalarType::Bool => 'B',
        ScalarType::Int16
        | ScalarType::Int32
        | ScalarType::Int64
        | ScalarType::UInt16
        | ScalarType::UInt32
        | ScalarType::UInt64
        | ScalarType::Float32
        | ScalarType::Float64
        | ScalarType::Numeric { .. }
        | ScalarType::Oid
        | ScalarType::RegClass
        | ScalarType::RegType
        | ScalarType::RegProc
        | ScalarType::RegNamespace
        | ScalarType::RegRole => 'N',
        ScalarType::String
        | ScalarType::VarChar { .. }
        | ScalarType::Char { .. }
        | ScalarType::PgLegacyName => 'S',
        ScalarType::PgLegacyChar => 'Z',
        ScalarType::Date
        | ScalarType::Time
        | ScalarType::Timestamp { .. }
        | ScalarType::TimestampTz { .. } => 'D',
        ScalarType::Interval => 'T',
        ScalarType::Array(_) | ScalarType::Int2Vector => 'A',
        ScalarType::Range(_) => 'R',
        ScalarType::Record { .. } => 'P',
        _ => 'U',
    }
}
