//! Reading the binlog: from events to changes of exports, in pieces that end with transactions or in their middle.
//!
//! The reader is a task of its own; a bounded channel takes its pieces to the committer's. It never skips: whatever it does not
//! understand ends it with an error, and it is started again from the committed position.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use hw_expr::EvalError;
use hw_plan::source::{MySqlConnection, MySqlTable};
use hw_repr::Row;
use mysql_async::binlog::EventType;
use mysql_async::binlog::events::{Event, EventData, RowsEventData, TableMapEvent};
use mysql_async::prelude::Queryable;
use mysql_async::{BinlogStream, BinlogStreamRequest, Conn};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::connect::{answer, connect};
use super::ddl::{self, Effect, TableName};
use super::decode::TablePlan;
use super::decode::binlog::{Image, RowLayout};
use super::gtid::{Gtid, GtidSet};
use super::layout::layout;
use super::schema::{self, UpstreamTables, Which, check_compatible};
use super::transaction::{Step, Transactions, UnexpectedEvent};
use super::validate::replica_server_id;
use crate::committer::Change;
use crate::error::{SourceError, payload};
use crate::runner::REPAIR_HINT;

/// The server sends something at least so often.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// A server that sends nothing for so long is gone.
const LIVENESS: Duration = Duration::from_secs(10);
/// A piece is sent when it is about this large.
const PIECE_BYTES: usize = 256 << 10;
/// How many pieces may wait; with their size it bounds the memory between reader and committer.
const PIECES: usize = 32;
/// Rows of prepared XA transactions in memory.
const PREPARED_BYTES: usize = 128 << 20;

/// Part of what the binlog says.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    /// Changes, in order.
    pub(crate) changes: Vec<Change>,
    /// Definite errors of exports, after the changes.
    pub(crate) errors: Vec<(usize, EvalError)>,
    /// Transactions that are complete with this piece.
    pub(crate) complete: Vec<Gtid>,
    /// Whether the piece ends between transactions.
    pub(crate) at_end: bool,
    bytes: usize,
}

impl Piece {
    fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.errors.is_empty() && self.complete.is_empty()
    }
}

/// An export as the reader sees it.
#[derive(Debug)]
pub(crate) struct ReaderExport {
    /// Its position in the source's description.
    pub(crate) index: usize,
    pub(crate) plan: TablePlan,
    pub(crate) table: MySqlTable,
    /// Transactions that its snapshot has; those are not applied.
    pub(crate) snapshot: Option<GtidSet>,
    /// Column names as last seen in `information_schema`.
    pub(crate) columns_now: Option<Vec<String>>,
    /// A definite error was met.
    pub(crate) failed: bool,
}

/// What goes to the committer's task.
#[derive(Debug)]
pub(crate) enum Message {
    /// The server sends the binlog.
    Established,
    /// Part of it.
    Piece(Piece),
}

/// One export's layout of the rows of a table map.
type Bound = (usize, RowLayout);

/// Rows of prepared XA transactions, by identifier.
type Prepared = HashMap<String, Vec<Change>>;

pub(crate) struct Reader {
    connection: MySqlConnection,
    exports: Vec<ReaderExport>,
    /// Whether the open transaction is to be applied, for each export.
    applies: Vec<bool>,
    /// Whether the open transaction has changed it, for each export.
    touched: Vec<bool>,
    /// Whether names are compared without case.
    fold_case: bool,
    /// By the upstream's table id; positions in `exports`.
    bindings: HashMap<u64, Arc<Vec<Bound>>>,
    transactions: Transactions,
    prepared: Prepared,
    prepared_bytes: usize,
    piece: Piece,
    sender: mpsc::Sender<Message>,
}

impl Reader {
    /// Connects and asks for all transactions that are not in `position`.
    pub(crate) async fn start(
        connection: &MySqlConnection,
        exports: Vec<ReaderExport>,
        fold_case: bool,
        position: &GtidSet,
    ) -> Result<(mpsc::Receiver<Message>, tokio::task::JoinHandle<SourceError>), SourceError> {
        let mut conn = connect(connection).await?;
        let period_ns = HEARTBEAT.as_nanos();
        // Both names: the second since MySQL 8.0.26.
        let settings = format!(
            "SET @master_heartbeat_period = {period_ns}, @source_heartbeat_period = {period_ns}, \
             @slave_uuid = '{uuid}', @replica_uuid = '{uuid}'",
            uuid = Uuid::new_v4()
        );
        answer(conn.query_drop(settings)).await?;
        let request =
            BinlogStreamRequest::new(replica_server_id()).with_gtid().with_gtid_set(position.to_sids());
        let stream = answer(conn.get_binlog_stream(request)).await?;
        let (sender, receiver) = mpsc::channel(PIECES);
        let applies = vec![true; exports.len()];
        let reader = Reader {
            connection: connection.clone(),
            exports,
            touched: vec![false; applies.len()],
            applies,
            fold_case,
            bindings: HashMap::new(),
            transactions: Transactions::default(),
            prepared: Prepared::new(),
            prepared_bytes: 0,
            piece: Piece::default(),
            sender,
        };
        Ok((receiver, hw_base::task::spawn("mysql binlog reader", reader.run(stream))))
    }

    async fn run(mut self, mut stream: BinlogStream) -> SourceError {
        let mut established = false;
        loop {
            let waiting = !self.piece.is_empty() && !self.transactions.is_open();
            let event = tokio::select! {
                biased;
                permit = self.sender.reserve(), if waiting => {
                    let Ok(permit) = permit else { return SourceError::Stopped };
                    permit.send(Message::Piece(Piece { at_end: true, ..std::mem::take(&mut self.piece) }));
                    continue;
                }
                event = tokio::time::timeout(LIVENESS, stream.next()) => event,
            };
            let event = match event {
                Err(_) => {
                    let message =
                        format!("the MySQL server has sent nothing for {} seconds", LIVENESS.as_secs());
                    return SourceError::transient(message);
                }
                Ok(None) => return SourceError::transient("the MySQL server has ended the binlog stream"),
                Ok(Some(Err(e))) => return binlog_error(&e),
                Ok(Some(Ok(event))) => event,
            };
            if !established {
                established = true;
                if self.sender.send(Message::Established).await.is_err() {
                    return SourceError::Stopped;
                }
            }
            if let Err(e) = self.handle(&stream, &event).await {
                return e;
            }
            if self.transactions.is_xa() && self.piece.bytes > PREPARED_BYTES {
                return xa_too_large();
            }
            if self.piece.bytes >= PIECE_BYTES && !self.transactions.is_xa() {
                let at_end = !self.transactions.is_open();
                let piece = Piece { at_end, ..std::mem::take(&mut self.piece) };
                if let Err(e) = self.send(piece).await {
                    return e;
                }
            }
        }
    }

    async fn handle(&mut self, stream: &BinlogStream, event: &Event) -> Result<(), SourceError> {
        // Without a look at the body where none is needed.
        match event.header().event_type() {
            Ok(
                EventType::HEARTBEAT_EVENT
                | EventType::ROTATE_EVENT
                | EventType::FORMAT_DESCRIPTION_EVENT
                | EventType::PREVIOUS_GTIDS_EVENT
                | EventType::STOP_EVENT
                | EventType::ROWS_QUERY_EVENT
                | EventType::IGNORABLE_EVENT
                | EventType::TRANSACTION_PAYLOAD_EVENT
                | EventType::INTVAR_EVENT
                | EventType::RAND_EVENT
                | EventType::USER_VAR_EVENT
                | EventType::TRANSACTION_CONTEXT_EVENT
                | EventType::VIEW_CHANGE_EVENT,
            ) => return Ok(()),
            Ok(EventType::XA_PREPARE_LOG_EVENT) => {
                let one_phase = event.data().first() == Some(&1);
                let step = self.transactions.xa_prepare(one_phase).map_err(unexpected)?;
                return self.step(step).await;
            }
            Ok(EventType::ANONYMOUS_GTID_EVENT) => {
                return Err(SourceError::Transient {
                    message: "the MySQL server logs transactions without GTIDs".into(),
                    hint: Some("Set gtid_mode to ON.".into()),
                });
            }
            Ok(EventType::INCIDENT_EVENT) => {
                let message = "the MySQL server has recorded an incident: changes are missing in its binlog";
                return Err(SourceError::Definite(EvalError::new("HV000", message)));
            }
            // Later servers' events may be ignored when they say so (LOG_EVENT_IGNORABLE_F).
            Err(_) if event.header().flags_raw() & 0x80 != 0 => return Ok(()),
            Err(_) => {
                let number = event.header().event_type_raw();
                return Err(SourceError::transient(format!("unknown event {number} in the binlog")));
            }
            Ok(_) => {}
        }
        let unreadable =
            |e: std::io::Error| SourceError::transient(format!("unreadable event in the binlog: {e}"));
        match event.read_data().map_err(unreadable)? {
            Some(EventData::GtidEvent(e)) => {
                let tag = e.tag().map(|t| t.as_str().to_owned()).unwrap_or_default();
                self.begin(Gtid { uuid: Uuid::from_bytes(e.sid()), tag, number: e.gno() })
            }
            Some(EventData::XidEvent(_)) => {
                let step = self.transactions.xid();
                self.step(step).await
            }
            Some(EventData::QueryEvent(e)) => {
                let statement = ddl::parse(&e.query(), &e.schema());
                let step = self.transactions.statement(statement).map_err(unexpected)?;
                if self.transactions.is_xa()
                    && step == Step::Continue
                    && !self.piece.is_empty()
                    && !self.xa_has_rows()
                {
                    // What is collected from here on waits for XA COMMIT; what came before does not.
                    let piece = Piece { at_end: true, ..std::mem::take(&mut self.piece) };
                    return self.send(piece).await;
                }
                self.step(step).await
            }
            Some(EventData::TableMapEvent(e)) => {
                self.transactions.rows().map_err(unexpected)?;
                self.bind(&e);
                Ok(())
            }
            Some(EventData::RowsEvent(e)) => {
                self.transactions.rows().map_err(unexpected)?;
                self.rows(stream, &e).await
            }
            Some(EventData::BeginLoadQueryEvent(_) | EventData::ExecuteLoadQueryEvent(_)) => Err(
                SourceError::transient("a LOAD DATA statement was logged as text: binlog_format is not ROW"),
            ),
            _ => Ok(()),
        }
    }

    /// Whether the open transaction has changed an export.
    fn xa_has_rows(&self) -> bool {
        self.touched.iter().any(|t| *t)
    }

    async fn send(&self, piece: Piece) -> Result<(), SourceError> {
        self.sender.send(Message::Piece(piece)).await.map_err(|_| SourceError::Stopped)
    }

    fn begin(&mut self, gtid: Gtid) -> Result<(), SourceError> {
        self.touched.fill(false);
        for (export, applies) in self.exports.iter().zip(&mut self.applies) {
            *applies = export.snapshot.as_ref().is_none_or(|s| !s.contains(&gtid));
        }
        self.transactions.begin(gtid).map_err(unexpected)
    }

    async fn step(&mut self, step: Step) -> Result<(), SourceError> {
        match step {
            Step::Continue => {}
            Step::Effects(effects) => self.effects(effects, &[]).await?,
            Step::EffectsAndCommit(effects, gtids) => {
                self.effects(effects, &gtids).await?;
                self.piece.complete.extend(gtids);
            }
            Step::Commit(gtids) => self.piece.complete.extend(gtids),
            Step::RolledBack(gtids) => {
                let touched: Vec<usize> = (0..self.exports.len()).filter(|at| self.touched[*at]).collect();
                let what =
                    "changes were rolled back that had been logged together with changes of another engine";
                self.fail_all(touched, what);
                self.piece.complete.extend(gtids);
            }
            Step::Prepare(id) => {
                // Changes of earlier, complete transactions were sent when the XA transaction began.
                let changes = std::mem::take(&mut self.piece.changes);
                self.prepared_bytes += self.piece.bytes;
                self.piece.bytes = 0;
                self.prepared.insert(id, changes);
                if self.prepared_bytes > PREPARED_BYTES {
                    return Err(xa_too_large());
                }
            }
            Step::CommitPrepared(id, gtids) => {
                let changes = self.prepared.remove(&id).unwrap_or_default();
                self.piece.bytes += changes.len() * 64;
                self.piece.changes.extend(changes);
                self.piece.complete.extend(gtids);
            }
            Step::RollbackPrepared(id, gtids) => {
                self.prepared.remove(&id);
                self.piece.complete.extend(gtids);
            }
        }
        if self.prepared.is_empty() {
            self.prepared_bytes = 0;
        }
        Ok(())
    }

    fn same_name(&self, a: &str, b: &str) -> bool {
        if self.fold_case { a.eq_ignore_ascii_case(b) } else { a == b }
    }

    /// Exports of a table, as positions.
    fn exports_of(&self, schema: &str, table: &str) -> Vec<usize> {
        let is = |e: &ReaderExport| {
            self.same_name(&e.table.schema, schema) && self.same_name(&e.table.table, table)
        };
        (0..self.exports.len()).filter(|i| !self.exports[*i].failed && is(&self.exports[*i])).collect()
    }

    /// Binds the table of a table map to the exports that are made of it.
    fn bind(&mut self, map: &TableMapEvent<'_>) {
        let mut bound = Vec::new();
        for at in self.exports_of(&map.database_name(), &map.table_name()) {
            match layout(&self.exports[at], map) {
                Ok(layout) => bound.push((at, layout)),
                Err(what) if self.applies[at] => self.fail(at, &what),
                // Of before its snapshot: its rows are not looked at.
                Err(_) => {}
            }
        }
        self.bindings.insert(map.table_id(), Arc::new(bound));
    }

    async fn rows(&mut self, stream: &BinlogStream, event: &RowsEventData<'_>) -> Result<(), SourceError> {
        let id = event.table_id();
        let Some(bound) = self.bindings.get(&id).cloned() else {
            // The last event of a statement may have a table id of its own and no rows.
            return if event.rows_data().is_empty() || stream.get_tme(id).is_some() {
                Ok(())
            } else {
                Err(SourceError::transient("rows in the binlog without a table map"))
            };
        };
        let partial = matches!(event, RowsEventData::PartialUpdateRowsEvent(_));
        let (old, new) = (event.columns_before_image(), event.columns_after_image());
        let has_all = old.is_none_or(|bits| bits.all()) && new.is_none_or(|bits| bits.all());
        let (before, after) = (old.is_some(), new.is_some());
        for (at, layout) in bound.iter() {
            if !self.applies[*at] || self.exports[*at].failed {
                continue;
            }
            if partial || !has_all {
                self.fail(*at, "a change was logged without all columns (binlog_row_image is not FULL, or binlog_row_value_options is set)");
                continue;
            }
            self.decode(*at, layout, event.rows_data(), before, after).await?;
        }
        Ok(())
    }

    async fn decode(
        &mut self,
        at: usize,
        layout: &RowLayout,
        mut data: &[u8],
        before: bool,
        after: bool,
    ) -> Result<(), SourceError> {
        let mut image = Image::default();
        let index = self.exports[at].index;
        while !data.is_empty() {
            let decoded = (|| {
                let mut take = |wanted: bool| -> Result<Option<Result<Row, EvalError>>, EvalError> {
                    if !wanted {
                        return Ok(None);
                    }
                    let plan = &self.exports[at].plan;
                    let length =
                        layout.split(data, &mut image).map_err(|e| plan.error("", &format!("{e:?}")))?;
                    let row = layout.row(plan, data, &image)?;
                    data = &data[length..];
                    Ok(Some(row))
                };
                Ok::<_, EvalError>((take(before)?, take(after)?))
            })();
            match decoded {
                Err(error) => {
                    self.fail_with(at, error);
                    return Ok(());
                }
                Ok((old, new)) if old == new => {}
                Ok((old, new)) => {
                    for (entry, diff) in [(old, -1), (new, 1)] {
                        if let Some(entry) = entry {
                            let entry = entry.map_err(|e| payload(&e));
                            self.piece.bytes += 64 + entry.as_ref().map_or(64, |r| r.data().len());
                            self.piece.changes.push((index, entry, diff));
                        }
                    }
                }
            }
            self.touched[at] = true;
            // An event may be as large as its server allows.
            if self.piece.bytes >= PIECE_BYTES && !self.transactions.is_xa() {
                let piece = std::mem::take(&mut self.piece);
                self.send(piece).await?;
            }
        }
        Ok(())
    }

    /// Applies what statements of the transactions `gtids` do to tables.
    async fn effects(&mut self, effects: Vec<Effect>, gtids: &[Gtid]) -> Result<(), SourceError> {
        let mut altered: Vec<usize> = Vec::new();
        for effect in effects {
            let of = |reader: &Self, t: &TableName| -> Vec<usize> {
                let all = reader.exports_of(&t.schema, &t.table);
                all.into_iter().filter(|at| reader.applies[*at]).collect()
            };
            match effect {
                Effect::Truncate(t) => self.fail_all(of(self, &t), "the upstream table was truncated"),
                Effect::Drop(t) => self.fail_all(of(self, &t), "the upstream table was dropped"),
                Effect::Rename(t) => self.fail_all(of(self, &t), "the upstream table was renamed"),
                Effect::DropSchema(schema) => {
                    let is = |at: &usize| {
                        self.same_name(&self.exports[*at].table.schema, &schema) && self.applies[*at]
                    };
                    let all: Vec<usize> = (0..self.exports.len()).filter(is).collect();
                    self.fail_all(all, "the upstream schema was dropped");
                }
                Effect::Alter(t) => altered.extend(of(self, &t)),
                Effect::Statement(names) => {
                    let named = |at: &usize| {
                        let table = &self.exports[*at].table.table;
                        self.applies[*at] && names.iter().any(|n| self.same_name(n, table))
                    };
                    let all: Vec<usize> = (0..self.exports.len()).filter(named).collect();
                    self.fail_all(
                        all,
                        "a change was logged as a statement: binlog_format was not ROW in its session",
                    );
                }
            }
        }
        altered.retain(|at| !self.exports[*at].failed);
        if altered.is_empty() {
            return Ok(());
        }
        let names: Vec<(String, String)> = altered
            .iter()
            .map(|at| (self.exports[*at].table.schema.clone(), self.exports[*at].table.table.clone()))
            .collect();
        let mut conn = connect(&self.connection).await?;
        executed(&mut conn, gtids).await?;
        let tables = schema::read(&mut conn, Which::Tables(&names)).await?;
        // It has served its purpose.
        let _ = conn.disconnect().await;
        for at in altered {
            match find(&tables, &self.exports[at].table, self.fold_case) {
                None => self.fail(at, "the upstream table was dropped or renamed"),
                Some(now) => match check_compatible(&self.exports[at].table, now) {
                    Err(what) => self.fail(at, &format!("incompatible schema change: {what}")),
                    Ok(()) => {
                        self.exports[at].columns_now =
                            Some(now.columns.iter().map(|c| c.name.clone()).collect())
                    }
                },
            }
        }
        Ok(())
    }

    fn fail_all(&mut self, exports: Vec<usize>, what: &str) {
        exports.into_iter().for_each(|at| self.fail(at, what));
    }

    fn fail(&mut self, at: usize, what: &str) {
        let table = &self.exports[at].table;
        let error = table_error(table, what);
        self.fail_with(at, error);
    }

    fn fail_with(&mut self, at: usize, error: EvalError) {
        let export = &mut self.exports[at];
        if !export.failed {
            export.failed = true;
            self.piece.errors.push((export.index, error));
        }
    }
}

/// Waits until the server shows what these transactions have done: the binlog has a statement before its storage engine has
/// committed it, and the dictionary tells the old definition until then.
async fn executed(conn: &mut Conn, gtids: &[Gtid]) -> Result<(), SourceError> {
    let mut set = GtidSet::default();
    gtids.iter().for_each(|gtid| set.insert(gtid));
    // Less than `answer` waits.
    let wait = format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{set}', 10)");
    match answer(conn.query_first::<i64, _>(wait)).await? {
        Some(0) => Ok(()),
        _ => Err(SourceError::transient(format!("the MySQL server has logged {set} but does not show it"))),
    }
}

/// A definite error of a table.
pub(crate) fn table_error(table: &MySqlTable, what: &str) -> EvalError {
    EvalError::Other {
        sqlstate: "HV000".into(),
        message: format!("MySQL table {}.{} cannot be ingested any more: {what}", table.schema, table.table)
            .into(),
        detail: None,
        hint: Some(REPAIR_HINT.into()),
    }
}

/// A table among those described.
pub(crate) fn find<'a>(
    tables: &'a UpstreamTables,
    table: &MySqlTable,
    fold_case: bool,
) -> Option<&'a schema::UpstreamTable> {
    let exact = tables.get(&(table.schema.clone(), table.table.clone()));
    exact.or_else(|| {
        let is = |(s, t): &(String, String)| {
            s.eq_ignore_ascii_case(&table.schema) && t.eq_ignore_ascii_case(&table.table)
        };
        tables.iter().find(|(name, _)| fold_case && is(name)).map(|(_, t)| t)
    })
}

fn unexpected(e: UnexpectedEvent) -> SourceError {
    SourceError::transient(e.to_string())
}

/// What the server's refusal to send the binlog means.
fn binlog_error(e: &mysql_async::Error) -> SourceError {
    match e {
        mysql_async::Error::Server(s) if s.code == 1236 && s.message.contains("purged") => {
            SourceError::Definite(lost_binlogs(&s.message))
        }
        mysql_async::Error::Server(s) if s.code == 1236 && s.message.contains("more GTIDs") => {
            SourceError::Definite(server_reset(&s.message))
        }
        other => super::connect::classify(other).into(),
    }
}

fn xa_too_large() -> SourceError {
    let message = "prepared XA transactions of the MySQL server are too large to be held";
    SourceError::Definite(EvalError::new("53200", message))
}

/// The server no longer has the binlogs that come next.
pub(crate) fn lost_binlogs(detail: &str) -> EvalError {
    EvalError::Other {
        sqlstate: "HV000".into(),
        message: "the MySQL server has purged binary logs that the source had not read".into(),
        detail: Some(detail.into()),
        hint: Some(
            "Raise binlog_expire_logs_seconds on the server, then drop the source and create it again."
                .into(),
        ),
    }
}

/// The server has lost transactions that had been ingested.
pub(crate) fn server_reset(detail: &str) -> EvalError {
    EvalError::Other {
        sqlstate: "HV000".into(),
        message:
            "the MySQL server has lost transactions that the source has ingested: it was reset or restored"
                .into(),
        detail: Some(detail.into()),
        hint: Some("Drop the source and create it again.".into()),
    }
}
