//! A catalog of tables, views and indexes in memory, as planning sees it.

use std::collections::BTreeSet;
use std::sync::Arc;

use hw_expr::{MirRelationExpr, MirScalarExpr};
use hw_optimizer::{DataflowContext, DurableInfo};
use hw_repr::{ClusterId, DatabaseId, GlobalId, RelationType, RoleId, SchemaId};
use hw_sql::catalog::FullName;
use hw_sql::context::SessionInfo;
use hw_sql::parser::{ParsedStatement, Statement};
use hw_sql::plan::{Plan, SelectPlan};
use hw_sql::{Catalog, ClusterInfo, ItemDefinition, ItemInfo, StatementContext};

/// The objects.
#[derive(Default)]
pub(crate) struct Objects {
    items: Vec<Arc<ItemInfo>>,
    indexes: Vec<(GlobalId, GlobalId, Vec<MirScalarExpr>)>,
}

impl Objects {
    /// Runs CREATE statements.
    pub(crate) fn run(&mut self, sql: &str) {
        for statement in hw_sql::parser::parse(sql).unwrap() {
            match self.plan(&statement) {
                Plan::CreateItems { items, .. } => {
                    for item in items {
                        self.add(&item.name.item, item.definition, item.uses);
                    }
                }
                other => panic!("{other:?} is no CREATE"),
            }
        }
    }

    /// Adds an index on columns of a table.
    pub(crate) fn index(&mut self, on: &str, key: &[usize]) {
        let on = self.items.iter().find(|i| i.name.item == on).unwrap().id;
        let id = GlobalId::User(1_000_000 + self.indexes.len() as u64);
        self.indexes.push((id, on, key.iter().copied().map(MirScalarExpr::Column).collect()));
    }

    fn plan(&self, statement: &ParsedStatement) -> Plan {
        let session = SessionInfo {
            user: "materialize".into(),
            database: "materialize".into(),
            search_path: vec!["public".into()],
            cluster: "quickstart".into(),
            ..SessionInfo::default()
        };
        let scx = StatementContext::new(self, &session, &statement.extensions);
        let mut next = 500_000;
        let mut ids = || {
            next += 1;
            GlobalId::User(next)
        };
        hw_sql::statement::plan_statement(&scx, &statement.statement, &mut ids)
            .unwrap_or_else(|e| panic!("{e:?} in {}", statement.sql))
    }

    fn add(&mut self, name: &str, definition: ItemDefinition, uses: BTreeSet<GlobalId>) {
        let id = GlobalId::User(self.items.len() as u64 + 1);
        if let ItemDefinition::Index(index) = &definition {
            self.indexes.push((id, index.on, index.keys.clone()));
        }
        let name =
            FullName { database: Some("materialize".into()), schema: "public".into(), item: name.into() };
        self.items.push(Arc::new(ItemInfo {
            id,
            oid: 20_000 + self.items.len() as u32,
            schema_id: SchemaId::User(1),
            name,
            owner: RoleId::User(1),
            create_sql: String::new(),
            definition,
            uses,
            used_by: BTreeSet::new(),
        }));
    }

    /// Plans a query to HIR.
    pub(crate) fn select(&self, sql: &str) -> SelectPlan {
        let statements = hw_sql::parser::parse(sql).unwrap();
        let [statement] = statements.as_slice() else { panic!("one query: {sql}") };
        assert!(matches!(statement.statement, Statement::Select(_)));
        match self.plan(statement) {
            Plan::Select(select) => select,
            other => panic!("{other:?} is no query"),
        }
    }

    /// The views that a plan needs.
    pub(crate) fn views(&self, expr: &MirRelationExpr) -> Vec<(GlobalId, MirRelationExpr)> {
        let mut out = vec![];
        for id in expr.global_gets() {
            if let Some(item) = self.item(id)
                && let ItemDefinition::View(view) = &item.definition
            {
                let mir = hw_sql::lowering::lower(view.expr.clone()).unwrap();
                out.extend(self.views(&mir));
                out.push((id, mir));
            }
        }
        out
    }
}

impl DataflowContext for Objects {
    fn durable(&self, id: GlobalId) -> Option<DurableInfo> {
        let item = self.item(id)?;
        let desc = item.desc()?.clone();
        matches!(item.definition, ItemDefinition::Table(_)).then(|| DurableInfo {
            shard: Default::default(),
            desc,
            monotonic: false,
        })
    }

    fn indexes_on(&self, id: GlobalId) -> Vec<(GlobalId, Vec<MirScalarExpr>)> {
        self.indexes.iter().filter(|(_, on, _)| *on == id).map(|(i, _, key)| (*i, key.clone())).collect()
    }

    fn relation_type(&self, id: GlobalId) -> Option<RelationType> {
        Some(self.item(id)?.desc()?.typ().clone())
    }
}

impl Catalog for Objects {
    fn database(&self, name: &str) -> Option<DatabaseId> {
        (name == "materialize").then_some(DatabaseId::User(1))
    }
    fn database_name(&self, _: DatabaseId) -> Option<String> {
        Some("materialize".into())
    }
    fn schema(&self, database: Option<DatabaseId>, name: &str) -> Option<SchemaId> {
        match (database, name) {
            (Some(_), "public") => Some(SchemaId::User(1)),
            (None, "pg_catalog") => Some(SchemaId::System(1)),
            (None, "mz_catalog") => Some(SchemaId::System(2)),
            _ => None,
        }
    }
    fn schema_name(&self, _: SchemaId) -> Option<(Option<DatabaseId>, String)> {
        Some((Some(DatabaseId::User(1)), "public".into()))
    }
    fn schemas(&self) -> Vec<(Option<DatabaseId>, SchemaId, String)> {
        vec![]
    }
    fn databases(&self) -> Vec<(DatabaseId, String)> {
        vec![]
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
    fn items_in_schema(&self, _: SchemaId) -> Vec<Arc<ItemInfo>> {
        self.items.clone()
    }
    fn cluster_by_name(&self, name: &str) -> Option<Arc<ClusterInfo>> {
        (name == "quickstart").then(|| {
            Arc::new(ClusterInfo {
                id: ClusterId::User(1),
                name: name.into(),
                owner: RoleId::User(1),
                size: Some("25cc".into()),
                replication_factor: 1,
                replicas: vec![],
                bound_objects: BTreeSet::new(),
            })
        })
    }
    fn cluster(&self, _: ClusterId) -> Option<Arc<ClusterInfo>> {
        self.cluster_by_name("quickstart")
    }
    fn clusters(&self) -> Vec<Arc<ClusterInfo>> {
        vec![]
    }
    fn role(&self, _: &str) -> Option<RoleId> {
        Some(RoleId::User(1))
    }
    fn role_name(&self, _: RoleId) -> Option<String> {
        Some("materialize".into())
    }
    fn replica_sizes(&self) -> Vec<(String, usize)> {
        vec![]
    }
    fn system_parameter(&self, _: &str) -> Option<String> {
        None
    }
}
