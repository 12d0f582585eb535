//! Map, filter and project in one: what dataflow operators apply to each row.

use hw_repr::{Datum, Row, RowArena};
use serde::{Deserialize, Serialize};

use crate::error::EvalError;
use crate::scalar::MirScalarExpr;

mod temporal;
pub use temporal::TemporalError;

/// Appends `expressions` to the input's columns (each may use the ones before it), keeps the rows for which all
/// `predicates` are true, and outputs `projection`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MapFilterProject {
    /// How many columns the input has.
    pub input_arity: usize,
    /// Appended columns.
    pub expressions: Vec<MirScalarExpr>,
    /// Predicates, each with the number of columns (input and appended) that must be there before it is evaluated; in
    /// that order. One that may fail comes after all that came before it when it was added: it is not evaluated for rows that
    /// those remove.
    pub predicates: Vec<(usize, MirScalarExpr)>,
    /// Which columns are output, in order.
    pub projection: Vec<usize>,
}

impl MapFilterProject {
    /// The identity on rows of that many columns.
    pub fn new(input_arity: usize) -> Self {
        MapFilterProject {
            input_arity,
            expressions: vec![],
            predicates: vec![],
            projection: (0..input_arity).collect(),
        }
    }

    /// Whether every row passes unchanged.
    pub fn is_identity(&self) -> bool {
        self.expressions.is_empty()
            && self.predicates.is_empty()
            && self.projection.len() == self.input_arity
            && self.projection.iter().enumerate().all(|(i, p)| i == *p)
    }

    /// How many columns are output.
    pub fn output_arity(&self) -> usize {
        self.projection.len()
    }

    /// Appends expressions over the current output columns to the output.
    pub fn map(mut self, expressions: impl IntoIterator<Item = MirScalarExpr>) -> Self {
        for mut e in expressions {
            e.permute_map(|c| self.projection[c]);
            self.projection.push(self.input_arity + self.expressions.len());
            self.expressions.push(e);
        }
        self
    }

    /// Adds predicates over the current output columns.
    pub fn filter(mut self, predicates: impl IntoIterator<Item = MirScalarExpr>) -> Self {
        for mut p in predicates {
            p.permute_map(|c| self.projection[c]);
            if !self.predicates.iter().any(|(_, other)| *other == p) {
                self.predicates.push((0, p));
            }
        }
        self.place_predicates();
        self
    }

    /// Gives each predicate the earliest position that it can have, and brings them into that order. What cannot fail comes
    /// first; what may fail stays behind those that are before it now.
    pub fn place_predicates(&mut self) {
        let mut latest = self.input_arity;
        for (position, p) in &mut self.predicates {
            *position = p.support().into_iter().max().map_or(0, |c| c + 1).max(self.input_arity);
            if p.could_error() {
                *position = latest.max(*position);
            }
            latest = latest.max(*position);
        }
        self.predicates.sort_by_key(|(position, p)| (*position, p.could_error()));
    }

    /// Keeps only these of the current output columns, in this order.
    pub fn project(mut self, outputs: impl IntoIterator<Item = usize>) -> Self {
        self.projection = outputs.into_iter().map(|c| self.projection[c]).collect();
        self
    }

    /// First `self`, then `other`, which is over `self`'s output.
    pub fn then(self, other: MapFilterProject) -> Self {
        let input_arity = other.input_arity;
        let predicates_at =
            |mfp: MapFilterProject, upto: usize, from: &mut usize, all: &[(usize, MirScalarExpr)]| {
                let mut mfp = mfp;
                while *from < all.len() && all[*from].0 <= upto {
                    mfp = mfp.filter([all[*from].1.clone()]);
                    *from += 1;
                }
                mfp
            };
        let mut next = 0;
        let mut out = predicates_at(self, input_arity, &mut next, &other.predicates);
        for (i, e) in other.expressions.into_iter().enumerate() {
            out = out.map([e]);
            out = predicates_at(out, input_arity + i + 1, &mut next, &other.predicates);
        }
        out.project(other.projection)
    }

    /// Removes expressions that nothing needs and inlines nothing.
    pub fn remove_unused(&mut self) {
        let mut needed: std::collections::BTreeSet<usize> = self.projection.iter().copied().collect();
        needed.extend(self.predicates.iter().flat_map(|(_, p)| p.support()));
        for i in (0..self.expressions.len()).rev() {
            if needed.contains(&(self.input_arity + i)) {
                needed.extend(self.expressions[i].support());
            }
        }
        let mut renumber: Vec<usize> = (0..self.input_arity).collect();
        let mut kept = vec![];
        for (i, mut e) in std::mem::take(&mut self.expressions).into_iter().enumerate() {
            if needed.contains(&(self.input_arity + i)) {
                e.permute_map(|c| renumber[c]);
                renumber.push(self.input_arity + kept.len());
                kept.push(e);
            } else {
                renumber.push(usize::MAX);
            }
        }
        self.expressions = kept;
        for (_, p) in &mut self.predicates {
            p.permute_map(|c| renumber[c]);
        }
        self.place_predicates();
        for c in &mut self.projection {
            *c = renumber[*c];
        }
    }

    /// Applies to one row. `datums` holds the input's columns and is extended; the output row is packed into `out`.
    /// Returns whether the row is kept.
    pub fn eval<'a>(
        &'a self,
        datums: &mut Vec<Datum<'a>>,
        arena: &'a RowArena,
        out: &mut Row,
    ) -> Result<bool, EvalError> {
        if !self.eval_columns(datums, arena)? {
            return Ok(false);
        }
        let mut packer = out.packer();
        for c in &self.projection {
            packer.push(datums[*c]);
        }
        Ok(true)
    }

    /// As [`MapFilterProject::eval`], leaving the output in `datums`, to be read through `projection`.
    pub fn eval_columns<'a>(
        &'a self,
        datums: &mut Vec<Datum<'a>>,
        arena: &'a RowArena,
    ) -> Result<bool, EvalError> {
        let mut next = 0;
        for (position, predicate) in &self.predicates {
            while self.input_arity + next < *position {
                let d = self.expressions[next].eval(datums, arena)?;
                datums.push(d);
                next += 1;
            }
            if predicate.eval(datums, arena)? != Datum::Bool(true) {
                return Ok(false);
            }
        }
        for e in &self.expressions[next..] {
            let d = e.eval(datums, arena)?;
            datums.push(d);
        }
        Ok(true)
    }
}
