//! The protocol between the controller and the worker processes of a cluster's replicas.
//!
//! A connection is one bidirectional gRPC stream: commands one way, responses the other. The stages of a connection:
//!
//! ```text
//! Hello (version, epoch) ─▶ Configuration ─▶ history: CreateDataflow | RunSource | AllowCompaction … ─▶ InitializationComplete
//!   ─▶ steady state: CreateDataflow | RunSource | StopSource | AllowCompaction | Peek | CancelPeek
//! ```
//!
//! Until `InitializationComplete` a worker only notes what it is told; then it reconciles: what it runs already and is asked
//! for again goes on, what it is not asked for is dropped, the rest is started. A worker serves one connection at a time:
//! a newer epoch replaces an older one, an older one is refused.
//!
//! * [`command`]: commands and responses.
//! * [`transport`]: their encoding and the gRPC client and server.

pub mod command;
pub mod transport;

pub use command::{Command, Response, SourceStatistics, SourceStatus, SourceStatusUpdate, SubscribeBatch};
