//! Where transactions begin and end in the binlog. Pure.
//!
//! ```text
//! GTID, BEGIN, row events …, XID or COMMIT          the usual one
//! GTID, statement                                   DDL: a transaction of its own
//! GTID, BEGIN, CREATE TABLE … START TRANSACTION, row events …, XID
//! GTID, XA START x, row events …, XA END x, XA PREPARE x      prepared; later:  GTID, XA COMMIT x  or  GTID, XA ROLLBACK x
//! ```
//!
//! Rows of a prepared transaction count from its XA COMMIT on. Until then its GTID is not in the position, so that after a
//! restart the server sends it again.

use std::collections::HashMap;

use super::ddl::{Effect, Statement};
use super::gtid::Gtid;

/// A transaction that is being read.
#[derive(Debug)]
struct Open {
    gtid: Gtid,
    /// Whether a BEGIN or XA START was seen, so that an end must come.
    begun: bool,
    /// The XA identifier.
    xa: Option<String>,
}

/// What an event means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing yet.
    Continue,
    /// A statement within the open transaction.
    Effects(Vec<Effect>),
    /// A statement that is a transaction of its own: apply its effects, then it is complete.
    EffectsAndCommit(Vec<Effect>, Vec<Gtid>),
    /// The open transaction is complete; its rows count.
    Commit(Vec<Gtid>),
    /// Rows of the open transaction were undone in part or as a whole, which only happens when it changed tables of engines
    /// without transactions too. When it is over, so says the list.
    RolledBack(Vec<Gtid>),
    /// The rows so far wait under this identifier.
    Prepare(String),
    /// The rows that wait under this identifier count.
    CommitPrepared(String, Vec<Gtid>),
    /// The rows that wait under this identifier are dropped.
    RollbackPrepared(String, Vec<Gtid>),
}

/// The state between events.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    open: Option<Open>,
    /// GTIDs of prepared transactions by identifier.
    prepared: HashMap<String, Gtid>,
}

/// Events in an order that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unexpected event in the binlog: {0}")]
pub(crate) struct UnexpectedEvent(pub(crate) String);

impl Transactions {
    /// Whether a transaction is open.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether the open transaction's rows have to wait for a later one.
    pub(crate) fn is_xa(&self) -> bool {
        self.open.as_ref().is_some_and(|o| o.xa.is_some())
    }

    /// A transaction begins.
    pub(crate) fn begin(&mut self, gtid: Gtid) -> Result<(), UnexpectedEvent> {
        if let Some(open) = &self.open {
            // For one a compressed transaction that could not be read.
            return Err(UnexpectedEvent(format!(
                "transaction {gtid} begins before the end of {}",
                open.gtid
            )));
        }
        self.open = Some(Open { gtid, begun: false, xa: None });
        Ok(())
    }

    /// Row events come: they must be in a transaction.
    pub(crate) fn rows(&mut self) -> Result<(), UnexpectedEvent> {
        match &self.open {
            Some(_) => Ok(()),
            None => Err(UnexpectedEvent("rows outside of a transaction".into())),
        }
    }

    fn end(&mut self) -> Vec<Gtid> {
        self.open.take().map(|o| o.gtid).into_iter().collect()
    }

    /// The end of a transaction by XID.
    pub(crate) fn xid(&mut self) -> Step {
        Step::Commit(self.end())
    }

    /// XA PREPARE, or with one phase XA COMMIT.
    pub(crate) fn xa_prepare(&mut self, one_phase: bool) -> Result<Step, UnexpectedEvent> {
        let Some(open) = self.open.take() else {
            return Err(UnexpectedEvent("XA PREPARE outside of a transaction".into()));
        };
        match open.xa {
            Some(id) if !one_phase => {
                self.prepared.insert(id.clone(), open.gtid);
                Ok(Step::Prepare(id))
            }
            _ => Ok(Step::Commit(vec![open.gtid])),
        }
    }

    /// A statement.
    pub(crate) fn statement(&mut self, statement: Statement) -> Result<Step, UnexpectedEvent> {
        let Some(open) = &mut self.open else {
            return Err(UnexpectedEvent("a statement outside of a transaction".into()));
        };
        Ok(match statement {
            Statement::Begin | Statement::CreateTableAsSelect => {
                open.begun = true;
                Step::Continue
            }
            Statement::Savepoint | Statement::XaEnd => Step::Continue,
            Statement::XaStart(id) => {
                open.begun = true;
                open.xa = Some(id);
                Step::Continue
            }
            Statement::Commit => Step::Commit(self.end()),
            Statement::Rollback => Step::RolledBack(self.end()),
            Statement::RollbackTo => Step::RolledBack(Vec::new()),
            Statement::XaCommit(id) => {
                let gtids = self.end().into_iter().chain(self.prepared.remove(&id)).collect();
                Step::CommitPrepared(id, gtids)
            }
            Statement::XaRollback(id) => {
                let gtids = self.end().into_iter().chain(self.prepared.remove(&id)).collect();
                Step::RollbackPrepared(id, gtids)
            }
            Statement::Other(effects) if open.begun => Step::Effects(effects),
            Statement::Other(effects) => Step::EffectsAndCommit(effects, self.end()),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::ddl::parse;
    use super::*;

    fn gtid(number: u64) -> Gtid {
        Gtid { uuid: uuid::Uuid::nil(), tag: String::new(), number }
    }

    #[test]
    fn usual_transactions() {
        let mut t = Transactions::default();
        assert!(t.rows().is_err());
        t.begin(gtid(1)).unwrap();
        assert_eq!(t.statement(parse("BEGIN", "")).unwrap(), Step::Continue);
        t.rows().unwrap();
        assert_eq!(t.statement(parse("ANALYZE TABLE t", "")).unwrap(), Step::Effects(vec![]));
        assert_eq!(t.xid(), Step::Commit(vec![gtid(1)]));
        t.begin(gtid(2)).unwrap();
        let Step::EffectsAndCommit(effects, gtids) = t.statement(parse("TRUNCATE t", "d")).unwrap() else {
            panic!()
        };
        assert_eq!((effects.len(), gtids), (1, vec![gtid(2)]));
        t.begin(gtid(3)).unwrap();
        assert!(t.begin(gtid(4)).is_err());
    }

    #[test]
    fn xa_transactions() {
        let mut t = Transactions::default();
        t.begin(gtid(1)).unwrap();
        t.statement(parse("XA START X'61',X'',1", "")).unwrap();
        assert!(t.is_xa());
        t.statement(parse("XA END X'61',X'',1", "")).unwrap();
        let id = "X'61',X'',1".to_owned();
        assert_eq!(t.xa_prepare(false).unwrap(), Step::Prepare(id.clone()));
        t.begin(gtid(2)).unwrap();
        t.statement(parse("BEGIN", "")).unwrap();
        assert_eq!(t.xid(), Step::Commit(vec![gtid(2)]));
        t.begin(gtid(3)).unwrap();
        let end = t.statement(parse("XA COMMIT X'61',X'',1", "")).unwrap();
        assert_eq!(end, Step::CommitPrepared(id.clone(), vec![gtid(3), gtid(1)]));
        t.begin(gtid(4)).unwrap();
        t.statement(parse("XA START X'61',X'',1", "")).unwrap();
        assert_eq!(t.xa_prepare(true).unwrap(), Step::Commit(vec![gtid(4)]));
        t.begin(gtid(5)).unwrap();
        let end = t.statement(parse("XA ROLLBACK X'61',X'',1", "")).unwrap();
        assert_eq!(end, Step::RollbackPrepared(id, vec![gtid(5)]));
    }
}
