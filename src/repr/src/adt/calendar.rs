//! The proleptic Gregorian calendar in plain integers, with astronomical years (0 is 1 BC).
//!
//! chrono's calendar ends at the year 262143, before PostgreSQL's (5874897 for `date`), hence these.

/// Days from 2000-01-01 to a day. The month is 1 to 12 and the day at least 1; a day past the end of the month
/// runs over into the next. (Algorithm: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".)
pub fn days_from_ymd(year: i32, month: u32, day: u32) -> i64 {
    let y = i64::from(year) - i64::from(month <= 2);
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let shifted = i64::from((month + 9) % 12);
    let doy = (153 * shifted + 2) / 5 + i64::from(day) - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    era * 146_097 + doe - 730_425
}

/// The year, month and day of a day counted from 2000-01-01. Years outside of i32 saturate.
pub fn ymd_from_days(days: i64) -> (i32, u32, u32) {
    let z = days + 730_425;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    let year = i32::try_from(year).unwrap_or(if year < 0 { i32::MIN } else { i32::MAX });
    (year, month as u32, day as u32)
}

/// Whether the year has 366 days.
pub fn is_leap_year(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// How many days the month (1 to 12) has.
pub fn days_in_month(year: i32, month: u32) -> u32 {
    match month {
        2 if is_leap_year(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The ISO 8601 year and week (1 to 53) of a day counted from 2000-01-01.
pub fn iso_week(days: i64) -> (i32, u32) {
    // The week belongs to the year that holds its Thursday.
    let thursday = days + 3 - weekday_from_monday(days);
    let (year, _, _) = ymd_from_days(thursday);
    let first = days_from_ymd(year, 1, 1);
    (year, ((thursday - first) / 7 + 1) as u32)
}

/// The first day (Monday) of an ISO year and week, counted from 2000-01-01.
pub fn days_from_iso_week(year: i32, week: u32) -> i64 {
    let jan4 = days_from_ymd(year, 1, 4);
    jan4 - weekday_from_monday(jan4) + (i64::from(week) - 1) * 7
}

/// The day of the week, Monday 0 to Sunday 6, of a day counted from 2000-01-01 (a Saturday).
pub fn weekday_from_monday(days: i64) -> i64 {
    (days + 5).rem_euclid(7)
}
