//! Encoding and transport: commands and responses as postcard bytes in gRPC messages over a Unix socket.
//!
//! Both ends bound what is under way: a full channel holds the sender back, through HTTP/2's flow control, to the other end.

mod client;
mod codec;
mod server;

pub use client::{Connection, connect_unix};
pub use server::{ServerSession, WorkerServer, serve_unix};

/// The generated gRPC code.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub(crate) mod proto {
    tonic::include_proto!("headwater.cluster");
}

/// The program's version, which both ends must share.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The greatest size of one encoded command or response.
pub const MAX_MESSAGE_BYTES: usize = 1 << 30;

/// How many commands or responses may be under way in each direction.
pub const CHANNEL_CAPACITY: usize = 1024;

/// Errors of a session. After any of them the session is over.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The socket cannot be opened.
    #[error("cannot connect to worker: {0}")]
    Connect(#[from] tonic::transport::Error),
    /// The other end closed the session or failed.
    #[error("session with worker failed: {0}")]
    Session(#[from] Box<tonic::Status>),
    /// The other end speaks another version.
    #[error("worker is version {theirs}, this is version {ours}")]
    Version {
        /// Their version.
        theirs: String,
        /// Our version.
        ours: &'static str,
    },
    /// The other end said something else than expected.
    #[error("unexpected message: {0}")]
    Protocol(String),
    /// The socket file cannot be used.
    #[error("socket: {0}")]
    Io(#[from] std::io::Error),
}
