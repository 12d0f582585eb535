//! The timestamp oracle: the order of reads and writes.
//!
//! The read timestamp is the time at or above which every strictly serializable read happens; it never goes back. A write is
//! given a time above it, and when the write is durable the read timestamp moves to it. A read of something that is ahead
//! moves it as well. What nobody was told of does not: that tables are complete through a later time, or that the system
//! has written for itself. So a read of a source takes the newest complete time and need not wait for the clock.
//!
//! It is durable by derivation: every time that a read or write has used is below the upper of a durable collection (a read waits
//! for that), so that starting at the greatest of these uppers goes on where the former environment left off.

use hw_base::clock::NowFn;
use hw_repr::Timestamp;

/// The oracle.
#[derive(Debug)]
pub struct TimestampOracle {
    read_ts: Timestamp,
    last_write: Timestamp,
    now: NowFn,
}

impl TimestampOracle {
    /// An oracle that goes on after `floor`.
    pub fn new(floor: Timestamp, now: NowFn) -> Self {
        TimestampOracle { read_ts: floor, last_write: floor, now }
    }

    /// Reads happen at this time or later.
    pub fn read_ts(&self) -> Timestamp {
        self.read_ts
    }

    /// A time for a write: above all earlier reads and writes, and close to now.
    pub fn write_ts(&mut self) -> Timestamp {
        let ts = self.now.now_ms().max(self.read_ts + 1).max(self.last_write + 1);
        self.last_write = ts;
        ts
    }

    /// A write will happen at `ts`: later ones are given later times.
    pub fn note_write(&mut self, ts: Timestamp) {
        self.last_write = self.last_write.max(ts);
    }

    /// A write or a read has happened at `ts`: later reads see it.
    pub fn apply(&mut self, ts: Timestamp) {
        self.read_ts = self.read_ts.max(ts);
    }

    /// Milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        self.now.now_ms()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_above_reads_and_visible_once_applied() {
        let (now, cell) = NowFn::manual(100);
        let mut oracle = TimestampOracle::new(50, now);
        let w = oracle.write_ts();
        assert_eq!(w, 100);
        assert_eq!(oracle.read_ts(), 50);
        oracle.apply(w);
        assert_eq!(oracle.read_ts(), 100);
        // The clock stands still or goes back: times still advance.
        cell.store(10, std::sync::atomic::Ordering::SeqCst);
        assert_eq!(oracle.write_ts(), 101);
        oracle.apply(500);
        assert_eq!(oracle.write_ts(), 501);
    }
}
