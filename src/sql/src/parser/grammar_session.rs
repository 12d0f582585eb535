//! SHOW, SET, transactions, prepared statements and cursors.

use sqlparser::tokenizer::Token;

use super::ast::{ObjectKind, SetValue, ShowObjects, ShowObjectsStatement, Statement, TransactionModes};
use super::cursor::{Cursor, Parsed};
use super::grammar::unsupported;
use crate::catalog::ItemKind;
use crate::error::PlanError;
use crate::plan::{DiscardWhat, FetchDirection};

impl Cursor<'_> {
    pub(crate) fn show(&mut self) -> Parsed<Statement> {
        self.advance();
        if self.take(&["create"]) {
            return self.show_create();
        }
        if self.take(&["all"]) && self.at_end() {
            return Ok(Statement::ShowAll);
        }
        if self.take(&["transaction", "isolation", "level"]) {
            return Ok(Statement::ShowVariable("transaction_isolation".into()));
        }
        if self.take(&["time", "zone"]) {
            return Ok(Statement::ShowVariable("timezone".into()));
        }
        // SHOW CLUSTER and SHOW DATABASE are settings.
        let kinds: &[(&[&str], ShowObjects)] = &[
            (&["databases"], ShowObjects::Databases),
            (&["schemas"], ShowObjects::Schemas),
            (&["objects"], ShowObjects::Objects),
            (&["tables"], ShowObjects::Items(ItemKind::Table)),
            (&["sources"], ShowObjects::Items(ItemKind::Source)),
            (&["sinks"], ShowObjects::Items(ItemKind::Sink)),
            (&["views"], ShowObjects::Items(ItemKind::View)),
            (&["materialized", "views"], ShowObjects::Items(ItemKind::MaterializedView)),
            (&["indexes"], ShowObjects::Items(ItemKind::Index)),
            (&["index"], ShowObjects::Items(ItemKind::Index)),
            (&["indices"], ShowObjects::Items(ItemKind::Index)),
            (&["keys"], ShowObjects::Items(ItemKind::Index)),
            (&["connections"], ShowObjects::Items(ItemKind::Connection)),
            (&["secrets"], ShowObjects::Items(ItemKind::Secret)),
            (&["types"], ShowObjects::Items(ItemKind::Type)),
            (&["subsources"], ShowObjects::Subsources),
            (&["columns"], ShowObjects::Columns),
            (&["clusters"], ShowObjects::Clusters),
            (&["cluster", "replicas"], ShowObjects::ClusterReplicas),
            (&["roles"], ShowObjects::Roles),
        ];
        let found = kinds.iter().find(|(words, _)| self.take(words));
        if let Some((_, what)) = found {
            return self.show_objects(*what);
        }
        if matches!(self.word(0), Some("privileges" | "default" | "role")) && self.word(1).is_some() {
            return Err(unsupported(self, "SHOW PRIVILEGES"));
        }
        Ok(Statement::ShowVariable(self.variable_name()?))
    }

    fn show_objects(&mut self, what: ShowObjects) -> Parsed<Statement> {
        let mut show =
            ShowObjectsStatement { what, from: None, on: None, cluster: None, like: None, filter: None };
        loop {
            if self.peek_words(&["in", "cluster"]) && show.cluster.is_none() {
                show.cluster = self.in_cluster()?;
            } else if matches!(self.word(0), Some("from" | "in")) && show.from.is_none() {
                self.advance();
                show.from = Some(self.name()?);
            } else if self.word(0) == Some("on") && show.on.is_none() {
                self.advance();
                show.on = Some(self.name()?);
            } else {
                break;
            }
        }
        if self.take(&["like"]) {
            show.like = Some(self.string()?);
        } else if self.take(&["where"]) {
            show.filter = Some(self.expr()?);
        }
        if what == ShowObjects::Columns && show.from.is_none() {
            return Err(self.unexpected());
        }
        Ok(Statement::ShowObjects(show))
    }

    fn show_create(&mut self) -> Parsed<Statement> {
        let kind = self.object_kind()?;
        match kind {
            ObjectKind::Item(ItemKind::Secret)
            | ObjectKind::Role
            | ObjectKind::Column
            | ObjectKind::Function
            | ObjectKind::ClusterReplica => {
                Err(unsupported(self, &format!("SHOW CREATE {}", kind.to_string().to_uppercase())))
            }
            _ => Ok(Statement::ShowCreate { kind, name: self.name()? }),
        }
    }

    /// The name of a setting, perhaps of two parts.
    pub(crate) fn variable_name(&mut self) -> Parsed<String> {
        let mut name = self.any_ident()?.value.to_lowercase();
        while self.take_token(&Token::Period) {
            name = format!("{name}.{}", self.any_ident()?.value.to_lowercase());
        }
        Ok(name)
    }

    pub(crate) fn set(&mut self) -> Parsed<Statement> {
        self.advance();
        if self.take(&["session", "characteristics", "as", "transaction"]) {
            return Ok(Statement::SetTransaction { session: true, modes: self.transaction_modes()? });
        }
        if self.take(&["transaction"]) {
            return Ok(Statement::SetTransaction { session: false, modes: self.transaction_modes()? });
        }
        let local = self.take(&["local"]);
        if !local && self.word(1).is_some_and(|w| w != "to") {
            self.take(&["session"]);
        }
        let special = |c: &mut Self, name: &str, value: SetValue| {
            let _ = c;
            Ok(Statement::SetVariable { name: name.into(), value, local })
        };
        if self.take(&["time", "zone"]) {
            let value = if self.take(&["local"]) { SetValue::Default } else { self.set_value()? };
            return special(self, "timezone", value);
        }
        if self.take(&["names"]) {
            let value = self.set_value()?;
            return special(self, "client_encoding", value);
        }
        if self.word(0) == Some("schema") && matches!(self.peek_nth(1), Token::SingleQuotedString(_)) {
            self.advance();
            let value = self.set_value()?;
            return special(self, "search_path", value);
        }
        if matches!(self.word(0), Some("role" | "session_authorization" | "constraints"))
            || self.peek_words(&["authorization"])
        {
            return Err(unsupported(
                self,
                &format!("SET {}", self.word(0).unwrap_or_default().to_uppercase()),
            ));
        }
        let name = self.variable_name()?;
        if !self.take_token(&Token::Eq) {
            self.expect(&["to"])?;
        }
        let name = if name == "schema" { "search_path".into() } else { name };
        Ok(Statement::SetVariable { name, value: self.set_value()?, local })
    }

    pub(crate) fn set_value(&mut self) -> Parsed<SetValue> {
        if self.take(&["default"]) {
            return Ok(SetValue::Default);
        }
        Ok(SetValue::Values(self.comma_separated(Self::set_item)?))
    }

    fn set_item(&mut self) -> Parsed<String> {
        let sign = if self.take_token(&Token::Minus) {
            "-"
        } else {
            self.take_token(&Token::Plus);
            ""
        };
        match self.peek().clone() {
            Token::Number(n, _) => {
                self.advance();
                Ok(format!("{sign}{n}"))
            }
            _ if !sign.is_empty() => Err(self.unexpected()),
            Token::Word(w) if w.quote_style.is_none() && w.value == "interval" => {
                self.advance();
                self.string()
            }
            Token::Word(w) => {
                self.advance();
                Ok(w.value)
            }
            _ => self.string(),
        }
    }

    pub(crate) fn reset(&mut self) -> Parsed<Statement> {
        self.advance();
        if self.take(&["all"]) {
            return Ok(Statement::ResetAll);
        }
        if self.take(&["time", "zone"]) {
            return Ok(Statement::ResetVariable("timezone".into()));
        }
        if self.take(&["transaction", "isolation", "level"]) {
            return Ok(Statement::ResetVariable("transaction_isolation".into()));
        }
        let name = self.variable_name()?;
        Ok(Statement::ResetVariable(if name == "schema" { "search_path".into() } else { name }))
    }

    pub(crate) fn discard(&mut self) -> Parsed<Statement> {
        self.advance();
        let words = [
            ("all", DiscardWhat::All),
            ("temp", DiscardWhat::Temp),
            ("temporary", DiscardWhat::Temp),
            ("plans", DiscardWhat::Plans),
            ("sequences", DiscardWhat::Sequences),
        ];
        let found = words.iter().find(|(word, _)| self.take(&[word]));
        found.map(|(_, what)| Statement::Discard(*what)).ok_or_else(|| self.unexpected())
    }

    pub(crate) fn transaction(&mut self) -> Parsed<Statement> {
        let word = self.any_ident()?.value;
        match word.as_str() {
            "start" => {
                self.expect(&["transaction"])?;
                Ok(Statement::Begin(self.transaction_modes()?, "START TRANSACTION"))
            }
            "begin" => {
                if !self.take(&["transaction"]) {
                    self.take(&["work"]);
                }
                Ok(Statement::Begin(self.transaction_modes()?, "BEGIN"))
            }
            _ => {
                if !self.take(&["transaction"]) {
                    self.take(&["work"]);
                }
                if matches!(self.word(0), Some("prepared" | "to")) {
                    return Err(unsupported(self, "SAVEPOINT and two-phase commit"));
                }
                if self.take(&["and", "chain"]) {
                    return Err(unsupported(self, "AND CHAIN"));
                }
                self.take(&["and", "no", "chain"]);
                Ok(if matches!(word.as_str(), "commit" | "end") {
                    Statement::Commit
                } else {
                    Statement::Rollback
                })
            }
        }
    }

    fn transaction_modes(&mut self) -> Parsed<TransactionModes> {
        let mut modes = TransactionModes::default();
        while !self.at_end() {
            if self.take(&["isolation", "level"]) {
                let levels: &[&[&str]] = &[
                    &["read", "uncommitted"],
                    &["read", "committed"],
                    &["repeatable", "read"],
                    &["strong", "session", "serializable"],
                    &["strict", "serializable"],
                    &["serializable"],
                ];
                let level = levels.iter().find(|l| self.take(l)).ok_or_else(|| self.unexpected())?;
                modes.isolation = Some(level.join(" "));
            } else if self.take(&["read", "only"]) {
                modes.read_only = Some(true);
            } else if self.take(&["read", "write"]) {
                modes.read_only = Some(false);
            } else if self.take(&["not", "deferrable"]) || self.take(&["deferrable"]) {
                // It makes no difference here.
            } else {
                return Err(self.unexpected());
            }
            self.take_token(&Token::Comma);
        }
        Ok(modes)
    }

    pub(crate) fn prepare(&mut self) -> Parsed<Statement> {
        self.advance();
        let name = self.ident()?;
        if name.value == "transaction" && matches!(self.peek(), Token::SingleQuotedString(_)) {
            return Err(unsupported(self, "PREPARE TRANSACTION"));
        }
        let mut types = vec![];
        if *self.peek() == Token::LParen {
            types = self.parenthesized(|c| c.run(|p| p.parse_data_type()))?;
        }
        self.expect(&["as"])?;
        let start = self.position() - 1;
        let statement = self.statement()?;
        if !matches!(
            statement,
            Statement::Select(_)
                | Statement::Insert(_)
                | Statement::Update(_)
                | Statement::Delete(_)
                | Statement::ShowObjects(_)
                | Statement::Subscribe(_)
        ) {
            return Err(PlanError::unsupported("PREPARE of this kind of statement"));
        }
        let sql = self.text(start, self.end_of_previous()).to_owned();
        Ok(Statement::Prepare { name, types, sql })
    }

    pub(crate) fn execute(&mut self) -> Parsed<Statement> {
        self.advance();
        let name = self.ident()?;
        let mut params = vec![];
        if *self.peek() == Token::LParen {
            params = self.parenthesized(Self::expr)?;
        }
        Ok(Statement::Execute { name, params })
    }

    pub(crate) fn deallocate(&mut self) -> Parsed<Statement> {
        self.advance();
        self.take(&["prepare"]);
        if self.take(&["all"]) {
            return Ok(Statement::Deallocate(None));
        }
        Ok(Statement::Deallocate(Some(self.ident()?)))
    }

    /// `DECLARE c [INSENSITIVE | NO SCROLL …] CURSOR [WITH | WITHOUT HOLD] FOR statement`
    pub(crate) fn declare(&mut self) -> Parsed<Statement> {
        self.advance();
        let name = self.ident()?;
        loop {
            if self.word(0) == Some("binary") {
                return Err(unsupported(self, "DECLARE … BINARY CURSOR"));
            }
            if self.word(0) == Some("scroll") {
                return Err(unsupported(self, "DECLARE … SCROLL CURSOR"));
            }
            if !(self.take(&["insensitive"]) || self.take(&["asensitive"]) || self.take(&["no", "scroll"])) {
                break;
            }
        }
        self.expect(&["cursor"])?;
        let hold = self.take(&["with", "hold"]);
        if !hold {
            self.take(&["without", "hold"]);
        }
        self.expect(&["for"])?;
        let start = self.position() - 1;
        let statement = self.statement()?;
        if !matches!(statement, Statement::Select(_) | Statement::Subscribe(_) | Statement::ShowObjects(_)) {
            return Err(PlanError::unsupported("DECLARE of this kind of statement"));
        }
        let sql = self.text(start, self.end_of_previous()).to_owned();
        Ok(Statement::Declare { name, statement: Box::new(statement), sql, hold })
    }

    /// `FETCH | MOVE [direction] [FROM | IN] c [WITH (TIMEOUT = …)]`
    pub(crate) fn fetch(&mut self, discard: bool) -> Parsed<Statement> {
        self.advance();
        let direction = self.fetch_direction()?;
        if !self.take(&["from"]) {
            self.take(&["in"]);
        }
        let name = self.ident()?;
        let options = if discard { vec![] } else { self.with_options("FETCH", &["TIMEOUT"])? };
        Ok(Statement::Fetch { name, direction, discard, options })
    }

    fn fetch_direction(&mut self) -> Parsed<FetchDirection> {
        use FetchDirection as D;
        if self.take(&["all"]) {
            return Ok(D::ForwardAll);
        }
        if let Some(n) = self.signed_number()? {
            return Ok(D::Forward(n));
        }
        // A last word is the cursor's name, whatever it is.
        let more = match self.peek_nth(1) {
            Token::Number(..) | Token::Minus | Token::Plus => true,
            _ => self.word(1).is_some_and(|w| w != "with"),
        };
        let word = if more { self.word(0).unwrap_or_default().to_owned() } else { String::new() };
        let simple = match word.as_str() {
            "next" => D::Forward(1),
            "prior" => D::Forward(-1),
            "first" => D::Absolute(1),
            "last" => D::Absolute(-1),
            "absolute" | "relative" => {
                self.advance();
                let n = self.signed_number()?.ok_or_else(|| self.unexpected())?;
                return Ok(if word == "absolute" { D::Absolute(n) } else { D::Relative(n) });
            }
            "forward" | "backward" => {
                self.advance();
                let back = word == "backward";
                if self.take(&["all"]) {
                    return Ok(if back { D::BackwardAll } else { D::ForwardAll });
                }
                let n = self.signed_number()?.unwrap_or(1);
                return Ok(D::Forward(if back { -n } else { n }));
            }
            _ => return Ok(D::Forward(1)),
        };
        self.advance();
        Ok(simple)
    }

    /// A number with a sign, if one comes next; as large as an integer.
    fn signed_number(&mut self) -> Parsed<Option<i64>> {
        let sign = match self.peek() {
            Token::Minus => Some(-1),
            Token::Plus => Some(1),
            _ => None,
        };
        if sign.is_some() {
            self.advance();
        } else if !matches!(self.peek(), Token::Number(..)) {
            return Ok(None);
        }
        let n = match self.peek() {
            Token::Number(n, _) => n.parse::<i32>().ok(),
            _ => None,
        };
        let n = n.ok_or_else(|| self.unexpected())?;
        self.advance();
        Ok(Some(sign.unwrap_or(1) * i64::from(n)))
    }

    pub(crate) fn close(&mut self) -> Parsed<Statement> {
        self.advance();
        if self.take(&["all"]) {
            return Ok(Statement::Close(None));
        }
        Ok(Statement::Close(Some(self.ident()?)))
    }
}
