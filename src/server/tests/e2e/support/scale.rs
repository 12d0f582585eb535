//! How much the long checks do: bounded for `bin/test`, full size (`HW_SOAK=1`) for `bin/soak`.

use std::time::Duration;

/// The sizes of the long checks.
#[derive(Clone, Debug)]
pub(crate) struct Scale {
    /// How long the bank's transfers run.
    pub(crate) bank: Duration,
    /// Faults injected by one fault test.
    pub(crate) faults: usize,
    /// DDL statements, each of which meets a kill -9 of the server.
    pub(crate) ddl_kills: usize,
    /// Rows of the big table.
    pub(crate) big_rows: u64,
    /// Row changes applied to it from a prepared binlog.
    pub(crate) big_changes: u64,
    /// Queries of each run of sqlsmith.
    pub(crate) sqlsmith: u64,
    /// Random queries that are compared with PostgreSQL.
    pub(crate) random_queries: usize,
    /// How long that may take: no new ones are begun afterwards.
    pub(crate) random_limit: Duration,
    /// The scale of TPC-H's data.
    pub(crate) tpch: f64,
    /// Whether this is the full size.
    pub(crate) soak: bool,
}

/// The sizes for this run.
pub(crate) fn scale() -> Scale {
    if std::env::var("HW_SOAK").is_ok_and(|v| v != "0") {
        Scale {
            bank: Duration::from_secs(180),
            faults: 40,
            ddl_kills: 100,
            big_rows: 2_000_000,
            big_changes: 1_000_000,
            sqlsmith: 10_000,
            random_queries: 20_000,
            random_limit: Duration::from_secs(2400),
            tpch: 0.05,
            soak: true,
        }
    } else {
        Scale {
            bank: Duration::from_secs(20),
            faults: 8,
            ddl_kills: 25,
            big_rows: 100_000,
            big_changes: 50_000,
            sqlsmith: 300,
            random_queries: 300,
            random_limit: Duration::from_secs(60),
            tpch: 0.01,
            soak: false,
        }
    }
}

/// The seed of this run: `HW_SEED`, or a fresh one; printed so that a failure can be repeated.
pub(crate) fn seed(test: &str) -> u64 {
    let seed = std::env::var("HW_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(rand::random);
    eprintln!("{test}: HW_SEED={seed}");
    seed
}
