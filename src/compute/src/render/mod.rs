//! Rendering of plans: LIR to operators, node by node, without decisions.
//!
//! A [`Context`] holds the scope in which a plan is rendered and the [`Bundle`] of each name. A bundle is what a node gives:
//! a collection (rows and errors), arrangements of it by key, or both. Rows and errors travel apart; a node passes its inputs'
//! errors on and adds its own.
//!
//! One file for each family of nodes. Everything is generic over the time ([`RenderTime`]), since plans with recursion run
//! under iteration counters.

pub(crate) mod arrange;
mod basic;
mod bundle;
mod collate;
mod constant;
mod flat_map;
pub(crate) mod half_join;
mod hierarchical;
mod join_delta;
mod join_linear;
pub(crate) mod let_rec;
pub(crate) mod mfp;
mod reduce;
mod sums;
mod threshold;
mod top_k;
mod union;
pub(crate) mod unpack;

use std::collections::BTreeMap;

use hw_expr::Id;
use hw_expr::relation::{LetRecLimit, LocalId};
use hw_plan::Lir;
use hw_plan::lir::{GetAccess, JoinPlan};
use hw_repr::Timestamp;
use timely::dataflow::Scope;

pub(crate) use bundle::{Bundle, Collection, Flavor};

use crate::time::RenderTime;

/// Where and for which times a plan is rendered.
pub(crate) struct Context<'scope, T: RenderTime> {
    /// The scope.
    pub(crate) scope: Scope<'scope, T>,
    /// The first time.
    pub(crate) as_of: Timestamp,
    /// The time from which nothing is needed; the greatest one stands for none.
    pub(crate) until: Timestamp,
    /// What names stand for.
    pub(crate) bindings: BTreeMap<Id, Bundle<'scope, T>>,
    /// How many `LetRec`s are around.
    pub(crate) depth: usize,
}

/// The bindings of a `LetRec`.
pub(crate) struct Stage<'a> {
    pub(crate) ids: &'a [LocalId],
    pub(crate) values: &'a [Lir],
    pub(crate) limits: &'a [Option<LetRecLimit>],
}

impl<'scope, T: RenderTime> Context<'scope, T> {
    /// Renders a plan. Plans may be deep: the stack grows as needed.
    pub(crate) fn render(&mut self, plan: &Lir) -> Bundle<'scope, T> {
        stacker::maybe_grow(128 << 10, 4 << 20, || self.render_node(plan))
    }

    fn render_node(&mut self, plan: &Lir) -> Bundle<'scope, T> {
        match plan {
            Lir::Constant { rows } => self.constant(rows).into(),
            Lir::Get { id, access } => self.get(id, access),
            Lir::Let { id, value, body } => {
                let value = self.render(value);
                let shadowed = self.bindings.insert(Id::Local(*id), value);
                let body = self.render(body);
                self.restore(Id::Local(*id), shadowed);
                body
            }
            Lir::LetRec { ids, values, limits, body } => {
                let shadowed: Vec<_> =
                    ids.iter().map(|id| (*id, self.bindings.remove(&Id::Local(*id)))).collect();
                T::render_let_rec(self, Stage { ids, values, limits });
                let body = self.render(body);
                for (id, shadowed) in shadowed {
                    self.restore(Id::Local(id), shadowed);
                }
                body
            }
            Lir::Mfp { input, input_key, input_arity, mfp } => {
                let input = self.render(input);
                match input_key {
                    None => input.collection().mfp(mfp, self.until).into(),
                    Some((key, literal)) => {
                        input.read(key, literal.as_ref(), *input_arity, mfp, self.until).into()
                    }
                }
            }
            Lir::FlatMap { input, func, exprs, mfp } => {
                let input = self.render(input).collection();
                flat_map::render(input, func, exprs, mfp, self.until).into()
            }
            Lir::Join { inputs, input_arities, plan } => {
                let inputs: Vec<_> = inputs.iter().map(|i| self.render(i)).collect();
                match plan {
                    JoinPlan::Linear(path) => {
                        join_linear::render(inputs, input_arities, path, self.until).into()
                    }
                    JoinPlan::Delta(paths) => {
                        let times = (self.as_of, self.until);
                        join_delta::render(self.scope, inputs, input_arities, paths, times).into()
                    }
                }
            }
            Lir::Reduce { input, key, plan, .. } => {
                let input = self.render(input).collection();
                reduce::render(input, key, plan, self.one_off())
            }
            Lir::TopK { input, plan } => {
                let one_off = self.one_off();
                top_k::render(self.render(input).collection(), plan, one_off).into()
            }
            Lir::Negate { input } => {
                let input = self.render(input).collection();
                Collection { oks: input.oks.negate(), errs: input.errs }.into()
            }
            Lir::Threshold { input, .. } => threshold::render(self.render(input).collection()).into(),
            Lir::Union { inputs, consolidate } => {
                let inputs: Vec<_> = inputs.iter().map(|i| self.render(i).collection()).collect();
                union::render(self.scope, inputs, *consolidate).into()
            }
            Lir::ArrangeBy { input, arity, keys, input_key } => {
                let input = self.render(input);
                arrange::render(input, *arity, keys, input_key.as_ref())
            }
        }
    }

    fn get(&mut self, id: &Id, access: &GetAccess) -> Bundle<'scope, T> {
        let bundle = self.bindings.get(id).expect("plans name what is bound").clone();
        match access {
            GetAccess::PassThrough => bundle,
            GetAccess::Collection(mfp) => bundle.collection().mfp(mfp, self.until).into(),
            GetAccess::Arrangement(key, literal, mfp) => {
                bundle.read(key, literal.as_ref(), mfp.mfp.input_arity, mfp, self.until).into()
            }
        }
    }

    /// Whether there is but one time, so that nothing changes and no levels are needed to make changes cheap.
    fn one_off(&self) -> bool {
        self.depth == 0 && self.until == self.as_of.saturating_add(1)
    }

    fn restore(&mut self, id: Id, shadowed: Option<Bundle<'scope, T>>) {
        match shadowed {
            Some(bundle) => self.bindings.insert(id, bundle),
            None => self.bindings.remove(&id),
        };
    }
}
