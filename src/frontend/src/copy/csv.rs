//! Fields of the CSV format, as PostgreSQL reads and writes it: a field may be quoted in part, NULL is an unquoted
//! string of its own.

use bytes::{BufMut, BytesMut};

use super::CopyError;
use super::text::Fields;

/// The characters with a meaning.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) delimiter: u8,
    pub(super) quote: u8,
    pub(super) escape: u8,
}

/// Appends a field's text, quoted if it must be or if that is asked for.
pub(super) fn write_field(
    value: &str,
    style: &Style,
    null: &str,
    alone: bool,
    force: bool,
    out: &mut BytesMut,
) {
    let special = |b: u8| b == style.delimiter || b == style.quote || b == b'\n' || b == b'\r';
    // A line of `\.` would end the data.
    let quoted = force || value == null || (alone && value == "\\.") || value.bytes().any(special);
    if !quoted {
        out.put_slice(value.as_bytes());
        return;
    }
    out.put_u8(style.quote);
    for b in value.bytes() {
        if b == style.quote || b == style.escape {
            out.put_u8(style.escape);
        }
        out.put_u8(b);
    }
    out.put_u8(style.quote);
}

/// Cuts a line into fields.
pub(super) fn split(line: &[u8], style: &Style, null: &[u8], fields: &mut Fields) -> Result<(), CopyError> {
    fields.clear();
    let mut rest = line;
    loop {
        let start = fields.position();
        let raw = rest;
        let mut raw_length = raw.len();
        let mut more = false;
        let mut saw_quote = false;
        while let Some((&b, tail)) = rest.split_first() {
            rest = tail;
            if b == style.delimiter {
                more = true;
                raw_length = raw.len() - rest.len() - 1;
                break;
            }
            if b == style.quote {
                saw_quote = true;
                rest = quoted(rest, style, fields)?;
            } else {
                fields.push_byte(b);
            }
        }
        fields.end_field(start, !saw_quote && &raw[..raw_length] == null);
        if !more {
            return Ok(());
        }
    }
}

/// Reads up to the closing quote; gives what is left.
fn quoted<'a>(mut rest: &'a [u8], style: &Style, fields: &mut Fields) -> Result<&'a [u8], CopyError> {
    while let Some((&b, tail)) = rest.split_first() {
        rest = tail;
        if b == style.escape
            && let Some((&next, after)) = rest.split_first()
            && (next == style.escape || next == style.quote)
        {
            fields.push_byte(next);
            rest = after;
        } else if b == style.quote {
            return Ok(rest);
        } else {
            fields.push_byte(b);
        }
    }
    Err(CopyError::format("unterminated CSV quoted field"))
}
