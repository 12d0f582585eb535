//! GROUP BY: single groupings, GROUPING SETS, ROLLUP and CUBE (PostgreSQL manual 7.2.4), and GROUPING (9.21).

use hw_expr::hir::ColumnRef;
use hw_expr::hir::HirAggregateExpr;
use hw_expr::{HirRelationExpr, HirScalarExpr, Id};
use hw_repr::{Datum, RelationType, ScalarType};
use sqlparser::ast::{Expr, Spanned};
use sqlparser::tokenizer::Span;

use super::aggregate::{AGGREGATE_ARGUMENTS, innermost_level, lowered};
use super::coerce::Planned;
use super::context::{Ecx, Qcx};
use super::function::{Call, syntax_after};
use super::scalar::plan_typed;
use super::scope::Frame;
use crate::error::PlanError;

/// How many grouping sets there may be.
const MAX_SETS: usize = 4096;

type KeyOf<'k> = dyn FnMut(&Expr) -> Result<usize, PlanError> + 'k;

/// The sets that are grouped by: the product of what each item asks for.
pub(super) fn grouping_sets(
    exprs: &[Expr],
    distinct: bool,
    key: &mut KeyOf<'_>,
) -> Result<Vec<Vec<usize>>, PlanError> {
    let mut sets: Vec<Vec<usize>> = vec![vec![]];
    for e in exprs {
        let choices = item_sets(e, key)?;
        bounded(sets.len().saturating_mul(choices.len()))?;
        let with =
            |s: &Vec<usize>| choices.iter().map(|c| s.iter().chain(c).copied().collect()).collect::<Vec<_>>();
        sets = sets.iter().flat_map(with).collect();
    }
    for s in &mut sets {
        let mut seen = std::collections::BTreeSet::new();
        s.retain(|k| seen.insert(*k));
    }
    if distinct {
        let mut seen = std::collections::BTreeSet::new();
        sets.retain(|s| seen.insert(s.iter().copied().collect::<std::collections::BTreeSet<_>>()));
    }
    Ok(sets)
}

fn bounded(sets: usize) -> Result<(), PlanError> {
    if sets <= MAX_SETS {
        return Ok(());
    }
    Err(PlanError::new("54001", format!("too many grouping sets present (maximum {MAX_SETS})")))
}

fn item_sets(e: &Expr, key: &mut KeyOf<'_>) -> Result<Vec<Vec<usize>>, PlanError> {
    if let Expr::GroupingSets(groups) = e {
        let mut sets = vec![];
        for group in groups {
            match &group[..] {
                [e @ (Expr::GroupingSets(_) | Expr::Rollup(_) | Expr::Cube(_))] => {
                    sets.extend(item_sets(e, key)?);
                }
                items => sets.push(items.iter().map(&mut *key).collect::<Result<Vec<_>, _>>()?),
            }
            bounded(sets.len())?;
        }
        return Ok(sets);
    }
    let mut keys = |group: &Vec<Expr>| group.iter().map(&mut *key).collect::<Result<Vec<_>, _>>();
    match e {
        Expr::Rollup(groups) => {
            bounded(groups.len() + 1)?;
            let groups: Vec<Vec<usize>> = groups.iter().map(keys).collect::<Result<_, _>>()?;
            Ok((0..=groups.len()).rev().map(|n| groups[..n].concat()).collect())
        }
        Expr::Cube(groups) => {
            if groups.len() > 12 {
                return Err(PlanError::new("54011", "CUBE is limited to 12 elements"));
            }
            let groups: Vec<Vec<usize>> = groups.iter().map(keys).collect::<Result<_, _>>()?;
            let subset = |mask: usize| {
                let chosen =
                    groups.iter().enumerate().filter(|(i, _)| mask & (1 << (groups.len() - 1 - i)) != 0);
                chosen.flat_map(|(_, g)| g.iter().copied()).collect()
            };
            Ok((0..1usize << groups.len()).rev().map(subset).collect())
        }
        Expr::Tuple(items) => Ok(vec![keys(items)?]),
        Expr::Nested(e) => item_sets(e, key),
        e => Ok(vec![vec![key(e)?]]),
    }
}

/// `GROUPING(k, …)`: gives the column that will hold which of the keys are not grouped by, as bits.
pub(super) fn plan_grouping(ecx: &Ecx<'_>, call: &Call<'_>) -> Result<Planned, PlanError> {
    if call.args.is_empty() || call.star {
        return Err(syntax_after(ecx, call.span, if call.star { '*' } else { ')' }));
    }
    if call.args.len() > 31 {
        return Err(PlanError::new("54023", "GROUPING must have fewer than 32 arguments"));
    }
    let frame = Frame { collector: None, clause: "GROUPING", ..*ecx.frame };
    let inner = Ecx { qcx: ecx.qcx, frame: &frame };
    let args = call.args.iter().map(|a| plan_typed(&inner, a).map(|t| t.expr));
    let args = args.collect::<Result<Vec<_>, _>>()?;
    let level = innermost_level(args.iter());
    let Some((_, owner)) = ecx.frame.chain().nth(level) else {
        return Err(PlanError::new("XX000", "GROUPING belongs to no query"));
    };
    let Some(collector) = owner.gathers() else {
        let text = match owner.clause {
            AGGREGATE_ARGUMENTS => "aggregate function calls cannot be nested".to_owned(),
            clause => format!("grouping operations are not allowed in {clause}"),
        };
        return Err(PlanError::new("42803", text));
    };
    let args = args.into_iter().map(|e| lowered(e, level)).collect();
    let place = call.args.first().map_or(call.span, |a| a.span());
    let column = collector.borrow_mut().add_grouping(args, place);
    Ok(Planned::typed(HirScalarExpr::Column(ColumnRef { level, column }), ScalarType::Int32))
}

/// For each GROUPING the positions of its arguments among the keys.
pub(super) fn resolve_groupings(
    ecx: &Ecx<'_>,
    groupings: &[(Vec<HirScalarExpr>, Span)],
    keys: &[HirScalarExpr],
) -> Result<Vec<Vec<usize>>, PlanError> {
    let text = "arguments to GROUPING must be grouping expressions of the associated query level";
    let resolve = |(args, span): &(Vec<HirScalarExpr>, Span)| {
        let positions = args.iter().map(|a| keys.iter().position(|k| k == a)).collect::<Option<Vec<_>>>();
        ecx.at(positions.ok_or_else(|| PlanError::new("42803", text)), *span)
    };
    groupings.iter().map(resolve).collect()
}

/// The value of a GROUPING in one set: the last argument is the least bit.
fn grouping_bits(args: &[usize], set: &[usize]) -> HirScalarExpr {
    let bits = args.iter().fold(0i32, |bits, k| bits << 1 | i32::from(!set.contains(k)));
    HirScalarExpr::literal(Datum::Int32(bits), ScalarType::Int32)
}

/// What is computed for each group.
pub(super) struct Grouped<'a> {
    pub(super) keys: &'a [HirScalarExpr],
    pub(super) sets: Vec<Vec<usize>>,
    pub(super) aggregates: Vec<HirAggregateExpr>,
    pub(super) groupings: Vec<Vec<usize>>,
    pub(super) hint: Option<u64>,
}

/// The reduction by each set, the keys that are not in it NULL: columns are all keys, then the aggregates, then the GROUPINGs.
pub(super) fn reduce_sets(
    qcx: &Qcx<'_>,
    input: HirRelationExpr,
    arity: usize,
    grouped: Grouped<'_>,
) -> HirRelationExpr {
    let Grouped { keys, sets, aggregates, groupings, hint } = grouped;
    let mut columns = vec![];
    let mut scalars = vec![];
    for k in keys {
        columns.push(match k {
            HirScalarExpr::Column(ColumnRef { level: 0, column }) => *column,
            k => {
                scalars.push(k.clone());
                arity + scalars.len() - 1
            }
        });
    }
    let input = input.map(scalars);
    let reduce = |input, group_key| HirRelationExpr::Reduce {
        input: Box::new(input),
        group_key,
        aggregates: aggregates.clone(),
        expected_group_size: hint,
    };
    let all: Vec<usize> = (0..keys.len()).collect();
    if let [set] = &sets[..]
        && *set == all
    {
        return reduce(input, columns).map(groupings.iter().map(|g| grouping_bits(g, set)).collect());
    }
    let types = input.column_types(&mut qcx.outer_types());
    let id = qcx.shared.local_id();
    let typ = RelationType::new(types.clone());
    let inputs = sets.into_iter().map(|set| {
        let get = HirRelationExpr::Get { id: Id::Local(id), typ: typ.clone() };
        let reduced = reduce(get, set.iter().map(|k| columns[*k]).collect());
        let width = set.len() + aggregates.len();
        let (mut outputs, mut scalars): (Vec<usize>, Vec<HirScalarExpr>) = (vec![], vec![]);
        for k in 0..keys.len() {
            outputs.push(match set.iter().position(|s| *s == k) {
                Some(i) => i,
                None => {
                    scalars.push(HirScalarExpr::null(null_type(&types, columns[k])));
                    width + scalars.len() - 1
                }
            });
        }
        outputs.extend(set.len()..width);
        for g in &groupings {
            outputs.push(width + scalars.len());
            scalars.push(grouping_bits(g, &set));
        }
        reduced.map(scalars).project(outputs)
    });
    let mut inputs: Vec<_> = inputs.collect();
    let body = if inputs.len() == 1 { inputs.remove(0) } else { HirRelationExpr::Union { inputs } };
    HirRelationExpr::Let { name: "grouping".into(), id, value: Box::new(input), body: Box::new(body) }
}

fn null_type(types: &[hw_repr::ColumnType], column: usize) -> ScalarType {
    types[column].scalar_type.clone()
}
