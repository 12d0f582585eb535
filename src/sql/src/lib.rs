//! SQL: from text to plans.
//!
//! ```text
//! text ──parser──▶ Statement ──purify (asks the Upstream)──▶ Statement ──statement/query──▶ Plan (HIR inside)
//!                                                                        └─lowering──▶ MIR
//! ```
//!
//! * [`parser`]: statements on `sqlparser` used as a library, plus our own.
//! * [`catalog`]: what planning needs to know of existing objects (implemented by `hw-catalog`).
//! * [`upstream`]: what planning needs to ask upstream systems (implemented by `hw-connector`); this crate opens no socket.
//! * [`names`]: resolution of names to ids.
//! * [`statement`]: planning of statements other than queries.
//! * [`query`]: planning of queries to HIR.
//! * [`lowering`]: decorrelation, HIR to MIR.
//! * [`plan`]: what comes out.

pub mod catalog;
pub mod context;
pub mod error;
pub mod lowering;
pub mod names;
pub mod parser;
pub mod plan;
pub mod query;
pub mod statement;
pub mod upstream;

pub use catalog::{Catalog, ClusterInfo, ItemInfo, ItemKind};
pub use context::StatementContext;
pub use error::PlanError;
pub use plan::{ItemDefinition, Plan};
