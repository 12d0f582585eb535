//! FROM: tables, derived tables, common table expressions, VALUES, lateral items, and joins of them.

use super::generator::{Column, Generator};
use super::types::Ty;

/// A FROM clause or a part of it. Its columns are in scope.
pub(crate) struct From {
    pub(crate) sql: String,
    pub(crate) rows: usize,
    /// Whether it is a join.
    joined: bool,
}

/// One item of a FROM clause, whose columns are not in scope yet.
struct Item {
    sql: String,
    columns: Vec<Column>,
    rows: usize,
    /// Whether it refers to what is left of it.
    lateral: bool,
    /// The table's first column, which every table has under one name.
    shared: Option<String>,
}

impl Generator<'_> {
    /// A FROM clause.
    pub(crate) fn tables_in_scope(&mut self, depth: usize) -> From {
        let count = 1 + self.choices.weighted(&[40, 38, 16, 6]);
        if count > 1 && self.choices.chance(20) {
            return self.comma_list(count, depth);
        }
        self.join_tree(count, depth)
    }

    fn comma_list(&mut self, count: usize, depth: usize) -> From {
        let mut from = From { sql: String::new(), rows: 1, joined: false };
        for at in 0..count {
            let item = self.item(depth, at > 0);
            if at > 0 && from.rows.saturating_mul(item.rows) > self.room() {
                break;
            }
            from.rows *= item.rows;
            from.sql = if at == 0 { item.sql } else { format!("{}, {}", from.sql, item.sql) };
            self.local_mut().extend(item.columns);
        }
        from
    }

    /// Items joined from left to right. What is in scope at this level before is visible to nothing in it.
    fn join_tree(&mut self, count: usize, depth: usize) -> From {
        let first = self.item(depth, false);
        let mut from = From { sql: first.sql, rows: first.rows, joined: false };
        self.local_mut().extend(first.columns);
        let mut shared = first.shared;
        for at in 1..count {
            self.choices.open();
            let item = self.item(depth, true);
            let fits = from.rows.saturating_mul(item.rows) <= self.room();
            if fits {
                let using = shared.take().zip(item.shared.clone()).filter(|_| at == 1 && count == 2);
                self.join(&mut from, item, using.is_some(), depth);
            }
            self.choices.close();
        }
        from
    }

    fn join(&mut self, from: &mut From, item: Item, may_use: bool, depth: usize) {
        let left = std::mem::take(self.local_mut());
        let pair = self.equality(&left, &item.columns);
        let kinds: &[&str] = match (item.lateral, pair.is_some()) {
            (true, _) => &["JOIN", "LEFT JOIN"],
            // PostgreSQL does full joins by equality only.
            (false, false) => &["JOIN", "LEFT JOIN", "RIGHT JOIN"],
            (false, true) => &["JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"],
        };
        let product = from.rows.saturating_mul(item.rows);
        let mut columns = left;
        columns.extend(item.columns);
        *self.local_mut() = columns;
        if self.choices.chance(10) {
            let sql = format!("{} CROSS JOIN {}", from.sql, item.sql);
            *from = From { sql, rows: product, joined: true };
            return;
        }
        let kind = *self.choices.one_of(kinds);
        if may_use && self.choices.chance(15) {
            self.local_mut().push(Column::computed("i1".to_owned(), Ty::Int));
            let sql = format!("{} {kind} {} USING (i1)", from.sql, item.sql);
            *from = From { sql, rows: product, joined: true };
            return;
        }
        let condition = match pair {
            Some(pair) if kind == "FULL JOIN" || self.choices.chance(80) => {
                match self.choices.chance(25) && kind != "FULL JOIN" {
                    true => format!("{pair} AND {}", self.predicate(depth.min(2))),
                    false => pair,
                }
            }
            _ => self.predicate(depth.min(2)),
        };
        let sql = format!("{} {kind} {} ON {condition}", from.sql, item.sql);
        *from = From { sql, rows: product, joined: true };
    }

    /// An equation between a column of the one and a column of the other side.
    fn equality(&mut self, left: &[Column], right: &[Column]) -> Option<String> {
        let comparable = |l: &Column, r: &Column| {
            l.ty == r.ty || (matches!(l.ty, Ty::Int | Ty::Big) && matches!(r.ty, Ty::Int | Ty::Big))
        };
        let pairs: Vec<String> = left
            .iter()
            .flat_map(|l| right.iter().map(move |r| (l, r)))
            .filter(|(l, r)| l.plain && r.plain && comparable(l, r))
            .map(|(l, r)| format!("{} = {}", l.sql, r.sql))
            .collect();
        (!pairs.is_empty()).then(|| self.choices.one_of(&pairs).clone())
    }

    fn item(&mut self, depth: usize, beside: bool) -> Item {
        self.choices.open();
        let nested = if depth > 0 && self.blocks > 0 { 1 } else { 0 };
        let lateral = if beside && !self.local().is_empty() { 1 } else { 0 };
        let ctes = if self.ctes.is_empty() { 0 } else { 25 };
        let item = match self.choices.weighted(&[
            60,
            16 * nested,
            ctes,
            5,
            12 * nested * lateral,
            5 * lateral,
            5 * nested,
        ]) {
            0 => self.table(),
            1 => self.hiding_siblings(|g| g.derived(depth - 1, false)),
            2 => self.cte(),
            3 => self.hiding_siblings(|g| g.values_item()),
            4 => self.derived(depth - 1, true),
            5 => self.table_function(),
            _ => self.hiding_siblings(|g| g.nested_join(depth - 1)),
        };
        self.choices.close();
        item
    }

    /// What is left of the item is out of its scope.
    fn hiding_siblings(&mut self, make: impl FnOnce(&mut Self) -> Item) -> Item {
        let siblings = std::mem::take(self.local_mut());
        let item = make(self);
        *self.local_mut() = siblings;
        item
    }

    fn table(&mut self) -> Item {
        let tables = self.tables;
        let table = self.choices.one_of(tables);
        let alias = self.name("r");
        let columns =
            table.columns.iter().map(|c| Column::plain(format!("{alias}.{}", c.name), c.ty)).collect();
        Item {
            sql: format!("{} AS {alias}", table.name),
            columns,
            rows: table.rows.len() + 3,
            lateral: false,
            shared: Some(alias),
        }
    }

    fn derived(&mut self, depth: usize, lateral: bool) -> Item {
        self.blocks -= 1;
        let types: Vec<Ty> = (0..1 + self.choices.below(3)).map(|_| Ty::random(self.choices)).collect();
        let work = self.work;
        // A lateral item runs once for each row beside it.
        self.work = if lateral { work.saturating_mul(10) } else { work };
        let block = self.query(&types, depth);
        self.work = work;
        let (word, alias) = (if lateral { "LATERAL " } else { "" }, self.name("q"));
        let names: Vec<String> = (1..=types.len()).map(|n| format!("c{n}")).collect();
        let sql = format!("{word}({}) AS {alias} ({})", block.sql, names.join(", "));
        Item { sql, columns: columns(&alias, &types), rows: block.rows.max(1), lateral, shared: None }
    }

    fn cte(&mut self) -> Item {
        let cte = self.choices.one_of(&self.ctes).clone();
        let alias = self.name("x");
        let names: Vec<String> = (1..=cte.types.len()).map(|n| format!("c{n}")).collect();
        Item {
            sql: format!("{} AS {alias} ({})", cte.name, names.join(", ")),
            columns: columns(&alias, &cte.types),
            rows: cte.rows.max(1),
            lateral: false,
            shared: None,
        }
    }

    fn values_item(&mut self) -> Item {
        let types: Vec<Ty> = (0..1 + self.choices.below(2)).map(|_| Ty::random(self.choices)).collect();
        let count = 1 + self.choices.below(4);
        let rows: Vec<String> = (0..count)
            .map(|_| {
                let row: Vec<String> = types
                    .iter()
                    .map(|ty| match self.choices.chance(20) {
                        true => ty.null(),
                        false => ty.literal(self.choices),
                    })
                    .collect();
                format!("({})", row.join(", "))
            })
            .collect();
        let alias = self.name("v");
        let names: Vec<String> = (1..=types.len()).map(|n| format!("c{n}")).collect();
        let sql = format!("(VALUES {}) AS {alias} ({})", rows.join(", "), names.join(", "));
        Item { sql, columns: columns(&alias, &types), rows: count, lateral: false, shared: None }
    }

    fn table_function(&mut self) -> Item {
        let alias = self.name("f");
        let call = match self.choices.below(3) {
            0 => format!("generate_series(1, {} % 4)", self.leaf(Ty::Int)),
            1 => format!("unnest({})", self.leaf(Ty::Arr)),
            _ => format!("generate_series({} % 3, 2)", self.leaf(Ty::Int)),
        };
        let (sql, types) = match self.choices.chance(25) {
            true => (format!("{call} WITH ORDINALITY AS {alias} (c1, c2)"), vec![Ty::Int, Ty::Big]),
            false => (format!("{call} AS {alias} (c1)"), vec![Ty::Int]),
        };
        Item { sql, columns: columns(&alias, &types), rows: 4, lateral: true, shared: None }
    }

    fn nested_join(&mut self, depth: usize) -> Item {
        self.blocks -= 1;
        let from = self.join_tree(2, depth);
        // Only a join may stand in parentheses.
        let sql = if from.joined { format!("({})", from.sql) } else { from.sql };
        let columns = std::mem::take(self.local_mut()).into_iter().filter(|c| c.plain).collect();
        Item { sql, columns, rows: from.rows, lateral: false, shared: None }
    }
}

fn columns(alias: &str, types: &[Ty]) -> Vec<Column> {
    types.iter().enumerate().map(|(at, ty)| Column::plain(format!("{alias}.c{}", at + 1), *ty)).collect()
}
