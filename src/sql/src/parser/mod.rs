//! Statements on `sqlparser`, and our own.
//!
//! ```text
//! text ──tokens──▶ tokens of each statement ──rewrite──▶ tokens that sqlparser knows + Extensions ──grammar──▶ Statement
//! ```
//!
//! There is one tokenizer and one grammar of queries, `sqlparser`'s, used as a library with one [dialect](mod@dialect). Statements
//! that it lacks are parsed from its tokens in `grammar*.rs`. Where its grammar of queries lacks something, tokens are rewritten and what
//! stood there is kept in [`Extensions`], keyed by place; whoever plans a query asks there (`scx.extensions`):
//!
//! * [`Extensions::mutually_recursive`] of each WITH,
//! * [`Extensions::hints`] of each SELECT,
//! * [`Extensions::using_alias`] of each JOIN … USING,
//! * [`Extensions::cte_clauses`] of each common table expression,
//! * [`Extensions::extended_type`] of each `DataType::Custom`,
//! * and functions of the names [`BETWEEN_SYMMETRIC`], [`LIST_CONSTRUCTOR`], [`LIST_SUBQUERY`], [`MAP_CONSTRUCTOR`], [`MAP_SUBQUERY`] in expressions and
//!   [`ROWS_FROM`] in FROM, the column [`NO_COLUMN`] of an empty select list, the field [`RECORD_STAR`] of a parenthesised expression, and the name
//!   [`VARIADIC`] of an argument.
//!
//! Invariants:
//!
//! 1. Identifiers that were not quoted are in lower case: names are compared exactly from here on.
//! 2. A span's column is a position in the statement's own text, in characters from 1; [`position`] gives it. Errors of [`parse`] have
//!    positions in the whole string, errors of planning have them in the statement: add [`ParsedStatement::offset`].
//! 3. No text makes the parser overflow the stack: nesting and the length of chains of operators are bounded (54001).

pub mod ast;
mod cursor;
pub mod dialect;
mod error;
mod extensions;
mod grammar;
mod grammar_alter;
mod grammar_ddl;
mod grammar_session;
mod nested_query;
mod rewrite;
mod rewrite_types;
#[cfg(test)]
mod tests;
mod tokens;

use std::sync::Arc;

use sqlparser::tokenizer::{Token, TokenWithSpan};

pub use ast::Statement;
pub use dialect::{BETWEEN_SYMMETRIC, LIST_CONSTRUCTOR, LIST_SUBQUERY, MAP_CONSTRUCTOR, MAP_SUBQUERY};
pub use extensions::{
    CteClauses, CycleClause, ExtendedType, Extensions, GroupSizeHints, NO_COLUMN, RECORD_STAR, ROWS_FROM,
    SearchClause, VARIADIC, position,
};
pub(crate) use tokens::slice_chars;

use self::cursor::Cursor;
use self::dialect::HeadwaterDialect;
use self::error::PlanErrorAt;
use self::tokens::StatementTokens;
use crate::error::PlanError;

/// The greatest number of a parameter, as in PostgreSQL's protocol.
const MAX_PARAMETERS: usize = 65_535;
/// How much stack parsing gets, in bytes, however much the thread has: nesting and operator chains are bounded, but what a level takes
/// depends on the build. Only what is used is ever committed.
const STACK: usize = 64 << 20;

/// A statement, parsed.
#[derive(Debug, Clone)]
pub struct ParsedStatement {
    /// Its text.
    pub sql: String,
    /// Where it begins in the whole string, in characters from 0.
    pub offset: usize,
    /// The statement.
    pub statement: Statement,
    /// What `sqlparser`'s grammar cannot express.
    pub extensions: Extensions,
    /// The greatest parameter number.
    pub params: usize,
}

/// Parses a string of any number of statements, parted by semicolons. Empty ones are left out.
pub fn parse(sql: &str) -> Result<Vec<ParsedStatement>, PlanError> {
    let statements = tokens::tokenize(sql)?;
    statements
        .into_iter()
        .map(|s| {
            let offset = s.offset;
            parse_tokens(s).map_err(|e| e.shifted(offset))
        })
        .collect()
}

/// Parses exactly one statement.
pub fn parse_one(sql: &str) -> Result<ParsedStatement, PlanError> {
    let mut statements = parse(sql)?;
    match (statements.pop(), statements.is_empty()) {
        (Some(statement), true) => Ok(statement),
        _ => Err(PlanError::syntax("expected exactly one statement")),
    }
}

fn parse_tokens(statement: StatementTokens) -> Result<ParsedStatement, PlanError> {
    let StatementTokens { sql, offset, tokens } = statement;
    let params = count_parameters(&tokens)?;
    let (tokens, extensions) = rewrite::rewrite(&sql, tokens)?;
    let dialect = HeadwaterDialect::default();
    let text: Arc<str> = sql.as_str().into();
    let statement = stacker::grow(STACK, || {
        let mut cursor = Cursor::new(&dialect, text, tokens);
        let statement = cursor.statement()?;
        if cursor.at_end() { Ok(statement) } else { Err(cursor.unexpected()) }
    })?;
    Ok(ParsedStatement { sql, offset, statement, extensions, params })
}

fn count_parameters(tokens: &[TokenWithSpan]) -> Result<usize, PlanError> {
    let mut greatest = 0;
    for t in tokens {
        if let Token::Placeholder(p) = &t.token {
            let position = t.span.start.column as usize;
            let n =
                p.strip_prefix('$').and_then(|n| n.parse().ok()).filter(|n| (1..=MAX_PARAMETERS).contains(n));
            let missing = || PlanError::new("42P02", format!("there is no parameter {p}")).at(position);
            greatest = greatest.max(n.ok_or_else(missing)?);
        }
    }
    Ok(greatest)
}
