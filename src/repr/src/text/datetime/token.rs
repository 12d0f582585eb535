//! Splits the text of a date, time or interval into tokens.

use crate::adt::timezone::abbreviation_offset;

/// A token. Words are in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// Digits, perhaps with a point.
    Number(String),
    /// Digits and colons, perhaps with a point: `04:05:06.7`.
    Clock(String),
    /// Parts between `-`, `/` or `.`: `1999-01-08`, `08-Jan-1999`, or an interval's `-1-2`.
    Date(String),
    /// Letters, or a sign and letters (`-infinity`).
    Word(String),
    /// The name of a zone that is more than a word: `America/New_York`, `UTC+3`.
    Zone(String),
    /// A sign and digits, perhaps with colons or a point: a zone's offset or an interval's number.
    Offset(String),
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// The number of a month by its name or an abbreviation of three letters (or `sept`), in lower case.
pub(crate) fn month(word: &str) -> Option<u32> {
    let found = MONTHS.iter().position(|m| *m == word || (word.len() == 3 && m.starts_with(word)));
    found.map(|i| i as u32 + 1).or((word == "sept").then_some(9))
}

/// Whether the word is a day of the week.
pub(crate) fn is_weekday(word: &str) -> bool {
    const DAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
    DAYS.iter().any(|d| *d == word || (word.len() == 3 && d.starts_with(word)))
        || matches!(word, "tues" | "wednes" | "weds" | "thur" | "thurs")
}

/// A position in the text. Bytes are enough: all that has a meaning is ASCII.
struct Cursor<'s> {
    bytes: &'s [u8],
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> u8 {
        self.peek_at(0)
    }

    /// The byte `n` places ahead, 0 past the end.
    fn peek_at(&self, n: usize) -> u8 {
        self.bytes.get(self.at + n).copied().unwrap_or(0)
    }

    fn take_while(&mut self, out: &mut String, accept: impl Fn(u8) -> bool) {
        while self.at < self.bytes.len() && accept(self.peek()) {
            out.push(char::from(self.peek()));
            self.at += 1;
        }
    }

    fn digits(&mut self, out: &mut String) {
        self.take_while(out, |b| b.is_ascii_digit());
    }

    fn take(&mut self, out: &mut String) {
        out.push(char::from(self.peek()));
        self.at += 1;
    }
}

/// Splits the text; `None` when it holds a character that no date, time or interval has.
pub(crate) fn tokenize(text: &str) -> Option<Vec<Token>> {
    const MAX_TOKENS: usize = 64;
    let mut c = Cursor { bytes: text.as_bytes(), at: 0 };
    let mut tokens = Vec::new();
    while c.at < c.bytes.len() {
        if tokens.len() == MAX_TOKENS {
            return None;
        }
        match c.peek() {
            b if b.is_ascii_whitespace() || b == 0x0b => c.at += 1,
            b if b.is_ascii_digit() => tokens.push(number(&mut c)),
            b'.' if c.peek_at(1).is_ascii_digit() => {
                let mut s = String::new();
                c.take(&mut s);
                c.digits(&mut s);
                tokens.push(Token::Number(s));
            }
            b if b.is_ascii_alphabetic() => tokens.push(word(&mut c)),
            b'+' | b'-' => tokens.push(signed(&mut c)?),
            b if b.is_ascii_punctuation() => c.at += 1,
            _ => return None,
        }
    }
    Some(tokens)
}

fn number(c: &mut Cursor<'_>) -> Token {
    let mut s = String::new();
    c.digits(&mut s);
    match c.peek() {
        b':' => {
            c.take_while(&mut s, |b| b.is_ascii_digit() || b == b':' || b == b'.');
            Token::Clock(s)
        }
        delimiter @ (b'-' | b'/' | b'.') => {
            let next = c.peek_at(1);
            if delimiter == b'.' && !next.is_ascii_alphabetic() {
                c.take(&mut s);
                c.digits(&mut s);
                if c.peek() != b'.' || !c.peek_at(1).is_ascii_digit() {
                    return Token::Number(s);
                }
                c.take(&mut s);
                c.digits(&mut s);
                return Token::Date(s);
            }
            if !next.is_ascii_alphanumeric() {
                return Token::Number(s);
            }
            c.take(&mut s);
            date_rest(c, delimiter, &mut s);
            Token::Date(s)
        }
        _ => Token::Number(s),
    }
}

/// After the first delimiter of a date: a part, and if the same delimiter follows, another.
fn date_rest(c: &mut Cursor<'_>, delimiter: u8, s: &mut String) {
    let part = |c: &mut Cursor<'_>, s: &mut String| {
        if c.peek().is_ascii_digit() {
            c.digits(s);
        } else {
            c.take_while(s, |b| b.is_ascii_alphabetic());
        }
    };
    part(c, s);
    if c.peek() == delimiter && c.peek_at(1).is_ascii_alphanumeric() {
        c.take(s);
        part(c, s);
    }
}

fn word(c: &mut Cursor<'_>) -> Token {
    let start = c.at;
    let mut s = String::new();
    c.take_while(&mut s, |b| b.is_ascii_alphabetic());
    let lower = s.to_ascii_lowercase();
    let delimiter = c.peek();
    let next = c.peek_at(1);
    if month(&lower).is_some() && matches!(delimiter, b'-' | b'/' | b'.') && next.is_ascii_digit() {
        c.take(&mut s);
        date_rest(c, delimiter, &mut s);
        return Token::Date(s);
    }
    let is_path = matches!(delimiter, b'/' | b'_') && next.is_ascii_alphanumeric();
    // `UTC+3`, `EST5EDT`
    let signed = matches!(delimiter, b'+' | b'-') && next.is_ascii_digit();
    let offset_follows = signed || (delimiter.is_ascii_digit() && lower.len() >= 3);
    let is_posix = offset_follows && abbreviation_offset(&lower).is_some();
    if is_path || is_posix {
        c.at = start;
        s.clear();
        c.take_while(&mut s, |b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'+' | b'-' | b':'));
        return Token::Zone(s);
    }
    Token::Word(lower)
}

fn signed(c: &mut Cursor<'_>) -> Option<Token> {
    let mut s = String::new();
    c.take(&mut s);
    while c.peek().is_ascii_whitespace() {
        c.at += 1;
    }
    if c.peek().is_ascii_alphabetic() {
        c.take_while(&mut s, |b| b.is_ascii_alphabetic());
        return Some(Token::Word(s.to_ascii_lowercase()));
    }
    if !c.peek().is_ascii_digit() && c.peek() != b'.' {
        return None;
    }
    c.take_while(&mut s, |b| b.is_ascii_digit() || b == b':' || b == b'.');
    if c.peek() == b'-' && c.peek_at(1).is_ascii_digit() && !s.contains([':', '.']) {
        c.take(&mut s);
        c.digits(&mut s);
        return Some(Token::Date(s));
    }
    Some(Token::Offset(s))
}
