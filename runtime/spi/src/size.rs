//! Numbers of bytes as people write them in a configuration.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};
use serde::{Serialize, Serializer};

/// A number of bytes as text: a whole number and a unit, without blanks: `512B`, `16KiB`, `4MiB`,
/// `1GiB`; `kB`, `MB` and `GB` are powers of a thousand. A number without unit is refused, because
/// it says nothing about which one was meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

impl ByteSize {
    /// That many bytes.
    pub const fn bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// That many times 1024 bytes.
    pub const fn kib(kib: u32) -> Self {
        Self((kib as u64) << 10)
    }

    /// That many times 1024 KiB.
    pub const fn mib(mib: u32) -> Self {
        Self((mib as u64) << 20)
    }

    /// The number of bytes.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number of bytes as a length in memory; on a machine that cannot address so many, the
    /// most it can.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// Bytes in each unit.
const UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// The text is not a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a size: expected {EXPECTED}")]
pub struct InvalidSize;

const EXPECTED: &str = "a size with a unit, such as `512B`, `16KiB` or `4MiB`";

impl FromStr for ByteSize {
    type Err = InvalidSize;

    fn from_str(text: &str) -> Result<Self, InvalidSize> {
        let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).ok_or(InvalidSize)?);
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(InvalidSize)?;
        let number: u64 = number.parse().map_err(|_| InvalidSize)?;
        number.checked_mul(*factor).map(Self).ok_or(InvalidSize)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, factor) =
            UNITS.iter().find(|(_, factor)| self.0 > 0 && self.0.is_multiple_of(*factor)).unwrap_or(&("B", 1));
        write!(f, "{}{name}", self.0 / factor)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                text.parse().map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl JsonSchema for ByteSize {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A number of bytes with a unit: `512B`, `16KiB`, `4MiB`, `1GiB`.",
            "pattern": "^[0-9]+(B|kB|MB|GB|KiB|MiB|GiB)$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_and_written_with_the_largest_unit_that_fits() {
        for (text, bytes, canonical) in [
            ("0B", 0, "0B"),
            ("512B", 512, "512B"),
            ("1024B", 1024, "1KiB"),
            ("16KiB", 16_384, "16KiB"),
            ("4MiB", 4_194_304, "4MiB"),
            ("2GiB", 2_147_483_648, "2GiB"),
            ("5kB", 5_000, "5kB"),
            ("5MB", 5_000_000, "5MB"),
        ] {
            let size: ByteSize = text.parse().unwrap();
            assert_eq!(size.get(), bytes, "{text}");
            assert_eq!(size.to_string(), canonical);
            assert_eq!(canonical.parse(), Ok(size));
        }
    }

    #[test]
    fn what_has_no_unit_or_no_number_or_too_much_of_them_is_refused() {
        for text in ["", "4", "MiB", "4 MiB", "4mib", "4M", "1.5MiB", "-1B", "+1B", "4MiBB", "99999999999999999GiB"] {
            assert_eq!(text.parse::<ByteSize>(), Err(InvalidSize), "{text:?}");
        }
    }
}
