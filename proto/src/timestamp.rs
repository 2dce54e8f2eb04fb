//! `google.protobuf.Timestamp`.

use std::fmt;

use chrono::{DateTime, SecondsFormat};
use serde::de::{Deserialize, Deserializer, Unexpected, Visitor};
use serde::ser::{Error as _, Serialize, Serializer};

/// What the text form can say: the years 1 to 9999.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// A moment, counted from the beginning of 1970 in UTC.
///
/// In JSON it is RFC 3339 text that ends with `Z` and has 0, 3, 6 or 9 digits behind the second, as
/// [the JSON mapping](https://protobuf.dev/programming-guides/json/) demands; any offset is read.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct Timestamp {
    /// Seconds since the beginning of 1970; negative before.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// Nanoseconds that come on top, below a second.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

impl Timestamp {
    /// The text form; `None` outside of the years 1 to 9999.
    fn text(self) -> Option<String> {
        let nanos = u32::try_from(self.nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
        if !SECONDS.contains(&self.seconds) {
            return None;
        }
        Some(DateTime::from_timestamp(self.seconds, nanos)?.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.text() {
            Some(text) => serializer.serialize_str(&text),
            None => Err(S::Error::custom(format_args!("{self:?} has no text form"))),
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text)
    }
}

struct Text;

impl Visitor<'_> for Text {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time as RFC 3339 text, such as 2026-11-22T09:30:00Z")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timestamp, E> {
        DateTime::parse_from_rfc3339(text)
            .ok()
            .map(|time| Timestamp { seconds: time.timestamp(), nanos: time.timestamp_subsec_nanos().cast_signed() })
            .filter(|time| time.text().is_some())
            .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_is_the_one_of_the_json_mapping() {
        for (seconds, nanos, text) in [
            (0, 0, "1970-01-01T00:00:00Z"),
            (1_709_251_199, 123_456_789, "2024-02-29T23:59:59.123456789Z"),
            (1_709_251_199, 120_000_000, "2024-02-29T23:59:59.120Z"),
            (1_709_251_199, 1_000, "2024-02-29T23:59:59.000001Z"),
            (-1, 500_000_000, "1969-12-31T23:59:59.500Z"),
            (*SECONDS.start(), 0, "0001-01-01T00:00:00Z"),
            (*SECONDS.end(), 999_999_999, "9999-12-31T23:59:59.999999999Z"),
        ] {
            let time = Timestamp { seconds, nanos };
            assert_eq!(serde_json::to_value(time).unwrap(), text);
            assert_eq!(serde_json::from_value::<Timestamp>(text.into()).unwrap(), time);
        }
    }

    #[test]
    fn any_offset_is_read() {
        let read = |text: &str| serde_json::from_value::<Timestamp>(text.into());
        assert_eq!(read("1970-01-01T02:30:00+02:30").unwrap(), Timestamp::default());
        assert_eq!(read("1969-12-31T19:00:00-05:00").unwrap(), Timestamp::default());
        for text in
            ["", "yesterday", "1970-01-01", "1970-01-01T00:00:00", "1970-13-01T00:00:00Z", "10000-01-01T00:00:00Z", "0"]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_without_text_form_is_refused() {
        for (seconds, nanos) in [(i64::MAX, 0), (SECONDS.start() - 1, 0), (0, -1), (59, 1_000_000_000)] {
            assert!(serde_json::to_value(Timestamp { seconds, nanos }).is_err());
        }
    }
}
