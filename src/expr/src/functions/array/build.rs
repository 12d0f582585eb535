//! Functions that make arrays: constructor, concatenation, `array_fill`, `array_remove`, `array_replace`.

use hw_repr::datum::ArrayDimension;
use hw_repr::{ArrayRef, Datum, Row, RowArena, ScalarType};

use super::{elements, make, make_plain};
use crate::func::Registry;
use crate::functions::signature::{array_type, f, op};
use crate::functions::{EvalResult, check_size, fail};

/// `ARRAY[…]`: arrays of one shape become an array of one more dimension.
fn construct<'a>(arena: &'a RowArena, a: &[Datum<'a>], nested: bool) -> EvalResult<'a> {
    if !nested {
        return Ok(make_plain(arena, a));
    }
    let arrays: Vec<ArrayRef<'a>> =
        a.iter().filter_map(|d| if let Datum::Array(x) = d { Some(*x) } else { None }).collect();
    let Some(first) = arrays.iter().find(|x| x.ndims() > 0) else { return Ok(make_plain(arena, &[])) };
    let inner: Vec<ArrayDimension> = first.dims().collect();
    if arrays.len() != a.len() || !arrays.iter().all(|x| x.dims().eq(inner.iter().copied())) {
        return fail("2202E", "multidimensional arrays must have array expressions with matching dimensions");
    }
    let mut dims = vec![ArrayDimension { lower_bound: 1, length: arrays.len() as u32 }];
    dims.extend(inner);
    let all: Vec<Datum<'a>> = arrays.iter().flat_map(|x| elements(*x)).collect();
    Ok(make(arena, &dims, &all))
}

fn incompatible<T>(detail: &str) -> Result<T, crate::EvalError> {
    fail("2202E", "cannot concatenate incompatible arrays")
        .map_err(|e: crate::EvalError| e.with_detail(detail))
}

/// `array || array` (PostgreSQL manual 8.15.4): of the same number of dimensions, or one an element of the other.
fn concat<'a>(arena: &'a RowArena, x: Datum<'a>, y: Datum<'a>) -> EvalResult<'a> {
    let (x, y) = match (x, y) {
        (Datum::Null, other) | (other, Datum::Null) => return Ok(other),
        (Datum::Array(x), Datum::Array(y)) if x.ndims() == 0 || y.ndims() == 0 => {
            return Ok(Datum::Array(if x.ndims() == 0 { y } else { x }));
        }
        (x, y) => (x.unwrap_array(), y.unwrap_array()),
    };
    let (dx, dy): (Vec<_>, Vec<_>) = (x.dims().collect(), y.dims().collect());
    let mut all = elements(x);
    all.extend(elements(y));
    let lengths = |d: &[ArrayDimension]| d.iter().map(|d| d.length).collect::<Vec<_>>();
    let dims = match dx.len() as i64 - dy.len() as i64 {
        0 => {
            if lengths(&dx[1..]) != lengths(&dy[1..]) {
                return incompatible(
                    "Arrays with differing element dimensions are not compatible for concatenation.",
                );
            }
            let mut dims = dx.clone();
            dims[0].length += dy[0].length;
            dims
        }
        1 | -1 => {
            let (outer, inner) = if dx.len() > dy.len() { (&dx, &dy) } else { (&dy, &dx) };
            if lengths(&outer[1..]) != lengths(inner) {
                return incompatible(
                    "Arrays with differing dimensions are not compatible for concatenation.",
                );
            }
            let mut dims = outer.clone();
            dims[0].length += 1;
            dims
        }
        _ => {
            return incompatible(&format!(
                "Arrays of {} and {} dimensions are not compatible for concatenation.",
                dx.len(),
                dy.len()
            ));
        }
    };
    Ok(make(arena, &dims, &all))
}

fn append<'a>(arena: &'a RowArena, array: Datum<'a>, d: Datum<'a>, front: bool) -> EvalResult<'a> {
    let (mut dims, mut all) = match array {
        Datum::Array(x) if x.ndims() > 1 => {
            return fail("22000", "argument must be empty or one-dimensional array");
        }
        Datum::Array(x) => (x.dims().collect::<Vec<_>>(), elements(x)),
        _ => (vec![], vec![]),
    };
    if dims.is_empty() {
        dims.push(ArrayDimension { lower_bound: 1, length: 0 });
    }
    dims[0].length += 1;
    all.insert(if front { 0 } else { all.len() }, d);
    Ok(make(arena, &dims, &all))
}

pub(super) fn register(r: &mut Registry) {
    r.add(
        f("hw_array(Any...) -> text notnull internal", |cx, arena, a| {
            let nested = cx.types.args.iter().any(|t| matches!(t, ScalarType::Array(_)));
            construct(arena, a, nested)
        })
        .returning(|t| {
            t.first().map_or(ScalarType::String.array_of(), |t| array_type(&t.without_modifiers()))
        }),
    );
    r.add(op("AnyCompatibleArray || AnyCompatibleArray -> $1 lax", |_, arena, a| concat(arena, a[0], a[1])));
    r.add(f("array_cat(AnyCompatibleArray, AnyCompatibleArray) -> $1 lax", |_, arena, a| {
        concat(arena, a[0], a[1])
    }));
    r.add(op("AnyCompatibleArray || AnyCompatible -> $1 lax", |_, arena, a| {
        append(arena, a[0], a[1], false)
    }));
    r.add(op("AnyCompatible || AnyCompatibleArray -> $2 lax", |_, arena, a| append(arena, a[1], a[0], true)));
    r.add(f("array_append(AnyCompatibleArray, AnyCompatible) -> $1 lax", |_, arena, a| {
        append(arena, a[0], a[1], false)
    }));
    r.add(f("array_prepend(AnyCompatible, AnyCompatibleArray) -> $2 lax", |_, arena, a| {
        append(arena, a[1], a[0], true)
    }));
    r.add(f("array_remove(AnyCompatibleArray, AnyCompatible) -> $1 lax", |_, arena, a| {
        let Datum::Array(array) = a[0] else { return Ok(Datum::Null) };
        if array.ndims() > 1 {
            return fail("0A000", "removing elements from multidimensional arrays is not supported");
        }
        let all = elements(array);
        let left: Vec<_> = all.iter().copied().filter(|d| *d != a[1]).collect();
        let unchanged = left.len() == all.len();
        Ok(if unchanged { a[0] } else { make_plain(arena, &left) })
    }));
    r.add(f(
        "array_replace(AnyCompatibleArray, AnyCompatible, AnyCompatible) -> $1 lax_total",
        |_, arena, a| {
            let Datum::Array(array) = a[0] else { return Ok(Datum::Null) };
            let dims: Vec<_> = array.dims().collect();
            let new: Vec<_> = elements(array).into_iter().map(|d| if d == a[1] { a[2] } else { d }).collect();
            Ok(make(arena, &dims, &new))
        },
    ));
    for s in
        ["array_fill(AnyElement, int4[]) -> arr1 lax", "array_fill(AnyElement, int4[], int4[]) -> arr1 lax"]
    {
        r.add(f(s, |_, arena, a| fill(arena, a)));
    }
    r.add(f("trim_array(AnyArray, int4) -> $1", |_, arena, a| {
        let (array, n) = (a[0].unwrap_array(), a[1].unwrap_int32());
        let mut dims: Vec<_> = array.dims().collect();
        let len = dims.first().map_or(0, |d| d.length as i32);
        if n < 0 || n > len {
            return fail("2202E", format!("number of elements to trim must be between 0 and {len}"));
        }
        let Some(first) = dims.first_mut() else { return Ok(a[0]) };
        first.length -= n as u32;
        dims.iter_mut().for_each(|d| d.lower_bound = 1);
        let keep: usize = dims.iter().map(|d| d.length as usize).product();
        Ok(make(arena, &dims, &elements(array)[..keep]))
    }));
}

fn fill<'a>(arena: &'a RowArena, a: &[Datum<'a>]) -> EvalResult<'a> {
    const MAX_ELEMENTS: u64 = 134_217_727;
    let (Datum::Array(lengths), lower) = (a[1], a.get(2)) else {
        return fail("22004", "dimension array or low bound array cannot be null");
    };
    if lengths.ndims() > 1 {
        return fail("2202E", "wrong number of array subscripts")
            .map_err(|e: crate::EvalError| e.with_detail("Dimension array must be one dimensional."));
    }
    let lower = match lower {
        None => None,
        Some(Datum::Array(l)) => Some(elements(*l)),
        Some(_) => return fail("22004", "dimension array or low bound array cannot be null"),
    };
    let mut dims = vec![];
    for (i, d) in elements(lengths).into_iter().enumerate() {
        let Datum::Int32(length) = d else { return fail("22004", "dimension values cannot be null") };
        let Ok(length) = u32::try_from(length) else {
            return fail("54000", format!("array size exceeds the maximum allowed ({MAX_ELEMENTS})"));
        };
        let lower_bound =
            lower.as_ref().and_then(|l| l.get(i)).map_or(1, |d| if let Datum::Int32(v) = d { *v } else { 1 });
        dims.push(ArrayDimension { lower_bound, length });
    }
    let total = dims.iter().try_fold(1u64, |n, d| n.checked_mul(d.length.into())).unwrap_or(u64::MAX);
    if total > MAX_ELEMENTS {
        return fail("54000", format!("array size exceeds the maximum allowed ({MAX_ELEMENTS})"));
    }
    let count = if dims.is_empty() { 0 } else { total as usize };
    check_size(Row::pack_slice(&[a[0]]).data().len().saturating_mul(count))?;
    let dims = if count == 0 { &[] } else { &dims[..] };
    Ok(arena.make_datum(|p| p.push_array_with(dims, |p| p.extend(std::iter::repeat_n(a[0], count)))))
}
