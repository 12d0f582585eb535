//! The coordinator: sessions, sequencing of statements, the timestamp oracle, group commit, peeks and subscribes.
//!
//! * [`client`]: what the frontend holds: one [`SessionClient`] for each connection.
//! * [`session`]: a session's state: settings, transaction, prepared statements, cursors.
//! * [`cancel`]: what ends a statement before its time.
//! * [`vars`]: settings of sessions and of the system.
//! * [`error`]: errors as clients see them.
//! * [`coordinator`]: the task that all of it meets in.
//! * `sequence`: carrying out planned statements.
//! * `dataflow`: from queries to dataflows. `sources`: from the catalog to running sources.
//! * [`oracle`] and [`timestamp`]: when things happen. `group_commit`: writes. `reads`: reads that wait.
//! * `builtin`: system collections that are not made from the catalog. `bootstrap`: start.

mod bootstrap;
mod builtin;
pub mod cancel;
pub mod client;
pub mod coordinator;
mod dataflow;
pub mod error;
mod group_commit;
mod hir;
mod metrics;
pub mod oracle;
mod reads;
mod sequence;
pub mod session;
mod sources;
pub mod timestamp;
pub mod vars;

pub use client::{Client, ExecuteResponse, RowStream, SessionClient, StartupRequest};
pub use coordinator::{Coordinator, CoordinatorConfig};
pub use error::{AdapterError, Notice};
pub use session::{Session, TransactionStatus};
