//! Queries in parentheses where an expression stands, beyond those that begin with SELECT or WITH.
//!
//! ```text
//! (VALUES (1))    ((SELECT a) UNION (SELECT b))    x = ANY (VALUES (1), (2))    x > ALL ((SELECT a) EXCEPT SELECT b)
//! ```
//!
//! As in PostgreSQL's grammar, `((SELECT a))` is a query, `((SELECT a) + 1)` and `((SELECT a), 1)` are not: what decides is the
//! token after each inner parenthesis. So the tokens are looked at before anything is parsed, and nothing is parsed twice.

use sqlparser::ast::{BinaryOperator, Expr};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::dialect::{is_paren, is_word, starts_query};

/// What may follow a query in parentheses that is part of another.
const CONTINUATIONS: &[&str] = &["union", "intersect", "except", "order", "limit", "offset", "fetch"];

/// A query in parentheses at this place; `None` for anything that `sqlparser` parses itself.
pub(super) fn parse_parenthesised(parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
    begins_query(parser, 0).then(|| parse_query(parser))
}

/// `x = ANY (query)` and the like; `None` for anything that `sqlparser` parses itself.
pub(super) fn parse_quantified(parser: &mut Parser, expr: &Expr) -> Option<Result<Expr, ParserError>> {
    let compare_op = match &parser.peek_token_ref().token {
        Token::Eq => BinaryOperator::Eq,
        Token::Neq => BinaryOperator::NotEq,
        Token::Lt => BinaryOperator::Lt,
        Token::LtEq => BinaryOperator::LtEq,
        Token::Gt => BinaryOperator::Gt,
        Token::GtEq => BinaryOperator::GtEq,
        _ => return None,
    };
    let is_all = is_word(parser, 1, "all");
    if !(is_all || is_word(parser, 1, "any") || is_word(parser, 1, "some")) || !begins_query(parser, 2) {
        return None;
    }
    parser.advance_token();
    parser.advance_token();
    Some(parse_query(parser).map(|right| {
        let (left, right) = (Box::new(expr.clone()), Box::new(right));
        match is_all {
            true => Expr::AllOp { left, compare_op, right },
            false => Expr::AnyOp { left, compare_op, right, is_some: false },
        }
    }))
}

fn parse_query(parser: &mut Parser) -> Result<Expr, ParserError> {
    parser.expect_token(&Token::LParen)?;
    let query = parser.parse_query()?;
    parser.expect_token(&Token::RParen)?;
    Ok(Expr::Subquery(query))
}

/// Whether the token after `n` others is a parenthesis around a query that `sqlparser` takes for an expression.
fn begins_query(parser: &mut Parser, n: usize) -> bool {
    if !is_paren(parser, n) || !(is_paren(parser, n + 1) || starts_query(parser, n + 1)) {
        return false;
    }
    if !is_paren(parser, n + 1) {
        return is_word(parser, n + 1, "values") || is_word(parser, n + 1, "table");
    }
    let mut found = false;
    // A parse that fails goes back to where it began.
    let _looked: Result<(), ParserError> = parser.try_parse(|p| {
        for _ in 0..=n {
            p.advance_token();
        }
        found = inner_parentheses_hold_queries(p);
        Err(ParserError::ParserError(String::new()))
    });
    found
}

/// Whether each of the parentheses that open here closes where a query may go on or end.
fn inner_parentheses_hold_queries(parser: &mut Parser) -> bool {
    let mut leading = 0;
    while is_paren(parser, 0) {
        parser.advance_token();
        leading += 1;
    }
    if !starts_query(parser, 0) {
        return false;
    }
    let mut depth = leading;
    while leading > 0 {
        parser.advance_token();
        match &parser.get_current_token().token {
            Token::LParen => depth += 1,
            Token::EOF => return false,
            Token::RParen => {
                depth -= 1;
                if depth < leading {
                    leading = depth;
                    let ends = parser.peek_token_ref().token == Token::RParen;
                    if !ends && !CONTINUATIONS.iter().any(|w| is_word(parser, 0, w)) {
                        return false;
                    }
                }
            }
            _ => {}
        }
    }
    true
}
