//! Lengths of time as people write them in a configuration.
//!
//! On the wire they are another thing: there proto3 JSON decides the form, fractions and signs
//! included (`pillion_proto::text`).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};
use serde::{Serialize, Serializer};

/// A length of time as text: whole numbers with a unit, the largest unit first and each at most
/// once, without blanks: `500ms`, `30s`, `1m30s`, `12h`, `7d`. A number without unit is refused,
/// because it says nothing about which one was meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HumanDuration(Duration);

impl HumanDuration {
    /// That many milliseconds.
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// That many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The duration.
    pub const fn get(self) -> Duration {
        self.0
    }
}

/// Milliseconds in each unit, largest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// The text is not a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a duration: expected {EXPECTED}")]
pub struct InvalidDuration;

const EXPECTED: &str = "a duration with units, such as `500ms`, `30s` or `1m30s`";

impl FromStr for HumanDuration {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Self, InvalidDuration> {
        let mut rest = text;
        let mut units = UNITS.as_slice();
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let (number, after) = split_at_first(rest, |c| !c.is_ascii_digit());
            let (unit, after) = split_at_first(after, |c| c.is_ascii_digit());
            let position = units.iter().position(|(name, _)| *name == unit).ok_or(InvalidDuration)?;
            let number: u64 = number.parse().map_err(|_| InvalidDuration)?;
            let part = number.checked_mul(units[position].1).ok_or(InvalidDuration)?;
            total = total.checked_add(part).ok_or(InvalidDuration)?;
            units = &units[position + 1..];
            rest = after;
        }
        if text.is_empty() { Err(InvalidDuration) } else { Ok(Self::from_millis(total)) }
    }
}

fn split_at_first(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_millis();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (name, size) in UNITS {
            let count = rest / u128::from(size);
            rest %= u128::from(size);
            if count > 0 {
                write!(f, "{count}{name}")?;
            }
        }
        Ok(())
    }
}

impl From<Duration> for HumanDuration {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl From<HumanDuration> for Duration {
    fn from(duration: HumanDuration) -> Self {
        duration.0
    }
}

impl Serialize for HumanDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = HumanDuration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<HumanDuration, E> {
                text.parse().map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl JsonSchema for HumanDuration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A duration with units: `500ms`, `30s`, `1m30s`, `12h`, `7d`.",
            "minLength": 2,
            "pattern": "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_and_written_in_its_shortest_form() {
        for (text, milliseconds, canonical) in [
            ("0s", 0, "0s"),
            ("500ms", 500, "500ms"),
            ("1500ms", 1500, "1s500ms"),
            ("30s", 30_000, "30s"),
            ("1m30s", 90_000, "1m30s"),
            ("90s", 90_000, "1m30s"),
            ("1d2h3m4s5ms", 93_784_005, "1d2h3m4s5ms"),
        ] {
            let duration: HumanDuration = text.parse().unwrap();
            assert_eq!(duration.get(), Duration::from_millis(milliseconds), "{text}");
            assert_eq!(duration.to_string(), canonical);
            assert_eq!(canonical.parse(), Ok(duration));
        }
    }

    #[test]
    fn what_has_no_unit_or_no_number_or_too_much_of_them_is_refused() {
        for text in ["", "30", "s", "1.5s", "-1s", "+1s", "1 s", "1s1m", "1s1s", "1S", "1M", "5sec", "99999999999999d"]
        {
            assert_eq!(text.parse::<HumanDuration>(), Err(InvalidDuration), "{text:?}");
        }
    }
}
