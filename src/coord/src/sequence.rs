//! Sequencing: carrying out planned statements.
//!
//! * `execute`: from a portal to a plan, with the rules of transactions.
//! * `select`: reads.
//! * `dml`: INSERT, UPDATE, DELETE, COPY FROM.
//! * `ddl`: CREATE, ALTER, DROP. `follow`: what clusters do when the catalog has changed. `cluster`: ALTER CLUSTER.
//! * `materializable`: what may be maintained.
//! * `purify`: statements that ask upstream systems first.
//! * `subscribe`: SUBSCRIBE.
//! * `explain`: EXPLAIN.
//! * `settings`: SET, SHOW, PREPARE. `cursor`: DECLARE, FETCH, MOVE.
//! * `transaction`: BEGIN, COMMIT, ROLLBACK. `rules`: what may be together in a transaction.

pub(crate) mod cluster;
mod cursor;
pub(crate) mod ddl;
pub(crate) mod dml;
pub(crate) mod execute;
pub(crate) mod explain;
pub(crate) mod follow;
pub(crate) mod materializable;
pub(crate) mod purify;
mod rules;
pub(crate) mod select;
pub(crate) mod settings;
pub(crate) mod subscribe;
pub(crate) mod transaction;
