//! From text to the tokens of single statements.
//!
//! White space and comments are dropped, identifiers folded to lower case, adjacent string literals on several lines joined. Each
//! token's span is in characters of its own statement: line 1, column from 1; so a column is a position as PostgreSQL's
//! protocol has it.

use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer, Whitespace};

use super::dialect::HeadwaterDialect;
use super::error::{PlanErrorAt, tokenizer_error};
use crate::error::PlanError;

/// The greatest length of a string of statements, in bytes.
const MAX_TEXT_BYTES: usize = 32 << 20;
/// The greatest length of an identifier, in bytes.
const MAX_IDENT_BYTES: usize = 255;
/// The greatest number of set operations in a statement: their tree is as deep as there are of them.
const MAX_SET_OPERATIONS: usize = 1500;

/// The tokens of one statement.
pub(crate) struct StatementTokens {
    /// Its text.
    pub(crate) sql: String,
    /// Where it begins in the whole string, in characters from 0.
    pub(crate) offset: usize,
    /// Its tokens, without white space.
    pub(crate) tokens: Vec<TokenWithSpan>,
}

/// A span of one statement, from positions that count from 1, the end excluded.
pub(crate) fn span(start: usize, end: usize) -> Span {
    Span::new(Location::new(1, start as u64), Location::new(1, end as u64))
}

/// The unquoted word that a token is, in lower case.
pub(crate) fn word(token: &Token) -> Option<&str> {
    match token {
        Token::Word(w) if w.quote_style.is_none() => Some(&w.value),
        _ => None,
    }
}

/// Part of a text by positions in characters, from 0.
pub(crate) fn slice_chars(text: &str, start: usize, end: usize) -> &str {
    let byte = |n: usize| {
        if text.is_ascii() {
            n.min(text.len())
        } else {
            text.char_indices().nth(n).map_or(text.len(), |(i, _)| i)
        }
    };
    let (start, end) = (byte(start), byte(end));
    text.get(start..end.max(start)).unwrap_or_default()
}

/// Translates lines and columns to characters from the start.
struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    fn new(text: &str) -> Self {
        let mut starts = vec![0];
        starts.extend(text.chars().enumerate().filter(|(_, c)| *c == '\n').map(|(i, _)| i + 1));
        Lines { starts }
    }

    fn offset(&self, location: Location) -> usize {
        let line = (location.line as usize).saturating_sub(1).min(self.starts.len() - 1);
        self.starts[line] + (location.column as usize).saturating_sub(1)
    }
}

/// Splits a string into statements. Errors have positions in the whole string.
pub(crate) fn tokenize(text: &str) -> Result<Vec<StatementTokens>, PlanError> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(PlanError::new("54000", "statement batch is too large")
            .with_detail(format!("It has {} bytes, the limit is {MAX_TEXT_BYTES}.", text.len())));
    }
    if let Some(position) = text.chars().position(|c| c == '\0' || c == '\u{1}') {
        return Err(PlanError::syntax("invalid character in statement").at(position + 1));
    }
    let lines = Lines::new(text);
    let dialect = HeadwaterDialect::default();
    let tokens = Tokenizer::new(&dialect, text)
        .tokenize_with_location()
        .map_err(|e| tokenizer_error(&e, text, lines.offset(e.location)))?;
    let mut statements = vec![];
    let mut current: Vec<(Token, usize, usize)> = vec![];
    let mut new_line = false;
    for TokenWithSpan { token, span } in tokens {
        let (start, end) = (lines.offset(span.start), lines.offset(span.end));
        match token {
            Token::EOF => {}
            Token::Whitespace(w) => {
                new_line |= matches!(w, Whitespace::Newline | Whitespace::SingleLineComment { .. });
                continue;
            }
            Token::SemiColon => finish(text, &mut current, &mut statements),
            Token::Word(mut w) => {
                if w.quote_style.is_none() {
                    w.value.make_ascii_lowercase();
                } else if w.value.is_empty() {
                    return Err(PlanError::syntax("zero-length delimited identifier").at(start + 1));
                }
                if w.value.len() > MAX_IDENT_BYTES {
                    return Err(PlanError::new("42622", "identifier is too long")
                        .with_detail(format!("The limit is {MAX_IDENT_BYTES} bytes."))
                        .at(start + 1));
                }
                current.push((Token::Word(w), start, end));
            }
            Token::SingleQuotedString(s) => match current.last_mut() {
                Some((Token::SingleQuotedString(before), _, before_end)) if new_line => {
                    before.push_str(&s);
                    *before_end = end;
                }
                _ => current.push((Token::SingleQuotedString(s), start, end)),
            },
            Token::Placeholder(p) if p.starts_with('?') => question(&p, start, &mut current),
            token => push_operator(token, start, end, &mut current),
        }
        new_line = false;
    }
    finish(text, &mut current, &mut statements);
    for statement in &statements {
        check_set_operations(statement).map_err(|e| e.shifted(statement.offset))?;
    }
    Ok(statements)
}

/// `?`, which the tokenizer takes for a parameter: an operator of jsonb. Digits after it are the right operand.
fn question(placeholder: &str, start: usize, current: &mut Vec<(Token, usize, usize)>) {
    current.push((Token::Question, start, start + 1));
    let digits: String = placeholder.chars().skip(1).collect();
    if !digits.is_empty() {
        let end = start + 1 + digits.chars().count();
        current.push((Token::Number(digits, false), start + 1, end));
    }
}

/// A token that is no word; right after `?` it may be the rest of `?|` or `?&`.
fn push_operator(token: Token, start: usize, end: usize, current: &mut Vec<(Token, usize, usize)>) {
    let joined = match (&token, current.last()) {
        (Token::Pipe, Some((Token::Question, _, e))) if *e == start => Some(Token::QuestionPipe),
        (Token::Ampersand, Some((Token::Question, _, e))) if *e == start => Some(Token::QuestionAnd),
        _ => None,
    };
    match (joined, current.last_mut()) {
        (Some(joined), Some((last, _, last_end))) => {
            *last = joined;
            *last_end = end;
        }
        _ => current.push((token, start, end)),
    }
}

fn finish(text: &str, current: &mut Vec<(Token, usize, usize)>, statements: &mut Vec<StatementTokens>) {
    let (Some(first), Some(last)) = (current.first(), current.last()) else { return };
    let (offset, end) = (first.1, last.2);
    let tokens = std::mem::take(current)
        .into_iter()
        .map(|(token, s, e)| TokenWithSpan { token, span: span(s - offset + 1, e - offset + 1) })
        .collect();
    statements.push(StatementTokens { sql: slice_chars(text, offset, end).to_owned(), offset, tokens });
}

fn check_set_operations(statement: &StatementTokens) -> Result<(), PlanError> {
    let is_set = |t: &&TokenWithSpan| matches!(word(&t.token), Some("union" | "except" | "intersect"));
    match statement.tokens.iter().filter(is_set).nth(MAX_SET_OPERATIONS) {
        Some(t) => Err(super::error::too_deep().at(t.span.start.column as usize)),
        None => Ok(()),
    }
}
