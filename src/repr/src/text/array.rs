//! Input of arrays: `{1,2}`, `{{a,"b c"},{NULL,d}}`, `[0:1]={x,y}` (PostgreSQL manual 8.15).

use super::decode::{DecodeContext, decode_at};
use super::error::{ParseError, ParseErrorKind};
use super::scalar;
use crate::arena::RowArena;
use crate::datum::{ArrayDimension, Datum};
use crate::types::ScalarType;

/// The most dimensions an array may have.
pub const MAX_DIMENSIONS: usize = 6;
/// The most elements an array may have.
pub const MAX_ELEMENTS: usize = 134_217_727;

fn malformed(input: &str, detail: impl Into<Box<str>>) -> ParseError {
    ParseError::new(ParseErrorKind::InvalidText, format!("malformed array literal: \"{input}\""))
        .with_detail(detail)
}

/// Reads an array of `element`.
pub(crate) fn decode<'a>(
    s: &str,
    element: &ScalarType,
    cx: &DecodeContext,
    arena: &'a RowArena,
    depth: usize,
) -> Result<Datum<'a>, ParseError> {
    let mut element = element;
    while let ScalarType::Array(inner) = element {
        element = inner;
    }
    let mut reader = Reader { input: s, rest: scalar::trim(s), lengths: Vec::new(), elements: Vec::new() };
    let bounds = reader.bounds()?;
    if !reader.rest.starts_with('{') {
        let detail = if bounds.is_some() {
            "Array contents must start with \"{\"."
        } else {
            "Array value must start with \"{\" or dimension information."
        };
        return Err(malformed(s, detail));
    }
    reader.nested(0)?;
    if !scalar::trim_start(reader.rest).is_empty() {
        return Err(malformed(s, "Junk after closing right brace."));
    }
    let dims = reader.dimensions(bounds)?;
    let mut datums = Vec::with_capacity(reader.elements.len());
    for text in &reader.elements {
        datums.push(match text {
            None => Datum::Null,
            Some(text) => decode_at(text, element, cx, arena, depth + 1)?,
        });
    }
    Ok(arena.make_datum(|p| p.push_array_with(&dims, |p| p.extend(&datums))))
}

/// Reads an `int2vector`: numbers between blanks, counted from 0.
pub(crate) fn decode_vector<'a>(s: &str, arena: &'a RowArena) -> Result<Datum<'a>, ParseError> {
    let mut datums = Vec::new();
    for word in s.split_ascii_whitespace() {
        datums.push(Datum::Int16(scalar::integer(word, "smallint")?));
    }
    let length = u32::try_from(datums.len())
        .map_err(|_| ParseError::new(ParseErrorKind::LimitExceeded, "int2vector has too many elements"))?;
    let dim = [ArrayDimension { lower_bound: 0, length }];
    let dims: &[ArrayDimension] = if length == 0 { &[] } else { &dim };
    Ok(arena.make_datum(|p| p.push_array_with(dims, |p| p.extend(&datums))))
}

struct Reader<'s> {
    input: &'s str,
    rest: &'s str,
    /// The length of each dimension, once its first row is closed; 0 until then.
    lengths: Vec<u32>,
    elements: Vec<Option<String>>,
}

impl<'s> Reader<'s> {
    /// Reads `[lower:upper]…=` if it is there.
    fn bounds(&mut self) -> Result<Option<Vec<(i32, i32)>>, ParseError> {
        if !self.rest.starts_with('[') {
            return Ok(None);
        }
        let mut bounds = Vec::new();
        while let Some(rest) = scalar::trim_start(self.rest).strip_prefix('[') {
            if bounds.len() >= MAX_DIMENSIONS {
                return Err(too_many_dimensions(bounds.len() + 1));
            }
            let Some((inside, after)) = rest.split_once(']') else {
                return Err(malformed(self.input, "Missing \"]\" after array dimensions."));
            };
            let (lower, upper) = inside.split_once(':').unwrap_or(("1", inside));
            let number = |text: &str| {
                let missing =
                    || malformed(self.input, "\"[\" must introduce explicitly-specified array dimensions.");
                scalar::trim(text).parse::<i32>().map_err(|_| missing())
            };
            let (lower, upper) = (number(lower)?, number(upper)?);
            if upper < lower || i64::from(upper) - i64::from(lower) >= MAX_ELEMENTS as i64 {
                let message = "upper bound cannot be less than lower bound";
                return Err(ParseError::new(ParseErrorKind::ArraySubscript, message));
            }
            bounds.push((lower, upper));
            self.rest = after;
        }
        let Some(rest) = scalar::trim_start(self.rest).strip_prefix('=') else {
            return Err(malformed(self.input, "Missing \"=\" after array dimensions."));
        };
        self.rest = scalar::trim_start(rest);
        Ok(Some(bounds))
    }

    fn next(&mut self) -> Result<char, ParseError> {
        let mut chars = self.rest.chars();
        let c = chars.next().ok_or_else(|| malformed(self.input, "Unexpected end of input."))?;
        self.rest = chars.as_str();
        Ok(c)
    }

    fn unexpected(&self, c: char) -> ParseError {
        malformed(self.input, format!("Unexpected \"{c}\" character."))
    }

    /// Reads `{…}` at a level; the rest starts with the brace.
    fn nested(&mut self, level: usize) -> Result<(), ParseError> {
        if level >= MAX_DIMENSIONS {
            return Err(too_many_dimensions(level + 1));
        }
        self.next()?;
        if self.lengths.len() == level {
            self.lengths.push(0);
        }
        let is_first = self.lengths[level] == 0;
        let mut length = 0u32;
        let mut leaves = false;
        let mut nested = false;
        loop {
            self.rest = scalar::trim_start(self.rest);
            match self.rest.chars().next() {
                Some('}') if length == 0 => {
                    self.next()?;
                    if level > 0 {
                        return Err(self.unexpected('}'));
                    }
                    break;
                }
                Some('{') => {
                    if leaves {
                        return Err(self.unexpected('{'));
                    }
                    nested = true;
                    self.nested(level + 1)?;
                }
                _ => {
                    // A leaf where earlier there were nested braces at this level.
                    if nested || self.lengths.len() > level + 1 {
                        return Err(self.ragged());
                    }
                    leaves = true;
                    let element = self.element()?;
                    if self.elements.len() >= MAX_ELEMENTS {
                        let message = format!("array size exceeds the maximum allowed ({MAX_ELEMENTS})");
                        return Err(ParseError::new(ParseErrorKind::LimitExceeded, message));
                    }
                    self.elements.push(element);
                }
            }
            length += 1;
            self.rest = scalar::trim_start(self.rest);
            match self.next()? {
                ',' => {
                    self.rest = scalar::trim_start(self.rest);
                    if self.rest.starts_with('}') {
                        return Err(self.unexpected('}'));
                    }
                }
                '}' => break,
                c => return Err(self.unexpected(c)),
            }
        }
        if is_first {
            self.lengths[level] = length;
        } else if self.lengths[level] != length {
            return Err(self.ragged());
        }
        if length == 0 && level > 0 && !self.elements.is_empty() {
            return Err(self.ragged());
        }
        if leaves && self.lengths.len() > level + 1 {
            return Err(self.ragged());
        }
        Ok(())
    }

    fn ragged(&self) -> ParseError {
        malformed(self.input, "Multidimensional arrays must have sub-arrays with matching dimensions.")
    }

    /// Reads one element: in quotes, or bare up to the next comma or brace. A bare NULL is NULL.
    fn element(&mut self) -> Result<Option<String>, ParseError> {
        let mut text = String::new();
        if self.rest.starts_with('"') {
            self.next()?;
            loop {
                match self.next()? {
                    '"' => return Ok(Some(text)),
                    '\\' => text.push(self.next()?),
                    c => text.push(c),
                }
            }
        }
        // Blanks at the end do not count unless escaped.
        let mut kept = 0;
        let mut escaped = false;
        loop {
            match self.rest.chars().next() {
                Some(',' | '}') => break,
                Some(c @ ('{' | '"')) => return Err(self.unexpected(c)),
                Some('\\') => {
                    self.next()?;
                    text.push(self.next()?);
                    escaped = true;
                    kept = text.len();
                }
                Some(c) => {
                    self.next()?;
                    text.push(c);
                    if !scalar::is_space(c) {
                        kept = text.len();
                    }
                }
                None => return Err(malformed(self.input, "Unexpected end of input.")),
            }
        }
        text.truncate(kept);
        if text.is_empty() {
            let next = self.rest.chars().next().unwrap_or(',');
            return Err(self.unexpected(next));
        }
        Ok(if !escaped && text.eq_ignore_ascii_case("null") { None } else { Some(text) })
    }

    fn dimensions(&self, bounds: Option<Vec<(i32, i32)>>) -> Result<Vec<ArrayDimension>, ParseError> {
        let empty = self.elements.is_empty();
        // An empty row beside others leaves places without elements.
        let places = self.lengths.iter().try_fold(1usize, |n, length| n.checked_mul(*length as usize));
        if !empty && places != Some(self.elements.len()) {
            return Err(self.ragged());
        }
        let Some(bounds) = bounds else {
            let dims = self.lengths.iter().map(|length| ArrayDimension { lower_bound: 1, length: *length });
            return Ok(if empty { Vec::new() } else { dims.collect() });
        };
        let dims: Vec<ArrayDimension> = bounds
            .iter()
            .map(|(lower, upper)| ArrayDimension {
                lower_bound: *lower,
                length: (i64::from(*upper) - i64::from(*lower) + 1) as u32,
            })
            .collect();
        if empty || !dims.iter().map(|d| d.length).eq(self.lengths.iter().copied()) {
            return Err(malformed(self.input, "Specified array dimensions do not match array contents."));
        }
        Ok(dims)
    }
}

pub(crate) fn too_many_dimensions(found: usize) -> ParseError {
    let message =
        format!("number of array dimensions ({found}) exceeds the maximum allowed ({MAX_DIMENSIONS})");
    ParseError::new(ParseErrorKind::LimitExceeded, message)
}
