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
//! | `EXCLUDE …` of a window's frame | a name of the window | [`Extensions::window`] |
//! | `GROUP BY ALL`, `GROUP BY DISTINCT` | `GROUP BY` | [`Extensions::distinct_sets`] |
//! | `ROLLUP (`, `CUBE (`, `GROUPING SETS (` | the same words, which our dialect parses | |
//! | `substring(s SIMILAR p ESCAPE e)` | `substring(s, p, e)` | |
//! | `trim(FROM s)`, `trim(BOTH FROM s)` and its like | `btrim(s)` and its like | |
//! | `TABLE name` where a query stands | `SELECT * FROM name` | |
//! | `SEARCH …`, `CYCLE …` after a common table expression | nothing | [`Extensions::cte_clauses`] |
//! | `SELECT)` | a column that is none, [`super::NO_COLUMN`] | |
//! | `VARIADIC` of an argument | a name of the argument, [`super::VARIADIC`] | |
//! | `schema.keyword(`, such as `pg_catalog.current_user(` | the keyword as a quoted name | |
//! | `FETCH FIRST (expression) ROWS ONLY` | `LIMIT (expression)` | |

mod cte_clauses;

use hw_expr::relation::LetRecLimit;
use hw_expr::window::FrameExclusion;
use sqlparser::ast::Ident;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::error::{syntax_at, syntax_at_end};
use super::extensions::{
    Extensions, GroupSizeHints, NO_COLUMN, RECORD_STAR, ROWS_FROM, VARIADIC, WINDOW_MARK,
};
use super::rewrite_types::rewrite_types;
use super::tokens::{span, word};
use crate::error::PlanError;

/// The token that stands for `AS OF`.
pub(crate) const AS_OF: Token = Token::Char('\u{1}');

/// Rewrites a statement's tokens.
pub(crate) fn rewrite(
    sql: &str,
    mut tokens: Vec<TokenWithSpan>,
) -> Result<(Vec<TokenWithSpan>, Extensions), PlanError> {
    let tableoid = |t: &TokenWithSpan| matches!(&t.token, Token::Word(w) if w.value == "tableoid");
    let mut ext = Extensions { tableoid: tokens.iter().any(tableoid), ..Extensions::default() };
    if tokens.iter().any(|t| matches!(word(&t.token), Some("list" | "map"))) {
        rewrite_types(&mut tokens, &mut ext)?;
    }
    let interesting = |t: &TokenWithSpan| {
        let words = [
            "of", "mutually", "options", "rows", "using", "exclude", "group", "rollup", "cube", "grouping",
            "similar", "fetch", "variadic", "table", "search", "cycle", "select", "trim",
        ];
        word(&t.token).is_some_and(|w| words.contains(&w)) || t.token == Token::Period
    };
    if !tokens.iter().any(interesting) {
        return Ok((tokens, ext));
    }
    let rewriter = Rewriter {
        sql,
        tokens: &tokens,
        at: 0,
        out: Vec::with_capacity(tokens.len()),
        opens: vec![Open::default()],
        fetch: false,
        ext,
    };
    rewriter.run()
}

/// The function that trims that side.
fn trim_function(side: &TokenWithSpan) -> Option<&'static str> {
    match word(&side.token)? {
        "both" => Some("btrim"),
        "leading" => Some("ltrim"),
        "trailing" => Some("rtrim"),
        _ => None,
    }
}

struct Rewriter<'a> {
    sql: &'a str,
    tokens: &'a [TokenWithSpan],
    at: usize,
    out: Vec<TokenWithSpan>,
    /// The parentheses that are open; the first stands for the statement.
    opens: Vec<Open>,
    /// Whether the next parenthesis is what FETCH FIRST counts.
    fetch: bool,
    ext: Extensions,
}

/// An open parenthesis.
#[derive(Default)]
struct Open {
    /// Where the last SELECT directly in it is; 0 is none.
    select: usize,
    /// How many tokens were out when it had been opened.
    start: usize,
    /// What comes next if it is `substring(s SIMILAR p ESCAPE e)`.
    substring: Option<&'static str>,
    /// Whether it is what FETCH FIRST counts.
    fetch: bool,
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
                Some("from") if self.trim_begins() => {
                    self.trim()?;
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
                Some("fetch")
                    if matches!(self.word(1), Some("first" | "next")) && self.is(2, &Token::LParen) =>
                {
                    let limit = Token::Word(Word {
                        value: "limit".into(),
                        quote_style: None,
                        keyword: Keyword::LIMIT,
                    });
                    self.out.push(TokenWithSpan { token: limit, span: self.tokens[self.at].span });
                    self.at += 2;
                    self.fetch = true;
                    continue;
                }
                Some("search" | "cycle") if self.cte_clauses()? => continue,
                Some("table") if self.table_command() => continue,
                Some("variadic") if self.variadic() => continue,
                Some("exclude") if self.exclusion() => continue,
                Some("group") if self.word(1) == Some("by") => {
                    self.group_by();
                    continue;
                }
                Some("rollup" | "cube") if self.is(1, &Token::LParen) => {
                    self.plain_word();
                    continue;
                }
                Some("grouping") if self.word(1) == Some("sets") && self.is(2, &Token::LParen) => {
                    self.plain_word();
                    continue;
                }
                Some(_) if self.qualified_call() => continue,
                Some(w) if self.substring(w) => continue,
                Some("select") => {
                    let position = self.position(0);
                    if let Some(last) = self.opens.last_mut() {
                        last.select = position;
                    }
                    if self.is(1, &Token::RParen) {
                        self.copy();
                        let name = Word {
                            value: NO_COLUMN.into(),
                            quote_style: Some('"'),
                            keyword: Keyword::NoKeyword,
                        };
                        self.out.push(TokenWithSpan {
                            token: Token::Word(name),
                            span: self.tokens[self.at].span,
                        });
                    }
                }
                _ => {}
            }
            self.copy();
            self.after_fetch()?;
        }
        Ok((self.out, self.ext))
    }

    /// A function's name after its schema is only a name, whatever it means by itself.
    fn qualified_call(&mut self) -> bool {
        let after_period = self.at > 0 && self.tokens[self.at - 1].token == Token::Period;
        let Token::Word(word) = &self.tokens[self.at].token else { return false };
        if !after_period || word.keyword == Keyword::NoKeyword || !self.is(1, &Token::LParen) {
            return false;
        }
        let name = Word { value: word.value.clone(), quote_style: Some('"'), keyword: Keyword::NoKeyword };
        self.out.push(TokenWithSpan { token: Token::Word(name), span: self.tokens[self.at].span });
        self.at += 1;
        true
    }

    /// Copies a token.
    fn copy(&mut self) {
        let substring = self.at > 0 && word(&self.tokens[self.at - 1].token) == Some("substring");
        self.out.push(self.tokens[self.at].clone());
        match &self.tokens[self.at].token {
            Token::LParen => {
                let substring = substring.then_some("similar");
                let fetch = std::mem::take(&mut self.fetch);
                self.opens.push(Open { select: 0, start: self.out.len(), substring, fetch });
            }
            Token::RParen => self.fetch = self.pop(),
            _ => {}
        }
        self.at += 1;
    }

    /// What follows the parenthesis that FETCH FIRST counts.
    fn after_fetch(&mut self) -> Result<(), PlanError> {
        if !self.fetch || !matches!(self.tokens[self.at - 1].token, Token::RParen) {
            return Ok(());
        }
        self.fetch = false;
        if !matches!(self.word(0), Some("row" | "rows")) {
            return Err(self.unexpected());
        }
        match (self.word(1), self.word(2)) {
            (Some("only"), _) => self.at += 2,
            (Some("with"), Some("ties")) => {
                let position = self.position(1);
                return Err(PlanError::unsupported("WITH TIES after an expression").at(position));
            }
            _ => {
                self.at += 1;
                return Err(self.unexpected());
            }
        }
        Ok(())
    }

    /// A parenthesis closes; gives whether it is what FETCH FIRST counts.
    fn pop(&mut self) -> bool {
        self.opens.len() > 1 && self.opens.pop().is_some_and(|o| o.fetch)
    }

    /// Copies a keyword as a word that `sqlparser` does not know.
    fn plain_word(&mut self) {
        let mut token = self.tokens[self.at].clone();
        if let Token::Word(w) = &mut token.token {
            w.keyword = Keyword::NoKeyword;
        }
        self.out.push(token);
        self.at += 1;
    }

    /// `TABLE name` as a query: whether it is one, and then its first word has been dealt with.
    fn table_command(&mut self) -> bool {
        let mut before = self.out.iter().rev();
        let first = before.next();
        let set = |t: Option<&TokenWithSpan>| {
            matches!(t.and_then(|t| word(&t.token)), Some("union" | "except" | "intersect"))
        };
        let begins = match first.map(|t| &t.token) {
            None | Some(Token::LParen) => true,
            Some(t) if matches!(word(t), Some("all" | "distinct")) => set(before.next()),
            Some(_) => set(first),
        };
        let named = matches!(self.tokens.get(self.at + 1).map(|t| &t.token), Some(Token::Word(_)));
        if !begins || !named {
            return false;
        }
        let span = self.tokens[self.at].span;
        if let Some(last) = self.opens.last_mut() {
            last.select = span.start.column as usize;
        }
        let keyword =
            |value: &str, keyword| Token::Word(Word { value: value.into(), quote_style: None, keyword });
        for token in [keyword("select", Keyword::SELECT), Token::Mul, keyword("from", Keyword::FROM)] {
            self.out.push(TokenWithSpan { token, span });
        }
        self.at += 1;
        true
    }

    /// Whether what is out ends with `trim(` or `trim(BOTH` and its like.
    fn trim_begins(&self) -> bool {
        let before = match self.out.split_last() {
            Some((last, before)) if trim_function(last).is_some() => before,
            _ => &self.out,
        };
        matches!(before, [.., trim, open] if word(&trim.token) == Some("trim") && open.token == Token::LParen)
    }

    /// `trim([side] FROM`: the call of the side's function begins.
    fn trim(&mut self) -> Result<(), PlanError> {
        let side = self.out.last().and_then(trim_function);
        if side.is_some() {
            self.out.pop();
        }
        let at = self.out.len() - 2;
        let value = side.unwrap_or("btrim").to_owned();
        self.out[at].token = Token::Word(Word { value, quote_style: None, keyword: Keyword::NoKeyword });
        self.at += 1;
        if self.is(0, &Token::RParen) { Err(self.unexpected()) } else { Ok(()) }
    }

    /// `VARIADIC` before an argument: whether it is that, and then it has been dealt with.
    fn variadic(&mut self) -> bool {
        let begins = matches!(self.out.last().map(|t| &t.token), Some(Token::LParen | Token::Comma));
        let next = self.tokens.get(self.at + 1).map(|t| &t.token);
        if !begins || matches!(next, None | Some(Token::Comma | Token::RParen | Token::Period)) {
            return false;
        }
        let span = self.tokens[self.at].span;
        let name = Word { value: VARIADIC.into(), quote_style: Some('"'), keyword: Keyword::NoKeyword };
        self.out.push(TokenWithSpan { token: Token::Word(name), span });
        self.out.push(TokenWithSpan { token: Token::RArrow, span });
        self.at += 1;
        true
    }

    /// `GROUP BY [ALL | DISTINCT]`
    fn group_by(&mut self) {
        self.copy();
        self.copy();
        match self.word(0) {
            Some("distinct") => {
                let select = self.opens.last().map_or(0, |o| o.select);
                self.ext.distinct_sets.insert(select);
                self.at += 1;
            }
            Some("all") => self.at += 1,
            _ => {}
        }
    }

    /// `EXCLUDE (CURRENT ROW | GROUP | TIES | NO OTHERS)` at the end of a frame: it goes into the name of the window on which the
    /// definition builds, which may have been left out. Whether it is one, and then it has been dealt with.
    fn exclusion(&mut self) -> bool {
        let (exclusion, words) = match (self.word(1), self.word(2)) {
            (Some("current"), Some("row")) => (FrameExclusion::CurrentRow, 3),
            (Some("no"), Some("others")) => (FrameExclusion::NoOthers, 3),
            (Some("group"), _) => (FrameExclusion::Group, 2),
            (Some("ties"), _) => (FrameExclusion::Ties, 2),
            _ => return false,
        };
        let ends_frame =
            |t: &TokenWithSpan| matches!(word(&t.token), Some("row" | "preceding" | "following"));
        let start = self.opens.last().map_or(0, |o| o.start);
        if start == 0 || !self.is(words, &Token::RParen) || !self.out.last().is_some_and(ends_frame) {
            return false;
        }
        let base = match self.out.get(start) {
            Some(TokenWithSpan { token: Token::Word(w), span })
                if !matches!(
                    word(&Token::Word(w.clone())),
                    Some("partition" | "order" | "rows" | "range" | "groups")
                ) =>
            {
                Some(Ident { value: w.value.clone(), quote_style: w.quote_style, span: *span })
            }
            _ => None,
        };
        let value = format!("{WINDOW_MARK}{}", self.ext.windows.len());
        let mark = Token::Word(Word { value, quote_style: Some('"'), keyword: Keyword::NoKeyword });
        let mark = TokenWithSpan { token: mark, span: span(self.position(0), self.position(words)) };
        match &base {
            Some(_) => self.out[start] = mark,
            None => self.out.insert(start, mark),
        }
        self.ext.windows.push((base, exclusion));
        self.at += words;
        true
    }

    /// A word that parts the operands of `substring(s SIMILAR p ESCAPE e)` becomes a comma.
    fn substring(&mut self, word: &str) -> bool {
        let to = self.word(1) == Some("to");
        let Some(open) = self.opens.last_mut() else { return false };
        if open.substring != Some(word) || (word == "similar" && to) {
            return false;
        }
        open.substring = (word == "similar").then_some("escape");
        self.out.push(TokenWithSpan { token: Token::Comma, span: self.tokens[self.at].span });
        self.at += 1;
        true
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
            && self.opens.last().is_some_and(|o| o.select > 0)
    }

    /// `OPTIONS (AGGREGATE INPUT GROUP SIZE = n, DISTINCT ON INPUT GROUP SIZE = n, LIMIT INPUT GROUP SIZE = n)`
    fn hints(&mut self) -> Result<(), PlanError> {
        let select = self.opens.last().map_or(0, |o| o.select);
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
