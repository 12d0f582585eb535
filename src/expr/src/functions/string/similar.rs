//! SIMILAR TO and SUBSTRING … SIMILAR (PostgreSQL manual 9.7.2): patterns become regular expressions.

use hw_repr::{Datum, RowArena};

use super::regex::regex;
use crate::error::EvalError;
use crate::func::Registry;
use crate::functions::signature::f;
use crate::functions::{EvalResult, fail, text};

/// The regular expression of a pattern; with two escaped quotes it has one group, the part between them.
fn to_regex(pattern: &str, escape: Option<char>) -> Result<String, EvalError> {
    let mut out = String::from("^(?:");
    let mut chars = pattern.chars();
    let mut separators = 0;
    let mut in_bracket = false;
    // The part before the first separator takes as little as it can.
    let divided = escape.is_some_and(|e| pattern.contains(&format!("{e}\"")));
    while let Some(c) = chars.next() {
        if Some(c) == escape {
            match chars.next() {
                Some('"') => {
                    separators += 1;
                    match separators {
                        1 => out.push_str("){1,1}?("),
                        2 => out.push_str("){1,1}(?:"),
                        _ => {
                            return fail(
                                "2200C",
                                "SQL regular expression may not contain more than two escape-double-quote separators",
                            );
                        }
                    }
                }
                Some(c) => {
                    out.push('\\');
                    out.push(c);
                }
                None => break,
            }
            continue;
        }
        match c {
            '[' if !in_bracket => {
                in_bracket = true;
                out.push('[');
            }
            ']' if in_bracket => {
                in_bracket = false;
                out.push(']');
            }
            '\\' => out.push_str("\\\\"),
            c if in_bracket => out.push(c),
            '%' if divided && separators == 0 => out.push_str(".*?"),
            '*' | '+' | '?' | '}' if divided && separators == 0 => {
                out.push(c);
                out.push('?');
            }
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            '(' => out.push_str("(?:"),
            '.' | '^' | '$' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out.push_str(")$");
    Ok(out)
}

fn similar_to_escape<'a>(arena: &'a RowArena, pattern: &str, escape: &str) -> EvalResult<'a> {
    let mut chars = escape.chars();
    let first = chars.next();
    if chars.next().is_some() {
        return fail("22025", "invalid escape string")
            .map_err(|e: EvalError| e.with_hint("Escape string must be empty or one character."));
    }
    text(arena, to_regex(pattern, first)?)
}

pub(super) fn register(r: &mut Registry) {
    r.add(f("similar_to_escape(text) -> text", |_, arena, a| {
        similar_to_escape(arena, a[0].unwrap_str(), "\\")
    }));
    r.add(f("similar_to_escape(text, text) -> text", |_, arena, a| {
        similar_to_escape(arena, a[0].unwrap_str(), a[1].unwrap_str())
    }));
    r.add(f("similar_escape(text, text) -> text lax", |_, arena, a| match (a[0], a[1]) {
        (Datum::String(p), Datum::String(e)) => similar_to_escape(arena, p, e),
        (Datum::String(p), _) => similar_to_escape(arena, p, "\\"),
        _ => Ok(Datum::Null),
    }));
    // SUBSTRING(text FROM pattern FOR escape).
    r.add(f("substring(text, text, text) -> text nullable", |_, _, a| {
        let mut escape = a[2].unwrap_str().chars();
        let pattern = to_regex(a[1].unwrap_str(), escape.next())?;
        let (re, _) = regex(&pattern, "", None)?;
        let s = a[0].unwrap_str();
        let groups = re.captures_at(s, 0)?.unwrap_or_default();
        let found = groups.get(1).or(groups.first()).copied().flatten();
        Ok(found.map_or(Datum::Null, |(from, to)| Datum::String(&s[from..to])))
    }));
}
