//! Rules that several services share: names, descriptions, pages, windows of time, and how times are written.

use jiff::{
    Timestamp,
    civil::DateTime,
    tz::{self, TimeZone},
};

use super::message::Request;

/// 4–64 characters, a letter first, then letters, digits, `-` and `_`.
pub fn name_ok(name: &str) -> bool {
    (4..=64).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// At most 256 characters, none of `> ! < " & ' =`, in one line.
pub fn description_ok(text: &str) -> bool {
    text.chars().count() <= 256 && !text.chars().any(|c| ">!<\"&'=\n\r".contains(c))
}

/// Ids are opaque, but they are made of letters, digits and dashes.
pub fn id_ok(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

/// One page of a list.
pub struct Page {
    limit: usize,
    offset: usize,
}

/// Which part of a page request is wrong.
pub enum BadPage {
    /// `limit`
    Limit,
    /// `offset`
    Offset,
}

impl Page {
    /// Reads `limit` (1 up to `most`) and `offset` (records).
    pub fn read(request: &Request, default: usize, most: usize) -> Result<Self, BadPage> {
        let number = |name: &str, default: usize| request.parameter(name).map_or(Some(default), |text| text.parse().ok());
        let limit = number("limit", default).filter(|limit| (1..=most).contains(limit)).ok_or(BadPage::Limit)?;
        let offset = number("offset", 0).ok_or(BadPage::Offset)?;
        Ok(Self { limit, offset })
    }

    /// Whether a listing begins with it.
    pub fn is_first(&self) -> bool {
        self.offset == 0
    }

    /// This page of all that there is.
    pub fn cut<T>(&self, all: Vec<T>) -> Vec<T> {
        all.into_iter().skip(self.offset).take(self.limit).collect()
    }
}

/// A window of time.
pub struct Window(Timestamp, Timestamp);

impl Window {
    /// Reads `begin_time` and `end_time`, both or none, with `parse`.
    pub fn read(request: &Request, parse: impl Fn(&str) -> Option<Timestamp>) -> Option<Self> {
        match (request.parameter("begin_time"), request.parameter("end_time")) {
            (None, None) => Some(Self(Timestamp::MIN, Timestamp::MAX)),
            (Some(begin), Some(end)) => Some(Self(parse(&begin)?, parse(&end)?)).filter(|window| window.0 <= window.1),
            _ => None,
        }
    }

    /// Whether its end is later than its beginning, which some services ask for.
    pub fn is_open(&self) -> bool {
        self.0 < self.1
    }

    /// Whether a backup began in it. Windows are given in seconds, so fractions do not count.
    pub fn holds(&self, created: Timestamp) -> bool {
        (self.0.as_second()..=self.1.as_second()).contains(&created.as_second())
    }
}

/// Reads `2020-07-07T01:17:05+0800`: seconds, and an offset without a colon.
pub fn parse_offset_time(text: &str) -> Option<Timestamp> {
    let form = "2020-07-07T01:17:05+0800";
    if !text.is_ascii() || text.len() != form.len() || !text[19..].starts_with(['+', '-']) {
        return None;
    }
    Timestamp::strptime("%Y-%m-%dT%H:%M:%S%z", text).ok()
}

/// Reads `20190510163116`, UTC.
pub fn parse_digits_time(text: &str) -> Option<Timestamp> {
    if text.len() != 14 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    DateTime::strptime("%Y%m%d%H%M%S", text).ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// Writes `2020-07-07T01:17:05+0000`, in the offset that is set.
pub fn offset_time(at: Timestamp, hours: i8) -> String {
    at.to_zoned(TimeZone::fixed(tz::offset(hours))).strftime("%Y-%m-%dT%H:%M:%S%z").to_string()
}

/// Reads `2018-08-06 10:41:14`, UTC.
pub fn parse_blank_time(text: &str) -> Option<Timestamp> {
    if text.len() != "2018-08-06 10:41:14".len() {
        return None;
    }
    DateTime::strptime("%Y-%m-%d %H:%M:%S", text).ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// Writes `2018-08-06 10:41:14`, UTC.
pub fn blank_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Writes `2016-09-12T01:17:05`, UTC without saying so.
pub fn bare_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

/// Writes `Sun, 06 Nov 1994 08:49:37 GMT`, as in a `Date` header.
pub fn http_date(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Writes `2019-05-10T08:31:16.000Z`.
pub fn millis_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Writes `2015-11-09T01:42:57.527363Z`.
pub fn micros_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}
