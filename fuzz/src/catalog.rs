//! A small catalog in which statements find what they name: tables of many types, a view, an index's target, a cluster.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use hw_expr::{HirScalarExpr, MirScalarExpr};
use hw_optimizer::{DataflowContext, DurableInfo};
use hw_repr::{
    ClusterId, DatabaseId, GlobalId, RelationDesc, RelationType, ReplicaId, RoleId, ScalarType, SchemaId,
};
use hw_sql::catalog::{Catalog, ClusterInfo, FullName, ItemInfo};
use hw_sql::plan::{ItemDefinition, TableDefinition};

const DATABASE: DatabaseId = DatabaseId::User(1);
const PUBLIC: SchemaId = SchemaId::User(1);

/// See the module.
pub(crate) struct FuzzCatalog {
    items: Vec<Arc<ItemInfo>>,
    cluster: Arc<ClusterInfo>,
}

/// Names and columns of the tables; the mutator uses the names too.
pub(crate) static TABLES: LazyLock<Vec<(&'static str, Vec<(&'static str, ScalarType)>)>> =
    LazyLock::new(|| {
        use ScalarType as T;
        vec![
            ("t", vec![("a", T::Int32), ("b", T::Int32), ("c", T::String)]),
            ("u", vec![("a", T::Int32), ("d", T::Int64)]),
            ("n", vec![("x", T::NUMERIC), ("y", T::Float64), ("z", T::Int16)]),
            ("d", vec![("day", T::Date), ("iv", T::Interval), ("tm", T::Time)]),
            ("j", vec![("k", T::Jsonb), ("f", T::Bool), ("bin", T::Bytes), ("id", T::Uuid)]),
            ("l", vec![("ints", T::Array(Box::new(T::Int32))), ("texts", T::Array(Box::new(T::String)))]),
        ]
    });

static SHARED: LazyLock<FuzzCatalog> = LazyLock::new(FuzzCatalog::new);

impl FuzzCatalog {
    /// The one of this process.
    pub(crate) fn shared() -> &'static FuzzCatalog {
        &SHARED
    }

    fn new() -> FuzzCatalog {
        let items = (1..).zip(TABLES.iter()).map(|(id, (name, columns))| table(id, name, columns)).collect();
        let cluster = Arc::new(ClusterInfo {
            id: ClusterId::User(1),
            name: "quickstart".into(),
            owner: RoleId::User(1),
            size: Some("25cc".into()),
            replication_factor: 1,
            replicas: vec![(ReplicaId::User(1), "r1".into(), "25cc".into())],
            bound_objects: BTreeSet::new(),
        });
        FuzzCatalog { items, cluster }
    }
}

fn table(id: u64, name: &str, columns: &[(&str, ScalarType)]) -> Arc<ItemInfo> {
    let mut desc = RelationDesc::empty();
    for (column, typ) in columns {
        desc = desc.with_column(*column, typ.clone().nullable(true));
    }
    let defaults = columns.iter().map(|(_, typ)| HirScalarExpr::null(typ.clone())).collect();
    Arc::new(ItemInfo {
        id: GlobalId::User(id),
        oid: 20_000 + id as u32,
        schema_id: PUBLIC,
        name: FullName {
            database: Some("materialize".into()),
            schema: "public".into(),
            item: name.to_owned(),
        },
        owner: RoleId::User(1),
        create_sql: String::new(),
        definition: ItemDefinition::Table(TableDefinition { desc, defaults, source: None, temporary: false }),
        uses: BTreeSet::new(),
        used_by: BTreeSet::new(),
    })
}

impl Catalog for FuzzCatalog {
    fn database(&self, name: &str) -> Option<DatabaseId> {
        (name == "materialize").then_some(DATABASE)
    }
    fn database_name(&self, id: DatabaseId) -> Option<String> {
        (id == DATABASE).then(|| "materialize".to_owned())
    }
    fn schema(&self, database: Option<DatabaseId>, name: &str) -> Option<SchemaId> {
        match (database, name) {
            (Some(_), "public") => Some(PUBLIC),
            (_, "pg_catalog") => Some(SchemaId::System(1)),
            (_, "mz_catalog") => Some(SchemaId::System(2)),
            _ => None,
        }
    }
    fn schema_name(&self, id: SchemaId) -> Option<(Option<DatabaseId>, String)> {
        match id {
            PUBLIC => Some((Some(DATABASE), "public".into())),
            SchemaId::System(1) => Some((None, "pg_catalog".into())),
            SchemaId::System(2) => Some((None, "mz_catalog".into())),
            _ => None,
        }
    }
    fn schemas(&self) -> Vec<(Option<DatabaseId>, SchemaId, String)> {
        vec![(Some(DATABASE), PUBLIC, "public".into())]
    }
    fn databases(&self) -> Vec<(DatabaseId, String)> {
        vec![(DATABASE, "materialize".into())]
    }
    fn item_by_name(&self, schema: SchemaId, name: &str) -> Option<Arc<ItemInfo>> {
        self.items.iter().find(|i| i.schema_id == schema && i.name.item == name).cloned()
    }
    fn type_by_name(&self, _: SchemaId, _: &str) -> Option<Arc<ItemInfo>> {
        None
    }
    fn item(&self, id: GlobalId) -> Option<Arc<ItemInfo>> {
        self.items.iter().find(|i| i.id == id).cloned()
    }
    fn items_in_schema(&self, schema: SchemaId) -> Vec<Arc<ItemInfo>> {
        self.items.iter().filter(|i| i.schema_id == schema).cloned().collect()
    }
    fn cluster_by_name(&self, name: &str) -> Option<Arc<ClusterInfo>> {
        (name == self.cluster.name).then(|| Arc::clone(&self.cluster))
    }
    fn cluster(&self, id: ClusterId) -> Option<Arc<ClusterInfo>> {
        (id == self.cluster.id).then(|| Arc::clone(&self.cluster))
    }
    fn clusters(&self) -> Vec<Arc<ClusterInfo>> {
        vec![Arc::clone(&self.cluster)]
    }
    fn role(&self, name: &str) -> Option<RoleId> {
        (name == "materialize").then_some(RoleId::User(1))
    }
    fn role_name(&self, _: RoleId) -> Option<String> {
        Some("materialize".into())
    }
    fn replica_sizes(&self) -> Vec<(String, usize)> {
        vec![("25cc".into(), 1), ("100cc".into(), 2)]
    }
    fn system_parameter(&self, _: &str) -> Option<String> {
        None
    }
}

impl DataflowContext for FuzzCatalog {
    fn durable(&self, id: GlobalId) -> Option<DurableInfo> {
        let GlobalId::User(n) = id else { return None };
        let desc = self.item(id)?.desc()?.clone();
        Some(DurableInfo { shard: uuid::Uuid::from_u128(n.into()), desc, monotonic: n == 2 })
    }
    fn indexes_on(&self, id: GlobalId) -> Vec<(GlobalId, Vec<MirScalarExpr>)> {
        match id {
            GlobalId::User(n @ 1..=3) => vec![(GlobalId::User(100 + n), vec![MirScalarExpr::Column(0)])],
            _ => vec![],
        }
    }
    fn relation_type(&self, id: GlobalId) -> Option<RelationType> {
        Some(self.item(id)?.desc()?.typ().clone())
    }
}
