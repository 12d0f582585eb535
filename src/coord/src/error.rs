//! Errors and notices as clients see them.

use std::fmt;

use hw_expr::EvalError;
use hw_sql::PlanError;

/// An error with everything that PostgreSQL's ErrorResponse carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterError {
    /// Five characters, PostgreSQL manual appendix A.
    pub sqlstate: String,
    /// The primary message.
    pub message: String,
    /// More about this case.
    pub detail: Option<String>,
    /// What to do.
    pub hint: Option<String>,
    /// Where: characters from the start of the query string, from 1.
    pub position: Option<usize>,
    /// Whether the connection is over.
    pub fatal: bool,
}

impl AdapterError {
    /// An error with a SQLSTATE and a message.
    pub fn new(sqlstate: impl Into<String>, message: impl Into<String>) -> Self {
        AdapterError {
            sqlstate: sqlstate.into(),
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
            fatal: false,
        }
    }

    /// A bug: SQLSTATE XX000.
    pub fn internal(message: impl fmt::Display) -> Self {
        Self::new("XX000", format!("internal error: {message}"))
    }

    /// The server is going down (57P01).
    pub fn shutting_down() -> Self {
        let mut e = Self::new("57P01", "terminating connection due to administrator command");
        e.fatal = true;
        e
    }

    /// Adds a detail.
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds a hint.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Ends the connection.
    pub fn fatal(mut self) -> Self {
        self.fatal = true;
        self
    }
}

impl fmt::Display for AdapterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for AdapterError {}

impl From<PlanError> for AdapterError {
    fn from(e: PlanError) -> Self {
        AdapterError {
            sqlstate: e.sqlstate.to_owned(),
            message: e.message,
            detail: e.detail,
            hint: e.hint,
            position: e.position,
            fatal: false,
        }
    }
}

impl From<EvalError> for AdapterError {
    fn from(e: EvalError) -> Self {
        AdapterError {
            sqlstate: e.sqlstate().to_owned(),
            message: e.to_string(),
            detail: e.detail().map(str::to_owned),
            hint: e.hint().map(str::to_owned),
            position: None,
            fatal: false,
        }
    }
}

impl From<hw_optimizer::OptimizerError> for AdapterError {
    fn from(e: hw_optimizer::OptimizerError) -> Self {
        match e {
            hw_optimizer::OptimizerError::Temporal(e) => AdapterError::new("0A000", e.to_string()),
            other => AdapterError::internal(format!("optimizer: {other}")),
        }
    }
}

impl From<hw_persist::PersistError> for AdapterError {
    fn from(e: hw_persist::PersistError) -> Self {
        AdapterError::new("58030", format!("storage: {}", hw_base::error::Chain(&e)))
    }
}

/// A notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// `NOTICE`, `WARNING`, …
    pub severity: &'static str,
    /// Five characters.
    pub sqlstate: &'static str,
    /// The primary message.
    pub message: String,
    /// More about this case.
    pub detail: Option<String>,
    /// What to do.
    pub hint: Option<String>,
}

impl Notice {
    /// A notice (SQLSTATE 00000).
    pub fn notice(message: impl Into<String>) -> Self {
        Notice { severity: "NOTICE", sqlstate: "00000", message: message.into(), detail: None, hint: None }
    }

    /// A warning (SQLSTATE 01000).
    pub fn warning(message: impl Into<String>) -> Self {
        Notice { severity: "WARNING", sqlstate: "01000", message: message.into(), detail: None, hint: None }
    }
}
