//! Words of a path. The lexer follows PostgreSQL's down to what it calls the place of an error.

use crate::text::{ParseError, ParseErrorKind};

/// A word.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Word {
    /// An unquoted name or keyword.
    Name(String),
    /// A quoted string.
    String(String),
    /// `$name`, `$"name"`
    Variable(String),
    /// A whole number.
    Integer(String),
    /// Any other number.
    Number(String),
    /// An operator or a mark.
    Mark(&'static str),
    /// The end.
    End,
}

/// A word and what an error shows of it.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) word: Word,
    /// Empty at the end of the input, and after a name that no blank follows.
    shown: String,
}

/// Longer ones first.
const MARKS: &[&str] = &[
    "&&", "||", "**", "<=", "==", "<>", "!=", ">=", "!", "<", ">", "?", "%", "$", ".", "[", "]", "{", "}",
    "(", ")", "|", "&", "=", "@", "#", ",", "*", ":", "-", "+", "/",
];

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0c')
}

/// A character of a name.
fn is_other(c: char) -> bool {
    !is_blank(c) && !matches!(c, '\\' | '"') && !"?%$.[]{}()|&!=<>@#,*:-+/".contains(c)
}

pub(super) fn syntax(message: &str, shown: &str) -> ParseError {
    let text = if shown.is_empty() {
        format!("{message} at end of jsonpath input")
    } else {
        format!("{message} at or near \"{shown}\" of jsonpath input")
    };
    ParseError::new(ParseErrorKind::Syntax, text)
}

impl Token {
    /// The error that the word cannot stand here.
    pub(super) fn unexpected(&self) -> ParseError {
        syntax("syntax error", &self.shown)
    }
}

/// Reads word by word.
pub(super) struct Lexer<'a> {
    rest: &'a str,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Lexer { rest: text }
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        taken
    }

    fn take_while(&mut self, test: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !test(c)).unwrap_or(self.rest.len());
        self.take(end)
    }

    fn skip_comment(&mut self) -> Result<(), ParseError> {
        match self.rest[2..].find("*/") {
            Some(at) => {
                self.take(at + 4);
                Ok(())
            }
            None => Err(syntax("unexpected end of comment", "")),
        }
    }

    pub(super) fn next(&mut self) -> Result<Token, ParseError> {
        loop {
            self.take_while(is_blank);
            if !self.rest.starts_with("/*") {
                break;
            }
            self.skip_comment()?;
        }
        let mut chars = self.rest.chars();
        let (first, second) = (chars.next(), chars.next());
        let token = |word, shown: &str| Ok(Token { word, shown: shown.to_owned() });
        match (first, second) {
            (None, _) => token(Word::End, ""),
            (Some('"'), _) => {
                self.take(1);
                let s = self.quoted()?;
                token(Word::String(s), "\"")
            }
            (Some('$'), Some('"')) => {
                self.take(2);
                let s = self.quoted()?;
                token(Word::Variable(s), "\"")
            }
            (Some('$'), Some(c)) if is_other(c) => {
                self.take(1);
                let name = self.take_while(is_other);
                token(Word::Variable(name.to_owned()), &format!("${name}"))
            }
            (Some(c), _) if c.is_ascii_digit() => self.number(),
            (Some('.'), Some(c)) if c.is_ascii_digit() => self.number(),
            (Some(c), _) if is_other(c) || c == '\\' => self.name(),
            _ => {
                let mark = MARKS.iter().find(|m| self.rest.starts_with(**m)).copied();
                let mark = mark.expect("what is no blank, name or quote is a mark");
                self.take(mark.len());
                token(Word::Mark(mark), mark)
            }
        }
    }

    fn name(&mut self) -> Result<Token, ParseError> {
        let mut name = String::new();
        let mut shown = "";
        loop {
            name.push_str(self.take_while(is_other));
            if self.rest.starts_with('\\') {
                self.escape(&mut name)?;
            } else {
                if self.rest.starts_with(is_blank) {
                    shown = self.take_while(is_blank);
                }
                return Ok(Token { word: Word::Name(name), shown: shown.to_owned() });
            }
        }
    }

    /// The rest of a quoted string.
    fn quoted(&mut self) -> Result<String, ParseError> {
        let mut out = String::new();
        loop {
            out.push_str(self.take_while(|c| !matches!(c, '"' | '\\')));
            match self.rest.chars().next() {
                None => return Err(syntax("unexpected end of quoted string", "")),
                Some('"') => {
                    self.take(1);
                    return Ok(out);
                }
                Some(_) => self.escape(&mut out)?,
            }
        }
    }

    fn number(&mut self) -> Result<Token, ParseError> {
        let text = self.rest;
        let digits = |from: usize| text[from..].bytes().take_while(u8::is_ascii_digit).count();
        let bytes = text.as_bytes();
        // A whole number has no zeros before it.
        let whole = if bytes[0] == b'0' { 1 } else { digits(0) };
        let mut end = whole;
        let mut integer = true;
        if bytes.get(end) == Some(&b'.') {
            end += 1 + digits(end + 1);
            integer = false;
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let signed = matches!(bytes.get(end + 1), Some(b'+' | b'-'));
            let from = end + 1 + usize::from(signed);
            match digits(from) {
                0 if signed => return Err(syntax("invalid numeric literal", &text[..from])),
                0 => {}
                n => {
                    end = from + n;
                    integer = false;
                }
            }
        }
        if let Some(c) = text[end..].chars().next()
            && is_other(c)
        {
            let shown = &text[..end + c.len_utf8()];
            return Err(syntax("trailing junk after numeric literal", shown));
        }
        let number = self.take(end);
        let word = if integer { Word::Integer } else { Word::Number };
        Ok(Token { word: word(number.to_owned()), shown: number.to_owned() })
    }

    /// An escape after its backslash, which is still there.
    fn escape(&mut self, out: &mut String) -> Result<(), ParseError> {
        let Some(c) = self.rest[1..].chars().next() else {
            return Err(syntax("unexpected end after backslash", "\\"));
        };
        match c {
            'u' => return self.unicode(out),
            'x' => {
                let hex: String =
                    self.rest[2..].chars().take(2).take_while(char::is_ascii_hexdigit).collect();
                if hex.len() < 2 {
                    return Err(syntax("invalid hex character sequence", &self.rest[..2 + hex.len()]));
                }
                self.take(4);
                return push_code(u32::from_str_radix(&hex, 16).unwrap_or(0), out);
            }
            'b' => out.push('\x08'),
            'f' => out.push('\x0c'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'v' => out.push('\x0b'),
            other => out.push(other),
        }
        self.take(1 + c.len_utf8());
        Ok(())
    }

    /// `\uXXXX` and `\u{X…}`, as many as follow each other: two may be the halves of one character.
    fn unicode(&mut self, out: &mut String) -> Result<(), ParseError> {
        let start = self.rest;
        let mut high = None;
        while self.rest.starts_with("\\u") {
            let digits = |from: usize, max: usize| {
                self.rest[from..].bytes().take(max).take_while(u8::is_ascii_hexdigit).count()
            };
            let braced = self.rest[2..].starts_with('{');
            let from = if braced { 3 } else { 2 };
            let n = digits(from, if braced { 6 } else { 4 });
            let closed = !braced || n > 0 && self.rest[from + n..].starts_with('}');
            if !closed || !braced && n < 4 {
                let shown = start.len() - self.rest.len() + from + n;
                return Err(syntax("invalid unicode sequence", &start[..shown]));
            }
            let code = u32::from_str_radix(&self.rest[from..from + n], 16).unwrap_or(0);
            self.take(from + n + usize::from(braced));
            match (code, high.take()) {
                (0xd800..=0xdbff, Some(_)) => {
                    return Err(surrogates("Unicode high surrogate must not follow a high surrogate."));
                }
                (0xd800..=0xdbff, None) => high = Some((code & 0x3ff) << 10),
                (0xdc00..=0xdfff, Some(high)) => push_code(0x10000 + high + (code & 0x3ff), out)?,
                (0xdc00..=0xdfff, None) | (_, Some(_)) => return Err(low_surrogate()),
                (code, None) => push_code(code, out)?,
            }
        }
        if high.is_some() { Err(low_surrogate()) } else { Ok(()) }
    }
}

fn surrogates(detail: &str) -> ParseError {
    ParseError::new(ParseErrorKind::InvalidText, "invalid input syntax for type jsonpath").with_detail(detail)
}

fn low_surrogate() -> ParseError {
    surrogates("Unicode low surrogate must follow a high surrogate.")
}

fn push_code(code: u32, out: &mut String) -> Result<(), ParseError> {
    if code == 0 {
        let message = "unsupported Unicode escape sequence";
        return Err(ParseError::new(ParseErrorKind::UntranslatableCharacter, message)
            .with_detail("\\u0000 cannot be converted to text."));
    }
    let c = char::from_u32(code);
    out.push(c.ok_or_else(|| {
        let message = "invalid byte sequence for encoding \"UTF8\"";
        ParseError::new(ParseErrorKind::InvalidEncoding, message)
    })?);
    Ok(())
}
