//! Plans the catalog's stored SQL.

use std::collections::BTreeSet;

use hw_catalog::ItemPlanner;
use hw_expr::HirRelationExpr;
use hw_repr::{GlobalId, RelationDesc};
use hw_sql::context::SessionInfo;
use hw_sql::parser::Statement;
use hw_sql::{Catalog, ItemDefinition, PlanError, StatementContext};

/// The planner that the catalog is given: `hw-sql`.
#[derive(Debug)]
pub(crate) struct SqlPlanner;

impl ItemPlanner for SqlPlanner {
    fn plan_item(
        &self,
        catalog: &dyn Catalog,
        create_sql: &str,
        id: GlobalId,
    ) -> Result<(ItemDefinition, BTreeSet<GlobalId>), PlanError> {
        hw_sql::statement::plan_item(catalog, create_sql, id)
    }

    fn plan_builtin_view(
        &self,
        catalog: &dyn Catalog,
        sql: &str,
    ) -> Result<(HirRelationExpr, RelationDesc, BTreeSet<GlobalId>), PlanError> {
        let statement = hw_sql::parser::parse(sql)?.pop();
        let statement = statement.ok_or_else(|| PlanError::syntax("a built-in view needs a query"))?;
        let session = SessionInfo::default();
        let scx = StatementContext::new(catalog, &session, &statement.extensions);
        let Statement::Select(select) = &statement.statement else {
            return Err(PlanError::syntax("a built-in view is a query"));
        };
        let (expr, desc) = hw_sql::query::plan_view_query(&scx, &select.query.query)?;
        Ok((expr, desc, scx.uses.into_inner()))
    }
}
