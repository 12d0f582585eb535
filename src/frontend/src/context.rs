//! What the text formats depend on of a session.

use hw_base::clock::NowFn;
use hw_coord::session::Session;
use hw_repr::adt::{CivilTimestamp, TimeZone};
use hw_repr::text::{DecodeContext, EncodeContext};

/// The session's time zone.
pub(crate) fn session_timezone(session: &Session) -> TimeZone {
    session.vars.get("TimeZone").and_then(|tz| TimeZone::parse_setting(tz).ok()).unwrap_or_default()
}

/// How values are shown to the session.
pub(crate) fn encode_context(session: &Session) -> EncodeContext {
    EncodeContext { timezone: session_timezone(session) }
}

/// How the session's texts are read now.
pub(crate) fn decode_context(session: &Session) -> DecodeContext {
    let now = i64::try_from(NowFn::system().now_ms()).ok().and_then(CivilTimestamp::from_unix_ms);
    DecodeContext { timezone: session_timezone(session), now }
}
