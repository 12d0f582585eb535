//! Queries: WITH, set operations, ORDER BY with LIMIT, DISTINCT ON, and the clauses of SELECT.

use super::generator::{Column, Cte, Generator};
use super::types::Ty;

/// A query's text and what is known of its result.
pub(crate) struct Block {
    pub(crate) sql: String,
    /// An upper bound of the number of rows, roughly.
    pub(crate) rows: usize,
    /// Whether the order of the rows is given.
    pub(crate) ordered: bool,
}

/// What may follow a SELECT.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tail {
    /// Nothing.
    None,
    /// ORDER BY with expressions, and DISTINCT ON.
    Order,
}

/// One SELECT.
struct Select {
    sql: String,
    rows: usize,
    /// The beginning of an ORDER BY that it needs or could have.
    order: Option<String>,
    /// Whether the rows depend on the order.
    needs_order: bool,
}

impl Generator<'_> {
    /// A query with columns `c1`, `c2`, … of these types.
    pub(crate) fn query(&mut self, types: &[Ty], depth: usize) -> Block {
        self.choices.open();
        let ctes = self.ctes.len();
        let with = self.with(depth);
        let block = self.body(types, depth);
        self.ctes.truncate(ctes);
        self.choices.close();
        Block { sql: format!("{with}{}", block.sql), ..block }
    }

    /// A SELECT without ORDER BY.
    pub(crate) fn select(&mut self, types: &[Ty], depth: usize) -> Block {
        let select = self.select_with(types, depth, Tail::None);
        Block { sql: select.sql, rows: select.rows, ordered: false }
    }

    fn with(&mut self, depth: usize) -> String {
        if depth < 2 || self.blocks < 2 || !self.choices.chance(14) {
            return String::new();
        }
        let mut parts = Vec::new();
        for _ in 0..1 + self.choices.below(2) {
            if self.blocks == 0 {
                break;
            }
            self.blocks -= 1;
            let types: Vec<Ty> = (0..1 + self.choices.below(3)).map(|_| Ty::random(self.choices)).collect();
            let block = self.query(&types, depth - 1);
            let name = self.name("w");
            parts.push(format!("{name} AS ({})", block.sql));
            self.ctes.push(Cte { name, types, rows: block.rows });
        }
        format!("WITH {} ", parts.join(", "))
    }

    fn body(&mut self, types: &[Ty], depth: usize) -> Block {
        let (mut sql, mut rows, mut order, mut needs_order) = (String::new(), 0, None, false);
        match self.choices.weighted(&[76, 4, if depth > 0 { 20 } else { 0 }]) {
            0 => {
                let select = self.select_with(types, depth, Tail::Order);
                (sql, rows, order, needs_order) = (select.sql, select.rows, select.order, select.needs_order);
            }
            1 => (sql, rows) = self.values(types, depth),
            _ => self.set_operation(types, depth - 1, &mut sql, &mut rows),
        }
        if !needs_order && !self.choices.chance(25) {
            return Block { sql, rows, ordered: false };
        }
        let mut keys: Vec<String> = order.into_iter().collect();
        // All columns, so that the order is total.
        for at in 1..=types.len() {
            let how = *self.choices.one_of(&["", " DESC", " NULLS FIRST", " DESC NULLS LAST"]);
            keys.push(format!("{at}{how}"));
        }
        sql = format!("{sql} ORDER BY {}", keys.join(", "));
        if self.choices.chance(60) {
            let limit = [3, 1, 2, 4, 5, 0][self.choices.weighted(&[20, 20, 20, 20, 15, 5])];
            sql = format!("{sql} LIMIT {limit}");
            rows = rows.min(limit);
        }
        if self.choices.chance(25) {
            sql = format!("{sql} OFFSET {}", 1 + self.choices.below(2));
        }
        Block { sql, rows, ordered: true }
    }

    fn values(&mut self, types: &[Ty], depth: usize) -> (String, usize) {
        self.scope.push(vec![]);
        let count = 1 + self.choices.below(4);
        let rows: Vec<String> = (0..count)
            .map(|_| {
                let row: Vec<String> = types.iter().map(|ty| self.expr(*ty, depth.min(1))).collect();
                format!("({})", row.join(", "))
            })
            .collect();
        self.scope.pop();
        (format!("VALUES {}", rows.join(", ")), count)
    }

    fn set_operation(&mut self, types: &[Ty], depth: usize, sql: &mut String, rows: &mut usize) {
        let first = self.operand(types, depth);
        (*sql, *rows) = (first.sql, first.rows);
        for _ in 0..1 + self.choices.weighted(&[80, 20]) {
            let op = *self.choices.one_of(&[
                "UNION ALL",
                "UNION",
                "EXCEPT",
                "EXCEPT ALL",
                "INTERSECT",
                "INTERSECT ALL",
            ]);
            let next = self.operand(types, depth);
            *sql = format!("{sql} {op} {}", next.sql);
            *rows += next.rows;
            if self.choices.chance(40) {
                *sql = format!("({sql})");
            }
        }
    }

    fn operand(&mut self, types: &[Ty], depth: usize) -> Block {
        if self.blocks > 0 && self.choices.chance(20) {
            self.blocks -= 1;
            let block = self.query(types, depth);
            return Block { sql: format!("({})", block.sql), ..block };
        }
        self.select(types, depth)
    }

    fn select_with(&mut self, types: &[Ty], depth: usize, tail: Tail) -> Select {
        self.choices.open();
        self.scope.push(vec![]);
        let work = self.work;
        let select = self.clauses(types, depth, tail);
        self.work = work;
        self.scope.pop();
        self.choices.close();
        select
    }

    fn clauses(&mut self, types: &[Ty], depth: usize, tail: Tail) -> Select {
        let mut rows = 1;
        let mut after = String::new();
        if self.choices.chance(95) {
            let from = self.tables_in_scope(depth);
            after = format!(" FROM {}", from.sql);
            rows = from.rows;
        }
        self.work = self.work.saturating_mul(rows.max(1));
        if self.choices.chance(40) {
            let condition = self.predicate(depth.min(3));
            after = format!("{after} WHERE {condition}");
        }
        let has_columns = !self.local().is_empty();
        if has_columns && self.choices.chance(28) {
            let (grouped, groups) = self.group(types, depth);
            after = format!("{after}{grouped}");
            rows = rows.min(groups);
        }
        if has_columns && self.choices.chance(16) {
            let windows: Vec<Column> = types
                .iter()
                .enumerate()
                .map(|(i, ty)| Column::computed(self.window(*ty, depth.min(1), i == 0), *ty))
                .collect();
            self.local_mut().extend(windows);
        }
        let (mut distinct, mut order, mut needs_order) = (String::new(), None, false);
        if tail == Tail::Order && has_columns && self.choices.chance(6) {
            let key = self.key_expr(1);
            distinct = format!("DISTINCT ON ({key}) ");
            (order, needs_order) = (Some(key), true);
        } else if self.choices.chance(10) {
            distinct = "DISTINCT ".to_owned();
        } else if tail == Tail::Order && has_columns && self.choices.chance(20) {
            order = Some(self.key_expr(depth.min(1)));
        }
        let list: Vec<String> = types
            .iter()
            .enumerate()
            .map(|(at, ty)| format!("{} AS c{}", self.expr(*ty, depth.min(3)), at + 1))
            .collect();
        Select { sql: format!("SELECT {distinct}{}{after}", list.join(", ")), rows, order, needs_order }
    }

    /// An expression to sort by: not a bare constant, which would be a column's number.
    fn key_expr(&mut self, depth: usize) -> String {
        let ty = match self.some_type() {
            Ty::Json | Ty::Arr => Ty::Int,
            ty => ty,
        };
        match self.choices.weighted(&[60, 25, 15]) {
            0 => self.local_column(ty).unwrap_or_else(|| format!("({} IS NULL)", self.leaf(ty))),
            1 => format!("({} IS NULL)", self.expr(ty, depth)),
            _ => format!("({} IS TRUE)", self.predicate(depth)),
        }
    }
}
