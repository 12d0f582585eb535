//! What the end-to-end tests and the benchmark stand on: servers in temporary folders, clients, faults.
//!
//! Invariants:
//! 1. Servers listen on loopback, on free ports, with all their files in a temporary folder.
//! 2. Whatever a test starts ends with it, also when it panics (and MySQL and PostgreSQL also when it is killed).
//! 3. Waiting is for a condition with a deadline, never for a length of time.
#![allow(dead_code)] // the tests and the benchmark each use a part

pub(crate) mod big;
pub(crate) mod client;
pub(crate) mod mysql;
pub(crate) mod postgres;
pub(crate) mod processes;
pub(crate) mod proxy;
pub(crate) mod psql;
pub(crate) mod scale;
pub(crate) mod server;
pub(crate) mod sniffer;
pub(crate) mod source;

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The folder of the checkout, with `bin/` and `sql-tests/`.
pub(crate) fn checkout() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("src/server is two levels down")
}

/// Polls `probe` until it gives a value; panics with the last reason when `limit` has passed.
pub(crate) async fn eventually<T>(
    what: &str,
    limit: Duration,
    mut probe: impl AsyncFnMut() -> anyhow::Result<T>,
) -> T {
    let start = Instant::now();
    loop {
        match probe().await {
            Ok(value) => return value,
            Err(reason) if start.elapsed() > limit => panic!("{what}: not within {limit:?}: {reason:#}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
