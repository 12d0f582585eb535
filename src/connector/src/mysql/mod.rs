//! MySQL sources.
//!
//! * `gtid`: sets of global transaction identifiers, which are the positions.
//! * `progress`: positions as rows of the progress subsource.
//! * `types`, `charset`, `decode`: upstream types and values, and what they become.
//! * `schema`, `ddl`: the upstream's tables and the statements that change them.
//! * `connect`, `validate`, `discover`: connections, and what is checked when a statement runs.
//! * `snapshot`, `transaction`, `layout`, `stream`, `ingest`: running a source.
//!
//! Limits, which are the binlog's: rows that a foreign key's ON DELETE CASCADE or SET NULL changes are not logged by servers
//! before 9.6 and so not seen; partial JSON updates (`binlog_row_value_options`) are an error of their table. Servers without
//! `binlog_row_metadata=FULL` (5.7 has none) do not log column names: when several ALTERs that move columns are read late, rows between
//! them may be undecodable, which is an error of the table, never a wrong row.

pub mod gtid;
pub mod progress;
pub mod types;

pub(crate) mod charset;
pub(crate) mod connect;
pub(crate) mod ddl;
pub(crate) mod decode;
pub(crate) mod discover;
pub(crate) mod ingest;
pub(crate) mod layout;
pub(crate) mod schema;
pub(crate) mod snapshot;
pub(crate) mod stream;
pub(crate) mod transaction;
pub(crate) mod validate;

pub use discover::discover_tables;
pub use hw_sql::upstream::TableSelection;
pub use types::{UnsupportedType, ingest_type};
pub use validate::{check_settings, validate_connection};
