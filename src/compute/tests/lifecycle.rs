//! What happens to dataflows in the course of time: import, compaction, drop, errors, materialized views with several
//! writers and restarts, subscribes, peeks of all kinds, new connections.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod support;

use std::time::{Duration, Instant};

use hw_expr::{EvalError, Id, MapFilterProject, RowSetFinishing};
use hw_persist::{Append, PersistClient, ShardId};
use hw_plan::lir::*;
use hw_plan::peek::PeekResponse;
use hw_plan::{DataflowDescription, DataflowExport, ExportKind, IndexImport, Lir, PeekTarget};
use hw_protocol::Command;
use hw_protocol::command::ReplicaConfiguration;
use hw_repr::{ColumnOrder, GlobalId, RelationDesc, RelationType, ScalarType, Timestamp};
use support::*;
use uuid::Uuid;

const A: GlobalId = GlobalId::User(1);
const VIEW: GlobalId = GlobalId::User(10);
const INDEX: GlobalId = GlobalId::User(11);
const MV: GlobalId = GlobalId::User(20);
const T1: GlobalId = GlobalId::Transient(1);
const T2: GlobalId = GlobalId::Transient(2);

fn get(id: GlobalId) -> Lir {
    Lir::Get { id: Id::Global(id), access: GetAccess::PassThrough }
}

async fn table() -> Tables {
    Tables::new(&[(A, ints(&["a", "b"]))]).await
}

/// An index on the table by its first column.
fn indexed(tables: &Tables, as_of: Timestamp) -> DataflowDescription {
    let mut d = tables.dataflow("index", as_of, (VIEW, get(A)));
    export_index(&mut d, INDEX, VIEW, &[0], 2);
    d
}

/// Counts by the first column, read from the index.
fn counts(as_of: Timestamp, until: Option<Timestamp>) -> DataflowDescription {
    let mut d = DataflowDescription::new("counts");
    d.as_of = as_of;
    d.until = until;
    let typ = RelationType::new(vec![ScalarType::Int64.nullable(true); 2]);
    d.index_imports.insert(INDEX, IndexImport { on_id: VIEW, key: cols(&[0]), typ, monotonic: false });
    let plan = ReducePlan::Accumulable(AccumulablePlan {
        simple: vec![(0, agg("count", col(1)))],
        distinct: vec![],
    });
    let input = Lir::Get {
        id: Id::Global(VIEW),
        access: GetAccess::Arrangement(cols(&[0]), None, mfp(MapFilterProject::new(2))),
    };
    let reduce = Lir::Reduce {
        input: Box::new(input),
        input_arity: 2,
        key: cols(&[0]),
        plan,
        expected_group_size: None,
    };
    d.objects.push((T1, reduce));
    export_index(&mut d, T2, T1, &[0], 2);
    d
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn indexes_are_imported_compacted_and_dropped() {
    let mut tables = table().await;
    for t in 0..5 {
        tables.commit(t, vec![(A, row(&[t as i64 % 2, t as i64]), 1)]).await;
    }
    let mut instance = Instance::new(2, &tables.persist);
    instance.create(indexed(&tables, 1)).await;
    instance.wait_frontier(INDEX, 4).await;
    instance.send(Command::AllowCompaction(INDEX, 3)).await;
    for t in 5..300 {
        tables.commit(t, vec![(A, row(&[t as i64 % 2, t as i64]), 1)]).await;
    }
    // A one-off dataflow on the index, many times.
    for t in (4..300).step_by(37) {
        instance.create(counts(t, Some(t + 1))).await;
        let found = instance.rows(Instance::peek_of(T2, &[0], 2, t)).await;
        let t = t as i64;
        let expected: Rows = [(row(&[0, t / 2 + 1]), 1), (row(&[1, (t + 1) / 2]), 1)].into();
        assert_eq!(found, expected);
        instance.send(Command::AllowCompaction(T2, Timestamp::MAX)).await;
    }
    // They leave nothing behind.
    for left in (0..100).rev() {
        if instance.metrics.render().contains("hw_compute_dataflows 1\n") {
            break;
        }
        assert!(left > 0, "{}", instance.metrics.render());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let early = instance.peek(Instance::peek_of(INDEX, &[0], 2, 2)).await;
    assert!(matches!(early, PeekResponse::Error(e) if e.to_string().contains("its since is 3")));
    // An index that is dropped stays for those who read it.
    instance.create(counts(299, None)).await;
    instance.send(Command::AllowCompaction(INDEX, Timestamp::MAX)).await;
    tables.commit(300, vec![(A, row(&[7, 7]), 1)]).await;
    let found = instance.rows(Instance::peek_of(T2, &[0], 2, 300)).await;
    assert_eq!(found.get(&row(&[7, 1])), Some(&1));
    let gone = instance.peek(Instance::peek_of(INDEX, &[0], 2, 300)).await;
    assert!(matches!(gone, PeekResponse::Error(_)));
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_come_and_go_with_their_rows() {
    let mut tables = table().await;
    tables.commit(0, vec![(A, row(&[1, 2]), 1)]).await;
    let mut instance = Instance::new(2, &tables.persist);
    let plan = MapFilterProject::new(2).map([op("/", col(0), col(1))]);
    let object = Lir::Mfp { input: Box::new(get(A)), input_key: None, input_arity: 2, mfp: mfp(plan) };
    let mut d = tables.dataflow("division", 0, (T1, object));
    export_index(&mut d, T2, T1, &[0], 3);
    instance.create(d).await;
    let distinct = Lir::Reduce {
        input: Box::new(get(A)),
        input_arity: 2,
        key: cols(&[0]),
        plan: ReducePlan::Distinct,
        expected_group_size: None,
    };
    let (other, other_index) = (GlobalId::Transient(3), GlobalId::Transient(4));
    let mut d = tables.dataflow("distinct", 0, (other, distinct));
    export_index(&mut d, other_index, other, &[0], 1);
    instance.create(d).await;
    tables.commit(1, vec![(A, row(&[1, 0]), 1)]).await;
    tables.commit(2, vec![(A, row(&[1, 0]), -1)]).await;
    tables.commit(3, vec![(A, row(&[5, 5]), -1)]).await;
    let answer = instance.peek(Instance::peek_of(T2, &[0], 3, 1)).await;
    assert_eq!(answer, PeekResponse::Error(EvalError::DivisionByZero));
    assert_eq!(instance.rows(Instance::peek_of(T2, &[0], 3, 2)).await.len(), 1);
    let answer = instance.peek(Instance::peek_of(T2, &[0], 3, 3)).await;
    assert_eq!(answer, PeekResponse::Error(EvalError::NegativeMultiplicity));
    let answer = instance.peek(Instance::peek_of(other_index, &[0], 1, 3)).await;
    assert_eq!(answer, PeekResponse::Error(EvalError::NegativeMultiplicity));
    assert_eq!(instance.rows(Instance::peek_of(other_index, &[0], 1, 2)).await.len(), 1);
    instance.stop().await;
}

fn view(tables: &Tables, shard: ShardId, as_of: Timestamp) -> DataflowDescription {
    let swap = MapFilterProject::new(2).project([1, 0]);
    let object = Lir::Mfp { input: Box::new(get(A)), input_key: None, input_arity: 2, mfp: mfp(swap) };
    let mut d = tables.dataflow("view", as_of, (VIEW, object));
    let kind = ExportKind::MaterializedView { shard: Uuid::from_bytes(*shard.as_bytes()) };
    d.exports.insert(MV, DataflowExport { on_id: VIEW, desc: ints(&["b", "a"]), kind });
    d
}

async fn check_view(tables: &Tables, shard: ShardId, time: Timestamp) {
    tables.persist.wait_upper_past(shard, time).await.unwrap();
    let expected: Rows = tables
        .at(A, time)
        .into_iter()
        .map(|(r, n)| {
            let d = r.unpack();
            (hw_repr::Row::pack([d[1], d[0]]), n)
        })
        .collect();
    assert_eq!(tables.shard_at(shard, time).await, expected, "at {time}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_write_one_view_and_restart() {
    let mut tables = table().await;
    let shard = ShardId::new();
    tables.persist.ensure_shard(shard, &ints(&["b", "a"]), 0).await.unwrap();
    let mut time = 0;
    let change = |t: u64| {
        let mut updates = vec![(A, row(&[t as i64 % 5, t as i64]), 1)];
        if t > 3 {
            updates.push((A, row(&[(t - 3) as i64 % 5, (t - 3) as i64]), -1));
        }
        updates
    };
    let mut commit = async |tables: &mut Tables, n: u64| {
        for _ in 0..n {
            tables.commit(time, change(time)).await;
            time += 1;
        }
    };
    commit(&mut tables, 5).await;
    let mut one = Instance::new(2, &tables.persist);
    let mut two = Instance::new(1, &tables.persist);
    one.create(view(&tables, shard, 3)).await;
    two.create(view(&tables, shard, 3)).await;
    commit(&mut tables, 60).await;
    one.wait_frontier(MV, 64).await;
    two.wait_frontier(MV, 64).await;
    for t in 3..65 {
        check_view(&tables, shard, t).await;
    }
    // One replica stops, comes back where the shard ends, the other goes on.
    one.stop().await;
    commit(&mut tables, 10).await;
    check_view(&tables, shard, 74).await;
    let mut one = Instance::new(3, &tables.persist);
    one.create(view(&tables, shard, 70)).await;
    commit(&mut tables, 10).await;
    one.wait_frontier(MV, 84).await;
    one.stop().await;
    two.stop().await;
    // All stop, and the input can only be read from later on.
    commit(&mut tables, 10).await;
    let mut one = Instance::new(1, &tables.persist);
    one.create(view(&tables, shard, 90)).await;
    commit(&mut tables, 5).await;
    one.wait_frontier(MV, 99).await;
    for t in [80, 84, 90, 95, 99] {
        check_view(&tables, shard, t).await;
    }
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_view_is_staged() {
    let mut tables = table().await;
    let shard = ShardId::new();
    tables.persist.ensure_shard(shard, &ints(&["b", "a"]), 0).await.unwrap();
    let updates = (0..400_000).map(|i| (A, row(&[i, i * 7]), 1)).collect();
    tables.commit(0, updates).await;
    tables.commit(1, vec![(A, row(&[0, 0]), -1)]).await;
    let mut one = Instance::new(2, &tables.persist);
    one.create(view(&tables, shard, 0)).await;
    one.wait_frontier(MV, 1).await;
    check_view(&tables, shard, 0).await;
    check_view(&tables, shard, 1).await;
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribes_are_contiguous() {
    for with_snapshot in [true, false] {
        let mut tables = table().await;
        tables.commit(0, vec![(A, row(&[1, 1]), 1)]).await;
        tables.commit(1, vec![(A, row(&[2, 2]), 1)]).await;
        let mut instance = Instance::new(2, &tables.persist);
        let mut d = tables.dataflow("subscribe", 1, (T1, get(A)));
        let kind = ExportKind::Subscribe { with_snapshot, up_to: Some(6), order_by: vec![] };
        d.exports.insert(T2, DataflowExport { on_id: T1, desc: ints(&["a", "b"]), kind });
        d.until = Some(6);
        instance.create(d).await;
        for t in 2..8 {
            tables.commit(t, vec![(A, row(&[t as i64, 0]), 1), (A, row(&[t as i64 - 1, 0]), -1)]).await;
        }
        while instance.subscribes.last().is_none_or(|(_, b)| b.upper.is_some()) {
            instance.receive().await;
        }
        let mut lower = 1;
        let mut seen = vec![];
        for (id, batch) in std::mem::take(&mut instance.subscribes) {
            assert_eq!((id, batch.lower), (T2, lower));
            lower = batch.upper.unwrap_or(Timestamp::MAX);
            seen.extend(batch.updates.unwrap());
        }
        let mut expected = vec![];
        if with_snapshot {
            expected.extend([(1, row(&[1, 1]), 1), (1, row(&[2, 2]), 1)]);
        }
        for t in 2..6 {
            expected.extend([(t, row(&[t as i64 - 1, 0]), -1), (t, row(&[t as i64, 0]), 1)]);
        }
        seen.sort();
        expected.sort();
        assert_eq!(seen, expected);
        instance.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peeks_look_up_order_limit_refuse_and_cancel() {
    let mut tables = table().await;
    let updates = (0..200_000).map(|i| (A, row(&[i % 1000, i]), 1)).collect();
    tables.commit(0, updates).await;
    let mut instance = Instance::new(2, &tables.persist);
    instance.create(indexed(&tables, 0)).await;

    let mut peek = Instance::peek_of(INDEX, &[0], 2, 0);
    peek.literal_keys = Some(vec![row(&[5]), row(&[999]), row(&[5]), row(&[100_000])]);
    peek.mfp = MapFilterProject::new(2).filter([op("<", col(1), int(2000))]);
    let expected: Rows = [5, 1005, 999, 1999].into_iter().map(|i| (row(&[i % 1000, i]), 1)).collect();
    assert_eq!(instance.rows(peek).await, expected);

    let (shard, desc) = tables.shards[&A].clone();
    let on_shard = PeekTarget::Shard { id: A, shard: Uuid::from_bytes(*shard.as_bytes()), desc };
    for target in [None, Some(on_shard.clone())] {
        let mut peek = Instance::peek_of(INDEX, &[0], 2, 0);
        peek.target = target.unwrap_or(peek.target);
        let order_by = vec![ColumnOrder { column: 1, desc: true, nulls_last: false }];
        peek.finishing = RowSetFinishing { order_by, limit: Some(2), offset: 1, project: vec![0, 1] };
        let PeekResponse::Rows(mut rows) = instance.peek(peek).await else { panic!("rows") };
        rows.sort_by_key(|(r, _)| std::cmp::Reverse(r.unpack()[1].unwrap_int64()));
        let first: Vec<i64> = rows.iter().take(3).map(|(r, _)| r.unpack()[1].unwrap_int64()).collect();
        assert_eq!(first, vec![199_999, 199_998, 199_997]);
        assert!(rows.len() <= 6, "no more than each worker's first rows");
    }
    for target in [None, Some(on_shard)] {
        let mut peek = Instance::peek_of(INDEX, &[0], 2, 0);
        peek.target = target.unwrap_or(peek.target);
        peek.max_result_bytes = 1 << 20;
        let PeekResponse::Error(e) = instance.peek(peek).await else { panic!("an error") };
        assert_eq!((e.sqlstate(), e.to_string().as_str()), ("53200", "result exceeds max size of 1 MB"));
    }
    // A peek that must wait is cancelled; the next one waits until the time is complete.
    let peek = Instance::peek_of(INDEX, &[0], 2, 5);
    let uuid = peek.uuid;
    instance.send(Command::Peek(Box::new(peek))).await;
    instance.send(Command::CancelPeek(uuid)).await;
    assert_eq!(instance.answer(uuid).await, PeekResponse::Canceled);
    let mut peek = Instance::peek_of(INDEX, &[0], 2, 5);
    peek.literal_keys = Some(vec![row(&[7])]);
    let uuid = peek.uuid;
    instance.send(Command::Peek(Box::new(peek))).await;
    tables.commit(5, vec![(A, row(&[7, 7]), -1)]).await;
    let PeekResponse::Rows(rows) = instance.answer(uuid).await else { panic!("rows") };
    assert_eq!(rows.len(), 199);
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_connection_keeps_what_it_asks_for_again() {
    let mut tables = table().await;
    for t in 0..5 {
        tables.commit(t, vec![(A, row(&[t as i64, t as i64]), 1)]).await;
    }
    let mut instance = Instance::new(2, &tables.persist);
    let hello = || Command::Configuration(ReplicaConfiguration::default());
    instance.send(hello()).await;
    instance.create(indexed(&tables, 1)).await;
    instance.create(counts(1, None)).await;
    instance.send(Command::InitializationComplete).await;
    instance.wait_frontier(T2, 4).await;
    // Kept: it can still be read at a time before the new as_of of a dataflow made anew.
    instance.send(hello()).await;
    instance.create(indexed(&tables, 3)).await;
    instance.send(Command::InitializationComplete).await;
    instance.frontiers.clear();
    instance.wait_frontier(INDEX, 4).await;
    assert!(!instance.frontiers.contains_key(&T2), "what is not asked for is gone");
    assert_eq!(instance.rows(Instance::peek_of(INDEX, &[0], 2, 3)).await.len(), 4);
    let gone = instance.peek(Instance::peek_of(T2, &[0], 2, 4)).await;
    assert!(matches!(gone, PeekResponse::Error(_)));
    instance.create(counts(4, None)).await;
    tables.commit(5, vec![(A, row(&[1, 9]), 1)]).await;
    let found = instance.rows(Instance::peek_of(T2, &[0], 2, 5)).await;
    assert_eq!(found.get(&row(&[1, 2])), Some(&1));
    instance.stop().await;
}

async fn tick(client: &PersistClient, shard: ShardId, t: Timestamp) {
    let mut builder = client.batch_builder(shard);
    builder.add(Ok(row(&[t as i64 % 10, t as i64])), t, 1).await.unwrap();
    client.append(vec![Append::new(builder.finish(t, t + 1).await.unwrap())]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_seen_soon() {
    let mut tables = table().await;
    tables.commit(0, vec![]).await;
    let (shard, _): (ShardId, RelationDesc) = tables.shards[&A].clone();
    let mut instance = Instance::new(2, &tables.persist);
    instance.create(indexed(&tables, 0)).await;
    instance.wait_frontier(INDEX, 0).await;
    let mut delays = vec![];
    for t in 1..200 {
        let start = Instant::now();
        tick(&tables.persist, shard, t).await;
        instance.wait_frontier(INDEX, t).await;
        delays.push(start.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    delays.sort();
    let (median, most) = (delays[delays.len() / 2], delays[delays.len() * 9 / 10]);
    tracing::info!(?median, ?most, "from commit to frontier");
    // The machine may be busy with other things; ten milliseconds is what is aimed at.
    assert!(median < Duration::from_millis(100), "median {median:?}");
    instance.stop().await;
}
