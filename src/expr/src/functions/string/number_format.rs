//! `to_char` of numbers, and the templates of numbers (PostgreSQL manual 9.8, table 9.29).

use hw_repr::adt::numeric::{self, Numeric};
use hw_repr::{Datum, RowArena};

use crate::error::EvalError;
use crate::func::Registry;
use crate::functions::signature::f;
use crate::functions::{EvalResult, fail, text};

/// One pattern of a template.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Token {
    Nine,
    Zero,
    Point,
    Group,
    /// `S`: the sign, next to the number.
    Sign,
    /// `MI`, `PL`, `SG`: signs at their place.
    Minus,
    Plus,
    PlusMinus,
    /// `TH` (upper) or `th`.
    Ordinal(bool),
    Currency,
    Literal(char),
}

/// A template, read.
#[derive(Debug, Default)]
pub(super) struct Template {
    pub(super) tokens: Vec<Token>,
    pub(super) fill: bool,
    pub(super) brackets: bool,
    pub(super) roman: Option<bool>,
    pub(super) exponent: bool,
    /// Digits after `V`, by which the number is multiplied.
    pub(super) shift: Option<usize>,
    pub(super) whole: usize,
    pub(super) fraction: usize,
}

/// Which patterns of signs a template has.
#[derive(Default)]
struct Signs {
    locale: bool,
    plus: bool,
    minus: bool,
}

fn conflict<T>(message: &str) -> Result<T, EvalError> {
    fail("42601", message)
}

impl Template {
    fn digit(&mut self, c: char, after_point: bool) -> Result<(), EvalError> {
        if self.brackets {
            return conflict(&format!("\"{c}\" must be ahead of \"PR\""));
        }
        self.tokens.push(if c == '9' { Token::Nine } else { Token::Zero });
        match &mut self.shift {
            Some(n) => *n += 1,
            None if after_point => self.fraction += 1,
            None => self.whole += 1,
        }
        Ok(())
    }

    /// A pattern of two letters, if this is one.
    fn word(&mut self, two: &str, upper: bool, signs: &mut Signs) -> Result<bool, EvalError> {
        match two {
            "FM" => self.fill = false,
            "PR" if signs.locale || signs.plus || signs.minus => {
                return conflict("cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together");
            }
            "PR" => self.brackets = true,
            "RN" => self.roman = Some(upper),
            "MI" | "PL" | "SG" if signs.locale => {
                return conflict(&format!("cannot use \"S\" and \"{two}\" together"));
            }
            "MI" => {
                signs.minus = true;
                self.tokens.push(Token::Minus);
            }
            "PL" => {
                signs.plus = true;
                self.tokens.push(Token::Plus);
            }
            "SG" => {
                (signs.plus, signs.minus) = (true, true);
                self.tokens.push(Token::PlusMinus);
            }
            "TH" => self.tokens.push(Token::Ordinal(upper)),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn check_exponent(&self, signs: &Signs) -> Result<(), EvalError> {
        let other = !self.fill
            || self.brackets
            || self.roman.is_some()
            || self.shift.is_some()
            || signs.locale
            || signs.plus
            || signs.minus;
        if other {
            return conflict("\"EEEE\" is incompatible with other formats").map_err(|e: EvalError| {
                e.with_detail("\"EEEE\" may only be used together with digit and decimal point patterns.")
            });
        }
        Ok(())
    }
}

pub(super) fn parse(template: &str) -> Result<Template, EvalError> {
    let mut t = Template { fill: true, ..Template::default() };
    let mut rest = template;
    let mut after_point = false;
    let mut signs = Signs::default();
    while let Some(c) = rest.chars().next() {
        if rest.get(..4).is_some_and(|s| s.eq_ignore_ascii_case("EEEE")) {
            if t.exponent {
                return conflict("cannot use \"EEEE\" twice");
            }
            t.check_exponent(&signs)?;
            t.exponent = true;
            rest = &rest[4..];
            continue;
        }
        let two = rest.get(..2).map(str::to_ascii_uppercase).unwrap_or_default();
        let pattern = "90.,DGSLVB".contains(c.to_ascii_uppercase())
            || matches!(two.as_str(), "FM" | "PR" | "RN" | "MI" | "PL" | "SG" | "TH");
        if t.exponent && pattern {
            return conflict("\"EEEE\" must be the last pattern used");
        }
        if t.word(&two, c.is_uppercase(), &mut signs)? {
            rest = &rest[2..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match c {
            '9' | '0' => t.digit(c, after_point)?,
            '.' | 'D' | 'd' if after_point => return conflict("multiple decimal points"),
            '.' | 'D' | 'd' if t.shift.is_some() => {
                return conflict("cannot use \"V\" and decimal point together");
            }
            '.' | 'D' | 'd' => {
                after_point = true;
                t.tokens.push(Token::Point);
            }
            ',' | 'G' | 'g' => t.tokens.push(Token::Group),
            'S' | 's' if signs.locale => return conflict("cannot use \"S\" twice"),
            'S' | 's' if signs.plus || signs.minus || t.brackets => {
                return conflict("cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together");
            }
            'S' | 's' => {
                signs.locale = true;
                t.tokens.push(Token::Sign);
            }
            'L' | 'l' => t.tokens.push(Token::Currency),
            'V' | 'v' if after_point => return conflict("cannot use \"V\" and decimal point together"),
            'V' | 'v' => t.shift = Some(0),
            'B' | 'b' => {}
            '"' => {
                let end = rest.find('"').unwrap_or(rest.len());
                t.tokens.extend(rest[..end].chars().map(Token::Literal));
                rest = rest.get(end + 1..).unwrap_or("");
            }
            c => t.tokens.push(Token::Literal(c)),
        }
    }
    Ok(t)
}

fn roman(n: &Numeric, upper: bool, fill: bool) -> String {
    const PARTS: [(i32, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let mut out = String::new();
    match numeric::to_i32(n) {
        Ok(mut v) if (1..4000).contains(&v) => {
            for (value, letters) in PARTS {
                while v >= value {
                    out.push_str(letters);
                    v -= value;
                }
            }
        }
        _ => out = "#".repeat(15),
    }
    let out = if upper { out } else { out.to_lowercase() };
    if fill { format!("{out:>15}") } else { out }
}

fn exponential(n: &Numeric, t: &Template) -> String {
    if n.0.is_special() {
        return format!(" {}", "#".repeat(t.whole + t.fraction + 5));
    }
    let zero = n.0.is_zero();
    let adjusted = if zero { 0 } else { i64::from(n.0.digits()) + i64::from(n.0.exponent()) - 1 };
    let (digits, _) = numeric::digits(n);
    let mantissa = numeric::from_digits(n.0.is_negative(), &digits, 1 - digits.len() as i64).unwrap_or(*n);
    let mut mantissa = numeric::round(&mantissa, t.fraction as i32).unwrap_or(mantissa);
    let mut exponent = adjusted;
    if numeric::abs(&mantissa) >= numeric::from_i64(10) {
        mantissa = numeric::from_i64(if n.0.is_negative() { -1 } else { 1 });
        mantissa = numeric::rescale(&mantissa, t.fraction as u32).unwrap_or(mantissa);
        exponent += 1;
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    let lead = if n.0.is_negative() || !t.fill { "" } else { " " };
    format!("{lead}{}e{sign}{:02}", numeric::to_string(&mantissa), exponent.abs())
}

fn to_char(n: &Numeric, template: &str) -> Result<String, EvalError> {
    let t = parse(template)?;
    if let Some(upper) = t.roman {
        return Ok(roman(n, upper, t.fill));
    }
    if t.exponent {
        return Ok(exponential(n, &t));
    }
    let mut n = *n;
    if let Some(shift) = t.shift
        && !n.0.is_special()
    {
        let factor = numeric::from_digits(false, &[1], shift as i64)?;
        n = numeric::mul(&n, &factor)?;
    }
    let whole_places = t.whole + t.shift.unwrap_or(0);
    let (negative, whole, fraction) = if n.0.is_special() {
        // The letters stand where digits would.
        let shown = if n.0.is_nan() { "NaN" } else { "Infinity" };
        let fits = shown.len() <= whole_places;
        (n.0.is_negative(), fits.then(|| format!("{shown:0>whole_places$}")), String::new())
    } else {
        let rounded = numeric::rescale(&numeric::round(&n, t.fraction as i32)?, t.fraction as u32)?;
        let shown = numeric::to_string(&numeric::abs(&rounded));
        let (w, f) = shown.split_once('.').unwrap_or((&shown, ""));
        let w = w.trim_start_matches('0');
        let w = if w.len() > whole_places { None } else { Some(format!("{w:0>whole_places$}")) };
        (rounded.0.is_negative(), w, f.to_owned())
    };
    Ok(write(&t, negative, whole.as_deref(), &fraction))
}

/// A float is rounded as C's printf does, to the digits that its type is sure of.
fn float_to_char(v: f64, sure: usize, template: &str) -> Result<String, EvalError> {
    let t = parse(template)?;
    if !v.is_finite() || t.roman.is_some() || t.exponent || t.shift.is_some() {
        return to_char(&numeric::from_f64(v)?, template);
    }
    let whole = format!("{:.0}", v.abs()).len();
    let places = if whole >= sure { 0 } else { t.fraction.min(sure - whole) };
    let text = format!("{v:.places$}");
    to_char(
        &numeric::parse(&text).map_err(|_| EvalError::new("22003", "value overflows numeric format"))?,
        template,
    )
}

fn write(t: &Template, negative: bool, whole: Option<&str>, fraction: &str) -> String {
    let places = t.whole + t.shift.unwrap_or(0);
    let overflow = whole.is_none();
    let hashes = "#".repeat(places);
    let whole = whole.unwrap_or(&hashes).as_bytes();
    // Digits before this are blank.
    let significant = whole.iter().position(|b| *b != b'0').unwrap_or(places);
    let zeros =
        t.tokens.iter().filter(|k| matches!(k, Token::Nine | Token::Zero)).position(|k| *k == Token::Zero);
    let mut first = zeros.map_or(significant, |z| z.min(significant));
    // Zeros that FM drops at the end of the fraction.
    let kept_fraction = if t.fill {
        t.fraction
    } else {
        let last_zero = t
            .tokens
            .iter()
            .skip_while(|k| **k != Token::Point)
            .filter(|k| matches!(k, Token::Nine | Token::Zero));
        let forced =
            last_zero.enumerate().filter(|(_, k)| **k == Token::Zero).map(|(i, _)| i + 1).last().unwrap_or(0);
        fraction.trim_end_matches('0').len().max(forced)
    };
    // A zero is shown where otherwise no digit would be.
    if first >= places && places > 0 && (t.fraction == 0 || (!t.fill && kept_fraction == 0)) {
        first = places - 1;
    }
    let implicit_sign = !t.tokens.iter().any(|k| matches!(k, Token::Sign | Token::Minus | Token::PlusMinus));
    let leading_sign = t
        .tokens
        .iter()
        .position(|k| *k == Token::Sign)
        .zip(t.tokens.iter().position(|k| matches!(k, Token::Nine | Token::Zero | Token::Point)));
    let anchored = leading_sign.is_some_and(|(s, d)| s < d);
    let mut out = String::new();
    let mut signed = false;
    let sign = |out: &mut String, signed: &mut bool| {
        if *signed {
            return;
        }
        *signed = true;
        match () {
            () if t.brackets => out.push(if negative { '<' } else { ' ' }),
            () if anchored => out.push(if negative { '-' } else { '+' }),
            () if implicit_sign && negative => out.push('-'),
            () if implicit_sign && t.fill => out.push(' '),
            () => {}
        }
        if t.brackets && !t.fill && !negative {
            out.pop();
        }
    };
    let (mut at, mut decimals, mut after_point) = (0, 0, false);
    for token in &t.tokens {
        match token {
            Token::Nine | Token::Zero if !after_point => {
                if at >= first {
                    sign(&mut out, &mut signed);
                    out.push(char::from(whole[at]));
                } else if t.fill {
                    out.push(' ');
                }
                at += 1;
            }
            Token::Nine | Token::Zero => {
                if decimals < kept_fraction || overflow {
                    match fraction.as_bytes().get(decimals) {
                        Some(d) if !overflow => out.push(char::from(*d)),
                        _ if overflow => out.push('#'),
                        _ => {}
                    }
                }
                decimals += 1;
            }
            Token::Point => {
                sign(&mut out, &mut signed);
                after_point = true;
                if !fraction.is_empty() || overflow {
                    out.push('.');
                }
            }
            Token::Group => match at > first || (at > 0 && at > significant) {
                true => out.push(','),
                false if t.fill => out.push(' '),
                false => {}
            },
            Token::Sign if anchored => {}
            Token::Sign | Token::PlusMinus => out.push(if negative { '-' } else { '+' }),
            Token::Minus if negative => out.push('-'),
            Token::Plus if !negative => out.push('+'),
            Token::Minus | Token::Plus => {
                if t.fill {
                    out.push(' ');
                }
            }
            Token::Ordinal(upper) => {
                if !negative && t.fraction == 0 && !overflow {
                    let n: i64 = std::str::from_utf8(whole).ok().and_then(|s| s.parse().ok()).unwrap_or(0);
                    out.push_str(crate::functions::datetime::ordinal_suffix(n, *upper));
                }
            }
            Token::Currency => {
                if t.fill {
                    out.push(' ');
                }
            }
            Token::Literal(c) => out.push(*c),
        }
    }
    if t.brackets && signed {
        match (negative, t.fill) {
            (true, _) => out.push('>'),
            (false, true) => out.push(' '),
            _ => {}
        }
    }
    out
}

fn shown<'a>(arena: &'a RowArena, n: Numeric, template: Datum<'_>) -> EvalResult<'a> {
    text(arena, to_char(&n, template.unwrap_str())?)
}

pub(super) fn register(r: &mut Registry) {
    r.add(f("to_char(int4, text) -> text", |_, arena, a| {
        shown(arena, numeric::from_i64(a[0].unwrap_int32().into()), a[1])
    }));
    r.add(f("to_char(int8, text) -> text", |_, arena, a| {
        shown(arena, numeric::from_i64(a[0].unwrap_int64()), a[1])
    }));
    r.add(f("to_char(numeric, text) -> text", |_, arena, a| shown(arena, a[0].unwrap_numeric(), a[1])));
    r.add(f("to_char(float4, text) -> text", |_, arena, a| {
        text(arena, float_to_char(a[0].unwrap_float32().0.into(), 6, a[1].unwrap_str())?)
    }));
    r.add(f("to_char(float8, text) -> text", |_, arena, a| {
        text(arena, float_to_char(a[0].unwrap_float64().0, 15, a[1].unwrap_str())?)
    }));
}
