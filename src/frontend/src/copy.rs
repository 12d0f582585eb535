//! The formats of COPY (PostgreSQL manual, COPY, "File Formats"), without I/O.
//!
//! [`CopyEncoder`] turns rows into bytes, [`CopyDecoder`] bytes, cut anywhere, into rows. Both hold no more than a row.
//! `lines` cuts text and CSV into lines, `text` and `csv` cut lines into fields, `binary` is the binary format.

mod binary;
mod csv;
mod decode;
mod encode;
mod lines;
mod text;

pub use decode::CopyDecoder;
pub use encode::CopyEncoder;

use hw_coord::AdapterError;

/// The longest line or value that is read.
pub const MAX_LINE_BYTES: usize = 128 << 20;

/// What is wrong with data that a client copies in, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct CopyError {
    /// The error.
    pub error: AdapterError,
    /// Where: `line 3, column a: "x"`.
    pub place: String,
}

impl CopyError {
    /// Malformed data (22P04).
    fn format(message: impl Into<String>) -> Self {
        Self::from(AdapterError::new("22P04", message))
    }

    /// The same at a line, if no place is known yet.
    fn at_line(mut self, line: u64) -> Self {
        if self.place.is_empty() {
            self.place = format!("line {line}");
        }
        self
    }
}

impl From<AdapterError> for CopyError {
    fn from(error: AdapterError) -> Self {
        CopyError { error, place: String::new() }
    }
}

/// The beginning of a text, for error contexts, as PostgreSQL cuts it.
fn excerpt(bytes: &[u8]) -> String {
    const SHOWN: usize = 100;
    let text = String::from_utf8_lossy(bytes);
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.into_owned(),
    }
}

#[cfg(test)]
mod tests;
