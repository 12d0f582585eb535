//! `x op ANY (array)` and `x op ALL (array)` (PostgreSQL manual 9.24.3, 9.24.4), for arrays and lists.
//!
//! The arguments are the value and the array; planning has brought the value and the elements to one type.

use std::cmp::Ordering;

use hw_repr::Datum;

use crate::error::EvalError;
use crate::func::Registry;
use crate::functions::EvalResult;
use crate::functions::signature::f;
use crate::functions::string::like::like;
use crate::functions::string::regex::regex;

type Test = fn(Datum<'_>, Datum<'_>) -> Result<bool, EvalError>;

fn quantified<'a>(a: &[Datum<'a>], any: bool, test: Test) -> EvalResult<'a> {
    let items: Vec<Datum<'a>> = match a[1] {
        Datum::Array(x) => x.elements().iter().collect(),
        Datum::List(x) => x.iter().collect(),
        _ => return Ok(Datum::Null),
    };
    if !items.is_empty() && a[0].is_null() {
        return Ok(Datum::Null);
    }
    let mut null = false;
    for d in items {
        if d.is_null() {
            null = true;
        } else if test(a[0], d)? == any {
            return Ok(Datum::Bool(any));
        }
    }
    Ok(if null { Datum::Null } else { Datum::Bool(!any) })
}

fn ilike(x: Datum<'_>, y: Datum<'_>) -> Result<bool, EvalError> {
    like(&x.unwrap_str().to_lowercase(), &y.unwrap_str().to_lowercase())
}

macro_rules! quantifiers {
    ($r:ident: $($any:literal $all:literal $total:literal $test:expr;)+) => {
        $(
            $r.add(f(concat!($any, "(Any, Any) -> bool lax internal", $total), |_, _, a| quantified(a, true, $test)));
            $r.add(f(concat!($all, "(Any, Any) -> bool lax internal", $total), |_, _, a| quantified(a, false, $test)));
        )+
    };
}

pub(super) fn register(r: &mut Registry) {
    quantifiers! { r:
        "hw_any_eq" "hw_all_eq" " total" |x, y| Ok(x == y);
        "hw_any_ne" "hw_all_ne" " total" |x, y| Ok(x != y);
        "hw_any_lt" "hw_all_lt" " total" |x, y| Ok(x.cmp(&y) == Ordering::Less);
        "hw_any_le" "hw_all_le" " total" |x, y| Ok(x <= y);
        "hw_any_gt" "hw_all_gt" " total" |x, y| Ok(x > y);
        "hw_any_ge" "hw_all_ge" " total" |x, y| Ok(x >= y);
        "hw_any_like" "hw_all_like" "" |x, y| like(x.unwrap_str(), y.unwrap_str());
        "hw_any_not_like" "hw_all_not_like" "" |x, y| Ok(!like(x.unwrap_str(), y.unwrap_str())?);
        "hw_any_ilike" "hw_all_ilike" "" ilike;
        "hw_any_not_ilike" "hw_all_not_ilike" "" |x, y| Ok(!ilike(x, y)?);
        "hw_any_regex" "hw_all_regex" "" |x, y| regex(y.unwrap_str(), "", None)?.0.is_match(x.unwrap_str());
        "hw_any_iregex" "hw_all_iregex" "" |x, y| regex(y.unwrap_str(), "i", None)?.0.is_match(x.unwrap_str());
    }
}
