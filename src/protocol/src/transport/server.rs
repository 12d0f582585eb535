//! The worker's end: one session at a time, the newest epoch wins.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use parking_lot::Mutex;
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::{Request, Response as GrpcResponse, Status, Streaming};

use super::proto::Envelope;
use super::proto::cluster_server::{Cluster, ClusterServer};
use super::{CHANNEL_CAPACITY, MAX_MESSAGE_BYTES, TransportError, codec};
use crate::command::{Command, Response};

/// A session opened by a controller.
#[derive(Debug)]
pub struct ServerSession {
    /// The controller's epoch.
    pub epoch: u64,
    /// Its commands; ends with the session.
    pub commands: mpsc::Receiver<Command>,
    /// Where responses go; closed with the session.
    pub responses: mpsc::Sender<Response>,
}

/// The gRPC service of a worker process.
#[derive(Debug, Clone)]
pub struct WorkerServer {
    sessions: mpsc::Sender<ServerSession>,
    epoch: Arc<Mutex<u64>>,
}

/// Listens on a Unix socket and hands out sessions until the returned receiver is dropped. A session is superseded by the next
/// one: whoever takes sessions drops the old one's channels.
///
/// # Errors
/// When the socket cannot be made.
pub fn serve_unix(path: &Path) -> Result<mpsc::Receiver<ServerSession>, TransportError> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e.into()),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    let (tx, rx) = mpsc::channel(1);
    let closed = tx.clone();
    let server = WorkerServer { sessions: tx, epoch: Arc::new(Mutex::new(0)) };
    hw_base::task::spawn("worker-grpc", async move {
        let service = ClusterServer::new(server)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let served = tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming_shutdown(
                UnixListenerStream::new(listener),
                async move { closed.closed().await },
            )
            .await;
        if let Err(e) = served {
            tracing::error!(error = %e, "worker gRPC server ended");
        }
    });
    Ok(rx)
}

#[tonic::async_trait]
impl Cluster for WorkerServer {
    type SessionStream = Pin<Box<dyn Stream<Item = Result<Envelope, Status>> + Send>>;

    async fn session(
        &self,
        request: Request<Streaming<Envelope>>,
    ) -> Result<GrpcResponse<Self::SessionStream>, Status> {
        let mut incoming = request.into_inner();
        let first = incoming.next().await.ok_or_else(|| Status::cancelled("no hello"))??;
        let epoch = codec::check_hello(first).map_err(|e| Status::failed_precondition(e.to_string()))?;
        {
            let mut newest = self.epoch.lock();
            if epoch < *newest {
                return Err(Status::failed_precondition(format!("epoch {epoch} is older than {newest}")));
            }
            *newest = epoch;
        }
        let (command_tx, commands) = mpsc::channel(CHANNEL_CAPACITY);
        let (responses, response_rx) = mpsc::channel::<Response>(CHANNEL_CAPACITY);
        hw_base::task::spawn("worker-session", async move {
            while let Some(Ok(envelope)) = incoming.next().await {
                match codec::decode::<Command>(envelope) {
                    Ok(command) => {
                        if command_tx.send(command).await.is_err() {
                            break;
                        }
                    }
                    Err(e) => {
                        tracing::error!(error = %e, "undecodable command ends the session");
                        break;
                    }
                }
            }
        });
        let session = ServerSession { epoch, commands, responses };
        self.sessions.send(session).await.map_err(|_| Status::unavailable("worker is shutting down"))?;
        let hello = futures::stream::once(async move { Ok(codec::hello(epoch)) });
        let responses = ReceiverStream::new(response_rx)
            .map(|r| codec::encode(&r).map_err(|e| Status::internal(e.to_string())));
        Ok(GrpcResponse::new(Box::pin(hello.chain(responses))))
    }
}
