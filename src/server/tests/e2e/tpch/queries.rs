//! The 22 queries, from `sql-tests/tpch/`, and how their answers are compared.

use std::fs;

use crate::support::checkout;
use crate::support::client::TextRow;

/// One of the queries, with the default values of the specification in place of its parameters.
pub(super) struct Query {
    pub(super) number: usize,
    pub(super) sql: String,
}

impl Query {
    /// The name of the materialized view of this query.
    pub(super) fn view(&self) -> String {
        format!("q{:02}", self.number)
    }
}

/// A file of `sql-tests/tpch/`.
pub(super) fn script(name: &str) -> String {
    let path = checkout().join("sql-tests/tpch").join(format!("{name}.sql"));
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// All queries. One has the scale as a parameter.
pub(super) fn all(scale: f64) -> Vec<Query> {
    let query = |number| Query {
        number,
        sql: script(&format!("q{number:02}")).trim_end().replace(":scale", &scale.to_string()),
    };
    (1..=22).map(query).collect()
}

/// The same rows in the same order. Numbers are equal as numbers: the scale of one that a column's type does not fix is
/// not compared.
pub(super) fn same(ours: &[TextRow], theirs: &[TextRow]) -> bool {
    canonical(ours) == canonical(theirs)
}

/// The same rows in any order.
pub(super) fn same_unordered(ours: &[TextRow], theirs: &[TextRow]) -> bool {
    let (mut ours, mut theirs) = (canonical(ours), canonical(theirs));
    ours.sort();
    theirs.sort();
    ours == theirs
}

fn canonical(rows: &[TextRow]) -> Vec<TextRow> {
    let value = |v: &Option<String>| v.as_deref().map(|v| number(v).unwrap_or_else(|| v.to_owned()));
    rows.iter().map(|row| row.iter().map(value).collect()).collect()
}

/// A decimal number without the zeros at its end.
fn number(text: &str) -> Option<String> {
    let (whole, fraction) = text.split_once('.')?;
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole.strip_prefix('-').unwrap_or(whole)) || whole.is_empty() || !digits(fraction) {
        return None;
    }
    Some(text.trim_end_matches('0').trim_end_matches('.').to_owned())
}

/// The first rows that differ, for a failure's message.
pub(super) fn difference(ours: &[TextRow], theirs: &[TextRow]) -> String {
    let (a, b) = (canonical(ours), canonical(theirs));
    let only = |these: &[TextRow], those: &[TextRow]| -> String {
        let rows = these.iter().filter(|r| !those.contains(r)).take(3);
        rows.map(|r| format!("    {}\n", shown(r))).collect()
    };
    format!(
        "  {} rows, PostgreSQL {}; only here:\n{}  only PostgreSQL:\n{}",
        ours.len(),
        theirs.len(),
        only(&a, &b),
        only(&b, &a)
    )
}

fn shown(row: &TextRow) -> String {
    row.iter().map(|v| v.as_deref().unwrap_or("NULL")).collect::<Vec<_>>().join(" | ")
}
