//! `to_timestamp` and `to_date` of text and template (PostgreSQL manual 9.8).
//!
//! The template is followed as long as there is text. Unless it says `FX`, blanks in the text are skipped before and after
//! fields, and a blank or separator of the template takes one of either kind, or none. What was skipped beyond the
//! template counts against its literal characters.

use hw_repr::Datum;
use hw_repr::adt::calendar::{days_from_iso_week, days_from_ymd};
use hw_repr::adt::{CivilTimestamp, Date, Time, TimeZone};

use super::template::{DAYS, MONTHS, Node, ROMAN_MONTHS, is_number, parse};
use crate::error::EvalError;
use crate::func::Registry;
use crate::functions::signature::f;
use crate::functions::{fail, ok, zoned};

/// The numbers and words of a text; 0 is not given, as in PostgreSQL.
#[derive(Default)]
struct Found {
    iso: Option<bool>,
    year: i64,
    year_digits: u8,
    century: i64,
    bc: Option<bool>,
    month: i64,
    day: i64,
    day_of_year: i64,
    /// Sunday is 1.
    weekday: i64,
    week: i64,
    week_of_month: i64,
    julian: i64,
    hour: i64,
    pm: Option<bool>,
    twelve: bool,
    minute: i64,
    second: i64,
    millisecond: i64,
    us: i64,
    seconds_of_day: i64,
    zone_sign: i64,
    zone_hours: i64,
    zone_minutes: i64,
}

fn invalid(value: &str, field: &str) -> EvalError {
    EvalError::new("22007", format!("invalid value \"{value}\" for \"{field}\""))
}

fn contradicts(field: &str) -> EvalError {
    EvalError::new("22007", format!("conflicting values for \"{field}\" field in formatting string"))
        .with_detail("This value contradicts a previous setting for the same field type.")
}

/// Sets a number that may be given once, or again with the same value.
fn set(slot: &mut i64, value: i64, field: &str) -> Result<(), EvalError> {
    if *slot != 0 && *slot != value {
        return Err(contradicts(field));
    }
    *slot = value;
    Ok(())
}

/// A year of two or three digits is near 2020.
fn near_2020(year: i64) -> i64 {
    match year {
        0..70 => year + 2000,
        70..100 => year + 1900,
        100..520 => year + 2000,
        520..1000 => year + 1000,
        _ => year,
    }
}

struct Reader<'s> {
    text: &'s str,
    at: usize,
    exact: bool,
    /// Characters skipped beyond what the template has.
    skipped: i64,
}

impl<'s> Reader<'s> {
    fn rest(&self) -> &'s str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip_blanks(&mut self) -> i64 {
        let rest = self.rest();
        let blanks = rest.len() - rest.trim_start_matches(is_blank).len();
        self.at += blanks;
        blanks as i64
    }

    fn skip_char(&mut self) {
        self.at += self.peek().map_or(0, char::len_utf8);
    }

    /// An integer of a field's width; if `open`, of any, as something that is no digit must follow. Gives its length too.
    fn number(&mut self, name: &str, (width, open): (usize, bool)) -> Result<(i64, usize), EvalError> {
        self.skip_blanks();
        let rest = self.rest();
        let window = match open {
            true => rest,
            false => {
                let end = rest.char_indices().nth(width).map_or(rest.len(), |(i, _)| i);
                let chars = rest.chars().take(width).count();
                if chars < width {
                    let text = format!("source string too short for \"{name}\" formatting field");
                    return Err(EvalError::new("22007", text)
                        .with_detail(format!("Field requires {width} characters, but only {chars} remain."))
                        .with_hint(
                            "If your source string is not fixed-width, try using the \"FM\" modifier.",
                        ));
                }
                &rest[..end]
            }
        };
        let unsigned = window.trim_start_matches(is_blank);
        let blanks = window.len() - unsigned.len();
        let sign = usize::from(unsigned.starts_with(['-', '+']));
        let digits = unsigned[sign..].bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            let shown: String = rest.chars().take(width).collect();
            return Err(invalid(&shown, name).with_detail("Value must be an integer."));
        }
        let used = blanks + sign + digits;
        if !open && used < width {
            return Err(invalid(window, name)
                .with_detail(format!("Field requires {width} characters, but only {used} could be parsed."))
                .with_hint("If your source string is not fixed-width, try using the \"FM\" modifier."));
        }
        let value = unsigned[..sign + digits].parse::<i64>().ok().filter(|v| i32::try_from(*v).is_ok());
        let value = value.ok_or_else(|| {
            EvalError::new("22008", format!("value for \"{name}\" in source string is out of range"))
                .with_detail("Value must be in the range -2147483648 to 2147483647.")
        })?;
        self.at += used;
        Ok((value, used))
    }

    /// The position of the first word that the text begins with, in any case.
    fn word<'w>(&mut self, name: &str, words: impl IntoIterator<Item = &'w str>) -> Result<usize, EvalError> {
        let rest = self.rest();
        let fits = |w: &str| rest.get(..w.len()).is_some_and(|h| h.eq_ignore_ascii_case(w));
        let mut words = words.into_iter();
        match words.by_ref().enumerate().find(|(_, w)| fits(w)) {
            Some((i, word)) => {
                self.at += word.len();
                Ok(i)
            }
            None => {
                let shown = rest.split(is_blank).next().unwrap_or_default();
                Err(invalid(shown, name)
                    .with_detail("The given value did not match any of the allowed values for this field."))
            }
        }
    }
}

fn is_blank(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\x0b'
}

fn is_separator(c: char) -> bool {
    c.is_ascii_graphic() && !c.is_ascii_alphanumeric()
}

/// Whether what follows a field in the template cannot be taken for a digit of it.
fn digits_end(nodes: &[Node], i: usize) -> bool {
    if matches!(nodes[i], Node::Field { ordinal: Some(_), .. }) {
        return true;
    }
    match nodes.get(i + 1) {
        None => true,
        Some(Node::Field { name, .. }) => !is_number(name),
        Some(Node::Separator(c) | Node::Literal(c)) => !c.is_ascii_digit(),
        Some(Node::Exact) => true,
    }
}

fn read(text: &str, template: &str) -> Result<Found, EvalError> {
    let mut found = Found::default();
    let mut reader = Reader { text, at: 0, exact: false, skipped: 0 };
    let nodes = parse(template);
    for (i, node) in nodes.iter().enumerate() {
        if reader.at >= text.len() {
            break;
        }
        let action = matches!(node, Node::Field { .. } | Node::Exact);
        if !reader.exact && (action || i == 0) {
            reader.skipped += reader.skip_blanks();
        }
        match node {
            Node::Exact => reader.exact = true,
            Node::Separator(_) if reader.exact => reader.skip_char(),
            Node::Separator(_) => {
                reader.skipped -= 1;
                if reader.peek().is_some_and(|c| is_blank(c) || is_separator(c)) {
                    reader.skip_char();
                    reader.skipped += 1;
                }
            }
            Node::Literal(_) if !reader.exact && reader.skipped > 0 => reader.skipped -= 1,
            Node::Literal(_) => reader.skip_char(),
            Node::Field { name, fill, ordinal } => {
                read_field(name, !fill || digits_end(&nodes, i), &mut reader, &mut found)?;
                if ordinal.is_some() {
                    reader.skip_char();
                    reader.skip_char();
                }
                if !reader.exact {
                    reader.skipped = reader.skip_blanks();
                }
            }
        }
    }
    Ok(found)
}

fn mode(found: &mut Found, iso: bool) -> Result<(), EvalError> {
    match found.iso {
        Some(known) if known != iso => {
            let e = EvalError::new("22007", "invalid combination of date conventions");
            Err(e.with_hint("Do not mix Gregorian and ISO week date conventions in a formatting template."))
        }
        _ => {
            found.iso = Some(iso);
            Ok(())
        }
    }
}

/// Which date convention a field belongs to: ISO's weeks, or the months.
fn convention(name: &str) -> Option<bool> {
    match name {
        "IYYY" | "IYY" | "IY" | "I" | "IDDD" | "ID" | "IW" => Some(true),
        "YYYY" | "YYY" | "YY" | "Y" | "Y,YYY" | "DDD" | "DD" | "D" | "W" | "WW" | "MM" | "CC" | "J" => {
            Some(false)
        }
        n if ["MONTH", "MON", "DAY", "DY", "RM"].contains(&n.to_ascii_uppercase().as_str()) => Some(false),
        _ => None,
    }
}

fn read_field(name: &str, open: bool, r: &mut Reader<'_>, found: &mut Found) -> Result<(), EvalError> {
    if let Some(iso) = convention(name) {
        mode(found, iso)?;
    }
    let limit = |width: usize| (width, open);
    match name {
        "YYYY" | "IYYY" | "YYY" | "IYY" | "YY" | "IY" | "Y" | "I" => {
            let width = name.len();
            let (value, len) = r.number(name, limit(width))?;
            let value = if width < 4 && len < 4 { near_2020(value) } else { value };
            set(&mut found.year, value, name)?;
            found.year_digits = width as u8;
        }
        "Y,YYY" => {
            let bad = || EvalError::new("22007", "invalid input string for \"Y,YYY\"");
            let (thousands, rest) = r.rest().split_once(',').ok_or_else(bad)?;
            let digits = rest.bytes().take(3).take_while(u8::is_ascii_digit).count();
            let thousands: i32 = thousands.trim_start().parse().map_err(|_| bad())?;
            let years: i64 = rest[..digits].parse().map_err(|_| bad())?;
            r.at = r.text.len() - rest.len() + digits;
            set(&mut found.year, i64::from(thousands) * 1000 + years, name)?;
            found.year_digits = 4;
        }
        "CC" => set(&mut found.century, r.number(name, limit(2))?.0, name)?,
        "MM" => set(&mut found.month, r.number(name, limit(2))?.0, name)?,
        "MONTH" | "Month" | "month" => set(&mut found.month, r.word(name, MONTHS)? as i64 + 1, name)?,
        "MON" | "Mon" | "mon" => {
            set(&mut found.month, r.word(name, MONTHS.map(|m| &m[..3]))? as i64 + 1, name)?;
        }
        "RM" | "rm" => {
            // The longest first, so that I is not found in II.
            let mut months: Vec<(usize, &str)> = ROMAN_MONTHS.into_iter().enumerate().collect();
            months.reverse();
            let at = r.word(name, months.iter().map(|(_, w)| *w))?;
            set(&mut found.month, months[at].0 as i64 + 1, name)?;
        }
        "DD" => set(&mut found.day, r.number(name, limit(2))?.0, name)?,
        "DDD" | "IDDD" => set(&mut found.day_of_year, r.number(name, limit(3))?.0, name)?,
        "DAY" | "Day" | "day" => set(&mut found.weekday, r.word(name, DAYS)? as i64 + 1, name)?,
        "DY" | "Dy" | "dy" => {
            set(&mut found.weekday, r.word(name, DAYS.map(|d| &d[..3]))? as i64 + 1, name)?;
        }
        "D" => set(&mut found.weekday, r.number(name, limit(1))?.0, name)?,
        "ID" => {
            let day = r.number(name, limit(1))?.0 + 1;
            set(&mut found.weekday, if day > 7 { 1 } else { day }, name)?;
        }
        "W" => set(&mut found.week_of_month, r.number(name, limit(1))?.0, name)?,
        "WW" | "IW" => set(&mut found.week, r.number(name, limit(2))?.0, name)?,
        "J" => set(&mut found.julian, r.number(name, limit(1))?.0, name)?,
        // Which day of a quarter is meant is not said.
        "Q" => {
            r.number(name, limit(1))?;
        }
        _ => return read_time_field(name, limit, r, found),
    }
    Ok(())
}

fn read_time_field(
    name: &str,
    limit: impl Fn(usize) -> (usize, bool),
    r: &mut Reader<'_>,
    found: &mut Found,
) -> Result<(), EvalError> {
    let to_places =
        |value: i64, len: usize, places: usize| value * 10i64.pow(places.saturating_sub(len) as u32);
    match name {
        "HH" | "HH12" => {
            set(&mut found.hour, r.number(name, limit(2))?.0, name)?;
            found.twelve = true;
        }
        "HH24" => set(&mut found.hour, r.number(name, limit(2))?.0, name)?,
        "MI" => set(&mut found.minute, r.number(name, limit(2))?.0, name)?,
        "SS" => set(&mut found.second, r.number(name, limit(2))?.0, name)?,
        "MS" => {
            let (value, len) = r.number(name, limit(3))?;
            set(&mut found.millisecond, to_places(value, len, 3), name)?;
        }
        "US" | "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => {
            let most = name.strip_prefix("FF").and_then(|n| n.parse().ok()).unwrap_or(6);
            let (value, len) = r.number(name, limit(most))?;
            set(&mut found.us, to_places(value, len, 6), name)?;
        }
        "SSSS" | "SSSSS" => set(&mut found.seconds_of_day, r.number(name, limit(name.len()))?.0, name)?,
        "AM" | "PM" | "am" | "pm" => half(&mut found.pm, r.word(name, ["am", "pm"])? == 1, name)?,
        "A.M." | "P.M." | "a.m." | "p.m." => half(&mut found.pm, r.word(name, ["a.m.", "p.m."])? == 1, name)?,
        "BC" | "AD" | "bc" | "ad" => half(&mut found.bc, r.word(name, ["ad", "bc"])? == 1, name)?,
        "B.C." | "A.D." | "b.c." | "a.d." => half(&mut found.bc, r.word(name, ["a.d.", "b.c."])? == 1, name)?,
        "TZH" => {
            // A minus before it may have been taken for a separator.
            let before = r.text[..r.at].ends_with('-');
            found.zone_sign = match r.peek() {
                Some(c @ ('+' | '-' | ' ')) => {
                    r.skip_char();
                    if c == '-' { -1 } else { 1 }
                }
                _ if r.skipped > 0 && before => -1,
                _ => 1,
            };
            set(&mut found.zone_hours, r.number(name, limit(2))?.0, name)?;
        }
        "TZM" => {
            if found.zone_sign == 0 {
                found.zone_sign = 1;
            }
            set(&mut found.zone_minutes, r.number(name, limit(2))?.0, name)?;
        }
        other => return fail("0A000", format!("formatting field \"{other}\" is only supported in to_char")),
    }
    // A half of the day makes it a clock of twelve hours.
    found.twelve |= found.pm.is_some();
    Ok(())
}

/// Sets one of two, which may be given again if it is the same.
fn half(slot: &mut Option<bool>, value: bool, field: &str) -> Result<(), EvalError> {
    if slot.is_some_and(|old| old != value) {
        return Err(contradicts(field));
    }
    *slot = Some(value);
    Ok(())
}

fn out_of_range(text: &str) -> EvalError {
    EvalError::new("22008", format!("date/time field value out of range: \"{text}\""))
}

impl Found {
    /// The astronomical year; 0, which is 1 BC, when none is given.
    fn astronomical_year(&self) -> i64 {
        let bc = self.bc == Some(true);
        if self.year != 0 && self.century != 0 && self.year_digits <= 2 {
            let century = if bc { -self.century } else { self.century };
            return match self.year % 100 {
                0 => century * 100 + i64::from(century < 0),
                y if century < 0 => (century + 1) * 100 - y + 1,
                y => (century - 1) * 100 + y,
            };
        }
        if self.year != 0 {
            let year = if bc { -self.year } else { self.year };
            return if year < 0 { year + 1 } else { year };
        }
        match self.century {
            0 => 0,
            c if bc => -c * 100 + 1,
            c if c < 0 => c * 100 + 1,
            c => (c - 1) * 100 + 1,
        }
    }

    fn date(&self, text: &str) -> Result<Date, EvalError> {
        let fail = || out_of_range(text);
        let iso = self.iso == Some(true);
        let mut year = i32::try_from(self.astronomical_year()).map_err(|_| fail())?;
        let (mut month, mut day) = (1i64, 1i64);
        let from_days = |days: i64| Date::from_days(days).map_err(|_| fail());
        let take = |date: Date, year: &mut i32, month: &mut i64, day: &mut i64| {
            let (y, m, d) = date.ymd();
            (*year, *month, *day) = (y, m.into(), d.into());
        };
        if self.julian != 0 {
            let date = from_days(self.julian - i64::from(Date::JULIAN_EPOCH))?;
            take(date, &mut year, &mut month, &mut day);
        }
        let mut day_of_year = self.day_of_year;
        if self.week != 0 && iso {
            // Days from Monday; Sunday is the last.
            let offset = match self.weekday {
                0 => 0,
                1 => 6,
                d => d - 2,
            };
            let first = days_from_iso_week(year, 1);
            let date = from_days(first + (self.week - 1) * 7 + offset)?;
            take(date, &mut year, &mut month, &mut day);
        } else if self.week != 0 {
            day_of_year = (self.week - 1) * 7 + 1;
        }
        if self.week_of_month != 0 {
            day = (self.week_of_month - 1) * 7 + 1;
        } else if self.day != 0 {
            day = self.day;
        }
        if self.month != 0 {
            month = self.month;
        }
        if day_of_year != 0 && (month <= 1 || day <= 1) {
            if year == 0 && self.bc.is_none() {
                return Err(EvalError::new("22007", "cannot calculate day of year without year information"));
            }
            if iso {
                let date = from_days(days_from_iso_week(year, 1) - 1 + day_of_year)?;
                take(date, &mut year, &mut month, &mut day);
            } else {
                let leap = days_from_ymd(year + 1, 1, 1) - days_from_ymd(year, 1, 1);
                if !(1..=leap).contains(&day_of_year) {
                    return Err(fail());
                }
                let date = from_days(days_from_ymd(year, 1, 1) + day_of_year - 1)?;
                let (_, m, d) = date.ymd();
                if month <= 1 {
                    month = m.into();
                }
                if day <= 1 {
                    day = d.into();
                }
            }
        }
        match (u32::try_from(month), u32::try_from(day)) {
            (Ok(m), Ok(d)) => Date::from_ymd(year, m, d).ok_or_else(fail),
            _ => Err(fail()),
        }
    }

    fn time(&self, text: &str) -> Result<Time, EvalError> {
        let of_day = self.seconds_of_day;
        let given = |v: i64, default: i64| if v != 0 { v } else { default };
        let mut hour = given(self.hour, of_day / 3600);
        let minute = given(self.minute, of_day % 3600 / 60);
        let second = given(self.second, of_day % 60);
        if self.twelve {
            if !(1..=12).contains(&hour) {
                let text = format!("hour \"{hour}\" is invalid for the 12-hour clock");
                return Err(EvalError::new("22007", text)
                    .with_hint("Use the 24-hour clock, or give an hour between 1 and 12."));
            }
            match self.pm {
                Some(true) if hour < 12 => hour += 12,
                Some(false) | None if hour == 12 => hour = 0,
                _ => {}
            }
        }
        let us = self.millisecond * 1000 + self.us;
        let valid = (0..24).contains(&hour)
            && (0..60).contains(&minute)
            && (0..60).contains(&second)
            && (0..1_000_000).contains(&us);
        if !valid {
            return Err(out_of_range(text));
        }
        Ok(Time(((hour * 60 + minute) * 60 + second) * 1_000_000 + us))
    }

    /// Seconds east of Greenwich, if given.
    fn offset(&self, text: &str) -> Result<Option<i64>, EvalError> {
        if self.zone_sign == 0 {
            return Ok(None);
        }
        if !(0..=15).contains(&self.zone_hours) || !(0..60).contains(&self.zone_minutes) {
            return fail("22009", format!("time zone displacement out of range: \"{text}\""));
        }
        Ok(Some(self.zone_sign * (self.zone_hours * 60 + self.zone_minutes) * 60))
    }
}

fn to_timestamp(text: &str, template: &str, tz: &TimeZone) -> Result<CivilTimestamp, EvalError> {
    let found = read(text, template)?;
    let (date, time) = (found.date(text)?, found.time(text)?);
    let local = CivilTimestamp::from_parts(date, time)?;
    match found.offset(text)? {
        None => Ok(tz.to_utc(local)?),
        Some(seconds) => Ok(local.checked_add_us(-seconds * 1_000_000)?),
    }
}

pub(super) fn register(r: &mut Registry) {
    zoned!(r, f, "to_timestamp(text, text) -> timestamptz stable", |tz, _cx, _arena, a| {
        to_timestamp(a[0].unwrap_str(), a[1].unwrap_str(), tz).map(Datum::TimestampTz)
    });
    r.add(f("to_date(text, text) -> date", |_, _, a| {
        let text = a[0].unwrap_str();
        let found = read(text, a[1].unwrap_str())?;
        found.time(text)?;
        ok(found.date(text)?)
    }));
}
