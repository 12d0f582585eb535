//! Types and names of relations.

use serde::{Deserialize, Serialize};

use crate::types::ColumnType;

/// The name of a column.
pub type ColumnName = String;

/// The type of a relation: its columns and what is known of its keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
pub struct RelationType {
    /// The type of each column.
    pub column_types: Vec<ColumnType>,
    /// Sets of columns; in each collection each combination of their values occurs at most once. The empty
    /// set says that there is at most one row.
    pub keys: Vec<Vec<usize>>,
}

impl RelationType {
    /// A relation of these columns, with no known key.
    pub fn new(column_types: Vec<ColumnType>) -> Self {
        RelationType { column_types, keys: Vec::new() }
    }

    /// The same with one more key.
    pub fn with_key(mut self, mut key: Vec<usize>) -> Self {
        key.sort_unstable();
        key.dedup();
        if !self.keys.contains(&key) {
            self.keys.push(key);
        }
        self
    }

    /// How many columns there are.
    pub fn arity(&self) -> usize {
        self.column_types.len()
    }
}

/// A relation's type together with its column names. Names may repeat (a query may select one twice).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
pub struct RelationDesc {
    typ: RelationType,
    names: Vec<ColumnName>,
}

impl RelationDesc {
    /// Pairs a type with names.
    ///
    /// # Panics
    /// When there are not as many names as columns.
    pub fn new(typ: RelationType, names: Vec<ColumnName>) -> Self {
        assert_eq!(typ.arity(), names.len(), "one name for each column");
        RelationDesc { typ, names }
    }

    /// A description of no columns.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The same with one more column at the end.
    pub fn with_column(mut self, name: impl Into<ColumnName>, typ: ColumnType) -> Self {
        self.typ.column_types.push(typ);
        self.names.push(name.into());
        self
    }

    /// The same with one more key.
    pub fn with_key(mut self, key: Vec<usize>) -> Self {
        self.typ = self.typ.with_key(key);
        self
    }

    /// The relation's type.
    pub fn typ(&self) -> &RelationType {
        &self.typ
    }

    /// The names of the columns, in order.
    pub fn names(&self) -> &[ColumnName] {
        &self.names
    }

    /// How many columns there are.
    pub fn arity(&self) -> usize {
        self.typ.arity()
    }

    /// Names and types, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&ColumnName, &ColumnType)> {
        self.names.iter().zip(self.typ.column_types.iter())
    }

    /// The position of the first column of that name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|n| n == name)
    }
}
