//! PostgreSQL's advanced regular expressions in the syntax of the engines (PostgreSQL manual 9.7.3).
//!
//! What the engines have not (back references, look-around) is noted, and so is which of several matches from one
//! place PostgreSQL prefers: the longest, or the shortest when the first quantifier that matters is a non-greedy one.

use crate::error::EvalError;
use crate::functions::fail;

/// The greatest number of repetitions that may be asked for.
const MAX_REPETITIONS: u32 = 255;
/// How deep groups may nest.
const MAX_DEPTH: usize = 200;

/// The options that change what an expression matches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Options {
    pub(super) ignore_case: bool,
    pub(super) literal: bool,
    pub(super) extended: bool,
    /// `.` and `[^…]` do not match a newline.
    pub(super) dot_stops: bool,
    /// `^` and `$` match at lines.
    pub(super) lines: bool,
}

/// An expression that an engine can read.
#[derive(Debug, Default)]
pub(super) struct Translated {
    /// The expression.
    pub(super) text: String,
    /// Whether it has back references or look-around.
    pub(super) fancy: bool,
    /// Whether it has alternatives, repeated groups or non-greedy quantifiers, so that the length of the match must be found out.
    pub(super) ambiguous: bool,
    /// Whether the shortest match is preferred.
    pub(super) shortest: bool,
}

/// What is known of an expression in parentheses while it is read.
#[derive(Debug, Default)]
struct Level {
    /// Whether the first quantified atom of the branch is greedy.
    branch: Option<bool>,
    alternatives: bool,
    /// Whether this is inside of a look-around constraint.
    constraint: bool,
    /// Whether it is a constraint itself.
    is_constraint: bool,
}

impl Level {
    fn preference(&self) -> Option<bool> {
        if self.alternatives { Some(true) } else { self.branch }
    }
}

/// What the last thing read was, for the quantifier that may follow.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Last {
    /// Nothing that may be repeated.
    Nothing,
    /// An atom.
    Atom,
    /// An expression in parentheses: its own preference, and that of the branch before it.
    Group { own: Option<bool>, before: Option<bool> },
}

struct Reader<'p> {
    rest: &'p str,
    options: Options,
    out: Translated,
    levels: Vec<Level>,
    groups: usize,
    last: Last,
}

fn invalid<T>(reason: &str) -> Result<T, EvalError> {
    fail("2201B", format!("invalid regular expression: {reason}"))
}

const UNBALANCED: &str = "parentheses () not balanced";
const BAD_OPERAND: &str = "quantifier operand invalid";
const BAD_ESCAPE: &str = "invalid escape \\ sequence";
const BAD_COUNT: &str = "invalid repetition count(s)";

/// Translates an expression.
pub(super) fn translate(pattern: &str, options: Options) -> Result<Translated, EvalError> {
    let mut reader = Reader {
        rest: pattern,
        options,
        out: Translated::default(),
        levels: vec![Level::default()],
        groups: 0,
        last: Last::Nothing,
    };
    while let Some(c) = reader.next() {
        reader.read(c)?;
    }
    match reader.levels.pop() {
        Some(top) if reader.levels.is_empty() => {
            reader.out.shortest = top.preference() == Some(false);
            Ok(reader.out)
        }
        _ => invalid(UNBALANCED),
    }
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn eat(&mut self, prefix: &str) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// An atom without a preference.
    fn atom(&mut self, text: &str) {
        self.out.text.push_str(text);
        self.last = Last::Atom;
    }

    fn literal(&mut self, c: char) {
        let mut buffer = [0; 4];
        self.out.text.push_str(&regex::escape(c.encode_utf8(&mut buffer)));
        self.last = Last::Atom;
    }

    /// A constraint: something that matches at a place and may not be repeated.
    fn constraint(&mut self, text: &str) {
        self.out.text.push_str(text);
        self.last = Last::Nothing;
    }

    fn read(&mut self, c: char) -> Result<(), EvalError> {
        match c {
            '\\' => self.escape()?,
            '[' => self.bracket()?,
            '(' => self.open()?,
            ')' => self.close()?,
            '|' => {
                let level = self.levels.last_mut();
                level.into_iter().for_each(|l| l.alternatives = true);
                self.out.ambiguous = true;
                self.constraint("|");
            }
            '*' | '+' | '?' => self.quantifier(&c.to_string(), None)?,
            '{' if self.rest.starts_with(|c: char| c.is_ascii_digit()) => self.bounds()?,
            '.' => self.atom("."),
            '^' if self.options.lines => self.constraint("(?m:^)"),
            '^' => self.constraint("\\A"),
            '$' if self.options.lines => self.constraint("(?m:$)"),
            '$' => self.constraint("\\z"),
            c if self.options.extended && c.is_ascii_whitespace() => {}
            '#' if self.options.extended => {
                let end = self.rest.find('\n').map_or(self.rest.len(), |at| at + 1);
                self.rest = &self.rest[end..];
            }
            c => self.literal(c),
        }
        Ok(())
    }

    fn open(&mut self) -> Result<(), EvalError> {
        if self.eat("?#") {
            let end = self.rest.find(')').map(|at| at + 1);
            let Some(end) = end else { return invalid(UNBALANCED) };
            self.rest = &self.rest[end..];
            return Ok(());
        }
        if self.levels.len() > MAX_DEPTH {
            return invalid("regular expression is too complex");
        }
        let inside = self.levels.last().is_some_and(|l| l.constraint);
        let look = ["?=", "?!", "?<=", "?<!"].into_iter().find(|p| self.eat(p));
        let mut level = Level { constraint: inside, ..Level::default() };
        if let Some(look) = look {
            self.out.fancy = true;
            self.out.text.push('(');
            self.out.text.push_str(look);
            (level.constraint, level.is_constraint) = (true, true);
        } else if self.eat("?:") || inside {
            self.out.text.push_str("(?:");
        } else if self.rest.starts_with('?') {
            return invalid(BAD_OPERAND);
        } else {
            self.groups += 1;
            self.out.text.push('(');
        }
        self.levels.push(level);
        self.last = Last::Nothing;
        Ok(())
    }

    fn close(&mut self) -> Result<(), EvalError> {
        if self.levels.len() < 2 {
            return invalid(UNBALANCED);
        }
        let Some(level) = self.levels.pop() else { return invalid(UNBALANCED) };
        self.out.text.push(')');
        if level.is_constraint {
            self.last = Last::Nothing;
            return Ok(());
        }
        let before = self.levels.last().and_then(|l| l.branch);
        self.last = Last::Group { own: level.preference(), before };
        self.note(level.preference());
        Ok(())
    }

    /// The branch prefers what its first atom with a preference does.
    fn note(&mut self, preference: Option<bool>) {
        if let Some(level) = self.levels.last_mut() {
            level.branch = level.branch.or(preference);
        }
    }

    /// A quantifier; `fixed` is the number of a count that is no span.
    fn quantifier(&mut self, text: &str, fixed: Option<u32>) -> Result<(), EvalError> {
        let group = match self.last {
            Last::Nothing => return invalid(BAD_OPERAND),
            Last::Atom => None,
            Last::Group { own, before } => {
                // A turn less may leave more for what follows.
                self.out.ambiguous = true;
                own.map(|_| before)
            }
        };
        let greedy = !self.eat("?");
        self.out.text.push_str(text);
        if !greedy {
            self.out.text.push('?');
            self.out.ambiguous = true;
        }
        if fixed.is_none() {
            // The quantifier's preference takes the place of that of the expression in parentheses.
            if let (Some(before), Some(level)) = (group, self.levels.last_mut()) {
                level.branch = before;
            }
            self.note(Some(greedy));
        }
        self.last = Last::Nothing;
        Ok(())
    }

    /// `{m}`, `{m,}` or `{m,n}`, after the opening brace.
    fn bounds(&mut self) -> Result<(), EvalError> {
        let Some(end) = self.rest.find('}') else { return invalid("braces {} not balanced") };
        let inner = &self.rest[..end];
        let number = |s: &str| match s.parse::<u32>() {
            Ok(n) if n <= MAX_REPETITIONS => Ok(n),
            _ => invalid(BAD_COUNT),
        };
        let (low, high) = match inner.split_once(',') {
            None => (number(inner)?, Some(number(inner)?)),
            Some((low, "")) => (number(low)?, None),
            Some((low, high)) => (number(low)?, Some(number(high)?)),
        };
        if high.is_some_and(|h| h < low) {
            return invalid(BAD_COUNT);
        }
        self.rest = &self.rest[end + 1..];
        let fixed = (!inner.contains(',')).then_some(low);
        let text = match high {
            Some(high) if fixed.is_none() => format!("{{{low},{high}}}"),
            Some(_) => format!("{{{low}}}"),
            None => format!("{{{low},}}"),
        };
        self.quantifier(&text, fixed)
    }

    fn escape(&mut self) -> Result<(), EvalError> {
        let Some(c) = self.next() else { return invalid(BAD_ESCAPE) };
        match c {
            'd' | 'w' | 's' | 'D' | 'W' | 'S' => self.atom(&format!("\\{c}")),
            'y' => self.constraint("\\b"),
            'Y' => self.constraint("\\B"),
            'm' => self.constraint("\\b{start}"),
            'M' => self.constraint("\\b{end}"),
            'A' => self.constraint("\\A"),
            'Z' => self.constraint("\\z"),
            '1'..='9' => self.back_reference(c)?,
            c => {
                let c = self.character(c)?;
                self.literal(c);
            }
        }
        Ok(())
    }

    fn back_reference(&mut self, first: char) -> Result<(), EvalError> {
        if self.levels.last().is_some_and(|l| l.constraint) {
            return invalid("invalid backreference number");
        }
        let more = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: usize = format!("{first}{}", &self.rest[..more]).parse().unwrap_or(usize::MAX);
        if more > 0 && number > self.groups {
            // No reference after all, but a character in octal.
            return match first {
                '8' | '9' => invalid(BAD_ESCAPE),
                _ => {
                    let rest = self.rest.chars().take(2).take_while(|c| c.is_digit(8)).count();
                    let code = u32::from_str_radix(&format!("{first}{}", &self.rest[..rest]), 8);
                    self.rest = &self.rest[rest..];
                    match code.ok().and_then(char::from_u32) {
                        Some(c) => self.literal(c),
                        None => return invalid(BAD_ESCAPE),
                    }
                    Ok(())
                }
            };
        }
        if number > self.groups {
            return invalid("invalid backreference number");
        }
        self.rest = &self.rest[more..];
        self.out.fancy = true;
        self.atom(&format!("(?:\\{number})"));
        Ok(())
    }

    /// The character that an escape stands for, after its letter.
    fn character(&mut self, c: char) -> Result<char, EvalError> {
        let code = match c {
            'a' => 7,
            'b' => 8,
            'B' => '\\' as u32,
            'e' => 27,
            'f' => 12,
            'n' => 10,
            'r' => 13,
            't' => 9,
            'v' => 11,
            'c' => match self.next() {
                Some(c) => c as u32 & 0x1f,
                None => return invalid(BAD_ESCAPE),
            },
            'x' => self.number(16, 1, 255)?,
            'u' => self.number(16, 4, 4)?,
            'U' => self.number(16, 8, 8)?,
            '0' => match self.rest.starts_with(|c: char| c.is_digit(8)) {
                true => self.number(8, 1, 2)?,
                false => 0,
            },
            c if c.is_alphanumeric() => return invalid(BAD_ESCAPE),
            c => return Ok(c),
        };
        char::from_u32(code).map_or_else(|| invalid(BAD_ESCAPE), Ok)
    }

    fn number(&mut self, radix: u32, least: usize, most: usize) -> Result<u32, EvalError> {
        let len = self.rest.chars().take(most).take_while(|c| c.is_digit(radix)).count();
        if len < least {
            return invalid(BAD_ESCAPE);
        }
        let (digits, rest) = self.rest.split_at(len);
        self.rest = rest;
        u32::from_str_radix(digits, radix).map_or_else(|_| invalid(BAD_ESCAPE), Ok)
    }

    /// A bracket expression, after the opening bracket.
    fn bracket(&mut self) -> Result<(), EvalError> {
        if self.eat("[:<:]]") {
            self.constraint("\\b{start}");
            return Ok(());
        }
        if self.eat("[:>:]]") {
            self.constraint("\\b{end}");
            return Ok(());
        }
        let negated = self.eat("^");
        let mut text = String::from(if negated { "[^" } else { "[" });
        if negated && self.options.dot_stops {
            text.push_str("\\n");
        }
        let mut first = true;
        loop {
            let Some(c) = self.next() else { return invalid("brackets [] not balanced") };
            if c == ']' && !first {
                break;
            }
            first = false;
            let from = match c {
                '[' if self.eat(":") => {
                    text.push_str(&self.class()?);
                    continue;
                }
                '\\' => match self.next() {
                    Some(c @ ('d' | 'w' | 's' | 'D' | 'W' | 'S')) => {
                        text.push('\\');
                        text.push(c);
                        continue;
                    }
                    Some(c) if !c.is_ascii_digit() || c == '0' => self.character(c)?,
                    _ => return invalid(BAD_ESCAPE),
                },
                c => self.element(c)?,
            };
            let range = self.rest.starts_with('-') && !self.rest.starts_with("-]");
            let to = match range {
                true => {
                    self.next();
                    match self.next() {
                        Some('\\') => match self.next() {
                            Some(c) => self.character(c)?,
                            None => return invalid(BAD_ESCAPE),
                        },
                        Some(c) => self.element(c)?,
                        None => return invalid("brackets [] not balanced"),
                    }
                }
                false => from,
            };
            if to < from {
                return invalid("invalid character range");
            }
            push_class_char(&mut text, from);
            if range {
                text.push('-');
                push_class_char(&mut text, to);
            }
        }
        text.push(']');
        self.atom(&text);
        Ok(())
    }

    /// One character of a bracket expression, which may be written `[.x.]` or `[=x=]`.
    fn element(&mut self, c: char) -> Result<char, EvalError> {
        let close = match c {
            '[' if self.eat(".") => ".]",
            '[' if self.eat("=") => "=]",
            c => return Ok(c),
        };
        let Some((name, rest)) = self.rest.split_once(close) else {
            return invalid("brackets [] not balanced");
        };
        self.rest = rest;
        let mut chars = name.chars();
        match (chars.next(), chars.next()) {
            (Some(c), None) => Ok(c),
            _ => invalid("invalid collating element"),
        }
    }

    /// `[:name:]`, after the colon.
    fn class(&mut self) -> Result<String, EvalError> {
        const NAMES: [&str; 13] = [
            "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
            "space", "upper", "xdigit",
        ];
        let Some((name, rest)) = self.rest.split_once(":]") else {
            return invalid("brackets [] not balanced");
        };
        self.rest = rest;
        match name {
            "word" => Ok("\\w".to_owned()),
            name if NAMES.contains(&name) => Ok(format!("[:{name}:]")),
            _ => invalid("invalid character class"),
        }
    }
}

fn push_class_char(out: &mut String, c: char) {
    if c.is_ascii_punctuation() {
        out.push('\\');
    }
    out.push(c);
}
