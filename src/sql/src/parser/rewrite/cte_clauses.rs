//! SEARCH and CYCLE after a common table expression (PostgreSQL manual 7.8.2).

use sqlparser::ast::{Expr, Ident};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::Rewriter;
use crate::error::PlanError;
use crate::parser::dialect::HeadwaterDialect;
use crate::parser::extensions::{CycleClause, SearchClause};

/// The words that end the value of a mark.
const AFTER_VALUE: [&str; 3] = ["default", "using", "set"];

impl Rewriter<'_> {
    /// SEARCH or CYCLE after the parenthesis that ends a common table expression: whether one comes next, and then it has been
    /// dealt with.
    pub(super) fn cte_clauses(&mut self) -> Result<bool, PlanError> {
        let Some(TokenWithSpan { token: Token::RParen, span }) = self.out.last() else { return Ok(false) };
        let place = span.start.column as usize;
        let search = matches!(self.word(1), Some("depth" | "breadth"))
            && self.word(0) == Some("search")
            && self.word(2) == Some("first")
            && self.word(3) == Some("by");
        if search {
            let breadth = self.word(1) == Some("breadth");
            self.at += 4;
            let columns = self.idents()?;
            self.expect_words(&["set"])?;
            let sequence = self.ident()?;
            let clauses = self.ext.cte_clauses.entry(place).or_default();
            clauses.search = Some(SearchClause { breadth, columns, sequence });
            return Ok(true);
        }
        if self.word(0) != Some("cycle") || !self.cycle_follows() {
            return Ok(false);
        }
        self.at += 1;
        let columns = self.idents()?;
        self.expect_words(&["set"])?;
        let mark = self.ident()?;
        let mut values = None;
        if self.word(0) == Some("to") {
            self.at += 1;
            let value = self.value()?;
            self.expect_words(&["default"])?;
            values = Some((value, self.value()?));
        }
        self.expect_words(&["using"])?;
        let path = self.ident()?;
        let clauses = self.ext.cte_clauses.entry(place).or_default();
        clauses.cycle = Some(CycleClause { columns, mark, values, path });
        Ok(true)
    }

    /// Whether `a, b SET` follows CYCLE: it may be an alias.
    fn cycle_follows(&self) -> bool {
        let mut n = 1;
        loop {
            if !matches!(self.tokens.get(self.at + n).map(|t| &t.token), Some(Token::Word(_))) {
                return false;
            }
            if self.word(n + 1) == Some("set") {
                return true;
            }
            if !self.is(n + 1, &Token::Comma) {
                return false;
            }
            n += 2;
        }
    }

    fn ident(&mut self) -> Result<Ident, PlanError> {
        match self.tokens.get(self.at) {
            Some(TokenWithSpan { token: Token::Word(w), span }) => {
                self.at += 1;
                Ok(Ident { value: w.value.clone(), quote_style: w.quote_style, span: *span })
            }
            _ => Err(self.unexpected()),
        }
    }

    fn idents(&mut self) -> Result<Vec<Ident>, PlanError> {
        let mut idents = vec![self.ident()?];
        while self.is(0, &Token::Comma) {
            self.at += 1;
            idents.push(self.ident()?);
        }
        Ok(idents)
    }

    /// A constant: all tokens up to a word that ends it.
    fn value(&mut self) -> Result<Expr, PlanError> {
        let start = self.at;
        while self.at < self.tokens.len() && !self.word(0).is_some_and(|w| AFTER_VALUE.contains(&w)) {
            self.at += 1;
        }
        let tokens = self.tokens[start..self.at].to_vec();
        let end = std::mem::replace(&mut self.at, start);
        let dialect = HeadwaterDialect::default();
        let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens);
        let value = parser.parse_expr().ok().filter(|_| parser.peek_token_ref().token == Token::EOF);
        let value = value.ok_or_else(|| self.unexpected())?;
        self.at = end;
        Ok(value)
    }
}
