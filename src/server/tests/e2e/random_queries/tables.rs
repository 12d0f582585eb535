//! Random tables with their rows, and random changes to them.

use super::choices::Choices;
use super::generator::{Column, Generator};
use super::types::Ty;

/// A table.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) columns: Vec<TableColumn>,
    /// Each row's values as SQL.
    pub(crate) rows: Vec<Vec<String>>,
    /// Columns with an index of their own.
    pub(crate) indexes: Vec<Vec<String>>,
}

/// A column of a table.
#[derive(Clone, Debug)]
pub(crate) struct TableColumn {
    pub(crate) name: String,
    pub(crate) ty: Ty,
    pub(crate) nullable: bool,
    /// The declared type.
    declared: &'static str,
}

/// The tables of a scenario.
pub(crate) fn random_tables(choices: &mut Choices) -> Vec<Table> {
    let count = 3 + choices.below(3);
    (0..count).map(|number| random_table(choices, number)).collect()
}

fn random_table(choices: &mut Choices, number: usize) -> Table {
    let mut columns: Vec<TableColumn> = Vec::new();
    for at in 0..2 + choices.below(5) {
        let ty = if at == 0 { Ty::Int } else { Ty::random(choices) };
        let before = columns.iter().filter(|c| c.ty == ty).count();
        let declared = match ty {
            Ty::Num if choices.chance(60) => "numeric(10,2)",
            ty => ty.name(),
        };
        let name = format!("{}{}", ty.letter(), before + 1);
        columns.push(TableColumn { name, ty, nullable: !choices.chance(25), declared });
    }
    let mut indexes = Vec::new();
    for _ in 0..choices.below(3) {
        let mut index = vec![choices.one_of(&columns).name.clone()];
        let second = &choices.one_of(&columns).name;
        if choices.chance(30) && !index.contains(second) {
            index.push(second.clone());
        }
        indexes.push(index);
    }
    let mut table = Table { name: format!("t{number}"), columns, rows: vec![], indexes };
    let count = match choices.weighted(&[70, 20, 5, 5]) {
        0 => 4 + choices.below(7),
        1 => 10 + choices.below(8),
        2 => 0,
        _ => 30,
    };
    for _ in 0..count {
        let row = if !table.rows.is_empty() && choices.chance(20) {
            choices.one_of(&table.rows).clone()
        } else {
            table.columns.iter().map(|c| c.value(choices)).collect()
        };
        table.rows.push(row);
    }
    table
}

impl TableColumn {
    /// A value that the column can have.
    fn value(&self, choices: &mut Choices) -> String {
        if self.nullable && choices.chance(25) { "NULL".to_owned() } else { self.ty.literal(choices) }
    }
}

impl Table {
    /// The statements that make it.
    pub(crate) fn create(&self) -> Vec<String> {
        let columns = self
            .columns
            .iter()
            .map(|c| format!("{} {}{}", c.name, c.declared, if c.nullable { "" } else { " NOT NULL" }));
        let columns: Vec<String> = columns.collect();
        let mut out = vec![format!("CREATE TABLE {} ({})", self.name, columns.join(", "))];
        out.extend(self.indexes.iter().map(|i| format!("CREATE INDEX ON {} ({})", self.name, i.join(", "))));
        if !self.rows.is_empty() {
            out.push(self.insert(&self.rows));
        }
        out
    }

    fn insert(&self, rows: &[Vec<String>]) -> String {
        let rows: Vec<String> = rows.iter().map(|r| format!("({})", r.join(", "))).collect();
        format!("INSERT INTO {} VALUES {}", self.name, rows.join(", "))
    }
}

/// A random INSERT, UPDATE or DELETE.
pub(crate) fn random_change(choices: &mut Choices, tables: &[Table]) -> String {
    let table = choices.one_of(tables);
    match choices.weighted(&[50, 30, 20]) {
        0 => {
            let count = 1 + choices.below(4);
            let rows: Vec<Vec<String>> =
                (0..count).map(|_| table.columns.iter().map(|c| c.value(choices)).collect()).collect();
            table.insert(&rows)
        }
        1 => {
            let column = choices.one_of(&table.columns);
            // Another column of the type at times, so that values move between rows' columns.
            let others: Vec<&TableColumn> = table
                .columns
                .iter()
                .filter(|c| c.ty == column.ty && (column.nullable || !c.nullable))
                .collect();
            let value =
                if choices.chance(30) { choices.one_of(&others).name.clone() } else { column.value(choices) };
            let condition = condition(choices, tables, table);
            format!("UPDATE {} SET {} = {value} WHERE {condition}", table.name, column.name)
        }
        _ => {
            // Not too many at a time: empty tables teach little.
            let key = &table.columns[0];
            let value = key.ty.literal(choices);
            let condition = condition(choices, tables, table);
            format!("DELETE FROM {} WHERE {} = {value} AND {condition}", table.name, key.name)
        }
    }
}

fn condition(choices: &mut Choices, tables: &[Table], table: &Table) -> String {
    let columns = table.columns.iter().map(|c| Column::plain(format!("{}.{}", table.name, c.name), c.ty));
    let mut generator = Generator::new(choices, tables);
    generator.predicate_over(columns.collect())
}
