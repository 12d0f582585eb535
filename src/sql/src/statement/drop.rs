//! DROP: what goes, and what stands in the way.

use std::collections::BTreeSet;
use std::sync::Arc;

use hw_repr::{ClusterId, DatabaseId, GlobalId, SchemaId};

use super::{cluster::user_cluster, resolve};
use crate::catalog::{ItemInfo, ItemKind};
use crate::context::StatementContext;
use crate::error::PlanError;
use crate::parser::ast::{Name, ObjectKind};
use crate::plan::{DropPlan, ItemDefinition, ObjectId, Plan, SourceKind};

/// The command tag of DROP.
fn tag(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Item(ItemKind::Table) => "DROP TABLE",
        ObjectKind::Item(ItemKind::Source) => "DROP SOURCE",
        ObjectKind::Item(ItemKind::Sink) => "DROP SINK",
        ObjectKind::Item(ItemKind::View) => "DROP VIEW",
        ObjectKind::Item(ItemKind::MaterializedView) => "DROP MATERIALIZED VIEW",
        ObjectKind::Item(ItemKind::Index) => "DROP INDEX",
        ObjectKind::Item(ItemKind::Connection) => "DROP CONNECTION",
        ObjectKind::Item(ItemKind::Secret) => "DROP SECRET",
        ObjectKind::Item(ItemKind::Type) => "DROP TYPE",
        ObjectKind::Database => "DROP DATABASE",
        ObjectKind::Schema => "DROP SCHEMA",
        ObjectKind::Cluster => "DROP CLUSTER",
        ObjectKind::ClusterReplica => "DROP CLUSTER REPLICA",
        ObjectKind::Role => "DROP ROLE",
        ObjectKind::Column | ObjectKind::Function => "DROP",
    }
}

/// DROP
pub(crate) fn drop(
    scx: &StatementContext<'_>,
    kind: ObjectKind,
    if_exists: bool,
    names: &[Name],
    cascade: bool,
) -> Result<Plan, PlanError> {
    let mut gone = Gone { scx, items: BTreeSet::new(), others: vec![], named: BTreeSet::new() };
    let mut notices = vec![];
    for name in names {
        let found = match kind {
            ObjectKind::Item(kind) => gone.item_named(name, kind)?,
            ObjectKind::Database => gone.database_named(name, cascade)?,
            ObjectKind::Schema => gone.schema_named(name, cascade)?,
            ObjectKind::Cluster => gone.cluster_named(name, cascade)?,
            ObjectKind::ClusterReplica => gone.replica_named(name)?,
            ObjectKind::Role => gone.role_named(name)?,
            ObjectKind::Column | ObjectKind::Function => Err(PlanError::unsupported(tag(kind)))?,
        };
        if found {
            continue;
        }
        if !if_exists {
            return Err(unknown(name, kind));
        }
        notices.push(format!("{kind} \"{name}\" does not exist, skipping"));
    }
    gone.close(cascade)?;
    Ok(Plan::Drop(DropPlan { objects: gone.objects(), tag: tag(kind), notices }))
}

fn unknown(name: &Name, kind: ObjectKind) -> PlanError {
    let e = match kind {
        ObjectKind::Item(kind) => return resolve::unknown_item(name, kind),
        ObjectKind::Database => crate::names::unknown_database(name.last()),
        ObjectKind::Schema => PlanError::new("3F000", format!("schema \"{name}\" does not exist")),
        _ => PlanError::new("42704", format!("{kind} \"{name}\" does not exist")),
    };
    e.at(name.position())
}

/// What goes.
struct Gone<'a, 'b> {
    scx: &'a StatementContext<'b>,
    items: BTreeSet<GlobalId>,
    others: Vec<ObjectId>,
    /// What the statement names: the roots.
    named: BTreeSet<GlobalId>,
}

impl Gone<'_, '_> {
    fn item_named(&mut self, name: &Name, kind: ItemKind) -> Result<bool, PlanError> {
        let Some(item) = resolve::item_of_kind(self.scx, name, kind)? else { return Ok(false) };
        if item.id.is_system() {
            let text = format!("system {kind} \"{}\" cannot be changed", item.name.item);
            return Err(PlanError::new("42501", text).at(name.position()));
        }
        if let ItemDefinition::Source(s) = &item.definition
            && matches!(s.kind, SourceKind::Progress)
            && !item.used_by.iter().all(|id| self.items.contains(id))
        {
            return Err(PlanError::new(
                "2BP01",
                format!("\"{}\" is a progress subsource and goes with its source", item.name.item),
            )
            .at(name.position()));
        }
        self.add(&item);
        Ok(true)
    }

    fn add(&mut self, item: &Arc<ItemInfo>) {
        self.items.insert(item.id);
        self.named.insert(item.id);
    }

    fn database_named(&mut self, name: &Name, cascade: bool) -> Result<bool, PlanError> {
        let Some(id) = self.scx.catalog.database(name.last()).filter(|_| name.0.len() == 1) else {
            return Ok(false);
        };
        if matches!(id, DatabaseId::System(_)) {
            return Err(PlanError::new("42501", format!("system database \"{name}\" cannot be changed")));
        }
        let schemas: Vec<SchemaId> = self
            .scx
            .catalog
            .schemas()
            .into_iter()
            .filter(|(d, _, _)| *d == Some(id))
            .map(|(_, s, _)| s)
            .collect();
        for schema in schemas {
            self.whole_schema(schema, cascade, &format!("database \"{name}\""))?;
        }
        self.others.push(ObjectId::Database(id));
        Ok(true)
    }

    fn schema_named(&mut self, name: &Name, cascade: bool) -> Result<bool, PlanError> {
        let Ok(id) = self.scx.resolve_schema(&name.parts()) else { return Ok(false) };
        if matches!(id, SchemaId::System(_)) {
            return Err(PlanError::new("42501", format!("system schema \"{name}\" cannot be changed"))
                .at(name.position()));
        }
        self.whole_schema(id, cascade, &format!("schema \"{name}\""))?;
        Ok(true)
    }

    fn whole_schema(&mut self, id: SchemaId, cascade: bool, what: &str) -> Result<(), PlanError> {
        let items = self.scx.catalog.items_in_schema(id);
        if let Some(item) = items.first().filter(|_| !cascade) {
            return Err(PlanError::new(
                "2BP01",
                format!("cannot drop {what} because other objects depend on it"),
            )
            .with_detail(format!("{} {} is in it", item.kind(), item.name))
            .with_hint("Use DROP ... CASCADE to drop the dependent objects too."));
        }
        for item in &items {
            self.add(item);
        }
        self.others.push(ObjectId::Schema(id));
        Ok(())
    }

    fn cluster_named(&mut self, name: &Name, cascade: bool) -> Result<bool, PlanError> {
        if name.0.len() != 1 || self.scx.catalog.cluster_by_name(name.last()).is_none() {
            return Ok(false);
        }
        let cluster = user_cluster(self.scx, &name.0[0])?;
        let bound: Vec<Arc<ItemInfo>> =
            cluster.bound_objects.iter().filter_map(|id| self.scx.catalog.item(*id)).collect();
        if let Some(item) = bound.first().filter(|_| !cascade) {
            return Err(PlanError::new(
                "2BP01",
                format!("cannot drop cluster \"{name}\" because other objects depend on it"),
            )
            .with_detail(format!("{} {} runs on it", item.kind(), item.name))
            .with_hint("Use DROP ... CASCADE to drop the dependent objects too."));
        }
        for item in &bound {
            self.add(item);
        }
        self.others.push(ObjectId::Cluster(cluster.id));
        Ok(true)
    }

    fn replica_named(&mut self, name: &Name) -> Result<bool, PlanError> {
        if name.0.len() != 2 {
            return Err(PlanError::syntax("a replica is named as cluster.replica").at(name.position()));
        }
        if self.scx.catalog.cluster_by_name(&name.0[0].value).is_none() {
            return Ok(false);
        }
        let cluster = user_cluster(self.scx, &name.0[0])?;
        let Some((replica, _, _)) = cluster.replicas.iter().find(|(_, n, _)| n == name.last()) else {
            return Ok(false);
        };
        if cluster.size.is_some() {
            return Err(PlanError::new(
                "42809",
                format!("cannot drop replica of managed cluster \"{}\"", cluster.name),
            )
            .with_hint("Use ALTER CLUSTER … SET (REPLICATION FACTOR …)."));
        }
        self.others.push(ObjectId::Replica(cluster.id, *replica));
        Ok(true)
    }

    fn role_named(&mut self, name: &Name) -> Result<bool, PlanError> {
        let Some(id) = self.scx.catalog.role(name.last()).filter(|_| name.0.len() == 1) else {
            return Ok(false);
        };
        if matches!(id, hw_repr::RoleId::System(_)) {
            return Err(PlanError::new("42501", format!("system role \"{name}\" cannot be changed"))
                .at(name.position()));
        }
        if name.last() == self.scx.session.user {
            return Err(PlanError::new("55006", "current role cannot be dropped"));
        }
        let owned =
            self.scx.catalog.schemas().into_iter().flat_map(|(_, s, _)| self.scx.catalog.items_in_schema(s));
        let clusters = self.scx.catalog.clusters();
        let item = owned.filter(|i| i.owner == id).map(|i| format!("{} {}", i.kind(), i.name)).next();
        let cluster = clusters.iter().find(|c| c.owner == id).map(|c| format!("cluster {}", c.name));
        if let Some(owned) = item.or(cluster) {
            return Err(PlanError::new(
                "2BP01",
                format!("role \"{name}\" cannot be dropped because some objects depend on it"),
            )
            .with_detail(format!("owner of {owned}")));
        }
        self.others.push(ObjectId::Role(id));
        Ok(true)
    }

    /// Adds what depends on what goes, or refuses.
    fn close(&mut self, cascade: bool) -> Result<(), PlanError> {
        let mut queue: Vec<GlobalId> = self.items.iter().copied().collect();
        while let Some(id) = queue.pop() {
            let Some(item) = self.scx.catalog.item(id) else { continue };
            if let ItemDefinition::Source(s) = &item.definition
                && let SourceKind::MySql { progress, .. } | SourceKind::LoadGenerator { progress, .. } =
                    &s.kind
                && self.items.insert(*progress)
            {
                queue.push(*progress);
            }
            for user in &item.used_by {
                if self.items.contains(user) {
                    continue;
                }
                let Some(dependent) = self.scx.catalog.item(*user) else { continue };
                if !cascade && !goes_along(&item, &dependent) {
                    return Err(depends(&item, &dependent));
                }
                self.items.insert(*user);
                queue.push(*user);
            }
        }
        Ok(())
    }

    fn objects(self) -> Vec<ObjectId> {
        self.items.into_iter().map(ObjectId::Item).chain(self.others).collect()
    }
}

/// Whether an object goes with another without CASCADE: indexes and subsources do.
fn goes_along(item: &ItemInfo, dependent: &ItemInfo) -> bool {
    match &dependent.definition {
        ItemDefinition::Index(i) => i.on == item.id,
        ItemDefinition::Source(s) => {
            matches!(&s.kind, SourceKind::Subsource { source, .. } if *source == item.id)
        }
        _ => false,
    }
}

fn depends(item: &ItemInfo, dependent: &ItemInfo) -> PlanError {
    let (kind, name) = (item.kind(), &item.name.item);
    PlanError::new("2BP01", format!("cannot drop {kind} \"{name}\" because other objects depend on it"))
        .with_detail(format!("{} \"{}\" depends on {kind} \"{name}\"", dependent.kind(), dependent.name.item))
        .with_hint("Use DROP ... CASCADE to drop the dependent objects too.")
}

/// The object of a kind and name.
pub(crate) fn object(
    scx: &StatementContext<'_>,
    kind: ObjectKind,
    name: &Name,
) -> Result<Option<ObjectId>, PlanError> {
    let single = name.0.len() == 1;
    let changeable = |ok: bool, id: ObjectId| {
        if ok {
            return Ok(Some(id));
        }
        Err(PlanError::new("42501", format!("system {kind} \"{name}\" cannot be changed"))
            .at(name.position()))
    };
    match kind {
        ObjectKind::Item(kind) => match resolve::item_of_kind(scx, name, kind)? {
            Some(i) => changeable(!i.id.is_system(), ObjectId::Item(i.id)),
            None => Ok(None),
        },
        ObjectKind::Database => match scx.catalog.database(name.last()).filter(|_| single) {
            Some(id) => changeable(matches!(id, DatabaseId::User(_)), ObjectId::Database(id)),
            None => Ok(None),
        },
        ObjectKind::Schema => match scx.resolve_schema(&name.parts()) {
            Ok(id) => changeable(matches!(id, SchemaId::User(_)), ObjectId::Schema(id)),
            Err(_) => Ok(None),
        },
        ObjectKind::Cluster => match scx.catalog.cluster_by_name(name.last()).filter(|_| single) {
            Some(c) => changeable(matches!(c.id, ClusterId::User(_)), ObjectId::Cluster(c.id)),
            None => Ok(None),
        },
        ObjectKind::ClusterReplica => {
            let cluster = name.0.first().and_then(|c| scx.catalog.cluster_by_name(&c.value));
            let replica = cluster.as_ref().and_then(|c| c.replicas.iter().find(|(_, n, _)| n == name.last()));
            match (&cluster, replica) {
                (Some(c), Some((r, _, _))) => {
                    changeable(matches!(c.id, ClusterId::User(_)), ObjectId::Replica(c.id, *r))
                }
                _ => Ok(None),
            }
        }
        ObjectKind::Role => match scx.catalog.role(name.last()).filter(|_| single) {
            Some(id) => changeable(matches!(id, hw_repr::RoleId::User(_)), ObjectId::Role(id)),
            None => Ok(None),
        },
        ObjectKind::Column | ObjectKind::Function => Err(PlanError::unsupported(kind)),
    }
}

/// The object of a kind and name, which has to exist.
pub(crate) fn existing_object(
    scx: &StatementContext<'_>,
    kind: ObjectKind,
    name: &Name,
) -> Result<ObjectId, PlanError> {
    object(scx, kind, name)?.ok_or_else(|| unknown(name, kind))
}
