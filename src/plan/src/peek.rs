//! One-off reads.

use hw_expr::{MapFilterProject, RowSetFinishing};
use hw_repr::{GlobalId, RelationDesc, Row, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::dataflow::ShardUuid;

/// A read of one collection at one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peek {
    /// Its id.
    pub uuid: Uuid,
    /// What is read.
    pub target: PeekTarget,
    /// Only rows under these keys (each a row of the index's key), if given.
    pub literal_keys: Option<Vec<Row>>,
    /// The time.
    pub timestamp: Timestamp,
    /// Applied to the collection's rows (without `mz_now()`: it has been replaced by the time).
    pub mfp: MapFilterProject,
    /// Applied to the result. Workers use its order and limit to send no more rows than needed; the receiver of all workers'
    /// answers applies it in full.
    pub finishing: RowSetFinishing,
    /// An answer of more bytes than this is refused.
    pub max_result_bytes: u64,
}

/// What a peek reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeekTarget {
    /// An index of the cluster.
    Index {
        /// The index.
        id: GlobalId,
        /// The indexed collection's columns; for people who read the plan, empty on the way to workers.
        desc: RelationDesc,
        /// Its key.
        key: Vec<hw_expr::MirScalarExpr>,
    },
    /// A shard, read directly.
    Shard {
        /// The collection.
        id: GlobalId,
        /// Its shard.
        shard: ShardUuid,
        /// Its columns.
        desc: RelationDesc,
    },
}

/// The answer to a peek.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeekResponse {
    /// Rows after the finishing's order and limit+offset (not yet skipped or projected), each with its multiplicity.
    Rows(Vec<(Row, u64)>),
    /// The collection holds an error at that time.
    Error(hw_expr::EvalError),
    /// The peek was cancelled.
    Canceled,
}
