//! `to_number` (PostgreSQL manual 9.8): text is read by the patterns of a template.

use hw_repr::Datum;
use hw_repr::adt::numeric;

use super::number_format::{Template, Token, parse};
use crate::func::Registry;
use crate::functions::signature::f;
use crate::functions::{EvalResult, fail, ok};

/// The reading of a number by a template.
struct Reading<'t> {
    template: &'t Template,
    text: &'t [u8],
    at: usize,
    sign: Option<u8>,
    digits: Vec<u8>,
    point: bool,
    /// Digits after the point.
    scale: usize,
}

impl Reading<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Skips a character, of however many bytes.
    fn skip(&mut self) {
        self.at += 1;
        while self.peek().is_some_and(|b| b & 0xC0 == 0x80) {
            self.at += 1;
        }
    }

    /// Skips at most so many characters that are no part of a number.
    fn skip_other(&mut self, n: usize) {
        for _ in 0..n {
            match self.peek() {
                Some(b) if !b"0123456789.,+-".contains(&b) => self.skip(),
                _ => break,
            }
        }
    }

    fn has(&self, token: Token) -> bool {
        self.template.tokens.contains(&token)
    }

    /// A sign in front of the number, for a digit pattern that is the first.
    fn leading_sign(&mut self) {
        match self.peek() {
            Some(b'-') => self.sign = Some(b'-'),
            Some(b'<') if self.template.brackets => self.sign = Some(b'-'),
            Some(b'+') => self.sign = Some(b'+'),
            _ => return,
        }
        self.at += 1;
    }

    /// A digit or point, with the signs that may stand around the number.
    fn part(&mut self, is_digit: bool) {
        if self.peek() == Some(b' ') {
            self.at += 1;
        }
        if is_digit && self.sign.is_none() && self.digits.is_empty() {
            self.leading_sign();
        }
        let Some(b) = self.peek() else { return };
        let mut read = false;
        if b.is_ascii_digit() {
            if self.point && self.scale == self.template.fraction {
                return;
            }
            self.digits.push(b - b'0');
            self.scale += usize::from(self.point);
            read = true;
        } else if b == b'.' && self.has(Token::Point) && !self.point {
            (self.point, read) = (true, true);
        }
        if self.sign.is_none() && !self.digits.is_empty() {
            self.trailing_sign(b, read);
        }
    }

    fn trailing_sign(&mut self, b: u8, read: bool) {
        let anchored = self.has(Token::Sign);
        let elsewhere = self.has(Token::Plus) || self.has(Token::Minus) || self.has(Token::PlusMinus);
        if anchored && read {
            if let Some(next @ (b'-' | b'+')) = self.text.get(self.at + 1).copied() {
                self.at += 1;
                self.sign = Some(next);
            }
        } else if !read && !anchored && !elsewhere && matches!(b, b'-' | b'+') {
            self.sign = Some(b);
        }
    }

    /// Follows one pattern.
    fn follow(&mut self, token: Token) {
        let next = self.peek();
        match token {
            Token::Nine | Token::Zero => self.part(true),
            Token::Point => self.part(false),
            Token::Group if next == Some(b',') => {}
            Token::Minus if next == Some(b'-') => self.sign = Some(b'-'),
            Token::Plus if next == Some(b'+') => self.sign = Some(b'+'),
            Token::PlusMinus if matches!(next, Some(b'-' | b'+')) => self.sign = next,
            Token::Minus | Token::Plus | Token::PlusMinus | Token::Currency => return self.skip_other(1),
            Token::Ordinal(_) if self.sign == Some(b'-') || self.has(Token::Point) => return,
            Token::Ordinal(_) => return self.skip_other(2),
            Token::Literal(_) => return self.skip(),
            Token::Group | Token::Sign => return,
        }
        self.at += 1;
    }
}

fn to_number<'a>(s: &str, template: &str) -> EvalResult<'a> {
    if template.is_empty() {
        return Ok(Datum::Null);
    }
    let t = parse(template)?;
    if t.exponent {
        return fail("0A000", "\"EEEE\" not supported for input");
    }
    if t.roman.is_some() {
        return fail("0A000", "\"RN\" not supported for input");
    }
    let mut r = Reading {
        template: &t,
        text: s.as_bytes(),
        at: 0,
        sign: None,
        digits: vec![],
        point: false,
        scale: 0,
    };
    for token in &t.tokens {
        if r.peek().is_none() {
            break;
        }
        r.follow(*token);
    }
    if r.digits.is_empty() {
        let sign = r.sign.map_or(' ', char::from);
        return fail("22P02", format!("invalid input syntax for type numeric: \"{sign}\""));
    }
    let places = t.whole + t.shift.unwrap_or(0);
    let whole = r.digits[..r.digits.len() - r.scale].iter().skip_while(|d| **d == 0).count();
    if whole > places {
        return fail("22003", "numeric field overflow");
    }
    let n = numeric::from_digits(r.sign == Some(b'-'), &r.digits, -(r.scale as i64))?;
    match t.shift {
        Some(shift) => {
            // As a power of ten, which has sixteen digits after its point.
            let factor =
                numeric::div(&numeric::from_i64(1), &numeric::from_digits(false, &[1], shift as i64)?)?;
            ok(numeric::mul(&n, &numeric::rescale(&factor, 16)?)?)
        }
        None => ok(n),
    }
}

pub(super) fn register(r: &mut Registry) {
    r.add(f("to_number(text, text) -> numeric nullable", |_, _, a| {
        to_number(a[0].unwrap_str(), a[1].unwrap_str())
    }));
}
