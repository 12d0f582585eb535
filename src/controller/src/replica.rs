//! One task for each replica: starts the process, opens the session, carries commands and responses, and starts over when
//! either is lost.

use std::sync::Arc;
use std::time::Duration;

use hw_protocol::transport::{Connection, connect_unix};
use hw_protocol::{Command, Response};
use hw_repr::{ClusterId, ReplicaId};
use tokio::sync::mpsc;

use crate::orchestrator::{Orchestrator, Process, ProcessSpec};

/// What a replica's task tells.
#[derive(Debug)]
pub enum ReplicaEvent {
    /// A session is open; commands go to this sender. Nothing has been sent yet.
    ///
    /// The channel is unbounded because the controller must not wait: what is under way in it is bounded by the number of
    /// objects and of sessions with a statement running.
    Connected(mpsc::UnboundedSender<Command>, Option<u32>),
    /// A response.
    Response(Response),
    /// The session or the process is lost; the task is starting over.
    Disconnected(String),
}

/// An event of a replica.
#[derive(Debug)]
pub struct ReplicaMessage {
    /// The cluster.
    pub cluster: ClusterId,
    /// The replica.
    pub replica: ReplicaId,
    /// Counts sessions of this replica, so that late events of an old one are recognised.
    pub incarnation: u64,
    /// The event.
    pub event: ReplicaEvent,
}

/// What a replica's task needs.
pub(crate) struct ReplicaTask {
    pub(crate) cluster: ClusterId,
    pub(crate) replica: ReplicaId,
    pub(crate) spec: ProcessSpec,
    pub(crate) orchestrator: Arc<dyn Orchestrator>,
    pub(crate) epoch: u64,
    pub(crate) events: mpsc::Sender<ReplicaMessage>,
}

/// The first and the greatest pause between attempts.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

impl ReplicaTask {
    /// Runs until the task is aborted or the controller is gone.
    pub(crate) async fn run(self) {
        let mut incarnation = 0;
        let mut backoff = BACKOFF.0;
        loop {
            incarnation += 1;
            let started = tokio::time::Instant::now();
            let reason = match self.run_once(incarnation).await {
                Ok(reason) => reason,
                Err(e) => e,
            };
            tracing::warn!(cluster = %self.cluster, replica = %self.replica, %reason, "replica lost, starting it again");
            if self.tell(incarnation, ReplicaEvent::Disconnected(reason)).await.is_err() {
                return;
            }
            if started.elapsed() > BACKOFF.1 {
                backoff = BACKOFF.0;
            }
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(BACKOFF.1);
        }
    }

    async fn tell(&self, incarnation: u64, event: ReplicaEvent) -> Result<(), String> {
        let message = ReplicaMessage { cluster: self.cluster, replica: self.replica, incarnation, event };
        self.events.send(message).await.map_err(|_| "controller is gone".to_owned())
    }

    async fn run_once(&self, incarnation: u64) -> Result<String, String> {
        let process = self.orchestrator.start(&self.spec).await;
        let mut process = process.map_err(|e| format!("cannot start worker process: {e}"))?;
        let mut session = self.connect(&mut *process).await?;
        let (tx, mut commands) = mpsc::unbounded_channel();
        self.tell(incarnation, ReplicaEvent::Connected(tx, process.pid())).await?;
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => session.send(&command).await.map_err(|e| e.to_string())?,
                    None => return Ok("superseded".to_owned()),
                },
                response = session.recv() => match response {
                    Ok(Some(response)) => self.tell(incarnation, ReplicaEvent::Response(response)).await?,
                    Ok(None) => return Ok("worker closed the session".to_owned()),
                    Err(e) => {
                        // The end of the process says more than the end of the session, if it comes with it.
                        let end = tokio::time::timeout(Duration::from_millis(200), process.wait()).await;
                        return Ok(end.map_or(e.to_string(), |status| format!("worker process ended: {status}")));
                    }
                },
                status = process.wait() => return Ok(format!("worker process ended: {status}")),
            }
        }
    }

    async fn connect(&self, process: &mut dyn Process) -> Result<Connection, String> {
        const ATTEMPTS: u32 = 600;
        let socket = process.socket().to_owned();
        let mut last = String::new();
        for _ in 0..ATTEMPTS {
            if socket.exists() {
                match connect_unix(&socket, self.epoch).await {
                    Ok(session) => return Ok(session),
                    Err(e) => last = e.to_string(),
                }
            }
            tokio::select! {
                status = process.wait() => return Err(format!("worker process ended: {status}")),
                () = tokio::time::sleep(Duration::from_millis(10)) => {}
            }
            if last.contains("version") {
                return Err(last);
            }
        }
        Err(format!("worker does not answer: {last}"))
    }
}
