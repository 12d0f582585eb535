//! Errors of evaluation. They are data: a collection may hold them, and a read that meets one fails with it.

use hw_repr::adt::AdtError;
use hw_repr::text::ParseError;
use serde::{Deserialize, Serialize};

/// Why an expression has no value.
///
/// An error carries PostgreSQL's text and SQLSTATE, so that a client cannot tell where it arose.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum EvalError {
    /// Division or modulo by zero.
    #[error("division by zero")]
    DivisionByZero,
    /// A result that its type cannot hold, such as `integer out of range`.
    #[error("{0} out of range")]
    OutOfRange(Box<str>),
    /// A scalar subquery gave several rows.
    #[error("more than one row returned by a subquery used as an expression")]
    MultipleRowsFromSubquery,
    /// A value with a negative multiplicity reached an operator: the input data is inconsistent.
    #[error("invalid data in source, saw retractions for row that does not exist")]
    NegativeMultiplicity,
    /// A NULL where the column forbids it.
    #[error("null value in column \"{0}\" violates not-null constraint")]
    NotNullViolation(Box<str>),
    /// Any other error: SQLSTATE, message, detail, hint.
    #[error("{message}")]
    Other {
        /// Five characters, PostgreSQL manual appendix A.
        sqlstate: Box<str>,
        /// The primary message.
        message: Box<str>,
        /// More about this case.
        detail: Option<Box<str>>,
        /// What to do.
        hint: Option<Box<str>>,
    },
}

impl EvalError {
    /// An error with a SQLSTATE and a message.
    pub fn new(sqlstate: &str, message: impl Into<String>) -> Self {
        EvalError::Other {
            sqlstate: sqlstate.into(),
            message: message.into().into_boxed_str(),
            detail: None,
            hint: None,
        }
    }

    /// The same with a detail. Errors that have none by nature stay as they are.
    pub fn with_detail(mut self, text: impl Into<String>) -> Self {
        if let EvalError::Other { detail, .. } = &mut self {
            *detail = Some(text.into().into_boxed_str());
        }
        self
    }

    /// The same with a hint.
    pub fn with_hint(mut self, text: impl Into<String>) -> Self {
        if let EvalError::Other { hint, .. } = &mut self {
            *hint = Some(text.into().into_boxed_str());
        }
        self
    }

    /// The SQLSTATE, PostgreSQL manual appendix A.
    pub fn sqlstate(&self) -> &str {
        match self {
            EvalError::DivisionByZero => "22012",
            EvalError::OutOfRange(_) => "22003",
            EvalError::MultipleRowsFromSubquery => "21000",
            EvalError::NegativeMultiplicity => "XX000",
            EvalError::NotNullViolation(_) => "23502",
            EvalError::Other { sqlstate, .. } => sqlstate,
        }
    }

    /// More about this case.
    pub fn detail(&self) -> Option<&str> {
        match self {
            EvalError::Other { detail, .. } => detail.as_deref(),
            _ => None,
        }
    }

    /// What to do.
    pub fn hint(&self) -> Option<&str> {
        match self {
            EvalError::Other { hint, .. } => hint.as_deref(),
            _ => None,
        }
    }
}

impl From<AdtError> for EvalError {
    fn from(e: AdtError) -> Self {
        match &e {
            AdtError::DivisionByZero => EvalError::DivisionByZero,
            AdtError::IntegerOutOfRange(t) => EvalError::OutOfRange(t.clone()),
            _ => EvalError::Other {
                sqlstate: e.sqlstate().into(),
                message: e.to_string().into(),
                detail: e.detail().map(Into::into),
                hint: None,
            },
        }
    }
}

impl From<ParseError> for EvalError {
    fn from(e: ParseError) -> Self {
        EvalError::Other { sqlstate: e.sqlstate().into(), message: e.message, detail: e.detail, hint: e.hint }
    }
}
