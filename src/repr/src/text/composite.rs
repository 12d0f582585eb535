//! Input of records `(1,"b c",)`, lists `{1,{2}}` and maps `{a=>1}`.

use super::decode::{DecodeContext, MAX_DEPTH, decode_at};
use super::error::{ParseError, ParseErrorKind};
use crate::arena::RowArena;
use crate::datum::Datum;
use crate::types::ScalarType;

fn malformed(kind: &str, input: &str, detail: impl Into<Box<str>>) -> ParseError {
    ParseError::new(ParseErrorKind::InvalidText, format!("malformed {kind} literal: \"{input}\""))
        .with_detail(detail)
}

/// Reads a record of fields of the given types (PostgreSQL manual 8.16.6).
pub(crate) fn decode_record<'a>(
    s: &str,
    types: &[&ScalarType],
    cx: &DecodeContext,
    arena: &'a RowArena,
    depth: usize,
) -> Result<Datum<'a>, ParseError> {
    let mut datums = Vec::with_capacity(types.len());
    let mut fields = record_fields(s, types.is_empty())?.into_iter();
    for typ in types {
        datums.push(match fields.next() {
            None => return Err(malformed("record", s, "Too few columns.")),
            Some(None) => Datum::Null,
            Some(Some(text)) => decode_at(&text, typ, cx, arena, depth + 1)?,
        });
    }
    if fields.next().is_some() {
        return Err(malformed("record", s, "Too many columns."));
    }
    Ok(arena.make_datum(|p| p.push_list(&datums)))
}

/// The texts of a record's fields, `None` for NULL. `()` has one field, NULL, unless the record has none.
fn record_fields(input: &str, is_empty: bool) -> Result<Vec<Option<String>>, ParseError> {
    let fail = |detail: &str| malformed("record", input, detail);
    let Some(rest) = super::scalar::trim(input).strip_prefix('(') else {
        return Err(fail("Missing left parenthesis."));
    };
    let mut fields = Vec::new();
    let mut chars = rest.chars().peekable();
    if is_empty && rest == ")" {
        return Ok(fields);
    }
    loop {
        let (field, delimiter) =
            delimited(&mut chars, &[',', ')']).ok_or_else(|| fail("Unexpected end of input."))?;
        fields.push(field);
        if delimiter == ')' {
            break;
        }
    }
    if chars.next().is_some() {
        return Err(fail("Junk after right parenthesis."));
    }
    Ok(fields)
}

/// Reads up to one of the delimiters outside of quotes, and consumes it. Quotes may begin anywhere; `""` inside of
/// them and `\` followed by a character stand for that character. Nothing at all is `None`.
pub(crate) fn delimited(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    delimiters: &[char],
) -> Option<(Option<String>, char)> {
    let mut text = String::new();
    let mut in_quotes = false;
    let mut any = false;
    loop {
        let c = chars.next()?;
        if !in_quotes && delimiters.contains(&c) {
            return Some((any.then_some(text), c));
        }
        any = true;
        match c {
            '\\' => text.push(chars.next()?),
            '"' if in_quotes && chars.peek() == Some(&'"') => {
                chars.next();
                text.push('"');
            }
            '"' => in_quotes = !in_quotes,
            c => text.push(c),
        }
    }
}

/// Reads a list of `element`.
pub(crate) fn decode_list<'a>(
    s: &str,
    element: &ScalarType,
    cx: &DecodeContext,
    arena: &'a RowArena,
    depth: usize,
) -> Result<Datum<'a>, ParseError> {
    let mut reader = Braces::open(s, "list")?;
    let nests = matches!(element, ScalarType::List { .. } | ScalarType::Map { .. });
    let mut datums = Vec::new();
    while reader.more()? {
        let item = reader.item(nests, false)?;
        datums.push(decode_item(item, element, cx, arena, depth)?);
        reader.end_of_item()?;
    }
    reader.close()?;
    Ok(arena.make_datum(|p| p.push_list(&datums)))
}

/// Reads a map of `value`. Of repeated keys the last wins.
pub(crate) fn decode_map<'a>(
    s: &str,
    value: &ScalarType,
    cx: &DecodeContext,
    arena: &'a RowArena,
    depth: usize,
) -> Result<Datum<'a>, ParseError> {
    let mut reader = Braces::open(s, "map")?;
    let nests = matches!(value, ScalarType::List { .. } | ScalarType::Map { .. });
    let mut entries = std::collections::BTreeMap::new();
    while reader.more()? {
        let Some(key) = reader.item(false, true)? else {
            return Err(reader.fail("expected key"));
        };
        reader.arrow()?;
        let item = reader.item(nests, false)?;
        entries.insert(key, decode_item(item, value, cx, arena, depth)?);
        reader.end_of_item()?;
    }
    reader.close()?;
    Ok(arena.make_datum(|p| {
        p.push_map_with(|p| {
            for (key, value) in &entries {
                p.push(Datum::String(key));
                p.push(value);
            }
        });
    }))
}

fn decode_item<'a>(
    item: Option<String>,
    typ: &ScalarType,
    cx: &DecodeContext,
    arena: &'a RowArena,
    depth: usize,
) -> Result<Datum<'a>, ParseError> {
    match item {
        None => Ok(Datum::Null),
        Some(text) => decode_at(&text, typ, cx, arena, depth + 1),
    }
}

/// Reads what stands between a pair of braces, item by item.
struct Braces<'s> {
    input: &'s str,
    kind: &'static str,
    rest: &'s str,
    items: usize,
    after_comma: bool,
}

impl<'s> Braces<'s> {
    fn open(input: &'s str, kind: &'static str) -> Result<Self, ParseError> {
        let rest = super::scalar::trim(input).strip_prefix('{');
        let reader = Braces { input, kind, rest: rest.unwrap_or_default(), items: 0, after_comma: false };
        match rest {
            Some(_) => Ok(reader),
            None => Err(reader.fail("expected '{'")),
        }
    }

    fn fail(&self, detail: &str) -> ParseError {
        let message = format!("invalid input syntax for type {}: {detail}: \"{}\"", self.kind, self.input);
        ParseError::new(ParseErrorKind::InvalidText, message)
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn skip(&mut self, c: char) {
        self.rest = &self.rest[c.len_utf8()..];
    }

    /// Whether another item follows.
    fn more(&mut self) -> Result<bool, ParseError> {
        self.rest = super::scalar::trim_start(self.rest);
        match self.peek() {
            None => Err(self.fail("unterminated")),
            Some('}') if self.after_comma => Err(self.fail("unexpected '}'")),
            Some('}') => Ok(false),
            Some(_) if self.items > 0 && !self.after_comma => Err(self.fail("expected ',' or '}'")),
            Some(_) => Ok(true),
        }
    }

    fn end_of_item(&mut self) -> Result<(), ParseError> {
        self.items += 1;
        self.rest = super::scalar::trim_start(self.rest);
        self.after_comma = self.peek() == Some(',');
        if self.after_comma {
            self.skip(',');
        }
        Ok(())
    }

    fn arrow(&mut self) -> Result<(), ParseError> {
        self.rest = super::scalar::trim_start(self.rest);
        self.rest = self.rest.strip_prefix("=>").ok_or_else(|| self.fail("expected =>"))?;
        Ok(())
    }

    fn close(&mut self) -> Result<(), ParseError> {
        self.skip('}');
        if super::scalar::trim_start(self.rest).is_empty() {
            Ok(())
        } else {
            Err(self.fail("malformed literal; contains junk after closing brace"))
        }
    }

    /// One item: a nested value with its braces, a text in quotes, or a bare text. A bare NULL is NULL.
    fn item(&mut self, nests: bool, is_key: bool) -> Result<Option<String>, ParseError> {
        self.rest = super::scalar::trim_start(self.rest);
        match self.peek() {
            Some('{') if nests => self.nested().map(Some),
            Some('"') => self.quoted().map(Some),
            _ => self.bare(is_key),
        }
    }

    fn quoted(&mut self) -> Result<String, ParseError> {
        let mut text = String::new();
        let mut chars = self.rest.chars();
        chars.next();
        loop {
            match chars.next() {
                Some('"') => break,
                Some('\\') => text.extend(chars.next()),
                Some(c) => text.push(c),
                None => return Err(self.fail("unterminated quoted string")),
            }
        }
        self.rest = chars.as_str();
        Ok(text)
    }

    fn bare(&mut self, is_key: bool) -> Result<Option<String>, ParseError> {
        let mut text = String::new();
        let mut kept = 0;
        let mut escaped = false;
        while let Some(c) = self.peek() {
            if matches!(c, ',' | '}') || (is_key && self.rest.starts_with("=>")) {
                break;
            }
            if matches!(c, '{' | '"') {
                return Err(self.fail(&format!("malformed literal; must escape special character '{c}'")));
            }
            self.skip(c);
            if c == '\\' {
                let Some(next) = self.peek() else { return Err(self.fail("unterminated escape")) };
                self.skip(next);
                text.push(next);
                escaped = true;
                kept = text.len();
            } else {
                text.push(c);
                if !super::scalar::is_space(c) {
                    kept = text.len();
                }
            }
        }
        text.truncate(kept);
        if text.is_empty() {
            return Err(self.fail("malformed literal; missing element"));
        }
        Ok(if !escaped && !is_key && text.eq_ignore_ascii_case("null") { None } else { Some(text) })
    }

    /// The text of a nested list or map, from its brace to the one that closes it.
    fn nested(&mut self) -> Result<String, ParseError> {
        let (mut level, mut in_quotes, mut escaped) = (0usize, false, false);
        for (at, c) in self.rest.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => in_quotes = !in_quotes,
                '{' if !in_quotes => level += 1,
                '}' if !in_quotes => level -= 1,
                _ => {}
            }
            if level > MAX_DEPTH {
                return Err(self.fail("nested too deep"));
            }
            if level == 0 {
                let (text, rest) = self.rest.split_at(at + 1);
                self.rest = rest;
                return Ok(text.to_owned());
            }
        }
        Err(self.fail("unterminated element"))
    }
}
