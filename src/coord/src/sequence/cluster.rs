//! ALTER CLUSTER … SET: new replicas come first, and the old ones go once the new ones have what they need.

use hw_catalog::{BuiltinUpdate, Op};
use hw_repr::{ClusterId, ReplicaId};
use hw_sql::plan::ObjectId;

use super::follow::group;
use crate::coordinator::{Coordinator, ExecuteContext};
use crate::error::AdapterError;
use crate::session::Session;

/// An ALTER CLUSTER that waits for its new replicas.
pub(crate) struct PendingAlter {
    ctx: ExecuteContext,
    cluster: ClusterId,
    size: String,
    replication_factor: u32,
    /// New replicas with the names that they will have.
    new: Vec<(ReplicaId, String)>,
    old: Vec<ReplicaId>,
}

impl Coordinator {
    pub(crate) async fn alter_cluster(
        &mut self,
        ctx: ExecuteContext,
        cluster: ClusterId,
        size: Option<String>,
        replication_factor: Option<u32>,
    ) {
        match self.begin_alter_cluster(&ctx.session, cluster, size, replication_factor).await {
            Err(e) => ctx.retire(Err(e)),
            Ok((updates, pending)) => {
                self.write(group(updates), None);
                let (size, replication_factor, new, old) = pending;
                self.pending_alters.push(PendingAlter { ctx, cluster, size, replication_factor, new, old });
                self.check_alters().await;
            }
        }
    }

    /// Adds the replicas that the cluster is to have.
    #[allow(clippy::type_complexity)]
    async fn begin_alter_cluster(
        &mut self,
        session: &Session,
        cluster: ClusterId,
        size: Option<String>,
        replication_factor: Option<u32>,
    ) -> Result<(Vec<BuiltinUpdate>, (String, u32, Vec<(ReplicaId, String)>, Vec<ReplicaId>)), AdapterError>
    {
        let state = self.catalog.state();
        let info = hw_sql::Catalog::cluster(&*state, cluster)
            .ok_or_else(|| AdapterError::new("42704", "the cluster does not exist"))?;
        let current = info
            .size
            .clone()
            .ok_or_else(|| AdapterError::new("0A000", format!("cluster \"{}\" is not managed", info.name)))?;
        let new_size = size.unwrap_or_else(|| current.clone());
        let factor = replication_factor.unwrap_or(info.replication_factor);
        let workers = super::ddl::workers_of_size(&state, &new_size)?;
        let resized = new_size != current;
        let kept = if resized { 0 } else { info.replicas.len().min(factor as usize) };
        let old: Vec<ReplicaId> = info.replicas.iter().skip(kept).map(|(id, _, _)| *id).collect();
        let mut ops = Vec::new();
        let mut new = Vec::new();
        for n in kept..factor as usize {
            let id = self.catalog.allocate_replica_id(false);
            let name = format!("r{}", n + 1);
            let taken = info.replicas.iter().any(|(_, other, _)| *other == name);
            let first_name = if taken { format!("{name}-pending") } else { name.clone() };
            ops.push(Op::CreateReplica {
                cluster,
                id,
                name: first_name,
                size: new_size.clone(),
                owner: session.role,
            });
            new.push((id, name));
        }
        let updates = self.transact_now(ops).await?;
        for (id, _) in &new {
            self.controller.create_replica(cluster, *id, workers);
            self.system.replica_created(*id);
        }
        Ok((updates, (new_size, factor, new, old)))
    }

    /// Ends every ALTER CLUSTER whose new replicas have what they need, or that was cancelled.
    pub(crate) async fn check_alters(&mut self) {
        let mut waiting = Vec::new();
        for alter in std::mem::take(&mut self.pending_alters) {
            let hydrated =
                alter.new.iter().all(|(id, _)| self.controller.replica_hydrated(alter.cluster, *id));
            if hydrated {
                self.finish_alter(alter).await;
            } else if alter.ctx.session.cancel.is_cancelled() {
                self.undo_alter(alter).await;
            } else {
                waiting.push(alter);
            }
        }
        self.pending_alters.extend(waiting);
    }

    async fn finish_alter(&mut self, alter: PendingAlter) {
        let PendingAlter { ctx, cluster, size, replication_factor, new, old } = alter;
        let mut ops: Vec<Op> = Vec::new();
        let drops: Vec<ObjectId> = old.iter().map(|r| ObjectId::Replica(cluster, *r)).collect();
        if !drops.is_empty() {
            ops.push(Op::DropObjects(drops));
        }
        ops.extend(new.into_iter().map(|(id, to)| Op::RenameReplica { cluster, id, to }));
        ops.push(Op::UpdateCluster { id: cluster, size: Some(size), replication_factor });
        match self.transact_now(ops).await {
            Ok(updates) => {
                for replica in old {
                    self.controller.drop_replica(cluster, replica);
                    self.system.replica_dropped(replica);
                }
                self.finish_write(ctx, "ALTER CLUSTER".into(), Ok((group(updates), Ok(()))));
            }
            Err(e) => ctx.retire(Err(e)),
        }
    }

    async fn undo_alter(&mut self, alter: PendingAlter) {
        let objects: Vec<ObjectId> =
            alter.new.iter().map(|(id, _)| ObjectId::Replica(alter.cluster, *id)).collect();
        if let Err(e) = self.drop_now(objects).await {
            tracing::warn!(error = %e, "new replicas of a cluster that is not altered after all are not dropped");
        }
        let error = alter.ctx.session.cancel.error();
        alter.ctx.retire(Err(error));
    }
}
