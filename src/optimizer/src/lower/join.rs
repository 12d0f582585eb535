//! Joins to paths of lookups.
//!
//! A path starts with one input and looks up the others one after the other. Each stage's map-filter-project applies the
//! predicates that have become possible and drops the columns that nothing needs any more; the last one applies what was
//! above the join.
//!
//! * A plan that runs for one time only needs one path, and no arrangements of what is on it. Loops have many times.
//! * A delta join's last path does the work when the inputs appear, so that one is last whose source predicates restrict most.

use std::collections::BTreeSet;

use hw_expr::func::Func;
use hw_expr::{JoinImplementation, MapFilterProject, MirRelationExpr, MirScalarExpr};
use hw_plan::Lir;
use hw_plan::lir::{JoinPath, JoinPlan, JoinStage, Key};
use hw_repr::{ColumnType, Row};

use super::mfp::{demand, permute_input};
use super::{Lowered, Lowerer};
use crate::error::OptimizerError;
use crate::transform::join_implementation::strength;

/// The inputs' columns side by side.
struct Shape {
    arities: Vec<usize>,
    offsets: Vec<usize>,
    types: Vec<ColumnType>,
    equivalences: Vec<Vec<MirScalarExpr>>,
}

impl Shape {
    fn columns(&self, input: usize) -> std::ops::Range<usize> {
        self.offsets[input]..self.offsets[input] + self.arities[input]
    }

    fn total(&self) -> usize {
        self.types.len()
    }

    /// An input's own expression over all columns.
    fn global(&self, input: usize, expr: &MirScalarExpr) -> MirScalarExpr {
        let mut expr = expr.clone();
        let offset = self.offsets[input];
        expr.permute_map(|c| c + offset);
        expr
    }

    /// An expression over all columns as the input's own, if it uses no others and at least one.
    fn local(&self, input: usize, expr: &MirScalarExpr) -> Option<MirScalarExpr> {
        let range = self.columns(input);
        let support = expr.support();
        if support.is_empty() || !support.iter().all(|c| range.contains(c)) {
            return None;
        }
        let mut expr = expr.clone();
        expr.permute_map(|c| c - range.start);
        Some(expr)
    }

    /// Keys by which the input can be looked up from these columns: for each class one expression on either side.
    fn lookup(&self, have: &BTreeSet<usize>, input: usize) -> Vec<(MirScalarExpr, MirScalarExpr)> {
        let bound = |e: &&MirScalarExpr| e.support().iter().all(|c| have.contains(c));
        let pair = |class: &Vec<MirScalarExpr>| {
            let stream = class.iter().filter(bound).min_by_key(|e| !matches!(e, MirScalarExpr::Column(_)))?;
            let own = class
                .iter()
                .filter_map(|e| self.local(input, e))
                .min_by_key(|e| !matches!(e, MirScalarExpr::Column(_)))?;
            Some((stream.clone(), own))
        };
        self.equivalences.iter().filter_map(pair).collect()
    }
}

/// `a` and `b` have the same value or are both NULL.
pub(crate) fn null_safe_equal(
    a: MirScalarExpr,
    b: MirScalarExpr,
    types: &[ColumnType],
) -> Result<MirScalarExpr, OptimizerError> {
    let (ta, tb) = (a.typ(types), b.typ(types));
    let func = Func::operator("=", vec![ta.scalar_type.clone(), tb.scalar_type.clone()])
        .ok_or_else(|| OptimizerError::internal(format!("no equality of {:?} and {:?}", ta, tb)))?;
    let equal = MirScalarExpr::call(func, vec![a.clone(), b.clone()]);
    if !ta.nullable || !tb.nullable {
        return Ok(equal);
    }
    let both_null = MirScalarExpr::And(vec![a.is_null(), b.is_null()]);
    Ok(MirScalarExpr::Or(vec![equal, both_null]))
}

impl Lowerer<'_> {
    pub(super) fn lower_join(
        &mut self,
        inputs: &[MirRelationExpr],
        equivalences: &[Vec<MirScalarExpr>],
        implementation: &JoinImplementation,
        mfp: MapFilterProject,
    ) -> Result<Lowered, OptimizerError> {
        let lowered = inputs.iter().map(|i| self.lower(i)).collect::<Result<Vec<_>, _>>()?;
        let mut shape = Shape {
            arities: lowered.iter().map(|l| l.arity).collect(),
            offsets: vec![],
            types: inputs.iter().flat_map(MirRelationExpr::column_types).collect(),
            equivalences: equivalences.to_vec(),
        };
        let mut offset = 0;
        for arity in &shape.arities {
            shape.offsets.push(offset);
            offset += arity;
        }
        match lowered.len() {
            0 => {
                let unit = Lowered::collection(Lir::Constant { rows: Ok(vec![(Row::default(), 1)]) }, 0);
                return self.apply(unit, mfp);
            }
            1 => {
                let mut all = MapFilterProject::new(shape.total());
                for class in equivalences {
                    for other in &class[1..] {
                        all = all.filter([null_safe_equal(class[0].clone(), other.clone(), &shape.types)?]);
                    }
                }
                let [input] =
                    <[Lowered; 1]>::try_from(lowered).map_err(|_| OptimizerError::internal("one input"))?;
                return self.apply(input, all.then(mfp));
            }
            _ => {}
        }
        match implementation {
            JoinImplementation::Unimplemented => {
                let order = (0..inputs.len()).map(|i| (i, None)).collect();
                self.linear(lowered, &shape, order, mfp)
            }
            JoinImplementation::Linear(order) => {
                let order =
                    order.iter().enumerate().map(|(at, (i, k))| (*i, (at > 0).then(|| k.clone()))).collect();
                self.linear(lowered, &shape, order, mfp)
            }
            JoinImplementation::Delta(orders) => self.delta(lowered, &shape, orders, mfp),
        }
    }

    fn linear(
        &mut self,
        mut inputs: Vec<Lowered>,
        shape: &Shape,
        order: Vec<(usize, Option<Key>)>,
        mfp: MapFilterProject,
    ) -> Result<Lowered, OptimizerError> {
        let source = order[0].0;
        let arity = mfp.output_arity();
        if self.one_shot && !self.in_loop {
            let mut path = self.path(&mut inputs, shape, source, &order[1..], mfp, false)?;
            if !inputs[source].raw {
                path.source_key = inputs[source].keys.first().cloned();
            }
            if let Some(key) = &path.source_key {
                self.note_use(&inputs[source], key);
            }
            return Ok(join(inputs, shape, JoinPlan::Delta(vec![path]), arity));
        }
        let mut path = self.path(&mut inputs, shape, source, &order[1..], mfp, true)?;
        let first = &path.stages[0].stream_key;
        let source_input = &mut inputs[source];
        if source_input.keys.contains(first) && path.initial.is_identity() {
            path.source_key = Some(first.clone());
        } else if !source_input.raw {
            path.source_key = source_input.keys.first().cloned();
        }
        if let Some(key) = &path.source_key {
            self.note_use(source_input, key);
        }
        Ok(join(inputs, shape, JoinPlan::Linear(path), arity))
    }

    fn delta(
        &mut self,
        mut inputs: Vec<Lowered>,
        shape: &Shape,
        orders: &[Vec<(usize, Key)>],
        mfp: MapFilterProject,
    ) -> Result<Lowered, OptimizerError> {
        let arity = mfp.output_arity();
        let mut paths = vec![];
        for (source, order) in orders.iter().enumerate() {
            let order: Vec<_> = order.iter().map(|(i, k)| (*i, Some(k.clone()))).collect();
            paths.push(self.path(&mut inputs, shape, source, &order, mfp.clone(), false)?);
        }
        for (source, path) in paths.iter_mut().enumerate() {
            // Every input has been looked up by another's path.
            let key = inputs[source].keys.first().cloned();
            let key = key.ok_or_else(|| OptimizerError::internal("a delta join's input is arranged"))?;
            self.note_use(&inputs[source], &key);
            path.source_key = Some(key);
        }
        paths.sort_by_key(|path| strength(path.initial.mfp.predicates.iter().map(|(_, p)| p)));
        Ok(join(inputs, shape, JoinPlan::Delta(paths), arity))
    }

    /// The path from `source` through `order`; what is looked up is arranged. `whole` keeps all columns of a source without
    /// predicates, so that its arrangement can be used as it is.
    fn path(
        &mut self,
        inputs: &mut [Lowered],
        shape: &Shape,
        source: usize,
        order: &[(usize, Option<Key>)],
        above: MapFilterProject,
        whole: bool,
    ) -> Result<JoinPath, OptimizerError> {
        let mut state = PathState::new(shape, source, above)?;
        // Which columns each stage's key needs is known only when the stages are: choose keys first.
        let mut have: BTreeSet<usize> = shape.columns(source).collect();
        let mut lookups = vec![];
        for (input, key) in order {
            let pairs = match key {
                None => shape.lookup(&have, *input),
                Some(key) => key_pairs(shape, &have, *input, key)?,
            };
            have.extend(shape.columns(*input));
            lookups.push((*input, pairs));
        }
        let initial = state.initial(&lookups, whole)?;
        let mut stages = vec![];
        for (at, (input, pairs)) in lookups.iter().enumerate() {
            let (stream_key, lookup_key): (Key, Key) = pairs.iter().cloned().unzip();
            self.arrange(&mut inputs[*input], &lookup_key);
            stages.push(state.stage(*input, stream_key, lookup_key, &lookups[at + 1..])?);
        }
        let plan = |mfp| self.plan(mfp);
        let stages = stages
            .into_iter()
            .map(|(input, stream_key, stream_arity, lookup_key, mfp)| {
                Ok(JoinStage { input, stream_key, stream_arity, lookup_key, mfp: plan(mfp)? })
            })
            .collect::<Result<_, OptimizerError>>()?;
        Ok(JoinPath { source, source_key: None, initial: plan(initial)?, stages })
    }
}

fn join(inputs: Vec<Lowered>, shape: &Shape, plan: JoinPlan, arity: usize) -> Lowered {
    let inputs = inputs.into_iter().map(|l| l.plan).collect();
    Lowered::collection(Lir::Join { inputs, input_arities: shape.arities.clone(), plan }, arity)
}

/// For a given key of an input, the expressions over `have` that it is looked up by.
fn key_pairs(
    shape: &Shape,
    have: &BTreeSet<usize>,
    input: usize,
    key: &Key,
) -> Result<Vec<(MirScalarExpr, MirScalarExpr)>, OptimizerError> {
    let bound = |e: &&MirScalarExpr| e.support().iter().all(|c| have.contains(c));
    key.iter()
        .map(|k| {
            let own = shape.global(input, k);
            let classes = shape.equivalences.iter().filter(|c| c.contains(&own));
            let stream = classes
                .filter_map(|c| c.iter().filter(bound).min_by_key(|e| !matches!(e, MirScalarExpr::Column(_))))
                .next();
            let stream =
                stream.ok_or_else(|| OptimizerError::internal("a lookup key has an equal in the stream"))?;
            Ok((stream.clone(), k.clone()))
        })
        .collect()
}

type Lookup = (usize, Vec<(MirScalarExpr, MirScalarExpr)>);

/// What is known on the way along a path.
struct PathState<'a> {
    shape: &'a Shape,
    /// The columns of the stream, as positions among all columns.
    stream: Vec<usize>,
    /// Predicates over all columns that are still to be applied.
    pending: Vec<MirScalarExpr>,
    /// Classes with the expressions that are known to be equal so far.
    known: Vec<Vec<MirScalarExpr>>,
    above: MapFilterProject,
}

impl<'a> PathState<'a> {
    fn new(shape: &'a Shape, source: usize, mut above: MapFilterProject) -> Result<Self, OptimizerError> {
        // Predicates that cannot fail are applied as soon as their columns are there.
        let total = shape.total();
        let (early, late): (Vec<_>, Vec<_>) = above.predicates.into_iter().partition(|(position, p)| {
            *position <= total && !p.could_error() && !p.contains_unmaterializable()
        });
        above.predicates = late;
        Ok(PathState {
            shape,
            stream: shape.columns(source).collect(),
            pending: early.into_iter().map(|(_, p)| p).collect(),
            known: vec![vec![]; shape.equivalences.len()],
            above,
        })
    }

    /// Predicates that can be applied to these columns, and that have not been.
    fn applicable(&mut self, columns: &BTreeSet<usize>) -> Result<Vec<MirScalarExpr>, OptimizerError> {
        let (now, later) =
            std::mem::take(&mut self.pending).into_iter().partition(|p| p.support().is_subset(columns));
        self.pending = later;
        let mut out: Vec<MirScalarExpr> = now;
        for (class, known) in self.shape.equivalences.iter().zip(&mut self.known) {
            for e in class {
                if known.contains(e) || !e.support().is_subset(columns) {
                    continue;
                }
                if let Some(first) = known.first() {
                    out.push(null_safe_equal(first.clone(), e.clone(), &self.shape.types)?);
                }
                known.push(e.clone());
            }
        }
        Ok(out)
    }

    /// The columns that later stages and what is above the join need.
    fn needed(&self, later: &[Lookup]) -> BTreeSet<usize> {
        let mut out = demand(&self.above);
        out.extend(self.pending.iter().flat_map(MirScalarExpr::support));
        out.extend(later.iter().flat_map(|(_, pairs)| pairs.iter().flat_map(|(stream, _)| stream.support())));
        for (class, known) in self.shape.equivalences.iter().zip(&self.known) {
            if known.len() < class.len() {
                out.extend(class.iter().flat_map(MirScalarExpr::support));
            }
        }
        out
    }

    /// Applies predicates to the columns `columns` and keeps those that are needed.
    fn narrow(&mut self, columns: Vec<usize>, later: &[Lookup]) -> Result<MapFilterProject, OptimizerError> {
        let set: BTreeSet<usize> = columns.iter().copied().collect();
        let predicates = self.applicable(&set)?;
        let needed = self.needed(later);
        let position = |c: usize| columns.iter().position(|x| *x == c).unwrap_or(usize::MAX);
        let predicates = predicates.into_iter().map(|mut p| {
            p.permute_map(position);
            p
        });
        let mfp = MapFilterProject::new(columns.len()).filter(predicates.collect::<Vec<_>>());
        self.stream = columns.iter().copied().filter(|c| needed.contains(c)).collect();
        Ok(mfp.project(self.stream.iter().map(|c| position(*c)).collect::<Vec<_>>()))
    }

    fn initial(&mut self, lookups: &[Lookup], whole: bool) -> Result<MapFilterProject, OptimizerError> {
        let columns = self.stream.clone();
        let arity = columns.len();
        let kept = self.stream.clone();
        let mfp = self.narrow(columns, lookups)?;
        if whole && mfp.predicates.is_empty() {
            self.stream = kept;
            return Ok(MapFilterProject::new(arity));
        }
        Ok(mfp)
    }

    #[allow(clippy::type_complexity)]
    fn stage(
        &mut self,
        input: usize,
        stream_key: Key,
        lookup_key: Key,
        later: &[Lookup],
    ) -> Result<(usize, Key, usize, Key, MapFilterProject), OptimizerError> {
        let stream_arity = self.stream.len();
        let position_in =
            |columns: &[usize], c: usize| columns.iter().position(|x| *x == c).unwrap_or(usize::MAX);
        // What the lookup makes equal needs no predicate.
        for (own, stream) in lookup_key.iter().zip(&stream_key) {
            let own = self.shape.global(input, own);
            for (class, known) in self.shape.equivalences.iter().zip(&mut self.known) {
                if known.contains(stream) && class.contains(&own) && !known.contains(&own) {
                    known.push(own.clone());
                }
            }
        }
        let stream = self.stream.clone();
        let stream_key = stream_key
            .into_iter()
            .map(|mut k| {
                k.permute_map(|c| position_in(&stream, c));
                k
            })
            .collect();
        let columns: Vec<usize> = self.stream.iter().copied().chain(self.shape.columns(input)).collect();
        let mut mfp = self.narrow(columns.clone(), later)?;
        if later.is_empty() {
            let stream = self.stream.clone();
            let above = permute_input(self.above.clone(), stream.len(), |c| position_in(&stream, c));
            mfp = mfp.then(above);
        }
        Ok((input, stream_key, stream_arity, lookup_key, mfp))
    }
}
