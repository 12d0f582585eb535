//! The server: messages in, operations of the engine, messages out.

use std::pin::Pin;
use std::sync::Arc;

use bytes::BytesMut;
use futures::stream::{self, Stream, StreamExt};
use hw_base::task::spawn_scoped;
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Request, Response, Status, Streaming};

use super::proto::persist_server::{Persist, PersistServer as Service};
use super::session::{Sessions, Wanted};
use super::{CONNECTION_WINDOW_BYTES, MESSAGE_BYTES_MAX, STREAM_WINDOW_BYTES, proto, wire};
use crate::backend::{Backend, Change};
use crate::engine::Engine;
use crate::error::PersistError;
use crate::server::PersistServer;

/// A part is no larger than this.
const PART_BYTES_MAX: u64 = 1 << 30;
/// More streams than shards are read at any time.
const STREAMS_MAX: u32 = 1 << 20;

/// Serves the shards to worker processes until the future is dropped.
pub async fn serve(server: PersistServer, listener: UnixListener) -> Result<(), PersistError> {
    let sessions = Sessions::new(Arc::clone(&server.engine));
    let _expiring = spawn_scoped("persist: expire sessions", Arc::clone(&sessions).expire());
    let service = Service::new(Handler { engine: server.engine, sessions })
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    tonic::transport::Server::builder()
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(STREAMS_MAX)
        .add_service(service)
        .serve_with_incoming(UnixListenerStream::new(listener))
        .await
        .map_err(|e| PersistError::Determinate(hw_base::error::Chain(&e).to_string()))
}

struct Handler {
    engine: Arc<Engine>,
    sessions: Arc<Sessions>,
}

type FrameStream = Pin<Box<dyn Stream<Item = Result<proto::ReadFrame, Status>> + Send>>;

impl Handler {
    async fn receive_part(&self, mut chunks: Streaming<proto::PartChunk>) -> Result<(), Status> {
        let cut = || wire::status(PersistError::Invalid("a part was cut off".into()));
        let first = chunks.message().await?.ok_or_else(cut)?;
        let session = wire::uuid(&first.session).map_err(wire::status)?;
        let shard = wire::shard(&first.shard).map_err(wire::status)?;
        let part = wire::part(&first.part).map_err(wire::status)?;
        if first.total_bytes > PART_BYTES_MAX {
            return Err(wire::status(PersistError::Invalid("a part is too large".into())));
        }
        let total = first.total_bytes as usize;
        let mut bytes = BytesMut::with_capacity(first.data.len().max(total.min(16 << 20)));
        bytes.extend_from_slice(&first.data);
        while let Some(chunk) = chunks.message().await? {
            if bytes.len() + chunk.data.len() > total {
                return Err(cut());
            }
            bytes.extend_from_slice(&chunk.data);
        }
        if bytes.len() != total {
            return Err(cut());
        }
        self.sessions.staging(session, part);
        self.engine.put_part(shard, part, bytes.freeze()).await.map_err(wire::status)?;
        self.sessions.staged(session, part);
        Ok(())
    }
}

#[tonic::async_trait]
impl Persist for Handler {
    async fn ensure_shard(
        &self,
        request: Request<proto::EnsureShardRequest>,
    ) -> Result<Response<proto::ShardState>, Status> {
        let r = request.into_inner();
        let shard = wire::shard(&r.shard).map_err(wire::status)?;
        let state = self.engine.ensure_shard(shard, r.desc, r.initial).await.map_err(wire::status)?;
        Ok(Response::new(state.into()))
    }

    async fn get_state(
        &self,
        request: Request<proto::GetStateRequest>,
    ) -> Result<Response<proto::GetStateResponse>, Status> {
        let shard = wire::shard(&request.into_inner().shard).map_err(wire::status)?;
        let state = self.engine.state(shard).await.map_err(wire::status)?;
        Ok(Response::new(proto::GetStateResponse { state: state.map(Into::into) }))
    }

    async fn put_part(
        &self,
        request: Request<Streaming<proto::PartChunk>>,
    ) -> Result<Response<proto::PutPartResponse>, Status> {
        self.receive_part(request.into_inner()).await?;
        Ok(Response::new(proto::PutPartResponse {}))
    }

    async fn append(
        &self,
        request: Request<proto::AppendRequest>,
    ) -> Result<Response<proto::AppendResponse>, Status> {
        let r = request.into_inner();
        let token = wire::uuid(&r.token).map_err(wire::status)?;
        let session = wire::uuid(&r.session).map_err(wire::status)?;
        let appends: Result<Vec<_>, _> = r.appends.into_iter().map(wire::append_from_proto).collect();
        let appends = appends.map_err(wire::status)?;
        let parts: Vec<_> = appends.iter().flat_map(|a| &a.parts).map(|p| p.id).collect();
        let outcome = self.engine.append(token, appends).await.map_err(wire::status)?;
        if outcome == crate::types::AppendOutcome::Committed {
            self.sessions.appended(session, &parts);
        }
        Ok(Response::new(wire::outcome_to_proto(outcome)))
    }

    type SnapshotStream = FrameStream;

    async fn snapshot(
        &self,
        request: Request<proto::SnapshotRequest>,
    ) -> Result<Response<Self::SnapshotStream>, Status> {
        let r = request.into_inner();
        let shard = wire::shard(&r.shard).map_err(wire::status)?;
        let pieces = self.engine.snapshot(shard, r.as_of).await.map_err(wire::status)?;
        let frames = pieces.flat_map(|piece| {
            stream::iter(match piece {
                Ok(piece) => wire::piece_frames(piece).into_iter().map(Ok).collect(),
                Err(e) => vec![Err(wire::status(e))],
            })
        });
        Ok(Response::new(Box::pin(frames)))
    }

    type ListenStream = FrameStream;

    async fn listen(
        &self,
        request: Request<proto::ListenRequest>,
    ) -> Result<Response<Self::ListenStream>, Status> {
        let r = request.into_inner();
        let shard = wire::shard(&r.shard).map_err(wire::status)?;
        let changes = self.engine.listen(shard, r.after).await.map_err(wire::status)?;
        let frames = changes.flat_map(|change| {
            stream::iter(match change {
                Ok(Change::Piece(piece)) => wire::piece_frames(piece).into_iter().map(Ok).collect(),
                Ok(Change::Progress(upper)) => {
                    vec![Ok(proto::ReadFrame { progress: Some(upper), ..Default::default() })]
                }
                Err(e) => vec![Err(wire::status(e))],
            })
        });
        Ok(Response::new(Box::pin(frames)))
    }

    async fn open_lease(
        &self,
        request: Request<proto::OpenLeaseRequest>,
    ) -> Result<Response<proto::OpenLeaseResponse>, Status> {
        let r = request.into_inner();
        let session = wire::uuid(&r.session).map_err(wire::status)?;
        let wanted = wanted(r.lease.unwrap_or_default()).map_err(wire::status)?;
        self.sessions.hold(session, &wanted).await.map_err(wire::status)?;
        Ok(Response::new(proto::OpenLeaseResponse {}))
    }

    async fn heartbeat(
        &self,
        request: Request<proto::HeartbeatRequest>,
    ) -> Result<Response<proto::HeartbeatResponse>, Status> {
        let r = request.into_inner();
        let session = wire::uuid(&r.session).map_err(wire::status)?;
        let closed: Result<Vec<_>, _> = r.closed.iter().map(|id| wire::uuid(id)).collect();
        self.sessions.close(session, &closed.map_err(wire::status)?);
        let released: Result<Vec<_>, _> = r.released.iter().map(|id| wire::part(id)).collect();
        self.sessions.give_up(session, released.map_err(wire::status)?);
        let mut lost = Vec::new();
        for lease in r.leases {
            let id = lease.id.clone();
            let wanted = wanted(lease).map_err(wire::status)?;
            // Other errors pass; the next heartbeat tries again.
            if let Err(PersistError::SinceTooHigh { .. } | PersistError::UnknownShard(_)) =
                self.sessions.hold(session, &wanted).await
            {
                lost.push(id);
            }
        }
        Ok(Response::new(proto::HeartbeatResponse { lost }))
    }

    async fn allow_compaction(
        &self,
        request: Request<proto::AllowCompactionRequest>,
    ) -> Result<Response<proto::AllowCompactionResponse>, Status> {
        let downgrades: Result<Vec<_>, _> =
            request.into_inner().downgrades.iter().map(|d| Ok((wire::shard(&d.shard)?, d.since))).collect();
        self.engine.allow_compaction(downgrades.map_err(wire::status)?).await.map_err(wire::status)?;
        Ok(Response::new(proto::AllowCompactionResponse {}))
    }

    async fn finalize(
        &self,
        request: Request<proto::FinalizeRequest>,
    ) -> Result<Response<proto::FinalizeResponse>, Status> {
        let shards: Result<Vec<_>, _> = request.into_inner().shards.iter().map(|s| wire::shard(s)).collect();
        self.engine.finalize(shards.map_err(wire::status)?).await.map_err(wire::status)?;
        Ok(Response::new(proto::FinalizeResponse {}))
    }

    async fn wait_upper_past(
        &self,
        request: Request<proto::WaitUpperPastRequest>,
    ) -> Result<Response<proto::WaitUpperPastResponse>, Status> {
        let r = request.into_inner();
        let shard = wire::shard(&r.shard).map_err(wire::status)?;
        let upper = self.engine.wait_upper_past(shard, r.ts).await.map_err(wire::status)?;
        Ok(Response::new(proto::WaitUpperPastResponse { upper }))
    }
}

fn wanted(lease: proto::Lease) -> Result<Wanted, PersistError> {
    Ok(Wanted { id: wire::uuid(&lease.id)?, shard: wire::shard(&lease.shard)?, at: lease.at })
}
