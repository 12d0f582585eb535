//! What planning needs to know of existing objects.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use hw_repr::{ClusterId, DatabaseId, GlobalId, RelationDesc, ReplicaId, RoleId, SchemaId};

use crate::plan::ItemDefinition;

/// Read access to the catalog, as of one moment. Names are matched exactly: folding to lower case has been done by the
/// parser.
pub trait Catalog: Send + Sync {
    /// The database of that name.
    fn database(&self, name: &str) -> Option<DatabaseId>;
    /// The name of a database.
    fn database_name(&self, id: DatabaseId) -> Option<String>;
    /// The schema of that name in a database; system schemas (`pg_catalog`, `mz_catalog`, `mz_internal`,
    /// `information_schema`, `mz_unsafe`, and the session's temporary schema `mz_temp`) are in every database and in none.
    fn schema(&self, database: Option<DatabaseId>, name: &str) -> Option<SchemaId>;
    /// The database and name of a schema.
    fn schema_name(&self, id: SchemaId) -> Option<(Option<DatabaseId>, String)>;
    /// The PostgreSQL oid of a schema.
    fn schema_oid(&self, _id: SchemaId) -> Option<u32> {
        None
    }
    /// All schemas: database, id and name.
    fn schemas(&self) -> Vec<(Option<DatabaseId>, SchemaId, String)>;
    /// All databases: id and name.
    fn databases(&self) -> Vec<(DatabaseId, String)>;
    /// The item of that name in a schema, types excepted.
    fn item_by_name(&self, schema: SchemaId, name: &str) -> Option<Arc<ItemInfo>>;
    /// The type of that name in a schema.
    fn type_by_name(&self, schema: SchemaId, name: &str) -> Option<Arc<ItemInfo>>;
    /// An item.
    fn item(&self, id: GlobalId) -> Option<Arc<ItemInfo>>;
    /// All items of a schema.
    fn items_in_schema(&self, schema: SchemaId) -> Vec<Arc<ItemInfo>>;
    /// The cluster of that name.
    fn cluster_by_name(&self, name: &str) -> Option<Arc<ClusterInfo>>;
    /// A cluster.
    fn cluster(&self, id: ClusterId) -> Option<Arc<ClusterInfo>>;
    /// All clusters.
    fn clusters(&self) -> Vec<Arc<ClusterInfo>>;
    /// The role of that name.
    fn role(&self, name: &str) -> Option<RoleId>;
    /// The name of a role.
    fn role_name(&self, id: RoleId) -> Option<String>;
    /// The PostgreSQL oid of a role.
    fn role_oid(&self, _id: RoleId) -> Option<u32> {
        None
    }
    /// The replica sizes that exist, each with its number of workers.
    fn replica_sizes(&self) -> Vec<(String, usize)>;
    /// The value of a system-wide setting.
    fn system_parameter(&self, name: &str) -> Option<String>;
    /// The greatest id that has been given out, for tests of normalised SQL.
    fn next_user_id_hint(&self) -> u64 {
        0
    }
}

/// What kind of thing an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemKind {
    /// A table.
    Table,
    /// A source, subsource or progress subsource.
    Source,
    /// A sink.
    Sink,
    /// A view.
    View,
    /// A materialized view.
    MaterializedView,
    /// An index.
    Index,
    /// A connection.
    Connection,
    /// A secret.
    Secret,
    /// A type.
    Type,
}

impl fmt::Display for ItemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ItemKind::Table => "table",
            ItemKind::Source => "source",
            ItemKind::Sink => "sink",
            ItemKind::View => "view",
            ItemKind::MaterializedView => "materialized view",
            ItemKind::Index => "index",
            ItemKind::Connection => "connection",
            ItemKind::Secret => "secret",
            ItemKind::Type => "type",
        })
    }
}

/// A full name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FullName {
    /// The database; `None` for system schemas and temporary objects.
    pub database: Option<String>,
    /// The schema.
    pub schema: String,
    /// The item.
    pub item: String,
}

impl fmt::Display for FullName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(d) = &self.database {
            write!(f, "{}.", crate::names::quote_ident(d))?;
        }
        write!(f, "{}.{}", crate::names::quote_ident(&self.schema), crate::names::quote_ident(&self.item))
    }
}

/// An item of the catalog.
#[derive(Debug, Clone)]
pub struct ItemInfo {
    /// Its id.
    pub id: GlobalId,
    /// Its PostgreSQL oid.
    pub oid: u32,
    /// Its schema.
    pub schema_id: SchemaId,
    /// Its full name.
    pub name: FullName,
    /// Who owns it.
    pub owner: RoleId,
    /// Its definition as normalised SQL: all names full, in the form of names with ids (see `names`). Empty for built-in items
    /// without one.
    pub create_sql: String,
    /// What it is.
    pub definition: ItemDefinition,
    /// What it refers to.
    pub uses: BTreeSet<GlobalId>,
    /// What refers to it.
    pub used_by: BTreeSet<GlobalId>,
}

impl ItemInfo {
    /// What kind of thing it is.
    pub fn kind(&self) -> ItemKind {
        self.definition.kind()
    }

    /// Its columns, if it can be read.
    pub fn desc(&self) -> Option<&RelationDesc> {
        self.definition.desc()
    }
}

/// A cluster.
#[derive(Debug, Clone)]
pub struct ClusterInfo {
    /// Its id.
    pub id: ClusterId,
    /// Its name.
    pub name: String,
    /// Who owns it.
    pub owner: RoleId,
    /// Its size, `None` if its replicas are made by hand.
    pub size: Option<String>,
    /// How many replicas a managed cluster has.
    pub replication_factor: u32,
    /// Its replicas: id, name and size.
    pub replicas: Vec<(ReplicaId, String, String)>,
    /// Indexes, materialized views and sources that run on it.
    pub bound_objects: BTreeSet<GlobalId>,
}
