//! Casts between character types, and their length coercions.

use hw_repr::{RowArena, ScalarType};

use crate::func::Registry;
use crate::functions::signature::cast;
use crate::functions::{EvalResult, check_size, fail, ok, text};

/// Casts that keep the text as it is.
const RELABEL: &[&str] = &[
    "text -> varchar implicit injective total",
    "text -> bpchar implicit total",
    "varchar -> text implicit injective total",
    "varchar -> bpchar implicit total",
    "name -> text implicit injective total",
    "name -> varchar assignment injective total",
    "name -> bpchar assignment total",
    "char -> text implicit injective total",
    "char -> varchar assignment injective total",
    "char -> bpchar assignment total",
    "mz_aclitem -> text explicit injective total",
];

pub(super) fn register(r: &mut Registry) {
    for s in RELABEL {
        r.add(cast(s, |_, _, a| Ok(a[0])));
    }
    for s in ["bpchar -> text implicit injective total", "bpchar -> varchar implicit injective total"] {
        r.add(cast(s, |_, _, a| ok(a[0].unwrap_str().trim_end_matches(' '))));
    }
    for s in ["text -> name implicit total", "varchar -> name implicit total"] {
        r.add(cast(s, |_, _, a| ok(name_prefix(a[0].unwrap_str()))));
    }
    r.add(cast("bpchar -> name implicit total", |_, _, a| {
        ok(name_prefix(a[0].unwrap_str().trim_end_matches(' ')))
    }));
    for s in [
        "text -> char assignment total",
        "varchar -> char assignment total",
        "bpchar -> char assignment total",
    ] {
        r.add(cast(s, |_, _, a| {
            let s = a[0].unwrap_str();
            ok(s.chars().next().map_or("", |c| &s[..c.len_utf8()]))
        }));
    }
    r.add(cast("char -> int4 total", |_, _, a| {
        ok(a[0].unwrap_str().bytes().next().map_or(0, |b| i32::from(b as i8)))
    }));
    r.add(cast("int4 -> char", |_, arena, a| match u8::try_from(a[0].unwrap_int32()) {
        Ok(0) => ok(""),
        Ok(b) if b < 128 => text(arena, char::from(b).to_string()),
        _ => fail("22003", "\"char\" out of range"),
    }));
    for s in [
        "bool -> text assignment injective total",
        "bool -> varchar assignment injective total",
        "bool -> bpchar assignment total",
    ] {
        r.add(cast(s, |_, _, a| ok(if a[0].unwrap_bool() { "true" } else { "false" })));
    }
    r.add(cast("varchar,int4,bool -> varchar implicit", |_, _, a| {
        let max = length(a[1].unwrap_int32());
        limit(a[0].unwrap_str(), max, a[2].unwrap_bool(), "character varying")
    }));
    r.add(cast("bpchar,int4,bool -> bpchar implicit", |_, arena, a| {
        let s = a[0].unwrap_str();
        match length(a[1].unwrap_int32()) {
            None => ok(s),
            Some(n) => pad(s, n, a[2].unwrap_bool(), arena),
        }
    }));
}

fn length(typmod: i32) -> Option<usize> {
    usize::try_from(typmod.checked_sub(4)?).ok()
}

/// A `name` keeps 63 bytes.
fn name_prefix(s: &str) -> &str {
    let mut end = s.len().min(63);
    while !s.is_char_boundary(end) {
        end -= 1;
    }
    &s[..end]
}

/// Cuts to a number of characters: silently if explicit, otherwise only blanks may be lost.
fn limit<'a>(s: &'a str, max: Option<usize>, explicit: bool, typ: &str) -> EvalResult<'a> {
    let Some(max) = max else { return ok(s) };
    let Some((end, _)) = s.char_indices().nth(max) else { return ok(s) };
    if !explicit && s[end..].bytes().any(|b| b != b' ') {
        return fail("22001", format!("value too long for type {typ}({max})"));
    }
    ok(&s[..end])
}

fn pad<'a>(s: &'a str, n: usize, explicit: bool, arena: &'a RowArena) -> EvalResult<'a> {
    check_size(n)?;
    let cut = limit(s, Some(n), explicit, "character")?.unwrap_str();
    let missing = n - cut.chars().count();
    if missing == 0 {
        return ok(cut);
    }
    let mut out = String::with_capacity(cut.len() + missing);
    out.push_str(cut);
    out.extend(std::iter::repeat_n(' ', missing));
    text(arena, out)
}

/// Whether the type is one of those that text converts to and from without change.
pub(crate) fn is_string(typ: &ScalarType) -> bool {
    matches!(
        typ,
        ScalarType::String
            | ScalarType::VarChar { .. }
            | ScalarType::Char { .. }
            | ScalarType::PgLegacyName
            | ScalarType::PgLegacyChar
    )
}
