//! Values of the configuration that are more than a number or a text: each refuses on reading what
//! the runtime could not use later.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use pillion_core::KeyPrefix;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};
use serde::{Serialize, Serializer};

/// Where to listen for TCP connections: `ADDRESS:PORT`, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpListen {
    /// Not at all.
    Off,
    /// There. Port 0 takes a free one.
    At(SocketAddr),
}

/// Where to listen for connections on a Unix socket: `auto`, a path, or `off`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnixListen {
    /// Not at all.
    Off,
    /// In this user's folder for run-time files, under a name that belongs to the TCP port.
    Auto,
    /// At this path, relative to the folder of the configuration file.
    At(PathBuf),
}

/// [`KeyPrefix`] as it stands in the file.
#[derive(Debug)]
pub(super) struct KeyPrefixText(pub(super) KeyPrefix);

/// Implements a type that is written as one text.
macro_rules! text_value {
    ($type:ty, $name:literal, $expected:expr, $parse:expr, $show:expr, $schema:expr) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                parse_text(deserializer, $expected, $parse)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let show: fn(&$type) -> Cow<'_, str> = $show;
                serializer.serialize_str(&show(self))
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

text_value!(
    TcpListen,
    "TcpListen",
    "an IP address and a port, such as `127.0.0.1:34904`, or `off`",
    |text| match text {
        "off" => Some(Self::Off),
        address => address.parse().ok().map(Self::At),
    },
    |value| match value {
        TcpListen::Off => "off".into(),
        TcpListen::At(address) => address.to_string().into(),
    },
    json_schema!({
        "type": "string",
        "description": "An IP address and a port, such as `127.0.0.1:34904`, or `off`.",
        "pattern": "^(off|[0-9.]+:[0-9]{1,5}|\\[[0-9A-Fa-f:.]+\\]:[0-9]{1,5})$",
    })
);

text_value!(
    UnixListen,
    "UnixListen",
    "`auto`, `off`, or a path with at least one `/`",
    |text| match text {
        "off" => Some(Self::Off),
        "auto" => Some(Self::Auto),
        // A bare word is more likely a misspelt `auto` than a socket in the working directory.
        path => (path.contains('/') && !path.contains('\0')).then(|| Self::At(path.into())),
    },
    |value| match value {
        UnixListen::Off => "off".into(),
        UnixListen::Auto => "auto".into(),
        UnixListen::At(path) => path.to_string_lossy(),
    },
    json_schema!({
        "type": "string",
        "description": "`auto`, `off`, or a path with at least one `/`.",
        "pattern": "^(auto|off|.*/.*)$",
    })
);

text_value!(
    KeyPrefixText,
    "KeyPrefix",
    "`none`, `appid`, `name`, or a prefix of at most 256 bytes without `||` and control characters",
    |text| text.parse().ok().map(Self),
    |value| value.0.to_string().into(),
    json_schema!({
        "type": "string",
        "description": "`none`, `appid`, `name`, or a prefix of your own without `||`.",
        "minLength": 1,
        "maxLength": 256,
        "not": { "pattern": "\\|\\|" },
    })
);

/// Reads text and parses it; what was found is never repeated in the error.
pub(super) fn parse_text<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    expected: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, D::Error> {
    struct Text<P>(&'static str, P);
    impl<T, P: FnOnce(&str) -> Option<T>> Visitor<'_> for Text<P> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            (self.1)(text).ok_or_else(|| E::invalid_value(Unexpected::Other("text"), &self.0))
        }
    }
    deserializer.deserialize_str(Text(expected, parse))
}

/// Reads a whole number and refuses one outside the range.
pub(super) fn count<'de, D: Deserializer<'de>>(deserializer: D, range: RangeInclusive<u32>) -> Result<u32, D::Error> {
    struct Count(RangeInclusive<u32>);
    impl Visitor<'_> for Count {
        type Value = u32;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a whole number from {} to {}", self.0.start(), self.0.end())
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<u32, E> {
            let number = u32::try_from(number).ok().filter(|number| self.0.contains(number));
            number.ok_or_else(|| E::invalid_value(Unexpected::Other("number"), &self))
        }

        fn visit_i64<E: de::Error>(self, _: i64) -> Result<u32, E> {
            Err(E::invalid_value(Unexpected::Other("number"), &self))
        }
    }
    deserializer.deserialize_u32(Count(range))
}

/// Reads a value and refuses one outside the range.
pub(super) fn within<'de, D, T>(deserializer: D, range: RangeInclusive<T>) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + PartialOrd + fmt::Display,
{
    let value = T::deserialize(deserializer)?;
    if range.contains(&value) {
        return Ok(value);
    }
    let expected = format!("a value from {} to {}", range.start(), range.end());
    Err(de::Error::invalid_value(Unexpected::Other("value"), &expected.as_str()))
}

/// Whether text can name an app or a component: it stands in keys, headers, paths and metrics.
pub(super) fn is_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// What [`is_name`] accepts, for people.
pub(super) const NAME: &str = "1 to 64 letters, digits, `.`, `_` or `-`, beginning with a letter or digit";

/// What [`is_name`] accepts, as a regular expression.
pub(super) const NAME_PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$";
