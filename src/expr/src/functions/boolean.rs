//! Boolean functions. AND, OR, NOT and IS NULL are part of the scalar language itself.

use hw_repr::Datum;

use super::signature::f;
use crate::error::EvalError;
use crate::func::{Registry, Role};

pub(super) fn register(r: &mut Registry) {
    r.add(f("hw_is_true(bool) -> bool notnull total internal", |_, _, a| {
        Ok(Datum::Bool(a[0] == Datum::Bool(true)))
    }));
    r.add(f("hw_is_false(bool) -> bool notnull total internal", |_, _, a| {
        Ok(Datum::Bool(a[0] == Datum::Bool(false)))
    }));
    // The result type is the caller's: an expression that never has a value may stand for any.
    r.add(
        f("hw_raise_error(text) -> text internal", |_, _, a| {
            Err(EvalError::new("XX000", a[0].unwrap_str().to_owned()))
        })
        .role(Role::RaiseError),
    );
    r.add(
        f("hw_raise_error(text, text) -> text internal", |_, _, a| {
            Err(EvalError::new(a[0].unwrap_str(), a[1].unwrap_str().to_owned()))
        })
        .role(Role::RaiseError),
    );
}
