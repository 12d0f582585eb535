//! Ranges (PostgreSQL manual 8.17, 9.20).

use std::cmp::Ordering;

use hw_repr::text::range::{Bound, pack};
use hw_repr::{Datum, RangeRef, RowArena};

use super::signature::{f, op};
use super::{EvalResult, fail, ok};
use crate::error::EvalError;
use crate::func::Registry;

fn lower<'a>(r: &RangeRef<'a>) -> Bound<'a> {
    r.lower().map(|d| (d, r.lower_inc()))
}

fn upper<'a>(r: &RangeRef<'a>) -> Bound<'a> {
    r.upper().map(|d| (d, r.upper_inc()))
}

/// The order of lower bounds: none is first, an inclusive one before an exclusive one.
fn cmp_lower(x: Bound<'_>, y: Bound<'_>) -> Ordering {
    match (x, y) {
        (None, None) => Ordering::Equal,
        (None, _) => Ordering::Less,
        (_, None) => Ordering::Greater,
        (Some((a, i)), Some((b, j))) => a.cmp(&b).then(j.cmp(&i)),
    }
}

fn cmp_upper(x: Bound<'_>, y: Bound<'_>) -> Ordering {
    match (x, y) {
        (None, None) => Ordering::Equal,
        (None, _) => Ordering::Greater,
        (_, None) => Ordering::Less,
        (Some((a, i)), Some((b, j))) => a.cmp(&b).then(i.cmp(&j)),
    }
}

/// Whether an upper bound ends before a lower bound begins; with `touch`, whether they meet with no gap.
fn before(upper: Bound<'_>, lower: Bound<'_>) -> bool {
    match (upper, lower) {
        (Some((u, ui)), Some((l, li))) => match u.cmp(&l) {
            Ordering::Less => true,
            Ordering::Equal => !(ui && li),
            Ordering::Greater => false,
        },
        _ => false,
    }
}

fn meets(upper: Bound<'_>, lower: Bound<'_>) -> bool {
    match (upper, lower) {
        (Some((u, ui)), Some((l, li))) => u == l && ui != li,
        _ => false,
    }
}

fn overlaps(x: &RangeRef<'_>, y: &RangeRef<'_>) -> bool {
    !x.is_empty() && !y.is_empty() && !before(upper(x), lower(y)) && !before(upper(y), lower(x))
}

fn contains(x: &RangeRef<'_>, y: &RangeRef<'_>) -> bool {
    y.is_empty()
        || (!x.is_empty() && cmp_lower(lower(x), lower(y)).is_le() && cmp_upper(upper(x), upper(y)).is_ge())
}

fn contains_value(x: &RangeRef<'_>, d: Datum<'_>) -> bool {
    !x.is_empty() && !before(upper(x), Some((d, true))) && !before(Some((d, true)), lower(x))
}

fn adjacent(x: &RangeRef<'_>, y: &RangeRef<'_>) -> bool {
    !x.is_empty() && !y.is_empty() && (meets(upper(x), lower(y)) || meets(upper(y), lower(x)))
}

fn make<'a>(arena: &'a RowArena, l: Bound<'_>, u: Bound<'_>) -> EvalResult<'a> {
    arena.try_make_datum(|p| pack(l, u, p).map_err(EvalError::from))
}

fn empty(arena: &RowArena) -> EvalResult<'_> {
    Ok(arena.make_datum(|p| p.push_empty_range()))
}

fn max_lower<'a>(x: Bound<'a>, y: Bound<'a>) -> Bound<'a> {
    if cmp_lower(x, y).is_ge() { x } else { y }
}

fn min_upper<'a>(x: Bound<'a>, y: Bound<'a>) -> Bound<'a> {
    if cmp_upper(x, y).is_le() { x } else { y }
}

fn intersection<'a>(arena: &'a RowArena, x: &RangeRef<'a>, y: &RangeRef<'a>) -> EvalResult<'a> {
    if !overlaps(x, y) {
        return empty(arena);
    }
    make(arena, max_lower(lower(x), lower(y)), min_upper(upper(x), upper(y)))
}

/// The union; unless `merge` there may be no gap.
fn union<'a>(arena: &'a RowArena, dx: Datum<'a>, dy: Datum<'a>, merge: bool) -> EvalResult<'a> {
    let (x, y) = (dx.unwrap_range(), dy.unwrap_range());
    if x.is_empty() {
        return Ok(dy);
    }
    if y.is_empty() {
        return Ok(dx);
    }
    if !merge && !overlaps(&x, &y) && !adjacent(&x, &y) {
        return fail("22000", "result of range union would not be contiguous");
    }
    let l = if cmp_lower(lower(&x), lower(&y)).is_le() { lower(&x) } else { lower(&y) };
    let u = if cmp_upper(upper(&x), upper(&y)).is_ge() { upper(&x) } else { upper(&y) };
    make(arena, l, u)
}

fn difference<'a>(arena: &'a RowArena, dx: Datum<'a>, dy: Datum<'a>) -> EvalResult<'a> {
    let (x, y) = (dx.unwrap_range(), dy.unwrap_range());
    if !overlaps(&x, &y) {
        return Ok(dx);
    }
    let flip = |b: Bound<'a>| b.map(|(d, inc)| (d, !inc));
    let (starts_in, ends_in) =
        (cmp_lower(lower(&x), lower(&y)).is_lt(), cmp_upper(upper(&x), upper(&y)).is_gt());
    match (starts_in, ends_in) {
        (true, true) => fail("22000", "result of range difference would not be contiguous"),
        (false, false) => empty(arena),
        (true, false) => make(arena, lower(&x), flip(lower(&y))),
        (false, true) => make(arena, flip(upper(&y)), upper(&x)),
    }
}

fn flags<'a>(d: Datum<'a>) -> Result<(bool, bool), EvalError> {
    let Datum::String(s) = d else {
        return fail("22000", "range constructor flags argument must not be null");
    };
    match s {
        "[]" => Ok((true, true)),
        "[)" => Ok((true, false)),
        "(]" => Ok((false, true)),
        "()" => Ok((false, false)),
        _ => Err(EvalError::new("42601", "invalid range bound flags")
            .with_hint("Valid values are \"[]\", \"[)\", \"(]\", and \"()\".")),
    }
}

fn construct<'a>(arena: &'a RowArena, a: &[Datum<'a>]) -> EvalResult<'a> {
    let (li, ui) = a.get(2).map_or(Ok((true, false)), |d| flags(*d))?;
    let bound = |d: Datum<'a>, inc| if d.is_null() { None } else { Some((d, inc)) };
    make(arena, bound(a[0], li), bound(a[1], ui))
}

macro_rules! tests {
    ($r:ident: $($sig:literal |$x:ident, $y:ident| $test:expr;)+) => {
        $($r.add(op($sig, |_, _, a| {
            let ($x, $y) = (&a[0].unwrap_range(), &a[1].unwrap_range());
            ok($test)
        }));)+
    };
}

pub(super) fn register(r: &mut Registry) {
    for s in [
        "int4range(int4, int4) -> int4range lax",
        "int4range(int4, int4, text) -> int4range lax",
        "int8range(int8, int8) -> int8range lax",
        "int8range(int8, int8, text) -> int8range lax",
        "numrange(numeric, numeric) -> numrange lax",
        "numrange(numeric, numeric, text) -> numrange lax",
        "daterange(date, date) -> daterange lax",
        "daterange(date, date, text) -> daterange lax",
        "tsrange(timestamp, timestamp) -> tsrange lax",
        "tsrange(timestamp, timestamp, text) -> tsrange lax",
        "tstzrange(timestamptz, timestamptz) -> tstzrange lax",
        "tstzrange(timestamptz, timestamptz, text) -> tstzrange lax",
    ] {
        let mut def = f(s, |_, arena, a| construct(arena, a));
        def.introduces_null = false;
        r.add(def);
    }
    tests! { r:
        "AnyRange @> AnyRange -> bool total" |x, y| contains(x, y);
        "AnyRange <@ AnyRange -> bool total" |x, y| contains(y, x);
        "AnyRange && AnyRange -> bool total" |x, y| overlaps(x, y);
        "AnyRange << AnyRange -> bool total" |x, y| !x.is_empty() && !y.is_empty() && before(upper(x), lower(y));
        "AnyRange >> AnyRange -> bool total" |x, y| !x.is_empty() && !y.is_empty() && before(upper(y), lower(x));
        "AnyRange &< AnyRange -> bool total" |x, y| !x.is_empty() && !y.is_empty() && cmp_upper(upper(x), upper(y)).is_le();
        "AnyRange &> AnyRange -> bool total" |x, y| !x.is_empty() && !y.is_empty() && cmp_lower(lower(x), lower(y)).is_ge();
        "AnyRange -|- AnyRange -> bool total" |x, y| adjacent(x, y);
    }
    r.add(op("AnyRange @> AnyElement -> bool total", |_, _, a| {
        ok(contains_value(&a[0].unwrap_range(), a[1]))
    }));
    r.add(op("AnyElement <@ AnyRange -> bool total", |_, _, a| {
        ok(contains_value(&a[1].unwrap_range(), a[0]))
    }));
    r.add(op("AnyRange + AnyRange -> $1", |_, arena, a| union(arena, a[0], a[1], false)));
    r.add(op("AnyRange * AnyRange -> $1", |_, arena, a| {
        intersection(arena, &a[0].unwrap_range(), &a[1].unwrap_range())
    }));
    r.add(op("AnyRange - AnyRange -> $1", |_, arena, a| difference(arena, a[0], a[1])));
    r.add(f("range_merge(AnyRange, AnyRange) -> $1", |_, arena, a| union(arena, a[0], a[1], true)));
    r.add(f("lower(AnyRange) -> elem1 nullable total", |_, _, a| {
        Ok(a[0].unwrap_range().lower().unwrap_or(Datum::Null))
    }));
    r.add(f("upper(AnyRange) -> elem1 nullable total", |_, _, a| {
        Ok(a[0].unwrap_range().upper().unwrap_or(Datum::Null))
    }));
    r.add(f("isempty(AnyRange) -> bool total", |_, _, a| ok(a[0].unwrap_range().is_empty())));
    r.add(f("lower_inc(AnyRange) -> bool total", |_, _, a| ok(a[0].unwrap_range().lower_inc())));
    r.add(f("upper_inc(AnyRange) -> bool total", |_, _, a| ok(a[0].unwrap_range().upper_inc())));
    r.add(f("lower_inf(AnyRange) -> bool total", |_, _, a| {
        let x = a[0].unwrap_range();
        ok(!x.is_empty() && x.lower().is_none())
    }));
    r.add(f("upper_inf(AnyRange) -> bool total", |_, _, a| {
        let x = a[0].unwrap_range();
        ok(!x.is_empty() && x.upper().is_none())
    }));
}
