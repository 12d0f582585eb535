//! The controller's end.

use std::path::Path;

use futures::StreamExt;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Endpoint, Uri};
use tower::service_fn;

use super::proto::cluster_client::ClusterClient;
use super::{CHANNEL_CAPACITY, MAX_MESSAGE_BYTES, TransportError, codec};
use crate::command::{Command, Response};

/// An open session with a worker process.
#[derive(Debug)]
pub struct Connection {
    commands: mpsc::Sender<super::proto::Envelope>,
    responses: tonic::Streaming<super::proto::Envelope>,
}

/// Opens a session over a Unix socket and shakes hands.
///
/// # Errors
/// When nothing listens there, or it is another version, or it serves a greater epoch.
pub async fn connect_unix(path: &Path, epoch: u64) -> Result<Connection, TransportError> {
    let path = path.to_owned();
    // The URI is only a form that the client insists on; the connector below decides where to connect.
    let endpoint = Endpoint::from_static("http://worker.invalid");
    let channel = endpoint
        .connect_with_connector(service_fn(move |_: Uri| {
            let path = path.clone();
            async move { Ok::<_, std::io::Error>(TokioIo::new(UnixStream::connect(path).await?)) }
        }))
        .await?;
    let mut client = ClusterClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let (commands, rx) = mpsc::channel(CHANNEL_CAPACITY);
    commands.send(codec::hello(epoch)).await.map_err(|_| TransportError::Protocol("closed".into()))?;
    let mut responses = client.session(ReceiverStream::new(rx)).await.map_err(Box::new)?.into_inner();
    let first = responses.next().await.ok_or_else(|| TransportError::Protocol("closed".into()))?;
    codec::check_hello(first.map_err(Box::new)?)?;
    Ok(Connection { commands, responses })
}

impl Connection {
    /// Sends a command; waits while too many are under way.
    pub async fn send(&self, command: &Command) -> Result<(), TransportError> {
        let envelope = codec::encode(command)?;
        self.commands.send(envelope).await.map_err(|_| TransportError::Protocol("session closed".into()))
    }

    /// The next response; `None` when the worker closed the session. Safe to cancel.
    pub async fn recv(&mut self) -> Result<Option<Response>, TransportError> {
        match self.responses.next().await {
            None => Ok(None),
            Some(Err(status)) => Err(Box::new(status).into()),
            Some(Ok(envelope)) => Ok(Some(codec::decode(envelope)?)),
        }
    }
}
