//! Rewrites the dialect's types (`T LIST`, `MAP[K => V]`) to names that stand for entries of [`Extensions`].

use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::dialect::HeadwaterDialect;
use super::extensions::{ExtendedType, Extensions, TYPE_MARK};
use super::tokens::{span, word};
use crate::error::PlanError;

/// The greatest number of types of the dialect in a statement.
const MAX_TYPES: usize = 10_000;

/// Replaces types of the dialect by names, where a type can only stand.
pub(super) fn rewrite_types(tokens: &mut Vec<TokenWithSpan>, ext: &mut Extensions) -> Result<(), PlanError> {
    let is_word =
        |tokens: &[TokenWithSpan], i: usize, w: &str| tokens.get(i).and_then(|t| word(&t.token)) == Some(w);
    let is = |tokens: &[TokenWithSpan], i: usize, t: &Token| tokens.get(i).is_some_and(|x| x.token == *t);
    // For each open parenthesis whether it is that of a CAST.
    let mut casts = vec![];
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at].token {
            Token::LParen => casts.push(at > 0 && is_word(tokens, at - 1, "cast")),
            Token::RParen => {
                casts.pop();
            }
            Token::DoubleColon => rewrite_type_at(tokens, at + 1, ext, 0),
            t if word(t) == Some("as") && casts.last() == Some(&true) => {
                rewrite_type_at(tokens, at + 1, ext, 0);
            }
            t if word(t) == Some("mutually") && is_word(tokens, at + 1, "recursive") => {
                rewrite_recursive_columns(tokens, at + 2, ext);
            }
            _ => {}
        }
        if ext.types.len() > MAX_TYPES {
            let position = tokens[at].span.start.column as usize;
            return Err(PlanError::new("54000", "too many list and map types in one statement").at(position));
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
    Ok(())
}

/// The types of `(name type …, name type …)`, whose parenthesis is at `open`; gives where it closes.
fn rewrite_columns(tokens: &mut Vec<TokenWithSpan>, open: usize, ext: &mut Extensions) -> Option<usize> {
    rewrite_type_at(tokens, open + 2, ext, 0);
    let (mut depth, mut at) = (0usize, open);
    while at < tokens.len() {
        match &tokens[at].token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket if depth <= 1 => return Some(at),
            Token::RParen | Token::RBracket => depth -= 1,
            Token::Comma if depth == 1 && ext.types.len() <= MAX_TYPES => {
                rewrite_type_at(tokens, at + 2, ext, 0);
            }
            _ => {}
        }
        at += 1;
    }
    None
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
        let Some(end) = rewrite_columns(tokens, at + 1, ext) else { return };
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
