//! CREATE and VALIDATE.

use std::sync::Arc;

use sqlparser::ast::Statement as Standard;
use sqlparser::tokenizer::Token;

use super::ast::{
    CreateConnectionStatement, CreateIndexStatement, CreateMaterializedViewStatement, CreateSourceStatement,
    CreateSubsourceStatement, CreateTableFromSourceStatement, CreateTableStatement, CreateTypeBody,
    CreateTypeStatement, CreateViewStatement, ExprsText, ForTables, Ident, SourceFrom, Statement,
};
use super::cursor::{Cursor, Parsed};
use super::grammar::unsupported;
use crate::error::PlanError;

const CLUSTER_OPTIONS: &[&str] = &[
    "SIZE",
    "REPLICATION FACTOR",
    "REPLICAS",
    "MANAGED",
    "AVAILABILITY ZONES",
    "SCHEDULE",
    "INTROSPECTION INTERVAL",
    "INTROSPECTION DEBUGGING",
    "DISK",
    "WORKLOAD CLASS",
];
const REPLICA_OPTIONS: &[&str] = &[
    "SIZE",
    "AVAILABILITY ZONE",
    "BILLED AS",
    "INTERNAL",
    "INTROSPECTION INTERVAL",
    "INTROSPECTION DEBUGGING",
    "DISK",
    "STORAGECTL ADDRESSES",
    "STORAGE ADDRESSES",
    "COMPUTECTL ADDRESSES",
    "COMPUTE ADDRESSES",
    "WORKERS",
];
const CONNECTION_OPTIONS: &[&str] = &[
    "HOST",
    "PORT",
    "USER",
    "PASSWORD",
    "SSL MODE",
    "SSL CERTIFICATE AUTHORITY",
    "SSL CERTIFICATE",
    "SSL KEY",
    "SSH TUNNEL",
    "AWS PRIVATELINK",
    "AWS CONNECTION",
    "DATABASE",
    "BROKER",
    "BROKERS",
    "URL",
    "SECURITY PROTOCOL",
    "SASL MECHANISMS",
    "SASL USERNAME",
    "SASL PASSWORD",
    "PROGRESS TOPIC",
];
pub(crate) const SOURCE_OPTIONS: &[&str] = &["TEXT COLUMNS", "EXCLUDE COLUMNS", "DETAILS"];
const GENERATOR_OPTIONS: &[&str] = &["TICK INTERVAL", "MAX CARDINALITY", "SCALE FACTOR", "AS OF", "UP TO"];
const SOURCE_WITH_OPTIONS: &[&str] = &["RETAIN HISTORY", "TIMESTAMP INTERVAL", "PROGRESS"];
const TABLE_OPTIONS: &[&str] =
    &["TEXT COLUMNS", "EXCLUDE COLUMNS", "DETAILS", "RETAIN HISTORY", "PARTITION BY"];
const VIEW_OPTIONS: &[&str] = &["ASSERT NOT NULL", "REFRESH", "RETAIN HISTORY", "PARTITION BY"];

impl Cursor<'_> {
    pub(crate) fn create(&mut self) -> Parsed<Statement> {
        if matches!(self.word(1), Some("table"))
            || matches!(
                (self.word(1), self.word(2)),
                (
                    Some("temp" | "temporary" | "unlogged" | "global" | "local"),
                    Some("table" | "temp" | "temporary")
                )
            )
        {
            return self.create_table();
        }
        self.advance();
        let or_replace = self.take(&["or", "replace"]);
        let temporary = self.take(&["temporary"]) || self.take(&["temp"]);
        if self.take(&["view"]) {
            return self.create_view(or_replace, temporary);
        }
        if temporary {
            return Err(self.unexpected());
        }
        if self.take(&["materialized", "view"]) {
            return self.create_materialized_view(or_replace);
        }
        if or_replace {
            if matches!(self.word(0), Some("function" | "procedure" | "aggregate" | "rule" | "trigger")) {
                return Err(unsupported(self, "CREATE FUNCTION and the like"));
            }
            return Err(self.unexpected());
        }
        let word = self.word(0).ok_or_else(|| self.unexpected())?.to_owned();
        match word.as_str() {
            "index" => self.create_index(false),
            "default" if self.word(1) == Some("index") => {
                self.advance();
                self.create_index(true)
            }
            "unique" => Err(unsupported(self, "CREATE UNIQUE INDEX")),
            "source" => self.create_source(),
            "subsource" => self.create_subsource(),
            "connection" => self.create_connection(),
            "secret" => self.create_secret(),
            "cluster" => self.create_cluster(),
            "type" => self.create_type(),
            "database" => {
                self.advance();
                let if_not_exists = self.if_not_exists();
                Ok(Statement::CreateDatabase { name: self.ident()?, if_not_exists })
            }
            "schema" => {
                self.advance();
                let if_not_exists = self.if_not_exists();
                Ok(Statement::CreateSchema { name: self.name()?, if_not_exists })
            }
            "role" | "user" => self.create_role(),
            "sink" => Err(unsupported(self, "CREATE SINK")),
            "webhook" | "network" | "function" | "procedure" | "sequence" | "extension" | "trigger"
            | "domain" | "rule" | "aggregate" | "operator" | "cast" | "collation" | "policy" | "server"
            | "foreign" | "publication" | "subscription" | "tablespace" | "statistics" | "event"
            | "group" | "language" | "conversion" | "access" => {
                Err(unsupported(self, &format!("CREATE {}", word.to_uppercase())))
            }
            _ => Err(self.unexpected()),
        }
    }

    fn create_table(&mut self) -> Parsed<Statement> {
        let mut n = 1;
        while self.word(n) != Some("table") && self.word(n).is_some() {
            n += 1;
        }
        n += if self.word(n + 1) == Some("if") { 4 } else { 1 };
        // The name's parts, then perhaps columns in parentheses, then FROM SOURCE.
        let mut after = n + 1;
        while *self.peek_nth(after) == Token::Period {
            after += 2;
        }
        let mut depth = 0usize;
        if *self.peek_nth(after) == Token::LParen {
            loop {
                match self.peek_nth(after) {
                    Token::LParen => depth += 1,
                    Token::RParen => depth -= 1,
                    Token::EOF => break,
                    _ => {}
                }
                after += 1;
                if depth == 0 {
                    break;
                }
            }
        }
        if self.word(after) == Some("from") && self.word(after + 1) == Some("source") {
            return self.create_table_from_source();
        }
        // A reserved word is not a name: our message is clearer.
        let sql = Arc::clone(&self.sql);
        if let Some(w) = self.word(n).filter(|w| crate::names::is_reserved(w)).map(str::to_owned) {
            for _ in 0..n {
                self.advance();
            }
            let hint = format!("\"{w}\" is a reserved word; quote it to use it as a name.");
            return Err(self.unexpected().with_hint(hint));
        }
        let statement = self.run(|p| p.parse_statement())?;
        let Standard::CreateTable(table) = statement else { return Err(self.unexpected()) };
        let parts = table.name.0.iter().map(|p| p.as_ident().cloned()).collect::<Option<Vec<Ident>>>();
        let name = super::ast::Name(parts.ok_or_else(|| PlanError::syntax("invalid table name"))?);
        Ok(Statement::CreateTable(CreateTableStatement { name, table: Box::new(table), sql }))
    }

    fn create_table_from_source(&mut self) -> Parsed<Statement> {
        self.expect(&["create", "table"])?;
        let if_not_exists = self.if_not_exists();
        let name = self.name()?;
        let columns = self.optional_columns()?;
        self.expect(&["from", "source"])?;
        let source = self.name()?;
        let mut reference = None;
        if self.take_token(&Token::LParen) {
            self.expect(&["reference"])?;
            self.take_token(&Token::Eq);
            reference = Some(self.upstream_name()?);
            self.expect_token(&Token::RParen)?;
        }
        let options = self.with_options("CREATE TABLE … FROM SOURCE", TABLE_OPTIONS)?;
        let table =
            CreateTableFromSourceStatement { name, if_not_exists, columns, source, reference, options };
        Ok(Statement::CreateTableFromSource(table))
    }

    /// A name of the upstream system, in which any word may stand.
    fn upstream_name(&mut self) -> Parsed<super::ast::Name> {
        let mut parts = vec![self.any_ident()?];
        while self.take_token(&Token::Period) {
            parts.push(self.any_ident()?);
        }
        Ok(super::ast::Name(parts))
    }

    fn create_view(&mut self, or_replace: bool, temporary: bool) -> Parsed<Statement> {
        let if_not_exists = self.if_not_exists();
        let name = self.name()?;
        let columns = self.optional_columns()?;
        self.expect(&["as"])?;
        let query = self.query()?;
        if self.word(0) == Some("with") {
            return Err(unsupported(self, "CREATE VIEW … WITH CHECK OPTION"));
        }
        Ok(Statement::CreateView(CreateViewStatement {
            name,
            temporary,
            or_replace,
            if_not_exists,
            columns,
            query,
        }))
    }

    fn create_materialized_view(&mut self, or_replace: bool) -> Parsed<Statement> {
        let if_not_exists = self.if_not_exists();
        let name = self.name()?;
        let columns = self.optional_columns()?;
        let cluster = self.in_cluster()?;
        let options = self.with_options("CREATE MATERIALIZED VIEW", VIEW_OPTIONS)?;
        self.expect(&["as"])?;
        let query = self.query()?;
        Ok(Statement::CreateMaterializedView(CreateMaterializedViewStatement {
            name,
            or_replace,
            if_not_exists,
            columns,
            cluster,
            options,
            query,
        }))
    }

    pub(crate) fn in_cluster(&mut self) -> Parsed<Option<Ident>> {
        if self.take(&["in", "cluster"]) { Ok(Some(self.ident()?)) } else { Ok(None) }
    }

    /// `[DEFAULT] INDEX [IF NOT EXISTS] [name] [IN CLUSTER c] ON relation [USING method] [(expr, …)] [WITH (…)]`
    fn create_index(&mut self, default: bool) -> Parsed<Statement> {
        self.advance();
        if self.word(0) == Some("concurrently") {
            return Err(unsupported(self, "CREATE INDEX CONCURRENTLY"));
        }
        let if_not_exists = self.if_not_exists();
        let (mut name, mut qualifiers) = (None, vec![]);
        if !matches!(self.word(0), Some("in" | "on")) {
            qualifiers = self.name()?.0;
            name = qualifiers.pop();
        }
        let cluster = self.in_cluster()?;
        self.expect(&["on"])?;
        let on = self.name()?;
        if self.take(&["using"]) && !self.take(&["arrangement"]) && !self.take(&["btree"]) {
            return Err(unsupported(self, "this index method"));
        }
        let mut key = None;
        if !default {
            let exprs = self.parenthesized(|c| {
                let start = c.position() - 1;
                let expr = c.expr()?;
                Ok((expr, (start, c.end_of_previous())))
            })?;
            key = Some(ExprsText { exprs, sql: Arc::clone(&self.sql) });
        }
        if let Some(w @ ("include" | "where" | "nulls" | "tablespace")) = self.word(0) {
            return Err(unsupported(self, &format!("CREATE INDEX … {}", w.to_uppercase())));
        }
        let options = self.with_options("CREATE INDEX", &["RETAIN HISTORY"])?;
        Ok(Statement::CreateIndex(CreateIndexStatement {
            name,
            qualifiers,
            if_not_exists,
            cluster,
            on,
            key,
            options,
        }))
    }

    fn create_source(&mut self) -> Parsed<Statement> {
        self.advance();
        let if_not_exists = self.if_not_exists();
        let name = self.name()?;
        let cluster = self.in_cluster()?;
        if *self.peek() == Token::LParen {
            return Err(unsupported(self, "a column list in CREATE SOURCE"));
        }
        self.expect(&["from"])?;
        let from = if self.take(&["mysql", "connection"]) {
            let connection = self.name()?;
            let options =
                if *self.peek() == Token::LParen { self.options("MYSQL", SOURCE_OPTIONS)? } else { vec![] };
            SourceFrom::MySql { connection, options }
        } else if self.take(&["load", "generator"]) {
            let kind = self.any_ident()?.value.to_uppercase();
            let has_options = *self.peek() == Token::LParen;
            let options =
                if has_options { self.options("LOAD GENERATOR", GENERATOR_OPTIONS)? } else { vec![] };
            SourceFrom::LoadGenerator { kind, options }
        } else if let Some(kind @ ("kafka" | "postgres" | "webhook" | "sql" | "yugabyte")) = self.word(0) {
            return Err(unsupported(self, &format!("CREATE SOURCE … FROM {}", kind.to_uppercase())));
        } else {
            return Err(self.unexpected());
        };
        // EXPOSE PROGRESS may stand before or after the tables.
        let mut progress = self.expose_progress()?;
        let tables = self.for_tables()?;
        if progress.is_none() {
            progress = self.expose_progress()?;
        }
        let options = self.with_options("CREATE SOURCE", SOURCE_WITH_OPTIONS)?;
        if let Some(w @ ("format" | "envelope" | "include" | "key" | "value")) = self.word(0) {
            return Err(unsupported(self, &format!("{} for this source", w.to_uppercase())));
        }
        Ok(Statement::CreateSource(CreateSourceStatement {
            name,
            if_not_exists,
            cluster,
            from,
            tables,
            progress,
            options,
        }))
    }

    fn expose_progress(&mut self) -> Parsed<Option<super::ast::Name>> {
        if self.take(&["expose", "progress", "as"]) { Ok(Some(self.name()?)) } else { Ok(None) }
    }

    fn for_tables(&mut self) -> Parsed<ForTables> {
        if !self.take(&["for"]) {
            return Ok(ForTables::None);
        }
        if self.take(&["all", "tables"]) {
            return Ok(ForTables::All);
        }
        if self.take(&["schemas"]) {
            return Ok(ForTables::Schemas(self.parenthesized(Self::any_ident)?));
        }
        self.expect(&["tables"])?;
        let tables = self.parenthesized(|c| {
            let upstream = c.upstream_name()?;
            let alias = if c.take(&["as"]) || c.take(&["into"]) { Some(c.name()?) } else { None };
            Ok((upstream, alias))
        })?;
        Ok(ForTables::Tables(tables))
    }

    /// `SUBSOURCE name [OF SOURCE s] WITH (PROGRESS | DETAILS = '…')`
    fn create_subsource(&mut self) -> Parsed<Statement> {
        self.advance();
        let name = self.name()?;
        let source = if self.take(&["of", "source"]) { Some(self.name()?) } else { None };
        let known = &["PROGRESS", "DETAILS", "EXTERNAL REFERENCE", "TEXT COLUMNS", "EXCLUDE COLUMNS"];
        let options = self.with_options("CREATE SUBSOURCE", known)?;
        Ok(Statement::CreateSubsource(CreateSubsourceStatement { name, source, options }))
    }

    fn create_connection(&mut self) -> Parsed<Statement> {
        self.advance();
        let if_not_exists = self.if_not_exists();
        let name = self.name()?;
        if !self.take(&["to"]) {
            self.expect(&["for"])?;
        }
        let kind_position = self.position();
        let mut kind = self.any_ident()?.value.to_uppercase();
        while let Some(w) = self.word(0).filter(|w| *w != "with").map(str::to_uppercase) {
            self.advance();
            kind = format!("{kind} {w}");
        }
        let options = self.options(&format!("{kind} CONNECTION"), CONNECTION_OPTIONS)?;
        let with_options = self.with_options("CREATE CONNECTION", &["VALIDATE"])?;
        Ok(Statement::CreateConnection(CreateConnectionStatement {
            name,
            if_not_exists,
            kind,
            kind_position,
            options,
            with_options,
        }))
    }

    pub(crate) fn validate(&mut self) -> Parsed<Statement> {
        self.expect(&["validate", "connection"])?;
        Ok(Statement::ValidateConnection(self.name()?))
    }

    fn create_secret(&mut self) -> Parsed<Statement> {
        self.advance();
        let if_not_exists = self.if_not_exists();
        let name = self.name()?;
        let value = if self.at_end() && crate::names::parse_id_name(name.last()).is_some() {
            None
        } else {
            self.expect(&["as"])?;
            Some(self.expr()?)
        };
        Ok(Statement::CreateSecret { name, if_not_exists, value })
    }

    fn create_cluster(&mut self) -> Parsed<Statement> {
        self.advance();
        if self.take(&["replica"]) {
            let if_not_exists = self.if_not_exists();
            let name = self.name()?;
            if name.0.len() != 2 {
                return Err(PlanError::syntax("a replica is named as cluster.replica").at(name.position()));
            }
            let options = self.bare_options("CREATE CLUSTER REPLICA", REPLICA_OPTIONS)?;
            return Ok(Statement::CreateClusterReplica { name, if_not_exists, options });
        }
        let if_not_exists = self.if_not_exists();
        let name = self.ident()?;
        let options = self.bare_options("CREATE CLUSTER", CLUSTER_OPTIONS)?;
        Ok(Statement::CreateCluster { name, if_not_exists, options })
    }

    /// Options with or without parentheses.
    fn bare_options(&mut self, what: &str, known: &[&'static str]) -> Parsed<Vec<super::ast::SqlOption>> {
        if self.at_end() {
            return Ok(vec![]);
        }
        if *self.peek() == Token::LParen {
            return self.options(what, known);
        }
        self.comma_separated(|c| c.option(what, known))
    }

    pub(crate) fn cluster_options(&mut self) -> Parsed<Vec<super::ast::SqlOption>> {
        self.bare_options("ALTER CLUSTER", CLUSTER_OPTIONS)
    }

    pub(crate) fn connection_options(&mut self) -> Parsed<Vec<super::ast::SqlOption>> {
        self.options("ALTER CONNECTION", CONNECTION_OPTIONS)
    }

    fn create_type(&mut self) -> Parsed<Statement> {
        self.advance();
        let name = self.name()?;
        self.expect(&["as"])?;
        let start = self.position() - 1;
        let body = if self.take(&["list"]) {
            self.expect_token(&Token::LParen)?;
            let element = self.type_property("element")?;
            CreateTypeBody::List(element)
        } else if self.take(&["map"]) {
            self.expect_token(&Token::LParen)?;
            let key = self.type_property("key")?;
            self.expect_token(&Token::Comma)?;
            CreateTypeBody::Map(key, self.type_property("value")?)
        } else if self.word(0) == Some("enum") {
            return Err(unsupported(self, "CREATE TYPE … AS ENUM"));
        } else if self.word(0) == Some("range") {
            return Err(unsupported(self, "CREATE TYPE … AS RANGE"));
        } else if *self.peek_nth(1) == Token::RParen {
            self.expect_token(&Token::LParen)?;
            CreateTypeBody::Record(vec![])
        } else {
            self.expect_token(&Token::LParen)?;
            let fields = self.comma_separated(|c| {
                let field = c.ident()?;
                Ok((field, c.run(|p| p.parse_data_type())?))
            })?;
            CreateTypeBody::Record(fields)
        };
        self.expect_token(&Token::RParen)?;
        let range = (start, self.end_of_previous());
        Ok(Statement::CreateType(CreateTypeStatement { name, body, sql: Arc::clone(&self.sql), range }))
    }

    fn type_property(&mut self, word: &str) -> Parsed<sqlparser::ast::DataType> {
        self.expect(&[word, "type"])?;
        self.take_token(&Token::Eq);
        self.run(|p| p.parse_data_type())
    }

    fn create_role(&mut self) -> Parsed<Statement> {
        self.advance();
        let name = self.ident()?;
        self.take(&["with"]);
        let mut options = vec![];
        while matches!(self.peek(), Token::Word(_)) {
            let position = self.position();
            options.push((self.any_ident()?.value.to_uppercase(), position));
            if matches!(self.peek(), Token::SingleQuotedString(_)) {
                self.advance();
            }
        }
        Ok(Statement::CreateRole { name, options })
    }
}
