//! Start-up packets, without I/O.

use std::collections::BTreeMap;

use bytes::{Buf, Bytes};
use hw_coord::{AdapterError, StartupRequest};

use super::message::utf8;

const CANCEL_CODE: u32 = 80_877_102;
const SSL_CODE: u32 = 80_877_103;
const GSS_CODE: u32 = 80_877_104;
/// The newest minor version of protocol 3 that is spoken.
const NEWEST_MINOR: u16 = 2;

/// What a client opens a connection with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    /// It asks for TLS or GSSAPI encryption.
    Encryption,
    /// It wants another connection's statement cancelled.
    Cancel { conn_id: u32, secret: i32 },
    /// It wants to log in.
    Startup(Startup),
}

/// A start-up message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Startup {
    /// The minor version that is asked for.
    pub(crate) minor: u16,
    /// User, database, options and settings.
    pub(crate) params: BTreeMap<String, String>,
    /// Protocol options that are asked for; none is known.
    pub(crate) protocol_options: Vec<String>,
}

impl Startup {
    /// The protocol version to be told with NegotiateProtocolVersion, if the client asks for something unknown.
    pub(crate) fn negotiated(&self) -> Option<i32> {
        // There is no 3.1.
        let minor = if self.minor == 1 { 0 } else { self.minor.min(NEWEST_MINOR) };
        let differs = minor != self.minor || !self.protocol_options.is_empty();
        differs.then_some(3 << 16 | i32::from(minor))
    }

    /// What the coordinator is to be asked.
    pub(crate) fn into_request(mut self, internal: bool) -> Result<StartupRequest, AdapterError> {
        let user = self.params.remove("user").filter(|u| !u.is_empty());
        let user =
            user.ok_or_else(|| fatal("28000", "no PostgreSQL user name specified in startup packet"))?;
        if let Some(replication) = self.params.remove("replication")
            && !matches!(replication.as_str(), "false" | "off" | "no" | "0")
        {
            return Err(fatal("0A000", "replication connections are not supported"));
        }
        let database = self.params.remove("database").filter(|d| !d.is_empty());
        let mut settings = match self.params.remove("options") {
            Some(options) => parse_options(&options)?,
            None => BTreeMap::new(),
        };
        settings.extend(self.params);
        Ok(StartupRequest { user, database, settings, internal })
    }
}

fn fatal(sqlstate: &str, message: impl Into<String>) -> AdapterError {
    AdapterError::new(sqlstate, message).fatal()
}

/// Reads a start-up packet's body.
pub(crate) fn parse(mut body: Bytes) -> Result<Packet, AdapterError> {
    let short = || fatal("08P01", "invalid startup packet layout");
    match body.try_get_u32().map_err(|_| short())? {
        SSL_CODE | GSS_CODE => Ok(Packet::Encryption),
        CANCEL_CODE => {
            let conn_id = body.try_get_u32().map_err(|_| short())?;
            // Our keys have four bytes in all versions: another length is a wrong key.
            let secret = body.try_get_i32().map_err(|_| short())?;
            if body.has_remaining() {
                return Err(fatal("08P01", "wrong key in cancel request"));
            }
            Ok(Packet::Cancel { conn_id, secret })
        }
        version if version >> 16 != 3 => Err(fatal(
            "0A000",
            format!(
                "unsupported frontend protocol {}.{}: server supports 3.0 to 3.{NEWEST_MINOR}",
                version >> 16,
                version & 0xffff
            ),
        )),
        version => parse_startup((version & 0xffff) as u16, &body).map(Packet::Startup),
    }
}

fn parse_startup(minor: u16, body: &[u8]) -> Result<Startup, AdapterError> {
    let unterminated = || fatal("08P01", "invalid startup packet layout: expected terminator as last byte");
    let body = body.strip_suffix(&[0]).ok_or_else(unterminated)?;
    let mut startup = Startup { minor, ..Startup::default() };
    if body.is_empty() {
        return Ok(startup);
    }
    // Each name and each value ends with a zero byte.
    let body = body.strip_suffix(&[0]).ok_or_else(unterminated)?;
    let mut strings = body.split(|b| *b == 0);
    while let Some(name) = strings.next() {
        let value = strings.next().ok_or_else(unterminated)?;
        let name = utf8(name).map_err(AdapterError::fatal)?;
        let value = utf8(value).map_err(AdapterError::fatal)?;
        if name.starts_with("_pq_.") {
            startup.protocol_options.push(name.to_owned());
        } else {
            startup.params.insert(name.to_owned(), value.to_owned());
        }
    }
    Ok(startup)
}

/// Reads command-line options: `-c name=value`, `-cname=value`, `--name=value`. A backslash takes the next character as it is.
fn parse_options(options: &str) -> Result<BTreeMap<String, String>, AdapterError> {
    let mut settings = BTreeMap::new();
    let mut words = split_options(options).into_iter();
    while let Some(word) = words.next() {
        let setting = match (word.strip_prefix("--"), word.strip_prefix("-c")) {
            (Some(setting), _) => Some(setting.to_owned()),
            (None, Some("")) => words.next(),
            (None, Some(setting)) => Some(setting.to_owned()),
            (None, None) => None,
        };
        let Some((name, value)) = setting.as_deref().and_then(|s| s.split_once('=')) else {
            return Err(fatal("42601", format!("invalid command-line argument for server process: {word}")));
        };
        settings.insert(name.trim().replace('-', "_"), value.to_owned());
    }
    Ok(settings)
}

fn split_options(options: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = options.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => word.get_or_insert_default().extend(chars.next()),
            c if c.is_ascii_whitespace() => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn startup(bytes: &[u8]) -> Startup {
        match parse(Bytes::copy_from_slice(bytes)).unwrap() {
            Packet::Startup(s) => s,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn logging_in() {
        let s = startup(
            b"\0\x03\0\0user\0ann\0database\0d\0options\0-c cluster=a\\ b --search-path=x\0application_name\0\0\0",
        );
        assert_eq!(s.negotiated(), None);
        let r = s.into_request(false).unwrap();
        assert_eq!((r.user.as_str(), r.database.as_deref()), ("ann", Some("d")));
        let settings: Vec<(&str, &str)> = r.settings.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(settings, [("application_name", ""), ("cluster", "a b"), ("search_path", "x")]);
    }

    #[test]
    fn versions() {
        let negotiated = |minor: u16, rest: &[u8]| {
            let bytes = [&[0, 3], &minor.to_be_bytes()[..], rest].concat();
            startup(&bytes).negotiated()
        };
        assert_eq!(negotiated(0, b"\0"), None);
        assert_eq!(negotiated(1, b"\0"), Some(0x30000));
        assert_eq!(negotiated(2, b"\0"), None);
        assert_eq!(negotiated(9999, b"\0"), Some(0x30002));
        assert_eq!(negotiated(0, b"_pq_.x\0y\0\0"), Some(0x30000));
        assert_eq!(parse(Bytes::from_static(b"\0\x02\0\0")).unwrap_err().sqlstate, "0A000");
    }

    #[test]
    fn other_packets() {
        assert_eq!(parse(Bytes::from_static(b"\x04\xd2\x16\x2f")).unwrap(), Packet::Encryption);
        assert_eq!(
            parse(Bytes::from_static(b"\x04\xd2\x16\x2e\0\0\0\x05\xff\xff\xff\xff")).unwrap(),
            Packet::Cancel { conn_id: 5, secret: -1 }
        );
        assert!(parse(Bytes::from_static(b"\x04\xd2\x16\x2e\0\0")).is_err());
    }

    #[test]
    fn errors() {
        assert!(parse(Bytes::from_static(b"\0\x03\0\0user\0ann")).is_err());
        assert!(parse(Bytes::from_static(b"\0\x03\0\0user\0\0")).is_err());
        assert_eq!(startup(b"\0\x03\0\0\0").into_request(false).unwrap_err().sqlstate, "28000");
        assert_eq!(parse_options("-x").unwrap_err().sqlstate, "42601");
        assert!(parse_options("-c").is_err());
        assert!(parse_options("  ").unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..40), options in ".{0,30}") {
            let _ = parse(Bytes::copy_from_slice(&bytes));
            let _ = parse(Bytes::from([&b"\0\x03\0\0"[..], &bytes].concat()));
            let _ = parse_options(&options);
        }
    }
}
