//! Predicates move towards the data.
//!
//! ```text
//! Filter p (Map m (a))              Map m (Filter p (a)), columns of m written out
//! Filter a.x = b.y (Join(a, b))     Join(a, b) on x = y, with IS NOT NULL where NULL is possible
//! Filter a.x < 5 (Join(a, b))       Join(Filter x < 5 (a), b), and so for what is equal to a.x
//! Filter p(key) (Reduce by key)     Reduce by key (Filter p)
//! Filter p (Union(a, b))            Union(Filter p (a), Filter p (b))
//! Let l = a in … Filter p (l) …     Let l = Filter p (a) in … l …, when every use has it
//! ```
//!
//! Predicates that may fail stay above what drops rows (joins, table functions, limits, subtraction) and behind the predicates
//! before them, so that they are not applied to rows that those drop.

use std::collections::{BTreeMap, BTreeSet};

use hw_expr::func::Role;
use hw_expr::scalar::{canonical_key, is_canonical};
use hw_expr::{Id, JoinImplementation, LocalId, MirRelationExpr, MirScalarExpr};
use hw_repr::ColumnType;

use super::{substitute, take};

/// Predicates are not made larger than this by writing out mapped columns.
const MAX_SIZE: usize = 64;

/// The predicates that all uses of a binding so far have.
type Uses = BTreeMap<LocalId, Vec<MirScalarExpr>>;

/// Applies the rule everywhere.
pub(crate) fn apply(expr: &mut MirRelationExpr) {
    push(expr, vec![], &mut Uses::new());
}

/// Pushes predicates over the plan's columns into it.
fn push(expr: &mut MirRelationExpr, mut predicates: Vec<MirScalarExpr>, uses: &mut Uses) {
    stacker::maybe_grow(64 << 10, 1 << 20, || {
        predicates.dedup();
        match expr {
            MirRelationExpr::Filter { input, predicates: own } => {
                // Those below come first.
                let mut all = std::mem::take(own);
                all.extend(predicates);
                let mut input = take(input);
                push(&mut input, all, uses);
                *expr = input;
            }
            MirRelationExpr::Project { input, outputs } => {
                for p in &mut predicates {
                    p.permute_map(|c| outputs[c]);
                }
                push(input, predicates, uses);
            }
            MirRelationExpr::Map { input, scalars } => {
                let arity = input.arity();
                let mut written: Vec<MirScalarExpr> = vec![];
                for s in scalars.iter() {
                    written.push(substitute(s, &|c| column_or(&written, arity, c)));
                }
                let (mut below, mut here) = (vec![], vec![]);
                for p in predicates {
                    let out = substitute(&p, &|c| column_or(&written, arity, c));
                    let fits = size(&out) <= MAX_SIZE.max(size(&p));
                    let first = here.is_empty() || !p.could_error();
                    if fits && first { below.push(out) } else { here.push(p) }
                }
                push(input, below, uses);
                stay(expr, here);
            }
            MirRelationExpr::FlatMap { input, .. } => {
                let arity = input.arity();
                let (below, here) =
                    split(predicates, |p| !p.could_error() && p.support().iter().all(|c| *c < arity));
                push(input, below, uses);
                stay(expr, here);
            }
            MirRelationExpr::Reduce { input, group_key, .. } => {
                let keys = group_key.len();
                let (below, here) = split(predicates, |p| keys > 0 && p.support().iter().all(|c| *c < keys));
                let below = below.iter().map(|p| substitute(p, &|c| group_key[c].clone())).collect();
                push(input, below, uses);
                stay(expr, here);
            }
            MirRelationExpr::TopK { input, group_key, .. } => {
                let (below, here) = split(predicates, |p| {
                    !group_key.is_empty()
                        && !p.could_error()
                        && p.support().iter().all(|c| group_key.contains(c))
                });
                push(input, below, uses);
                stay(expr, here);
            }
            MirRelationExpr::Negate { input } | MirRelationExpr::Threshold { input } => {
                let (below, here) = split(predicates, |p| !p.could_error());
                push(input, below, uses);
                stay(expr, here);
            }
            MirRelationExpr::Union { inputs } => {
                let subtracts = inputs.iter().any(negates);
                let (below, here) = split(predicates, |p| !(subtracts && p.could_error()));
                for input in inputs {
                    push(input, below.clone(), uses);
                }
                stay(expr, here);
            }
            MirRelationExpr::Let { id, value, body } => {
                let id = *id;
                push(body, predicates, uses);
                let common = uses.remove(&id).unwrap_or_default();
                drop_from_uses(body, id, &common);
                push(value, common, uses);
            }
            MirRelationExpr::LetRec { values, body, .. } => {
                for value in values {
                    push(value, vec![], uses);
                }
                push(body, predicates, uses);
            }
            MirRelationExpr::Join { implementation: JoinImplementation::Unimplemented, .. } => {
                let here = push_join(expr, predicates, uses);
                stay(expr, here);
            }
            MirRelationExpr::Join { .. } | MirRelationExpr::ArrangeBy { .. } => {
                for child in expr.children_mut() {
                    push(child, vec![], uses);
                }
                stay(expr, predicates);
            }
            MirRelationExpr::Get { id: Id::Local(id), .. } => {
                note_use(*id, &predicates, uses);
                stay(expr, predicates)
            }
            MirRelationExpr::Constant { .. } | MirRelationExpr::Get { .. } => stay(expr, predicates),
        }
    });
}

fn note_use(id: LocalId, predicates: &[MirScalarExpr], uses: &mut Uses) {
    match uses.get_mut(&id) {
        Some(common) => common.retain(|p| predicates.contains(p)),
        None => {
            let plain = predicates.iter().filter(|p| !p.could_error() && !p.support().is_empty());
            uses.insert(id, plain.cloned().collect());
        }
    }
}

/// Removes predicates that the binding itself has now.
fn drop_from_uses(body: &mut MirRelationExpr, id: LocalId, common: &[MirScalarExpr]) {
    if common.is_empty() {
        return;
    }
    super::rewrite_post(body, &mut |e| {
        let MirRelationExpr::Filter { input, predicates } = e else { return };
        if !matches!(**input, MirRelationExpr::Get { id: Id::Local(got), .. } if got == id) {
            return;
        }
        predicates.retain(|p| !common.contains(p));
        if predicates.is_empty() {
            *e = take(input);
        }
    });
}

fn column_or(written: &[MirScalarExpr], arity: usize, c: usize) -> MirScalarExpr {
    if c < arity { MirScalarExpr::Column(c) } else { written[c - arity].clone() }
}

fn size(e: &MirScalarExpr) -> usize {
    let mut n = 0;
    e.visit_post(&mut |_| n += 1);
    n
}

/// Those for which `below` holds, and the others. What may fail does not overtake what stays.
fn split(
    predicates: Vec<MirScalarExpr>,
    below: impl Fn(&MirScalarExpr) -> bool,
) -> (Vec<MirScalarExpr>, Vec<MirScalarExpr>) {
    let (mut moved, mut here) = (vec![], vec![]);
    for p in predicates {
        if below(&p) && (here.is_empty() || !p.could_error()) {
            moved.push(p);
        } else {
            here.push(p);
        }
    }
    (moved, here)
}

/// Whether the plan takes rows away from its siblings in a union.
fn negates(e: &MirRelationExpr) -> bool {
    match e {
        MirRelationExpr::Negate { .. } => true,
        MirRelationExpr::Map { input, .. }
        | MirRelationExpr::Filter { input, .. }
        | MirRelationExpr::Project { input, .. } => negates(input),
        MirRelationExpr::Get { id: Id::Global(_), .. } | MirRelationExpr::Constant { .. } => false,
        MirRelationExpr::Reduce { .. } | MirRelationExpr::TopK { .. } => false,
        other => other.children().into_iter().any(negates),
    }
}

fn stay(expr: &mut MirRelationExpr, mut predicates: Vec<MirScalarExpr>) {
    if predicates.is_empty() {
        return;
    }
    let mut seen: Vec<MirScalarExpr> = vec![];
    for p in predicates.drain(..) {
        if !seen.contains(&p) {
            seen.push(p);
        }
    }
    seen.sort_by_key(MirScalarExpr::could_error);
    *expr = take(expr).filter(seen);
}

/// Pushes into a join's inputs and classes; returns what must stay above.
fn push_join(
    expr: &mut MirRelationExpr,
    predicates: Vec<MirScalarExpr>,
    uses: &mut Uses,
) -> Vec<MirScalarExpr> {
    let MirRelationExpr::Join { inputs, equivalences, .. } = expr else { return predicates };
    let types: Vec<Vec<ColumnType>> = inputs.iter().map(MirRelationExpr::column_types).collect();
    let mut offsets = vec![0];
    for t in &types {
        offsets.push(offsets.last().copied().unwrap_or(0) + t.len());
    }
    let all_types: Vec<ColumnType> = types.concat();
    let input_of = |p: &MirScalarExpr| -> Option<usize> {
        let support = p.support();
        let first = support.first()?;
        let i = offsets.iter().rposition(|o| o <= first)?;
        support.iter().all(|c| *c < offsets[i + 1]).then_some(i)
    };
    let mut into: Vec<Vec<MirScalarExpr>> = vec![vec![]; inputs.len()];
    let (mut here, mut movable) = (vec![], vec![]);
    for p in predicates {
        if inputs.len() > 1
            && input_of(&p).is_none()
            && let Some((class, not_null)) = equality(&p, &all_types)
        {
            equivalences.push(class);
            movable.extend(not_null);
            continue;
        }
        if p.support().is_empty() || p.could_error() { here.push(p) } else { movable.push(p) }
    }
    super::fusion::merge_classes(equivalences);
    // What holds of a column holds of all that equal it.
    let mut known: Vec<MirScalarExpr> = movable.clone();
    for (i, input) in inputs.iter().enumerate() {
        let MirRelationExpr::Filter { predicates, .. } = input else { continue };
        let global = predicates.iter().filter(|p| !p.could_error()).map(|p| {
            let mut p = p.clone();
            p.permute_map(|c| c + offsets[i]);
            p
        });
        known.extend(global);
    }
    for p in &known {
        movable.extend(mirrored(p, equivalences, &all_types));
    }
    for mut p in movable {
        match input_of(&p) {
            Some(i) => {
                p.permute_map(|c| c - offsets[i]);
                if !into[i].contains(&p) {
                    into[i].push(p);
                }
            }
            None => here.push(p),
        }
    }
    for (input, below) in inputs.iter_mut().zip(into) {
        push(input, below, uses);
    }
    here
}

/// An equality of two expressions as a class, with the predicates that keep NULLs out.
fn equality(p: &MirScalarExpr, types: &[ColumnType]) -> Option<(Vec<MirScalarExpr>, Vec<MirScalarExpr>)> {
    let MirScalarExpr::Call { func, args } = p else { return None };
    let ([x, y], Some(Role::Eq)) = (args.as_slice(), func.role()) else { return None };
    if p.could_error() || p.contains_unmaterializable() || x.support().is_empty() || y.support().is_empty() {
        return None;
    }
    let (tx, ty) = (x.typ(types), y.typ(types));
    // Numerics of different scales differ in bytes though they are equal.
    let force = tx.scalar_type != ty.scalar_type && !(plain(&tx) && plain(&ty));
    let wrap = |e: &MirScalarExpr, t: &ColumnType| {
        let other = if is_canonical(&tx.scalar_type) && is_canonical(&ty.scalar_type) { force } else { true };
        canonical_key(e.clone(), &t.scalar_type, other)
    };
    let not_null = |e: &MirScalarExpr, t: &ColumnType| t.nullable.then(|| e.clone().is_null().not());
    let not_null = [not_null(x, &tx), not_null(y, &ty)].into_iter().flatten().collect();
    Some((vec![wrap(x, &tx), wrap(y, &ty)], not_null))
}

/// Types whose modifiers do not show in the bytes of values.
fn plain(t: &ColumnType) -> bool {
    use hw_repr::ScalarType as T;
    !matches!(
        t.scalar_type,
        T::Numeric { .. }
            | T::Char { .. }
            | T::Array(_)
            | T::List { .. }
            | T::Map { .. }
            | T::Record { .. }
            | T::Range(_)
    )
}

/// The predicate of one column, said of the columns of other inputs that equal it.
fn mirrored(p: &MirScalarExpr, classes: &[Vec<MirScalarExpr>], types: &[ColumnType]) -> Vec<MirScalarExpr> {
    let support: BTreeSet<usize> = p.support();
    let (Some(c), 1) = (support.first().copied(), support.len()) else { return vec![] };
    if p.could_error() || p.contains_unmaterializable() {
        return vec![];
    }
    let column = MirScalarExpr::Column(c);
    let same = |d: usize| d != c && types[d].scalar_type == types[c].scalar_type;
    let others = classes.iter().filter(|class| class.contains(&column)).flatten().filter_map(|e| match e {
        MirScalarExpr::Column(d) if same(*d) => Some(*d),
        _ => None,
    });
    others.map(|d| substitute(p, &|_| MirScalarExpr::Column(d))).collect()
}
