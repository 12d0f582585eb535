//! What an engine answered, and when two answers agree.

use super::generator::Query;
use super::types::Ty;
use crate::support::client::{Client, TextRow};
use tokio_postgres::SimpleQueryMessage;

/// What came of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Rows(Vec<TextRow>),
    Failed {
        /// SQLSTATE; empty when the connection was lost.
        state: String,
        message: String,
    },
}

/// How an answer compares with PostgreSQL's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Same,
    /// They differ as evaluation order lets them: PostgreSQL evaluated something that fails, Headwater did not.
    Lenient,
    Different,
}

impl Outcome {
    /// Asks an engine.
    pub(crate) async fn of(client: &mut Client, sql: &str) -> Outcome {
        let messages = match client.driver().simple_query(sql).await {
            Ok(messages) => messages,
            Err(error) => {
                let (state, message) = match error.as_db_error() {
                    Some(e) => (e.code().code().to_owned(), e.message().to_owned()),
                    None => (String::new(), error.to_string()),
                };
                return Outcome::Failed { state, message };
            }
        };
        let rows = messages.iter().filter_map(|m| match m {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect())
            }
            _ => None,
        });
        Outcome::Rows(rows.collect())
    }

    /// The SQLSTATE of a failure.
    pub(crate) fn state(&self) -> Option<&str> {
        match self {
            Outcome::Rows(_) => None,
            Outcome::Failed { state, .. } => Some(state),
        }
    }

    /// Whether the statement ran into its time limit.
    pub(crate) fn is_timeout(&self) -> bool {
        self.state() == Some("57014")
    }

    /// Whether a value could not be computed.
    fn is_evaluation(&self) -> bool {
        self.state().is_some_and(|s| s.starts_with("22") || s.starts_with("21"))
    }

    /// Whether it is an error that says that the query is not understood or not supported.
    pub(crate) fn is_refusal(&self) -> bool {
        self.state().is_some_and(|s| s.starts_with("42") || s.starts_with("0A"))
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: usize = 20;
        match self {
            Outcome::Failed { state, message } => writeln!(f, "  {state}: {message}"),
            Outcome::Rows(rows) => {
                writeln!(f, "  {} rows", rows.len())?;
                for row in rows.iter().take(SHOWN) {
                    let values: Vec<&str> = row.iter().map(|v| v.as_deref().unwrap_or("NULL")).collect();
                    writeln!(f, "    {}", values.join(" | "))?;
                }
                if rows.len() > SHOWN { writeln!(f, "    …") } else { Ok(()) }
            }
        }
    }
}

/// Compares an answer with PostgreSQL's. Rows are a list where the query orders them and `ordered` says that its order
/// is kept, a multiset otherwise.
pub(crate) fn compare(query: &Query, postgres: &Outcome, other: &Outcome, ordered: bool) -> Verdict {
    let same = match (postgres, other) {
        (Outcome::Rows(a), Outcome::Rows(b)) => {
            let ordered = ordered && query.ordered;
            canonical(a, &query.types, ordered) == canonical(b, &query.types, ordered)
        }
        (a, b) if a.is_evaluation() && b.is_evaluation() => true,
        (a, Outcome::Rows(_)) if a.is_evaluation() => return Verdict::Lenient,
        (a, b) => a.state().is_some() && a.state() == b.state(),
    };
    if same { Verdict::Same } else { Verdict::Different }
}

/// Rows in a form in which equal results are equal: numerics without their scale's zeros, sorted unless ordered.
fn canonical(rows: &[TextRow], types: &[Ty], ordered: bool) -> Vec<TextRow> {
    let mut out = rows.to_vec();
    for row in &mut out {
        for (value, ty) in row.iter_mut().zip(types) {
            if *ty == Ty::Num
                && let Some(text) = value
                && text.contains('.')
            {
                *value = Some(text.trim_end_matches('0').trim_end_matches('.').to_owned());
            }
        }
    }
    if !ordered {
        out.sort();
    }
    out
}
