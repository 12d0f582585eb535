//! Tests of the whole crate: against a model, over gRPC, with faults and crashes.
#![allow(clippy::unwrap_used)]

mod crash;
mod engine;
mod model;
mod remote;

use std::time::Duration;

use hw_repr::{Datum, Diff, RelationDesc, Row, Timestamp};

use crate::{Append, AppendOutcome, Entry, PersistClient, PersistConfig, PersistError, ShardId, Update};

/// Small sizes, so that little data makes parts and compactions.
fn small() -> PersistConfig {
    PersistConfig {
        part_target_bytes: 2 << 10,
        inline_limit_bytes: 256,
        inline_batches_max: 4,
        compaction_fan_in: 4,
        session_expiry: Duration::ZERO,
        rocksdb_memory_bytes: 16 << 20,
    }
}

fn row(n: i64) -> Entry {
    Ok(Row::pack_slice(&[Datum::Int64(n), Datum::String("some text")]))
}

async fn append(
    client: &PersistClient,
    shard: ShardId,
    updates: &[(i64, Timestamp, Diff)],
    lower: Timestamp,
    upper: Timestamp,
) -> Result<AppendOutcome, PersistError> {
    let mut builder = client.batch_builder(shard);
    for (n, ts, diff) in updates {
        builder.add(row(*n), *ts, *diff).await?;
    }
    client.append(vec![Append::new(builder.finish(lower, upper).await?)]).await
}

async fn shard(client: &PersistClient) -> ShardId {
    let shard = ShardId::new();
    client.ensure_shard(shard, &RelationDesc::empty(), 0).await.unwrap();
    shard
}

async fn contents(
    client: &PersistClient,
    shard: ShardId,
    as_of: Timestamp,
) -> Result<Vec<Update>, PersistError> {
    client.snapshot(shard, as_of).await?.collect().await
}

fn rows(numbers: impl IntoIterator<Item = (i64, Diff)>, ts: Timestamp) -> Vec<Update> {
    let mut out = numbers.into_iter().map(|(n, diff)| (row(n), ts, diff)).collect();
    crate::part::consolidate(&mut out);
    out
}

/// Waits for a condition that background work will bring about.
async fn until(what: &str, mut met: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while !met().await {
        assert!(tokio::time::Instant::now() < deadline, "waited too long: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
