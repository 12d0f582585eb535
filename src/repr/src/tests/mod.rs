//! Tests that go through several modules.
#![allow(clippy::unwrap_used)]

mod operations;
mod postgres;
mod round_trip;
