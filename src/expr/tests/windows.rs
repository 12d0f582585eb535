//! Window functions over one partition give PostgreSQL's answers.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use hw_expr::AggregateFunc;
use hw_expr::func::registry;
use hw_expr::window::{
    FrameBound, FrameExclusion, FrameUnits, WindowCall, WindowFrame, WindowFunc, WindowSpec,
};
use hw_repr::{ColumnOrder, Datum, RowArena, ScalarType};

/// The values of a function over `x in (1, 2, 2, 5)`, with 1 as the second argument and frame offset.
fn values(func: WindowFunc, args: Vec<usize>, frame: WindowFrame) -> Vec<Option<i64>> {
    let int = ScalarType::Int64.nullable(true);
    let order_by = vec![ColumnOrder { column: 0, desc: false, nulls_last: true }];
    let call = WindowCall { func, args, filter: None, frame, typ: int.clone() };
    let spec = Arc::new(WindowSpec { carried: vec![int], order_by, functions: vec![call] });
    let arena = RowArena::new();
    let rows: Vec<Vec<Datum<'_>>> =
        [5, 2, 1, 2].iter().map(|x| vec![Datum::Int64(*x), Datum::Int64(1)]).collect();
    let out = spec.eval(&arena, &rows).unwrap().unwrap_list();
    let value = |d: Datum<'_>| match d {
        Datum::Int64(v) => Some(v),
        Datum::Int32(v) => Some(v.into()),
        Datum::Numeric(n) => Some(hw_repr::adt::numeric::to_i64(&n).unwrap()),
        _ => None,
    };
    out.iter().map(|r| value(r.unwrap_list().iter().nth(1).unwrap())).collect()
}

fn sum() -> WindowFunc {
    let def = registry().aggregates["sum"].iter().find(|d| d.key == "sum(int8)").unwrap();
    WindowFunc::Aggregate(AggregateFunc::new(def, vec![ScalarType::Int64]))
}

fn frame(units: FrameUnits, start: FrameBound, end: FrameBound, exclusion: FrameExclusion) -> WindowFrame {
    WindowFrame { units, start, end, exclusion }
}

fn some(v: &[i64]) -> Vec<Option<i64>> {
    v.iter().copied().map(Some).collect()
}

#[test]
fn ranks_count_peers() {
    let default = WindowFrame::default;
    assert_eq!(values(WindowFunc::RowNumber, vec![], default()), some(&[1, 2, 3, 4]));
    assert_eq!(values(WindowFunc::Rank, vec![], default()), some(&[1, 2, 2, 4]));
    assert_eq!(values(WindowFunc::DenseRank, vec![], default()), some(&[1, 2, 2, 3]));
    assert_eq!(values(WindowFunc::Ntile, vec![1], default()), some(&[1, 1, 1, 1]));
    assert_eq!(values(WindowFunc::Lag, vec![0, 1], default()), vec![None, Some(1), Some(2), Some(2)]);
    assert_eq!(values(WindowFunc::Lead, vec![0], default()), vec![Some(2), Some(2), Some(5), None]);
    assert_eq!(values(WindowFunc::LastValue, vec![0], default()), some(&[1, 2, 2, 5]));
    assert_eq!(values(WindowFunc::NthValue, vec![0, 1], default()), some(&[1, 1, 1, 1]));
}

#[test]
fn frames_bound_aggregates() {
    use FrameBound::{CurrentRow, Following, Preceding, UnboundedFollowing, UnboundedPreceding};
    use FrameExclusion::{Group, NoOthers, Ties};
    use FrameUnits::{Groups, Range, Rows};
    let check = |f: WindowFrame, expected: Vec<Option<i64>>| {
        assert_eq!(values(sum(), vec![0], f.clone()), expected, "{f:?}")
    };
    check(WindowFrame::default(), some(&[1, 5, 5, 10]));
    check(frame(Rows, UnboundedPreceding, CurrentRow, NoOthers), some(&[1, 3, 5, 10]));
    check(frame(Rows, Preceding(1), CurrentRow, NoOthers), some(&[1, 3, 4, 7]));
    check(frame(Rows, Following(1), UnboundedFollowing, NoOthers), vec![Some(9), Some(7), Some(5), None]);
    check(frame(Range, Preceding(1), Following(1), NoOthers), some(&[5, 5, 5, 5]));
    check(frame(Groups, Preceding(1), CurrentRow, NoOthers), some(&[1, 5, 5, 9]));
    check(frame(Rows, UnboundedPreceding, UnboundedFollowing, Group), some(&[9, 6, 6, 5]));
    check(frame(Rows, UnboundedPreceding, UnboundedFollowing, Ties), some(&[10, 8, 8, 10]));
}
