//! The catalog: durable objects, DDL transactions, and the relations that show them.
//!
//! * [`durable`]: objects as protobuf values in the key-value store, fenced by the environment's epoch.
//! * [`state`]: everything in memory, as immutable snapshots; implements [`hw_sql::Catalog`].
//! * [`ops`]: transactions: what they check, write, and change in the system relations.
//! * `consistency`: what keeps transactions apart that overlap.
//! * [`secrets`]: encryption at rest.
//! * [`builtin`]: system relations and their ids.
//! * `pack`: the rows by which objects show in system relations.
//! * [`sizes`]: cluster replica sizes.
//!
//! Invariants: a transaction is written before the snapshot that shows it exists; a snapshot never changes; ids are never used again.

pub mod builtin;
mod consistency;
pub mod durable;
pub mod error;
pub mod ops;
mod pack;
pub mod secrets;
pub mod session;
pub mod sizes;
pub mod state;
mod transaction;

pub use error::CatalogError;
pub use ops::{BuiltinUpdate, Catalog, CatalogConfig, ItemPlanner, Op, OpenTransaction};
pub use session::SessionCatalog;
pub use sizes::ReplicaSizes;
pub use state::CatalogState;

/// The generated messages.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub(crate) mod proto {
    tonic::include_proto!("headwater.catalog.v1");
}
