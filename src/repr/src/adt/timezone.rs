//! Time zones: names of the time-zone database, abbreviations, and fixed offsets.
//!
//! Local times that a change of the clock skips are read with the offset before the change, and those that occur
//! twice with the offset after it (PostgreSQL manual, B.2).

use std::fmt;

use chrono::{DateTime, NaiveDateTime, Offset, TimeDelta, TimeZone as _};
use chrono_tz::OffsetComponents as _;
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

/// Zone abbreviations of PostgreSQL's default set, with their offsets in seconds east of Greenwich
/// (`pg_timezone_abbrevs`). For the few whose offset has changed over the years it is today's.
const ABBREVIATIONS: &[(&str, i32)] = &[
    ("acdt", 37800),
    ("acsst", 37800),
    ("acst", 34200),
    ("act", -18000),
    ("acwst", 31500),
    ("adt", -10800),
    ("aedt", 39600),
    ("aesst", 39600),
    ("aest", 36000),
    ("aft", 16200),
    ("akdt", -28800),
    ("akst", -32400),
    ("almst", 25200),
    ("almt", 21600),
    ("amst", 14400),
    ("amt", -14400),
    ("anast", 43200),
    ("anat", 43200),
    ("arst", -10800),
    ("art", -10800),
    ("ast", -14400),
    ("awsst", 32400),
    ("awst", 28800),
    ("azost", 0),
    ("azot", -3600),
    ("azst", 14400),
    ("azt", 14400),
    ("bdst", 7200),
    ("bdt", 21600),
    ("bnt", 28800),
    ("bort", 28800),
    ("bot", -14400),
    ("bra", -10800),
    ("brst", -7200),
    ("brt", -10800),
    ("bst", 3600),
    ("btt", 21600),
    ("cadt", 37800),
    ("cast", 34200),
    ("cct", 28800),
    ("cdt", -18000),
    ("cest", 7200),
    ("cet", 3600),
    ("cetdst", 7200),
    ("chadt", 49500),
    ("chast", 45900),
    ("chut", 36000),
    ("ckt", -36000),
    ("clst", -10800),
    ("clt", -10800),
    ("cot", -18000),
    ("cst", -21600),
    ("cxt", 25200),
    ("davt", 25200),
    ("ddut", 36000),
    ("easst", -18000),
    ("east", -18000),
    ("eat", 10800),
    ("edt", -14400),
    ("eest", 10800),
    ("eet", 7200),
    ("eetdst", 10800),
    ("egst", 0),
    ("egt", -3600),
    ("est", -18000),
    ("fet", 10800),
    ("fjst", 46800),
    ("fjt", 43200),
    ("fkst", -10800),
    ("fkt", -10800),
    ("fnst", -3600),
    ("fnt", -7200),
    ("galt", -21600),
    ("gamt", -32400),
    ("gest", 14400),
    ("get", 14400),
    ("gft", -10800),
    ("gilt", 43200),
    ("gmt", 0),
    ("gyt", -14400),
    ("hkt", 28800),
    ("hst", -36000),
    ("ict", 25200),
    ("idt", 10800),
    ("iot", 21600),
    ("irkst", 28800),
    ("irkt", 28800),
    ("irt", 12600),
    ("ist", 7200),
    ("jayt", 32400),
    ("jst", 32400),
    ("kdt", 36000),
    ("kgst", 21600),
    ("kgt", 21600),
    ("kost", 39600),
    ("krast", 25200),
    ("krat", 25200),
    ("kst", 32400),
    ("lhdt", 39600),
    ("lhst", 37800),
    ("ligt", 36000),
    ("lint", 50400),
    ("lkt", 19800),
    ("magst", 39600),
    ("magt", 39600),
    ("mart", -34200),
    ("mawt", 18000),
    ("mdt", -21600),
    ("mest", 7200),
    ("mesz", 7200),
    ("met", 3600),
    ("metdst", 7200),
    ("mez", 3600),
    ("mht", 43200),
    ("mmt", 23400),
    ("mpt", 36000),
    ("msd", 14400),
    ("msk", 10800),
    ("mst", -25200),
    ("must", 18000),
    ("mut", 14400),
    ("mvt", 18000),
    ("myt", 28800),
    ("ndt", -9000),
    ("nft", -12600),
    ("novst", 25200),
    ("novt", 25200),
    ("npt", 20700),
    ("nst", -12600),
    ("nut", -39600),
    ("nzdt", 46800),
    ("nzst", 43200),
    ("nzt", 43200),
    ("omsst", 21600),
    ("omst", 21600),
    ("pdt", -25200),
    ("pet", -18000),
    ("petst", 43200),
    ("pett", 43200),
    ("pgt", 36000),
    ("pht", 28800),
    ("pkst", 21600),
    ("pkt", 18000),
    ("pmdt", -7200),
    ("pmst", -10800),
    ("pont", 39600),
    ("pst", -28800),
    ("pwt", 32400),
    ("pyst", -10800),
    ("pyt", -10800),
    ("ret", 14400),
    ("sadt", 37800),
    ("sast", 7200),
    ("sct", 14400),
    ("sgt", 28800),
    ("taht", -36000),
    ("tft", 18000),
    ("tjt", 18000),
    ("tkt", 46800),
    ("tmt", 18000),
    ("tot", 46800),
    ("trut", 36000),
    ("tvt", 43200),
    ("uct", 0),
    ("ulast", 32400),
    ("ulat", 28800),
    ("ut", 0),
    ("utc", 0),
    ("uyst", -7200),
    ("uyt", -10800),
    ("uzst", 21600),
    ("uzt", 18000),
    ("vet", -14400),
    ("vlast", 36000),
    ("vlat", 36000),
    ("volt", 10800),
    ("vut", 39600),
    ("wadt", 28800),
    ("wakt", 43200),
    ("wast", 25200),
    ("wat", 3600),
    ("wdt", 32400),
    ("wet", 0),
    ("wetdst", 3600),
    ("wft", 43200),
    ("wgst", -7200),
    ("wgt", -10800),
    ("xjt", 21600),
    ("yakst", 32400),
    ("yakt", 32400),
    ("yapt", 36000),
    ("yekst", 21600),
    ("yekt", 18000),
    ("z", 0),
    ("zulu", 0),
];

/// Those of them that mean summer time in PostgreSQL's default set, in order.
const SUMMER_TIMES: &[&str] = &[
    "acdt", "acsst", "adt", "aedt", "aesst", "akdt", "almst", "awsst", "azost", "bdst", "brst", "bst",
    "cadt", "cdt", "cest", "cetdst", "chadt", "clst", "clt", "easst", "east", "edt", "eest", "eetdst",
    "egst", "fjst", "fnst", "idt", "kdt", "kgst", "lhdt", "mdt", "mest", "mesz", "metdst", "msd", "must",
    "ndt", "nzdt", "pdt", "pkst", "pmdt", "pyst", "sadt", "ulast", "uyst", "uzst", "wadt", "wdt", "wetdst",
    "wgst", "yekst",
];

/// The abbreviations of zones that can be written: name in capitals, offset in seconds, whether it is summer time.
pub fn abbreviations() -> impl Iterator<Item = (String, i32, bool)> {
    ABBREVIATIONS
        .iter()
        .map(|(name, offset)| (name.to_ascii_uppercase(), *offset, SUMMER_TIMES.binary_search(name).is_ok()))
}

/// The zones of the database at a UTC time: name, abbreviation, offset in seconds, whether it is summer time.
pub fn zones_at(utc: CivilTimestamp) -> impl Iterator<Item = (&'static str, String, i32, bool)> {
    let at = naive(utc).unwrap_or_default();
    chrono_tz::TZ_VARIANTS.iter().map(move |tz| {
        let offset = tz.offset_from_utc_datetime(&at);
        let seconds = offset.fix().local_minus_utc();
        (tz.name(), offset.to_string(), seconds, !offset.dst_offset().is_zero())
    })
}

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
