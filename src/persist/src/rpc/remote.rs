//! The client: the operations of persist as calls to the server, tried again while it cannot be reached.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use hw_base::task::{AbortOnDrop, spawn, spawn_scoped};
use hw_repr::Timestamp;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::UnixStream;
use tokio::sync::Notify;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Response, Status, Streaming};
use uuid::Uuid;

use super::proto::persist_client::PersistClient as Service;
use super::wire::{Assembler, Failure};
use super::{CONNECTION_WINDOW_BYTES, FRAME_BYTES, MESSAGE_BYTES_MAX, STREAM_WINDOW_BYTES, proto, wire};
use crate::backend::{AppendRequest, Backend, Change, ChangeStream, LeaseControl, PieceStream};
use crate::config::ClientConfig;
use crate::error::PersistError;
use crate::id::{PartId, ShardId};
use crate::types::{AppendOutcome, ShardState};

/// Shortest and longest wait between two attempts.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// A backend on the far side of a connection.
#[derive(Debug)]
pub(crate) struct RemoteBackend {
    session: Arc<ClientSession>,
    _heartbeat: AbortOnDrop<()>,
}

/// A lease as the client knows it.
#[derive(Debug, Clone, Copy)]
struct HeldLease {
    shard: ShardId,
    at: Timestamp,
    lost: bool,
}

/// What the session owns on the server.
#[derive(Debug, Default)]
struct Owned {
    leases: HashMap<Uuid, HeldLease>,
    closed: Vec<Uuid>,
    staged: HashSet<PartId>,
    released: Vec<PartId>,
}

#[derive(Debug)]
struct ClientSession {
    id: Uuid,
    config: ClientConfig,
    /// Short calls.
    calls: Service<Channel>,
    /// Streams of data.
    streams: Service<Channel>,
    owned: Mutex<Owned>,
    /// Something was given up.
    changed: Arc<Notify>,
}

fn channel(path: &Path) -> Channel {
    let path = path.to_owned();
    // The address is needed as a form; the connector decides.
    Endpoint::from_static("http://persist.invalid")
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .connect_with_connector_lazy(tower::service_fn(move |_: Uri| {
            let path = path.clone();
            async move { Ok::<_, io::Error>(TokioIo::new(UnixStream::connect(path).await?)) }
        }))
}

fn service(path: &Path) -> Service<Channel> {
    Service::new(channel(path))
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX)
}

impl RemoteBackend {
    /// Makes a client; it connects on first use.
    pub(crate) fn connect(path: &Path, config: ClientConfig) -> Arc<dyn Backend> {
        let session = Arc::new(ClientSession {
            id: Uuid::new_v4(),
            config,
            calls: service(path),
            streams: service(path),
            owned: Mutex::default(),
            changed: Arc::default(),
        });
        let beat =
            heartbeats(Arc::downgrade(&session), Arc::clone(&session.changed), session.config.heartbeat);
        Arc::new(RemoteBackend { session, _heartbeat: spawn_scoped("persist: heartbeat", beat) })
    }
}

/// Sends heartbeats at the interval, and when something was given up.
async fn heartbeats(session: Weak<ClientSession>, changed: Arc<Notify>, interval: Duration) {
    loop {
        let _earlier = tokio::time::timeout(interval, changed.notified()).await;
        let Some(session) = session.upgrade() else { return };
        if let Err(status) = session.beat().await {
            tracing::debug!(%status, "a persist heartbeat was not answered");
            drop(session);
            tokio::time::sleep(BACKOFF.0 * 5).await;
        }
    }
}

impl ClientSession {
    fn id_bytes(&self) -> Bytes {
        wire::to_bytes(self.id.as_bytes())
    }

    async fn beat(&self) -> Result<(), Status> {
        let (request, closed, released) = {
            let owned = self.owned.lock();
            if owned.leases.is_empty()
                && owned.closed.is_empty()
                && owned.staged.is_empty()
                && owned.released.is_empty()
            {
                return Ok(());
            }
            let leases = owned.leases.iter().filter(|(_, l)| !l.lost).map(|(id, l)| lease_to_proto(*id, l));
            let request = proto::HeartbeatRequest {
                session: self.id_bytes(),
                leases: leases.collect(),
                closed: owned.closed.iter().map(|id| wire::to_bytes(id.as_bytes())).collect(),
                released: owned.released.iter().map(|id| wire::to_bytes(id.as_bytes())).collect(),
            };
            (request, owned.closed.len(), owned.released.len())
        };
        let response = self.calls.clone().heartbeat(request).await?.into_inner();
        let mut owned = self.owned.lock();
        // What was given up meanwhile is behind what has been sent.
        owned.closed.drain(..closed);
        owned.released.drain(..released);
        for id in response.lost {
            if let Ok(id) = wire::uuid(&id)
                && let Some(lease) = owned.leases.get_mut(&id)
            {
                tracing::warn!(shard = %lease.shard, at = lease.at, "a persist lease was lost");
                lease.lost = true;
            }
        }
        Ok(())
    }

    /// Calls until there is an answer or time is up.
    async fn call<T, F>(
        &self,
        call: impl Fn() -> F,
        give_up: impl FnOnce(String) -> PersistError,
    ) -> Result<T, PersistError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let deadline = Instant::now() + self.config.retry_for;
        let mut wait = BACKOFF.0;
        loop {
            let message = match call().await {
                Ok(response) => return Ok(response.into_inner()),
                Err(status) => match wire::failure(&status) {
                    Failure::Answer(error) => return Err(error),
                    Failure::Transport(message) => message,
                },
            };
            if Instant::now() + wait > deadline {
                return Err(give_up(message));
            }
            tracing::debug!(%message, "persist cannot be reached, trying again");
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(BACKOFF.1);
        }
    }

    fn close(&self, lease: Uuid) {
        let mut owned = self.owned.lock();
        if owned.leases.remove(&lease).is_some() {
            owned.closed.push(lease);
            self.changed.notify_one();
        }
    }
}

fn lease_to_proto(id: Uuid, lease: &HeldLease) -> proto::Lease {
    proto::Lease {
        id: wire::to_bytes(id.as_bytes()),
        shard: wire::to_bytes(lease.shard.as_bytes()),
        at: lease.at,
    }
}

/// A part in chunks, of which the first names it.
fn part_chunks(session: Bytes, shard: ShardId, part: PartId, bytes: Bytes) -> Vec<proto::PartChunk> {
    let mut rest = bytes;
    let mut chunks = vec![proto::PartChunk {
        session,
        shard: wire::to_bytes(shard.as_bytes()),
        part: wire::to_bytes(part.as_bytes()),
        total_bytes: rest.len() as u64,
        data: rest.split_to(rest.len().min(FRAME_BYTES)),
    }];
    while !rest.is_empty() {
        let data = rest.split_to(rest.len().min(FRAME_BYTES));
        chunks.push(proto::PartChunk { data, ..Default::default() });
    }
    chunks
}

/// The changes of a stream of frames.
fn changes(frames: Streaming<proto::ReadFrame>) -> BoxStream<'static, Result<Change, PersistError>> {
    let mut assembler = Assembler::default();
    let changes = frames.filter_map(move |frame| {
        std::future::ready(match frame {
            Ok(frame) => assembler.push(frame).map(Ok),
            Err(status) => Some(Err(wire::stream_error(&status))),
        })
    });
    changes.boxed()
}

/// A lease held through the session.
struct RemoteLease {
    session: Arc<ClientSession>,
    id: Uuid,
}

impl LeaseControl for RemoteLease {
    fn downgrade(&self, at: Timestamp) {
        // The next heartbeat takes it along.
        if let Some(lease) = self.session.owned.lock().leases.get_mut(&self.id) {
            lease.at = at.max(lease.at);
        }
    }

    fn is_lost(&self) -> bool {
        self.session.owned.lock().leases.get(&self.id).is_none_or(|l| l.lost)
    }
}

impl Drop for RemoteLease {
    fn drop(&mut self) {
        self.session.close(self.id);
    }
}

#[async_trait]
impl Backend for RemoteBackend {
    async fn ensure_shard(
        &self,
        shard: ShardId,
        desc: Bytes,
        initial: Timestamp,
    ) -> Result<ShardState, PersistError> {
        let s = &self.session;
        let request = proto::EnsureShardRequest { shard: wire::to_bytes(shard.as_bytes()), desc, initial };
        let call = || {
            let (mut service, request) = (s.calls.clone(), request.clone());
            async move { service.ensure_shard(request).await }
        };
        Ok(s.call(call, PersistError::Indeterminate).await?.into())
    }

    async fn state(&self, shard: ShardId) -> Result<Option<ShardState>, PersistError> {
        let s = &self.session;
        let request = proto::GetStateRequest { shard: wire::to_bytes(shard.as_bytes()) };
        let call = || {
            let (mut service, request) = (s.calls.clone(), request.clone());
            async move { service.get_state(request).await }
        };
        Ok(s.call(call, PersistError::Determinate).await?.state.map(Into::into))
    }

    async fn put_part(&self, shard: ShardId, part: PartId, bytes: Bytes) -> Result<(), PersistError> {
        let s = &self.session;
        s.owned.lock().staged.insert(part);
        let call = || {
            let mut service = s.streams.clone();
            let chunks = part_chunks(s.id_bytes(), shard, part, bytes.clone());
            async move { service.put_part(stream::iter(chunks)).await }
        };
        s.call(call, PersistError::Indeterminate).await.map(|_| ())
    }

    fn release_parts(&self, _: ShardId, parts: Vec<PartId>) {
        let mut owned = self.session.owned.lock();
        for part in &parts {
            owned.staged.remove(part);
        }
        owned.released.extend(parts);
        self.session.changed.notify_one();
    }

    async fn append(&self, token: Uuid, appends: Vec<AppendRequest>) -> Result<AppendOutcome, PersistError> {
        let s = &self.session;
        let request = proto::AppendRequest {
            token: wire::to_bytes(token.as_bytes()),
            appends: appends.iter().map(wire::append_to_proto).collect(),
            session: s.id_bytes(),
        };
        let call = || {
            let (mut service, request) = (s.calls.clone(), request.clone());
            async move { service.append(request).await }
        };
        let outcome = s.call(call, PersistError::Indeterminate).await.and_then(wire::outcome_from_proto);
        if matches!(outcome, Ok(AppendOutcome::Committed) | Err(PersistError::Indeterminate(_))) {
            let mut owned = s.owned.lock();
            for part in appends.iter().flat_map(|a| &a.parts) {
                owned.staged.remove(&part.id);
            }
        }
        outcome
    }

    async fn snapshot(&self, shard: ShardId, as_of: Timestamp) -> Result<PieceStream, PersistError> {
        let s = &self.session;
        let request = proto::SnapshotRequest { shard: wire::to_bytes(shard.as_bytes()), as_of };
        let call = || {
            let (mut service, request) = (s.streams.clone(), request.clone());
            async move { service.snapshot(request).await }
        };
        let frames = s.call(call, PersistError::Determinate).await?;
        let pieces = changes(frames).filter_map(|change| {
            std::future::ready(match change {
                Ok(Change::Piece(piece)) => Some(Ok(piece)),
                Ok(Change::Progress(_)) => None,
                Err(e) => Some(Err(e)),
            })
        });
        Ok(pieces.boxed())
    }

    async fn listen(&self, shard: ShardId, after: Timestamp) -> Result<ChangeStream, PersistError> {
        let s = &self.session;
        let request = proto::ListenRequest { shard: wire::to_bytes(shard.as_bytes()), after };
        let call = || {
            let (mut service, request) = (s.streams.clone(), request.clone());
            async move { service.listen(request).await }
        };
        Ok(changes(s.call(call, PersistError::Determinate).await?))
    }

    async fn open_lease(&self, shard: ShardId, at: Timestamp) -> Result<Box<dyn LeaseControl>, PersistError> {
        let (session, id) = (Arc::clone(&self.session), Uuid::new_v4());
        let held = HeldLease { shard, at, lost: false };
        session.owned.lock().leases.insert(id, held);
        // Dropped when opening fails, or when nobody waits for it any more.
        let lease = RemoteLease { session: Arc::clone(&session), id };
        let opened = spawn("persist: open lease", async move {
            let request = proto::OpenLeaseRequest {
                session: session.id_bytes(),
                lease: Some(lease_to_proto(id, &held)),
            };
            let call = || {
                let (mut service, request) = (session.calls.clone(), request.clone());
                async move { service.open_lease(request).await }
            };
            session.call(call, PersistError::Determinate).await.map(|_| lease)
        });
        let lease = opened.await.unwrap_or_else(|e| Err(PersistError::Determinate(e.to_string())))?;
        Ok(Box::new(lease))
    }

    async fn allow_compaction(&self, downgrades: Vec<(ShardId, Timestamp)>) -> Result<(), PersistError> {
        let s = &self.session;
        let downgrade = |(shard, since): &(ShardId, Timestamp)| proto::Downgrade {
            shard: wire::to_bytes(shard.as_bytes()),
            since: *since,
        };
        let request =
            proto::AllowCompactionRequest { downgrades: downgrades.iter().map(downgrade).collect() };
        let call = || {
            let (mut service, request) = (s.calls.clone(), request.clone());
            async move { service.allow_compaction(request).await }
        };
        s.call(call, PersistError::Indeterminate).await.map(|_| ())
    }

    async fn finalize(&self, shards: Vec<ShardId>) -> Result<(), PersistError> {
        let s = &self.session;
        let shards = shards.iter().map(|shard| wire::to_bytes(shard.as_bytes())).collect();
        let request = proto::FinalizeRequest { shards };
        let call = || {
            let (mut service, request) = (s.calls.clone(), request.clone());
            async move { service.finalize(request).await }
        };
        s.call(call, PersistError::Indeterminate).await.map(|_| ())
    }

    async fn wait_upper_past(&self, shard: ShardId, ts: Timestamp) -> Result<Timestamp, PersistError> {
        let s = &self.session;
        let request = proto::WaitUpperPastRequest { shard: wire::to_bytes(shard.as_bytes()), ts };
        let call = || {
            let (mut service, request) = (s.calls.clone(), request.clone());
            async move { service.wait_upper_past(request).await }
        };
        Ok(s.call(call, PersistError::Determinate).await?.upper)
    }
}
