//! BEGIN, SET TRANSACTION, COMMIT and ROLLBACK.

use hw_catalog::OpenTransaction;
use hw_sql::plan::TransactionMode;

use crate::client::ExecuteResponse;
use crate::coordinator::{Coordinator, ExecuteContext};
use crate::error::{AdapterError, Notice};
use crate::group_commit::{OnCommit, Updates};
use crate::session::{Session, Transaction, TransactionOps};

impl Coordinator {
    pub(crate) fn sequence_begin(&mut self, mut ctx: ExecuteContext, mode: TransactionMode, tag: &str) {
        let now = self.oracle.now_ms();
        let transaction = ctx.session.transaction_mut(now);
        if transaction.explicit {
            ctx.session.notices.push(Notice {
                sqlstate: "25001",
                ..Notice::warning("there is already a transaction in progress")
            });
        } else {
            transaction.explicit = true;
        }
        let result = set_mode(&mut ctx.session, mode);
        ctx.retire(result.map(|()| ExecuteResponse::Done(tag.into())));
    }

    /// SET TRANSACTION and SET SESSION CHARACTERISTICS AS TRANSACTION
    pub(crate) fn sequence_set_transaction(
        &mut self,
        session: &mut Session,
        mode: TransactionMode,
        for_session: bool,
    ) -> Result<ExecuteResponse, AdapterError> {
        if for_session {
            let TransactionMode { read_only, isolation } = mode;
            if let Some(level) = isolation {
                session.vars.set("default_transaction_isolation", Some(&[level]), false)?;
            }
            if let Some(read_only) = read_only {
                session.vars.set("default_transaction_read_only", Some(&[on_off(read_only)]), false)?;
            }
        } else {
            warn_outside_block(session, "SET TRANSACTION");
            set_mode(session, mode)?;
        }
        Ok(ExecuteResponse::Done("SET".into()))
    }

    /// Ends the session's transaction: carries out what it has gathered if it is to commit and has not failed.
    pub(crate) async fn end_transaction(&mut self, mut ctx: ExecuteContext, commit: bool, tag: &'static str) {
        let explicit = ctx.session.transaction.as_ref().is_some_and(|t| t.explicit);
        if !explicit && !tag.is_empty() {
            ctx.session
                .notices
                .push(Notice { sqlstate: "25P01", ..Notice::warning("there is no transaction in progress") });
        }
        let failed = ctx.session.transaction.as_ref().is_some_and(|t| t.failed);
        let committing = commit && !failed;
        let tag = if commit && failed { "ROLLBACK" } else { tag };
        let transaction = ctx.session.clear_transaction(committing);
        let gathered = transaction.filter(|_| committing).and_then(|t| Gathered::of(t.ops));
        match gathered {
            None => ctx.done(tag),
            Some(gathered) => {
                let written = self.carry_out(&ctx.session, gathered).await;
                self.finish_write(ctx, tag.to_owned(), written);
            }
        }
    }

    /// Carries out what a transaction has gathered, up to the changes of tables that are still to be written, and says whether that went
    /// well: those changes are to be written in any case.
    pub(crate) async fn carry_out(
        &mut self,
        session: &Session,
        gathered: Gathered,
    ) -> Result<(Updates, Result<(), AdapterError>), AdapterError> {
        match gathered {
            Gathered::Ddl(open) => self.commit_ddl(session, *open).await,
            Gathered::Writes(writes) => match writes.keys().all(|id| self.tables.contains_key(id)) {
                true => Ok((writes, Ok(()))),
                false => Err(AdapterError::new(
                    "40001",
                    "could not serialize access due to a concurrent drop of a table that was written to",
                )),
            },
        }
    }

    /// Writes changes of tables and then ends the statement. What follows from a change of the catalog is written in any case; rows of
    /// users' tables are not if the statement is cancelled while they wait.
    pub(crate) fn finish_write(
        &mut self,
        ctx: ExecuteContext,
        tag: String,
        written: Result<(Updates, Result<(), AdapterError>), AdapterError>,
    ) {
        let (updates, followed) = match written {
            Ok(written) => written,
            Err(e) => return ctx.retire(Err(e)),
        };
        let cancel = ctx.session.cancel.clone();
        let users = updates.keys().any(|id| !id.is_system());
        let on_commit: OnCommit = Box::new(move |_, result| match result.and(followed) {
            Ok(()) => ctx.done(tag),
            Err(e) => ctx.retire(Err(e)),
        });
        if users {
            self.write_unless_cancelled(updates, cancel, on_commit);
        } else {
            self.write(updates, Some(on_commit));
        }
    }
}

/// What a transaction does when it commits.
pub(crate) enum Gathered {
    /// Rows for tables.
    Writes(Updates),
    /// Changes of the catalog.
    Ddl(Box<OpenTransaction>),
}

impl Gathered {
    /// What a transaction has gathered, if anything.
    pub(crate) fn of(ops: TransactionOps) -> Option<Gathered> {
        match ops {
            TransactionOps::Writes(writes) if !writes.is_empty() => Some(Gathered::Writes(writes)),
            TransactionOps::Ddl(open) => Some(Gathered::Ddl(open)),
            _ => None,
        }
    }
}

fn on_off(value: bool) -> String {
    if value { "on" } else { "off" }.to_owned()
}

/// Gives the current transaction its mode.
///
/// # Errors
/// 25001 when it has read already and so has to stay as it is.
fn set_mode(session: &mut Session, mode: TransactionMode) -> Result<(), AdapterError> {
    if let Some(level) = mode.isolation {
        check_mode_change(session, "transaction_isolation", &level)?;
        session.vars.set("transaction_isolation", Some(&[level]), true)?;
    }
    if let Some(read_only) = mode.read_only {
        let value = on_off(read_only);
        check_mode_change(session, "transaction_read_only", &value)?;
        session.vars.set("transaction_read_only", Some(&[value]), true)?;
    }
    Ok(())
}

/// Refuses to give a transaction that has done something another mode.
pub(crate) fn check_mode_change(session: &Session, name: &str, value: &str) -> Result<(), AdapterError> {
    let begun = |t: &Transaction| t.explicit && !matches!(t.ops, TransactionOps::None);
    if !session.transaction.as_ref().is_some_and(begun) {
        return Ok(());
    }
    match name {
        "transaction_isolation" if session.vars.get(name) != Some(value) => {
            Err(AdapterError::new("25001", "SET TRANSACTION ISOLATION LEVEL must be called before any query"))
        }
        "transaction_read_only" if session.read_only() && value != "on" => {
            Err(AdapterError::new("25001", "transaction read-write mode must be set before any query"))
        }
        _ => Ok(()),
    }
}

/// What holds until the end of the transaction means nothing outside of one.
pub(crate) fn warn_outside_block(session: &mut Session, what: &str) {
    if !session.transaction.as_ref().is_some_and(|t| t.explicit) {
        let message = format!("{what} can only be used in transaction blocks");
        session.notices.push(Notice { sqlstate: "25P01", ..Notice::warning(message) });
    }
}
