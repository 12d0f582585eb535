//! Text to path, by precedence climbing.
//!
//! Expressions and predicates share brackets, so that either is read and what it is decides what may follow. What may
//! not stand outside of a filter (`@`) or of a subscript (`last`) is found when all has been read.

use super::lexer::{Lexer, Token, Word};
use super::{
    Arithmetic, Comparison, Expr, Head, MAX_OPERATORS, Method, Path, Predicate, RegexFlags, Sign, Step,
};
use crate::adt::{Numeric, numeric};
use crate::text::{ParseError, ParseErrorKind};

/// How deep brackets may be nested: canonical text has a pair for each operator.
const MAX_NESTING: usize = 3 * MAX_OPERATORS;

/// Reads a path.
///
/// # Errors
/// When the text is no path, in PostgreSQL's words.
pub fn parse(text: &str) -> Result<Path, ParseError> {
    let mut lexer = Lexer::new(text);
    let token = lexer.next()?;
    if token.word == Word::End {
        return Err(ParseError::invalid_syntax("jsonpath", text));
    }
    let mut p = Parser { lexer, token, operators: 0, nesting: 0 };
    let lax = !p.take_keyword("strict")?;
    if lax {
        p.take_keyword("lax")?;
    }
    let expr = match p.operators(LOWEST)? {
        Node::Expr(e) => e,
        Node::Predicate(p) => Expr { head: Head::Predicate(Box::new(p)), steps: vec![] },
    };
    p.end()?;
    check_expr(&expr, Place { filter: false, subscript: false })?;
    Ok(Path { lax, expr })
}

enum Node {
    Expr(Expr),
    Predicate(Predicate),
}

/// An operator between two operands.
enum Infix {
    Or,
    And,
    Compare(Comparison),
    StartsWith,
    LikeRegex,
    Arithmetic(Arithmetic),
}

const LOWEST: u8 = 0;
/// Above all that makes predicates.
const ADDITIVE: u8 = 3;
const MULTIPLICATIVE: u8 = 4;

struct Parser<'a> {
    lexer: Lexer<'a>,
    token: Token,
    operators: usize,
    nesting: usize,
}

fn too_deep() -> ParseError {
    ParseError::new(ParseErrorKind::TooComplex, "stack depth limit exceeded")
}

impl Parser<'_> {
    fn advance(&mut self) -> Result<Word, ParseError> {
        let next = self.lexer.next()?;
        Ok(std::mem::replace(&mut self.token, next).word)
    }

    fn unexpected<T>(&self) -> Result<T, ParseError> {
        Err(self.token.unexpected())
    }

    fn end(&self) -> Result<(), ParseError> {
        if self.token.word == Word::End { Ok(()) } else { self.unexpected() }
    }

    fn at(&self, mark: &str) -> bool {
        matches!(self.token.word, Word::Mark(m) if m == mark)
    }

    fn take(&mut self, mark: &str) -> Result<bool, ParseError> {
        let found = self.at(mark);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect(&mut self, mark: &str) -> Result<(), ParseError> {
        if self.take(mark)? { Ok(()) } else { self.unexpected() }
    }

    fn at_keyword(&self, keyword: &str) -> bool {
        matches!(&self.token.word, Word::Name(n) if n.eq_ignore_ascii_case(keyword))
    }

    fn take_keyword(&mut self, keyword: &str) -> Result<bool, ParseError> {
        let found = self.at_keyword(keyword);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn string(&mut self) -> Result<String, ParseError> {
        match self.token.word {
            Word::String(_) => match self.advance()? {
                Word::String(s) => Ok(s),
                _ => self.unexpected(),
            },
            _ => self.unexpected(),
        }
    }

    /// One more operator, filter or subscript.
    fn count(&mut self) -> Result<(), ParseError> {
        self.operators += 1;
        if self.operators > MAX_OPERATORS { Err(too_deep()) } else { Ok(()) }
    }

    fn nested<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T, ParseError>) -> Result<T, ParseError> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return Err(too_deep());
        }
        let out = stacker::maybe_grow(64 << 10, 1 << 20, || f(self));
        self.nesting -= 1;
        out
    }

    fn infix(&self) -> Option<(Infix, u8)> {
        let compare = |c| Some((Infix::Compare(c), 2));
        let arithmetic = |a, priority| Some((Infix::Arithmetic(a), priority));
        match &self.token.word {
            Word::Mark(mark) => match *mark {
                "||" => Some((Infix::Or, 0)),
                "&&" => Some((Infix::And, 1)),
                "==" => compare(Comparison::Eq),
                "!=" | "<>" => compare(Comparison::NotEq),
                "<" => compare(Comparison::Lt),
                "<=" => compare(Comparison::Le),
                ">" => compare(Comparison::Gt),
                ">=" => compare(Comparison::Ge),
                "+" => arithmetic(Arithmetic::Add, ADDITIVE),
                "-" => arithmetic(Arithmetic::Sub, ADDITIVE),
                "*" => arithmetic(Arithmetic::Mul, MULTIPLICATIVE),
                "/" => arithmetic(Arithmetic::Div, MULTIPLICATIVE),
                "%" => arithmetic(Arithmetic::Mod, MULTIPLICATIVE),
                _ => None,
            },
            Word::Name(_) if self.at_keyword("starts") => Some((Infix::StartsWith, 2)),
            Word::Name(_) if self.at_keyword("like_regex") => Some((Infix::LikeRegex, 2)),
            _ => None,
        }
    }

    /// Operands and the operators between them that bind at least as strongly as `lowest`.
    fn operators(&mut self, lowest: u8) -> Result<Node, ParseError> {
        let mut left = self.operand(lowest)?;
        while let Some((infix, priority)) = self.infix() {
            if priority < lowest {
                break;
            }
            left = match (infix, left) {
                (Infix::Or, Node::Predicate(a)) => {
                    let b = self.right_predicate(priority)?;
                    Node::Predicate(Predicate::Or(Box::new(a), Box::new(b)))
                }
                (Infix::And, Node::Predicate(a)) => {
                    let b = self.right_predicate(priority)?;
                    Node::Predicate(Predicate::And(Box::new(a), Box::new(b)))
                }
                (Infix::Compare(op), Node::Expr(a)) => {
                    let b = self.right_expr(priority)?;
                    Node::Predicate(Predicate::Compare(op, a, b))
                }
                (Infix::StartsWith, Node::Expr(a)) => Node::Predicate(self.starts_with(a)?),
                (Infix::LikeRegex, Node::Expr(a)) => Node::Predicate(self.like_regex(a)?),
                (Infix::Arithmetic(op), Node::Expr(a)) => {
                    let b = self.right_expr(priority)?;
                    Node::Expr(Expr { head: Head::Binary(op, Box::new(a), Box::new(b)), steps: vec![] })
                }
                _ => return self.unexpected(),
            };
        }
        Ok(left)
    }

    fn right_expr(&mut self, priority: u8) -> Result<Expr, ParseError> {
        self.count()?;
        self.advance()?;
        self.expr(priority + 1)
    }

    fn right_predicate(&mut self, priority: u8) -> Result<Predicate, ParseError> {
        self.count()?;
        self.advance()?;
        match self.nested(|p| p.operators(priority + 1))? {
            Node::Predicate(p) => Ok(p),
            Node::Expr(_) => self.unexpected(),
        }
    }

    fn expr(&mut self, lowest: u8) -> Result<Expr, ParseError> {
        match self.nested(|p| p.operators(lowest))? {
            Node::Expr(e) => Ok(e),
            Node::Predicate(_) => self.unexpected(),
        }
    }

    fn starts_with(&mut self, a: Expr) -> Result<Predicate, ParseError> {
        self.count()?;
        self.advance()?;
        if !self.take_keyword("with")? {
            return self.unexpected();
        }
        if !matches!(self.token.word, Word::String(_) | Word::Variable(_)) {
            return self.unexpected();
        }
        let head = match self.advance()? {
            Word::Variable(name) => Head::Variable(name),
            Word::String(s) => Head::String(s),
            _ => return self.unexpected(),
        };
        Ok(Predicate::StartsWith(a, Expr { head, steps: vec![] }))
    }

    fn like_regex(&mut self, a: Expr) -> Result<Predicate, ParseError> {
        self.count()?;
        self.advance()?;
        let pattern = self.string()?;
        let letters = if self.take_keyword("flag")? { self.string()? } else { String::new() };
        Ok(Predicate::LikeRegex(a, pattern, flags(&letters)?))
    }

    /// A sign or `!` and what it applies to, or what is behind neither.
    fn operand(&mut self, lowest: u8) -> Result<Node, ParseError> {
        if self.at("!") && lowest < ADDITIVE {
            self.count()?;
            self.advance()?;
            let negated = match self.delimited()? {
                Some(p) => p,
                None => return self.unexpected(),
            };
            return Ok(Node::Predicate(Predicate::Not(Box::new(negated))));
        }
        let sign = match self.token.word {
            Word::Mark("+") => Sign::Plus,
            Word::Mark("-") => Sign::Minus,
            _ => return self.primary(),
        };
        self.count()?;
        self.advance()?;
        let operand = self.expr(MULTIPLICATIVE + 1)?;
        Ok(Node::Expr(match (sign, operand) {
            (Sign::Plus, e @ Expr { head: Head::Number(_), .. }) if e.steps.is_empty() => e,
            (Sign::Minus, Expr { head: Head::Number(n), steps }) if steps.is_empty() => {
                Expr { head: Head::Number(numeric::neg(&n)), steps }
            }
            (sign, e) => Expr { head: Head::Unary(sign, Box::new(e)), steps: vec![] },
        }))
    }

    /// `(predicate)` or `exists (expr)`.
    fn delimited(&mut self) -> Result<Option<Predicate>, ParseError> {
        if self.take_keyword("exists")? {
            self.count()?;
            self.expect("(")?;
            let e = self.expr(LOWEST)?;
            self.expect(")")?;
            return Ok(Some(Predicate::Exists(e)));
        }
        if !self.take("(")? {
            return Ok(None);
        }
        match self.nested(|p| p.operators(LOWEST))? {
            Node::Predicate(p) => {
                self.expect(")")?;
                Ok(Some(p))
            }
            Node::Expr(_) => self.unexpected(),
        }
    }

    fn primary(&mut self) -> Result<Node, ParseError> {
        if self.at_keyword("exists") {
            return match self.delimited()? {
                Some(p) => Ok(Node::Predicate(p)),
                None => self.unexpected(),
            };
        }
        if self.take("(")? {
            let inner = self.nested(|p| p.operators(LOWEST))?;
            self.expect(")")?;
            return match inner {
                Node::Expr(e) => Ok(Node::Expr(self.steps(e)?)),
                Node::Predicate(p) if self.take_keyword("is")? => {
                    if !self.take_keyword("unknown")? {
                        return self.unexpected();
                    }
                    self.count()?;
                    Ok(Node::Predicate(Predicate::IsUnknown(Box::new(p))))
                }
                Node::Predicate(p) if self.at(".") || self.at("[") || self.at("?") => {
                    Ok(Node::Expr(self.steps(Expr { head: Head::Predicate(Box::new(p)), steps: vec![] })?))
                }
                Node::Predicate(p) => Ok(Node::Predicate(p)),
            };
        }
        let head = match &self.token.word {
            Word::Mark("$") => Head::Root,
            Word::Mark("@") => Head::Current,
            Word::Name(n) if n == "null" => Head::Null,
            Word::Name(n) if n == "true" => Head::Bool(true),
            Word::Name(n) if n == "false" => Head::Bool(false),
            Word::Name(n) if n.eq_ignore_ascii_case("last") => Head::Last,
            Word::String(s) => Head::String(s.clone()),
            Word::Variable(name) => Head::Variable(name.clone()),
            Word::Integer(n) | Word::Number(n) => Head::Number(number(n)?),
            _ => return self.unexpected(),
        };
        self.advance()?;
        Ok(Node::Expr(self.steps(Expr { head, steps: vec![] })?))
    }

    fn steps(&mut self, mut e: Expr) -> Result<Expr, ParseError> {
        loop {
            if self.take(".")? {
                let step = self.member()?;
                e.steps.push(step);
            } else if self.take("[")? {
                let step = self.subscripts()?;
                e.steps.push(step);
            } else if self.take("?")? {
                self.count()?;
                self.expect("(")?;
                match self.nested(|p| p.operators(LOWEST))? {
                    Node::Predicate(p) => e.steps.push(Step::Filter(p)),
                    Node::Expr(_) => return self.unexpected(),
                }
                self.expect(")")?;
            } else {
                return Ok(e);
            }
        }
    }

    /// What follows a dot.
    fn member(&mut self) -> Result<Step, ParseError> {
        match self.token.word {
            Word::Mark("*") => {
                self.advance()?;
                Ok(Step::AnyKey)
            }
            Word::Mark("**") => {
                self.advance()?;
                self.levels()
            }
            Word::String(_) => Ok(Step::Key(self.string()?)),
            Word::Name(_) => {
                let Word::Name(name) = self.advance()? else { return self.unexpected() };
                if !self.at("(") { Ok(Step::Key(name)) } else { self.method(&name) }
            }
            _ => self.unexpected(),
        }
    }

    fn method(&mut self, name: &str) -> Result<Step, ParseError> {
        let lower = name.to_ascii_lowercase();
        if lower == "datetime" {
            self.advance()?;
            let template = if self.at(")") { None } else { Some(self.string()?) };
            self.expect(")")?;
            return Ok(Step::Datetime(template));
        }
        let methods = [
            Method::Type,
            Method::Size,
            Method::Double,
            Method::Ceiling,
            Method::Floor,
            Method::Abs,
            Method::KeyValue,
        ];
        let Some(method) = methods.into_iter().find(|m| m.name() == lower) else { return self.unexpected() };
        self.advance()?;
        self.expect(")")?;
        Ok(Step::Method(method))
    }

    fn levels(&mut self) -> Result<Step, ParseError> {
        if !self.take("{")? {
            return Ok(Step::Descend(0, u32::MAX));
        }
        let first = self.level()?;
        let last = if self.take_keyword("to")? { self.level()? } else { first };
        self.expect("}")?;
        Ok(Step::Descend(first, last))
    }

    fn level(&mut self) -> Result<u32, ParseError> {
        if self.take_keyword("last")? {
            return Ok(u32::MAX);
        }
        let Word::Integer(n) = &self.token.word else { return self.unexpected() };
        let level: i32 = n.parse().map_err(|_| ParseError::out_of_range("integer", n))?;
        self.advance()?;
        Ok(level.unsigned_abs())
    }

    fn subscripts(&mut self) -> Result<Step, ParseError> {
        if self.take("*")? {
            self.expect("]")?;
            return Ok(Step::AnyElement);
        }
        let mut out = vec![];
        loop {
            self.count()?;
            let from = self.expr(LOWEST)?;
            let to = if self.take_keyword("to")? { Some(self.expr(LOWEST)?) } else { None };
            out.push((from, to));
            if !self.take(",")? {
                self.expect("]")?;
                return Ok(Step::Index(out));
            }
        }
    }
}

fn number(text: &str) -> Result<Numeric, ParseError> {
    numeric::parse(text)
        .map_err(|_| ParseError::new(ParseErrorKind::NumericOutOfRange, "value overflows numeric format"))
}

fn flags(letters: &str) -> Result<RegexFlags, ParseError> {
    let mut flags = RegexFlags::default();
    for letter in letters.chars() {
        match letter {
            'i' => flags.ignore_case = true,
            's' => flags.dot_all = true,
            'm' => flags.multi_line = true,
            'x' => flags.extended = true,
            'q' => flags.quote = true,
            other => {
                let error = ParseError::new(ParseErrorKind::Syntax, "invalid input syntax for type jsonpath");
                let detail = format!("Unrecognized flag character \"{other}\" in LIKE_REGEX predicate.");
                return Err(error.with_detail(detail));
            }
        }
    }
    if flags.extended && !flags.quote {
        let message = "XQuery \"x\" flag (expanded regular expressions) is not implemented";
        return Err(ParseError::new(ParseErrorKind::NotSupported, message));
    }
    Ok(flags)
}

/// Where an expression stands.
#[derive(Clone, Copy)]
struct Place {
    filter: bool,
    subscript: bool,
}

fn check_expr(e: &Expr, place: Place) -> Result<(), ParseError> {
    stacker::maybe_grow(32 << 10, 1 << 20, || {
        match &e.head {
            Head::Current if !place.filter => {
                return Err(ParseError::new(ParseErrorKind::Syntax, "@ is not allowed in root expressions"));
            }
            Head::Last if !place.subscript => {
                let message = "LAST is allowed only in array subscripts";
                return Err(ParseError::new(ParseErrorKind::Syntax, message));
            }
            Head::Unary(_, a) => check_expr(a, place)?,
            Head::Binary(_, a, b) => check_expr(a, place).and_then(|()| check_expr(b, place))?,
            Head::Predicate(p) => check_predicate(p, place)?,
            _ => {}
        }
        e.steps.iter().try_for_each(|s| match s {
            Step::Filter(p) => check_predicate(p, Place { filter: true, ..place }),
            Step::Index(subscripts) => subscripts.iter().try_for_each(|(from, to)| {
                let inside = Place { subscript: true, ..place };
                check_expr(from, inside)?;
                to.as_ref().map_or(Ok(()), |to| check_expr(to, inside))
            }),
            _ => Ok(()),
        })
    })
}

fn check_predicate(p: &Predicate, place: Place) -> Result<(), ParseError> {
    stacker::maybe_grow(32 << 10, 1 << 20, || match p {
        Predicate::And(a, b) | Predicate::Or(a, b) => {
            check_predicate(a, place).and_then(|()| check_predicate(b, place))
        }
        Predicate::Not(a) | Predicate::IsUnknown(a) => check_predicate(a, place),
        Predicate::Compare(_, a, b) | Predicate::StartsWith(a, b) => {
            check_expr(a, place).and_then(|()| check_expr(b, place))
        }
        Predicate::LikeRegex(a, ..) | Predicate::Exists(a) => check_expr(a, place),
    })
}
