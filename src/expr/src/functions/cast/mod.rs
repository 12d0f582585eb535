//! Casts (PostgreSQL manual 4.2.9, 10.4, and the catalog `pg_cast`).
//!
//! The table has the casts between basic types. Those that PostgreSQL derives are single entries at many types, whose
//! result type the caller sets ([`crate::Func::with_ret`]): from text by the input function, to text by the output
//! function, and between containers element by element. [`crate::cast`] puts them together.

pub(crate) mod container;
mod datetime;
mod number;
pub(crate) mod string;

use hw_repr::{Datum, ScalarType, text as format};

use super::signature::f;
use super::zoned;
use crate::func::{EvalFn, FuncDef, Registry, Role};

/// The output function: any type to text.
pub(crate) const TO_TEXT: &str = "hw_to_text(Any)";
/// The input function: text to the type that the call is set to.
pub(crate) const FROM_TEXT: &str = "hw_from_text(text)";
/// Element by element between arrays, lists, maps and records, to the type that the call is set to.
pub(crate) const CONTAINER: &str = "hw_cast_container(Any,bool)";

pub(super) fn register(r: &mut Registry) {
    number::register(r);
    string::register(r);
    datetime::register(r);
    container::register(r);
    zoned!(r, text_cast, "hw_to_text(Any) -> text total internal", |tz, cx, arena, a| {
        let mut out = String::new();
        if let (ScalarType::RegProc, Datum::UInt32(oid)) = (&cx.types.args[0], a[0])
            && let Some(name) = crate::listing::listing().regproc_name(oid)
        {
            return Ok(Datum::String(arena.push_string(name)));
        }
        format::encode_with(a[0], &cx.types.args[0], &format::EncodeContext { timezone: *tz }, &mut out);
        Ok(Datum::String(arena.push_string(out)))
    });
    zoned!(r, text_cast, "hw_from_text(text) -> text internal", |tz, cx, arena, a| {
        let typ = cx.types.ret.without_modifiers();
        let context = format::DecodeContext { timezone: *tz, now: None };
        let value = format::decode_with(a[0].unwrap_str(), &typ, &context, arena)?;
        if let (ScalarType::Jsonpath, Datum::String(path)) = (&typ, value) {
            super::jsonpath::check_patterns(path)?;
        }
        Ok(value)
    });
    // Gives a value a type of the same base, such as a named list type.
    r.add(f("hw_relabel(Any) -> $1 total internal", |_, _, a| Ok(a[0])).role(Role::InjectiveCast));
}

/// A function that casts.
fn text_cast(signature: &'static str, eval: EvalFn) -> FuncDef {
    f(signature, eval).role(Role::Cast)
}

/// What `numeric(p,s)`'s modifier in `pg_attribute` says.
fn numeric_typmod(typmod: i32) -> Option<hw_repr::NumericTypmod> {
    let packed = typmod.checked_sub(4).filter(|p| *p >= 0)?;
    let (precision, scale) = (u8::try_from(packed >> 16).ok()?, u8::try_from(packed & 0x7ff).ok()?);
    Some(hw_repr::NumericTypmod { precision, scale })
}

/// The modifier in `pg_attribute` of a type, -1 for none.
pub(crate) fn typmod_of(typ: &ScalarType) -> i32 {
    match typ {
        ScalarType::Numeric { typmod: Some(t) } => (i32::from(t.precision) << 16 | i32::from(t.scale)) + 4,
        ScalarType::VarChar { max_length: Some(n) } | ScalarType::Char { length: Some(n) } => {
            i32::try_from(*n).map_or(-1, |n| n.saturating_add(4))
        }
        ScalarType::Timestamp { precision: Some(p) } | ScalarType::TimestampTz { precision: Some(p) } => {
            i32::from(*p)
        }
        _ => -1,
    }
}
