//! What readers hold: snapshots, listens and leases.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::stream::{BoxStream, Stream, StreamExt};
use hw_repr::Timestamp;
use tokio::task::JoinHandle;

use crate::backend::{Backend, Change, ChangeStream, LeaseControl, Piece, PieceStream};
use crate::error::PersistError;
use crate::id::ShardId;
use crate::part::{decode_part, inline};
use crate::types::Update;

/// Up to so many encoded bytes of one change are kept back until the change is whole.
const WHOLE_CHANGE_BYTES: usize = 4 << 20;
/// Pieces up to this size are decoded on the spot.
const DECODE_HERE_BYTES: usize = 32 << 10;
/// Wait before a broken listen is opened again.
const REOPEN_AFTER: Duration = Duration::from_millis(20);

fn decode(
    piece: &Piece,
    mut keep: impl FnMut(Timestamp) -> Option<Timestamp>,
) -> Result<Vec<Update>, PersistError> {
    let mut out = Vec::new();
    let mut each = |(entry, ts, diff): Update| {
        if let Some(ts) = keep(ts) {
            out.push((entry, ts, diff));
        }
    };
    if piece.inline {
        inline::decode(&piece.bytes, &mut each)?;
    } else {
        decode_part(&piece.bytes, &mut each)?;
    }
    Ok(out)
}

fn joined<T>(result: Result<Result<T, PersistError>, tokio::task::JoinError>) -> Result<T, PersistError> {
    result.unwrap_or_else(|e| Err(PersistError::Determinate(format!("decoding was stopped: {e}"))))
}

/// A collection as of one time, in chunks of about one part, all times advanced to `as_of`. Chunks are sorted and
/// consolidated each in itself, not among each other. A stream that is cut ends with an error; the reader starts again.
pub struct Snapshot {
    chunks: BoxStream<'static, Result<Vec<Update>, PersistError>>,
    as_of: Timestamp,
}

impl Snapshot {
    pub(crate) fn new(pieces: PieceStream, as_of: Timestamp) -> Self {
        let chunks = pieces
            .map(move |piece| async move {
                let piece = piece?;
                let decode = move || decode(&piece, |ts| (ts <= as_of).then_some(as_of));
                joined(tokio::task::spawn_blocking(decode).await)
            })
            // One part is decoded while the one before is used.
            .buffered(2)
            .filter(|chunk| std::future::ready(!matches!(chunk, Ok(c) if c.is_empty())));
        Snapshot { chunks: chunks.boxed(), as_of }
    }

    /// The time of the snapshot.
    pub fn as_of(&self) -> Timestamp {
        self.as_of
    }

    /// The next chunk; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<Vec<Update>, PersistError>> {
        self.chunks.next().await
    }

    /// All updates, consolidated. For small collections.
    pub async fn collect(mut self) -> Result<Vec<Update>, PersistError> {
        let mut all = Vec::new();
        while let Some(chunk) = self.next().await {
            all.extend(chunk?);
        }
        crate::part::consolidate(&mut all);
        Ok(all)
    }
}

impl Stream for Snapshot {
    type Item = Result<Vec<Update>, PersistError>;
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.chunks.poll_next_unpin(cx)
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("as_of", &self.as_of).finish_non_exhaustive()
    }
}

/// What a listen reports.
#[derive(Debug, Clone, PartialEq)]
pub enum ListenEvent {
    /// Updates at times at or after the last progress.
    Updates(Vec<Update>),
    /// All updates at times below it have been reported.
    Progress(Timestamp),
}

/// The updates of a shard as they are committed.
///
/// A lost connection is opened again without notice where that is exact: a change of up to some megabytes is
/// handed out only when it is there as a whole. A larger one comes in pieces; if it is cut in the middle, `next` gives
/// [`PersistError::Interrupted`] and the reader starts again from the last progress.
pub struct Listen {
    backend: Arc<dyn Backend>,
    /// Holds since for when the stream must be opened again.
    hold: Box<dyn LeaseControl>,
    shard: ShardId,
    /// All updates below it have been handed out.
    frontier: Timestamp,
    changes: Option<ChangeStream>,
    pieces: VecDeque<Piece>,
    pieces_bytes: usize,
    progress: Option<Timestamp>,
    /// Whether `pieces` are being handed out rather than gathered.
    draining: bool,
    /// Whether updates of a change that is not whole have been handed out.
    partial: bool,
    decoding: Option<JoinHandle<Result<Vec<Update>, PersistError>>>,
}

impl Listen {
    pub(crate) fn new(
        backend: Arc<dyn Backend>,
        hold: Box<dyn LeaseControl>,
        shard: ShardId,
        after: Timestamp,
        changes: ChangeStream,
    ) -> Self {
        Listen {
            backend,
            hold,
            shard,
            frontier: after.saturating_add(1),
            changes: Some(changes),
            pieces: VecDeque::new(),
            pieces_bytes: 0,
            progress: None,
            draining: false,
            partial: false,
            decoding: None,
        }
    }

    /// The last progress; at first the time after the one that was given.
    pub fn frontier(&self) -> Timestamp {
        self.frontier
    }

    /// The next event. Waits for ever once progress has reached `Timestamp::MAX`. Cancel safe.
    pub async fn next(&mut self) -> Result<ListenEvent, PersistError> {
        loop {
            if let Some(decoding) = &mut self.decoding {
                let updates = joined(decoding.await);
                self.decoding = None;
                let updates = updates?;
                if !updates.is_empty() {
                    self.partial |= self.progress.is_none();
                    return Ok(ListenEvent::Updates(updates));
                }
            } else if self.draining {
                if let Some(event) = self.drain()? {
                    return Ok(event);
                }
            } else {
                self.receive().await?;
            }
        }
    }

    /// Takes a step in handing out what has been gathered.
    fn drain(&mut self) -> Result<Option<ListenEvent>, PersistError> {
        let Some(piece) = self.pieces.pop_front() else {
            self.draining = false;
            self.pieces_bytes = 0;
            let Some(upper) = self.progress.take() else { return Ok(None) };
            self.partial = false;
            self.frontier = upper;
            self.hold.downgrade(upper - 1);
            return Ok(Some(ListenEvent::Progress(upper)));
        };
        let from = self.frontier;
        let keep = move |ts| (ts >= from).then_some(ts);
        if piece.bytes.len() > DECODE_HERE_BYTES {
            self.decoding = Some(tokio::task::spawn_blocking(move || decode(&piece, keep)));
            return Ok(None);
        }
        let updates = decode(&piece, keep)?;
        if updates.is_empty() {
            return Ok(None);
        }
        self.partial |= self.progress.is_none();
        Ok(Some(ListenEvent::Updates(updates)))
    }

    async fn receive(&mut self) -> Result<(), PersistError> {
        if self.frontier == Timestamp::MAX {
            std::future::pending::<()>().await;
        }
        let Some(changes) = &mut self.changes else {
            tokio::time::sleep(REOPEN_AFTER).await;
            match self.backend.listen(self.shard, self.frontier - 1).await {
                Ok(changes) => self.changes = Some(changes),
                Err(e) if e.is_transient() => {}
                Err(e) => return Err(e),
            }
            return Ok(());
        };
        match changes.next().await {
            Some(Ok(Change::Piece(piece))) => {
                self.pieces_bytes += piece.bytes.len();
                self.pieces.push_back(piece);
                self.draining = self.pieces_bytes > WHOLE_CHANGE_BYTES;
            }
            Some(Ok(Change::Progress(upper))) => {
                self.progress = Some(upper);
                self.draining = true;
            }
            Some(Err(e)) if !e.is_transient() => return Err(e),
            cut => {
                self.changes = None;
                self.pieces.clear();
                self.pieces_bytes = 0;
                if self.partial {
                    self.partial = false;
                    let cause = cut.and_then(Result::err).map(|e| e.to_string());
                    return Err(PersistError::Interrupted(
                        cause.unwrap_or_else(|| "the server has gone".into()),
                    ));
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listen")
            .field("shard", &self.shard)
            .field("frontier", &self.frontier)
            .finish_non_exhaustive()
    }
}

/// A hold on a shard's since, given up on drop.
pub struct Lease {
    control: Box<dyn LeaseControl>,
    shard: ShardId,
    at: Timestamp,
}

impl Lease {
    pub(crate) fn new(control: Box<dyn LeaseControl>, shard: ShardId, at: Timestamp) -> Self {
        Lease { control, shard, at }
    }

    /// The shard.
    pub fn shard(&self) -> ShardId {
        self.shard
    }

    /// The time held.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// Moves the hold forward. Earlier times are ignored.
    pub fn downgrade(&mut self, at: Timestamp) {
        if at > self.at {
            self.at = at;
            self.control.downgrade(at);
        }
    }

    /// Whether the hold has been lost: it had expired, and since has passed it.
    pub fn is_lost(&self) -> bool {
        self.control.is_lost()
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("shard", &self.shard).field("at", &self.at).finish_non_exhaustive()
    }
}
