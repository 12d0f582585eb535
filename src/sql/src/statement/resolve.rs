//! Names of new and existing objects, and options.

use std::sync::Arc;

use hw_expr::func::CastContext;
use hw_expr::{MirScalarExpr, RowSetFinishing};
use hw_repr::{
    ClusterId, DatabaseId, Datum, GlobalId, RelationDesc, RoleId, Row, RowArena, ScalarType, SchemaId,
};
use sqlparser::ast::{Expr, Ident, Value};

use super::Ids;
use super::normalize::{parse_stored_cluster, stored_name_of};
use crate::catalog::{ClusterInfo, FullName, ItemInfo, ItemKind};
use crate::context::StatementContext;
use crate::error::PlanError;
use crate::names::unknown_database;
use crate::parser::ast::{AsOf, Name, OptionValue, SqlOption};
use crate::plan::{NewItemName, QueryWhen};
use crate::query;

/// An item to be made, as far as its name goes.
#[derive(Debug, Clone)]
pub(crate) struct NewName {
    pub(crate) id: GlobalId,
    pub(crate) name: NewItemName,
    /// How stored SQL names it.
    pub(crate) stored: String,
}

/// Checks that an object can be made under a name, and gives it an id. An object is temporary if it says so or is in the temporary
/// schema.
pub(crate) fn new_name(
    scx: &StatementContext<'_>,
    name: &Name,
    temporary: bool,
    lenient: bool,
    kind: ItemKind,
    ids: Ids<'_>,
) -> Result<NewName, PlanError> {
    let parts = name.parts();
    let (item, qualifiers) = parts.split_last().ok_or_else(|| PlanError::syntax("a name is missing"))?;
    let temp = scx.temp_schema();
    let schema = match temp {
        Some(temp) if temporary && qualifiers.is_empty() => temp,
        _ => scx.resolve_schema_for_create(qualifiers)?,
    };
    let in_temp = temp == Some(schema);
    if temporary && !in_temp {
        let message = format!("cannot create temporary {} in non-temporary schema", relation_or(kind));
        return Err(PlanError::new("42P16", message).at(name.position()));
    }
    if in_temp && !matches!(kind, ItemKind::Table | ItemKind::View | ItemKind::Index) {
        return Err(PlanError::new("0A000", format!("a {kind} cannot be temporary")).at(name.position()));
    }
    new_name_in(scx, schema, item, in_temp, lenient, kind, ids).map_err(|e| e.at(name.position()))
}

fn relation_or(kind: ItemKind) -> String {
    match kind {
        ItemKind::Table | ItemKind::View | ItemKind::MaterializedView | ItemKind::Index => "relation".into(),
        other => other.to_string(),
    }
}

/// The same in a known schema.
pub(crate) fn new_name_in(
    scx: &StatementContext<'_>,
    schema: SchemaId,
    item: &str,
    temporary: bool,
    lenient: bool,
    kind: ItemKind,
    ids: Ids<'_>,
) -> Result<NewName, PlanError> {
    let (database, schema_name) =
        scx.catalog.schema_name(schema).ok_or_else(|| PlanError::new("3F000", "schema does not exist"))?;
    if matches!(schema, SchemaId::System(_)) && !temporary {
        return Err(PlanError::new("42501", format!("permission denied for schema {schema_name}"))
            .with_detail("System schemas cannot be changed."));
    }
    let existing = match kind {
        ItemKind::Type => scx.catalog.type_by_name(schema, item),
        _ => scx.catalog.item_by_name(schema, item),
    };
    if let Some(existing) = existing.filter(|_| !lenient) {
        return Err(already_exists(&existing, item));
    }
    let database = database.and_then(|d| scx.catalog.database_name(d));
    let full = FullName { database, schema: schema_name, item: item.to_owned() };
    let id = ids();
    let stored = stored_name_of(id, &full);
    Ok(NewName { id, name: NewItemName { schema, item: item.to_owned() }, stored })
}

/// The error for a name that is taken.
pub(crate) fn already_exists(existing: &ItemInfo, item: &str) -> PlanError {
    let (state, what) = match existing.kind() {
        ItemKind::Type => ("42710", "type"),
        ItemKind::Table
        | ItemKind::Source
        | ItemKind::View
        | ItemKind::MaterializedView
        | ItemKind::Index => ("42P07", "relation"),
        ItemKind::Connection => ("42710", "connection"),
        ItemKind::Secret => ("42710", "secret"),
        ItemKind::Sink => ("42710", "sink"),
    };
    PlanError::new(state, format!("{what} \"{item}\" already exists"))
}

/// The cluster that is named, or the session's.
pub(crate) fn cluster(scx: &StatementContext<'_>, name: Option<&Ident>) -> Result<ClusterId, PlanError> {
    let Some(ident) = name else {
        return cluster_named(scx, &scx.session.cluster).map(|c| c.id).map_err(|e| {
            e.with_hint(
                "The session's cluster does not exist: SET CLUSTER to one that does, or write IN CLUSTER.",
            )
        });
    };
    if scx.names_are_ids
        && let Some(id) = parse_stored_cluster(&ident.value)
    {
        return Ok(id);
    }
    let found = cluster_named(scx, &ident.value)?;
    Ok(found.id)
}

/// The cluster on which an object of users is to run.
pub(crate) fn cluster_for_object(
    scx: &StatementContext<'_>,
    name: Option<&Ident>,
) -> Result<ClusterId, PlanError> {
    let id = cluster(scx, name)?;
    if matches!(id, ClusterId::System(_)) && !scx.names_are_ids {
        let name = scx.catalog.cluster(id).map(|c| c.name.clone()).unwrap_or_default();
        return Err(PlanError::new("42501", format!("system cluster \"{name}\" cannot be changed")));
    }
    Ok(id)
}

/// The cluster of a name.
pub(crate) fn cluster_named(scx: &StatementContext<'_>, name: &str) -> Result<Arc<ClusterInfo>, PlanError> {
    scx.catalog
        .cluster_by_name(name)
        .ok_or_else(|| PlanError::new("42704", format!("cluster \"{name}\" does not exist")))
}

/// The database of a name.
pub(crate) fn database(scx: &StatementContext<'_>, name: &str) -> Result<DatabaseId, PlanError> {
    scx.catalog.database(name).ok_or_else(|| unknown_database(name))
}

/// The role of a name.
pub(crate) fn role(scx: &StatementContext<'_>, name: &str) -> Result<RoleId, PlanError> {
    let name =
        if name == "current_user" || name == "session_user" { scx.session.user.as_str() } else { name };
    scx.catalog.role(name).ok_or_else(|| PlanError::new("42704", format!("role \"{name}\" does not exist")))
}

/// An item of a kind.
pub(crate) fn item_of_kind(
    scx: &StatementContext<'_>,
    name: &Name,
    kind: ItemKind,
) -> Result<Option<Arc<ItemInfo>>, PlanError> {
    let parts = name.parts();
    let found = if kind == ItemKind::Type { scx.lookup_type(&parts) } else { scx.lookup_item(&parts) };
    let Some(item) = found else { return Ok(None) };
    if item.kind() != kind {
        let article = if matches!(kind, ItemKind::Index) { "an" } else { "a" };
        let hint = format!("It is a {}.", item.kind());
        return Err(PlanError::new("42809", format!("\"{name}\" is not {article} {kind}"))
            .with_hint(hint)
            .at(name.position()));
    }
    Ok(Some(item))
}

/// An item of a kind, which has to exist.
pub(crate) fn existing_item(
    scx: &StatementContext<'_>,
    name: &Name,
    kind: ItemKind,
) -> Result<Arc<ItemInfo>, PlanError> {
    item_of_kind(scx, name, kind)?.ok_or_else(|| unknown_item(name, kind))
}

/// The error for an item that does not exist.
pub(crate) fn unknown_item(name: &Name, kind: ItemKind) -> PlanError {
    let e = match kind {
        ItemKind::Table | ItemKind::Source | ItemKind::View | ItemKind::MaterializedView => {
            let what = if kind == ItemKind::Table { "table".to_owned() } else { kind.to_string() };
            PlanError::new("42P01", format!("{what} \"{name}\" does not exist"))
        }
        _ => PlanError::new("42704", format!("{kind} \"{name}\" does not exist")),
    };
    e.at(name.position())
}

/// Options of a statement: each may occur once, and what nobody takes is refused.
pub(crate) struct Options<'a> {
    what: &'a str,
    options: Vec<&'a SqlOption>,
}

impl<'a> Options<'a> {
    pub(crate) fn new(what: &'a str, options: &'a [SqlOption]) -> Result<Self, PlanError> {
        for (i, o) in options.iter().enumerate() {
            if o.name != "ASSERT NOT NULL" && options[..i].iter().any(|x| x.name == o.name) {
                return Err(PlanError::syntax(format!("{what} option {} is given more than once", o.name))
                    .at(o.position));
            }
        }
        Ok(Options { what, options: options.iter().collect() })
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<&'a SqlOption> {
        let i = self.options.iter().position(|o| o.name == name)?;
        Some(self.options.remove(i))
    }

    /// Refuses what has not been taken.
    pub(crate) fn finish(self) -> Result<(), PlanError> {
        match self.options.first() {
            Some(o) => Err(PlanError::unsupported(format!("{} option {}", self.what, o.name)).at(o.position)),
            None => Ok(()),
        }
    }

    fn invalid(&self, o: &SqlOption, expected: &str) -> PlanError {
        PlanError::new("22023", format!("{} option {} must be {expected}", self.what, o.name)).at(o.position)
    }

    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, PlanError> {
        let Some(o) = self.take(name) else { return Ok(None) };
        match &o.value {
            OptionValue::String(s) | OptionValue::Number(s) => Ok(Some(s.clone())),
            OptionValue::Raw(_, Some(Name(parts))) if parts.len() == 1 => Ok(Some(parts[0].value.clone())),
            OptionValue::Raw(s, _) => Ok(Some(s.clone())),
            _ => Err(self.invalid(o, "a string")),
        }
    }

    pub(crate) fn number(&mut self, name: &str) -> Result<Option<u64>, PlanError> {
        let Some(o) = self.take(name) else { return Ok(None) };
        match &o.value {
            OptionValue::String(s) | OptionValue::Number(s) => {
                s.parse().map(Some).map_err(|_| self.invalid(o, "a whole number"))
            }
            _ => Err(self.invalid(o, "a whole number")),
        }
    }

    /// A flag: given without a value it is true.
    pub(crate) fn flag(&mut self, name: &str) -> Result<Option<bool>, PlanError> {
        let Some(o) = self.take(name) else { return Ok(None) };
        let text = match &o.value {
            OptionValue::None => return Ok(Some(true)),
            OptionValue::String(s) | OptionValue::Raw(s, _) | OptionValue::Number(s) => {
                s.to_ascii_lowercase()
            }
            _ => String::new(),
        };
        match text.as_str() {
            "true" | "on" | "1" | "yes" => Ok(Some(true)),
            "false" | "off" | "0" | "no" => Ok(Some(false)),
            _ => Err(self.invalid(o, "true or false")),
        }
    }

    /// A list of names, in parentheses or a single one.
    pub(crate) fn names(&mut self, name: &str) -> Result<Vec<Name>, PlanError> {
        let Some(o) = self.take(name) else { return Ok(vec![]) };
        match &o.value {
            OptionValue::List(names) => Ok(names.clone()),
            OptionValue::Raw(_, Some(n)) => Ok(vec![n.clone()]),
            _ => Err(self.invalid(o, "a list of names")),
        }
    }

    /// A span of time in milliseconds.
    pub(crate) fn milliseconds(&mut self, name: &str) -> Result<Option<u64>, PlanError> {
        let Some(o) = self.take(name) else { return Ok(None) };
        let text = match &o.value {
            OptionValue::String(s) | OptionValue::Number(s) => s.clone(),
            OptionValue::Raw(s, _) => {
                let s = s.trim_start_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
                s.trim_matches('\'').to_owned()
            }
            _ => String::new(),
        };
        parse_milliseconds(&text).map(Some).ok_or_else(|| self.invalid(o, "an interval such as '1s'"))
    }
}

/// A span of time as people write it: `500ms`, `1s`, `1 minute`, `00:00:05`.
pub(crate) fn parse_milliseconds(text: &str) -> Option<u64> {
    let text = text.trim();
    if let Some((h, rest)) = text.split_once(':') {
        let (m, s) = rest.split_once(':')?;
        let (h, m, s): (f64, f64, f64) = (h.parse().ok()?, m.parse().ok()?, s.parse().ok()?);
        return Some(((h * 3600.0 + m * 60.0 + s) * 1000.0) as u64);
    }
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let number: f64 = text[..split].trim().parse().ok().filter(|n: &f64| *n >= 0.0 && n.is_finite())?;
    let unit = match text[split..].trim() {
        "us" | "microseconds" => 0.001,
        "ms" | "millisecond" | "milliseconds" => 1.0,
        "" | "s" | "sec" | "secs" | "second" | "seconds" => 1000.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000.0,
        "h" | "hour" | "hours" => 3_600_000.0,
        "d" | "day" | "days" => 86_400_000.0,
        _ => return None,
    };
    Some((number * unit) as u64)
}

/// An expression over no columns.
pub(crate) fn constant_expr(
    scx: &StatementContext<'_>,
    expr: &Expr,
    expected: Option<(&ScalarType, CastContext)>,
) -> Result<MirScalarExpr, PlanError> {
    let hir = query::plan_scalar(scx, &RelationDesc::empty(), None, expr, expected)?;
    crate::lowering::lower_scalar(hir)
}

/// The value of an expression over no columns, as a row of one.
pub(crate) fn constant_value(
    scx: &StatementContext<'_>,
    expr: &Expr,
    expected: Option<(&ScalarType, CastContext)>,
) -> Result<Row, PlanError> {
    let mir = constant_expr(scx, expr, expected)?;
    if mir.contains_unmaterializable() {
        return Err(PlanError::unsupported("an expression that is not constant here"));
    }
    let arena = RowArena::new();
    let datum = mir.eval(&[], &arena)?;
    Ok(Row::pack_slice(&[datum]))
}

/// The time that an expression gives: numbers are milliseconds.
pub(crate) fn time_expr(scx: &StatementContext<'_>, expr: &Expr) -> Result<MirScalarExpr, PlanError> {
    let literal = match expr {
        Expr::Value(v) => match &v.value {
            Value::Number(n, _) => n.parse::<u64>().ok(),
            Value::SingleQuotedString(s) => s.parse::<u64>().ok(),
            _ => None,
        },
        _ => None,
    };
    match literal {
        Some(t) => Ok(MirScalarExpr::literal(Datum::MzTimestamp(t), ScalarType::MzTimestamp)),
        None => constant_expr(scx, expr, Some((&ScalarType::MzTimestamp, CastContext::Explicit))),
    }
}

/// When a query reads.
pub(crate) fn query_when(scx: &StatementContext<'_>, as_of: Option<&AsOf>) -> Result<QueryWhen, PlanError> {
    Ok(match as_of {
        None => QueryWhen::Immediately,
        Some(AsOf::At(e)) => QueryWhen::AtTimestamp(time_expr(scx, e)?),
        Some(AsOf::AtLeast(e)) => QueryWhen::AtLeastTimestamp(time_expr(scx, e)?),
    })
}

/// A relation as a query of all of its rows.
pub(crate) fn read_all(item: &ItemInfo, desc: &RelationDesc) -> (hw_expr::HirRelationExpr, RowSetFinishing) {
    let expr = hw_expr::HirRelationExpr::Get { id: hw_expr::Id::Global(item.id), typ: desc.typ().clone() };
    (expr, RowSetFinishing::trivial(desc.arity()))
}

/// The relation of a name with its columns.
pub(crate) fn relation(
    scx: &StatementContext<'_>,
    name: &Name,
) -> Result<(Arc<ItemInfo>, RelationDesc), PlanError> {
    let item = scx.resolve_item(&name.parts()).map_err(|e| e.at(name.position()))?;
    match item.desc() {
        Some(desc) => {
            let desc = desc.clone();
            Ok((item, desc))
        }
        None => Err(PlanError::new("42809", format!("\"{name}\" is a {} and cannot be read", item.kind()))
            .with_hint("Its tables are relations of their own: SHOW SUBSOURCES lists them.")
            .at(name.position())),
    }
}

/// The positions of columns, each of which may occur once.
pub(crate) fn columns(desc: &RelationDesc, names: &[Ident], relation: &str) -> Result<Vec<usize>, PlanError> {
    let mut found: Vec<usize> = vec![];
    for ident in names {
        let at = crate::parser::position(ident.span).unwrap_or(1);
        let unknown = || {
            PlanError::new(
                "42703",
                format!("column \"{}\" of relation \"{relation}\" does not exist", ident.value),
            )
            .at(at)
        };
        let i = desc.position(&ident.value).ok_or_else(unknown)?;
        if found.contains(&i) {
            return Err(PlanError::new(
                "42701",
                format!("column \"{}\" specified more than once", ident.value),
            )
            .at(at));
        }
        found.push(i);
    }
    Ok(found)
}
