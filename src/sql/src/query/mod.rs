//! Planning of queries to HIR.
//!
//! ```text
//! ast::Query ─query.rs─▶ WITH, set operations, ORDER BY, LIMIT
//!   ast::Select ─select.rs─▶ FROM (from.rs), WHERE, GROUP BY, HAVING, windows, select list, DISTINCT
//!     ast::Expr ─scalar.rs─▶ typed scalar (resolve.rs chooses functions, coerce.rs makes types fit)
//! ```
//!
//! Names are resolved against a chain of scopes (`scope.rs`), innermost first; each scope is one level of HIR column
//! references. Types are resolved as PostgreSQL's manual says in chapter 10.

mod entry;

pub use entry::{
    PlannedQuery, plan_data_type, plan_index_key, plan_insert_source, plan_predicate, plan_query, plan_returning,
    plan_scalar, plan_using_scope, plan_view_query,
};
