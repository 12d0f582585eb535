//! The coordinator: sessions, sequencing of statements, the timestamp oracle, group commit, peeks and subscribes.
//!
//! * [`client`]: what the frontend holds: one [`SessionClient`] for each connection.
//! * [`session`]: a session's state: settings, transaction, prepared statements, cursors.
//! * [`vars`]: settings of sessions and of the system.
//! * [`error`]: errors as clients see them.

pub mod client;
pub mod error;
pub mod session;
pub mod vars;

pub use client::{Client, ExecuteResponse, RowStream, SessionClient, StartupRequest};
pub use error::{AdapterError, Notice};
pub use session::{Session, TransactionStatus};
