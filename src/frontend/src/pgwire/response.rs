//! What goes wrong on a connection, and how errors, notices and row descriptions look on the wire.

use hw_coord::{AdapterError, Notice};
use hw_repr::RelationDesc;
use pgwire::messages::data::{FieldDescription, RowDescription};
use pgwire::messages::response::{ErrorResponse, NoticeResponse};

use super::rows::Format;

/// Why a connection ends.
#[derive(Debug)]
pub(crate) enum End {
    /// The client has gone.
    Disconnected,
    /// The client said goodbye.
    Terminated,
    /// The server is going down.
    Shutdown,
    /// An error that ends the connection.
    Fatal(AdapterError),
}

impl End {
    /// The client broke the protocol (08P01).
    pub(crate) fn protocol(message: impl Into<String>) -> Self {
        End::Fatal(AdapterError::new("08P01", message).fatal())
    }
}

/// Why a message's handling stopped.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The statement failed; the connection goes on. With the error's context, if any.
    Statement(AdapterError, Option<String>),
    /// The connection is over.
    End(End),
}

impl From<End> for Failure {
    fn from(end: End) -> Self {
        Failure::End(end)
    }
}

impl From<AdapterError> for Failure {
    fn from(e: AdapterError) -> Self {
        if e.fatal { Failure::End(End::Fatal(e)) } else { Failure::Statement(e, None) }
    }
}

/// The ErrorResponse for an error.
pub(crate) fn error_response(e: &AdapterError, context: Option<&str>) -> ErrorResponse {
    let severity = if e.fatal { "FATAL" } else { "ERROR" };
    let mut fields = fields(severity, &e.sqlstate, &e.message, e.detail.as_deref(), e.hint.as_deref());
    if let Some(position) = e.position {
        fields.push((b'P', position.to_string()));
    }
    if let Some(context) = context {
        fields.push((b'W', text(context)));
    }
    ErrorResponse::new(fields)
}

/// The NoticeResponse for a notice.
pub(crate) fn notice_response(n: &Notice) -> NoticeResponse {
    NoticeResponse::new(fields(n.severity, n.sqlstate, &n.message, n.detail.as_deref(), n.hint.as_deref()))
}

fn fields(
    severity: &str,
    sqlstate: &str,
    message: &str,
    detail: Option<&str>,
    hint: Option<&str>,
) -> Vec<(u8, String)> {
    let mut fields = vec![
        (b'S', severity.to_owned()),
        (b'V', severity.to_owned()),
        (b'C', text(sqlstate)),
        (b'M', text(message)),
    ];
    fields.extend(detail.map(|d| (b'D', text(d))));
    fields.extend(hint.map(|h| (b'H', text(h))));
    fields
}

/// A zero byte would end the field.
fn text(s: &str) -> String {
    s.replace('\0', "\u{fffd}")
}

/// Whether a notice of that severity is sent under that `client_min_messages`.
pub(crate) fn is_wanted(severity: &str, client_min_messages: &str) -> bool {
    const LEVELS: [&str; 9] =
        ["debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error"];
    let rank = |s: &str| LEVELS.iter().position(|l| l.eq_ignore_ascii_case(s));
    let severity = if severity.eq_ignore_ascii_case("debug") { "debug1" } else { severity };
    match (rank(severity), rank(client_min_messages)) {
        (Some(s), Some(least)) => s >= least,
        // INFO is always sent.
        _ => true,
    }
}

/// The RowDescription of a relation.
pub(crate) fn row_description(desc: &RelationDesc, formats: &[Format]) -> RowDescription {
    let fields = desc.iter().enumerate().map(|(i, (name, typ))| {
        let typ = &typ.scalar_type;
        let format = formats.get(i).copied().unwrap_or(Format::Text).code();
        FieldDescription::new(text(name), 0, 0, typ.oid(), typ.typlen(), typ.typmod(), format)
    });
    RowDescription::new(fields.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities() {
        assert!(is_wanted("NOTICE", "notice"));
        assert!(!is_wanted("NOTICE", "warning"));
        assert!(is_wanted("WARNING", "notice"));
        assert!(!is_wanted("DEBUG", "log"));
        assert!(is_wanted("DEBUG", "debug1"));
        assert!(is_wanted("INFO", "error"));
    }

    #[test]
    fn error_fields() {
        let mut e = AdapterError::new("42601", "bad\0thing").with_hint("try again");
        e.position = Some(7);
        let fields = error_response(&e, Some("COPY t, line 1")).fields;
        let shown: Vec<(char, &str)> = fields.iter().map(|(k, v)| (char::from(*k), v.as_str())).collect();
        assert_eq!(
            shown,
            [
                ('S', "ERROR"),
                ('V', "ERROR"),
                ('C', "42601"),
                ('M', "bad\u{fffd}thing"),
                ('H', "try again"),
                ('P', "7"),
                ('W', "COPY t, line 1")
            ]
        );
        assert_eq!(error_response(&e.fatal(), None).fields[0].1, "FATAL");
    }
}
