//! What calls answer.

use std::fmt;
use std::time::Duration;

use pillion_proto::common::v1::{self as common, Durability, FenceCheck};
use pillion_proto::state::v1 as state;
use pillion_proto::{Error, Result};

use crate::value::FromValue;

/// Which write of an entry it was. Opaque: pass it on as it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Etag(String);

impl Etag {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Etag {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for Etag {
    fn from(etag: String) -> Self {
        Self(etag)
    }
}

impl From<&str> for Etag {
    fn from(etag: &str) -> Self {
        Self(etag.to_owned())
    }
}

impl From<Etag> for String {
    fn from(etag: Etag) -> Self {
        etag.0
    }
}

/// An entry of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry<T> {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: T,
    /// The media type of the value; empty if unknown.
    pub content_type: String,
    /// For `if_match`.
    pub etag: Etag,
    /// How long it will still be readable; `None` if it stays.
    pub expires_in: Option<Duration>,
}

impl<T: FromValue> Entry<T> {
    pub(crate) fn read(entry: state::Entry) -> Result<Self> {
        let value = entry.value.unwrap_or_default();
        let content_type = value.content_type.clone();
        let value = T::from_value(value).map_err(|error| error.with("key", &entry.key))?;
        let expires_in = entry.expires_in.map(time_to_live);
        Ok(Self { key: entry.key, value, content_type, etag: Etag(entry.etag), expires_in })
    }
}

/// A runtime that sent a negative time has an entry that is gone by now.
fn time_to_live(left: pbjson_types::Duration) -> Duration {
    left.try_into().unwrap_or_default()
}

/// A write that took effect.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Written {
    /// The etag of the entry.
    pub etag: Etag,
    /// What the acknowledgement is worth.
    pub durability: Durability,
    /// How the fence was checked, if the write bore one.
    pub fence_check: Option<FenceCheck>,
}

/// A delete that took effect.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Deleted {
    /// Whether there was an entry.
    pub existed: bool,
    /// What the acknowledgement is worth.
    pub durability: Durability,
    /// How the fence was checked, if the delete bore one.
    pub fence_check: Option<FenceCheck>,
}

/// A transaction that took effect.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Committed {
    /// The etag after each operation, in order; `None` for deletes.
    pub etags: Vec<Option<Etag>>,
    /// What the acknowledgement is worth.
    pub durability: Durability,
    /// How the fence was checked, if the transaction bore one.
    pub fence_check: Option<FenceCheck>,
}

/// What the answers of all writes end with.
#[derive(Clone)]
pub(crate) struct Acknowledgement {
    durability: Durability,
    fence_check: Option<FenceCheck>,
}

impl Acknowledgement {
    pub(crate) fn new(durability: Option<Durability>, fence_check: i32) -> Self {
        let fence_check = FenceCheck::try_from(fence_check).ok().filter(|check| *check != FenceCheck::Unspecified);
        Self { durability: durability.unwrap_or_default(), fence_check }
    }

    pub(crate) fn written(self, etag: String) -> Written {
        Written { etag: Etag(etag), durability: self.durability, fence_check: self.fence_check }
    }

    pub(crate) fn deleted(self, existed: bool) -> Deleted {
        Deleted { existed, durability: self.durability, fence_check: self.fence_check }
    }

    pub(crate) fn committed(self, etags: Vec<Option<Etag>>) -> Committed {
        Committed { etags, durability: self.durability, fence_check: self.fence_check }
    }
}

/// What became of one item of many.
pub(crate) fn item<T>(error: Option<common::Error>, answer: impl FnOnce() -> T) -> Result<T> {
    match error {
        Some(error) => Err(Error::from(error)),
        None => Ok(answer()),
    }
}
