//! What of a statement's text `sqlparser`'s grammar cannot express.

use std::collections::{BTreeMap, BTreeSet};

use hw_expr::relation::LetRecLimit;
use hw_expr::window::FrameExclusion;
use sqlparser::ast::{Cte, DataType, Expr, Ident, JoinConstraint, ObjectName, ObjectNamePart, Select, With};
use sqlparser::tokenizer::Span;

/// What begins the name of a type that stands for an entry of [`Extensions`]; a control character, which no text may hold.
pub(crate) const TYPE_MARK: &str = "\u{1}type:";

/// What begins the name of a window that stands for an entry of [`Extensions`].
pub(crate) const WINDOW_MARK: &str = "\u{1}window:";

/// The function that `ROWS FROM (f(…), g(…))` in FROM becomes; its arguments are the calls.
pub const ROWS_FROM: &str = "rows from";

/// The name of an argument that is written after VARIADIC; a control character, which no text may hold.
pub const VARIADIC: &str = "\u{1}variadic";

/// The name of the column that stands in an empty select list; a control character, which no text may hold.
pub const NO_COLUMN: &str = "\u{1}none";

/// The field that the star of `(record).*` becomes.
pub const RECORD_STAR: &str = "*";

/// A type that is not one of `sqlparser`'s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExtendedType {
    /// One of `sqlparser`'s, which may hold further ones that are not ([`Extensions::extended_type`]).
    Plain(Box<DataType>),
    /// `T LIST`
    List(Box<ExtendedType>),
    /// `MAP[K => V]`
    Map(Box<ExtendedType>, Box<ExtendedType>),
}

/// `OPTIONS (…)` of a SELECT: how many rows a group is expected to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GroupSizeHints {
    /// `AGGREGATE INPUT GROUP SIZE`
    pub aggregate: Option<u64>,
    /// `DISTINCT ON INPUT GROUP SIZE`
    pub distinct_on: Option<u64>,
    /// `LIMIT INPUT GROUP SIZE`
    pub limit: Option<u64>,
}

/// `SEARCH (BREADTH | DEPTH) FIRST BY columns SET sequence`
#[derive(Debug, Clone)]
pub struct SearchClause {
    /// BREADTH
    pub breadth: bool,
    /// The columns that are sorted by.
    pub columns: Vec<Ident>,
    /// The column that is added.
    pub sequence: Ident,
}

/// `CYCLE columns SET mark [TO value DEFAULT value] USING path`
#[derive(Debug, Clone)]
pub struct CycleClause {
    /// The columns whose values tell that a row has been seen.
    pub columns: Vec<Ident>,
    /// The column that says so.
    pub mark: Ident,
    /// Its values: when it has been, and otherwise.
    pub values: Option<(Expr, Expr)>,
    /// The column of what has been seen.
    pub path: Ident,
}

/// What is written after a common table expression.
#[derive(Debug, Clone, Default)]
pub struct CteClauses {
    /// SEARCH
    pub search: Option<SearchClause>,
    /// CYCLE
    pub cycle: Option<CycleClause>,
}

/// What of a statement's text `sqlparser`'s grammar cannot express, found in its tokens and kept by position: see the accessors.
#[derive(Debug, Clone, Default)]
pub struct Extensions {
    pub(crate) types: Vec<ExtendedType>,
    pub(crate) recursions: BTreeMap<usize, Option<LetRecLimit>>,
    pub(crate) hints: BTreeMap<usize, GroupSizeHints>,
    pub(crate) using_aliases: BTreeMap<usize, Ident>,
    pub(crate) windows: Vec<(Option<Ident>, FrameExclusion)>,
    pub(crate) distinct_sets: BTreeSet<usize>,
    pub(crate) cte_clauses: BTreeMap<usize, CteClauses>,
    pub(crate) tableoid: bool,
}

/// Where a span begins: characters from the start of the statement, from 1, as [`crate::PlanError::at`] takes it. `None` for
/// nodes that come from nowhere.
pub fn position(span: Span) -> Option<usize> {
    (span.start.line > 0).then_some(span.start.column as usize)
}

impl Extensions {
    /// The type that the name of a [`DataType::Custom`] stands for, if it is not a name.
    pub fn extended_type(&self, name: &ObjectName) -> Option<&ExtendedType> {
        let [ObjectNamePart::Identifier(ident)] = name.0.as_slice() else { return None };
        self.types.get(ident.value.strip_prefix(TYPE_MARK)?.parse::<usize>().ok()?)
    }

    /// Whether a WITH is `WITH MUTUALLY RECURSIVE`, and then its limit. The columns' types are in the common table expressions'
    /// aliases.
    pub fn mutually_recursive(&self, with: &With) -> Option<Option<LetRecLimit>> {
        self.recursions.get(&position(with.with_token.0.span)?).copied()
    }

    /// Whether the system column `tableoid` is mentioned.
    pub fn tableoid(&self) -> bool {
        self.tableoid
    }

    /// What is written after a common table expression.
    pub fn cte_clauses(&self, cte: &Cte) -> Option<&CteClauses> {
        self.cte_clauses.get(&position(cte.closing_paren_token.0.span)?)
    }

    /// The `OPTIONS` of a SELECT.
    pub fn hints(&self, select: &Select) -> GroupSizeHints {
        position(select.select_token.0.span).and_then(|p| self.hints.get(&p)).copied().unwrap_or_default()
    }

    /// Whether a SELECT has `GROUP BY DISTINCT`.
    pub fn distinct_sets(&self, select: &Select) -> bool {
        position(select.select_token.0.span).is_some_and(|p| self.distinct_sets.contains(&p))
    }

    /// What the name of a window on which a definition builds stands for: that name, if there is one, and what the frame excludes.
    pub fn window<'a>(&'a self, name: &'a Ident) -> (Option<&'a Ident>, FrameExclusion) {
        let entry = name.value.strip_prefix(WINDOW_MARK).and_then(|n| n.parse::<usize>().ok());
        match entry.and_then(|n| self.windows.get(n)) {
            Some((base, exclusion)) => (base.as_ref(), *exclusion),
            None => (Some(name), FrameExclusion::NoOthers),
        }
    }

    /// The alias after `JOIN … USING (…) AS alias`.
    pub fn using_alias(&self, constraint: &JoinConstraint) -> Option<&Ident> {
        let JoinConstraint::Using(columns) = constraint else { return None };
        let ident = columns.first()?.0.first()?.as_ident()?;
        self.using_aliases.get(&position(ident.span)?)
    }
}
