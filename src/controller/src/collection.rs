//! Frontiers, read holds, and the since that follows from them.
//!
//! A collection can be read at times `t` with `since <= t < upper`. Its since follows its upper at a lag, but stays where it is
//! when the collection is complete for ever (its upper is the maximal time), and never passes
//! * a read hold on it, nor
//! * the time from which a dataflow that reads it would have to be restarted: for an index its since; for a materialized view
//!   the last time it has written; for a subscribe the last time it has sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hw_repr::{GlobalId, Timestamp};
use parking_lot::Mutex;

/// Frontiers of a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frontiers {
    /// The least time at which it can be read.
    pub since: Timestamp,
    /// The least time at which it may still change; the maximal time if never again.
    pub upper: Timestamp,
}

/// What restarts a dataflow's export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RestartFrom {
    /// Its since: an index (the times it serves must be there again).
    Since,
    /// The last complete time: what has been written or sent need not be computed again.
    Upper,
}

#[derive(Debug)]
pub(crate) struct Collection {
    pub(crate) frontiers: Frontiers,
    pub(crate) lag_ms: u64,
    holds: BTreeMap<Timestamp, usize>,
    /// What the dataflow that computes it reads.
    pub(crate) inputs: Vec<GlobalId>,
    pub(crate) restart: RestartFrom,
    seq: u64,
}

type Releases = Arc<Mutex<Vec<(GlobalId, Timestamp)>>>;

/// A read hold: since does not pass `timestamp` for as long as this lives.
#[derive(Debug)]
pub struct ReadHold {
    id: GlobalId,
    timestamp: Timestamp,
    releases: Releases,
}

impl ReadHold {
    /// The held collection.
    pub fn id(&self) -> GlobalId {
        self.id
    }

    /// The held time.
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }
}

impl Drop for ReadHold {
    fn drop(&mut self) {
        self.releases.lock().push((self.id, self.timestamp));
    }
}

/// All collections of an environment.
#[derive(Debug, Default)]
pub(crate) struct Collections {
    by_id: BTreeMap<GlobalId, Collection>,
    releases: Releases,
    next_seq: u64,
}

impl Collections {
    pub(crate) fn add(
        &mut self,
        id: GlobalId,
        frontiers: Frontiers,
        lag_ms: u64,
        inputs: Vec<GlobalId>,
        restart: RestartFrom,
    ) {
        let seq = self.next_seq;
        self.next_seq += 1;
        let collection = Collection { frontiers, lag_ms, holds: BTreeMap::new(), inputs, restart, seq };
        self.by_id.insert(id, collection);
    }

    pub(crate) fn remove(&mut self, id: GlobalId) {
        self.by_id.remove(&id);
    }

    pub(crate) fn get(&self, id: GlobalId) -> Option<&Collection> {
        self.by_id.get(&id)
    }

    /// Says what computes a collection that exists already (a materialized view's dataflow on its shard).
    pub(crate) fn set_inputs(&mut self, id: GlobalId, inputs: Vec<GlobalId>) {
        if let Some(c) = self.by_id.get_mut(&id) {
            c.inputs = inputs;
            c.restart = RestartFrom::Upper;
            c.seq = self.next_seq;
            self.next_seq += 1;
        }
    }

    pub(crate) fn frontiers(&self, id: GlobalId) -> Option<Frontiers> {
        self.by_id.get(&id).map(|c| c.frontiers)
    }

    /// Whether the upper advanced.
    pub(crate) fn advance_upper(&mut self, id: GlobalId, upper: Timestamp) -> bool {
        match self.by_id.get_mut(&id) {
            Some(c) if c.frontiers.upper < upper => {
                c.frontiers.upper = upper;
                true
            }
            _ => false,
        }
    }

    /// Sets the upper of an index, which goes back when the replica that was ahead is lost.
    pub(crate) fn set_upper(&mut self, id: GlobalId, upper: Timestamp) {
        if let Some(c) = self.by_id.get_mut(&id) {
            c.frontiers.upper = upper;
        }
    }

    /// Holds a collection at `timestamp`, or at its since if that is greater.
    pub(crate) fn hold(&mut self, id: GlobalId, timestamp: Timestamp) -> Option<ReadHold> {
        let c = self.by_id.get_mut(&id)?;
        let timestamp = timestamp.max(c.frontiers.since);
        *c.holds.entry(timestamp).or_default() += 1;
        Some(ReadHold { id, timestamp, releases: Arc::clone(&self.releases) })
    }

    fn apply_releases(&mut self) {
        for (id, timestamp) in std::mem::take(&mut *self.releases.lock()) {
            if let Some(c) = self.by_id.get_mut(&id)
                && let Some(count) = c.holds.get_mut(&timestamp)
            {
                *count -= 1;
                if *count == 0 {
                    c.holds.remove(&timestamp);
                }
            }
        }
    }

    /// Advances every since as far as it may and returns those that moved.
    pub(crate) fn advance_sinces(&mut self) -> Vec<(GlobalId, Timestamp)> {
        self.apply_releases();
        // Readers are made after what they read, so going from the newest to the oldest sees each reader's need first.
        let mut order: Vec<(u64, GlobalId)> = self.by_id.iter().map(|(id, c)| (c.seq, *id)).collect();
        order.sort_unstable_by(|a, b| b.cmp(a));
        let mut needs: BTreeMap<GlobalId, Timestamp> = BTreeMap::new();
        let mut moved = Vec::new();
        for (_, id) in order {
            let Some(c) = self.by_id.get_mut(&id) else { continue };
            let last_complete = c.frontiers.upper.saturating_sub(1);
            // A collection that has just got its first contents is not readable at times before them.
            let lag = if c.frontiers.since == 0 { 0 } else { c.lag_ms };
            let mut since = last_complete.saturating_sub(lag);
            if let Some((held, _)) = c.holds.first_key_value() {
                since = since.min(*held);
            }
            if let Some(need) = needs.get(&id) {
                since = since.min(*need);
            }
            // What never changes again must stay readable together with what does.
            if since > c.frontiers.since && c.frontiers.upper != Timestamp::MAX {
                c.frontiers.since = since;
                moved.push((id, since));
            }
            let need = match c.restart {
                RestartFrom::Since => c.frontiers.since,
                RestartFrom::Upper => last_complete.max(c.frontiers.since),
            };
            for input in &c.inputs {
                needs.entry(*input).and_modify(|n| *n = (*n).min(need)).or_insert(need);
            }
        }
        moved
    }

    /// The least time at which all of these can be read.
    pub(crate) fn least_valid_read(&self, ids: &BTreeSet<GlobalId>) -> Timestamp {
        ids.iter().filter_map(|id| self.frontiers(*id)).map(|f| f.since).max().unwrap_or(0)
    }

    /// The least upper of these; the maximal time for none.
    pub(crate) fn least_upper(&self, ids: &BTreeSet<GlobalId>) -> Timestamp {
        ids.iter().filter_map(|id| self.frontiers(*id)).map(|f| f.upper).min().unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> GlobalId {
        GlobalId::User(n)
    }

    fn at(since: Timestamp, upper: Timestamp) -> Frontiers {
        Frontiers { since, upper }
    }

    #[test]
    fn since_follows_upper_at_a_lag() {
        let mut c = Collections::default();
        c.add(id(1), at(10, 5000), 1000, vec![], RestartFrom::Since);
        assert_eq!(c.advance_sinces(), vec![(id(1), 3999)]);
        assert_eq!(c.advance_sinces(), vec![]);
    }

    #[test]
    fn what_is_complete_for_ever_stays_readable_now() {
        let mut c = Collections::default();
        c.add(id(1), at(10, Timestamp::MAX), 1000, vec![], RestartFrom::Since);
        c.add(id(2), at(0, Timestamp::MAX), 1000, vec![id(1)], RestartFrom::Upper);
        assert_eq!(c.advance_sinces(), vec![]);
    }

    #[test]
    fn holds_keep_since_until_released() {
        let mut c = Collections::default();
        c.add(id(1), at(10, 20), 0, vec![], RestartFrom::Since);
        let hold = c.hold(id(1), 12).expect("exists");
        c.advance_upper(id(1), 100);
        assert_eq!(c.advance_sinces(), vec![(id(1), 12)]);
        drop(hold);
        assert_eq!(c.advance_sinces(), vec![(id(1), 99)]);
    }

    #[test]
    fn readers_keep_what_they_read() {
        let mut c = Collections::default();
        c.add(id(1), at(10, 2000), 0, vec![], RestartFrom::Since);
        c.add(id(2), at(10, 500), 100, vec![id(1)], RestartFrom::Since);
        c.add(id(3), at(10, 300), 0, vec![id(1)], RestartFrom::Upper);
        let moved: BTreeMap<_, _> = c.advance_sinces().into_iter().collect();
        assert_eq!(moved[&id(2)], 399);
        assert_eq!(moved[&id(3)], 299);
        assert_eq!(moved[&id(1)], 299);
    }
}
