//! The same API over gRPC, with servers that go and come back.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::UnixListener;

use super::*;
use crate::storage::memory::{MemoryBlob, MemoryConsensus};
use crate::storage::{Blob, Consensus};
use crate::{ClientConfig, KvStore, ListenEvent, PersistServer, serve};

/// Storage that outlives its servers.
struct Bed {
    blob: Arc<MemoryBlob>,
    consensus: Arc<MemoryConsensus>,
    dir: tempfile::TempDir,
    config: PersistConfig,
}

/// A server in a runtime of its own, which dies with all its tasks and connections when this is dropped.
struct Running {
    server: PersistServer,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }
}

impl Bed {
    fn new() -> Bed {
        let config = PersistConfig { session_expiry: Duration::from_secs(2), ..small() };
        Bed { blob: Arc::default(), consensus: Arc::default(), dir: tempfile::tempdir().unwrap(), config }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("persist.sock")
    }

    async fn start(&self) -> Running {
        let (blob, consensus): (Arc<dyn Blob>, Arc<dyn Consensus>) =
            (self.blob.clone(), self.consensus.clone());
        let (path, config) = (self.path(), self.config.clone());
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let started = runtime.spawn(async move {
            let server = PersistServer::on_storage(blob, consensus, KvStore::memory(), config).await.unwrap();
            let _none = std::fs::remove_file(&path);
            let listener = UnixListener::bind(&path).unwrap();
            tokio::spawn(serve(server.clone(), listener));
            server
        });
        Running { server: started.await.unwrap(), runtime: Some(runtime) }
    }
}

fn connect(path: &Path) -> PersistClient {
    let config = ClientConfig {
        heartbeat: Duration::from_millis(50),
        part_target_bytes: small().part_target_bytes,
        inline_limit_bytes: small().inline_limit_bytes,
        ..Default::default()
    };
    PersistClient::connect_unix_with(path, config)
}

#[tokio::test]
async fn all_operations_work_over_grpc() {
    let bed = Bed::new();
    let running = bed.start().await;
    let client = connect(&bed.path());
    let a = shard(&client).await;
    let many: Vec<_> = (0..2000).map(|n| (n, 0, 1)).collect();
    assert_eq!(append(&client, a, &many, 0, 1).await, Ok(AppendOutcome::Committed));
    assert!(!bed.blob.list().await.unwrap().is_empty());
    assert_eq!(
        append(&client, a, &many, 0, 1).await,
        Ok(AppendOutcome::UpperMismatch { shard: a, current: 1 })
    );
    assert_eq!(contents(&client, a, 0).await.unwrap(), rows((0..2000).map(|n| (n, 1)), 0));
    assert_eq!(client.state(a).await, running.server.client().state(a).await);

    let mut listen = client.listen(a, 0).await.unwrap();
    let waiting = {
        let client = client.clone();
        tokio::spawn(async move { client.wait_upper_past(a, 3).await })
    };
    append(&client, a, &[(5, 2, -1)], 1, 4).await.unwrap();
    assert_eq!(listen.next().await.unwrap(), ListenEvent::Updates(rows([(5, -1)], 2)));
    assert_eq!(listen.next().await.unwrap(), ListenEvent::Progress(4));
    assert_eq!(waiting.await.unwrap(), Ok(4));
    drop(listen);

    let lease = client.open_lease(a, 1).await.unwrap();
    client.allow_compaction(vec![(a, 3)]).await.unwrap();
    assert_eq!(client.state(a).await.unwrap().unwrap().since, 1);
    drop(lease);
    until("the lease to be given up", async || client.state(a).await.unwrap().unwrap().since == 3).await;
    let refused = client.snapshot(a, 2).await.map(|_| ());
    assert_eq!(refused, Err(PersistError::SinceTooHigh { shard: a, requested: 2, since: 3 }));

    client.finalize(vec![a]).await.unwrap();
    assert_eq!(client.state(a).await, Ok(None));
    assert_eq!(client.wait_upper_past(a, 0).await, Err(PersistError::UnknownShard(a)));
    until("reclaim", async || bed.blob.list().await.unwrap().is_empty()).await;
}

#[tokio::test]
async fn a_large_part_travels_in_frames() {
    let bed =
        Bed { config: PersistConfig { part_target_bytes: 64 << 20, ..Bed::new().config }, ..Bed::new() };
    let _running = bed.start().await;
    let config = ClientConfig { part_target_bytes: 64 << 20, ..Default::default() };
    let client = PersistClient::connect_unix_with(bed.path(), config);
    let a = shard(&client).await;
    // Rows that do not compress.
    let entries: Vec<Entry> = (0..20_000u64)
        .map(|n| {
            let bytes: Vec<u8> = (0..25u64)
                .flat_map(|i| (n * 25 + i).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes())
                .collect();
            Ok(Row::pack_slice(&[hw_repr::Datum::Bytes(&bytes)]))
        })
        .collect();
    let mut builder = client.batch_builder(a);
    for entry in &entries {
        builder.add(entry.clone(), 0, 1).await.unwrap();
    }
    client.append(vec![Append::new(builder.finish(0, 1).await.unwrap())]).await.unwrap();
    let mut expected: Vec<Update> = entries.into_iter().map(|e| (e, 0, 1)).collect();
    crate::part::consolidate(&mut expected);
    assert!(contents(&client, a, 0).await.unwrap() == expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listens_leases_and_appends_outlive_a_restart_of_the_server() {
    let bed = Bed::new();
    let mut running = bed.start().await;
    let client = connect(&bed.path());
    let a = shard(&client).await;
    let mut listen = client.listen(a, 0).await.unwrap();
    let lease = client.open_lease(a, 1).await.unwrap();
    let writer = {
        let client = client.clone();
        tokio::spawn(async move {
            for t in 0..300u64 {
                let outcome = append(&client, a, &[(t as i64, t, 1)], t, t + 1).await;
                assert_eq!(outcome, Ok(AppendOutcome::Committed), "at {t}");
                if t > 0 {
                    client.allow_compaction(vec![(a, t)]).await.unwrap();
                }
            }
        })
    };
    for upper in [50, 100, 200] {
        client.wait_upper_past(a, upper).await.unwrap();
        drop(running);
        running = bed.start().await;
    }
    writer.await.unwrap();
    let mut seen = Vec::new();
    while listen.frontier() < 300 {
        if let ListenEvent::Updates(updates) = listen.next().await.unwrap() {
            seen.extend(updates);
        }
    }
    // A listen that catches up may find several commits in one compacted batch, in the order of their rows.
    seen.sort_by_key(|u| u.1);
    let expected: Vec<Update> = (1..300).map(|t| (row(t), t as u64, 1)).collect();
    assert_eq!(seen, expected);
    // Since stands still for a while after the restart; then the lease alone holds it.
    until("since to reach the lease", async || client.state(a).await.unwrap().unwrap().since == 1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(client.state(a).await.unwrap().unwrap().since, 1);
    assert!(!lease.is_lost());
    drop((lease, listen));
    until("since to follow", async || client.state(a).await.unwrap().unwrap().since == 299).await;
    assert_eq!(contents(&client, a, 299).await.unwrap(), rows((0..300).map(|n| (n, 1)), 299));
    drop(running);
}

#[tokio::test]
async fn a_dead_client_loses_its_lease_and_its_staged_parts() {
    let bed = Bed::new();
    let _running = bed.start().await;
    let client = connect(&bed.path());
    let a = shard(&client).await;
    append(&client, a, &[], 0, 10).await.unwrap();
    // A client whose heartbeats do not come in time.
    let config = ClientConfig { heartbeat: Duration::from_secs(3600), ..Default::default() };
    let dead = PersistClient::connect_unix_with(bed.path(), config);
    let lease = dead.open_lease(a, 2).await.unwrap();
    let mut builder = dead.batch_builder(a);
    for n in 0..100_000 {
        builder.add(row(n), 10, 1).await.unwrap();
    }
    let batch = builder.finish(10, 11).await.unwrap();
    assert!(!bed.blob.list().await.unwrap().is_empty());
    client.allow_compaction(vec![(a, 5)]).await.unwrap();
    assert_eq!(client.state(a).await.unwrap().unwrap().since, 2);
    until("expiry", async || client.state(a).await.unwrap().unwrap().since == 5).await;
    until("parts to be deleted", async || bed.blob.list().await.unwrap().is_empty()).await;
    assert_eq!(dead.append(vec![Append::new(batch)]).await, Err(PersistError::PartsLost(a)));
    drop(lease);
}
