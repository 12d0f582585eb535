//! The injectable wall clock. Code that needs "now" takes a [`NowFn`], so that tests can move time by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A source of the current time in milliseconds since the Unix epoch.
#[derive(Clone)]
pub struct NowFn(Arc<dyn Fn() -> u64 + Send + Sync>);

impl NowFn {
    /// The system's wall clock.
    pub fn system() -> Self {
        NowFn(Arc::new(|| {
            SystemTime::now().duration_since(UNIX_EPOCH).map(|d| d.as_millis() as u64).unwrap_or_default()
        }))
    }

    /// A clock that a test moves by storing into the returned cell.
    pub fn manual(start_ms: u64) -> (Self, Arc<AtomicU64>) {
        let cell = Arc::new(AtomicU64::new(start_ms));
        let read = Arc::clone(&cell);
        (NowFn(Arc::new(move || read.load(Ordering::SeqCst))), cell)
    }

    /// Milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        (self.0)()
    }
}

impl std::fmt::Debug for NowFn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NowFn")
    }
}
