//! `jsonb`: reading and writing it as text, and its relation to [`serde_json::Value`].
//!
//! In a datum an object is a map whose keys are distinct and ordered by length, then bytewise; a number is a
//! numeric that keeps its scale; a string holds no NUL.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::Value;

use super::numeric;
use crate::datum::Datum;
use crate::row::RowPacker;

/// A JSON text or value that has no `jsonb`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonbError {
    /// The text is no JSON; holds what is wrong with it.
    #[error("invalid input syntax for type json")]
    Syntax(String),
    /// A string holds U+0000 (22P05).
    #[error("unsupported Unicode escape sequence")]
    NulCharacter,
    /// A number has more than 39 digits before its point.
    #[error("value overflows numeric format")]
    NumberOverflow,
}

/// A key in the order of `jsonb`.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
struct Key<'a>(&'a str);

impl Ord for Key<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        compare_keys(self.0, other.0)
    }
}

impl PartialOrd for Key<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The order of keys in an object: by length in bytes, then bytewise.
pub fn compare_keys(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Reads JSON and packs it as one datum.
///
/// # Errors
/// When the text is no JSON or cannot be kept. Nothing is packed then.
pub fn parse(text: &str, packer: &mut RowPacker<'_>) -> Result<(), JsonbError> {
    let value: Value = serde_json::from_str(text).map_err(|e| JsonbError::Syntax(e.to_string()))?;
    pack(&value, packer)
}

/// Packs a JSON value as one datum. Of repeated keys the last wins.
///
/// # Errors
/// When the value cannot be kept. Nothing is packed then.
pub fn pack(value: &Value, packer: &mut RowPacker<'_>) -> Result<(), JsonbError> {
    check(value)?;
    pack_checked(value, packer);
    Ok(())
}

fn check(value: &Value) -> Result<(), JsonbError> {
    let check_string = |s: &str| if s.contains('\0') { Err(JsonbError::NulCharacter) } else { Ok(()) };
    match value {
        Value::Null | Value::Bool(_) => Ok(()),
        Value::Number(n) => numeric::parse(n.as_str()).map(|_| ()).map_err(|_| JsonbError::NumberOverflow),
        Value::String(s) => check_string(s),
        Value::Array(elements) => elements.iter().try_for_each(check),
        Value::Object(entries) => {
            entries.iter().try_for_each(|(k, v)| check_string(k).and_then(|()| check(v)))
        }
    }
}

fn pack_checked(value: &Value, packer: &mut RowPacker<'_>) {
    match value {
        Value::Null => packer.push(Datum::JsonNull),
        Value::Bool(b) => packer.push(Datum::Bool(*b)),
        Value::Number(n) => {
            packer.push(Datum::Numeric(numeric::parse(n.as_str()).expect("numbers were checked")));
        }
        Value::String(s) => packer.push(Datum::String(s)),
        Value::Array(elements) => {
            packer.push_json_array_with(|p| elements.iter().for_each(|e| pack_checked(e, p)))
        }
        Value::Object(entries) => {
            let sorted: BTreeMap<Key<'_>, &Value> = entries.iter().map(|(k, v)| (Key(k), v)).collect();
            packer.push_map_with(|p| {
                for (key, value) in sorted {
                    p.push(Datum::String(key.0));
                    pack_checked(value, p);
                }
            });
        }
    }
}

/// The JSON value of a `jsonb` datum. Numbers keep all their digits.
pub fn to_value(datum: Datum<'_>) -> Value {
    match datum {
        Datum::Bool(b) => Value::Bool(b),
        Datum::Numeric(n) => match numeric::to_string(&n).parse() {
            Ok(number) => Value::Number(number),
            Err(_) => Value::Null,
        },
        Datum::String(s) => Value::String(s.to_owned()),
        Datum::JsonArray(l) => Value::Array(l.iter().map(to_value).collect()),
        Datum::Map(m) => Value::Object(m.iter().map(|(k, v)| (k.to_owned(), to_value(v))).collect()),
        _ => Value::Null,
    }
}

/// Appends the text of a `jsonb` datum with PostgreSQL's spaces: `{"a": [1, 2]}`.
pub fn write(datum: Datum<'_>, out: &mut String) {
    match datum {
        Datum::Bool(true) => out.push_str("true"),
        Datum::Bool(false) => out.push_str("false"),
        Datum::Numeric(n) => numeric::write(&n, out),
        Datum::String(s) => write_string(s, out),
        Datum::JsonArray(elements) => {
            out.push('[');
            for (i, element) in elements.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                write(element, out);
            }
            out.push(']');
        }
        Datum::Map(entries) => {
            out.push('{');
            for (i, (key, value)) in entries.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                write_string(key, out);
                out.push_str(": ");
                write(value, out);
            }
            out.push('}');
        }
        _ => out.push_str("null"),
    }
}

/// Appends the text of a `jsonb` datum over several lines, as `jsonb_pretty` shows it.
pub fn write_pretty(datum: Datum<'_>, out: &mut String) {
    pretty(datum, 0, out);
}

fn pretty(datum: Datum<'_>, depth: usize, out: &mut String) {
    let line = |depth: usize, out: &mut String| {
        out.push('\n');
        out.extend(std::iter::repeat_n("    ", depth));
    };
    match datum {
        Datum::JsonArray(elements) => {
            out.push('[');
            for (i, element) in elements.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                line(depth + 1, out);
                pretty(element, depth + 1, out);
            }
            line(depth, out);
            out.push(']');
        }
        Datum::Map(entries) => {
            out.push('{');
            for (i, (key, value)) in entries.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                line(depth + 1, out);
                write_string(key, out);
                out.push_str(": ");
                pretty(value, depth + 1, out);
            }
            line(depth, out);
            out.push('}');
        }
        other => write(other, out),
    }
}

/// Appends a JSON string literal.
pub fn write_string(s: &str, out: &mut String) {
    out.push('"');
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}
