//! Start: brings the controller and the system relations to what the catalog says.

use std::collections::BTreeMap;

use hw_base::clock::NowFn;
use hw_persist::ShardId;
use hw_repr::{Diff, GlobalId, Row, Timestamp};

use crate::client::StartupRequest;
use crate::coordinator::{Connection, Coordinator};
use crate::error::AdapterError;
use crate::oracle::TimestampOracle;
use crate::sequence::follow::{group, is_written_here};
use crate::session::Session;
use crate::vars::SessionVars;

impl Coordinator {
    pub(crate) async fn bootstrap(&mut self, now: &NowFn) -> Result<(), AdapterError> {
        let state = self.catalog.state();
        for cluster in hw_sql::Catalog::clusters(&*state) {
            self.controller.create_cluster(cluster.id);
            for (id, _, size) in &cluster.replicas {
                let workers = state.workers_of_size(size).unwrap_or(1);
                self.controller.create_replica(cluster.id, *id, workers);
                self.system.replica_created(*id);
            }
        }
        let ids: Vec<GlobalId> = {
            let mut ids: Vec<GlobalId> = state.items().map(|i| i.id).collect();
            ids.sort_unstable();
            ids
        };
        // Tables that are new (a newer version's built-in ones) begin where the oracle does, which is known only after the
        // others have been seen.
        let mut floor = 0;
        for id in &ids {
            if let Some(upper) = self.existing_upper(*id).await? {
                floor = floor.max(upper.saturating_sub(1));
            }
        }
        self.oracle = TimestampOracle::new(floor, now.clone());
        for id in &ids {
            self.add_shard(*id).await?;
        }
        self.finalize_dropped().await?;
        self.reconcile_system_tables().await?;
        for id in &ids {
            if let Err(e) = self.start_dataflow(*id) {
                tracing::error!(%id, error = %e, "dataflow is not started");
            }
        }
        self.restart_all_sources();
        Ok(())
    }

    async fn existing_upper(&self, id: GlobalId) -> Result<Option<Timestamp>, AdapterError> {
        let Some(shard) = self.catalog.state().shard(id) else { return Ok(None) };
        Ok(self.persist.state(ShardId::from(shard)).await?.map(|s| s.upper).filter(|u| *u < Timestamp::MAX))
    }

    async fn finalize_dropped(&mut self) -> Result<(), AdapterError> {
        let dropped = self.catalog.state().unfinalized_shards();
        if dropped.is_empty() {
            return Ok(());
        }
        self.persist.finalize(dropped.iter().map(|s| ShardId::from(*s)).collect()).await?;
        let ops = vec![hw_catalog::Op::ForgetShards(dropped)];
        self.catalog.transact(ops).await.map_err(crate::sequence::ddl::catalog_error)?;
        Ok(())
    }

    /// Writes the difference between what the system tables hold and what they are to hold, and waits for it, so that the first query
    /// sees it.
    async fn reconcile_system_tables(&mut self) -> Result<(), AdapterError> {
        let state = self.catalog.state();
        let mut wanted = group(state.pack_all());
        let derived = state.catalog_derived_tables();
        let mut changes: BTreeMap<GlobalId, Vec<(Row, Diff)>> = BTreeMap::new();
        for item in state.items().filter(|i| i.id.is_system() && is_written_here(&i.definition)) {
            let held = self.contents(item.id).await?;
            if !derived.contains(&item.id) {
                self.system.restore(item.id, held.into_keys().collect());
                continue;
            }
            let mut diff = held;
            diff.values_mut().for_each(|d| *d = -*d);
            for (row, d) in wanted.remove(&item.id).unwrap_or_default() {
                *diff.entry(row).or_default() += d;
            }
            diff.retain(|_, d| *d != 0);
            changes.insert(item.id, diff.into_iter().collect());
        }
        self.commit_now(changes).await
    }

    async fn contents(&self, id: GlobalId) -> Result<BTreeMap<Row, Diff>, AdapterError> {
        let mut rows = BTreeMap::new();
        let Some((shard, upper)) = self.tables.get(&id) else { return Ok(rows) };
        let Some(frontiers) = self.controller.frontiers(id) else { return Ok(rows) };
        if *upper <= frontiers.since {
            return Ok(rows);
        }
        for (entry, _, diff) in self.persist.snapshot(*shard, upper - 1).await?.collect().await? {
            if let Ok(row) = entry {
                *rows.entry(row).or_default() += diff;
            }
        }
        rows.retain(|_, d| *d != 0);
        Ok(rows)
    }

    /// Opens a session.
    pub(crate) fn startup(&mut self, request: StartupRequest) -> Result<Session, AdapterError> {
        let state = self.catalog.state();
        let user = request.user;
        let no_role = || AdapterError::new("28000", format!("role \"{user}\" does not exist")).fatal();
        let role = match hw_sql::Catalog::role(&*state, &user) {
            Some(role) => role,
            // The user is as given: whoever may connect acts as an ordinary user until roles are administered.
            None if !request.internal => hw_sql::Catalog::role(&*state, "materialize").ok_or_else(no_role)?,
            None => return Err(no_role()),
        };
        if user.starts_with("mz_") && !request.internal {
            return Err(AdapterError::new("28000", format!("unauthorized login to user \"{user}\""))
                .with_hint("System roles log in through the internal SQL port.")
                .fatal());
        }
        let mut vars = SessionVars::default();
        for def in crate::vars::VARS {
            if let Some(value) = hw_sql::Catalog::system_parameter(&*state, def.name) {
                vars.set_base(def.name, value);
            }
        }
        vars.set_base("session_authorization", user.clone());
        vars.set_base("is_superuser", if user == "mz_system" { "on" } else { "off" });
        if user == "mz_system" {
            vars.set_base("cluster", "mz_system");
        }
        for (name, value) in request.settings {
            let Some(def) = crate::vars::lookup(&name) else { continue };
            vars.set_base(def.name, def.normalize_text(&value).map_err(AdapterError::fatal)?);
        }
        let mut notices = Vec::new();
        if vars.get("welcome_message") == Some("on") {
            let version = vars.get("mz_version").unwrap_or_default();
            notices.push(crate::error::Notice::notice(format!("connected to Headwater {version} as {user}")));
        }
        if let Some(database) = request.database {
            // psql connects to a database named like the user by default: that is no reason to refuse.
            if hw_sql::Catalog::database(&*state, &database).is_some() || database != user {
                vars.set_base("database", database.clone());
            }
            if hw_sql::Catalog::database(&*state, &database).is_none() && database != user {
                notices.push(crate::error::Notice {
                    sqlstate: "3D000",
                    ..crate::error::Notice::notice(format!("session database {database:?} does not exist"))
                });
            }
        }
        let limit: usize = hw_sql::Catalog::system_parameter(&*state, "max_connections")
            .and_then(|v| v.parse().ok())
            .unwrap_or(1000);
        if self.connections.len() >= limit && !request.internal {
            return Err(AdapterError::new("53300", "sorry, too many clients already").fatal());
        }
        let conn_id = self.next_conn_id;
        self.next_conn_id = self.next_conn_id.checked_add(1).unwrap_or(1);
        let secret: i32 = rand::random();
        let cancel = crate::cancel::StatementCancel::default();
        self.connections.insert(conn_id, Connection { secret, cancel: cancel.clone() });
        self.metrics.connections.inc();
        Ok(Session {
            conn_id,
            secret,
            user,
            role,
            internal: request.internal,
            uuid: uuid::Uuid::new_v4(),
            vars,
            prepared: BTreeMap::new(),
            portals: BTreeMap::new(),
            cursors: BTreeMap::new(),
            transaction: None,
            notices,
            cancel,
        })
    }
}
