//! Statements.
//!
//! Queries, INSERT, UPDATE, DELETE and the body of CREATE TABLE are `sqlparser`'s; the rest is ours. Identifiers that were not quoted
//! are in lower case. A node that is stored later keeps the statement's text ([`QueryText`]), from which normalised SQL is made.

use std::fmt;
use std::sync::Arc;

use sqlparser::ast;
pub use sqlparser::ast::Ident;

use crate::catalog::ItemKind;
use crate::plan::{DiscardWhat, FetchDirection};

/// A name of one or more parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(pub Vec<Ident>);

impl Name {
    /// The parts.
    pub fn parts(&self) -> Vec<String> {
        self.0.iter().map(|i| i.value.clone()).collect()
    }

    /// Where it begins in the statement, from 1.
    pub fn position(&self) -> usize {
        self.0.first().and_then(|i| super::position(i.span)).unwrap_or(1)
    }

    /// The last part.
    pub fn last(&self) -> &str {
        self.0.last().map_or("", |i| &i.value)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.parts().join("."))
    }
}

/// A query with its text.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryText {
    /// The query.
    pub query: Box<ast::Query>,
    /// The whole statement's text; positions of the query's nodes are in it.
    pub sql: Arc<str>,
    /// Where the query is in it: characters from 0, the end excluded.
    pub range: (usize, usize),
}

/// Expressions with their text.
#[derive(Debug, Clone, PartialEq)]
pub struct ExprsText {
    /// Each expression, and where it is.
    pub exprs: Vec<(ast::Expr, (usize, usize))>,
    /// The whole statement's text.
    pub sql: Arc<str>,
}

/// AS OF.
#[derive(Debug, Clone, PartialEq)]
pub enum AsOf {
    /// AS OF
    At(ast::Expr),
    /// AS OF AT LEAST
    AtLeast(ast::Expr),
}

/// An option's value.
#[derive(Debug, Clone, PartialEq)]
pub enum OptionValue {
    /// None is given.
    None,
    /// A string.
    String(String),
    /// A number as written.
    Number(String),
    /// SECRET and a name.
    Secret(Name),
    /// A list of names in parentheses.
    List(Vec<Name>),
    /// A list of replicas.
    Replicas(Vec<(Ident, Vec<SqlOption>)>),
    /// Anything else, as written; with the name that it may be.
    Raw(String, Option<Name>),
}

/// An option.
#[derive(Debug, Clone, PartialEq)]
pub struct SqlOption {
    /// Its name in upper case, words parted by one space.
    pub name: &'static str,
    /// Its value.
    pub value: OptionValue,
    /// Where it is in the statement, from 1.
    pub position: usize,
}

/// Any kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectKind {
    /// An item.
    Item(ItemKind),
    /// A database.
    Database,
    /// A schema.
    Schema,
    /// A cluster.
    Cluster,
    /// A replica of a cluster.
    ClusterReplica,
    /// A role.
    Role,
    /// A column (COMMENT ON).
    Column,
    /// A function (refused).
    Function,
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ObjectKind::Item(kind) => kind.fmt(f),
            ObjectKind::Database => f.write_str("database"),
            ObjectKind::Schema => f.write_str("schema"),
            ObjectKind::Cluster => f.write_str("cluster"),
            ObjectKind::ClusterReplica => f.write_str("cluster replica"),
            ObjectKind::Role => f.write_str("role"),
            ObjectKind::Column => f.write_str("column"),
            ObjectKind::Function => f.write_str("function"),
        }
    }
}

/// SELECT, VALUES, TABLE, WITH.
#[derive(Debug, Clone, PartialEq)]
pub struct SelectStatement {
    /// The query.
    pub query: QueryText,
    /// AS OF
    pub as_of: Option<AsOf>,
}

/// What SUBSCRIBE is to.
#[derive(Debug, Clone, PartialEq)]
pub enum SubscribeTarget {
    /// An object.
    Name(Name),
    /// A query.
    Query(QueryText),
}

/// The form of SUBSCRIBE's output.
#[derive(Debug, Clone, PartialEq)]
pub enum SubscribeForm {
    /// Changes.
    Diffs,
    /// WITHIN TIMESTAMP ORDER BY
    WithinTimestampOrderBy(Vec<ast::OrderByExpr>),
    /// ENVELOPE UPSERT (KEY (…))
    Upsert(Vec<Ident>),
    /// ENVELOPE DEBEZIUM (KEY (…))
    Debezium(Vec<Ident>),
}

/// SUBSCRIBE.
#[derive(Debug, Clone, PartialEq)]
pub struct SubscribeStatement {
    /// To what.
    pub target: SubscribeTarget,
    /// WITH (…)
    pub options: Vec<SqlOption>,
    /// AS OF
    pub as_of: Option<AsOf>,
    /// UP TO
    pub up_to: Option<ast::Expr>,
    /// The form of the output.
    pub form: SubscribeForm,
}

/// Which plan EXPLAIN shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExplainWhat {
    /// EXPLAIN RAW PLAN
    Raw,
    /// EXPLAIN DECORRELATED PLAN
    Decorrelated,
    /// EXPLAIN LOCALLY OPTIMIZED PLAN
    LocallyOptimized,
    /// EXPLAIN OPTIMIZED PLAN
    Optimized,
    /// EXPLAIN PHYSICAL PLAN, and EXPLAIN alone
    Physical,
    /// EXPLAIN TIMESTAMP
    Timestamp,
}

/// What EXPLAIN explains.
#[derive(Debug, Clone, PartialEq)]
pub enum ExplainTarget {
    /// A statement: SELECT, CREATE [MATERIALIZED] VIEW, CREATE INDEX.
    Statement(Box<Statement>),
    /// An object that exists.
    Item(ItemKind, Name),
}

/// EXPLAIN.
#[derive(Debug, Clone, PartialEq)]
pub struct ExplainStatement {
    /// Which plan.
    pub what: ExplainWhat,
    /// WITH (…): lower-case names with blanks between their words, each switched on or off.
    pub options: Vec<(String, bool)>,
    /// AS JSON
    pub json: bool,
    /// Of what.
    pub target: ExplainTarget,
}

/// COPY.
#[derive(Debug, Clone, PartialEq)]
pub enum CopyStatement {
    /// COPY (SELECT | SUBSCRIBE) TO STDOUT
    To {
        /// The statement.
        source: Box<Statement>,
        /// WITH (…)
        options: Vec<SqlOption>,
    },
    /// COPY table [(columns)] TO STDOUT
    TableTo {
        /// The relation.
        table: Name,
        /// Its columns.
        columns: Vec<Ident>,
        /// WITH (…)
        options: Vec<SqlOption>,
    },
    /// COPY table [(columns)] FROM STDIN
    From {
        /// The table.
        table: Name,
        /// Its columns.
        columns: Vec<Ident>,
        /// WITH (…)
        options: Vec<SqlOption>,
    },
}

/// CREATE TABLE with columns.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateTableStatement {
    /// Its name.
    pub name: Name,
    /// The statement.
    pub table: Box<ast::CreateTable>,
    /// The statement's text.
    pub sql: Arc<str>,
}

/// CREATE TABLE … FROM SOURCE.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateTableFromSourceStatement {
    /// Its name.
    pub name: Name,
    /// IF NOT EXISTS
    pub if_not_exists: bool,
    /// Names for its columns.
    pub columns: Vec<Ident>,
    /// The source.
    pub source: Name,
    /// REFERENCE
    pub reference: Option<Name>,
    /// WITH (…)
    pub options: Vec<SqlOption>,
}

/// CREATE VIEW.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateViewStatement {
    /// Its name.
    pub name: Name,
    /// TEMPORARY
    pub temporary: bool,
    /// OR REPLACE
    pub or_replace: bool,
    /// IF NOT EXISTS
    pub if_not_exists: bool,
    /// Names for its columns.
    pub columns: Vec<Ident>,
    /// The query.
    pub query: QueryText,
}

/// CREATE MATERIALIZED VIEW.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateMaterializedViewStatement {
    /// Its name.
    pub name: Name,
    /// OR REPLACE
    pub or_replace: bool,
    /// IF NOT EXISTS
    pub if_not_exists: bool,
    /// Names for its columns.
    pub columns: Vec<Ident>,
    /// IN CLUSTER
    pub cluster: Option<Ident>,
    /// WITH (ASSERT NOT NULL = column, …)
    pub options: Vec<SqlOption>,
    /// The query.
    pub query: QueryText,
}

/// CREATE INDEX.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateIndexStatement {
    /// Its name.
    pub name: Option<Ident>,
    /// The parts before its name, which only stored SQL has.
    pub qualifiers: Vec<Ident>,
    /// IF NOT EXISTS
    pub if_not_exists: bool,
    /// IN CLUSTER
    pub cluster: Option<Ident>,
    /// On what.
    pub on: Name,
    /// The key; `None` for CREATE DEFAULT INDEX.
    pub key: Option<ExprsText>,
    /// WITH (…)
    pub options: Vec<SqlOption>,
}

/// Which tables of the upstream system.
#[derive(Debug, Clone, PartialEq)]
pub enum ForTables {
    /// None: tables are made later.
    None,
    /// FOR ALL TABLES
    All,
    /// FOR SCHEMAS (…)
    Schemas(Vec<Ident>),
    /// FOR TABLES (upstream AS name, …)
    Tables(Vec<(Name, Option<Name>)>),
}

/// Where a source comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum SourceFrom {
    /// FROM MYSQL CONNECTION c (…)
    MySql {
        /// The connection.
        connection: Name,
        /// (TEXT COLUMNS (…), EXCLUDE COLUMNS (…))
        options: Vec<SqlOption>,
    },
    /// FROM LOAD GENERATOR COUNTER (…)
    LoadGenerator {
        /// Its kind in upper case.
        kind: String,
        /// (TICK INTERVAL '1s', …)
        options: Vec<SqlOption>,
    },
}

/// CREATE SOURCE.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateSourceStatement {
    /// Its name.
    pub name: Name,
    /// IF NOT EXISTS
    pub if_not_exists: bool,
    /// IN CLUSTER
    pub cluster: Option<Ident>,
    /// From where.
    pub from: SourceFrom,
    /// FOR …
    pub tables: ForTables,
    /// EXPOSE PROGRESS AS
    pub progress: Option<Name>,
    /// WITH (…)
    pub options: Vec<SqlOption>,
}

/// CREATE SUBSOURCE, which only stored SQL has.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateSubsourceStatement {
    /// Its name.
    pub name: Name,
    /// OF SOURCE; `None` for a progress subsource.
    pub source: Option<Name>,
    /// WITH (…)
    pub options: Vec<SqlOption>,
}

/// CREATE CONNECTION.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateConnectionStatement {
    /// Its name.
    pub name: Name,
    /// IF NOT EXISTS
    pub if_not_exists: bool,
    /// TO what, in upper case.
    pub kind: String,
    /// Where the kind is.
    pub kind_position: usize,
    /// Its options.
    pub options: Vec<SqlOption>,
    /// WITH (…)
    pub with_options: Vec<SqlOption>,
}

/// CREATE TYPE.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateTypeStatement {
    /// Its name.
    pub name: Name,
    /// As what.
    pub body: CreateTypeBody,
    /// The statement's text.
    pub sql: Arc<str>,
    /// Where the body is in it, from 0.
    pub range: (usize, usize),
}

/// As what a type is made.
#[derive(Debug, Clone, PartialEq)]
pub enum CreateTypeBody {
    /// AS LIST (ELEMENT TYPE = t)
    List(ast::DataType),
    /// AS MAP (KEY TYPE = k, VALUE TYPE = v)
    Map(ast::DataType, ast::DataType),
    /// AS (field type, …)
    Record(Vec<(Ident, ast::DataType)>),
}

/// What ALTER does to an object of any kind.
#[derive(Debug, Clone, PartialEq)]
pub enum AlterAction {
    /// RENAME TO
    Rename(Ident),
    /// SET SCHEMA
    SetSchema(Name),
    /// SWAP WITH
    Swap(Ident),
    /// OWNER TO
    Owner(Ident),
    /// SET (…)
    SetOptions(Vec<SqlOption>),
    /// RESET (…)
    ResetOptions(Vec<(String, usize)>),
}

/// SHOW of objects.
#[derive(Debug, Clone, PartialEq)]
pub struct ShowObjectsStatement {
    /// Of which.
    pub what: ShowObjects,
    /// FROM or IN: a schema or database; for columns, indexes, subsources the object.
    pub from: Option<Name>,
    /// ON: the object of SHOW INDEXES and SHOW SUBSOURCES.
    pub on: Option<Name>,
    /// IN CLUSTER
    pub cluster: Option<Ident>,
    /// LIKE
    pub like: Option<String>,
    /// WHERE
    pub filter: Option<ast::Expr>,
}

/// What SHOW lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShowObjects {
    /// SHOW DATABASES
    Databases,
    /// SHOW SCHEMAS
    Schemas,
    /// SHOW OBJECTS
    Objects,
    /// SHOW TABLES, SOURCES, …
    Items(ItemKind),
    /// SHOW SUBSOURCES
    Subsources,
    /// SHOW COLUMNS
    Columns,
    /// SHOW CLUSTERS
    Clusters,
    /// SHOW CLUSTER REPLICAS
    ClusterReplicas,
    /// SHOW ROLES
    Roles,
}

/// The values of SET.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetValue {
    /// DEFAULT
    Default,
    /// One or more.
    Values(Vec<String>),
}

/// A statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// SELECT, VALUES, TABLE, WITH
    Select(SelectStatement),
    /// SUBSCRIBE
    Subscribe(Box<SubscribeStatement>),
    /// EXPLAIN
    Explain(ExplainStatement),
    /// COPY
    Copy(CopyStatement),
    /// INSERT
    Insert(Box<ast::Insert>),
    /// UPDATE
    Update(Box<ast::Update>),
    /// DELETE
    Delete(Box<ast::Delete>),
    /// CREATE TABLE
    CreateTable(CreateTableStatement),
    /// CREATE TABLE … FROM SOURCE
    CreateTableFromSource(CreateTableFromSourceStatement),
    /// CREATE VIEW
    CreateView(CreateViewStatement),
    /// CREATE MATERIALIZED VIEW
    CreateMaterializedView(CreateMaterializedViewStatement),
    /// CREATE INDEX
    CreateIndex(CreateIndexStatement),
    /// CREATE SOURCE
    CreateSource(CreateSourceStatement),
    /// CREATE SUBSOURCE
    CreateSubsource(CreateSubsourceStatement),
    /// CREATE CONNECTION
    CreateConnection(CreateConnectionStatement),
    /// VALIDATE CONNECTION
    ValidateConnection(Name),
    /// CREATE SECRET
    CreateSecret {
        /// Its name.
        name: Name,
        /// IF NOT EXISTS
        if_not_exists: bool,
        /// AS; `None` only in stored SQL.
        value: Option<ast::Expr>,
    },
    /// ALTER SECRET … AS
    AlterSecret {
        /// Its name.
        name: Name,
        /// IF EXISTS
        if_exists: bool,
        /// AS
        value: ast::Expr,
    },
    /// CREATE TYPE
    CreateType(CreateTypeStatement),
    /// CREATE DATABASE
    CreateDatabase {
        /// Its name.
        name: Ident,
        /// IF NOT EXISTS
        if_not_exists: bool,
    },
    /// CREATE SCHEMA
    CreateSchema {
        /// Its name.
        name: Name,
        /// IF NOT EXISTS
        if_not_exists: bool,
    },
    /// CREATE ROLE
    CreateRole {
        /// Its name.
        name: Ident,
        /// Its options: upper-case words, with where they are.
        options: Vec<(String, usize)>,
    },
    /// CREATE CLUSTER
    CreateCluster {
        /// Its name.
        name: Ident,
        /// IF NOT EXISTS
        if_not_exists: bool,
        /// Its options.
        options: Vec<SqlOption>,
    },
    /// CREATE CLUSTER REPLICA
    CreateClusterReplica {
        /// Cluster and replica.
        name: Name,
        /// IF NOT EXISTS
        if_not_exists: bool,
        /// Its options.
        options: Vec<SqlOption>,
    },
    /// ALTER of any object.
    Alter {
        /// Of what kind.
        kind: ObjectKind,
        /// IF EXISTS
        if_exists: bool,
        /// Its name.
        name: Name,
        /// What is done.
        action: AlterAction,
    },
    /// ALTER SYSTEM SET | RESET | RESET ALL
    AlterSystem {
        /// The setting; `None` is all.
        name: Option<String>,
        /// Its value; `None` is RESET.
        value: Option<SetValue>,
    },
    /// DROP
    Drop {
        /// Of what kind.
        kind: ObjectKind,
        /// IF EXISTS
        if_exists: bool,
        /// Their names.
        names: Vec<Name>,
        /// CASCADE
        cascade: bool,
    },
    /// COMMENT ON
    Comment {
        /// Of what kind.
        kind: ObjectKind,
        /// Its name (of a column: the relation's name and the column).
        name: Name,
        /// IS
        text: Option<String>,
    },
    /// SHOW of objects
    ShowObjects(ShowObjectsStatement),
    /// SHOW CREATE
    ShowCreate {
        /// Of what kind.
        kind: ObjectKind,
        /// Its name.
        name: Name,
    },
    /// SHOW of a setting
    ShowVariable(String),
    /// SHOW ALL
    ShowAll,
    /// SET
    SetVariable {
        /// Its name.
        name: String,
        /// Its value.
        value: SetValue,
        /// LOCAL
        local: bool,
    },
    /// SET TRANSACTION and SET SESSION CHARACTERISTICS AS TRANSACTION
    SetTransaction {
        /// Whether it is for the session.
        session: bool,
        /// The modes.
        modes: TransactionModes,
    },
    /// RESET
    ResetVariable(String),
    /// RESET ALL
    ResetAll,
    /// DISCARD
    Discard(DiscardWhat),
    /// BEGIN and START TRANSACTION, with the command tag
    Begin(TransactionModes, &'static str),
    /// COMMIT
    Commit,
    /// ROLLBACK
    Rollback,
    /// PREPARE
    Prepare {
        /// Its name.
        name: Ident,
        /// The types that are given.
        types: Vec<ast::DataType>,
        /// The statement's text.
        sql: String,
    },
    /// EXECUTE
    Execute {
        /// The prepared statement.
        name: Ident,
        /// Its parameters.
        params: Vec<ast::Expr>,
    },
    /// DEALLOCATE; `None` is ALL
    Deallocate(Option<Ident>),
    /// DECLARE
    Declare {
        /// The cursor.
        name: Ident,
        /// The statement.
        statement: Box<Statement>,
        /// Its text.
        sql: String,
        /// WITH HOLD
        hold: bool,
    },
    /// FETCH and MOVE
    Fetch {
        /// The cursor.
        name: Ident,
        /// Which rows.
        direction: FetchDirection,
        /// MOVE
        discard: bool,
        /// WITH (TIMEOUT = …)
        options: Vec<SqlOption>,
    },
    /// CLOSE; `None` is ALL
    Close(Option<Ident>),
}

/// Modes of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TransactionModes {
    /// READ ONLY or READ WRITE
    pub read_only: Option<bool>,
    /// ISOLATION LEVEL, in lower case.
    pub isolation: Option<String>,
}
