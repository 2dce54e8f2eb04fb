//! How an entry lies in Redis.
//!
//! A hash with the fields that Layotto and Dapr use, so that either reads what the other wrote:
//! `data`, `version` (decimal, 1 at first, one more with each write) and `first-write` (present
//! once the entry was saved with first-write-wins). We add one field, `pillion`: the full version
//! that the write made, then, after a blank, the content type if it had one. Another runtime
//! leaves that field as it is but counts the version, so it is believed only while both agree.
//! A plain string is an entry, too, of version 0: older programs wrote those.

use std::time::Duration;

use bytes::Bytes;
use pillion_spi::state::{Entry, Key, Version};
use pillion_spi::{Error, Kind, Result};
use redis::{Cmd, Value};

use super::error::unexpected;
use super::read::Part;

/// The value.
const DATA: &str = "data";
/// The counter.
const VERSION: &str = "version";
/// What only Pillion writes and reads.
const PILLION: &str = "pillion";

/// Keys of this component's own bookkeeping begin so. No application can have such a key: `||` is
/// refused in keys, and before it stands never nothing.
pub(super) const OWN_PREFIX: &str = "||pillion||";

/// Asks for a hash; [`Found::of_hash`] reads the answer.
pub(super) fn ask_hash(key: &Key, part: Part) -> Cmd {
    let mut cmd = Cmd::with_capacity(5, key.as_str().len() + 32);
    cmd.arg("HMGET").arg(key.as_str()).arg(VERSION).arg(PILLION);
    if part == Part::Whole {
        cmd.arg(DATA);
    }
    cmd
}

/// Asks whether there is a value, for those who do not want it; see [`Found::of_hash`].
pub(super) fn ask_value(key: &Key) -> Cmd {
    let mut cmd = Cmd::with_capacity(3, key.as_str().len() + 16);
    cmd.arg("HEXISTS").arg(key.as_str()).arg(DATA);
    cmd
}

/// Asks for a plain string; [`Found::of_plain`] reads the answer.
pub(super) fn ask_plain(key: &Key, part: Part) -> Cmd {
    let mut cmd = Cmd::with_capacity(2, key.as_str().len() + 8);
    cmd.arg(if part == Part::Whole { "GET" } else { "STRLEN" }).arg(key.as_str());
    cmd
}

/// Asks for the time to live; [`Found::into_entry`] reads the answer.
pub(super) fn ask_expiry(key: &Key) -> Cmd {
    let mut cmd = Cmd::with_capacity(2, key.as_str().len() + 8);
    cmd.arg("PTTL").arg(key.as_str());
    cmd
}

/// What lies under a key.
#[derive(Debug)]
pub(super) enum Found {
    /// No entry.
    Nothing,
    /// Not a hash: ask for the plain string.
    NotHash,
    /// An entry, but for its key and expiry.
    Entry {
        /// Empty unless asked for.
        value: Bytes,
        version: Version,
        content_type: Option<String>,
    },
}

impl Found {
    /// Reads the answer to [`ask_hash`], and that to [`ask_value`] where the value is not wanted.
    pub(super) fn of_hash(answer: Value, has_value: Option<Value>) -> Result<Self> {
        let fields = match answer {
            Value::Array(fields) => fields,
            Value::ServerError(error) if error.code() == "WRONGTYPE" => return Ok(Self::NotHash),
            other => return Err(unexpected(other)),
        };
        let mut fields = fields.into_iter().map(bytes);
        let (version, pillion) = (fields.next().flatten(), fields.next().flatten());
        let value = match has_value {
            None => fields.next().flatten(),
            Some(Value::Int(1)) => Some(Bytes::new()),
            Some(_) => None,
        };
        match (value, version) {
            (None, None) => Ok(Self::Nothing),
            (None, Some(_)) => Err(Error::new(Kind::Corrupt, "the hash has the field `version` but not `data`")),
            (Some(value), version) => {
                let (version, content_type) = tag(counter(version.as_deref())?, pillion.as_deref());
                Ok(Self::Entry { value, version, content_type })
            }
        }
    }

    /// Reads the answer to [`ask_plain`].
    pub(super) fn of_plain(answer: Value) -> Result<Self> {
        let value = match answer {
            // The entry was deleted since it was found to be no hash.
            Value::Nil => return Ok(Self::Nothing),
            Value::BulkString(value) => value.into(),
            Value::Int(_) => Bytes::new(),
            Value::ServerError(error) if error.code() == "WRONGTYPE" => {
                return Err(Error::new(
                    Kind::Corrupt,
                    "the key holds a Redis value that is neither a hash nor a string",
                )
                .advice("another program uses this key; choose another key or database"));
            }
            other => return Err(unexpected(other)),
        };
        Ok(Self::Entry { value, version: Version::bare(0), content_type: None })
    }

    /// Completes the entry with the answer to [`ask_expiry`]. Nothing if it expired between the
    /// two answers.
    pub(super) fn into_entry(self, key: &Key, expiry: Value) -> Result<Option<Entry>> {
        let Self::Entry { value, version, content_type } = self else { return Ok(None) };
        let expires_in = match expiry {
            Value::Int(-1) => None,
            Value::Int(left) => match u64::try_from(left) {
                Ok(left) => Some(Duration::from_millis(left)),
                Err(_) => return Ok(None),
            },
            other => return Err(unexpected(other)),
        };
        Ok(Some(Entry { key: key.clone(), value, content_type, version, expires_in }))
    }
}

/// The counter; an entry without one counts as never counted.
fn counter(version: Option<&[u8]>) -> Result<u64> {
    let Some(version) = version else { return Ok(0) };
    std::str::from_utf8(version)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Error::new(Kind::Corrupt, "the field `version` of the hash is not a number"))
}

/// What our own field says of the entry, if it still speaks of the present one.
fn tag(counter: u64, tag: Option<&[u8]>) -> (Version, Option<String>) {
    let read = |tag| {
        let tag = std::str::from_utf8(tag).ok()?;
        let (version, content_type) = match tag.split_once(' ') {
            Some((version, content_type)) => (version, Some(content_type.to_owned())),
            None => (tag, None),
        };
        let version: Version = version.parse().ok()?;
        (version.counter == counter).then_some((version, content_type))
    };
    tag.and_then(read).unwrap_or((Version::bare(counter), None))
}

/// The bytes of an answer, without copying them; `None` for nil and for what has none.
pub(super) fn bytes(value: Value) -> Option<Bytes> {
    match value {
        Value::BulkString(bytes) => Some(bytes.into()),
        Value::SimpleString(text) => Some(text.into()),
        _ => None,
    }
}
