//! Reads: a query becomes a constant, a peek into an index or shard, or a short-lived dataflow with a peek.

use std::collections::BTreeSet;

use hw_expr::{MapFilterProject, MirRelationExpr, MirScalarExpr, RowSetFinishing, UnmaterializableFunc};
use hw_optimizer::PeekPlan;
use hw_plan::peek::PeekResponse;
use hw_plan::{DataflowDescription, Peek, PeekTarget};
use hw_repr::adt::TimeZone;
use hw_repr::{
    ClusterId, Datum, Diff, GlobalId, RelationDesc, Row, RowArena, ScalarType, Timestamp, compare_rows_by,
};
use hw_sql::plan::{CopyFormat, QueryWhen, SelectPlan};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::cancel::StatementCancel;
use crate::client::{ExecuteResponse, RowStream};
use crate::coordinator::{Coordinator, ExecuteContext, Message};
use crate::dataflow::Expanded;
use crate::error::{AdapterError, Notice};
use crate::session::{Session, TransactionOps};
use crate::timestamp::{Isolation, ReadInputs, When, select};

/// A read that is ready to be sent off.
pub(crate) struct Read {
    pub(crate) plan: PeekPlan,
    pub(crate) finishing: RowSetFinishing,
    pub(crate) cluster: ClusterId,
    /// What it reads: durable collections and indexes.
    pub(crate) inputs: BTreeSet<GlobalId>,
    pub(crate) timestamp: Timestamp,
}

/// A read of one collection but for the values of parameters and of functions of the statement's context.
#[derive(Debug)]
pub(crate) struct ReadTemplate {
    peek: hw_optimizer::PeekTemplate,
    finishing: RowSetFinishing,
    cluster: ClusterId,
}

/// Whether the session's queries go through the optimizer's transforms.
pub(crate) fn applies_transforms(session: &Session) -> bool {
    session.vars.get("enable_optimizer_transforms") != Some("off")
}

/// Where a read's rows go.
pub(crate) type OnRows = Box<dyn FnOnce(ExecuteContext, Result<Vec<Row>, AdapterError>) + Send>;

impl Coordinator {
    pub(crate) fn sequence_select(
        &mut self,
        mut ctx: ExecuteContext,
        plan: SelectPlan,
        params: Row,
        copy: Option<CopyFormat>,
    ) {
        let desc = plan.desc.clone();
        match self.plan_read(&mut ctx.session, plan, &params) {
            Ok(read) => self.answer_select(ctx, read, desc, copy),
            Err(e) => ctx.retire(Err(e)),
        }
    }

    /// Reads, and answers with the rows.
    pub(crate) fn answer_select(
        &mut self,
        mut ctx: ExecuteContext,
        read: Read,
        desc: RelationDesc,
        copy: Option<CopyFormat>,
    ) {
        if ctx.session.vars.get("emit_timestamp_notice") == Some("on") && !read.inputs.is_empty() {
            ctx.session.notices.push(Notice::notice(format!("query timestamp: {}", read.timestamp)));
        }
        let on_rows: OnRows = Box::new(move |ctx, rows| {
            let response = rows.map(|rows| match copy {
                None => ExecuteResponse::Rows {
                    desc,
                    rows: RowStream::ready(rows),
                    tag: "SELECT".into(),
                    bare_tag: false,
                    live: false,
                },
                Some(format) => {
                    ExecuteResponse::CopyOut { desc, rows: RowStream::ready(rows), format, live: false }
                }
            });
            ctx.retire(response);
        });
        self.read(ctx, read, on_rows);
    }

    /// Lowers and optimises a query, and chooses where and when it reads.
    pub(crate) fn plan_read(
        &mut self,
        session: &mut Session,
        plan: SelectPlan,
        params: &Row,
    ) -> Result<Read, AdapterError> {
        let SelectPlan { expr, mut finishing, when, .. } = plan;
        let expr = crate::hir::bind(expr, params)?;
        let mut mir = hw_sql::lowering::lower(expr)?;
        self.replace_context_functions(session, &mut mir);
        let cluster = self.read_cluster(session, &mir)?;
        let plan = self.plan_peek(session, cluster, mir, &mut finishing, applies_transforms(session))?;
        let inputs = peek_inputs(&plan);
        let timestamp = self.choose_timestamp(session, cluster, &inputs, &when)?;
        Ok(Read { plan, finishing, cluster, inputs, timestamp })
    }

    /// What can be done of a query's planning before its parameters are known; `None` unless it reads one collection.
    pub(crate) fn read_template(
        &mut self,
        session: &Session,
        plan: &SelectPlan,
    ) -> Result<Option<ReadTemplate>, AdapterError> {
        if !matches!(plan.when, QueryWhen::Immediately) || !applies_transforms(session) {
            return Ok(None);
        }
        let mut mir = hw_sql::lowering::lower(crate::hir::keep_parameters(plan.expr.clone()))?;
        if let Some(zone) = zone_literal(session) {
            mir.visit_mut_post(&mut |e| e.scalars_mut().into_iter().for_each(|s| in_zone(s, &zone)));
        }
        let cluster = self.read_cluster(session, &mir)?;
        let views = self.expand(&mir, cluster)?.views;
        let ids = (self.transient_id(), self.transient_id());
        let mut finishing = plan.finishing.clone();
        let context = self.context(cluster, true);
        let peek = hw_optimizer::PeekTemplate::new(mir, views, &context, &mut finishing, ids)?;
        Ok(peek.map(|peek| ReadTemplate { peek, finishing, cluster }))
    }

    /// A read by a template; `None` when it has to be planned anew.
    pub(crate) fn read_by_template(
        &mut self,
        session: &mut Session,
        template: &ReadTemplate,
        params: &Row,
    ) -> Result<Option<Read>, AdapterError> {
        let params = params.unpack();
        let value_of = |f: &UnmaterializableFunc| match f {
            UnmaterializableFunc::Parameter(n, typ) => n
                .checked_sub(1)
                .and_then(|at| params.get(at))
                .map(|d| MirScalarExpr::literal(*d, typ.clone())),
            f => self.context_value(session, f),
        };
        let context = self.context(template.cluster, true);
        let Some(plan) = template.peek.plan(&value_of, &context) else { return Ok(None) };
        let inputs = peek_inputs(&plan);
        let timestamp = self.choose_timestamp(session, template.cluster, &inputs, &QueryWhen::Immediately)?;
        let (finishing, cluster) = (template.finishing.clone(), template.cluster);
        Ok(Some(Read { plan, finishing, cluster, inputs, timestamp }))
    }

    fn context(&self, cluster: ClusterId, transforms: bool) -> crate::dataflow::ClusterContext<'_> {
        crate::dataflow::ClusterContext { state: self.catalog.state(), coord: self, cluster, transforms }
    }

    /// Plans a query on a cluster, with or without the optimizer's transforms.
    pub(crate) fn plan_peek(
        &mut self,
        session: &Session,
        cluster: ClusterId,
        mir: MirRelationExpr,
        finishing: &mut RowSetFinishing,
        transforms: bool,
    ) -> Result<PeekPlan, AdapterError> {
        let expanded = self.expand_for(session, &mir, cluster)?;
        let ids = (self.transient_id(), self.transient_id());
        let context = self.context(cluster, transforms);
        Ok(hw_optimizer::optimize_peek(mir, expanded.views, &context, finishing, ids)?)
    }

    /// The views that a query needs, with functions of the statement's context replaced in them too. Their time zone is UTC, so
    /// that a view is the same whoever reads it, and whether it is maintained or not.
    pub(crate) fn expand_for(
        &self,
        session: &Session,
        mir: &MirRelationExpr,
        cluster: ClusterId,
    ) -> Result<Expanded, AdapterError> {
        let mut expanded = self.expand(mir, cluster)?;
        for (_, view) in &mut expanded.views {
            view.visit_mut_post(&mut |e| {
                e.scalars_mut().into_iter().for_each(|scalar| self.replace_context(session, scalar));
                fix_limit(e);
            });
        }
        Ok(expanded)
    }

    /// The cluster on which a query runs: queries of system relations only go to the system's own.
    pub(crate) fn read_cluster(
        &self,
        session: &Session,
        mir: &MirRelationExpr,
    ) -> Result<ClusterId, AdapterError> {
        let leaves = self.durable_leaves(mir.global_gets());
        let auto = session.vars.get("auto_route_catalog_queries") == Some("on");
        if (auto && self.is_system_only(&leaves)) || leaves.is_empty() {
            return Ok(hw_catalog::builtin::MZ_CATALOG_SERVER_CLUSTER_ID);
        }
        self.session_cluster(session)
    }

    /// The session's cluster, which must have a replica.
    pub(crate) fn session_cluster(&self, session: &Session) -> Result<ClusterId, AdapterError> {
        let name = session.vars.get("cluster").unwrap_or_default();
        let state = self.catalog.state();
        let cluster = hw_sql::Catalog::cluster_by_name(&*state, name)
            .ok_or_else(|| AdapterError::new("42704", format!("unknown cluster '{name}'")))?;
        if cluster.replicas.is_empty() {
            return Err(AdapterError::new(
                "55000",
                format!("CLUSTER \"{name}\" has no replicas available to service request"),
            )
            .with_hint(
                "Use CREATE CLUSTER REPLICA or ALTER CLUSTER … SET (REPLICATION FACTOR …) to add one.",
            ));
        }
        Ok(cluster.id)
    }

    fn choose_timestamp(
        &mut self,
        session: &mut Session,
        cluster: ClusterId,
        inputs: &BTreeSet<GlobalId>,
        when: &QueryWhen,
    ) -> Result<Timestamp, AdapterError> {
        let when = match when {
            QueryWhen::Immediately => When::Immediately,
            QueryWhen::AtTimestamp(e) => When::At(self.eval_timestamp(session, e)?),
            QueryWhen::AtLeastTimestamp(e) => When::AtLeast(self.eval_timestamp(session, e)?),
        };
        let isolation =
            Isolation::from_setting(session.vars.get("transaction_isolation").unwrap_or_default());
        let explicit = session.transaction.as_ref().is_some_and(|t| t.explicit);
        if explicit && when == When::Immediately {
            return self.transaction_timestamp(session, cluster, inputs, isolation);
        }
        let timestamp = select(when, isolation, self.read_inputs(inputs))?;
        if when == When::Immediately && !inputs.is_empty() && isolation == Isolation::StrictSerializable {
            self.oracle.apply(timestamp);
        }
        Ok(timestamp)
    }

    /// What the time of a read of these depends on.
    pub(crate) fn read_inputs(&self, inputs: &BTreeSet<GlobalId>) -> ReadInputs {
        let upper = self.controller.least_upper(inputs);
        ReadInputs {
            since: self.controller.least_valid_read(inputs),
            upper: if upper == Timestamp::MAX { self.tables_upper() } else { upper },
            oracle_read_ts: self.oracle.read_ts(),
        }
    }

    /// All reads of a transaction happen at one time; what may be read at it is held from the first read on: everything in the
    /// schemas that the first read touches, and the system's relations, which clients look into at any moment. When it has read
    /// nothing but those so far, others may follow as far as they can still be read at that time.
    fn transaction_timestamp(
        &mut self,
        session: &mut Session,
        cluster: ClusterId,
        inputs: &BTreeSet<GlobalId>,
        isolation: Isolation,
    ) -> Result<Timestamp, AdapterError> {
        let now = self.oracle.now_ms();
        if let TransactionOps::Reads { timestamp: Some(ts), ids, holds, .. } =
            &mut session.transaction_mut(now).ops
        {
            let new = inputs.iter().filter(|id| !ids.contains(id) && !id.is_transient());
            let outside: BTreeSet<GlobalId> = new.copied().collect();
            if ids.iter().all(|id| id.is_system()) && self.controller.least_valid_read(&outside) <= *ts {
                holds.extend(self.controller.hold(outside.iter().copied(), *ts));
                ids.extend(outside);
                return Ok(*ts);
            }
            return match outside.first() {
                None => Ok(*ts),
                Some(id) => {
                    let state = self.catalog.state();
                    let name =
                        hw_sql::Catalog::item(&*state, *id).map_or(id.to_string(), |i| i.name.to_string());
                    Err(AdapterError::new(
                        "25000",
                        "transactions can only reference objects in the same timedomain",
                    )
                    .with_detail(format!(
                        "{name} is not among what the transaction's first query made readable."
                    ))
                    .with_hint(
                        "The first query of a transaction must touch every schema that the others read.",
                    ))
                }
            };
        }
        if inputs.is_empty() {
            return select(When::Immediately, isolation, self.read_inputs(inputs));
        }
        let mut ids = self.timedomain(cluster, inputs);
        let timestamp = select(When::Immediately, isolation, self.read_inputs(&ids))?;
        ids.extend(self.system_relations_at(timestamp));
        if isolation == Isolation::StrictSerializable {
            self.oracle.apply(timestamp);
        }
        let holds = self.controller.hold(ids.iter().copied(), timestamp);
        session.transaction_mut(now).ops =
            TransactionOps::Reads { timestamp: Some(timestamp), ids, cluster: Some(cluster), holds };
        Ok(timestamp)
    }

    /// The system's collections that can be read at a time.
    fn system_relations_at(&self, timestamp: Timestamp) -> Vec<GlobalId> {
        let state = self.catalog.state();
        let system = state.items().map(|i| i.id).filter(|id| id.is_system());
        let readable = |id: &GlobalId| {
            self.controller.frontiers(*id).is_some_and(|f| f.upper > 0 && f.since <= timestamp)
        };
        system.filter(readable).collect()
    }

    fn timedomain(&self, cluster: ClusterId, inputs: &BTreeSet<GlobalId>) -> BTreeSet<GlobalId> {
        let state = self.catalog.state();
        let mut ids = inputs.clone();
        let schema_of = |id: &GlobalId| hw_sql::Catalog::item(&*state, *id).map(|i| i.schema_id);
        let schemas: BTreeSet<_> = inputs.iter().filter_map(schema_of).collect();
        for item in state.items().filter(|i| schemas.contains(&i.schema_id)) {
            // What has no contents yet would make the whole transaction wait for it.
            let readable = self.controller.frontiers(item.id).is_some_and(|f| f.upper > 0);
            let here = item.definition.cluster().is_none_or(|c| c == cluster)
                || self.controller.shard(item.id).is_some();
            if readable && here {
                ids.insert(item.id);
            }
        }
        ids
    }

    /// Evaluates the time of AS OF.
    pub(crate) fn eval_timestamp(
        &self,
        session: &Session,
        expr: &MirScalarExpr,
    ) -> Result<Timestamp, AdapterError> {
        let mut expr = expr.clone();
        self.replace_in_scalar(session, &mut expr);
        let arena = RowArena::new();
        let invalid = || AdapterError::new("22023", "AS OF or UP TO must be a time that is not NULL");
        match expr.eval(&[], &arena)? {
            Datum::MzTimestamp(t) => Ok(t),
            Datum::Int64(t) => u64::try_from(t).map_err(|_| invalid()),
            Datum::Int32(t) => u64::try_from(t).map_err(|_| invalid()),
            Datum::UInt64(t) => Ok(t),
            Datum::Numeric(n) => n.0.to_standard_notation_string().parse().map_err(|_| invalid()),
            Datum::TimestampTz(t) | Datum::Timestamp(t) => {
                let us =
                    t.0.checked_add(hw_repr::adt::CivilTimestamp::UNIX_EPOCH_OFFSET_US)
                        .ok_or_else(invalid)?;
                u64::try_from(us / 1000).map_err(|_| invalid())
            }
            _ => Err(invalid()),
        }
    }

    /// Waits for the inputs, then runs the read.
    pub(crate) fn read(&mut self, ctx: ExecuteContext, read: Read, on_rows: OnRows) {
        if let PeekPlan::Constant(rows) = read.plan {
            let max_bytes = self.max_result_bytes(&ctx.session);
            let rows = rows.map_err(AdapterError::from);
            return on_rows(ctx, rows.and_then(|rows| constant_rows(rows, &read.finishing, max_bytes)));
        }
        let holds = self.controller.hold(read.inputs.iter().copied(), read.timestamp);
        let (ids, ts) = (read.inputs.clone(), read.timestamp);
        let cancel = ctx.session.cancel.clone();
        let go = Box::new(move |coord: &mut Coordinator, ready: Result<(), AdapterError>| {
            match ready {
                Ok(()) => coord.send_read(ctx, read, on_rows),
                Err(e) => on_rows(ctx, Err(e)),
            }
            drop(holds);
        });
        self.when_complete(ids, ts, cancel, go);
    }

    fn send_read(&mut self, ctx: ExecuteContext, read: Read, on_rows: OnRows) {
        let Read { plan, finishing, cluster, timestamp, .. } = read;
        let max_result_bytes = self.max_result_bytes(&ctx.session);
        let uuid = Uuid::new_v4();
        let (peek, transient) = match plan {
            PeekPlan::Constant(_) => {
                return on_rows(ctx, Err(AdapterError::internal("a constant needs no peek")));
            }
            PeekPlan::FastPath { mut target, literal_keys, mut mfp } => {
                if let PeekTarget::Index { desc, .. } = &mut target {
                    *desc = RelationDesc::empty();
                }
                replace_mz_now(&mut mfp, timestamp);
                let finishing = finishing.clone();
                (Peek { uuid, target, literal_keys, timestamp, mfp, finishing, max_result_bytes }, None)
            }
            PeekPlan::SlowPath { mut dataflow, index, key, desc } => {
                hw_optimizer::bind_time(&mut dataflow, timestamp);
                dataflow.as_of = timestamp;
                dataflow.until = Some(timestamp + 1);
                let arity = desc.arity();
                self.controller.create_dataflow(cluster, *dataflow);
                let target = PeekTarget::Index { id: index, desc, key };
                let (mfp, finishing) = (MapFilterProject::new(arity), finishing.clone());
                let peek =
                    Peek { uuid, target, literal_keys: None, timestamp, mfp, finishing, max_result_bytes };
                (peek, Some(index))
            }
        };
        let answer = self.controller.peek(cluster, peek);
        let messages = self.messages.clone();
        let cancel = ctx.session.cancel.clone();
        hw_base::task::spawn("peek", async move {
            let (rows, answered) = await_peek(answer, &finishing, max_result_bytes, &cancel).await;
            if !answered {
                let _gone = messages.send(Message::CancelPeek(cluster, uuid));
            }
            if let Some(id) = transient {
                let _gone = messages.send(Message::DropTransient(cluster, id));
            }
            on_rows(ctx, rows);
        });
    }

    /// The greatest size of a result for a session.
    pub(crate) fn max_result_bytes(&self, session: &Session) -> u64 {
        let of = |v: Option<&str>| v.and_then(|v| v.parse::<u64>().ok()).unwrap_or(1 << 30);
        let state = self.catalog.state();
        let system = hw_sql::Catalog::system_parameter(&*state, "max_result_size");
        of(session.vars.get("max_query_result_size")).min(of(system.as_deref()))
    }

    /// Binds a statement's own query to the session: functions of the context, all but `mz_now()`, are replaced by their values,
    /// and functions that depend on the time zone are told the session's.
    pub(crate) fn replace_context_functions(&self, session: &Session, mir: &mut MirRelationExpr) {
        mir.visit_mut_post(&mut |e| {
            e.scalars_mut().into_iter().for_each(|scalar| self.replace_in_scalar(session, scalar));
            fix_limit(e);
        });
    }

    /// The same for a scalar.
    pub(crate) fn replace_in_scalar(&self, session: &Session, scalar: &mut MirScalarExpr) {
        self.replace_context(session, scalar);
        if let Some(zone) = zone_literal(session) {
            in_zone(scalar, &zone);
        }
    }

    fn replace_context(&self, session: &Session, scalar: &mut MirScalarExpr) {
        scalar.visit_mut_post(&mut |e| {
            if let MirScalarExpr::Unmaterializable(f) = e
                && let Some(value) = self.context_value(session, f)
            {
                *e = value;
            }
        });
    }

    /// The schemas of the search path that exist, in order; with those that are searched without being in it.
    fn current_schemas(&self, session: &Session, include_implicit: bool) -> Vec<String> {
        let catalog = self.session_catalog(session);
        let info = session.info();
        let extensions = hw_sql::parser::Extensions::default();
        let scx = hw_sql::StatementContext::new(&catalog, &info, &extensions);
        scx.search_schema_names(include_implicit)
    }

    fn context_value(&self, session: &Session, f: &UnmaterializableFunc) -> Option<MirScalarExpr> {
        use UnmaterializableFunc as F;
        let text = |s: &str, typ: ScalarType| MirScalarExpr::literal(Datum::String(s), typ);
        let time = |ms: u64| {
            let t = hw_repr::adt::CivilTimestamp::from_unix_ms(ms as i64)
                .unwrap_or(hw_repr::adt::CivilTimestamp(0));
            MirScalarExpr::literal(Datum::TimestampTz(t), ScalarType::TIMESTAMPTZ)
        };
        let get = |name: &str| session.vars.get(name).unwrap_or_default().to_owned();
        Some(match f {
            F::MzNow | F::Parameter(..) => return None,
            F::Now => time(session.transaction.as_ref().map_or(0, |t| t.began_ms)),
            F::PostmasterStartTime => time(self.started_ms),
            F::CurrentUser | F::SessionUser => text(&session.user, ScalarType::PgLegacyName),
            F::CurrentDatabase => text(&get("database"), ScalarType::PgLegacyName),
            F::CurrentSchema => match self.current_schemas(session, false).first() {
                Some(s) => text(s, ScalarType::PgLegacyName),
                None => MirScalarExpr::null(ScalarType::PgLegacyName),
            },
            F::CurrentSchemas { include_implicit } => {
                let names = self.current_schemas(session, *include_implicit);
                let mut row = Row::default();
                row.packer().push_array(names.iter().map(|n| Datum::String(n)));
                MirScalarExpr::Literal(Ok(row), ScalarType::PgLegacyName.array_of().nullable(false))
            }
            F::CurrentSetting(name) => match session.vars.get(name) {
                Some(v) => text(v, ScalarType::String),
                None => MirScalarExpr::null(ScalarType::String),
            },
            F::PgBackendPid => {
                MirScalarExpr::literal(Datum::Int32(session.conn_id as i32), ScalarType::Int32)
            }
            F::EnvironmentId => text("headwater", ScalarType::String),
            F::MzVersion => text(&get("mz_version"), ScalarType::String),
            F::Version => {
                let version = format!("PostgreSQL {} on {}", get("server_version"), get("mz_version"));
                text(&version, ScalarType::String)
            }
            F::Uptime => {
                let micros = self.started.elapsed().as_micros() as i64;
                let interval = hw_repr::adt::Interval { months: 0, days: 0, micros };
                MirScalarExpr::literal(Datum::Interval(interval), ScalarType::Interval)
            }
            F::SessionId => MirScalarExpr::literal(Datum::Uuid(session.uuid), ScalarType::Uuid),
        })
    }
}

/// The session's time zone as functions take it; `None` for UTC, in which they are anyway.
fn zone_literal(session: &Session) -> Option<MirScalarExpr> {
    let setting = session.vars.get("timezone").filter(|zone| *zone != "UTC")?;
    let zone = TimeZone::parse_setting(setting).ok()?.to_string();
    Some(MirScalarExpr::literal(Datum::String(&zone), ScalarType::String))
}

/// Tells functions that depend on the time zone which it is.
fn in_zone(scalar: &mut MirScalarExpr, zone: &MirScalarExpr) {
    scalar.visit_mut_post(&mut |e| {
        if let MirScalarExpr::Call { func, args } = e
            && let Some(zoned) = func.zoned()
        {
            *func = zoned;
            args.push(zone.clone());
        }
    });
}

/// A limit that depends on nothing is computed once, also when it is volatile.
fn fix_limit(e: &mut MirRelationExpr) {
    if let MirRelationExpr::TopK { limit: Some(limit), .. } = e
        && limit.contains_volatile()
        && !limit.contains_unmaterializable()
        && limit.support().is_empty()
    {
        let arena = RowArena::new();
        let value = limit.eval(&[], &arena).map(|d| Row::pack_slice(&[d]));
        *limit = MirScalarExpr::Literal(value, limit.typ(&[]));
    }
}

/// What a planned peek reads.
pub(crate) fn peek_inputs(plan: &PeekPlan) -> BTreeSet<GlobalId> {
    match plan {
        PeekPlan::Constant(_) => BTreeSet::new(),
        PeekPlan::FastPath {
            target: PeekTarget::Index { id, .. } | PeekTarget::Shard { id, .. }, ..
        } => BTreeSet::from([*id]),
        PeekPlan::SlowPath { dataflow, .. } => DataflowDescription::import_ids(dataflow).collect(),
    }
}

fn replace_mz_now(mfp: &mut MapFilterProject, timestamp: Timestamp) {
    let now = MirScalarExpr::literal(Datum::MzTimestamp(timestamp), ScalarType::MzTimestamp);
    let scalars = mfp.expressions.iter_mut().chain(mfp.predicates.iter_mut().map(|(_, p)| p));
    for scalar in scalars {
        scalar.visit_mut_post(&mut |e| {
            if matches!(e, MirScalarExpr::Unmaterializable(UnmaterializableFunc::MzNow)) {
                *e = now.clone();
            }
        });
    }
}

async fn await_peek(
    answer: oneshot::Receiver<PeekResponse>,
    finishing: &RowSetFinishing,
    max_bytes: u64,
    cancel: &StatementCancel,
) -> (Result<Vec<Row>, AdapterError>, bool) {
    tokio::select! {
        response = answer => {
            let rows = match response {
                Ok(PeekResponse::Rows(rows)) => finish(rows, finishing, max_bytes),
                Ok(PeekResponse::Error(e)) => Err(e.into()),
                Ok(PeekResponse::Canceled) => Err(cancel.error()),
                Err(_) => Err(AdapterError::new("55000", "the cluster on which the query ran was dropped")),
            };
            (rows, true)
        }
        () = cancel.cancelled() => (Err(cancel.error()), false),
    }
}

fn constant_rows(
    rows: Vec<(Row, Diff)>,
    finishing: &RowSetFinishing,
    max_bytes: u64,
) -> Result<Vec<Row>, AdapterError> {
    let mut counted = Vec::with_capacity(rows.len());
    for (row, diff) in rows {
        let n =
            u64::try_from(diff).map_err(|_| AdapterError::from(hw_expr::EvalError::NegativeMultiplicity))?;
        counted.push((row, n));
    }
    finish(counted, finishing, max_bytes)
}

/// Orders, skips, limits, projects, and repeats rows by their multiplicity.
///
/// # Errors
/// 53200 when that makes more than `max_bytes`: a worker counts a row once, however often it occurs.
pub(crate) fn finish(
    mut rows: Vec<(Row, u64)>,
    finishing: &RowSetFinishing,
    max_bytes: u64,
) -> Result<Vec<Row>, AdapterError> {
    /// What each row costs besides its bytes, as workers count.
    const ROW_OVERHEAD: u64 = 16;
    if !finishing.order_by.is_empty() {
        rows.sort_by(|(a, _), (b, _)| {
            let (da, db) = (a.unpack(), b.unpack());
            compare_rows_by(&finishing.order_by, &da, &db, || da.cmp(&db))
        });
    }
    let mut skip = finishing.offset;
    let mut left = finishing.limit.unwrap_or(u64::MAX);
    let mut bytes: u64 = 0;
    let mut out = Vec::new();
    for (row, count) in rows {
        let skipped = skip.min(count);
        skip -= skipped;
        let take = (count - skipped).min(left);
        left -= take;
        if take > 0 {
            let projected = project(row, &finishing.project);
            bytes = bytes.saturating_add(take.saturating_mul(projected.data().len() as u64 + ROW_OVERHEAD));
            if bytes > max_bytes {
                return Err(too_large(max_bytes));
            }
            out.extend(std::iter::repeat_n(projected, usize::try_from(take).unwrap_or(usize::MAX)));
        }
        if left == 0 {
            break;
        }
    }
    Ok(out)
}

/// The error of a result that is larger than `max_result_size` or `max_query_result_size`.
fn too_large(max_bytes: u64) -> AdapterError {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB")];
    let unit = UNITS.iter().find(|(unit, _)| max_bytes >= *unit && max_bytes.is_multiple_of(*unit));
    let size = unit.map_or(format!("{max_bytes} B"), |(unit, name)| format!("{} {name}", max_bytes / unit));
    AdapterError::new("53200", format!("result exceeds max size of {size}"))
}

fn project(row: Row, columns: &[usize]) -> Row {
    let datums = row.unpack();
    if columns.iter().copied().eq(0..datums.len()) {
        return row;
    }
    Row::pack(columns.iter().map(|c| datums[*c]))
}
