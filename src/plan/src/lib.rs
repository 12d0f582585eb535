//! What a cluster is asked to run: dataflows in the low-level language LIR, sources, and peeks.
//!
//! Everything here is data: it is made by the optimizer and the coordinator, carried by the protocol, and executed by
//! compute and connector, which decide nothing.
//!
//! * [`lir`]: LIR, in which every choice is made.
//! * [`arrangement`]: how an arrangement's key and value rows make up a collection's row.
//! * [`temporal`]: map-filter-project with bounds on `mz_now()`.
//! * [`dataflow`]: a dataflow: what it reads, builds and exports.
//! * [`source`]: a source: connection, upstream position, tables.
//! * [`peek`]: a one-off read.

pub mod arrangement;
pub mod dataflow;
pub mod lir;
pub mod peek;
pub mod source;
pub mod temporal;

pub use dataflow::{DataflowDescription, DataflowExport, ExportKind, IndexImport, SourceImport};
pub use lir::Lir;
pub use peek::{Peek, PeekTarget};
pub use source::SourceDescription;
