//! Metrics of a compute instance.

use hw_base::metrics::{IntCounter, IntGauge, MetricsRegistry};

/// Metrics of a compute instance.
#[derive(Debug, Clone)]
pub(crate) struct ComputeMetrics {
    /// Dataflows that run, those included that only others read.
    pub(crate) dataflows: IntGauge,
    /// Peeks received.
    pub(crate) peeks: IntCounter,
}

impl ComputeMetrics {
    pub(crate) fn register(registry: &MetricsRegistry) -> ComputeMetrics {
        ComputeMetrics {
            dataflows: registry.gauge("hw_compute_dataflows", "Dataflows that run."),
            peeks: registry.counter("hw_compute_peeks_total", "Peeks received."),
        }
    }
}
