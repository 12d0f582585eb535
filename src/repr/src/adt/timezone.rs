//! Time zones: names of the time-zone database, abbreviations, and fixed offsets.
//!
//! Local times that a change of the clock skips are read with the offset before the change, and those that occur
//! twice with the offset after it (PostgreSQL manual, B.2).

use std::fmt;

use chrono::{DateTime, NaiveDateTime, Offset, TimeDelta, TimeZone as _};
use serde::{Deserialize, Serialize};

use super::calendar::{days_from_ymd, is_leap_year, weekday_from_monday};
use super::error::AdtError;
use super::interval::Interval;
use super::timestamp::CivilTimestamp;

/// A time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeZone {
    /// A zone of the time-zone database.
    Named(chrono_tz::Tz),
    /// A fixed offset in seconds east of Greenwich.
    Fixed(i32),
}

/// Zone abbreviations that PostgreSQL's default set knows, with their offsets in seconds east of Greenwich.
/// Those that are also zones of the database (EST, MST, …) have the same offset there.
const ABBREVIATIONS: &[(&str, i32)] = &[
    ("acdt", 37800), ("acst", 34200), ("adt", -10800), ("aedt", 39600), ("aest", 36000), ("akdt", -28800),
    ("akst", -32400), ("ast", -14400), ("awst", 28800), ("bst", 3600), ("cadt", 37800), ("cast", 34200),
    ("cdt", -18000), ("cest", 7200), ("cet", 3600), ("cst", -21600), ("dnt", 3600), ("eat", 10800),
    ("edt", -14400), ("eest", 10800), ("eet", 7200), ("est", -18000), ("fst", 3600), ("gmt", 0), ("hst", -36000),
    ("idt", 10800), ("jst", 32400), ("kst", 32400), ("mdt", -21600), ("mest", 7200), ("met", 3600),
    ("metdst", 7200), ("mez", 3600), ("msd", 14400), ("msk", 10800), ("mst", -25200), ("ndt", -9000),
    ("nst", -12600), ("nzdt", 46800), ("nzst", 43200), ("pdt", -25200), ("pst", -28800), ("sadt", 37800),
    ("sast", 7200), ("sgt", 28800), ("ut", 0), ("utc", 0), ("wast", 7200), ("wat", 3600), ("west", 3600),
    ("wet", 0), ("z", 0), ("zulu", 0),
];

/// The offset in seconds of an abbreviation such as `pst`, in any case.
pub fn abbreviation_offset(name: &str) -> Option<i32> {
    ABBREVIATIONS.iter().find(|(abbrev, _)| abbrev.eq_ignore_ascii_case(name)).map(|(_, offset)| *offset)
}

impl Default for TimeZone {
    fn default() -> Self {
        Self::UTC
    }
}

impl TimeZone {
    /// Coordinated universal time.
    pub const UTC: TimeZone = TimeZone::Named(chrono_tz::UTC);

    /// Reads a zone as `AT TIME ZONE` takes it: a name of the database in any case, an abbreviation, or a POSIX
    /// specification such as `UTC+3`, `+3` or `<+03>-3`, whose offsets count westward.
    ///
    /// # Errors
    /// When there is no such zone.
    pub fn parse(name: &str) -> Result<TimeZone, AdtError> {
        if let Some(offset) = abbreviation_offset(name) {
            return Ok(if offset == 0 { Self::UTC } else { TimeZone::Fixed(offset) });
        }
        Self::parse_name(name)
            .or_else(|| parse_posix(name))
            .ok_or_else(|| AdtError::UnknownTimeZone(name.into()))
    }

    /// Reads a zone as `SET TIME ZONE` takes it: as [`TimeZone::parse`], but a bare number is hours eastward.
    ///
    /// # Errors
    /// When there is no such zone.
    pub fn parse_setting(name: &str) -> Result<TimeZone, AdtError> {
        if let Ok(hours) = name.trim().parse::<f64>()
            && hours.abs() <= 168.0
        {
            return Ok(TimeZone::Fixed((hours * 3600.0) as i32));
        }
        Self::parse_name(name).map_or_else(|| Self::parse(name), Ok)
    }

    fn parse_name(name: &str) -> Option<TimeZone> {
        if let Ok(tz) = name.parse::<chrono_tz::Tz>() {
            return Some(TimeZone::Named(tz));
        }
        let found = chrono_tz::TZ_VARIANTS.iter().find(|tz| tz.name().eq_ignore_ascii_case(name));
        found.map(|tz| TimeZone::Named(*tz))
    }

    /// The offset in seconds east of Greenwich at a UTC time.
    pub fn offset_at_utc(&self, utc: CivilTimestamp) -> i32 {
        match self {
            TimeZone::Fixed(offset) => *offset,
            TimeZone::Named(tz) => {
                naive(utc).map_or(0, |n| tz.offset_from_utc_datetime(&n).fix().local_minus_utc())
            }
        }
    }

    /// The offset in seconds east of Greenwich that applies to a local time.
    pub fn offset_at_local(&self, local: CivilTimestamp) -> i32 {
        match self {
            TimeZone::Fixed(offset) => *offset,
            TimeZone::Named(tz) => {
                let Some(n) = naive(local) else { return 0 };
                match tz.offset_from_local_datetime(&n) {
                    chrono::MappedLocalTime::Single(o) => o.fix().local_minus_utc(),
                    chrono::MappedLocalTime::Ambiguous(_, after) => after.fix().local_minus_utc(),
                    // Skipped by the clock: a day earlier the offset before the change applied.
                    chrono::MappedLocalTime::None => {
                        let before = n.checked_sub_signed(TimeDelta::hours(26)).unwrap_or(n);
                        tz.offset_from_utc_datetime(&before).fix().local_minus_utc()
                    }
                }
            }
        }
    }

    /// The abbreviation in force at a UTC time, as `to_char(…, 'TZ')` shows it.
    pub fn abbreviation_at_utc(&self, utc: CivilTimestamp) -> String {
        match (self, naive(utc)) {
            (TimeZone::Named(tz), Some(n)) => tz.offset_from_utc_datetime(&n).to_string(),
            _ => String::new(),
        }
    }

    /// The local time at a UTC time. Infinities stay.
    ///
    /// # Errors
    /// When the result is out of range.
    pub fn to_local(&self, utc: CivilTimestamp) -> Result<CivilTimestamp, AdtError> {
        if !utc.is_finite() {
            return Ok(utc);
        }
        utc.checked_add_us(i64::from(self.offset_at_utc(utc)) * 1_000_000)
    }

    /// The UTC time at a local time. Infinities stay.
    ///
    /// # Errors
    /// When the result is out of range.
    pub fn to_utc(&self, local: CivilTimestamp) -> Result<CivilTimestamp, AdtError> {
        if !local.is_finite() {
            return Ok(local);
        }
        local.checked_add_us(-i64::from(self.offset_at_local(local)) * 1_000_000)
    }

    /// A fixed zone of an interval's length, as `AT TIME ZONE INTERVAL` takes it.
    ///
    /// # Errors
    /// When the interval has months or days.
    pub fn from_interval(interval: &Interval) -> Result<TimeZone, AdtError> {
        let seconds = i32::try_from(interval.micros / 1_000_000).ok();
        match seconds {
            Some(s) if interval.months == 0 && interval.days == 0 => Ok(TimeZone::Fixed(s)),
            _ => Err(AdtError::UnknownTimeZone(crate::text::interval::format(interval).into())),
        }
    }
}

/// A chrono time with the same offset rules: years past the tables of the time-zone crate are replaced by one with
/// the same calendar, since the rules in force then repeat for ever.
fn naive(t: CivilTimestamp) -> Option<NaiveDateTime> {
    const LAST_TABLED_YEAR: i32 = 2090;
    let mut t = t;
    let (year, month, day) = t.date().ymd();
    if year > LAST_TABLED_YEAR {
        let jan1 = weekday_from_monday(days_from_ymd(year, 1, 1));
        let twin = (LAST_TABLED_YEAR - 28..LAST_TABLED_YEAR).find(|y| {
            is_leap_year(*y) == is_leap_year(year) && weekday_from_monday(days_from_ymd(*y, 1, 1)) == jan1
        })?;
        let us = t.0.rem_euclid(Interval::US_PER_DAY);
        t = CivilTimestamp(days_from_ymd(twin, month, day) * Interval::US_PER_DAY + us);
    }
    DateTime::from_timestamp_micros(t.to_unix_us()?).map(|d| d.naive_utc())
}

/// A POSIX zone without daylight saving: optional letters or `<…>`, then an offset that counts westward.
fn parse_posix(s: &str) -> Option<TimeZone> {
    let rest = match s.strip_prefix('<') {
        Some(r) => r.split_once('>')?.1,
        None => s.trim_start_matches(|c: char| c.is_ascii_alphabetic()),
    };
    let (sign, digits) = match rest.as_bytes().first()? {
        b'+' => (-1, &rest[1..]),
        b'-' => (1, &rest[1..]),
        b'0'..=b'9' => (-1, rest),
        _ => return None,
    };
    let mut seconds = 0i32;
    let parts: Vec<&str> = digits.split(':').collect();
    if parts.len() > 3 {
        return None;
    }
    for (part, unit) in parts.iter().zip([3600, 60, 1]) {
        if part.is_empty() || part.len() > 3 || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let v: i32 = part.parse().ok()?;
        if (unit == 3600 && v > 167) || (unit != 3600 && v > 59) {
            return None;
        }
        seconds += v * unit;
    }
    Some(TimeZone::Fixed(sign * seconds))
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TimeZone::Named(tz) => f.write_str(tz.name()),
            TimeZone::Fixed(0) => f.write_str("UTC"),
            TimeZone::Fixed(offset) => {
                let (east, west) = if *offset > 0 { ('+', '-') } else { ('-', '+') };
                let a = offset.unsigned_abs();
                let mut text = format!("{:02}", a / 3600);
                if a % 3600 != 0 {
                    text.push_str(&format!(":{:02}", a % 3600 / 60));
                }
                if a % 60 != 0 {
                    text.push_str(&format!(":{:02}", a % 60));
                }
                write!(f, "<{east}{text}>{west}{text}")
            }
        }
    }
}

impl Serialize for TimeZone {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeZone {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let name = String::deserialize(d)?;
        TimeZone::parse_name(&name)
            .or_else(|| parse_posix(&name))
            .ok_or_else(|| serde::de::Error::custom(format!("no time zone {name:?}")))
    }
}
