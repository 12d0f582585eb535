//! Bytes, cut anywhere, to lines of the text and CSV formats.
//!
//! The first line's end (`\n`, `\r` or `\r\n`) is that of all: another is an error, as in PostgreSQL. In text a
//! backslash takes the next byte, a line end too, into the line; in CSV line ends inside quotes belong to the line.
//! A line of `\.` ends the data; what comes after it is ignored.

use hw_coord::AdapterError;

use super::csv::Style;
use super::{CopyError, MAX_LINE_BYTES};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineEnd {
    Unknown,
    Newline,
    Return,
    ReturnNewline,
}

/// Cuts lines.
#[derive(Debug)]
pub(super) struct Lines {
    csv: Option<Style>,
    end: LineEnd,
    line: Vec<u8>,
    /// The number of the line that is being read, from 1.
    number: u64,
    /// A carriage return was the last byte and may be half of a line end.
    after_return: bool,
    /// Text: a backslash was the last byte.
    escaped: bool,
    /// Text: where in the line `\.` has been seen; only a line end may follow.
    marker: Option<usize>,
    /// CSV: inside of quotes.
    in_quote: bool,
    /// CSV: an escape character was the last byte.
    last_was_escape: bool,
    /// The end marker has been seen.
    ended: bool,
}

/// What is done with a line; its number is given too.
pub(super) trait LineSink {
    fn line(&mut self, line: &[u8], number: u64) -> Result<(), CopyError>;
}

impl Lines {
    pub(super) fn new(csv: Option<Style>) -> Self {
        Lines {
            csv,
            end: LineEnd::Unknown,
            line: Vec::new(),
            number: 1,
            after_return: false,
            escaped: false,
            marker: None,
            in_quote: false,
            last_was_escape: false,
            ended: false,
        }
    }

    /// Takes bytes.
    pub(super) fn push(&mut self, data: &[u8], sink: &mut impl LineSink) -> Result<(), CopyError> {
        let number = |lines: &Lines| lines.number;
        let mut rest = data;
        loop {
            rest = &rest[self.take_plain(rest)..];
            let Some((&b, tail)) = rest.split_first() else { return Ok(()) };
            if self.ended {
                return Ok(());
            }
            self.byte(b, sink).map_err(|e| e.at_line(number(self)))?;
            rest = tail;
        }
    }

    /// Takes the bytes of text up to one that means something into the line; gives how many.
    fn take_plain(&mut self, data: &[u8]) -> usize {
        if self.csv.is_some() || self.ended || self.escaped || self.after_return || self.marker.is_some() {
            return 0;
        }
        let plain = data.iter().position(|b| matches!(b, b'\n' | b'\r' | b'\\')).unwrap_or(data.len());
        // A line that is too long is refused byte by byte.
        if self.line.len() + plain > MAX_LINE_BYTES {
            return 0;
        }
        self.line.extend_from_slice(&data[..plain]);
        plain
    }

    /// Ends the data.
    pub(super) fn finish(&mut self, sink: &mut impl LineSink) -> Result<(), CopyError> {
        if self.ended {
            return Ok(());
        }
        let number = self.number;
        if std::mem::take(&mut self.after_return) {
            if self.end == LineEnd::ReturnNewline {
                return Err(self.literal_return().at_line(number));
            }
            return self.complete(sink).map_err(|e| e.at_line(number));
        }
        if self.line.is_empty() { Ok(()) } else { self.complete(sink).map_err(|e| e.at_line(number)) }
    }

    fn byte(&mut self, b: u8, sink: &mut impl LineSink) -> Result<(), CopyError> {
        if std::mem::take(&mut self.after_return) {
            match (b, self.end) {
                (b'\n', _) => {
                    self.end = LineEnd::ReturnNewline;
                    return self.complete(sink);
                }
                (_, LineEnd::ReturnNewline) => return Err(self.literal_return()),
                _ => {
                    self.end = LineEnd::Return;
                    self.complete(sink)?;
                    if self.ended {
                        return Ok(());
                    }
                }
            }
        }
        match self.csv {
            None => self.text_byte(b, sink),
            Some(style) => self.csv_byte(b, style, sink),
        }
    }

    fn text_byte(&mut self, b: u8, sink: &mut impl LineSink) -> Result<(), CopyError> {
        if std::mem::take(&mut self.escaped) {
            if b == b'.' {
                self.marker = Some(self.line.len() - 1);
            }
            return self.keep(b);
        }
        if matches!(b, b'\n' | b'\r') {
            return self.line_end(b, sink);
        }
        if self.marker.is_some() {
            return Err(CopyError::format("end-of-copy marker corrupt"));
        }
        self.escaped = b == b'\\';
        self.keep(b)
    }

    fn csv_byte(&mut self, b: u8, style: Style, sink: &mut impl LineSink) -> Result<(), CopyError> {
        // A quote that is its own escape needs no attention: two of them leave the state as it was.
        let escape = if style.escape == style.quote { None } else { Some(style.escape) };
        if self.in_quote && Some(b) == escape {
            self.last_was_escape = !self.last_was_escape;
        }
        if b == style.quote && !self.last_was_escape {
            self.in_quote = !self.in_quote;
        }
        if Some(b) != escape {
            self.last_was_escape = false;
        }
        if !self.in_quote && matches!(b, b'\n' | b'\r') {
            return self.line_end(b, sink);
        }
        if b == if self.end == LineEnd::Return { b'\r' } else { b'\n' } {
            self.number += 1;
        }
        self.keep(b)
    }

    fn keep(&mut self, b: u8) -> Result<(), CopyError> {
        if self.line.len() >= MAX_LINE_BYTES {
            let message = format!("a line exceeds the limit of {MAX_LINE_BYTES} bytes");
            return Err(AdapterError::new("54000", message).into());
        }
        self.line.push(b);
        Ok(())
    }

    fn line_end(&mut self, b: u8, sink: &mut impl LineSink) -> Result<(), CopyError> {
        match (b, self.end) {
            (b'\n', LineEnd::Unknown | LineEnd::Newline) => {
                self.end = LineEnd::Newline;
                self.complete(sink)
            }
            (b'\r', LineEnd::Unknown | LineEnd::ReturnNewline) => {
                self.after_return = true;
                Ok(())
            }
            (b'\r', LineEnd::Return) => self.complete(sink),
            (b'\r', _) => Err(self.literal_return()),
            _ => Err(self.literal_newline()),
        }
    }

    fn complete(&mut self, sink: &mut impl LineSink) -> Result<(), CopyError> {
        let marked = match (self.marker.take(), &self.csv) {
            (Some(at), _) => {
                self.line.truncate(at);
                true
            }
            (None, Some(_)) if self.line == b"\\." => {
                self.line.clear();
                true
            }
            _ => false,
        };
        self.ended = marked;
        self.escaped = false;
        if !(marked && self.line.is_empty()) {
            sink.line(&self.line, self.number)?;
        }
        self.number += 1;
        self.line.clear();
        if self.line.capacity() > 1 << 20 {
            self.line = Vec::new();
        }
        Ok(())
    }

    fn literal_return(&self) -> CopyError {
        match self.csv {
            None => {
                hinted("literal carriage return found in data", "Use \"\\r\" to represent carriage return.")
            }
            Some(_) => hinted(
                "unquoted carriage return found in data",
                "Use quoted CSV field to represent carriage return.",
            ),
        }
    }

    fn literal_newline(&self) -> CopyError {
        match self.csv {
            None => hinted("literal newline found in data", "Use \"\\n\" to represent newline."),
            Some(_) => hinted("unquoted newline found in data", "Use quoted CSV field to represent newline."),
        }
    }
}

fn hinted(message: &str, hint: &str) -> CopyError {
    AdapterError::new("22P04", message).with_hint(hint).into()
}
