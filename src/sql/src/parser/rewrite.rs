//! Rewrites a statement's tokens where `sqlparser`'s query grammar lacks something, and notes what stood there.
//!
//! | text | becomes | noted in |
//! |---|---|---|
//! | `WITH MUTUALLY RECURSIVE (…)` | `WITH RECURSIVE` | [`Extensions::mutually_recursive`] |
//! | `OPTIONS (… GROUP SIZE = n)` | nothing | [`Extensions::hints`] |
//! | `AS OF` | one token that ends a query | the statement |
//! | `T LIST`, `MAP[K => V]` where a type stands | a name | [`Extensions::extended_type`] |
//! | `ROWS FROM (…)` | a call of [`super::ROWS_FROM`] | |
//! | `(record).*` | the field [`super::RECORD_STAR`] of it | |
//! | `USING (…) AS alias` | `USING (…)` | [`Extensions::using_alias`] |

use hw_expr::relation::LetRecLimit;
use sqlparser::ast::Ident;
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::dialect::HeadwaterDialect;
use super::error::{syntax_at, syntax_at_end};
use super::extensions::{ExtendedType, Extensions, GroupSizeHints, RECORD_STAR, ROWS_FROM, TYPE_MARK};
use super::tokens::{span, word};
use crate::error::PlanError;

/// The token that stands for `AS OF`.
pub(crate) const AS_OF: Token = Token::Char('\u{1}');

/// Rewrites a statement's tokens.
pub(crate) fn rewrite(
    sql: &str,
    mut tokens: Vec<TokenWithSpan>,
) -> Result<(Vec<TokenWithSpan>, Extensions), PlanError> {
    let mut ext = Extensions::default();
    if tokens.iter().any(|t| matches!(word(&t.token), Some("list" | "map"))) {
        rewrite_types(&mut tokens, &mut ext);
    }
    let interesting = |t: &TokenWithSpan| {
        matches!(word(&t.token), Some("of" | "mutually" | "options" | "rows" | "using"))
            || t.token == Token::Period
    };
    if !tokens.iter().any(interesting) {
        return Ok((tokens, ext));
    }
    let rewriter = Rewriter {
        sql,
        tokens: &tokens,
        at: 0,
        out: Vec::with_capacity(tokens.len()),
        selects: vec![0],
        ext,
    };
    rewriter.run()
}

struct Rewriter<'a> {
    sql: &'a str,
    tokens: &'a [TokenWithSpan],
    at: usize,
    out: Vec<TokenWithSpan>,
    /// Where the last SELECT of each open parenthesis is; 0 is none.
    selects: Vec<usize>,
    ext: Extensions,
}

impl<'a> Rewriter<'a> {
    fn word(&self, n: usize) -> Option<&'a str> {
        let tokens: &'a [TokenWithSpan] = self.tokens;
        tokens.get(self.at + n).and_then(|t| word(&t.token))
    }

    fn is(&self, n: usize, token: &Token) -> bool {
        self.tokens.get(self.at + n).is_some_and(|t| t.token == *token)
    }

    fn position(&self, n: usize) -> usize {
        self.tokens.get(self.at + n).map_or(0, |t| t.span.start.column as usize)
    }

    fn unexpected(&self) -> PlanError {
        match self.tokens.get(self.at) {
            Some(t) => syntax_at(self.sql, t.span.start.column as usize, t.span.end.column as usize),
            None => syntax_at_end(self.sql),
        }
    }

    fn run(mut self) -> Result<(Vec<TokenWithSpan>, Extensions), PlanError> {
        while self.at < self.tokens.len() {
            match self.word(0) {
                Some("as") if self.word(1) == Some("of") => {
                    let token =
                        TokenWithSpan { token: AS_OF, span: span(self.position(0), self.position(0) + 2) };
                    self.out.push(token);
                    self.at += 2;
                    continue;
                }
                Some("with") if self.word(1) == Some("mutually") && self.word(2) == Some("recursive") => {
                    self.mutually_recursive()?;
                    continue;
                }
                Some("options") if self.is(1, &Token::LParen) && self.hints_follow() => {
                    self.hints()?;
                    continue;
                }
                Some("rows") if self.word(1) == Some("from") && self.is(2, &Token::LParen) => {
                    let word =
                        Word { value: ROWS_FROM.into(), quote_style: Some('"'), keyword: Keyword::NoKeyword };
                    let span = span(self.position(0), self.position(2));
                    self.out.push(TokenWithSpan { token: Token::Word(word), span });
                    self.at += 2;
                    continue;
                }
                Some("using") if self.is(1, &Token::LParen) && self.using_alias() => continue,
                None if self.is(0, &Token::RParen)
                    && self.is(1, &Token::Period)
                    && self.is(2, &Token::Mul) =>
                {
                    self.pop();
                    self.out.extend_from_slice(&self.tokens[self.at..self.at + 2]);
                    let word = Word {
                        value: RECORD_STAR.into(),
                        quote_style: Some('"'),
                        keyword: Keyword::NoKeyword,
                    };
                    self.out.push(TokenWithSpan {
                        token: Token::Word(word),
                        span: self.tokens[self.at + 2].span,
                    });
                    self.at += 3;
                    continue;
                }
                Some("select") => {
                    let position = self.position(0);
                    if let Some(last) = self.selects.last_mut() {
                        *last = position;
                    }
                }
                _ => {}
            }
            match &self.tokens[self.at].token {
                Token::LParen => self.selects.push(0),
                Token::RParen => self.pop(),
                _ => {}
            }
            self.out.push(self.tokens[self.at].clone());
            self.at += 1;
        }
        Ok((self.out, self.ext))
    }

    /// A parenthesis closes.
    fn pop(&mut self) {
        if self.selects.len() > 1 {
            self.selects.pop();
        }
    }

    /// `WITH MUTUALLY RECURSIVE [([RETURN AT | ERROR AT] RECURSION LIMIT [=] n)]`
    fn mutually_recursive(&mut self) -> Result<(), PlanError> {
        let position = self.position(0);
        self.out.push(self.tokens[self.at].clone());
        self.out.push(self.tokens[self.at + 2].clone());
        self.at += 3;
        let mut limit = None;
        if self.is(0, &Token::LParen) {
            self.at += 1;
            let return_at_limit = match (self.word(0), self.word(1)) {
                (Some("return"), Some("at")) => Some(true),
                (Some("error"), Some("at")) => Some(false),
                _ => None,
            };
            if return_at_limit.is_some() {
                self.at += 2;
            }
            self.expect_words(&["recursion", "limit"])?;
            let max_iters = self.equals_number()?;
            if max_iters == 0 {
                return Err(PlanError::new("22023", "RECURSION LIMIT must be greater than 0").at(position));
            }
            if !self.is(0, &Token::RParen) {
                return Err(self.unexpected());
            }
            self.at += 1;
            limit = Some(LetRecLimit { max_iters, return_at_limit: return_at_limit.unwrap_or(false) });
        }
        self.ext.recursions.insert(position, limit);
        Ok(())
    }

    fn expect_words(&mut self, words: &[&str]) -> Result<(), PlanError> {
        for w in words {
            if self.word(0) != Some(*w) {
                return Err(self.unexpected());
            }
            self.at += 1;
        }
        Ok(())
    }

    fn equals_number(&mut self) -> Result<u64, PlanError> {
        if self.is(0, &Token::Eq) {
            self.at += 1;
        }
        let number = match self.tokens.get(self.at).map(|t| &t.token) {
            Some(Token::Number(n, _)) => n.parse().ok(),
            _ => None,
        };
        let number = number.ok_or_else(|| self.unexpected())?;
        self.at += 1;
        Ok(number)
    }

    fn hints_follow(&self) -> bool {
        matches!(self.word(2), Some("aggregate" | "distinct" | "limit" | "expected"))
            && self.selects.last().is_some_and(|s| *s > 0)
    }

    /// `OPTIONS (AGGREGATE INPUT GROUP SIZE = n, DISTINCT ON INPUT GROUP SIZE = n, LIMIT INPUT GROUP SIZE = n)`
    fn hints(&mut self) -> Result<(), PlanError> {
        let select = self.selects.last().copied().unwrap_or_default();
        let mut hints = GroupSizeHints::default();
        self.at += 2;
        loop {
            let slot = match self.word(0) {
                Some("aggregate") => &mut hints.aggregate,
                Some("distinct") if self.word(1) == Some("on") => {
                    self.at += 1;
                    &mut hints.distinct_on
                }
                Some("limit") => &mut hints.limit,
                _ => return Err(self.unexpected()),
            };
            self.at += 1;
            self.expect_words(&["input", "group", "size"])?;
            *slot = Some(self.equals_number()?);
            match self.tokens.get(self.at).map(|t| &t.token) {
                Some(Token::Comma) => self.at += 1,
                Some(Token::RParen) => {
                    self.at += 1;
                    break;
                }
                _ => return Err(self.unexpected()),
            }
        }
        self.ext.hints.insert(select, hints);
        Ok(())
    }

    /// `USING (a, b) AS alias`: whether it is one, and then it has been dealt with.
    fn using_alias(&mut self) -> bool {
        let mut n = 2;
        loop {
            if !matches!(self.tokens.get(self.at + n).map(|t| &t.token), Some(Token::Word(_))) {
                return false;
            }
            n += 2;
            if self.is(n - 1, &Token::RParen) {
                break;
            }
            if !self.is(n - 1, &Token::Comma) {
                return false;
            }
        }
        let alias = match (self.word(n), self.tokens.get(self.at + n + 1)) {
            (Some("as"), Some(TokenWithSpan { token: Token::Word(w), span }))
                if word(&Token::Word(w.clone())) != Some("of") =>
            {
                Ident { value: w.value.clone(), quote_style: w.quote_style, span: *span }
            }
            _ => return false,
        };
        self.ext.using_aliases.insert(self.position(2), alias);
        self.out.extend_from_slice(&self.tokens[self.at..self.at + n]);
        self.at += n + 2;
        true
    }
}

/// Replaces types of the dialect by names, where a type can only stand.
fn rewrite_types(tokens: &mut Vec<TokenWithSpan>, ext: &mut Extensions) {
    let is_word =
        |tokens: &[TokenWithSpan], i: usize, w: &str| tokens.get(i).and_then(|t| word(&t.token)) == Some(w);
    let is = |tokens: &[TokenWithSpan], i: usize, t: &Token| tokens.get(i).is_some_and(|x| x.token == *t);
    let mut at = 0;
    while at < tokens.len() {
        if is(tokens, at, &Token::DoubleColon) {
            rewrite_type_at(tokens, at + 1, ext, 0);
        } else if is_word(tokens, at, "cast") && is(tokens, at + 1, &Token::LParen) {
            if let Some(i) = at_depth_one(tokens, at + 1, |t| word(&t.token) == Some("as")) {
                rewrite_type_at(tokens, i + 1, ext, 0);
            }
        } else if is_word(tokens, at, "mutually") && is_word(tokens, at + 1, "recursive") {
            rewrite_recursive_columns(tokens, at + 2, ext);
        }
        at += 1;
    }
    let create_table = is_word(tokens, 0, "create")
        && (is_word(tokens, 1, "table") || (is_word(tokens, 2, "table") && !is_word(tokens, 1, "or")));
    if create_table && let Some(open) = tokens.iter().position(|t| t.token == Token::LParen) {
        rewrite_columns(tokens, open, ext);
    }
    if is_word(tokens, 0, "create") && is_word(tokens, 1, "type") {
        let mut at = 0;
        while at < tokens.len() {
            if is_word(tokens, at, "type") && is(tokens, at + 1, &Token::Eq) {
                rewrite_type_at(tokens, at + 2, ext, 0);
            }
            at += 1;
        }
        let open = tokens.iter().position(|t| t.token == Token::LParen);
        if let Some(open) = open.filter(|o| is_word(tokens, o - 1, "as")) {
            rewrite_columns(tokens, open, ext);
        }
    }
}

/// The first token for which `found` holds directly within the parenthesis at `open`.
fn at_depth_one(
    tokens: &[TokenWithSpan],
    open: usize,
    found: impl Fn(&TokenWithSpan) -> bool,
) -> Option<usize> {
    let mut depth = 0usize;
    for (i, t) in tokens.iter().enumerate().skip(open) {
        match &t.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket if depth <= 1 => return None,
            Token::RParen | Token::RBracket => depth -= 1,
            _ if depth == 1 && found(t) => return Some(i),
            _ => {}
        }
    }
    None
}

/// The types of `(name type …, name type …)`, whose parenthesis is at `open`.
fn rewrite_columns(tokens: &mut Vec<TokenWithSpan>, open: usize, ext: &mut Extensions) {
    let mut column = open + 1;
    loop {
        rewrite_type_at(tokens, column + 1, ext, 0);
        let rest = at_depth_one(tokens, open, |t| {
            t.token == Token::Comma
                && tokens.get(column).is_some_and(|c| t.span.start.column > c.span.start.column)
        });
        match rest {
            Some(comma) => column = comma + 1,
            None => return,
        }
    }
}

/// The types of the columns of all common table expressions of a WITH MUTUALLY RECURSIVE.
fn rewrite_recursive_columns(tokens: &mut Vec<TokenWithSpan>, mut at: usize, ext: &mut Extensions) {
    let close = |tokens: &[TokenWithSpan], open: usize| {
        let mut depth = 0usize;
        tokens.iter().enumerate().skip(open).find_map(|(i, t)| {
            match &t.token {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                _ => {}
            }
            (depth == 0).then_some(i)
        })
    };
    let is = |tokens: &[TokenWithSpan], i: usize, t: &Token| tokens.get(i).is_some_and(|x| x.token == *t);
    if is(tokens, at, &Token::LParen) {
        let Some(end) = close(tokens, at) else { return };
        at = end + 1;
    }
    loop {
        if !is(tokens, at + 1, &Token::LParen) {
            return;
        }
        rewrite_columns(tokens, at + 1, ext);
        let Some(end) = close(tokens, at + 1) else { return };
        // AS ( … )
        if !is(tokens, end + 2, &Token::LParen) {
            return;
        }
        let Some(end) = close(tokens, end + 2) else { return };
        if !is(tokens, end + 1, &Token::Comma) {
            return;
        }
        at = end + 2;
    }
}

/// Replaces the type that begins at `at` by a name if it is one of the dialect's. What is no type stays for the parser to refuse.
fn rewrite_type_at(tokens: &mut Vec<TokenWithSpan>, at: usize, ext: &mut Extensions, depth: usize) {
    const LONGEST_TYPE: usize = 24;
    const DEEPEST_TYPE: usize = 32;
    let is = |tokens: &[TokenWithSpan], i: usize, t: &Token| tokens.get(i).is_some_and(|x| x.token == *t);
    let is_word =
        |tokens: &[TokenWithSpan], i: usize, w: &str| tokens.get(i).and_then(|t| word(&t.token)) == Some(w);
    if depth > DEEPEST_TYPE {
        return;
    }
    if is_word(tokens, at, "map") && is(tokens, at + 1, &Token::LBracket) {
        rewrite_type_at(tokens, at + 2, ext, depth + 1);
        let Some((key, n)) = plain_type(&tokens[(at + 2).min(tokens.len())..]) else { return };
        let arrow = at + 2 + n;
        if !is(tokens, arrow, &Token::RArrow) {
            return;
        }
        rewrite_type_at(tokens, arrow + 1, ext, depth + 1);
        let Some((value, n)) = plain_type(&tokens[arrow + 1..]) else { return };
        let end = arrow + 1 + n;
        if !is(tokens, end, &Token::RBracket) {
            return;
        }
        replace_type(tokens, at, end, ext, |ext| {
            ExtendedType::Map(Box::new(ext.unwrap_plain(key)), Box::new(ext.unwrap_plain(value)))
        });
    }
    for _ in 0..DEEPEST_TYPE {
        let window = tokens.len().min(at + LONGEST_TYPE);
        let Some((inner, n)) = plain_type(tokens.get(at..window).unwrap_or_default()) else { return };
        let end = at + n;
        // A bracket begins a subscript or a list, unless it makes an array of the type.
        let array = is(tokens, end + 1, &Token::LBracket) && is(tokens, end + 2, &Token::RBracket);
        let other = is(tokens, end + 1, &Token::LBracket) || is(tokens, end + 1, &Token::LParen);
        if !is_word(tokens, end, "list") || (other && !array) {
            return;
        }
        replace_type(tokens, at, end, ext, |ext| ExtendedType::List(Box::new(ext.unwrap_plain(inner))));
    }
}

/// The type that tokens begin with, and how many it takes.
fn plain_type(tokens: &[TokenWithSpan]) -> Option<(sqlparser::ast::DataType, usize)> {
    if tokens.first().is_some_and(|t| word(&t.token) == Some("list")) {
        return None;
    }
    let dialect = HeadwaterDialect::default();
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens.to_vec());
    let data_type = parser.parse_data_type().ok()?;
    let used = parser.index();
    (used > 0 && used <= tokens.len()).then_some((data_type, used))
}

fn replace_type(
    tokens: &mut Vec<TokenWithSpan>,
    at: usize,
    end: usize,
    ext: &mut Extensions,
    make: impl FnOnce(&Extensions) -> ExtendedType,
) {
    let typ = make(ext);
    let value = format!("{TYPE_MARK}{}", ext.types.len());
    ext.types.push(typ);
    let span = span(tokens[at].span.start.column as usize, tokens[end].span.end.column as usize);
    let word = Word { value, quote_style: Some('"'), keyword: Keyword::NoKeyword };
    tokens.splice(at..=end, [TokenWithSpan { token: Token::Word(word), span }]);
}

impl Extensions {
    /// A type; one that only stands for an entry gives that.
    fn unwrap_plain(&self, data_type: sqlparser::ast::DataType) -> ExtendedType {
        match &data_type {
            sqlparser::ast::DataType::Custom(name, modifiers) if modifiers.is_empty() => {
                self.extended_type(name).cloned().unwrap_or(ExtendedType::Plain(Box::new(data_type)))
            }
            _ => ExtendedType::Plain(Box::new(data_type)),
        }
    }
}
