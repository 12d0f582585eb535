//! Planning of queries to HIR.
//!
//! ```text
//! ast::Query ─query─▶ WITH, set operations, VALUES, ORDER BY, LIMIT
//!   ast::Select ─select─▶ FROM (from), WHERE, GROUP BY (grouping), HAVING, windows, select list, DISTINCT
//!     ast::Expr ─scalar─▶ typed scalar (resolve chooses functions, coerce makes types fit)
//! ```
//!
//! Names are resolved against a chain of scopes ([`scope`]), innermost first; each scope is one level of HIR column
//! references. Types are resolved as PostgreSQL's manual says in chapter 10: a quoted literal has no type until something
//! asks for one ([`coerce::Planned`]).

mod aggregate;
mod catalog_literal;
mod clock_literal;
mod coerce;
mod context;
mod declared;
mod dml;
mod entry;
mod fold;
mod from;
mod function;
mod grouping;
mod hypothetical;
pub(crate) mod internal;
mod interned;
mod named;
mod names;
mod operator;
mod query;
mod query_function;
mod recursive;
mod resolve;
mod rewrite;
mod scalar;
mod scope;
mod search_cycle;
mod select;
mod subquery;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
pub(crate) mod tests;
mod types;
mod window;

pub use dml::{plan_insert_source, plan_returning, plan_using_scope};
pub use entry::{
    PlannedQuery, TableRef, plan_data_type, plan_execute_parameter, plan_index_key, plan_query, plan_scalar,
    plan_view_query,
};
pub use types::type_name;
