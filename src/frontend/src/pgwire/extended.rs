//! The extended protocol: Parse, Bind, Describe, Execute, Close.
//!
//! The session holds prepared statements and portals; how far a portal has been run is held here. A portal that was
//! stopped by a row limit keeps its stream of rows until it is run again or dropped, at the latest with its transaction.

use hw_coord::session::PreparedStatement;
use hw_coord::{AdapterError, ExecuteResponse, TransactionStatus};
use hw_repr::{RelationDesc, ScalarType};
use hw_sql::parser::Statement;
use pgwire::messages::data::{NoData, ParameterDescription};
use pgwire::messages::extendedquery::{BindComplete, CloseComplete, ParseComplete, PortalSuspended};
use pgwire::messages::response::EmptyQueryResponse;
use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::{Connection, attend};
use super::message::{Bind, Target};
use super::params;
use super::response::{Failure, row_description};
use super::rows::{ResultRows, RowEncoder, result_formats};
use super::simple::copied_table;
use crate::context::{decode_context, session_timezone};

/// How far a portal has been run.
pub(crate) struct PortalState {
    /// The formats of its columns, as the client wrote them.
    format_codes: Vec<i16>,
    progress: Progress,
}

enum Progress {
    /// Not at all.
    Bound,
    /// Rows are still to be sent.
    Suspended(Box<ResultRows>),
    /// All its rows have been sent; running it again gives none.
    Exhausted(String),
    /// It gave no rows and cannot be run again.
    Done,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    /// Parse.
    pub(crate) async fn parse(&mut self, name: String, sql: &str, param_oids: &[u32]) -> Result<(), Failure> {
        if name.is_empty() {
            self.client.session_mut().prepared.remove("");
        }
        let mut statements = self.client.parse(sql)?;
        let statement = statements.pop();
        if !statements.is_empty() {
            let e = AdapterError::new("42601", "cannot insert multiple commands into a prepared statement");
            return Err(e.into());
        }
        self.check_not_aborted(statement.as_ref().map(|s| &s.statement))?;
        let params = param_oids.iter().map(|oid| param_type(*oid)).collect::<Result<_, _>>()?;
        let call = self.client.prepare(&name, statement, params);
        attend(&mut self.wire, &self.shared.shutdown, call).await??;
        Ok(self.wire.put(&ParseComplete::new())?)
    }

    /// In an aborted transaction only what ends it may be prepared or bound.
    fn check_not_aborted(&self, statement: Option<&Statement>) -> Result<(), AdapterError> {
        let ends = matches!(statement, None | Some(Statement::Commit | Statement::Rollback));
        if ends || self.client.status() != TransactionStatus::Failed {
            return Ok(());
        }
        Err(AdapterError::new(
            "25P02",
            "current transaction is aborted, commands ignored until end of transaction block",
        ))
    }

    /// Bind.
    pub(crate) fn bind(&mut self, bind: Bind) -> Result<(), Failure> {
        let session = self.client.session();
        let prepared = match session.prepared.get(&bind.statement) {
            Some(prepared) => prepared.clone(),
            None => return Err(no_statement(&bind.statement).into()),
        };
        self.check_not_aborted(prepared.statement.as_ref().map(|s| &s.statement))?;
        let cx = decode_context(session);
        let row = params::decode(
            &bind.portal,
            &bind.statement,
            &bind.param_formats,
            &bind.params,
            &prepared.params,
            &cx,
        )
        .map_err(|(e, context)| Failure::Statement(e, context))?;
        if let Some(desc) = &prepared.result {
            result_formats(&bind.result_formats, desc.arity())?;
        }
        self.client.bind(&bind.portal, prepared, row)?;
        let state = PortalState { format_codes: bind.result_formats, progress: Progress::Bound };
        self.portals.insert(bind.portal, state);
        Ok(self.wire.put(&BindComplete::new())?)
    }

    /// Describe.
    pub(crate) fn describe(&mut self, target: &Target) -> Result<(), Failure> {
        match target {
            Target::Statement(name) => {
                let prepared = self.client.session().prepared.get(name).cloned();
                let prepared = prepared.ok_or_else(|| no_statement(name))?;
                let oids = prepared.params.iter().map(ScalarType::oid).collect();
                self.wire.put(&ParameterDescription::new(oids))?;
                self.put_result_description(&prepared, &[])
            }
            Target::Portal(name) => {
                let portal = self.client.session().portals.get(name).cloned();
                let portal = portal.ok_or_else(|| no_portal(name))?;
                let codes = self.portals.get(name).map(|p| p.format_codes.clone()).unwrap_or_default();
                self.put_result_description(&portal.prepared, &codes)
            }
        }
    }

    fn put_result_description(&mut self, prepared: &PreparedStatement, codes: &[i16]) -> Result<(), Failure> {
        match &prepared.result {
            Some(desc) => {
                let formats = result_formats(codes, desc.arity())?;
                self.wire.put(&row_description(desc, &formats))?;
            }
            None => self.wire.put(&NoData::new())?,
        }
        Ok(())
    }

    /// Close. What does not exist is closed already.
    pub(crate) fn close(&mut self, target: &Target) -> Result<(), Failure> {
        let session = self.client.session_mut();
        match target {
            Target::Statement(name) => {
                session.prepared.remove(name);
            }
            Target::Portal(name) => {
                session.portals.remove(name);
                self.portals.remove(name);
            }
        }
        Ok(self.wire.put(&CloseComplete::new())?)
    }

    /// Execute.
    pub(crate) async fn execute_portal(&mut self, name: String, max_rows: i32) -> Result<(), Failure> {
        if !self.client.session().portals.contains_key(&name) {
            return Err(no_portal(&name).into());
        }
        let bound = || PortalState { format_codes: vec![], progress: Progress::Bound };
        let PortalState { format_codes, progress } = self.portals.remove(&name).unwrap_or_else(bound);
        let limit = u64::try_from(max_rows).ok().filter(|n| *n > 0);
        let progress = match progress {
            Progress::Bound => self.start_portal(&name, &format_codes, limit).await?,
            Progress::Suspended(rows) => {
                self.client.limit_statement(&rows.cancel);
                self.run_rows(rows, limit).await?
            }
            Progress::Exhausted(tag) => {
                self.put_complete(tag.clone())?;
                Progress::Exhausted(tag)
            }
            Progress::Done => {
                let e = AdapterError::new("55000", format!("portal \"{name}\" cannot be run"));
                return Err(e.into());
            }
        };
        self.portals.insert(name, PortalState { format_codes, progress });
        // COMMIT and the like have dropped portals.
        let session = self.client.session();
        self.portals.retain(|name, _| session.portals.contains_key(name));
        Ok(())
    }

    async fn start_portal(
        &mut self,
        name: &str,
        codes: &[i16],
        limit: Option<u64>,
    ) -> Result<Progress, Failure> {
        let portal = self.client.session().portals.get(name).cloned().ok_or_else(|| no_portal(name))?;
        let prepared = portal.prepared.clone();
        let tag = match self.execute(portal).await? {
            ExecuteResponse::Empty => {
                self.wire.put(&EmptyQueryResponse::new())?;
                return Ok(Progress::Done);
            }
            ExecuteResponse::Done(tag) => tag,
            ExecuteResponse::Rows { desc, rows, tag, bare_tag, live } => {
                check_result(prepared.result.as_ref(), &desc)?;
                let formats = result_formats(codes, desc.arity())?;
                let session = self.client.session();
                let rows = ResultRows {
                    encoder: RowEncoder::new(&desc, &formats, session_timezone(session)),
                    rows,
                    pending: Vec::new().into_iter(),
                    tag,
                    bare_tag,
                    live,
                    cancel: session.cancel.clone(),
                };
                return self.run_rows(Box::new(rows), limit).await;
            }
            ExecuteResponse::CopyOut { desc, rows, format, live } => {
                self.copy_out(&desc, rows, &format, live).await?
            }
            ExecuteResponse::CopyIn { desc, format, copy } => {
                let table = prepared.statement.as_ref().map(|s| copied_table(&s.statement));
                self.copy_in(&table.unwrap_or_default(), &desc, &format, copy).await?
            }
        };
        self.put_complete(tag)?;
        Ok(Progress::Done)
    }

    async fn run_rows(&mut self, mut rows: Box<ResultRows>, limit: Option<u64>) -> Result<Progress, Failure> {
        let (sent, ended) = self.send_rows(&mut rows, limit).await?;
        if ended {
            self.put_complete(rows.command_tag(sent))?;
            Ok(Progress::Exhausted(rows.command_tag(0)))
        } else {
            self.client.statement_done();
            self.wire.put(&PortalSuspended::new())?;
            Ok(Progress::Suspended(rows))
        }
    }
}

/// The client has been told what columns come: others would be misread.
fn check_result(described: Option<&RelationDesc>, found: &RelationDesc) -> Result<(), AdapterError> {
    let Some(described) = described else { return Ok(()) };
    let types = |d: &RelationDesc| d.iter().map(|(_, t)| t.scalar_type.oid()).collect::<Vec<u32>>();
    if types(described) == types(found) {
        return Ok(());
    }
    Err(AdapterError::new("0A000", "cached plan must not change result type"))
}

/// The type of a parameter that the client declares; `None` is to be inferred.
fn param_type(oid: u32) -> Result<Option<ScalarType>, AdapterError> {
    /// The type of untyped literals.
    const UNKNOWN_OID: u32 = 705;
    if oid == 0 || oid == UNKNOWN_OID {
        return Ok(None);
    }
    match ScalarType::from_oid(oid) {
        Some(typ) => Ok(Some(typ)),
        None => Err(AdapterError::new("42704", format!("type with OID {oid} does not exist"))),
    }
}

fn no_statement(name: &str) -> AdapterError {
    let message = match name {
        "" => "unnamed prepared statement does not exist".to_owned(),
        name => format!("prepared statement \"{name}\" does not exist"),
    };
    AdapterError::new("26000", message)
}

fn no_portal(name: &str) -> AdapterError {
    AdapterError::new("34000", format!("portal \"{name}\" does not exist"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn declared_parameter_types() {
        assert_eq!(param_type(0).unwrap(), None);
        assert_eq!(param_type(705).unwrap(), None);
        assert_eq!(param_type(23).unwrap(), Some(ScalarType::Int32));
        assert_eq!(param_type(1).unwrap_err().sqlstate, "42704");
    }

    #[test]
    fn changed_results_are_refused() {
        let int = RelationDesc::empty().with_column("a", ScalarType::Int32.nullable(false));
        let renamed = RelationDesc::empty().with_column("b", ScalarType::Int32.nullable(true));
        let text = RelationDesc::empty().with_column("a", ScalarType::String.nullable(false));
        assert!(check_result(None, &int).is_ok());
        assert!(check_result(Some(&int), &renamed).is_ok());
        assert_eq!(check_result(Some(&int), &text).unwrap_err().sqlstate, "0A000");
    }
}
