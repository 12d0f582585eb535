//! Replicas, frontiers, read holds, command history, reconciliation and process orchestration.
