//! Clusters and their replicas.

use super::resolve::{self, Options};
use crate::catalog::ClusterInfo;
use crate::context::StatementContext;
use crate::error::PlanError;
use crate::parser::ast::{Ident, Name, OptionValue, SqlOption};
use crate::parser::position;
use crate::plan::Plan;

/// The greatest REPLICATION FACTOR.
const MAX_REPLICAS: u64 = 64;

fn check_size(scx: &StatementContext<'_>, size: &str) -> Result<(), PlanError> {
    let sizes = scx.catalog.replica_sizes();
    if !sizes.iter().any(|(s, _)| s == size) {
        let names: Vec<String> = sizes.into_iter().map(|(s, _)| s).collect();
        return Err(PlanError::new("22023", format!("unknown cluster replica size {size}"))
            .with_hint(format!("Valid sizes are: {}.", names.join(", "))));
    }
    let allowed = scx.catalog.system_parameter("allowed_cluster_replica_sizes").unwrap_or_default();
    let mut allowed =
        allowed.split(',').map(|s| s.trim().trim_matches('"')).filter(|s| !s.is_empty()).peekable();
    if allowed.peek().is_some() && !allowed.any(|s| s == size) {
        return Err(PlanError::new("42501", format!("cluster replica size {size} is not allowed here")));
    }
    Ok(())
}

fn check_name(name: &Ident) -> Result<(), PlanError> {
    if name.value.starts_with("mz_") || name.value.starts_with("pg_") {
        return Err(PlanError::new("42939", format!("unacceptable cluster name \"{}\"", name.value))
            .with_detail("The prefixes \"mz_\" and \"pg_\" are reserved for system clusters.")
            .at(position(name.span).unwrap_or(1)));
    }
    Ok(())
}

fn replication_factor(options: &mut Options<'_>) -> Result<Option<u32>, PlanError> {
    match options.number("REPLICATION FACTOR")? {
        None => Ok(None),
        Some(n) if n <= MAX_REPLICAS => Ok(u32::try_from(n).ok()),
        Some(n) => {
            Err(PlanError::new("22023", format!("REPLICATION FACTOR {n} is greater than {MAX_REPLICAS}")))
        }
    }
}

fn replica_size(scx: &StatementContext<'_>, what: &str, options: &[SqlOption]) -> Result<String, PlanError> {
    let mut options = Options::new(what, options)?;
    let size =
        options.text("SIZE")?.ok_or_else(|| PlanError::syntax(format!("{what} needs the option SIZE")))?;
    options.finish()?;
    check_size(scx, &size)?;
    Ok(size)
}

/// CREATE CLUSTER
pub(crate) fn create_cluster(
    scx: &StatementContext<'_>,
    name: &Ident,
    if_not_exists: bool,
    options: &[SqlOption],
) -> Result<Plan, PlanError> {
    check_name(name)?;
    if scx.catalog.cluster_by_name(&name.value).is_some() && !if_not_exists {
        return Err(PlanError::new("42710", format!("cluster \"{}\" already exists", name.value))
            .at(position(name.span).unwrap_or(1)));
    }
    let mut options = Options::new("CREATE CLUSTER", options)?;
    let managed = options.flag("MANAGED")?;
    let size = options.text("SIZE")?;
    let factor = replication_factor(&mut options)?;
    let replicas = options.take("REPLICAS");
    options.finish()?;
    let (size, factor, replicas) = match (size, replicas) {
        (Some(_), Some(o)) => {
            return Err(PlanError::syntax("SIZE and REPLICAS exclude each other").at(o.position));
        }
        (Some(size), None) if managed != Some(false) => {
            check_size(scx, &size)?;
            (Some(size), factor.unwrap_or(1), vec![])
        }
        (None, Some(o)) if managed != Some(true) && factor.is_none() => (None, 0, cluster_replicas(scx, o)?),
        (None, Some(o)) => {
            return Err(PlanError::syntax(
                "REPLICATION FACTOR and MANAGED are not for clusters with REPLICAS",
            )
            .at(o.position));
        }
        (None, None) if managed == Some(false) => (None, 0, vec![]),
        _ => {
            return Err(PlanError::syntax("CREATE CLUSTER needs the option SIZE or REPLICAS")
                .with_hint(format!("Write CREATE CLUSTER {} (SIZE = '100cc').", name.value)));
        }
    };
    Ok(Plan::CreateCluster {
        name: name.value.clone(),
        size,
        replication_factor: factor,
        replicas,
        if_not_exists,
    })
}

fn cluster_replicas(
    scx: &StatementContext<'_>,
    option: &SqlOption,
) -> Result<Vec<(String, String)>, PlanError> {
    let OptionValue::Replicas(replicas) = &option.value else {
        return Err(
            PlanError::syntax("REPLICAS must be a list such as (r1 (SIZE '100cc'))").at(option.position)
        );
    };
    let mut planned: Vec<(String, String)> = vec![];
    for (name, options) in replicas {
        if planned.iter().any(|(n, _)| *n == name.value) {
            return Err(PlanError::new(
                "42710",
                format!("cluster replica \"{}\" is given twice", name.value),
            )
            .at(position(name.span).unwrap_or(1)));
        }
        planned.push((name.value.clone(), replica_size(scx, "REPLICAS", options)?));
    }
    Ok(planned)
}

/// CREATE CLUSTER REPLICA
pub(crate) fn create_replica(
    scx: &StatementContext<'_>,
    name: &Name,
    if_not_exists: bool,
    options: &[SqlOption],
) -> Result<Plan, PlanError> {
    let cluster = user_cluster(scx, &name.0[0])?;
    let replica = name.last();
    if cluster.size.is_some() {
        return Err(PlanError::new(
            "42809",
            format!("cannot add a replica to managed cluster \"{}\"", cluster.name),
        )
        .with_hint("Use ALTER CLUSTER … SET (REPLICATION FACTOR …)."));
    }
    if cluster.replicas.iter().any(|(_, n, _)| n == replica) {
        if if_not_exists {
            let notices = vec![format!("cluster replica \"{name}\" already exists, skipping")];
            return Ok(super::nothing("CREATE CLUSTER REPLICA", notices));
        }
        return Err(
            PlanError::new("42710", format!("cluster replica \"{name}\" already exists")).at(name.position())
        );
    }
    let size = replica_size(scx, "CREATE CLUSTER REPLICA", options)?;
    Ok(Plan::CreateClusterReplica { cluster: cluster.id, name: replica.to_owned(), size })
}

/// A cluster that users may change.
pub(crate) fn user_cluster(
    scx: &StatementContext<'_>,
    name: &Ident,
) -> Result<std::sync::Arc<ClusterInfo>, PlanError> {
    let at = position(name.span).unwrap_or(1);
    let cluster = resolve::cluster_named(scx, &name.value).map_err(|e| e.at(at))?;
    if matches!(cluster.id, hw_repr::ClusterId::System(_)) {
        return Err(
            PlanError::new("42501", format!("system cluster \"{}\" cannot be changed", name.value)).at(at)
        );
    }
    Ok(cluster)
}

/// ALTER CLUSTER … SET
pub(crate) fn alter_cluster(
    scx: &StatementContext<'_>,
    name: &Ident,
    options: &[SqlOption],
) -> Result<Plan, PlanError> {
    let cluster = user_cluster(scx, name)?;
    let mut options = Options::new("ALTER CLUSTER", options)?;
    let size = options.text("SIZE")?;
    let factor = replication_factor(&mut options)?;
    options.finish()?;
    if cluster.size.is_none() {
        return Err(PlanError::new("42809", format!("cluster \"{}\" is not managed", cluster.name))
            .with_hint("Its replicas are made and dropped by CREATE and DROP CLUSTER REPLICA."));
    }
    if let Some(size) = &size {
        check_size(scx, size)?;
    }
    if size.is_none() && factor.is_none() {
        return Err(PlanError::syntax("ALTER CLUSTER … SET needs an option"));
    }
    Ok(Plan::AlterCluster { cluster: cluster.id, size, replication_factor: factor })
}

/// ALTER CLUSTER … RESET
pub(crate) fn reset_cluster(
    scx: &StatementContext<'_>,
    name: &Ident,
    options: &[(String, usize)],
) -> Result<Plan, PlanError> {
    let cluster = user_cluster(scx, name)?;
    match options {
        [(option, _)] if option == "REPLICATION FACTOR" => {
            Ok(Plan::AlterCluster { cluster: cluster.id, size: None, replication_factor: Some(1) })
        }
        [(option, at), ..] => {
            Err(PlanError::unsupported(format!("RESET of ALTER CLUSTER option {option}")).at(*at))
        }
        [] => Err(PlanError::syntax("RESET needs an option")),
    }
}
