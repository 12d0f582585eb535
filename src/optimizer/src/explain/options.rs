//! How a plan is shown.

use std::collections::BTreeSet;

/// What is shown besides the plan itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExplainOption {
    /// `ARITY`: how many columns each operator gives.
    Arity,
    /// `TYPES`: their types; `?` is nullable.
    Types,
    /// `KEYS`: sets of columns that are unique.
    Keys,
    /// `COLUMN NAMES`: their names.
    ColumnNames,
    /// `NON NEGATIVE`: whether no row can have a negative count.
    NonNegative,
    /// `EQUIVALENCES`: which expressions are known to be equal.
    Equivalences,
    /// `SUBTREE SIZE`: how many operators there are below and with it.
    SubtreeSize,
    /// `JOIN IMPLEMENTATIONS`: the order in which joins look up their inputs.
    JoinImplementations,
    /// `HUMANIZED EXPRESSIONS`, on unless switched off: names of columns in expressions.
    HumanizedExpressions,
    /// `REDACTED`: literals are hidden.
    Redacted,
    /// `NO FAST PATH`: the dataflow of a query that would be answered without one.
    NoFastPath,
    /// `TIMING`: how long optimisation took.
    Timing,
}

impl ExplainOption {
    /// All, by the name under which they are written.
    const NAMES: &'static [(&'static str, ExplainOption)] = &[
        ("arity", ExplainOption::Arity),
        ("types", ExplainOption::Types),
        ("keys", ExplainOption::Keys),
        ("column names", ExplainOption::ColumnNames),
        ("non negative", ExplainOption::NonNegative),
        ("equivalences", ExplainOption::Equivalences),
        ("subtree size", ExplainOption::SubtreeSize),
        ("join implementations", ExplainOption::JoinImplementations),
        ("humanized expressions", ExplainOption::HumanizedExpressions),
        ("redacted", ExplainOption::Redacted),
        ("no fast path", ExplainOption::NoFastPath),
        ("timing", ExplainOption::Timing),
    ];

    /// The option of that name, in lower case with single blanks.
    pub fn by_name(name: &str) -> Option<ExplainOption> {
        Self::NAMES.iter().find(|(n, _)| *n == name).map(|(_, option)| *option)
    }
}

/// How a plan is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainOptions {
    /// As JSON rather than text.
    pub json: bool,
    with: BTreeSet<ExplainOption>,
}

impl Default for ExplainOptions {
    fn default() -> Self {
        ExplainOptions { json: false, with: BTreeSet::from([ExplainOption::HumanizedExpressions]) }
    }
}

impl ExplainOptions {
    /// Whether it is on.
    pub fn has(&self, option: ExplainOption) -> bool {
        self.with.contains(&option)
    }

    /// Switches it.
    pub fn set(&mut self, option: ExplainOption, on: bool) {
        if on {
            self.with.insert(option);
        } else {
            self.with.remove(&option);
        }
    }
}
