//! The catalog over its whole life: reopening gives what was committed, a newer server fences an older one, refused transactions
//! leave nothing, and a catalog written by version 1 opens with the current code.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hw_base::clock::NowFn;
use hw_catalog::{Catalog, CatalogConfig, CatalogError, ItemPlanner, Op, ReplicaSizes};
use hw_expr::HirRelationExpr;
use hw_persist::{KvOp, KvStore};
use hw_repr::{ClusterId, GlobalId, RelationDesc, RoleId, SchemaId};
use hw_sql::plan::{ItemDefinition, ObjectId, SecretValue};
use hw_sql::{Catalog as _, PlanError};

/// Takes every item for a secret, and refuses views: no SQL is needed here.
struct Secrets;

impl ItemPlanner for Secrets {
    fn plan_item(
        &self,
        _: &dyn hw_sql::Catalog,
        _: &str,
        _: GlobalId,
    ) -> Result<(ItemDefinition, BTreeSet<GlobalId>), PlanError> {
        Ok((ItemDefinition::Secret, BTreeSet::new()))
    }

    fn plan_builtin_view(
        &self,
        _: &dyn hw_sql::Catalog,
        _: &str,
    ) -> Result<(HirRelationExpr, RelationDesc, BTreeSet<GlobalId>), PlanError> {
        Err(PlanError::unsupported("a view in this test"))
    }
}

const OWNER: RoleId = RoleId::User(1);

async fn open(kv: &KvStore, dir: &Path) -> Result<Catalog, CatalogError> {
    Catalog::open(CatalogConfig {
        kv: kv.clone(),
        data_dir: dir.to_owned(),
        sizes: ReplicaSizes::default(),
        default_cluster_size: "25cc".into(),
        egress_ips: vec!["203.0.113.7/32".into()],
        planner: Arc::new(Secrets),
        now: NowFn::system(),
    })
    .await
}

async fn fill(catalog: &mut Catalog) -> GlobalId {
    let database = catalog.state().database("materialize").unwrap();
    let schema = catalog.state().schema(Some(database), "public").unwrap();
    let id = catalog.allocate_user_id();
    let cluster = catalog.allocate_cluster_id();
    let replica = catalog.allocate_replica_id(false);
    let ops = vec![
        Op::CreateSchema { database, name: "shop".into(), owner: OWNER },
        Op::CreateCluster {
            id: cluster,
            name: "ingest".into(),
            owner: OWNER,
            size: Some("200cc".into()),
            replication_factor: 1,
        },
        Op::CreateReplica { cluster, id: replica, name: "r1".into(), size: "200cc".into(), owner: OWNER },
        Op::CreateItem {
            id,
            schema,
            name: "pass".into(),
            create_sql: "CREATE SECRET".into(),
            definition: ItemDefinition::Secret,
            uses: BTreeSet::new(),
            owner: OWNER,
            temporary: None,
            shard: None,
        },
        Op::SetSecret { id, value: SecretValue(b"hunter2".to_vec()) },
        Op::AlterSystem { name: Some("max_tables".into()), value: Some("7".into()) },
        Op::Comment { object: ObjectId::Item(id), column: None, text: Some("a password".into()) },
    ];
    catalog.transact(ops).await.unwrap();
    id
}

fn check(catalog: &Catalog, id: GlobalId) {
    let state = catalog.state();
    let database = state.database("materialize").unwrap();
    let schema = state.schema(Some(database), "public").unwrap();
    assert_eq!(state.item_by_name(schema, "pass").unwrap().id, id);
    assert!(state.schema(Some(database), "shop").is_some());
    let cluster = state.cluster_by_name("ingest").unwrap();
    assert_eq!(cluster.size.as_deref(), Some("200cc"));
    assert_eq!(cluster.replicas.len(), 1);
    assert_eq!(state.system_parameter("max_tables").as_deref(), Some("7"));
    assert_eq!(state.cluster_by_name("quickstart").unwrap().id, ClusterId::User(1));
}

#[tokio::test]
async fn reopening_gives_what_was_committed() {
    let (kv, dir) = (KvStore::memory(), tempfile::tempdir().unwrap());
    let mut catalog = open(&kv, dir.path()).await.unwrap();
    let id = fill(&mut catalog).await;
    check(&catalog, id);
    let mut before: Vec<_> = catalog.state().pack_all().into_iter().map(|u| (u.id, u.row)).collect();
    let mut again = open(&kv, dir.path()).await.unwrap();
    check(&again, id);
    assert_eq!(again.secret(id).unwrap(), b"hunter2");
    let mut after: Vec<_> = again.state().pack_all().into_iter().map(|u| (u.id, u.row)).collect();
    before.sort();
    after.sort();
    assert_eq!(before, after);
    // Ids go on where they were.
    assert!(again.allocate_user_id() > id);
}

#[tokio::test]
async fn a_newer_server_fences_an_older_one() {
    let (kv, dir) = (KvStore::memory(), tempfile::tempdir().unwrap());
    let mut older = open(&kv, dir.path()).await.unwrap();
    let newer = open(&kv, dir.path()).await.unwrap();
    assert!(newer.epoch() > older.epoch());
    let refused = older.transact(vec![Op::CreateDatabase { name: "d".into(), owner: OWNER }]).await;
    assert!(matches!(refused, Err(CatalogError::Fenced)));
    assert!(older.state().database("d").is_none());
    assert!(open(&kv, dir.path()).await.unwrap().state().database("d").is_none());
}

#[tokio::test]
async fn a_refused_transaction_leaves_nothing() {
    let (kv, dir) = (KvStore::memory(), tempfile::tempdir().unwrap());
    let mut catalog = open(&kv, dir.path()).await.unwrap();
    let revision = catalog.state().revision();
    let ops = vec![
        Op::CreateDatabase { name: "fresh".into(), owner: OWNER },
        Op::CreateDatabase { name: "materialize".into(), owner: OWNER },
    ];
    let refused = catalog.transact(ops).await.unwrap_err();
    assert_eq!(
        (refused.sqlstate(), refused.to_string().as_str()),
        ("42P04", "database \"materialize\" already exists")
    );
    assert!(catalog.state().database("fresh").is_none());
    assert_eq!(catalog.state().revision(), revision);
}

#[tokio::test]
async fn drops_name_what_is_in_the_way() {
    let (kv, dir) = (KvStore::memory(), tempfile::tempdir().unwrap());
    let mut catalog = open(&kv, dir.path()).await.unwrap();
    fill(&mut catalog).await;
    let state = catalog.state();
    let database = state.database("materialize").unwrap();
    let schema = ObjectId::Schema(state.schema(Some(database), "public").unwrap());
    let refused = state.drop_closure(&[schema], false).unwrap_err();
    assert_eq!(refused.sqlstate(), "2BP01");
    assert!(refused.detail().unwrap().contains("secret \"pass\""));
    let all = state.drop_closure(&[schema], true).unwrap();
    assert_eq!(all.last(), Some(&schema));
    catalog.transact(vec![Op::DropObjects(all)]).await.unwrap();
    assert!(catalog.state().schema(Some(database), "public").is_none());
}

/// A secret that refers to others.
fn secret(id: GlobalId, schema: SchemaId, name: &str, uses: &[GlobalId]) -> Op {
    Op::CreateItem {
        id,
        schema,
        name: name.into(),
        create_sql: "CREATE SECRET".into(),
        definition: ItemDefinition::Secret,
        uses: uses.iter().copied().collect(),
        owner: OWNER,
        temporary: None,
        shard: None,
    }
}

#[tokio::test]
async fn open_transactions_are_seen_when_they_commit() {
    let (kv, dir) = (KvStore::memory(), tempfile::tempdir().unwrap());
    let mut catalog = open(&kv, dir.path()).await.unwrap();
    let database = catalog.state().database("materialize").unwrap();
    let mut one = catalog.begin();
    let schema_op = |name: &str| Op::CreateSchema { database, name: name.into(), owner: OWNER };
    catalog.extend(&mut one, vec![schema_op("a")]).unwrap();
    let a = one.state().schema(Some(database), "a").unwrap();
    // Another transaction commits between its steps; a step that fails leaves the ones before.
    catalog.transact(vec![schema_op("b")]).await.unwrap();
    assert_eq!(
        catalog.extend(&mut one, vec![schema_op("c"), schema_op("b")]).unwrap_err().sqlstate(),
        "42P06"
    );
    let id = catalog.allocate_user_id();
    catalog.extend(&mut one, vec![secret(id, a, "s", &[])]).unwrap();
    let seen = one.state();
    assert_eq!(seen.item_by_name(a, "s").unwrap().id, id);
    assert!(seen.schema(Some(database), "b").is_some() && seen.schema(Some(database), "c").is_none());
    assert!(catalog.state().item(id).is_none());
    catalog.transact(vec![schema_op("d")]).await.unwrap();
    let oid = seen.item(id).unwrap().oid;
    let updates = catalog.commit(one).await.unwrap();
    assert!(!updates.is_empty());
    // Ids are those that its own steps have seen, and nobody else's.
    let state = catalog.state();
    assert_eq!((state.schema(Some(database), "a"), state.item(id).unwrap().oid), (Some(a), oid));
    let ids: BTreeSet<_> = ["a", "b", "d"].iter().map(|n| state.schema(Some(database), n).unwrap()).collect();
    assert_eq!(ids.len(), 3);
    let again = open(&kv, dir.path()).await.unwrap();
    assert_eq!(again.state().schema(Some(database), "a"), Some(a));
    assert_eq!(again.state().item(id).unwrap().schema_id, a);
}

#[tokio::test]
async fn nothing_refers_to_what_has_gone() {
    let (kv, dir) = (KvStore::memory(), tempfile::tempdir().unwrap());
    let mut catalog = open(&kv, dir.path()).await.unwrap();
    let base = fill(&mut catalog).await;
    let database = catalog.state().database("materialize").unwrap();
    let schema = catalog.state().schema(Some(database), "public").unwrap();
    let ids: Vec<GlobalId> = (0..3).map(|_| catalog.allocate_user_id()).collect();
    catalog.transact(vec![secret(ids[0], schema, "old", &[])]).await.unwrap();
    // What is referred to goes first.
    let mut one = catalog.begin();
    catalog.extend(&mut one, vec![secret(ids[1], schema, "new", &[ids[0]])]).unwrap();
    catalog.transact(vec![Op::DropObjects(vec![ObjectId::Item(ids[0])])]).await.unwrap();
    assert_eq!(catalog.commit(one).await.unwrap_err().sqlstate(), "40001");
    // Something comes to refer to what goes.
    let mut one = catalog.begin();
    catalog.extend(&mut one, vec![Op::DropObjects(vec![ObjectId::Item(base)])]).unwrap();
    catalog.transact(vec![secret(ids[2], schema, "on", &[base])]).await.unwrap();
    assert_eq!(catalog.commit(one).await.unwrap_err().sqlstate(), "2BP01");
    assert!(catalog.state().item(base).is_some() && catalog.state().item(ids[1]).is_none());
    // In one transaction both may go.
    let both = vec![ObjectId::Item(base), ObjectId::Item(ids[2])];
    catalog.transact(vec![Op::DropObjects(both)]).await.unwrap();
    // Something is made in a schema that goes, and on a cluster.
    let shop = catalog.state().schema(Some(database), "shop").unwrap();
    let mut one = catalog.begin();
    catalog.extend(&mut one, vec![Op::DropObjects(vec![ObjectId::Schema(shop)])]).unwrap();
    catalog.transact(vec![secret(ids[1], shop, "late", &[])]).await.unwrap();
    assert_eq!(catalog.commit(one).await.unwrap_err().sqlstate(), "2BP01");
    // A cluster's replicas go with it, for good.
    let cluster = catalog.state().cluster_by_name("ingest").unwrap().id;
    let updates = catalog.transact(vec![Op::DropObjects(vec![ObjectId::Cluster(cluster)])]).await.unwrap();
    assert!(updates.iter().filter(|u| u.diff == -1).count() >= 2, "{updates:?}");
    let mut rows: Vec<_> = catalog.state().pack_all().into_iter().map(|u| (u.id, u.row)).collect();
    let again = open(&kv, dir.path()).await.unwrap();
    let mut after: Vec<_> = again.state().pack_all().into_iter().map(|u| (u.id, u.row)).collect();
    rows.sort();
    after.sort();
    assert_eq!(rows, after);
}

#[tokio::test]
async fn temporary_items_leave_only_shards_to_clear_away() {
    let (kv, dir) = (KvStore::memory(), tempfile::tempdir().unwrap());
    let mut catalog = open(&kv, dir.path()).await.unwrap();
    let (id, shard) = (catalog.allocate_user_id(), uuid::Uuid::new_v4());
    let temp = catalog.state().schema(None, "mz_temp").unwrap();
    let mut op = secret(id, temp, "t", &[]);
    if let Op::CreateItem { temporary, shard: of, .. } = &mut op {
        (*temporary, *of) = (Some(7), Some(shard));
    }
    let comment = Op::Comment { object: ObjectId::Item(id), column: None, text: Some("x".into()) };
    catalog
        .transact(vec![op, comment, Op::Rename { object: ObjectId::Item(id), to: "u".into() }])
        .await
        .unwrap();
    let session = |catalog: &Catalog, conn| hw_catalog::SessionCatalog::new(catalog.state(), conn);
    assert_eq!(session(&catalog, 7).item_by_name(temp, "u").unwrap().id, id);
    assert!(session(&catalog, 7).item_by_name(temp, "t").is_none());
    assert!(session(&catalog, 8).item_by_name(temp, "u").is_none());
    assert_eq!(catalog.state().temporary_items(7), [id]);
    assert!(catalog.state().unfinalized_shards().is_empty(), "it is in use");
    // A crash.
    let again = open(&kv, dir.path()).await.unwrap();
    assert!(again.state().item(id).is_none());
    assert_eq!(again.state().unfinalized_shards(), [shard]);
    assert!(kv.get_all(b"comment/").await.unwrap().is_empty());
}

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../catalog-migrations/v1/fixture.txt")
}

/// The fixture is frozen: one line for each key, `key value` in hexadecimal. It was written by version 1 through `fill` above, with the
/// secret key below. `HEADWATER_WRITE_FIXTURE=1` writes one for a new version.
#[tokio::test]
async fn a_catalog_of_version_1_opens() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("secret.key"), "11".repeat(32)).unwrap();
    if std::env::var("HEADWATER_WRITE_FIXTURE").is_ok() {
        let kv = KvStore::memory();
        let mut catalog = open(&kv, dir.path()).await.unwrap();
        fill(&mut catalog).await;
        let lines = kv.get_all(b"").await.unwrap().into_iter();
        let lines: Vec<String> =
            lines.map(|(k, v)| format!("{} {}", hex::encode(k), hex::encode(v))).collect();
        std::fs::write(fixture(), lines.join("\n") + "\n").unwrap();
    }
    let kv = KvStore::memory();
    let text = std::fs::read_to_string(fixture()).unwrap();
    let ops = text.lines().map(|line| {
        let (key, value) = line.split_once(' ').unwrap();
        KvOp::Put { key: hex::decode(key).unwrap(), value: hex::decode(value).unwrap() }
    });
    kv.write(ops.collect()).await.unwrap();
    let catalog = open(&kv, dir.path()).await.unwrap();
    check(&catalog, GlobalId::User(1));
    assert_eq!(catalog.secret(GlobalId::User(1)).unwrap(), b"hunter2");
}
