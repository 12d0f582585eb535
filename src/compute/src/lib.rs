//! Renders LIR on differential dataflow; serves peeks and subscribes.

mod reduce_types;
pub mod render;
mod row_container;
mod time;
mod typedefs;
