//! Merging sorted runs in bounded memory: one decoded part for each input run, and one output buffer.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use bytes::Bytes;
use hw_repr::{Diff, Timestamp};

use crate::error::PersistError;
use crate::part::{PartCursor, consolidate, inline, update_bytes};
use crate::types::{Entry, Update};

/// An input of a merge: updates in the order of entry and time.
pub(super) enum Input<P> {
    /// Parts that follow each other, to be fetched one after the other.
    Parts { rest: VecDeque<P>, cursor: Option<PartCursor> },
    /// Updates in memory.
    Updates(std::vec::IntoIter<Update>),
}

impl<P> Input<P> {
    pub(super) fn parts(parts: impl IntoIterator<Item = P>) -> Self {
        Input::Parts { rest: parts.into_iter().collect(), cursor: None }
    }

    /// The updates of inline batches, as one run.
    pub(super) fn inline(batches: &[Bytes], since: Timestamp) -> Result<Self, PersistError> {
        let mut updates = Vec::new();
        for bytes in batches {
            inline::decode(bytes, &mut |(entry, ts, diff)| updates.push((entry, ts.max(since), diff)))?;
        }
        consolidate(&mut updates);
        Ok(Input::Updates(updates.into_iter()))
    }

    fn next(
        &mut self,
        fetch: &impl Fn(P) -> Result<Bytes, PersistError>,
    ) -> Result<Option<Update>, PersistError> {
        match self {
            Input::Updates(updates) => Ok(updates.next()),
            Input::Parts { rest, cursor } => loop {
                if let Some(open) = cursor
                    && let Some(update) = open.next_update()?
                {
                    return Ok(Some(update));
                }
                *cursor = None;
                let Some(part) = rest.pop_front() else { return Ok(None) };
                *cursor = Some(PartCursor::open(&fetch(part)?)?);
            },
        }
    }
}

/// The next update of an input; ordered by entry, time and input.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Head {
    entry: Entry,
    ts: Timestamp,
    input: usize,
    diff: Diff,
}

/// Merges inputs, advances times to `since`, adds up equal updates, and gives the result to `emit` in buffers of about
/// `buffer_bytes`, sorted through. Says how many bytes the last buffer, which it returns, holds.
pub(super) fn merge<P>(
    mut inputs: Vec<Input<P>>,
    since: Timestamp,
    buffer_bytes: usize,
    fetch: impl Fn(P) -> Result<Bytes, PersistError>,
    mut emit: impl FnMut(Vec<Update>) -> Result<(), PersistError>,
) -> Result<(Vec<Update>, usize), PersistError> {
    let mut heap = BinaryHeap::new();
    let count = inputs.len();
    let mut next = |input: usize| -> Result<Option<Reverse<Head>>, PersistError> {
        let update = inputs[input].next(&fetch)?;
        Ok(update.map(|(entry, ts, diff)| Reverse(Head { entry, ts: ts.max(since), input, diff })))
    };
    for input in 0..count {
        heap.extend(next(input)?);
    }
    let (mut out, mut out_bytes) = (Vec::new(), 0);
    let mut open: Option<Update> = None;
    while let Some(Reverse(head)) = heap.pop() {
        heap.extend(next(head.input)?);
        match &mut open {
            Some((entry, ts, diff)) if *ts == head.ts && *entry == head.entry => {
                *diff = diff.wrapping_add(head.diff);
                continue;
            }
            _ => {}
        }
        if let Some(done) = open.replace((head.entry, head.ts, head.diff))
            && done.2 != 0
        {
            out_bytes += update_bytes(&done);
            out.push(done);
            if out_bytes >= buffer_bytes {
                out_bytes = 0;
                emit(std::mem::take(&mut out))?;
            }
        }
    }
    if let Some(done) = open
        && done.2 != 0
    {
        out_bytes += update_bytes(&done);
        out.push(done);
    }
    Ok((out, out_bytes))
}
