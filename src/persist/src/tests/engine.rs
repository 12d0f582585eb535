//! Single properties of the engine.

use std::sync::Arc;

use uuid::Uuid;

use super::*;
use crate::backend::{AppendRequest, Backend};
use crate::storage::memory::{MemoryBlob, MemoryConsensus};
use crate::storage::{Blob, Consensus};
use crate::{KvOp, KvStore, ListenEvent, PersistServer};

struct Bed {
    blob: Arc<MemoryBlob>,
    consensus: Arc<MemoryConsensus>,
    server: PersistServer,
    client: PersistClient,
}

async fn bed() -> Bed {
    let (blob, consensus) = (Arc::new(MemoryBlob::default()), Arc::new(MemoryConsensus::default()));
    let server =
        PersistServer::on_storage(blob.clone(), consensus.clone(), KvStore::memory(), small()).await.unwrap();
    let client = server.client();
    Bed { blob, consensus, server, client }
}

#[tokio::test]
async fn a_race_is_an_outcome_and_commits_nothing() {
    let bed = bed().await;
    let (a, b) = (shard(&bed.client).await, shard(&bed.client).await);
    assert_eq!(append(&bed.client, a, &[(1, 0, 1)], 0, 5).await, Ok(AppendOutcome::Committed));
    let mut one = bed.client.batch_builder(a);
    one.add(row(2), 0, 1).await.unwrap();
    let mut two = bed.client.batch_builder(b);
    two.add(row(2), 0, 1).await.unwrap();
    let appends =
        vec![Append::new(two.finish(0, 9).await.unwrap()), Append::new(one.finish(0, 9).await.unwrap())];
    let outcome = bed.client.append(appends).await;
    assert_eq!(outcome, Ok(AppendOutcome::UpperMismatch { shard: a, current: 5 }));
    assert_eq!(bed.client.state(b).await.unwrap().unwrap().upper, 0);
    assert_eq!(contents(&bed.client, a, 4).await.unwrap(), rows([(1, 1)], 4));
}

#[tokio::test]
async fn an_old_epoch_is_fenced() {
    let bed = bed().await;
    let a = shard(&bed.client).await;
    let empty = async |lower, epoch| {
        let batch = bed.client.batch_builder(a).finish(lower, lower + 1).await.unwrap();
        bed.client.append(vec![Append::new(batch).with_epoch(epoch)]).await.unwrap()
    };
    assert_eq!(empty(0, 3).await, AppendOutcome::Committed);
    assert_eq!(empty(1, 2).await, AppendOutcome::Fenced { shard: a, epoch: 3 });
    assert_eq!(empty(1, 3).await, AppendOutcome::Committed);
    assert_eq!(bed.client.state(a).await.unwrap().unwrap().epoch, 3);
}

#[tokio::test]
async fn a_token_commits_once_even_across_a_restart() {
    let bed = bed().await;
    let a = shard(&bed.client).await;
    let token = Uuid::new_v4();
    let request = AppendRequest {
        shard: a,
        lower: 0,
        upper: 1,
        epoch: None,
        parts: Vec::new(),
        inline: crate::part::inline::encode(&[(row(1), 0, 1)]),
    };
    for _ in 0..2 {
        let outcome = bed.server.engine.append(token, vec![request.clone()]).await;
        assert_eq!(outcome, Ok(AppendOutcome::Committed));
    }
    let server =
        PersistServer::on_storage(bed.blob.clone(), bed.consensus.clone(), KvStore::memory(), small())
            .await
            .unwrap();
    assert_eq!(server.engine.append(token, vec![request.clone()]).await, Ok(AppendOutcome::Committed));
    let other = server.engine.append(Uuid::new_v4(), vec![request]).await;
    assert_eq!(other, Ok(AppendOutcome::UpperMismatch { shard: a, current: 1 }));
    assert_eq!(contents(&server.client(), a, 0).await.unwrap(), rows([(1, 1)], 0));
}

#[tokio::test]
async fn updates_outside_their_batch_are_refused() {
    let bed = bed().await;
    let a = shard(&bed.client).await;
    assert!(matches!(append(&bed.client, a, &[(1, 5, 1)], 0, 5).await, Err(PersistError::Invalid(_))));
    assert_eq!(bed.client.state(a).await.unwrap().unwrap().upper, 0);
    assert_eq!(bed.client.state(ShardId::new()).await, Ok(None));
}

#[tokio::test]
async fn leases_hold_since_and_let_it_go() {
    let bed = bed().await;
    let a = shard(&bed.client).await;
    append(&bed.client, a, &[(1, 0, 1), (1, 7, -1)], 0, 20).await.unwrap();
    let since = async || bed.client.state(a).await.unwrap().unwrap().since;
    let mut lease = bed.client.open_lease(a, 3).await.unwrap();
    bed.client.allow_compaction(vec![(a, 10)]).await.unwrap();
    assert_eq!(since().await, 3);
    lease.downgrade(6);
    assert_eq!(since().await, 6);
    assert_eq!(contents(&bed.client, a, 6).await.unwrap(), rows([(1, 1)], 6));
    drop(lease);
    assert_eq!(since().await, 10);
    let refused = bed.client.open_lease(a, 9).await.map(|_| ());
    assert_eq!(refused, Err(PersistError::SinceTooHigh { shard: a, requested: 9, since: 10 }));
    assert!(contents(&bed.client, a, 9).await.is_err());
    assert_eq!(contents(&bed.client, a, 10).await.unwrap(), vec![]);
}

#[tokio::test]
async fn a_snapshot_waits_for_its_time() {
    let bed = bed().await;
    let a = shard(&bed.client).await;
    let client = bed.client.clone();
    let waiting = tokio::spawn(async move { contents(&client, a, 5).await });
    append(&bed.client, a, &[(1, 0, 1)], 0, 5).await.unwrap();
    assert!(!waiting.is_finished());
    append(&bed.client, a, &[(2, 5, 1), (3, 6, 1)], 5, 7).await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap(), rows([(1, 1), (2, 1)], 5));
}

#[tokio::test]
async fn a_listen_sees_what_is_after_and_the_end() {
    let bed = bed().await;
    let a = shard(&bed.client).await;
    append(&bed.client, a, &[(1, 0, 1), (2, 3, 1)], 0, 5).await.unwrap();
    let mut listen = bed.client.listen(a, 2).await.unwrap();
    assert_eq!(listen.next().await.unwrap(), ListenEvent::Updates(rows([(2, 1)], 3)));
    assert_eq!(listen.next().await.unwrap(), ListenEvent::Progress(5));
    append(&bed.client, a, &[], 5, 6).await.unwrap();
    assert_eq!(listen.next().await.unwrap(), ListenEvent::Progress(6));
    append(&bed.client, a, &[(9, 8, 1)], 6, Timestamp::MAX).await.unwrap();
    assert_eq!(listen.next().await.unwrap(), ListenEvent::Updates(rows([(9, 1)], 8)));
    assert_eq!(listen.next().await.unwrap(), ListenEvent::Progress(Timestamp::MAX));
    assert_eq!(bed.client.wait_upper_past(a, 1 << 60).await, Ok(Timestamp::MAX));
}

#[tokio::test]
async fn compaction_keeps_state_small_and_deletes_parts_only_after_their_readers() {
    let bed = bed().await;
    let a = shard(&bed.client).await;
    // The counters go up by one each tick: all but the last rows cancel out.
    let tick = async |t: u64| {
        let updates: Vec<_> =
            (0..40).flat_map(|k| [(1000 * k + t as i64, t, 1), (1000 * k + t as i64 - 1, t, -1)]).collect();
        let updates = if t == 0 { updates.into_iter().filter(|u| u.2 > 0).collect() } else { updates };
        assert_eq!(append(&bed.client, a, &updates, t, t + 1).await, Ok(AppendOutcome::Committed));
    };
    tick(0).await;
    let mut reader = bed.client.snapshot(a, 0).await.unwrap();
    for t in 1..120 {
        tick(t).await;
        bed.client.allow_compaction(vec![(a, t)]).await.unwrap();
    }
    until("compaction", async || {
        let stored = bed.consensus.load(a).await.unwrap().unwrap();
        stored.entries.len() <= 12 && bed.blob.list().await.unwrap().len() < 60
    })
    .await;
    assert_eq!(contents(&bed.client, a, 119).await.unwrap(), rows((0..40).map(|k| (1000 * k + 119, 1)), 119));
    let mut seen = Vec::new();
    while let Some(chunk) = reader.next().await {
        seen.extend(chunk.unwrap());
    }
    crate::part::consolidate(&mut seen);
    assert_eq!(seen, rows((0..40).map(|k| (1000 * k, 1)), 0));
    drop(reader);

    bed.client.finalize(vec![a, ShardId::new()]).await.unwrap();
    assert_eq!(bed.client.state(a).await, Ok(None));
    until("reclaim", async || bed.blob.list().await.unwrap().is_empty()).await;
}

#[tokio::test]
async fn parts_of_lost_races_and_of_dropped_builders_are_deleted() {
    let bed = bed().await;
    let a = shard(&bed.client).await;
    let many: Vec<_> = (0..500).map(|n| (n, 0, 1)).collect();
    assert_eq!(
        append(&bed.client, a, &many, 1, 2).await,
        Err(PersistError::Invalid("updates at times 0 to 0 in a batch of [1, 2)".into()))
    );
    append(&bed.client, a, &[], 0, 1).await.unwrap();
    assert!(matches!(append(&bed.client, a, &many, 0, 2).await, Ok(AppendOutcome::UpperMismatch { .. })));
    until("parts to be deleted", async || bed.blob.list().await.unwrap().is_empty()).await;

    // What a crash leaves staged is deleted by the next start.
    bed.blob.put(a, crate::PartId::new(), "rest".into()).await.unwrap();
    PersistServer::on_storage(bed.blob.clone(), bed.consensus.clone(), KvStore::memory(), small())
        .await
        .unwrap();
    assert_eq!(bed.blob.list().await.unwrap(), vec![]);
}

#[tokio::test]
async fn key_value_stores_agree() {
    let dir = tempfile::tempdir().unwrap();
    let rocks = PersistServer::open(dir.path(), small(), &Default::default()).await.unwrap();
    for kv in [KvStore::memory(), rocks.kv()] {
        let put = |key: &str, value: &str| KvOp::Put { key: key.into(), value: value.into() };
        kv.write(vec![put("a/1", "one"), put("a/2", "two"), put("b/1", "three")]).await.unwrap();
        kv.write(vec![KvOp::Delete { key: "a/1".into() }, put("a/3", "four")]).await.unwrap();
        let expected: Vec<(Vec<u8>, Vec<u8>)> =
            vec![("a/2".into(), "two".into()), ("a/3".into(), "four".into())];
        assert_eq!(kv.get_all(b"a/").await.unwrap(), expected);
        let is = |key: &str, value: Option<&str>| vec![(key.into(), value.map(Into::into))];
        assert!(!kv.compare_and_write(is("a/2", Some("no")), vec![put("a/2", "x")]).await.unwrap());
        assert!(!kv.compare_and_write(is("a/2", None), vec![put("a/2", "x")]).await.unwrap());
        assert!(kv.compare_and_write(is("a/2", Some("two")), vec![put("a/2", "y")]).await.unwrap());
        assert!(kv.compare_and_write(is("c", None), vec![put("c", "z")]).await.unwrap());
        assert_eq!(kv.get_all(b"").await.unwrap().len(), 4);
    }
}
