//! A Headwater server of one test: start, kill -9, restart, orderly stop, and what it leaves behind.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tempfile::TempDir;

use super::client::Client;
use super::processes::{self, free_port};
use super::psql::Psql;

/// Every process of a test server carries this variable with the server's own value.
const MARK: &str = "HEADWATER_TEST_SERVER";
/// How long a start may take, rehydration included.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long an orderly stop may take.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// A server with a data directory of its own, which it keeps over kills and restarts.
pub(crate) struct Headwater {
    folder: Option<TempDir>,
    mark: String,
    child: Option<Child>,
    /// The port for SQL.
    pub(crate) sql_port: u16,
    /// The port for SQL of the system role.
    pub(crate) internal_port: u16,
    /// The port for HTTP.
    pub(crate) http_port: u16,
}

impl Headwater {
    /// Starts a server on a new data directory and waits until it serves queries.
    pub(crate) async fn start() -> Headwater {
        let mut server = Headwater::prepare();
        server.boot().await;
        server
    }

    /// A server that is not started yet.
    pub(crate) fn prepare() -> Headwater {
        Headwater {
            folder: Some(TempDir::with_prefix("hw-").expect("a temporary folder")),
            mark: format!("{:016x}", rand::random::<u64>()),
            child: None,
            sql_port: free_port(),
            internal_port: free_port(),
            http_port: free_port(),
        }
    }

    fn folder(&self) -> PathBuf {
        self.folder.as_ref().expect("kept until the drop").path().to_owned()
    }

    /// The data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    /// What the server and its workers have logged.
    pub(crate) fn log(&self) -> String {
        let bytes = fs::read(self.folder().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Starts the server on its data directory and waits until it serves queries; gives the time it took.
    pub(crate) async fn boot(&mut self) -> Duration {
        assert!(self.child.is_none(), "the server runs already");
        let log =
            File::options().create(true).append(true).open(self.folder().join("log")).expect("a log file");
        let start = Instant::now();
        let child = Command::new(program())
            .arg("serve")
            .arg("--data-dir")
            .arg(self.data())
            .args(["--sql-listen-addr", &format!("127.0.0.1:{}", self.sql_port)])
            .args(["--internal-sql-listen-addr", &format!("127.0.0.1:{}", self.internal_port)])
            .args(["--http-listen-addr", &format!("127.0.0.1:{}", self.http_port)])
            .env(MARK, &self.mark)
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("the headwater program starts");
        self.child = Some(child);
        loop {
            if self.ready() {
                return start.elapsed();
            }
            if let Some(status) = self.child.as_mut().expect("just started").try_wait().expect("own child") {
                panic!("the server ended while starting, {status}");
            }
            assert!(start.elapsed() < START_LIMIT, "the server is not ready after {START_LIMIT:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Whether `/api/readyz` answers 200.
    pub(crate) fn ready(&self) -> bool {
        self.get("/api/readyz").is_ok_and(|(status, _)| status == 200)
    }

    /// HTTP GET: status and body.
    pub(crate) fn get(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.http_port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").context("no end of the HTTP head")?;
        let status = head.split(' ').nth(1).context("no HTTP status")?.parse()?;
        Ok((status, body.to_owned()))
    }

    /// Ends the server process (not its workers) with kill -9.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("the server runs");
        child.kill().expect("own child");
        child.wait().expect("own child");
    }

    /// kill -9 and start again.
    pub(crate) async fn kill_and_restart(&mut self) {
        self.kill();
        self.boot().await;
    }

    /// SIGTERM; requires a clean exit within [`STOP_LIMIT`] that leaves no process behind.
    pub(crate) async fn stop(&mut self) {
        let mut child = self.child.take().expect("the server runs");
        processes::signal(child.id(), "TERM");
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().expect("own child") {
                break status;
            }
            assert!(start.elapsed() < STOP_LIMIT, "the server did not end within {STOP_LIMIT:?} of SIGTERM");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert!(status.success(), "SIGTERM must end the server cleanly, not with {status}");
        let left = self.pids();
        assert!(
            left.is_empty(),
            "processes outlive the server: {:?}",
            left.iter().map(|p| processes::arguments(*p)).collect::<Vec<_>>()
        );
    }

    /// All live processes of this server: itself and its workers.
    pub(crate) fn pids(&self) -> Vec<u32> {
        processes::with_environment(MARK, &self.mark)
    }

    /// The same as a function that another thread may call.
    pub(crate) fn pids_by_mark(&self) -> impl Fn() -> Vec<u32> + Send + 'static {
        let mark = self.mark.clone();
        move || processes::with_environment(MARK, &mark)
    }

    /// Tries to start a second server on this data directory, on other ports; gives how it ended.
    pub(crate) fn second_start(&self) -> Output {
        Command::new("timeout")
            .arg("20")
            .arg(program())
            .arg("serve")
            .arg("--data-dir")
            .arg(self.data())
            .args(["--sql-listen-addr", &format!("127.0.0.1:{}", free_port())])
            .args(["--internal-sql-listen-addr", &format!("127.0.0.1:{}", free_port())])
            .args(["--http-listen-addr", &format!("127.0.0.1:{}", free_port())])
            .env(MARK, &self.mark)
            .stdin(Stdio::null())
            .output()
            .expect("timeout runs")
    }

    /// The worker processes.
    pub(crate) fn workers(&self) -> Vec<u32> {
        let is_worker = |pid: &u32| processes::arguments(*pid).get(1).is_some_and(|a| a == "worker");
        self.pids().into_iter().filter(is_worker).collect()
    }

    /// Resident memory of the server and its workers together.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.pids().into_iter().map(processes::resident_bytes).sum()
    }

    /// A driver connection.
    pub(crate) async fn connect(&self) -> Client {
        self.try_connect().await.expect("a connection")
    }

    /// A driver connection, or why there is none.
    pub(crate) async fn try_connect(&self) -> anyhow::Result<Client> {
        Client::connect(self.sql_port, "materialize").await
    }

    /// A driver connection as the system role, which may ALTER SYSTEM.
    pub(crate) async fn connect_system(&self) -> Client {
        Client::connect(self.internal_port, "mz_system").await.expect("a connection of the system role")
    }

    /// psql for this server.
    pub(crate) fn psql(&self) -> Psql {
        Psql::new(self.sql_port)
    }

    /// Fails if the server has ended by itself.
    pub(crate) fn assert_alive(&mut self) -> anyhow::Result<()> {
        match self.child.as_mut().context("the server is stopped")?.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the server ended by itself, {status}"),
        }
    }
}

impl Drop for Headwater {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // A child that has ended is what this wants.
            drop(child.kill());
            drop(child.wait());
        }
        for pid in self.pids() {
            processes::signal(pid, "KILL");
        }
        if std::thread::panicking()
            && let Some(folder) = self.folder.take()
        {
            let folder = folder.keep();
            let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("the server's folder is kept: {}", folder.display());
            eprintln!("the last lines of its log:\n{}", lines[lines.len().saturating_sub(60)..].join("\n"));
        }
    }
}

/// The program under test: built by cargo for these tests, or `HEADWATER_BIN`.
fn program() -> PathBuf {
    let built = option_env!("CARGO_BIN_EXE_headwater").map(PathBuf::from);
    std::env::var_os("HEADWATER_BIN")
        .map(PathBuf::from)
        .or(built)
        .expect("cargo builds headwater for its tests")
}
