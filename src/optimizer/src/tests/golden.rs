//! Golden plans: one file for each transform under `golden/`, plans before and after it.
//!
//! ```text
//! tables                             declares tables: columns, keys, indexes
//! apply <rule> …                     the plan after these rules, each applied once
//! optimize                           after all logical rules
//! physical [one_shot]                after all rules, with the tables' indexes
//! lir [one_shot]                     the dataflow
//! ```
//!
//! Each plan is also run, before and after, over random rows. `REWRITE=1` writes the answers anew.

use std::collections::BTreeMap;

use hw_expr::{MirRelationExpr as R, MirScalarExpr as S};
use hw_plan::{DataflowExport, ExportKind};
use hw_repr::{Datum, GlobalId, RelationDesc, RelationType, Row, ScalarType};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::Tables;
use super::read::{Names, plan, scalar_type};
use crate::transform::eval::consolidated;
use crate::{ExplainOption, ExplainOptions, Humanizer};

#[derive(Default)]
struct Session {
    names: Names,
    tables: Tables,
}

impl Humanizer for Session {
    fn object(&self, id: GlobalId) -> String {
        let table = self.names.tables.iter().find(|(_, (other, _))| *other == id);
        table.map_or_else(|| id.to_string(), |(name, _)| name.clone())
    }

    fn columns(&self, _: GlobalId) -> Vec<String> {
        vec![]
    }
}

impl Session {
    fn declare(&mut self, text: &str) {
        for line in text.lines().filter(|l| !l.trim().is_empty()) {
            let (name, rest) = line.split_once(" (").unwrap();
            let (types, rest) = rest.split_once(')').unwrap();
            let types = types.split(", ").filter(|t| !t.is_empty());
            let types =
                types.map(|t| scalar_type(t.split(' ').next().unwrap()).nullable(!t.ends_with("not null")));
            let mut typ = RelationType::new(types.collect());
            let id = GlobalId::User(self.names.tables.len() as u64 + 1);
            for part in rest.split(')').filter(|p| !p.trim().is_empty()) {
                let (what, columns) = part.trim().split_once('(').unwrap();
                let columns = columns.split(", ").filter(|c| !c.is_empty());
                let columns: Vec<usize> = columns.map(|c| c.parse().unwrap()).collect();
                match what {
                    "monotonic" => {
                        self.tables.monotonic.insert(id);
                    }
                    "key" => typ = typ.with_key(columns),
                    "index" => {
                        let index = GlobalId::User(1000 + self.tables.indexes.len() as u64);
                        self.tables.indexes.push((index, id, columns.into_iter().map(S::Column).collect()));
                    }
                    other => panic!("{other} of a table"),
                }
            }
            self.tables.tables.insert(id, (typ.clone(), vec![]));
            self.names.tables.insert(name.to_owned(), (id, typ));
        }
    }

    fn shown(&self, e: &R) -> String {
        let mut options = ExplainOptions::default();
        options.set(ExplainOption::JoinImplementations, true);
        crate::explain_mir(e, self, &options)
    }

    /// Fills all tables with random rows that keep to their types and keys.
    fn fill(&mut self, seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        for (typ, rows) in self.tables.tables.values_mut() {
            let mut out: Vec<(Row, i64)> = vec![];
            for _ in 0..rng.random_range(0..8) {
                let row: Vec<Datum<'_>> = typ
                    .column_types
                    .iter()
                    .map(|t| {
                        if t.nullable && rng.random_bool(0.3) {
                            return Datum::Null;
                        }
                        let n = rng.random_range(0..4);
                        match t.scalar_type {
                            ScalarType::Int64 => Datum::Int64(n),
                            ScalarType::Int32 => Datum::Int32(n as i32),
                            ScalarType::String => Datum::String(["a", "b", "c", "d"][n as usize]),
                            ScalarType::Bool => Datum::Bool(n % 2 == 0),
                            ScalarType::MzTimestamp => Datum::MzTimestamp(n as u64),
                            _ => Datum::Numeric(hw_repr::adt::Numeric::from(n as i32)),
                        }
                    })
                    .collect();
                let clash = typ.keys.iter().any(|key| {
                    out.iter().any(|(other, _)| key.iter().all(|c| other.unpack()[*c] == row[*c]))
                });
                if !clash {
                    out.push((Row::pack(row), 1));
                }
            }
            *rows = consolidated(out);
        }
    }

    fn run(&self, e: &R) -> Option<Vec<(Row, i64)>> {
        let mut timeless = e.clone();
        super::bind_mz_now(&mut timeless, 2);
        super::eval(&timeless, &self.tables, &mut BTreeMap::new()).ok().map(consolidated)
    }

    /// Both plans give the same rows, where the first gives any.
    fn check(&mut self, before: &R, after: &R) {
        for seed in 0..30 {
            self.fill(seed);
            let Some(expected) = self.run(before) else { continue };
            assert_eq!(
                self.run(after),
                Some(expected),
                "{}\nbecame\n{}",
                self.shown(before),
                self.shown(after)
            );
        }
    }

    fn physical(&mut self, before: R, one_shot: bool) -> (R, String) {
        let (id, index) = (GlobalId::Transient(1), GlobalId::Transient(2));
        let objects =
            crate::dataflow::optimize_objects(vec![(id, before)], &self.tables, &[index], one_shot).unwrap();
        let after = objects[0].1.clone();
        let names: Vec<String> = (0..after.arity()).map(|i| format!("c{i}")).collect();
        let desc = RelationDesc::new(RelationType::new(after.column_types()), names);
        let kind = ExportKind::Index { key: crate::dataflow::natural_key(&after) };
        let exports = BTreeMap::from([(index, DataflowExport { on_id: id, desc, kind })]);
        let lowered =
            crate::dataflow::lower_dataflow("golden", objects, exports, &self.tables, one_shot).unwrap();
        let text = crate::explain::dataflow_text(&lowered.lir, self);
        (after, text)
    }

    fn answer(&mut self, directive: &str, args: &[String], input: &str) -> String {
        if directive == "tables" {
            self.declare(input);
            return String::new();
        }
        self.names.locals.clear();
        let before = plan(input, &mut self.names);
        let one_shot = args.iter().any(|a| a == "one_shot");
        let (after, text) = match directive {
            "apply" => {
                let mut after = before.clone();
                for name in args {
                    let rule = crate::transform::LOGICAL.iter().find(|(n, _)| n == name);
                    rule.unwrap_or_else(|| panic!("no rule {name}")).1(&mut after);
                }
                let text = self.shown(&after);
                (after, text)
            }
            "optimize" => {
                let after = crate::optimize_local(before.clone()).unwrap().into_expr();
                let text = self.shown(&after);
                (after, text)
            }
            "physical" => {
                let (after, _) = self.physical(before.clone(), one_shot);
                let text = self.shown(&after);
                (after, text)
            }
            "lir" => self.physical(before.clone(), one_shot),
            other => panic!("no directive {other}"),
        };
        self.check(&before, &after);
        text
    }
}

#[test]
fn golden_plans() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tests/golden");
    datadriven::walk(folder, |file| {
        let mut session = Session::default();
        file.run(|case| {
            let mut args: Vec<String> = case.args.keys().cloned().collect();
            args.sort_by_key(|a| crate::transform::LOGICAL.iter().position(|(name, _)| name == a));
            session.answer(&case.directive, &args, &case.input)
        });
    });
}
