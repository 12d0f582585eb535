//! The simple protocol: a string of statements, executed and answered one by one in one implicit transaction.

use std::sync::Arc;

use hw_coord::ExecuteResponse;
use hw_coord::session::{Portal, PreparedStatement};
use hw_repr::Row;
use hw_sql::parser::{ParsedStatement, Statement};
use pgwire::messages::response::EmptyQueryResponse;
use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::Connection;
use super::response::{Failure, row_description};
use super::rows::{Format, ResultRows, RowEncoder};
use crate::context::session_timezone;

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    /// Executes a string of statements up to the first that fails.
    pub(crate) async fn simple_query(&mut self, sql: &str) -> Result<(), Failure> {
        // The unnamed statement and portal end with a simple query.
        self.portals.remove("");
        let session = self.client.session_mut();
        session.prepared.remove("");
        session.portals.remove("");
        let mut statements = self.client.parse(sql)?.into_iter().peekable();
        if statements.peek().is_none() {
            self.wire.put(&EmptyQueryResponse::new())?;
        }
        while let Some(statement) = statements.next() {
            let tag = self.execute_simple(statement).await?;
            // The last statement is done only when its effects are: a failing commit is its error.
            if statements.peek().is_none() {
                self.end_implicit().await?;
            }
            match tag {
                Some(tag) => self.put_complete(tag)?,
                None => self.wire.put(&EmptyQueryResponse::new())?,
            }
            if statements.peek().is_some() {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Executes a statement and sends its rows. Gives the command tag, or `None` if it was empty.
    async fn execute_simple(&mut self, statement: ParsedStatement) -> Result<Option<String>, Failure> {
        let table = copied_table(&statement.statement);
        let prepared = PreparedStatement::new(Some(statement), None, vec![], 0);
        let portal = Portal { prepared: Arc::new(prepared), params: Row::default() };
        match self.execute(portal).await? {
            ExecuteResponse::Empty => Ok(None),
            ExecuteResponse::Done(tag) => Ok(Some(tag)),
            ExecuteResponse::Rows { desc, rows, tag, bare_tag, live } => {
                let formats = vec![Format::Text; desc.arity()];
                self.wire.put(&row_description(&desc, &formats))?;
                let session = self.client.session();
                let mut result = ResultRows {
                    encoder: RowEncoder::new(&desc, &formats, session_timezone(session)),
                    rows,
                    pending: Vec::new().into_iter(),
                    tag,
                    bare_tag,
                    live,
                    cancel: session.cancel.clone(),
                };
                let (sent, _) = self.send_rows(&mut result, None).await?;
                Ok(Some(result.command_tag(sent)))
            }
            ExecuteResponse::CopyOut { desc, rows, format, live } => {
                self.copy_out(&desc, rows, &format, live).await.map(Some)
            }
            ExecuteResponse::CopyIn { desc, format, copy } => {
                self.copy_in(&table, &desc, &format, copy).await.map(Some)
            }
        }
    }
}

/// The name of the table that a COPY FROM fills, for the context of errors.
pub(crate) fn copied_table(statement: &Statement) -> String {
    match statement {
        Statement::Copy(hw_sql::parser::ast::CopyStatement::From { table, .. }) => {
            table.parts().pop().unwrap_or_default()
        }
        _ => String::new(),
    }
}
