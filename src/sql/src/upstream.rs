//! What planning needs to ask upstream systems.

use async_trait::async_trait;
use hw_plan::source::{MySqlConnection, MySqlTable};
use hw_repr::RelationDesc;

use crate::error::PlanError;

/// Which tables a source is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableSelection {
    /// All but the system's own.
    All,
    /// All of these schemas.
    Schemas(Vec<String>),
    /// These, as (schema, table).
    Tables(Vec<(String, String)>),
}

/// A column named as (schema, table, column).
pub type UpstreamColumn = (String, String, String);

/// Asks upstream systems. Every call ends within ten seconds; an error has a detail and a hint where there is something to say.
#[async_trait]
pub trait Upstream: Send + Sync {
    /// Connects, and checks what a source will need: settings and the right to replicate.
    async fn validate_mysql(&self, connection: &MySqlConnection) -> Result<(), PlanError>;

    /// The selected tables as they are now. Also checks settings and privileges.
    async fn discover_mysql(
        &self,
        connection: &MySqlConnection,
        selection: &TableSelection,
        text_columns: &[UpstreamColumn],
        exclude_columns: &[UpstreamColumn],
    ) -> Result<Vec<MySqlTable>, PlanError>;

    /// The columns of a MySQL source's progress subsource.
    fn mysql_progress_desc(&self) -> RelationDesc;
}
