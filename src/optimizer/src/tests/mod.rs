//! Optimised plans against plans as they are: random plans over small random tables, evaluated naively, as MIR and as LIR.

#![allow(clippy::unwrap_used)]

pub(crate) mod generate;
mod golden;
mod lir_eval;
mod read;
mod recursion;

use std::collections::{BTreeMap, BTreeSet};

use hw_expr::{EvalError, Id, MirRelationExpr, MirScalarExpr, UnmaterializableFunc};
use hw_plan::{DataflowExport, ExportKind};
use hw_repr::{Datum, GlobalId, RelationDesc, RelationType, ScalarType, Timestamp};

use crate::context::{DataflowContext, DurableInfo};
use crate::explain::Humanizer;
use crate::transform::eval::{Rows, consolidated, eval_node};

/// Tables with rows, for tests.
#[derive(Default)]
pub(crate) struct Tables {
    pub(crate) tables: BTreeMap<GlobalId, (RelationType, Rows)>,
    pub(crate) indexes: Vec<(GlobalId, GlobalId, Vec<MirScalarExpr>)>,
    pub(crate) monotonic: BTreeSet<GlobalId>,
}

/// Objects go by their ids.
pub(crate) struct Ids;

impl Humanizer for Ids {
    fn object(&self, id: GlobalId) -> String {
        id.to_string()
    }

    fn columns(&self, _: GlobalId) -> Vec<String> {
        vec![]
    }
}

impl DataflowContext for Tables {
    fn durable(&self, id: GlobalId) -> Option<DurableInfo> {
        let (typ, _) = self.tables.get(&id)?;
        let names = (0..typ.arity()).map(|i| format!("c{i}")).collect();
        let desc = RelationDesc::new(typ.clone(), names);
        Some(DurableInfo {
            shard: hw_plan::dataflow::ShardUuid::nil(),
            desc,
            monotonic: self.monotonic.contains(&id),
        })
    }

    fn indexes_on(&self, id: GlobalId) -> Vec<(GlobalId, Vec<MirScalarExpr>)> {
        self.indexes.iter().filter(|(_, on, _)| *on == id).map(|(i, _, key)| (*i, key.clone())).collect()
    }

    fn relation_type(&self, id: GlobalId) -> Option<RelationType> {
        self.tables.get(&id).map(|(typ, _)| typ.clone())
    }
}

/// Puts a time in place of `mz_now()`.
pub(crate) fn bind_mz_now(e: &mut MirRelationExpr, time: Timestamp) {
    let now = MirScalarExpr::literal(Datum::MzTimestamp(time), ScalarType::MzTimestamp);
    e.visit_mut_post(&mut |e| {
        for scalar in e.scalars_mut() {
            scalar.visit_mut_post(&mut |s| {
                if *s == MirScalarExpr::Unmaterializable(UnmaterializableFunc::MzNow) {
                    *s = now.clone();
                }
            });
        }
    });
}

/// The same without transforms.
struct Plain<'a>(&'a Tables);

impl DataflowContext for Plain<'_> {
    fn durable(&self, id: GlobalId) -> Option<DurableInfo> {
        self.0.durable(id)
    }

    fn indexes_on(&self, id: GlobalId) -> Vec<(GlobalId, Vec<MirScalarExpr>)> {
        self.0.indexes_on(id)
    }

    fn relation_type(&self, id: GlobalId) -> Option<RelationType> {
        self.0.relation_type(id)
    }

    fn applies_transforms(&self) -> bool {
        false
    }
}

/// Evaluates a plan as it is.
pub(crate) fn eval(
    e: &MirRelationExpr,
    tables: &Tables,
    env: &mut BTreeMap<Id, Rows>,
) -> Result<Rows, EvalError> {
    match e {
        MirRelationExpr::Constant { rows, .. } => rows.clone().map(consolidated),
        MirRelationExpr::Get { id: id @ Id::Local(_), .. } => Ok(env[id].clone()),
        MirRelationExpr::Get { id: id @ Id::Global(global), .. } => {
            Ok(env.get(id).cloned().unwrap_or_else(|| tables.tables[global].1.clone()))
        }
        MirRelationExpr::Let { id, value, body } => {
            let value = eval(value, tables, env)?;
            env.insert(Id::Local(*id), value);
            eval(body, tables, env)
        }
        MirRelationExpr::LetRec { ids, values, body, .. } => {
            for id in ids {
                env.insert(Id::Local(*id), vec![]);
            }
            for _ in 0..50 {
                let before: Vec<Rows> = ids.iter().map(|id| env[&Id::Local(*id)].clone()).collect();
                for (id, value) in ids.iter().zip(values) {
                    let value = eval(value, tables, env)?;
                    env.insert(Id::Local(*id), value);
                }
                if ids.iter().map(|id| env[&Id::Local(*id)].clone()).eq(before) {
                    break;
                }
            }
            eval(body, tables, env)
        }
        other => {
            let inputs =
                other.children().into_iter().map(|c| eval(c, tables, env)).collect::<Result<Vec<_>, _>>()?;
            eval_node(other, &inputs, usize::MAX).unwrap()
        }
    }
}

fn check(seed: u64, generate: fn(u64) -> (Tables, MirRelationExpr)) {
    let (tables, plan) = generate(seed);
    let expected = match eval(&plan, &tables, &mut BTreeMap::new()) {
        Ok(rows) => consolidated(rows),
        Err(_) => return,
    };
    let shown = |e: &MirRelationExpr| crate::explain_mir(e, &Ids, &Default::default());
    let mut stepped = plan.clone();
    for round in 0..4 {
        for (name, rule) in crate::transform::LOGICAL {
            let before = stepped.clone();
            rule(&mut stepped);
            if stepped == before {
                continue;
            }
            let actual = eval(&stepped, &tables, &mut BTreeMap::new()).map(consolidated);
            assert!(
                actual.as_ref() == Ok(&expected),
                "seed {seed}, round {round}, {name}: {actual:?} for {expected:?}\n{}\nbecame\n{}",
                shown(&before),
                shown(&stepped)
            );
        }
    }
    let local = crate::optimize_local(plan.clone()).unwrap();
    let actual = eval(local.expr(), &tables, &mut BTreeMap::new());
    let actual =
        actual.unwrap_or_else(|e| panic!("seed {seed}: {e}\n{}\n{}", shown(&plan), shown(local.expr())));
    assert_eq!(
        consolidated(actual),
        expected,
        "seed {seed}, local\n{}\nbecame\n{}",
        shown(&plan),
        shown(local.expr())
    );
    let types: Vec<_> =
        local.expr().column_types().into_iter().map(|t| t.scalar_type.without_modifiers()).collect();
    let before: Vec<_> = plan.column_types().into_iter().map(|t| t.scalar_type.without_modifiers()).collect();
    assert_eq!(types, before, "seed {seed}: types\n{}\nbecame\n{}", shown(&plan), shown(local.expr()));
    let (id, index) = (GlobalId::Transient(1), GlobalId::Transient(2));
    let plain = Plain(&tables);
    let contexts: [(&dyn DataflowContext, bool); 3] = [(&tables, false), (&tables, true), (&plain, true)];
    for (context, one_shot) in contexts {
        let objects = vec![(id, plan.clone())];
        let objects = crate::dataflow::optimize_objects(objects, context, &[index], one_shot).unwrap();
        let optimised = objects[0].1.clone();
        let actual = eval(&optimised, &tables, &mut BTreeMap::new());
        let actual =
            actual.unwrap_or_else(|e| panic!("seed {seed}: {e}\n{}\n{}", shown(&plan), shown(&optimised)));
        assert_eq!(
            consolidated(actual),
            expected,
            "seed {seed}, physical\n{}\nbecame\n{}",
            shown(&plan),
            shown(&optimised)
        );
        let desc = {
            let typ = RelationType::new(optimised.column_types());
            let names = (0..typ.arity()).map(|i| format!("c{i}")).collect();
            RelationDesc::new(typ, names)
        };
        let key = crate::dataflow::natural_key(&optimised);
        let export = DataflowExport { on_id: id, desc, kind: ExportKind::Index { key } };
        let exports = BTreeMap::from([(index, export)]);
        let lowered =
            crate::dataflow::lower_dataflow("test", objects, exports, context, one_shot).unwrap().lir;
        let actual = lir_eval::run(&lowered, &tables, id);
        let text = || crate::explain::dataflow_text(&lowered, &Ids);
        let actual = actual.unwrap_or_else(|e| panic!("seed {seed}: {e}\n{}\n{}", shown(&optimised), text()));
        assert_eq!(
            consolidated(actual),
            expected,
            "seed {seed}, LIR\n{}\nbecame\n{}",
            shown(&optimised),
            text()
        );
    }
}

/// How many random plans are tried; `HEADWATER_OPTIMIZER_PLANS` for more.
fn plans() -> u64 {
    std::env::var("HEADWATER_OPTIMIZER_PLANS").ok().and_then(|v| v.parse().ok()).unwrap_or(3000)
}

#[test]
fn optimised_plans_give_what_plans_give() {
    let first: u64 = std::env::var("HEADWATER_SEED").ok().and_then(|v| v.parse().ok()).unwrap_or(1);
    for seed in first..first + plans() {
        check(seed, generate::plan);
    }
}
