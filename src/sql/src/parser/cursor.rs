//! A place in a statement's tokens: `sqlparser`'s parser with what our grammar needs.

use std::sync::Arc;

use sqlparser::ast::{self, Ident};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::ast::{AsOf, Name, OptionValue, QueryText, SqlOption};
use super::dialect::HeadwaterDialect;
use super::error::{error_column, syntax_at, syntax_at_end, too_deep};
use super::rewrite::AS_OF;
use super::tokens::{slice_chars, word};
use crate::error::PlanError;
use crate::names::is_reserved;

/// The deepest nesting of queries and expressions.
const RECURSION_LIMIT: usize = 300;

/// The result of parsing.
pub(crate) type Parsed<T> = Result<T, PlanError>;

/// A place in a statement's tokens.
pub(crate) struct Cursor<'a> {
    parser: Parser<'a>,
    dialect: &'a HeadwaterDialect,
    pub(crate) sql: Arc<str>,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(dialect: &'a HeadwaterDialect, sql: Arc<str>, tokens: Vec<TokenWithSpan>) -> Self {
        let parser =
            Parser::new(dialect).with_recursion_limit(RECURSION_LIMIT).with_tokens_with_locations(tokens);
        Cursor { parser, dialect, sql }
    }

    /// Runs one of `sqlparser`'s functions.
    pub(crate) fn run<T>(&mut self, f: impl FnOnce(&mut Parser<'a>) -> Result<T, ParserError>) -> Parsed<T> {
        let result = f(&mut self.parser);
        result.map_err(|e| self.error_of(&e))
    }

    fn error_of(&self, error: &ParserError) -> PlanError {
        if self.dialect.too_deep() || matches!(error, ParserError::RecursionLimitExceeded) {
            return too_deep();
        }
        match error_column(error) {
            Some(column) => self.error_at_column(column),
            None if error.to_string().contains("found: EOF") => syntax_at_end(&self.sql),
            None => self.unexpected(),
        }
    }

    fn error_at_column(&self, column: usize) -> PlanError {
        for i in 0.. {
            let t = self.parser.token_at(i);
            if t.token == Token::EOF {
                break;
            }
            if t.span.start.column as usize <= column && column < t.span.end.column as usize {
                return syntax_at(&self.sql, t.span.start.column as usize, t.span.end.column as usize);
            }
        }
        syntax_at_end(&self.sql)
    }

    /// The error that the next token cannot stand here.
    pub(crate) fn unexpected(&self) -> PlanError {
        let t = self.parser.peek_token_ref();
        if t.token == Token::EOF {
            return syntax_at_end(&self.sql);
        }
        syntax_at(&self.sql, t.span.start.column as usize, t.span.end.column as usize)
    }

    /// The next token.
    pub(crate) fn peek(&self) -> &Token {
        &self.parser.peek_token_ref().token
    }

    /// The next but `n`.
    pub(crate) fn peek_nth(&self, n: usize) -> &Token {
        &self.parser.peek_nth_token_ref(n).token
    }

    /// The unquoted word that is next but `n`, in lower case.
    pub(crate) fn word(&self, n: usize) -> Option<&str> {
        word(self.peek_nth(n))
    }

    pub(crate) fn advance(&mut self) -> TokenWithSpan {
        self.parser.next_token()
    }

    pub(crate) fn at_end(&self) -> bool {
        *self.peek() == Token::EOF
    }

    /// Where the next token is, from 1; the end of the text if there is none.
    pub(crate) fn position(&self) -> usize {
        let t = self.parser.peek_token_ref();
        if t.token == Token::EOF { self.sql.chars().count() + 1 } else { t.span.start.column as usize }
    }

    /// Where the token before this place ends: characters from 0.
    pub(crate) fn end_of_previous(&self) -> usize {
        (self.parser.get_current_token().span.end.column as usize).saturating_sub(1)
    }

    pub(crate) fn text(&self, start: usize, end: usize) -> &str {
        slice_chars(&self.sql, start, end)
    }

    /// Whether these words come next.
    pub(crate) fn peek_words(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(i, w)| self.word(i) == Some(*w))
    }

    /// Takes these words if all of them come next.
    pub(crate) fn take(&mut self, words: &[&str]) -> bool {
        let found = self.peek_words(words);
        if found {
            for _ in words {
                self.parser.advance_token();
            }
        }
        found
    }

    pub(crate) fn expect(&mut self, words: &[&str]) -> Parsed<()> {
        for w in words {
            if !self.take(&[w]) {
                return Err(self.unexpected());
            }
        }
        Ok(())
    }

    pub(crate) fn take_token(&mut self, token: &Token) -> bool {
        self.parser.consume_token(token)
    }

    pub(crate) fn expect_token(&mut self, token: &Token) -> Parsed<()> {
        if self.take_token(token) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// An identifier; reserved words have to be quoted.
    pub(crate) fn ident(&mut self) -> Parsed<Ident> {
        match self.peek() {
            Token::Word(w) if w.quote_style.is_none() && is_reserved(&w.value) => {
                let hint = format!("\"{}\" is a reserved word; quote it to use it as a name.", w.value);
                Err(self.unexpected().with_hint(hint))
            }
            _ => self.any_ident(),
        }
    }

    /// An identifier, or any word.
    pub(crate) fn any_ident(&mut self) -> Parsed<Ident> {
        let t = self.parser.peek_token_ref();
        match &t.token {
            Token::Word(Word { value, quote_style, .. }) => {
                let ident = Ident { value: value.clone(), quote_style: *quote_style, span: t.span };
                self.parser.advance_token();
                Ok(ident)
            }
            _ => Err(self.unexpected()),
        }
    }

    /// A name of one to three parts; only the first may not be a reserved word.
    pub(crate) fn name(&mut self) -> Parsed<Name> {
        let mut parts = vec![self.ident()?];
        while self.take_token(&Token::Period) {
            parts.push(self.any_ident()?);
        }
        if parts.len() > 3 {
            let parts: Vec<_> = parts.iter().map(|i| i.value.as_str()).collect();
            let message = format!("improper qualified name (too many dotted names): {}", parts.join("."));
            return Err(PlanError::syntax(message));
        }
        Ok(Name(parts))
    }

    /// `item, item, …`
    pub(crate) fn comma_separated<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.take_token(&Token::Comma) {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// `(item, item, …)`
    pub(crate) fn parenthesized<T>(&mut self, item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        self.expect_token(&Token::LParen)?;
        let items = self.comma_separated(item)?;
        self.expect_token(&Token::RParen)?;
        Ok(items)
    }

    /// `(a, b)` if a parenthesis comes next.
    pub(crate) fn optional_columns(&mut self) -> Parsed<Vec<Ident>> {
        if *self.peek() == Token::LParen { self.parenthesized(Self::ident) } else { Ok(vec![]) }
    }

    pub(crate) fn if_not_exists(&mut self) -> bool {
        self.take(&["if", "not", "exists"])
    }

    pub(crate) fn if_exists(&mut self) -> bool {
        self.take(&["if", "exists"])
    }

    pub(crate) fn string(&mut self) -> Parsed<String> {
        let s = match self.peek() {
            Token::SingleQuotedString(s) | Token::EscapedStringLiteral(s) => s.clone(),
            Token::DollarQuotedString(s) => s.value.clone(),
            _ => return Err(self.unexpected()),
        };
        self.advance();
        Ok(s)
    }

    pub(crate) fn expr(&mut self) -> Parsed<ast::Expr> {
        self.run(|p| p.parse_expr())
    }

    /// Whether a query comes next.
    pub(crate) fn starts_query(&self) -> bool {
        let mut n = 0;
        while *self.peek_nth(n) == Token::LParen {
            n += 1;
        }
        matches!(self.word(n), Some("select" | "with" | "values" | "table"))
    }

    pub(crate) fn query(&mut self) -> Parsed<QueryText> {
        let start = self.position() - 1;
        let query = self.run(|p| p.parse_query())?;
        let end = self.end_of_previous();
        Ok(QueryText { query, sql: Arc::clone(&self.sql), range: (start, end) })
    }

    /// `AS OF [AT LEAST] expr`, if it comes next.
    pub(crate) fn as_of(&mut self) -> Parsed<Option<AsOf>> {
        if !self.take_token(&AS_OF) {
            return Ok(None);
        }
        let at_least = self.take(&["at", "least"]);
        let expr = self.expr()?;
        Ok(Some(if at_least { AsOf::AtLeast(expr) } else { AsOf::At(expr) }))
    }

    /// `[WITH] (option, …)` of the options known to `what`; a list may be empty.
    pub(crate) fn options(&mut self, what: &str, known: &[&'static str]) -> Parsed<Vec<SqlOption>> {
        self.expect_token(&Token::LParen)?;
        if self.take_token(&Token::RParen) {
            return Ok(vec![]);
        }
        let options = self.comma_separated(|c| c.option(what, known))?;
        self.expect_token(&Token::RParen)?;
        Ok(options)
    }

    /// `WITH (option, …)`, if WITH and a parenthesis come next.
    pub(crate) fn with_options(&mut self, what: &str, known: &[&'static str]) -> Parsed<Vec<SqlOption>> {
        if self.word(0) == Some("with") && *self.peek_nth(1) == Token::LParen {
            self.advance();
            return self.options(what, known);
        }
        Ok(vec![])
    }

    /// `NAME [=] value`
    pub(crate) fn option(&mut self, what: &str, known: &[&'static str]) -> Parsed<SqlOption> {
        let position = self.position();
        let matches = |c: &Self, name: &str| {
            name.split(' ').enumerate().all(|(i, w)| c.word(i).is_some_and(|x| x.eq_ignore_ascii_case(w)))
        };
        let Some(name) = known.iter().filter(|n| matches(self, n)).max_by_key(|n| n.len()) else {
            return Err(self.unknown_option(what));
        };
        for _ in name.split(' ') {
            self.advance();
        }
        self.take_token(&Token::Eq);
        let value = self.option_value(what, name, known)?;
        Ok(SqlOption { name, value, position })
    }

    fn unknown_option(&self, what: &str) -> PlanError {
        let mut words = vec![];
        while let Some(w) = self.word(words.len()) {
            words.push(w.to_uppercase());
            if words.len() == 3 {
                break;
            }
        }
        if words.is_empty() {
            return self.unexpected();
        }
        PlanError::syntax(format!("{what} option {} is not known", words.join(" "))).at(self.position())
    }

    fn option_value(&mut self, what: &str, name: &str, known: &[&'static str]) -> Parsed<OptionValue> {
        let at_value_end = |t: &Token| matches!(t, Token::Comma | Token::RParen | Token::EOF);
        if at_value_end(self.peek()) {
            return Ok(OptionValue::None);
        }
        let ends_after_one = at_value_end(self.peek_nth(1));
        match self.peek().clone() {
            Token::SingleQuotedString(_) | Token::EscapedStringLiteral(_) | Token::DollarQuotedString(_)
                if ends_after_one =>
            {
                Ok(OptionValue::String(self.string()?))
            }
            Token::Number(n, _) if ends_after_one => {
                self.advance();
                Ok(OptionValue::Number(n))
            }
            Token::LParen if name == "REPLICAS" => self.replicas(what, known),
            Token::LParen => Ok(OptionValue::List(self.parenthesized(Self::name)?)),
            _ if self.word(0) == Some("secret") && !ends_after_one => {
                self.advance();
                Ok(OptionValue::Secret(self.name()?))
            }
            _ => self.raw_value(),
        }
    }

    /// Everything up to the comma or parenthesis that ends the option.
    fn raw_value(&mut self) -> Parsed<OptionValue> {
        let start = self.position() - 1;
        let mut idents = Some(vec![]);
        let mut depth = 0usize;
        loop {
            match self.peek() {
                Token::EOF => return Err(self.unexpected()),
                Token::Comma | Token::RParen if depth == 0 => break,
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                _ => {}
            }
            let t = self.advance();
            let parts = idents.as_ref().map_or(0, Vec::len);
            match (t.token, &mut idents) {
                (Token::Word(w), Some(list)) if parts.is_multiple_of(2) => {
                    list.push(Some(Ident { value: w.value, quote_style: w.quote_style, span: t.span }));
                }
                (Token::Period, Some(list)) if !parts.is_multiple_of(2) => list.push(None),
                _ => idents = None,
            }
        }
        let text = self.text(start, self.end_of_previous()).to_owned();
        let name =
            idents.filter(|l| !l.len().is_multiple_of(2)).map(|l| Name(l.into_iter().flatten().collect()));
        Ok(OptionValue::Raw(text, name))
    }

    fn replicas(&mut self, what: &str, known: &[&'static str]) -> Parsed<OptionValue> {
        self.expect_token(&Token::LParen)?;
        if self.take_token(&Token::RParen) {
            return Ok(OptionValue::Replicas(vec![]));
        }
        let replicas = self.comma_separated(|c| {
            let name = c.ident()?;
            Ok((name, c.options(what, known)?))
        })?;
        self.expect_token(&Token::RParen)?;
        Ok(OptionValue::Replicas(replicas))
    }
}
