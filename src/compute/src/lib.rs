//! Renders LIR on differential dataflow; serves peeks and subscribes.
