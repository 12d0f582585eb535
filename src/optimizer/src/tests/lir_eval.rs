//! A naive evaluator of LIR: bundles are rows together with the keys by which they are said to be arranged.

use std::collections::{BTreeMap, BTreeSet};

use hw_expr::{AggregateExpr, EvalError, Id, MirRelationExpr, MirScalarExpr};
use hw_plan::lir::{GetAccess, JoinPath, JoinPlan, Key, ReducePlan};
use hw_plan::temporal::MfpPlan;
use hw_plan::{DataflowDescription, Lir};
use hw_repr::{ColumnOrder, GlobalId, RelationType, Row, RowArena};

use super::Tables;
use crate::transform::eval::{Rows, consolidated, eval_node};

#[derive(Clone, Default)]
struct Bundle {
    rows: Rows,
    keys: BTreeSet<Key>,
    raw: bool,
}

impl Bundle {
    fn raw(rows: Rows) -> Bundle {
        Bundle { rows: consolidated(rows), keys: BTreeSet::new(), raw: true }
    }
}

/// Runs a dataflow over tables and gives the rows of one of its objects.
pub(crate) fn run(d: &DataflowDescription, tables: &Tables, result: GlobalId) -> Result<Rows, EvalError> {
    let mut env: BTreeMap<Id, Bundle> = BTreeMap::new();
    for (id, import) in &d.source_imports {
        let rows = apply(&import.mfp, &tables.tables[id].1)?;
        env.insert(Id::Global(*id), Bundle::raw(rows));
    }
    for import in d.index_imports.values() {
        let bundle = env.entry(Id::Global(import.on_id)).or_default();
        bundle.rows = tables.tables[&import.on_id].1.clone();
        bundle.keys.insert(import.key.clone());
    }
    for (id, plan) in &d.objects {
        let bundle = eval(plan, &mut env)?;
        env.insert(Id::Global(*id), bundle);
    }
    Ok(env[&Id::Global(result)].rows.clone())
}

fn apply(mfp: &MfpPlan, rows: &Rows) -> Result<Rows, EvalError> {
    assert!(!mfp.is_temporal());
    let mut out = vec![];
    for (row, diff) in rows {
        let arena = RowArena::new();
        let mut datums = row.unpack();
        assert_eq!(datums.len(), mfp.mfp.input_arity);
        let mut packed = Row::default();
        if mfp.mfp.eval(&mut datums, &arena, &mut packed)? {
            out.push((packed, *diff));
        }
    }
    Ok(out)
}

fn values(exprs: &[MirScalarExpr], row: &Row) -> Result<Row, EvalError> {
    let arena = RowArena::new();
    let datums = row.unpack();
    Ok(Row::pack(exprs.iter().map(|e| e.eval(&datums, &arena)).collect::<Result<Vec<_>, _>>()?))
}

fn looked_up(rows: &Rows, key: &Key, literal: Option<&Row>) -> Result<Rows, EvalError> {
    let mut out = vec![];
    for (row, diff) in rows {
        if literal.is_none_or(|l| values(key, row).is_ok_and(|v| v == *l)) {
            out.push((row.clone(), *diff));
        }
    }
    Ok(out)
}

fn eval(plan: &Lir, env: &mut BTreeMap<Id, Bundle>) -> Result<Bundle, EvalError> {
    Ok(match plan {
        Lir::Constant { rows } => Bundle::raw(rows.clone()?),
        Lir::Get { id, access } => {
            let bundle = env[id].clone();
            match access {
                GetAccess::PassThrough => bundle,
                GetAccess::Collection(mfp) => {
                    assert!(bundle.raw, "collection of {id:?}");
                    Bundle::raw(apply(mfp, &bundle.rows)?)
                }
                GetAccess::Arrangement(key, literal, mfp) => {
                    assert!(bundle.keys.contains(key), "arrangement of {id:?} by {key:?}");
                    Bundle::raw(apply(mfp, &looked_up(&bundle.rows, key, literal.as_ref())?)?)
                }
            }
        }
        Lir::Let { id, value, body } => {
            let value = eval(value, env)?;
            env.insert(Id::Local(*id), value);
            eval(body, env)?
        }
        Lir::LetRec { .. } => panic!("recursion is not generated"),
        Lir::Mfp { input, input_key, input_arity, mfp } => {
            assert_eq!(*input_arity, mfp.mfp.input_arity);
            let input = eval(input, env)?;
            let rows = match input_key {
                None => {
                    assert!(input.raw);
                    input.rows
                }
                Some((key, literal)) => {
                    assert!(input.keys.contains(key));
                    looked_up(&input.rows, key, literal.as_ref())?
                }
            };
            Bundle::raw(apply(mfp, &rows)?)
        }
        Lir::FlatMap { .. } => panic!("table functions are not generated"),
        Lir::Join { inputs, input_arities, plan } => {
            let inputs = inputs.iter().map(|i| eval(i, env)).collect::<Result<Vec<_>, _>>()?;
            match plan {
                JoinPlan::Linear(path) => Bundle::raw(walk(path, &inputs, input_arities)?),
                JoinPlan::Delta(paths) => {
                    // At a single time every path comes to the same.
                    let mut results = paths.iter().map(|p| {
                        match &p.source_key {
                            Some(key) => assert!(inputs[p.source].keys.contains(key)),
                            // A one-off plan has one path, which begins with rows that need no arrangement.
                            None => assert!(inputs[p.source].raw && paths.len() == 1),
                        }
                        walk(p, &inputs, input_arities).map(consolidated)
                    });
                    let first = results.next().unwrap()?;
                    for other in results {
                        assert_eq!(other?, first, "delta paths agree");
                    }
                    Bundle::raw(first)
                }
            }
        }
        Lir::Reduce { input, key, plan, .. } => {
            let input = eval(input, env)?;
            let mut aggregates = vec![];
            collect(plan, &mut aggregates);
            aggregates.sort_by_key(|(at, _)| *at);
            assert!(aggregates.iter().enumerate().all(|(i, (at, _))| i == *at), "each aggregate once");
            let aggregates = aggregates.into_iter().map(|(_, a)| a).collect();
            let node = MirRelationExpr::empty(RelationType::default()).reduce(key.clone(), aggregates);
            let rows = eval_node(&node, &[input.rows], usize::MAX).unwrap()?;
            let key = (0..key.len()).map(MirScalarExpr::Column).collect();
            Bundle { rows, keys: BTreeSet::from([key]), raw: false }
        }
        Lir::TopK { input, plan } => {
            let input = eval(input, env)?;
            let node = MirRelationExpr::TopK {
                input: Box::new(MirRelationExpr::empty(RelationType::default())),
                group_key: plan.group_key.clone(),
                order_key: plan.order_key.clone() as Vec<ColumnOrder>,
                limit: plan.limit.clone(),
                offset: plan.offset,
                monotonic: false,
                expected_group_size: None,
            };
            Bundle::raw(eval_node(&node, &[input.rows], usize::MAX).unwrap()?)
        }
        Lir::Negate { input } => {
            let input = eval(input, env)?;
            Bundle::raw(input.rows.into_iter().map(|(r, d)| (r, -d)).collect())
        }
        Lir::Threshold { input, .. } => {
            let input = eval(input, env)?;
            Bundle::raw(input.rows.into_iter().filter(|(_, d)| *d > 0).collect())
        }
        Lir::Union { inputs, .. } => {
            let mut rows = vec![];
            for input in inputs {
                rows.extend(eval(input, env)?.rows);
            }
            Bundle::raw(rows)
        }
        Lir::ArrangeBy { input, keys, input_key, .. } => {
            let mut input = eval(input, env)?;
            match input_key {
                None => assert!(input.raw),
                Some(key) => assert!(input.keys.contains(key)),
            }
            for key in keys {
                assert!(!input.keys.contains(key), "already arranged");
                input.keys.insert(key.clone());
            }
            input.raw = true;
            input
        }
    })
}

fn collect(plan: &ReducePlan, out: &mut Vec<(usize, AggregateExpr)>) {
    match plan {
        ReducePlan::Distinct => {}
        ReducePlan::Accumulable(p) => out.extend(p.simple.iter().chain(&p.distinct).cloned()),
        ReducePlan::Hierarchical(p) => out.extend(p.aggregates.iter().map(|(at, a, _)| (*at, a.clone()))),
        ReducePlan::Basic(p) => out.extend(p.aggregates.iter().cloned()),
        ReducePlan::Collation { accumulable, hierarchical, basic, .. } => {
            accumulable.iter().for_each(|p| collect(&ReducePlan::Accumulable(p.clone()), out));
            hierarchical.iter().for_each(|p| collect(&ReducePlan::Hierarchical(p.clone()), out));
            basic.iter().for_each(|p| collect(&ReducePlan::Basic(p.clone()), out));
        }
    }
}

fn walk(path: &JoinPath, inputs: &[Bundle], arities: &[usize]) -> Result<Rows, EvalError> {
    let source = &inputs[path.source];
    match &path.source_key {
        Some(key) => assert!(source.keys.contains(key), "source is arranged"),
        None => assert!(source.raw, "source is a collection"),
    }
    let mut stream = apply(&path.initial, &source.rows)?;
    for stage in &path.stages {
        let input = &inputs[stage.input];
        assert!(
            input.keys.contains(&stage.lookup_key),
            "input {} arranged by {:?}",
            stage.input,
            stage.lookup_key
        );
        assert_eq!(stage.mfp.mfp.input_arity, stage.stream_arity + arities[stage.input]);
        let mut next = vec![];
        for (a, d) in &stream {
            assert_eq!(a.iter().count(), stage.stream_arity);
            let wanted = values(&stage.stream_key, a)?;
            for (b, e) in &input.rows {
                if values(&stage.lookup_key, b)? == wanted {
                    next.push((Row::pack(a.iter().chain(b.iter())), d * e));
                }
            }
        }
        stream = apply(&stage.mfp, &next)?;
    }
    Ok(stream)
}
