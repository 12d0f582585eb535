//! Sources against real MySQL servers (`bin/mysql`, `bin/mysql57`), with persist in memory.
#![allow(clippy::unwrap_used, unreachable_pub, missing_docs)]

mod changes;
mod faults;
mod support;
mod types;
mod validation;
