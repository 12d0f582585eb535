//! What ends a statement before its time: a cancel request, or the session's `statement_timeout`.
//!
//! Whatever waits on behalf of a statement watches its [`StatementCancel`], so that both reach all of it: reads, the wait for the write
//! lock, FETCH, COPY, SUBSCRIBE, and the sending of rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hw_base::task::AbortOnDrop;
use tokio_util::sync::CancellationToken;

use crate::error::AdapterError;

/// Cancels one statement. Clones cancel the same one.
#[derive(Debug, Clone, Default)]
pub struct StatementCancel {
    token: CancellationToken,
    timed_out: Arc<AtomicBool>,
}

impl StatementCancel {
    /// Cancels it for a client.
    pub fn cancel(&self) {
        self.token.cancel();
    }

    /// Whether it has been cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits until it is cancelled.
    pub async fn cancelled(&self) {
        self.token.cancelled().await;
    }

    /// The error of a statement that this has ended (57014).
    pub fn error(&self) -> AdapterError {
        let cause = if self.timed_out.load(Ordering::Acquire) { "statement timeout" } else { "user request" };
        AdapterError::new("57014", format!("canceling statement due to {cause}"))
    }

    /// Cancels it after a while, unless the timer is dropped before.
    pub fn after(&self, limit: Duration) -> Timer {
        let cancel = self.clone();
        Timer(hw_base::task::spawn_scoped("statement-timeout", async move {
            tokio::time::sleep(limit).await;
            if !cancel.is_cancelled() {
                cancel.timed_out.store(true, Ordering::Release);
                cancel.cancel();
            }
        }))
    }
}

/// A statement's time limit, for as long as it is held.
#[derive(Debug)]
pub struct Timer(#[allow(dead_code)] AbortOnDrop<()>);
