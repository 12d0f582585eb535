//! Input of dates, times and timestamps: all forms of PostgreSQL's manual, sections 8.5.1 and B, under
//! `DateStyle = ISO, MDY`.

use super::decode::DecodeContext;
use super::error::{ParseError, ParseErrorKind};
use crate::adt::calendar::{days_from_ymd, days_in_month, ymd_from_days};
use crate::adt::timezone::abbreviation_offset;
use crate::adt::{CivilTimestamp, Date, Interval, Time, TimeZone};

pub(crate) mod token;

use token::{Token, is_weekday, month, tokenize};

/// What stopped the reading.
enum Stop {
    Syntax,
    Field,
    MonthOrDay,
    Displacement,
    UnknownZone(String),
    Volatile,
}

impl Stop {
    fn into_error(self, typ: &str, s: &str) -> ParseError {
        let out_of_range = || {
            let message = format!("date/time field value out of range: \"{s}\"");
            ParseError::new(ParseErrorKind::DatetimeOverflow, message)
        };
        match self {
            Stop::Syntax => ParseError::new(
                ParseErrorKind::InvalidDatetime,
                format!("invalid input syntax for type {typ}: \"{s}\""),
            ),
            Stop::Field => out_of_range(),
            Stop::MonthOrDay => {
                out_of_range().with_hint("Perhaps you need a different \"datestyle\" setting.")
            }
            Stop::Displacement => ParseError::new(
                ParseErrorKind::InvalidTimeZone,
                format!("time zone displacement out of range: \"{s}\""),
            ),
            Stop::UnknownZone(name) => ParseError::new(
                ParseErrorKind::InvalidParameter,
                format!("time zone \"{name}\" not recognized"),
            ),
            Stop::Volatile => ParseError::new(
                ParseErrorKind::Volatile,
                format!("\"{s}\" for type {typ} depends on the current time"),
            ),
        }
    }
}

/// A word that stands for a whole date or time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Special {
    Infinity,
    NegInfinity,
    Epoch,
    Now,
    /// Days from today, at midnight unless a time is given.
    Today(i32),
}

/// What the tokens say. The year is astronomical once `date` is set.
#[derive(Default)]
struct Fields {
    special: Option<Special>,
    date: Option<(i64, u32, u32)>,
    clock_us: Option<i64>,
    zone: Option<TimeZone>,
}

fn out_of_range(what: &str, s: &str) -> ParseError {
    ParseError::new(ParseErrorKind::DatetimeOverflow, format!("{what} out of range: \"{s}\""))
}

/// Reads a date. A time that is given is ignored.
///
/// # Errors
/// When the text is no date.
pub fn parse_date(s: &str, cx: &DecodeContext) -> Result<Date, ParseError> {
    let fail = |stop: Stop| stop.into_error("date", s);
    let fields = read(s).map_err(fail)?;
    match fields.special {
        Some(Special::Infinity) => return Ok(Date::INFINITY),
        Some(Special::NegInfinity) => return Ok(Date::NEG_INFINITY),
        Some(Special::Epoch) => return Ok(Date(-Date::UNIX_EPOCH_OFFSET_DAYS)),
        Some(special) => return Ok(local_special(special, None, cx).map_err(fail)?.date()),
        None => {}
    }
    let (year, month, day) = fields.date.ok_or(Stop::Syntax).map_err(fail)?;
    let year = i32::try_from(year).map_err(|_| out_of_range("date", s))?;
    Date::from_ymd(year, month, day).ok_or_else(|| out_of_range("date", s))
}

/// Reads a time of day. A date that is given is ignored, and a zone too.
///
/// # Errors
/// When the text is no time.
pub fn parse_time(s: &str, cx: &DecodeContext) -> Result<Time, ParseError> {
    let fail = |stop: Stop| stop.into_error("time", s);
    let fields = read_time(s).map_err(fail)?;
    match (fields.special, fields.clock_us) {
        (Some(Special::Now), None) => Ok(local_special(Special::Now, None, cx).map_err(fail)?.time()),
        (None, Some(us)) => Time::from_us(us).map_err(|_| fail(Stop::Field)),
        _ => Err(fail(Stop::Syntax)),
    }
}

/// Reads a timestamp. A zone that is given is ignored.
///
/// # Errors
/// When the text is no timestamp.
pub fn parse_timestamp(s: &str, cx: &DecodeContext) -> Result<CivilTimestamp, ParseError> {
    let fields = read(s).map_err(|stop| stop.into_error("timestamp", s))?;
    civil(&fields, s, "timestamp", cx)
}

/// Reads a timestamp with time zone; one without a zone is in the context's.
///
/// # Errors
/// When the text is no timestamp.
pub fn parse_timestamptz(s: &str, cx: &DecodeContext) -> Result<CivilTimestamp, ParseError> {
    const TYPE: &str = "timestamp with time zone";
    let fields = read(s).map_err(|stop| stop.into_error(TYPE, s))?;
    if fields.special == Some(Special::Epoch) {
        return Ok(CivilTimestamp::UNIX_EPOCH);
    }
    if fields.special == Some(Special::Now) {
        return cx.now.ok_or(Stop::Volatile).map_err(|stop| stop.into_error(TYPE, s));
    }
    // The local time may lie outside of the range by an offset.
    let local = civil_unchecked(&fields, s, TYPE, cx)?;
    if !local.is_finite() {
        return Ok(local);
    }
    let zone = fields.zone.unwrap_or(cx.timezone);
    zone.to_utc(local).map_err(|_| out_of_range("timestamp", s))
}

fn civil(fields: &Fields, s: &str, typ: &str, cx: &DecodeContext) -> Result<CivilTimestamp, ParseError> {
    let t = civil_unchecked(fields, s, typ, cx)?;
    if t.is_in_range() || !t.is_finite() { Ok(t) } else { Err(out_of_range("timestamp", s)) }
}

fn civil_unchecked(
    fields: &Fields,
    s: &str,
    typ: &str,
    cx: &DecodeContext,
) -> Result<CivilTimestamp, ParseError> {
    match fields.special {
        Some(Special::Infinity) => return Ok(CivilTimestamp::INFINITY),
        Some(Special::NegInfinity) => return Ok(CivilTimestamp::NEG_INFINITY),
        Some(Special::Epoch) => return Ok(CivilTimestamp::UNIX_EPOCH),
        Some(special) => {
            return local_special(special, fields.clock_us, cx).map_err(|stop| stop.into_error(typ, s));
        }
        None => {}
    }
    let (year, month, day) = fields.date.ok_or_else(|| Stop::Syntax.into_error(typ, s))?;
    // Beyond this no zone's offset brings the time back into range.
    let year = i32::try_from(year).ok().filter(|y| (-4800..=294_277).contains(y));
    let year = year.ok_or_else(|| out_of_range("timestamp", s))?;
    let us = days_from_ymd(year, month, day).checked_mul(Interval::US_PER_DAY);
    let us = us.and_then(|us| us.checked_add(fields.clock_us.unwrap_or(0)));
    us.map(CivilTimestamp).ok_or_else(|| out_of_range("timestamp", s))
}

/// The local time of a word that depends on the current time.
fn local_special(
    special: Special,
    clock_us: Option<i64>,
    cx: &DecodeContext,
) -> Result<CivilTimestamp, Stop> {
    let now = cx.now.ok_or(Stop::Volatile)?;
    let local = cx.timezone.to_local(now).map_err(|_| Stop::Field)?;
    let Special::Today(days) = special else { return Ok(local) };
    let midnight = CivilTimestamp(local.0 - local.time().0);
    let day = midnight.add_days(days).map_err(|_| Stop::Field)?;
    day.checked_add_us(clock_us.unwrap_or(0)).map_err(|_| Stop::Field)
}

/// A number of a date that is not in one piece, for example in `8 January 1999`.
type LooseNumber = String;

/// Collects what the tokens say.
#[derive(Default)]
struct Reader {
    fields: Fields,
    text_month: Option<u32>,
    loose: Vec<LooseNumber>,
    pieces: Option<Pieces>,
    bc: Option<bool>,
    pm: Option<bool>,
    /// An ISO 8601 `T` was read, so that a time must follow.
    time_follows: bool,
}

/// The parts of a date as written.
struct Pieces {
    year: String,
    month: u32,
    day: u32,
}

fn read(s: &str) -> Result<Fields, Stop> {
    let tokens = tokenize(s).ok_or(Stop::Syntax)?;
    let mut reader = Reader::default();
    reader.read_all(&tokens)?;
    reader.finish()
}

/// Reads a time alone, where digits in one piece are `hhmmss` or `hhmm`.
fn read_time(s: &str) -> Result<Fields, Stop> {
    let tokens = split_clock_and_zone(tokenize(s).ok_or(Stop::Syntax)?);
    let has_date = tokens.iter().any(|t| matches!(t, Token::Date(_)))
        || tokens.iter().any(|t| matches!(t, Token::Word(w) if month(w).is_some()));
    let numbers = tokens.iter().filter(|t| matches!(t, Token::Number(_))).count();
    let mut reader = Reader { time_follows: !has_date && numbers < 2, ..Reader::default() };
    reader.read_all(&tokens)?;
    reader.finish()
}

/// In a time alone, `040506-08` is a time and its zone rather than a date.
fn split_clock_and_zone(tokens: Vec<Token>) -> Vec<Token> {
    let split = |token: Token| match &token {
        Token::Date(s) => match s.split_once('-') {
            Some((clock, zone))
                if matches!(clock.len(), 4 | 6) && zone.bytes().all(|b| b.is_ascii_digit()) =>
            {
                vec![Token::Number(clock.to_owned()), Token::Offset(format!("-{zone}"))]
            }
            _ => vec![token],
        },
        _ => vec![token],
    };
    tokens.into_iter().flat_map(split).collect()
}

impl Reader {
    fn read_all(&mut self, tokens: &[Token]) -> Result<(), Stop> {
        let mut tokens = tokens.iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                Token::Date(s) => {
                    // PostgreSQL takes a date in one piece only before the time.
                    if self.pieces.is_some() || !self.loose.is_empty() || self.fields.clock_us.is_some() {
                        return Err(Stop::Syntax);
                    }
                    self.pieces = Some(split_date(s)?);
                }
                Token::Clock(s) => self.set_clock(clock_us(s)?)?,
                Token::Number(s) => self.number(s)?,
                Token::Offset(s) => {
                    let zone = TimeZone::Fixed(offset_seconds(s)?);
                    self.set_zone(zone)?;
                }
                Token::Zone(s) => {
                    let zone = TimeZone::parse(s).map_err(|_| Stop::UnknownZone(s.to_ascii_lowercase()))?;
                    self.set_zone(zone)?;
                }
                Token::Word(w) if matches!(w.as_str(), "j" | "jd" | "julian") => {
                    let Some(Token::Number(n)) = tokens.next() else { return Err(Stop::Syntax) };
                    self.julian(n)?;
                }
                Token::Word(w) => self.word(w)?,
            }
        }
        Ok(())
    }

    fn set_clock(&mut self, us: i64) -> Result<(), Stop> {
        if self.fields.clock_us.replace(us).is_some() {
            return Err(Stop::Syntax);
        }
        self.time_follows = false;
        Ok(())
    }

    fn set_zone(&mut self, zone: TimeZone) -> Result<(), Stop> {
        if self.fields.zone.replace(zone).is_some() { Err(Stop::Syntax) } else { Ok(()) }
    }

    fn set_special(&mut self, special: Special) -> Result<(), Stop> {
        if self.fields.special.replace(special).is_some() { Err(Stop::Syntax) } else { Ok(()) }
    }

    fn julian(&mut self, n: &str) -> Result<(), Stop> {
        let day: i64 = n.parse().map_err(|_| Stop::Syntax)?;
        if day > i64::from(i32::MAX) {
            return Err(Stop::Field);
        }
        let (y, m, d) = ymd_from_days(day - i64::from(Date::JULIAN_EPOCH));
        if self.fields.date.replace((i64::from(y), m, d)).is_some() { Err(Stop::Syntax) } else { Ok(()) }
    }

    fn word(&mut self, w: &str) -> Result<(), Stop> {
        if let Some(m) = month(w) {
            return if self.text_month.replace(m).is_some() { Err(Stop::Syntax) } else { Ok(()) };
        }
        if is_weekday(w) {
            return Ok(());
        }
        match w {
            "t" => {
                self.time_follows = true;
                Ok(())
            }
            "at" | "on" => Ok(()),
            "am" | "pm" => {
                if self.pm.replace(w == "pm").is_some() {
                    Err(Stop::Syntax)
                } else {
                    Ok(())
                }
            }
            "bc" | "ad" => {
                if self.bc.replace(w == "bc").is_some() {
                    Err(Stop::Syntax)
                } else {
                    Ok(())
                }
            }
            "infinity" | "+infinity" => self.set_special(Special::Infinity),
            "-infinity" => self.set_special(Special::NegInfinity),
            "epoch" => self.set_special(Special::Epoch),
            "now" => self.set_special(Special::Now),
            "today" => self.set_special(Special::Today(0)),
            "tomorrow" => self.set_special(Special::Today(1)),
            "yesterday" => self.set_special(Special::Today(-1)),
            "allballs" => {
                self.set_zone(TimeZone::UTC)?;
                self.set_clock(0)
            }
            _ => {
                let abbreviation = abbreviation_offset(w).map(TimeZone::Fixed);
                let zone = abbreviation.or_else(|| TimeZone::parse(w).ok()).ok_or(Stop::Syntax)?;
                self.set_zone(zone)
            }
        }
    }

    /// A number by itself: a date or a time without separators, a year with the day of the year, or a part of a
    /// date with spaces.
    fn number(&mut self, s: &str) -> Result<(), Stop> {
        let (whole, fraction) = s.split_once('.').map_or((s, None), |(w, f)| (w, Some(f)));
        let no_date = self.pieces.is_none() && self.fields.date.is_none() && self.loose.is_empty();
        if self.time_follows || (!no_date && self.text_month.is_none() && self.loose.is_empty()) {
            return self.packed_clock(whole, fraction);
        }
        let text_or_loose = self.text_month.is_some() || !self.loose.is_empty();
        if !text_or_loose {
            match (whole.len(), fraction) {
                (4, Some(doy)) if doy.len() == 3 => return self.year_and_day(whole, doy),
                (n @ 6.., None) => {
                    return self.packed_date(&whole[..n - 4], &whole[n - 4..n - 2], &whole[n - 2..]);
                }
                _ => {}
            }
        }
        if fraction.is_some() {
            return Err(Stop::Syntax);
        }
        // `Jan 8 1999 040506`: all parts of the date are there.
        let parts = self.loose.len() + usize::from(self.text_month.is_some());
        if parts >= 3 {
            return self.packed_clock(whole, None);
        }
        self.loose.push(whole.to_owned());
        Ok(())
    }

    fn packed_date(&mut self, year: &str, month: &str, day: &str) -> Result<(), Stop> {
        self.pieces = Some(Pieces { year: year.to_owned(), month: small(month)?, day: small(day)? });
        Ok(())
    }

    fn year_and_day(&mut self, year: &str, day_of_year: &str) -> Result<(), Stop> {
        let year: i32 = year.parse().map_err(|_| Stop::Field)?;
        let doy: i64 = day_of_year.parse().map_err(|_| Stop::Field)?;
        if !(1..=366).contains(&doy) {
            return Err(Stop::Field);
        }
        let date = Date::from_days(days_from_ymd(year, 1, 1) + doy - 1).map_err(|_| Stop::Field)?;
        let (y, m, d) = date.ymd();
        self.fields.date = Some((i64::from(y), m, d));
        Ok(())
    }

    fn packed_clock(&mut self, whole: &str, fraction: Option<&str>) -> Result<(), Stop> {
        let (h, m, s) = match (whole.len(), fraction) {
            (6, _) => (&whole[..2], &whole[2..4], &whole[4..]),
            (4, None) => (&whole[..2], &whole[2..], "0"),
            _ => return Err(Stop::Syntax),
        };
        self.set_clock(assemble_clock(h, m, s, fraction.unwrap_or(""))?)
    }

    fn finish(mut self) -> Result<Fields, Stop> {
        if self.time_follows && self.fields.clock_us.is_none() && self.fields.special.is_none() {
            return Err(Stop::Syntax);
        }
        if let Some(pm) = self.pm {
            let us = self.fields.clock_us.ok_or(Stop::Syntax)?;
            let hour = us / 3_600_000_000;
            if hour > 12 || us > 12 * 3_600_000_000 + 3_599_999_999 {
                return Err(Stop::Field);
            }
            let shift = match (pm, hour == 12) {
                (true, false) => 12,
                (false, true) => -12,
                _ => 0,
            };
            self.fields.clock_us = Some(us + shift * 3_600_000_000);
        }
        let pieces = match (self.pieces.take(), self.text_month, self.loose.is_empty()) {
            (Some(p), None, true) => Some(p),
            (None, None, true) => None,
            (None, text_month, false) => Some(assemble_date(text_month, &self.loose)?),
            _ => return Err(Stop::Syntax),
        };
        let bc = self.bc.unwrap_or(false);
        if let Some(p) = pieces {
            if self.fields.date.is_some() {
                return Err(Stop::Syntax);
            }
            self.fields.date = Some(validate(&p, bc)?);
        } else if self.bc.is_some() {
            return Err(Stop::Syntax);
        }
        let is_day = matches!(self.fields.special, Some(Special::Today(_)));
        let extra = self.fields.date.is_some() || (self.fields.clock_us.is_some() && !is_day);
        if self.fields.special.is_some() && extra {
            return Err(Stop::Syntax);
        }
        Ok(self.fields)
    }
}

fn small(s: &str) -> Result<u32, Stop> {
    s.parse().map_err(|_| if s.bytes().all(|b| b.is_ascii_digit()) { Stop::Field } else { Stop::Syntax })
}

/// The parts of a date whose numbers stand apart: with a month's name the longer or later number is the year,
/// without one the order is month, day, year, or year, month, day when the first has more than two digits.
fn assemble_date(text_month: Option<u32>, numbers: &[LooseNumber]) -> Result<Pieces, Stop> {
    match (text_month, numbers) {
        (Some(month), [a, b]) => {
            let (year, day) = if a.len() > 2 { (a, b) } else { (b, a) };
            Ok(Pieces { year: year.clone(), month, day: small(day)? })
        }
        (None, [a, b, c]) if a.len() > 2 => Ok(Pieces { year: a.clone(), month: small(b)?, day: small(c)? }),
        (None, [a, b, c]) => Ok(Pieces { year: c.clone(), month: small(a)?, day: small(b)? }),
        _ => Err(Stop::Syntax),
    }
}

/// The parts of a date in one piece.
fn split_date(s: &str) -> Result<Pieces, Stop> {
    let parts: Vec<&str> = s.trim_start_matches(['+', '-']).split(['-', '/', '.']).collect();
    let named = parts.iter().position(|p| p.starts_with(|c: char| c.is_ascii_alphabetic()));
    let [a, b, c] = parts.as_slice() else {
        // `1999-008` is a year and a day of it.
        return match parts.as_slice() {
            [year, doy] if year.len() == 4 && doy.len() == 3 && named.is_none() => ordinal(year, doy),
            _ => Err(Stop::Syntax),
        };
    };
    if s.starts_with(['+', '-']) {
        return Err(Stop::Syntax);
    }
    let Some(at) = named else { return assemble_date(None, &[a.to_string(), b.to_string(), c.to_string()]) };
    let month = month(&parts[at].to_ascii_lowercase()).ok_or(Stop::Syntax)?;
    let numbers: Vec<String> =
        parts.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, p)| (*p).to_owned()).collect();
    if numbers.iter().any(|n| !n.bytes().all(|b| b.is_ascii_digit())) {
        return Err(Stop::Syntax);
    }
    assemble_date(Some(month), &numbers)
}

fn ordinal(year: &str, doy: &str) -> Result<Pieces, Stop> {
    let (y, d): (i32, i64) = (year.parse().map_err(|_| Stop::Field)?, doy.parse().map_err(|_| Stop::Field)?);
    if !(1..=366).contains(&d) {
        return Err(Stop::Field);
    }
    let date = Date::from_days(days_from_ymd(y, 1, 1) + d - 1).map_err(|_| Stop::Field)?;
    let (y, month, day) = date.ymd();
    Ok(Pieces { year: format!("{y:04}"), month, day })
}

/// The astronomical year, month and day, when there is such a day.
fn validate(p: &Pieces, bc: bool) -> Result<(i64, u32, u32), Stop> {
    let digits = p.year.len();
    let mut year: i64 = p.year.parse().map_err(|_| Stop::Field)?;
    if bc {
        if year <= 0 {
            return Err(Stop::Field);
        }
        year = 1 - year;
    } else if digits <= 2 {
        year += if year < 70 { 2000 } else { 1900 };
    } else if year <= 0 {
        return Err(Stop::Field);
    }
    if !(1..=12).contains(&p.month) || !(1..=31).contains(&p.day) {
        return Err(Stop::MonthOrDay);
    }
    // Leap years repeat, so that a year too great for the calendar can be reduced.
    if p.day > days_in_month(year.rem_euclid(400) as i32, p.month) {
        return Err(Stop::Field);
    }
    Ok((year, p.month, p.day))
}

fn clock_us(s: &str) -> Result<i64, Stop> {
    let (body, fraction) = s.split_once('.').unwrap_or((s, ""));
    let parts: Vec<&str> = body.split(':').collect();
    match parts.as_slice() {
        // Minutes and seconds, since there is a fraction.
        [m, sec] if s.contains('.') => assemble_clock("0", m, sec, fraction),
        [h, m] => assemble_clock(h, m, "0", fraction),
        [h, m, sec] => assemble_clock(h, m, sec, fraction),
        _ => Err(Stop::Syntax),
    }
}

fn assemble_clock(h: &str, m: &str, s: &str, fraction: &str) -> Result<i64, Stop> {
    if fraction.bytes().any(|b| !b.is_ascii_digit()) {
        return Err(Stop::Syntax);
    }
    let (h, m, s) = (small(h)?, small(m)?, small(s)?);
    let us = if fraction.is_empty() {
        0
    } else {
        let f: f64 = format!("0.{fraction}").parse().map_err(|_| Stop::Syntax)?;
        (f * 1e6).round_ties_even() as u32
    };
    if h > 24 || m > 59 || s > 60 {
        return Err(Stop::Field);
    }
    let total = ((i64::from(h) * 60 + i64::from(m)) * 60 + i64::from(s)) * 1_000_000 + i64::from(us);
    if total > Interval::US_PER_DAY { Err(Stop::Field) } else { Ok(total) }
}

/// Seconds east of Greenwich of `+hh`, `+hh:mm`, `+hh:mm:ss` or `+hhmm`.
fn offset_seconds(s: &str) -> Result<i32, Stop> {
    const MAX_HOURS: u32 = 15;
    let digits = &s[1..];
    let parts: Vec<&str> = digits.split(':').collect();
    let (h, m, sec) = match parts.as_slice() {
        [d] if d.len() == 4 || d.len() == 3 => (&d[..d.len() - 2], &d[d.len() - 2..], "0"),
        [d] => (*d, "0", "0"),
        [h, m] => (*h, *m, "0"),
        [h, m, sec] => (*h, *m, *sec),
        _ => return Err(Stop::Syntax),
    };
    let (h, m, sec) = (small(h)?, small(m)?, small(sec)?);
    if h > MAX_HOURS || m > 59 || sec > 59 {
        return Err(Stop::Displacement);
    }
    let seconds = (h * 3600 + m * 60 + sec) as i32;
    Ok(if s.starts_with('-') { -seconds } else { seconds })
}
