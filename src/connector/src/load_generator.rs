//! Load generators.
//!
//! `COUNTER`: at each tick one row more, `1, 2, 3, …`; with a greatest number of rows the oldest goes. Its state is in its data:
//! after a restart it goes on from the greatest row there.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use hw_plan::source::LoadGenerator;
use hw_protocol::SourceStatus;
use hw_repr::{Datum, Row};

use crate::committer::Committer;
use crate::error::SourceError;
use crate::mysql::gtid::GtidSet;
use crate::runner::SourceContext;

pub(crate) async fn run(
    cx: &mut SourceContext,
    generator: &LoadGenerator,
    mut committer: Committer,
) -> Result<Infallible, SourceError> {
    let LoadGenerator::Counter { tick_ms, max_cardinality } = generator;
    let (mut rows, mut next) = (VecDeque::new(), 1i64);
    let exports = committer.exports().len();
    if let Some(export) = committer.exports().first() {
        let state = committer.persist().state(export.shard).await?;
        if let Some(state) = state.filter(|s| export.active && s.upper > s.since) {
            let mut snapshot = committer.persist().snapshot(export.shard, state.upper - 1).await?;
            while let Some(chunk) = snapshot.next().await {
                for (entry, _, diff) in chunk? {
                    if let (Ok(row), true) = (entry, diff > 0)
                        && let Some(Datum::Int64(v)) = row.iter().next()
                    {
                        rows.push_back(v);
                        next = next.max(v + 1);
                    }
                }
            }
        }
    }
    rows.make_contiguous().sort_unstable();
    for index in 0..exports {
        let shard = committer.exports()[index].shard;
        let builder = committer.persist().batch_builder(shard);
        committer.adopt(index, builder).await?;
    }
    // There is no position, but a commit for the progress shard.
    committer.commit(Some(GtidSet::new())).await?;
    (0..exports).for_each(|i| cx.statistics.hydrated(i));
    cx.status.all(SourceStatus::Running, None, None).await;
    let mut ticks = tokio::time::interval(Duration::from_millis((*tick_ms).max(1)));
    loop {
        ticks.tick().await;
        let pack = |v: i64| Ok(Row::pack_slice(&[Datum::Int64(v)]));
        let mut changes = Vec::new();
        for index in 0..exports {
            changes.push((index, pack(next), 1));
            cx.statistics.received(index, 1, 8);
        }
        rows.push_back(next);
        next += 1;
        while max_cardinality.is_some_and(|max| rows.len() as u64 > max) {
            if let Some(oldest) = rows.pop_front() {
                changes.extend((0..exports).map(|index| (index, pack(oldest), -1)));
            }
        }
        committer.add(changes).await?;
        committer.commit(None).await?;
        cx.statistics.committed();
        cx.statistics.report(false).await;
    }
}
