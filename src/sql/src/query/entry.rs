//! What the rest of the crate calls.

use hw_expr::func::CastContext;
use hw_expr::{HirRelationExpr, HirScalarExpr, MirScalarExpr, RowSetFinishing};
use hw_repr::{RelationDesc, ScalarType};
use sqlparser::ast;

use crate::context::StatementContext;
use crate::error::PlanError;
use crate::plan::ReturningPlan;

/// A query with what is done to its rows at the end.
#[derive(Debug, Clone)]
pub struct PlannedQuery {
    /// The rows.
    pub expr: HirRelationExpr,
    /// The columns of the result, after `finishing`.
    pub desc: RelationDesc,
    /// Order, limit, offset and choice of columns, over `expr`'s columns.
    pub finishing: RowSetFinishing,
}

/// Plans a query whose rows go to a client.
pub fn plan_query(_scx: &StatementContext<'_>, _query: &ast::Query) -> Result<PlannedQuery, PlanError> {
    Err(PlanError::unsupported("this query"))
}

/// Plans a query that stands for a collection: ORDER BY matters only with LIMIT or OFFSET.
pub fn plan_view_query(
    _scx: &StatementContext<'_>,
    _query: &ast::Query,
) -> Result<(HirRelationExpr, RelationDesc), PlanError> {
    Err(PlanError::unsupported("this query"))
}

/// Plans an expression over the columns of `desc`, which are also known by `table_alias`. With `expected`, the value is cast
/// to that type as that context allows; otherwise an unknown literal becomes text.
pub fn plan_scalar(
    _scx: &StatementContext<'_>,
    _desc: &RelationDesc,
    _table_alias: Option<&str>,
    _expr: &ast::Expr,
    _expected: Option<(&ScalarType, CastContext)>,
) -> Result<HirScalarExpr, PlanError> {
    Err(PlanError::unsupported("this expression"))
}

/// Plans a boolean expression (an argument of WHERE) over the columns of `desc`.
pub fn plan_predicate(
    _scx: &StatementContext<'_>,
    _desc: &RelationDesc,
    _table_alias: Option<&str>,
    _expr: &ast::Expr,
) -> Result<HirScalarExpr, PlanError> {
    Err(PlanError::unsupported("this expression"))
}

/// Plans one expression of an index's key; an integer literal is a position.
pub fn plan_index_key(
    _scx: &StatementContext<'_>,
    _desc: &RelationDesc,
    _table_alias: Option<&str>,
    _expr: &ast::Expr,
) -> Result<MirScalarExpr, PlanError> {
    Err(PlanError::unsupported("this expression"))
}

/// Plans the rows of an INSERT: all of the table's columns (`desc`), those in `columns` (positions, in the order written) from
/// the query, the others from `defaults`. `DEFAULT` may stand in VALUES.
pub fn plan_insert_source(
    _scx: &StatementContext<'_>,
    _desc: &RelationDesc,
    _columns: &[usize],
    _defaults: &[HirScalarExpr],
    _query: &ast::Query,
) -> Result<HirRelationExpr, PlanError> {
    Err(PlanError::unsupported("this query"))
}

/// Plans RETURNING over the table's columns.
pub fn plan_returning(
    _scx: &StatementContext<'_>,
    _desc: &RelationDesc,
    _table_alias: Option<&str>,
    _items: &[ast::SelectItem],
) -> Result<ReturningPlan, PlanError> {
    Err(PlanError::unsupported("RETURNING"))
}

/// Plans the rows that DELETE … USING or UPDATE … FROM affects: the target joined with `from` and filtered by `selection`. The
/// target's columns come first; `assignments` are planned over all columns and cast to the columns' types.
pub fn plan_using_scope(
    _scx: &StatementContext<'_>,
    _target: (hw_repr::GlobalId, &RelationDesc, &str),
    _from: &[ast::TableWithJoins],
    _selection: Option<&ast::Expr>,
    _assignments: &[(usize, &ast::Expr)],
) -> Result<(HirRelationExpr, Vec<HirScalarExpr>), PlanError> {
    Err(PlanError::unsupported("USING"))
}

/// The type that is written.
pub fn plan_data_type(_scx: &StatementContext<'_>, _typ: &ast::DataType) -> Result<ScalarType, PlanError> {
    Err(PlanError::unsupported("this type"))
}
