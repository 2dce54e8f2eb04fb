//! Fields as text: query parameters, headers and path segments of the REST-shaped bindings.

use std::time::Duration;

use pbjson_types::Duration as ProtoDuration;

use crate::error::{Error, Reason, Result};

/// A field type that has a text form.
pub trait Text: Sized {
    /// What is expected, for the error: "a whole number".
    const EXPECTED: &'static str;

    /// Reads the text form.
    fn from_text(text: &str) -> Option<Self>;

    /// Writes the text form.
    fn to_text(&self) -> String;
}

macro_rules! text_by_from_str {
    ($($type:ty: $expected:literal),* $(,)?) => {$(
        impl Text for $type {
            const EXPECTED: &'static str = $expected;

            fn from_text(text: &str) -> Option<Self> {
                text.parse().ok()
            }

            fn to_text(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

text_by_from_str! {
    String: "text",
    bool: "`true` or `false`",
    i32: "a whole number",
    i64: "a whole number",
    u32: "a whole number that is not negative",
    u64: "a whole number that is not negative",
    f32: "a number",
    f64: "a number",
}

impl Text for ProtoDuration {
    const EXPECTED: &'static str = "a duration such as `1.5s`, `10m` or `1h30m`";

    fn from_text(text: &str) -> Option<Self> {
        // A negative duration is well formed; what it means is the method's business.
        match text.strip_prefix('-') {
            Some(positive) => {
                let duration = Self::from(duration(positive)?);
                Some(Self { seconds: -duration.seconds, nanos: -duration.nanos })
            }
            None => duration(text).map(Self::from),
        }
    }

    fn to_text(&self) -> String {
        let sign = if self.seconds < 0 || self.nanos < 0 { "-" } else { "" };
        let (seconds, nanos) = (self.seconds.unsigned_abs(), self.nanos.unsigned_abs());
        if nanos == 0 {
            return format!("{sign}{seconds}s");
        }
        format!("{sign}{}s", format!("{seconds}.{nanos:09}").trim_end_matches('0'))
    }
}

/// Reads `1.5s`, `10m`, `1h30m`, `250ms`: numbers with the units `d h m s ms us ns`.
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut sum = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let nanos_per_unit: u128 = match unit {
            "d" => 86_400_000_000_000,
            "h" => 3_600_000_000_000,
            "m" => 60_000_000_000,
            "s" => 1_000_000_000,
            "ms" => 1_000_000,
            "us" | "µs" => 1_000,
            "ns" => 1,
            _ => return None,
        };
        sum = sum.checked_add(scaled(number, nanos_per_unit)?)?;
        rest = tail;
    }
    Some(sum)
}

/// A decimal number of units, exactly: floating point would turn 0.1 s into something else.
fn scaled(number: &str, nanos_per_unit: u128) -> Option<Duration> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.len() > 18 || (number.contains('.') && fraction.is_empty()) {
        return None;
    }
    let whole: u128 = whole.parse::<u64>().ok()?.into();
    let fraction_nanos = match fraction {
        "" => 0,
        digits => digits.parse::<u64>().ok().map(u128::from)? * nanos_per_unit / 10u128.pow(digits.len() as u32),
    };
    let nanos = whole.checked_mul(nanos_per_unit)? + fraction_nanos;
    let seconds = u64::try_from(nanos / 1_000_000_000).ok()?;
    Some(Duration::new(seconds, (nanos % 1_000_000_000) as u32))
}

/// Reads a field; the error names it.
pub(crate) fn parse<T: Text>(name: &str, text: &str) -> Result<T> {
    T::from_text(text).ok_or_else(|| wrong(name, text, T::EXPECTED))
}

/// Reads an enum value: its proto name, or the part that is its own, in any case.
pub(crate) fn parse_enum<T: Into<i32>>(
    name: &str,
    text: &str,
    prefix: &str,
    by_name: fn(&str) -> Option<T>,
) -> Result<i32> {
    by_name(text)
        .or_else(|| by_name(&format!("{prefix}{}", text.to_ascii_uppercase().replace('-', "_"))))
        .map(Into::into)
        .ok_or_else(|| wrong(name, text, "one of the names of its enum"))
}

/// Reads a quoted entity tag (RFC 9110, section 8.8.3).
pub(crate) fn parse_etag(name: &str, text: &str) -> Result<String> {
    text.strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .filter(|tag| !tag.contains('"'))
        .map(str::to_owned)
        .ok_or_else(|| wrong(name, text, "one strong entity tag in double quotes, as the ETag header gave it"))
}

/// Reads a header that can only say `*`.
pub(crate) fn parse_any(name: &str, text: &str) -> Result<()> {
    if text.trim() == "*" { Ok(()) } else { Err(wrong(name, text, "`*`")) }
}

fn wrong(name: &str, text: &str, expected: &str) -> Error {
    let shown: String = text.chars().take(80).collect();
    Error::new(Reason::RequestInvalid, format!("`{name}` is {shown:?}; expected {expected}")).with("field", name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_exactly() {
        for (text, nanos) in [
            ("0s", 0),
            ("1s", 1_000_000_000),
            ("0.1s", 100_000_000),
            ("1.000000001s", 1_000_000_001),
            ("10m", 600_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("250ms", 250_000_000),
            ("1d", 86_400_000_000_000),
            ("1.5ms", 1_500_000),
        ] {
            assert_eq!(duration(text).map(|duration| duration.as_nanos()), Some(nanos), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "1",
            "s",
            "1x",
            "1 s",
            "-1s",
            "1.s",
            ".5s",
            "1..5s",
            "1e3s",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert_eq!(duration(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_duration_survives_its_text_form() {
        for text in ["0s", "1.5s", "-1.5s", "86400s", "0.000000001s"] {
            assert_eq!(ProtoDuration::from_text(text).map(|duration| duration.to_text()).as_deref(), Some(text));
        }
    }

    #[test]
    fn entity_tags_are_taken_out_of_their_quotes() {
        assert_eq!(parse_etag("if-match", "\"7-x3k9q0\"").unwrap(), "7-x3k9q0");
        for text in ["7", "W/\"7\"", "*", "\"1\", \"2\"", "\"", ""] {
            assert!(parse_etag("if-match", text).is_err(), "{text:?}");
        }
    }
}
