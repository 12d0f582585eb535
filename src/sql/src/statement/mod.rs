//! Planning of statements other than queries.
