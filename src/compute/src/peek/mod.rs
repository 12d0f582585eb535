//! Peeks: one-off reads of an index or a shard.
//!
//! Every worker answers every peek once. An index peek waits until the index is complete through the peek's time, then scans its
//! worker's part of the arrangement, or seeks the given keys in it, a slice at a time. A shard peek is one task, on one worker;
//! the others answer with nothing.

mod gather;
mod index;
mod shard;

use hw_expr::EvalError;

pub(crate) use gather::Gather;
pub(crate) use index::IndexPeek;
pub(crate) use shard::{ShardPeek, worker_of};

/// The error for an answer of more than `max_bytes`.
pub(crate) fn too_large(max_bytes: u64) -> EvalError {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB")];
    let size = UNITS.iter().find(|(unit, _)| max_bytes >= *unit && max_bytes.is_multiple_of(*unit));
    let size = size.map_or(format!("{max_bytes} B"), |(unit, name)| format!("{} {name}", max_bytes / unit));
    EvalError::new("53200", format!("result exceeds max size of {size}"))
}
