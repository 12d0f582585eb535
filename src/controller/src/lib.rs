//! The controller: what runs where, how far it is, and who may still read it.
//!
//! * [`orchestrator`]: starts and watches worker processes.
//! * [`replica`]: one task for each replica: process, session, reconnect.
//! * [`cluster`]: the state of one cluster (pure): dataflows, sources, peeks, subscribes, and the history that a new or
//!   reconnecting replica is told.
//! * [`collection`]: frontiers, read holds and the since that follows from them (pure).
//! * [`controller`]: puts these together behind one handle owned by the coordinator.
//!
//! Invariants:
//! 1. A collection's since never passes a read hold, nor what a dataflow that reads it still needs to be restarted.
//! 2. Every replica of a cluster runs the same dataflows; the first answer to a peek wins.
//! 3. A source runs on one replica at a time; handing it over raises its epoch, which fences the former one off.

pub mod cluster;
pub mod collection;
pub mod controller;
pub mod orchestrator;
pub mod replica;

pub use collection::ReadHold;
pub use controller::{Controller, ControllerConfig, ControllerEvent, ControllerOutput, SubscribeStream};
pub use orchestrator::{Orchestrator, ProcessOrchestrator};
