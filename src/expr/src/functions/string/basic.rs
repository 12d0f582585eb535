//! Concatenation, length, case, substring, trimming, replacement, position.

use hw_repr::adt::TimeZone;
use hw_repr::text as format;
use hw_repr::{Datum, ScalarType};

use super::slice_chars;
use crate::error::EvalError;
use crate::func::{EvalCx, Registry};
use crate::functions::signature::{f, op};
use crate::functions::{EvalResult, check_size, ok, text, zoned};

/// The text of a value in UTC, appended; NULL appends nothing.
pub(crate) fn write_value(d: Datum<'_>, typ: &ScalarType, out: &mut String) {
    write_value_in(&TimeZone::UTC, d, typ, out);
}

/// The text of a value, appended; NULL appends nothing.
pub(super) fn write_value_in(tz: &TimeZone, d: Datum<'_>, typ: &ScalarType, out: &mut String) {
    match d {
        Datum::Null => {}
        Datum::String(s) if matches!(typ, ScalarType::Char { .. }) => out.push_str(s.trim_end_matches(' ')),
        Datum::String(s) if *typ != ScalarType::Jsonb => out.push_str(s),
        _ => format::encode_with(d, typ, &format::EncodeContext { timezone: *tz }, out),
    }
}

/// A character in upper case; as in PostgreSQL, one that would become several stays.
pub(crate) fn upper(c: char) -> char {
    let mut all = c.to_uppercase();
    match (all.next(), all.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

/// A character in lower case; one that would become several stays.
pub(crate) fn lower(c: char) -> char {
    let mut all = c.to_lowercase();
    match (all.next(), all.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

fn negative_length() -> EvalError {
    EvalError::new("22011", "negative substring length not allowed")
}

fn concat_operands<'a>(
    tz: &TimeZone,
    cx: &EvalCx<'_>,
    arena: &'a hw_repr::RowArena,
    a: &[Datum<'a>],
) -> EvalResult<'a> {
    let mut out = String::new();
    for (d, t) in a.iter().zip(&cx.types.args) {
        write_value_in(tz, *d, t, &mut out);
    }
    text(arena, out)
}

fn in_set(set: &str) -> impl Fn(char) -> bool + '_ {
    move |c| set.contains(c)
}

/// As [`slice_chars`], of bytes.
pub(super) fn bytes_slice(b: &[u8], start: i64, len: Option<i64>) -> &[u8] {
    let end = len.map_or(i64::MAX, |l| start.saturating_add(l));
    let clamp = |p: i64| usize::try_from(p.max(1) - 1).unwrap_or(usize::MAX).min(b.len());
    let (from, to) = (clamp(start), clamp(end));
    &b[from..to.max(from)]
}

macro_rules! pattern_order {
    ($r:ident: $($operator:literal $test:ident;)+) => {
        $($r.add(op(concat!($operator, " -> bool total"), |_, _, a| {
            ok(a[0].unwrap_str().cmp(a[1].unwrap_str()).$test())
        }));)+
    };
}

pub(super) fn register(r: &mut Registry) {
    r.add(op("text || text -> text total", |cx, arena, a| concat_operands(&TimeZone::UTC, cx, arena, a)));
    zoned!(r, op, "text || AnyNonArray -> text total", |tz, cx, arena, a| concat_operands(tz, cx, arena, a));
    zoned!(r, op, "AnyNonArray || text -> text total", |tz, cx, arena, a| concat_operands(tz, cx, arena, a));
    r.add(op("bytea || bytea -> bytea total", |_, arena, a| {
        ok(arena.push_bytes([a[0].unwrap_bytes(), a[1].unwrap_bytes()].concat()))
    }));
    zoned!(r, f, "concat(Any...) -> text notnull total stable", |tz, cx, arena, a| {
        concat_operands(tz, cx, arena, a)
    });
    zoned!(r, f, "concat_ws(text, Any...) -> text lax_total stable", |tz, cx, arena, a| {
        let Datum::String(separator) = a[0] else { return Ok(Datum::Null) };
        let mut out = String::new();
        let mut first = true;
        for (d, t) in a.iter().zip(&cx.types.args).skip(1).filter(|(d, _)| !d.is_null()) {
            if !first {
                out.push_str(separator);
            }
            first = false;
            write_value_in(tz, *d, t, &mut out);
        }
        text(arena, out)
    });
    register_length(r);
    register_substring(r);
    register_trim(r);
    r.add(f("upper(text) -> text total", |_, arena, a| {
        text(arena, a[0].unwrap_str().chars().map(upper).collect::<String>())
    }));
    r.add(f("lower(text) -> text total", |_, arena, a| {
        text(arena, a[0].unwrap_str().chars().map(lower).collect::<String>())
    }));
    r.add(f("replace(text, text, text) -> text", |_, arena, a| {
        let (s, from, to) = (a[0].unwrap_str(), a[1].unwrap_str(), a[2].unwrap_str());
        if from.is_empty() {
            return Ok(a[0]);
        }
        let found = s.matches(from).count();
        check_size(s.len() + found.saturating_mul(to.len()))?;
        text(arena, s.replace(from, to))
    }));
    for sig in ["position(text, text) -> int4 total", "strpos(text, text) -> int4 total"] {
        r.add(f(sig, |_, _, a| {
            let s = a[0].unwrap_str();
            ok(s.find(a[1].unwrap_str()).map_or(0, |at| s[..at].chars().count() as i32 + 1))
        }));
    }
    r.add(f("position(bytea, bytea) -> int4 total", |_, _, a| {
        let (s, what) = (a[0].unwrap_bytes(), a[1].unwrap_bytes());
        let at = if what.is_empty() { Some(0) } else { s.windows(what.len()).position(|w| w == what) };
        ok(at.map_or(0, |at| at as i32 + 1))
    }));
    r.add(f("starts_with(text, text) -> bool total", |_, _, a| {
        ok(a[0].unwrap_str().starts_with(a[1].unwrap_str()))
    }));
    // Order of bytes, for indexes of patterns.
    pattern_order! { r:
        "text ~<~ text" is_lt; "text ~<=~ text" is_le; "text ~>=~ text" is_ge; "text ~>~ text" is_gt;
    }
    r.add(op("text ^@ text -> bool total", |_, _, a| ok(a[0].unwrap_str().starts_with(a[1].unwrap_str()))));
}

fn bits<'a>(bytes: usize) -> EvalResult<'a> {
    ok(i32::try_from(bytes.saturating_mul(8)).map_err(|_| EvalError::OutOfRange("integer".into()))?)
}

fn register_length(r: &mut Registry) {
    for sig in [
        "length(text) -> int4 total",
        "char_length(text) -> int4 total",
        "character_length(text) -> int4 total",
    ] {
        r.add(f(sig, |_, _, a| ok(a[0].unwrap_str().chars().count() as i32)));
    }
    for sig in [
        "length(bpchar) -> int4 total",
        "char_length(bpchar) -> int4 total",
        "character_length(bpchar) -> int4 total",
    ] {
        r.add(f(sig, |_, _, a| ok(a[0].unwrap_str().trim_end_matches(' ').chars().count() as i32)));
    }
    for sig in ["length(bytea) -> int4 total", "octet_length(bytea) -> int4 total"] {
        r.add(f(sig, |_, _, a| ok(a[0].unwrap_bytes().len() as i32)));
    }
    r.add(f("octet_length(text) -> int4 total", |_, _, a| ok(a[0].unwrap_str().len() as i32)));
    r.add(f("octet_length(bpchar) -> int4 total", |_, _, a| ok(a[0].unwrap_str().len() as i32)));
    r.add(f("bit_length(text) -> int4", |_, _, a| bits(a[0].unwrap_str().len())));
    r.add(f("bit_length(bytea) -> int4", |_, _, a| bits(a[0].unwrap_bytes().len())));
}

fn register_substring(r: &mut Registry) {
    for sig in ["substring(text, int4) -> text total", "substr(text, int4) -> text total"] {
        r.add(f(sig, |_, _, a| ok(slice_chars(a[0].unwrap_str(), a[1].unwrap_int32().into(), None))));
    }
    for sig in ["substring(text, int4, int4) -> text", "substr(text, int4, int4) -> text"] {
        r.add(f(sig, |_, _, a| match i64::from(a[2].unwrap_int32()) {
            len if len < 0 => Err(negative_length()),
            len => ok(slice_chars(a[0].unwrap_str(), a[1].unwrap_int32().into(), Some(len))),
        }));
    }
    for sig in ["substring(bytea, int4) -> bytea total", "substr(bytea, int4) -> bytea total"] {
        r.add(f(sig, |_, _, a| ok(bytes_slice(a[0].unwrap_bytes(), a[1].unwrap_int32().into(), None))));
    }
    for sig in ["substring(bytea, int4, int4) -> bytea", "substr(bytea, int4, int4) -> bytea"] {
        r.add(f(sig, |_, _, a| match i64::from(a[2].unwrap_int32()) {
            len if len < 0 => Err(negative_length()),
            len => ok(bytes_slice(a[0].unwrap_bytes(), a[1].unwrap_int32().into(), Some(len))),
        }));
    }
}

fn trim_bytes<'a>(a: &[Datum<'a>], start: bool, end: bool) -> &'a [u8] {
    let (b, set) = (a[0].unwrap_bytes(), a[1].unwrap_bytes());
    let kept = |x: &u8| !set.contains(x);
    let from = if start { b.iter().position(kept).unwrap_or(b.len()) } else { 0 };
    let to = if end { b.iter().rposition(kept).map_or(from, |at| at + 1) } else { b.len() };
    &b[from..to.max(from)]
}

fn register_trim(r: &mut Registry) {
    r.add(f("btrim(text) -> text total", |_, _, a| ok(a[0].unwrap_str().trim_matches(' '))));
    r.add(f("ltrim(text) -> text total", |_, _, a| ok(a[0].unwrap_str().trim_start_matches(' '))));
    r.add(f("rtrim(text) -> text total", |_, _, a| ok(a[0].unwrap_str().trim_end_matches(' '))));
    r.add(f("btrim(text, text) -> text total", |_, _, a| {
        ok(a[0].unwrap_str().trim_matches(in_set(a[1].unwrap_str())))
    }));
    r.add(f("ltrim(text, text) -> text total", |_, _, a| {
        ok(a[0].unwrap_str().trim_start_matches(in_set(a[1].unwrap_str())))
    }));
    r.add(f("rtrim(text, text) -> text total", |_, _, a| {
        ok(a[0].unwrap_str().trim_end_matches(in_set(a[1].unwrap_str())))
    }));
    r.add(f("btrim(bytea, bytea) -> bytea total", |_, _, a| ok(trim_bytes(a, true, true))));
    r.add(f("ltrim(bytea, bytea) -> bytea total", |_, _, a| ok(trim_bytes(a, true, false))));
    r.add(f("rtrim(bytea, bytea) -> bytea total", |_, _, a| ok(trim_bytes(a, false, true))));
    r.add(f("left(text, int4) -> text total", |_, _, a| {
        let s = a[0].unwrap_str();
        let n = i64::from(a[1].unwrap_int32());
        let n = if n < 0 { s.chars().count() as i64 + n } else { n };
        ok(slice_chars(s, 1, Some(n.max(0))))
    }));
    r.add(f("right(text, int4) -> text total", |_, _, a| {
        let s = a[0].unwrap_str();
        let n = i64::from(a[1].unwrap_int32());
        let count = s.chars().count() as i64;
        let skipped = if n < 0 { -n } else { (count - n).max(0) };
        ok(slice_chars(s, skipped + 1, None))
    }));
    r.add(f("repeat(text, int4) -> text", |_, arena, a| {
        let (s, n) = (a[0].unwrap_str(), usize::try_from(a[1].unwrap_int32()).unwrap_or(0));
        check_size(s.len().saturating_mul(n))?;
        text(arena, s.repeat(n))
    }));
    r.add(f("reverse(text) -> text total", |_, arena, a| {
        text(arena, a[0].unwrap_str().chars().rev().collect::<String>())
    }));
}
