//! From a portal to a plan.

use hw_repr::{GlobalId, Row, ScalarType};
use hw_sql::parser::{ParsedStatement, Statement};
use hw_sql::plan::{CopySource, Plan};
use hw_sql::{PlanError, StatementContext};

use crate::coordinator::{Coordinator, ExecuteContext, Message};
use crate::error::AdapterError;
use crate::session::{Portal, PreparedStatement, Session, TransactionOps};

/// What a plan does to a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Allowed anywhere; touches no data.
    Neutral,
    /// COMMIT and ROLLBACK.
    End,
    /// Reads.
    Read,
    /// Inserts.
    Insert,
    /// Must be alone.
    Single,
    /// Reads and must be alone.
    Subscribe,
}

fn classify(plan: &Plan) -> Class {
    match plan {
        Plan::Commit | Plan::Rollback => Class::End,
        Plan::Select(_) | Plan::CopyTo { .. } | Plan::Explain(_) => Class::Read,
        Plan::Subscribe(_) => Class::Subscribe,
        Plan::Insert { .. } | Plan::CopyFrom { .. } => Class::Insert,
        Plan::ConstantRows { .. }
        | Plan::Begin { .. }
        | Plan::SetVariable { .. }
        | Plan::ResetAll
        | Plan::ShowVariable(_)
        | Plan::ShowAll
        | Plan::Discard { .. }
        | Plan::Prepare { .. }
        | Plan::Execute { .. }
        | Plan::Deallocate(_)
        | Plan::Declare { .. }
        | Plan::Fetch { .. }
        | Plan::Close(_)
        | Plan::ValidateConnection { .. } => Class::Neutral,
        _ => Class::Single,
    }
}

impl Coordinator {
    /// Plans a statement as far as its result and parameters.
    pub(crate) fn prepare(
        &mut self,
        session: &Session,
        statement: Option<ParsedStatement>,
        params: Vec<Option<ScalarType>>,
    ) -> Result<PreparedStatement, AdapterError> {
        let state = self.catalog.state();
        let catalog_revision = state.revision();
        let Some(statement) = statement else {
            return Ok(PreparedStatement { statement: None, result: None, params: vec![], catalog_revision });
        };
        let catalog = self.session_catalog(session);
        let info = session.info();
        let scx = StatementContext::new(&catalog, &info, &statement.extensions).with_params(params);
        let desc =
            hw_sql::statement::describe(&scx, &statement.statement).map_err(|e| placed(e, &statement))?;
        Ok(PreparedStatement {
            result: desc.result,
            params: desc.params,
            statement: Some(statement),
            catalog_revision,
        })
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
        match self.plan_with_purification(&ctx.session, statement, &portal) {
            Ok(Planned::Plan(plan)) => self.sequence(ctx, *plan, portal.params).await,
            Ok(Planned::Purify(request, connection)) => {
                self.purify(ctx, statement.clone(), *request, connection)
            }
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
        let params = portal.prepared.params.iter().cloned().map(Some).collect();
        let scx = StatementContext::new(&catalog, &info, &statement.extensions).with_params(params);
        let request = hw_sql::statement::needs_purification(&scx, &statement.statement);
        if let Some(request) = request.map_err(|e| placed(e, statement))? {
            let connection = self.mysql_connection(request.connection)?;
            return Ok(Planned::Purify(Box::new(request), connection));
        }
        let owned = &mut self.catalog;
        let mut ids = || owned.allocate_user_id();
        let plan = hw_sql::statement::plan_statement(&scx, &statement.statement, &mut ids);
        Ok(Planned::Plan(Box::new(plan.map_err(|e| placed(e, statement))?)))
    }

    /// Carries out a plan.
    pub(crate) async fn sequence(&mut self, mut ctx: ExecuteContext, plan: Plan, params: Row) {
        let class = classify(&plan);
        if let Some(writes) = take_pending_writes(&mut ctx.session, class) {
            // What an implicit transaction has inserted is written before a statement that has to see it, or to be alone.
            let messages = self.messages.clone();
            return self.write(
                writes,
                Some(Box::new(move |_, result| match result {
                    Ok(_) => {
                        let _gone = messages.send(Message::Resume(Box::new((ctx, plan, params))));
                    }
                    Err(e) => ctx.retire(Err(e)),
                })),
            );
        }
        if let Err(e) = check_transaction(&mut ctx.session, class) {
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
            Plan::Begin { read_only, isolation } => self.sequence_begin(ctx, read_only, isolation),
            Plan::Commit => self.end_transaction(ctx, true, "COMMIT"),
            Plan::Rollback => self.end_transaction(ctx, false, "ROLLBACK"),
            Plan::ValidateConnection { id } => self.validate_connection(ctx, id),
            Plan::SetVariable { .. }
            | Plan::ResetAll
            | Plan::ShowVariable(_)
            | Plan::ShowAll
            | Plan::Discard { .. }
            | Plan::Prepare { .. }
            | Plan::Deallocate(_)
            | Plan::Close(_) => {
                let result = self.sequence_setting(&mut ctx.session, plan).await;
                ctx.retire(result);
            }
            Plan::Execute { name, params } => Box::pin(self.sequence_execute(ctx, name, params)).await,
            Plan::Declare { name, sql, hold } => Box::pin(self.sequence_declare(ctx, name, sql, hold)).await,
            Plan::Fetch { name, count, timeout_ms } => self.sequence_fetch(ctx, name, count, timeout_ms),
            other => self.sequence_ddl(ctx, other).await,
        }
    }

    /// The catalog as a session sees it, its temporary items included.
    pub(crate) fn session_catalog(&self, session: &Session) -> hw_catalog::SessionCatalog {
        self.catalog.for_session(session.conn_id)
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

/// In a query string of several statements without BEGIN, a statement that cannot share a transaction with those before it begins
/// a new one; the insertions that are thereby to be written first are returned.
fn take_pending_writes(session: &mut Session, class: Class) -> Option<Writes> {
    let transaction = session.transaction.as_mut().filter(|t| !t.explicit)?;
    let compatible = matches!(
        (class, &transaction.ops),
        (Class::Neutral | Class::End, _)
            | (_, TransactionOps::None)
            | (Class::Insert, TransactionOps::Writes(_))
            | (Class::Read, TransactionOps::Reads { .. })
    );
    if compatible {
        return None;
    }
    match std::mem::take(&mut transaction.ops) {
        TransactionOps::Writes(writes) if !writes.is_empty() => Some(writes),
        _ => None,
    }
}

type Writes = std::collections::BTreeMap<GlobalId, Vec<(Row, hw_repr::Diff)>>;

/// Checks that a transaction may still do such a thing.
fn check_transaction(session: &mut Session, class: Class) -> Result<(), AdapterError> {
    let Some(transaction) = &mut session.transaction else { return Ok(()) };
    let mixed = |what: &str| {
        Err(AdapterError::new("25000", format!("transaction in {what} mode"))
            .with_hint("A transaction either reads, or inserts, or consists of one other statement."))
    };
    let alone = transaction.explicit;
    match (class, &transaction.ops) {
        (Class::Neutral | Class::End, _) => Ok(()),
        (Class::Insert | Class::Single, _) if transaction.read_only => {
            Err(AdapterError::new("25006", "cannot execute this statement in a read-only transaction"))
        }
        (_, TransactionOps::Single | TransactionOps::Subscribe) if alone => mixed("single-statement"),
        (Class::Read | Class::Subscribe, TransactionOps::Writes(w)) if !w.is_empty() => mixed("write-only"),
        (Class::Insert, TransactionOps::Reads { .. }) => mixed("read-only"),
        (Class::Single, _) if transaction.explicit => {
            Err(AdapterError::new("25001", "this statement cannot run inside a transaction block"))
        }
        (Class::Single, TransactionOps::Reads { .. } | TransactionOps::Writes(_)) if alone => {
            mixed("read-only or write-only")
        }
        (Class::Single, _) => {
            transaction.ops = TransactionOps::Single;
            Ok(())
        }
        (Class::Subscribe, TransactionOps::Reads { .. }) => mixed("read-only"),
        (Class::Subscribe, _) => {
            transaction.ops = TransactionOps::Subscribe;
            Ok(())
        }
        (Class::Read | Class::Insert, _) => Ok(()),
    }
}
