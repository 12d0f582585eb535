//! The life of a session's connection: a loop over messages.
//!
//! After an error in the extended protocol everything up to Sync is skipped. A batch (a query string, or what comes
//! until Sync) ends with `finish_batch`: the implicit transaction ends, changed settings are reported, and
//! ReadyForQuery is sent.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use hw_coord::session::Portal;
use hw_coord::{AdapterError, ExecuteResponse, SessionClient, TransactionStatus};
use pgwire::messages::response::{
    CommandComplete, ReadyForQuery, TransactionStatus as WireTransactionStatus,
};
use pgwire::messages::startup::ParameterStatus;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::extended::PortalState;
use super::message::{self, FrontendMessage};
use super::response::{End, Failure, error_response, is_wanted, notice_response};
use super::wire::{Frame, Wire};

/// A connection with a session.
pub(crate) struct Connection<'a, S> {
    pub(crate) wire: Wire<S>,
    pub(crate) client: SessionClient,
    pub(crate) shared: &'a Shared,
    /// How far the session's portals have been run.
    pub(crate) portals: BTreeMap<String, PortalState>,
    /// The settings as the client knows them.
    reported: Vec<(&'static str, String)>,
    /// The revision of the settings at which they were reported.
    reported_at: Option<u64>,
    /// Whether messages are skipped until Sync.
    skipping: bool,
    /// Whether ReadyForQuery was the last that happened.
    at_rest: bool,
}

/// Waits for a call to the coordinator, unless the client or the server goes meanwhile; the session is then over.
pub(crate) async fn attend<S, F>(
    wire: &mut Wire<S>,
    shutdown: &CancellationToken,
    call: F,
) -> Result<F::Output, End>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future,
{
    tokio::select! {
        biased;
        out = call => Ok(out),
        () = wire.gone() => Err(End::Disconnected),
        () = shutdown.cancelled() => Err(End::Shutdown),
    }
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Connection<'a, S> {
    pub(crate) fn new(wire: Wire<S>, client: SessionClient, shared: &'a Shared) -> Self {
        Connection {
            wire,
            client,
            shared,
            portals: BTreeMap::new(),
            reported: Vec::new(),
            reported_at: None,
            skipping: false,
            at_rest: false,
        }
    }

    /// Runs until the connection ends.
    pub(crate) async fn run(mut self) -> (Wire<S>, End) {
        let mut result = self.finish_batch().await;
        let end = loop {
            match result {
                Ok(()) => result = self.step().await,
                Err(end) => break end,
            }
        };
        (self.wire, end)
    }

    /// Handles one message.
    async fn step(&mut self) -> Result<(), End> {
        let frame = self.next_frame().await?;
        self.at_rest = false;
        let tag = frame.tag;
        if self.skipping && !matches!(tag, b'S' | b'X') {
            return Ok(());
        }
        let handled = match message::decode(frame) {
            // The future is large, and while the connection rests it is not there.
            Ok(message) => Box::pin(self.handle(message)).await,
            Err(e) => Err(e.into()),
        };
        match handled {
            Ok(()) => {}
            Err(Failure::End(end)) => return Err(end),
            Err(Failure::Statement(e, context)) => {
                self.put_error(&e, context.as_deref())?;
                self.skipping = message::is_extended(tag);
            }
        }
        if matches!(tag, b'Q' | b'S') { self.finish_batch().await } else { Ok(()) }
    }

    async fn handle(&mut self, message: FrontendMessage) -> Result<(), Failure> {
        match message {
            FrontendMessage::Query(sql) => self.simple_query(&sql).await,
            FrontendMessage::Parse { name, sql, param_oids } => self.parse(name, &sql, &param_oids).await,
            FrontendMessage::Bind(bind) => self.bind(bind),
            FrontendMessage::Describe(target) => self.describe(&target),
            FrontendMessage::Execute { portal, max_rows } => self.execute_portal(portal, max_rows).await,
            FrontendMessage::Close(target) => self.close(&target),
            FrontendMessage::Flush => Ok(self.flush().await?),
            FrontendMessage::Sync => {
                self.skipping = false;
                Ok(())
            }
            FrontendMessage::Terminate => Err(End::Terminated.into()),
            // A copy has failed and the client does not know yet.
            FrontendMessage::CopyData(_) | FrontendMessage::CopyDone | FrontendMessage::CopyFail(_) => Ok(()),
        }
    }

    /// Waits for a message.
    async fn next_frame(&mut self) -> Result<Frame, End> {
        let idle = self.idle_limit();
        let late = async {
            match idle {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.shared.shutdown.cancelled() => Err(End::Shutdown),
            frame = self.wire.frame() => frame,
            () = late => Err(End::Fatal(
                AdapterError::new("25P03", "terminating connection due to idle-in-transaction timeout").fatal(),
            )),
        }
    }

    /// How long the client may now be silent, if there is a limit: it holds back others while a transaction is open.
    fn idle_limit(&self) -> Option<Duration> {
        let session = self.client.session();
        if !self.at_rest || session.status() == TransactionStatus::Idle {
            return None;
        }
        let ms = session.vars.get("idle_in_transaction_session_timeout")?.parse().ok()?;
        (ms > 0).then(|| Duration::from_millis(ms))
    }

    /// Sends all output.
    pub(crate) async fn flush(&mut self) -> Result<(), End> {
        tokio::select! {
            biased;
            flushed = self.wire.flush() => flushed,
            () = self.shared.shutdown.cancelled() => Err(End::Shutdown),
        }
    }

    /// Executes a portal.
    pub(crate) async fn execute(&mut self, portal: Portal) -> Result<ExecuteResponse, Failure> {
        let call = self.client.execute(portal);
        let response = attend(&mut self.wire, &self.shared.shutdown, call).await?;
        Ok(response?)
    }

    /// Ends the implicit transaction, if there is one.
    pub(crate) async fn end_implicit(&mut self) -> Result<(), Failure> {
        let call = self.client.end_implicit();
        let ended = attend(&mut self.wire, &self.shared.shutdown, call).await?;
        Ok(ended?)
    }

    /// Answers a statement that is done.
    pub(crate) fn put_complete(&mut self, tag: String) -> Result<(), End> {
        self.client.statement_done();
        self.put_notices()?;
        self.wire.put(&CommandComplete::new(tag))
    }

    /// Answers a statement that failed; its transaction fails with it.
    fn put_error(&mut self, e: &AdapterError, context: Option<&str>) -> Result<(), End> {
        self.client.statement_done();
        self.client.fail_transaction();
        self.portals.clear();
        self.put_notices()?;
        self.shared.metrics.errors.inc();
        self.wire.put(&error_response(e, context))
    }

    fn put_notices(&mut self) -> Result<(), End> {
        let notices = self.client.take_notices();
        if notices.is_empty() {
            return Ok(());
        }
        let vars = &self.client.session().vars;
        let least = vars.get("client_min_messages").unwrap_or("notice").to_owned();
        notices
            .iter()
            .filter(|n| is_wanted(n.severity, &least))
            .try_for_each(|n| self.wire.put(&notice_response(n)))
    }

    /// Tells the client of settings that it does not know yet.
    fn put_parameters(&mut self) -> Result<(), End> {
        /// No client needs a longer one, and the message has a limit.
        const MAX_VALUE_BYTES: usize = 16 << 10;
        let vars = &self.client.session().vars;
        if self.reported_at == Some(vars.revision()) {
            return Ok(());
        }
        self.reported_at = Some(vars.revision());
        let now = vars.reported();
        for (i, (name, value)) in now.iter().enumerate() {
            let known = self.reported.get(i).is_some_and(|(n, v)| n == name && v == value);
            if !known && value.len() <= MAX_VALUE_BYTES {
                self.wire.put(&ParameterStatus::new((*name).to_owned(), value.clone()))?;
            }
        }
        self.reported = now;
        Ok(())
    }

    /// Ends a batch and waits for the next.
    async fn finish_batch(&mut self) -> Result<(), End> {
        match self.end_implicit().await {
            Ok(()) => {}
            Err(Failure::End(end)) => return Err(end),
            Err(Failure::Statement(e, context)) => self.put_error(&e, context.as_deref())?,
        }
        let status = self.client.status();
        if status == TransactionStatus::Idle {
            self.portals.clear();
            self.client.session_mut().portals.clear();
        }
        self.put_notices()?;
        self.put_parameters()?;
        self.wire.put(&ReadyForQuery::new(match status {
            TransactionStatus::Idle => WireTransactionStatus::Idle,
            TransactionStatus::InTransaction => WireTransactionStatus::Transaction,
            TransactionStatus::Failed => WireTransactionStatus::Error,
        }))?;
        self.at_rest = true;
        self.flush().await
    }
}
