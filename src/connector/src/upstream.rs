//! [`hw_sql::upstream::Upstream`], by asking MySQL.

use async_trait::async_trait;
use hw_plan::source::{MySqlConnection, MySqlTable};
use hw_repr::RelationDesc;
use hw_sql::PlanError;
use hw_sql::upstream::{TableSelection, Upstream, UpstreamColumn};

use crate::error::UpstreamError;

/// Asks MySQL servers over the network. Without state.
#[derive(Debug, Clone, Copy, Default)]
pub struct MySqlUpstream;

impl From<UpstreamError> for PlanError {
    fn from(e: UpstreamError) -> Self {
        PlanError { sqlstate: e.sqlstate, message: e.message, detail: e.detail, hint: e.hint, position: None }
    }
}

#[async_trait]
impl Upstream for MySqlUpstream {
    async fn validate_mysql(&self, connection: &MySqlConnection) -> Result<(), PlanError> {
        Ok(crate::mysql::validate_connection(connection).await?)
    }

    async fn discover_mysql(
        &self,
        connection: &MySqlConnection,
        selection: &TableSelection,
        text_columns: &[UpstreamColumn],
        exclude_columns: &[UpstreamColumn],
    ) -> Result<Vec<MySqlTable>, PlanError> {
        Ok(crate::mysql::discover_tables(connection, selection, text_columns, exclude_columns).await?)
    }

    fn mysql_progress_desc(&self) -> RelationDesc {
        crate::progress_desc()
    }
}
