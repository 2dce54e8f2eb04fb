//! What a key is, and how it is stored.
//!
//! This is the one place that builds stored keys. Both compatibility doors and the native API see
//! the same ones, and so do Layotto and Dapr programs that share the backend: the strategies and
//! their text forms are theirs (`app||key`).

use std::fmt;
use std::str::FromStr;

use pillion_proto::{Error, Reason, Result};
use pillion_spi::state::Key;

/// What separates a prefix from the caller's key, and therefore may not be in either.
const SEPARATOR: &str = "||";

/// The longest literal prefix, in bytes.
const LONGEST_PREFIX: usize = 256;

/// What is put in front of the keys of a component, so that several users of one store do not meet.
///
/// As text: `none`, `appid`, `name`, or a prefix of your own: not empty, at most 256 bytes, without
/// `||` and control characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum KeyPrefix {
    /// Nothing: programs share keys. The default.
    #[default]
    None,
    /// The application's id, so that each has its own keys. A call without one gets no prefix.
    AppId,
    /// The component's name.
    Name,
    /// A fixed text.
    Literal(String),
}

/// The text is no prefix strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidPrefix;

impl fmt::Display for InvalidPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "expected `none`, `appid`, `name`, or a prefix of at most {LONGEST_PREFIX} bytes without `{SEPARATOR}` and control characters"
        )
    }
}

impl std::error::Error for InvalidPrefix {}

impl FromStr for KeyPrefix {
    type Err = InvalidPrefix;

    fn from_str(text: &str) -> Result<Self, InvalidPrefix> {
        match text {
            "none" => Ok(Self::None),
            "appid" => Ok(Self::AppId),
            "name" => Ok(Self::Name),
            // Near misses of the strategies would otherwise silently become a prefix.
            _ if NEAR_MISSES.contains(&text.to_lowercase().as_str()) => Err(InvalidPrefix),
            _ if text.is_empty()
                || text.len() > LONGEST_PREFIX
                || text.contains(SEPARATOR)
                || text.chars().any(char::is_control) =>
            {
                Err(InvalidPrefix)
            }
            _ => Ok(Self::Literal(text.to_owned())),
        }
    }
}

const NEAR_MISSES: [&str; 6] = ["none", "appid", "app_id", "app-id", "name", "namespace"];

impl fmt::Display for KeyPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::AppId => "appid",
            Self::Name => "name",
            Self::Literal(text) => text,
        })
    }
}

/// The keys of one component as one application sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySpace {
    /// `app||`, or empty.
    prefix: String,
    /// The longest key, in bytes.
    longest: usize,
}

impl KeySpace {
    /// The keys of component `name` for application `app_id`.
    ///
    /// # Errors
    /// `request.invalid` for an application id that cannot be part of a key.
    pub fn new(strategy: &KeyPrefix, name: &str, app_id: Option<&str>, longest: usize) -> Result<Self> {
        let prefix = match strategy {
            KeyPrefix::None => "",
            KeyPrefix::AppId => app_id.map_or(Ok(""), checked_app_id)?,
            KeyPrefix::Name => name,
            KeyPrefix::Literal(prefix) => prefix,
        };
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}{SEPARATOR}") };
        Ok(Self { prefix, longest })
    }

    /// The stored form of a caller's key.
    ///
    /// # Errors
    /// `state.key_invalid`.
    pub fn stored(&self, key: &str) -> Result<Key> {
        let problem = if key.is_empty() {
            "it is empty".to_owned()
        } else if key.len() > self.longest {
            format!("it has {} bytes; the limit is {}", key.len(), self.longest)
        } else if let Some(problem) = forbidden(key) {
            problem
        } else if self.prefix.is_empty() {
            return Ok(Key::new(key));
        } else {
            return Ok(Key::new(format!("{}{key}", self.prefix)));
        };
        Err(Error::new(Reason::StateKeyInvalid, format!("the key {} is refused: {problem}", shown(key)))
            .with("key", shown(key)))
    }

    /// The stored form of the beginning of keys. An empty one stands for all.
    ///
    /// # Errors
    /// `state.key_invalid`.
    pub fn stored_prefix(&self, prefix: &str) -> Result<String> {
        if let Some(problem) = forbidden(prefix) {
            return Err(Error::new(
                Reason::StateKeyInvalid,
                format!("the prefix {} is refused: {problem}", shown(prefix)),
            ));
        }
        Ok(format!("{}{prefix}", self.prefix))
    }

    /// The stored form of an idempotency key: applications that do not share keys share none of these
    /// either.
    pub fn stored_call(&self, idempotency_key: &str) -> String {
        format!("{}{idempotency_key}", self.prefix)
    }

    /// The caller's form of a stored key; `None` for a key of another space.
    pub fn shown<'a>(&self, stored: &'a Key) -> Option<&'a str> {
        // A key that still has a separator was stored under another strategy: the caller could
        // not even name it.
        stored.as_str().strip_prefix(&self.prefix).filter(|key| !key.contains(SEPARATOR))
    }
}

fn checked_app_id(app_id: &str) -> Result<&str> {
    if app_id.len() > 256 || forbidden(app_id).is_some() {
        return Err(Error::new(
            Reason::RequestInvalid,
            format!(
                "the application id {} is refused: at most 256 bytes, no control characters, no `{SEPARATOR}`",
                shown(app_id)
            ),
        ));
    }
    Ok(app_id)
}

fn forbidden(key: &str) -> Option<String> {
    if key.contains(SEPARATOR) {
        return Some(format!("it contains `{SEPARATOR}`, which separates prefixes"));
    }
    key.chars().find(|c| c.is_control()).map(|c| format!("it contains the control character U+{:04X}", u32::from(c)))
}

/// A key in an error: short, and without control characters.
fn shown(key: &str) -> String {
    let mut text: String = key.chars().take(64).flat_map(char::escape_debug).collect();
    if text.len() < key.len() {
        text.push('…');
    }
    format!("\"{text}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden forms: they decide whether two runtimes that share a backend see the same data.
    #[test]
    fn stored_forms_never_change() {
        for (strategy, app_id, stored) in [
            ("none", Some("shop"), "cart"),
            ("appid", Some("shop"), "shop||cart"),
            ("appid", None, "cart"),
            ("name", Some("shop"), "orders||cart"),
            ("eu-1", Some("shop"), "eu-1||cart"),
        ] {
            let space = KeySpace::new(&strategy.parse().unwrap(), "orders", app_id, 1024).unwrap();
            let key = space.stored("cart").unwrap();
            assert_eq!(key.as_str(), stored, "{strategy} {app_id:?}");
            assert_eq!(space.shown(&key), Some("cart"));
            assert_eq!(space.stored_prefix("").unwrap(), stored.trim_end_matches("cart"));
        }
    }

    #[test]
    fn keys_that_cannot_be_stored_are_refused() {
        let space = KeySpace::new(&KeyPrefix::None, "orders", None, 1024).unwrap();
        for key in ["", "a||b", "||", "a\0b", "a\nb", "\u{85}", &"k".repeat(1025)] {
            assert!(space.stored(key).unwrap_err().is(Reason::StateKeyInvalid), "{key:?}");
        }
        for key in ["../etc/passwd", "a|b", "ключ", " ", "a//b", "%2F", &"k".repeat(1024)] {
            assert_eq!(space.stored(key).unwrap().as_str(), key);
        }
    }

    #[test]
    fn keys_of_another_space_are_not_shown() {
        let space = KeySpace::new(&KeyPrefix::AppId, "orders", Some("shop"), 1024).unwrap();
        assert_eq!(space.shown(&Key::new("bank||cart")), None);
        let shared = KeySpace::new(&KeyPrefix::None, "orders", None, 1024).unwrap();
        assert_eq!(shared.shown(&Key::new("bank||cart")), None);
    }

    #[test]
    fn a_prefix_that_would_make_keys_ambiguous_is_refused() {
        let long = "x".repeat(LONGEST_PREFIX + 1);
        for text in ["", "a||b", "a\nb", "AppId", "app_id", "namespace", &long] {
            assert_eq!(text.parse::<KeyPrefix>(), Err(InvalidPrefix), "{text:?}");
        }
        let hostile = KeySpace::new(&KeyPrefix::AppId, "orders", Some("a||b"), 1024);
        assert!(hostile.unwrap_err().is(Reason::RequestInvalid));
    }
}
