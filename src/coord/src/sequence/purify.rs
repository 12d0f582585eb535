//! Statements that ask upstream systems: CREATE SOURCE, CREATE TABLE … FROM SOURCE, VALIDATE CONNECTION. The coordinator does not
//! wait for the answer; the statement is planned when it has come.

use hw_catalog::OpenTransaction;
use hw_plan::source::{MySqlConnection, MySqlTls};
use hw_repr::{GlobalId, Row};
use hw_sql::StatementContext;
use hw_sql::parser::ParsedStatement;
use hw_sql::plan::{ConnectionDefinition, ItemDefinition, StringOrSecret};
use hw_sql::statement::PurifyRequest;

use super::execute::placed;
use crate::coordinator::{Coordinator, ExecuteContext, Message};
use crate::error::AdapterError;
use crate::session::{Session, TransactionOps};

/// The answer to a [`PurifyRequest`].
pub(crate) struct Purified {
    ctx: ExecuteContext,
    statement: ParsedStatement,
    answer: Result<hw_sql::statement::Purified, AdapterError>,
}

fn open_transaction(session: &Session) -> Option<&OpenTransaction> {
    match session.transaction.as_ref().map(|t| &t.ops) {
        Some(TransactionOps::Ddl(open)) => Some(open),
        _ => None,
    }
}

impl Coordinator {
    /// A MySQL connection with its secrets, as the catalog has them.
    pub(crate) fn mysql_connection(&self, id: GlobalId) -> Result<MySqlConnection, AdapterError> {
        self.connection_in(None, id)
    }

    /// The same as a session's transaction sees them.
    pub(crate) fn session_connection(
        &self,
        session: &Session,
        id: GlobalId,
    ) -> Result<MySqlConnection, AdapterError> {
        self.connection_in(open_transaction(session), id)
    }

    fn connection_in(
        &self,
        open: Option<&OpenTransaction>,
        id: GlobalId,
    ) -> Result<MySqlConnection, AdapterError> {
        let state = open.map_or_else(|| self.catalog.state(), OpenTransaction::state);
        let item = hw_sql::Catalog::item(&*state, id);
        let item = item.ok_or_else(|| AdapterError::new("42704", "the connection does not exist"))?;
        let ItemDefinition::Connection(connection) = &item.definition else {
            return Err(AdapterError::new("42809", format!("\"{}\" is not a connection", item.name.item)));
        };
        self.with_secrets(open, connection)
    }

    /// A connection that a session is about to make, with its secrets.
    pub(crate) fn resolve_connection(
        &self,
        session: &Session,
        connection: &ConnectionDefinition,
    ) -> Result<MySqlConnection, AdapterError> {
        self.with_secrets(open_transaction(session), connection)
    }

    fn with_secrets(
        &self,
        open: Option<&OpenTransaction>,
        connection: &ConnectionDefinition,
    ) -> Result<MySqlConnection, AdapterError> {
        let ConnectionDefinition::MySql {
            host,
            port,
            user,
            password,
            tls_mode,
            tls_ca,
            tls_certificate,
            tls_key,
        } = connection;
        let text = |v: &StringOrSecret| match v {
            StringOrSecret::String(s) => Ok(s.clone()),
            StringOrSecret::Secret(id) => self.secret_text(open, *id),
        };
        Ok(MySqlConnection {
            host: host.clone(),
            port: *port,
            user: text(user)?,
            password: password.map(|id| self.secret_text(open, id)).transpose()?,
            tls: MySqlTls {
                mode: *tls_mode,
                ca: tls_ca.as_ref().map(text).transpose()?,
                certificate: tls_certificate.as_ref().map(text).transpose()?,
                key: tls_key.map(|id| self.secret_text(open, id)).transpose()?,
            },
        })
    }

    fn secret_text(&self, open: Option<&OpenTransaction>, id: GlobalId) -> Result<String, AdapterError> {
        let bytes = match open.and_then(|o| o.secret(id)) {
            Some(bytes) => bytes.to_vec(),
            None => self.catalog.secret(id).map_err(super::ddl::catalog_error)?,
        };
        String::from_utf8(bytes)
            .map_err(|_| AdapterError::new("22021", "the secret's value is not valid UTF-8"))
    }

    /// Asks upstream.
    pub(crate) fn purify(
        &mut self,
        ctx: ExecuteContext,
        statement: ParsedStatement,
        request: PurifyRequest,
        connection: MySqlConnection,
    ) {
        let (upstream, messages) = (std::sync::Arc::clone(&self.upstream), self.messages.clone());
        let cancel = ctx.session.cancel.clone();
        hw_base::task::spawn("purify", async move {
            let answer = tokio::select! {
                answer = request.run(&*upstream, &connection) => answer.map_err(|e| placed(e, &statement)),
                () = cancel.cancelled() => Err(cancel.error()),
            };
            let _gone = messages.send(Message::Purified(Box::new(Purified { ctx, statement, answer })));
        });
    }

    /// Upstream has answered.
    pub(crate) async fn purified(&mut self, purified: Purified) {
        let Purified { ctx, statement, answer } = purified;
        let plan = answer.and_then(|answer| {
            let catalog = self.session_catalog(&ctx.session);
            let info = ctx.session.info();
            let scx = StatementContext::new(&catalog, &info, &statement.extensions);
            let owned = &mut self.catalog;
            let mut ids = || owned.allocate_user_id();
            hw_sql::statement::plan_purified(&scx, &statement.statement, &answer, &mut ids)
                .map_err(|e| placed(e, &statement))
        });
        match plan {
            Ok(plan) => self.sequence(ctx, plan, Row::default()).await,
            Err(e) => ctx.retire(Err(e)),
        }
    }

    pub(crate) fn validate_connection(&mut self, ctx: ExecuteContext, id: GlobalId) {
        let connection = match self.session_connection(&ctx.session, id) {
            Ok(connection) => connection,
            Err(e) => return ctx.retire(Err(e)),
        };
        let upstream = std::sync::Arc::clone(&self.upstream);
        let cancel = ctx.session.cancel.clone();
        hw_base::task::spawn("validate-connection", async move {
            let result = tokio::select! {
                result = upstream.validate_mysql(&connection) => result.map_err(AdapterError::from),
                () = cancel.cancelled() => Err(cancel.error()),
            };
            ctx.retire(result.map(|()| crate::client::ExecuteResponse::Done("VALIDATE CONNECTION".into())));
        });
    }
}
