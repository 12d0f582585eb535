//! Between the crate's types and the messages of the service.

use bytes::{Bytes, BytesMut};
use tonic::{Code, Status};
use uuid::Uuid;

use super::{FRAME_BYTES, proto};
use crate::backend::{AppendRequest, Change, PartMeta, Piece};
use crate::error::PersistError;
use crate::id::{PartId, ShardId};
use crate::types::{AppendOutcome, ShardState};

fn sixteen(bytes: &[u8], what: &str) -> Result<[u8; 16], PersistError> {
    bytes.try_into().map_err(|_| PersistError::Invalid(format!("malformed {what} in a message")))
}

pub(super) fn shard(bytes: &[u8]) -> Result<ShardId, PersistError> {
    sixteen(bytes, "shard id").map(ShardId::from_bytes)
}

pub(super) fn part(bytes: &[u8]) -> Result<PartId, PersistError> {
    sixteen(bytes, "part id").map(PartId::from_bytes)
}

pub(super) fn uuid(bytes: &[u8]) -> Result<Uuid, PersistError> {
    sixteen(bytes, "id").map(Uuid::from_bytes)
}

pub(super) fn to_bytes(id: &[u8; 16]) -> Bytes {
    Bytes::copy_from_slice(id)
}

/// An error as a status.
pub(super) fn status(error: PersistError) -> Status {
    let code = match &error {
        PersistError::UnknownShard(_) => Code::NotFound,
        PersistError::Invalid(_) => Code::InvalidArgument,
        PersistError::Corrupt(_) => Code::DataLoss,
        PersistError::Determinate(_) | PersistError::Indeterminate(_) | PersistError::Interrupted(_) => {
            Code::Aborted
        }
        PersistError::SinceTooHigh { .. } | PersistError::PartsLost(_) => Code::FailedPrecondition,
    };
    let details = postcard::to_stdvec(&error).unwrap_or_default();
    Status::with_details(code, error.to_string(), Bytes::from(details))
}

/// Why a call failed.
pub(super) enum Failure {
    /// The server's answer.
    Answer(PersistError),
    /// There was no answer.
    Transport(String),
}

pub(super) fn failure(status: &Status) -> Failure {
    match postcard::from_bytes(status.details()) {
        Ok(error) if !status.details().is_empty() => Failure::Answer(error),
        _ if matches!(status.code(), Code::InvalidArgument | Code::Unimplemented | Code::OutOfRange) => {
            Failure::Answer(PersistError::Invalid(status.message().to_owned()))
        }
        _ => Failure::Transport(format!("{:?}: {}", status.code(), status.message())),
    }
}

/// An error of a stream, which nobody can try again for the reader.
pub(super) fn stream_error(status: &Status) -> PersistError {
    match failure(status) {
        Failure::Answer(e) => e,
        Failure::Transport(m) => PersistError::Interrupted(m),
    }
}

impl From<ShardState> for proto::ShardState {
    fn from(s: ShardState) -> Self {
        proto::ShardState { since: s.since, upper: s.upper, epoch: s.epoch }
    }
}

impl From<proto::ShardState> for ShardState {
    fn from(s: proto::ShardState) -> Self {
        ShardState { since: s.since, upper: s.upper, epoch: s.epoch }
    }
}

pub(super) fn append_to_proto(r: &AppendRequest) -> proto::ShardAppend {
    let parts = r.parts.iter().map(|p| proto::Part {
        id: to_bytes(p.id.as_bytes()),
        len: p.len,
        bytes: p.bytes,
        raw: p.raw,
    });
    proto::ShardAppend {
        shard: to_bytes(r.shard.as_bytes()),
        lower: r.lower,
        upper: r.upper,
        epoch: r.epoch,
        parts: parts.collect(),
        inline: r.inline.clone(),
    }
}

pub(super) fn append_from_proto(a: proto::ShardAppend) -> Result<AppendRequest, PersistError> {
    let parts = a.parts.into_iter().map(|p| {
        Ok::<_, PersistError>(PartMeta { id: part(&p.id)?, len: p.len, bytes: p.bytes, raw: p.raw })
    });
    Ok(AppendRequest {
        shard: shard(&a.shard)?,
        lower: a.lower,
        upper: a.upper,
        epoch: a.epoch,
        parts: parts.collect::<Result<_, _>>()?,
        inline: a.inline,
    })
}

pub(super) fn outcome_to_proto(outcome: AppendOutcome) -> proto::AppendResponse {
    use proto::append_response::Outcome;
    let outcome = match outcome {
        AppendOutcome::Committed => Outcome::Committed(proto::Committed {}),
        AppendOutcome::UpperMismatch { shard, current } => {
            Outcome::UpperMismatch(proto::UpperMismatch { shard: to_bytes(shard.as_bytes()), current })
        }
        AppendOutcome::Fenced { shard, epoch } => {
            Outcome::Fenced(proto::Fenced { shard: to_bytes(shard.as_bytes()), epoch })
        }
    };
    proto::AppendResponse { outcome: Some(outcome) }
}

pub(super) fn outcome_from_proto(response: proto::AppendResponse) -> Result<AppendOutcome, PersistError> {
    use proto::append_response::Outcome;
    match response.outcome {
        Some(Outcome::Committed(_)) => Ok(AppendOutcome::Committed),
        Some(Outcome::UpperMismatch(m)) => {
            Ok(AppendOutcome::UpperMismatch { shard: shard(&m.shard)?, current: m.current })
        }
        Some(Outcome::Fenced(f)) => Ok(AppendOutcome::Fenced { shard: shard(&f.shard)?, epoch: f.epoch }),
        None => Err(PersistError::Indeterminate("the answer to an append says nothing".into())),
    }
}

/// The frames of a piece.
pub(super) fn piece_frames(piece: Piece) -> Vec<proto::ReadFrame> {
    let mut rest = piece.bytes;
    let mut frames = Vec::with_capacity(rest.len() / FRAME_BYTES + 1);
    loop {
        let data = rest.split_to(rest.len().min(FRAME_BYTES));
        let last = rest.is_empty();
        frames.push(proto::ReadFrame { data, last_of_piece: last, inline: piece.inline, progress: None });
        if last {
            return frames;
        }
    }
}

/// Puts pieces together from frames.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    gathered: BytesMut,
}

impl Assembler {
    /// Takes a frame; gives what it completes.
    pub(super) fn push(&mut self, frame: proto::ReadFrame) -> Option<Change> {
        if let Some(upper) = frame.progress {
            return Some(Change::Progress(upper));
        }
        if frame.last_of_piece && self.gathered.is_empty() {
            return Some(Change::Piece(Piece { inline: frame.inline, bytes: frame.data }));
        }
        self.gathered.extend_from_slice(&frame.data);
        let whole = frame.last_of_piece.then(|| std::mem::take(&mut self.gathered).freeze());
        whole.map(|bytes| Change::Piece(Piece { inline: frame.inline, bytes }))
    }
}
