//! Plans evaluated at one time, node by node, by definition.

use std::collections::BTreeMap;

use hw_expr::{AggregateExpr, Id, MirScalarExpr};
use hw_plan::Lir;
use hw_plan::lir::{GetAccess, JoinPath, JoinPlan, ReducePlan, TopKPlan};
use hw_plan::temporal::MfpPlan;
use hw_repr::{Datum, Row, RowArena, Timestamp, compare_rows_by};

pub type Rows = BTreeMap<Row, i64>;

fn add(rows: &mut Rows, row: Row, diff: i64) {
    let sum = rows.entry(row.clone()).or_default();
    *sum += diff;
    if *sum == 0 {
        rows.remove(&row);
    }
}

pub struct Naive {
    pub time: Timestamp,
    pub bindings: BTreeMap<Id, Rows>,
}

fn eval_exprs(exprs: &[MirScalarExpr], row: &Row) -> Row {
    let arena = RowArena::new();
    let datums = row.unpack();
    Row::pack(exprs.iter().map(|e| e.eval(&datums, &arena).unwrap()).collect::<Vec<_>>())
}

impl Naive {
    fn mfp(&self, rows: &Rows, plan: &MfpPlan) -> Rows {
        let mut out = Rows::new();
        for (row, diff) in rows {
            let arena = RowArena::new();
            let mut datums = row.unpack();
            if !plan.mfp.eval_columns(&mut datums, &arena).unwrap() {
                continue;
            }
            let bound = |e: &MirScalarExpr| match e.eval(&datums, &arena).unwrap() {
                Datum::Null => None,
                d => Some(d.unwrap_mz_timestamp()),
            };
            let lower = plan.lower_bounds.iter().all(|e| bound(e).is_some_and(|b| self.time >= b));
            let upper = plan.upper_bounds.iter().all(|e| bound(e).is_some_and(|b| self.time < b));
            if lower && upper {
                add(&mut out, Row::pack(plan.mfp.projection.iter().map(|c| datums[*c])), *diff);
            }
        }
        out
    }

    fn path(&self, inputs: &[Rows], path: &JoinPath) -> Rows {
        let mut stream = self.mfp(&inputs[path.source], &path.initial);
        for stage in &path.stages {
            let mut out = Rows::new();
            for (left, d1) in &stream {
                let key = eval_exprs(&stage.stream_key, left);
                for (right, d2) in &inputs[stage.input] {
                    if eval_exprs(&stage.lookup_key, right) == key {
                        add(&mut out, Row::pack(left.iter().chain(right.iter())), d1 * d2);
                    }
                }
            }
            stream = self.mfp(&out, &stage.mfp);
        }
        stream
    }

    pub fn eval(&mut self, plan: &Lir) -> Rows {
        match plan {
            Lir::Constant { rows } => {
                let mut out = Rows::new();
                rows.as_ref().unwrap().iter().for_each(|(r, d)| add(&mut out, r.clone(), *d));
                out
            }
            Lir::Get { id, access } => {
                let rows = self.bindings[id].clone();
                match access {
                    GetAccess::PassThrough => rows,
                    GetAccess::Collection(mfp) => self.mfp(&rows, mfp),
                    GetAccess::Arrangement(key, literal, mfp) => self.mfp(&with_key(rows, key, literal), mfp),
                }
            }
            Lir::Let { id, value, body } => {
                let value = self.eval(value);
                self.bindings.insert(Id::Local(*id), value);
                self.eval(body)
            }
            Lir::LetRec { ids, values, limits, body } => {
                ids.iter().for_each(|id| drop(self.bindings.insert(Id::Local(*id), Rows::new())));
                for iteration in 0.. {
                    let mut changed = false;
                    for ((id, value), limit) in ids.iter().zip(values).zip(limits) {
                        if limit.is_some_and(|l| iteration >= l.max_iters) {
                            continue;
                        }
                        let value = self.eval(value);
                        changed |= self.bindings[&Id::Local(*id)] != value;
                        self.bindings.insert(Id::Local(*id), value);
                    }
                    if !changed {
                        break;
                    }
                }
                self.eval(body)
            }
            Lir::Mfp { input, input_key, mfp, .. } => {
                let rows = self.eval(input);
                let rows = match input_key {
                    Some((key, literal)) => with_key(rows, key, literal),
                    None => rows,
                };
                self.mfp(&rows, mfp)
            }
            Lir::FlatMap { .. } => panic!("not tested here"),
            Lir::Join { inputs, plan, .. } => {
                let inputs: Vec<Rows> = inputs.iter().map(|i| self.eval(i)).collect();
                match plan {
                    JoinPlan::Linear(path) => self.path(&inputs, path),
                    JoinPlan::Delta(paths) => {
                        let first = self.path(&inputs, &paths[0]);
                        paths.iter().for_each(|p| assert_eq!(self.path(&inputs, p), first, "paths agree"));
                        first
                    }
                }
            }
            Lir::Reduce { input, key, plan, .. } => {
                let rows = self.eval(input);
                reduce(&rows, key, &aggregates(plan))
            }
            Lir::TopK { input, plan } => {
                let rows = self.eval(input);
                top_k(&rows, plan)
            }
            Lir::Negate { input } => self.eval(input).into_iter().map(|(r, d)| (r, -d)).collect(),
            Lir::Threshold { input, .. } => self.eval(input).into_iter().filter(|(_, d)| *d > 0).collect(),
            Lir::Union { inputs, .. } => {
                let mut out = Rows::new();
                for input in inputs {
                    self.eval(input).into_iter().for_each(|(r, d)| add(&mut out, r, d));
                }
                out
            }
            Lir::ArrangeBy { input, .. } => self.eval(input),
        }
    }
}

fn with_key(rows: Rows, key: &[MirScalarExpr], literal: &Option<Row>) -> Rows {
    rows.into_iter().filter(|(r, _)| literal.as_ref().is_none_or(|l| eval_exprs(key, r) == *l)).collect()
}

fn aggregates(plan: &ReducePlan) -> Vec<AggregateExpr> {
    let mut all: Vec<(usize, AggregateExpr)> = Vec::new();
    let mut take = |plan: &ReducePlan| match plan {
        ReducePlan::Distinct | ReducePlan::Collation { .. } => {}
        ReducePlan::Accumulable(p) => all.extend(p.simple.iter().chain(&p.distinct).cloned()),
        ReducePlan::Hierarchical(p) => all.extend(p.aggregates.iter().map(|(i, a, _)| (*i, a.clone()))),
        ReducePlan::Basic(p) => all.extend(p.aggregates.iter().cloned()),
    };
    match plan {
        ReducePlan::Collation { accumulable, hierarchical, basic, .. } => {
            accumulable.iter().for_each(|p| take(&ReducePlan::Accumulable(p.clone())));
            hierarchical.iter().for_each(|p| take(&ReducePlan::Hierarchical(p.clone())));
            basic.iter().for_each(|p| take(&ReducePlan::Basic(p.clone())));
        }
        plan => take(plan),
    }
    all.sort_by_key(|(i, _)| *i);
    all.into_iter().map(|(_, a)| a).collect()
}

fn reduce(rows: &Rows, key: &[MirScalarExpr], aggregates: &[AggregateExpr]) -> Rows {
    let mut groups: BTreeMap<Row, Vec<(&Row, i64)>> = BTreeMap::new();
    for (row, diff) in rows {
        assert!(*diff > 0);
        groups.entry(eval_exprs(key, row)).or_default().push((row, *diff));
    }
    let mut out = Rows::new();
    for (key, rows) in groups {
        let arena = RowArena::new();
        let mut values = Vec::new();
        for a in aggregates {
            let mut lists: Vec<Vec<Datum<'_>>> = Vec::new();
            for (row, count) in &rows {
                let datums = row.unpack();
                if a.filter.as_ref().is_some_and(|f| f.eval(&datums, &arena).unwrap() != Datum::Bool(true)) {
                    continue;
                }
                let args: Vec<Datum<'_>> = a.args.iter().map(|e| e.eval(&datums, &arena).unwrap()).collect();
                (0..*count).for_each(|_| lists.push(args.clone()));
            }
            lists.sort_by(|x, y| compare_rows_by(&a.order_by, x, y, || x.cmp(y)));
            if a.distinct {
                lists.dedup();
            }
            values.push(if lists.is_empty() && a.typ().nullable {
                Datum::Null
            } else {
                a.func.eval(&arena, &lists).unwrap()
            });
        }
        add(&mut out, Row::pack(key.iter().chain(values)), 1);
    }
    out
}

fn top_k(rows: &Rows, plan: &TopKPlan) -> Rows {
    let mut groups: BTreeMap<Row, Vec<&Row>> = BTreeMap::new();
    for (row, diff) in rows {
        let datums = row.unpack();
        let group = groups.entry(Row::pack(plan.group_key.iter().map(|c| datums[*c]))).or_default();
        (0..*diff).for_each(|_| group.push(row));
    }
    let mut out = Rows::new();
    for mut rows in groups.into_values() {
        rows.sort_by(|a, b| compare_rows_by(&plan.order_key, &a.unpack(), &b.unpack(), || a.cmp(b)));
        let limit = plan.limit.as_ref().and_then(|l| {
            let arena = RowArena::new();
            match l.eval(&rows[0].unpack(), &arena).unwrap() {
                Datum::Null => None,
                d => Some(d.unwrap_int64() as usize),
            }
        });
        for row in rows.into_iter().skip(plan.offset).take(limit.unwrap_or(usize::MAX)) {
            add(&mut out, row.clone(), 1);
        }
    }
    out
}
