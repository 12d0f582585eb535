//! Names of columns and tables, and the chain of scopes in which they are looked up.

use std::cell::RefCell;

use hw_expr::HirScalarExpr;
use hw_expr::hir::{ColumnRef, OuterTypes};
use hw_repr::{ColumnType, RelationDesc, ScalarType};

use super::select::{Collector, GROUP_BY};
use crate::error::PlanError;

/// A name that columns may be qualified with.
#[derive(Debug, Clone)]
pub(super) struct TableName {
    /// The alias, or the item's name.
    pub(super) alias: String,
    /// Database and schema, for a table that has no alias.
    pub(super) qualifiers: Vec<String>,
    /// The relation's own name that an alias hides, with its database and schema.
    pub(super) hides: Vec<String>,
}

impl TableName {
    /// A name without qualifiers.
    pub(super) fn new(alias: impl Into<String>) -> Self {
        TableName { alias: alias.into(), qualifiers: vec![], hides: vec![] }
    }

    /// The name that an alias gives.
    pub(super) fn aliased(self, alias: String) -> Self {
        let hides = self.qualifiers.into_iter().chain([self.alias]).filter(|p| !p.is_empty()).collect();
        TableName { alias, qualifiers: vec![], hides }
    }
}

/// A column that has a name here.
#[derive(Debug, Clone)]
pub(super) struct ScopeItem {
    /// Its table, as a position in [`Scope::tables`]; `None` for the merged columns of a join.
    pub(super) table: Option<usize>,
    /// Its name.
    pub(super) name: String,
    /// Its position in the relation.
    pub(super) column: usize,
    /// Whether `*` and unqualified names find it: not so for columns that USING has merged.
    pub(super) plain: bool,
    /// Whether it is a system column: names find it, `*` and whole rows do not.
    pub(super) system: bool,
}

/// The named columns of a relation.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    /// The columns, in the order of `*`.
    pub(super) items: Vec<ScopeItem>,
    /// The tables.
    pub(super) tables: Vec<TableName>,
    /// The types of the relation's columns.
    pub(super) types: Vec<ColumnType>,
}

impl Scope {
    /// The columns of one table.
    pub(super) fn of_table(name: Option<TableName>, desc: &RelationDesc) -> Scope {
        let table = name.as_ref().map(|_| 0);
        let items = desc.names().iter().enumerate().map(|(column, name)| ScopeItem {
            table,
            name: name.clone(),
            column,
            plain: true,
            system: false,
        });
        Scope {
            items: items.collect(),
            tables: name.into_iter().collect(),
            types: desc.typ().column_types.clone(),
        }
    }

    /// The columns of two relations side by side.
    pub(super) fn beside(mut self, other: Scope) -> Scope {
        let (columns, tables) = (self.types.len(), self.tables.len());
        self.items.extend(other.items.into_iter().map(|i| ScopeItem {
            table: i.table.map(|t| t + tables),
            column: i.column + columns,
            ..i
        }));
        self.tables.extend(other.tables);
        self.types.extend(other.types);
        self
    }

    /// The type of an item.
    pub(super) fn item_type(&self, item: &ScopeItem) -> ScalarType {
        self.types[item.column].scalar_type.clone()
    }

    /// The tables that a qualifier names.
    pub(super) fn tables_named(&self, parts: &[String]) -> Vec<usize> {
        let Some((alias, qualifiers)) = parts.split_last() else { return vec![] };
        let matching = self.tables.iter().enumerate().filter(|(_, t)| {
            t.alias == *alias && (qualifiers.is_empty() || t.qualifiers.ends_with(qualifiers))
        });
        matching.map(|(i, _)| i).collect()
    }

    /// Whether there is a column of that name, unqualified.
    pub(super) fn has_column(&self, name: &str) -> Result<bool, PlanError> {
        Ok(self.find(None, name)?.is_some())
    }

    /// Adds a system column to the one table.
    pub(super) fn with_system_column(mut self, name: &str, typ: ColumnType) -> Scope {
        let column = self.types.len();
        self.types.push(typ);
        self.items.push(ScopeItem {
            table: Some(0),
            name: name.to_owned(),
            column,
            plain: false,
            system: true,
        });
        self
    }

    /// The items of a table, in order, without system columns.
    pub(super) fn table_items(&self, table: usize) -> Vec<&ScopeItem> {
        self.items.iter().filter(|i| i.table == Some(table) && !i.system).collect()
    }

    fn find(&self, qualifier: Option<&[String]>, name: &str) -> Result<Option<&ScopeItem>, PlanError> {
        let ambiguous = || PlanError::new("42702", format!("column reference \"{name}\" is ambiguous"));
        let mut found = match qualifier {
            None => self.items.iter().filter(|i| (i.plain || i.system) && i.name == name).collect::<Vec<_>>(),
            Some(parts) => {
                let tables = self.tables_named(parts);
                if tables.len() > 1 {
                    let table = parts.join(".");
                    return Err(PlanError::new("42P09", format!("table reference \"{table}\" is ambiguous")));
                }
                let of_table = self.items.iter().filter(|i| i.table.is_some_and(|t| tables.contains(&t)));
                of_table.filter(|i| i.name == name).collect()
            }
        };
        found.dedup_by_key(|i| i.column);
        match found[..] {
            [] => Ok(None),
            [item] => Ok(Some(item)),
            _ => Err(ambiguous()),
        }
    }
}

/// Whether names are looked up in a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Visibility {
    /// They are.
    Yes,
    /// Only by what is lateral: it is the left side of a join.
    Lateral,
    /// Not at all: it is the left side of a RIGHT or FULL join.
    Never,
}

/// One scope of the chain: a level of column references.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    /// Its columns.
    pub(super) scope: &'a Scope,
    /// The scope around it.
    pub(super) parent: Option<&'a Frame<'a>>,
    /// Where the aggregates, window functions and table functions of this query level are gathered, in clauses that may
    /// have them.
    pub(super) collector: Option<&'a RefCell<Collector>>,
    /// Whether names are looked up here.
    pub(super) visible: Visibility,
    /// The clause, as error texts name it.
    pub(super) clause: &'static str,
}

/// What a name stands for.
pub(super) enum Resolved {
    /// A column.
    Column(HirScalarExpr, ScalarType),
    /// All columns of a table: names, expressions and types.
    Table(Vec<(String, HirScalarExpr, ScalarType)>),
}

impl<'a> Frame<'a> {
    /// The frames from this one outwards, with their levels.
    pub(super) fn chain(&'a self) -> impl Iterator<Item = (usize, &'a Frame<'a>)> {
        std::iter::successors(Some(self), |f| f.parent).enumerate()
    }

    /// The types of this frame and those around it, outermost first.
    pub(super) fn outer_types(&self) -> OuterTypes {
        let mut types: OuterTypes = self.parent.map(Frame::outer_types).unwrap_or_default();
        types.push(self.scope.types.clone());
        types
    }

    /// Looks up a column, innermost scope first.
    pub(super) fn column(
        &self,
        qualifier: Option<&[String]>,
        name: &str,
    ) -> Result<Option<Resolved>, PlanError> {
        for (level, frame) in self.chain() {
            if frame.visible != Visibility::Yes {
                continue;
            }
            if let Some(item) = frame.scope.find(qualifier, name)? {
                let column = HirScalarExpr::Column(ColumnRef { level, column: item.column });
                return Ok(Some(Resolved::Column(column, frame.scope.item_type(item))));
            }
            if let Some(parts) = qualifier
                && !frame.scope.tables_named(parts).is_empty()
            {
                let table = parts.join(".");
                return Err(PlanError::new("42703", format!("column {table}.{name} does not exist")));
            }
        }
        Ok(None)
    }

    /// Looks up a table, innermost scope first.
    pub(super) fn table(&self, parts: &[String]) -> Result<Option<Resolved>, PlanError> {
        for (level, frame) in self.chain().filter(|(_, f)| f.visible == Visibility::Yes) {
            let tables = frame.scope.tables_named(parts);
            let Some(table) = tables.first() else { continue };
            let items = frame.scope.table_items(*table);
            let columns = items.into_iter().map(|i| {
                let column = HirScalarExpr::Column(ColumnRef { level, column: i.column });
                (i.name.clone(), column, frame.scope.item_type(i))
            });
            return Ok(Some(Resolved::Table(columns.collect())));
        }
        Ok(None)
    }

    /// Where aggregates, groupings and window functions are gathered, in clauses that may have them.
    pub(super) fn gathers(&self) -> Option<&'a RefCell<Collector>> {
        self.collector.filter(|_| self.clause != GROUP_BY)
    }

    /// How many table functions have been gathered.
    pub(super) fn table_functions(&self) -> usize {
        self.collector.map_or(0, |c| c.borrow().table_functions())
    }

    /// The error for a qualifier that names no table here.
    pub(super) fn missing_table(&self, parts: &[String]) -> PlanError {
        let name = parts.join(".");
        let hidden = self
            .chain()
            .any(|(_, f)| f.visible != Visibility::Yes && !f.scope.tables_named(parts).is_empty());
        let never = |f: &Frame<'_>| f.visible == Visibility::Never && !f.scope.tables_named(parts).is_empty();
        if self.chain().any(|(_, f)| never(f)) {
            return PlanError::new(
                "42P10",
                format!("invalid reference to FROM-clause entry for table \"{name}\""),
            )
            .with_detail("The combining JOIN type must be INNER or LEFT for a LATERAL reference.");
        }
        if hidden {
            return PlanError::new("42P01", format!("invalid reference to FROM-clause entry for table \"{name}\""))
                .with_hint(format!(
                    "There is an entry for table \"{name}\", but it cannot be referenced from this part of the query."
                ));
        }
        let tables = self.chain().flat_map(|(_, f)| f.scope.tables.iter().map(move |t| (f.visible, t)));
        let mut hidden = tables.filter(|(_, t)| !t.hides.is_empty() && t.hides.ends_with(parts));
        match hidden.next() {
            None => PlanError::new("42P01", format!("missing FROM-clause entry for table \"{name}\"")),
            Some((visible, t)) => {
                let alias = &t.alias;
                let hint = match visible {
                    Visibility::Yes => format!("Perhaps you meant to reference the table alias \"{alias}\"."),
                    _ => format!(
                        "There is an entry for table \"{alias}\", but it cannot be referenced from this part of the query."
                    ),
                };
                let text = format!("invalid reference to FROM-clause entry for table \"{name}\"");
                PlanError::new("42P01", text).with_hint(hint)
            }
        }
    }
}
