//! Golden plans: what each rule does to a plan, and what queries become.

use hw_expr::{MirRelationExpr as R, MirScalarExpr as S};
use hw_repr::{GlobalId, RelationType, ScalarType};

use super::generate::{int, op};

fn table(id: u64, arity: usize) -> R {
    let types = vec![ScalarType::Int64.nullable(false); arity];
    R::global_get(GlobalId::User(id), RelationType::new(types).with_key(vec![0]))
}

fn shown(e: &R) -> String {
    crate::explain_mir(e, &|id| format!("t{}", id.to_string().trim_start_matches('u')), &Default::default())
}

fn optimised(e: R) -> String {
    shown(crate::optimize_local(e).unwrap().expr())
}

#[test]
fn equalities_become_join_keys_and_spread_literals() {
    let joined = table(1, 2).product(table(2, 2));
    let filtered = joined.filter(vec![op("=", S::Column(0), S::Column(2)), op("=", S::Column(0), int(5))]);
    assert_eq!(
        optimised(filtered),
        "Join on=(#0 = #2)\n  Filter (#0 = 5)\n    Get t1\n  Filter (#0 = 5)\n    Get t2\n"
    );
}

#[test]
fn unneeded_columns_are_dropped_below_joins() {
    let joined = R::join(vec![table(1, 3), table(2, 2)], vec![vec![S::Column(0), S::Column(3)]]);
    assert_eq!(
        optimised(joined.project(vec![1])),
        "Project (#1)\n  Join on=(#0 = #2)\n    Project (#0, #1)\n      Get t1\n    Project (#0)\n      Get t2\n"
    );
}

#[test]
fn distinct_of_a_key_is_nothing_and_joins_with_it_go() {
    let t = table(1, 2);
    let joined =
        R::join(vec![t.clone(), t.project(vec![0]).distinct()], vec![vec![S::Column(0), S::Column(2)]]);
    assert_eq!(optimised(joined), "Project (#0, #1, #0)\n  Get t1\n");
}

#[test]
fn contradictions_are_empty() {
    let e = table(1, 2).filter(vec![op("<", int(2), int(1))]).product(table(2, 1));
    assert_eq!(optimised(e), "Constant <empty>\n");
}

#[test]
fn unions_cancel() {
    let e = table(1, 1).union(table(2, 1)).union(table(1, 1).negate());
    assert_eq!(optimised(e), "Get t2\n");
}

#[test]
fn recursion_keeps_its_result() {
    use hw_expr::LocalId;
    use std::collections::BTreeMap;
    // Reachability: edges, or edges after what is reachable.
    let typ = RelationType::new(vec![ScalarType::Int64.nullable(true); 2]);
    let edges = R::global_get(GlobalId::User(1), typ.clone());
    let id = LocalId(0);
    let reach = R::local_get(id, typ.clone());
    let step =
        R::join(vec![reach.clone(), edges.clone()], vec![]).filter(vec![op("=", S::Column(1), S::Column(2))]);
    let value = edges.union(step.project(vec![0, 3])).distinct();
    let body = reach.filter(vec![op("=", S::Column(0), int(1))]).project(vec![1]);
    let plan = R::LetRec { ids: vec![id], values: vec![value], limits: vec![None], body: Box::new(body) };
    let row =
        |a: i64, b: i64| (hw_repr::Row::pack_slice(&[hw_repr::Datum::Int64(a), hw_repr::Datum::Int64(b)]), 1);
    let mut tables = super::Tables::default();
    tables.tables.insert(GlobalId::User(1), (typ, vec![row(1, 2), row(2, 3), row(3, 1), row(4, 5)]));
    let expected = super::eval(&plan, &tables, &mut BTreeMap::new()).unwrap();
    assert_eq!(expected.len(), 3);
    let result = GlobalId::Transient(1);
    let objects = crate::dataflow::optimize_objects(vec![(result, plan)], &tables, &[], false).unwrap();
    let actual = super::eval(&objects[0].1, &tables, &mut BTreeMap::new()).unwrap();
    assert_eq!(actual, expected, "{}", shown(&objects[0].1));
    crate::dataflow::lower_dataflow("recursive", objects, BTreeMap::new(), &tables, false).unwrap();
}
