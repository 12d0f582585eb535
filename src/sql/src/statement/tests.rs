//! Tests of statement.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use hw_plan::source::{MySqlColumn, MySqlConnection, MySqlIngest, MySqlTable, MySqlTls};
use hw_repr::{ClusterId, DatabaseId, ReplicaId, RoleId, SchemaId};

use super::*;
use crate::catalog::{ClusterInfo, FullName, ItemInfo};
use crate::plan::{ConnectionDefinition, NewItem, ObjectId, SourceKind, SubscribeOutput};
use crate::upstream::{TableSelection, Upstream, UpstreamColumn};

/// A catalog that carries out what creates and drops items.
struct Cat {
    items: BTreeMap<GlobalId, Arc<ItemInfo>>,
    next: u64,
}

const DB: DatabaseId = DatabaseId::User(1);

impl Cat {
    fn new() -> Self {
        Cat { items: BTreeMap::new(), next: 1 }
    }

    fn plan(&mut self, sql: &str) -> Result<Plan, PlanError> {
        let parsed = parse_one(sql)?;
        let session = SessionInfo::default();
        let mut next = self.next;
        let scx = StatementContext::new(self, &session, &parsed.extensions);
        let plan = plan_statement(&scx, &parsed.statement, &mut || {
            next += 1;
            GlobalId::User(next)
        });
        drop(scx);
        self.next = next;
        plan
    }

    /// Plans and, where it makes or drops or renames items, does so.
    fn run(&mut self, sql: &str) -> Plan {
        let plan = self.plan(sql).unwrap_or_else(|e| panic!("{sql}\n{e:?}"));
        self.apply(&plan);
        plan
    }

    fn apply(&mut self, plan: &Plan) {
        match plan {
            Plan::CreateItems { items, if_not_exists: true, .. }
                if items.iter().any(|i| self.item_by_name(i.name.schema, &i.name.item).is_some()) => {}
            Plan::CreateItems { items, replace, .. } => {
                if let Some(id) = replace {
                    self.items.remove(id);
                }
                items.iter().for_each(|i| self.add(i));
            }
            Plan::CreateSecret { item, .. } | Plan::CreateConnection { item, .. } => self.add(item),
            Plan::Drop(d) => {
                for o in &d.objects {
                    if let ObjectId::Item(id) = o {
                        self.items.remove(id);
                    }
                }
            }
            Plan::Rename { object: ObjectId::Item(id), to } => {
                let mut info = (*self.items[id]).clone();
                info.name.item.clone_from(to);
                self.items.insert(*id, Arc::new(info));
            }
            _ => {}
        }
    }

    fn add(&mut self, item: &NewItem) {
        let id = item.id.unwrap();
        for used in &item.uses {
            let mut info = (*self.items[used]).clone();
            info.used_by.insert(id);
            self.items.insert(*used, Arc::new(info));
        }
        let schema = self.schema_name(item.name.schema).unwrap().1;
        let info = ItemInfo {
            id,
            oid: 0,
            schema_id: item.name.schema,
            name: FullName { database: Some("materialize".into()), schema, item: item.name.item.clone() },
            owner: RoleId::User(1),
            create_sql: item.create_sql.clone(),
            definition: item.definition.clone(),
            uses: item.uses.clone(),
            used_by: BTreeSet::new(),
        };
        self.items.insert(id, Arc::new(info));
    }

    fn named(&self, name: &str) -> Arc<ItemInfo> {
        self.items.values().find(|i| i.name.item == name).unwrap_or_else(|| panic!("{name}")).clone()
    }

    fn error(&mut self, sql: &str) -> String {
        match self.plan(sql) {
            Ok(p) => panic!("{sql}\n{p:?}"),
            Err(e) => format!("{} {}", e.sqlstate, e.message),
        }
    }

    /// Every stored definition gives the same again.
    fn check_replanning(&self) {
        for item in self.items.values() {
            let (definition, uses) = plan_item(self, &item.create_sql, item.id)
                .unwrap_or_else(|e| panic!("{}\n{e:?}", item.create_sql));
            assert_eq!(format!("{:?}", definition), format!("{:?}", item.definition), "{}", item.create_sql);
            assert_eq!(uses, item.uses, "{}", item.create_sql);
        }
    }
}

impl Catalog for Cat {
    fn database(&self, name: &str) -> Option<DatabaseId> {
        (name == "materialize").then_some(DB)
    }
    fn database_name(&self, id: DatabaseId) -> Option<String> {
        (id == DB).then(|| "materialize".into())
    }
    fn schema(&self, database: Option<DatabaseId>, name: &str) -> Option<SchemaId> {
        self.schemas().into_iter().find(|(d, _, n)| *d == database && n == name).map(|(_, s, _)| s)
    }
    fn schema_name(&self, id: SchemaId) -> Option<(Option<DatabaseId>, String)> {
        self.schemas().into_iter().find(|(_, s, _)| *s == id).map(|(d, _, n)| (d, n))
    }
    fn schemas(&self) -> Vec<(Option<DatabaseId>, SchemaId, String)> {
        vec![
            (Some(DB), SchemaId::User(1), "public".into()),
            (Some(DB), SchemaId::User(2), "other".into()),
            (None, SchemaId::System(1), "mz_catalog".into()),
            (None, SchemaId::System(2), "pg_catalog".into()),
            (None, SchemaId::System(3), "mz_temp".into()),
        ]
    }
    fn databases(&self) -> Vec<(DatabaseId, String)> {
        vec![(DB, "materialize".into())]
    }
    fn item_by_name(&self, schema: SchemaId, name: &str) -> Option<Arc<ItemInfo>> {
        let is_type = |i: &ItemInfo| matches!(i.definition, ItemDefinition::Type(_));
        self.items.values().find(|i| i.schema_id == schema && i.name.item == name && !is_type(i)).cloned()
    }
    fn type_by_name(&self, schema: SchemaId, name: &str) -> Option<Arc<ItemInfo>> {
        let is_type = |i: &ItemInfo| matches!(i.definition, ItemDefinition::Type(_));
        self.items.values().find(|i| i.schema_id == schema && i.name.item == name && is_type(i)).cloned()
    }
    fn item(&self, id: GlobalId) -> Option<Arc<ItemInfo>> {
        self.items.get(&id).cloned()
    }
    fn items_in_schema(&self, schema: SchemaId) -> Vec<Arc<ItemInfo>> {
        self.items.values().filter(|i| i.schema_id == schema).cloned().collect()
    }
    fn cluster_by_name(&self, name: &str) -> Option<Arc<ClusterInfo>> {
        self.clusters().into_iter().find(|c| c.name == name)
    }
    fn cluster(&self, id: ClusterId) -> Option<Arc<ClusterInfo>> {
        self.clusters().into_iter().find(|c| c.id == id)
    }
    fn clusters(&self) -> Vec<Arc<ClusterInfo>> {
        let cluster = |id, name: &str, size: Option<&str>| {
            Arc::new(ClusterInfo {
                id,
                name: name.into(),
                owner: RoleId::User(1),
                size: size.map(str::to_owned),
                replication_factor: 1,
                replicas: vec![(ReplicaId::User(1), "r1".into(), "100cc".into())],
                bound_objects: self
                    .items
                    .values()
                    .filter(|i| i.definition.cluster() == Some(id))
                    .map(|i| i.id)
                    .collect(),
            })
        };
        vec![
            cluster(ClusterId::User(1), "quickstart", Some("100cc")),
            cluster(ClusterId::User(2), "by_hand", None),
            cluster(ClusterId::System(1), "mz_catalog_server", Some("100cc")),
        ]
    }
    fn role(&self, name: &str) -> Option<RoleId> {
        (name == "materialize").then_some(RoleId::User(1))
    }
    fn role_name(&self, _: RoleId) -> Option<String> {
        Some("materialize".into())
    }
    fn replica_sizes(&self) -> Vec<(String, usize)> {
        vec![("100cc".into(), 1), ("200cc".into(), 2)]
    }
    fn system_parameter(&self, _: &str) -> Option<String> {
        None
    }
}

#[test]
fn definitions_survive_renaming() {
    let mut c = Cat::new();
    c.run("CREATE TABLE t (a int NOT NULL DEFAULT 1 + 1, b text)");
    c.run("CREATE VIEW v AS WITH x AS (SELECT * FROM t) SELECT t.a, x.b FROM public.t, x WHERE public.t.a = x.a");
    c.run("CREATE VIEW w (n) AS SELECT a FROM t AS y WHERE a IN (SELECT t.a FROM t)");
    c.run("CREATE MATERIALIZED VIEW mv WITH (ASSERT NOT NULL a) AS SELECT a, count(*) FROM v GROUP BY a");
    c.run("CREATE INDEX ON v (a, lower(b))");
    c.run("CREATE DEFAULT INDEX i ON t");
    let v = c.named("v");
    assert_eq!(
        v.create_sql,
        "CREATE VIEW \"[u3 AS materialize.public.v]\" AS WITH x AS (SELECT * FROM \"[u2 AS materialize.public.t]\" AS t) \
         SELECT t.a, x.b FROM \"[u2 AS materialize.public.t]\" AS t, x WHERE t.a = x.a"
    );
    c.check_replanning();
    c.run("ALTER TABLE t RENAME TO \"T 2\"");
    c.check_replanning();
    assert_eq!(
        humanize(&c.named("w").create_sql, &c),
        "CREATE VIEW materialize.public.w (n) AS SELECT a FROM materialize.public.\"T 2\" AS y WHERE a IN \
         (SELECT t.a FROM materialize.public.\"T 2\" AS t)"
    );
    assert_eq!(
        humanize(&c.named("mv").create_sql, &c),
        "CREATE MATERIALIZED VIEW materialize.public.mv IN CLUSTER quickstart WITH (ASSERT NOT NULL = a) AS \
         SELECT a, count(*) FROM materialize.public.v AS v GROUP BY a"
    );
    assert_eq!(c.named("v_a_expr_idx").definition.cluster(), Some(ClusterId::User(1)));
}

#[test]
fn names_that_are_taken_or_missing() {
    let mut c = Cat::new();
    c.run("CREATE TABLE t (a int)");
    for (sql, error) in [
        ("CREATE TABLE t (b int)", "42P07 relation \"t\" already exists"),
        ("CREATE TABLE x (a int, a text)", "42701 column \"a\" specified more than once"),
        ("CREATE TABLE x (a int PRIMARY KEY)", "0A000 PRIMARY KEY in CREATE TABLE is not supported"),
        ("CREATE TABLE x (a int, CHECK (a > 0))", "0A000 CHECK in CREATE TABLE is not supported"),
        ("CREATE TABLE mz_catalog.x (a int)", "42501 permission denied for schema mz_catalog"),
        ("CREATE TABLE nowhere.x (a int)", "3F000 schema \"nowhere\" does not exist"),
        ("CREATE VIEW v (a, b) AS SELECT 1", "42601 CREATE VIEW specifies more column names than columns"),
        ("CREATE INDEX ON nothing (a)", "42P01 relation \"nothing\" does not exist"),
        ("CREATE INDEX IN CLUSTER nope ON t (a)", "42704 cluster \"nope\" does not exist"),
        ("DROP TABLE nothing", "42P01 table \"nothing\" does not exist"),
        ("DROP VIEW t", "42809 \"t\" is not a view"),
        ("DROP CLUSTER mz_catalog_server", "42501 system cluster \"mz_catalog_server\" cannot be changed"),
        ("DROP CLUSTER REPLICA quickstart.r1", "42809 cannot drop replica of managed cluster \"quickstart\""),
        ("CREATE CLUSTER c (SIZE 'huge')", "22023 unknown cluster replica size huge"),
        (
            "CREATE CLUSTER c (SIZE '100cc', SCHEDULE = MANUAL)",
            "0A000 CREATE CLUSTER option SCHEDULE is not supported",
        ),
        ("CREATE CLUSTER c", "42601 CREATE CLUSTER needs the option SIZE or REPLICAS"),
        ("CREATE CLUSTER mz_x (SIZE '100cc')", "42939 unacceptable cluster name \"mz_x\""),
        ("INSERT INTO t (b) VALUES (1)", "42703 column \"b\" of relation \"t\" does not exist"),
        ("UPDATE t SET a = 1, a = 2", "42601 multiple assignments to same column \"a\""),
        ("COMMENT ON COLUMN t.x IS 'y'", "42703 column \"x\" of relation \"t\" does not exist"),
        ("COPY t FROM STDIN (FORMAT parquet)", "22023 COPY format \"parquet\" not recognized"),
        ("SUBSCRIBE t ENVELOPE UPSERT (KEY (z))", "42703 column \"z\" does not exist"),
        ("ALTER TABLE t RENAME TO t", "42P07 relation \"t\" already exists"),
        ("ALTER SYSTEM SET x = 1, 2; ", "-"),
    ] {
        if error != "-" {
            assert_eq!(c.error(sql), error, "{sql}");
        }
    }
}

#[test]
fn dropping_what_others_depend_on() {
    let mut c = Cat::new();
    c.run("CREATE TABLE t (a int)");
    c.run("CREATE INDEX i ON t (a)");
    c.run("CREATE VIEW v AS SELECT * FROM t");
    assert_eq!(c.error("DROP TABLE t"), "2BP01 cannot drop table \"t\" because other objects depend on it");
    c.run("DROP VIEW v");
    let Plan::Drop(d) = c.run("DROP TABLE t") else { panic!() };
    assert_eq!(d.objects.len(), 2);
    assert!(c.items.is_empty());
    let Plan::Drop(d) = c.run("DROP TABLE IF EXISTS t, u") else { panic!() };
    assert_eq!(d.notices, ["table \"t\" does not exist, skipping", "table \"u\" does not exist, skipping"]);
    c.run("CREATE TABLE t (a int)");
    c.run("CREATE VIEW v AS SELECT * FROM t");
    c.run("DROP TABLE t CASCADE");
    assert!(c.items.is_empty());
    c.run("CREATE MATERIALIZED VIEW m AS SELECT 1 AS x");
    assert!(c.error("DROP CLUSTER quickstart").starts_with("2BP01"));
    c.run("DROP CLUSTER quickstart CASCADE");
    assert!(c.items.is_empty());
}

#[test]
fn connections_and_secrets() {
    let mut c = Cat::new();
    let Plan::CreateSecret { value, .. } = c.run("CREATE SECRET p AS 'pass'") else { panic!() };
    assert_eq!(value.0, b"pass");
    c.run(
        "CREATE CONNECTION m TO MYSQL (HOST db, PORT 3306, USER 'u', PASSWORD SECRET p, SSL MODE REQUIRED)",
    );
    let m = c.named("m");
    let ItemDefinition::Connection(ConnectionDefinition::MySql { host, port, password, .. }) = &m.definition
    else {
        panic!()
    };
    assert_eq!((host.as_str(), *port), ("db", 3306));
    assert_eq!(*password, Some(c.named("p").id));
    c.check_replanning();
    assert_eq!(
        humanize(&m.create_sql, &c),
        "CREATE CONNECTION materialize.public.m TO MYSQL (HOST = 'db', PORT = 3306, USER = 'u', \
         PASSWORD = SECRET materialize.public.p, SSL MODE = 'required')"
    );
    for (sql, error) in [
        ("CREATE CONNECTION x TO MYSQL (PORT 1)", "42601 MYSQL CONNECTION needs the option HOST"),
        (
            "CREATE CONNECTION x TO MYSQL (HOST a, USER b, PASSWORD 'x')",
            "22023 PASSWORD must be given as SECRET name",
        ),
        ("CREATE CONNECTION x TO MYSQL (HOST a, USER b, PORT 70000)", "22023 70000 is not a TCP port"),
        ("CREATE CONNECTION x TO MYSQL (HOST a, USER b, SSL MODE maybe)", "22023 invalid SSL MODE \"maybe\""),
        (
            "CREATE CONNECTION x TO MYSQL (HOST a, USER b, SSH TUNNEL t)",
            "0A000 MYSQL CONNECTION option SSH TUNNEL is not supported",
        ),
        (
            "CREATE CONNECTION x TO MYSQL (HOST a, HOST b)",
            "42601 MYSQL CONNECTION option HOST is given more than once",
        ),
        (
            "CREATE CONNECTION x TO SSH TUNNEL (HOST a)",
            "0A000 CREATE CONNECTION … TO SSH TUNNEL is not supported",
        ),
        (
            "CREATE CONNECTION x TO MYSQL (HOST a, USER b, PASSWORD SECRET q)",
            "42704 secret \"q\" does not exist",
        ),
        ("DROP SECRET p", "2BP01 cannot drop secret \"p\" because other objects depend on it"),
    ] {
        assert_eq!(c.error(sql), error, "{sql}");
    }
}

struct Mysql(Vec<MySqlTable>);

#[async_trait]
impl Upstream for Mysql {
    async fn validate_mysql(&self, _: &MySqlConnection) -> Result<(), PlanError> {
        Ok(())
    }
    async fn discover_mysql(
        &self,
        _: &MySqlConnection,
        selection: &TableSelection,
        _: &[UpstreamColumn],
        exclude: &[UpstreamColumn],
    ) -> Result<Vec<MySqlTable>, PlanError> {
        let mut tables = self.0.clone();
        tables.retain(|t| match selection {
            TableSelection::All => true,
            TableSelection::Schemas(s) => s.contains(&t.schema),
            TableSelection::Tables(w) => w.contains(&(t.schema.clone(), t.table.clone())),
        });
        for t in &mut tables {
            for c in &mut t.columns {
                if exclude.contains(&(t.schema.clone(), t.table.clone(), c.name.clone())) {
                    c.ingest = None;
                }
            }
        }
        Ok(tables)
    }
    fn mysql_progress_desc(&self) -> RelationDesc {
        RelationDesc::empty().with_column("source_id_lower", ScalarType::Uuid.nullable(false))
    }
}

fn upstream() -> Mysql {
    let column = |name: &str, typ: Option<ScalarType>| MySqlColumn {
        name: name.into(),
        data_type: "x".into(),
        column_type: "geometry".into(),
        charset: None,
        nullable: false,
        ingest: typ.map(|t| MySqlIngest { typ: t.nullable(false), as_text: false }),
    };
    let table = |schema: &str, table: &str, columns: Vec<MySqlColumn>| MySqlTable {
        schema: schema.into(),
        table: table.into(),
        columns,
        keys: vec![vec![0]],
        initial_gtid_set: String::new(),
    };
    let id = || column("id", Some(ScalarType::Int32));
    Mysql(vec![
        table("shop", "order", vec![id(), column("it's", Some(ScalarType::String))]),
        table("shop", "t", vec![id()]),
        table("geo", "t", vec![id(), column("shape", None)]),
    ])
}

/// Runs a future that never waits.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut cx) {
        std::task::Poll::Ready(v) => v,
        std::task::Poll::Pending => panic!("the future waits"),
    }
}

fn purified(c: &mut Cat, sql: &str) -> Result<Plan, PlanError> {
    let parsed = parse_one(sql)?;
    let session = SessionInfo::default();
    let mut next = c.next;
    let scx = StatementContext::new(c, &session, &parsed.extensions);
    let mut ids = || {
        next += 1;
        GlobalId::User(next)
    };
    let connection = MySqlConnection {
        host: "h".into(),
        port: 1,
        user: "u".into(),
        password: None,
        tls: MySqlTls::default(),
    };
    let plan = match needs_purification(&scx, &parsed.statement)? {
        Some(request) => {
            let answer = block_on(request.run(&upstream(), &connection))?;
            plan_purified(&scx, &parsed.statement, &answer, &mut ids)?
        }
        None => plan_statement(&scx, &parsed.statement, &mut ids)?,
    };
    drop(scx);
    c.next = next;
    c.apply(&plan);
    Ok(plan)
}

#[test]
fn sources_with_their_tables() {
    let mut c = Cat::new();
    c.run("CREATE CONNECTION m TO MYSQL (HOST db, USER u)");
    let error = |c: &mut Cat, sql: &str| purified(c, sql).map(|_| ()).unwrap_err().message;
    assert_eq!(
        error(&mut c, "CREATE SOURCE s FROM MYSQL CONNECTION m FOR ALL TABLES"),
        "some columns have types that are not supported"
    );
    assert_eq!(
        error(
            &mut c,
            "CREATE SOURCE s FROM MYSQL CONNECTION m (EXCLUDE COLUMNS (geo.t.shape)) FOR ALL TABLES"
        ),
        "more than one subsource would be named \"t\""
    );
    assert_eq!(
        error(&mut c, "CREATE SOURCE s FROM MYSQL CONNECTION m FOR TABLES (shop.none)"),
        "upstream table \"shop.none\" does not exist"
    );
    assert_eq!(
        error(&mut c, "CREATE SOURCE s FROM MYSQL CONNECTION m FOR TABLES (t)"),
        "upstream table \"t\" must be named as schema.table"
    );
    assert_eq!(
        error(&mut c, "CREATE SOURCE s FROM MYSQL CONNECTION m FOR SCHEMAS (none)"),
        "upstream schema \"none\" does not exist or has no tables that the user may read"
    );
    assert_eq!(
        error(&mut c, "CREATE SOURCE s FROM MYSQL CONNECTION m (TEXT COLUMNS (shop.t.x)) FOR SCHEMAS (shop)"),
        "column \"shop.t.x\" of TEXT COLUMNS is not a column of a selected upstream table"
    );
    assert_eq!(
        error(&mut c, "CREATE SOURCE t FROM MYSQL CONNECTION m FOR SCHEMAS (shop)"),
        "more than one subsource would be named \"t\""
    );
    assert_eq!(c.items.len(), 1);
    purified(
        &mut c,
        "CREATE SOURCE s FROM MYSQL CONNECTION m FOR TABLES (shop.order, shop.t AS other.shop_t)",
    )
    .unwrap();
    assert_eq!(c.items.len(), 5);
    c.check_replanning();
    let order = c.named("order");
    assert_eq!(order.desc().unwrap().typ().keys, [[0]]);
    assert_eq!(c.named("shop_t").name.schema, "other");
    assert_eq!(
        humanize(&order.create_sql, &c),
        "CREATE SUBSOURCE materialize.public.\"order\" OF SOURCE materialize.public.s WITH (EXTERNAL REFERENCE = shop.\"order\")"
    );
    assert_eq!(
        humanize(&c.named("s").create_sql, &c),
        "CREATE SOURCE materialize.public.s IN CLUSTER quickstart FROM MYSQL CONNECTION materialize.public.m \
         FOR TABLES (shop.\"order\", shop.t AS other.shop_t) EXPOSE PROGRESS AS materialize.public.s_progress"
    );
    assert_eq!(
        error(&mut c, "CREATE SOURCE s2 FROM MYSQL CONNECTION m FOR TABLES (shop.order)"),
        "relation \"order\" already exists"
    );
    purified(&mut c, "CREATE SOURCE IF NOT EXISTS s FROM MYSQL CONNECTION m FOR ALL TABLES").unwrap();
    purified(&mut c, "CREATE SOURCE two FROM MYSQL CONNECTION m").unwrap();
    purified(&mut c, "CREATE TABLE x (n) FROM SOURCE two (REFERENCE geo.t) WITH (EXCLUDE COLUMNS (shape))")
        .unwrap();
    assert_eq!(c.named("x").desc().unwrap().names(), ["n"]);
    c.check_replanning();
    assert!(c.error("DROP SOURCE two").starts_with("2BP01"));
    c.run("DROP SOURCE s");
    assert!(c.items.values().all(|i| !i.name.item.starts_with("s_") && i.name.item != "order"));
}

#[test]
fn load_generators() {
    let mut c = Cat::new();
    c.run("CREATE SOURCE g FROM LOAD GENERATOR COUNTER (TICK INTERVAL '500ms')");
    c.check_replanning();
    let g = c.named("g");
    let ItemDefinition::Source(s) = &g.definition else { panic!() };
    assert!(matches!(&s.kind, SourceKind::LoadGenerator { .. }));
    assert_eq!(g.desc().unwrap().names(), ["counter"]);
    assert_eq!(
        c.error("CREATE SOURCE h FROM LOAD GENERATOR COUNTER (SCALE FACTOR 1)"),
        "0A000 LOAD GENERATOR COUNTER option SCALE FACTOR is not supported"
    );
    assert_eq!(
        c.error("CREATE SOURCE h FROM LOAD GENERATOR TPCH"),
        "0A000 LOAD GENERATOR TPCH is not supported"
    );
}

#[test]
fn subscriptions_describe_their_output() {
    let mut c = Cat::new();
    c.run("CREATE TABLE t (a int NOT NULL, b text)");
    let names = |c: &mut Cat, sql: &str| {
        let plan = c.plan(sql).unwrap();
        result_desc(&plan).unwrap().names().join(",")
    };
    assert_eq!(names(&mut c, "SUBSCRIBE t"), "mz_timestamp,mz_diff,a,b");
    assert_eq!(names(&mut c, "SUBSCRIBE t WITH (PROGRESS)"), "mz_timestamp,mz_progressed,mz_diff,a,b");
    assert_eq!(names(&mut c, "SUBSCRIBE t ENVELOPE UPSERT (KEY (b))"), "mz_timestamp,mz_state,b,a");
    assert_eq!(
        names(&mut c, "SUBSCRIBE t ENVELOPE DEBEZIUM (KEY (a))"),
        "mz_timestamp,mz_state,a,before_b,after_b"
    );
    let Plan::Subscribe(s) = c.plan("SUBSCRIBE t WITHIN TIMESTAMP ORDER BY b DESC, mz_diff").unwrap() else {
        panic!()
    };
    let SubscribeOutput::WithinTimestampOrderBy(order) = s.output else { panic!() };
    assert_eq!(order.iter().map(|o| (o.column, o.desc)).collect::<Vec<_>>(), [(3, true), (1, false)]);
    let Plan::Select(s) = c.plan("SELECT * FROM t AS OF 5").unwrap() else { panic!() };
    assert!(matches!(s.when, crate::plan::QueryWhen::AtTimestamp(_)));
}

#[test]
fn parameters_are_described() {
    let c = {
        let mut c = Cat::new();
        c.run("CREATE TABLE t (a int, b text)");
        c
    };
    let session = SessionInfo::default();
    let parsed = parse_one("SELECT a, $2 FROM t WHERE a = $1").unwrap();
    let scx = StatementContext::new(&c, &session, &parsed.extensions).with_params(vec![None; parsed.params]);
    let d = describe(&scx, &parsed.statement).unwrap();
    assert_eq!(d.params, [ScalarType::Int32, ScalarType::String]);
    assert_eq!(d.result.unwrap().arity(), 2);
}

#[test]
fn types_are_stored_by_id() {
    let mut c = Cat::new();
    c.run("CREATE TYPE l AS LIST (ELEMENT TYPE = int4)");
    c.run("CREATE TYPE m AS MAP (KEY TYPE = text, VALUE TYPE = l)");
    c.run("CREATE TABLE t (a l, b m, c int list)");
    c.check_replanning();
    c.run("CREATE VIEW v AS SELECT a, NULL::l AS b FROM t");
    c.run("ALTER TYPE l RENAME TO ll");
    c.check_replanning();
}
