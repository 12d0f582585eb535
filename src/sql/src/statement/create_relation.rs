//! CREATE TABLE, VIEW, MATERIALIZED VIEW, INDEX and TYPE.

use hw_expr::func::CastContext;
use hw_expr::{HirScalarExpr, MirScalarExpr};
use hw_repr::{ClusterId, GlobalId, RelationDesc, RelationType, ScalarType};
use sqlparser::ast::{ColumnOption, DataType, Expr, Ident};

use super::Ids;
use super::normalize::{self, stored_cluster, stored_name};
use super::resolve::{self, NewName, Options};
use crate::catalog::ItemKind;
use crate::context::StatementContext;
use crate::error::PlanError;
use crate::names::quote_ident;
use crate::parser::ast::{
    CreateIndexStatement, CreateMaterializedViewStatement, CreateTableStatement, CreateTypeBody,
    CreateTypeStatement, CreateViewStatement, Name, OptionValue,
};
use crate::parser::position;
use crate::plan::{
    IndexDefinition, ItemDefinition, MaterializedViewDefinition, NewItem, NewItemName, Plan, TableDefinition,
    ViewDefinition,
};
use crate::query;

/// An item with what planning has found it to refer to.
pub(crate) fn new_item(
    scx: &StatementContext<'_>,
    name: NewName,
    create_sql: String,
    definition: ItemDefinition,
) -> NewItem {
    let mut uses = scx.uses.borrow().clone();
    uses.remove(&name.id);
    NewItem { name: name.name, create_sql, definition, uses, id: Some(name.id) }
}

fn one_item(item: NewItem, if_not_exists: bool, tag: &'static str) -> Plan {
    Plan::CreateItems { items: vec![item], replace: None, if_not_exists, tag }
}

/// Names for a relation's columns: as many as are written replace the query's.
pub(crate) fn rename_columns(
    desc: RelationDesc,
    names: &[Ident],
    what: &str,
) -> Result<RelationDesc, PlanError> {
    if names.len() > desc.arity() {
        let text = format!("{what} specifies more column names than columns");
        return Err(PlanError::syntax(text).at(names.last().and_then(|i| position(i.span)).unwrap_or(1)));
    }
    let mut all = desc.names().to_vec();
    for (slot, ident) in all.iter_mut().zip(names) {
        slot.clone_from(&ident.value);
    }
    for (i, name) in all.iter().enumerate() {
        if all[..i].contains(name) {
            let e = PlanError::new("42701", format!("column \"{name}\" specified more than once"));
            return Err(match names.get(i).and_then(|n| position(n.span)) {
                Some(p) => e.at(p),
                None => e,
            });
        }
    }
    Ok(RelationDesc::new(desc.typ().clone(), all))
}

fn refuse_unknown_types(desc: &RelationDesc) -> Result<(), PlanError> {
    if desc.arity() > 1600 {
        return Err(PlanError::new("54011", "relations can have at most 1600 columns"));
    }
    Ok(())
}

/// An object that stays may not depend on one that goes with the session.
fn refuse_temporary_uses(scx: &StatementContext<'_>, kind: ItemKind) -> Result<(), PlanError> {
    let Some(temp) = scx.temp_schema() else { return Ok(()) };
    let uses = scx.uses.borrow();
    match uses.iter().filter_map(|id| scx.catalog.item(*id)).find(|i| i.schema_id == temp) {
        Some(item) => Err(PlanError::new(
            "42P16",
            format!(
                "a {kind} that is not temporary cannot depend on the temporary object \"{}\"",
                item.name.item
            ),
        )),
        None => Ok(()),
    }
}

// ---- tables

/// What a CREATE TABLE makes.
pub(crate) fn define_table(
    scx: &StatementContext<'_>,
    stmt: &CreateTableStatement,
) -> Result<TableDefinition, PlanError> {
    let t = &stmt.table;
    let refused = [
        (t.or_replace, "CREATE OR REPLACE TABLE"),
        (t.unlogged, "UNLOGGED"),
        (t.external, "EXTERNAL"),
        (t.query.is_some(), "CREATE TABLE AS"),
        (t.like.is_some(), "LIKE"),
        (t.inherits.is_some(), "INHERITS"),
        (t.partition_of.is_some() || t.partition_by.is_some(), "PARTITION"),
        (t.on_commit.is_some(), "ON COMMIT"),
        (t.global.is_some(), "GLOBAL and LOCAL"),
        (!matches!(t.table_options, sqlparser::ast::CreateTableOptions::None), "a table option"),
    ];
    if let Some((_, what)) = refused.iter().find(|(given, _)| *given) {
        return Err(PlanError::unsupported(format!("{what} in CREATE TABLE")));
    }
    if let Some(c) = t.constraints.first() {
        return Err(constraint_unsupported(&c.to_string()));
    }
    let mut desc = RelationDesc::empty();
    let mut defaults = vec![];
    for column in &t.columns {
        let typ = query::plan_data_type(scx, &column.data_type)?;
        let mut nullable = true;
        let mut default = None;
        for option in &column.options {
            match &option.option {
                ColumnOption::NotNull => nullable = false,
                ColumnOption::Null => {}
                ColumnOption::Default(e) => default = Some(plan_default(scx, e, &typ)?),
                ColumnOption::Collation(c)
                    if matches!(c.to_string().trim_matches('"'), "C" | "default" | "POSIX") => {}
                other => return Err(constraint_unsupported(&other.to_string())),
            }
        }
        if desc.position(&column.name.value).is_some() {
            let e =
                PlanError::new("42701", format!("column \"{}\" specified more than once", column.name.value));
            return Err(e.at(position(column.name.span).unwrap_or(1)));
        }
        desc = desc.with_column(column.name.value.clone(), typ.clone().nullable(nullable));
        defaults.push(default.unwrap_or_else(|| HirScalarExpr::null(typ)));
    }
    refuse_unknown_types(&desc)?;
    Ok(TableDefinition { desc, defaults, source: None, temporary: t.temporary })
}

fn plan_default(
    scx: &StatementContext<'_>,
    expr: &Expr,
    typ: &ScalarType,
) -> Result<HirScalarExpr, PlanError> {
    let planned =
        query::plan_scalar(scx, &RelationDesc::empty(), None, expr, Some((typ, CastContext::Assignment)))?;
    if planned.contains_subquery() {
        return Err(PlanError::new("0A000", "cannot use subquery in DEFAULT expression"));
    }
    if planned.contains_parameters() {
        return Err(PlanError::new("42P02", "there is no parameter in a DEFAULT expression"));
    }
    Ok(planned)
}

fn constraint_unsupported(text: &str) -> PlanError {
    let upper = text.to_uppercase();
    let known =
        ["PRIMARY KEY", "UNIQUE", "FOREIGN KEY", "REFERENCES", "CHECK", "EXCLUDE", "GENERATED", "COLLATE"];
    let what = known.iter().find(|k| upper.contains(**k)).map_or(text.to_owned(), |k| (*k).to_owned());
    let e = PlanError::unsupported(format!("{what} in CREATE TABLE"));
    if what == "COLLATE" {
        e
    } else {
        e.with_hint("NOT NULL and DEFAULT are the constraints that tables can have.")
    }
}

/// CREATE TABLE
pub(crate) fn create_table(
    scx: &StatementContext<'_>,
    stmt: &CreateTableStatement,
    ids: Ids<'_>,
) -> Result<Plan, PlanError> {
    let mut definition = define_table(scx, stmt)?;
    let lenient = stmt.table.if_not_exists;
    let name = resolve::new_name(scx, &stmt.name, definition.temporary, lenient, ItemKind::Table, ids)?;
    let temporary = Some(name.name.schema) == scx.temp_schema();
    definition.temporary = temporary;
    if !temporary {
        refuse_temporary_uses(scx, ItemKind::Table)?;
    }
    let types: Vec<&DataType> = stmt.table.columns.iter().map(|c| &c.data_type).collect();
    let options = stmt.table.columns.iter().flat_map(|c| &c.options);
    let defaults: Vec<&Expr> = options
        .filter_map(|o| if let ColumnOption::Default(e) = &o.option { Some(e) } else { None })
        .collect();
    let name_end = stmt.name.0.last().map_or(0, |i| (i.span.end.column as usize).saturating_sub(1));
    let range = (name_end, stmt.sql.chars().count());
    let columns = normalize::fragment(scx, &stmt.sql, range, &types, &defaults);
    let word = if temporary { "TEMPORARY TABLE" } else { "TABLE" };
    let create_sql = format!("CREATE {word} {} {}", name.stored, columns.trim_start());
    let item = new_item(scx, name, create_sql, ItemDefinition::Table(definition));
    Ok(one_item(item, lenient, "CREATE TABLE"))
}

// ---- views

/// What a CREATE VIEW makes.
pub(crate) fn define_view(
    scx: &StatementContext<'_>,
    stmt: &CreateViewStatement,
) -> Result<ViewDefinition, PlanError> {
    let (expr, desc) = query::plan_view_query(scx, &stmt.query.query)?;
    let desc = rename_columns(desc, &stmt.columns, "CREATE VIEW")?;
    refuse_unknown_types(&desc)?;
    Ok(ViewDefinition { expr, desc, temporary: stmt.temporary })
}

fn column_list(columns: &[Ident]) -> String {
    if columns.is_empty() {
        return String::new();
    }
    let names: Vec<String> = columns.iter().map(|c| quote_ident(&c.value)).collect();
    format!(" ({})", names.join(", "))
}

/// What OR REPLACE drops first.
fn replaced(
    scx: &StatementContext<'_>,
    or_replace: bool,
    name: &Name,
    temporary: bool,
    kind: ItemKind,
) -> Result<Option<GlobalId>, PlanError> {
    if !or_replace {
        return Ok(None);
    }
    let parts = name.parts();
    let Some((item, qualifiers)) = parts.split_last() else { return Ok(None) };
    let schema = match scx.temp_schema() {
        Some(temp) if temporary && qualifiers.is_empty() => temp,
        _ => scx.resolve_schema_for_create(qualifiers)?,
    };
    let Some(existing) = scx.catalog.item_by_name(schema, item) else { return Ok(None) };
    if existing.kind() != kind {
        return Err(PlanError::new("42809", format!("\"{item}\" is not a {kind}")).at(name.position()));
    }
    if scx.uses.borrow().contains(&existing.id) {
        return Err(PlanError::new(
            "42P17",
            format!("{kind} \"{item}\" cannot be replaced by one that refers to it"),
        )
        .at(name.position()));
    }
    Ok(Some(existing.id))
}

/// CREATE VIEW
pub(crate) fn create_view(
    scx: &StatementContext<'_>,
    stmt: &CreateViewStatement,
    ids: Ids<'_>,
) -> Result<Plan, PlanError> {
    if stmt.or_replace && stmt.if_not_exists {
        return Err(PlanError::syntax("OR REPLACE and IF NOT EXISTS exclude each other"));
    }
    let mut definition = define_view(scx, stmt)?;
    let replace = replaced(scx, stmt.or_replace, &stmt.name, stmt.temporary, ItemKind::View)?;
    let lenient = stmt.if_not_exists || replace.is_some();
    let name = resolve::new_name(scx, &stmt.name, stmt.temporary, lenient, ItemKind::View, ids)?;
    let temporary = Some(name.name.schema) == scx.temp_schema();
    definition.temporary = temporary;
    if !temporary {
        refuse_temporary_uses(scx, ItemKind::View)?;
    }
    let create_sql = format!(
        "CREATE {}VIEW {}{} AS {}",
        if temporary { "TEMPORARY " } else { "" },
        name.stored,
        column_list(&stmt.columns),
        normalize::query(scx, &stmt.query)
    );
    let item = new_item(scx, name, create_sql, ItemDefinition::View(definition));
    Ok(Plan::CreateItems {
        items: vec![item],
        replace,
        if_not_exists: stmt.if_not_exists,
        tag: "CREATE VIEW",
    })
}

/// What a CREATE MATERIALIZED VIEW makes.
pub(crate) fn define_materialized_view(
    scx: &StatementContext<'_>,
    stmt: &CreateMaterializedViewStatement,
) -> Result<MaterializedViewDefinition, PlanError> {
    let cluster = resolve::cluster_for_object(scx, stmt.cluster.as_ref())?;
    let (expr, desc) = query::plan_view_query(scx, &stmt.query.query)?;
    let desc = rename_columns(desc, &stmt.columns, "CREATE MATERIALIZED VIEW")?;
    refuse_unknown_types(&desc)?;
    let mut not_null = vec![];
    for o in &stmt.options {
        let OptionValue::Raw(_, Some(Name(parts))) = &o.value else {
            return Err(unsupported_view_option(o.name, o.position));
        };
        if o.name != "ASSERT NOT NULL" || parts.len() != 1 {
            return Err(unsupported_view_option(o.name, o.position));
        }
        let column = &parts[0];
        let unknown = || {
            PlanError::new(
                "42703",
                format!("column \"{}\" in ASSERT NOT NULL option not found", column.value),
            )
            .at(position(column.span).unwrap_or(o.position))
        };
        let i = desc.position(&column.value).ok_or_else(unknown)?;
        if not_null.contains(&i) {
            return Err(PlanError::new(
                "42701",
                format!("column \"{}\" specified more than once", column.value),
            )
            .at(o.position));
        }
        not_null.push(i);
    }
    let mut types = desc.typ().column_types.clone();
    for i in &not_null {
        types[*i].nullable = false;
    }
    let typ = RelationType { column_types: types, keys: desc.typ().keys.clone() };
    let desc = RelationDesc::new(typ, desc.names().to_vec());
    Ok(MaterializedViewDefinition { expr, desc, cluster, not_null })
}

fn unsupported_view_option(name: &str, at: usize) -> PlanError {
    PlanError::unsupported(format!("CREATE MATERIALIZED VIEW option {name}")).at(at)
}

/// CREATE MATERIALIZED VIEW
pub(crate) fn create_materialized_view(
    scx: &StatementContext<'_>,
    stmt: &CreateMaterializedViewStatement,
    ids: Ids<'_>,
) -> Result<Plan, PlanError> {
    if stmt.or_replace && stmt.if_not_exists {
        return Err(PlanError::syntax("OR REPLACE and IF NOT EXISTS exclude each other"));
    }
    let definition = define_materialized_view(scx, stmt)?;
    refuse_temporary_uses(scx, ItemKind::MaterializedView)?;
    let replace = replaced(scx, stmt.or_replace, &stmt.name, false, ItemKind::MaterializedView)?;
    let lenient = stmt.if_not_exists || replace.is_some();
    let name = resolve::new_name(scx, &stmt.name, false, lenient, ItemKind::MaterializedView, ids)?;
    let asserts: Vec<String> = definition
        .not_null
        .iter()
        .map(|i| format!("ASSERT NOT NULL = {}", quote_ident(&definition.desc.names()[*i])))
        .collect();
    let with = if asserts.is_empty() { String::new() } else { format!(" WITH ({})", asserts.join(", ")) };
    let create_sql = format!(
        "CREATE MATERIALIZED VIEW {}{} IN CLUSTER {}{with} AS {}",
        name.stored,
        column_list(&stmt.columns),
        stored_cluster(scx.catalog, definition.cluster),
        normalize::query(scx, &stmt.query)
    );
    let item = new_item(scx, name, create_sql, ItemDefinition::MaterializedView(definition));
    let if_not_exists = stmt.if_not_exists;
    Ok(Plan::CreateItems { items: vec![item], replace, if_not_exists, tag: "CREATE MATERIALIZED VIEW" })
}

// ---- indexes

/// The columns that the default index of a relation has as its key: its first key, or all columns.
fn default_key(desc: &RelationDesc) -> Vec<usize> {
    desc.typ().keys.iter().find(|k| !k.is_empty()).cloned().unwrap_or_else(|| (0..desc.arity()).collect())
}

/// What a CREATE INDEX makes.
pub(crate) fn define_index(
    scx: &StatementContext<'_>,
    stmt: &CreateIndexStatement,
) -> Result<IndexDefinition, PlanError> {
    Options::new("CREATE INDEX", &stmt.options)?.finish()?;
    let cluster: ClusterId = resolve::cluster_for_object(scx, stmt.cluster.as_ref())?;
    let (item, desc) = resolve::relation(scx, &stmt.on)?;
    let keys = match &stmt.key {
        None => default_key(&desc).into_iter().map(MirScalarExpr::Column).collect(),
        Some(key) => {
            let own = query::TableRef { alias: &item.name.item, qualifiers: &[] };
            let planned = key.exprs.iter().map(|(e, _)| query::plan_index_key(scx, &desc, Some(own), e));
            planned.collect::<Result<Vec<_>, _>>()?
        }
    };
    Ok(IndexDefinition { on: item.id, keys, cluster })
}

/// CREATE INDEX
pub(crate) fn create_index(
    scx: &StatementContext<'_>,
    stmt: &CreateIndexStatement,
    ids: Ids<'_>,
) -> Result<Plan, PlanError> {
    let definition = define_index(scx, stmt)?;
    let (on, desc) = resolve::relation(scx, &stmt.on)?;
    let schema = if stmt.qualifiers.is_empty() {
        on.schema_id
    } else {
        let schema = scx.resolve_schema(&Name(stmt.qualifiers.clone()).parts())?;
        if schema != on.schema_id {
            return Err(PlanError::new("0A000", "an index is in the schema of the relation that it is on")
                .at(Name(stmt.qualifiers.clone()).position()));
        }
        schema
    };
    let lenient = stmt.if_not_exists;
    // What is on a temporary relation goes with it.
    let temporary = Some(schema) == scx.temp_schema();
    if !temporary {
        refuse_temporary_uses(scx, ItemKind::Index)?;
    }
    let name = match &stmt.name {
        Some(ident) => {
            resolve::new_name_in(scx, schema, &ident.value, temporary, lenient, ItemKind::Index, ids)
                .map_err(|e| e.at(position(ident.span).unwrap_or(1)))?
        }
        None => {
            let base = default_index_name(&on.name.item, &desc, &definition.keys, stmt.key.is_none());
            let taken = |n: &str| scx.catalog.item_by_name(schema, n).is_some();
            let free =
                std::iter::once(base.clone()).chain((1..).map(|i| format!("{base}{i}"))).find(|n| !taken(n));
            resolve::new_name_in(
                scx,
                schema,
                &free.unwrap_or(base),
                temporary,
                lenient,
                ItemKind::Index,
                ids,
            )?
        }
    };
    let keys: Vec<String> = match &stmt.key {
        Some(key) => normalize::exprs(scx, key),
        None => default_key(&desc).iter().map(|i| quote_ident(&desc.names()[*i])).collect(),
    };
    let create_sql = format!(
        "CREATE INDEX {} IN CLUSTER {} ON {} ({})",
        name.stored,
        stored_cluster(scx.catalog, definition.cluster),
        stored_name(&on),
        keys.join(", ")
    );
    let item = new_item(scx, name, create_sql, ItemDefinition::Index(definition));
    Ok(one_item(item, lenient, "CREATE INDEX"))
}

fn default_index_name(on: &str, desc: &RelationDesc, keys: &[MirScalarExpr], default: bool) -> String {
    if default {
        return format!("{on}_primary_idx");
    }
    let parts: Vec<&str> = keys
        .iter()
        .map(|k| match k {
            MirScalarExpr::Column(i) => desc.names()[*i].as_str(),
            _ => "expr",
        })
        .collect();
    let mut name = format!("{on}_{}", parts.join("_"));
    while name.len() > 240 {
        name.pop();
    }
    format!("{name}_idx")
}

// ---- types

/// What a CREATE TYPE makes, under an id.
pub(crate) fn define_type(
    scx: &StatementContext<'_>,
    stmt: &CreateTypeStatement,
    id: GlobalId,
) -> Result<ScalarType, PlanError> {
    let custom_id = Some(id);
    Ok(match &stmt.body {
        CreateTypeBody::List(t) => {
            ScalarType::List { element: Box::new(query::plan_data_type(scx, t)?), custom_id }
        }
        CreateTypeBody::Map(key, value) => {
            if query::plan_data_type(scx, key)? != ScalarType::String {
                return Err(PlanError::new("42804", "the key type of a map must be text"));
            }
            ScalarType::Map { value: Box::new(query::plan_data_type(scx, value)?), custom_id }
        }
        CreateTypeBody::Record(fields) => {
            let mut planned: Vec<(String, hw_repr::ColumnType)> = vec![];
            for (name, t) in fields {
                if planned.iter().any(|(n, _)| *n == name.value) {
                    let e = PlanError::new(
                        "42701",
                        format!("column \"{}\" specified more than once", name.value),
                    );
                    return Err(e.at(position(name.span).unwrap_or(1)));
                }
                planned.push((name.value.clone(), query::plan_data_type(scx, t)?.nullable(true)));
            }
            ScalarType::Record { fields: planned, custom_id }
        }
    })
}

/// CREATE TYPE
pub(crate) fn create_type(
    scx: &StatementContext<'_>,
    stmt: &CreateTypeStatement,
    ids: Ids<'_>,
) -> Result<Plan, PlanError> {
    let name = resolve::new_name(scx, &stmt.name, false, false, ItemKind::Type, ids)?;
    let typ = define_type(scx, stmt, name.id)?;
    let types: Vec<&DataType> = match &stmt.body {
        CreateTypeBody::List(t) => vec![t],
        CreateTypeBody::Map(k, v) => vec![k, v],
        CreateTypeBody::Record(fields) => fields.iter().map(|(_, t)| t).collect(),
    };
    for t in &types {
        note_types(scx, t);
    }
    let body = normalize::fragment(scx, &stmt.sql, stmt.range, &types, &[]);
    let create_sql = format!("CREATE TYPE {} AS {body}", name.stored);
    let item = new_item(scx, name, create_sql, ItemDefinition::Type(typ));
    Ok(one_item(item, false, "CREATE TYPE"))
}

/// Notes the named types that a type is made of as used.
fn note_types(scx: &StatementContext<'_>, t: &DataType) {
    match t {
        DataType::Custom(name, _) => {
            let parts: Option<Vec<String>> =
                name.0.iter().map(|p| p.as_ident().map(|i| i.value.clone())).collect();
            if let Some(item) = parts.and_then(|p| scx.lookup_type(&p)).filter(|i| !i.id.is_system()) {
                scx.uses.borrow_mut().insert(item.id);
            }
        }
        DataType::Array(
            sqlparser::ast::ArrayElemTypeDef::AngleBracket(t)
            | sqlparser::ast::ArrayElemTypeDef::SquareBracket(t, _)
            | sqlparser::ast::ArrayElemTypeDef::Parenthesis(t),
        ) => note_types(scx, t),
        _ => {}
    }
}

/// The name under which an item is made, for EXPLAIN.
pub(crate) fn unnamed(schema: hw_repr::SchemaId, item: &str) -> NewItemName {
    NewItemName { schema, item: item.to_owned() }
}
