//! From an accepted socket to a session: encryption requests, cancel requests, the start-up message, the coordinator's
//! answer. Local clients are trusted.

use std::time::Duration;

use hw_coord::{AdapterError, SessionClient};
use pgwire::messages::startup::{Authentication, BackendKeyData, NegotiateProtocolVersion, SecretKey};
use tokio::io::{AsyncRead, AsyncWrite};

use super::Shared;
use super::connection::Connection;
use super::response::{End, error_response};
use super::startup::{self, Packet, Startup};
use super::wire::Wire;

/// How long a client may take to log in.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take to receive a last message.
const FAREWELL_TIMEOUT: Duration = Duration::from_millis(300);

/// Serves a connection from its first byte to its last.
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(shared: &Shared, stream: S, local: bool) {
    let mut wire = Wire::new(stream);
    let logged_in = tokio::select! {
        logged_in = tokio::time::timeout(HANDSHAKE_TIMEOUT, log_in(shared, &mut wire, local)) => {
            let late = || AdapterError::new("08006", "canceling authentication due to timeout").fatal();
            logged_in.unwrap_or_else(|_| Err(End::Fatal(late())))
        }
        () = shared.shutdown.cancelled() => Err(End::Shutdown),
    };
    let (wire, end) = match logged_in {
        Ok(client) => Connection::new(wire, client, shared).run().await,
        Err(end) => (wire, end),
    };
    farewell(shared, wire, end).await;
}

/// Tells the client why the connection ends, if there is something to tell.
async fn farewell<S: AsyncRead + AsyncWrite + Unpin>(shared: &Shared, mut wire: Wire<S>, end: End) {
    let error = match end {
        End::Disconnected | End::Terminated => return,
        End::Shutdown => AdapterError::shutting_down(),
        End::Fatal(e) => e.fatal(),
    };
    shared.metrics.errors.inc();
    if wire.put(&error_response(&error, None)).is_ok() {
        // Who does not take it in time does without.
        let _late = tokio::time::timeout(FAREWELL_TIMEOUT, wire.close()).await;
    }
}

async fn log_in<S: AsyncRead + AsyncWrite + Unpin>(
    shared: &Shared,
    wire: &mut Wire<S>,
    local: bool,
) -> Result<SessionClient, End> {
    let startup = loop {
        match startup::parse(wire.startup_packet().await?).map_err(End::Fatal)? {
            Packet::Encryption => {
                wire.out.extend_from_slice(b"N");
                wire.flush().await?;
            }
            Packet::Cancel { conn_id, secret } => {
                shared.client.cancel(conn_id, secret).await;
                return Err(End::Terminated);
            }
            Packet::Startup(startup) => break startup,
        }
    };
    if shared.internal && !local {
        let e = AdapterError::new("28000", "the internal SQL port serves only clients on the same machine");
        return Err(End::Fatal(e));
    }
    open_session(shared, wire, startup).await
}

async fn open_session<S: AsyncRead + AsyncWrite + Unpin>(
    shared: &Shared,
    wire: &mut Wire<S>,
    startup: Startup,
) -> Result<SessionClient, End> {
    if let Some(version) = startup.negotiated() {
        wire.put(&NegotiateProtocolVersion::new(version, startup.protocol_options.clone()))?;
    }
    let request = startup.into_request(shared.internal).map_err(End::Fatal)?;
    let client = shared.client.startup(request).await.map_err(End::Fatal)?;
    wire.put(&Authentication::Ok)?;
    let session = client.session();
    let key = BackendKeyData::new(session.conn_id.cast_signed(), SecretKey::I32(session.secret));
    wire.put(&key)?;
    Ok(client)
}
