//! From a portal to a plan.

use std::sync::Arc;

use hw_catalog::CatalogState;
use hw_repr::{GlobalId, Row, ScalarType};
use hw_sql::parser::{ParsedStatement, Statement};
use hw_sql::plan::{CopySource, Plan};
use hw_sql::{PlanError, StatementContext};

use super::rules;
use super::transaction::Gathered;
use crate::coordinator::{Coordinator, ExecuteContext, Message};
use crate::error::AdapterError;
use crate::session::{KeptPlan, PlanKey, Portal, PreparedStatement, Session, TransactionOps};

impl Coordinator {
    /// Plans a statement as far as its result and parameters.
    pub(crate) fn prepare(
        &mut self,
        session: &Session,
        statement: Option<ParsedStatement>,
        params: Vec<Option<ScalarType>>,
    ) -> Result<PreparedStatement, AdapterError> {
        let catalog_revision = self.session_state(session).revision();
        let Some(statement) = statement else {
            return Ok(PreparedStatement::new(None, None, vec![], catalog_revision));
        };
        let catalog = self.session_catalog(session);
        let info = session.info();
        let scx = StatementContext::new(&catalog, &info, &statement.extensions).with_params(params);
        let desc =
            hw_sql::statement::describe(&scx, &statement.statement).map_err(|e| placed(e, &statement))?;
        let result = match &statement.statement {
            Statement::Fetch { discard: true, .. } => None,
            Statement::Fetch { name, .. } => session.cursors.get(&name.value).map(|c| c.desc.clone()),
            Statement::Execute { name, .. } => {
                session.prepared.get(&name.value).and_then(|p| p.result.clone())
            }
            _ => desc.result,
        };
        Ok(PreparedStatement::new(Some(statement), result, desc.params, catalog_revision))
    }

    /// Executes a portal.
    pub(crate) async fn execute(&mut self, mut ctx: ExecuteContext, portal: Portal) {
        let Some(statement) = &portal.prepared.statement else {
            return ctx.retire(Ok(crate::client::ExecuteResponse::Empty));
        };
        let now = self.oracle.now_ms();
        let failed = ctx.session.transaction.as_ref().is_some_and(|t| t.failed);
        if failed && !ends_transaction(statement) {
            return ctx.retire(Err(AdapterError::new(
                "25P02",
                "current transaction is aborted, commands ignored until end of transaction block",
            )));
        }
        ctx.session.transaction_mut(now).statements += 1;
        if let Some(kept) = self.kept_plan(&ctx.session, &portal) {
            return self.sequence_kept(ctx, &kept, portal.params).await;
        }
        match self.plan_with_purification(&ctx.session, statement, &portal) {
            Ok(Planned::Plan(plan)) => self.sequence(ctx, *plan, portal.params).await,
            Ok(Planned::Purify(request, connection)) => {
                self.purify(ctx, statement.clone(), *request, connection)
            }
            Err(e) => ctx.retire(Err(e)),
        }
    }

    /// What plans depend on now; nothing while the session has changes of the catalog that are not committed.
    fn plan_key(&self, session: &Session) -> Option<PlanKey> {
        let open = session.transaction.as_ref().is_some_and(|t| matches!(t.ops, TransactionOps::Ddl(_)));
        let catalog = self.catalog.state().revision();
        (!open).then(|| PlanKey { catalog, settings: session.vars.revision() })
    }

    fn kept_plan(&self, session: &Session, portal: &Portal) -> Option<Arc<KeptPlan>> {
        portal.prepared.plan.get(self.plan_key(session)?)
    }

    /// Carries out a plan that has been kept.
    async fn sequence_kept(&mut self, mut ctx: ExecuteContext, kept: &KeptPlan, params: Row) {
        let (Some(template), Plan::Select(select)) = (&kept.template, &kept.plan) else {
            return self.sequence(ctx, kept.plan.clone(), params).await;
        };
        if let Some(gathered) = rules::take_gathered(&mut ctx.session, &kept.plan) {
            return self.write_first(ctx, gathered, kept.plan.clone(), params).await;
        }
        if let Err(e) = rules::check(&mut ctx.session, &kept.plan) {
            return ctx.retire(Err(e));
        }
        match self.read_by_template(&mut ctx.session, template, &params) {
            Ok(Some(read)) => self.answer_select(ctx, read, select.desc.clone(), None),
            Ok(None) => self.sequence_select(ctx, select.clone(), params, None),
            Err(e) => ctx.retire(Err(e)),
        }
    }

    fn plan_with_purification(
        &mut self,
        session: &Session,
        statement: &ParsedStatement,
        portal: &Portal,
    ) -> Result<Planned, AdapterError> {
        let catalog = self.session_catalog(session);
        let info = session.info();
        let params: Vec<_> = portal.prepared.params.iter().cloned().map(Some).collect();
        let mut scx = StatementContext::new(&catalog, &info, &statement.extensions);
        if !params.is_empty() {
            scx = scx.with_params(params);
        }
        let request = hw_sql::statement::needs_purification(&scx, &statement.statement);
        if let Some(request) = request.map_err(|e| placed(e, statement))? {
            let connection = self.session_connection(session, request.connection)?;
            return Ok(Planned::Purify(Box::new(request), connection));
        }
        if let Statement::Execute { name, params } = &statement.statement {
            let types = &session.prepared(&name.value)?.params;
            let plan = hw_sql::statement::plan_execute(&scx, &name.value, params, types);
            return Ok(Planned::Plan(Box::new(plan.map_err(|e| placed(e, statement))?)));
        }
        let owned = &mut self.catalog;
        let mut ids = || owned.allocate_user_id();
        let plan = hw_sql::statement::plan_statement(&scx, &statement.statement, &mut ids);
        let plan = plan.map_err(|e| placed(e, statement))?;
        if let Plan::Select(select) = &plan
            && let Some(key) = self.plan_key(session)
            && portal.prepared.plan.wants_plan()
        {
            let template = self.read_template(session, select)?;
            portal.prepared.plan.put(key, Arc::new(KeptPlan { plan: plan.clone(), template }));
        }
        Ok(Planned::Plan(Box::new(plan)))
    }

    /// Carries out a plan.
    pub(crate) async fn sequence(&mut self, mut ctx: ExecuteContext, plan: Plan, params: Row) {
        if let Some(gathered) = rules::take_gathered(&mut ctx.session, &plan) {
            return self.write_first(ctx, gathered, plan, params).await;
        }
        if let Err(e) = rules::check(&mut ctx.session, &plan) {
            return ctx.retire(Err(e));
        }
        match plan {
            Plan::Select(select) => self.sequence_select(ctx, select, params, None),
            Plan::CopyTo { select, format } => match *select {
                CopySource::Select(select) => self.sequence_select(ctx, select, params, Some(format)),
                CopySource::Subscribe(subscribe) => self.sequence_subscribe(ctx, subscribe, Some(format)),
            },
            Plan::Subscribe(subscribe) => self.sequence_subscribe(ctx, subscribe, None),
            Plan::Explain(explain) => self.sequence_explain(ctx, explain, params),
            Plan::ConstantRows { desc, rows, tag } => {
                ctx.retire(Ok(super::settings::constant_rows(desc, rows, tag)))
            }
            Plan::Insert { table, source, returning } => {
                self.sequence_insert(ctx, table, source, returning, params)
            }
            Plan::Mutate { table, selection, assignments, returning } => {
                self.sequence_mutate(ctx, table, selection, assignments, returning, params);
            }
            Plan::CopyFrom { table, columns, format } => self.sequence_copy_from(ctx, table, columns, format),
            Plan::Begin(mode, tag) => self.sequence_begin(ctx, mode, tag),
            Plan::Commit => self.end_transaction(ctx, true, "COMMIT").await,
            Plan::Rollback => self.end_transaction(ctx, false, "ROLLBACK").await,
            Plan::ValidateConnection { id } => self.validate_connection(ctx, id),
            Plan::Discard(what) => self.sequence_discard(ctx, what).await,
            Plan::SetVariable { .. }
            | Plan::SetTransaction { .. }
            | Plan::ResetVariable(_)
            | Plan::ResetAll
            | Plan::ShowVariable(_)
            | Plan::ShowAll
            | Plan::Prepare { .. }
            | Plan::Deallocate(_)
            | Plan::Close(_) => {
                let result = self.sequence_setting(&mut ctx.session, plan);
                ctx.retire(result);
            }
            Plan::Execute { name, params } => Box::pin(self.sequence_execute(ctx, name, params)).await,
            Plan::Declare { name, sql, hold } => Box::pin(self.sequence_declare(ctx, name, sql, hold)).await,
            Plan::Fetch { name, direction, discard, timeout_ms } => {
                self.sequence_fetch(ctx, name, direction, discard, timeout_ms)
            }
            other => self.sequence_ddl(ctx, other).await,
        }
    }

    /// What an implicit transaction has gathered is carried out before a statement that has to see it, or to be alone.
    async fn write_first(&mut self, ctx: ExecuteContext, gathered: Gathered, plan: Plan, params: Row) {
        let (updates, followed) = match self.carry_out(&ctx.session, gathered).await {
            Ok(written) => written,
            Err(e) => return ctx.retire(Err(e)),
        };
        let messages = self.messages.clone();
        self.write(
            updates,
            Some(Box::new(move |_, result| match result.and(followed) {
                Ok(()) => {
                    let _gone = messages.send(Message::Resume(Box::new((ctx, plan, params))));
                }
                Err(e) => ctx.retire(Err(e)),
            })),
        );
    }

    /// The catalog as a session's transaction sees it.
    pub(crate) fn session_state(&self, session: &Session) -> Arc<CatalogState> {
        match session.transaction.as_ref().map(|t| &t.ops) {
            Some(TransactionOps::Ddl(open)) => open.state(),
            _ => self.catalog.state(),
        }
    }

    /// The same with the session's temporary items.
    pub(crate) fn session_catalog(&self, session: &Session) -> hw_catalog::SessionCatalog {
        hw_catalog::SessionCatalog::new(self.session_state(session), session.conn_id)
    }

    /// The ids of all user items below these.
    pub(crate) fn is_system_only(&self, ids: &std::collections::BTreeSet<GlobalId>) -> bool {
        !ids.is_empty() && ids.iter().all(GlobalId::is_system)
    }
}

/// A statement that is planned, or that asks upstream first.
enum Planned {
    Plan(Box<Plan>),
    Purify(Box<hw_sql::statement::PurifyRequest>, hw_plan::source::MySqlConnection),
}

fn ends_transaction(statement: &ParsedStatement) -> bool {
    matches!(statement.statement, Statement::Commit | Statement::Rollback)
}

/// Places an error's position within the whole query string.
pub(crate) fn placed(mut e: PlanError, statement: &ParsedStatement) -> AdapterError {
    e.position = e.position.map(|p| p + statement.offset);
    e.into()
}
