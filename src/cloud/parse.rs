//! The clouds' times, sizes and texts, in every form that was seen.

use jiff::{Timestamp, civil::DateTime, fmt::strtime, tz::TimeZone};
use serde_json::Value;

/// Reads a time in any of the clouds' forms: with an offset with or without colon or `Z`, with or without fractions, with `T` or a space.
/// Without an offset it is UTC. An empty or unreadable text is no time, nor is one before 1970: such a one stands for "none" (`0001-01-01`), and
/// the Kubernetes API would take no status with a year below 0.
pub fn time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let zoned = || WITH_OFFSET.iter().find_map(|format| strtime::parse(format, text).ok()?.to_timestamp().ok());
    let time = text.parse().ok().or_else(zoned).or_else(|| in_utc(text))?;
    (time >= Timestamp::UNIX_EPOCH).then_some(time)
}

const WITH_OFFSET: [&str; 3] = ["%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%d %H:%M:%S%.f%z", "%Y-%m-%d %H:%M:%S%.fZ"];

fn in_utc(text: &str) -> Option<Timestamp> {
    let civil: DateTime = text.trim_end_matches('Z').parse().ok()?;
    civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// A time as most list APIs of the database services take it: `yyyy-mm-ddThh:mm:ss+0000`.
pub fn query_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S+0000").to_string()
}

/// A time as the list API of DDS takes it: `yyyy-mm-dd hh:mm:ss`, in UTC.
pub fn spaced_query_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Bytes in one unit of a service's sizes.
pub mod unit {
    /// DCS.
    pub const BYTE: u32 = 1;
    /// GeminiDB, RDS and DDS.
    pub const KB: u32 = 1024;
    /// TaurusDB and GaussDB.
    pub const MB: u32 = 1024 * 1024;
}

/// A size, as a number or as a number in a string, in bytes. What is negative, not finite or no number is no size.
pub fn size(value: &Value, unit: u32) -> Option<i64> {
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse::<f64>().ok()?,
        _ => return None,
    };
    let bytes = (number * f64::from(unit)).round();
    // 2^53: beyond it the number was not exact anyway, and no backup is that large.
    #[allow(clippy::cast_possible_truncation)] // within the range just checked
    (bytes.is_finite() && (0.0..=9_007_199_254_740_992.0).contains(&bytes)).then_some(bytes as i64)
}

/// A number of records, as a number or as a number in a string.
pub fn count(value: Option<&Value>) -> Option<u64> {
    match value? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A text from outside, on one line, without control characters, and cut. No more of it is looked at than that takes.
pub fn clean(text: &str, max_chars: usize) -> String {
    let words = text.split(|c: char| c.is_whitespace() || is_unprintable(c)).filter(|word| !word.is_empty());
    let mut line: String = words.flat_map(|word| std::iter::once(' ').chain(word.chars())).skip(1).take(max_chars + 1).collect();
    // One character more than fits says that there is more; the mark takes the place of two.
    if line.chars().nth(max_chars).is_some() {
        line.pop();
        line.pop();
        line.push('…');
    }
    line
}

/// Control characters, and those that have a terminal show other text than there is: invisible ones, and ones that turn the direction.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// A field's text, cleaned and cut; absent where it is empty or no text.
pub fn text(value: Option<&Value>, max_chars: usize) -> Option<String> {
    let text = match value? {
        Value::String(text) => clean(text, max_chars),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// A name, exactly as it is: it is compared.
pub fn exact(value: Option<&Value>) -> Option<String> {
    value?.as_str().filter(|text| !text.is_empty() && text.len() <= 256 && !text.chars().any(is_unprintable)).map(ToOwned::to_owned)
}

/// An id, exactly as it is: visible ASCII, since it is stored, shown, and sent back as a part of addresses.
pub fn id(value: Option<&Value>) -> Option<String> {
    exact(value).filter(|text| text.chars().all(|c| c.is_ascii_graphic()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_form_of_time_that_the_clouds_use_is_read() {
        for (text, rfc3339) in [
            ("2020-07-07T01:17:05+0800", "2020-07-06T17:17:05Z"),
            ("2025-01-02T03:04:05+0000", "2025-01-02T03:04:05Z"),
            ("2025-01-02T03:04:05+00:00", "2025-01-02T03:04:05Z"),
            ("2016-09-12T01:17:05", "2016-09-12T01:17:05Z"),
            ("2018-08-06 12:41:14", "2018-08-06T12:41:14Z"),
            ("2019-05-10T08:31:16.000Z", "2019-05-10T08:31:16Z"),
            ("2015-11-09T01:42:57.527363Z", "2015-11-09T01:42:57.527363Z"),
        ] {
            assert_eq!(time(text), Some(rfc3339.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none_and_never_a_panic() {
        for text in ["", " ", "soon", "2020-13-45T99:99:99+0800", "0000-00-00", "9999-12-31T23:59:59-2359", "\u{0}", &"9".repeat(10_000)] {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn what_lies_before_1970_is_no_time() {
        for text in ["0001-01-01T00:00:00Z", "-009999-01-02T02:00:00Z", "1969-12-31T23:59:59+0000", "1970-01-01T00:00:00+0800"] {
            assert_eq!(time(text), None, "{text}");
        }
        assert_eq!(time("1970-01-01T00:00:00Z"), Some(Timestamp::UNIX_EPOCH));
    }

    #[test]
    fn sizes_become_bytes_whatever_their_unit_and_type() {
        assert_eq!(size(&json!(2048.0), unit::KB), Some(2_097_152));
        assert_eq!(size(&json!(1536), unit::MB), Some(1_610_612_736));
        assert_eq!(size(&json!("12"), unit::BYTE), Some(12));
        for wrong in [json!(-1), json!("NaN"), json!("inf"), json!({}), json!(null), json!(1e300)] {
            assert_eq!(size(&wrong, unit::KB), None, "{wrong}");
        }
    }

    #[test]
    fn a_count_may_come_as_a_string_but_never_below_zero() {
        assert_eq!((count(Some(&json!(7))), count(Some(&json!("7")))), (Some(7), Some(7)));
        for wrong in [json!(-1), json!("-1"), json!(1.5), json!("many"), json!({})] {
            assert_eq!(count(Some(&wrong)), None, "{wrong}");
        }
    }

    #[test]
    fn texts_from_outside_are_one_short_line() {
        assert_eq!(clean("a\r\nb\t\u{1b}[31mc", 80), "a b [31mc");
        assert_eq!(clean("abcdef", 4), "abc…");
        assert_eq!(clean("abcd", 4), "abcd");
        assert_eq!(clean(" \u{202e}evil\u{2028}line\u{200b} ", 80), "evil line");
        assert_eq!(clean(&"a ".repeat(1_000_000), 4), "a a…");
    }

    #[test]
    fn an_id_is_visible_ascii() {
        assert_eq!(id(Some(&json!("2f4ddb93-b901"))).as_deref(), Some("2f4ddb93-b901"));
        for wrong in [json!(""), json!(" "), json!("a b"), json!("a\n"), json!("ä"), json!("a\u{202e}b"), json!("a".repeat(257)), json!(7)]
        {
            assert_eq!(id(Some(&wrong)), None, "{wrong}");
        }
    }

    #[test]
    fn query_times_have_the_services_form() {
        let time = "2025-01-02T03:04:05.678Z".parse().unwrap();
        assert_eq!(query_time(time), "2025-01-02T03:04:05+0000");
        assert_eq!(spaced_query_time(time), "2025-01-02 03:04:05");
    }
}
