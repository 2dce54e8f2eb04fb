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

/// The value.
pub(super) const DATA: &str = "data";
/// The counter.
pub(super) const VERSION: &str = "version";
/// What only Pillion writes and reads.
pub(super) const PILLION: &str = "pillion";

/// Keys of this component's own bookkeeping begin so. No application can have such a key: `||` is
/// refused in keys, and before it stands never nothing.
pub(super) const OWN_PREFIX: &str = "||pillion||";

/// Asks for a hash; [`Found::of_hash`] reads the answer.
pub(super) fn ask_hash(key: &Key) -> Cmd {
    let mut cmd = Cmd::with_capacity(5, key.as_str().len() + 32);
    cmd.arg("HMGET").arg(key.as_str()).arg(DATA).arg(VERSION).arg(PILLION);
    cmd
}

/// Asks for the time to live; [`expires_in`] reads the answer.
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
    Hash { value: Bytes, version: Version, content_type: Option<String> },
}

impl Found {
    /// Reads the answer to [`ask_hash`].
    pub(super) fn of_hash(answer: Value) -> Result<Self> {
        let fields = match answer {
            Value::Array(fields) => fields,
            Value::ServerError(error) if error.code() == "WRONGTYPE" => return Ok(Self::NotHash),
            other => return Err(super::error::unexpected(other)),
        };
        let Ok([data, version, pillion]) = <[Value; 3]>::try_from(fields) else {
            return Err(Error::internal("Redis answered HMGET with another number of fields than were asked for"));
        };
        match (bytes(data), bytes(version)) {
            (None, None) => Ok(Self::Nothing),
            (None, Some(_)) => Err(Error::new(Kind::Corrupt, "the hash has the field `version` but not `data`")),
            (Some(value), version) => {
                let counter = counter(version.as_deref())?;
                let (version, content_type) = tag(counter, bytes(pillion).as_deref());
                Ok(Self::Hash { value, version, content_type })
            }
        }
    }

    /// Completes the entry. Nothing if it has expired between the two answers.
    pub(super) fn into_entry(self, key: Key, expiry: Value) -> Result<Option<Entry>> {
        let Self::Hash { value, version, content_type } = self else { return Ok(None) };
        Ok(match expires_in(expiry)? {
            Expires::Gone => None,
            Expires::Never => Some(Entry { key, value, content_type, version, expires_in: None }),
            Expires::In(left) => Some(Entry { key, value, content_type, version, expires_in: Some(left) }),
        })
    }

    /// Reads the answer to `GET`.
    pub(super) fn of_string(answer: Value) -> Result<Self> {
        match answer {
            Value::Nil => Ok(Self::Nothing),
            Value::BulkString(value) => {
                Ok(Self::Hash { value: value.into(), version: Version::bare(0), content_type: None })
            }
            Value::ServerError(error) if error.code() == "WRONGTYPE" => {
                Err(Error::new(Kind::Corrupt, "the key holds a Redis value that is neither a hash nor a string")
                    .advice("another program uses this key; choose another key or database"))
            }
            other => Err(super::error::unexpected(other)),
        }
    }
}

/// The answer to [`ask_expiry`].
pub(super) enum Expires {
    Gone,
    Never,
    In(Duration),
}

pub(super) fn expires_in(answer: Value) -> Result<Expires> {
    match answer {
        Value::Int(-1) => Ok(Expires::Never),
        Value::Int(left) => {
            Ok(u64::try_from(left).map_or(Expires::Gone, |left| Expires::In(Duration::from_millis(left))))
        }
        other => Err(super::error::unexpected(other)),
    }
}

/// The counter; an entry without one counts as never counted.
pub(super) fn counter(version: Option<&[u8]>) -> Result<u64> {
    let Some(version) = version else { return Ok(0) };
    std::str::from_utf8(version)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Error::new(Kind::Corrupt, "the field `version` of the hash is not a number"))
}

/// What our own field says of the entry, if it still speaks of the present one.
pub(super) fn tag(counter: u64, tag: Option<&[u8]>) -> (Version, Option<String>) {
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
