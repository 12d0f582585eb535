//! What the optimizer may know of existing objects.

use hw_expr::MirScalarExpr;
use hw_plan::dataflow::ShardUuid;
use hw_repr::{GlobalId, RelationDesc, RelationType};

/// A durable collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DurableInfo {
    /// Its shard.
    pub shard: ShardUuid,
    /// Its columns and keys.
    pub desc: RelationDesc,
    /// Whether it only ever grows.
    pub monotonic: bool,
}

/// What the optimizer asks about collections that a dataflow or a peek may read.
pub trait DataflowContext {
    /// The collection, if it is durable.
    fn durable(&self, id: GlobalId) -> Option<DurableInfo>;

    /// The indexes on the collection that the cluster has, with their keys.
    fn indexes_on(&self, id: GlobalId) -> Vec<(GlobalId, Vec<MirScalarExpr>)>;

    /// The collection's type with its keys; also of views.
    fn relation_type(&self, id: GlobalId) -> Option<RelationType>;

    /// Whether plans are transformed beyond what running them needs. Without, a plan is what lowering from SQL made of the
    /// query, for comparison: the answers must be the same.
    fn applies_transforms(&self) -> bool {
        true
    }
}
