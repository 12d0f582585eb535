//! POSIX regular expressions (PostgreSQL manual 9.7.3).
//!
//! PostgreSQL's syntax is translated to that of the engines, see [`engine`]. Of several matches from one place the
//! longest is taken, or the shortest where PostgreSQL prefers that.

mod dissect;
mod engine;
mod translate;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use hw_repr::{Datum, RowArena};

use engine::Groups;
pub(crate) use engine::Regex;
use translate::Options;

use crate::error::EvalError;
use crate::func::Registry;
use crate::functions::signature::{f, op};
use crate::functions::{EvalResult, MAX_TEXT, check_size, fail, invalid_parameter, ok, text};

/// How many compiled expressions a thread keeps.
const CACHE_ENTRIES: usize = 256;
/// How many parts a text may be taken into.
const MAX_PARTS: usize = 1 << 24;

thread_local! {
    static CACHE: RefCell<HashMap<(String, String), Rc<Regex>>> = RefCell::new(HashMap::new());
}

fn options(flags: &str, global_allowed: Option<&str>) -> Result<(Options, bool), EvalError> {
    let mut o = Options::default();
    let mut global = false;
    for flag in flags.chars() {
        match flag {
            'g' => match global_allowed {
                None => global = true,
                Some(function) => {
                    return Err(invalid_parameter(format!(
                        "{function} does not support the \"global\" option"
                    )));
                }
            },
            'i' => o.ignore_case = true,
            'c' => o.ignore_case = false,
            'q' => o.literal = true,
            'x' => o.extended = true,
            't' => o.extended = false,
            'n' | 'm' => (o.dot_stops, o.lines) = (true, true),
            'p' => (o.dot_stops, o.lines) = (true, false),
            'w' => (o.dot_stops, o.lines) = (false, true),
            's' => (o.dot_stops, o.lines) = (false, false),
            'b' | 'e' => {}
            other => {
                return Err(invalid_parameter(format!("invalid regular expression option: \"{other}\"")));
            }
        }
    }
    Ok((o, global))
}

fn compile(pattern: &str, o: Options) -> Result<Regex, EvalError> {
    let (pattern, o) = match pattern.strip_prefix("***=") {
        Some(rest) => (rest, Options { literal: true, ..o }),
        None => embedded_options(pattern.strip_prefix("***:").unwrap_or(pattern), o)?,
    };
    Regex::new(pattern, o)
}

/// An expression may begin with `(?xyz)`, options that override those of the call.
fn embedded_options(pattern: &str, o: Options) -> Result<(&str, Options), EvalError> {
    let embedded = pattern.strip_prefix("(?").and_then(|rest| rest.split_once(')'));
    match embedded {
        Some((letters, rest)) if !letters.is_empty() && letters.bytes().all(|b| b.is_ascii_lowercase()) => {
            let mut o = o;
            for letter in letters.chars() {
                let (x, _) = options(&letter.to_string(), None)?;
                match letter {
                    'i' => o.ignore_case = true,
                    'c' => o.ignore_case = false,
                    'q' => o.literal = true,
                    'x' => o.extended = true,
                    't' => o.extended = false,
                    'n' | 'm' | 'p' | 'w' | 's' => (o.dot_stops, o.lines) = (x.dot_stops, x.lines),
                    _ => {}
                }
            }
            Ok((rest, o))
        }
        _ => Ok((pattern, o)),
    }
}

/// A compiled expression, from the thread's cache if it was met before, and whether it is to match globally.
pub(crate) fn regex(
    pattern: &str,
    flags: &str,
    no_global: Option<&str>,
) -> Result<(Rc<Regex>, bool), EvalError> {
    let (o, global) = options(flags, no_global)?;
    let key = (pattern.to_owned(), flags.to_owned());
    if let Some(found) = CACHE.with_borrow(|c| c.get(&key).cloned()) {
        return Ok((found, global));
    }
    let compiled = Rc::new(compile(pattern, o)?);
    CACHE.with_borrow_mut(|c| {
        if c.len() >= CACHE_ENTRIES {
            c.clear();
        }
        c.insert(key, Rc::clone(&compiled));
    });
    Ok((compiled, global))
}

/// The parts of the text between matches. Empty matches at the start, at the end and right after a match do not split.
pub(crate) fn split<'a>(s: &'a str, re: &Regex) -> Result<Vec<&'a str>, EvalError> {
    let mut out = vec![];
    let (mut last, mut previous) = (0, 0);
    re.for_each(s, 0, |groups| {
        if let Some(Some((start, end))) = groups.first().copied() {
            if start < s.len() && end > previous {
                out.push(&s[last..start]);
                last = end;
            }
            previous = end;
        }
        true
    })?;
    out.push(&s[last..]);
    Ok(out)
}

/// The groups of each match, or the whole match when there are no groups.
pub(crate) fn matches<'a>(
    s: &'a str,
    re: &Regex,
    global: bool,
) -> Result<Vec<Vec<Option<&'a str>>>, EvalError> {
    let mut out = vec![];
    let mut size = 0;
    re.for_each(s, 0, |groups| {
        let shown = if groups.len() == 1 { &groups[..] } else { &groups[1..] };
        size += shown.len();
        out.push(shown.iter().map(|g| g.map(|(from, to)| &s[from..to])).collect());
        global && size < MAX_PARTS
    })?;
    if size >= MAX_PARTS {
        return fail("54000", "too many regular expression matches");
    }
    Ok(out)
}

/// A text array of parts, some of which may be NULL.
pub(crate) fn text_array<'a>(parts: &[Option<&str>], arena: &'a RowArena) -> Datum<'a> {
    arena.make_datum(|p| p.push_array(parts.iter().map(|s| s.map_or(Datum::Null, Datum::String))))
}

/// Expands `\1` … `\9`, `\&` and `\\` of a replacement.
fn expand(s: &str, replacement: &str, groups: &Groups, out: &mut String) {
    let group = |at: usize| groups.get(at).copied().flatten().map_or("", |(from, to)| &s[from..to]);
    let mut chars = replacement.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some(d @ '1'..='9') => out.push_str(group(d as usize - '0' as usize)),
            Some('&') => out.push_str(group(0)),
            Some('\\') => out.push('\\'),
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
            None => out.push('\\'),
        }
    }
}

/// Replaces the `nth` match from a byte position on, or all from there (`nth` 0).
fn replace(s: &str, re: &Regex, replacement: &str, from: usize, nth: usize) -> Result<String, EvalError> {
    let mut out = String::with_capacity(s.len());
    let (mut last, mut count) = (0, 0);
    re.for_each(s, from, |groups| {
        let Some(Some((start, end))) = groups.first().copied() else { return false };
        count += 1;
        if nth != 0 && count != nth {
            return true;
        }
        out.push_str(&s[last..start]);
        expand(s, replacement, &groups, &mut out);
        last = end;
        nth == 0 && out.len() < MAX_TEXT
    })?;
    out.push_str(&s[last..]);
    check_size(out.len())?;
    Ok(out)
}

fn is_match(s: &str, pattern: &str, flags: &str) -> Result<bool, EvalError> {
    regex(pattern, flags, None)?.0.is_match(s)
}

macro_rules! match_operators {
    ($r:ident: $($sig:literal $flags:literal $expected:literal;)+) => {
        $($r.add(op($sig, |_, _, a| {
            ok(is_match(a[0].unwrap_str(), a[1].unwrap_str(), $flags)? == $expected)
        }));)+
    };
}

pub(super) fn register(r: &mut Registry) {
    match_operators! { r:
        "text ~ text -> bool" "" true;
        "text !~ text -> bool" "" false;
        "text ~* text -> bool" "i" true;
        "text !~* text -> bool" "i" false;
        "bpchar ~ text -> bool" "" true;
        "bpchar !~ text -> bool" "" false;
        "bpchar ~* text -> bool" "i" true;
        "bpchar !~* text -> bool" "i" false;
    }
    register_match(r);
    register_replace(r);
    register_positional(r);
}

fn register_match(r: &mut Registry) {
    fn regexp_match<'a>(s: &str, pattern: &str, flags: &str, arena: &'a RowArena) -> EvalResult<'a> {
        let (re, _) = regex(pattern, flags, Some("regexp_match()")).map_err(|e| {
            if e.sqlstate() == "22023" && flags.contains('g') {
                e.with_hint("Use the regexp_matches function instead.")
            } else {
                e
            }
        })?;
        Ok(matches(s, &re, false)?.first().map_or(Datum::Null, |m| text_array(m, arena)))
    }
    r.add(f("regexp_match(text, text) -> text[] nullable", |_, arena, a| {
        regexp_match(a[0].unwrap_str(), a[1].unwrap_str(), "", arena)
    }));
    r.add(f("regexp_match(text, text, text) -> text[] nullable", |_, arena, a| {
        regexp_match(a[0].unwrap_str(), a[1].unwrap_str(), a[2].unwrap_str(), arena)
    }));
    r.add(f("regexp_split_to_array(text, text) -> text[]", |_, arena, a| {
        let (re, _) = regex(a[1].unwrap_str(), "", None)?;
        let parts: Vec<_> = split(a[0].unwrap_str(), &re)?.into_iter().map(Some).collect();
        Ok(text_array(&parts, arena))
    }));
    r.add(f("regexp_split_to_array(text, text, text) -> text[]", |_, arena, a| {
        let (re, _) = regex(a[1].unwrap_str(), a[2].unwrap_str(), Some("regexp_split_to_array()"))?;
        let parts: Vec<_> = split(a[0].unwrap_str(), &re)?.into_iter().map(Some).collect();
        Ok(text_array(&parts, arena))
    }));
    // SUBSTRING(text FROM pattern): the first group, or the whole match when there is none.
    for sig in ["substring(text, text) -> text nullable", "substr(text, text) -> text nullable internal"] {
        r.add(f(sig, |_, _, a| {
            let (re, _) = regex(a[1].unwrap_str(), "", None)?;
            let s = a[0].unwrap_str();
            let found = matches(s, &re, false)?.first().and_then(|m| m.first().copied().flatten());
            Ok(found.map_or(Datum::Null, Datum::String))
        }));
    }
}

fn register_replace(r: &mut Registry) {
    r.add(f("regexp_replace(text, text, text) -> text", |_, arena, a| {
        let (re, _) = regex(a[1].unwrap_str(), "", None)?;
        text(arena, replace(a[0].unwrap_str(), &re, a[2].unwrap_str(), 0, 1)?)
    }));
    r.add(f("regexp_replace(text, text, text, text) -> text", |_, arena, a| {
        let flags = a[3].unwrap_str();
        if flags.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(invalid_parameter(format!("invalid regular expression option: \"{}\"", &flags[..1]))
                .with_hint("If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer explicitly."));
        }
        let (re, global) = regex(a[1].unwrap_str(), flags, None)?;
        text(arena, replace(a[0].unwrap_str(), &re, a[2].unwrap_str(), 0, usize::from(!global))?)
    }));
    r.add(f("regexp_replace(text, text, text, int4) -> text", |_, arena, a| {
        let from = start_position(a[0].unwrap_str(), a[3], "start")?;
        let (re, _) = regex(a[1].unwrap_str(), "", None)?;
        text(arena, replace(a[0].unwrap_str(), &re, a[2].unwrap_str(), from, 1)?)
    }));
    r.add(f("regexp_replace(text, text, text, int4, int4) -> text", |_, arena, a| {
        let (from, nth) = (start_position(a[0].unwrap_str(), a[3], "start")?, count(a[4], "n")?);
        let (re, _) = regex(a[1].unwrap_str(), "", None)?;
        text(arena, replace(a[0].unwrap_str(), &re, a[2].unwrap_str(), from, nth)?)
    }));
    r.add(f("regexp_replace(text, text, text, int4, int4, text) -> text", |_, arena, a| {
        let (from, nth) = (start_position(a[0].unwrap_str(), a[3], "start")?, count(a[4], "n")?);
        let (re, _) = regex(a[1].unwrap_str(), a[5].unwrap_str(), None)?;
        text(arena, replace(a[0].unwrap_str(), &re, a[2].unwrap_str(), from, nth)?)
    }));
}

fn count(d: Datum<'_>, name: &str) -> Result<usize, EvalError> {
    let n = d.unwrap_int32();
    usize::try_from(n).map_err(|_| invalid_parameter(format!("invalid value for parameter \"{name}\": {n}")))
}

/// The byte position of a 1-based character position.
fn start_position(s: &str, d: Datum<'_>, name: &str) -> Result<usize, EvalError> {
    match count(d, name)? {
        0 => Err(invalid_parameter(format!("invalid value for parameter \"{name}\": 0"))),
        n => Ok(s
            .char_indices()
            .nth(n - 1)
            .map_or(s.len() + usize::from(n > s.chars().count() + 1), |(i, _)| i)),
    }
}

/// The further arguments of `regexp_count`, `regexp_instr` and `regexp_substr`, by position.
fn register_positional(r: &mut Registry) {
    r.add(f("regexp_like(text, text) -> bool", |_, _, a| {
        ok(is_match(a[0].unwrap_str(), a[1].unwrap_str(), "")?)
    }));
    r.add(f("regexp_like(text, text, text) -> bool", |_, _, a| {
        let (re, _) = regex(a[1].unwrap_str(), a[2].unwrap_str(), Some("regexp_like()"))?;
        ok(re.is_match(a[0].unwrap_str())?)
    }));
    for sig in [
        "regexp_count(text, text) -> int4",
        "regexp_count(text, text, int4) -> int4",
        "regexp_count(text, text, int4, text) -> int4",
    ] {
        r.add(f(sig, |_, _, a| {
            let flags = a.get(3).map_or("", |d| d.unwrap_str());
            let s = a[0].unwrap_str();
            let from = a.get(2).map_or(Ok(0), |d| start_position(s, *d, "start"))?;
            let (re, _) = regex(a[1].unwrap_str(), flags, Some("regexp_count()"))?;
            let mut count = 0;
            re.for_each(s, from, |_| {
                count += 1;
                true
            })?;
            ok(count)
        }));
    }
    for sig in [
        "regexp_substr(text, text) -> text nullable",
        "regexp_substr(text, text, int4) -> text nullable",
        "regexp_substr(text, text, int4, int4) -> text nullable",
        "regexp_substr(text, text, int4, int4, text) -> text nullable",
        "regexp_substr(text, text, int4, int4, text, int4) -> text nullable",
    ] {
        r.add(f(sig, |_, _, a| {
            let found = locate(a, 4, 5, "regexp_substr()")?;
            let s = a[0].unwrap_str();
            Ok(found.map_or(Datum::Null, |(from, to)| Datum::String(&s[from..to])))
        }));
    }
    for sig in [
        "regexp_instr(text, text) -> int4",
        "regexp_instr(text, text, int4) -> int4",
        "regexp_instr(text, text, int4, int4) -> int4",
        "regexp_instr(text, text, int4, int4, int4) -> int4",
        "regexp_instr(text, text, int4, int4, int4, text) -> int4",
        "regexp_instr(text, text, int4, int4, int4, text, int4) -> int4",
    ] {
        r.add(f(sig, |_, _, a| {
            let at_end = match a.get(4).map_or(0, |d| d.unwrap_int32()) {
                n @ (0 | 1) => n == 1,
                n => {
                    return Err(invalid_parameter(format!("invalid value for parameter \"endoption\": {n}")));
                }
            };
            let found = locate(a, 5, 6, "regexp_instr()")?;
            let s = a[0].unwrap_str();
            ok(found.map_or(0, |(from, to)| s[..if at_end { to } else { from }].chars().count() as i32 + 1))
        }));
    }
}

/// The byte range of the n-th match's subexpression.
fn locate(
    a: &[Datum<'_>],
    flags_at: usize,
    group_at: usize,
    name: &str,
) -> Result<Option<(usize, usize)>, EvalError> {
    let flags = a.get(flags_at).map_or("", |d| d.unwrap_str());
    let s = a[0].unwrap_str();
    let from = a.get(2).map_or(Ok(0), |d| start_position(s, *d, "start"))?;
    let nth = match a.get(3).map_or(Ok(1), |d| count(*d, "n"))? {
        0 => return Err(invalid_parameter("invalid value for parameter \"n\": 0")),
        n => n,
    };
    let group = a.get(group_at).map_or(Ok(0), |d| count(*d, "subexpr"))?;
    let (re, _) = regex(a[1].unwrap_str(), flags, Some(name))?;
    let (mut left, mut found) = (nth, None);
    re.for_each(s, from, |groups| {
        left -= 1;
        if left == 0 {
            found = groups.get(group).copied().flatten();
        }
        left > 0
    })?;
    Ok(found)
}
