//! ALTER, DROP and COMMENT.

use sqlparser::tokenizer::Token;

use super::ast::{AlterAction, ObjectKind, SetValue, Statement};
use super::cursor::{Cursor, Parsed};
use super::grammar::unsupported;
use crate::catalog::ItemKind;

impl Cursor<'_> {
    /// The words of a kind of object.
    pub(crate) fn object_kind(&mut self) -> Parsed<ObjectKind> {
        let kinds: &[(&[&str], ObjectKind)] = &[
            (&["table"], ObjectKind::Item(ItemKind::Table)),
            (&["source"], ObjectKind::Item(ItemKind::Source)),
            (&["subsource"], ObjectKind::Item(ItemKind::Source)),
            (&["sink"], ObjectKind::Item(ItemKind::Sink)),
            (&["view"], ObjectKind::Item(ItemKind::View)),
            (&["materialized", "view"], ObjectKind::Item(ItemKind::MaterializedView)),
            (&["index"], ObjectKind::Item(ItemKind::Index)),
            (&["connection"], ObjectKind::Item(ItemKind::Connection)),
            (&["secret"], ObjectKind::Item(ItemKind::Secret)),
            (&["type"], ObjectKind::Item(ItemKind::Type)),
            (&["database"], ObjectKind::Database),
            (&["schema"], ObjectKind::Schema),
            (&["cluster", "replica"], ObjectKind::ClusterReplica),
            (&["cluster"], ObjectKind::Cluster),
            (&["role"], ObjectKind::Role),
            (&["user"], ObjectKind::Role),
            (&["column"], ObjectKind::Column),
            (&["function"], ObjectKind::Function),
        ];
        kinds.iter().find(|(words, _)| self.take(words)).map(|(_, k)| *k).ok_or_else(|| self.unexpected())
    }

    pub(crate) fn alter(&mut self) -> Parsed<Statement> {
        self.advance();
        if self.take(&["system"]) {
            return self.alter_system();
        }
        if self.take(&["default", "privileges"]) {
            return Err(unsupported(self, "ALTER DEFAULT PRIVILEGES"));
        }
        let kind = self.object_kind()?;
        if matches!(kind, ObjectKind::Column | ObjectKind::Function) {
            return Err(unsupported(self, &format!("ALTER {}", kind.to_string().to_uppercase())));
        }
        let if_exists = self.if_exists();
        let name = self.name()?;
        if kind == ObjectKind::Item(ItemKind::Secret) && self.take(&["as"]) {
            let value = self.expr()?;
            return Ok(Statement::AlterSecret { name, if_exists, value });
        }
        let action = self.alter_action(kind)?;
        Ok(Statement::Alter { kind, if_exists, name, action })
    }

    fn alter_action(&mut self, kind: ObjectKind) -> Parsed<AlterAction> {
        if self.take(&["rename", "to"]) {
            return Ok(AlterAction::Rename(self.ident()?));
        }
        if self.take(&["set", "schema"]) {
            return Ok(AlterAction::SetSchema(self.name()?));
        }
        if self.take(&["swap", "with"]) {
            let other = self.ident()?;
            if *self.peek() == Token::Period {
                return Err(unsupported(self, "SWAP WITH an object of another schema"));
            }
            return Ok(AlterAction::Swap(other));
        }
        if self.take(&["owner", "to"]) {
            return Ok(AlterAction::Owner(self.ident()?));
        }
        if kind == ObjectKind::Cluster && self.take(&["set"]) {
            let options = self.cluster_options()?;
            if self.word(0) == Some("with") {
                return Err(unsupported(self, "ALTER CLUSTER … SET … WITH"));
            }
            return Ok(AlterAction::SetOptions(options));
        }
        if kind == ObjectKind::Item(ItemKind::Connection) && self.word(0) == Some("set") {
            self.advance();
            return Ok(AlterAction::SetOptions(self.connection_options()?));
        }
        if kind == ObjectKind::Cluster && self.take(&["reset"]) {
            let names = self.parenthesized(|c| {
                let position = c.position();
                let mut words = vec![];
                while matches!(c.peek(), Token::Word(_)) {
                    words.push(c.any_ident()?.value.to_uppercase());
                }
                Ok((words.join(" "), position))
            })?;
            return Ok(AlterAction::ResetOptions(names));
        }
        if matches!(self.peek(), Token::Word(_)) {
            let word = self.word(0).unwrap_or_default().to_uppercase();
            return Err(unsupported(self, &format!("ALTER {} … {word}", kind.to_string().to_uppercase())));
        }
        Err(self.unexpected())
    }

    fn alter_system(&mut self) -> Parsed<Statement> {
        if self.take(&["reset"]) {
            if self.take(&["all"]) {
                return Ok(Statement::AlterSystem { name: None, value: None });
            }
            return Ok(Statement::AlterSystem { name: Some(self.variable_name()?), value: None });
        }
        self.expect(&["set"])?;
        let name = self.variable_name()?;
        if !self.take_token(&Token::Eq) {
            self.expect(&["to"])?;
        }
        let value = self.set_value()?;
        let value = (value != SetValue::Default).then_some(value);
        Ok(Statement::AlterSystem { name: Some(name), value })
    }

    pub(crate) fn drop(&mut self) -> Parsed<Statement> {
        self.advance();
        if self.take(&["owned"]) {
            return Err(unsupported(self, "DROP OWNED"));
        }
        let kind = self.object_kind()?;
        if matches!(kind, ObjectKind::Column | ObjectKind::Function) {
            return Err(unsupported(self, &format!("DROP {}", kind.to_string().to_uppercase())));
        }
        let if_exists = self.if_exists();
        let names = self.comma_separated(Self::name)?;
        let cascade = self.take(&["cascade"]);
        if !cascade {
            self.take(&["restrict"]);
        }
        Ok(Statement::Drop { kind, if_exists, names, cascade })
    }

    pub(crate) fn comment(&mut self) -> Parsed<Statement> {
        self.expect(&["comment", "on"])?;
        let kind = self.object_kind()?;
        if kind == ObjectKind::Function {
            return Err(unsupported(self, "COMMENT ON FUNCTION"));
        }
        let mut name = super::ast::Name(vec![self.ident()?]);
        while self.take_token(&Token::Period) {
            name.0.push(self.any_ident()?);
        }
        self.expect(&["is"])?;
        let text = if self.take(&["null"]) { None } else { Some(self.string()?) };
        Ok(Statement::Comment { kind, name, text })
    }
}
