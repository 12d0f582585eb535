//! The data directory.
//!
//! ```text
//! DIR/            0700
//!   LOCK          held for as long as a server runs on it
//!   db/           RocksDB: parts, shard states, catalog
//!   secret.key    0600, see hw-catalog
//!   run/          0700, Unix sockets of this run
//! ```

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// A data directory that this process has locked.
#[derive(Debug)]
pub(crate) struct DataDir {
    root: PathBuf,
    /// Held open: the lock goes with it.
    _lock: File,
}

/// The longest path of a socket in `run/`, which the operating system limits to 107 bytes.
const LONGEST_SOCKET: &str = "run/cluster-u99999-replica-u99999.sock";

impl DataDir {
    /// Makes the directory if need be, and locks it.
    pub(crate) fn open(root: &Path) -> anyhow::Result<DataDir> {
        make_private(root).with_context(|| format!("cannot use data directory {}", root.display()))?;
        let root = root.canonicalize()?;
        if root.join(LONGEST_SOCKET).as_os_str().len() > 107 {
            bail!(
                "the path of data directory {} is too long for the sockets in it (at most {} bytes)",
                root.display(),
                107 - LONGEST_SOCKET.len() - 1
            );
        }
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(root.join("LOCK"))?;
        if let Err(e) = lock.try_lock() {
            bail!("data directory {} is in use by another server ({e})", root.display());
        }
        let run = root.join("run");
        if run.exists() {
            fs::remove_dir_all(&run)?;
        }
        make_private(&run)?;
        Ok(DataDir { root, _lock: lock })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn db(&self) -> PathBuf {
        self.root.join("db")
    }

    pub(crate) fn run(&self) -> PathBuf {
        self.root.join("run")
    }
}

fn make_private(dir: &Path) -> std::io::Result<()> {
    if !dir.exists() {
        return fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
}
