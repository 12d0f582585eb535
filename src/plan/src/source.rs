//! Sources: what a worker needs to ingest from an upstream system.

use hw_repr::{ColumnType, GlobalId, RelationDesc};
use serde::{Deserialize, Serialize};

use crate::dataflow::ShardUuid;

/// A source to run: all of its tables are committed together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceDescription {
    /// The source's id.
    pub id: GlobalId,
    /// Its name, for logs.
    pub name: String,
    /// Where it comes from.
    pub upstream: UpstreamDescription,
    /// The progress subsource: its id and shard.
    pub progress_id: GlobalId,
    /// The shard of the progress subsource.
    pub progress_shard: ShardUuid,
    /// The tables, each a collection of its own.
    pub exports: Vec<SourceExport>,
    /// Raised whenever a source is handed to another process; appends under an older epoch are fenced off.
    pub epoch: u64,
    /// Freshness: how long a source waits before it commits when something is there, in milliseconds.
    pub tick_floor_ms: u64,
    /// How long it waits before it commits when nothing is there, in milliseconds.
    pub tick_idle_ms: u64,
}

/// The upstream system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum UpstreamDescription {
    /// MySQL.
    MySql(MySqlConnection),
    /// A load generator, for tests and demonstrations.
    LoadGenerator(LoadGenerator),
}

/// A load generator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LoadGenerator {
    /// One row `counter` bigint more at each tick, at most `max_cardinality` rows at a time.
    Counter {
        /// The interval between ticks, in milliseconds.
        tick_ms: u64,
        /// The greatest number of rows.
        max_cardinality: Option<u64>,
    },
}

/// A MySQL server and how to log in. Secrets are values here: a description is made for the worker that runs the source and is
/// neither stored nor logged.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MySqlConnection {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// User.
    pub user: String,
    /// Password.
    pub password: Option<String>,
    /// TLS.
    pub tls: MySqlTls,
}

impl std::fmt::Debug for MySqlConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "mysql://{}@{}:{}", self.user, self.host, self.port)
    }
}

/// SSL MODE and certificates (PEM).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct MySqlTls {
    /// SSL MODE.
    pub mode: MySqlTlsMode,
    /// SSL CERTIFICATE AUTHORITY.
    pub ca: Option<String>,
    /// SSL CERTIFICATE, the client's.
    pub certificate: Option<String>,
    /// SSL KEY, the client's.
    pub key: Option<String>,
}

/// SSL MODE (MySQL manual, `--ssl-mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub enum MySqlTlsMode {
    /// No TLS.
    #[default]
    Disabled,
    /// TLS, any certificate.
    Required,
    /// TLS, with a certificate of the given authority.
    VerifyCa,
    /// And for the host's name.
    VerifyIdentity,
}

/// One upstream table that becomes a collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceExport {
    /// The collection's id.
    pub id: GlobalId,
    /// Its shard.
    pub shard: ShardUuid,
    /// Its columns.
    pub desc: RelationDesc,
    /// What it is upstream.
    pub details: ExportDetails,
}

/// What an export is upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExportDetails {
    /// A MySQL table.
    MySql(MySqlTable),
    /// A load generator's only collection.
    LoadGenerator,
}

/// A MySQL table as it was when the export was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MySqlTable {
    /// Schema (database) name.
    pub schema: String,
    /// Table name.
    pub table: String,
    /// All of its columns, in order.
    pub columns: Vec<MySqlColumn>,
    /// Its primary key and unique keys over NOT NULL columns, as positions in `columns`.
    pub keys: Vec<Vec<usize>>,
    /// The executed GTID set of the server when the export was made: the snapshot is at or after it.
    pub initial_gtid_set: String,
}

/// A column of a MySQL table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MySqlColumn {
    /// Its name.
    pub name: String,
    /// `information_schema.columns.data_type`, such as `bigint`.
    pub data_type: String,
    /// `information_schema.columns.column_type`, such as `bigint unsigned` or `enum('a','b')`.
    pub column_type: String,
    /// `information_schema.columns.character_set_name`.
    pub charset: Option<String>,
    /// Whether NULL is allowed.
    pub nullable: bool,
    /// How it is ingested; `None` when it is left out (EXCLUDE COLUMNS).
    pub ingest: Option<MySqlIngest>,
}

/// How a column is ingested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MySqlIngest {
    /// The type of the collection's column.
    pub typ: ColumnType,
    /// Whether it is taken as text (TEXT COLUMNS).
    pub as_text: bool,
}
