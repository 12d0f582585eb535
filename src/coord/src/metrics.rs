//! The coordinator's metrics.

use hw_base::metrics::{IntCounter, IntGauge, MetricsRegistry};

pub(crate) struct CoordMetrics {
    pub(crate) statements: IntCounter,
    pub(crate) connections: IntGauge,
    pub(crate) group_commits: IntCounter,
    pub(crate) pending_reads: IntGauge,
}

impl CoordMetrics {
    pub(crate) fn new(registry: &MetricsRegistry) -> Self {
        CoordMetrics {
            statements: registry.counter("hw_coord_statements_total", "Statements executed"),
            connections: registry.gauge("hw_coord_connections", "Open sessions"),
            group_commits: registry.counter("hw_coord_group_commits_total", "Group commits of tables"),
            pending_reads: registry.gauge("hw_coord_pending_reads", "Reads that wait for their inputs"),
        }
    }
}
