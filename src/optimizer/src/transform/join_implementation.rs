//! The order and kind of joins.
//!
//! For each input to start with, the others are taken greedily: connected ones before cross joins, those looked up by a key
//! of theirs (they add no rows), those that are arranged already, those that a predicate restricts. Of the orders, the one is
//! taken whose worst steps are best, those first that start with an input that an equality with a literal picks out; then
//! those that start with or soon come to inputs that predicates restrict.
//!
//! A delta join keeps no intermediate results. It is taken when it needs no more new arrangements than the linear join
//! would; for plans that run once, when it needs none.
//!
//! Maps, filters and projections between a join and an indexed collection are lifted above the join when an index then
//! serves it.
//!
//! ```text
//! Join(Project #1, #0 (t), b) on #1 = #2     Project (Join(t, b) on #0 = #3), looked up in the index on t(#0)
//! ```

use std::collections::{BTreeMap, BTreeSet};

use hw_expr::func::Role;
use hw_expr::{Id, JoinImplementation, LocalId, MapFilterProject, MirRelationExpr, MirScalarExpr};
use hw_repr::GlobalId;

use super::{substitute, take};
use crate::analysis::keys;
use crate::lower::extract_mfp;

type Key = Vec<MirScalarExpr>;
/// The indexes of a collection.
pub(crate) type Indexes<'a> = &'a dyn Fn(GlobalId) -> Vec<(GlobalId, Key)>;

/// With more inputs than this, not every one is tried as the start.
const MAX_STARTS: usize = 12;
/// Delta joins have one path for each input: with more inputs than this they are not considered.
const MAX_DELTA_INPUTS: usize = 12;

/// Decides all joins of the plan.
pub(crate) fn apply(expr: &mut MirRelationExpr, indexes: Indexes<'_>, one_shot: bool) {
    let mut arranged: BTreeMap<LocalId, Vec<Key>> = BTreeMap::new();
    expr.visit_post(&mut |e| {
        if let MirRelationExpr::Let { id, value, .. } = e {
            arranged.insert(*id, natural(value));
        }
    });
    expr.visit_mut_post(&mut |e| {
        if matches!(e, MirRelationExpr::Join { implementation: JoinImplementation::Unimplemented, .. }) {
            decide(e, indexes, &arranged, one_shot);
        }
    });
}

/// The keys by which a node's result is arranged as it is made.
fn natural(e: &MirRelationExpr) -> Vec<Key> {
    match e {
        MirRelationExpr::Reduce { group_key, .. } => {
            vec![(0..group_key.len()).map(MirScalarExpr::Column).collect()]
        }
        MirRelationExpr::ArrangeBy { input, keys } => {
            let mut out = natural(input);
            out.extend(keys.iter().cloned());
            out
        }
        _ => vec![],
    }
}

fn decide(
    e: &mut MirRelationExpr,
    indexes: Indexes<'_>,
    arranged: &BTreeMap<LocalId, Vec<Key>>,
    one_shot: bool,
) {
    let MirRelationExpr::Join { inputs, .. } = e else { return };
    // Predicates that are lifted restrict all the same.
    let restricted = inputs.iter().map(restriction).collect();
    let above = lift(e, indexes);
    let MirRelationExpr::Join { inputs, equivalences, implementation } = e else { return };
    if inputs.len() > 1 {
        let planner = Planner::new(inputs, equivalences, indexes, arranged, restricted);
        let (chosen, needed) = planner.choose(one_shot);
        *implementation = chosen;
        for (i, keys) in needed {
            inputs[i] = MirRelationExpr::ArrangeBy { input: Box::new(take(&mut inputs[i])), keys };
        }
    }
    if let Some(mfp) = above {
        *e = super::fusion::with_mfp(take(e), mfp);
    }
}

/// Lifts what is between the join and indexed collections; returns what to apply above the join.
fn lift(e: &mut MirRelationExpr, indexes: Indexes<'_>) -> Option<MapFilterProject> {
    let MirRelationExpr::Join { inputs, equivalences, .. } = e else { return None };
    let mut lifted = false;
    for i in 0..inputs.len() {
        let Some((mfp, get)) = liftable(&inputs[i], indexes) else { continue };
        let served = |e: &MirRelationExpr| -> bool {
            let MirRelationExpr::Get { id: Id::Global(id), .. } = e else { return false };
            let offset: usize = inputs[..i].iter().map(MirRelationExpr::arity).sum();
            let written = written_out(&mfp);
            indexes(*id).iter().any(|(_, key)| {
                !key.is_empty()
                    && key.iter().all(|k| {
                        equivalences.iter().any(|class| {
                            let own = |x: &MirScalarExpr| local(x, offset, written.len());
                            class.iter().any(|x| {
                                own(x).is_some_and(|x| substitute(&x, &|c| written[c].clone()) == *k)
                            }) && class.iter().any(|x| own(x).is_none())
                        })
                    })
            })
        };
        if served(&get) {
            lifted = true;
            break;
        }
    }
    if !lifted {
        return None;
    }
    // One input at a time would move columns about repeatedly: rewrite all that are served at once.
    let old: Vec<usize> = inputs.iter().map(MirRelationExpr::arity).collect();
    let mut mfps: Vec<Option<MapFilterProject>> = vec![];
    let starts: Vec<usize> = old.iter().scan(0, |at, a| Some(std::mem::replace(at, *at + a))).collect();
    for (i, input) in inputs.iter_mut().enumerate() {
        let taken = match liftable(input, indexes) {
            Some((mfp, get)) => {
                let written = written_out(&mfp);
                let useful = match &get {
                    MirRelationExpr::Get { id: Id::Global(id), .. } => indexes(*id).iter().any(|(_, key)| {
                        !key.is_empty()
                            && key.iter().all(|k| {
                                equivalences.iter().any(|class| {
                                    class.iter().any(|x| {
                                        local(x, starts[i], old[i])
                                            .is_some_and(|x| substitute(&x, &|c| written[c].clone()) == *k)
                                    }) && class.iter().any(|x| local(x, starts[i], old[i]).is_none())
                                })
                            })
                    }),
                    _ => false,
                };
                useful.then(|| {
                    *input = get;
                    mfp
                })
            }
            None => None,
        };
        mfps.push(taken);
    }
    let new: Vec<usize> = inputs.iter().map(MirRelationExpr::arity).collect();
    let total: usize = new.iter().sum();
    let mut above = MapFilterProject::new(total);
    let mut columns: Vec<MirScalarExpr> = vec![];
    let mut start = 0;
    for (i, mfp) in mfps.into_iter().enumerate() {
        let shifted = |e: &MirScalarExpr| {
            let mut e = e.clone();
            e.permute_map(|c| c + start);
            e
        };
        match mfp {
            None => columns.extend((0..new[i]).map(|c| MirScalarExpr::Column(start + c))),
            Some(mfp) => {
                let all = expressions_out(&mfp);
                let predicates =
                    mfp.predicates.iter().map(|(_, p)| shifted(&substitute(p, &|c| all[c].clone())));
                above = above.filter(predicates.collect::<Vec<_>>());
                columns.extend(written_out(&mfp).iter().map(shifted));
            }
        }
        start += new[i];
    }
    for class in equivalences.iter_mut() {
        for e in class.iter_mut() {
            *e = substitute(e, &|c| columns[c].clone());
        }
    }
    super::fusion::merge_classes(equivalences);
    let count = columns.len();
    above = above.map(columns);
    let outputs: Vec<usize> = (total..total + count).collect();
    Some(super::fusion::tidy(above.project(outputs)))
}

/// A map-filter-project that does something, over an indexed collection, and that cannot fail.
fn liftable(input: &MirRelationExpr, indexes: Indexes<'_>) -> Option<(MapFilterProject, MirRelationExpr)> {
    let (mfp, get) = extract_mfp(input);
    let MirRelationExpr::Get { id: Id::Global(id), .. } = get else { return None };
    let exprs = || mfp.expressions.iter().chain(mfp.predicates.iter().map(|(_, p)| p));
    let plain = exprs().all(|e| !e.could_error() && !e.contains_unmaterializable());
    (plain && !mfp.is_identity() && !indexes(*id).is_empty()).then(|| (mfp, get.clone()))
}

/// Input columns and appended ones, over input columns only.
fn expressions_out(mfp: &MapFilterProject) -> Vec<MirScalarExpr> {
    let mut all: Vec<MirScalarExpr> = (0..mfp.input_arity).map(MirScalarExpr::Column).collect();
    for e in &mfp.expressions {
        let e = substitute(e, &|c| all[c].clone());
        all.push(e);
    }
    all
}

/// The output columns over input columns.
fn written_out(mfp: &MapFilterProject) -> Vec<MirScalarExpr> {
    let all = expressions_out(mfp);
    mfp.projection.iter().map(|c| all[*c].clone()).collect()
}

/// An expression over the columns `offset..offset + arity` only, as one over the input's own.
fn local(e: &MirScalarExpr, offset: usize, arity: usize) -> Option<MirScalarExpr> {
    let support = e.support();
    if support.is_empty() || !support.iter().all(|c| (offset..offset + arity).contains(c)) {
        return None;
    }
    let mut e = e.clone();
    e.permute_map(|c| c - offset);
    Some(e)
}

/// How good a step is; better steps are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    connected: bool,
    unique: bool,
    arranged: bool,
    restricted: u8,
    /// Earlier inputs first.
    position: std::cmp::Reverse<usize>,
}

struct Planner<'a> {
    offsets: Vec<usize>,
    classes: &'a [Vec<MirScalarExpr>],
    keys: Vec<Vec<Vec<usize>>>,
    available: Vec<Vec<Key>>,
    restricted: Vec<u8>,
}

type Order = Vec<(usize, Key)>;

impl<'a> Planner<'a> {
    fn new(
        inputs: &[MirRelationExpr],
        classes: &'a [Vec<MirScalarExpr>],
        indexes: Indexes<'_>,
        arranged: &BTreeMap<LocalId, Vec<Key>>,
        restricted: Vec<u8>,
    ) -> Self {
        let mut offsets = vec![0];
        for input in inputs {
            offsets.push(offsets.last().copied().unwrap_or(0) + input.arity());
        }
        let available = inputs
            .iter()
            .map(|input| match input {
                MirRelationExpr::Get { id: Id::Global(id), .. } => {
                    indexes(*id).into_iter().map(|(_, key)| key).collect()
                }
                MirRelationExpr::Get { id: Id::Local(id), .. } => {
                    arranged.get(id).cloned().unwrap_or_default()
                }
                other => natural(other),
            })
            .collect();
        Planner { offsets, classes, keys: inputs.iter().map(keys).collect(), available, restricted }
    }

    fn count(&self) -> usize {
        self.keys.len()
    }

    fn columns(&self, i: usize) -> std::ops::Range<usize> {
        self.offsets[i]..self.offsets[i + 1]
    }

    /// The input's own expressions whose values are known from the columns `have`.
    fn known(&self, have: &BTreeSet<usize>, i: usize) -> Vec<MirScalarExpr> {
        let range = self.columns(i);
        let mut out: Vec<MirScalarExpr> = vec![];
        for class in self.classes {
            if !class.iter().any(|e| e.support().is_subset(have)) {
                continue;
            }
            let own = class.iter().filter_map(|e| local(e, range.start, range.len()));
            out.extend(own);
        }
        out
    }

    /// How to look the input up.
    fn step(&self, have: &BTreeSet<usize>, i: usize) -> (Score, Key) {
        let known = self.known(have, i);
        let unique =
            self.keys[i].iter().any(|k| k.iter().all(|c| known.contains(&MirScalarExpr::Column(*c))));
        let serves = |key: &&Key| !key.is_empty() && key.iter().all(|e| known.contains(e));
        let existing = self.available[i].iter().filter(serves).max_by_key(|key| key.len());
        let key = match existing {
            Some(key) => key.clone(),
            None => self.lookup_key(have, i),
        };
        let score = Score {
            connected: !key.is_empty(),
            unique,
            arranged: existing.is_some(),
            restricted: self.restricted[i],
            position: std::cmp::Reverse(i),
        };
        (score, key)
    }

    /// One expression for each class that ties the input to the columns `have`.
    fn lookup_key(&self, have: &BTreeSet<usize>, i: usize) -> Key {
        let range = self.columns(i);
        let mut key: Key = vec![];
        for class in self.classes {
            // A literal alone does not tie.
            let tied = class.iter().any(|e| e.support().is_subset(have) && !e.support().is_empty());
            if !tied {
                continue;
            }
            let own = class.iter().filter_map(|e| local(e, range.start, range.len()));
            if let Some(e) = own.min_by_key(|e| !matches!(e, MirScalarExpr::Column(_)))
                && !key.contains(&e)
            {
                key.push(e);
            }
        }
        key.sort();
        key
    }

    fn order_from(&self, start: usize) -> (Order, Vec<Score>) {
        let mut have: BTreeSet<usize> = self.columns(start).collect();
        let mut left: BTreeSet<usize> = (0..self.count()).filter(|i| *i != start).collect();
        let (mut order, mut scores) = (vec![], vec![]);
        while !left.is_empty() {
            let best = left.iter().map(|i| (self.step(&have, *i), *i)).max_by_key(|((score, _), _)| *score);
            let Some(((score, key), i)) = best else { break };
            left.remove(&i);
            have.extend(self.columns(i));
            order.push((i, key));
            scores.push(score);
        }
        (order, scores)
    }

    /// The implementation, and the arrangements of each input that have to be made for it.
    fn choose(&self, one_shot: bool) -> (JoinImplementation, BTreeMap<usize, Vec<Key>>) {
        let starts = self.count().min(MAX_STARTS);
        let orders: Vec<(Order, Vec<Score>)> = (0..starts).map(|s| self.order_from(s)).collect();
        let quality = |start: usize| {
            let steps = &orders[start].1;
            let mut worst_first: Vec<_> = steps.iter().map(|s| (s.connected, s.unique, s.arranged)).collect();
            worst_first.sort();
            // What a literal picks out is small, and so is what it is joined with next.
            let connected = worst_first.first().is_none_or(|s| s.0);
            let picked = connected && self.restricted[start] == 2;
            let restricted: Vec<u8> = steps.iter().map(|s| s.restricted).collect();
            (picked, worst_first, self.restricted[start], restricted, std::cmp::Reverse(start))
        };
        let start = (0..starts).max_by_key(|s| quality(*s)).unwrap_or(0);
        let linear = self.missing(orders[start].0.iter());
        // Besides the inputs' arrangements, the start and each result but the last are arranged.
        let linear_cost = linear.values().map(Vec::len).sum::<usize>() + self.count() - 1;
        if (3..=MAX_DELTA_INPUTS).contains(&self.count())
            && orders.iter().all(|(_, scores)| scores.iter().all(|s| s.connected))
        {
            let delta = self.missing(orders.iter().flat_map(|(order, _)| order));
            let cost = delta.values().map(Vec::len).sum::<usize>();
            if cost == 0 || !one_shot && cost <= linear_cost {
                let orders = orders.into_iter().map(|(order, _)| order).collect();
                return (JoinImplementation::Delta(orders), delta);
            }
        }
        let mut order = vec![(start, vec![])];
        order.extend(orders[start].0.iter().cloned());
        (JoinImplementation::Linear(order), linear)
    }

    fn missing<'o>(&self, lookups: impl Iterator<Item = &'o (usize, Key)>) -> BTreeMap<usize, Vec<Key>> {
        let mut out: BTreeMap<usize, Vec<Key>> = BTreeMap::new();
        for (i, key) in lookups {
            if self.available[*i].contains(key) {
                continue;
            }
            let keys = out.entry(*i).or_default();
            if !keys.contains(key) {
                keys.push(key.clone());
            }
        }
        out
    }
}

/// How much predicates restrict: 2 if equalities with literals pick rows out, 1 if there are any.
pub(crate) fn strength<'a>(mut predicates: impl Iterator<Item = &'a MirScalarExpr> + Clone) -> u8 {
    if predicates.clone().any(picks) {
        return 2;
    }
    u8::from(predicates.any(|p| !matches!(p, MirScalarExpr::Not(_))))
}

/// Whether only rows pass in which something equals a literal.
fn picks(p: &MirScalarExpr) -> bool {
    match p {
        MirScalarExpr::And(all) => all.iter().any(picks),
        MirScalarExpr::Or(any) => any.iter().all(picks),
        p => p.role() == Some(Role::Eq) && p.children().iter().any(|c| c.is_literal()),
    }
}

/// How much a plan is restricted by predicates, see [`strength`].
fn restriction(e: &MirRelationExpr) -> u8 {
    match e {
        MirRelationExpr::Filter { input, predicates } => restriction(input).max(strength(predicates.iter())),
        MirRelationExpr::Map { input, .. }
        | MirRelationExpr::Project { input, .. }
        | MirRelationExpr::Reduce { input, .. }
        | MirRelationExpr::ArrangeBy { input, .. } => restriction(input),
        MirRelationExpr::Constant { .. } => 2,
        _ => 0,
    }
}
