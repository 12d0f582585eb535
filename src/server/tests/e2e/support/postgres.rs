//! A private PostgreSQL: what Headwater's SQL is compared with.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::checkout;

/// A PostgreSQL server with a folder and a port of its own.
pub(crate) struct Postgres {
    folder: TempDir,
    /// The TCP port on loopback.
    pub(crate) port: u16,
}

impl Postgres {
    /// Starts a server: C collation, UTF8, time zone UTC, user `postgres`.
    pub(crate) fn start() -> Postgres {
        let folder = TempDir::with_prefix("hw-pg-").expect("a temporary folder");
        let output = Command::new(checkout().join("bin/postgres"))
            .arg("start")
            .arg(folder.path().join("data"))
            .args(["--owner", &std::process::id().to_string()])
            .output()
            .expect("bin/postgres runs");
        assert!(
            output.status.success(),
            "PostgreSQL does not start: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let port =
            String::from_utf8_lossy(&output.stdout).trim().parse().expect("bin/postgres prints the port");
        Postgres { folder, port }
    }

    /// The path of one of PostgreSQL's programs.
    pub(crate) fn program(name: &str) -> PathBuf {
        let output = Command::new(checkout().join("bin/postgres")).args(["bin", name]).output();
        let output = output.expect("bin/postgres runs");
        assert!(output.status.success(), "no {name}: {}", String::from_utf8_lossy(&output.stderr));
        PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
    }

    /// The connection string for a database.
    pub(crate) fn config(&self, database: &str) -> String {
        format!("host=127.0.0.1 port={} user=postgres dbname={database}", self.port)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // The owner's end would end it too.
        drop(
            Command::new(checkout().join("bin/postgres"))
                .arg("stop")
                .arg(self.folder.path().join("data"))
                .status(),
        );
    }
}
