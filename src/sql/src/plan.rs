//! What planning gives: plans for the coordinator to carry out, and definitions of catalog items.

use std::collections::{BTreeMap, BTreeSet};

use hw_expr::{HirRelationExpr, HirScalarExpr, MirScalarExpr, RowSetFinishing};
use hw_plan::source::{ExportDetails, LoadGenerator, MySqlTlsMode};
use hw_repr::{ClusterId, DatabaseId, GlobalId, RelationDesc, ReplicaId, RoleId, ScalarType, SchemaId};

use crate::catalog::ItemKind;

/// What a catalog item is. Planning an item's `create_sql` gives this, at creation and at every start.
#[derive(Debug, Clone)]
pub enum ItemDefinition {
    /// A table.
    Table(TableDefinition),
    /// A source, a subsource, or a progress subsource.
    Source(SourceDefinition),
    /// A view.
    View(ViewDefinition),
    /// A materialized view.
    MaterializedView(MaterializedViewDefinition),
    /// An index.
    Index(IndexDefinition),
    /// A connection.
    Connection(ConnectionDefinition),
    /// A secret; its value is kept elsewhere.
    Secret,
    /// A type.
    Type(ScalarType),
}

impl ItemDefinition {
    /// What kind of thing it is.
    pub fn kind(&self) -> ItemKind {
        match self {
            ItemDefinition::Table(_) => ItemKind::Table,
            ItemDefinition::Source(_) => ItemKind::Source,
            ItemDefinition::View(_) => ItemKind::View,
            ItemDefinition::MaterializedView(_) => ItemKind::MaterializedView,
            ItemDefinition::Index(_) => ItemKind::Index,
            ItemDefinition::Connection(_) => ItemKind::Connection,
            ItemDefinition::Secret => ItemKind::Secret,
            ItemDefinition::Type(_) => ItemKind::Type,
        }
    }

    /// Its columns, if it can be read.
    pub fn desc(&self) -> Option<&RelationDesc> {
        match self {
            ItemDefinition::Table(t) => Some(&t.desc),
            ItemDefinition::Source(s) => s.desc.as_ref(),
            ItemDefinition::View(v) => Some(&v.desc),
            ItemDefinition::MaterializedView(v) => Some(&v.desc),
            _ => None,
        }
    }

    /// The cluster on which it runs.
    pub fn cluster(&self) -> Option<ClusterId> {
        match self {
            ItemDefinition::Source(s) => s.cluster,
            ItemDefinition::MaterializedView(v) => Some(v.cluster),
            ItemDefinition::Index(i) => Some(i.cluster),
            _ => None,
        }
    }
}

/// A table: written by users, or fed from a source (`CREATE TABLE … FROM SOURCE`).
#[derive(Debug, Clone)]
pub struct TableDefinition {
    /// Its columns.
    pub desc: RelationDesc,
    /// Each column's DEFAULT (NULL if none is written), over no columns, of the column's type.
    pub defaults: Vec<HirScalarExpr>,
    /// The source and table that feed it.
    pub source: Option<(GlobalId, ExportDetails)>,
    /// Whether it goes with the session.
    pub temporary: bool,
}

/// A source.
#[derive(Debug, Clone)]
pub struct SourceDefinition {
    /// What it is.
    pub kind: SourceKind,
    /// Its columns, `None` for one that cannot be read itself.
    pub desc: Option<RelationDesc>,
    /// The cluster on which it runs (`None` for subsources, which run where their source does).
    pub cluster: Option<ClusterId>,
}

/// What a source is.
#[derive(Debug, Clone)]
pub enum SourceKind {
    /// MySQL; its tables are subsources or tables.
    MySql {
        /// The connection.
        connection: GlobalId,
        /// Its progress subsource.
        progress: GlobalId,
    },
    /// A load generator with one collection.
    LoadGenerator {
        /// Which.
        generator: LoadGenerator,
        /// Its progress subsource.
        progress: GlobalId,
    },
    /// One table of a source.
    Subsource {
        /// The source.
        source: GlobalId,
        /// What it is upstream.
        details: ExportDetails,
    },
    /// The progress subsource of a source, named before the source itself.
    Progress,
}

/// A view.
#[derive(Debug, Clone)]
pub struct ViewDefinition {
    /// The query, uncorrelated, without parameters.
    pub expr: HirRelationExpr,
    /// Its columns.
    pub desc: RelationDesc,
    /// Whether it goes with the session.
    pub temporary: bool,
}

/// A materialized view.
#[derive(Debug, Clone)]
pub struct MaterializedViewDefinition {
    /// The query, uncorrelated, without parameters.
    pub expr: HirRelationExpr,
    /// Its columns.
    pub desc: RelationDesc,
    /// Where it is maintained.
    pub cluster: ClusterId,
    /// Columns asserted to be NOT NULL.
    pub not_null: Vec<usize>,
}

/// An index.
#[derive(Debug, Clone)]
pub struct IndexDefinition {
    /// What is indexed.
    pub on: GlobalId,
    /// The key, over its columns.
    pub keys: Vec<MirScalarExpr>,
    /// Where it is maintained.
    pub cluster: ClusterId,
}

/// A connection.
#[derive(Debug, Clone)]
pub enum ConnectionDefinition {
    /// MySQL.
    MySql {
        /// HOST
        host: String,
        /// PORT
        port: u16,
        /// USER
        user: StringOrSecret,
        /// PASSWORD SECRET
        password: Option<GlobalId>,
        /// SSL MODE
        tls_mode: MySqlTlsMode,
        /// SSL CERTIFICATE AUTHORITY
        tls_ca: Option<StringOrSecret>,
        /// SSL CERTIFICATE
        tls_certificate: Option<StringOrSecret>,
        /// SSL KEY
        tls_key: Option<GlobalId>,
    },
}

/// An option given as text or as a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StringOrSecret {
    /// Text.
    String(String),
    /// A secret.
    Secret(GlobalId),
}

/// The name of an item to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewItemName {
    /// Its schema.
    pub schema: SchemaId,
    /// Its name.
    pub item: String,
}

/// An item to be made.
#[derive(Debug, Clone)]
pub struct NewItem {
    /// Its name.
    pub name: NewItemName,
    /// Its normalised SQL. The ids of items made by the same statement stand in it as [`NewItem::id`] of those.
    pub create_sql: String,
    /// What it is.
    pub definition: ItemDefinition,
    /// What it refers to.
    pub uses: BTreeSet<GlobalId>,
    /// Given by [`crate::statement`] for items that refer to each other in one statement; the coordinator allocates user ids
    /// before planning such statements and passes them in.
    pub id: Option<GlobalId>,
}

/// IF EXISTS or IF NOT EXISTS: whether the contrary is only a notice.
pub type Lenient = bool;

/// A statement, planned.
#[derive(Debug, Clone)]
pub enum Plan {
    /// A query.
    Select(SelectPlan),
    /// SUBSCRIBE.
    Subscribe(SubscribePlan),
    /// EXPLAIN.
    Explain(ExplainPlan),
    /// Rows known when planned (most SHOW statements are queries instead).
    ConstantRows {
        /// The columns.
        desc: RelationDesc,
        /// The rows.
        rows: Vec<hw_repr::Row>,
        /// The command tag, such as `SHOW`.
        tag: &'static str,
    },
    /// COPY query or table TO STDOUT.
    CopyTo {
        /// The query.
        select: Box<CopySource>,
        /// The format.
        format: CopyFormat,
    },
    /// COPY table FROM STDIN.
    CopyFrom {
        /// The table.
        table: GlobalId,
        /// Its columns that are given, in order.
        columns: Vec<usize>,
        /// The format.
        format: CopyFormat,
    },
    /// CREATE DATABASE.
    CreateDatabase {
        /// Its name.
        name: String,
        /// IF NOT EXISTS
        if_not_exists: Lenient,
    },
    /// CREATE SCHEMA.
    CreateSchema {
        /// Its database.
        database: DatabaseId,
        /// Its name.
        name: String,
        /// IF NOT EXISTS
        if_not_exists: Lenient,
    },
    /// CREATE ROLE.
    CreateRole {
        /// Its name.
        name: String,
        /// Options such as INHERIT, by name.
        options: BTreeMap<String, String>,
    },
    /// CREATE CLUSTER.
    CreateCluster {
        /// Its name.
        name: String,
        /// SIZE; `None` for a cluster whose replicas are made by hand.
        size: Option<String>,
        /// REPLICATION FACTOR
        replication_factor: u32,
        /// Replicas made by hand: name and size.
        replicas: Vec<(String, String)>,
        /// IF NOT EXISTS
        if_not_exists: Lenient,
    },
    /// CREATE CLUSTER REPLICA.
    CreateClusterReplica {
        /// The cluster.
        cluster: ClusterId,
        /// Its name.
        name: String,
        /// Its size.
        size: String,
    },
    /// ALTER CLUSTER … SET.
    AlterCluster {
        /// The cluster.
        cluster: ClusterId,
        /// The new SIZE.
        size: Option<String>,
        /// The new REPLICATION FACTOR.
        replication_factor: Option<u32>,
    },
    /// CREATE SECRET.
    CreateSecret {
        /// The item.
        item: NewItem,
        /// Its value.
        value: SecretValue,
        /// IF NOT EXISTS
        if_not_exists: Lenient,
    },
    /// ALTER SECRET.
    AlterSecret {
        /// The secret.
        id: GlobalId,
        /// Its new value.
        value: SecretValue,
    },
    /// CREATE CONNECTION.
    CreateConnection {
        /// The item.
        item: NewItem,
        /// Whether it is validated first.
        validate: bool,
        /// IF NOT EXISTS
        if_not_exists: Lenient,
    },
    /// VALIDATE CONNECTION.
    ValidateConnection {
        /// The connection.
        id: GlobalId,
    },
    /// CREATE TABLE, SOURCE (with its subsources), VIEW, MATERIALIZED VIEW, INDEX, TYPE: all items or none.
    CreateItems {
        /// In an order in which each refers only to those before it (a source comes after its progress subsource and before
        /// its other subsources).
        items: Vec<NewItem>,
        /// The view that CREATE OR REPLACE drops first, with all that depends on it refused.
        replace: Option<GlobalId>,
        /// IF NOT EXISTS, which applies to the item that the statement names.
        if_not_exists: Lenient,
        /// The command tag, such as `CREATE SOURCE`.
        tag: &'static str,
    },
    /// DROP of items, databases, schemas, clusters, replicas, roles.
    Drop(DropPlan),
    /// ALTER … RENAME TO, for any kind.
    Rename {
        /// What.
        object: ObjectId,
        /// The new name.
        to: String,
    },
    /// ALTER … SWAP WITH, for schemas, clusters, and items of one kind in one schema.
    Swap {
        /// One.
        a: ObjectId,
        /// The other.
        b: ObjectId,
    },
    /// ALTER … SET SCHEMA.
    SetSchema {
        /// The item.
        id: GlobalId,
        /// The new schema.
        schema: SchemaId,
    },
    /// ALTER … OWNER TO.
    SetOwner {
        /// What.
        object: ObjectId,
        /// The new owner.
        role: RoleId,
    },
    /// ALTER SYSTEM SET and RESET.
    AlterSystem {
        /// The setting; `None` is all.
        name: Option<String>,
        /// Its new value, `None` is the default.
        value: Option<String>,
    },
    /// COMMENT ON.
    Comment {
        /// What.
        object: ObjectId,
        /// The column's position, from 1.
        column: Option<usize>,
        /// The text, `None` removes it.
        text: Option<String>,
    },
    /// INSERT of a query's rows.
    Insert {
        /// The table.
        table: GlobalId,
        /// Rows of all of the table's columns.
        source: HirRelationExpr,
        /// RETURNING, over the table's columns.
        returning: Option<ReturningPlan>,
    },
    /// DELETE and UPDATE.
    Mutate {
        /// The table.
        table: GlobalId,
        /// The rows that are affected, each as often as the table has it, with all of the table's columns first.
        selection: HirRelationExpr,
        /// For UPDATE: for each of the table's columns the new value over `selection`'s columns.
        assignments: Option<Vec<HirScalarExpr>>,
        /// RETURNING, over `selection`'s columns with the table's (the first) as they are after UPDATE.
        returning: Option<ReturningPlan>,
    },
    /// BEGIN and START TRANSACTION, with the command tag.
    Begin(TransactionMode, &'static str),
    /// SET TRANSACTION.
    SetTransaction {
        /// What is said of the mode.
        mode: TransactionMode,
        /// SET SESSION CHARACTERISTICS: for the session's transactions from the next one on.
        session: bool,
    },
    /// COMMIT.
    Commit,
    /// ROLLBACK.
    Rollback,
    /// SET.
    SetVariable {
        /// Lower-case name.
        name: String,
        /// The values; `None` is DEFAULT.
        values: Option<Vec<String>>,
        /// SET LOCAL
        local: bool,
    },
    /// RESET of one variable.
    ResetVariable(String),
    /// RESET ALL.
    ResetAll,
    /// SHOW of one variable.
    ShowVariable(String),
    /// SHOW ALL.
    ShowAll,
    /// DISCARD.
    Discard(DiscardWhat),
    /// PREPARE.
    Prepare {
        /// Its name.
        name: String,
        /// The statement's text.
        sql: String,
        /// The types that are given, as far as they are.
        types: Vec<Option<ScalarType>>,
    },
    /// EXECUTE.
    Execute {
        /// The prepared statement.
        name: String,
        /// Its parameters, over no columns.
        params: Vec<HirScalarExpr>,
    },
    /// DEALLOCATE; `None` is ALL.
    Deallocate(Option<String>),
    /// DECLARE.
    Declare {
        /// The cursor.
        name: String,
        /// The text of its query (or SUBSCRIBE).
        sql: String,
        /// WITH HOLD
        hold: bool,
    },
    /// FETCH and MOVE.
    Fetch {
        /// The cursor.
        name: String,
        /// Which rows.
        direction: FetchDirection,
        /// MOVE: the rows are passed over.
        discard: bool,
        /// WITH (timeout = …), in milliseconds; `None` is the default: what is there for a SUBSCRIBE's cursor.
        timeout_ms: Option<u64>,
    },
    /// CLOSE; `None` is ALL.
    Close(Option<String>),
}

/// Where FETCH and MOVE go from where the cursor is (PostgreSQL manual, FETCH).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchDirection {
    /// So many rows on; back if negative; none is the row where the cursor is.
    Forward(i64),
    /// All that follow.
    ForwardAll,
    /// All before, in reverse.
    BackwardAll,
    /// The n-th row; from the end if negative.
    Absolute(i64),
    /// The n-th row from here.
    Relative(i64),
}

/// What is said of a transaction's mode.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TransactionMode {
    /// READ ONLY or READ WRITE, if given.
    pub read_only: Option<bool>,
    /// ISOLATION LEVEL, as the session variable has it, if given.
    pub isolation: Option<String>,
}

/// What DISCARD discards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiscardWhat {
    /// Everything that the session has.
    All,
    /// Its temporary objects.
    Temp,
    /// Plans that are kept of its prepared statements.
    Plans,
    /// What is kept of sequences.
    Sequences,
}

/// What to drop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropPlan {
    /// Everything that goes: what is named and, with CASCADE, what depends on it (subsources go with their source in any case).
    pub objects: Vec<ObjectId>,
    /// The command tag, such as `DROP TABLE`.
    pub tag: &'static str,
    /// Notices about what does not exist (IF EXISTS).
    pub notices: Vec<String>,
}

/// Any kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectId {
    /// An item.
    Item(GlobalId),
    /// A database.
    Database(DatabaseId),
    /// A schema.
    Schema(SchemaId),
    /// A cluster.
    Cluster(ClusterId),
    /// A replica.
    Replica(ClusterId, ReplicaId),
    /// A role.
    Role(RoleId),
}

/// A secret's value, which does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue(pub Vec<u8>);

impl std::fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretValue(…)")
    }
}

/// When a query reads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum QueryWhen {
    /// As the session's isolation level says.
    #[default]
    Immediately,
    /// AS OF: an expression of a time, over no columns.
    AtTimestamp(MirScalarExpr),
    /// AS OF AT LEAST.
    AtLeastTimestamp(MirScalarExpr),
}

/// A query.
#[derive(Debug, Clone)]
pub struct SelectPlan {
    /// The query; may contain parameters until they are bound.
    pub expr: HirRelationExpr,
    /// Its columns (after `finishing`).
    pub desc: RelationDesc,
    /// What is done to its rows at the end; over `expr`'s columns.
    pub finishing: RowSetFinishing,
    /// When it reads.
    pub when: QueryWhen,
}

/// What is copied out.
#[derive(Debug, Clone)]
pub enum CopySource {
    /// A query.
    Select(SelectPlan),
    /// A subscription.
    Subscribe(SubscribePlan),
}

/// What is subscribed to.
#[derive(Debug, Clone)]
pub enum SubscribeFrom {
    /// A collection.
    Id(GlobalId),
    /// A query.
    Query(HirRelationExpr),
}

/// SUBSCRIBE.
#[derive(Debug, Clone)]
pub struct SubscribePlan {
    /// To what.
    pub from: SubscribeFrom,
    /// Its columns.
    pub from_desc: RelationDesc,
    /// Whether the contents at the beginning come first (SNAPSHOT).
    pub with_snapshot: bool,
    /// Whether progress messages are sent (PROGRESS).
    pub progress: bool,
    /// From when (AS OF).
    pub when: QueryWhen,
    /// UP TO.
    pub up_to: Option<MirScalarExpr>,
    /// The form of the output.
    pub output: SubscribeOutput,
    /// The columns of the output, `mz_timestamp` first.
    pub desc: RelationDesc,
}

/// The form of a subscription's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubscribeOutput {
    /// `mz_timestamp`, (`mz_progressed`,) `mz_diff`, the columns.
    Diffs,
    /// As `Diffs`, ordered within each time by these columns of the output.
    WithinTimestampOrderBy(Vec<hw_repr::ColumnOrder>),
    /// `mz_timestamp`, (`mz_progressed`,) `mz_state`, key columns, other columns.
    EnvelopeUpsert {
        /// Positions of the key in the input.
        key: Vec<usize>,
    },
    /// `mz_timestamp`, (`mz_progressed`,) `mz_state`, key columns, `before_…`, `after_…`.
    EnvelopeDebezium {
        /// Positions of the key in the input.
        key: Vec<usize>,
    },
}

/// Which plan EXPLAIN shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExplainStage {
    /// HIR.
    Raw,
    /// MIR as lowered.
    Decorrelated,
    /// MIR optimised without other objects.
    LocallyOptimized,
    /// MIR as it runs.
    Optimized,
    /// LIR.
    Physical,
    /// The time at which it would read, and why.
    Timestamp,
}

impl ExplainStage {
    /// The column of EXPLAIN's result.
    pub fn desc(self) -> RelationDesc {
        let name = match self {
            ExplainStage::Raw => "Raw Plan",
            ExplainStage::Decorrelated => "Decorrelated Plan",
            ExplainStage::LocallyOptimized => "Locally Optimized Plan",
            ExplainStage::Optimized => "Optimized Plan",
            ExplainStage::Physical => "Physical Plan",
            ExplainStage::Timestamp => "Timestamp",
        };
        RelationDesc::empty().with_column(name, ScalarType::String.nullable(false))
    }
}

/// EXPLAIN.
#[derive(Debug, Clone)]
pub struct ExplainPlan {
    /// Which plan.
    pub stage: ExplainStage,
    /// Of what.
    pub target: ExplainTarget,
    /// As JSON rather than text.
    pub json: bool,
    /// WITH (…) options, each switched on or off: `arity`, `types`, `keys`, `join implementations`, …
    pub options: BTreeMap<String, bool>,
}

/// What EXPLAIN explains.
#[derive(Debug, Clone)]
pub enum ExplainTarget {
    /// A query.
    Select(SelectPlan),
    /// An existing view, materialized view or index.
    Item(GlobalId),
    /// A CREATE … statement.
    Create(Box<NewItem>),
}

/// RETURNING.
#[derive(Debug, Clone)]
pub struct ReturningPlan {
    /// The values.
    pub exprs: Vec<HirScalarExpr>,
    /// Their columns.
    pub desc: RelationDesc,
}

/// The format of COPY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyFormat {
    /// PostgreSQL's text format.
    Text {
        /// DELIMITER
        delimiter: u8,
        /// NULL
        null: String,
        /// HEADER
        header: CopyHeader,
    },
    /// CSV.
    Csv {
        /// DELIMITER
        delimiter: u8,
        /// QUOTE
        quote: u8,
        /// ESCAPE
        escape: u8,
        /// NULL
        null: String,
        /// HEADER
        header: CopyHeader,
        /// What is said of single columns; nothing if empty.
        forced: Vec<CopyForced>,
    },
    /// PostgreSQL's binary format.
    Binary,
}

/// Whether the first line of COPY's data is a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyHeader {
    /// It is not.
    No,
    /// It is; what is read is passed over.
    Yes,
    /// It is, and has to give the columns' names.
    Match,
}

/// What COPY's CSV options say of a column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CopyForced {
    /// FORCE_QUOTE: values are written in quotes.
    pub quote: bool,
    /// FORCE_NOT_NULL: what looks like NULL is a value.
    pub not_null: bool,
    /// FORCE_NULL: what looks like NULL is NULL in quotes too.
    pub null: bool,
}
