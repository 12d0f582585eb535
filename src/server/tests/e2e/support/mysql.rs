//! A private MySQL server of one test, through `bin/mysql` and `bin/mysql57`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Row, Value};
use tempfile::TempDir;

use super::checkout;
use super::client::TextRow;

/// The password of the user `materialize`.
pub(crate) const PASSWORD: &str = "corr3ct-horse";

/// Which MySQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// The current release.
    V97,
    /// The oldest release that the guide admits.
    V57,
}

impl Version {
    fn command(self) -> PathBuf {
        checkout().join(match self {
            Version::V97 => "bin/mysql",
            Version::V57 => "bin/mysql57",
        })
    }
}

/// A server with a folder and a port of its own, which it keeps over kills and restarts.
pub(crate) struct Mysql {
    version: Version,
    folder: TempDir,
    flags: Vec<String>,
    /// The TCP port on loopback.
    pub(crate) port: u16,
}

impl Mysql {
    /// Starts a server that is configured as the guide asks, with the guide's user `materialize`.
    pub(crate) async fn start(version: Version) -> Mysql {
        Mysql::start_with(version, &[]).await
    }

    /// The same with further flags for mysqld.
    pub(crate) async fn start_with(version: Version, flags: &[&str]) -> Mysql {
        let folder = TempDir::with_prefix("hw-mysql-").expect("a temporary folder");
        let flags = flags.iter().map(|f| f.to_string()).collect();
        let mut mysql = Mysql { version, folder, flags, port: super::processes::free_port() };
        mysql.resume();
        let mut conn = mysql.connect().await;
        for statement in [
            format!("CREATE USER 'materialize'@'%' IDENTIFIED BY '{}'", PASSWORD.replace('\'', "''")),
            "ALTER USER 'materialize'@'%' REQUIRE SSL".into(),
            "GRANT SELECT, RELOAD, SHOW DATABASES, REPLICATION SLAVE, REPLICATION CLIENT, LOCK TABLES ON *.* \
             TO 'materialize'@'%'"
                .into(),
            "FLUSH PRIVILEGES".into(),
        ] {
            conn.query_drop(&statement).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
        }
        mysql
    }

    /// The data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts the server again after [`Mysql::kill`] or [`Mysql::stop`], on the same port.
    pub(crate) fn resume(&mut self) {
        let output = Command::new(self.version.command())
            .arg("start")
            .arg(self.data())
            .args(["--port", &self.port.to_string(), "--owner", &std::process::id().to_string(), "--"])
            .args(&self.flags)
            .output()
            .expect("bin/mysql runs");
        assert!(output.status.success(), "MySQL does not start: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        self.command("kill");
    }

    /// Orderly shutdown.
    pub(crate) fn stop(&mut self) {
        self.command("stop");
    }

    fn command(&self, command: &str) {
        let status = Command::new(self.version.command()).arg(command).arg(self.data()).status();
        assert!(status.expect("bin/mysql runs").success(), "bin/mysql {command} failed");
    }

    /// The binlog files, oldest first.
    pub(crate) fn binlogs(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = fs::read_dir(self.data())
            .expect("the data folder")
            .flatten()
            .map(|e| e.path())
            .filter(|p| {
                p.file_stem().is_some_and(|s| s == "binlog") && p.extension().is_some_and(|e| e != "index")
            })
            .collect();
        files.sort();
        files
    }

    /// The Unix socket.
    pub(crate) fn socket(&self) -> String {
        fs::read_to_string(self.data().join("socket"))
            .expect("bin/mysql writes the socket's path")
            .trim()
            .to_owned()
    }

    /// A connection as root.
    pub(crate) async fn connect(&self) -> Conn {
        self.try_connect().await.expect("a connection to MySQL")
    }

    /// A connection as root, or why there is none.
    pub(crate) async fn try_connect(&self) -> anyhow::Result<Conn> {
        let options = OptsBuilder::default().socket(Some(self.socket())).user(Some("root"));
        Conn::new(options).await.context("connecting to MySQL")
    }

    /// Runs statements as root; panics if one fails.
    pub(crate) async fn run(&self, statements: &[&str]) {
        let mut conn = self.connect().await;
        for statement in statements {
            conn.query_drop(*statement).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
        }
    }

    /// The rows of a query in MySQL's text form.
    pub(crate) async fn rows(&self, query: &str) -> Vec<TextRow> {
        let mut conn = self.connect().await;
        let rows: Vec<Row> = conn.query(query).await.unwrap_or_else(|e| panic!("{query}: {e}"));
        rows.into_iter().map(|row| row.unwrap().into_iter().map(text).collect()).collect()
    }

    /// This server's UUID and the last transaction number that it executed.
    pub(crate) async fn position(&self) -> (String, u64) {
        let rows = self.rows("SELECT @@server_uuid, @@global.gtid_executed").await;
        let uuid = rows[0][0].clone().unwrap();
        let executed = rows[0][1].clone().unwrap().replace('\n', "");
        let own =
            executed.split(',').find_map(|s| s.trim().strip_prefix(&format!("{uuid}:")).map(str::to_owned));
        let last = own.as_deref().and_then(|r| r.rsplit([':', '-']).next()).map_or(0, |n| n.parse().unwrap());
        (uuid, last)
    }
}

/// A value of the text protocol.
fn text(value: Value) -> Option<String> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        other => Some(other.as_sql(true)),
    }
}

impl Drop for Mysql {
    fn drop(&mut self) {
        if std::thread::panicking() {
            drop(Command::new(self.version.command()).arg("kill").arg(self.data()).status());
        } else {
            self.kill();
        }
        let socket = fs::read_to_string(self.data().join("socket")).unwrap_or_default();
        for suffix in ["", ".lock"] {
            drop(fs::remove_file(format!("{}{suffix}", socket.trim())));
        }
    }
}
