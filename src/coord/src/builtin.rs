//! System collections that the coordinator writes from what it is told: statuses, statistics, frontiers.

use std::collections::{BTreeMap, HashMap, VecDeque};

use hw_catalog::builtin::{
    MZ_CLUSTER_REPLICA_STATUSES_ID, MZ_FRONTIERS_ID, MZ_SOURCE_STATISTICS_ID, MZ_SOURCE_STATUS_HISTORY_ID,
};
use hw_protocol::{SourceStatistics, SourceStatusUpdate};
use hw_repr::adt::{CivilTimestamp, Interval};
use hw_repr::{Datum, Diff, GlobalId, ReplicaId, Row, Timestamp};

use crate::coordinator::Coordinator;

/// How many statuses are kept of each source or table.
const HISTORY: usize = 5;

/// What these collections hold, and what has changed since it was last written.
#[derive(Default)]
pub(crate) struct SystemCollections {
    /// Whether a dataflow may read tables, which are then advanced often.
    pub(crate) user_tables_are_read: bool,
    histories: HashMap<String, VecDeque<Row>>,
    statistics: HashMap<GlobalId, (SourceStatistics, Option<Row>)>,
    replicas: HashMap<ReplicaId, Row>,
    frontiers: HashMap<GlobalId, Row>,
    changes: BTreeMap<GlobalId, Vec<(Row, Diff)>>,
}

impl SystemCollections {
    fn change(&mut self, id: GlobalId, row: Row, diff: Diff) {
        self.changes.entry(id).or_default().push((row, diff));
    }

    /// Keeps changes that could not be written for the next time. What has cancelled out meanwhile goes, so that they stay few
    /// however long the store refuses them.
    pub(crate) fn put_back(&mut self, changes: BTreeMap<GlobalId, Vec<(Row, Diff)>>) {
        for (id, rows) in changes {
            let mut sums: BTreeMap<Row, Diff> = BTreeMap::new();
            for (row, diff) in rows.into_iter().chain(self.changes.remove(&id).unwrap_or_default()) {
                *sums.entry(row).or_default() += diff;
            }
            self.changes.insert(id, sums.into_iter().filter(|(_, diff)| *diff != 0).collect());
        }
    }

    /// Takes over what a collection held when the server started.
    pub(crate) fn restore(&mut self, id: GlobalId, rows: Vec<Row>) {
        if id == MZ_SOURCE_STATUS_HISTORY_ID {
            let mut rows = rows;
            rows.sort_by(|a, b| a.unpack_first().cmp(&b.unpack_first()));
            for row in rows {
                let source = row.unpack()[1].unwrap_str().to_owned();
                self.histories.entry(source).or_default().push_back(row);
            }
        } else {
            // The others say what is so now: nothing of an earlier run is.
            for row in rows {
                self.change(id, row, -1);
            }
        }
    }

    pub(crate) fn replica_created(&mut self, id: ReplicaId) {
        self.set_replica(id, false, Some("starting"), 0);
    }

    fn set_replica(&mut self, id: ReplicaId, online: bool, reason: Option<&str>, now_ms: u64) {
        let text = id.to_string();
        let status = if online { "online" } else { "offline" };
        let row = Row::pack_slice(&[
            Datum::String(&text),
            Datum::UInt64(0),
            Datum::String(status),
            reason.into(),
            timestamp(now_ms),
        ]);
        if let Some(old) = self.replicas.insert(id, row.clone()) {
            self.change(MZ_CLUSTER_REPLICA_STATUSES_ID, old, -1);
        }
        self.change(MZ_CLUSTER_REPLICA_STATUSES_ID, row, 1);
    }

    pub(crate) fn replica_dropped(&mut self, id: ReplicaId) {
        if let Some(old) = self.replicas.remove(&id) {
            self.change(MZ_CLUSTER_REPLICA_STATUSES_ID, old, -1);
        }
    }

    pub(crate) fn dropped(&mut self, id: GlobalId) {
        if let Some((_, Some(old))) = self.statistics.remove(&id) {
            self.change(MZ_SOURCE_STATISTICS_ID, old, -1);
        }
        if let Some(old) = self.frontiers.remove(&id) {
            self.change(MZ_FRONTIERS_ID, old, -1);
        }
        for old in self.histories.remove(&id.to_string()).unwrap_or_default() {
            self.change(MZ_SOURCE_STATUS_HISTORY_ID, old, -1);
        }
    }

    fn status(&mut self, update: SourceStatusUpdate) {
        let id = update.id.to_string();
        let mut row = Row::default();
        let mut packer = row.packer();
        packer.push(timestamp(update.occurred_at_ms));
        packer.push(Datum::String(&id));
        packer.push(Datum::String(update.status.as_str()));
        packer.push(Datum::from(update.error.as_deref()));
        match &update.hint {
            None => packer.push(Datum::Null),
            Some(hint) => packer.push_map_with(|p| {
                p.push(Datum::String("hints"));
                p.push_list([Datum::String(hint)]);
            }),
        }
        let history = self.histories.entry(id).or_default();
        history.push_back(row.clone());
        let old = if history.len() > HISTORY { history.pop_front() } else { None };
        self.change(MZ_SOURCE_STATUS_HISTORY_ID, row, 1);
        if let Some(old) = old {
            self.change(MZ_SOURCE_STATUS_HISTORY_ID, old, -1);
        }
    }
}

fn timestamp(ms: u64) -> Datum<'static> {
    CivilTimestamp::from_unix_ms(ms as i64).map_or(Datum::Null, Datum::TimestampTz)
}

fn statistics_row(id: GlobalId, s: &SourceStatistics) -> Row {
    let id = id.to_string();
    let micros = |ms: u64| Datum::Interval(Interval { months: 0, days: 0, micros: ms as i64 * 1000 });
    Row::pack_slice(&[
        Datum::String(&id),
        Datum::UInt64(s.messages_received),
        Datum::UInt64(s.bytes_received),
        Datum::UInt64(s.updates_staged),
        Datum::UInt64(s.updates_committed),
        Datum::UInt64(0),
        Datum::UInt64(0),
        s.rehydration_latency_ms.map_or(Datum::Null, micros),
        s.snapshot_records_known.into(),
        s.snapshot_records_staged.into(),
        Datum::Bool(s.snapshot_committed),
        s.offset_known.into(),
        s.offset_committed.into(),
    ])
}

impl Coordinator {
    pub(crate) fn source_status(&mut self, update: SourceStatusUpdate) {
        let state = self.catalog.state();
        if hw_sql::Catalog::item(&*state, update.id).is_none() {
            return;
        }
        self.system.status(update);
        // Statuses are worth telling at once; everything else is written once a second.
        let changes = std::mem::take(&mut self.system.changes);
        self.write(changes, None);
    }

    pub(crate) fn source_statistics(&mut self, statistics: SourceStatistics) {
        let Some(id) = statistics.id else { return };
        let state = self.catalog.state();
        if hw_sql::Catalog::item(&*state, id).is_none() {
            return;
        }
        let committed = statistics.snapshot_committed;
        let entry = self.system.statistics.entry(id).or_default();
        let became = committed && !entry.0.snapshot_committed;
        entry.0 = statistics;
        if became {
            self.write_system_collections();
        }
    }

    pub(crate) fn replica_status(&mut self, replica: ReplicaId, online: bool, reason: Option<String>) {
        let now = self.oracle.now_ms();
        self.system.set_replica(replica, online, reason.as_deref(), now);
        let changes = std::mem::take(&mut self.system.changes);
        self.write(changes, None);
    }

    /// Writes statistics and frontiers that have changed, about once a second.
    pub(crate) fn write_system_collections(&mut self) {
        self.refresh_statistics();
        self.refresh_frontiers();
        let changes = std::mem::take(&mut self.system.changes);
        if !changes.is_empty() {
            self.write(changes, None);
        }
    }

    fn refresh_statistics(&mut self) {
        let mut changes = Vec::new();
        for (id, (statistics, written)) in &mut self.system.statistics {
            let row = statistics_row(*id, statistics);
            if written.as_ref() != Some(&row) {
                changes.extend(written.replace(row.clone()).map(|old| (old, -1)));
                changes.push((row, 1));
            }
        }
        for (row, diff) in changes {
            self.system.change(MZ_SOURCE_STATISTICS_ID, row, diff);
        }
    }

    /// Frontiers of users' objects; the system's own would make this collection change for ever.
    fn refresh_frontiers(&mut self) {
        let state = self.catalog.state();
        let mut changes = Vec::new();
        for item in state.items().filter(|i| i.id.is_user()) {
            let Some(f) = self.controller.frontiers(item.id) else { continue };
            let id = item.id.to_string();
            let time = |t: Timestamp| if t == Timestamp::MAX { Datum::Null } else { Datum::MzTimestamp(t) };
            let row = Row::pack_slice(&[Datum::String(&id), time(f.since), time(f.upper)]);
            let old = self.system.frontiers.insert(item.id, row.clone());
            if old.as_ref() != Some(&row) {
                changes.extend(old.map(|o| (o, -1)));
                changes.push((row, 1));
            }
        }
        for (row, diff) in changes {
            self.system.change(MZ_FRONTIERS_ID, row, diff);
        }
    }
}
