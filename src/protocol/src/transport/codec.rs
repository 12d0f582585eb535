//! Encoding of commands and responses.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::TransportError;
use super::proto::{Envelope, Hello, envelope::Kind};

pub(super) fn encode<T: Serialize>(message: &T) -> Result<Envelope, TransportError> {
    let bytes = postcard::to_stdvec(message).map_err(|e| TransportError::Protocol(e.to_string()))?;
    Ok(Envelope { kind: Some(Kind::Payload(Bytes::from(bytes))) })
}

pub(super) fn decode<T: DeserializeOwned>(envelope: Envelope) -> Result<T, TransportError> {
    match envelope.kind {
        Some(Kind::Payload(bytes)) => {
            postcard::from_bytes(&bytes).map_err(|e| TransportError::Protocol(e.to_string()))
        }
        other => Err(TransportError::Protocol(format!("expected a payload, found {other:?}"))),
    }
}

pub(super) fn hello(epoch: u64) -> Envelope {
    Envelope { kind: Some(Kind::Hello(Hello { version: super::VERSION.to_owned(), epoch })) }
}

/// The epoch of a hello from the same version.
pub(super) fn check_hello(envelope: Envelope) -> Result<u64, TransportError> {
    match envelope.kind {
        Some(Kind::Hello(h)) if h.version == super::VERSION => Ok(h.epoch),
        Some(Kind::Hello(h)) => Err(TransportError::Version { theirs: h.version, ours: super::VERSION }),
        other => Err(TransportError::Protocol(format!("expected a hello, found {other:?}"))),
    }
}
