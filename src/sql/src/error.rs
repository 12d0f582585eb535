//! Errors of parsing and planning.

use std::fmt;

/// An error with PostgreSQL's SQLSTATE, and where in the statement's text it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanError {
    /// Five characters, PostgreSQL manual appendix A.
    pub sqlstate: &'static str,
    /// The primary message.
    pub message: String,
    /// More about this case.
    pub detail: Option<String>,
    /// What to do.
    pub hint: Option<String>,
    /// Where: characters from the start of the statement, from 1.
    pub position: Option<usize>,
}

impl PlanError {
    /// An error with a SQLSTATE and a message.
    pub fn new(sqlstate: &'static str, message: impl Into<String>) -> Self {
        PlanError { sqlstate, message: message.into(), detail: None, hint: None, position: None }
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

    /// Adds a position, unless there is one.
    pub fn at(mut self, position: usize) -> Self {
        self.position.get_or_insert(position);
        self
    }

    /// Syntax error (42601).
    pub fn syntax(message: impl Into<String>) -> Self {
        Self::new("42601", message)
    }

    /// A feature that is not there (0A000).
    pub fn unsupported(feature: impl fmt::Display) -> Self {
        Self::new("0A000", format!("{feature} is not supported"))
    }

    /// An unknown relation (42P01).
    pub fn unknown_relation(name: impl fmt::Display) -> Self {
        Self::new("42P01", format!("relation \"{name}\" does not exist"))
    }

    /// An unknown column (42703).
    pub fn unknown_column(name: impl fmt::Display) -> Self {
        Self::new("42703", format!("column \"{name}\" does not exist"))
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for PlanError {}

impl From<hw_expr::EvalError> for PlanError {
    fn from(e: hw_expr::EvalError) -> Self {
        PlanError {
            sqlstate: intern_sqlstate(e.sqlstate()),
            message: e.to_string(),
            detail: e.detail().map(str::to_owned),
            hint: e.hint().map(str::to_owned),
            position: None,
        }
    }
}

/// The static form of a SQLSTATE that evaluation may give.
pub fn intern_sqlstate(state: &str) -> &'static str {
    const KNOWN: &[&str] = &[
        "08P01", "0A000", "21000", "22000", "22001", "22002", "22003", "22004", "22005", "22007", "22008",
        "22009", "2200B", "2200C", "2200D", "2200F", "2200G", "22010", "22011", "22012", "22013", "22014",
        "22015", "22016", "22018", "22019", "2201B", "2201E", "2201F", "2201G", "2201W", "2201X", "22021",
        "22022", "22023", "22024", "22025", "22026", "22027", "2202E", "22030", "22031", "22032", "22033",
        "22034", "22035", "22036", "22037", "22038", "22039", "2203A", "2203B", "2203C", "2203D", "2203E",
        "2203F", "2203G", "22P01", "22P02", "22P03", "22P04", "22P05", "22P06", "23502", "3D000", "3F000",
        "42501", "42601", "42602", "42622", "42701", "42702", "42703", "42704", "42725", "42804", "42809",
        "42830", "42846", "42883", "42939", "42P01", "42P02", "42P18", "42P22", "53000", "53200", "53400",
        "54000", "54001", "54011", "54023", "55000", "57014",
    ];
    KNOWN.iter().find(|k| **k == state).copied().unwrap_or("XX000")
}
