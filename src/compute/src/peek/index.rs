//! Peeks into arrangements.

use std::collections::VecDeque;
use std::rc::Rc;

use differential_dataflow::trace::cursor::{CursorList, cursor_list};
use differential_dataflow::trace::implementations::ord_neu::OrdValBatch;
use differential_dataflow::trace::{Cursor, Navigable, TraceReader};
use hw_expr::{EvalError, MapFilterProject, MirScalarExpr};
use hw_plan::Peek;
use hw_plan::peek::PeekResponse;
use hw_repr::{Datum, Diff, Row, RowArena, Timestamp};
use timely::progress::frontier::AntichainRef;

use super::Gather;
use crate::exports::IndexTraces;
use crate::render::unpack::{PairReader, needed};
use crate::row_container::RowRef;
use crate::typedefs::RowLayout;

type Batch = Rc<OrdValBatch<RowLayout<Timestamp>>>;

/// A peek of a complete index, in progress. It holds the batches that it reads, so that compaction goes on meanwhile.
pub(crate) struct IndexPeek {
    cursor: CursorList<<Batch as Navigable>::Cursor>,
    batches: Vec<Batch>,
    /// The keys still to be looked up; `None` is all.
    keys: Option<VecDeque<Row>>,
    /// Whether the cursor is in the midst of a key.
    within_key: bool,
    reader: PairReader,
    mfp: MapFilterProject,
    timestamp: Timestamp,
    gather: Option<Gather>,
}

impl IndexPeek {
    /// Begins a peek. When the collection holds an error at its time, that is the answer already.
    pub(crate) fn begin(
        peek: &Peek,
        key: &[MirScalarExpr],
        arity: usize,
        traces: &mut IndexTraces,
    ) -> Result<IndexPeek, PeekResponse> {
        debug_assert_eq!(peek.mfp.input_arity, arity, "the plan is over the index's collection");
        if let Some(error) = least_error(traces, peek.timestamp) {
            return Err(PeekResponse::Error(error));
        }
        let batches = traces.oks.batches_through(AntichainRef::new(&[])).unwrap_or_default();
        let (cursor, batches) = cursor_list(batches);
        let keys = peek.literal_keys.as_ref().map(|keys| {
            let mut keys = keys.clone();
            keys.sort();
            keys.dedup();
            keys.into()
        });
        Ok(IndexPeek {
            cursor,
            batches,
            keys,
            within_key: false,
            reader: PairReader::new(key, &needed(&peek.mfp, std::iter::empty())),
            mfp: peek.mfp.clone(),
            timestamp: peek.timestamp,
            gather: Some(Gather::new(&peek.finishing, peek.max_result_bytes)),
        })
    }

    /// Goes on until done or out of fuel; the answer when done.
    pub(crate) fn step(&mut self, fuel: &mut usize) -> Option<PeekResponse> {
        match self.scan(fuel) {
            Ok(false) => None,
            Ok(true) => self.gather.take().map(|gather| PeekResponse::Rows(gather.finish())),
            Err(e) => Some(PeekResponse::Error(e)),
        }
    }

    /// Returns whether the answer is complete.
    fn scan(&mut self, fuel: &mut usize) -> Result<bool, EvalError> {
        loop {
            if !self.within_key && !self.seek() {
                return Ok(true);
            }
            self.within_key = true;
            while self.cursor.val_valid(&self.batches) {
                if *fuel == 0 {
                    return Ok(false);
                }
                *fuel -= 1;
                if !self.take_row()? {
                    return Ok(true);
                }
                self.cursor.step_val(&self.batches);
            }
            self.within_key = false;
            if self.keys.is_none() {
                self.cursor.step_key(&self.batches);
            }
        }
    }

    /// Sets the cursor on the next key; returns whether there is one.
    fn seek(&mut self) -> bool {
        let Some(keys) = &mut self.keys else { return self.cursor.key_valid(&self.batches) };
        while let Some(key) = keys.pop_front() {
            let key = RowRef(key.data());
            self.cursor.seek_key(&self.batches, key);
            if self.cursor.get_key(&self.batches) == Some(key) {
                return true;
            }
        }
        false
    }

    /// Takes the row at the cursor; returns whether more rows may matter.
    fn take_row(&mut self) -> Result<bool, EvalError> {
        let mut count: Diff = 0;
        let timestamp = self.timestamp;
        self.cursor.map_times(&self.batches, |time, diff| {
            if *time <= timestamp {
                count += diff;
            }
        });
        let count = match count {
            0 => return Ok(true),
            1.. => count.unsigned_abs(),
            _ => return Err(EvalError::NegativeMultiplicity),
        };
        let (key, val) = (self.cursor.key(&self.batches), self.cursor.val(&self.batches));
        let arena = RowArena::new();
        let mut datums: Vec<Datum<'_>> =
            Vec::with_capacity(self.mfp.input_arity + self.mfp.expressions.len());
        self.reader.read(key, val, &mut datums);
        let mut row = Row::default();
        if !self.mfp.eval(&mut datums, &arena, &mut row)? {
            return Ok(true);
        }
        match &mut self.gather {
            Some(gather) => gather.push(row, count),
            None => Ok(false),
        }
    }
}

fn least_error(traces: &mut IndexTraces, timestamp: Timestamp) -> Option<EvalError> {
    let batches = traces.errs.batches_through(AntichainRef::new(&[])).unwrap_or_default();
    let (mut cursor, batches) = cursor_list(batches);
    while let Some(error) = cursor.get_key(&batches) {
        let mut count: Diff = 0;
        cursor.map_times(&batches, |time, diff| {
            if *time <= timestamp {
                count += diff;
            }
        });
        if count > 0 {
            return Some(error.clone());
        }
        cursor.step_key(&batches);
    }
    None
}
