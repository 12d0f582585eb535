//! Cursors: DECLARE, FETCH and MOVE.
//!
//! A cursor goes forward only: rows that have been fetched are not kept. Where PostgreSQL's rules (`DoPortalRunFetch`) go
//! back, a cursor declared NO SCROLL fails with 55000, and so does every cursor here.

use std::time::Duration;

use hw_repr::Row;
use hw_sql::StatementContext;
use hw_sql::plan::{FetchDirection, Plan};

use super::settings::done;
use crate::client::{ExecuteResponse, RowStream};
use crate::coordinator::{Coordinator, ExecuteContext};
use crate::error::AdapterError;
use crate::session::{Cursor, Session};

impl Coordinator {
    /// DECLARE: the query starts now, its rows are taken by FETCH.
    pub(crate) async fn sequence_declare(
        &mut self,
        ctx: ExecuteContext,
        name: String,
        sql: String,
        hold: bool,
    ) {
        if ctx.session.cursors.contains_key(&name) {
            return ctx.retire(Err(AdapterError::new("42P03", format!("cursor \"{name}\" already exists"))));
        }
        let explicit = ctx.session.transaction.as_ref().is_some_and(|t| t.explicit);
        if !explicit && !hold {
            return ctx.retire(Err(AdapterError::new(
                "25P01",
                "DECLARE CURSOR can only be used in transaction blocks",
            )));
        }
        let plan = self.plan_cursor(&ctx.session, &sql);
        let plan = match plan {
            Ok(plan) => plan,
            Err(e) => return ctx.retire(Err(e)),
        };
        let (reply, rx) = tokio::sync::oneshot::channel();
        let outer = ctx.reply;
        self.sequence(ExecuteContext { session: ctx.session, reply }, plan, Row::default()).await;
        hw_base::task::spawn("declare", async move {
            let Ok((mut session, result)) = rx.await else { return };
            let result = match result {
                Ok(ExecuteResponse::Rows { desc, rows, live, .. }) => {
                    let buffered = std::collections::VecDeque::new();
                    let cursor = Cursor {
                        desc,
                        rows,
                        buffered,
                        done: false,
                        position: 0,
                        past_end: false,
                        hold,
                        is_new: true,
                        subscribe: live,
                    };
                    session.cursors.insert(name, cursor);
                    done("DECLARE CURSOR")
                }
                Ok(_) => Err(AdapterError::new("0A000", "a cursor must be over a query or a SUBSCRIBE")),
                Err(e) => Err(e),
            };
            let _gone = outer.send((session, result));
        });
    }

    fn plan_cursor(&mut self, session: &Session, sql: &str) -> Result<Plan, AdapterError> {
        let mut statements = hw_sql::parser::parse(sql)?;
        let statement =
            statements.pop().ok_or_else(|| AdapterError::new("42601", "a cursor needs a query"))?;
        let catalog = self.session_catalog(session);
        let info = session.info();
        let scx = StatementContext::new(&catalog, &info, &statement.extensions);
        let owned = &mut self.catalog;
        let mut ids = || owned.allocate_user_id();
        let plan = hw_sql::statement::plan_statement(&scx, &statement.statement, &mut ids)?;
        match plan {
            Plan::Select(_) | Plan::Subscribe(_) | Plan::ConstantRows { .. } => Ok(plan),
            _ => Err(AdapterError::new("42601", "a cursor must be over a query or a SUBSCRIBE")),
        }
    }

    /// FETCH: what is there, up to the count. For a subscription it waits until something is there or the timeout has passed; by default it
    /// waits for the count or, without one, for something.
    pub(crate) fn sequence_fetch(
        &mut self,
        ctx: ExecuteContext,
        name: String,
        direction: FetchDirection,
        discard: bool,
        timeout_ms: Option<u64>,
    ) {
        hw_base::task::spawn("fetch", async move {
            let mut ctx = ctx;
            let cancel = ctx.session.cancel.clone();
            let Some(mut cursor) = ctx.session.cursors.remove(&name) else {
                return ctx.retire(Err(unknown_cursor(&name)));
            };
            let desc = cursor.desc.clone();
            let rows = tokio::select! {
                rows = fetch(&mut cursor, direction, discard, timeout_ms) => rows,
                () = cancel.cancelled() => Err(cancel.error()),
            };
            ctx.session.cursors.insert(name, cursor);
            ctx.retire(rows.map(|(rows, passed)| match discard {
                true => ExecuteResponse::Done(format!("MOVE {passed}")),
                false => ExecuteResponse::Rows {
                    desc,
                    rows: RowStream::ready(rows),
                    tag: "FETCH".into(),
                    bare_tag: false,
                    live: false,
                },
            }));
        });
    }
}

/// How many rows are taken at once when they are passed over.
const PASSED_AT_ONCE: u64 = 1024;

/// Carries out a FETCH, or a MOVE if the rows are to be discarded: the rows, and how many they were.
async fn fetch(
    cursor: &mut Cursor,
    direction: FetchDirection,
    discard: bool,
    timeout_ms: Option<u64>,
) -> Result<(Vec<Row>, u64), AdapterError> {
    let (skip, count) = match direction {
        FetchDirection::ForwardAll => (0, None),
        FetchDirection::BackwardAll => return Err(only_forward()),
        FetchDirection::Forward(0) | FetchDirection::Relative(0) => {
            // The row where the cursor is, again.
            let on_row = cursor.position > 0 && !cursor.past_end;
            return match (on_row, discard) {
                (true, false) => Err(only_forward()),
                (on_row, _) => Ok((vec![], u64::from(on_row))),
            };
        }
        FetchDirection::Forward(n) => (0, Some(u64::try_from(n).map_err(|_| only_forward())?)),
        FetchDirection::Relative(n) => (u64::try_from(n - 1).map_err(|_| only_forward())?, Some(1)),
        FetchDirection::Absolute(n) => {
            let Ok(n) = u64::try_from(n) else {
                pass(cursor, u64::MAX, timeout_ms).await?;
                return Err(only_forward());
            };
            let at_start = cursor.position == 0 && !cursor.past_end;
            match n {
                0 if at_start => return Ok((vec![], 0)),
                _ if at_start => (n - 1, Some(1)),
                // PostgreSQL goes back to the start if that is nearer.
                _ => {
                    let here = cursor.position + u64::from(cursor.past_end);
                    let near_start = n == 0 || n - 1 <= cursor.position / 2;
                    if near_start || n <= here {
                        return Err(only_forward());
                    }
                    (n - here - 1, Some(1))
                }
            }
        }
    };
    pass(cursor, skip, timeout_ms).await?;
    if discard {
        let passed = match count {
            None if cursor.subscribe => next_rows(cursor, None, timeout_ms).await?.len() as u64,
            count => pass(cursor, count.unwrap_or(u64::MAX), timeout_ms).await?,
        };
        return Ok((vec![], passed));
    }
    let rows = next_rows(cursor, count, timeout_ms).await?;
    let count = rows.len() as u64;
    Ok((rows, count))
}

/// Passes over rows; gives how many there were.
async fn pass(cursor: &mut Cursor, count: u64, timeout_ms: Option<u64>) -> Result<u64, AdapterError> {
    let mut passed = 0;
    while passed < count {
        let want = PASSED_AT_ONCE.min(count - passed);
        let rows = next_rows(cursor, Some(want), timeout_ms).await?.len() as u64;
        passed += rows;
        if rows < want {
            break;
        }
    }
    Ok(passed)
}

fn only_forward() -> AdapterError {
    AdapterError::new("55000", "cursor can only scan forward")
        .with_hint("Declare it with SCROLL option to enable backward scan.")
}

/// The next rows, up to the count: `None` is all.
async fn next_rows(
    cursor: &mut Cursor,
    count: Option<u64>,
    timeout_ms: Option<u64>,
) -> Result<Vec<Row>, AdapterError> {
    let want = count.map_or(usize::MAX, |c| usize::try_from(c).unwrap_or(usize::MAX));
    let deadline = timeout_ms.map(|ms| tokio::time::Instant::now() + Duration::from_millis(ms));
    while !cursor.done && cursor.buffered.len() < want {
        let wait = match (cursor.subscribe, deadline) {
            (false, _) => None,
            (true, Some(at)) => Some(at.saturating_duration_since(tokio::time::Instant::now())),
            // Without a timeout: FETCH ALL takes what is there, FETCH n waits for the first row.
            (true, None) if count.is_none() || !cursor.buffered.is_empty() => Some(Duration::from_millis(1)),
            (true, None) => None,
        };
        let next = match wait {
            None => cursor.rows.next().await,
            Some(wait) => match tokio::time::timeout(wait, cursor.rows.next()).await {
                Ok(next) => next,
                Err(_) => break,
            },
        };
        match next {
            Some(batch) => cursor.buffered.extend(batch?),
            None => cursor.done = true,
        }
    }
    let take = want.min(cursor.buffered.len());
    let rows: Vec<Row> = cursor.buffered.drain(..take).collect();
    cursor.position += rows.len() as u64;
    cursor.past_end |= cursor.done && cursor.buffered.is_empty() && rows.len() < want;
    Ok(rows)
}

pub(super) fn unknown_cursor(name: &str) -> AdapterError {
    AdapterError::new("34000", format!("cursor \"{name}\" does not exist"))
}
