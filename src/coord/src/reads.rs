//! Reads that wait until their inputs are complete.

use std::collections::{BTreeMap, BTreeSet};

use hw_repr::{GlobalId, Timestamp};

use crate::cancel::StatementCancel;
use crate::coordinator::{Coordinator, Message};
use crate::error::AdapterError;

/// What happens when a read may go on, or was abandoned.
pub(crate) type OnReady = Box<dyn FnOnce(&mut Coordinator, Result<(), AdapterError>) + Send>;

struct PendingRead {
    ids: BTreeSet<GlobalId>,
    ts: Timestamp,
    cancel: StatementCancel,
    on_ready: OnReady,
    /// Ends the task that watches for cancellation.
    _watch: hw_base::task::AbortOnDrop<()>,
}

/// All reads that wait.
#[derive(Default)]
pub(crate) struct PendingReads {
    reads: BTreeMap<u64, PendingRead>,
    next: u64,
}

impl PendingReads {
    pub(crate) fn len(&self) -> usize {
        self.reads.len()
    }
}

impl Coordinator {
    /// Goes on with `on_ready` once all of `ids` are complete through `ts`: at once if they are already.
    pub(crate) fn when_complete(
        &mut self,
        ids: BTreeSet<GlobalId>,
        ts: Timestamp,
        cancel: StatementCancel,
        on_ready: OnReady,
    ) {
        if self.controller.least_upper(&ids) > ts {
            return on_ready(self, Ok(()));
        }
        // Whether a table is among the inputs of the inputs need not be found out: advancing tables is cheap.
        self.advance_tables(ts);
        let seq = self.pending_reads.next;
        self.pending_reads.next += 1;
        let (messages, token) = (self.messages.clone(), cancel.clone());
        let watch = hw_base::task::spawn_scoped("pending-read", async move {
            token.cancelled().await;
            let _gone = messages.send(Message::ReadAbandoned(seq));
        });
        self.pending_reads.reads.insert(seq, PendingRead { ids, ts, cancel, on_ready, _watch: watch });
    }

    /// Lets reads go on whose inputs have become complete.
    pub(crate) fn retry_reads(&mut self) {
        let ready: Vec<u64> = self
            .pending_reads
            .reads
            .iter()
            .filter(|(_, r)| self.controller.least_upper(&r.ids) > r.ts)
            .map(|(seq, _)| *seq)
            .collect();
        for seq in ready {
            if let Some(read) = self.pending_reads.reads.remove(&seq) {
                (read.on_ready)(self, Ok(()));
            }
        }
    }

    /// A read was cancelled.
    pub(crate) fn abandon_read(&mut self, seq: u64) {
        if let Some(read) = self.pending_reads.reads.remove(&seq) {
            let error = read.cancel.error();
            (read.on_ready)(self, Err(error));
        }
    }
}
