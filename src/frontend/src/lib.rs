//! pgwire and HTTP: codecs, authentication and connection state machines.
//!
//! * [`pgwire`]: the SQL server. One task for each connection; what it holds of the coordinator is a
//!   [`hw_coord::SessionClient`].
//! * [`copy`]: the formats of COPY, both ways, as streaming codecs without I/O.
//! * [`http`]: liveness, readiness, metrics, and SQL as JSON.
//!
//! Values are encoded here and nowhere else; the formats themselves are [`hw_repr::text`] and [`hw_repr::binary`].

mod context;
pub mod copy;
pub mod http;
pub mod pgwire;

pub use http::{HttpConfig, serve_http};
pub use pgwire::{SqlServerConfig, serve_sql};
