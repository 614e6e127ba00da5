//! Points in time as text: RFC 3339 in UTC, with milliseconds.

const MS_PER_DAY: i64 = 86_400_000;
/// The years that four digits can say.
const YEARS: std::ops::RangeInclusive<i64> = 0..=9999;

/// `2026-11-21T09:30:00.000Z`, or the milliseconds since 1970 themselves beyond the years 0 to 9999.
pub(crate) fn format(timestamp_ms: i64) -> String {
    let (day, in_day) = (timestamp_ms.div_euclid(MS_PER_DAY), timestamp_ms.rem_euclid(MS_PER_DAY));
    let (year, month, day) = civil(day);
    if !YEARS.contains(&year) {
        return timestamp_ms.to_string();
    }
    let (hour, minute, second, ms) = (in_day / 3_600_000, in_day / 60_000 % 60, in_day / 1_000 % 60, in_day % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// The inverse of [`format`]; any offset from UTC is taken, and fractions beyond milliseconds are cut off.
pub(crate) fn parse(text: &str) -> Option<i64> {
    if let Ok(timestamp_ms) = text.parse() {
        return Some(timestamp_ms);
    }
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let (offset_at, offset_minutes) = offset(time)?;
    let (clock, fraction) = time[..offset_at].split_once('.').unwrap_or((&time[..offset_at], ""));
    let [year, month, day] = numbers::<3>(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers::<3>(clock, ':', [2, 2, 2])?;
    let in_range = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    let ms = milliseconds(fraction)?;
    in_range.then(|| {
        let minutes = hour * 60 + minute - offset_minutes;
        days(year, month, day) * MS_PER_DAY + minutes * 60_000 + second * 1_000 + ms
    })
}

fn offset(time: &str) -> Option<(usize, i64)> {
    if let Some(clock) = time.strip_suffix(['Z', 'z']) {
        return Some((clock.len(), 0));
    }
    let at = time.rfind(['+', '-'])?;
    let [hours, minutes] = numbers::<2>(&time[at + 1..], ':', [2, 2])?;
    let minutes = (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)?;
    Some((at, if time.as_bytes()[at] == b'-' { -minutes } else { minutes }))
}

fn numbers<const N: usize>(text: &str, separator: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut out = [0; N];
    for (number, digits) in out.iter_mut().zip(digits) {
        let part = parts.next()?;
        if part.len() != digits || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(out)
}

fn milliseconds(fraction: &str) -> Option<i64> {
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    digits.parse().ok()
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date of the Gregorian calendar. The year is counted from March, so that a leap day ends it.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The inverse of [`days`].
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_round_trip() {
        for (timestamp_ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_795_253_400_123, "2026-11-21T09:30:00.123Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(format(timestamp_ms), text);
            assert_eq!(parse(text), Some(timestamp_ms));
        }
        for day in (-1_000_000..3_000_000).step_by(997) {
            let (year, month, of_month) = civil(day);
            assert_eq!(days(year, month, of_month), day);
        }
    }

    #[test]
    fn times_beyond_four_digit_years_are_numbers() {
        for timestamp_ms in [i64::MIN, i64::MAX, 253_402_300_800_000] {
            assert_eq!(parse(&format(timestamp_ms)), Some(timestamp_ms));
        }
    }

    #[test]
    fn offsets_and_fractions_are_understood_and_nonsense_is_not() {
        assert_eq!(parse("1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(parse("1970-01-01 00:00:00.5Z"), Some(500));
        assert_eq!(parse("1970-01-01T00:00:00.123999Z"), Some(123));
        for wrong in [
            "",
            "1970-01-01",
            "1970-13-01T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:00:00",
            "1970-01-01T00:00:00.xZ",
            "é-01-01T00:00:00Z",
            "1970-01-01T00:00:00+é",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
