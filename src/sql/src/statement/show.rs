//! SHOW of objects, planned as queries of system relations, and SHOW CREATE.

use hw_repr::{Datum, RelationDesc, Row, ScalarType, SchemaId};
use sqlparser::ast::{Query, SetExpr};

use super::drop::existing_object;
use super::normalize::{humanize, quote_literal};
use super::resolve;
use crate::catalog::ItemKind;
use crate::context::StatementContext;
use crate::error::PlanError;
use crate::names::quote_ident;
use crate::parser::ast::{Name, ObjectKind, ShowObjects, ShowObjectsStatement};
use crate::parser::{Statement, parse_one};
use crate::plan::{ObjectId, Plan, QueryWhen, SelectPlan};
use crate::query;

/// SHOW of objects
pub(crate) fn show_objects(
    scx: &StatementContext<'_>,
    stmt: &ShowObjectsStatement,
) -> Result<Plan, PlanError> {
    let inner = base_query(scx, stmt)?;
    let mut like = String::new();
    if let Some(pattern) = &stmt.like {
        let column = if stmt.what == ShowObjects::ClusterReplicas { "replica" } else { "name" };
        like = format!(" WHERE {column} LIKE {}", quote_literal(pattern));
    }
    let order = match stmt.what {
        ShowObjects::Columns => "position",
        _ if one_column(stmt) => "1",
        _ => "1, 2",
    };
    let columns = if stmt.what == ShowObjects::Columns { "name, nullable, type" } else { "*" };
    let text = format!("SELECT {columns} FROM ({inner}) AS objects{like} ORDER BY {order}");
    let mut query = parse_query(&text)?;
    if let Some(filter) = &stmt.filter
        && let SetExpr::Select(select) = query.body.as_mut()
    {
        select.selection = Some(filter.clone());
    }
    let planned = query::plan_query(scx, &query)?;
    let when = QueryWhen::Immediately;
    Ok(Plan::Select(SelectPlan {
        expr: planned.expr,
        desc: planned.desc,
        finishing: planned.finishing,
        when,
    }))
}

fn one_column(stmt: &ShowObjectsStatement) -> bool {
    use ShowObjects as S;
    matches!(
        stmt.what,
        S::Databases
            | S::Schemas
            | S::Roles
            | S::Items(ItemKind::Table | ItemKind::View | ItemKind::Secret | ItemKind::Type)
    )
}

fn parse_query(text: &str) -> Result<Box<Query>, PlanError> {
    match parse_one(text)?.statement {
        Statement::Select(s) => Ok(s.query.query),
        _ => Err(PlanError::new("XX000", "SHOW did not become a query")),
    }
}

/// The condition that an object is in the schema that is named, or the current one.
fn in_schema(scx: &StatementContext<'_>, stmt: &ShowObjectsStatement) -> Result<String, PlanError> {
    let schema: SchemaId = match &stmt.from {
        Some(name) => scx.resolve_schema(&name.parts()).map_err(|e| e.at(name.position()))?,
        // With a cluster all of its objects are meant.
        None if stmt.cluster.is_some() => return Ok("true".into()),
        None => scx.resolve_schema_for_create(&[]).map_err(|_| {
            PlanError::new("3F000", "no schema has been selected").with_hint("Name one: SHOW … FROM schema.")
        })?,
    };
    Ok(format!("o.schema_id = '{schema}'"))
}

fn in_cluster(scx: &StatementContext<'_>, stmt: &ShowObjectsStatement) -> Result<String, PlanError> {
    match &stmt.cluster {
        Some(name) => Ok(format!("o.cluster_id = '{}'", resolve::cluster(scx, Some(name))?)),
        None => Ok("true".into()),
    }
}

fn refuse(stmt: &ShowObjectsStatement, cluster: bool, on: bool, from: bool) -> Result<(), PlanError> {
    if stmt.cluster.is_some() && !cluster {
        return Err(PlanError::syntax("IN CLUSTER is not for this SHOW"));
    }
    if let Some(n) = stmt.on.as_ref().filter(|_| !on) {
        return Err(PlanError::syntax("ON is not for this SHOW").at(n.position()));
    }
    if let Some(n) = stmt.from.as_ref().filter(|_| !from) {
        return Err(PlanError::syntax("FROM is not for this SHOW").at(n.position()));
    }
    Ok(())
}

fn base_query(scx: &StatementContext<'_>, stmt: &ShowObjectsStatement) -> Result<String, PlanError> {
    use ShowObjects as S;
    let clustered = matches!(
        stmt.what,
        S::Items(ItemKind::Source | ItemKind::MaterializedView | ItemKind::Index | ItemKind::Sink)
    );
    let on = matches!(stmt.what, S::Items(ItemKind::Index) | S::Subsources);
    let from = !matches!(stmt.what, S::Databases | S::Clusters | S::ClusterReplicas | S::Roles);
    refuse(stmt, clustered, on, from)?;
    let simple = |relation: &str, columns: &str| -> Result<String, PlanError> {
        Ok(format!("SELECT {columns} FROM mz_catalog.{relation} AS o WHERE {}", in_schema(scx, stmt)?))
    };
    let with_cluster = |relation: &str, columns: &str| -> Result<String, PlanError> {
        Ok(format!(
            "SELECT {columns}, c.name AS cluster FROM mz_catalog.{relation} AS o \
             LEFT JOIN mz_catalog.mz_clusters AS c ON o.cluster_id = c.id WHERE {} AND {}",
            in_schema(scx, stmt)?,
            in_cluster(scx, stmt)?
        ))
    };
    match stmt.what {
        S::Databases => Ok("SELECT name FROM mz_catalog.mz_databases".into()),
        S::Roles => Ok("SELECT name FROM mz_catalog.mz_roles".into()),
        S::Schemas => {
            let database = match &stmt.from {
                Some(n) => resolve::database(scx, n.last()).map_err(|e| e.at(n.position()))?,
                None => resolve::database(scx, &scx.session.database)?,
            };
            Ok(format!(
                "SELECT name FROM mz_catalog.mz_schemas WHERE database_id = '{database}' OR database_id IS NULL"
            ))
        }
        S::Objects => simple("mz_objects", "o.name, o.type"),
        S::Items(ItemKind::Table) => simple("mz_tables", "o.name"),
        S::Items(ItemKind::View) => simple("mz_views", "o.name"),
        S::Items(ItemKind::Secret) => simple("mz_secrets", "o.name"),
        S::Items(ItemKind::Type) => simple("mz_types", "o.name"),
        S::Items(ItemKind::Connection) => simple("mz_connections", "o.name, o.type"),
        S::Items(ItemKind::Source) => with_cluster("mz_sources", "o.name, o.type"),
        S::Items(ItemKind::Sink) => with_cluster("mz_sinks", "o.name, o.type"),
        S::Items(ItemKind::MaterializedView) => with_cluster("mz_materialized_views", "o.name"),
        S::Items(ItemKind::Index) => indexes(scx, stmt),
        S::Subsources => subsources(scx, stmt),
        S::Columns => columns(scx, stmt),
        S::Clusters => Ok("SELECT c.name, r.replicas FROM mz_catalog.mz_clusters AS c LEFT JOIN \
             (SELECT cluster_id, string_agg(name || ' (' || coalesce(size, '') || ')', ', ' ORDER BY name) AS replicas \
             FROM mz_catalog.mz_cluster_replicas GROUP BY cluster_id) AS r ON r.cluster_id = c.id"
            .into()),
        S::ClusterReplicas => Ok("SELECT c.name AS cluster, r.name AS replica, r.size, coalesce(s.ready, false) AS ready \
             FROM mz_catalog.mz_cluster_replicas AS r JOIN mz_catalog.mz_clusters AS c ON r.cluster_id = c.id LEFT JOIN \
             (SELECT replica_id, bool_and(status IN ('online', 'ready')) AS ready \
             FROM mz_internal.mz_cluster_replica_statuses GROUP BY replica_id) AS s ON s.replica_id = r.id"
            .into()),
    }
}

fn indexes(scx: &StatementContext<'_>, stmt: &ShowObjectsStatement) -> Result<String, PlanError> {
    let place = match &stmt.on {
        Some(name) => {
            let (item, _) = resolve::relation(scx, name)?;
            if stmt.from.is_some() || stmt.cluster.is_some() {
                return Err(
                    PlanError::syntax("ON is not together with FROM or IN CLUSTER").at(name.position())
                );
            }
            format!("i.on_id = '{}'", item.id)
        }
        None => in_schema(scx, stmt)?,
    };
    let cluster = in_cluster(scx, stmt)?.replace("o.cluster_id", "i.cluster_id");
    Ok(format!(
        "SELECT i.name, o.name AS \"on\", c.name AS cluster, k.key FROM mz_catalog.mz_indexes AS i \
         JOIN mz_catalog.mz_objects AS o ON i.on_id = o.id JOIN mz_catalog.mz_clusters AS c ON i.cluster_id = c.id LEFT JOIN \
         (SELECT x.index_id, array_agg(coalesce(x.on_expression, cols.name) ORDER BY x.index_position) AS key \
         FROM mz_catalog.mz_index_columns AS x JOIN mz_catalog.mz_indexes AS xi ON x.index_id = xi.id \
         LEFT JOIN mz_catalog.mz_columns AS cols ON cols.id = xi.on_id AND cols.position = x.on_position \
         GROUP BY x.index_id) AS k ON k.index_id = i.id WHERE {place} AND {cluster}"
    ))
}

fn subsources(scx: &StatementContext<'_>, stmt: &ShowObjectsStatement) -> Result<String, PlanError> {
    let place = match &stmt.on {
        Some(name) => {
            let item = resolve::existing_item(scx, name, ItemKind::Source)?;
            format!(
                "o.id IN (SELECT object_id FROM mz_internal.mz_object_dependencies WHERE referenced_object_id = '{0}' \
                 UNION SELECT referenced_object_id FROM mz_internal.mz_object_dependencies WHERE object_id = '{0}')",
                item.id
            )
        }
        None => in_schema(scx, stmt)?,
    };
    Ok(format!(
        "SELECT o.name, o.type FROM mz_catalog.mz_sources AS o WHERE o.type IN ('subsource', 'progress') AND {place}"
    ))
}

fn columns(scx: &StatementContext<'_>, stmt: &ShowObjectsStatement) -> Result<String, PlanError> {
    let name = stmt.from.as_ref().ok_or_else(|| PlanError::syntax("SHOW COLUMNS needs FROM"))?;
    let (item, _) = resolve::relation(scx, name)?;
    Ok(format!("SELECT name, nullable, type, position FROM mz_catalog.mz_columns WHERE id = '{}'", item.id))
}

/// SHOW CREATE
pub(crate) fn show_create(
    scx: &StatementContext<'_>,
    kind: ObjectKind,
    name: &Name,
) -> Result<Plan, PlanError> {
    let (full, sql) = match kind {
        ObjectKind::Item(kind) => {
            let item = match resolve::item_of_kind(scx, name, kind)? {
                Some(item) => item,
                None => return Err(resolve::unknown_item(name, kind)),
            };
            if item.create_sql.is_empty() {
                return Err(PlanError::unsupported(format!(
                    "SHOW CREATE for the built-in {kind} \"{name}\""
                )));
            }
            (item.name.to_string(), format!("{};", humanize(&item.create_sql, scx.catalog)))
        }
        _ => match existing_object(scx, kind, name)? {
            ObjectId::Cluster(id) => {
                let c = scx
                    .catalog
                    .cluster(id)
                    .ok_or_else(|| PlanError::new("42704", "cluster does not exist"))?;
                let body = match &c.size {
                    Some(size) => format!(
                        "SIZE = {}, REPLICATION FACTOR = {}",
                        quote_literal(size),
                        c.replication_factor
                    ),
                    None => {
                        let each = c
                            .replicas
                            .iter()
                            .map(|(_, n, s)| format!("{} (SIZE = {})", quote_ident(n), quote_literal(s)));
                        format!("REPLICAS ({})", each.collect::<Vec<_>>().join(", "))
                    }
                };
                (c.name.clone(), format!("CREATE CLUSTER {} ({body});", quote_ident(&c.name)))
            }
            ObjectId::Schema(id) => {
                let (database, schema) = scx
                    .catalog
                    .schema_name(id)
                    .ok_or_else(|| PlanError::new("3F000", "schema does not exist"))?;
                let database = database.and_then(|d| scx.catalog.database_name(d));
                let full = database.map_or_else(
                    || quote_ident(&schema),
                    |d| format!("{}.{}", quote_ident(&d), quote_ident(&schema)),
                );
                (full.clone(), format!("CREATE SCHEMA {full};"))
            }
            ObjectId::Database(id) => {
                let n = scx.catalog.database_name(id).unwrap_or_default();
                (n.clone(), format!("CREATE DATABASE {};", quote_ident(&n)))
            }
            _ => {
                return Err(PlanError::unsupported(format!(
                    "SHOW CREATE {}",
                    kind.to_string().to_uppercase()
                )));
            }
        },
    };
    let desc = show_create_desc();
    let row = Row::pack_slice(&[Datum::String(&full), Datum::String(&sql)]);
    Ok(Plan::ConstantRows { desc, rows: vec![row], tag: "SHOW" })
}

fn show_create_desc() -> RelationDesc {
    RelationDesc::empty()
        .with_column("name", ScalarType::String.nullable(false))
        .with_column("create_sql", ScalarType::String.nullable(false))
}
