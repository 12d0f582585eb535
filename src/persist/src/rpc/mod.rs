//! Persist over gRPC: the server in the environment and the client in worker processes.
//!
//! The server runs the operations of the engine. What a client owns on the server belongs to its **session**: staged
//! parts and leases. A session lives by heartbeats, which carry all its leases, so that after a restart of the
//! server the next heartbeat makes them again (since stands still meanwhile, see
//! [`crate::PersistConfig::session_expiry`]).
//!
//! Reads are streams that the server fills as HTTP/2's flow control lets it. Windows are such that a stream which nobody
//! reads does not hold up the others on its connection.

mod remote;
mod server;
mod session;
mod wire;

pub(crate) use remote::RemoteBackend;
pub use server::serve;

/// The generated code.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub(crate) mod proto {
    tonic::include_proto!("headwater.persist");
}

/// Parts travel in frames of at most so many bytes.
const FRAME_BYTES: usize = 512 << 10;
/// Bytes under way in one stream.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// Bytes under way in one connection; enough for any number of streams.
const CONNECTION_WINDOW_BYTES: u32 = (1 << 31) - 1;
/// An append carries inline batches of many shards.
const MESSAGE_BYTES_MAX: usize = 256 << 20;
