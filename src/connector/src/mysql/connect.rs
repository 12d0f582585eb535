//! Connections to MySQL, and what its errors mean.

use std::sync::Once;
use std::time::Duration;

use hw_plan::source::{MySqlConnection, MySqlTls, MySqlTlsMode};
use mysql_async::prelude::Queryable;
use mysql_async::{ClientIdentity, Conn, DriverError, Error, IoError, Opts, OptsBuilder, SslOpts};

use super::gtid::GtidSet;
use crate::error::UpstreamError;

/// How long a connection may take.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a server may take to answer a question that needs no table.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// Settings of each session: nothing is converted on the way, identifiers are in backquotes, no global default cuts a long read.
const SESSION: &str = "SET SESSION sql_mode = '', time_zone = '+00:00', character_set_results = NULL, \
     net_write_timeout = 600, wait_timeout = 86400, autocommit = 1, max_execution_time = 0, sql_select_limit = DEFAULT, \
     sql_big_selects = 1";

fn tls_options(tls: &MySqlTls) -> Option<SslOpts> {
    let pem = |text: &str| text.as_bytes().to_vec();
    let mut options = SslOpts::default();
    match tls.mode {
        MySqlTlsMode::Disabled => return None,
        MySqlTlsMode::Required => {
            options = options.with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true);
        }
        // The driver (mysql_async 0.37) lets a wrong name pass if the error's text contains `NotValidForName`, which is how rustls
        // once called that error. Now the text says which name was expected, so that is the one to expect. rustls looks at the
        // name only after the chain has been found good.
        MySqlTlsMode::VerifyCa => {
            options = options
                .with_danger_skip_domain_validation(true)
                .with_danger_tls_hostname_override(Some("NotValidForName"));
        }
        MySqlTlsMode::VerifyIdentity => {}
    }
    if let Some(ca) = &tls.ca
        && tls.mode != MySqlTlsMode::Required
    {
        options = options.with_root_certs(vec![pem(ca).into()]).with_disable_built_in_roots(true);
    }
    if let (Some(certificate), Some(key)) = (&tls.certificate, &tls.key) {
        options =
            options.with_client_identity(Some(ClientIdentity::new(pem(certificate).into(), pem(key).into())));
    }
    Some(options)
}

fn options(connection: &MySqlConnection) -> Opts {
    OptsBuilder::default()
        .ip_or_hostname(connection.host.clone())
        .tcp_port(connection.port)
        .user(Some(connection.user.clone()))
        .pass(connection.password.clone())
        .prefer_socket(false)
        .ssl_opts(tls_options(&connection.tls))
        .tcp_keepalive(Some(Duration::from_secs(15)))
        .tcp_nodelay(true)
        .stmt_cache_size(0usize)
        // Known here, so that the driver need not ask.
        .max_allowed_packet(Some(1 << 30))
        .wait_timeout(Some(86_400))
        .connect_attribute("program_name", "headwater")
        .into()
}

/// Connects within [`CONNECT_TIMEOUT`].
pub(crate) async fn connect(connection: &MySqlConnection) -> Result<Conn, UpstreamError> {
    static PROVIDER: Once = Once::new();
    // Another crate of the process may have installed one; any will do.
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    let place = format!("{}:{}", connection.host, connection.port);
    let attempt = async {
        let mut conn = Conn::new(options(connection)).await?;
        conn.query_drop(SESSION).await?;
        Ok::<_, Error>(conn)
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, attempt).await {
        Ok(Ok(conn)) => Ok(conn),
        Ok(Err(error)) => {
            let mut e = classify(&error);
            if e.sqlstate == "08006" {
                e.sqlstate = "08001";
                e.detail = Some(e.message);
                e.message = format!("could not connect to MySQL server at {place}");
                e.hint.get_or_insert_with(|| {
                    "Check HOST and PORT, and that the server can be reached from here.".into()
                });
            }
            Err(e)
        }
        Err(_) => Err(UpstreamError::new("08001", format!("could not connect to MySQL server at {place}"))
            .with_detail(format!("no answer within {} seconds", CONNECT_TIMEOUT.as_secs()))
            .with_hint("Check HOST and PORT, and that no firewall drops the connection.")),
    }
}

/// What an error of the driver or the server means.
pub(crate) fn classify(error: &Error) -> UpstreamError {
    match error {
        Error::Server(e) => {
            let message = format!("MySQL: {}", e.message);
            match e.code {
                1045 | 1130 | 1698 => UpstreamError::new("28000", message)
                    .with_hint("Check USER and PASSWORD, and from which hosts the user may connect."),
                3159 | 1286 if e.message.contains("secure") => UpstreamError::new("28000", message)
                    .with_hint("The server requires TLS: use SSL MODE REQUIRED."),
                1044 | 1142 | 1143 | 1227 | 1370 => {
                    UpstreamError::new("42501", message).with_hint(GRANT_HINT)
                }
                1049 => UpstreamError::new("3F000", message),
                1146 | 1051 => UpstreamError::new("42P01", message),
                1040 | 1203 | 1226 => UpstreamError::new("53300", message),
                _ => UpstreamError::new("HV000", format!("{message} ({}/{})", e.code, e.state)),
            }
        }
        Error::Driver(DriverError::NoClientSslFlagFromServer) => {
            UpstreamError::new("08001", "the MySQL server does not support TLS")
                .with_hint("Configure TLS on the server, or use SSL MODE DISABLED.")
        }
        Error::Io(IoError::Tls(e)) => tls_error(e.to_string()),
        // The driver gives errors of the handshake as errors of the connection.
        Error::Io(IoError::Io(e)) if e.get_ref().is_some_and(|e| e.is::<rustls::Error>()) => {
            tls_error(e.to_string())
        }
        Error::Io(IoError::Io(e)) => UpstreamError::new("08006", e.to_string()),
        other => UpstreamError::new("08006", other.to_string()),
    }
}

fn tls_error(detail: String) -> UpstreamError {
    UpstreamError::new("08001", "TLS handshake with MySQL server failed")
        .with_detail(detail)
        .with_hint("Check SSL MODE, SSL CERTIFICATE AUTHORITY, and that the server's certificate names HOST.")
}

/// The guide's grants.
pub(crate) const GRANT_HINT: &str = "GRANT SELECT, RELOAD, SHOW DATABASES, REPLICATION SLAVE, REPLICATION CLIENT, LOCK TABLES \
     ON *.* TO the user.";

/// A quoted string literal (the session's `sql_mode` is empty, so that a backslash escapes).
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// Awaits an answer that should come at once.
pub(crate) async fn answer<T>(
    future: impl Future<Output = mysql_async::Result<T>>,
) -> Result<T, UpstreamError> {
    match tokio::time::timeout(ANSWER_TIMEOUT, future).await {
        Ok(result) => result.map_err(|e| classify(&e)),
        Err(_) => Err(UpstreamError::new("08006", "the MySQL server does not answer")
            .with_detail(format!("no answer within {} seconds", ANSWER_TIMEOUT.as_secs()))),
    }
}

/// A set that a global variable holds: `gtid_executed` or `gtid_purged`.
pub(crate) async fn gtid_variable(conn: &mut Conn, name: &str) -> Result<GtidSet, UpstreamError> {
    let text: Option<String> = answer(conn.query_first(format!("SELECT @@GLOBAL.{name}"))).await?;
    let text = text.unwrap_or_default();
    text.parse().map_err(|e: super::gtid::ParseGtidSetError| UpstreamError::new("HV000", e.to_string()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn literals() {
        assert_eq!(super::literal(r"it's a \ "), r"'it''s a \\ '");
    }
}
