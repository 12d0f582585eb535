//! What a worker's dataflows export, and what keeps a dataflow alive.

use std::cell::RefCell;
use std::rc::Rc;

use differential_dataflow::trace::TraceReader;
use hw_repr::Timestamp;
use timely::progress::frontier::AntichainRef;

use crate::frontier::Frontier;
use crate::typedefs::{ErrAgent, RowAgent};

/// Dataflows that nothing needs any more, to be dropped by the worker.
pub(crate) type Droppable = Rc<RefCell<Vec<usize>>>;

/// Keeps a dataflow alive, and those whose indexes it reads. When the last copy goes, the dataflow goes.
#[derive(Debug)]
pub(crate) struct DataflowToken {
    /// Timely's number.
    index: usize,
    droppable: Droppable,
    /// Held, not read.
    _inputs: Vec<Rc<DataflowToken>>,
}

impl DataflowToken {
    pub(crate) fn new(
        index: usize,
        droppable: Droppable,
        inputs: Vec<Rc<DataflowToken>>,
    ) -> Rc<DataflowToken> {
        Rc::new(DataflowToken { index, droppable, _inputs: inputs })
    }
}

impl Drop for DataflowToken {
    fn drop(&mut self) {
        self.droppable.borrow_mut().push(self.index);
    }
}

/// The two traces of an index.
#[derive(Clone)]
pub(crate) struct IndexTraces {
    pub(crate) oks: RowAgent<Timestamp>,
    pub(crate) errs: ErrAgent<Timestamp>,
}

impl IndexTraces {
    /// Lets times before `since` be forgotten.
    pub(crate) fn compact_logically(&mut self, since: Timestamp) {
        self.oks.set_logical_compaction(AntichainRef::new(&[since]));
        self.errs.set_logical_compaction(AntichainRef::new(&[since]));
    }

    /// Lets batches before `frontier` be merged.
    pub(crate) fn compact_physically(&mut self, frontier: Frontier) {
        let frontier = frontier.as_slice();
        if frontier.is_empty() {
            // The traces are complete; what is left to say is nothing, and a trace whose last frontier is given up
            // could not be imported any more.
            return;
        }
        self.oks.set_physical_compaction(AntichainRef::new(frontier));
        self.errs.set_physical_compaction(AntichainRef::new(frontier));
    }
}

/// One export of a dataflow on this worker.
pub(crate) struct Export {
    /// Keeps its dataflow.
    pub(crate) token: Rc<DataflowToken>,
    /// What dataflow it is of: a number given by the worker's state.
    pub(crate) dataflow: u64,
    /// Times before it may have been forgotten.
    pub(crate) since: Timestamp,
    /// Its frontier, as last noted.
    pub(crate) frontier: Frontier,
    /// The traces, if it is an index.
    pub(crate) index: Option<IndexTraces>,
    /// The number of the index's columns.
    pub(crate) arity: usize,
}
