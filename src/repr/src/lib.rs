//! Values and their representation: datums, rows, types, relation descriptions, times, ids, and the text and
//! binary formats in which PostgreSQL clients see them.
//!
//! * [`Datum`] is one borrowed value; [`Row`] is a packed sequence of them.
//! * [`ScalarType`], [`ColumnType`], [`RelationType`] and [`RelationDesc`] describe them.
//! * [`Timestamp`], [`Diff`] and [`GlobalId`] are the coordinates of the dataflow layer.
//! * [`adt`] holds the value types that Rust lacks (numeric, interval, date, …).
//! * [`text`] and [`binary`] read and write PostgreSQL's formats.

pub mod adt;
pub mod arena;
pub mod binary;
pub mod datum;
pub mod id;
pub mod order;
pub mod relation;
pub mod row;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod text;
pub mod types;

pub use arena::RowArena;
pub use datum::{ArrayRef, Datum, DatumList, DatumMap, RangeRef};
pub use id::{ClusterId, DatabaseId, GlobalId, ReplicaId, RoleId, SchemaId};
pub use order::{ColumnOrder, compare_rows_by};
pub use relation::{ColumnName, RelationDesc, RelationType};
pub use row::{Row, RowPacker};
pub use types::{
    ColumnType, LIST_OID, MAP_OID, MZ_CATALOG_OID, NumericTypmod, PG_CATALOG_OID, PSEUDO_TYPES, RECORD_OID,
    ScalarType, datum_matches_type,
};

/// A logical time: milliseconds since the Unix epoch.
pub type Timestamp = u64;

/// A change in multiplicity.
pub type Diff = i64;

#[cfg(test)]
mod tests;
