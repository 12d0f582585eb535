//! Commands and responses.

use std::collections::BTreeMap;

use hw_expr::EvalError;
use hw_plan::peek::PeekResponse;
use hw_plan::{DataflowDescription, Peek, SourceDescription};
use hw_repr::{Diff, GlobalId, Row, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What a worker process is asked to do. Every timely worker of the process acts on each command in the same order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// First: settings of this replica.
    Configuration(ReplicaConfiguration),
    /// The history has been sent.
    InitializationComplete,
    /// Builds and runs a dataflow. Its exports' ids are new.
    CreateDataflow(Box<DataflowDescription>),
    /// The collection or index needs to be readable only from this time on. The maximal time drops it: a dataflow all of whose
    /// exports are dropped is shut down, a subscribe or a materialized view ends.
    AllowCompaction(GlobalId, Timestamp),
    /// Reads.
    Peek(Box<Peek>),
    /// The answer is no longer wanted. The worker answers `Canceled` unless it has answered already.
    CancelPeek(Uuid),
    /// Runs a source. If the source runs already with other exports or epoch, it is changed.
    RunSource(Box<SourceDescription>),
    /// Stops a source.
    StopSource(GlobalId),
}

/// Settings of a replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct ReplicaConfiguration {
    /// Settings by name, as `ALTER SYSTEM SET` has them.
    pub parameters: BTreeMap<String, String>,
}

/// What a worker process tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    /// The write frontier of a dataflow's export on this replica (the least over its workers): all times before it are complete.
    /// `None` means that it is complete for ever.
    Frontier(GlobalId, Option<Timestamp>),
    /// The answer to a peek, merged over the process's workers.
    Peek(Uuid, PeekResponse),
    /// Changes of a subscribe.
    Subscribe(GlobalId, SubscribeBatch),
    /// A source or one of its exports has a new status.
    SourceStatus(SourceStatusUpdate),
    /// Statistics of a source's export, cumulative since the process runs the source.
    SourceStatistics(SourceStatistics),
}

/// Changes of a subscribe over an interval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscribeBatch {
    /// Where the interval begins.
    pub lower: Timestamp,
    /// Where it ends: all changes before it have been sent. `None` when the subscribe is complete.
    pub upper: Option<Timestamp>,
    /// The changes, sorted by time, consolidated.
    pub updates: Result<Vec<(Timestamp, Row, Diff)>, EvalError>,
}

/// The state of a source or of one of its tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceStatus {
    /// Told to run, not yet connected.
    Starting,
    /// Data arrives, or would if there were any.
    Running,
    /// A transient error keeps data from arriving; it is being retried.
    Stalled,
    /// A definite error: this will not get better by itself.
    Failed,
    /// Its cluster has no replica.
    Paused,
    /// Dropped.
    Dropped,
}

impl SourceStatus {
    /// As the catalog shows it.
    pub fn as_str(&self) -> &'static str {
        match self {
            SourceStatus::Starting => "starting",
            SourceStatus::Running => "running",
            SourceStatus::Stalled => "stalled",
            SourceStatus::Failed => "failed",
            SourceStatus::Paused => "paused",
            SourceStatus::Dropped => "dropped",
        }
    }
}

/// A change of status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceStatusUpdate {
    /// The source, its progress subsource, or one of its tables.
    pub id: GlobalId,
    /// The new status.
    pub status: SourceStatus,
    /// What is wrong.
    pub error: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Wall clock time, milliseconds since the Unix epoch.
    pub occurred_at_ms: u64,
}

/// Statistics of one export of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct SourceStatistics {
    /// The export; for the source as a whole its own id.
    pub id: Option<GlobalId>,
    /// Upstream messages (binlog events, snapshot rows) received.
    pub messages_received: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// Insertions and updates committed.
    pub updates_staged: u64,
    /// Changes committed.
    pub updates_committed: u64,
    /// Rows the snapshot will have, as far as known.
    pub snapshot_records_known: Option<u64>,
    /// Rows of the snapshot read so far.
    pub snapshot_records_staged: Option<u64>,
    /// Whether the snapshot has been committed.
    pub snapshot_committed: bool,
    /// How many upstream transactions are known to exist.
    pub offset_known: Option<u64>,
    /// How many of them have been committed.
    pub offset_committed: Option<u64>,
    /// How long it took until the export could be read, in milliseconds.
    pub rehydration_latency_ms: Option<u64>,
}
