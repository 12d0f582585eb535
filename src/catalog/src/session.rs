//! The catalog as one session sees it: with its own temporary items.

use std::sync::Arc;

use hw_repr::{ClusterId, DatabaseId, GlobalId, RoleId, SchemaId};
use hw_sql::catalog::{ClusterInfo, ItemInfo};

use crate::builtin::MZ_TEMP_SCHEMA_ID;
use crate::state::CatalogState;

/// A snapshot with a session's temporary items.
#[derive(Debug, Clone)]
pub struct SessionCatalog {
    pub(crate) state: Arc<CatalogState>,
    pub(crate) conn_id: u32,
}

impl SessionCatalog {
    /// A state as the session with that number sees it.
    pub fn new(state: Arc<CatalogState>, conn_id: u32) -> Self {
        SessionCatalog { state, conn_id }
    }
}

impl hw_sql::Catalog for SessionCatalog {
    fn database(&self, name: &str) -> Option<DatabaseId> {
        self.state.database(name)
    }

    fn database_name(&self, id: DatabaseId) -> Option<String> {
        self.state.database_name(id)
    }

    fn schema(&self, database: Option<DatabaseId>, name: &str) -> Option<SchemaId> {
        self.state.schema(database, name)
    }

    fn schema_name(&self, id: SchemaId) -> Option<(Option<DatabaseId>, String)> {
        self.state.schema_name(id)
    }

    fn schema_oid(&self, id: SchemaId) -> Option<u32> {
        self.state.schema_oid(id)
    }

    fn schemas(&self) -> Vec<(Option<DatabaseId>, SchemaId, String)> {
        self.state.schemas()
    }

    fn databases(&self) -> Vec<(DatabaseId, String)> {
        self.state.databases()
    }

    fn item_by_name(&self, schema: SchemaId, name: &str) -> Option<Arc<ItemInfo>> {
        if schema == MZ_TEMP_SCHEMA_ID {
            let id = self.state.temporary.get(&(self.conn_id, name.to_owned()))?;
            return self.state.item(*id);
        }
        self.state.item_by_name(schema, name)
    }

    fn type_by_name(&self, schema: SchemaId, name: &str) -> Option<Arc<ItemInfo>> {
        self.state.type_by_name(schema, name)
    }

    fn item(&self, id: GlobalId) -> Option<Arc<ItemInfo>> {
        self.state.item(id)
    }

    fn items_in_schema(&self, schema: SchemaId) -> Vec<Arc<ItemInfo>> {
        self.state.items_in_schema(schema)
    }

    fn cluster_by_name(&self, name: &str) -> Option<Arc<ClusterInfo>> {
        self.state.cluster_by_name(name)
    }

    fn cluster(&self, id: ClusterId) -> Option<Arc<ClusterInfo>> {
        self.state.cluster(id)
    }

    fn clusters(&self) -> Vec<Arc<ClusterInfo>> {
        self.state.clusters()
    }

    fn role(&self, name: &str) -> Option<RoleId> {
        self.state.role(name)
    }

    fn role_name(&self, id: RoleId) -> Option<String> {
        self.state.role_name(id)
    }

    fn role_oid(&self, id: RoleId) -> Option<u32> {
        self.state.role_oid(id)
    }

    fn replica_sizes(&self) -> Vec<(String, usize)> {
        self.state.replica_sizes()
    }

    fn system_parameter(&self, name: &str) -> Option<String> {
        self.state.system_parameter(name)
    }
}
