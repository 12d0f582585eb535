//! The steps of a transaction: what each checks, changes in the state, and writes.
//!
//! Invariants: what a transaction leaves refers to nothing that is not there (see `consistency`). Nothing of a session's
//! temporary items is written but the shards that go when they do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hw_repr::{ClusterId, DatabaseId, GlobalId, ReplicaId, RoleId, SchemaId};
use hw_sql::ItemKind;
use hw_sql::catalog::{ClusterInfo, ItemInfo};
use hw_sql::plan::{ItemDefinition, ObjectId};
use uuid::Uuid;

use crate::consistency::{Dropped, Numbers};
use crate::durable::{Changes, Kind};
use crate::error::CatalogError;
use crate::ops::{Op, comment_key, insert_item};
use crate::proto;
use crate::state::{CatalogState, Database, Role, Schema};

fn remove_item(state: &mut CatalogState, id: GlobalId) -> Option<Arc<ItemInfo>> {
    let info = state.items.remove(&id)?;
    if let Some(schema) = state.schemas.get_mut(&info.schema_id) {
        let schema = Arc::make_mut(schema);
        schema.items.retain(|_, i| *i != id);
        schema.types.retain(|_, i| *i != id);
    }
    state.temporary.retain(|_, i| *i != id);
    for used in &info.uses {
        if let Some(item) = state.items.get_mut(used) {
            Arc::make_mut(item).used_by.remove(&id);
        }
    }
    if let Some(cluster) = info.definition.cluster().and_then(|c| state.clusters.get_mut(&c)) {
        Arc::make_mut(cluster).bound_objects.remove(&id);
    }
    Some(info)
}

/// A transaction under way: a copy of the state with what has been done so far, and what is to be written for it.
pub(crate) struct Transaction {
    pub(crate) state: CatalogState,
    pub(crate) counters: proto::Counters,
    pub(crate) numbers: Numbers,
    pub(crate) changes: Changes,
    /// Objects whose rows in system relations may change.
    pub(crate) touched: BTreeSet<ObjectId>,
    pub(crate) secrets: Vec<(GlobalId, proto::Secret)>,
    pub(crate) forgotten_secrets: Vec<GlobalId>,
    pub(crate) created: Vec<GlobalId>,
    pub(crate) dropped: Vec<Dropped>,
}

fn exists(sqlstate: &'static str, what: impl std::fmt::Display, name: &str) -> CatalogError {
    CatalogError::user(sqlstate, format!("{what} \"{name}\" already exists"))
}

fn missing(what: ObjectId) -> CatalogError {
    CatalogError::user("42704", format!("the object {what:?} does not exist"))
}

impl Transaction {
    /// A transaction of nothing yet on top of a state.
    pub(crate) fn new(state: &CatalogState, counters: &proto::Counters, numbers: Numbers) -> Self {
        let mut state = state.clone();
        state.revision += 1;
        Transaction {
            state,
            counters: counters.clone(),
            numbers,
            changes: Changes::default(),
            touched: BTreeSet::new(),
            secrets: Vec::new(),
            forgotten_secrets: Vec::new(),
            created: Vec::new(),
            dropped: Vec::new(),
        }
    }

    fn oid(&mut self) -> u32 {
        let mut counter = u64::from(self.counters.oid);
        let oid = self.numbers.take(&mut counter);
        self.counters.oid = counter as u32;
        oid as u32
    }

    /// The session to which a temporary item belongs.
    fn session_of(&self, id: GlobalId) -> Option<u32> {
        self.state.temporary.iter().find(|(_, i)| **i == id).map(|((conn, _), _)| *conn)
    }

    /// Carries out one step.
    pub(crate) fn apply(&mut self, op: Op) -> Result<(), CatalogError> {
        match op {
            Op::CreateDatabase { name, owner } => self.create_database(name, owner),
            Op::CreateSchema { database, name, owner } => self.create_schema(database, name, owner),
            Op::CreateRole { name, options } => self.create_role(name, options),
            Op::CreateCluster { id, name, owner, size, replication_factor } => {
                if self.state.clusters.values().any(|c| c.name == name) {
                    return Err(exists("42710", "cluster", &name));
                }
                let (replicas, bound_objects) = (vec![], BTreeSet::new());
                let info = ClusterInfo { id, name, owner, size, replication_factor, replicas, bound_objects };
                self.state.clusters.insert(id, Arc::new(info));
                self.write_cluster(id);
                Ok(())
            }
            Op::CreateReplica { cluster, id, name, size, owner } => {
                let info = self.cluster(cluster)?;
                if info.replicas.iter().any(|(_, n, _)| *n == name) {
                    return Err(exists("42710", "cluster replica", &name));
                }
                info.replicas.push((id, name, size));
                self.state.replica_owners.insert(id, owner);
                self.write_replica(cluster, id);
                Ok(())
            }
            Op::RenameReplica { cluster, id, to } => {
                let info = self.cluster(cluster)?;
                if let Some(replica) = info.replicas.iter_mut().find(|(r, _, _)| *r == id) {
                    replica.1 = to;
                }
                self.write_replica(cluster, id);
                Ok(())
            }
            Op::UpdateCluster { id, size, replication_factor } => {
                let info = self.cluster(id)?;
                info.size = size;
                info.replication_factor = replication_factor;
                self.write_cluster(id);
                Ok(())
            }
            Op::CreateItem { id, schema, name, create_sql, definition, uses, owner, temporary, shard } => {
                let oid = self.oid();
                let info = ItemInfo {
                    id,
                    oid,
                    schema_id: schema,
                    name: self.state.full_name(schema, &name),
                    owner,
                    create_sql,
                    definition,
                    uses,
                    used_by: BTreeSet::new(),
                };
                self.create_item(info, temporary, shard)
            }
            Op::DropObjects(objects) => objects.into_iter().try_for_each(|o| self.drop_object(o)),
            Op::Rename { object, to } => self.rename(object, to),
            Op::Swap { a, b } => self.swap(a, b),
            Op::SetSchema { id, schema } => self.set_schema(id, schema),
            Op::SetOwner { object, role } => self.set_owner(object, role),
            Op::AlterSystem { name, value } => {
                self.alter_system(name, value);
                Ok(())
            }
            Op::Comment { object, column, text } => {
                self.comment(object, column, text);
                Ok(())
            }
            Op::ForgetShards(shards) => {
                for shard in shards {
                    self.state.dropped_shards.remove(&shard);
                    self.changes.delete(Kind::Dropped, shard);
                }
                Ok(())
            }
            Op::SetSecret { .. } => Ok(()),
        }
    }

    fn create_database(&mut self, name: String, owner: RoleId) -> Result<(), CatalogError> {
        if self.state.databases.values().any(|d| d.name == name) {
            return Err(exists("42P04", "database", &name));
        }
        let id = DatabaseId::User(self.numbers.take(&mut self.counters.database));
        let oid = self.oid();
        self.state.databases.insert(id, Arc::new(Database { name, owner, oid }));
        self.write_database(id);
        self.create_schema(id, "public".into(), owner)
    }

    fn create_schema(
        &mut self,
        database: DatabaseId,
        name: String,
        owner: RoleId,
    ) -> Result<(), CatalogError> {
        if self.state.schemas.values().any(|s| s.database == Some(database) && s.name == name) {
            return Err(exists("42P06", "schema", &name));
        }
        if name.starts_with("mz_") || name.starts_with("pg_") {
            return Err(CatalogError::user("42939", format!("unacceptable schema name '{name}'")));
        }
        if !self.state.databases.contains_key(&database) {
            return Err(missing(ObjectId::Database(database)));
        }
        let id = SchemaId::User(self.numbers.take(&mut self.counters.schema));
        let oid = self.oid();
        let (items, types) = (BTreeMap::new(), BTreeMap::new());
        let schema = Schema { database: Some(database), name, owner, oid, items, types };
        self.state.schemas.insert(id, Arc::new(schema));
        self.write_schema(id);
        Ok(())
    }

    fn create_role(&mut self, name: String, options: BTreeMap<String, String>) -> Result<(), CatalogError> {
        if self.state.roles.values().any(|r| r.name == name) {
            return Err(exists("42710", "role", &name));
        }
        if name.starts_with("mz_") || name.starts_with("pg_") || name == "public" {
            return Err(CatalogError::user("42939", format!("role name \"{name}\" is reserved")));
        }
        let id = RoleId::User(self.numbers.take(&mut self.counters.role));
        let oid = self.oid();
        let durable = proto::Role { name: name.clone(), options: options.clone().into_iter().collect(), oid };
        self.changes.put(Kind::Role, id, &durable);
        self.state.roles.insert(id, Arc::new(Role { name, options, oid }));
        self.touched.insert(ObjectId::Role(id));
        Ok(())
    }

    fn cluster(&mut self, id: ClusterId) -> Result<&mut ClusterInfo, CatalogError> {
        let cluster = self.state.clusters.get_mut(&id);
        cluster.map(Arc::make_mut).ok_or_else(|| missing(ObjectId::Cluster(id)))
    }

    fn create_item(
        &mut self,
        info: ItemInfo,
        temporary: Option<u32>,
        shard: Option<Uuid>,
    ) -> Result<(), CatalogError> {
        let (id, name) = (info.id, info.name.item.clone());
        let taken = match (temporary, self.state.schemas.get(&info.schema_id)) {
            (Some(conn), _) => self.state.temporary.contains_key(&(conn, name.clone())),
            (None, Some(schema)) if info.kind() == ItemKind::Type => schema.types.contains_key(&name),
            (None, Some(schema)) => schema.items.contains_key(&name),
            (None, None) => return Err(missing(ObjectId::Schema(info.schema_id))),
        };
        if taken {
            let (sqlstate, what) = match self.existing_kind(&info, &name) {
                ItemKind::Connection | ItemKind::Secret | ItemKind::Type => ("42710", "catalog item"),
                _ => ("42P07", "relation"),
            };
            return Err(exists(sqlstate, what, &name));
        }
        if let Some(conn) = temporary {
            self.state.temporary.insert((conn, name), id);
            // Should the server die before the session ends, the next start finds what is to be cleared away.
            if let Some(shard) = shard {
                self.changes.put(Kind::Dropped, shard, &proto::DroppedShard {});
            }
        }
        self.created.push(id);
        self.state.shards.extend(shard.map(|s| (id, s)));
        self.touched.insert(ObjectId::Item(id));
        self.touched.extend(info.uses.iter().map(|u| ObjectId::Item(*u)));
        insert_item(&mut self.state, info);
        self.write_item(id);
        Ok(())
    }

    /// The kind of the item that has the name already.
    fn existing_kind(&self, info: &ItemInfo, name: &str) -> ItemKind {
        let schema = self.state.schemas.get(&info.schema_id);
        let found = schema.and_then(|s| s.items.get(name)).and_then(|id| self.state.items.get(id));
        found.map_or(info.kind(), |i| i.kind())
    }

    fn drop_object(&mut self, object: ObjectId) -> Result<(), CatalogError> {
        self.touched.insert(object);
        let comments: Vec<_> = self.state.comments.keys().filter(|(o, _)| *o == object).copied().collect();
        for key in comments {
            self.state.comments.remove(&key);
            self.changes.delete(Kind::Comment, comment_key(&key));
        }
        match object {
            ObjectId::Item(id) => {
                let Some(info) = remove_item(&mut self.state, id) else { return Ok(()) };
                self.touched.extend(info.uses.iter().map(|u| ObjectId::Item(*u)));
                self.dropped.push(Dropped::Item(Arc::clone(&info)));
                self.changes.delete(Kind::Item, id);
                if info.kind() == ItemKind::Secret {
                    self.changes.delete(Kind::Secret, id);
                    self.forgotten_secrets.push(id);
                }
                if let Some(shard) = self.state.shards.remove(&id) {
                    self.changes.put(Kind::Dropped, shard, &proto::DroppedShard {});
                    self.state.dropped_shards.insert(shard);
                }
            }
            ObjectId::Database(id) => {
                let found = self.state.databases.remove(&id);
                self.dropped.extend(found.map(|d| Dropped::Database(id, d.name.clone())));
                self.changes.delete(Kind::Database, id);
            }
            ObjectId::Schema(id) => {
                let found = self.state.schemas.remove(&id);
                self.dropped.extend(found.map(|s| Dropped::Schema(id, s.name.clone())));
                self.changes.delete(Kind::Schema, id);
            }
            ObjectId::Cluster(id) => {
                let Some(info) = self.state.clusters.get(&id).cloned() else { return Ok(()) };
                for (replica, _, _) in &info.replicas {
                    self.drop_object(ObjectId::Replica(id, *replica))?;
                }
                self.state.clusters.remove(&id);
                self.dropped.push(Dropped::Cluster(id, info.name.clone()));
                self.changes.delete(Kind::Cluster, id);
            }
            ObjectId::Replica(cluster, id) => {
                if let Some(info) = self.state.clusters.get_mut(&cluster) {
                    Arc::make_mut(info).replicas.retain(|(r, _, _)| *r != id);
                }
                self.state.replica_owners.remove(&id);
                self.changes.delete(Kind::Replica, id);
            }
            ObjectId::Role(id) => {
                if self.owns_something(id) {
                    return Err(CatalogError::User {
                        sqlstate: "2BP01",
                        message: format!(
                            "{} cannot be dropped because some objects depend on it",
                            self.state.describe(object)
                        ),
                        detail: Some("It owns objects.".into()),
                        hint: None,
                    });
                }
                self.state.roles.remove(&id);
                self.changes.delete(Kind::Role, id);
            }
        }
        Ok(())
    }

    fn owns_something(&self, role: RoleId) -> bool {
        let s = &self.state;
        s.items.values().any(|i| i.owner == role)
            || s.databases.values().any(|d| d.owner == role)
            || s.schemas.values().any(|x| x.owner == role)
            || s.clusters.values().any(|c| c.owner == role)
    }

    fn rename(&mut self, object: ObjectId, to: String) -> Result<(), CatalogError> {
        self.touched.insert(object);
        match object {
            ObjectId::Item(id) => {
                let info = self.state.items.get(&id).cloned().ok_or_else(|| missing(object))?;
                let schema = self.state.schemas.get(&info.schema_id).ok_or_else(|| missing(object))?;
                let session = self.session_of(id);
                let taken = match session {
                    Some(conn) => self.state.temporary.contains_key(&(conn, to.clone())),
                    None => schema.items.contains_key(&to) || schema.types.contains_key(&to),
                };
                if taken {
                    return Err(exists("42P07", "relation", &to));
                }
                let mut info = (*info).clone();
                remove_item(&mut self.state, id);
                info.name.item = to;
                self.reinsert(info, session);
                self.write_item(id);
            }
            ObjectId::Database(id) => {
                if self.state.databases.values().any(|d| d.name == to) {
                    return Err(exists("42P04", "database", &to));
                }
                let database = self.state.databases.get_mut(&id).ok_or_else(|| missing(object))?;
                Arc::make_mut(database).name = to;
                self.write_database(id);
                self.refresh_names();
            }
            ObjectId::Schema(id) => {
                let database = self.state.schemas.get(&id).and_then(|s| s.database);
                if self.state.schemas.values().any(|s| s.database == database && s.name == to) {
                    return Err(exists("42P06", "schema", &to));
                }
                let schema = self.state.schemas.get_mut(&id).ok_or_else(|| missing(object))?;
                Arc::make_mut(schema).name = to;
                self.write_schema(id);
                self.refresh_names();
            }
            ObjectId::Cluster(id) => {
                if self.state.clusters.values().any(|c| c.name == to) {
                    return Err(exists("42710", "cluster", &to));
                }
                self.cluster(id)?.name = to;
                self.write_cluster(id);
            }
            ObjectId::Replica(cluster, id) => return self.apply(Op::RenameReplica { cluster, id, to }),
            ObjectId::Role(_) => return Err(CatalogError::user("0A000", "renaming roles is not supported")),
        }
        Ok(())
    }

    /// Puts back an item that was removed to be changed; what uses it still does.
    fn reinsert(&mut self, info: ItemInfo, session: Option<u32>) {
        let (id, used_by) = (info.id, info.used_by.clone());
        if let Some(conn) = session {
            self.state.temporary.insert((conn, info.name.item.clone()), id);
        }
        self.touched.extend(used_by.iter().map(|u| ObjectId::Item(*u)));
        insert_item(&mut self.state, info);
        if let Some(item) = self.state.items.get_mut(&id) {
            Arc::make_mut(item).used_by = used_by;
        }
    }

    /// Full names after a database or schema was renamed.
    fn refresh_names(&mut self) {
        let ids: Vec<GlobalId> = self.state.items.keys().copied().filter(|id| !id.is_system()).collect();
        for id in ids {
            let info = &self.state.items[&id];
            let name = self.state.full_name(info.schema_id, &info.name.item);
            if name != info.name {
                self.touched.insert(ObjectId::Item(id));
                if let Some(info) = self.state.items.get_mut(&id) {
                    Arc::make_mut(info).name = name;
                }
            }
        }
    }

    fn swap(&mut self, a: ObjectId, b: ObjectId) -> Result<(), CatalogError> {
        let name_of = |s: &CatalogState, o: ObjectId| match o {
            ObjectId::Item(id) => s.items.get(&id).map(|x| x.name.item.clone()),
            ObjectId::Schema(id) => s.schemas.get(&id).map(|x| x.name.clone()),
            ObjectId::Cluster(id) => s.clusters.get(&id).map(|x| x.name.clone()),
            _ => None,
        };
        let (Some(name_a), Some(name_b)) = (name_of(&self.state, a), name_of(&self.state, b)) else {
            return Err(CatalogError::user("0A000", "only items, schemas and clusters can be swapped"));
        };
        if a == b {
            return Ok(());
        }
        self.rename(a, format!("hw_swap_{}", Uuid::new_v4().simple()))?;
        self.rename(b, name_a)?;
        self.rename(a, name_b)
    }

    /// Moves an item, and its indexes with it.
    fn set_schema(&mut self, id: GlobalId, schema: SchemaId) -> Result<(), CatalogError> {
        let object = ObjectId::Item(id);
        let info = self.state.items.get(&id).cloned().ok_or_else(|| missing(object))?;
        if self.session_of(id).is_some() {
            let message = "cannot move objects into or out of temporary schemas";
            return Err(CatalogError::user("0A000", message));
        }
        if info.schema_id == schema {
            return Ok(());
        }
        let target = self.state.schemas.get(&schema).ok_or_else(|| missing(ObjectId::Schema(schema)))?;
        let is_type = info.kind() == ItemKind::Type;
        if if is_type { &target.types } else { &target.items }.contains_key(&info.name.item) {
            return Err(exists(
                if is_type { "42710" } else { "42P07" },
                if is_type { "type" } else { "relation" },
                &info.name.item,
            ));
        }
        let mut moved = (*info).clone();
        remove_item(&mut self.state, id);
        moved.schema_id = schema;
        moved.name = self.state.full_name(schema, &info.name.item);
        self.reinsert(moved, None);
        self.touched.insert(object);
        self.write_item(id);
        let is_index_on =
            |user: &ItemInfo| matches!(&user.definition, ItemDefinition::Index(i) if i.on == id);
        let users = info.used_by.iter().filter(|u| self.state.items.get(u).is_some_and(|i| is_index_on(i)));
        let indexes: Vec<GlobalId> = users.copied().collect();
        indexes.into_iter().try_for_each(|index| self.set_schema(index, schema))
    }

    fn set_owner(&mut self, object: ObjectId, role: RoleId) -> Result<(), CatalogError> {
        self.touched.insert(object);
        match object {
            ObjectId::Item(id) => {
                let item = self.state.items.get_mut(&id).ok_or_else(|| missing(object))?;
                Arc::make_mut(item).owner = role;
                self.write_item(id);
            }
            ObjectId::Database(id) => {
                let database = self.state.databases.get_mut(&id).ok_or_else(|| missing(object))?;
                Arc::make_mut(database).owner = role;
                self.write_database(id);
            }
            ObjectId::Schema(id) => {
                let schema = self.state.schemas.get_mut(&id).ok_or_else(|| missing(object))?;
                Arc::make_mut(schema).owner = role;
                self.write_schema(id);
            }
            ObjectId::Cluster(id) => {
                self.cluster(id)?.owner = role;
                self.write_cluster(id);
            }
            ObjectId::Replica(cluster, id) => {
                self.state.replica_owners.insert(id, role);
                self.write_replica(cluster, id);
            }
            ObjectId::Role(_) => return Err(CatalogError::user("42809", "roles have no owner")),
        }
        Ok(())
    }

    fn alter_system(&mut self, name: Option<String>, value: Option<String>) {
        let Some(name) = name else {
            for name in std::mem::take(&mut self.state.parameters).into_keys() {
                self.changes.delete(Kind::Parameter, name);
            }
            return;
        };
        let name = name.to_ascii_lowercase();
        match value {
            Some(value) => {
                self.changes.put(Kind::Parameter, &name, &proto::Parameter { value: value.clone() });
                self.state.parameters.insert(name, value);
            }
            None => {
                self.changes.delete(Kind::Parameter, &name);
                self.state.parameters.remove(&name);
            }
        }
    }

    fn comment(&mut self, object: ObjectId, column: Option<usize>, text: Option<String>) {
        self.touched.insert(object);
        let key = (object, column);
        let temporary = matches!(object, ObjectId::Item(id) if self.session_of(id).is_some());
        match text {
            Some(text) => {
                if !temporary {
                    let message = proto::Comment { text: text.clone() };
                    self.changes.put(Kind::Comment, comment_key(&key), &message);
                }
                self.state.comments.insert(key, text);
            }
            None => {
                self.changes.delete(Kind::Comment, comment_key(&key));
                self.state.comments.remove(&key);
            }
        }
    }

    fn write_database(&mut self, id: DatabaseId) {
        self.touched.insert(ObjectId::Database(id));
        if let Some(d) = self.state.databases.get(&id) {
            let message = proto::Database { name: d.name.clone(), owner: d.owner.to_string(), oid: d.oid };
            self.changes.put(Kind::Database, id, &message);
        }
    }

    fn write_schema(&mut self, id: SchemaId) {
        self.touched.insert(ObjectId::Schema(id));
        if let Some(s) = self.state.schemas.get(&id) {
            let database = s.database.map(|d| d.to_string()).unwrap_or_default();
            let message =
                proto::Schema { database, name: s.name.clone(), owner: s.owner.to_string(), oid: s.oid };
            self.changes.put(Kind::Schema, id, &message);
        }
    }

    fn write_cluster(&mut self, id: ClusterId) {
        self.touched.insert(ObjectId::Cluster(id));
        if let Some(c) = self.state.clusters.get(&id) {
            let message = proto::Cluster {
                name: c.name.clone(),
                owner: c.owner.to_string(),
                size: c.size.clone(),
                replication_factor: c.replication_factor,
            };
            self.changes.put(Kind::Cluster, id, &message);
        }
    }

    fn write_replica(&mut self, cluster: ClusterId, id: ReplicaId) {
        self.touched.insert(ObjectId::Replica(cluster, id));
        let found = self.state.clusters.get(&cluster);
        if let Some((_, name, size)) = found.and_then(|c| c.replicas.iter().find(|(r, _, _)| *r == id)) {
            let owner = self.state.replica_owners.get(&id).map(|o| o.to_string()).unwrap_or_default();
            let message = proto::Replica {
                cluster: cluster.to_string(),
                name: name.clone(),
                size: size.clone(),
                owner,
            };
            self.changes.put(Kind::Replica, id, &message);
        }
    }

    fn write_item(&mut self, id: GlobalId) {
        if self.session_of(id).is_some() {
            return;
        }
        if let Some(i) = self.state.items.get(&id) {
            let message = proto::Item {
                schema: i.schema_id.to_string(),
                name: i.name.item.clone(),
                create_sql: i.create_sql.clone(),
                owner: i.owner.to_string(),
                oid: i.oid,
                shard: self.state.shards.get(&id).map(Uuid::to_string),
            };
            self.changes.put(Kind::Item, id, &message);
        }
    }
}
