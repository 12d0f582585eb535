//! The rest of the string functions: padding, splitting, translation, quoting, `format`, normalisation.

use std::fmt::Write;

use hw_repr::adt::TimeZone;
use hw_repr::{Datum, RowArena};
use unicode_normalization::UnicodeNormalization;

use super::basic::{bytes_slice, lower, upper, write_value_in};
use super::quote::{quote_ident, quote_literal};
use super::{slice_chars, write_value};
use crate::error::EvalError;
use crate::func::{EvalCx, Registry};
use crate::functions::signature::f;
use crate::functions::{EvalResult, check_size, fail, invalid_parameter, ok, text, zoned};

/// The filling that brings a text to a length, repeated as often as needed.
fn filling(fill: &str, missing: usize) -> String {
    if fill.is_empty() { String::new() } else { fill.chars().cycle().take(missing).collect() }
}

fn pad<'a>(arena: &'a RowArena, a: &[Datum<'a>], left: bool) -> EvalResult<'a> {
    let (s, n) = (a[0].unwrap_str(), i64::from(a[1].unwrap_int32()).max(0));
    let fill = a.get(2).map_or(" ", Datum::unwrap_str);
    let widest = fill.chars().map(char::len_utf8).max().unwrap_or(0);
    check_size((n as usize).saturating_mul(widest))?;
    let len = s.chars().count() as i64;
    if len >= n {
        return ok(slice_chars(s, 1, Some(n)));
    }
    let fill = filling(fill, (n - len) as usize);
    text(arena, if left { fill + s } else { s.to_owned() + &fill })
}

fn split_part<'a>(s: &'a str, delimiter: &str, n: i32) -> EvalResult<'a> {
    if n == 0 {
        return Err(invalid_parameter("field position must not be zero"));
    }
    if s.is_empty() {
        return ok("");
    }
    if delimiter.is_empty() {
        return ok(if n == 1 || n == -1 { s } else { "" });
    }
    let at = n.unsigned_abs() as usize - 1;
    let found = if n > 0 { s.split(delimiter).nth(at) } else { s.rsplit(delimiter).nth(at) };
    ok(found.unwrap_or(""))
}

fn initcap(s: &str) -> String {
    let mut out = String::with_capacity(s.len());
    let mut inside = false;
    for c in s.chars() {
        out.push(if inside { lower(c) } else { upper(c) });
        inside = c.is_alphanumeric();
    }
    out
}

/// The text of the one argument.
fn shown(cx: &EvalCx<'_>, d: Datum<'_>) -> String {
    let mut out = String::new();
    write_value(d, &cx.types.args[0], &mut out);
    out
}

/// `format` (PostgreSQL manual 9.4.1): `%[position$][flags][width]type`.
fn format<'a>(tz: &TimeZone, cx: &EvalCx<'_>, arena: &'a RowArena, a: &[Datum<'a>]) -> EvalResult<'a> {
    let Datum::String(template) = a[0] else { return Ok(Datum::Null) };
    let mut out = String::new();
    let mut rest = template;
    let mut next = 1;
    let take = |at: usize| {
        let arg = a.get(at).zip(cx.types.args.get(at));
        arg.ok_or_else(|| invalid_parameter("too few arguments for format()"))
    };
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let digits = |s: &str| s.bytes().take_while(u8::is_ascii_digit).count();
        let unterminated = || {
            invalid_parameter("unterminated format() type specifier")
                .with_hint("For a single \"%\" use \"%%\".")
        };
        let mut position = None;
        let n = digits(rest);
        if n > 0 && rest[n..].starts_with('$') {
            position = rest[..n].parse::<usize>().ok();
            if position == Some(0) {
                return Err(invalid_parameter(
                    "format specifies argument 0, but arguments are numbered from 1",
                ));
            }
            rest = &rest[n + 1..];
        }
        let mut left = false;
        while let Some(after) = rest.strip_prefix('-') {
            left = true;
            rest = after;
        }
        let mut width = 0i64;
        if let Some(after) = rest.strip_prefix('*') {
            rest = after;
            let n = digits(rest);
            let at = if n > 0 && rest[n..].starts_with('$') {
                let at = rest[..n].parse().unwrap_or(usize::MAX);
                rest = &rest[n + 1..];
                at
            } else {
                next += 1;
                next - 1
            };
            let (value, typ) = take(at)?;
            width = match value {
                Datum::Null => 0,
                value => {
                    let mut written = String::new();
                    write_value_in(tz, *value, typ, &mut written);
                    hw_repr::text::scalar::integer::<i32>(&written, "integer")?.into()
                }
            };
            if width < 0 {
                (left, width) = (true, -width);
            }
        } else {
            let n = digits(rest);
            if n > 0 {
                width = rest[..n].parse().map_err(|_| invalid_parameter("number is out of range"))?;
                rest = &rest[n..];
            }
        }
        let kind = rest.chars().next().ok_or_else(unterminated)?;
        if !matches!(kind, 's' | 'I' | 'L') {
            return Err(invalid_parameter(format!("unrecognized format() type specifier \"{kind}\""))
                .with_hint("For a single \"%\" use \"%%\"."));
        }
        rest = &rest[1..];
        let at = match position {
            Some(p) => {
                next = p + 1;
                p
            }
            None => {
                next += 1;
                next - 1
            }
        };
        let (value, typ) = take(at)?;
        let mut piece = String::new();
        match (kind, value) {
            ('s', Datum::Null) => {}
            ('L', Datum::Null) => piece.push_str("NULL"),
            (_, Datum::Null) => return fail("22004", "null values cannot be formatted as an SQL identifier"),
            (kind, value) => {
                write_value_in(tz, *value, typ, &mut piece);
                match kind {
                    'I' => piece = quote_ident(&piece),
                    'L' => piece = quote_literal(&piece),
                    _ => {}
                }
            }
        }
        let missing = usize::try_from(width).unwrap_or(0).saturating_sub(piece.chars().count());
        check_size(out.len() + piece.len() + missing)?;
        let blanks = " ".repeat(missing);
        let _ = if left { write!(out, "{piece}{blanks}") } else { write!(out, "{blanks}{piece}") };
    }
    out.push_str(rest);
    text(arena, out)
}

/// Where the part after the replacement begins.
fn overlay_end(start: i64, len: i64) -> Result<i64, EvalError> {
    if start <= 0 {
        return fail("22011", "negative substring length not allowed");
    }
    i32::try_from(start + len).map(i64::from).map_err(|_| EvalError::OutOfRange("integer".into()))
}

fn overlay_bytes<'a>(arena: &'a RowArena, a: &[Datum<'a>]) -> EvalResult<'a> {
    let (s, new, start) = (a[0].unwrap_bytes(), a[1].unwrap_bytes(), i64::from(a[2].unwrap_int32()));
    let len = a.get(3).map_or(new.len() as i64, |d| d.unwrap_int32().into());
    let end = overlay_end(start, len)?;
    let parts = [bytes_slice(s, 1, Some(start - 1)), new, bytes_slice(s, end, None)];
    ok(arena.push_bytes(parts.concat()))
}

fn overlay<'a>(arena: &'a RowArena, a: &[Datum<'a>]) -> EvalResult<'a> {
    let (s, new, start) = (a[0].unwrap_str(), a[1].unwrap_str(), i64::from(a[2].unwrap_int32()));
    let len = a.get(3).map_or(new.chars().count() as i64, |d| d.unwrap_int32().into());
    let end = overlay_end(start, len)?;
    text(arena, [slice_chars(s, 1, Some(start - 1)), new, slice_chars(s, end, None)].concat())
}

fn normalize(s: &str, form: &str) -> Result<String, EvalError> {
    Ok(match form.to_ascii_uppercase().as_str() {
        "NFC" => s.nfc().collect(),
        "NFD" => s.nfd().collect(),
        "NFKC" => s.nfkc().collect(),
        "NFKD" => s.nfkd().collect(),
        _ => return Err(invalid_parameter(format!("invalid normalization form: {form}"))),
    })
}

pub(super) fn register(r: &mut Registry) {
    for s in ["lpad(text, int4) -> text", "lpad(text, int4, text) -> text"] {
        r.add(f(s, |_, arena, a| pad(arena, a, true)));
    }
    for s in ["rpad(text, int4) -> text", "rpad(text, int4, text) -> text"] {
        r.add(f(s, |_, arena, a| pad(arena, a, false)));
    }
    r.add(f("split_part(text, text, int4) -> text", |_, _, a| {
        split_part(a[0].unwrap_str(), a[1].unwrap_str(), a[2].unwrap_int32())
    }));
    r.add(f("initcap(text) -> text total", |_, arena, a| text(arena, initcap(a[0].unwrap_str()))));
    r.add(f("translate(text, text, text) -> text total", |_, arena, a| {
        let (from, to): (Vec<char>, Vec<char>) =
            (a[1].unwrap_str().chars().collect(), a[2].unwrap_str().chars().collect());
        let map = |c: char| match from.iter().position(|x| *x == c) {
            Some(at) => to.get(at).copied(),
            None => Some(c),
        };
        text(arena, a[0].unwrap_str().chars().filter_map(map).collect::<String>())
    }));
    r.add(f("ascii(text) -> int4 total", |_, _, a| {
        ok(a[0].unwrap_str().chars().next().map_or(0, |c| c as i32))
    }));
    r.add(f("chr(int4) -> text", |_, arena, a| match a[0].unwrap_int32() {
        0 => fail("54000", "null character not permitted"),
        n if n < 0 => Err(invalid_parameter("character number must be positive")),
        n => match char::from_u32(n as u32) {
            Some(c) => text(arena, c.to_string()),
            None if n > 0x0010_FFFF => {
                fail("54000", format!("requested character too large for encoding: {n}"))
            }
            None => fail("54000", format!("requested character not valid for encoding: {n}")),
        },
    }));
    r.add(f("quote_ident(text) -> text total", |_, arena, a| text(arena, quote_ident(a[0].unwrap_str()))));
    r.add(f("quote_literal(text) -> text total", |_, arena, a| {
        text(arena, quote_literal(a[0].unwrap_str()))
    }));
    r.add(f("quote_nullable(text) -> text notnull total", |_, arena, a| match a[0] {
        Datum::String(s) => text(arena, quote_literal(s)),
        _ => ok("NULL"),
    }));
    r.add(f("quote_literal(AnyElement) -> text total stable", |cx, arena, a| {
        text(arena, quote_literal(&shown(cx, a[0])))
    }));
    r.add(f("quote_nullable(AnyElement) -> text notnull total stable", |cx, arena, a| match a[0] {
        Datum::Null => ok("NULL"),
        d => text(arena, quote_literal(&shown(cx, d))),
    }));
    zoned!(r, f, "format(text, Any...) -> text lax stable", |tz, cx, arena, a| format(tz, cx, arena, a));
    for s in ["overlay(text, text, int4) -> text", "overlay(text, text, int4, int4) -> text"] {
        r.add(f(s, |_, arena, a| overlay(arena, a)));
    }
    for s in ["overlay(bytea, bytea, int4) -> bytea", "overlay(bytea, bytea, int4, int4) -> bytea"] {
        r.add(f(s, |_, arena, a| overlay_bytes(arena, a)));
    }
    r.add(f("normalize(text) -> text", |_, arena, a| text(arena, normalize(a[0].unwrap_str(), "NFC")?)));
    r.add(f("normalize(text, text) -> text", |_, arena, a| {
        text(arena, normalize(a[0].unwrap_str(), a[1].unwrap_str())?)
    }));
    for s in ["is_normalized(text) -> bool", "is_normalized(text, text) -> bool"] {
        r.add(f(s, |_, _, a| {
            let form = a.get(1).map_or("NFC", Datum::unwrap_str);
            ok(normalize(a[0].unwrap_str(), form)? == a[0].unwrap_str())
        }));
    }
    r.add(f("to_ascii(text) -> text total internal", |_, arena, a| {
        text(arena, a[0].unwrap_str().nfd().filter(char::is_ascii).collect::<String>())
    }));
    r.add(f("unistr(text) -> text", |_, arena, a| unistr(arena, a[0].unwrap_str())));
    r.add(f("parse_ident(text) -> text[]", |_, arena, a| parse_ident(arena, a[0].unwrap_str(), true)));
    r.add(f("parse_ident(text, bool) -> text[]", |_, arena, a| {
        parse_ident(arena, a[0].unwrap_str(), a[1].unwrap_bool())
    }));
}

fn unistr<'a>(arena: &'a RowArena, s: &str) -> EvalResult<'a> {
    let bad = || {
        EvalError::new("42601", "invalid Unicode escape")
            .with_hint("Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.")
    };
    let mut out = String::new();
    let mut rest = s;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('\\') {
            out.push('\\');
            rest = after;
            continue;
        }
        let (skip, width) = match rest.chars().next() {
            Some('+') => (1, 6),
            Some('u') => (1, 4),
            Some('U') => (1, 8),
            _ => (0, 4),
        };
        let digits = rest.get(skip..skip + width).ok_or_else(bad)?;
        let c = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32).ok_or_else(bad)?;
        out.push(c);
        rest = &rest[skip + width..];
    }
    out.push_str(rest);
    text(arena, out)
}

/// The parts of a qualified name; unless `strict`, what follows the name is ignored.
fn parse_ident<'a>(arena: &'a RowArena, s: &str, strict: bool) -> EvalResult<'a> {
    let bad = |detail: &str| {
        invalid_parameter(format!("string is not a valid identifier: \"{s}\"")).with_detail(detail)
    };
    let mut parts: Vec<String> = vec![];
    let mut rest = s.trim();
    loop {
        if let Some(after) = rest.strip_prefix('"') {
            let mut part = String::new();
            let mut tail = after;
            loop {
                let end = tail.find('"').ok_or_else(|| bad("String has unclosed double quotes."))?;
                part.push_str(&tail[..end]);
                tail = &tail[end + 1..];
                match tail.strip_prefix('"') {
                    Some(more) => {
                        part.push('"');
                        tail = more;
                    }
                    None => break,
                }
            }
            if part.is_empty() {
                return Err(bad("Quoted identifier must not be empty."));
            }
            parts.push(part);
            rest = tail;
        } else {
            let len =
                rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(rest.len());
            if len == 0 || rest.starts_with(|c: char| c.is_ascii_digit() || c == '$') {
                return Err(bad(&format!(
                    "No valid identifier {} \".\".",
                    if parts.is_empty() { "before" } else { "after" }
                )));
            }
            parts.push(rest[..len].to_lowercase());
            rest = &rest[len..];
        }
        rest = rest.trim_start();
        match rest.strip_prefix('.') {
            Some(after) => rest = after.trim_start(),
            None if rest.is_empty() || !strict => break,
            None => return Err(bad("")),
        }
    }
    let parts: Vec<Option<&str>> = parts.iter().map(|p| Some(p.as_str())).collect();
    Ok(super::regex::text_array(&parts, arena))
}
