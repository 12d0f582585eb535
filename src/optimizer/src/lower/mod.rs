//! MIR to LIR.
//!
//! Maps, filters and projections are fused into the node below them. The arrangements that each node's result has are
//! tracked, so that nothing is arranged twice; which indexes a plan really uses is noted on the way.

mod join;
mod mfp;
mod reduce;

use std::collections::{BTreeMap, BTreeSet};

use hw_expr::{Id, MapFilterProject, MirRelationExpr, MirScalarExpr};
use hw_plan::Lir;
use hw_plan::lir::{GetAccess, Key, TopKPlan};
use hw_plan::temporal::MfpPlan;
use hw_repr::{GlobalId, Row};

use crate::error::OptimizerError;
use crate::literal::literal_keys;

pub(crate) use mfp::{extract_mfp, permute_input};

/// A plan and what its result offers.
pub(crate) struct Lowered {
    pub(crate) plan: Lir,
    /// The keys by which it is arranged.
    pub(crate) keys: Vec<Key>,
    /// Whether the collection is there apart from arrangements.
    pub(crate) raw: bool,
    /// How many columns there are.
    pub(crate) arity: usize,
    /// The import that this is, unchanged.
    pub(crate) import: Option<GlobalId>,
}

impl Lowered {
    fn collection(plan: Lir, arity: usize) -> Lowered {
        Lowered { plan, keys: vec![], raw: true, arity, import: None }
    }
}

/// What a name offers.
#[derive(Debug, Clone)]
pub(crate) struct Binding {
    pub(crate) keys: Vec<Key>,
    pub(crate) raw: bool,
    /// The import that it stands for, unchanged.
    pub(crate) import: Option<GlobalId>,
}

/// Lowers the objects of one dataflow.
pub(crate) struct Lowerer<'a> {
    /// What names offer: imports, objects that have been lowered, local bindings.
    pub(crate) bindings: BTreeMap<Id, Binding>,
    /// The keys of each import that are used.
    pub(crate) used: BTreeMap<GlobalId, BTreeSet<Key>>,
    /// Imports that are not built here, to be bound when first met.
    pub(crate) import: &'a dyn Fn(GlobalId) -> Option<Binding>,
    /// Whether the plan runs for one time only: `mz_now()` can be replaced before it runs, and nothing needs to be cheap to
    /// change.
    pub(crate) one_shot: bool,
    /// Whether what is lowered is in a recursive binding.
    pub(crate) in_loop: bool,
}

impl Lowerer<'_> {
    /// Lowers an object.
    pub(crate) fn lower(&mut self, expr: &MirRelationExpr) -> Result<Lowered, OptimizerError> {
        stacker::maybe_grow(128 << 10, 2 << 20, || {
            let (mfp, input) = extract_mfp(expr);
            self.lower_under(input, mfp)
        })
    }

    fn plan(&self, mfp: MapFilterProject) -> Result<MfpPlan, OptimizerError> {
        mfp::plan_mfp(mfp, self.one_shot)
    }

    /// Lowers a node that is no map, filter or projection, under these.
    fn lower_under(
        &mut self,
        expr: &MirRelationExpr,
        mfp: MapFilterProject,
    ) -> Result<Lowered, OptimizerError> {
        match expr {
            MirRelationExpr::Get { id, typ } => self.lower_get(*id, typ.arity(), mfp),
            MirRelationExpr::Let { id, value, body } => {
                let value = self.lower(value)?;
                let name = Id::Local(*id);
                let binding = Binding { keys: value.keys.clone(), raw: value.raw, import: value.import };
                let shadowed = self.bindings.insert(name, binding);
                let mut body = self.lower_under_again(body, mfp)?;
                self.restore(name, shadowed);
                body.plan = Lir::Let { id: *id, value: Box::new(value.plan), body: Box::new(body.plan) };
                Ok(body)
            }
            MirRelationExpr::LetRec { ids, values, limits, body } => {
                let names: Vec<Id> = ids.iter().map(|id| Id::Local(*id)).collect();
                let fixed = || Binding { keys: vec![], raw: true, import: None };
                let shadowed: Vec<_> =
                    names.iter().map(|name| (*name, self.bindings.insert(*name, fixed()))).collect();
                let outside = std::mem::replace(&mut self.in_loop, true);
                let values = values.iter().map(|v| Ok(self.lower_read(v)?.plan));
                let values = values.collect::<Result<Vec<_>, OptimizerError>>()?;
                self.in_loop = outside;
                let mut body = self.lower_under_again(body, mfp)?;
                for (name, old) in shadowed {
                    self.restore(name, old);
                }
                let (ids, limits) = (ids.clone(), limits.clone());
                body.plan = Lir::LetRec { ids, values, limits, body: Box::new(body.plan) };
                Ok(body)
            }
            MirRelationExpr::Join { inputs, equivalences, implementation } => {
                self.lower_join(inputs, equivalences, implementation, mfp)
            }
            MirRelationExpr::FlatMap { input, func, exprs } => {
                let mut input = self.lower_read(input)?.plan;
                // A row that comes and goes would be given one value when it comes and another when it goes.
                if exprs.iter().any(MirScalarExpr::contains_volatile)
                    && !matches!(input, Lir::Constant { .. })
                {
                    input = Lir::Union { inputs: vec![input], consolidate: true };
                }
                let input = Box::new(input);
                let arity = mfp.output_arity();
                let mfp = self.plan(mfp)?;
                let plan = Lir::FlatMap { input, func: func.clone(), exprs: exprs.clone(), mfp };
                Ok(Lowered::collection(plan, arity))
            }
            other => {
                let lowered = self.lower_operator(other)?;
                self.apply(lowered, mfp)
            }
        }
    }

    /// As [`Lowerer::lower_under`], where `expr` may have maps, filters and projections at its top.
    fn lower_under_again(
        &mut self,
        expr: &MirRelationExpr,
        above: MapFilterProject,
    ) -> Result<Lowered, OptimizerError> {
        stacker::maybe_grow(128 << 10, 2 << 20, || {
            let (mfp, input) = extract_mfp(expr);
            self.lower_under(input, mfp.then(above))
        })
    }

    /// Lowers what is read as a collection.
    fn lower_read(&mut self, expr: &MirRelationExpr) -> Result<Lowered, OptimizerError> {
        let lowered = self.lower(expr)?;
        self.note_read(&lowered);
        Ok(lowered)
    }

    /// Nodes with one kind of result, without anything above them.
    fn lower_operator(&mut self, expr: &MirRelationExpr) -> Result<Lowered, OptimizerError> {
        match expr {
            MirRelationExpr::Constant { rows, typ } => {
                Ok(Lowered::collection(Lir::Constant { rows: rows.clone() }, typ.arity()))
            }
            MirRelationExpr::Reduce { input, group_key, aggregates, monotonic, expected_group_size } => {
                let input = self.lower_read(input)?;
                let size = if self.one_shot { Some(0) } else { *expected_group_size };
                let plan = reduce::plan_reduce(aggregates, *monotonic, size)?;
                let keys = vec![(0..group_key.len()).map(MirScalarExpr::Column).collect()];
                let plan = Lir::Reduce {
                    input_arity: input.arity,
                    input: Box::new(input.plan),
                    key: group_key.clone(),
                    plan,
                    expected_group_size: *expected_group_size,
                };
                let arity = group_key.len() + aggregates.len();
                Ok(Lowered { plan, keys, raw: false, arity, import: None })
            }
            MirRelationExpr::TopK {
                input,
                group_key,
                order_key,
                limit,
                offset,
                monotonic,
                expected_group_size,
            } => {
                let column_types = input.column_types();
                let input = self.lower_read(input)?;
                let arity = input.arity;
                let plan = TopKPlan {
                    group_key: group_key.clone(),
                    order_key: order_key.clone(),
                    limit: limit.clone(),
                    offset: *offset,
                    column_types,
                    monotonic: *monotonic,
                    buckets: if *monotonic || self.one_shot {
                        vec![]
                    } else {
                        reduce::buckets(*expected_group_size)
                    },
                };
                Ok(Lowered::collection(Lir::TopK { input: Box::new(input.plan), plan }, arity))
            }
            MirRelationExpr::Negate { input } => {
                let input = self.lower_read(input)?;
                Ok(Lowered::collection(Lir::Negate { input: Box::new(input.plan) }, input.arity))
            }
            MirRelationExpr::Threshold { input } => {
                let input = self.lower_read(input)?;
                let arity = input.arity;
                Ok(Lowered::collection(Lir::Threshold { input: Box::new(input.plan), arity }, arity))
            }
            MirRelationExpr::Union { inputs } => {
                let consolidate = inputs.iter().any(negates);
                let inputs = inputs.iter().map(|i| self.lower_read(i)).collect::<Result<Vec<_>, _>>()?;
                let arity = inputs.first().map_or(0, |i| i.arity);
                let inputs = inputs.into_iter().map(|i| i.plan).collect();
                Ok(Lowered::collection(Lir::Union { inputs, consolidate }, arity))
            }
            MirRelationExpr::ArrangeBy { input, keys } => {
                let mut input = self.lower(input)?;
                for key in keys {
                    self.arrange(&mut input, key);
                }
                Ok(input)
            }
            _ => Err(OptimizerError::internal("node was lowered before")),
        }
    }

    fn lower_get(&mut self, id: Id, arity: usize, mfp: MapFilterProject) -> Result<Lowered, OptimizerError> {
        let binding = self.binding(id)?;
        let import = binding.import;
        let plan = Lir::Get { id, access: GetAccess::PassThrough };
        let whole = Lowered { plan, keys: binding.keys, raw: binding.raw, arity, import };
        if mfp.is_identity() {
            return Ok(whole);
        }
        self.apply(whole, mfp)
    }

    pub(crate) fn binding(&mut self, id: Id) -> Result<Binding, OptimizerError> {
        if let Some(binding) = self.bindings.get(&id) {
            return Ok(binding.clone());
        }
        match id {
            Id::Local(id) => Err(OptimizerError::internal(format!("unbound {id}"))),
            Id::Global(global) => {
                let binding = (self.import)(global).ok_or(OptimizerError::UnknownCollection(global))?;
                self.bindings.insert(id, binding.clone());
                self.used.entry(global).or_default();
                Ok(binding)
            }
        }
    }

    /// Applies a map-filter-project, reading from the arrangement that suits it best.
    fn apply(&mut self, input: Lowered, mfp: MapFilterProject) -> Result<Lowered, OptimizerError> {
        if mfp.is_identity() {
            return Ok(input);
        }
        let arity = mfp.output_arity();
        let (input_key, mfp) = self.choose_access(&input, mfp);
        let mfp = self.plan(mfp)?;
        if let Some((key, _)) = &input_key {
            self.note_use(&input, key);
        }
        let plan = match (input.plan, input_key) {
            (Lir::Get { id, access: GetAccess::PassThrough }, None) => {
                Lir::Get { id, access: GetAccess::Collection(mfp) }
            }
            (Lir::Get { id, access: GetAccess::PassThrough }, Some((key, literal))) => {
                Lir::Get { id, access: GetAccess::Arrangement(key, literal, mfp) }
            }
            (plan, input_key) => Lir::Mfp { input: Box::new(plan), input_key, input_arity: input.arity, mfp },
        };
        Ok(Lowered::collection(plan, arity))
    }

    /// The arrangement to read, with a literal key if the predicates give exactly one.
    #[allow(clippy::type_complexity)]
    fn choose_access(
        &self,
        input: &Lowered,
        mfp: MapFilterProject,
    ) -> (Option<(Key, Option<Row>)>, MapFilterProject) {
        for key in &input.keys {
            if let Some(found) = literal_keys(&mfp, key)
                && let [row] = found.rows.as_slice()
            {
                return (Some((key.clone(), Some(row.clone()))), found.rest);
            }
        }
        if input.raw {
            return (None, mfp);
        }
        (input.keys.first().map(|key| (key.clone(), None)), mfp)
    }

    /// Makes sure that the input is arranged by the key.
    pub(crate) fn arrange(&mut self, input: &mut Lowered, key: &Key) {
        if input.keys.contains(key) {
            self.note_use(input, key);
            return;
        }
        let input_key = if input.raw { None } else { input.keys.first().cloned() };
        if let Some(key) = &input_key {
            self.note_use(input, key);
        }
        input.keys.push(key.clone());
        if let Lir::ArrangeBy { keys, .. } = &mut input.plan {
            keys.push(key.clone());
            return;
        }
        let unit = Lir::Constant { rows: Ok(vec![]) };
        let plan = Box::new(std::mem::replace(&mut input.plan, unit));
        input.plan = Lir::ArrangeBy { input: plan, arity: input.arity, keys: vec![key.clone()], input_key };
        input.raw = true;
    }

    /// Notes that an import's arrangement is used.
    fn note_use(&mut self, input: &Lowered, key: &Key) {
        if let Some(id) = input.import {
            self.used.entry(id).or_default().insert(key.clone());
        }
    }

    /// Notes that a result is read as a collection.
    fn note_read(&mut self, input: &Lowered) {
        if !input.raw
            && let Some(id) = input.import
            && let Some(key) = input.keys.first()
            && self.used.get(&id).is_none_or(BTreeSet::is_empty)
        {
            self.used.entry(id).or_default().insert(key.clone());
        }
    }

    fn restore(&mut self, name: Id, shadowed: Option<Binding>) {
        match shadowed {
            Some(binding) => self.bindings.insert(name, binding),
            None => self.bindings.remove(&name),
        };
    }
}

/// Whether rows are subtracted, as far as one can see at the top.
fn negates(expr: &MirRelationExpr) -> bool {
    match expr {
        MirRelationExpr::Negate { .. } => true,
        MirRelationExpr::Map { input, .. }
        | MirRelationExpr::Filter { input, .. }
        | MirRelationExpr::Project { input, .. } => negates(input),
        _ => false,
    }
}
