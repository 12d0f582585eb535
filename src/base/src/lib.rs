//! Foundations without domain types: named tasks, the clock, the metrics registry, error-chain printing and
//! test set-up. Everything here may be used by every crate.

pub mod clock;
pub mod error;
pub mod logging;
pub mod metrics;
pub mod task;
