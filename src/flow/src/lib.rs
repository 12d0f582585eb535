//! Timely operators shared by workers: shard source and shard sink.
