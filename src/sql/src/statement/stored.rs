//! Parts of stored definitions as people wrote them, for the system relations. The SQL is that of [`super::humanize`].

use std::collections::BTreeMap;

use sqlparser::ast::ColumnOption;

use crate::parser::{Statement, parse_one, slice_chars};

/// The expressions of an index's key; none if the SQL is no CREATE INDEX with a key.
pub fn index_key_texts(create_sql: &str) -> Vec<String> {
    let Ok(statement) = parse_one(create_sql) else { return vec![] };
    let Statement::CreateIndex(index) = statement.statement else { return vec![] };
    let Some(key) = index.key else { return vec![] };
    key.exprs.iter().map(|(_, (start, end))| slice_chars(&key.sql, *start, *end).trim().to_owned()).collect()
}

/// The defaults of a table's columns, by the columns' names.
pub fn column_defaults(create_sql: &str) -> BTreeMap<String, String> {
    let mut defaults = BTreeMap::new();
    let Ok(statement) = parse_one(create_sql) else { return defaults };
    let Statement::CreateTable(create) = statement.statement else { return defaults };
    for column in &create.table.columns {
        let name = &column.name;
        let name = if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() };
        for option in &column.options {
            if let ColumnOption::Default(expr) = &option.option {
                defaults.insert(name.clone(), expr.to_string());
            }
        }
    }
    defaults
}
