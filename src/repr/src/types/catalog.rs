//! How types appear to PostgreSQL clients and in `pg_type`: OIDs, names, modifiers, categories.
//!
//! Types that PostgreSQL lacks have OIDs of Headwater's own, from 16384 on.

use std::borrow::Cow;
use std::fmt;

use super::{NumericTypmod, ScalarType};

/// The OID of the pseudo-type `record`.
pub const RECORD_OID: u32 = 2249;
/// The OID of every `list` type.
pub const LIST_OID: u32 = 16384;
/// The OID of every `map` type.
pub const MAP_OID: u32 = 16385;

/// The OID of the schema `pg_catalog`.
pub const PG_CATALOG_OID: u32 = 11;
/// The OID of the schema `mz_catalog`.
pub const MZ_CATALOG_OID: u32 = 16_600;

/// Types without values of their own: what polymorphic and system functions are declared with (manual 8.21). The names
/// are those in `pg_type`; `list` and `map` stand for all types of lists and maps.
pub const PSEUDO_TYPES: &[(u32, &str)] = &[
    (705, "unknown"),
    (2249, "record"),
    (2275, "cstring"),
    (2276, "any"),
    (2277, "anyarray"),
    (2278, "void"),
    (2279, "trigger"),
    (2281, "internal"),
    (2283, "anyelement"),
    (2776, "anynonarray"),
    (3500, "anyenum"),
    (3831, "anyrange"),
    (3838, "event_trigger"),
    (5077, "anycompatible"),
    (5078, "anycompatiblearray"),
    (5079, "anycompatiblenonarray"),
    (5080, "anycompatiblerange"),
    (LIST_OID, "list"),
    (MAP_OID, "map"),
];

/// Bytes of PostgreSQL's variable-length header, which it counts into some type modifiers.
const VARHDRSZ: i32 = 4;

/// What is fixed about a built-in type that is neither a container nor modified.
struct Entry {
    typ: ScalarType,
    oid: u32,
    array_oid: u32,
    pg_name: &'static str,
    pg_array_name: &'static str,
    sql_name: &'static str,
    typlen: i16,
    category: char,
    preferred: bool,
}

macro_rules! entries {
    ($($typ:expr, $oid:literal, $array_oid:literal, $pg:literal, $sql:literal, $len:literal, $cat:literal, $pref:literal;)+) => {
        &[$(Entry {
            typ: $typ, oid: $oid, array_oid: $array_oid, pg_name: $pg, pg_array_name: concat!("_", $pg),
            sql_name: $sql, typlen: $len, category: $cat, preferred: $pref,
        }),+]
    };
}

/// The built-in types, ranges and containers aside.
const ENTRIES: &[Entry] = entries! {
    ScalarType::Bool, 16, 1000, "bool", "boolean", 1, 'B', true;
    ScalarType::Bytes, 17, 1001, "bytea", "bytea", -1, 'U', false;
    ScalarType::PgLegacyChar, 18, 1002, "char", "\"char\"", 1, 'Z', false;
    ScalarType::PgLegacyName, 19, 1003, "name", "name", 64, 'S', false;
    ScalarType::Int64, 20, 1016, "int8", "bigint", 8, 'N', false;
    ScalarType::Int16, 21, 1005, "int2", "smallint", 2, 'N', false;
    ScalarType::Int2Vector, 22, 1006, "int2vector", "int2vector", -1, 'A', false;
    ScalarType::Int32, 23, 1007, "int4", "integer", 4, 'N', false;
    ScalarType::RegProc, 24, 1008, "regproc", "regproc", 4, 'N', false;
    ScalarType::String, 25, 1009, "text", "text", -1, 'S', true;
    ScalarType::Oid, 26, 1028, "oid", "oid", 4, 'N', true;
    ScalarType::Float32, 700, 1021, "float4", "real", 4, 'N', false;
    ScalarType::Float64, 701, 1022, "float8", "double precision", 8, 'N', true;
    ScalarType::Char { length: None }, 1042, 1014, "bpchar", "character", -1, 'S', false;
    ScalarType::VarChar { max_length: None }, 1043, 1015, "varchar", "character varying", -1, 'S', false;
    ScalarType::Date, 1082, 1182, "date", "date", 4, 'D', false;
    ScalarType::Time, 1083, 1183, "time", "time without time zone", 8, 'D', false;
    ScalarType::TIMESTAMP, 1114, 1115, "timestamp", "timestamp without time zone", 8, 'D', false;
    ScalarType::TIMESTAMPTZ, 1184, 1185, "timestamptz", "timestamp with time zone", 8, 'D', true;
    ScalarType::Interval, 1186, 1187, "interval", "interval", 16, 'T', true;
    ScalarType::NUMERIC, 1700, 1231, "numeric", "numeric", -1, 'N', false;
    ScalarType::RegClass, 2205, 2210, "regclass", "regclass", 4, 'N', false;
    ScalarType::RegType, 2206, 2211, "regtype", "regtype", 4, 'N', false;
    ScalarType::RegNamespace, 4089, 4090, "regnamespace", "regnamespace", 4, 'N', false;
    ScalarType::RegRole, 4096, 4097, "regrole", "regrole", 4, 'N', false;
    ScalarType::Uuid, 2950, 2951, "uuid", "uuid", 16, 'U', false;
    ScalarType::Jsonb, 3802, 3807, "jsonb", "jsonb", -1, 'U', false;
    ScalarType::Jsonpath, 4072, 4073, "jsonpath", "jsonpath", -1, 'U', false;
    ScalarType::UInt16, 16460, 16461, "uint2", "uint2", 2, 'N', false;
    ScalarType::UInt32, 16462, 16463, "uint4", "uint4", 4, 'N', false;
    ScalarType::UInt64, 16464, 16465, "uint8", "uint8", 8, 'N', false;
    ScalarType::MzTimestamp, 16552, 16553, "mz_timestamp", "mz_timestamp", 8, 'U', false;
    ScalarType::MzAclItem, 16566, 16567, "mz_aclitem", "mz_aclitem", -1, 'U', false;
};

/// A range type and its element.
struct RangeEntry {
    element: ScalarType,
    oid: u32,
    array_oid: u32,
    name: &'static str,
    array_name: &'static str,
}

const RANGES: &[RangeEntry] = &[
    RangeEntry {
        element: ScalarType::Int32,
        oid: 3904,
        array_oid: 3905,
        name: "int4range",
        array_name: "_int4range",
    },
    RangeEntry {
        element: ScalarType::NUMERIC,
        oid: 3906,
        array_oid: 3907,
        name: "numrange",
        array_name: "_numrange",
    },
    RangeEntry {
        element: ScalarType::TIMESTAMP,
        oid: 3908,
        array_oid: 3909,
        name: "tsrange",
        array_name: "_tsrange",
    },
    RangeEntry {
        element: ScalarType::TIMESTAMPTZ,
        oid: 3910,
        array_oid: 3911,
        name: "tstzrange",
        array_name: "_tstzrange",
    },
    RangeEntry {
        element: ScalarType::Date,
        oid: 3912,
        array_oid: 3913,
        name: "daterange",
        array_name: "_daterange",
    },
    RangeEntry {
        element: ScalarType::Int64,
        oid: 3926,
        array_oid: 3927,
        name: "int8range",
        array_name: "_int8range",
    },
];

fn same_family(a: &ScalarType, b: &ScalarType) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
}

impl ScalarType {
    fn entry(&self) -> Option<&'static Entry> {
        ENTRIES.iter().find(|e| same_family(&e.typ, self))
    }

    fn range_entry(element: &ScalarType) -> &'static RangeEntry {
        RANGES.iter().find(|r| same_family(&r.element, element)).unwrap_or(&RANGES[0])
    }

    /// The innermost element type of arrays of arrays, which PostgreSQL does not tell apart.
    fn array_element(&self) -> &ScalarType {
        match self {
            ScalarType::Array(element) => element.array_element(),
            other => other,
        }
    }

    /// The type's OID in `pg_type`. Records, lists and maps share one each.
    pub fn oid(&self) -> u32 {
        match self {
            ScalarType::Array(element) => element.array_element().array_oid(),
            ScalarType::List { .. } => LIST_OID,
            ScalarType::Map { .. } => MAP_OID,
            ScalarType::Record { .. } => RECORD_OID,
            ScalarType::Range(element) => Self::range_entry(element).oid,
            other => other.entry().map_or(0, |e| e.oid),
        }
    }

    /// The OID of arrays of this type.
    pub fn array_oid(&self) -> u32 {
        match self {
            ScalarType::Array(_) => self.oid(),
            ScalarType::List { .. } => 16386,
            ScalarType::Map { .. } => 16387,
            ScalarType::Record { .. } => 2287,
            ScalarType::Range(element) => Self::range_entry(element).array_oid,
            other => other.entry().map_or(0, |e| e.array_oid),
        }
    }

    /// The type of an OID, without modifiers. `record` has no fields then; there is none for list and map, whose
    /// elements an OID does not say.
    pub fn from_oid(oid: u32) -> Option<ScalarType> {
        if let Some(e) = ENTRIES.iter().find(|e| e.oid == oid) {
            return Some(e.typ.clone());
        }
        if let Some(e) = ENTRIES.iter().find(|e| e.array_oid == oid) {
            return Some(e.typ.clone().array_of());
        }
        if let Some(r) = RANGES.iter().find(|r| r.oid == oid) {
            return Some(ScalarType::Range(Box::new(r.element.clone())));
        }
        if let Some(r) = RANGES.iter().find(|r| r.array_oid == oid) {
            return Some(ScalarType::Range(Box::new(r.element.clone())).array_of());
        }
        let record = || ScalarType::Record { fields: Vec::new(), custom_id: None };
        match oid {
            RECORD_OID => Some(record()),
            2287 => Some(record().array_of()),
            _ => None,
        }
    }

    /// The type of a name as PostgreSQL has it, internal (`int4`) or SQL's (`integer`), without modifiers.
    /// Array types are known as `_int4` and `integer[]`.
    pub fn from_name(name: &str) -> Option<ScalarType> {
        if let Some(element) = name.strip_suffix("[]") {
            return Self::from_name(element).map(|t| t.array_element().clone().array_of());
        }
        let plain = match name {
            "int" => "int4",
            "decimal" | "dec" => "numeric",
            "char" => "bpchar",
            "\"char\"" => return Some(ScalarType::PgLegacyChar),
            other => other,
        };
        if let Some(e) = ENTRIES.iter().find(|e| e.sql_name == plain || e.pg_name == plain) {
            return Some(e.typ.clone());
        }
        if let Some(e) = ENTRIES.iter().find(|e| e.pg_array_name == plain) {
            return Some(e.typ.clone().array_of());
        }
        let range = |r: &RangeEntry| ScalarType::Range(Box::new(r.element.clone()));
        let found = RANGES.iter().find(|r| r.name == plain).map(range);
        found.or_else(|| RANGES.iter().find(|r| r.array_name == plain).map(|r| range(r).array_of()))
    }

    /// The name in `pg_type`: `int4`, `bpchar`, `_int4`, `timestamptz`.
    pub fn pg_name(&self) -> &'static str {
        match self {
            ScalarType::Array(element) => match element.array_element() {
                ScalarType::List { .. } => "_list",
                ScalarType::Map { .. } => "_map",
                ScalarType::Record { .. } => "_record",
                ScalarType::Range(element) => Self::range_entry(element).array_name,
                other => other.entry().map_or("_unknown", |e| e.pg_array_name),
            },
            ScalarType::List { .. } => "list",
            ScalarType::Map { .. } => "map",
            ScalarType::Record { .. } => "record",
            ScalarType::Range(element) => Self::range_entry(element).name,
            other => other.entry().map_or("unknown", |e| e.pg_name),
        }
    }

    /// The name that messages and `pg_typeof` show, without modifiers: `character varying`, `integer[]`,
    /// `integer list`. With modifiers it is the `Display` form.
    pub fn sql_name(&self) -> Cow<'static, str> {
        match self {
            ScalarType::Array(element) => format!("{}[]", element.array_element().sql_name()).into(),
            ScalarType::List { element, .. } => format!("{} list", element.sql_name()).into(),
            ScalarType::Map { value, .. } => format!("map[text=>{}]", value.sql_name()).into(),
            ScalarType::Record { .. } | ScalarType::Range(_) => self.pg_name().into(),
            other => other.entry().map_or("unknown", |e| e.sql_name).into(),
        }
    }

    /// The length in bytes of a value in `pg_type`, -1 when it varies.
    pub fn typlen(&self) -> i16 {
        self.entry().map_or(-1, |e| e.typlen)
    }

    /// The modifier in `pg_attribute`, -1 for none. An array has that of its element.
    pub fn typmod(&self) -> i32 {
        match self {
            ScalarType::Numeric { typmod: Some(NumericTypmod { precision, scale }) } => {
                (i32::from(*precision) << 16 | i32::from(*scale)) + VARHDRSZ
            }
            ScalarType::VarChar { max_length: Some(n) } | ScalarType::Char { length: Some(n) } => {
                i32::try_from(*n).map_or(-1, |n| n.saturating_add(VARHDRSZ))
            }
            ScalarType::Timestamp { precision: Some(p) } | ScalarType::TimestampTz { precision: Some(p) } => {
                i32::from(*p)
            }
            ScalarType::Array(element) => element.array_element().typmod(),
            _ => -1,
        }
    }

    /// The same type with a modifier of `pg_attribute`. A modifier that makes no sense is ignored.
    pub fn with_typmod(&self, typmod: i32) -> ScalarType {
        let length = || u32::try_from(typmod - VARHDRSZ).ok();
        let precision = || u8::try_from(typmod).ok().filter(|p| *p <= 6);
        if typmod < 0 {
            return self.clone();
        }
        match self {
            ScalarType::Numeric { .. } if typmod >= VARHDRSZ => {
                let packed = typmod - VARHDRSZ;
                let parts = (u8::try_from(packed >> 16).ok(), u8::try_from(packed & 0x7ff).ok());
                match parts {
                    (Some(precision), Some(scale)) => {
                        ScalarType::Numeric { typmod: Some(NumericTypmod { precision, scale }) }
                    }
                    _ => self.clone(),
                }
            }
            ScalarType::VarChar { .. } => ScalarType::VarChar { max_length: length() },
            ScalarType::Char { .. } => ScalarType::Char { length: length() },
            ScalarType::Timestamp { .. } => ScalarType::Timestamp { precision: precision() },
            ScalarType::TimestampTz { .. } => ScalarType::TimestampTz { precision: precision() },
            ScalarType::Array(element) => element.with_typmod(typmod).array_of(),
            other => other.clone(),
        }
    }

    /// `pg_type.typcategory`.
    pub fn category(&self) -> char {
        match self {
            ScalarType::Array(_) => 'A',
            ScalarType::List { .. } | ScalarType::Map { .. } => 'U',
            ScalarType::Record { .. } => 'P',
            ScalarType::Range(_) => 'R',
            other => other.entry().map_or('X', |e| e.category),
        }
    }

    /// `pg_type.typispreferred`: whether the type is the one its category falls back to.
    pub fn is_preferred(&self) -> bool {
        self.entry().is_some_and(|e| e.preferred)
    }

    /// Whether values are integers, of either sign.
    pub fn is_integer(&self) -> bool {
        matches!(self, ScalarType::Int16 | ScalarType::Int32 | ScalarType::Int64) || self.is_unsigned()
    }

    /// Whether values are unsigned integers.
    pub fn is_unsigned(&self) -> bool {
        matches!(self, ScalarType::UInt16 | ScalarType::UInt32 | ScalarType::UInt64)
    }

    /// Whether values are floats.
    pub fn is_float(&self) -> bool {
        matches!(self, ScalarType::Float32 | ScalarType::Float64)
    }

    /// Whether values are numbers: integers, floats or decimals (`oid` and its like are not).
    pub fn is_numeric(&self) -> bool {
        self.is_integer() || self.is_float() || matches!(self, ScalarType::Numeric { .. })
    }

    /// Whether the type is one of the character types `text`, `varchar`, `char(n)`, `name` and `"char"`.
    pub fn is_string(&self) -> bool {
        matches!(
            self,
            ScalarType::String
                | ScalarType::VarChar { .. }
                | ScalarType::Char { .. }
                | ScalarType::PgLegacyName
                | ScalarType::PgLegacyChar
        )
    }

    /// Whether values are stored as [`crate::Datum::String`].
    pub fn is_stored_as_string(&self) -> bool {
        self.is_string() || matches!(self, ScalarType::MzAclItem | ScalarType::Jsonpath)
    }

    /// Whether values are dates, times, timestamps or intervals.
    pub fn is_datetime(&self) -> bool {
        matches!(self.category(), 'D' | 'T')
    }

    /// Whether the type is `oid` or one of its aliases `regclass`, `regtype`, `regproc`, `regnamespace`, `regrole`.
    pub fn is_oid_like(&self) -> bool {
        matches!(
            self,
            ScalarType::Oid
                | ScalarType::RegClass
                | ScalarType::RegType
                | ScalarType::RegProc
                | ScalarType::RegNamespace
                | ScalarType::RegRole
        )
    }

    /// The name of the type of an OID as `format_type` and `regtype` print it, pseudo-types included.
    pub fn name_of_oid(oid: u32) -> Option<Cow<'static, str>> {
        if let Some(typ) = Self::from_oid(oid) {
            return Some(typ.sql_name());
        }
        let name = PSEUDO_TYPES.iter().find(|(o, _)| *o == oid)?.1;
        Some(if name == "any" { "\"any\"".into() } else { name.into() })
    }

    /// Every built-in type without modifiers, containers aside, in the order of OIDs.
    pub fn builtins() -> impl Iterator<Item = ScalarType> {
        let ranges = RANGES.iter().map(|r| ScalarType::Range(Box::new(r.element.clone())));
        ENTRIES.iter().map(|e| e.typ.clone()).chain(ranges)
    }
}

/// The form with modifiers, as `format_type(oid, typmod)` prints it: `numeric(10,2)`, `timestamp(3) without time
/// zone`, `integer[]`.
impl fmt::Display for ScalarType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ScalarType::Numeric { typmod: Some(t) } => write!(f, "numeric({},{})", t.precision, t.scale),
            ScalarType::VarChar { max_length: Some(n) } => write!(f, "character varying({n})"),
            ScalarType::Char { length: Some(n) } => write!(f, "character({n})"),
            // `character` alone would mean `character(1)` when read again.
            ScalarType::Char { length: None } => f.write_str("bpchar"),
            ScalarType::Timestamp { precision: Some(p) } => write!(f, "timestamp({p}) without time zone"),
            ScalarType::TimestampTz { precision: Some(p) } => write!(f, "timestamp({p}) with time zone"),
            ScalarType::Array(element) => write!(f, "{}[]", element.array_element()),
            ScalarType::List { element, .. } => write!(f, "{element} list"),
            ScalarType::Map { value, .. } => write!(f, "map[text=>{value}]"),
            other => f.write_str(&other.sql_name()),
        }
    }
}
