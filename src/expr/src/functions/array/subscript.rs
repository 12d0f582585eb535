//! Subscripts and slices of arrays.
//!
//! `hw_array_get(array, i, …)` has one subscript for each dimension; `hw_array_slice(array, l1, u1, …)` a pair for
//! each, in which NULL stands for a bound left out: planning makes a written NULL a NULL result.

use hw_repr::datum::ArrayDimension;
use hw_repr::{ArrayRef, Datum, RowArena};

use super::{elements, make};
use crate::func::Registry;
use crate::functions::EvalResult;
use crate::functions::signature::f;

fn index<'a>(array: ArrayRef<'a>, subscripts: &[Datum<'_>]) -> Datum<'a> {
    if array.ndims() != subscripts.len() || array.ndims() == 0 {
        return Datum::Null;
    }
    let mut at = 0usize;
    for (d, s) in array.dims().zip(subscripts) {
        let offset = i64::from(s.unwrap_int32()) - i64::from(d.lower_bound);
        match u32::try_from(offset) {
            Ok(offset) if offset < d.length => at = at * d.length as usize + offset as usize,
            _ => return Datum::Null,
        }
    }
    array.elements().iter().nth(at).unwrap_or(Datum::Null)
}

fn slice<'a>(arena: &'a RowArena, array: ArrayRef<'a>, bounds: &[Datum<'_>]) -> EvalResult<'a> {
    let dims: Vec<ArrayDimension> = array.dims().collect();
    if dims.is_empty() || bounds.len() / 2 > dims.len() {
        return Ok(make(arena, &[], &[]));
    }
    let mut ranges = vec![];
    for (i, d) in dims.iter().enumerate() {
        let (first, last) = (i64::from(d.lower_bound), i64::from(d.lower_bound) + i64::from(d.length) - 1);
        let bound = |at: usize, default: i64| match bounds.get(at) {
            Some(Datum::Int32(v)) => i64::from(*v),
            _ => default,
        };
        let (from, to) = (bound(2 * i, first).max(first), bound(2 * i + 1, last).min(last));
        if from > to {
            return Ok(make(arena, &[], &[]));
        }
        ranges.push(((from - first) as usize, (to - first) as usize));
    }
    let all = elements(array);
    let mut kept = vec![];
    for (i, d) in all.iter().enumerate() {
        let mut rest = i;
        let inside = dims.iter().zip(&ranges).rev().all(|(dim, (from, to))| {
            let at = rest % dim.length as usize;
            rest /= dim.length as usize;
            (*from..=*to).contains(&at)
        });
        if inside {
            kept.push(*d);
        }
    }
    let dims: Vec<_> = ranges
        .iter()
        .map(|(from, to)| ArrayDimension { lower_bound: 1, length: (to - from + 1) as u32 })
        .collect();
    Ok(make(arena, &dims, &kept))
}

pub(super) fn register(r: &mut Registry) {
    r.add(f("hw_array_get(AnyArray, int4...) -> elem1 nullable total internal", |_, _, a| {
        Ok(index(a[0].unwrap_array(), &a[1..]))
    }));
    r.add(f("hw_array_slice(AnyArray, int4...) -> $1 lax_total internal", |_, arena, a| match a[0] {
        Datum::Array(array) => slice(arena, array, &a[1..]),
        _ => Ok(Datum::Null),
    }));
}
