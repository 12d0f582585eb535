//! Transactions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use hw_base::clock::NowFn;
use hw_expr::HirRelationExpr;
use hw_persist::KvStore;
use hw_repr::{ClusterId, DatabaseId, Diff, GlobalId, RelationDesc, ReplicaId, RoleId, Row, SchemaId};
use hw_sql::catalog::{ClusterInfo, ItemInfo};
use hw_sql::plan::{ItemDefinition, ObjectId, SecretValue};
use hw_sql::{ItemKind, PlanError};
use uuid::Uuid;

use crate::builtin;
use crate::consistency::Numbers;
use crate::durable::{Changes, DurableCatalog, Kind};
use crate::error::CatalogError;
use crate::pack::pack_object;
use crate::proto;
use crate::secrets::SecretBox;
use crate::sizes::ReplicaSizes;
use crate::state::{CatalogState, Database, Role, Schema, is_part_of};
use crate::transaction::Transaction;

/// Plans stored SQL; `hw-sql`, but for tests.
pub trait ItemPlanner: Send + Sync {
    /// What an item's stored SQL says.
    fn plan_item(
        &self,
        catalog: &dyn hw_sql::Catalog,
        create_sql: &str,
        id: GlobalId,
    ) -> Result<(ItemDefinition, BTreeSet<GlobalId>), PlanError>;

    /// What a built-in view's query says.
    fn plan_builtin_view(
        &self,
        catalog: &dyn hw_sql::Catalog,
        sql: &str,
    ) -> Result<(HirRelationExpr, RelationDesc, BTreeSet<GlobalId>), PlanError>;
}

/// What a catalog needs.
pub struct CatalogConfig {
    /// Where objects are kept.
    pub kv: KvStore,
    /// Where the secret key is.
    pub data_dir: PathBuf,
    /// Cluster replica sizes.
    pub sizes: ReplicaSizes,
    /// The size of the clusters that a new environment has.
    pub default_cluster_size: String,
    /// What `mz_egress_ips` shows, in CIDR notation.
    pub egress_ips: Vec<String>,
    /// Plans stored SQL.
    pub planner: Arc<dyn ItemPlanner>,
    /// The clock.
    pub now: NowFn,
}

/// A change to a row of a system relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltinUpdate {
    /// The relation.
    pub id: GlobalId,
    /// The row.
    pub row: Row,
    /// Added or removed.
    pub diff: Diff,
}

/// One step of a transaction.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub enum Op {
    CreateDatabase {
        name: String,
        owner: RoleId,
    },
    CreateSchema {
        database: DatabaseId,
        name: String,
        owner: RoleId,
    },
    CreateRole {
        name: String,
        options: BTreeMap<String, String>,
    },
    CreateCluster {
        id: ClusterId,
        name: String,
        owner: RoleId,
        size: Option<String>,
        replication_factor: u32,
    },
    CreateReplica {
        cluster: ClusterId,
        id: ReplicaId,
        name: String,
        size: String,
        owner: RoleId,
    },
    RenameReplica {
        cluster: ClusterId,
        id: ReplicaId,
        to: String,
    },
    UpdateCluster {
        id: ClusterId,
        size: Option<String>,
        replication_factor: u32,
    },
    CreateItem {
        id: GlobalId,
        schema: SchemaId,
        name: String,
        create_sql: String,
        definition: ItemDefinition,
        uses: BTreeSet<GlobalId>,
        owner: RoleId,
        /// The session with which it goes; such an item is not durable.
        temporary: Option<u32>,
        shard: Option<Uuid>,
    },
    DropObjects(Vec<ObjectId>),
    Rename {
        object: ObjectId,
        to: String,
    },
    Swap {
        a: ObjectId,
        b: ObjectId,
    },
    SetSchema {
        id: GlobalId,
        schema: SchemaId,
    },
    SetOwner {
        object: ObjectId,
        role: RoleId,
    },
    AlterSystem {
        name: Option<String>,
        value: Option<String>,
    },
    Comment {
        object: ObjectId,
        column: Option<usize>,
        text: Option<String>,
    },
    SetSecret {
        id: GlobalId,
        value: SecretValue,
    },
    ForgetShards(Vec<Uuid>),
}

/// A transaction of several statements. Nobody but its session sees what it has done, and nothing of it is durable, until
/// [`Catalog::commit`]; dropping it takes everything back.
#[derive(Debug)]
pub struct OpenTransaction {
    ops: Vec<Op>,
    numbers: Vec<u64>,
    /// The catalog when the last steps were added.
    base: Arc<CatalogState>,
    /// The same with all steps.
    state: Arc<CatalogState>,
}

impl OpenTransaction {
    /// The catalog as the transaction sees it.
    pub fn state(&self) -> Arc<CatalogState> {
        Arc::clone(&self.state)
    }

    /// Its steps.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// The value that it gives a secret, if it gives it one.
    pub fn secret(&self, id: GlobalId) -> Option<&[u8]> {
        self.ops.iter().rev().find_map(|op| match op {
            Op::SetSecret { id: of, value } if *of == id => Some(value.0.as_slice()),
            _ => None,
        })
    }
}

/// The catalog.
#[derive(Debug)]
pub struct Catalog {
    durable: DurableCatalog,
    state: Arc<CatalogState>,
    counters: proto::Counters,
    secrets: BTreeMap<GlobalId, proto::Secret>,
    secret_box: SecretBox,
}

impl Catalog {
    /// Opens the catalog; a new environment gets its first objects.
    ///
    /// # Errors
    /// When the store fails, is corrupt or newer, or the secret key is unusable. An item whose SQL no longer plans is kept and logged.
    pub async fn open(config: CatalogConfig) -> Result<Catalog, CatalogError> {
        let secret_box = SecretBox::open(&config.data_dir)?;
        let (durable, is_new) = DurableCatalog::open(config.kv.clone()).await?;
        let counters = durable.counters().await?.unwrap_or_else(builtin::first_counters);
        let mut catalog =
            Catalog { durable, state: Arc::default(), counters, secrets: BTreeMap::new(), secret_box };
        catalog.load(&config).await?;
        if is_new {
            catalog.transact(builtin::first_objects(&config)).await?;
        }
        Ok(catalog)
    }

    /// The catalog as it is now.
    pub fn state(&self) -> Arc<CatalogState> {
        Arc::clone(&self.state)
    }

    /// The temporary items of a session.
    pub fn temporary_items(&self, conn_id: u32) -> Vec<GlobalId> {
        self.state.temporary_items(conn_id)
    }

    /// The environment's epoch.
    pub fn epoch(&self) -> u64 {
        self.durable.epoch()
    }

    /// A new id for an item. Written with the next transaction; if there is none, it is given out again after a restart.
    pub fn allocate_user_id(&mut self) -> GlobalId {
        self.counters.item += 1;
        GlobalId::User(self.counters.item)
    }

    /// A new id for a cluster.
    pub fn allocate_cluster_id(&mut self) -> ClusterId {
        self.counters.cluster += 1;
        ClusterId::User(self.counters.cluster)
    }

    /// A new id for a replica.
    pub fn allocate_replica_id(&mut self, system: bool) -> ReplicaId {
        self.counters.replica += 1;
        if system { ReplicaId::System(self.counters.replica) } else { ReplicaId::User(self.counters.replica) }
    }

    /// A secret's value.
    pub fn secret(&self, id: GlobalId) -> Result<Vec<u8>, CatalogError> {
        let sealed =
            self.secrets.get(&id).ok_or_else(|| CatalogError::user("42704", "the secret does not exist"))?;
        self.secret_box.unseal(&id.to_string(), sealed)
    }

    /// Carries out all steps or none, and returns what changes in system relations.
    ///
    /// # Errors
    /// Name collisions, unknown objects; nothing has changed then. `Fenced` when another server has taken over.
    pub async fn transact(&mut self, ops: Vec<Op>) -> Result<Vec<BuiltinUpdate>, CatalogError> {
        self.carry_out(ops, Numbers::default()).await
    }

    /// Begins a transaction of several statements.
    pub fn begin(&self) -> OpenTransaction {
        OpenTransaction { ops: vec![], numbers: vec![], base: self.state(), state: self.state() }
    }

    /// Adds steps to a transaction: all of them or, if one fails, none. The transaction's steps see each other and what other sessions
    /// have committed meanwhile.
    ///
    /// # Errors
    /// As [`Catalog::transact`]; 40001 or 2BP01 when what others have committed meanwhile does not go together with it.
    pub fn extend(&mut self, open: &mut OpenTransaction, ops: Vec<Op>) -> Result<(), CatalogError> {
        if !Arc::ptr_eq(&open.base, &self.state) {
            let mut tx = Transaction::new(&self.state, &self.counters, Numbers::again(open.numbers.clone()));
            open.ops.iter().cloned().try_for_each(|op| tx.apply(op))?;
            tx.check()?;
            open.base = self.state();
            open.state = Arc::new(tx.state);
        }
        let mut tx = Transaction::new(&open.state, &self.counters, Numbers::default());
        ops.iter().cloned().try_for_each(|op| tx.apply(op))?;
        tx.check()?;
        // Ids that have been given out stay so, also if the transaction is never committed.
        self.counters = tx.counters;
        open.numbers.extend(tx.numbers.taken());
        open.ops.extend(ops);
        open.state = Arc::new(tx.state);
        Ok(())
    }

    /// Carries out all steps of a transaction or none, as [`Catalog::transact`] does.
    pub async fn commit(&mut self, open: OpenTransaction) -> Result<Vec<BuiltinUpdate>, CatalogError> {
        self.carry_out(open.ops, Numbers::again(open.numbers)).await
    }

    async fn carry_out(
        &mut self,
        ops: Vec<Op>,
        numbers: Numbers,
    ) -> Result<Vec<BuiltinUpdate>, CatalogError> {
        let mut tx = Transaction::new(&self.state, &self.counters, numbers);
        for op in ops {
            self.apply(&mut tx, op)?;
        }
        tx.check()?;
        tx.changes.counters(&tx.counters);
        self.durable.write(tx.changes).await?;
        let old = std::mem::replace(&mut self.state, Arc::new(tx.state));
        self.counters = tx.counters;
        self.secrets.extend(tx.secrets);
        for id in tx.forgotten_secrets {
            self.secrets.remove(&id);
        }
        Ok(difference(&old, &self.state, &tx.touched))
    }

    fn apply(&self, tx: &mut Transaction, op: Op) -> Result<(), CatalogError> {
        match op {
            Op::SetSecret { id, value } => {
                let sealed = self.secret_box.seal(&id.to_string(), &value.0)?;
                tx.changes.put(Kind::Secret, id, &sealed);
                tx.secrets.push((id, sealed));
                Ok(())
            }
            other => tx.apply(other),
        }
    }

    async fn load(&mut self, config: &CatalogConfig) -> Result<(), CatalogError> {
        let mut state = CatalogState {
            sizes: Arc::new(config.sizes.clone()),
            egress_ips: Arc::new(config.egress_ips.clone()),
            ..CatalogState::default()
        };
        self.load_objects(&mut state).await?;
        let shards = self.durable.all::<proto::BuiltinShard>(Kind::Builtin).await?;
        let mut changes = Changes::default();
        builtin::load(&mut state, &shards, &mut changes, &*config.planner);
        self.durable.write(changes).await?;
        self.load_items(&mut state, &*config.planner).await?;
        self.state = Arc::new(state);
        Ok(())
    }

    async fn load_objects(&mut self, state: &mut CatalogState) -> Result<(), CatalogError> {
        for (id, d) in self.durable.all::<proto::Database>(Kind::Database).await? {
            let database = Database { name: d.name, owner: parse(Kind::Database, &d.owner)?, oid: d.oid };
            state.databases.insert(parse(Kind::Database, &id)?, Arc::new(database));
        }
        for (id, s) in self.durable.all::<proto::Schema>(Kind::Schema).await? {
            let database = if s.database.is_empty() { None } else { Some(parse(Kind::Schema, &s.database)?) };
            let schema = Schema {
                database,
                name: s.name,
                owner: parse(Kind::Schema, &s.owner)?,
                oid: s.oid,
                items: BTreeMap::new(),
                types: BTreeMap::new(),
            };
            state.schemas.insert(parse(Kind::Schema, &id)?, Arc::new(schema));
        }
        for (id, r) in self.durable.all::<proto::Role>(Kind::Role).await? {
            let role = Role { name: r.name, options: r.options.into_iter().collect(), oid: r.oid };
            state.roles.insert(parse(Kind::Role, &id)?, Arc::new(role));
        }
        for (id, c) in self.durable.all::<proto::Cluster>(Kind::Cluster).await? {
            let id = parse(Kind::Cluster, &id)?;
            let cluster = ClusterInfo {
                id,
                name: c.name,
                owner: parse(Kind::Cluster, &c.owner)?,
                size: c.size,
                replication_factor: c.replication_factor,
                replicas: vec![],
                bound_objects: BTreeSet::new(),
            };
            state.clusters.insert(id, Arc::new(cluster));
        }
        for (id, r) in self.durable.all::<proto::Replica>(Kind::Replica).await? {
            let id: ReplicaId = parse(Kind::Replica, &id)?;
            state.replica_owners.insert(id, parse(Kind::Replica, &r.owner)?);
            if let Some(cluster) = state.clusters.get_mut(&parse(Kind::Replica, &r.cluster)?) {
                Arc::make_mut(cluster).replicas.push((id, r.name, r.size));
            }
        }
        for cluster in state.clusters.values_mut() {
            Arc::make_mut(cluster).replicas.sort();
        }
        for (key, c) in self.durable.all::<proto::Comment>(Kind::Comment).await? {
            if let Some(key) = parse_comment_key(&key) {
                state.comments.insert(key, c.text);
            }
        }
        for (name, p) in self.durable.all::<proto::Parameter>(Kind::Parameter).await? {
            state.parameters.insert(name, p.value);
        }
        for (shard, _) in self.durable.all::<proto::DroppedShard>(Kind::Dropped).await? {
            state.dropped_shards.extend(Uuid::parse_str(&shard));
        }
        for (id, s) in self.durable.all::<proto::Secret>(Kind::Secret).await? {
            self.secrets.insert(parse(Kind::Secret, &id)?, s);
        }
        Ok(())
    }

    /// Plans all items, each after those that it refers to: ids grow with time and an item refers only to older ones (a source's
    /// progress subsource is given its id first).
    async fn load_items(
        &mut self,
        state: &mut CatalogState,
        planner: &dyn ItemPlanner,
    ) -> Result<(), CatalogError> {
        let mut items = BTreeMap::new();
        for (id, item) in self.durable.all::<proto::Item>(Kind::Item).await? {
            items.insert(parse::<GlobalId>(Kind::Item, &id)?, item);
        }
        let mut waiting: Vec<(GlobalId, proto::Item)> = items.into_iter().collect();
        // Whatever does not plan because something younger is missing is tried again once that is there.
        loop {
            let before = waiting.len();
            let mut failed = Vec::new();
            for (id, item) in waiting {
                match planner.plan_item(state, &item.create_sql, id) {
                    Ok((definition, uses)) => load_item(state, id, &item, definition, uses)?,
                    Err(e) => failed.push((id, item, e)),
                }
            }
            if failed.len() == before || failed.is_empty() {
                for (id, item, e) in failed {
                    tracing::error!(%id, name = %item.name, error = %e, "item no longer plans");
                    state.broken.insert(id, e.to_string());
                }
                return Ok(());
            }
            waiting = failed.into_iter().map(|(id, item, _)| (id, item)).collect();
        }
    }
}

fn load_item(
    state: &mut CatalogState,
    id: GlobalId,
    item: &proto::Item,
    definition: ItemDefinition,
    uses: BTreeSet<GlobalId>,
) -> Result<(), CatalogError> {
    let schema_id = parse(Kind::Item, &item.schema)?;
    let info = ItemInfo {
        id,
        oid: item.oid,
        schema_id,
        name: state.full_name(schema_id, &item.name),
        owner: parse(Kind::Item, &item.owner)?,
        create_sql: item.create_sql.clone(),
        definition,
        uses,
        used_by: BTreeSet::new(),
    };
    if let Some(shard) = &item.shard {
        let shard = Uuid::parse_str(shard);
        let shard =
            shard.map_err(|e| CatalogError::Corrupt { key: format!("item/{id}"), reason: e.to_string() })?;
        state.shards.insert(id, shard);
    }
    insert_item(state, info);
    Ok(())
}

/// Puts an item into a state: its name, its dependencies both ways, its cluster.
pub(crate) fn insert_item(state: &mut CatalogState, info: ItemInfo) {
    let id = info.id;
    if info.schema_id != builtin::MZ_TEMP_SCHEMA_ID
        && let Some(schema) = state.schemas.get_mut(&info.schema_id)
    {
        let schema = Arc::make_mut(schema);
        let names = if info.kind() == ItemKind::Type { &mut schema.types } else { &mut schema.items };
        names.insert(info.name.item.clone(), id);
    }
    for used in &info.uses {
        if let Some(item) = state.items.get_mut(used) {
            Arc::make_mut(item).used_by.insert(id);
        }
    }
    if let Some(cluster) = info.definition.cluster().and_then(|c| state.clusters.get_mut(&c)) {
        Arc::make_mut(cluster).bound_objects.insert(id);
    }
    // Items planned earlier may refer to this one already.
    let mut info = info;
    let users = state.items.iter().filter(|(_, i)| i.uses.contains(&id)).map(|(u, _)| *u);
    if !id.is_system() {
        info.used_by = users.collect();
    }
    state.items.insert(id, Arc::new(info));
}

/// What changes in system relations when these objects do.
fn difference(old: &CatalogState, new: &CatalogState, touched: &BTreeSet<ObjectId>) -> Vec<BuiltinUpdate> {
    let mut net: BTreeMap<(GlobalId, Row), Diff> = BTreeMap::new();
    for object in touched {
        for (id, row) in pack_object(old, *object) {
            *net.entry((id, row)).or_default() -= 1;
        }
        for (id, row) in pack_object(new, *object) {
            *net.entry((id, row)).or_default() += 1;
        }
    }
    let changed = net.into_iter().filter(|(_, diff)| *diff != 0);
    changed.map(|((id, row), diff)| BuiltinUpdate { id, row, diff }).collect()
}

fn parse<T: std::str::FromStr>(kind: Kind, id: &str) -> Result<T, CatalogError> {
    id.parse()
        .map_err(|_| CatalogError::Corrupt { key: format!("{kind:?}"), reason: format!("bad id {id:?}") })
}

pub(crate) fn comment_key((object, column): &(ObjectId, Option<usize>)) -> String {
    let object = match object {
        ObjectId::Item(id) => format!("item:{id}"),
        ObjectId::Database(id) => format!("database:{id}"),
        ObjectId::Schema(id) => format!("schema:{id}"),
        ObjectId::Cluster(id) => format!("cluster:{id}"),
        ObjectId::Replica(cluster, id) => format!("replica:{cluster}.{id}"),
        ObjectId::Role(id) => format!("role:{id}"),
    };
    match column {
        Some(column) => format!("{object}:{column}"),
        None => object,
    }
}

fn parse_comment_key(key: &str) -> Option<(ObjectId, Option<usize>)> {
    let mut parts = key.split(':');
    let (kind, id, column) = (parts.next()?, parts.next()?, parts.next());
    let object = match kind {
        "item" => ObjectId::Item(id.parse().ok()?),
        "database" => ObjectId::Database(id.parse().ok()?),
        "schema" => ObjectId::Schema(id.parse().ok()?),
        "cluster" => ObjectId::Cluster(id.parse().ok()?),
        "role" => ObjectId::Role(id.parse().ok()?),
        "replica" => {
            let (cluster, replica) = id.split_once('.')?;
            ObjectId::Replica(cluster.parse().ok()?, replica.parse().ok()?)
        }
        _ => return None,
    };
    Some((object, column.map(str::parse).transpose().ok()?))
}

/// Whether an item is one of a source's tables, for packing.
pub(crate) fn belongs_to(state: &CatalogState, id: GlobalId) -> Vec<GlobalId> {
    let Some(item) = state.items.get(&id) else { return vec![] };
    item.uses.iter().copied().filter(|source| is_part_of(&item.definition, *source)).collect()
}
