//! End-to-end tests: the real `headwater` program, real MySQL servers, `psql` and ordinary drivers.
//!
//! Every test starts its own servers in temporary folders and ends them. A test that needs MySQL, PostgreSQL or
//! `psql` fails loudly without it (`bin/setup --tests` gets them). With `HW_SOAK=1` the long checks run at full
//! size, see [`support::scale`]; seeded tests print their seed and take it from `HW_SEED`.
#![allow(clippy::unwrap_used)]

mod bank;
mod big;
mod catalog;
mod concurrent_ddl;
mod copy;
mod ddl_kill;
mod errors;
mod faults;
mod guide;
mod kept_plans;
mod limits;
mod parameters;
mod pgwire;
mod process;
mod random_queries;
mod sql;
mod sqlsmith;
mod support;
mod temporary;
mod tpch;
mod transactions;
mod types;
