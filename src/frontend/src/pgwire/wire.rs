//! Framing: a stream of bytes as messages, with an input and an output buffer.
//!
//! Every `async` method here is safe to cancel: what has been read stays in the input buffer, what has not been
//! written in the output buffer.

use bytes::{Buf, Bytes, BytesMut};
use hw_coord::AdapterError;
use pgwire::messages::Message;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::response::End;

/// The greatest length of a message that clients send.
pub(crate) const MAX_MESSAGE_BYTES: usize = 128 << 20;
/// The greatest length of a start-up packet, as PostgreSQL has it.
pub(crate) const MAX_STARTUP_BYTES: usize = 10_000;
/// Output is sent when there is so much of it.
pub(crate) const FLUSH_BYTES: usize = 64 << 10;
/// How much is read ahead while a statement runs.
pub(crate) const READ_AHEAD_BYTES: usize = 64 << 10;
/// The least room for a read.
const READ_CHUNK_BYTES: usize = 4 << 10;

/// A message: its type and its body.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) tag: u8,
    pub(crate) body: Bytes,
}

/// A connection's bytes.
#[derive(Debug)]
pub(crate) struct Wire<S> {
    stream: S,
    inbound: BytesMut,
    /// What is still to be sent.
    pub(crate) out: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn new(stream: S) -> Self {
        Wire { stream, inbound: BytesMut::new(), out: BytesMut::new() }
    }

    /// Appends a message to the output.
    pub(crate) fn put(&mut self, message: &impl Message) -> Result<(), End> {
        let start = self.out.len();
        message.encode(&mut self.out).map_err(|e| {
            self.out.truncate(start);
            End::Fatal(AdapterError::internal(e).fatal())
        })
    }

    /// The next message.
    pub(crate) async fn frame(&mut self) -> Result<Frame, End> {
        loop {
            if let Some(frame) = take_frame(&mut self.inbound)? {
                return Ok(frame);
            }
            self.fill().await?;
        }
    }

    /// The next start-up packet, which has no type: its body.
    pub(crate) async fn startup_packet(&mut self) -> Result<Bytes, End> {
        loop {
            if let Some(packet) = take_startup(&mut self.inbound)? {
                return Ok(packet);
            }
            self.fill().await?;
        }
    }

    /// Returns when the client has gone. Reads ahead meanwhile, up to a limit, beyond which it waits for ever.
    pub(crate) async fn gone(&mut self) {
        while self.inbound.len() < READ_AHEAD_BYTES {
            if self.fill().await.is_err() {
                return;
            }
        }
        std::future::pending().await
    }

    /// Sends all output.
    pub(crate) async fn flush(&mut self) -> Result<(), End> {
        while !self.out.is_empty() {
            let n = self.stream.write_buf(&mut self.out).await.map_err(|_| End::Disconnected)?;
            if n == 0 {
                return Err(End::Disconnected);
            }
        }
        if self.out.capacity() > 2 * FLUSH_BYTES {
            self.out = BytesMut::new();
        }
        self.stream.flush().await.map_err(|_| End::Disconnected)
    }

    /// Sends what is left, then closes; input is dropped for a moment, since a close with unread input would take
    /// the output back from the client.
    pub(crate) async fn close(mut self) {
        if self.flush().await.is_err() || self.stream.shutdown().await.is_err() {
            return;
        }
        let mut dropped = 0;
        while dropped < MAX_MESSAGE_BYTES {
            self.inbound.clear();
            self.inbound.reserve(READ_CHUNK_BYTES);
            match self.stream.read_buf(&mut self.inbound).await {
                Ok(n) if n > 0 => dropped += n,
                _ => return,
            }
        }
    }

    async fn fill(&mut self) -> Result<(), End> {
        if self.inbound.is_empty() && self.inbound.capacity() > READ_AHEAD_BYTES {
            self.inbound = BytesMut::new();
        }
        self.inbound.reserve(READ_CHUNK_BYTES);
        match self.stream.read_buf(&mut self.inbound).await {
            Ok(n) if n > 0 => Ok(()),
            _ => Err(End::Disconnected),
        }
    }
}

/// Takes a whole message off the buffer, if there is one.
fn take_frame(buf: &mut BytesMut) -> Result<Option<Frame>, End> {
    let Some([tag, length @ ..]) = buf.first_chunk::<5>() else { return Ok(None) };
    let (tag, length) = (*tag, u32::from_be_bytes(*length) as usize);
    if length < 4 {
        return Err(End::protocol("invalid message length"));
    }
    if length > MAX_MESSAGE_BYTES {
        return Err(End::Fatal(
            AdapterError::new(
                "54000",
                format!("a message of {length} bytes exceeds the limit of {MAX_MESSAGE_BYTES} bytes"),
            )
            .fatal(),
        ));
    }
    if buf.len() < length + 1 {
        return Ok(None);
    }
    buf.advance(5);
    Ok(Some(Frame { tag, body: buf.split_to(length - 4).freeze() }))
}

/// Takes a whole start-up packet off the buffer, if there is one.
fn take_startup(buf: &mut BytesMut) -> Result<Option<Bytes>, End> {
    let Some(length) = buf.first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*length) as usize;
    if !(8..=MAX_STARTUP_BYTES).contains(&length) {
        return Err(End::protocol("invalid length of startup packet"));
    }
    if buf.len() < length {
        return Ok(None);
    }
    buf.advance(4);
    Ok(Some(buf.split_to(length - 4).freeze()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_whole_or_not_at_all() {
        let bytes = b"Q\0\0\0\x09abc\0\0S\0\0\0\x04";
        for cut in 0..bytes.len() {
            let mut buf = BytesMut::from(&bytes[..cut]);
            let frame = take_frame(&mut buf).unwrap();
            assert_eq!(frame.is_some(), cut >= 10, "{cut}");
        }
        let mut buf = BytesMut::from(&bytes[..]);
        let first = take_frame(&mut buf).unwrap().unwrap();
        assert_eq!((first.tag, &first.body[..]), (b'Q', &b"abc\0\0"[..]));
        let second = take_frame(&mut buf).unwrap().unwrap();
        assert_eq!((second.tag, second.body.len()), (b'S', 0));
        assert!(take_frame(&mut buf).unwrap().is_none());
    }

    #[test]
    fn hostile_lengths_are_errors() {
        for bytes in [&b"Q\0\0\0\x03"[..], b"Q\xff\xff\xff\xff", b"Q\x40\0\0\0"] {
            assert!(matches!(take_frame(&mut BytesMut::from(bytes)), Err(End::Fatal(_))), "{bytes:?}");
        }
        // An HTTP request.
        assert!(matches!(take_startup(&mut BytesMut::from(&b"GET / HTTP/1.1\r\n"[..])), Err(End::Fatal(_))));
        assert!(matches!(take_startup(&mut BytesMut::from(&b"\0\0\0\x07\0\0\0"[..])), Err(End::Fatal(_))));
        assert!(take_startup(&mut BytesMut::from(&b"\0\0\0\x08\x04\xd2"[..])).unwrap().is_none());
    }

    #[tokio::test]
    async fn output_survives_a_cancelled_flush() {
        let (server, mut client) = tokio::io::duplex(16);
        let mut wire = Wire::new(server);
        wire.out.extend_from_slice(&[7; 100]);
        let stuck = tokio::time::timeout(std::time::Duration::from_millis(5), wire.flush()).await;
        assert!(stuck.is_err());
        let reader = tokio::spawn(async move {
            let mut all = Vec::new();
            client.read_to_end(&mut all).await.unwrap();
            all
        });
        wire.flush().await.unwrap();
        drop(wire);
        assert_eq!(reader.await.unwrap(), vec![7; 100]);
    }
}
