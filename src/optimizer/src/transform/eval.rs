//! Evaluation of one node over constant inputs.

use std::collections::BTreeMap;

use hw_expr::{AggregateExpr, EvalError, MirRelationExpr, MirScalarExpr};
use hw_repr::{Datum, Diff, Row, RowArena, compare_rows_by};

/// Rows with multiplicities.
pub(crate) type Rows = Vec<(Row, Diff)>;

/// Evaluates the node over its inputs' rows; `None` where that is not done: for bindings, and beyond `limit` rows.
pub(crate) fn eval_node(
    node: &MirRelationExpr,
    inputs: &[Rows],
    limit: usize,
) -> Option<Result<Rows, EvalError>> {
    let result = match node {
        MirRelationExpr::Project { outputs, .. } => Ok(inputs[0]
            .iter()
            .map(|(row, diff)| {
                let datums = row.unpack();
                (Row::pack(outputs.iter().map(|c| datums[*c])), *diff)
            })
            .collect()),
        MirRelationExpr::Map { scalars, .. } => map(scalars, &inputs[0]),
        MirRelationExpr::Filter { predicates, .. } => filter(predicates, &inputs[0]),
        MirRelationExpr::FlatMap { func, exprs, .. } => return flat_map(func, exprs, &inputs[0], limit),
        MirRelationExpr::Join { equivalences, .. } => return join(equivalences, inputs, limit),
        MirRelationExpr::Reduce { group_key, aggregates, .. } => reduce(group_key, aggregates, &inputs[0]),
        MirRelationExpr::TopK { group_key, order_key, limit, offset, .. } => {
            top_k(group_key, order_key, limit.as_ref(), *offset, &inputs[0])
        }
        MirRelationExpr::Negate { .. } => Ok(inputs[0].iter().map(|(r, d)| (r.clone(), -d)).collect()),
        MirRelationExpr::Threshold { .. } => {
            let rows = consolidated(inputs[0].clone());
            Ok(rows.into_iter().filter(|(_, diff)| *diff > 0).collect())
        }
        MirRelationExpr::Union { .. } => Ok(inputs.iter().flatten().cloned().collect()),
        MirRelationExpr::ArrangeBy { .. } => Ok(inputs[0].clone()),
        _ => return None,
    };
    Some(result.map(consolidated))
}

/// Each row once, sorted, without those of multiplicity zero.
pub(crate) fn consolidated(rows: Rows) -> Rows {
    let mut sums: BTreeMap<Row, Diff> = BTreeMap::new();
    for (row, diff) in rows {
        *sums.entry(row).or_default() += diff;
    }
    sums.into_iter().filter(|(_, diff)| *diff != 0).collect()
}

fn map(scalars: &[MirScalarExpr], rows: &Rows) -> Result<Rows, EvalError> {
    rows.iter()
        .map(|(row, diff)| {
            let arena = RowArena::new();
            let mut datums = row.unpack();
            for s in scalars {
                datums.push(s.eval(&datums, &arena)?);
            }
            Ok((Row::pack(datums), *diff))
        })
        .collect()
}

fn filter(predicates: &[MirScalarExpr], rows: &Rows) -> Result<Rows, EvalError> {
    let mut out = vec![];
    for (row, diff) in rows {
        let arena = RowArena::new();
        let datums = row.unpack();
        let mut keep = true;
        for p in predicates {
            if p.eval(&datums, &arena)? != Datum::Bool(true) {
                keep = false;
                break;
            }
        }
        if keep {
            out.push((row.clone(), *diff));
        }
    }
    Ok(out)
}

fn flat_map(
    func: &hw_expr::TableFunc,
    exprs: &[MirScalarExpr],
    rows: &Rows,
    limit: usize,
) -> Option<Result<Rows, EvalError>> {
    let mut out = vec![];
    for (row, diff) in rows {
        let arena = RowArena::new();
        let datums = row.unpack();
        let args = match exprs.iter().map(|e| e.eval(&datums, &arena)).collect::<Result<Vec<_>, _>>() {
            Ok(args) => args,
            Err(e) => return Some(Err(e)),
        };
        let produced = match func.eval(&arena, &args) {
            Ok(produced) => produced,
            Err(e) => return Some(Err(e)),
        };
        for item in produced {
            match item {
                Ok((more, count)) => {
                    out.push((Row::pack(datums.iter().copied().chain(more.iter())), diff * count))
                }
                Err(e) => return Some(Err(e)),
            }
            if out.len() > limit {
                return None;
            }
        }
    }
    Some(Ok(consolidated(out)))
}

fn join(
    equivalences: &[Vec<MirScalarExpr>],
    inputs: &[Rows],
    limit: usize,
) -> Option<Result<Rows, EvalError>> {
    let mut product: Rows = vec![(Row::default(), 1)];
    for rows in inputs {
        if product.len().saturating_mul(rows.len()) > limit {
            return None;
        }
        product = product
            .iter()
            .flat_map(|(a, d)| rows.iter().map(move |(b, e)| (Row::pack(a.iter().chain(b.iter())), d * e)))
            .collect();
    }
    let mut out = vec![];
    for (row, diff) in product {
        match all_equal(equivalences, &row) {
            Ok(true) => out.push((row, diff)),
            Ok(false) => {}
            Err(e) => return Some(Err(e)),
        }
    }
    Some(Ok(consolidated(out)))
}

fn all_equal(equivalences: &[Vec<MirScalarExpr>], row: &Row) -> Result<bool, EvalError> {
    let arena = RowArena::new();
    let datums = row.unpack();
    for class in equivalences {
        let mut first: Option<Row> = None;
        for e in class {
            let value = Row::pack_slice(&[e.eval(&datums, &arena)?]);
            match &first {
                None => first = Some(value),
                Some(first) if *first != value => return Ok(false),
                Some(_) => {}
            }
        }
    }
    Ok(true)
}

fn reduce(key: &[MirScalarExpr], aggregates: &[AggregateExpr], rows: &Rows) -> Result<Rows, EvalError> {
    let mut groups: BTreeMap<Row, Vec<(&Row, Diff)>> = BTreeMap::new();
    for (row, diff) in rows {
        let arena = RowArena::new();
        let datums = row.unpack();
        let key = key.iter().map(|k| k.eval(&datums, &arena)).collect::<Result<Vec<_>, _>>()?;
        groups.entry(Row::pack(key)).or_default().push((row, *diff));
    }
    let mut out = vec![];
    for (key, members) in groups {
        if members.iter().any(|(_, diff)| *diff < 0) {
            return Err(EvalError::NegativeMultiplicity);
        }
        let arena = RowArena::new();
        let mut datums = key.unpack();
        for aggregate in aggregates {
            let value = aggregate_of(aggregate, &members)?;
            datums.push(arena.push_unary_row(value));
        }
        out.push((Row::pack(datums), 1));
    }
    Ok(out)
}

fn aggregate_of(aggregate: &AggregateExpr, members: &[(&Row, Diff)]) -> Result<Row, EvalError> {
    let arena = RowArena::new();
    let mut lists: Vec<Row> = vec![];
    for (row, diff) in members {
        let datums = row.unpack();
        if let Some(filter) = &aggregate.filter
            && filter.eval(&datums, &arena)? != Datum::Bool(true)
        {
            continue;
        }
        let args = aggregate.args.iter().map(|a| a.eval(&datums, &arena)).collect::<Result<Vec<_>, _>>()?;
        let args = Row::pack(args);
        lists.extend(std::iter::repeat_n(args, usize::try_from(*diff).unwrap_or(0)));
    }
    lists.sort();
    if aggregate.distinct {
        lists.dedup();
    }
    let mut rows: Vec<Vec<Datum<'_>>> = lists.iter().map(Row::unpack).collect();
    rows.sort_by(|a, b| compare_rows_by(&aggregate.order_by, a, b, || a.cmp(b)));
    let value = aggregate.func.eval(&arena, &rows)?;
    Ok(Row::pack_slice(&[value]))
}

fn top_k(
    group_key: &[usize],
    order_key: &[hw_repr::ColumnOrder],
    limit: Option<&MirScalarExpr>,
    offset: usize,
    rows: &Rows,
) -> Result<Rows, EvalError> {
    let mut groups: BTreeMap<Row, Vec<(&Row, Diff)>> = BTreeMap::new();
    for (row, diff) in rows {
        if *diff < 0 {
            return Err(EvalError::NegativeMultiplicity);
        }
        let datums = row.unpack();
        groups.entry(Row::pack(group_key.iter().map(|c| datums[*c]))).or_default().push((row, *diff));
    }
    let mut out = vec![];
    for mut members in groups.into_values() {
        let arena = RowArena::new();
        let mut left = match limit.map(|l| l.eval(&members[0].0.unpack(), &arena)).transpose()? {
            Some(Datum::Int64(l)) => Some(l),
            _ => None,
        };
        members.sort_by(|(a, _), (b, _)| compare_rows_by(order_key, &a.unpack(), &b.unpack(), || a.cmp(b)));
        let mut skip = offset as Diff;
        for (row, count) in members {
            let skipped = skip.min(count);
            skip -= skipped;
            let mut take = count - skipped;
            if let Some(left) = &mut left {
                take = take.min(*left);
                *left -= take;
            }
            if take > 0 {
                out.push((row.clone(), take));
            }
        }
    }
    Ok(out)
}
