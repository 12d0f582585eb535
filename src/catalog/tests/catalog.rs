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
use hw_repr::{ClusterId, GlobalId, RelationDesc, RoleId};
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
