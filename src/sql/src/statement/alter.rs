//! ALTER of objects of any kind, and COMMENT.

use super::cluster;
use super::drop::{existing_object, object};
use super::resolve;
use crate::catalog::ItemKind;
use crate::context::StatementContext;
use crate::error::PlanError;
use crate::parser::ast::{AlterAction, Ident, Name, ObjectKind, SetValue};
use crate::parser::position;
use crate::plan::{ObjectId, Plan};

fn tag(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Item(ItemKind::Table) => "ALTER TABLE",
        ObjectKind::Item(ItemKind::Source) => "ALTER SOURCE",
        ObjectKind::Item(ItemKind::View) => "ALTER VIEW",
        ObjectKind::Item(ItemKind::MaterializedView) => "ALTER MATERIALIZED VIEW",
        ObjectKind::Item(ItemKind::Index) => "ALTER INDEX",
        ObjectKind::Item(ItemKind::Connection) => "ALTER CONNECTION",
        ObjectKind::Item(ItemKind::Secret) => "ALTER SECRET",
        ObjectKind::Item(ItemKind::Type) => "ALTER TYPE",
        ObjectKind::Cluster => "ALTER CLUSTER",
        ObjectKind::Schema => "ALTER SCHEMA",
        ObjectKind::Database => "ALTER DATABASE",
        _ => "ALTER",
    }
}

/// ALTER
pub(crate) fn alter(
    scx: &StatementContext<'_>,
    kind: ObjectKind,
    if_exists: bool,
    name: &Name,
    action: &AlterAction,
) -> Result<Plan, PlanError> {
    if if_exists && object(scx, kind, name)?.is_none() {
        return Ok(super::nothing(tag(kind), vec![format!("{kind} \"{name}\" does not exist, skipping")]));
    }
    let object = existing_object(scx, kind, name)?;
    match action {
        AlterAction::Rename(to) => rename(scx, kind, name, object, to),
        AlterAction::SetSchema(schema) => {
            let ObjectId::Item(id) = object else {
                return Err(PlanError::unsupported(format!(
                    "ALTER {} … SET SCHEMA",
                    kind.to_string().to_uppercase()
                )));
            };
            let schema_id = scx.resolve_schema(&schema.parts()).map_err(|e| e.at(schema.position()))?;
            let item = scx.catalog.item(id).ok_or_else(|| PlanError::unknown_relation(name))?;
            if Some(schema_id) == scx.temp_schema() || Some(item.schema_id) == scx.temp_schema() {
                return Err(PlanError::new("0A000", "cannot move objects into or out of temporary schemas"));
            }
            if item.kind() == ItemKind::Index {
                return Err(PlanError::new(
                    "0A000",
                    "an index is in the schema of the relation that it is on",
                ));
            }
            if matches!(schema_id, hw_repr::SchemaId::System(_)) {
                return Err(PlanError::new("42501", format!("permission denied for schema {schema}")));
            }
            let existing = match item.kind() {
                ItemKind::Type => scx.catalog.type_by_name(schema_id, name.last()),
                _ => scx.catalog.item_by_name(schema_id, name.last()),
            };
            if let Some(existing) = existing.filter(|e| e.id != id) {
                return Err(resolve::already_exists(&existing, name.last()));
            }
            Ok(Plan::SetSchema { id, schema: schema_id })
        }
        AlterAction::Swap(with) => {
            if !matches!(kind, ObjectKind::Schema | ObjectKind::Cluster | ObjectKind::Item(_)) {
                return Err(PlanError::unsupported(format!(
                    "ALTER {} … SWAP WITH",
                    kind.to_string().to_uppercase()
                )));
            }
            let mut other = name.clone();
            if let Some(last) = other.0.last_mut() {
                *last = with.clone();
            }
            let b = existing_object(scx, kind, &other)?;
            let schema_of = |object| match object {
                ObjectId::Item(id) => scx.catalog.item(id).map(|i| i.schema_id),
                _ => None,
            };
            if schema_of(object) != schema_of(b) {
                return Err(PlanError::new(
                    "0A000",
                    format!("{kind}s that are swapped must be in one schema"),
                )
                .at(position(with.span).unwrap_or(1)));
            }
            Ok(Plan::Swap { a: object, b })
        }
        AlterAction::Owner(role) => Ok(Plan::SetOwner { object, role: resolve::role(scx, &role.value)? }),
        AlterAction::SetOptions(options) if kind == ObjectKind::Cluster => {
            cluster::alter_cluster(scx, &name.0[0], options)
        }
        AlterAction::ResetOptions(options) => cluster::reset_cluster(scx, &name.0[0], options),
        AlterAction::SetOptions(_) => Err(PlanError::unsupported(format!("{} … SET", tag(kind)))),
    }
}

fn rename(
    scx: &StatementContext<'_>,
    kind: ObjectKind,
    name: &Name,
    object: ObjectId,
    to: &Ident,
) -> Result<Plan, PlanError> {
    let taken = match object {
        ObjectId::Item(id) => {
            let item = scx.catalog.item(id).ok_or_else(|| PlanError::unknown_relation(name))?;
            let existing = if kind == ObjectKind::Item(ItemKind::Type) {
                scx.catalog.type_by_name(item.schema_id, &to.value)
            } else {
                scx.catalog.item_by_name(item.schema_id, &to.value)
            };
            if let Some(existing) = existing {
                return Err(resolve::already_exists(&existing, &to.value).at(position(to.span).unwrap_or(1)));
            }
            false
        }
        ObjectId::Database(_) => scx.catalog.database(&to.value).is_some(),
        ObjectId::Schema(id) => {
            let database = scx.catalog.schema_name(id).and_then(|(d, _)| d);
            scx.catalog.schema(database, &to.value).is_some()
        }
        ObjectId::Cluster(_) => scx.catalog.cluster_by_name(&to.value).is_some(),
        ObjectId::Replica(id, _) => {
            scx.catalog.cluster(id).is_some_and(|c| c.replicas.iter().any(|(_, n, _)| *n == to.value))
        }
        ObjectId::Role(_) => scx.catalog.role(&to.value).is_some(),
    };
    if taken {
        return Err(PlanError::new("42710", format!("{kind} \"{}\" already exists", to.value))
            .at(position(to.span).unwrap_or(1)));
    }
    if matches!(object, ObjectId::Cluster(_) | ObjectId::Schema(_))
        && (to.value.starts_with("mz_") || to.value.starts_with("pg_"))
    {
        return Err(PlanError::new("42939", format!("unacceptable {kind} name \"{}\"", to.value))
            .with_detail("The prefixes \"mz_\" and \"pg_\" are reserved for the system."));
    }
    Ok(Plan::Rename { object, to: to.value.clone() })
}

/// ALTER SYSTEM
pub(crate) fn alter_system(name: Option<&str>, value: Option<&SetValue>) -> Plan {
    let value = value.and_then(|v| match v {
        SetValue::Default => None,
        SetValue::Values(values) => Some(values.join(", ")),
    });
    Plan::AlterSystem { name: name.map(str::to_owned), value }
}

/// COMMENT ON
pub(crate) fn comment(
    scx: &StatementContext<'_>,
    kind: ObjectKind,
    name: &Name,
    text: Option<&str>,
) -> Result<Plan, PlanError> {
    let text = text.map(str::to_owned);
    if kind != ObjectKind::Column {
        return Ok(Plan::Comment { object: existing_object(scx, kind, name)?, column: None, text });
    }
    let Some((column, relation)) = name.0.split_last().filter(|(_, r)| !r.is_empty()) else {
        return Err(PlanError::syntax("column name must be qualified").at(name.position()));
    };
    let relation = Name(relation.to_vec());
    let (item, desc) = resolve::relation(scx, &relation)?;
    if item.id.is_system() {
        return Err(PlanError::new("42501", format!("system relation \"{relation}\" cannot be changed")));
    }
    let unknown = || {
        let text = format!("column \"{}\" of relation \"{relation}\" does not exist", column.value);
        PlanError::new("42703", text).at(position(column.span).unwrap_or(1))
    };
    let i = desc.position(&column.value).ok_or_else(unknown)?;
    Ok(Plan::Comment { object: ObjectId::Item(item.id), column: Some(i + 1), text })
}
