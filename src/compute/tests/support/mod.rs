//! A compute instance on persist in memory, driven by hand.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

pub mod naive;

use std::collections::BTreeMap;
use std::time::Duration;

use hw_base::metrics::MetricsRegistry;
use hw_compute::{ComputeConfig, ComputeHandle, Fatal, start};
use hw_expr::aggregate::AggregateKind;
use hw_expr::func::{ParamType, registry};
use hw_expr::{AggregateExpr, AggregateFunc, Func, MapFilterProject, MirScalarExpr, RowSetFinishing};
use hw_persist::{Append, AppendOutcome, PersistClient, PersistConfig, PersistServer, ShardId, Update};
use hw_plan::lir::Key;
use hw_plan::peek::PeekResponse;
use hw_plan::temporal::MfpPlan;
use hw_plan::{DataflowDescription, DataflowExport, ExportKind, Lir, Peek, PeekTarget, SourceImport};
use hw_protocol::{Command, Response, SubscribeBatch};
use hw_repr::{Datum, GlobalId, RelationDesc, Row, ScalarType, Timestamp};
use tokio::sync::mpsc;
use uuid::Uuid;

pub use naive::{Naive, Rows};

pub const WAIT: Duration = Duration::from_secs(60);

pub fn col(i: usize) -> MirScalarExpr {
    MirScalarExpr::Column(i)
}

pub fn cols(columns: &[usize]) -> Key {
    columns.iter().map(|c| col(*c)).collect()
}

pub fn int(v: i64) -> MirScalarExpr {
    MirScalarExpr::literal(Datum::Int64(v), ScalarType::Int64)
}

pub fn row(values: &[i64]) -> Row {
    Row::pack(values.iter().map(|v| Datum::Int64(*v)))
}

pub fn ints(names: &[&str]) -> RelationDesc {
    names.iter().fold(RelationDesc::empty(), |d, n| d.with_column(*n, ScalarType::Int64.nullable(true)))
}

fn fits(param: &ParamType) -> bool {
    !matches!(param, ParamType::Type(t) if *t != ScalarType::Int64)
}

/// The operator on bigints.
pub fn op(symbol: &str, a: MirScalarExpr, b: MirScalarExpr) -> MirScalarExpr {
    let defs = &registry().operators[symbol];
    let def = defs.iter().find(|d| d.params.len() == 2 && d.params.iter().all(fits)).unwrap();
    MirScalarExpr::call(Func::new(def, vec![ScalarType::Int64; 2]), vec![a, b])
}

/// The aggregate on a bigint.
pub fn agg(name: &str, arg: MirScalarExpr) -> AggregateExpr {
    let defs = &registry().aggregates[name];
    let fits = |d: &&&hw_expr::aggregate::AggregateDef| {
        d.params.len() == 1 && d.params.iter().all(fits) && d.kind.is_some()
    };
    let def = defs.iter().find(fits).unwrap_or_else(|| panic!("{name} of bigint in {defs:?}"));
    let func = AggregateFunc::new(def, vec![ScalarType::Int64]);
    assert!(matches!(
        def.kind,
        Some(
            AggregateKind::Accumulable(_) | AggregateKind::Min | AggregateKind::Max | AggregateKind::Basic(_)
        )
    ));
    AggregateExpr { func, args: vec![arg], order_by: vec![], distinct: false, filter: None }
}

pub fn mfp(mfp: MapFilterProject) -> MfpPlan {
    MfpPlan::untimed(mfp)
}

/// Durable collections.
pub struct Tables {
    pub persist: PersistClient,
    pub shards: BTreeMap<GlobalId, (ShardId, RelationDesc)>,
    pub contents: BTreeMap<GlobalId, Vec<(Row, Timestamp, i64)>>,
    pub upper: Timestamp,
    _server: PersistServer,
}

impl Tables {
    pub async fn new(tables: &[(GlobalId, RelationDesc)]) -> Tables {
        let server = PersistServer::memory(PersistConfig::default()).await.unwrap();
        let persist = server.client();
        let mut shards = BTreeMap::new();
        for (id, desc) in tables {
            let shard = ShardId::new();
            persist.ensure_shard(shard, desc, 0).await.unwrap();
            shards.insert(*id, (shard, desc.clone()));
        }
        Tables { persist, shards, contents: BTreeMap::new(), upper: 0, _server: server }
    }

    /// Commits updates at one time, which becomes complete.
    pub async fn commit(&mut self, time: Timestamp, updates: Vec<(GlobalId, Row, i64)>) {
        let mut appends = Vec::new();
        for (id, (shard, _)) in &self.shards {
            let mut builder = self.persist.batch_builder(*shard);
            for (_, row, diff) in updates.iter().filter(|u| u.0 == *id) {
                builder.add(Ok(row.clone()), time, *diff).await.unwrap();
            }
            appends.push(Append::new(builder.finish(self.upper, time + 1).await.unwrap()));
        }
        assert_eq!(self.persist.append(appends).await.unwrap(), AppendOutcome::Committed);
        self.upper = time + 1;
        for (id, row, diff) in updates {
            self.contents.entry(id).or_default().push((row, time, diff));
        }
    }

    pub fn at(&self, id: GlobalId, time: Timestamp) -> Rows {
        let mut rows = Rows::new();
        for (row, t, diff) in self.contents.get(&id).into_iter().flatten() {
            if *t <= time {
                *rows.entry(row.clone()).or_default() += diff;
            }
        }
        rows.retain(|_, d| *d != 0);
        rows
    }

    pub fn naive(&self, time: Timestamp) -> Naive {
        let bindings = self.shards.keys().map(|id| (hw_expr::Id::Global(*id), self.at(*id, time)));
        Naive { time, bindings: bindings.collect() }
    }

    /// A dataflow that reads all tables.
    pub fn dataflow(&self, name: &str, as_of: Timestamp, object: (GlobalId, Lir)) -> DataflowDescription {
        let mut d = DataflowDescription::new(name);
        d.as_of = as_of;
        for (id, (shard, desc)) in &self.shards {
            let import = SourceImport {
                shard: Uuid::from_bytes(*shard.as_bytes()),
                desc: desc.clone(),
                mfp: MfpPlan::identity(desc.arity()),
                monotonic: false,
            };
            d.source_imports.insert(*id, import);
        }
        d.objects.push(object);
        d
    }

    pub async fn shard_at(&self, shard: ShardId, time: Timestamp) -> Rows {
        let updates: Vec<Update> = self.persist.snapshot(shard, time).await.unwrap().collect().await.unwrap();
        updates.into_iter().map(|(e, _, d)| (e.unwrap(), d)).collect()
    }
}

pub fn export_index(d: &mut DataflowDescription, id: GlobalId, on: GlobalId, key: &[usize], arity: usize) {
    let names: Vec<String> = (0..arity).map(|i| format!("c{i}")).collect();
    let desc = ints(&names.iter().map(String::as_str).collect::<Vec<_>>());
    d.exports.insert(id, DataflowExport { on_id: on, desc, kind: ExportKind::Index { key: cols(key) } });
}

/// A compute instance and what it has told.
pub struct Instance {
    pub commands: mpsc::Sender<Command>,
    responses: mpsc::Receiver<Response>,
    handle: Option<ComputeHandle>,
    pub metrics: MetricsRegistry,
    pub frontiers: BTreeMap<GlobalId, Option<Timestamp>>,
    pub frontier_count: usize,
    peeks: BTreeMap<Uuid, PeekResponse>,
    pub subscribes: Vec<(GlobalId, SubscribeBatch)>,
}

impl Instance {
    pub fn new(workers: usize, persist: &PersistClient) -> Instance {
        hw_base::logging::init();
        let metrics = MetricsRegistry::new();
        let (commands, receiver) = mpsc::channel(16);
        let config = ComputeConfig {
            workers,
            persist: persist.clone(),
            runtime: tokio::runtime::Handle::current(),
            metrics: metrics.clone(),
            fatal: Fatal::abort(),
        };
        let (responses, handle) = start(config, receiver).unwrap();
        Instance {
            commands,
            responses,
            handle: Some(handle),
            metrics,
            frontiers: BTreeMap::new(),
            frontier_count: 0,
            peeks: BTreeMap::new(),
            subscribes: vec![],
        }
    }

    pub async fn send(&self, command: Command) {
        self.commands.send(command).await.unwrap();
    }

    pub async fn create(&self, d: DataflowDescription) {
        self.send(Command::CreateDataflow(Box::new(d))).await;
    }

    pub async fn receive(&mut self) {
        let response =
            tokio::time::timeout(WAIT, self.responses.recv()).await.expect("a response in time").unwrap();
        match response {
            Response::Frontier(id, f) => {
                self.frontier_count += 1;
                self.frontiers.insert(id, f);
            }
            Response::Peek(uuid, response) => {
                assert!(self.peeks.insert(uuid, response).is_none(), "one answer")
            }
            Response::Subscribe(id, batch) => self.subscribes.push((id, batch)),
            other => panic!("unexpected {other:?}"),
        }
    }

    pub async fn wait_frontier(&mut self, id: GlobalId, past: Timestamp) {
        while self.frontiers.get(&id).is_none_or(|f| f.is_some_and(|f| f <= past)) {
            self.receive().await;
        }
    }

    pub async fn answer(&mut self, uuid: Uuid) -> PeekResponse {
        loop {
            if let Some(response) = self.peeks.remove(&uuid) {
                return response;
            }
            self.receive().await;
        }
    }

    pub fn peek_of(id: GlobalId, key: &[usize], arity: usize, timestamp: Timestamp) -> Peek {
        Peek {
            uuid: Uuid::new_v4(),
            target: PeekTarget::Index { id, desc: RelationDesc::empty(), key: cols(key) },
            literal_keys: None,
            timestamp,
            mfp: MapFilterProject::new(arity),
            finishing: RowSetFinishing::trivial(arity),
            max_result_bytes: 1 << 30,
        }
    }

    pub async fn peek(&mut self, peek: Peek) -> PeekResponse {
        let uuid = peek.uuid;
        self.send(Command::Peek(Box::new(peek))).await;
        self.answer(uuid).await
    }

    pub async fn rows(&mut self, peek: Peek) -> Rows {
        match self.peek(peek).await {
            PeekResponse::Rows(answer) => {
                let mut rows = Rows::new();
                answer.into_iter().for_each(|(r, n)| *rows.entry(r).or_default() += n as i64);
                rows
            }
            other => panic!("peek: {other:?}"),
        }
    }

    pub async fn stop(mut self) {
        let handle = self.handle.take().unwrap();
        tokio::task::spawn_blocking(move || handle.shutdown()).await.unwrap();
    }
}
