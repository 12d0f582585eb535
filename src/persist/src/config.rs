//! Tuning of the engine and of the remote client.

use std::time::Duration;

/// Settings of the engine in the environment.
#[derive(Debug, Clone)]
pub struct PersistConfig {
    /// A buffer of a batch builder or of a compaction is written as a part when it is about this large.
    pub part_target_bytes: usize,
    /// A finished batch no larger than this is kept in the shard's state instead of in a part.
    pub inline_limit_bytes: usize,
    /// Compaction rolls inline batches up when there are this many.
    pub inline_batches_max: usize,
    /// Compaction merges at most so many runs at once; with the part size it bounds its memory.
    pub compaction_fan_in: usize,
    /// A remote session that has not been heard of for so long loses its leases and staged parts. Since stands still
    /// for as long after a start when there are shards, so that holders who outlived a restart can renew.
    pub session_expiry: Duration,
    /// Bytes of RocksDB memtables for parts, and of its block cache.
    pub rocksdb_memory_bytes: usize,
}

impl Default for PersistConfig {
    fn default() -> Self {
        PersistConfig {
            part_target_bytes: 8 << 20,
            inline_limit_bytes: 8 << 10,
            inline_batches_max: 32,
            compaction_fan_in: 8,
            session_expiry: Duration::from_secs(30),
            rocksdb_memory_bytes: 64 << 20,
        }
    }
}

/// Settings of a client over gRPC.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// For how long requests are tried again while the server cannot be reached.
    pub retry_for: Duration,
    /// How often leases are renewed.
    pub heartbeat: Duration,
    /// As [`PersistConfig::part_target_bytes`].
    pub part_target_bytes: usize,
    /// As [`PersistConfig::inline_limit_bytes`].
    pub inline_limit_bytes: usize,
}

impl Default for ClientConfig {
    fn default() -> Self {
        let persist = PersistConfig::default();
        ClientConfig {
            retry_for: Duration::from_secs(120),
            heartbeat: Duration::from_secs(2),
            part_target_bytes: persist.part_target_bytes,
            inline_limit_bytes: persist.inline_limit_bytes,
        }
    }
}
