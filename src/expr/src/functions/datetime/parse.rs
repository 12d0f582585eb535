//! `to_timestamp` and `to_date` of text and template.

use hw_repr::Datum;
use hw_repr::adt::calendar::{days_from_iso_week, days_from_ymd};
use hw_repr::adt::{CivilTimestamp, Date, Time, TimeZone};

use super::template::{DAYS, MONTHS, Node, ROMAN_MONTHS, parse};
use crate::error::EvalError;
use crate::func::Registry;
use crate::functions::signature::f;
use crate::functions::{fail, ok, zoned};

/// What the text says.
#[derive(Default)]
struct Found {
    year: Option<i64>,
    century: Option<i64>,
    bc: bool,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    iso_year: Option<i64>,
    iso_week: Option<i64>,
    iso_day: Option<i64>,
    week: Option<i64>,
    julian: Option<i64>,
    hour: i64,
    half: Option<bool>,
    twelve: bool,
    minute: i64,
    second: i64,
    us: i64,
    seconds_of_day: Option<i64>,
    offset_hours: Option<i64>,
    offset_minutes: i64,
}

fn invalid(value: &str, field: &str) -> EvalError {
    EvalError::new("22007", format!("invalid value \"{value}\" for \"{field}\""))
}

struct Reader<'s> {
    rest: &'s str,
}

impl Reader<'_> {
    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Digits, at most so many, with a sign.
    fn number(&mut self, name: &str, width: usize) -> Result<(i64, usize), EvalError> {
        self.skip_blanks();
        let (negative, digits) = match self.rest.strip_prefix('-') {
            Some(r) => (true, r),
            None => (false, self.rest.strip_prefix('+').unwrap_or(self.rest)),
        };
        let len = digits.bytes().take(width).take_while(u8::is_ascii_digit).count();
        if len == 0 {
            let shown: String = self.rest.chars().take(width.min(4)).collect();
            return Err(invalid(&shown, name).with_detail("Value must be an integer."));
        }
        let value: i64 = digits[..len].parse().map_err(|_| {
            invalid(&digits[..len], name).with_detail("Value must be in the range -2147483648 to 2147483647.")
        })?;
        self.rest = &digits[len..];
        Ok((if negative { -value } else { value }, len))
    }

    /// One of some words, in any case; the longest that fits.
    fn word<'w>(
        &mut self,
        name: &str,
        words: impl Iterator<Item = (i64, &'w str)>,
    ) -> Result<i64, EvalError> {
        self.skip_blanks();
        let fits = |w: &str| self.rest.get(..w.len()).is_some_and(|h| h.eq_ignore_ascii_case(w));
        let found = words.filter(|(_, w)| fits(w)).max_by_key(|(_, w)| w.len());
        match found {
            Some((value, word)) => {
                self.rest = &self.rest[word.len()..];
                Ok(value)
            }
            None => {
                let shown: String = self.rest.chars().take(name.len()).collect();
                Err(invalid(&shown, name)
                    .with_detail("The given value did not match any of the allowed values for this field."))
            }
        }
    }
}

fn numbered<'w>(words: &'w [&'w str], len: Option<usize>) -> impl Iterator<Item = (i64, &'w str)> {
    words.iter().enumerate().map(move |(i, w)| (i as i64 + 1, len.map_or(*w, |l| &w[..l])))
}

/// A year of two or three digits is near 2020.
fn near_2020(year: i64, digits: usize) -> i64 {
    match digits {
        1 | 2 if year < 70 => year + 2000,
        1 | 2 => year + 1900,
        3 if year < 520 => year + 2000,
        3 => year + 1000,
        _ => year,
    }
}

fn read(text: &str, template: &str) -> Result<Found, EvalError> {
    let mut found = Found::default();
    let mut reader = Reader { rest: text };
    let nodes = parse(template);
    for (i, node) in nodes.iter().enumerate() {
        match node {
            Node::Separator(c) if c.is_whitespace() => {
                reader.skip_blanks();
                let next = reader.rest.chars().next();
                if next.is_some_and(|c| c.is_ascii_punctuation() && c != '-' && c != '+') {
                    reader.rest = &reader.rest[1..];
                }
            }
            Node::Separator(_) => {
                reader.skip_blanks();
                if reader.rest.chars().next().is_some_and(|c| c.is_ascii_punctuation()) {
                    reader.rest = &reader.rest[1..];
                }
                reader.skip_blanks();
            }
            Node::Literal(_) => {
                let mut chars = reader.rest.chars();
                chars.next();
                reader.rest = chars.as_str();
            }
            Node::Field { name, ordinal, fill } => {
                if reader.rest.trim_start().is_empty() {
                    break;
                }
                let digits_follow = matches!(
                    nodes.get(i + 1),
                    Some(Node::Field { name, .. }) if !name.starts_with(['M', 'D', 'm', 'd']) || matches!(*name, "MM" | "MI" | "MS" | "DD" | "DDD" | "D")
                );
                read_field(name, !digits_follow || !fill, &mut reader, &mut found)?;
                if ordinal.is_some() {
                    reader.rest = reader.rest.get(2..).unwrap_or("");
                }
            }
        }
    }
    Ok(found)
}

fn read_field(name: &str, open: bool, reader: &mut Reader<'_>, found: &mut Found) -> Result<(), EvalError> {
    let width = |w: usize| if open { 10 } else { w };
    match name {
        "YYYY" | "IYYY" => {
            let (v, len) = reader.number(name, width(4))?;
            let v = near_2020(v, len);
            if name == "YYYY" { found.year = Some(v) } else { found.iso_year = Some(v) }
        }
        "Y,YYY" => {
            let (thousands, _) = reader.number(name, 7)?;
            reader.rest = reader.rest.strip_prefix(',').unwrap_or(reader.rest);
            found.year = Some(thousands * 1000 + reader.number(name, 3)?.0);
        }
        "YYY" | "YY" | "Y" => {
            let (v, len) = reader.number(name, width(name.len()))?;
            found.year = Some(near_2020(v, len));
        }
        "IYY" | "IY" | "I" => {
            let (v, len) = reader.number(name, width(name.len()))?;
            found.iso_year = Some(near_2020(v, len));
        }
        "CC" => found.century = Some(reader.number(name, width(2))?.0),
        "MM" => found.month = Some(reader.number(name, 2)?.0),
        "MONTH" | "Month" | "month" => found.month = Some(reader.word(name, numbered(&MONTHS, None))?),
        "MON" | "Mon" | "mon" => found.month = Some(reader.word(name, numbered(&MONTHS, Some(3)))?),
        "RM" | "rm" => found.month = Some(reader.word(name, numbered(&ROMAN_MONTHS, None))?),
        "DD" => found.day = Some(reader.number(name, 2)?.0),
        "DDD" => found.day_of_year = Some(reader.number(name, 3)?.0),
        "IDDD" => {
            let v = reader.number(name, 3)?.0;
            (found.iso_week, found.iso_day) = (Some((v - 1) / 7 + 1), Some((v - 1) % 7 + 1));
        }
        "DAY" | "Day" | "day" => {
            reader.word(name, numbered(&DAYS, None))?;
        }
        "DY" | "Dy" | "dy" => {
            reader.word(name, numbered(&DAYS, Some(3)))?;
        }
        "D" => {
            reader.number(name, 1)?;
        }
        "ID" => found.iso_day = Some(reader.number(name, 1)?.0),
        "W" => found.week = Some(reader.number(name, 1)?.0),
        "WW" => found.day_of_year = Some((reader.number(name, 2)?.0 - 1) * 7 + 1),
        "IW" => found.iso_week = Some(reader.number(name, 2)?.0),
        "J" => found.julian = Some(reader.number(name, 10)?.0),
        "Q" => {
            reader.number(name, 1)?;
        }
        "HH" | "HH12" => (found.hour, found.twelve) = (reader.number(name, 2)?.0, true),
        "HH24" => found.hour = reader.number(name, 2)?.0,
        "MI" => found.minute = reader.number(name, 2)?.0,
        "SS" => found.second = reader.number(name, 2)?.0,
        "MS" | "US" | "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => {
            let most = match name {
                "MS" | "FF3" => 3,
                "US" | "FF6" => 6,
                "FF1" => 1,
                "FF2" => 2,
                "FF4" => 4,
                _ => 5,
            };
            let (v, len) = reader.number(name, most)?;
            found.us += v * 10i64.pow(6 - len as u32);
        }
        "SSSS" | "SSSSS" => found.seconds_of_day = Some(reader.number(name, 5)?.0),
        "AM" | "PM" | "am" | "pm" | "A.M." | "P.M." | "a.m." | "p.m." => {
            let words = [(0, "am"), (0, "a.m."), (1, "pm"), (1, "p.m.")];
            found.half = Some(reader.word(name, words.into_iter())? == 1);
        }
        "BC" | "AD" | "bc" | "ad" | "B.C." | "A.D." | "b.c." | "a.d." => {
            let words = [(0, "ad"), (0, "a.d."), (1, "bc"), (1, "b.c.")];
            found.bc = reader.word(name, words.into_iter())? == 1;
        }
        "TZH" => {
            reader.skip_blanks();
            found.offset_hours = Some(reader.number(name, 2)?.0);
        }
        "TZM" => found.offset_minutes = reader.number(name, 2)?.0,
        other => return fail("0A000", format!("formatting field \"{other}\" is only supported in to_char")),
    }
    Ok(())
}

fn out_of_range(text: &str) -> EvalError {
    EvalError::new("22008", format!("date/time field value out of range: \"{text}\""))
}

impl Found {
    fn date(&self, text: &str) -> Result<Date, EvalError> {
        let fail = || out_of_range(text);
        if let Some(j) = self.julian {
            return Date::from_days(j - i64::from(Date::JULIAN_EPOCH)).map_err(|_| fail());
        }
        if let (Some(year), week) = (self.iso_year, self.iso_week.unwrap_or(1)) {
            let week = u32::try_from(week).ok().filter(|w| (1..=53).contains(w)).ok_or_else(fail)?;
            let day = self.iso_day.unwrap_or(1);
            let year = i32::try_from(year).map_err(|_| fail())?;
            return Date::from_days(days_from_iso_week(year, week) + day - 1).map_err(|_| fail());
        }
        let mut year = match (self.year, self.century) {
            (Some(y), Some(c)) if y < 100 => (c - 1) * 100 + y,
            (Some(y), _) => y,
            (None, Some(c)) => (c - 1) * 100 + 1,
            (None, None) => 0,
        };
        let given = self.year.is_some() || self.century.is_some();
        if self.bc || year < 0 {
            year = 1 - year.abs();
        } else if !given || year == 0 {
            // Year 0 stands for 1 BC.
            year = 0;
        }
        let year = i32::try_from(year).map_err(|_| fail())?;
        if let Some(doy) = self.day_of_year
            && self.month.is_none()
        {
            if !(1..=366).contains(&doy) {
                return Err(fail());
            }
            return Date::from_days(days_from_ymd(year, 1, 1) + doy - 1).map_err(|_| fail());
        }
        let day = self.day.or(self.week.map(|w| (w - 1) * 7 + 1)).unwrap_or(1);
        let month = self.month.unwrap_or(1);
        match (u32::try_from(month), u32::try_from(day)) {
            (Ok(m), Ok(d)) => Date::from_ymd(year, m, d).ok_or_else(fail),
            _ => Err(fail()),
        }
    }

    fn time(&self, text: &str) -> Result<Time, EvalError> {
        if let Some(s) = self.seconds_of_day {
            return Time::from_us(s * 1_000_000 + self.us).map_err(|_| out_of_range(text));
        }
        let mut hour = self.hour;
        if self.twelve || self.half.is_some() {
            if !(1..=12).contains(&hour) {
                return Err(EvalError::new(
                    "22007",
                    format!("hour \"{hour}\" is invalid for the 12-hour clock"),
                )
                .with_hint("Use the 24-hour clock, or give an hour between 1 and 12."));
            }
            match self.half {
                Some(true) if hour < 12 => hour += 12,
                Some(false) | None if hour == 12 => hour = 0,
                _ => {}
            }
        }
        let valid =
            (0..24).contains(&hour) && (0..60).contains(&self.minute) && (0..60).contains(&self.second);
        if !valid {
            return Err(out_of_range(text));
        }
        Ok(Time(((hour * 60 + self.minute) * 60 + self.second) * 1_000_000 + self.us))
    }
}

fn to_timestamp(text: &str, template: &str, tz: &TimeZone) -> Result<CivilTimestamp, EvalError> {
    let found = read(text, template)?;
    let local = CivilTimestamp::from_parts(found.date(text)?, found.time(text)?)?;
    match found.offset_hours {
        None => Ok(tz.to_utc(local)?),
        Some(h) => {
            let minutes = if h < 0 { -found.offset_minutes } else { found.offset_minutes };
            Ok(local.checked_add_us(-(h * 60 + minutes) * 60_000_000)?)
        }
    }
}

pub(super) fn register(r: &mut Registry) {
    zoned!(r, f, "to_timestamp(text, text) -> timestamptz stable", |tz, _cx, _arena, a| {
        to_timestamp(a[0].unwrap_str(), a[1].unwrap_str(), tz).map(Datum::TimestampTz)
    });
    r.add(f("to_date(text, text) -> date", |_, _, a| {
        ok(read(a[0].unwrap_str(), a[1].unwrap_str())?.date(a[0].unwrap_str())?)
    }));
}
