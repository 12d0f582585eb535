//! Syntax errors as PostgreSQL words them.

use sqlparser::parser::ParserError;
use sqlparser::tokenizer::TokenizerError;

use super::tokens::slice_chars;
use crate::error::PlanError;

/// Positions of errors relative to another text.
pub(crate) trait PlanErrorAt {
    /// The same error in a text in which this statement begins at `offset` characters.
    fn shifted(self, offset: usize) -> Self;
}

impl PlanErrorAt for PlanError {
    fn shifted(mut self, offset: usize) -> Self {
        self.position = self.position.map(|p| p + offset);
        self
    }
}

/// Too deep an expression or query.
pub(crate) fn too_deep() -> PlanError {
    PlanError::new("54001", "stack depth limit exceeded")
        .with_hint("The statement nests too deeply; write long chains as IN lists, VALUES or joins.")
}

/// A syntax error at a piece of the statement's text, by positions from 1, the end excluded.
pub(crate) fn syntax_at(sql: &str, start: usize, end: usize) -> PlanError {
    let found = slice_chars(sql, start - 1, end - 1);
    PlanError::syntax(format!("syntax error at or near \"{found}\"")).at(start)
}

/// A syntax error at the end.
pub(crate) fn syntax_at_end(sql: &str) -> PlanError {
    PlanError::syntax("syntax error at end of input").at(sql.chars().count() + 1)
}

/// The place that a parser's message ends with, as a column of the statement.
pub(crate) fn error_column(error: &ParserError) -> Option<usize> {
    let message = match error {
        ParserError::ParserError(m) | ParserError::TokenizerError(m) => m,
        ParserError::RecursionLimitExceeded => return None,
    };
    let (_, place) = message.rsplit_once(" at Line: ")?;
    let (_, column) = place.split_once(", Column: ")?;
    column.trim().parse().ok().filter(|c| *c > 0)
}

/// An error of the tokenizer; `offset` is where it says it is, in characters from 0.
pub(crate) fn tokenizer_error(error: &TokenizerError, text: &str, offset: usize) -> PlanError {
    let rest = slice_chars(text, offset, usize::MAX);
    let message = match error.message.as_str() {
        m if m.contains("Unterminated dollar") => "unterminated dollar-quoted string",
        m if m.contains("Unterminated") => "unterminated quoted string",
        m if m.contains("in EOF") && m.contains("comment") => "unterminated /* comment",
        m if m.contains("close delimiter") => "unterminated quoted identifier",
        _ => "syntax error",
    };
    let near: String = rest.chars().take(200).collect();
    if near.is_empty() {
        let end = text.chars().count();
        return PlanError::syntax(format!("{message} at end of input")).at(end + 1);
    }
    PlanError::syntax(format!("{message} at or near \"{near}\"")).at(offset + 1)
}
