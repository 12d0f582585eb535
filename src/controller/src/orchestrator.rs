//! Starting worker processes.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use async_trait::async_trait;
use tokio::process::{Child, Command};

/// What a worker process is to be.
#[derive(Debug, Clone)]
pub struct ProcessSpec {
    /// A name unique among live processes, usable as a file name.
    pub name: String,
    /// How many timely workers.
    pub workers: usize,
}

/// A started worker process. Dropping it kills the process.
#[async_trait]
pub trait Process: Send {
    /// Where it listens, once it does.
    fn socket(&self) -> &Path;
    /// Its operating system id.
    fn pid(&self) -> Option<u32>;
    /// Waits for its end and says how it ended. Safe to cancel.
    async fn wait(&mut self) -> String;
}

/// Starts worker processes.
#[async_trait]
pub trait Orchestrator: Send + Sync {
    /// Starts a process.
    async fn start(&self, spec: &ProcessSpec) -> std::io::Result<Box<dyn Process>>;
}

/// Runs workers as children of this process. A child ends by itself when this process does, however that happens: it holds the
/// reading end of a pipe as its standard input and leaves when the pipe closes.
#[derive(Debug, Clone)]
pub struct ProcessOrchestrator {
    /// The executable.
    pub program: PathBuf,
    /// Where sockets are made (a folder of mode 0700).
    pub run_dir: PathBuf,
    /// The socket of the persist service.
    pub persist_socket: PathBuf,
}

#[async_trait]
impl Orchestrator for ProcessOrchestrator {
    async fn start(&self, spec: &ProcessSpec) -> std::io::Result<Box<dyn Process>> {
        let socket = self.run_dir.join(format!("{}.sock", spec.name));
        match tokio::fs::remove_file(&socket).await {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut child = Command::new(&self.program)
            .arg("worker")
            .arg("--listen")
            .arg(&socket)
            .arg("--persist")
            .arg(&self.persist_socket)
            .arg("--workers")
            .arg(spec.workers.to_string())
            .arg("--name")
            .arg(&spec.name)
            .arg("--exit-with-stdin")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()?;
        let stdin = child.stdin.take();
        Ok(Box::new(ChildProcess { child, socket, _stdin: stdin }))
    }
}

struct ChildProcess {
    child: Child,
    socket: PathBuf,
    /// Held open for as long as the child is to live.
    _stdin: Option<tokio::process::ChildStdin>,
}

#[async_trait]
impl Process for ChildProcess {
    fn socket(&self) -> &Path {
        &self.socket
    }

    fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    async fn wait(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(e) => format!("cannot be waited for: {e}"),
        }
    }
}
