//! Scalar, aggregate and table functions; the two relational languages; evaluation.
//!
//! * [`func`]: the registry of functions, operators, casts and aggregates: one table for each family in
//!   [`functions`], each entry with its signatures, volatility and strictness. A function is known by a stable key.
//! * [`cast`]: which types convert to which, and by what calls; the common type of several.
//! * [`scalar`]: [`MirScalarExpr`], the scalar language that runs, and its evaluation.
//! * [`relation`]: [`MirRelationExpr`], the decorrelated relational language that is optimised.
//! * [`hir`]: the typed, correlated language that SQL is planned to first.
//! * [`mfp`]: map, filter and project in one, as dataflows apply it to rows.
//! * [`listing`]: the registry with numbers, as `pg_proc`, `pg_operator` and `pg_cast` show it.
//! * [`aggregate`], [`table`], [`window`]: what reduces, expands and ranks.
//!
//! Equality in relations (join equivalences, group keys, DISTINCT) is equality of packed bytes. For the few types whose
//! SQL-equal values may differ in bytes, planning wraps keys with [`scalar::canonical_key`].

pub mod aggregate;
pub mod cast;
pub mod error;
pub mod func;
pub mod functions;
pub mod hir;
pub mod listing;
pub mod mfp;
pub mod relation;
pub mod scalar;
pub mod table;
pub mod window;

pub use aggregate::{AggregateExpr, AggregateFunc};
pub use error::EvalError;
pub use func::{Func, FuncDef};
pub use functions::jsonpath::check_patterns as check_jsonpath_patterns;
pub use hir::{HirRelationExpr, HirScalarExpr};
pub use mfp::MapFilterProject;
pub use relation::{Id, JoinImplementation, LocalId, MirRelationExpr, RowSetFinishing};
pub use scalar::{MirScalarExpr, UnmaterializableFunc};
pub use table::{TableFunc, TableFuncDef};
pub use window::WindowSpec;
