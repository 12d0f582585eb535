//! Named tokio tasks that abort when their handle is dropped.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::task::{JoinError, JoinHandle};

/// Spawns a named task on the current runtime. The task goes on when the handle is dropped.
pub fn spawn<F>(name: impl AsRef<str>, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let name = name.as_ref().to_owned();
    tokio::spawn(async move {
        tracing::trace!(task = %name, "task started");
        let out = future.await;
        tracing::trace!(task = %name, "task ended");
        out
    })
}

/// A handle that aborts its task when dropped.
#[derive(Debug)]
pub struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<T> Future for AbortOnDrop<T> {
    type Output = Result<T, JoinError>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

/// Spawns a named task that is aborted when the returned handle is dropped.
pub fn spawn_scoped<F>(name: impl AsRef<str>, future: F) -> AbortOnDrop<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    AbortOnDrop(spawn(name, future))
}
