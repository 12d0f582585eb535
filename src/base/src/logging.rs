//! Log set-up for the executable and for tests.

use tracing_subscriber::EnvFilter;

/// Installs the process-wide log subscriber: to standard error, filtered by `HEADWATER_LOG` (the syntax of
/// `tracing_subscriber::EnvFilter`, default `info`). Calling it again has no effect.
pub fn init() {
    let filter = EnvFilter::try_from_env("HEADWATER_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let _already_set = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .try_init();
}
