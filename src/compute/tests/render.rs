//! Every kind of node against its definition: random changes, peeks at every time, one and three workers.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod support;

use hw_expr::relation::{LetRecLimit, LocalId};
use hw_expr::{Id, MapFilterProject, MirScalarExpr};
use hw_plan::Lir;
use hw_plan::lir::*;
use hw_plan::temporal::MfpPlan;
use hw_repr::{ColumnOrder, Datum, GlobalId, RelationDesc, Row, ScalarType};
use support::*;

const A: GlobalId = GlobalId::User(1);
const B: GlobalId = GlobalId::User(2);
const C: GlobalId = GlobalId::User(3);
const TIMED: GlobalId = GlobalId::User(4);

fn get(id: GlobalId) -> Lir {
    Lir::Get { id: Id::Global(id), access: GetAccess::PassThrough }
}

fn local(id: u64) -> Lir {
    Lir::Get { id: Id::Local(LocalId(id)), access: GetAccess::PassThrough }
}

fn arrange(input: Lir, arity: usize, keys: &[&[usize]]) -> Lir {
    Lir::ArrangeBy {
        input: Box::new(input),
        arity,
        keys: keys.iter().map(|k| cols(k)).collect(),
        input_key: None,
    }
}

fn apply(input: Lir, plan: MapFilterProject) -> Lir {
    Lir::Mfp { input: Box::new(input), input_key: None, input_arity: plan.input_arity, mfp: mfp(plan) }
}

fn project(input: Lir, arity: usize, columns: &[usize]) -> Lir {
    apply(input, MapFilterProject::new(arity).project(columns.iter().copied()))
}

fn distinct(input: Lir, arity: usize) -> Lir {
    reduce(input, arity, &(0..arity).collect::<Vec<_>>(), ReducePlan::Distinct)
}

fn reduce(input: Lir, arity: usize, key: &[usize], plan: ReducePlan) -> Lir {
    Lir::Reduce {
        input: Box::new(input),
        input_arity: arity,
        key: cols(key),
        plan,
        expected_group_size: None,
    }
}

fn stage(
    input: usize,
    stream_key: usize,
    stream_arity: usize,
    lookup_key: usize,
    project: Option<&[usize]>,
) -> JoinStage {
    let plan = MapFilterProject::new(stream_arity + 2);
    let plan = match project {
        Some(columns) => plan.project(columns.iter().copied()),
        None => plan,
    };
    JoinStage {
        input,
        stream_key: cols(&[stream_key]),
        stream_arity,
        lookup_key: cols(&[lookup_key]),
        mfp: mfp(plan),
    }
}

/// `a(x, y) join b(y, z) join c(z, w)`, as x, y, z, w.
fn delta_join() -> Lir {
    let path = |source, key: usize, stages| JoinPath {
        source,
        source_key: Some(cols(&[key])),
        initial: MfpPlan::identity(2),
        stages,
    };
    let paths = vec![
        path(0, 1, vec![stage(1, 1, 2, 0, None), stage(2, 3, 4, 0, Some(&[0, 1, 3, 5]))]),
        path(1, 0, vec![stage(0, 0, 2, 1, None), stage(2, 1, 4, 0, Some(&[2, 0, 1, 5]))]),
        path(2, 0, vec![stage(1, 0, 2, 1, None), stage(0, 2, 4, 1, Some(&[4, 2, 0, 1]))]),
    ];
    Lir::Join {
        inputs: vec![
            arrange(get(A), 2, &[&[1]]),
            arrange(get(B), 2, &[&[0], &[1]]),
            arrange(get(C), 2, &[&[0]]),
        ],
        input_arities: vec![2, 2, 2],
        plan: JoinPlan::Delta(paths),
    }
}

fn linear_join(direct: bool) -> Lir {
    let path = JoinPath {
        source: 0,
        source_key: direct.then(|| cols(&[1])),
        initial: MfpPlan::identity(2),
        stages: vec![stage(1, 1, 2, 0, None), stage(2, 3, 4, 0, Some(&[0, 1, 3, 5]))],
    };
    let source = if direct { arrange(get(A), 2, &[&[1]]) } else { get(A) };
    Lir::Join {
        inputs: vec![source, arrange(get(B), 2, &[&[0]]), arrange(get(C), 2, &[&[0]])],
        input_arities: vec![2, 2, 2],
        plan: JoinPlan::Linear(path),
    }
}

fn accumulable() -> AccumulablePlan {
    let mut filtered = agg("count", col(1));
    filtered.filter = Some(op("<", col(0), col(1)));
    let mut sum_distinct = agg("sum", col(1));
    sum_distinct.distinct = true;
    AccumulablePlan {
        simple: vec![(0, agg("sum", col(1))), (2, filtered)],
        distinct: vec![(3, sum_distinct)],
    }
}

fn hierarchical(at: [usize; 2], buckets: &[u64]) -> HierarchicalPlan {
    HierarchicalPlan {
        aggregates: vec![
            (at[0], agg("min", col(1)), Extremum::Min),
            (at[1], agg("max", op("+", col(0), col(1))), Extremum::Max),
        ],
        monotonic: false,
        buckets: buckets.to_vec(),
    }
}

fn array_agg() -> hw_expr::AggregateExpr {
    let mut a = agg("array_agg", col(1));
    a.order_by = vec![ColumnOrder { column: 0, desc: true, nulls_last: false }];
    a
}

fn top_k(limit: Option<MirScalarExpr>, offset: usize, buckets: &[u64], monotonic: bool) -> Lir {
    Lir::TopK {
        input: Box::new(get(A)),
        plan: TopKPlan {
            group_key: vec![0],
            order_key: vec![ColumnOrder { column: 1, desc: true, nulls_last: true }],
            limit,
            offset,
            column_types: vec![ScalarType::Int64.nullable(true); 2],
            monotonic,
            buckets: buckets.to_vec(),
        },
    }
}

/// Nodes that can be reached along `a`, up to `limit` steps.
fn reach(limit: Option<u64>, delta: bool) -> Lir {
    let path = |source: usize, key: usize, stage| JoinPath {
        source,
        source_key: Some(cols(&[key])),
        initial: MfpPlan::identity(2),
        stages: vec![stage],
    };
    let linear_path = path(0, 1, stage(1, 1, 2, 0, Some(&[0, 3])));
    let delta_paths = vec![linear_path.clone(), path(1, 0, stage(0, 0, 2, 1, Some(&[2, 1])))];
    let step = Lir::Join {
        inputs: vec![arrange(local(1), 2, &[&[1]]), arrange(get(A), 2, &[&[0]])],
        input_arities: vec![2, 2],
        plan: if delta { JoinPlan::Delta(delta_paths) } else { JoinPlan::Linear(linear_path) },
    };
    let value = distinct(Lir::Union { inputs: vec![get(A), step], consolidate: false }, 2);
    Lir::LetRec {
        ids: vec![LocalId(1)],
        values: vec![value],
        limits: vec![limit.map(|max_iters| LetRecLimit { max_iters, return_at_limit: true })],
        body: Box::new(local(1)),
    }
}

/// The plans, with the number of columns of each.
fn plans() -> Vec<(&'static str, Lir, usize)> {
    let basic = || BasicPlan { aggregates: vec![(0, array_agg())] };
    let less = || MapFilterProject::new(2).filter([op("<", col(0), col(1))]).map([op("+", col(0), col(1))]);
    vec![
        ("get", get(A), 2),
        ("constant", Lir::Constant { rows: Ok(vec![(row(&[1, 2]), 1), (row(&[3, 4]), 2)]) }, 2),
        ("mfp", apply(get(A), less().project([2, 0])), 2),
        (
            "literal",
            Lir::Mfp {
                input: Box::new(arrange(get(A), 2, &[&[1]])),
                input_key: Some((cols(&[1]), Some(row(&[2])))),
                input_arity: 2,
                mfp: mfp(less()),
            },
            3,
        ),
        (
            "let",
            Lir::Let {
                id: LocalId(7),
                value: Box::new(arrange(get(B), 2, &[&[1]])),
                body: Box::new(Lir::Union {
                    inputs: vec![local(7), project(local(7), 2, &[1, 0])],
                    consolidate: true,
                }),
            },
            2,
        ),
        ("linear join", linear_join(false), 4),
        ("linear join, arranged", linear_join(true), 4),
        ("delta join", delta_join(), 4),
        ("distinct", distinct(project(get(A), 2, &[1]), 1), 1),
        (
            "sums",
            reduce(
                get(A),
                2,
                &[0],
                ReducePlan::Accumulable(AccumulablePlan {
                    simple: vec![(0, agg("sum", col(1))), (1, agg("count", col(1)))],
                    distinct: vec![],
                }),
            ),
            3,
        ),
        ("min max", reduce(get(A), 2, &[0], ReducePlan::Hierarchical(hierarchical([1, 0], &[]))), 3),
        (
            "min max in buckets",
            reduce(get(A), 2, &[0], ReducePlan::Hierarchical(hierarchical([0, 1], &[16, 4]))),
            3,
        ),
        ("basic", reduce(get(A), 2, &[0], ReducePlan::Basic(basic())), 2),
        (
            "collation",
            reduce(
                get(A),
                2,
                &[0],
                ReducePlan::Collation {
                    accumulable: Some(accumulable()),
                    hierarchical: Some(hierarchical([1, 4], &[4])),
                    basic: Some(BasicPlan { aggregates: vec![(5, array_agg())] }),
                    arity: 6,
                },
            ),
            7,
        ),
        ("top k", top_k(Some(int(2)), 1, &[], false), 2),
        ("top k in buckets", top_k(Some(int(2)), 0, &[8, 2], false), 2),
        ("top k growing", top_k(Some(int(1)), 0, &[], true), 2),
        ("top k by column", top_k(Some(col(0)), 0, &[4], false), 2),
        ("top k without limit", top_k(None, 1, &[4], false), 2),
        (
            "threshold",
            Lir::Threshold {
                input: Box::new(Lir::Union {
                    inputs: vec![get(A), Lir::Negate { input: Box::new(get(B)) }],
                    consolidate: false,
                }),
                arity: 2,
            },
            2,
        ),
        ("recursion", reach(None, false), 2),
        ("recursion with a delta join", reach(None, true), 2),
        ("recursion, limited", reach(Some(2), true), 2),
        (
            "temporal",
            Lir::Mfp {
                input: Box::new(get(TIMED)),
                input_key: None,
                input_arity: 3,
                mfp: MfpPlan {
                    mfp: MapFilterProject::new(3).project([2]),
                    lower_bounds: vec![col(0)],
                    upper_bounds: vec![col(1)],
                },
            },
            1,
        ),
    ]
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// Random changes that keep every multiplicity positive.
fn changes(random: &mut Random, tables: &Tables, time: u64) -> Vec<(GlobalId, Row, i64)> {
    let mut updates = Vec::new();
    for id in [A, B, C, TIMED] {
        for (row, count) in tables.at(id, time) {
            if random.below(4) == 0 {
                updates.push((id, row, -(1 + random.below(count as u64) as i64)));
            }
        }
        for _ in 0..random.below(6) {
            let mut value = |n: u64| match random.below(12) {
                0 => Datum::Null,
                _ => Datum::Int64(random.below(n) as i64),
            };
            let row = match id {
                TIMED => {
                    let from = random.below(14);
                    let to = from + random.below(6);
                    Row::pack([
                        Datum::MzTimestamp(from),
                        Datum::MzTimestamp(to),
                        Datum::Int64(random.below(3) as i64),
                    ])
                }
                A => Row::pack([Datum::Int64((time % 4) as i64), value(5)]),
                _ => Row::pack([value(5), value(5)]),
            };
            updates.push((id, row, 1 + random.below(2) as i64));
        }
    }
    updates
}

async fn run(workers: usize, seed: u64, seen: &mut Vec<usize>) {
    let timed = RelationDesc::empty()
        .with_column("from", ScalarType::MzTimestamp.nullable(false))
        .with_column("to", ScalarType::MzTimestamp.nullable(false))
        .with_column("v", ScalarType::Int64.nullable(false));
    let ab = ints(&["a", "b"]);
    let mut tables = Tables::new(&[(A, ab.clone()), (B, ab.clone()), (C, ab), (TIMED, timed)]).await;
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    for time in 0..3 {
        let updates = changes(&mut random, &tables, time);
        tables.commit(time, updates).await;
    }
    let as_of = 2;
    let mut instance = Instance::new(workers, &tables.persist);
    let plans = plans();
    for (i, (name, plan, arity)) in plans.iter().enumerate() {
        let (object, index) = (GlobalId::Transient(i as u64), GlobalId::Transient(1000 + i as u64));
        let mut d = tables.dataflow(name, as_of, (object, plan.clone()));
        export_index(&mut d, index, object, &[0], *arity);
        instance.create(d).await;
    }
    let until = 12;
    seen.resize(plans.len(), 0);
    for time in 3..until {
        let updates = changes(&mut random, &tables, time);
        tables.commit(time, updates).await;
    }
    for time in as_of..until {
        for (i, (name, plan, arity)) in plans.iter().enumerate() {
            let index = GlobalId::Transient(1000 + i as u64);
            let expected = tables.naive(time).eval(plan);
            seen[i] += expected.len();
            let found = instance.rows(Instance::peek_of(index, &[0], *arity, time)).await;
            assert_eq!(found, expected, "{name} at {time}, {workers} workers, seed {seed}");
            if time % 4 == 3 {
                // The same as a one-off dataflow.
                let (object, once) = (GlobalId::Transient(5000), GlobalId::Transient(5001));
                let mut d = tables.dataflow(name, time, (object, plan.clone()));
                d.until = Some(time + 1);
                export_index(&mut d, once, object, &[0], *arity);
                instance.create(d).await;
                let found = instance.rows(Instance::peek_of(once, &[0], *arity, time)).await;
                assert_eq!(found, expected, "{name} at {time} only, {workers} workers, seed {seed}");
                instance.send(hw_protocol::Command::AllowCompaction(once, u64::MAX)).await;
            }
        }
    }
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_with_one_worker() {
    let mut seen = vec![];
    for seed in 1..=12 {
        run(1, seed, &mut seen).await;
    }
    assert!(seen.iter().all(|n| *n > 0), "every plan gives rows: {seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_with_three_workers() {
    let mut seen = vec![];
    for seed in 101..=108 {
        run(3, seed, &mut seen).await;
    }
    assert!(seen.iter().all(|n| *n > 0), "every plan gives rows: {seen:?}");
}
