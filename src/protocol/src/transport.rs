//! Encoding and transport.
