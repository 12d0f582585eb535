//! One stream of responses from those of all workers.
//!
//! * A frontier is the least over the workers, known once each has told one.
//! * A peek's answer is complete when every worker has answered. An error wins over rows, a cancellation over both.
//! * Subscribes come from one worker and pass through.
//!
//! A worker's responses come in order. On a new connection each worker sends [`WorkerResponse::Connected`]; once all have, what
//! is left of older connections' peeks is forgotten. After reconciliation each sends `Reconciled`; once all have, the
//! frontiers are told anew.

use std::collections::{BTreeMap, HashMap};

use hw_plan::peek::PeekResponse;
use hw_protocol::{Response, SubscribeBatch};
use hw_repr::{GlobalId, Row};
use uuid::Uuid;

use crate::frontier::Frontier;
use crate::peek::too_large;

/// What a worker tells.
#[derive(Debug)]
pub(crate) enum WorkerResponse {
    /// The frontier of an export.
    Frontier(GlobalId, Frontier),
    /// An export is gone.
    Dropped(GlobalId),
    /// Its answer to a peek: the connection's number, the peek, the greatest size of an answer.
    Peek(u64, Uuid, u64, PeekResponse),
    /// A batch of a subscribe.
    Subscribe(GlobalId, SubscribeBatch),
    /// The connection of that number has begun.
    Connected(u64),
    /// Reconciliation is done.
    Reconciled,
}

/// Merges responses. No I/O: [`Merge::absorb`] gives what is to be sent.
#[derive(Debug)]
pub(crate) struct Merge {
    workers: usize,
    frontiers: BTreeMap<GlobalId, ExportFrontier>,
    peeks: HashMap<(u64, Uuid), Answer>,
    connected: BTreeMap<u64, usize>,
    reconciled: usize,
}

#[derive(Debug)]
struct ExportFrontier {
    /// Of each worker, once told.
    told: Vec<Option<Frontier>>,
    least: Option<Frontier>,
    dropped: usize,
}

#[derive(Debug)]
struct Answer {
    answered: usize,
    merged: PeekResponse,
    bytes: u64,
}

/// Orders frontiers: the end comes last.
fn rank(frontier: Frontier) -> (bool, u64) {
    (frontier.is_none(), frontier.unwrap_or(0))
}

fn row_bytes(rows: &[(Row, u64)]) -> u64 {
    rows.iter().map(|(row, _)| row.data().len() as u64 + 16).sum()
}

impl Merge {
    pub(crate) fn new(workers: usize) -> Merge {
        Merge {
            workers,
            frontiers: BTreeMap::new(),
            peeks: HashMap::new(),
            connected: BTreeMap::new(),
            reconciled: 0,
        }
    }

    /// Takes a worker's response.
    pub(crate) fn absorb(&mut self, worker: usize, response: WorkerResponse) -> Vec<Response> {
        match response {
            WorkerResponse::Frontier(id, frontier) => {
                self.frontier(worker, id, frontier).into_iter().collect()
            }
            WorkerResponse::Dropped(id) => {
                if let Some(export) = self.frontiers.get_mut(&id) {
                    export.dropped += 1;
                    if export.dropped == self.workers {
                        self.frontiers.remove(&id);
                    }
                }
                vec![]
            }
            WorkerResponse::Peek(connection, uuid, max_bytes, response) => {
                self.peek((connection, uuid), max_bytes, response).into_iter().collect()
            }
            WorkerResponse::Subscribe(id, batch) => vec![Response::Subscribe(id, batch)],
            WorkerResponse::Connected(connection) => {
                let count = self.connected.entry(connection).or_default();
                *count += 1;
                if *count == self.workers {
                    self.connected.remove(&connection);
                    self.peeks.retain(|(of, _), _| *of >= connection);
                }
                vec![]
            }
            WorkerResponse::Reconciled => {
                self.reconciled += 1;
                if self.reconciled < self.workers {
                    return vec![];
                }
                self.reconciled = 0;
                let told =
                    self.frontiers.iter().filter_map(|(id, f)| Some(Response::Frontier(*id, f.least?)));
                told.collect()
            }
        }
    }

    fn frontier(&mut self, worker: usize, id: GlobalId, frontier: Frontier) -> Option<Response> {
        let workers = self.workers;
        let export = self.frontiers.entry(id).or_insert_with(|| ExportFrontier {
            told: vec![None; workers],
            least: None,
            dropped: 0,
        });
        export.told[worker] = Some(frontier);
        let told: Option<Vec<Frontier>> = export.told.iter().copied().collect();
        let least = told?.into_iter().min_by_key(|f| rank(*f))?;
        if export.least == Some(least) {
            return None;
        }
        export.least = Some(least);
        Some(Response::Frontier(id, least))
    }

    fn peek(&mut self, key: (u64, Uuid), max_bytes: u64, response: PeekResponse) -> Option<Response> {
        let answer = self.peeks.entry(key).or_insert_with(|| Answer {
            answered: 0,
            merged: PeekResponse::Rows(vec![]),
            bytes: 0,
        });
        answer.answered += 1;
        let merged = std::mem::replace(&mut answer.merged, PeekResponse::Canceled);
        answer.merged = match (merged, response) {
            (PeekResponse::Canceled, _) | (_, PeekResponse::Canceled) => PeekResponse::Canceled,
            (PeekResponse::Error(a), PeekResponse::Error(b)) => PeekResponse::Error(a.min(b)),
            (PeekResponse::Error(e), _) | (_, PeekResponse::Error(e)) => PeekResponse::Error(e),
            (PeekResponse::Rows(mut a), PeekResponse::Rows(b)) => {
                answer.bytes += row_bytes(&b);
                match answer.bytes > max_bytes {
                    true => PeekResponse::Error(too_large(max_bytes)),
                    false => {
                        a.extend(b);
                        PeekResponse::Rows(a)
                    }
                }
            }
        };
        if answer.answered < self.workers {
            return None;
        }
        self.peeks.remove(&key).map(|answer| Response::Peek(key.1, answer.merged))
    }
}

#[cfg(test)]
mod tests {
    use hw_expr::EvalError;

    use super::*;

    const ID: GlobalId = GlobalId::User(1);

    #[test]
    fn the_least_frontier_is_told_once_known() {
        let mut merge = Merge::new(2);
        assert!(merge.absorb(0, WorkerResponse::Frontier(ID, Some(5))).is_empty());
        assert_eq!(
            merge.absorb(1, WorkerResponse::Frontier(ID, Some(7))),
            vec![Response::Frontier(ID, Some(5))]
        );
        assert!(merge.absorb(1, WorkerResponse::Frontier(ID, None)).is_empty());
        assert_eq!(merge.absorb(0, WorkerResponse::Frontier(ID, None)), vec![Response::Frontier(ID, None)]);
        assert!(merge.absorb(0, WorkerResponse::Reconciled).is_empty());
        assert_eq!(merge.absorb(1, WorkerResponse::Reconciled), vec![Response::Frontier(ID, None)]);
        merge.absorb(0, WorkerResponse::Dropped(ID));
        merge.absorb(1, WorkerResponse::Dropped(ID));
        assert!(merge.frontiers.is_empty());
    }

    #[test]
    fn an_error_wins_over_rows_and_a_new_connection_forgets() {
        let mut merge = Merge::new(2);
        let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
        merge.absorb(0, WorkerResponse::Peek(1, a, 100, PeekResponse::Rows(vec![(Row::default(), 1)])));
        let answer =
            merge.absorb(1, WorkerResponse::Peek(1, a, 100, PeekResponse::Error(EvalError::DivisionByZero)));
        assert_eq!(answer, vec![Response::Peek(a, PeekResponse::Error(EvalError::DivisionByZero))]);
        merge.absorb(0, WorkerResponse::Peek(1, b, 100, PeekResponse::Rows(vec![])));
        merge.absorb(0, WorkerResponse::Connected(2));
        merge.absorb(1, WorkerResponse::Connected(2));
        assert!(merge.peeks.is_empty());
    }
}
