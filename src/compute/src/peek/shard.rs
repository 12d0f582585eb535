//! Peeks that read a shard.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use hw_base::task::{AbortOnDrop, spawn_scoped};
use hw_expr::EvalError;
use hw_persist::{PersistClient, PersistError, ShardId};
use hw_plan::Peek;
use hw_plan::peek::PeekResponse;
use hw_repr::{Datum, Diff, Row, RowArena};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{Gather, too_large};

/// The wait before a failed read is repeated.
const RETRY_AFTER: Duration = Duration::from_millis(50);
/// What rows may take while they are summed up, at least.
const MIN_WORKING_BYTES: u64 = 1 << 30;
/// What each row costs besides its bytes.
const ROW_OVERHEAD: u64 = 64;

/// The worker that answers a shard peek.
pub(crate) fn worker_of(peek: &Uuid, workers: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    peek.hash(&mut hasher);
    (hasher.finish() % workers as u64) as usize
}

/// A peek of a shard, in progress.
pub(crate) struct ShardPeek {
    answer: oneshot::Receiver<PeekResponse>,
    _task: AbortOnDrop<()>,
}

impl ShardPeek {
    /// Begins a peek; `wake` is called when the answer is there.
    pub(crate) fn begin(
        peek: Peek,
        shard: ShardId,
        persist: PersistClient,
        runtime: &Handle,
        wake: impl FnOnce() + Send + 'static,
    ) -> ShardPeek {
        let (sender, answer) = oneshot::channel();
        let _guard = runtime.enter();
        let task = spawn_scoped(format!("compute: peek {shard}"), async move {
            let response = match read(&peek, shard, &persist).await {
                Ok(rows) => PeekResponse::Rows(rows),
                Err(e) => PeekResponse::Error(e),
            };
            // The receiver is gone when the peek was cancelled.
            let _unwanted = sender.send(response);
            wake();
        });
        ShardPeek { answer, _task: task }
    }

    /// The answer, when it is there.
    pub(crate) fn poll(&mut self) -> Option<PeekResponse> {
        match self.answer.try_recv() {
            Ok(response) => Some(response),
            Err(oneshot::error::TryRecvError::Empty) => None,
            Err(oneshot::error::TryRecvError::Closed) => {
                Some(PeekResponse::Error(EvalError::new("XX000", "the read of a collection was stopped")))
            }
        }
    }
}

async fn read(peek: &Peek, shard: ShardId, persist: &PersistClient) -> Result<Vec<(Row, u64)>, EvalError> {
    loop {
        match read_once(peek, shard, persist).await? {
            Ok(rows) => return Ok(rows),
            Err(e) if e.is_transient() => tokio::time::sleep(RETRY_AFTER).await,
            Err(e) => return Err(EvalError::new("XX000", format!("collection cannot be read: {e}"))),
        }
    }
}

/// Chunks may cancel each other out, so that everything is summed up before anything is answered.
async fn read_once(
    peek: &Peek,
    shard: ShardId,
    persist: &PersistClient,
) -> Result<Result<Vec<(Row, u64)>, PersistError>, EvalError> {
    let mut chunks = match persist.snapshot(shard, peek.timestamp).await {
        Ok(chunks) => chunks,
        Err(e) => return Ok(Err(e)),
    };
    let mut rows: HashMap<Row, Diff> = HashMap::new();
    let mut errors: HashMap<EvalError, Diff> = HashMap::new();
    let mut bytes = 0;
    let max_working = peek.max_result_bytes.max(MIN_WORKING_BYTES);
    while let Some(chunk) = chunks.next().await {
        let chunk = match chunk {
            Ok(chunk) => chunk,
            Err(e) => return Ok(Err(e)),
        };
        for (entry, _, diff) in chunk {
            match entry {
                Ok(row) => match apply(peek, &row) {
                    Ok(None) => {}
                    Ok(Some(row)) => {
                        let size = row.data().len() as u64 + ROW_OVERHEAD;
                        let sum = rows.entry(row).or_insert_with(|| {
                            bytes += size;
                            0
                        });
                        *sum += diff;
                    }
                    Err(e) => *errors.entry(e).or_default() += diff,
                },
                Err(e) => *errors.entry(crate::error::decode_error(&e)).or_default() += diff,
            }
        }
        if bytes > max_working {
            rows.retain(|_, diff| *diff != 0);
            bytes = rows.keys().map(|r| r.data().len() as u64 + ROW_OVERHEAD).sum();
            if bytes > max_working {
                return Err(too_large(peek.max_result_bytes));
            }
        }
        tokio::task::yield_now().await;
    }
    if let Some(e) = errors.into_iter().filter(|(_, n)| *n > 0).map(|(e, _)| e).min() {
        return Err(e);
    }
    let mut gather = Gather::new(&peek.finishing, peek.max_result_bytes);
    for (row, count) in rows {
        match count {
            0 => {}
            1.. => {
                if !gather.push(row, count.unsigned_abs())? {
                    break;
                }
            }
            _ => return Err(EvalError::NegativeMultiplicity),
        }
    }
    Ok(Ok(gather.finish()))
}

fn apply(peek: &Peek, row: &Row) -> Result<Option<Row>, EvalError> {
    let arena = RowArena::new();
    let mut datums: Vec<Datum<'_>> = Vec::with_capacity(peek.mfp.input_arity + peek.mfp.expressions.len());
    datums.extend(row.iter());
    let mut out = Row::default();
    Ok(peek.mfp.eval(&mut datums, &arena, &mut out)?.then_some(out))
}
