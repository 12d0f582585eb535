//! A PostgreSQL driver connection with the few calls that the tests need.

use anyhow::{Context, bail};
use tokio_postgres::{CancelToken, NoTls, SimpleQueryMessage};

/// One row in text form; `None` is NULL.
pub(crate) type TextRow = Vec<Option<String>>;

/// A connection; statements run in order.
pub(crate) struct Client {
    inner: tokio_postgres::Client,
}

impl Client {
    /// Connects to a loopback port, database `materialize`.
    pub(crate) async fn connect(port: u16, user: &str) -> anyhow::Result<Client> {
        Client::connect_with(&format!(
            "host=127.0.0.1 port={port} user={user} dbname=materialize connect_timeout=10"
        ))
        .await
    }

    /// Connects with a connection string.
    pub(crate) async fn connect_with(config: &str) -> anyhow::Result<Client> {
        let (inner, connection) = tokio_postgres::connect(config, NoTls).await?;
        // The connection's error comes back from the statement that meets it.
        tokio::spawn(connection);
        Ok(Client { inner })
    }

    /// The driver's own interface (extended protocol, portals, COPY).
    pub(crate) fn driver(&mut self) -> &mut tokio_postgres::Client {
        &mut self.inner
    }

    /// A token with which another task cancels what runs here.
    pub(crate) fn cancel_token(&self) -> CancelToken {
        self.inner.cancel_token()
    }

    /// Runs statements; panics with statement and error if one fails.
    pub(crate) async fn run(&self, sql: &str) {
        self.try_run(sql).await.unwrap_or_else(|e| panic!("{sql}\nfailed: {e:#}"));
    }

    /// Runs statements.
    pub(crate) async fn try_run(&self, sql: &str) -> anyhow::Result<()> {
        self.inner.batch_execute(sql).await.map_err(explain)
    }

    /// The rows of a query (simple protocol, text).
    pub(crate) async fn try_rows(&self, sql: &str) -> anyhow::Result<Vec<TextRow>> {
        let messages = self.inner.simple_query(sql).await.map_err(explain)?;
        let rows = messages.iter().filter_map(|m| match m {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect())
            }
            _ => None,
        });
        Ok(rows.collect())
    }

    /// The rows of a query; panics if it fails.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<TextRow> {
        self.try_rows(sql).await.unwrap_or_else(|e| panic!("{sql}\nfailed: {e:#}"))
    }

    /// The only value of a query.
    pub(crate) async fn try_value(&self, sql: &str) -> anyhow::Result<String> {
        let rows = self.try_rows(sql).await?;
        match rows.as_slice() {
            [row] => row.first().cloned().flatten().context("NULL"),
            _ => bail!("{} rows instead of one", rows.len()),
        }
    }

    /// The only value of a query; panics if it fails.
    pub(crate) async fn value(&self, sql: &str) -> String {
        self.try_value(sql).await.unwrap_or_else(|e| panic!("{sql}\nfailed: {e:#}"))
    }

    /// The SQLSTATE and message with which a statement fails; panics if it succeeds.
    pub(crate) async fn error(&self, sql: &str) -> (String, String) {
        match self.inner.batch_execute(sql).await {
            Ok(()) => panic!("{sql}\nshould have failed"),
            Err(e) => {
                let error = e.as_db_error().unwrap_or_else(|| panic!("{sql}\nlost the connection: {e}"));
                (error.code().code().to_owned(), error.message().to_owned())
            }
        }
    }
}

/// The server's message, code, detail and hint, which the driver's `Display` leaves out.
pub(crate) fn explain(error: tokio_postgres::Error) -> anyhow::Error {
    match error.as_db_error() {
        Some(e) => {
            let more =
                [e.detail(), e.hint()].into_iter().flatten().map(|t| format!(" ({t})")).collect::<String>();
            anyhow::anyhow!("{}: {}{more}", e.code().code(), e.message())
        }
        None => error.into(),
    }
}
