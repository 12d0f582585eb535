//! Cluster replica sizes: from a TOML file, with a default.
//!
//! ```toml
//! [100cc]
//! workers = 1
//! memory_bytes = 4294967296
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

/// One size.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicaSize {
    /// How many timely workers its process has.
    pub workers: usize,
    /// How much memory it is meant to have, as `mz_cluster_replica_sizes` shows it.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
}

/// All sizes by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaSizes(pub BTreeMap<String, ReplicaSize>);

impl Default for ReplicaSizes {
    fn default() -> Self {
        const GIB: u64 = 1 << 30;
        // A compute credit of 100 is one worker; the smaller sizes are for many small clusters.
        let sizes: [(&str, usize, u64); 12] = [
            ("25cc", 1, GIB),
            ("50cc", 1, 2 * GIB),
            ("100cc", 1, 4 * GIB),
            ("200cc", 2, 8 * GIB),
            ("300cc", 3, 12 * GIB),
            ("400cc", 4, 16 * GIB),
            ("600cc", 6, 24 * GIB),
            ("800cc", 8, 32 * GIB),
            ("1200cc", 12, 48 * GIB),
            ("1600cc", 16, 64 * GIB),
            ("3200cc", 32, 128 * GIB),
            ("6400cc", 64, 256 * GIB),
        ];
        let size = |(name, workers, memory): (&str, usize, u64)| {
            (name.to_owned(), ReplicaSize { workers, memory_bytes: Some(memory) })
        };
        ReplicaSizes(sizes.into_iter().map(size).collect())
    }
}

/// Why a file of sizes cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SizesError {
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// It is not what it should be.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// A size without workers, or no size at all.
    #[error("size {0:?} needs between 1 and 1024 workers")]
    Workers(String),
}

impl ReplicaSizes {
    /// Reads sizes from a file.
    pub fn from_toml_file(path: &Path) -> Result<Self, SizesError> {
        let sizes: BTreeMap<String, ReplicaSize> = toml::from_str(&std::fs::read_to_string(path)?)?;
        if let Some((name, _)) = sizes.iter().find(|(_, s)| s.workers == 0 || s.workers > 1024) {
            return Err(SizesError::Workers(name.clone()));
        }
        if sizes.is_empty() {
            return Err(SizesError::Workers(String::new()));
        }
        Ok(ReplicaSizes(sizes))
    }
}
