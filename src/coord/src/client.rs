//! What the frontend holds: one [`SessionClient`] for each connection.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use hw_repr::{RelationDesc, Row, ScalarType};
use hw_sql::parser::ParsedStatement;
use hw_sql::plan::CopyFormat;
use tokio::sync::{mpsc, oneshot};

use crate::cancel::{StatementCancel, Timer};
use crate::error::{AdapterError, Notice};
use crate::session::{Portal, PreparedStatement, Session, TransactionStatus};

/// How a connection introduces itself.
#[derive(Debug, Clone, Default)]
pub struct StartupRequest {
    /// The user.
    pub user: String,
    /// The database; the default one if not given.
    pub database: Option<String>,
    /// Settings from the start-up message's other parameters and `options`.
    pub settings: BTreeMap<String, String>,
    /// Whether it came through the internal port, on which `mz_system` may log in.
    pub internal: bool,
}

/// Rows in batches, as they come. Dropping it ends what makes them.
///
/// The lock is never contended; it makes the stream shareable, which a session that holds one (a cursor) has to be.
pub struct RowStream(parking_lot::Mutex<Batches>);

type Batches = Pin<Box<dyn Stream<Item = Result<Vec<Row>, AdapterError>> + Send>>;

impl RowStream {
    /// A stream of batches.
    pub fn new(stream: impl Stream<Item = Result<Vec<Row>, AdapterError>> + Send + 'static) -> Self {
        RowStream(parking_lot::Mutex::new(Box::pin(stream)))
    }

    /// A stream of rows that are there already.
    pub fn ready(rows: Vec<Row>) -> Self {
        Self::new(futures::stream::iter([Ok(rows)]))
    }

    /// The next batch; `None` at the end; nothing comes after an error. Safe to cancel.
    pub async fn next(&mut self) -> Option<Result<Vec<Row>, AdapterError>> {
        self.0.get_mut().next().await
    }
}

impl std::fmt::Debug for RowStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RowStream")
    }
}

/// What executing a statement gives.
#[derive(Debug)]
pub enum ExecuteResponse {
    /// The query was empty.
    Empty,
    /// It is done; the command tag, such as `CREATE TABLE` or `INSERT 0 2`.
    Done(String),
    /// Rows. The command tag is `tag` followed by a space and the number of rows, unless `bare_tag`.
    Rows {
        /// The columns.
        desc: RelationDesc,
        /// The rows.
        rows: RowStream,
        /// The command tag: `SELECT`, `FETCH`, `SHOW`, `INSERT 0`, ….
        tag: String,
        /// Whether the tag is complete as it is.
        bare_tag: bool,
        /// Whether rows come for as long as the client reads (SUBSCRIBE): each batch is to be sent at once.
        live: bool,
    },
    /// COPY TO STDOUT: rows in a format, sent as they come. The command tag is `COPY n`.
    CopyOut {
        /// The columns.
        desc: RelationDesc,
        /// The rows.
        rows: RowStream,
        /// The format.
        format: CopyFormat,
        /// Whether rows come for as long as the client reads.
        live: bool,
    },
    /// COPY FROM STDIN: the client's data is to be decoded to rows of `desc` and given to [`SessionClient::copy_rows`] in batches,
    /// then [`SessionClient::copy_done`].
    CopyIn {
        /// The columns that the client gives.
        desc: RelationDesc,
        /// The format.
        format: CopyFormat,
        /// The state of the copy.
        copy: CopyIn,
    },
}

/// A COPY FROM STDIN that is under way.
#[derive(Debug)]
pub struct CopyIn {
    pub(crate) table: hw_repr::GlobalId,
    pub(crate) columns: Vec<usize>,
    pub(crate) rows: Vec<Row>,
    pub(crate) bytes: usize,
}

type Reply<T> = oneshot::Sender<(Box<Session>, Result<T, AdapterError>)>;

/// What the coordinator is asked.
pub(crate) enum Command {
    Startup {
        request: StartupRequest,
        tx: oneshot::Sender<Result<Box<Session>, AdapterError>>,
    },
    Prepare {
        session: Box<Session>,
        statement: Option<ParsedStatement>,
        params: Vec<Option<ScalarType>>,
        tx: Reply<PreparedStatement>,
    },
    Execute {
        session: Box<Session>,
        portal: Portal,
        tx: Reply<ExecuteResponse>,
    },
    EndTransaction {
        session: Box<Session>,
        commit: bool,
        tx: Reply<()>,
    },
    CopyDone {
        session: Box<Session>,
        copy: CopyIn,
        tx: Reply<ExecuteResponse>,
    },
    Cancel {
        conn_id: u32,
        secret: i32,
    },
    Terminate {
        conn_id: u32,
    },
}

/// Access to the coordinator. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    pub(crate) tx: mpsc::Sender<Command>,
}

impl Client {
    /// Opens a session.
    ///
    /// # Errors
    /// Unknown role or database, or a start-up setting with a bad value; all end the connection.
    pub async fn startup(&self, request: StartupRequest) -> Result<SessionClient, AdapterError> {
        let (tx, rx) = oneshot::channel();
        let command = Command::Startup { request, tx };
        self.tx.send(command).await.map_err(|_| AdapterError::shutting_down())?;
        let session = rx.await.map_err(|_| AdapterError::shutting_down())??;
        let cancel = session.cancel.clone();
        Ok(SessionClient {
            conn_id: session.conn_id,
            client: self.clone(),
            session: Some(session),
            cancel,
            timer: None,
        })
    }

    /// Cancels whatever the session with that number and secret executes. Wrong secrets are ignored.
    pub async fn cancel(&self, conn_id: u32, secret: i32) {
        // A server that is going down cancels everything anyway.
        let _gone = self.tx.send(Command::Cancel { conn_id, secret }).await;
    }

    /// Whether the coordinator still answers.
    pub fn is_alive(&self) -> bool {
        !self.tx.is_closed()
    }
}

/// One connection's session. Dropping it ends the session.
pub struct SessionClient {
    conn_id: u32,
    client: Client,
    /// `None` only while a call is under way (and after one that was cancelled midway, which ends the session).
    session: Option<Box<Session>>,
    cancel: StatementCancel,
    /// The running statement's `statement_timeout`.
    timer: Option<Timer>,
}

impl Drop for SessionClient {
    fn drop(&mut self) {
        self.cancel.cancel();
        let (tx, conn_id) = (self.client.tx.clone(), self.conn_id);
        // When no runtime is left the coordinator is gone too.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let _gone = tx.send(Command::Terminate { conn_id }).await;
            });
        }
    }
}

impl SessionClient {
    /// The session's state.
    ///
    /// # Panics
    /// When a call has been cancelled midway.
    pub fn session(&self) -> &Session {
        self.session.as_deref().expect("no call is under way")
    }

    /// The session's state, to be changed.
    ///
    /// # Panics
    /// When a call has been cancelled midway.
    pub fn session_mut(&mut self) -> &mut Session {
        self.session.as_deref_mut().expect("no call is under way")
    }

    /// What ReadyForQuery tells.
    pub fn status(&self) -> TransactionStatus {
        self.session().status()
    }

    /// The notices that have come up since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.session_mut().notices)
    }

    /// Parses a query string of any number of statements. Positions in errors are within the whole string.
    pub fn parse(&self, sql: &str) -> Result<Vec<ParsedStatement>, AdapterError> {
        Ok(hw_sql::parser::parse(sql)?)
    }

    /// Prepares a statement under a name ("" is the unnamed one, which is replaced; 42P05 if another name is taken).
    /// `params` are the types that are given, as far as they are.
    pub async fn prepare(
        &mut self,
        name: &str,
        statement: Option<ParsedStatement>,
        params: Vec<Option<ScalarType>>,
    ) -> Result<(), AdapterError> {
        if !name.is_empty() && self.session().prepared.contains_key(name) {
            let e = AdapterError::new("42P05", format!("prepared statement \"{name}\" already exists"));
            return Err(self.failed(e));
        }
        let prepared = self.describe(statement, params).await?;
        self.session_mut().prepared.insert(name.to_owned(), Arc::new(prepared));
        Ok(())
    }

    /// Plans a statement as far as its result and parameter types.
    pub async fn describe(
        &mut self,
        statement: Option<ParsedStatement>,
        params: Vec<Option<ScalarType>>,
    ) -> Result<PreparedStatement, AdapterError> {
        self.call(|session, tx| Command::Prepare { session, statement, params, tx }).await
    }

    /// Makes a portal. `params` holds one datum for each parameter.
    pub fn bind(
        &mut self,
        portal: &str,
        prepared: Arc<PreparedStatement>,
        params: Row,
    ) -> Result<(), AdapterError> {
        if !portal.is_empty() && self.session().portals.contains_key(portal) {
            let e = AdapterError::new("42P03", format!("portal \"{portal}\" already exists"));
            return Err(self.failed(e));
        }
        self.session_mut().portals.insert(portal.to_owned(), Portal { prepared, params });
        Ok(())
    }

    /// Executes a portal from its beginning. In an aborted transaction everything but COMMIT and ROLLBACK fails (25P02). A transaction
    /// is begun if there is none; the caller ends an implicit one with [`SessionClient::end_implicit`] when the query string
    /// or the extended batch is over and all rows have been read.
    pub async fn execute(&mut self, portal: Portal) -> Result<ExecuteResponse, AdapterError> {
        let cancel = StatementCancel::default();
        self.limit_statement(&cancel);
        self.session_mut().cancel = cancel;
        self.call(|session, tx| Command::Execute { session, portal, tx }).await
    }

    /// Begins a statement's time: until [`SessionClient::statement_done`] it is cancelled when it takes longer than
    /// `statement_timeout`. Executing does so; it is for a portal that is run on.
    pub fn limit_statement(&mut self, cancel: &StatementCancel) {
        self.timer = self.session().statement_timeout().map(|limit| cancel.after(limit));
    }

    /// The statement is over: all of its rows have been taken, or no more are wanted for now.
    pub fn statement_done(&mut self) {
        self.timer = None;
    }

    /// Ends an implicit transaction: commits it, or rolls it back if a statement has failed. Does nothing for an explicit one.
    pub async fn end_implicit(&mut self) -> Result<(), AdapterError> {
        match &self.session().transaction {
            Some(t) if !t.explicit => {
                let commit = !t.failed;
                if !(commit && t.ops.is_to_be_carried_out()) {
                    self.session_mut().clear_transaction(commit);
                    return Ok(());
                }
                self.call(|session, tx| Command::EndTransaction { session, commit, tx }).await
            }
            _ => Ok(()),
        }
    }

    /// Notes that the frontend failed at a statement (an undecodable parameter, an error while rows were read).
    pub fn fail_transaction(&mut self) {
        self.session_mut().fail_transaction();
    }

    /// Gives rows to a COPY FROM STDIN.
    ///
    /// # Errors
    /// 53400 when more is copied than one transaction may hold.
    pub fn copy_rows(&mut self, copy: &mut CopyIn, rows: Vec<Row>) -> Result<(), AdapterError> {
        copy.bytes += rows.iter().map(Row::byte_len).sum::<usize>();
        if copy.bytes > crate::sequence::dml::MAX_TRANSACTION_BYTES {
            let e = AdapterError::new("53400", "COPY is too large for one transaction")
                .with_hint("Copy in several statements.");
            return Err(self.failed(e));
        }
        copy.rows.extend(rows);
        Ok(())
    }

    /// Ends a COPY FROM STDIN; the rows are inserted.
    pub async fn copy_done(&mut self, copy: CopyIn) -> Result<ExecuteResponse, AdapterError> {
        self.call(|session, tx| Command::CopyDone { session, copy, tx }).await
    }

    fn failed(&mut self, e: AdapterError) -> AdapterError {
        self.fail_transaction();
        e
    }

    async fn call<T>(
        &mut self,
        command: impl FnOnce(Box<Session>, Reply<T>) -> Command,
    ) -> Result<T, AdapterError> {
        let session = self.session.take().ok_or_else(|| AdapterError::internal("session is lost").fatal())?;
        self.cancel = session.cancel.clone();
        let (tx, rx) = oneshot::channel();
        let sent = self.client.tx.send(command(session, tx)).await;
        sent.map_err(|_| AdapterError::shutting_down())?;
        let (session, result) = rx.await.map_err(|_| AdapterError::shutting_down())?;
        self.session = Some(session);
        if result.is_err() {
            self.fail_transaction();
        }
        result
    }
}
