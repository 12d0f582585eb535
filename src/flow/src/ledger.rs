//! Makes a repeated read exact.
//!
//! A read that is cut in the middle is begun again, and comes in other pieces than before. What was handed out already cannot
//! be taken back. The ledger remembers a hash of each update that was handed out since the read began, and on the next attempt
//! subtracts it from the update's first occurrence. It costs 16 bytes for an update until the read is complete.
//!
//! What was handed out may not come again at all: compaction has met its opposite meanwhile. Then the reader is left with an
//! update that it cannot take back, and has to give up.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use hw_persist::Update;
use hw_repr::Diff;

/// What has been handed out since the last complete point.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    sent: Vec<(u64, Diff)>,
    owed: HashMap<u64, Diff>,
}

fn hash(update: &Update) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&update.0, update.1).hash(&mut hasher);
    hasher.finish()
}

impl Ledger {
    /// The read is complete. Returns whether what was handed out adds up to it.
    #[must_use]
    pub(crate) fn settle(&mut self) -> bool {
        self.sent = Vec::new();
        std::mem::take(&mut self.owed).is_empty()
    }

    /// The read begins again.
    pub(crate) fn restart(&mut self) {
        self.owed.clear();
        for (hash, diff) in &self.sent {
            *self.owed.entry(*hash).or_default() += diff;
        }
        self.owed.retain(|_, diff| *diff != 0);
        self.sent = self.owed.iter().map(|(h, d)| (*h, *d)).collect();
    }

    /// Notes updates that are about to be handed out, less what has been handed out before.
    pub(crate) fn admit(&mut self, updates: &mut Vec<Update>) {
        for update in updates.iter_mut() {
            let hash = hash(update);
            if let Some(before) = self.owed.remove(&hash) {
                update.2 -= before;
            }
            self.sent.push((hash, update.2));
        }
        updates.retain(|u| u.2 != 0);
    }
}

#[cfg(test)]
mod tests {
    use hw_repr::{Datum, Row};

    use super::*;

    fn update(v: i64, diff: Diff) -> Update {
        (Ok(Row::pack_slice(&[Datum::Int64(v)])), 7, diff)
    }

    #[test]
    fn a_repeated_read_adds_up() {
        let mut ledger = Ledger::default();
        let mut total: HashMap<u64, Diff> = HashMap::new();
        let mut hand_out = |ledger: &mut Ledger, mut updates: Vec<Update>| {
            ledger.admit(&mut updates);
            updates.iter().for_each(|u| *total.entry(hash(u)).or_default() += u.2);
        };
        hand_out(&mut ledger, vec![update(1, 2), update(2, 1)]);
        ledger.restart();
        hand_out(&mut ledger, vec![update(3, 1), update(1, 5)]);
        ledger.restart();
        hand_out(&mut ledger, vec![update(1, 3), update(2, 1)]);
        hand_out(&mut ledger, vec![update(1, 1), update(3, 1)]);
        assert_eq!(total[&hash(&update(1, 0))], 4);
        assert_eq!(total[&hash(&update(2, 0))], 1);
        assert_eq!(total[&hash(&update(3, 0))], 1);
        assert!(ledger.settle());
    }

    #[test]
    fn an_update_that_does_not_come_again_is_noticed() {
        let mut ledger = Ledger::default();
        ledger.admit(&mut vec![update(1, 1), update(2, 1)]);
        ledger.restart();
        ledger.admit(&mut vec![update(2, 1)]);
        assert!(!ledger.settle());
        assert!(ledger.settle());
    }
}
