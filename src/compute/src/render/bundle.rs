//! What a node gives.

use std::collections::BTreeMap;

use differential_dataflow::AsCollection;
use differential_dataflow::operators::arrange::Arranged;
use hw_plan::lir::Key;
use hw_plan::temporal::MfpPlan;
use hw_repr::{GlobalId, Row, Timestamp};

use super::arrange::read_arrangement;
use super::mfp::{RowMfp, flat_map_rows};
use super::unpack::PairReader;
use crate::row_container::RowRef;
use crate::time::RenderTime;
use crate::typedefs::{Errs, ImportTrace, Oks, RowAgent};

/// Rows and errors.
#[derive(Clone)]
pub(crate) struct Collection<'scope, T: RenderTime> {
    pub(crate) oks: Oks<'scope, T>,
    pub(crate) errs: Errs<'scope, T>,
}

/// An arrangement, made here or imported.
#[derive(Clone)]
pub(crate) enum Flavor<'scope, T: RenderTime> {
    /// Made in this dataflow.
    Local(Arranged<'scope, RowAgent<T>>),
    /// That of an index.
    Import(GlobalId, Arranged<'scope, ImportTrace<T>>),
}

/// A collection, its arrangements, or both; errors are the same for all.
#[derive(Clone)]
pub(crate) struct Bundle<'scope, T: RenderTime> {
    pub(crate) oks: Option<Oks<'scope, T>>,
    pub(crate) errs: Errs<'scope, T>,
    pub(crate) arranged: BTreeMap<Key, Flavor<'scope, T>>,
    /// How many columns there are, for bundles that have arrangements only.
    pub(crate) arity: Option<usize>,
}

impl<'scope, T: RenderTime> From<Collection<'scope, T>> for Bundle<'scope, T> {
    fn from(c: Collection<'scope, T>) -> Self {
        Bundle { oks: Some(c.oks), errs: c.errs, arranged: BTreeMap::new(), arity: None }
    }
}

impl<'scope, T: RenderTime> Collection<'scope, T> {
    /// Applies a map-filter-project.
    pub(crate) fn mfp(self, mfp: &MfpPlan, until: Timestamp) -> Collection<'scope, T> {
        if mfp.is_identity() {
            return self;
        }
        let mfp = RowMfp::new(mfp, until);
        let (oks, errs) = flat_map_rows(
            self.oks,
            "Mfp",
            Box::new(move |row, time, diff, oks, errs| {
                mfp.apply_row(row, time, diff, oks, errs);
            }),
        );
        Collection { oks, errs: self.errs.concat(errs) }
    }
}

impl<'scope, T: RenderTime> Bundle<'scope, T> {
    /// The collection; when there are arrangements only, read from one of them.
    pub(crate) fn collection(&self) -> Collection<'scope, T> {
        if let Some(oks) = &self.oks {
            return Collection { oks: oks.clone(), errs: self.errs.clone() };
        }
        let key = self.arranged.keys().next().expect("a bundle has a collection or an arrangement").clone();
        let arity = self.arity.expect("a bundle without collection knows its arity");
        self.read(&key, None, arity, &MfpPlan::identity(arity), Timestamp::MAX)
    }

    /// Reads an arrangement, only the rows under `literal` if given, and applies a map-filter-project to the collection's columns.
    pub(crate) fn read(
        &self,
        key: &Key,
        literal: Option<&Row>,
        arity: usize,
        mfp: &MfpPlan,
        until: Timestamp,
    ) -> Collection<'scope, T> {
        debug_assert_eq!(mfp.mfp.input_arity, arity, "the plan is over the collection's columns");
        let mfp = RowMfp::new(mfp, until);
        let reader = PairReader::new(key, mfp.needed());
        let logic = Box::new(
            move |key: RowRef<'_>, val: RowRef<'_>, time: &T, diff, oks: &mut Vec<_>, errs: &mut Vec<_>| {
                mfp.apply_pair(key, val, &reader, time.clone(), diff, oks, errs);
            },
        );
        let (oks, errs) = match &self.arranged[key] {
            Flavor::Local(arranged) => read_arrangement(arranged.clone(), literal.cloned(), logic),
            Flavor::Import(_, arranged) => read_arrangement(arranged.clone(), literal.cloned(), logic),
        };
        Collection { oks: oks.as_collection(), errs: self.errs.clone().concat(errs.as_collection()) }
    }
}

/// A collection of no errors.
pub(crate) fn no_errs<'scope, T: RenderTime>(like: &Errs<'scope, T>) -> Errs<'scope, T> {
    timely::dataflow::operators::generic::operator::empty(like.inner.scope()).as_collection()
}
