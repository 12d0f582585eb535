//! Input of ranges: `empty`, `[1,5)`, `(,"2020-01-01 00:00"]` (PostgreSQL manual 8.17.5), and their canonical form.

use super::composite::delimited;
use super::decode::{DecodeContext, decode_at};
use super::error::{ParseError, ParseErrorKind};
use crate::adt::Date;
use crate::arena::RowArena;
use crate::datum::Datum;
use crate::row::RowPacker;
use crate::types::ScalarType;

/// A bound and whether it belongs to the range; `None` is unbounded.
pub type Bound<'a> = Option<(Datum<'a>, bool)>;

fn malformed(input: &str, detail: &str) -> ParseError {
    ParseError::new(ParseErrorKind::InvalidText, format!("malformed range literal: \"{input}\""))
        .with_detail(detail)
}

/// Reads a range over `element`.
pub(crate) fn decode<'a>(
    s: &str,
    element: &ScalarType,
    cx: &DecodeContext,
    arena: &'a RowArena,
    depth: usize,
) -> Result<Datum<'a>, ParseError> {
    let text = super::scalar::trim(s);
    if text.eq_ignore_ascii_case("empty") {
        return Ok(arena.make_datum(|p| p.push_empty_range()));
    }
    if text.get(..5).is_some_and(|head| head.eq_ignore_ascii_case("empty")) {
        return Err(malformed(s, "Junk after \"empty\" key word."));
    }
    let mut chars = text.chars().peekable();
    let lower_inc = match chars.next() {
        Some('[') => true,
        Some('(') => false,
        _ => return Err(malformed(s, "Missing left parenthesis or bracket.")),
    };
    let unterminated = || malformed(s, "Unexpected end of input.");
    let (lower, delimiter) = delimited(&mut chars, &[',', ')', ']']).ok_or_else(unterminated)?;
    if delimiter != ',' {
        return Err(malformed(s, "Missing comma after lower bound."));
    }
    let (upper, delimiter) = delimited(&mut chars, &[',', ')', ']']).ok_or_else(unterminated)?;
    if delimiter == ',' {
        return Err(malformed(s, "Too many commas."));
    }
    if chars.next().is_some() {
        return Err(malformed(s, "Junk after right parenthesis or bracket."));
    }
    let bound = |text: Option<String>, inclusive: bool| -> Result<Bound<'a>, ParseError> {
        text.map(|t| Ok((decode_at(&t, element, cx, arena, depth + 1)?, inclusive))).transpose()
    };
    let (lower, upper) = (bound(lower, lower_inc)?, bound(upper, delimiter == ']')?);
    arena.try_make_datum(|p| pack(lower, upper, p))
}

/// Packs the canonical form of a range: ranges over integers and dates include their lower and exclude their upper
/// bound, and a range that holds nothing is the empty range.
///
/// # Errors
/// When the lower bound is above the upper, or moving a bound leaves the element's range.
pub fn pack(lower: Bound<'_>, upper: Bound<'_>, packer: &mut RowPacker<'_>) -> Result<(), ParseError> {
    if let (Some((l, _)), Some((u, _))) = (lower, upper)
        && l > u
    {
        let message = "range lower bound must be less than or equal to range upper bound";
        return Err(ParseError::new(ParseErrorKind::RangeBounds, message));
    }
    // A finite bound of a discrete type moves to the next value, so that [ and ) can stand for all.
    let lower = match lower {
        Some((l, false)) => match successor(l)? {
            Some(next) => Some((next, true)),
            None => Some((l, false)),
        },
        other => other,
    };
    let upper = match upper {
        Some((u, true)) => match successor(u)? {
            Some(next) => Some((next, false)),
            None => Some((u, true)),
        },
        other => other,
    };
    if let (Some((l, l_inc)), Some((u, u_inc))) = (lower, upper)
        && (l > u || (l == u && !(l_inc && u_inc)))
    {
        packer.push_empty_range();
        return Ok(());
    }
    packer.push_range(lower, upper);
    Ok(())
}

/// The next value of a discrete type, `None` for the others and for infinite dates.
fn successor(datum: Datum<'_>) -> Result<Option<Datum<'static>>, ParseError> {
    let overflow =
        |typ: &str| ParseError::new(ParseErrorKind::NumericOutOfRange, format!("{typ} out of range"));
    Ok(match datum {
        Datum::Int32(v) => Some(Datum::Int32(v.checked_add(1).ok_or_else(|| overflow("integer"))?)),
        Datum::Int64(v) => Some(Datum::Int64(v.checked_add(1).ok_or_else(|| overflow("bigint"))?)),
        Datum::Date(d) if d.is_finite() => {
            let next = Date::from_days(i64::from(d.0) + 1);
            Some(Datum::Date(next?))
        }
        _ => None,
    })
}
