//! The families of functions, one file (or folder) each. Each has a `register(r: &mut Registry)`.
//!
//! Entries are written as their signature and their evaluation, see [`signature`].

pub(crate) mod aggregate;
pub(crate) mod arithmetic;
pub(crate) mod array;
pub(crate) mod boolean;
pub(crate) mod canonical;
pub(crate) mod cast;
pub(crate) mod collection;
pub(crate) mod comparison;
pub(crate) mod datetime;
pub(crate) mod digest;
pub(crate) mod jsonb;
pub(crate) mod jsonpath;
pub(crate) mod math;
pub(crate) mod query;
pub(crate) mod range;
pub mod signature;
pub(crate) mod string;
pub(crate) mod system;
pub(crate) mod table;
pub(crate) mod type_info;
pub(crate) mod variadic;

use hw_repr::{Datum, RowArena};

pub(crate) use string::like::is_sound_pattern as is_sound_like_pattern;

use crate::error::EvalError;
use crate::func::{Registry, Role};

/// Builds the registry from all families.
pub(crate) fn build() -> Registry {
    let mut r = Registry::default();
    comparison::register(&mut r);
    arithmetic::register(&mut r);
    boolean::register(&mut r);
    canonical::register(&mut r);
    cast::register(&mut r);
    math::register(&mut r);
    string::register(&mut r);
    array::register(&mut r);
    collection::register(&mut r);
    datetime::register(&mut r);
    digest::register(&mut r);
    range::register(&mut r);
    system::register(&mut r);
    query::register(&mut r);
    jsonb::register(&mut r);
    jsonpath::register(&mut r);
    aggregate::register(&mut r);
    table::register(&mut r);
    type_info::register(&mut r);
    variadic::register(&mut r);
    r
}

/// Registers a function that depends on the session's time zone twice: as itself, in UTC, and as its internal twin that
/// takes the zone as one more argument, see [`crate::Func::zoned`].
macro_rules! zoned {
    ($r:ident, $make:ident, $sig:literal, |$tz:ident, $cx:ident, $arena:ident, $a:ident| $body:expr) => {{
        fn imp<'a>(
            $tz: &hw_repr::adt::TimeZone,
            $cx: &$crate::func::EvalCx<'_>,
            $arena: &'a hw_repr::RowArena,
            $a: &[hw_repr::Datum<'a>],
        ) -> $crate::functions::EvalResult<'a> {
            $body
        }
        $r.add($make($sig, |cx, arena, a| imp(&hw_repr::adt::TimeZone::UTC, cx, arena, a)));
        let mut twin = $make($sig, |cx, arena, a| match a.split_last() {
            Some((hw_repr::Datum::String(zone), args)) => {
                imp(&hw_repr::adt::TimeZone::parse(zone)?, cx, arena, args)
            }
            _ => Ok(hw_repr::Datum::Null),
        });
        twin.params.push($crate::func::ParamType::Type(hw_repr::ScalarType::String));
        twin.key = format!("zoned:{}", twin.key);
        twin.kind = $crate::func::FuncKind::Internal;
        $r.add(twin);
    }};
}
pub(crate) use zoned;

/// The result of an evaluation.
pub(crate) type EvalResult<'a> = Result<Datum<'a>, EvalError>;

/// A value.
pub(crate) fn ok<'a>(v: impl Into<Datum<'a>>) -> EvalResult<'a> {
    Ok(v.into())
}

/// The most bytes that a function's value may have.
pub(crate) const MAX_TEXT: usize = 1 << 28;

/// Refuses a value of more bytes than a function may make.
pub(crate) fn check_size(bytes: usize) -> Result<(), EvalError> {
    if bytes > MAX_TEXT { fail("54000", "requested length too large") } else { Ok(()) }
}

/// A text value kept in the arena.
pub(crate) fn text(arena: &RowArena, s: impl Into<Box<str>>) -> EvalResult<'_> {
    Ok(Datum::String(arena.push_string(s)))
}

/// An error with a SQLSTATE.
pub(crate) fn fail<T>(sqlstate: &str, message: impl Into<String>) -> Result<T, EvalError> {
    Err(EvalError::new(sqlstate, message))
}

/// `… out of range`.
pub(crate) fn out_of_range(what: &str) -> EvalError {
    EvalError::OutOfRange(what.into())
}

/// An argument out of its domain, 22023.
pub(crate) fn invalid_parameter(message: impl Into<String>) -> EvalError {
    EvalError::new("22023", message)
}

impl crate::func::FuncDef {
    /// Is recognised by the optimizer.
    pub(crate) fn role(mut self, role: Role) -> Self {
        self.role = Some(role);
        self
    }

    /// Computes the result type from the arguments' types.
    pub(crate) fn returning(mut self, ret: fn(&[hw_repr::ScalarType]) -> hw_repr::ScalarType) -> Self {
        self.ret = crate::func::ReturnType::Computed(ret);
        self
    }
}
