//! The catalog in memory. A [`CatalogState`] never changes once it is shared: a transaction makes a copy, which shares what is the
//! same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hw_repr::{ClusterId, DatabaseId, GlobalId, ReplicaId, RoleId, SchemaId};
use hw_sql::catalog::{ClusterInfo, FullName, ItemInfo, ItemKind};
use hw_sql::plan::{ItemDefinition, ObjectId, SourceKind};
use uuid::Uuid;

use crate::error::CatalogError;
use crate::sizes::ReplicaSizes;

/// A database.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pub(crate) name: String,
    pub(crate) owner: RoleId,
    pub(crate) oid: u32,
}

/// A schema.
#[derive(Debug, Clone)]
pub(crate) struct Schema {
    pub(crate) database: Option<DatabaseId>,
    pub(crate) name: String,
    pub(crate) owner: RoleId,
    pub(crate) oid: u32,
    pub(crate) items: BTreeMap<String, GlobalId>,
    pub(crate) types: BTreeMap<String, GlobalId>,
}

/// A role.
#[derive(Debug, Clone)]
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) options: BTreeMap<String, String>,
    pub(crate) oid: u32,
}

/// The catalog at one moment.
#[derive(Debug, Clone, Default)]
pub struct CatalogState {
    pub(crate) revision: u64,
    pub(crate) databases: BTreeMap<DatabaseId, Arc<Database>>,
    pub(crate) schemas: BTreeMap<SchemaId, Arc<Schema>>,
    pub(crate) roles: BTreeMap<RoleId, Arc<Role>>,
    pub(crate) clusters: BTreeMap<ClusterId, Arc<ClusterInfo>>,
    pub(crate) replica_owners: BTreeMap<ReplicaId, RoleId>,
    pub(crate) items: BTreeMap<GlobalId, Arc<ItemInfo>>,
    pub(crate) shards: BTreeMap<GlobalId, Uuid>,
    pub(crate) temporary: BTreeMap<(u32, String), GlobalId>,
    pub(crate) comments: BTreeMap<(ObjectId, Option<usize>), String>,
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) dropped_shards: BTreeSet<Uuid>,
    /// Items whose SQL no longer plans, with the error.
    pub(crate) broken: BTreeMap<GlobalId, String>,
    pub(crate) sizes: Arc<ReplicaSizes>,
    pub(crate) egress_ips: Arc<Vec<String>>,
}

impl CatalogState {
    /// Raised by every transaction.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// All items, built-in ones included.
    pub fn items(&self) -> impl Iterator<Item = &Arc<ItemInfo>> {
        self.items.values()
    }

    /// The shard of a durable collection.
    pub fn shard(&self, id: GlobalId) -> Option<Uuid> {
        self.shards.get(&id).copied()
    }

    /// Shards of dropped items whose space may still have to be reclaimed.
    pub fn unfinalized_shards(&self) -> Vec<Uuid> {
        self.dropped_shards.iter().copied().collect()
    }

    /// The temporary items of a session.
    pub fn temporary_items(&self, conn_id: u32) -> Vec<GlobalId> {
        let range = (conn_id, String::new())..(conn_id.saturating_add(1), String::new());
        self.temporary.range(range).map(|(_, id)| *id).collect()
    }

    /// How many timely workers a size has.
    pub fn workers_of_size(&self, size: &str) -> Option<usize> {
        self.sizes.0.get(size).map(|s| s.workers)
    }

    pub(crate) fn full_name(&self, schema: SchemaId, item: &str) -> FullName {
        let schema = self.schemas.get(&schema);
        let database = schema.and_then(|s| s.database).and_then(|d| self.databases.get(&d));
        FullName {
            database: database.map(|d| d.name.clone()),
            schema: schema.map(|s| s.name.clone()).unwrap_or_default(),
            item: item.to_owned(),
        }
    }

    /// How an object is called in messages.
    pub(crate) fn describe(&self, object: ObjectId) -> String {
        match object {
            ObjectId::Item(id) => match self.items.get(&id) {
                Some(item) => format!("{} \"{}\"", item.kind(), item.name.item),
                None => id.to_string(),
            },
            ObjectId::Database(id) => {
                format!("database \"{}\"", self.databases.get(&id).map_or("?", |d| d.name.as_str()))
            }
            ObjectId::Schema(id) => {
                format!("schema \"{}\"", self.schemas.get(&id).map_or("?", |s| s.name.as_str()))
            }
            ObjectId::Cluster(id) => {
                format!("cluster \"{}\"", self.clusters.get(&id).map_or("?", |c| c.name.as_str()))
            }
            ObjectId::Replica(cluster, id) => {
                let name =
                    self.clusters.get(&cluster).and_then(|c| c.replicas.iter().find(|(r, _, _)| *r == id));
                format!("cluster replica \"{}\"", name.map_or("?", |(_, n, _)| n.as_str()))
            }
            ObjectId::Role(id) => {
                format!("role \"{}\"", self.roles.get(&id).map_or("?", |r| r.name.as_str()))
            }
        }
    }

    /// What must go with an object: `belongs` are its own parts (subsources, replicas, what is in a schema), `depends` are others' objects.
    fn dependents(&self, object: ObjectId) -> (Vec<ObjectId>, Vec<ObjectId>) {
        let (mut belongs, mut depends) = (Vec::new(), Vec::new());
        match object {
            ObjectId::Item(id) => {
                let Some(item) = self.items.get(&id) else { return (belongs, depends) };
                for user in &item.used_by {
                    let part = self
                        .items
                        .get(user)
                        .is_some_and(|u| is_part_of(&u.definition, id) || u.kind() == ItemKind::Index);
                    if part { &mut belongs } else { &mut depends }.push(ObjectId::Item(*user));
                }
                if let ItemDefinition::Source(source) = &item.definition
                    && let SourceKind::MySql { progress, .. } | SourceKind::LoadGenerator { progress, .. } =
                        &source.kind
                {
                    belongs.push(ObjectId::Item(*progress));
                }
            }
            ObjectId::Database(id) => {
                let own = self.schemas.iter().filter(|(_, s)| s.database == Some(id));
                for (schema, s) in own {
                    let empty = s.items.is_empty() && s.types.is_empty();
                    if empty { &mut belongs } else { &mut depends }.push(ObjectId::Schema(*schema));
                }
            }
            ObjectId::Schema(id) => {
                if let Some(s) = self.schemas.get(&id) {
                    depends.extend(s.items.values().chain(s.types.values()).map(|i| ObjectId::Item(*i)));
                }
            }
            ObjectId::Cluster(id) => {
                if let Some(c) = self.clusters.get(&id) {
                    belongs.extend(c.replicas.iter().map(|(r, _, _)| ObjectId::Replica(id, *r)));
                    depends.extend(c.bound_objects.iter().map(|i| ObjectId::Item(*i)));
                }
            }
            ObjectId::Replica(..) | ObjectId::Role(_) => {}
        }
        (belongs, depends)
    }

    /// Everything that goes when these are dropped, what depends on others first.
    ///
    /// # Errors
    /// 2BP01 when something else depends on them and `cascade` is not given.
    pub fn drop_closure(&self, objects: &[ObjectId], cascade: bool) -> Result<Vec<ObjectId>, CatalogError> {
        let mut found: BTreeSet<ObjectId> = BTreeSet::new();
        let mut order = Vec::new();
        let mut blockers: Vec<(ObjectId, ObjectId)> = Vec::new();
        for object in objects {
            self.close(*object, cascade, &mut found, &mut order, &mut blockers);
        }
        blockers.retain(|(_, blocker)| !found.contains(blocker));
        if blockers.is_empty() {
            return Ok(order);
        }
        let detail: Vec<String> = blockers
            .iter()
            .map(|(on, blocker)| format!("{} depends on {}", self.describe(*blocker), self.describe(*on)))
            .collect();
        Err(CatalogError::User {
            sqlstate: "2BP01",
            message: format!("cannot drop {} because other objects depend on it", self.describe(objects[0])),
            detail: Some(detail.join("\n")),
            hint: Some("Use DROP ... CASCADE to drop the dependent objects too.".into()),
        })
    }

    fn close(
        &self,
        object: ObjectId,
        cascade: bool,
        found: &mut BTreeSet<ObjectId>,
        order: &mut Vec<ObjectId>,
        blockers: &mut Vec<(ObjectId, ObjectId)>,
    ) {
        if !found.insert(object) {
            return;
        }
        let (belongs, depends) = self.dependents(object);
        for part in belongs {
            self.close(part, cascade, found, order, blockers);
        }
        for other in depends {
            if cascade {
                self.close(other, cascade, found, order, blockers);
            } else {
                blockers.push((object, other));
            }
        }
        order.push(object);
    }
}

/// Whether an item is a table of that source.
pub(crate) fn is_part_of(definition: &ItemDefinition, source: GlobalId) -> bool {
    match definition {
        ItemDefinition::Source(s) => {
            matches!(&s.kind, SourceKind::Subsource { source: of, .. } if *of == source)
        }
        ItemDefinition::Table(t) => t.source.as_ref().is_some_and(|(of, _)| *of == source),
        _ => false,
    }
}

impl hw_sql::Catalog for CatalogState {
    fn database(&self, name: &str) -> Option<DatabaseId> {
        self.databases.iter().find(|(_, d)| d.name == name).map(|(id, _)| *id)
    }

    fn database_name(&self, id: DatabaseId) -> Option<String> {
        self.databases.get(&id).map(|d| d.name.clone())
    }

    fn schema(&self, database: Option<DatabaseId>, name: &str) -> Option<SchemaId> {
        let own = |d: Option<DatabaseId>| {
            self.schemas.iter().find(|(_, s)| s.database == d && s.name == name).map(|(id, _)| *id)
        };
        own(database).or_else(|| own(None))
    }

    fn schema_name(&self, id: SchemaId) -> Option<(Option<DatabaseId>, String)> {
        self.schemas.get(&id).map(|s| (s.database, s.name.clone()))
    }

    fn schema_oid(&self, id: SchemaId) -> Option<u32> {
        self.schemas.get(&id).map(|s| s.oid)
    }

    fn schemas(&self) -> Vec<(Option<DatabaseId>, SchemaId, String)> {
        self.schemas.iter().map(|(id, s)| (s.database, *id, s.name.clone())).collect()
    }

    fn databases(&self) -> Vec<(DatabaseId, String)> {
        self.databases.iter().map(|(id, d)| (*id, d.name.clone())).collect()
    }

    fn item_by_name(&self, schema: SchemaId, name: &str) -> Option<Arc<ItemInfo>> {
        self.items.get(self.schemas.get(&schema)?.items.get(name)?).cloned()
    }

    fn type_by_name(&self, schema: SchemaId, name: &str) -> Option<Arc<ItemInfo>> {
        self.items.get(self.schemas.get(&schema)?.types.get(name)?).cloned()
    }

    fn item(&self, id: GlobalId) -> Option<Arc<ItemInfo>> {
        self.items.get(&id).cloned()
    }

    fn items_in_schema(&self, schema: SchemaId) -> Vec<Arc<ItemInfo>> {
        let Some(s) = self.schemas.get(&schema) else { return vec![] };
        s.items.values().chain(s.types.values()).filter_map(|id| self.items.get(id).cloned()).collect()
    }

    fn cluster_by_name(&self, name: &str) -> Option<Arc<ClusterInfo>> {
        self.clusters.values().find(|c| c.name == name).cloned()
    }

    fn cluster(&self, id: ClusterId) -> Option<Arc<ClusterInfo>> {
        self.clusters.get(&id).cloned()
    }

    fn clusters(&self) -> Vec<Arc<ClusterInfo>> {
        self.clusters.values().cloned().collect()
    }

    fn role(&self, name: &str) -> Option<RoleId> {
        self.roles.iter().find(|(_, r)| r.name == name).map(|(id, _)| *id)
    }

    fn role_name(&self, id: RoleId) -> Option<String> {
        self.roles.get(&id).map(|r| r.name.clone())
    }

    fn role_oid(&self, id: RoleId) -> Option<u32> {
        self.roles.get(&id).map(|r| r.oid)
    }

    fn replica_sizes(&self) -> Vec<(String, usize)> {
        let mut sizes: Vec<_> = self.sizes.0.iter().map(|(n, s)| (n.clone(), s.workers)).collect();
        sizes.sort_by_key(|(name, workers)| (*workers, name.len(), name.clone()));
        sizes
    }

    fn system_parameter(&self, name: &str) -> Option<String> {
        self.parameters.get(&name.to_ascii_lowercase()).cloned()
    }
}
