//! What the rest of the crate calls.

use hw_expr::func::CastContext;
use hw_expr::{HirRelationExpr, HirScalarExpr, MirScalarExpr, RowSetFinishing};
use hw_repr::{Datum, RelationDesc, RelationType, ScalarType};
use sqlparser::ast;

use super::context::{Ecx, Qcx, Shared};
use super::query::{Parts, Rel, ordinal, plan_nested, plan_parts, top_k};
use super::scalar::plan_expr;
use super::scope::{Scope, TableName};
use super::types::{is_incomparable, type_name};
use crate::context::StatementContext;
use crate::error::PlanError;

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

/// Runs planning on a stack that is large enough for what [`Shared`] lets through: also what is cloned and compared there is deep.
pub(crate) fn on_large_stack<R>(f: impl FnOnce() -> R) -> R {
    stacker::maybe_grow(16 << 20, 64 << 20, f)
}

/// Plans a query whose rows go to a client. LIMIT and OFFSET that are not constant are in the rows' expression already.
pub fn plan_query(scx: &StatementContext<'_>, query: &ast::Query) -> Result<PlannedQuery, PlanError> {
    on_large_stack(|| {
        let shared = Shared::new(scx);
        let qcx = Qcx::new(&shared);
        let parts = plan_parts(&qcx, query)?;
        let Parts { mut expr, names, types, project, order_by, mut limit, mut offset, limit_hint, .. } =
            parts;
        let constant = |e: &Option<HirScalarExpr>| match e {
            None => Some(None),
            Some(e) => match e.as_literal() {
                Some(Datum::Int64(n)) => u64::try_from(n).ok().map(Some),
                _ => None,
            },
        };
        let (count, skip) = match (constant(&limit), constant(&offset)) {
            (Some(l), Some(o)) => (l, o.unwrap_or(0)),
            _ => {
                expr = top_k(expr, order_by.clone(), limit.take(), offset.take(), limit_hint);
                (None, 0)
            }
        };
        let column_types = expr.column_types(&mut vec![]);
        let typed = types.iter().zip(&project).map(|(t, c)| t.clone().nullable(column_types[*c].nullable));
        let desc = RelationDesc::new(RelationType::new(typed.collect()), names);
        Ok(PlannedQuery {
            expr,
            desc,
            finishing: RowSetFinishing { order_by, limit: count, offset: skip, project },
        })
    })
}

/// Plans a query that stands for a collection: ORDER BY matters only with LIMIT or OFFSET.
pub fn plan_view_query(
    scx: &StatementContext<'_>,
    query: &ast::Query,
) -> Result<(HirRelationExpr, RelationDesc), PlanError> {
    on_large_stack(|| {
        let shared = Shared::new(scx);
        let qcx = Qcx::new(&shared);
        let rel = plan_nested(&qcx, query)?;
        let desc = desc_of(&qcx, &rel);
        Ok((rel.expr, desc))
    })
}

pub(super) fn desc_of(qcx: &Qcx<'_>, rel: &Rel) -> RelationDesc {
    RelationDesc::new(RelationType::new(qcx.types_of(&rel.expr, &rel.types)), rel.names.clone())
}

/// How the columns of a statement's own table may be qualified.
#[derive(Debug, Clone, Copy)]
pub struct TableRef<'a> {
    /// The alias, or the table's name.
    pub alias: &'a str,
    /// Database and schema, for a table without an alias.
    pub qualifiers: &'a [String],
}

/// The scope of one table's columns.
pub(super) fn table_scope(desc: &RelationDesc, name: Option<TableRef<'_>>) -> Scope {
    let name = name.map(|n| TableName { qualifiers: n.qualifiers.to_vec(), ..TableName::new(n.alias) });
    Scope::of_table(name, desc)
}

/// Plans an expression over the columns of `desc`, which are also known by `table`. With `expected`, the value is cast
/// to that type as that context allows; otherwise an unknown literal becomes text.
pub fn plan_scalar(
    scx: &StatementContext<'_>,
    desc: &RelationDesc,
    table: Option<TableRef<'_>>,
    expr: &ast::Expr,
    expected: Option<(&ScalarType, CastContext)>,
) -> Result<HirScalarExpr, PlanError> {
    on_large_stack(|| {
        let shared = Shared::new(scx);
        let qcx = Qcx::new(&shared);
        let scope = table_scope(desc, table);
        let frame = qcx.frame(&scope, "this expression");
        let ecx = Ecx { qcx: &qcx, frame: &frame };
        let value = plan_expr(&ecx, expr)?;
        let typed = match expected {
            None => value.resolve(&ecx),
            Some((typ, context)) => value.cast(&ecx, typ, context),
        };
        Ok(typed.map_err(|e| ecx.error_at(e, expr))?.expr)
    })
}

/// Plans a value of EXECUTE for parameter `$n` of a type.
pub fn plan_execute_parameter(
    scx: &StatementContext<'_>,
    n: usize,
    expr: &ast::Expr,
    typ: &ScalarType,
) -> Result<HirScalarExpr, PlanError> {
    on_large_stack(|| {
        let shared = Shared::new(scx);
        let qcx = Qcx::new(&shared);
        let scope = Scope::default();
        let frame = qcx.frame(&scope, "EXECUTE parameters");
        let ecx = Ecx { qcx: &qcx, frame: &frame };
        let value = plan_expr(&ecx, expr)?;
        let given = value.type_text();
        let cast = value.cast(&ecx, typ, CastContext::Assignment).map_err(|e| match e.sqlstate {
            "42846" => {
                let typ = super::type_name(typ);
                let text =
                    format!("parameter ${n} of type {given} cannot be coerced to the expected type {typ}");
                PlanError::new("42804", text).with_hint("You will need to rewrite or cast the expression.")
            }
            _ => e,
        });
        let value = cast.map_err(|e| ecx.error_at(e, expr))?.expr;
        if value.contains_subquery() {
            let e = PlanError::new("0A000", "cannot use subquery in EXECUTE parameter");
            return Err(ecx.error_at(e, expr));
        }
        Ok(value)
    })
}

/// Refuses a type that cannot be a key of an index.
fn check_key(typ: &ScalarType) -> Result<(), PlanError> {
    if !is_incomparable(typ) {
        return Ok(());
    }
    let text =
        format!("data type {} has no default operator class for access method \"btree\"", type_name(typ));
    Err(PlanError::new("42704", text).with_hint(
        "You must specify an operator class for the index or define a default operator class for the data type.",
    ))
}

/// Plans one expression of an index's key; an integer literal is a position.
pub fn plan_index_key(
    scx: &StatementContext<'_>,
    desc: &RelationDesc,
    table: Option<TableRef<'_>>,
    expr: &ast::Expr,
) -> Result<MirScalarExpr, PlanError> {
    on_large_stack(|| {
        if let Some(i) = ordinal(expr, "CREATE INDEX", desc.arity())? {
            check_key(&desc.typ().column_types[i].scalar_type)?;
            return Ok(MirScalarExpr::Column(i));
        }
        let shared = Shared::new(scx);
        let qcx = Qcx::new(&shared);
        let scope = table_scope(desc, table);
        let frame = qcx.frame(&scope, "index expressions");
        let ecx = Ecx { qcx: &qcx, frame: &frame };
        let value = plan_expr(&ecx, expr)?.resolve(&ecx)?;
        if value.expr.contains_subquery() {
            return Err(
                ecx.error_at(PlanError::new("0A000", "cannot use subquery in index expression"), expr)
            );
        }
        check_key(&value.typ).map_err(|e| ecx.error_at(e, expr))?;
        crate::lowering::lower_scalar(value.expr)
    })
}

/// The type that is written.
pub fn plan_data_type(scx: &StatementContext<'_>, typ: &ast::DataType) -> Result<ScalarType, PlanError> {
    super::types::plan_data_type(scx, typ)
}
