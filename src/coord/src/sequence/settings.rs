//! SET, SHOW, PREPARE, EXECUTE, cursors, DISCARD.

use std::sync::Arc;
use std::time::Duration;

use hw_expr::HirScalarExpr;
use hw_repr::{Datum, RelationDesc, Row, RowArena, ScalarType};
use hw_sql::StatementContext;
use hw_sql::plan::{DiscardWhat, Plan};

use super::transaction::{check_mode_change, warn_outside_block};
use crate::client::{ExecuteResponse, RowStream};
use crate::coordinator::{Coordinator, ExecuteContext};
use crate::error::AdapterError;
use crate::session::{Cursor, Portal, Session};
use crate::vars;

/// Rows that are there already.
pub(crate) fn constant_rows(desc: RelationDesc, rows: Vec<Row>, tag: &str) -> ExecuteResponse {
    ExecuteResponse::Rows {
        desc,
        rows: RowStream::ready(rows),
        tag: tag.to_owned(),
        bare_tag: true,
        live: false,
    }
}

fn done(tag: &str) -> Result<ExecuteResponse, AdapterError> {
    Ok(ExecuteResponse::Done(tag.to_owned()))
}

impl Coordinator {
    pub(crate) fn sequence_setting(
        &mut self,
        session: &mut Session,
        plan: Plan,
    ) -> Result<ExecuteResponse, AdapterError> {
        match plan {
            Plan::SetVariable { name, values, local } => {
                if local {
                    warn_outside_block(session, "SET LOCAL");
                }
                self.check_setting(session, &name, values.as_deref())?;
                session.vars.set(&name, values.as_deref(), local)?;
                done("SET")
            }
            Plan::ResetVariable(name) => {
                session.vars.set(&name, None, false)?;
                done("RESET")
            }
            Plan::SetTransaction { mode, session: for_session } => {
                self.sequence_set_transaction(session, mode, for_session)
            }
            Plan::ResetAll => {
                session.vars.reset_all();
                done("RESET")
            }
            Plan::ShowVariable(name) => {
                let def = vars::lookup(&name).ok_or_else(|| vars::unknown(&name))?;
                let state = self.catalog.state();
                let system =
                    def.system_only.then(|| hw_sql::Catalog::system_parameter(&*state, def.name)).flatten();
                let value = system.or_else(|| session.vars.get(&name).map(str::to_owned)).unwrap_or_default();
                let desc = RelationDesc::empty()
                    .with_column(def.name.to_lowercase(), ScalarType::String.nullable(false));
                Ok(constant_rows(desc, vec![Row::pack_slice(&[Datum::String(&value)])], "SHOW"))
            }
            Plan::ShowAll => {
                let text = || ScalarType::String.nullable(false);
                let desc = RelationDesc::empty()
                    .with_column("name", text())
                    .with_column("setting", text())
                    .with_column("description", text());
                let row = |(n, v, d): (&str, String, &str)| {
                    Row::pack_slice(&[Datum::String(n), Datum::String(&v), Datum::String(d)])
                };
                Ok(constant_rows(desc, session.vars.all().into_iter().map(row).collect(), "SHOW"))
            }
            Plan::Prepare { name, sql, types } => {
                if session.prepared.contains_key(&name) {
                    return Err(AdapterError::new(
                        "42P05",
                        format!("prepared statement \"{name}\" already exists"),
                    ));
                }
                let statement = hw_sql::parser::parse(&sql)?.into_iter().next();
                let prepared = self.prepare(session, statement, types.into_iter().map(Some).collect())?;
                session.prepared.insert(name, Arc::new(prepared));
                done("PREPARE")
            }
            Plan::Deallocate(None) => {
                session.prepared.clear();
                done("DEALLOCATE ALL")
            }
            Plan::Deallocate(Some(name)) => match session.prepared.remove(&name) {
                Some(_) => done("DEALLOCATE"),
                None => {
                    Err(AdapterError::new("26000", format!("prepared statement \"{name}\" does not exist")))
                }
            },
            Plan::Close(None) => {
                session.cursors.clear();
                done("CLOSE CURSOR ALL")
            }
            Plan::Close(Some(name)) => match session.cursors.remove(&name) {
                Some(_) => done("CLOSE CURSOR"),
                None => Err(unknown_cursor(&name)),
            },
            other => Err(AdapterError::internal(format!("not a setting: {other:?}"))),
        }
    }

    /// DISCARD
    pub(crate) async fn sequence_discard(&mut self, mut ctx: ExecuteContext, what: DiscardWhat) {
        let result = match what {
            DiscardWhat::Temp => return self.sequence_ddl(ctx, Plan::Discard(what)).await,
            // Statements are planned anew whenever they are executed: no plan is kept.
            DiscardWhat::Plans => done("DISCARD PLANS"),
            // There are no sequences.
            DiscardWhat::Sequences => done("DISCARD SEQUENCES"),
            DiscardWhat::All => self.stage_temporary_drop(&mut ctx.session).and_then(|()| {
                ctx.session.vars.reset_all();
                ctx.session.prepared.clear();
                ctx.session.cursors.clear();
                done("DISCARD ALL")
            }),
        };
        ctx.retire(result);
    }

    /// Settings that depend on other things than their values: what the transaction has done, which clusters there are.
    fn check_setting(
        &self,
        session: &Session,
        name: &str,
        values: Option<&[String]>,
    ) -> Result<(), AdapterError> {
        if let ("transaction_isolation" | "transaction_read_only", Some(def), Some(values)) =
            (name, vars::lookup(name), values)
        {
            check_mode_change(session, name, &def.normalize(values)?)?;
        }
        let state = self.session_state(session);
        match (name, values) {
            ("cluster", Some([cluster])) if hw_sql::Catalog::cluster_by_name(&*state, cluster).is_none() => {
                Err(AdapterError::new("42704", format!("unknown cluster '{cluster}'")))
            }
            _ => Ok(()),
        }
    }

    pub(crate) async fn sequence_execute(
        &mut self,
        ctx: ExecuteContext,
        name: String,
        params: Vec<HirScalarExpr>,
    ) {
        let portal = || -> Result<Portal, AdapterError> {
            let prepared = Arc::clone(ctx.session.prepared(&name)?);
            let arena = RowArena::new();
            let mut values = Row::default();
            let mut packer = values.packer();
            for param in params {
                let mut scalar = hw_sql::lowering::lower_scalar(param)?;
                self.replace_in_scalar(&ctx.session, &mut scalar);
                packer.push(scalar.eval(&[], &arena)?);
            }
            Ok(Portal { prepared, params: values })
        };
        match portal() {
            Ok(portal) => self.execute(ctx, portal).await,
            Err(e) => ctx.retire(Err(e)),
        }
    }

    /// DECLARE: the query starts now, its rows are taken by FETCH.
    pub(crate) async fn sequence_declare(
        &mut self,
        ctx: ExecuteContext,
        name: String,
        sql: String,
        hold: bool,
    ) {
        if ctx.session.cursors.contains_key(&name) {
            return ctx.retire(Err(AdapterError::new("42P03", format!("cursor \"{name}\" already exists"))));
        }
        let explicit = ctx.session.transaction.as_ref().is_some_and(|t| t.explicit);
        if !explicit && !hold {
            return ctx.retire(Err(AdapterError::new(
                "25P01",
                "DECLARE CURSOR can only be used in transaction blocks",
            )));
        }
        let plan = self.plan_cursor(&ctx.session, &sql);
        let plan = match plan {
            Ok(plan) => plan,
            Err(e) => return ctx.retire(Err(e)),
        };
        let (reply, rx) = tokio::sync::oneshot::channel();
        let outer = ctx.reply;
        self.sequence(ExecuteContext { session: ctx.session, reply }, plan, Row::default()).await;
        hw_base::task::spawn("declare", async move {
            let Ok((mut session, result)) = rx.await else { return };
            let result = match result {
                Ok(ExecuteResponse::Rows { desc, rows, live, .. }) => {
                    let buffered = std::collections::VecDeque::new();
                    let cursor =
                        Cursor { desc, rows, buffered, done: false, hold, is_new: true, subscribe: live };
                    session.cursors.insert(name, cursor);
                    done("DECLARE CURSOR")
                }
                Ok(_) => Err(AdapterError::new("0A000", "a cursor must be over a query or a SUBSCRIBE")),
                Err(e) => Err(e),
            };
            let _gone = outer.send((session, result));
        });
    }

    fn plan_cursor(&mut self, session: &Session, sql: &str) -> Result<Plan, AdapterError> {
        let mut statements = hw_sql::parser::parse(sql)?;
        let statement =
            statements.pop().ok_or_else(|| AdapterError::new("42601", "a cursor needs a query"))?;
        let catalog = self.session_catalog(session);
        let info = session.info();
        let scx = StatementContext::new(&catalog, &info, &statement.extensions);
        let owned = &mut self.catalog;
        let mut ids = || owned.allocate_user_id();
        let plan = hw_sql::statement::plan_statement(&scx, &statement.statement, &mut ids)?;
        match plan {
            Plan::Select(_) | Plan::Subscribe(_) | Plan::ConstantRows { .. } => Ok(plan),
            _ => Err(AdapterError::new("42601", "a cursor must be over a query or a SUBSCRIBE")),
        }
    }

    /// FETCH: what is there, up to the count. For a subscription it waits until something is there or the timeout has passed; by default it
    /// waits for the count or, without one, for something.
    pub(crate) fn sequence_fetch(
        &mut self,
        ctx: ExecuteContext,
        name: String,
        count: Option<u64>,
        timeout_ms: Option<u64>,
    ) {
        hw_base::task::spawn("fetch", async move {
            let mut ctx = ctx;
            let cancel = ctx.session.cancel.clone();
            let Some(mut cursor) = ctx.session.cursors.remove(&name) else {
                return ctx.retire(Err(unknown_cursor(&name)));
            };
            let desc = cursor.desc.clone();
            let rows = tokio::select! {
                rows = fetch(&mut cursor, count, timeout_ms) => rows,
                () = cancel.cancelled() => Err(cancel.error()),
            };
            ctx.session.cursors.insert(name, cursor);
            ctx.retire(rows.map(|rows| ExecuteResponse::Rows {
                desc,
                rows: RowStream::ready(rows),
                tag: "FETCH".into(),
                bare_tag: false,
                live: false,
            }));
        });
    }
}

async fn fetch(
    cursor: &mut Cursor,
    count: Option<u64>,
    timeout_ms: Option<u64>,
) -> Result<Vec<Row>, AdapterError> {
    let want = count.map_or(usize::MAX, |c| usize::try_from(c).unwrap_or(usize::MAX));
    let deadline = timeout_ms.map(|ms| tokio::time::Instant::now() + Duration::from_millis(ms));
    while !cursor.done && cursor.buffered.len() < want {
        let wait = match (cursor.subscribe, deadline) {
            (false, _) => None,
            (true, Some(at)) => Some(at.saturating_duration_since(tokio::time::Instant::now())),
            // Without a timeout: FETCH ALL takes what is there, FETCH n waits for the first row.
            (true, None) if count.is_none() || !cursor.buffered.is_empty() => Some(Duration::from_millis(1)),
            (true, None) => None,
        };
        let next = match wait {
            None => cursor.rows.next().await,
            Some(wait) => match tokio::time::timeout(wait, cursor.rows.next()).await {
                Ok(next) => next,
                Err(_) => break,
            },
        };
        match next {
            Some(batch) => cursor.buffered.extend(batch?),
            None => cursor.done = true,
        }
    }
    let take = want.min(cursor.buffered.len());
    Ok(cursor.buffered.drain(..take).collect())
}

fn unknown_cursor(name: &str) -> AdapterError {
    AdapterError::new("34000", format!("cursor \"{name}\" does not exist"))
}
