//! MySQL's packed dates and times (MySQL source documentation, `my_time`), and their text.

use hw_repr::adt::CivilTimestamp;

use super::DecodeError;

/// A date and time as MySQL keeps them: parts may be zero, and there may be no such day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Civil {
    pub(crate) year: u16,
    pub(crate) month: u8,
    pub(crate) day: u8,
    pub(crate) hour: u8,
    pub(crate) minute: u8,
    pub(crate) second: u8,
    pub(crate) micros: u32,
}

impl Civil {
    /// Whether this is MySQL's zero date.
    pub(crate) fn is_zero(&self) -> bool {
        *self == Civil::default()
    }

    pub(crate) fn date_text(&self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }

    pub(crate) fn datetime_text(&self, fraction_digits: u8) -> String {
        let date = self.date_text();
        let fraction = fraction_text(self.micros, fraction_digits);
        format!("{date} {:02}:{:02}:{:02}{fraction}", self.hour, self.minute, self.second)
    }

    /// From the integer part of a packed DATETIME (17 bits of year and month, 5 of day, 17 of time).
    pub(crate) fn from_packed(whole: u64, micros: u32) -> Civil {
        let (ymd, hms) = (whole >> 17, whole % (1 << 17));
        let (ym, day) = (ymd >> 5, ymd % 32);
        Civil {
            year: (ym / 13).min(u64::from(u16::MAX)) as u16,
            month: (ym % 13) as u8,
            day: day as u8,
            hour: (hms >> 12) as u8,
            minute: (hms >> 6 & 63) as u8,
            second: (hms & 63) as u8,
            micros,
        }
    }

    /// From seconds since the Unix epoch, in UTC. Zero is MySQL's zero date.
    pub(crate) fn from_unix(seconds: u32, micros: u32) -> Result<Civil, DecodeError> {
        if seconds == 0 && micros == 0 {
            return Ok(Civil::default());
        }
        let at = CivilTimestamp::from_unix_us(i64::from(seconds) * 1_000_000 + i64::from(micros))
            .ok_or_else(|| DecodeError::value("timestamp out of range"))?;
        let (year, month, day) = at.date().ymd();
        let (hour, minute, second, micros) = at.time().hms_us();
        Ok(Civil {
            year: year as u16,
            month: month as u8,
            day: day as u8,
            hour: hour as u8,
            minute: minute as u8,
            second: second as u8,
            micros,
        })
    }

    /// From the three bytes of a DATE: 5 bits of day, 4 of month, 15 of year.
    pub(crate) fn from_date_bits(bits: u32) -> Civil {
        Civil {
            year: (bits >> 9) as u16,
            month: (bits >> 5 & 15) as u8,
            day: (bits & 31) as u8,
            ..Civil::default()
        }
    }

    /// From the decimal digits `YYYYMMDDhhmmss` (tables made before MySQL 5.6).
    pub(crate) fn from_digits(v: u64) -> Civil {
        let (date, time) = (v / 1_000_000, v % 1_000_000);
        Civil {
            year: (date / 10_000).min(u64::from(u16::MAX)) as u16,
            month: (date / 100 % 100) as u8,
            day: (date % 100) as u8,
            hour: (time / 10_000) as u8,
            minute: (time / 100 % 100) as u8,
            second: (time % 100) as u8,
            micros: 0,
        }
    }
}

/// How many bytes a fraction of so many digits takes.
pub(crate) fn fraction_bytes(digits: u8) -> usize {
    usize::from(digits.min(6)).div_ceil(2)
}

/// The microseconds in a fraction's big-endian bytes.
pub(crate) fn fraction_micros(bytes: &[u8]) -> u32 {
    let v = bytes.iter().fold(0u32, |v, b| v << 8 | u32::from(*b));
    v * [1_000_000, 10_000, 100, 1][bytes.len().min(3)]
}

/// The microseconds of a binary TIME(p): three bytes and the fraction's, big-endian, biased, negative as a whole.
pub(crate) fn time_from_binary(bytes: &[u8]) -> i64 {
    let raw = bytes.iter().fold(0i64, |v, b| v << 8 | i64::from(*b));
    let fraction_bits = 8 * bytes.len().saturating_sub(3);
    let biased = raw - (0x80_0000i64 << fraction_bits);
    let magnitude = biased.unsigned_abs();
    let fraction = (magnitude & ((1 << fraction_bits) - 1)) as u32;
    let micros = i64::from(fraction) * [1_000_000, 10_000, 100, 1][(fraction_bits / 8).min(3)];
    let whole = (magnitude >> fraction_bits) as i64;
    let seconds = (whole >> 12 & 0x3ff) * 3600 + (whole >> 6 & 63) * 60 + (whole & 63);
    let total = seconds * 1_000_000 + micros;
    if biased < 0 { -total } else { total }
}

/// The microseconds of a TIME packed into 64 bits (as JSON keeps it): 24 bits of microseconds below.
pub(crate) fn time_from_packed(packed: i64) -> i64 {
    let magnitude = packed.unsigned_abs();
    let whole = (magnitude >> 24) as i64;
    let seconds = (whole >> 12 & 0x3ff) * 3600 + (whole >> 6 & 63) * 60 + (whole & 63);
    let total = seconds * 1_000_000 + (magnitude & 0xff_ffff) as i64;
    if packed < 0 { -total } else { total }
}

/// MySQL's text of a TIME.
pub(crate) fn time_text(micros: i64, fraction_digits: u8) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let magnitude = micros.unsigned_abs();
    let seconds = magnitude / 1_000_000;
    let fraction = fraction_text((magnitude % 1_000_000) as u32, fraction_digits);
    format!("{sign}{:02}:{:02}:{:02}{fraction}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn fraction_text(micros: u32, digits: u8) -> String {
    let digits = usize::from(digits.min(6));
    if digits == 0 { String::new() } else { format!(".{}", &format!("{micros:06}")[..digits]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let biased = |v: i64| v.to_be_bytes()[5..].to_vec();
        assert_eq!(time_from_binary(&biased(0x80_0000)), 0);
        assert_eq!(time_from_binary(&biased(0x80_0000 + (838 << 12) + (59 << 6) + 59)), 3_020_399_000_000);
        assert_eq!(time_from_binary(&biased(0x80_0000 - 1)), -1_000_000);
        // -00:00:00.01 in two digits.
        assert_eq!(time_from_binary(&[0x7f, 0xff, 0xff, 0xff]), -10_000);
        assert_eq!(time_text(-3_020_399_000_000, 2), "-838:59:59.00");
        assert_eq!(time_text(1, 6), "00:00:00.000001");
    }

    #[test]
    fn datetimes() {
        let whole = ((2020u64 * 13 + 2) << 5 | 29) << 17 | 23 << 12 | 59 << 6 | 58;
        let c = Civil::from_packed(whole, 120_000);
        assert_eq!(c.datetime_text(2), "2020-02-29 23:59:58.12");
        assert_eq!(Civil::from_unix(1, 0).map(|c| c.datetime_text(0)), Ok("1970-01-01 00:00:01".to_owned()));
        assert!(Civil::from_date_bits(0).is_zero());
        assert_eq!(Civil::from_date_bits(2020 << 9 | 2 << 5 | 29).date_text(), "2020-02-29");
        assert_eq!(Civil::from_digits(20_200_229_010_203).datetime_text(0), "2020-02-29 01:02:03");
        assert_eq!(fraction_micros(&[0x0c]), 120_000);
    }
}
