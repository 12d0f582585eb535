//! `to_char` of timestamps and intervals.

use hw_repr::Datum;
use hw_repr::adt::calendar::{days_from_ymd, iso_week, weekday_from_monday};
use hw_repr::adt::{CivilTimestamp, Date, Interval, TimeZone};

use super::template::{DAYS, MONTHS, Node, ROMAN_MONTHS, ordinal_suffix, parse};
use crate::error::EvalError;
use crate::func::Registry;
use crate::functions::signature::f;
use crate::functions::{text, zoned};

/// What is shown: the parts of a timestamp or interval.
struct Parts {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    us: i64,
    /// Of a timestamp; an interval has no calendar.
    days: Option<i64>,
    /// Seconds east of Greenwich, and the zone's abbreviation.
    zone: Option<(i32, String)>,
}

fn timestamp_parts(local: CivilTimestamp, zone: Option<(i32, String)>) -> Parts {
    let (year, month, day) = local.date().ymd();
    let (hour, minute, second, us) = local.time().hms_us();
    Parts {
        year: year.into(),
        month: month.into(),
        day: day.into(),
        hour: hour.into(),
        minute: minute.into(),
        second: second.into(),
        us: us.into(),
        days: Some(local.date().0.into()),
        zone,
    }
}

fn interval_parts(i: &Interval) -> Parts {
    Parts {
        year: i64::from(i.months / 12),
        month: i64::from(i.months % 12),
        day: i.days.into(),
        hour: i.micros / 3_600_000_000,
        minute: i.micros / 60_000_000 % 60,
        second: i.micros / 1_000_000 % 60,
        us: i.micros % 1_000_000,
        days: None,
        zone: None,
    }
}

fn cased(name: &str, word: &str) -> String {
    let mut letters = name.chars();
    match (letters.next().is_some_and(char::is_uppercase), letters.next().is_some_and(char::is_uppercase)) {
        (true, true) => word.to_uppercase(),
        (true, false) => word.to_owned(),
        _ => word.to_lowercase(),
    }
}

impl Parts {
    /// The year as people count it.
    fn shown_year(&self) -> i64 {
        if self.days.is_some() && self.year <= 0 { 1 - self.year } else { self.year }
    }

    fn iso(&self) -> (i64, i64) {
        self.days.map_or((self.year, 0), |d| {
            let (y, w) = iso_week(d);
            (if y <= 0 { 1 - i64::from(y) } else { y.into() }, w.into())
        })
    }

    fn day_of_year(&self) -> i64 {
        match self.days {
            Some(d) => d - days_from_ymd(self.year as i32, 1, 1) + 1,
            None => self.year * 360 + self.month * 30 + self.day,
        }
    }

    fn weekday(&self) -> i64 {
        self.days.map_or(0, |d| (weekday_from_monday(d) + 1) % 7)
    }

    fn century(&self) -> i64 {
        match self.days {
            None => self.year / 100,
            Some(_) if self.year > 0 => (self.year + 99) / 100,
            Some(_) => -((1 - self.year + 99) / 100),
        }
    }

    /// A number, with the width it is filled to.
    fn number(&self, name: &str) -> Option<(i64, usize)> {
        let (iso_year, iso_week) = self.iso();
        let hour12 = |h: i64| match h % 12 {
            0 => 12,
            h => h,
        };
        Some(match name {
            "HH" | "HH12" => (hour12(self.hour), 2),
            "HH24" => (self.hour, 2),
            "MI" => (self.minute, 2),
            "SS" => (self.second, 2),
            "MS" | "FF3" => (self.us / 1000, 3),
            "US" | "FF6" => (self.us, 6),
            "FF1" => (self.us / 100_000, 1),
            "FF2" => (self.us / 10_000, 2),
            "FF4" => (self.us / 100, 4),
            "FF5" => (self.us / 10, 5),
            "SSSS" | "SSSSS" => (self.hour * 3600 + self.minute * 60 + self.second, 0),
            "YYYY" => (self.shown_year(), if self.shown_year() >= 0 { 4 } else { 5 }),
            "YYY" => (self.shown_year() % 1000, 3),
            "YY" => (self.shown_year() % 100, 2),
            "Y" => (self.shown_year() % 10, 1),
            "IYYY" => (iso_year, 4),
            "IYY" => (iso_year % 1000, 3),
            "IY" => (iso_year % 100, 2),
            "I" => (iso_year % 10, 1),
            "MM" => (self.month, 2),
            "DDD" => (self.day_of_year(), 3),
            "IDDD" => ((iso_week - 1) * 7 + (self.weekday() + 6) % 7 + 1, 3),
            "DD" => (self.day, 2),
            "D" => (self.weekday() + 1, 1),
            "ID" => (if self.weekday() == 0 { 7 } else { self.weekday() }, 1),
            "W" => ((self.day - 1) / 7 + 1, 1),
            "WW" => ((self.day_of_year() - 1) / 7 + 1, 2),
            "IW" => (iso_week, 2),
            "CC" => (self.century(), 2),
            "J" => (self.days.map_or(0, |d| d + i64::from(Date::JULIAN_EPOCH)), 0),
            "Q" => ((self.month - 1) / 3 + 1, 0),
            _ => return None,
        })
    }

    fn word(&self, name: &str, fill: bool) -> Option<String> {
        let pad = |s: String, width: usize| if fill { format!("{s:<width$}") } else { s };
        let month = usize::try_from(self.month - 1).ok().filter(|m| *m < 12);
        let offset = self.zone.as_ref().map_or(0, |(o, _)| *o);
        let sign = if offset < 0 { '-' } else { '+' };
        let (hours, minutes) = (offset.abs() / 3600, offset.abs() / 60 % 60);
        Some(match name {
            "AM" | "PM" => if self.hour % 24 >= 12 { "PM" } else { "AM" }.to_owned(),
            "am" | "pm" => if self.hour % 24 >= 12 { "pm" } else { "am" }.to_owned(),
            "A.M." | "P.M." => if self.hour % 24 >= 12 { "P.M." } else { "A.M." }.to_owned(),
            "a.m." | "p.m." => if self.hour % 24 >= 12 { "p.m." } else { "a.m." }.to_owned(),
            "BC" | "AD" => if self.year <= 0 { "BC" } else { "AD" }.to_owned(),
            "bc" | "ad" => if self.year <= 0 { "bc" } else { "ad" }.to_owned(),
            "B.C." | "A.D." => if self.year <= 0 { "B.C." } else { "A.D." }.to_owned(),
            "b.c." | "a.d." => if self.year <= 0 { "b.c." } else { "a.d." }.to_owned(),
            "MONTH" | "Month" | "month" => pad(cased(name, month.map_or("", |m| MONTHS[m])), 9),
            "MON" | "Mon" | "mon" => cased(name, month.map_or("", |m| &MONTHS[m][..3])),
            "DAY" | "Day" | "day" => pad(cased(name, DAYS[self.weekday() as usize]), 9),
            "DY" | "Dy" | "dy" => cased(name, &DAYS[self.weekday() as usize][..3]),
            "RM" | "rm" => {
                pad(cased(if name == "RM" { "RM" } else { "rm" }, month.map_or("", |m| ROMAN_MONTHS[m])), 4)
            }
            "TZ" => self.zone.as_ref().map_or(String::new(), |(_, z)| z.to_uppercase()),
            "tz" => self.zone.as_ref().map_or(String::new(), |(_, z)| z.to_lowercase()),
            "TZH" => format!("{sign}{hours:02}"),
            "TZM" => format!("{minutes:02}"),
            "OF" if minutes != 0 => format!("{sign}{hours:02}:{minutes:02}"),
            "OF" => format!("{sign}{hours:02}"),
            _ => return None,
        })
    }

    fn write(&self, template: &str) -> String {
        let mut out = String::new();
        for node in parse(template) {
            match node {
                Node::Separator(c) | Node::Literal(c) => out.push(c),
                Node::Exact => {}
                // An interval without months is in no quarter.
                Node::Field { name: "Q", .. } if self.days.is_none() && self.month == 0 => {}
                Node::Field { name: "Y,YYY", ordinal, .. } => {
                    let y = self.shown_year();
                    out.push_str(&format!("{},{:03}", y / 1000, y % 1000));
                    out.push_str(ordinal.map_or("", |upper| ordinal_suffix(y, upper)));
                }
                Node::Field { name, fill, ordinal } => match self.number(name) {
                    Some((n, width)) => {
                        // A fraction of a second keeps its zeros whatever the fill mode.
                        let keep = matches!(name, "MS" | "US") || name.starts_with("FF");
                        let width = if fill || keep { width + usize::from(n < 0) } else { 0 };
                        out.push_str(&format!("{n:0width$}"));
                        out.push_str(ordinal.map_or("", |upper| ordinal_suffix(n, upper)));
                    }
                    None => out.push_str(&self.word(name, fill).unwrap_or_default()),
                },
            }
        }
        out
    }
}

/// Refuses fields that only a date has.
fn check_for_interval(template: &str) -> Result<(), EvalError> {
    const CALENDAR: [&str; 13] =
        ["TZ", "TZH", "TZM", "OF", "BC", "AD", "B.C.", "A.D.", "MONTH", "MON", "DAY", "DY", "D"];
    let calendar = |name: &str| {
        let upper = name.to_ascii_uppercase();
        upper == "ID" || CALENDAR.contains(&upper.as_str())
    };
    if parse(template).iter().any(|n| matches!(n, Node::Field { name, .. } if calendar(name))) {
        let e = EvalError::new("22007", "invalid format specification for an interval value");
        return Err(e.with_hint("Intervals are not tied to specific calendar dates."));
    }
    Ok(())
}

pub(super) fn register(r: &mut Registry) {
    r.add(f("to_char(timestamp, text) -> text nullable total", |_, arena, a| {
        let t = a[0].unwrap_timestamp();
        if !t.is_finite() || a[1].unwrap_str().is_empty() {
            return Ok(Datum::Null);
        }
        text(arena, timestamp_parts(t, None).write(a[1].unwrap_str()))
    }));
    zoned!(r, f, "to_char(timestamptz, text) -> text nullable stable", |tz, _cx, arena, a| {
        let t = a[0].unwrap_timestamptz();
        if !t.is_finite() || a[1].unwrap_str().is_empty() {
            return Ok(Datum::Null);
        }
        let abbreviation = match tz {
            TimeZone::Fixed(_) => String::new(),
            TimeZone::Named(_) => tz.abbreviation_at_utc(t),
        };
        let zone = (tz.offset_at_utc(t), abbreviation);
        text(arena, timestamp_parts(tz.to_local(t)?, Some(zone)).write(a[1].unwrap_str()))
    });
    r.add(f("to_char(interval, text) -> text nullable", |_, arena, a| {
        if a[1].unwrap_str().is_empty() {
            return Ok(Datum::Null);
        }
        check_for_interval(a[1].unwrap_str())?;
        text(arena, interval_parts(&a[0].unwrap_interval()).write(a[1].unwrap_str()))
    }));
}
