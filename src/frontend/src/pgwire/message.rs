//! What clients send. The `pgwire` crate's own decoders panic on bodies that are too short and replace what is no
//! UTF-8; these do neither.

use bytes::{Buf, Bytes};
use hw_coord::AdapterError;

use super::wire::Frame;

/// A message of a client after the start.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FrontendMessage {
    /// Execute a string of statements.
    Query(String),
    /// Prepare a statement.
    Parse { name: String, sql: String, param_oids: Vec<u32> },
    /// Make a portal.
    Bind(Bind),
    /// Tell what a statement or portal gives.
    Describe(Target),
    /// Run a portal; at most so many rows, all if not positive.
    Execute { portal: String, max_rows: i32 },
    /// Drop a statement or portal.
    Close(Target),
    /// Send what there is.
    Flush,
    /// End the batch.
    Sync,
    /// Part of COPY FROM STDIN.
    CopyData(Bytes),
    /// Its end.
    CopyDone,
    /// Its failure.
    CopyFail(String),
    /// Goodbye.
    Terminate,
}

/// A statement or portal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Statement(String),
    Portal(String),
}

/// Bind: parameters as sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bind {
    pub(crate) portal: String,
    pub(crate) statement: String,
    pub(crate) param_formats: Vec<i16>,
    pub(crate) params: Vec<Option<Bytes>>,
    pub(crate) result_formats: Vec<i16>,
}

/// Whether a message is part of the extended protocol, so that an error in it skips what follows until Sync.
pub(crate) fn is_extended(tag: u8) -> bool {
    matches!(tag, b'P' | b'B' | b'D' | b'E' | b'C' | b'H')
}

/// Decodes a message.
///
/// # Errors
/// 08P01; fatal for a type that does not exist. 22021 for text that is no UTF-8.
pub(crate) fn decode(frame: Frame) -> Result<FrontendMessage, AdapterError> {
    let mut body = Body(frame.body);
    let message = match frame.tag {
        b'Q' => FrontendMessage::Query(body.string()?),
        b'P' => FrontendMessage::Parse {
            name: body.string()?,
            sql: body.string()?,
            param_oids: body.counted(|b| b.u32())?,
        },
        b'B' => FrontendMessage::Bind(Bind {
            portal: body.string()?,
            statement: body.string()?,
            param_formats: body.counted(|b| b.i16())?,
            params: body.counted(Body::value)?,
            result_formats: body.counted(|b| b.i16())?,
        }),
        b'D' => FrontendMessage::Describe(body.target("DESCRIBE")?),
        b'C' => FrontendMessage::Close(body.target("CLOSE")?),
        b'E' => FrontendMessage::Execute { portal: body.string()?, max_rows: body.u32()?.cast_signed() },
        b'H' => FrontendMessage::Flush,
        b'S' => FrontendMessage::Sync,
        b'd' => FrontendMessage::CopyData(std::mem::take(&mut body.0)),
        b'c' => FrontendMessage::CopyDone,
        b'f' => FrontendMessage::CopyFail(body.string()?),
        b'X' => FrontendMessage::Terminate,
        other => {
            let message = format!("invalid frontend message type {other}");
            return Err(AdapterError::new("08P01", message).fatal());
        }
    };
    if body.0.has_remaining() {
        return Err(malformed());
    }
    Ok(message)
}

fn malformed() -> AdapterError {
    AdapterError::new("08P01", "invalid message format")
}

/// A body that is read from its beginning.
struct Body(Bytes);

impl Body {
    fn string(&mut self) -> Result<String, AdapterError> {
        let end = self.0.iter().position(|b| *b == 0);
        let end = end.ok_or_else(|| AdapterError::new("08P01", "invalid string in message"))?;
        let bytes = self.0.split_to(end);
        self.0.advance(1);
        Ok(utf8(&bytes)?.to_owned())
    }

    fn i16(&mut self) -> Result<i16, AdapterError> {
        self.0.try_get_i16().map_err(|_| insufficient())
    }

    fn u32(&mut self) -> Result<u32, AdapterError> {
        self.0.try_get_u32().map_err(|_| insufficient())
    }

    /// A value with its length in front; -1 is NULL.
    fn value(&mut self) -> Result<Option<Bytes>, AdapterError> {
        let length = self.u32()?.cast_signed();
        if length == -1 {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| malformed())?;
        if length > self.0.len() {
            return Err(insufficient());
        }
        Ok(Some(self.0.split_to(length)))
    }

    /// A list with its 16-bit length in front.
    fn counted<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, AdapterError>,
    ) -> Result<Vec<T>, AdapterError> {
        let count = self.0.try_get_u16().map_err(|_| insufficient())?;
        (0..count).map(|_| item(self)).collect()
    }

    fn target(&mut self, message: &str) -> Result<Target, AdapterError> {
        match self.0.try_get_u8().map_err(|_| insufficient())? {
            b'S' => Ok(Target::Statement(self.string()?)),
            b'P' => Ok(Target::Portal(self.string()?)),
            other => Err(AdapterError::new("08P01", format!("invalid {message} message subtype {other}"))),
        }
    }
}

fn insufficient() -> AdapterError {
    AdapterError::new("08P01", "insufficient data left in message")
}

/// The bytes as text.
///
/// # Errors
/// 22021 with the first sequence that is no UTF-8, as PostgreSQL has it.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, AdapterError> {
    std::str::from_utf8(bytes).map_err(|e| invalid_utf8(&bytes[e.valid_up_to()..]))
}

fn invalid_utf8(rest: &[u8]) -> AdapterError {
    let length = match rest.first() {
        Some(0xc0..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf7) => 4,
        _ => 1,
    };
    let shown: Vec<String> = rest.iter().take(length).map(|b| format!("0x{b:02x}")).collect();
    AdapterError::new("22021", format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" ")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(tag: u8, body: &[u8]) -> Result<FrontendMessage, AdapterError> {
        decode(Frame { tag, body: Bytes::copy_from_slice(body) })
    }

    #[test]
    fn messages() {
        assert_eq!(of(b'Q', b"select 1\0").unwrap(), FrontendMessage::Query("select 1".into()));
        assert_eq!(
            of(b'P', b"s\0q\0\0\x01\0\0\0\x17").unwrap(),
            FrontendMessage::Parse { name: "s".into(), sql: "q".into(), param_oids: vec![23] }
        );
        assert_eq!(
            of(b'B', b"p\0s\0\0\x01\0\x01\0\x02\0\0\0\x01x\xff\xff\xff\xff\0\x01\0\0").unwrap(),
            FrontendMessage::Bind(Bind {
                portal: "p".into(),
                statement: "s".into(),
                param_formats: vec![1],
                params: vec![Some(Bytes::from_static(b"x")), None],
                result_formats: vec![0],
            })
        );
        assert_eq!(of(b'D', b"Sx\0").unwrap(), FrontendMessage::Describe(Target::Statement("x".into())));
        assert_eq!(
            of(b'E', b"\0\0\0\0\x05").unwrap(),
            FrontendMessage::Execute { portal: String::new(), max_rows: 5 }
        );
        assert_eq!(of(b'f', b"no\0").unwrap(), FrontendMessage::CopyFail("no".into()));
    }

    #[test]
    fn errors() {
        assert_eq!(of(b'Q', b"select").unwrap_err().sqlstate, "08P01");
        assert_eq!(of(b'S', b"x").unwrap_err().message, "invalid message format");
        assert!(of(b'z', b"").unwrap_err().fatal);
        let e = of(b'Q', b"a\xe2\x28\xa1\0").unwrap_err();
        assert_eq!(e.sqlstate, "22021");
        assert_eq!(e.message, "invalid byte sequence for encoding \"UTF8\": 0xe2 0x28 0xa1");
        assert_eq!(of(b'B', b"\0\0\0\0\0\x01\x7f\xff\xff\xffx").unwrap_err().sqlstate, "08P01");
    }

    proptest! {
        #[test]
        fn garbage_never_panics(tag in any::<u8>(), body in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = of(tag, &body);
        }
    }
}
