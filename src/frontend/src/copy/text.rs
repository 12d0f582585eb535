//! Fields of the text format: parted by a delimiter, with backslash escapes, NULL as a string of its own.

use bytes::{BufMut, BytesMut};

/// The fields of a line, unescaped; `None` is NULL.
#[derive(Debug, Default)]
pub(super) struct Fields {
    bytes: Vec<u8>,
    /// Where each field is in `bytes`.
    ranges: Vec<Option<(usize, usize)>>,
}

impl Fields {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ranges.clear();
    }

    pub(super) fn push_byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    fn push_bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Ends the field that began at `start`.
    pub(super) fn end_field(&mut self, start: usize, null: bool) {
        self.ranges.push((!null).then_some((start, self.bytes.len())));
    }

    /// Where the next field begins.
    pub(super) fn position(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn len(&self) -> usize {
        self.ranges.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Option<&[u8]>> {
        self.ranges.iter().map(|r| r.map(|(from, to)| &self.bytes[from..to]))
    }
}

/// Appends a field's text, escaped.
pub(super) fn write_field(value: &str, delimiter: u8, out: &mut BytesMut) {
    for &b in value.as_bytes() {
        let escaped = match b {
            8 => b'b',
            9 => b't',
            10 => b'n',
            11 => b'v',
            12 => b'f',
            13 => b'r',
            b'\\' => b'\\',
            b if b == delimiter => b,
            plain => {
                out.put_u8(plain);
                continue;
            }
        };
        out.put_u8(b'\\');
        out.put_u8(escaped);
    }
}

/// Cuts a line into fields.
pub(super) fn split(line: &[u8], delimiter: u8, null: &[u8], fields: &mut Fields) {
    fields.clear();
    let mut rest = line;
    loop {
        let start = fields.position();
        let raw = rest;
        let mut more = false;
        let mut raw_length = raw.len();
        loop {
            let plain = rest.iter().position(|b| *b == delimiter || *b == b'\\').unwrap_or(rest.len());
            fields.push_bytes(&rest[..plain]);
            let Some((&b, tail)) = rest[plain..].split_first() else { break };
            rest = tail;
            if b == delimiter {
                more = true;
                raw_length = raw.len() - rest.len() - 1;
                break;
            }
            rest = unescape(rest, fields);
        }
        fields.end_field(start, &raw[..raw_length] == null);
        if !more {
            return;
        }
    }
}

/// Reads what follows a backslash; gives what is left.
fn unescape<'a>(rest: &'a [u8], fields: &mut Fields) -> &'a [u8] {
    let Some((&b, tail)) = rest.split_first() else {
        fields.push_byte(b'\\');
        return rest;
    };
    let (byte, used) = match b {
        b'b' => (8, 1),
        b't' => (9, 1),
        b'n' => (10, 1),
        b'v' => (11, 1),
        b'f' => (12, 1),
        b'r' => (13, 1),
        b'0'..=b'7' => digits(rest, 8, 3),
        b'x' => match digits(tail, 16, 2) {
            (_, 0) => (b'x', 1),
            (byte, used) => (byte, used + 1),
        },
        other => (other, 1),
    };
    fields.push_byte(byte);
    &rest[used..]
}

/// The value of at most `most` digits, and how many there are.
fn digits(text: &[u8], radix: u32, most: usize) -> (u8, usize) {
    let mut value = 0;
    let mut used = 0;
    for &b in text.iter().take(most) {
        let Some(digit) = char::from(b).to_digit(radix) else { break };
        value = value * radix + digit;
        used += 1;
    }
    ((value & 0xff) as u8, used)
}
