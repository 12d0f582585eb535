//! DISTINCT moves below joins.
//!
//! ```text
//! Distinct a.#0 (Join(a, b) on a.#0 = b.#0)     Join(Distinct #0 (a), Distinct #0 (b)) on #0 = #1
//! ```
//!
//! Every class of the join must have a member among the columns that are kept: then the join of the distinct inputs is
//! distinct itself. Each input is smaller by its repetitions before the join multiplies them, and arranged by what it is joined
//! on. Decorrelation makes such plans of EXISTS.

use hw_expr::{JoinImplementation, MirRelationExpr, MirScalarExpr};

use super::{substitute, take};

/// Applies the rule everywhere.
pub(crate) fn apply(expr: &mut MirRelationExpr) {
    super::rewrite_post(expr, &mut |e| {
        if let Some(next) = push(e) {
            *e = next;
        }
    });
}

/// The inputs' columns: where each begins.
fn offsets(inputs: &[MirRelationExpr]) -> Vec<usize> {
    let mut offsets = vec![0];
    for input in inputs {
        offsets.push(offsets.last().copied().unwrap_or(0) + input.arity());
    }
    offsets
}

/// The one input that has all columns of an expression.
fn owner(e: &MirScalarExpr, offsets: &[usize]) -> Option<usize> {
    let support = e.support();
    let first = support.first()?;
    let i = offsets.iter().rposition(|o| o <= first)?;
    support.iter().all(|c| offsets.get(i + 1).is_some_and(|end| c < end)).then_some(i)
}

fn push(e: &mut MirRelationExpr) -> Option<MirRelationExpr> {
    let MirRelationExpr::Reduce { input, group_key, aggregates, .. } = e else { return None };
    if !aggregates.is_empty() || group_key.is_empty() {
        return None;
    }
    let mut keys = group_key.clone();
    let mut below = &mut **input;
    while let MirRelationExpr::Project { input, outputs } = below {
        keys.iter_mut().for_each(|k| k.permute_map(|c| outputs[c]));
        below = input;
    }
    let MirRelationExpr::Join { inputs, equivalences, implementation: JoinImplementation::Unimplemented } =
        below
    else {
        return None;
    };
    if inputs.len() < 2 || equivalences.is_empty() {
        return None;
    }
    let offsets = offsets(inputs);
    let kept = |class: &Vec<MirScalarExpr>| class.iter().any(|e| keys.contains(e));
    let owned = |e: &MirScalarExpr| owner(e, &offsets).is_some() && !e.could_error();
    let columns = keys.iter().all(|k| matches!(k, MirScalarExpr::Column(_)));
    if !columns || !equivalences.iter().all(|class| kept(class) && class.iter().all(owned)) {
        return None;
    }
    // An input that is in no class and of which nothing is kept would only be tested for rows.
    let mut wanted: Vec<Vec<MirScalarExpr>> = vec![vec![]; inputs.len()];
    for e in keys.iter().chain(equivalences.iter().flatten()) {
        let i = owner(e, &offsets)?;
        if !wanted[i].contains(e) {
            wanted[i].push(e.clone());
        }
    }
    if wanted.iter().any(Vec::is_empty) {
        return None;
    }
    let place = |e: &MirScalarExpr| -> Option<usize> {
        let i = owner(e, &offsets)?;
        let before: usize = wanted[..i].iter().map(Vec::len).sum();
        Some(before + wanted[i].iter().position(|w| w == e)?)
    };
    let classes = equivalences
        .iter()
        .map(|class| class.iter().map(|e| Some(MirScalarExpr::Column(place(e)?))).collect())
        .collect::<Option<Vec<Vec<_>>>>()?;
    let outputs = keys.iter().map(place).collect::<Option<Vec<_>>>()?;
    let distinct = inputs.iter_mut().enumerate().map(|(i, input)| {
        let own = wanted[i].iter().map(|e| substitute(e, &|c| MirScalarExpr::Column(c - offsets[i])));
        take(input).reduce(own.collect(), vec![])
    });
    Some(MirRelationExpr::join(distinct.collect(), classes).project(outputs))
}
