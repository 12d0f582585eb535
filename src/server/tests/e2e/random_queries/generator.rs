//! The generator: what is in scope, and what a query may still cost.
//!
//! A query has a wanted list of column types. Everything that is generated is well typed, has an answer that does not
//! depend on the plan (as a multiset of rows), and seldom fails:
//!
//! 1. LIMIT and DISTINCT ON come with an order over all columns of the result; functions that look at neighbours
//!    come with an order over all columns in scope.
//! 2. Divisors are not 0; numbers stay small; scalar subqueries have one row by construction.
//! 3. Parts are parenthesised, so that precedence does not matter.

use super::choices::Choices;
use super::tables::Table;
use super::types::Ty;

/// The greatest number of rows that nested FROM clauses may visit together, roughly.
const MAX_WORK: usize = 20_000;

/// Something of a known type that an expression can name.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) sql: String,
    pub(crate) ty: Ty,
    /// A column of a relation: subqueries may refer to it. Not so aggregates, window functions and grouped expressions.
    pub(crate) plain: bool,
}

impl Column {
    pub(crate) fn plain(sql: String, ty: Ty) -> Column {
        Column { sql, ty, plain: true }
    }

    pub(crate) fn computed(sql: String, ty: Ty) -> Column {
        Column { sql, ty, plain: false }
    }
}

/// A common table expression.
#[derive(Clone, Debug)]
pub(crate) struct Cte {
    pub(crate) name: String,
    pub(crate) types: Vec<Ty>,
    pub(crate) rows: usize,
}

/// Writes queries.
pub(crate) struct Generator<'a> {
    pub(crate) choices: &'a mut Choices,
    pub(crate) tables: &'a [Table],
    /// The columns in scope, one entry for each query around the place, the innermost last.
    pub(crate) scope: Vec<Vec<Column>>,
    pub(crate) ctes: Vec<Cte>,
    /// Rows of the queries around the place, as a product.
    pub(crate) work: usize,
    /// How many more queries may be nested or strung together.
    pub(crate) blocks: usize,
    /// Queries around the place that are out of scope, counted from the outermost.
    pub(crate) floor: usize,
    names: usize,
}

/// A query and what is known of it.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) sql: String,
    pub(crate) types: Vec<Ty>,
    /// Whether the order of the rows is given.
    pub(crate) ordered: bool,
}

impl<'a> Generator<'a> {
    pub(crate) fn new(choices: &'a mut Choices, tables: &'a [Table]) -> Generator<'a> {
        Generator { choices, tables, scope: vec![], ctes: vec![], work: 1, blocks: 8, floor: 0, names: 0 }
    }

    /// A whole query.
    pub(crate) fn top(mut self) -> Query {
        let types: Vec<Ty> = (0..1 + self.choices.below(4)).map(|_| Ty::random(self.choices)).collect();
        let body = self.query(&types, 4);
        Query { sql: body.sql, types, ordered: body.ordered }
    }

    /// A condition on the rows of one table.
    pub(crate) fn predicate_over(&mut self, columns: Vec<Column>) -> String {
        self.blocks = 1;
        self.scope.push(columns);
        let sql = self.predicate(2);
        self.scope.pop();
        sql
    }

    /// A fresh name.
    pub(crate) fn name(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", self.names)
    }

    /// The columns of the query at this place.
    pub(crate) fn local(&self) -> &[Column] {
        self.scope.last().map_or(&[], Vec::as_slice)
    }

    /// The same, to be changed.
    pub(crate) fn local_mut(&mut self) -> &mut Vec<Column> {
        if self.scope.is_empty() {
            self.scope.push(vec![]);
        }
        self.scope.last_mut().expect("just made sure")
    }

    /// A column of this query of the type.
    pub(crate) fn local_column(&mut self, ty: Ty) -> Option<String> {
        let found: Vec<String> = self.local().iter().filter(|c| c.ty == ty).map(|c| c.sql.clone()).collect();
        (!found.is_empty()).then(|| self.choices.one_of(&found).clone())
    }

    /// A column of a query around this one of the type.
    pub(crate) fn outer_column(&mut self, ty: Ty) -> Option<String> {
        let around = self.scope.get(self.floor..self.scope.len().saturating_sub(1)).unwrap_or_default();
        let found: Vec<String> =
            around.iter().flatten().filter(|c| c.plain && c.ty == ty).map(|c| c.sql.clone()).collect();
        (!found.is_empty()).then(|| self.choices.one_of(&found).clone())
    }

    /// The types of this query's columns, or all types where it has none.
    pub(crate) fn some_type(&mut self) -> Ty {
        let types: Vec<Ty> = self.local().iter().map(|c| c.ty).collect();
        if types.is_empty() || self.choices.chance(15) {
            return Ty::random(self.choices);
        }
        *self.choices.one_of(&types)
    }

    /// How many rows a FROM clause at this place may have.
    pub(crate) fn room(&self) -> usize {
        (MAX_WORK / self.work.max(1)).clamp(1, 2000)
    }
}
