//! Functions on text and bytes (PostgreSQL manual 9.4, 9.5, 9.7).

mod basic;
mod edit;
pub(crate) mod like;
mod number_format;
mod number_parse;
mod quote;
pub(crate) mod regex;
mod similar;

pub(crate) use basic::write_value;

use crate::func::Registry;

pub(super) fn register(r: &mut Registry) {
    basic::register(r);
    edit::register(r);
    like::register(r);
    number_format::register(r);
    number_parse::register(r);
    similar::register(r);
    regex::register(r);
}

/// The byte positions of a substring given by a 1-based start and a length in characters; a start before the first
/// character uses up some of the length.
pub(crate) fn slice_chars(s: &str, start: i64, len: Option<i64>) -> &str {
    let end = len.map(|l| start.saturating_add(l));
    let skip = usize::try_from(start.max(1) - 1).unwrap_or(0);
    let from = s.char_indices().nth(skip).map_or(s.len(), |(i, _)| i);
    let Some(end) = end else { return &s[from..] };
    let take = usize::try_from((end - start.max(1)).max(0)).unwrap_or(0);
    let rest = &s[from..];
    let to = rest.char_indices().nth(take).map_or(rest.len(), |(i, _)| i);
    &rest[..to]
}
