//! LIKE, ILIKE and SIMILAR TO (PostgreSQL manual 9.7.1, 9.7.2).

use hw_repr::Datum;

use crate::error::EvalError;
use crate::func::Registry;
use crate::functions::signature::{f, op};
use crate::functions::{EvalResult, fail, text};

/// One element of a pattern.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Element {
    /// `%`
    Any,
    /// `_`
    One,
    Char(char),
    /// An escape character that escapes nothing, an error where the match reaches it.
    Dangling,
}

fn elements(pattern: &str) -> Vec<Element> {
    let mut out = Vec::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '%' => Element::Any,
            '_' => Element::One,
            '\\' => match chars.next() {
                Some(c) => Element::Char(c),
                None => Element::Dangling,
            },
            c => Element::Char(c),
        });
    }
    out
}

/// Whether the pattern fails for no text.
pub(crate) fn is_sound_pattern(pattern: &str) -> bool {
    !elements(pattern).contains(&Element::Dangling)
}

/// Whether the text matches the pattern, whose escape character is the backslash. Time is the product of the lengths at
/// worst.
pub(crate) fn like(s: &str, pattern: &str) -> Result<bool, EvalError> {
    let pattern = elements(pattern);
    let chars: Vec<char> = s.chars().collect();
    let (mut i, mut j) = (0, 0);
    // Where the last `%` was, and how far it has eaten.
    let mut restart: Option<(usize, usize)> = None;
    while i < chars.len() {
        match pattern.get(j) {
            Some(Element::Any) => {
                restart = Some((j + 1, i));
                j += 1;
            }
            Some(Element::One) => (i, j) = (i + 1, j + 1),
            Some(Element::Char(c)) if *c == chars[i] => (i, j) = (i + 1, j + 1),
            Some(Element::Dangling) => {
                return fail("22025", "LIKE pattern must not end with escape character");
            }
            _ => match &mut restart {
                Some((after, eaten)) => {
                    *eaten += 1;
                    (i, j) = (*eaten, *after);
                }
                None => return Ok(false),
            },
        }
    }
    Ok(pattern[j..].iter().all(|e| *e == Element::Any))
}

fn ilike(s: &str, pattern: &str) -> Result<bool, EvalError> {
    like(&s.to_lowercase(), &pattern.to_lowercase())
}

/// Rewrites a pattern with another escape character (or none) to one with the backslash.
fn like_escape<'a>(pattern: &str, escape: &str, arena: &'a hw_repr::RowArena) -> EvalResult<'a> {
    let mut chars = escape.chars();
    let escape = chars.next();
    if chars.next().is_some() {
        return fail("22025", "invalid escape string")
            .map_err(|e: EvalError| e.with_hint("Escape string must be empty or one character."));
    }
    let mut out = String::new();
    let mut escaped = false;
    for c in pattern.chars() {
        if escaped {
            out.push('\\');
            out.push(c);
            escaped = false;
        } else if Some(c) == escape {
            escaped = true;
        } else {
            if c == '\\' {
                out.push('\\');
            }
            out.push(c);
        }
    }
    if escaped {
        out.push('\\');
    }
    text(arena, out)
}

macro_rules! like_operators {
    ($r:ident: $($sig:literal $test:ident $expected:literal;)+) => {
        $($r.add(op($sig, |_, _, a| Ok(Datum::Bool($test(a[0].unwrap_str(), a[1].unwrap_str())? == $expected))));)+
    };
}

pub(super) fn register(r: &mut Registry) {
    like_operators! { r:
        "text ~~ text -> bool" like true;
        "text !~~ text -> bool" like false;
        "text ~~* text -> bool" ilike true;
        "text !~~* text -> bool" ilike false;
        "bpchar ~~ text -> bool" like true;
        "bpchar !~~ text -> bool" like false;
        "bpchar ~~* text -> bool" ilike true;
        "bpchar !~~* text -> bool" ilike false;
    }
    r.add(f("like(text, text) -> bool", |_, _, a| {
        Ok(Datum::Bool(like(a[0].unwrap_str(), a[1].unwrap_str())?))
    }));
    r.add(f("notlike(text, text) -> bool", |_, _, a| {
        Ok(Datum::Bool(!like(a[0].unwrap_str(), a[1].unwrap_str())?))
    }));
    r.add(f("like_escape(text, text) -> text", |_, arena, a| {
        like_escape(a[0].unwrap_str(), a[1].unwrap_str(), arena)
    }));
}
