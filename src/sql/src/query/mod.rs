//! Planning of queries to HIR.
