//! A dataflow: what it reads, builds and exports.

use std::collections::BTreeMap;

use hw_repr::{ColumnOrder, GlobalId, RelationDesc, RelationType, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::lir::{Key, Lir};
use crate::temporal::MfpPlan;

/// A shard's id as plans carry it: persist's `ShardId` without persist.
pub type ShardUuid = Uuid;

/// A dataflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataflowDescription {
    /// For logs and EXPLAIN.
    pub name: String,
    /// Durable collections that are read.
    pub source_imports: BTreeMap<GlobalId, SourceImport>,
    /// Indexes of the same cluster that are read, by the index's id.
    pub index_imports: BTreeMap<GlobalId, IndexImport>,
    /// What is built, in an order in which each uses only what comes before it.
    pub objects: Vec<(GlobalId, Lir)>,
    /// What is kept or sent out, by the export's id.
    pub exports: BTreeMap<GlobalId, DataflowExport>,
    /// The time from which the dataflow is correct: inputs are advanced to it.
    pub as_of: Timestamp,
    /// The time before which the dataflow is needed; `None` is for ever.
    pub until: Option<Timestamp>,
}

/// A durable collection that is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceImport {
    /// Its shard.
    pub shard: ShardUuid,
    /// Its columns.
    pub desc: RelationDesc,
    /// Applied to its rows as they are read, over all of its columns. The collection in the dataflow still has all columns
    /// unless this projects.
    pub mfp: MfpPlan,
    /// Whether it only ever grows.
    pub monotonic: bool,
}

/// An index that is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexImport {
    /// The indexed collection.
    pub on_id: GlobalId,
    /// The index's key.
    pub key: Key,
    /// The indexed collection's type.
    pub typ: RelationType,
    /// Whether it only ever grows.
    pub monotonic: bool,
}

/// What is kept or sent out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataflowExport {
    /// The collection, built or imported by this dataflow.
    pub on_id: GlobalId,
    /// Its columns.
    pub desc: RelationDesc,
    /// How.
    pub kind: ExportKind,
}

/// How a collection leaves a dataflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExportKind {
    /// As an arrangement that peeks and later dataflows read.
    Index {
        /// Its key.
        key: Key,
    },
    /// Into a shard. Replicas write the same and lose races harmlessly.
    MaterializedView {
        /// The shard.
        shard: ShardUuid,
    },
    /// As a stream of changes to the coordinator.
    Subscribe {
        /// Whether the contents at `as_of` come first.
        with_snapshot: bool,
        /// The time before which it ends; `None` is never.
        up_to: Option<Timestamp>,
        /// The order of updates within a time.
        order_by: Vec<ColumnOrder>,
    },
}

impl DataflowDescription {
    /// A dataflow that reads and builds nothing.
    pub fn new(name: impl Into<String>) -> Self {
        DataflowDescription {
            name: name.into(),
            source_imports: BTreeMap::new(),
            index_imports: BTreeMap::new(),
            objects: Vec::new(),
            exports: BTreeMap::new(),
            as_of: 0,
            until: None,
        }
    }

    /// The ids of everything that it reads: durable collections and indexes.
    pub fn import_ids(&self) -> impl Iterator<Item = GlobalId> + '_ {
        self.source_imports.keys().chain(self.index_imports.keys()).copied()
    }

    /// The ids of everything that it exports.
    pub fn export_ids(&self) -> impl Iterator<Item = GlobalId> + '_ {
        self.exports.keys().copied()
    }
}
