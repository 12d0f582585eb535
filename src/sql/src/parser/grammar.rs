//! Statements, by their first word.

use sqlparser::tokenizer::Token;

use super::ast::{
    CopyStatement, ExplainStatement, ExplainTarget, ExplainWhat, SelectStatement, Statement, SubscribeForm,
    SubscribeStatement, SubscribeTarget,
};
use super::cursor::{Cursor, Parsed};
use crate::catalog::ItemKind;
use crate::error::PlanError;

const SUBSCRIBE_OPTIONS: &[&str] = &["SNAPSHOT", "PROGRESS"];
const COPY_OPTIONS: &[&str] = &[
    "FORMAT",
    "DELIMITER",
    "NULL",
    "QUOTE",
    "ESCAPE",
    "HEADER",
    "FREEZE",
    "FORCE_QUOTE",
    "FORCE_NOT_NULL",
    "FORCE_NULL",
    "ENCODING",
    "PROGRESS",
    "SNAPSHOT",
];

impl Cursor<'_> {
    /// A statement.
    pub(crate) fn statement(&mut self) -> Parsed<Statement> {
        if self.starts_query() {
            return self.select();
        }
        let word = self.word(0).ok_or_else(|| self.unexpected())?.to_owned();
        match word.as_str() {
            "subscribe" | "tail" => Ok(Statement::Subscribe(Box::new(self.subscribe()?))),
            "explain" => self.explain(),
            "copy" => self.copy(),
            "insert" | "update" | "delete" => self.dml(),
            "create" => self.create(),
            "alter" => self.alter(),
            "drop" => self.drop(),
            "validate" => self.validate(),
            "comment" => self.comment(),
            "show" => self.show(),
            "set" => self.set(),
            "reset" => self.reset(),
            "discard" => self.discard(),
            "begin" | "start" | "commit" | "end" | "rollback" | "abort" => self.transaction(),
            "prepare" => self.prepare(),
            "execute" => self.execute(),
            "deallocate" => self.deallocate(),
            "declare" => self.declare(),
            "fetch" | "move" => self.fetch(word == "move"),
            "close" => self.close(),
            "savepoint" | "release" => Err(unsupported(self, "SAVEPOINT")),
            "truncate" => Err(unsupported(self, "TRUNCATE")),
            "grant" | "revoke" => Err(unsupported(self, &word.to_uppercase())),
            "merge" | "call" | "listen" | "notify" | "unlisten" | "vacuum" | "analyze" | "lock"
            | "cluster" | "do" | "load" | "reindex" | "reassign" | "refresh" | "security" | "import"
            | "checkpoint" => Err(unsupported(self, &word.to_uppercase())),
            _ => Err(self.unexpected()),
        }
    }

    fn select(&mut self) -> Parsed<Statement> {
        let query = self.query()?;
        let as_of = self.as_of()?;
        Ok(Statement::Select(SelectStatement { query, as_of }))
    }

    fn dml(&mut self) -> Parsed<Statement> {
        use sqlparser::ast::Statement as S;
        let statement = self.run(|p| p.parse_statement())?;
        match statement {
            S::Insert(insert) => Ok(Statement::Insert(Box::new(insert))),
            S::Update(update) => Ok(Statement::Update(Box::new(update))),
            S::Delete(delete) => Ok(Statement::Delete(Box::new(delete))),
            _ => Err(self.unexpected()),
        }
    }

    /// `SUBSCRIBE [TO] (name | (query)) [WITH (…)] [AS OF …] [UP TO …] [WITHIN … | ENVELOPE …]`
    fn subscribe(&mut self) -> Parsed<SubscribeStatement> {
        self.advance();
        self.take(&["to"]);
        let target = if *self.peek() == Token::LParen {
            self.advance();
            let query = self.query()?;
            self.expect_token(&Token::RParen)?;
            SubscribeTarget::Query(query)
        } else if self.starts_query() && self.word(0) != Some("table") {
            SubscribeTarget::Query(self.query()?)
        } else {
            SubscribeTarget::Name(self.name()?)
        };
        let options = self.with_options("SUBSCRIBE", SUBSCRIBE_OPTIONS)?;
        let as_of = self.as_of()?;
        let up_to = if self.take(&["up", "to"]) { Some(self.expr()?) } else { None };
        let form = self.subscribe_form()?;
        Ok(SubscribeStatement { target, options, as_of, up_to, form })
    }

    fn subscribe_form(&mut self) -> Parsed<SubscribeForm> {
        if self.take(&["within", "timestamp", "order", "by"]) {
            let order = self.run(|p| p.parse_comma_separated(|p| p.parse_order_by_expr()))?;
            return Ok(SubscribeForm::WithinTimestampOrderBy(order));
        }
        if !self.take(&["envelope"]) {
            return Ok(SubscribeForm::Diffs);
        }
        let upsert = self.take(&["upsert"]);
        if !upsert {
            self.expect(&["debezium"])?;
        }
        self.expect_token(&Token::LParen)?;
        self.expect(&["key"])?;
        let key = self.parenthesized(Self::ident)?;
        self.expect_token(&Token::RParen)?;
        Ok(if upsert { SubscribeForm::Upsert(key) } else { SubscribeForm::Debezium(key) })
    }

    /// `EXPLAIN [… PLAN] [WITH (…)] [AS TEXT | JSON] [FOR] target`
    fn explain(&mut self) -> Parsed<Statement> {
        let position = self.position();
        self.advance();
        let what = if self.take(&["timestamp"]) {
            ExplainWhat::Timestamp
        } else if self.take(&["raw", "plan"]) {
            ExplainWhat::Raw
        } else if self.take(&["decorrelated", "plan"]) {
            ExplainWhat::Decorrelated
        } else if self.take(&["locally", "optimized", "plan"]) {
            ExplainWhat::LocallyOptimized
        } else if self.take(&["optimized", "plan"]) {
            ExplainWhat::Optimized
        } else {
            if !self.take(&["physical", "plan"]) {
                self.take(&["plan"]);
            }
            ExplainWhat::Physical
        };
        if matches!(
            self.word(0),
            Some("analyze" | "analyse" | "verbose" | "filter" | "query" | "key" | "value")
        ) || *self.peek() == Token::LParen && !self.starts_query()
        {
            return Err(PlanError::unsupported("this form of EXPLAIN")
                .with_hint("Write EXPLAIN [RAW | DECORRELATED | LOCALLY OPTIMIZED | OPTIMIZED | PHYSICAL] PLAN [AS TEXT | JSON] FOR …")
                .at(position));
        }
        let mut options = vec![];
        if self.word(0) == Some("with") && *self.peek_nth(1) == Token::LParen {
            self.advance();
            options = self.parenthesized(Self::explain_option)?;
        }
        let mut json = false;
        if self.take(&["as"]) {
            json = self.take(&["json"]);
            if !json && !self.take(&["verbose", "text"]) {
                self.expect(&["text"])?;
            }
        }
        self.take(&["for"]);
        let target = self.explain_target()?;
        Ok(Statement::Explain(ExplainStatement { what, options, json, target }))
    }

    fn explain_option(&mut self) -> Parsed<(String, bool)> {
        let mut words = vec![];
        while matches!(self.peek(), Token::Word(_)) && !matches!(self.word(0), Some("true" | "false")) {
            words.push(self.any_ident()?.value);
        }
        if words.is_empty() {
            return Err(self.unexpected());
        }
        self.take_token(&Token::Eq);
        let off = self.take(&["false"]);
        if !off {
            self.take(&["true"]);
        }
        Ok((words.join(" ").replace('_', " "), !off))
    }

    fn explain_target(&mut self) -> Parsed<ExplainTarget> {
        let kind = if self.take(&["view"]) {
            ItemKind::View
        } else if self.take(&["materialized", "view"]) {
            ItemKind::MaterializedView
        } else if self.take(&["index"]) {
            ItemKind::Index
        } else {
            let statement = self.statement()?;
            return match statement {
                Statement::Select(_)
                | Statement::CreateView(_)
                | Statement::CreateMaterializedView(_)
                | Statement::CreateIndex(_)
                | Statement::Subscribe(_) => Ok(ExplainTarget::Statement(Box::new(statement))),
                _ => Err(PlanError::unsupported("EXPLAIN of this kind of statement")),
            };
        };
        Ok(ExplainTarget::Item(kind, self.name()?))
    }

    /// `COPY (query | subscribe) TO STDOUT …`, `COPY table [(columns)] TO STDOUT | FROM STDIN …`
    fn copy(&mut self) -> Parsed<Statement> {
        self.advance();
        if self.take_token(&Token::LParen) {
            let source = Box::new(self.statement()?);
            if !matches!(*source, Statement::Select(_) | Statement::Subscribe(_)) {
                return Err(PlanError::unsupported("COPY of this kind of statement"));
            }
            self.expect_token(&Token::RParen)?;
            self.expect(&["to"])?;
            self.stdio("stdout")?;
            let options = self.copy_options()?;
            return Ok(Statement::Copy(CopyStatement::To { source, options }));
        }
        self.take(&["into"]);
        let table = self.name()?;
        let columns = self.optional_columns()?;
        if self.take(&["to"]) {
            self.stdio("stdout")?;
            let options = self.copy_options()?;
            return Ok(Statement::Copy(CopyStatement::TableTo { table, columns, options }));
        }
        self.expect(&["from"])?;
        self.stdio("stdin")?;
        let options = self.copy_options()?;
        if self.word(0) == Some("where") {
            return Err(unsupported(self, "COPY … WHERE"));
        }
        Ok(Statement::Copy(CopyStatement::From { table, columns, options }))
    }

    fn stdio(&mut self, word: &str) -> Parsed<()> {
        if matches!(self.peek(), Token::SingleQuotedString(_)) || self.word(0) == Some("program") {
            return Err(PlanError::unsupported("COPY with a file or program")
                .with_hint(format!("Use {} and the client's \\copy.", word.to_uppercase()))
                .at(self.position()));
        }
        self.expect(&[word])
    }

    /// `FORCE QUOTE *`, `FORCE QUOTE a, b`, `FORCE NOT NULL a, b`, `FORCE NULL a, b`, past FORCE.
    fn copy_force(&mut self, position: usize) -> Parsed<super::ast::SqlOption> {
        use super::ast::{Name, OptionValue, SqlOption};
        let name = if self.take(&["quote"]) {
            "FORCE_QUOTE"
        } else if self.take(&["not", "null"]) {
            "FORCE_NOT_NULL"
        } else {
            self.expect(&["null"])?;
            "FORCE_NULL"
        };
        if name == "FORCE_QUOTE" && self.take_token(&Token::Mul) {
            return Ok(SqlOption { name, value: OptionValue::Raw("*".into(), None), position });
        }
        let columns = self.comma_separated(|c| Ok(Name(vec![c.ident()?])))?;
        Ok(SqlOption { name, value: OptionValue::List(columns), position })
    }

    fn copy_options(&mut self) -> Parsed<Vec<super::ast::SqlOption>> {
        self.take(&["with"]);
        if *self.peek() == Token::LParen {
            return self.options("COPY", COPY_OPTIONS);
        }
        // The form before PostgreSQL 9.0.
        let mut options = vec![];
        while matches!(
            self.word(0),
            Some(
                "csv"
                    | "binary"
                    | "text"
                    | "delimiter"
                    | "null"
                    | "header"
                    | "quote"
                    | "escape"
                    | "encoding"
                    | "freeze"
                    | "force"
            )
        ) {
            let position = self.position();
            let word = self.any_ident()?.value;
            let option = |name, value| super::ast::SqlOption { name, value, position };
            use super::ast::OptionValue;
            options.push(match word.as_str() {
                "csv" | "binary" | "text" => option("FORMAT", OptionValue::String(word)),
                "header" => option("HEADER", OptionValue::None),
                "freeze" => option("FREEZE", OptionValue::None),
                "force" => self.copy_force(position)?,
                _ => {
                    self.take(&["as"]);
                    let value = OptionValue::String(self.string()?);
                    let name = match word.as_str() {
                        "delimiter" => "DELIMITER",
                        "null" => "NULL",
                        "quote" => "QUOTE",
                        "encoding" => "ENCODING",
                        _ => "ESCAPE",
                    };
                    option(name, value)
                }
            });
        }
        Ok(options)
    }
}

/// A statement or clause that is known and not there.
pub(crate) fn unsupported(cursor: &Cursor, what: &str) -> PlanError {
    PlanError::unsupported(what).at(cursor.position())
}
