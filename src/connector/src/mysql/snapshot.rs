//! The snapshot: new tables read in parallel at one known GTID set.
//!
//! ```text
//! one connection                         several connections
//! LOCK TABLES new tables READ
//!                                        START TRANSACTION WITH CONSISTENT SNAPSHOT, each
//! SELECT @@gtid_executed  (G)
//! UNLOCK TABLES
//!                                        SELECT … from one table after the other
//! ```
//!
//! While the tables are locked nothing writes to them, so all connections see them as they are at G, although other tables go on.
//! Tables of engines without consistent reads stay locked until they are read.
//!
//! Rows go into persist's batch builders as they come: memory is bounded by their buffers and the connections' read buffers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hw_expr::EvalError;
use hw_persist::{BatchBuilder, PersistClient, ShardId};
use hw_plan::source::{MySqlConnection, MySqlTable};
use hw_repr::Timestamp;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::connect::{answer, classify, connect, gtid_variable};
use super::decode::TablePlan;
use super::decode::snapshot::{quote, row, select_list};
use super::gtid::GtidSet;
use super::schema::{self, UpstreamTables, Which, check_compatible};
use super::stream::{find, table_error};
use crate::error::{SourceError, payload};

/// How many tables are read at a time.
const CONNECTIONS: usize = 4;
/// How long the locks may be waited for: others' writes wait as long.
const LOCK_WAIT_SECONDS: u64 = 10;
/// A server that sends no row for so long is gone.
const ROW_TIMEOUT: Duration = Duration::from_secs(120);
/// A worker tells its progress after so many rows.
const REPORT_ROWS: u64 = 10_000;

/// A table to be read.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// Its position in the source's description.
    pub(crate) index: usize,
    pub(crate) shard: ShardId,
    pub(crate) table: MySqlTable,
    pub(crate) plan: TablePlan,
}

/// How a snapshot goes on.
#[derive(Debug)]
pub(crate) enum Progress {
    /// All connections are open and rows are being read; the estimated number of rows of each export.
    Reading(Vec<(usize, u64)>),
    /// Rows and bytes of an export that were read since the last report.
    Rows(usize, u64, u64),
}

/// A table that has been read, or cannot be.
pub(crate) type Outcome = (usize, Result<BatchBuilder, EvalError>);

/// A snapshot.
pub(crate) struct Snapshot {
    /// The transactions that it has.
    pub(crate) gtid_set: GtidSet,
    /// The tables.
    pub(crate) tables: Vec<Outcome>,
    /// Columns of the tables as they were then.
    pub(crate) columns: Vec<(usize, Vec<String>)>,
}

/// A table that is waiting for a connection.
#[derive(Debug)]
struct Job {
    wanted: Wanted,
    /// Whether the locks are kept until it is read.
    locked: bool,
}

/// Reads the tables. All rows are put at `time`. Nothing is committed.
pub(crate) async fn take(
    connection: &MySqlConnection,
    persist: &PersistClient,
    wanted: Vec<Wanted>,
    fold_case: bool,
    time: Timestamp,
    progress: mpsc::Sender<Progress>,
) -> Result<Snapshot, SourceError> {
    let mut lock = connect(connection).await?;
    let mut asking = connect(connection).await?;
    let names: Vec<_> = wanted.iter().map(|w| (w.table.schema.clone(), w.table.table.clone())).collect();
    // First those that are there, then, under their locks, whether they are what they were.
    let there = schema::read(&mut asking, Which::Tables(&names)).await?;
    let (present, absent): (Vec<_>, Vec<_>) =
        wanted.into_iter().partition(|w| find(&there, &w.table, fold_case).is_some());
    let mut outcomes: Vec<Outcome> = Vec::new();
    outcomes
        .extend(absent.iter().map(|w| (w.index, Err(table_error(&w.table, "it does not exist upstream")))));
    lock_tables(&mut lock, &present).await?;
    let described = schema::read(&mut asking, Which::Tables(&names)).await?;
    let (jobs, columns) = plan_jobs(present, &described, fold_case, &mut outcomes);

    let mut workers = Vec::new();
    for _ in 0..CONNECTIONS.min(jobs.len()) {
        let mut conn = connect(connection).await?;
        answer(conn.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")).await?;
        answer(conn.query_drop("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")).await?;
        workers.push(conn);
    }
    let gtid_set = gtid_variable(&mut lock, "gtid_executed").await?;
    let keep_locks = jobs.iter().any(|j| j.locked);
    if !keep_locks {
        answer(lock.query_drop("UNLOCK TABLES")).await?;
    }
    let estimates = jobs.iter().map(|j| {
        let rows = find(&described, &j.wanted.table, fold_case).map_or(0, |t| t.estimated_rows);
        (j.wanted.index, rows)
    });
    let _ = progress.send(Progress::Reading(estimates.collect())).await;

    let queue = Arc::new(Mutex::new(VecDeque::from(jobs)));
    let mut readers = tokio::task::JoinSet::new();
    for conn in workers {
        readers.spawn(read_tables(conn, Arc::clone(&queue), persist.clone(), time, progress.clone()));
    }
    drop(progress);
    // Leaving early aborts the others.
    while let Some(joined) = readers.join_next().await {
        let read = joined.map_err(|e| SourceError::transient(format!("reading a table was stopped: {e}")))?;
        outcomes.extend(read?);
    }
    for conn in [lock, asking] {
        // They have served their purpose; locks that were kept go with their connection.
        let _ = conn.disconnect().await;
    }
    Ok(Snapshot { gtid_set, tables: outcomes, columns })
}

fn plan_jobs(
    present: Vec<Wanted>,
    described: &UpstreamTables,
    fold_case: bool,
    outcomes: &mut Vec<Outcome>,
) -> (Vec<Job>, Vec<(usize, Vec<String>)>) {
    let (mut jobs, mut columns) = (Vec::new(), Vec::new());
    for w in present {
        match find(described, &w.table, fold_case) {
            None => outcomes.push((w.index, Err(table_error(&w.table, "it does not exist upstream")))),
            Some(now) => match check_compatible(&w.table, now) {
                Err(what) => outcomes.push((w.index, Err(table_error(&w.table, &what)))),
                Ok(()) => {
                    columns.push((w.index, now.columns.iter().map(|c| c.name.clone()).collect()));
                    jobs.push((now.estimated_rows, Job { wanted: w, locked: !now.transactional }));
                }
            },
        }
    }
    // The largest first, so that none is left over at the end.
    jobs.sort_by_key(|(rows, _)| std::cmp::Reverse(*rows));
    (jobs.into_iter().map(|(_, job)| job).collect(), columns)
}

/// Locks the tables against writes; with the privilege for that only, all tables.
async fn lock_tables(conn: &mut Conn, wanted: &[Wanted]) -> Result<(), SourceError> {
    if wanted.is_empty() {
        return Ok(());
    }
    answer(conn.query_drop(format!("SET SESSION lock_wait_timeout = {LOCK_WAIT_SECONDS}"))).await?;
    let mut names: Vec<String> = Vec::new();
    for w in wanted {
        let name = format!("{}.{} READ", quote(&w.table.schema), quote(&w.table.table));
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let limit = Duration::from_secs(LOCK_WAIT_SECONDS + 5);
    for statement in [format!("LOCK TABLES {}", names.join(", ")), "FLUSH TABLES WITH READ LOCK".to_owned()] {
        match tokio::time::timeout(limit, conn.query_drop(statement)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(mysql_async::Error::Server(e))) if matches!(e.code, 1044 | 1142 | 1143 | 1227) => {}
            Ok(Err(mysql_async::Error::Server(e))) if e.code == 1205 => {
                return Err(SourceError::Transient {
                    message: "the tables to be read first could not be locked for a moment".into(),
                    hint: Some(
                        "A transaction or statement on the MySQL server holds one of them for long.".into(),
                    ),
                });
            }
            Ok(Err(e)) => return Err(classify(&e).into()),
            Err(_) => return Err(SourceError::transient("the MySQL server does not answer LOCK TABLES")),
        }
    }
    Err(SourceError::Transient {
        message: "the MySQL user may not lock tables for the snapshot".into(),
        hint: Some(super::connect::GRANT_HINT.into()),
    })
}

async fn read_tables(
    mut conn: Conn,
    queue: Arc<Mutex<VecDeque<Job>>>,
    persist: PersistClient,
    time: Timestamp,
    progress: mpsc::Sender<Progress>,
) -> Result<Vec<Outcome>, SourceError> {
    let mut outcomes = Vec::new();
    loop {
        let next = queue.lock().pop_front();
        let Some(job) = next else { break };
        let builder = persist.batch_builder(job.wanted.shard);
        let outcome = read_table(&mut conn, &job.wanted, builder, time, &progress).await?;
        outcomes.push((job.wanted.index, outcome));
    }
    let _ = conn.disconnect().await;
    Ok(outcomes)
}

async fn read_table(
    conn: &mut Conn,
    wanted: &Wanted,
    mut builder: BatchBuilder,
    time: Timestamp,
    progress: &mpsc::Sender<Progress>,
) -> Result<Result<BatchBuilder, EvalError>, SourceError> {
    let Wanted { table, plan, index, .. } = wanted;
    let select =
        format!("SELECT {} FROM {}.{}", select_list(plan), quote(&table.schema), quote(&table.table));
    // A statement without parameters, for the binary protocol: it gives floats exactly.
    let mut result =
        tokio::time::timeout(ROW_TIMEOUT, conn.exec_iter(select, ())).await.map_err(|_| silent())??;
    let (mut rows, mut bytes) = (0u64, 0u64);
    loop {
        let next = tokio::time::timeout(ROW_TIMEOUT, result.next()).await.map_err(|_| silent())??;
        let Some(values) = next else { break };
        let entry = match row(plan, &values.unwrap_raw()) {
            Ok(entry) => entry.map_err(|e| payload(&e)),
            Err(error) => {
                // The rest is read, so that the connection can be used for the next table.
                result.drop_result().await?;
                return Ok(Err(error));
            }
        };
        rows += 1;
        bytes += entry.as_ref().map_or(0, |r| r.data().len() as u64);
        builder.add(entry, time, 1).await?;
        if rows == REPORT_ROWS {
            let _ = progress.send(Progress::Rows(*index, rows, bytes)).await;
            (rows, bytes) = (0, 0);
        }
    }
    let _ = progress.send(Progress::Rows(*index, rows, bytes)).await;
    Ok(Ok(builder))
}

fn silent() -> SourceError {
    SourceError::transient(format!("the MySQL server has sent no row for {} seconds", ROW_TIMEOUT.as_secs()))
}
