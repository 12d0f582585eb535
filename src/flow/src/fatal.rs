//! What is done when an operator cannot go on.
//!
//! A worker process has no durable state, so the answer to an error from which there is no way forward (a read hold that was
//! lost, staged data that is gone) is to end the process: it is started again and rebuilds its dataflows.

use std::fmt;
use std::sync::Arc;

/// Called once with the reason.
#[derive(Clone)]
pub struct Fatal(Arc<dyn Fn(&str) + Send + Sync>);

impl Fatal {
    /// Calls `f`.
    pub fn new(f: impl Fn(&str) + Send + Sync + 'static) -> Fatal {
        Fatal(Arc::new(f))
    }

    /// Logs the reason and aborts the process.
    pub fn abort() -> Fatal {
        Fatal::new(|reason| {
            tracing::error!(reason, "worker cannot go on");
            std::process::abort();
        })
    }

    /// Says that there is no way forward.
    pub fn raise(&self, reason: &str) {
        (self.0)(reason);
    }
}

impl fmt::Debug for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fatal")
    }
}
