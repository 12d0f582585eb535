//! GROUP BY: single groupings, GROUPING SETS, ROLLUP and CUBE (PostgreSQL manual 7.2.4).

use hw_expr::hir::ColumnRef;
use hw_expr::hir::HirAggregateExpr;
use hw_expr::{HirRelationExpr, HirScalarExpr, Id};
use hw_repr::{RelationType, ScalarType};
use sqlparser::ast::Expr;

use super::context::Qcx;
use crate::error::PlanError;

/// How many grouping sets there may be.
const MAX_SETS: usize = 4096;

type KeyOf<'k> = dyn FnMut(&Expr) -> Result<usize, PlanError> + 'k;

/// The sets that are grouped by: the product of what each item asks for.
pub(super) fn grouping_sets(exprs: &[Expr], key: &mut KeyOf<'_>) -> Result<Vec<Vec<usize>>, PlanError> {
    let mut sets: Vec<Vec<usize>> = vec![vec![]];
    for e in exprs {
        let choices = item_sets(e, key)?;
        if sets.len() * choices.len() > MAX_SETS {
            return Err(PlanError::new(
                "54001",
                format!("too many grouping sets present (maximum {MAX_SETS})"),
            ));
        }
        let with =
            |s: &Vec<usize>| choices.iter().map(|c| s.iter().chain(c).copied().collect()).collect::<Vec<_>>();
        sets = sets.iter().flat_map(with).collect();
    }
    for s in &mut sets {
        let mut seen = std::collections::BTreeSet::new();
        s.retain(|k| seen.insert(*k));
    }
    Ok(sets)
}

fn item_sets(e: &Expr, key: &mut KeyOf<'_>) -> Result<Vec<Vec<usize>>, PlanError> {
    let mut keys = |group: &Vec<Expr>| group.iter().map(&mut *key).collect::<Result<Vec<_>, _>>();
    match e {
        Expr::GroupingSets(groups) => groups.iter().map(keys).collect(),
        Expr::Rollup(groups) => {
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

/// The reduction by each set, the keys that are not in it NULL: columns are all keys, then the aggregates.
pub(super) fn reduce_sets(
    qcx: &Qcx<'_>,
    input: HirRelationExpr,
    arity: usize,
    keys: &[HirScalarExpr],
    sets: Vec<Vec<usize>>,
    aggregates: Vec<HirAggregateExpr>,
    hint: Option<u64>,
) -> HirRelationExpr {
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
        return reduce(input, columns);
    }
    let types = input.column_types(&mut qcx.outer_types());
    let id = qcx.shared.local_id();
    let typ = RelationType::new(types.clone());
    let inputs = sets.into_iter().map(|set| {
        let get = HirRelationExpr::Get { id: Id::Local(id), typ: typ.clone() };
        let reduced = reduce(get, set.iter().map(|k| columns[*k]).collect());
        let width = set.len() + aggregates.len();
        let (mut outputs, mut nulls): (Vec<usize>, Vec<HirScalarExpr>) = (vec![], vec![]);
        for k in 0..keys.len() {
            outputs.push(match set.iter().position(|s| *s == k) {
                Some(i) => i,
                None => {
                    nulls.push(HirScalarExpr::null(null_type(&types, columns[k])));
                    width + nulls.len() - 1
                }
            });
        }
        outputs.extend(set.len()..width);
        reduced.map(nulls).project(outputs)
    });
    let mut inputs: Vec<_> = inputs.collect();
    let body = if inputs.len() == 1 { inputs.remove(0) } else { HirRelationExpr::Union { inputs } };
    HirRelationExpr::Let { name: "grouping".into(), id, value: Box::new(input), body: Box::new(body) }
}

fn null_type(types: &[hw_repr::ColumnType], column: usize) -> ScalarType {
    types[column].scalar_type.clone()
}
