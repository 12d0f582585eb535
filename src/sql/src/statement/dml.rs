//! INSERT, UPDATE and DELETE.

use std::sync::Arc;

use hw_expr::{HirRelationExpr, HirScalarExpr};
use hw_repr::{RelationDesc, RelationType};
use sqlparser::ast::{
    Assignment, AssignmentTarget, Delete, Expr, FromTable, Ident, Insert, ObjectName, SelectItem,
    TableFactor, TableObject, TableWithJoins, Update, UpdateTableFromKind,
};

use super::resolve;
use crate::catalog::ItemInfo;
use crate::context::StatementContext;
use crate::error::PlanError;
use crate::parser::ast::Name;
use crate::parser::position;
use crate::plan::{ItemDefinition, Plan, ReturningPlan, TableDefinition};
use crate::query::{self, TableRef};

fn name_of(name: &ObjectName) -> Result<Name, PlanError> {
    let parts: Option<Vec<Ident>> = name.0.iter().map(|p| p.as_ident().cloned()).collect();
    parts.map(Name).ok_or_else(|| PlanError::syntax("invalid table name"))
}

/// A table that users may write.
pub(crate) fn writable_table(
    scx: &StatementContext<'_>,
    name: &Name,
) -> Result<(Arc<ItemInfo>, TableDefinition), PlanError> {
    let item = scx.resolve_item(&name.parts()).map_err(|e| e.at(name.position()))?;
    let refused = |what: String| {
        let text = format!("cannot write to {what} \"{}\"", item.name.item);
        Err(PlanError::new("42809", text).at(name.position()))
    };
    match &item.definition {
        ItemDefinition::Table(_) if item.id.is_system() => {
            Err(PlanError::new("42501", format!("permission denied for relation {}", item.name.item)))
        }
        ItemDefinition::Table(t) if t.source.is_some() => refused("the source-fed table".into()),
        ItemDefinition::Table(t) => {
            let t = t.clone();
            Ok((item, t))
        }
        other => refused(other.kind().to_string()),
    }
}

fn returning(
    scx: &StatementContext<'_>,
    desc: &RelationDesc,
    alias: TableRef<'_>,
    items: Option<&Vec<SelectItem>>,
) -> Result<Option<ReturningPlan>, PlanError> {
    items.map(|items| query::plan_returning(scx, desc, Some(alias), items)).transpose()
}

/// INSERT
pub(crate) fn insert(scx: &StatementContext<'_>, stmt: &Insert) -> Result<Plan, PlanError> {
    let refused = [
        (stmt.on.is_some(), "INSERT … ON CONFLICT"),
        (stmt.or.is_some() || stmt.ignore || stmt.replace_into, "this form of INSERT"),
        (
            stmt.overwrite || stmt.partitioned.is_some() || !stmt.after_columns.is_empty(),
            "this form of INSERT",
        ),
        (!stmt.assignments.is_empty(), "INSERT … SET"),
        (stmt.output.is_some(), "OUTPUT"),
    ];
    if let Some((_, what)) = refused.iter().find(|(given, _)| *given) {
        return Err(PlanError::unsupported(what));
    }
    let TableObject::TableName(name) = &stmt.table else {
        return Err(PlanError::unsupported("INSERT INTO anything but a table"));
    };
    let name = name_of(name)?;
    let (item, table) = writable_table(scx, &name)?;
    let columns = if stmt.columns.is_empty() {
        None
    } else {
        let idents: Vec<Ident> = stmt
            .columns
            .iter()
            .map(|c| match name_of(c)?.0.as_slice() {
                [one] => Ok(one.clone()),
                _ => Err(PlanError::unsupported("INSERT into a field of a column")),
            })
            .collect::<Result<_, PlanError>>()?;
        Some(resolve::columns(&table.desc, &idents, &item.name.item)?)
    };
    let source = match &stmt.source {
        Some(query) => {
            let named = columns.is_some();
            let columns = columns.unwrap_or_else(|| (0..table.desc.arity()).collect());
            query::plan_insert_source(scx, &table.desc, &columns, named, &table.defaults, query)?
        }
        None => default_row(&table),
    };
    let named = TargetName::new(&item, stmt.table_alias.as_ref().map(|a| a.alias.value.clone()));
    let returning = returning(scx, &table.desc, named.as_ref(), stmt.returning.as_ref())?;
    Ok(Plan::Insert { table: item.id, source, returning })
}

/// INSERT … DEFAULT VALUES
fn default_row(table: &TableDefinition) -> HirRelationExpr {
    let one =
        HirRelationExpr::Constant { rows: vec![hw_repr::Row::default()], typ: RelationType::new(vec![]) };
    HirRelationExpr::Map { input: Box::new(one), scalars: table.defaults.clone() }
}

/// The names by which the columns of a changed table go: an alias hides the table's own name.
struct TargetName {
    alias: String,
    qualifiers: Vec<String>,
}

impl TargetName {
    fn new(item: &ItemInfo, alias: Option<String>) -> Self {
        match alias {
            Some(alias) => TargetName { alias, qualifiers: vec![] },
            None => TargetName {
                alias: item.name.item.clone(),
                qualifiers: item.name.database.iter().chain([&item.name.schema]).cloned().collect(),
            },
        }
    }

    fn as_ref(&self) -> TableRef<'_> {
        TableRef { alias: &self.alias, qualifiers: &self.qualifiers }
    }
}

/// The table that a DML statement changes, and the name by which its columns go.
fn target(
    scx: &StatementContext<'_>,
    table: &TableWithJoins,
) -> Result<(Arc<ItemInfo>, TableDefinition, TargetName), PlanError> {
    let TableFactor::Table { name, alias, args: None, .. } = &table.relation else {
        return Err(PlanError::syntax("only a table can be changed"));
    };
    if !table.joins.is_empty() {
        return Err(PlanError::syntax("the table that is changed cannot be joined here"));
    }
    if alias.as_ref().is_some_and(|a| !a.columns.is_empty()) {
        return Err(PlanError::syntax("names of columns are not for the alias of the table that is changed"));
    }
    let name = name_of(name)?;
    let (item, definition) = writable_table(scx, &name)?;
    let named = TargetName::new(&item, alias.as_ref().map(|a| a.name.value.clone()));
    Ok((item, definition, named))
}

/// DELETE
pub(crate) fn delete(scx: &StatementContext<'_>, stmt: &Delete) -> Result<Plan, PlanError> {
    if !stmt.tables.is_empty() || !stmt.order_by.is_empty() || stmt.limit.is_some() || stmt.output.is_some() {
        return Err(PlanError::unsupported("this form of DELETE"));
    }
    let FromTable::WithFromKeyword(from) = &stmt.from else {
        return Err(PlanError::syntax("DELETE needs FROM"));
    };
    let [from] = from.as_slice() else { return Err(PlanError::unsupported("DELETE from several tables")) };
    let (item, table, named) = target(scx, from)?;
    let alias = named.as_ref();
    let target = (item.id, &table.desc, alias);
    let using = stmt.using.as_deref().unwrap_or_default();
    let (where_, given) = (stmt.selection.as_ref(), stmt.returning.as_deref());
    let (selection, _, returning) = query::plan_using_scope(scx, target, using, where_, &[], given)?;
    Ok(Plan::Mutate { table: item.id, selection, assignments: None, returning })
}

/// UPDATE
pub(crate) fn update(scx: &StatementContext<'_>, stmt: &Update) -> Result<Plan, PlanError> {
    if !stmt.order_by.is_empty() || stmt.limit.is_some() || stmt.or.is_some() || stmt.output.is_some() {
        return Err(PlanError::unsupported("this form of UPDATE"));
    }
    let (item, table, named) = target(scx, &stmt.table)?;
    let alias = named.as_ref();
    let assigned = assignments(&item, &table.desc, &stmt.assignments)?;
    let from = match &stmt.from {
        Some(UpdateTableFromKind::AfterSet(from)) => from.as_slice(),
        Some(UpdateTableFromKind::BeforeSet(_)) => return Err(PlanError::syntax("FROM comes after SET")),
        None => &[],
    };
    let is_default =
        |e: &Expr| matches!(e, Expr::Identifier(i) if i.quote_style.is_none() && i.value == "default");
    let mut values: Vec<HirScalarExpr> = (0..table.desc.arity()).map(HirScalarExpr::column).collect();
    let written: Vec<(usize, &Expr)> = assigned.iter().copied().filter(|(_, e)| !is_default(e)).collect();
    for (i, _) in assigned.iter().filter(|(_, e)| is_default(e)) {
        values[*i] = table.defaults[*i].clone();
    }
    let target = (item.id, &table.desc, alias);
    let (where_, given) = (stmt.selection.as_ref(), stmt.returning.as_deref());
    let (selection, planned, returning) =
        query::plan_using_scope(scx, target, from, where_, &written, given)?;
    for ((i, _), value) in written.iter().zip(planned) {
        values[*i] = value;
    }
    Ok(Plan::Mutate { table: item.id, selection, assignments: Some(values), returning })
}

fn assignments<'a>(
    item: &ItemInfo,
    desc: &RelationDesc,
    assignments: &'a [Assignment],
) -> Result<Vec<(usize, &'a Expr)>, PlanError> {
    let mut all: Vec<(usize, &Expr)> = vec![];
    for a in assignments {
        let pairs: Vec<(&ObjectName, &Expr)> = match &a.target {
            AssignmentTarget::ColumnName(name) => vec![(name, &a.value)],
            AssignmentTarget::Tuple(names) => match &a.value {
                Expr::Tuple(values) if values.len() == names.len() => names.iter().zip(values).collect(),
                Expr::Nested(value) if names.len() == 1 => vec![(&names[0], value)],
                Expr::Tuple(_) => {
                    return Err(PlanError::syntax("number of columns does not match number of values"));
                }
                _ => return Err(PlanError::unsupported("UPDATE of several columns from a subquery")),
            },
        };
        for (name, value) in pairs {
            let name = name_of(name)?;
            let [column] = name.0.as_slice() else {
                return Err(PlanError::unsupported("UPDATE of a field of a column").at(name.position()));
            };
            let at = position(column.span).unwrap_or(1);
            let i = resolve::columns(desc, std::slice::from_ref(column), &item.name.item)?[0];
            if all.iter().any(|(j, _)| *j == i) {
                let text = format!("multiple assignments to same column \"{}\"", column.value);
                return Err(PlanError::syntax(text).at(at));
            }
            all.push((i, value));
        }
    }
    Ok(all)
}
