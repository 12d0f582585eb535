//! SQL types of values and columns.

use serde::{Deserialize, Serialize};

use crate::id::GlobalId;

mod catalog;
mod check;

pub use catalog::{LIST_OID, MAP_OID, MZ_CATALOG_OID, PG_CATALOG_OID, PSEUDO_TYPES, RECORD_OID};
pub use check::{datum_matches_scalar_type, datum_matches_type};

/// Precision and scale of a constrained `numeric(precision, scale)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NumericTypmod {
    /// Total number of decimal digits, 1 to 39.
    pub precision: u8,
    /// Digits after the decimal point.
    pub scale: u8,
}

/// The SQL type of a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ScalarType {
    /// `boolean`
    Bool,
    /// `smallint`
    Int16,
    /// `integer`
    Int32,
    /// `bigint`
    Int64,
    /// `uint2`
    UInt16,
    /// `uint4`
    UInt32,
    /// `uint8`
    UInt64,
    /// `real`
    Float32,
    /// `double precision`
    Float64,
    /// `numeric` of at most 39 digits
    Numeric {
        /// `None` keeps each value's own scale.
        typmod: Option<NumericTypmod>,
    },
    /// `text`
    String,
    /// `character varying(n)`
    VarChar {
        /// `None` is unlimited.
        max_length: Option<u32>,
    },
    /// `character(n)`; values are stored blank-padded when `length` is known
    Char {
        /// `None` is `bpchar` without a length.
        length: Option<u32>,
    },
    /// PostgreSQL's one-byte `"char"`; stored as a string of at most one character
    PgLegacyChar,
    /// `name`; stored as a string
    PgLegacyName,
    /// `bytea`
    Bytes,
    /// `date`
    Date,
    /// `time`
    Time,
    /// `timestamp(p)` without time zone
    Timestamp {
        /// Digits of fractional seconds, 0 to 6.
        precision: Option<u8>,
    },
    /// `timestamp(p)` with time zone
    TimestampTz {
        /// Digits of fractional seconds, 0 to 6.
        precision: Option<u8>,
    },
    /// `interval`
    Interval,
    /// `uuid`
    Uuid,
    /// `jsonb`
    Jsonb,
    /// `oid`; stored as `UInt32`
    Oid,
    /// `regclass`; stored as `UInt32`
    RegClass,
    /// `regtype`; stored as `UInt32`
    RegType,
    /// `regproc`; stored as `UInt32`
    RegProc,
    /// `regnamespace`; stored as `UInt32`
    RegNamespace,
    /// `regrole`; stored as `UInt32`
    RegRole,
    /// `int2vector`; stored as a one-dimensional array of `Int16`
    Int2Vector,
    /// `mz_timestamp`
    MzTimestamp,
    /// `mz_aclitem`; stored as a string
    MzAclItem,
    /// `T[]`
    Array(Box<ScalarType>),
    /// `T list`
    List {
        /// The type of each element.
        element: Box<ScalarType>,
        /// The named type, when it was made with `CREATE TYPE`.
        custom_id: Option<GlobalId>,
    },
    /// `map[text=>T]`
    Map {
        /// The type of each value.
        value: Box<ScalarType>,
        /// The named type, when it was made with `CREATE TYPE`.
        custom_id: Option<GlobalId>,
    },
    /// A record or composite type; stored as a list
    Record {
        /// Names and types of the fields.
        fields: Vec<(String, ColumnType)>,
        /// The named type, when it was made with `CREATE TYPE`.
        custom_id: Option<GlobalId>,
    },
    /// A range over `element`, one of int4, int8, numeric, date, timestamp, timestamptz
    Range(Box<ScalarType>),
    /// `jsonpath`; stored as a string, its canonical text
    Jsonpath,
}

impl ScalarType {
    /// `numeric` without precision or scale.
    pub const NUMERIC: ScalarType = ScalarType::Numeric { typmod: None };
    /// `timestamp` of full precision.
    pub const TIMESTAMP: ScalarType = ScalarType::Timestamp { precision: None };
    /// `timestamptz` of full precision.
    pub const TIMESTAMPTZ: ScalarType = ScalarType::TimestampTz { precision: None };

    /// The column type of this type that allows or forbids NULL.
    pub fn nullable(self, nullable: bool) -> ColumnType {
        ColumnType { scalar_type: self, nullable }
    }

    /// An array of this type.
    pub fn array_of(self) -> ScalarType {
        ScalarType::Array(Box::new(self))
    }

    /// A list of this type.
    pub fn list_of(self) -> ScalarType {
        ScalarType::List { element: Box::new(self), custom_id: None }
    }

    /// The same type without modifiers: lengths, precisions, and names of custom types.
    pub fn without_modifiers(&self) -> ScalarType {
        match self {
            ScalarType::Numeric { .. } => ScalarType::NUMERIC,
            ScalarType::VarChar { .. } => ScalarType::VarChar { max_length: None },
            ScalarType::Char { .. } => ScalarType::Char { length: None },
            ScalarType::Timestamp { .. } => ScalarType::TIMESTAMP,
            ScalarType::TimestampTz { .. } => ScalarType::TIMESTAMPTZ,
            ScalarType::Array(t) => ScalarType::Array(Box::new(t.without_modifiers())),
            ScalarType::List { element, .. } => {
                ScalarType::List { element: Box::new(element.without_modifiers()), custom_id: None }
            }
            ScalarType::Map { value, .. } => {
                ScalarType::Map { value: Box::new(value.without_modifiers()), custom_id: None }
            }
            ScalarType::Range(t) => ScalarType::Range(Box::new(t.without_modifiers())),
            ScalarType::Record { fields, .. } => ScalarType::Record {
                fields: fields
                    .iter()
                    .map(|(n, t)| (n.clone(), t.scalar_type.without_modifiers().nullable(t.nullable)))
                    .collect(),
                custom_id: None,
            },
            other => other.clone(),
        }
    }

    /// Whether two types are the same but for modifiers, so that values of one are values of the other.
    pub fn base_eq(&self, other: &ScalarType) -> bool {
        self == other || self.without_modifiers() == other.without_modifiers()
    }
}

/// The type of a column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ColumnType {
    /// The type of its values.
    pub scalar_type: ScalarType,
    /// Whether NULL may occur.
    pub nullable: bool,
}
