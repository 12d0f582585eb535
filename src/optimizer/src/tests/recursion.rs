//! Recursive plans: they keep their results, and lower.

use std::collections::BTreeMap;

use hw_expr::{LocalId, MirRelationExpr as R, MirScalarExpr as S};
use hw_repr::{Datum, GlobalId, RelationType, Row, ScalarType};

use super::generate::{int, op};

#[test]
fn recursion_keeps_its_result() {
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
    let row = |a: i64, b: i64| (Row::pack_slice(&[Datum::Int64(a), Datum::Int64(b)]), 1);
    let mut tables = super::Tables::default();
    tables.tables.insert(GlobalId::User(1), (typ, vec![row(1, 2), row(2, 3), row(3, 1), row(4, 5)]));
    let expected = super::eval(&plan, &tables, &mut BTreeMap::new()).unwrap();
    assert_eq!(expected.len(), 3);
    let result = GlobalId::Transient(1);
    let objects = crate::dataflow::optimize_objects(vec![(result, plan)], &tables, &[], false).unwrap();
    let actual = super::eval(&objects[0].1, &tables, &mut BTreeMap::new()).unwrap();
    assert_eq!(actual, expected);
    crate::dataflow::lower_dataflow("recursive", objects, BTreeMap::new(), &tables, false).unwrap();
}
