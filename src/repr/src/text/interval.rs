//! Text of intervals in PostgreSQL's four styles of input, and the `postgres` style of output (manual 8.5.4, 8.5.5).
//!
//! Input: `1 year 2 mons -3 days 04:05:06`, `@ 1 hour ago`, `1h30m`, SQL's `1-2 3 4:05:06`, ISO 8601's
//! `P1Y2M3DT4H5M6S` and `P0001-02-03T04:05:06`.

use std::fmt::Write;

use super::datetime::token::{Token, tokenize};
use super::encode::write_fraction;
use super::error::{ParseError, ParseErrorKind};
use super::scalar::trim;
use crate::adt::{AdtError, DateTimeField, Interval};

/// The text of an interval.
pub(crate) fn format(i: &Interval) -> String {
    let mut out = String::new();
    write(i, &mut out);
    out
}

/// Appends the text of an interval.
pub fn write(i: &Interval, out: &mut String) {
    let start = out.len();
    let mut after_negative = false;
    let parts = [(i.months / 12, "year"), (i.months % 12, "mon"), (i.days, "day")];
    for (value, unit) in parts {
        if value == 0 {
            continue;
        }
        let space = if out.len() > start { " " } else { "" };
        let plus = if after_negative && value > 0 { "+" } else { "" };
        let plural = if value == 1 { "" } else { "s" };
        write!(out, "{space}{plus}{value} {unit}{plural}").expect("a string takes all that is written");
        after_negative = value < 0;
    }
    if i.micros != 0 || out.len() == start {
        let space = if out.len() > start { " " } else { "" };
        let sign = match () {
            () if i.micros < 0 => "-",
            () if after_negative => "+",
            () => "",
        };
        let us = i.micros.unsigned_abs();
        let seconds = us / 1_000_000;
        write!(out, "{space}{sign}{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
            .expect("a string takes all that is written");
        write_fraction((us % 1_000_000) as u32, out);
    }
}

/// Sums up the parts of an interval as they are read. Fractions of a unit are carried down.
#[derive(Default)]
struct Sum {
    months: i64,
    days: i64,
    micros: i64,
}

/// A number as written: its whole part and its fraction, both with its sign.
#[derive(Clone, Copy)]
struct Amount {
    whole: i64,
    fraction: f64,
}

impl Amount {
    fn parse(s: &str) -> Option<Amount> {
        let (negative, digits) = match s.as_bytes().first()? {
            b'-' => (true, &s[1..]),
            b'+' => (false, &s[1..]),
            _ => (false, s),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if !all_digits(whole) || !all_digits(fraction) || digits.is_empty() || digits == "." {
            return None;
        }
        let sign: i64 = if negative { -1 } else { 1 };
        let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let fraction = if fraction.is_empty() { 0.0 } else { format!("0.{fraction}").parse().ok()? };
        Some(Amount { whole: whole * sign, fraction: fraction * sign as f64 })
    }
}

impl Sum {
    fn add_months(&mut self, amount: Amount, unit: i64) -> Option<()> {
        // PostgreSQL keeps each field in 32 bits until the end.
        i32::try_from(amount.whole).ok()?;
        self.months = self.months.checked_add(amount.whole.checked_mul(unit)?)?;
        if unit >= 12 {
            // A fraction of years is rounded to months.
            self.months = self.months.checked_add((amount.fraction * unit as f64).round_ties_even() as i64)?;
            return Some(());
        }
        self.add_day_fraction(amount.fraction * 30.0)
    }

    fn add_days(&mut self, amount: Amount, unit: i64) -> Option<()> {
        self.days = self.days.checked_add(amount.whole.checked_mul(unit)?)?;
        i32::try_from(self.days).ok()?;
        self.add_day_fraction(amount.fraction * unit as f64)
    }

    fn add_day_fraction(&mut self, days: f64) -> Option<()> {
        let whole = days.trunc();
        self.days = self.days.checked_add(whole as i64)?;
        let us = ((days - whole) * Interval::US_PER_DAY as f64).round_ties_even();
        self.micros = self.micros.checked_add(us as i64)?;
        Some(())
    }

    fn add_us(&mut self, amount: Amount, unit: i64) -> Option<()> {
        self.micros = self.micros.checked_add(amount.whole.checked_mul(unit)?)?;
        let us = (amount.fraction * unit as f64).round_ties_even();
        self.micros = self.micros.checked_add(us as i64)?;
        Some(())
    }

    fn add(&mut self, amount: Amount, unit: DateTimeField) -> Option<()> {
        match unit {
            DateTimeField::Millennium => self.add_months(amount, 12_000),
            DateTimeField::Century => self.add_months(amount, 1200),
            DateTimeField::Decade => self.add_months(amount, 120),
            DateTimeField::Year => self.add_months(amount, 12),
            DateTimeField::Month => self.add_months(amount, 1),
            DateTimeField::Week => self.add_days(amount, 7),
            DateTimeField::Day => self.add_days(amount, 1),
            DateTimeField::Hour => self.add_us(amount, 3_600_000_000),
            DateTimeField::Minute => self.add_us(amount, 60_000_000),
            DateTimeField::Second => self.add_us(amount, 1_000_000),
            DateTimeField::Milliseconds => self.add_us(amount, 1000),
            DateTimeField::Microseconds => self.add_us(amount, 1),
            _ => None,
        }
    }

    /// `hh:mm`, `hh:mm:ss[.f]` or, with a fraction, `mm:ss.f`; the sign in front counts for all of it.
    fn add_clock(&mut self, s: &str) -> Option<()> {
        let (sign, digits) = match s.as_bytes().first()? {
            b'-' => (-1, &s[1..]),
            b'+' => (1, &s[1..]),
            _ => (1, s),
        };
        let parts: Vec<&str> = digits.split(':').collect();
        let (hours, minutes, seconds) = match parts.as_slice() {
            [m, s] if s.contains('.') => ("0", *m, *s),
            [h, m] => (*h, *m, "0"),
            [h, m, s] => (*h, *m, *s),
            _ => return None,
        };
        let hours = Amount::parse(hours).filter(|a| a.fraction == 0.0)?;
        let minutes = Amount::parse(minutes).filter(|a| a.fraction == 0.0 && a.whole < 60)?;
        let seconds = Amount::parse(seconds).filter(|a| a.whole <= 60)?;
        let mut clock = Sum::default();
        clock.add_us(hours, 3_600_000_000)?;
        clock.add_us(minutes, 60_000_000)?;
        clock.add_us(seconds, 1_000_000)?;
        self.micros = self.micros.checked_add(clock.micros.checked_mul(sign)?)?;
        Some(())
    }

    fn finish(&self) -> Option<Interval> {
        let months = i32::try_from(self.months).ok()?;
        let days = i32::try_from(self.days).ok()?;
        Some(Interval { months, days, micros: self.micros })
    }
}

/// What stopped the reading of an interval.
enum Stop {
    Syntax,
    /// A field as written does not fit.
    Overflow,
    /// All fields fit, but not their sum.
    OutOfRange,
}

/// Reads an interval.
///
/// # Errors
/// When the text is none (22007) or a part does not fit (22015).
pub fn parse(s: &str) -> Result<Interval, ParseError> {
    let text = trim(s);
    let parsed = text.strip_prefix('P').map_or_else(|| parse_words(text), parse_iso);
    let checked = parsed.and_then(|sum| sum.finish().ok_or(Stop::OutOfRange));
    checked.map_err(|stop| match stop {
        Stop::Syntax => ParseError::new(
            ParseErrorKind::InvalidDatetime,
            format!("invalid input syntax for type interval: \"{s}\""),
        ),
        Stop::OutOfRange => AdtError::IntervalOutOfRange.into(),
        Stop::Overflow => ParseError::new(
            ParseErrorKind::IntervalOverflow,
            format!("interval field value out of range: \"{s}\""),
        ),
    })
}

fn parse_words(text: &str) -> Result<Sum, Stop> {
    let tokens = tokenize(text).ok_or(Stop::Syntax)?;
    let mut sum = Sum::default();
    let mut any = false;
    let mut used = Vec::new();
    let mut negate = false;
    let mut i = 0;
    while i < tokens.len() {
        let token = &tokens[i];
        i += 1;
        match token {
            Token::Word(w) if w == "ago" && any => negate = true,
            Token::Word(_) => return Err(Stop::Syntax),
            Token::Clock(c) | Token::Offset(c) if c.contains(':') => {
                sum.add_clock(c).ok_or(Stop::Overflow)?;
                any = true;
                mark(&mut used, DateTimeField::Hour)?;
                // A unit after it says nothing.
                if let Some(Token::Word(w)) = tokens.get(i)
                    && DateTimeField::parse(w).is_some()
                {
                    i += 1;
                }
            }
            Token::Number(n) | Token::Offset(n) => {
                let unit = match tokens.get(i) {
                    Some(Token::Word(w)) if w != "ago" => {
                        i += 1;
                        DateTimeField::parse(w).ok_or(Stop::Syntax)?
                    }
                    // Before a clock a bare number is days, else at the end it is seconds.
                    Some(Token::Clock(_) | Token::Offset(_)) => DateTimeField::Day,
                    _ => DateTimeField::Second,
                };
                let amount = Amount::parse(n).ok_or_else(|| stop_of_number(n))?;
                mark(&mut used, unit)?;
                if matches!(unit, DateTimeField::Epoch | DateTimeField::Quarter) {
                    return Err(Stop::Syntax);
                }
                sum.add(amount, unit).ok_or(Stop::Overflow)?;
                any = true;
            }
            Token::Date(d) => {
                let year_month = parse_year_month(d).ok_or(Stop::Syntax)?;
                mark(&mut used, DateTimeField::Year)?;
                mark(&mut used, DateTimeField::Month)?;
                sum.months = sum.months.checked_add(year_month).ok_or(Stop::Overflow)?;
                any = true;
            }
            _ => return Err(Stop::Syntax),
        }
    }
    if !any {
        return Err(Stop::Syntax);
    }
    if negate {
        let negated =
            || Some((sum.months.checked_neg()?, sum.days.checked_neg()?, sum.micros.checked_neg()?));
        let (months, days, micros) = negated().ok_or(Stop::Overflow)?;
        sum = Sum { months, days, micros };
    }
    Ok(sum)
}

fn stop_of_number(n: &str) -> Stop {
    let plain = n.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'+' | b'-'));
    if plain { Stop::Overflow } else { Stop::Syntax }
}

/// Each unit may occur once.
fn mark(used: &mut Vec<DateTimeField>, unit: DateTimeField) -> Result<(), Stop> {
    if used.contains(&unit) {
        return Err(Stop::Syntax);
    }
    used.push(unit);
    Ok(())
}

/// SQL's `years-months`, for example `1-2` or `-1-2`, in months.
fn parse_year_month(s: &str) -> Option<i64> {
    let (sign, rest) = match s.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, s.strip_prefix('+').unwrap_or(s)),
    };
    let (years, months) = rest.split_once('-')?;
    let (years, months): (i64, i64) = (years.parse().ok()?, months.parse().ok()?);
    if !(0..12).contains(&months) {
        return None;
    }
    years.checked_mul(12)?.checked_add(months)?.checked_mul(sign)
}

/// ISO 8601 after the `P`: with designators, or in the alternative form.
fn parse_iso(s: &str) -> Result<Sum, Stop> {
    let mut sum = Sum::default();
    let (date, time) = match s.split_once('T') {
        Some((d, t)) => (d, Some(t)),
        None => (s, None),
    };
    if date.is_empty() && time.is_none() {
        return Err(Stop::Syntax);
    }
    if date.bytes().skip(1).any(|b| b == b'-') && !date.contains(|c: char| c.is_ascii_alphabetic()) {
        let units = [DateTimeField::Year, DateTimeField::Month, DateTimeField::Day];
        let (sign, body) = date.strip_prefix('-').map_or(("", date), |b| ("-", b));
        for (part, unit) in body.split('-').zip(units) {
            let amount = Amount::parse(&format!("{sign}{part}")).ok_or(Stop::Syntax)?;
            sum.add(amount, unit).ok_or(Stop::Overflow)?;
        }
    } else {
        let unit = |c| match c {
            'Y' => Some(DateTimeField::Year),
            'M' => Some(DateTimeField::Month),
            'W' => Some(DateTimeField::Week),
            'D' => Some(DateTimeField::Day),
            _ => None,
        };
        designated(date, unit, &mut sum)?;
    }
    match time {
        Some(t) if t.contains(':') => sum.add_clock(t).ok_or(Stop::Syntax)?,
        Some(t) => {
            let unit = |c| match c {
                'H' => Some(DateTimeField::Hour),
                'M' => Some(DateTimeField::Minute),
                'S' => Some(DateTimeField::Second),
                _ => None,
            };
            designated(t, unit, &mut sum)?;
        }
        None => {}
    }
    Ok(sum)
}

fn designated(s: &str, unit: impl Fn(char) -> Option<DateTimeField>, sum: &mut Sum) -> Result<(), Stop> {
    let mut rest = s;
    while !rest.is_empty() {
        let Some(at) = rest.find(|c: char| c.is_ascii_alphabetic()) else {
            // A number alone is the first field of the alternative form: years or hours.
            let amount = Amount::parse(rest).filter(|_| rest.len() == s.len()).ok_or(Stop::Syntax)?;
            let first = unit('Y').or_else(|| unit('H')).ok_or(Stop::Syntax)?;
            return sum.add(amount, first).ok_or(Stop::Overflow);
        };
        let designator = rest[at..].chars().next().unwrap_or(' ');
        let amount = Amount::parse(&rest[..at]).ok_or(Stop::Syntax)?;
        sum.add(amount, unit(designator).ok_or(Stop::Syntax)?).ok_or(Stop::Overflow)?;
        rest = &rest[at + 1..];
    }
    Ok(())
}
