//! The kinds of arrangements.

use std::rc::Rc;

use differential_dataflow::VecCollection;
use differential_dataflow::batcher::merge::MergeBatcher;
use differential_dataflow::batcher::merge::chunker::ContainerChunker;
use differential_dataflow::batcher::merge::vec::VecMerger;
use differential_dataflow::operators::arrange::TraceAgent;
use differential_dataflow::trace::implementations::ord_neu::{OrdValBatch, OrdValBuilder};
use differential_dataflow::trace::implementations::spine_fueled::Spine;
use differential_dataflow::trace::implementations::{KeySpine, OffsetList};
use differential_dataflow::trace::wrappers::enter::TraceEnter;
use differential_dataflow::trace::wrappers::frontier::TraceFrontier;
use hw_expr::EvalError;
use hw_repr::{Diff, Row, Timestamp};

use crate::reduce_types::Accums;
use crate::row_container::RowContainer;

/// Rows.
pub(crate) type Oks<'scope, T> = VecCollection<'scope, T, Row, Diff>;
/// Errors.
pub(crate) type Errs<'scope, T> = VecCollection<'scope, T, EvalError, Diff>;

pub(crate) type RowLayout<T> = (RowContainer, RowContainer, Vec<T>, Vec<Diff>, OffsetList);
/// Key rows and value rows.
pub(crate) type RowSpine<T> = Spine<Rc<OrdValBatch<RowLayout<T>>>>;
pub(crate) type RowBuilder<T> = OrdValBuilder<RowLayout<T>, Vec<((Row, Row), T, Diff)>>;
pub(crate) type RowBatcher<T> =
    MergeBatcher<ContainerChunker<Vec<((Row, Row), T, Diff)>>, VecMerger<(Row, Row), T, Diff>, RowBuilder<T>>;
/// A shared arrangement of key rows and value rows.
pub(crate) type RowAgent<T> = TraceAgent<RowSpine<T>>;

pub(crate) type RowErrLayout<T> = (RowContainer, Vec<EvalError>, Vec<T>, Vec<Diff>, OffsetList);
/// Key rows and the errors of their groups.
pub(crate) type RowErrSpine<T> = Spine<Rc<OrdValBatch<RowErrLayout<T>>>>;
pub(crate) type RowErrBuilder<T> = OrdValBuilder<RowErrLayout<T>, Vec<((Row, EvalError), T, Diff)>>;

pub(crate) type AccumLayout<T> = (RowContainer, Vec<()>, Vec<T>, Vec<Accums>, OffsetList);
/// Key rows with sums as differences.
pub(crate) type AccumSpine<T> = Spine<Rc<OrdValBatch<AccumLayout<T>>>>;
pub(crate) type AccumBuilder<T> = OrdValBuilder<AccumLayout<T>, Vec<((Row, ()), T, Accums)>>;
pub(crate) type AccumBatcher<T> = MergeBatcher<
    ContainerChunker<Vec<((Row, ()), T, Accums)>>,
    VecMerger<(Row, ()), T, Accums>,
    AccumBuilder<T>,
>;

/// Errors.
pub(crate) type ErrSpine<T> = KeySpine<EvalError, T, Diff>;
/// A shared arrangement of errors.
pub(crate) type ErrAgent<T> = TraceAgent<ErrSpine<T>>;

/// An index of another dataflow, seen at the times of this one.
pub(crate) type ImportTrace<T> = TraceEnter<TraceFrontier<RowAgent<Timestamp>>, T>;
