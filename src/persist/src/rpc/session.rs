//! What remote clients own on the server: leases and staged parts, for as long as their heartbeats come.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use hw_repr::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use crate::backend::{Backend, LeaseControl};
use crate::engine::Engine;
use crate::error::PersistError;
use crate::id::{PartId, ShardId};

/// The sessions of a server.
pub(super) struct Sessions {
    engine: Arc<Engine>,
    expiry: Duration,
    sessions: Mutex<HashMap<Uuid, Session>>,
}

struct Session {
    deadline: Instant,
    leases: HashMap<Uuid, Box<dyn LeaseControl>>,
    staged: HashSet<PartId>,
}

/// A lease as a client states it.
pub(super) struct Wanted {
    pub(super) id: Uuid,
    pub(super) shard: ShardId,
    pub(super) at: Timestamp,
}

impl Sessions {
    pub(super) fn new(engine: Arc<Engine>) -> Arc<Self> {
        // A session of no duration makes no sense on a wire; zero is for tests of the engine.
        let expiry = engine.config().session_expiry.max(Duration::from_millis(200));
        Arc::new(Sessions { engine, expiry, sessions: Mutex::default() })
    }

    /// Works on a session, which begins when it is first heard of.
    fn with<T>(&self, id: Uuid, work: impl FnOnce(&mut Session) -> T) -> T {
        let deadline = Instant::now() + self.expiry;
        let mut sessions = self.sessions.lock();
        let session = sessions.entry(id).or_insert_with(|| Session {
            deadline,
            leases: HashMap::new(),
            staged: HashSet::new(),
        });
        session.deadline = deadline;
        work(session)
    }

    /// Ends sessions that have not been heard of, for ever.
    pub(super) async fn expire(self: Arc<Self>) {
        loop {
            tokio::time::sleep(self.expiry / 4).await;
            let now = Instant::now();
            let ended: Vec<_> = self.sessions.lock().extract_if(|_, s| s.deadline < now).collect();
            for (id, session) in ended {
                tracing::info!(session = %id, leases = session.leases.len(), "a persist session has expired");
                self.release(session.staged.into_iter().collect());
            }
        }
    }

    fn release(&self, parts: Vec<PartId>) {
        if !parts.is_empty() {
            // The engine knows which shard a part is staged for.
            self.engine.release_parts(ShardId::from_bytes([0; 16]), parts);
        }
    }

    pub(super) fn staging(&self, session: Uuid, part: PartId) {
        self.with(session, |s| s.staged.insert(part));
    }

    /// A part has been staged; if its session has gone meanwhile, it is given up.
    pub(super) fn staged(&self, session: Uuid, part: PartId) {
        let owned = self.sessions.lock().get(&session).is_some_and(|s| s.staged.contains(&part));
        if !owned {
            self.release(vec![part]);
        }
    }

    /// Parts are no longer the session's: an append has taken them.
    pub(super) fn appended(&self, session: Uuid, parts: &[PartId]) {
        self.with(session, |s| {
            for part in parts {
                s.staged.remove(part);
            }
        });
    }

    pub(super) fn give_up(&self, session: Uuid, parts: Vec<PartId>) {
        self.appended(session, &parts);
        self.release(parts);
    }

    pub(super) fn close(&self, session: Uuid, leases: &[Uuid]) {
        let closed: Vec<_> =
            self.with(session, |s| leases.iter().filter_map(|l| s.leases.remove(l)).collect());
        drop(closed);
    }

    /// Makes sure that the session holds a lease.
    pub(super) async fn hold(&self, session: Uuid, wanted: &Wanted) -> Result<(), PersistError> {
        let known = self.with(session, |s| match s.leases.get(&wanted.id) {
            Some(lease) => {
                lease.downgrade(wanted.at);
                Some(lease.is_lost())
            }
            None => None,
        });
        match known {
            Some(false) => return Ok(()),
            Some(true) => return Err(PersistError::UnknownShard(wanted.shard)),
            None => {}
        }
        let lease = self.engine.open_lease(wanted.shard, wanted.at).await?;
        self.with(session, |s| drop(s.leases.insert(wanted.id, lease)));
        Ok(())
    }
}
