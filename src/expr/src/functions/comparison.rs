//! Comparisons. They are polymorphic: arguments are brought to one common type, whose order is the datum's.
//! `character(n)` compares without its blanks.

use std::cmp::Ordering;

use hw_repr::{Datum, ScalarType};

use super::signature::{f, op};
use crate::func::{EvalCx, Registry, Role};

/// Compares two values of one type that are not NULL.
pub(crate) fn compare(cx: &EvalCx<'_>, a: Datum<'_>, b: Datum<'_>) -> Ordering {
    match (a, b) {
        (Datum::String(x), Datum::String(y))
            if matches!(cx.types.args.first(), Some(ScalarType::Char { .. })) =>
        {
            x.trim_end_matches(' ').cmp(y.trim_end_matches(' '))
        }
        _ => a.cmp(&b),
    }
}

macro_rules! comparisons {
    ($r:ident: $($sig:literal, $role:ident, $test:expr;)+) => {
        $($r.add(op($sig, |cx, _, a| {
            let test: fn(Ordering) -> bool = $test;
            Ok(Datum::Bool(test(compare(cx, a[0], a[1]))))
        }).role(Role::$role));)+
    };
}

pub(super) fn register(r: &mut Registry) {
    comparisons! { r:
        "AnyCompatible = AnyCompatible -> bool total", Eq, Ordering::is_eq;
        "AnyCompatible <> AnyCompatible -> bool total", NotEq, Ordering::is_ne;
        "AnyCompatible < AnyCompatible -> bool total", Lt, Ordering::is_lt;
        "AnyCompatible <= AnyCompatible -> bool total", Le, Ordering::is_le;
        "AnyCompatible > AnyCompatible -> bool total", Gt, Ordering::is_gt;
        "AnyCompatible >= AnyCompatible -> bool total", Ge, Ordering::is_ge;
    }
    // IS NOT DISTINCT FROM.
    r.add(f("hw_not_distinct(AnyCompatible, AnyCompatible) -> bool notnull total internal", |cx, _, a| {
        let equal = match (a[0].is_null(), a[1].is_null()) {
            (false, false) => compare(cx, a[0], a[1]).is_eq(),
            (x, y) => x && y,
        };
        Ok(Datum::Bool(equal))
    }));
    r.add(f("nullif(AnyCompatible, AnyCompatible) -> $1 lax_total", |cx, _, a| {
        let same = !a[0].is_null() && !a[1].is_null() && compare(cx, a[0], a[1]).is_eq();
        Ok(if same { Datum::Null } else { a[0] })
    }));
    r.add(f("greatest(AnyCompatible...) -> $1 lax_total", |cx, _, a| {
        let values = a.iter().copied().filter(|d| !d.is_null());
        Ok(values.reduce(|x, y| if compare(cx, x, y).is_lt() { y } else { x }).unwrap_or(Datum::Null))
    }));
    r.add(f("least(AnyCompatible...) -> $1 lax_total", |cx, _, a| {
        let values = a.iter().copied().filter(|d| !d.is_null());
        Ok(values.reduce(|x, y| if compare(cx, x, y).is_gt() { y } else { x }).unwrap_or(Datum::Null))
    }));
    r.add(f("num_nulls(Any...) -> int4 notnull total", |_, _, a| {
        Ok(Datum::Int32(a.iter().filter(|d| d.is_null()).count() as i32))
    }));
    r.add(f("num_nonnulls(Any...) -> int4 notnull total", |_, _, a| {
        Ok(Datum::Int32(a.iter().filter(|d| !d.is_null()).count() as i32))
    }));
}
