//! A session's state. It is owned by whoever acts for the session at the moment: the frontend between statements, the
//! coordinator during one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use hw_catalog::OpenTransaction;
use hw_controller::ReadHold;
use hw_repr::{ClusterId, Diff, GlobalId, RelationDesc, RoleId, Row, ScalarType, Timestamp};
use hw_sql::context::SessionInfo;
use hw_sql::parser::ParsedStatement;
use hw_sql::plan::Plan;
use parking_lot::Mutex;

use crate::cancel::StatementCancel;
use crate::client::RowStream;
use crate::error::{AdapterError, Notice};
use crate::sequence::select::ReadTemplate;
use crate::vars::{self, SessionVars};

/// A prepared statement.
#[derive(Debug)]
pub struct PreparedStatement {
    /// The statement; `None` for an empty query.
    pub statement: Option<ParsedStatement>,
    /// The columns of its result, if it has one.
    pub result: Option<RelationDesc>,
    /// The types of its parameters.
    pub params: Vec<ScalarType>,
    /// The catalog's revision when it was described.
    pub catalog_revision: u64,
    /// The plan, if it is a query that has been executed before.
    pub(crate) plan: PlanCache,
}

impl PreparedStatement {
    /// A statement as it has been described.
    pub fn new(
        statement: Option<ParsedStatement>,
        result: Option<RelationDesc>,
        params: Vec<ScalarType>,
        catalog_revision: u64,
    ) -> PreparedStatement {
        PreparedStatement { statement, result, params, catalog_revision, plan: PlanCache::default() }
    }
}

/// The plan of a query, for as long as what it was made of stays as it is. It is kept from the second execution on: most
/// statements are executed once.
#[derive(Debug, Default)]
pub(crate) struct PlanCache(Mutex<Cached>);

#[derive(Debug, Default)]
enum Cached {
    #[default]
    Never,
    Once,
    Plan(PlanKey, Arc<KeptPlan>),
}

/// The plan of a query that has been executed before.
#[derive(Debug)]
pub(crate) struct KeptPlan {
    pub(crate) plan: Plan,
    /// If it reads one collection.
    pub(crate) template: Option<ReadTemplate>,
}

/// What a plan depends on besides its statement: the revisions of the catalog and of the session's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlanKey {
    pub(crate) catalog: u64,
    pub(crate) settings: u64,
}

impl PlanCache {
    pub(crate) fn get(&self, key: PlanKey) -> Option<Arc<KeptPlan>> {
        match &*self.0.lock() {
            Cached::Plan(of, plan) if *of == key => Some(Arc::clone(plan)),
            _ => None,
        }
    }

    /// Whether a plan that has just been made is worth keeping: the statement has been executed before.
    pub(crate) fn wants_plan(&self) -> bool {
        let mut cached = self.0.lock();
        let first = matches!(*cached, Cached::Never);
        if first {
            *cached = Cached::Once;
        }
        !first
    }

    pub(crate) fn put(&self, key: PlanKey, plan: Arc<KeptPlan>) {
        *self.0.lock() = Cached::Plan(key, plan);
    }
}

/// A statement with its parameters.
#[derive(Debug, Clone)]
pub struct Portal {
    /// The statement.
    pub prepared: Arc<PreparedStatement>,
    /// One datum for each parameter, of the parameter's type.
    pub params: Row,
}

/// What PostgreSQL's ReadyForQuery tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionStatus {
    /// `I`
    Idle,
    /// `T`
    InTransaction,
    /// `E`
    Failed,
}

/// What a transaction has done, which decides what else it may do.
#[derive(Debug, Default)]
pub enum TransactionOps {
    /// Nothing.
    #[default]
    None,
    /// Reads, all at one time, with what may be read then held.
    Reads {
        /// The time; `None` if nothing that depends on time has been read.
        timestamp: Option<Timestamp>,
        /// What may be read.
        ids: BTreeSet<GlobalId>,
        /// Where.
        cluster: Option<ClusterId>,
        /// Holds on what may be read.
        holds: Vec<ReadHold>,
    },
    /// Insertions, applied at commit.
    Writes(BTreeMap<GlobalId, Vec<(Row, Diff)>>),
    /// Changes of the catalog, which are committed together.
    Ddl(Box<OpenTransaction>),
    /// A subscribe, which must be alone.
    Subscribe,
    /// A statement that must be alone (UPDATE, DELETE, …).
    Single,
}

impl TransactionOps {
    /// Whether something is to be carried out when the transaction commits.
    pub fn is_to_be_carried_out(&self) -> bool {
        match self {
            TransactionOps::Writes(writes) => !writes.is_empty(),
            TransactionOps::Ddl(_) => true,
            _ => false,
        }
    }
}

/// A transaction.
#[derive(Debug, Default)]
pub struct Transaction {
    /// Whether BEGIN was written (otherwise it ends with the statement or the query string).
    pub explicit: bool,
    /// Whether a statement has failed.
    pub failed: bool,
    /// What it has done.
    pub ops: TransactionOps,
    /// When it began, milliseconds since the Unix epoch: `now()`.
    pub began_ms: u64,
    /// How many statements it has executed.
    pub statements: u64,
    /// The size of its insertions.
    pub written_bytes: usize,
}

/// A cursor.
#[derive(Debug)]
pub struct Cursor {
    /// The columns.
    pub desc: RelationDesc,
    /// The rows still to come.
    pub rows: RowStream,
    /// Rows that have been received and not fetched.
    pub buffered: std::collections::VecDeque<Row>,
    /// Whether the rows have ended.
    pub done: bool,
    /// How many rows have been fetched or passed over.
    pub position: u64,
    /// Whether more rows have been asked for than there were.
    pub past_end: bool,
    /// Whether it outlives its transaction.
    pub hold: bool,
    /// Whether the transaction in which it was declared has not ended.
    pub is_new: bool,
    /// Whether it is a subscription: a FETCH then waits only so long.
    pub subscribe: bool,
}

/// A session.
#[derive(Debug)]
pub struct Session {
    /// Its number, which is also its `pg_backend_pid()`.
    pub conn_id: u32,
    /// What a cancel request must know.
    pub secret: i32,
    /// The user.
    pub user: String,
    /// The user's role.
    pub role: RoleId,
    /// Whether it came through the internal port.
    pub internal: bool,
    /// Its id.
    pub uuid: uuid::Uuid,
    /// Settings.
    pub vars: SessionVars,
    /// Prepared statements by name; the unnamed one is under "".
    pub prepared: BTreeMap<String, Arc<PreparedStatement>>,
    /// Portals by name.
    pub portals: BTreeMap<String, Portal>,
    /// Cursors by name.
    pub cursors: BTreeMap<String, Cursor>,
    /// The current transaction, if one is open.
    pub transaction: Option<Transaction>,
    /// Notices to be sent.
    pub notices: Vec<Notice>,
    /// Cancels the running statement; made anew for each.
    pub cancel: StatementCancel,
}

impl Session {
    /// What ReadyForQuery tells.
    pub fn status(&self) -> TransactionStatus {
        match &self.transaction {
            None => TransactionStatus::Idle,
            Some(t) if t.failed => TransactionStatus::Failed,
            Some(_) => TransactionStatus::InTransaction,
        }
    }

    /// What planning needs to know.
    pub fn info(&self) -> SessionInfo {
        let get = |name: &str| self.vars.get(name).unwrap_or_default().to_owned();
        SessionInfo {
            user: self.user.clone(),
            database: get("database"),
            search_path: self.search_path(),
            cluster: get("cluster"),
            vars: self.vars.to_map(),
        }
    }

    /// The names in the search path; `$user` stands for the user's.
    pub fn search_path(&self) -> Vec<String> {
        let names = vars::parse_ident_list(self.vars.get("search_path").unwrap_or_default());
        let named = |n: String| if n == "$user" { self.user.clone() } else { n };
        names.unwrap_or_default().into_iter().map(named).filter(|n| !n.is_empty()).collect()
    }

    /// The open transaction; begins an implicit one if there is none.
    pub fn transaction_mut(&mut self, now_ms: u64) -> &mut Transaction {
        self.transaction.get_or_insert_with(|| Transaction { began_ms: now_ms, ..Transaction::default() })
    }

    /// Notes that a statement failed: an explicit transaction is then aborted, an implicit one is over.
    pub fn fail_transaction(&mut self) {
        if let Some(t) = &mut self.transaction {
            t.failed = true;
            t.ops = TransactionOps::None;
        }
    }

    /// Ends the transaction on the session's side.
    pub fn clear_transaction(&mut self, committed: bool) -> Option<Transaction> {
        self.vars.end_transaction(committed);
        self.portals.clear();
        // What was held by transactions before stays, also when this one is rolled back.
        self.cursors.retain(|_, c| c.hold && (committed || !c.is_new));
        self.cursors.values_mut().for_each(|c| c.is_new = false);
        self.transaction.take()
    }

    /// Whether the current transaction may only read.
    pub fn read_only(&self) -> bool {
        self.vars.get("transaction_read_only") == Some("on")
    }

    /// How long a statement may take, if there is a limit.
    pub fn statement_timeout(&self) -> Option<Duration> {
        let ms: u64 = self.vars.get("statement_timeout")?.parse().ok()?;
        (ms > 0).then(|| Duration::from_millis(ms))
    }

    /// The prepared statement of that name (26000 if there is none).
    pub fn prepared(&self, name: &str) -> Result<&Arc<PreparedStatement>, AdapterError> {
        self.prepared.get(name).ok_or_else(|| {
            AdapterError::new("26000", format!("prepared statement \"{name}\" does not exist"))
        })
    }
}
