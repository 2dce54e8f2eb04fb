//! One write of many, and the options of writes.

use std::time::Duration;

use pillion_proto::state::v1::condition::Kind;
use pillion_proto::state::v1::{self as state, Condition, FirstWrite, IfAbsent, transact_operation};
use pillion_proto::{Error, Result};

use super::types::Etag;
use crate::value::{IntoValue, Value};

/// One write of a [`set_many`](super::State::set_many) or a [transaction](super::State::transact).
/// A pair of key and value is one without options.
#[derive(Debug)]
#[must_use]
pub struct SetItem {
    key: String,
    /// Building does not fail, the call does.
    value: Result<Value>,
    condition: Option<Kind>,
    ttl: Option<Duration>,
    keep_ttl: bool,
}

/// One delete of a [`delete_many`](super::State::delete_many) or a
/// [transaction](super::State::transact). A key is one without options.
#[derive(Debug)]
#[must_use]
pub struct DeleteItem {
    key: String,
    condition: Option<Kind>,
}

/// One operation of a [transaction](super::State::transact).
#[derive(Debug)]
#[must_use]
#[non_exhaustive]
pub enum Operation {
    /// A write.
    Set(SetItem),
    /// A delete.
    Delete(DeleteItem),
}

impl SetItem {
    /// A write of `value` under `key`.
    pub fn new(key: impl Into<String>, value: impl IntoValue) -> Self {
        Self { key: key.into(), value: value.into_value(), condition: None, ttl: None, keep_ttl: false }
    }

    pub(super) fn wire(self) -> Result<state::SetItem> {
        let value = self.value.map_err(|error| error.with("key", &self.key))?;
        let ttl = self.ttl.map(duration).transpose()?;
        Ok(state::SetItem {
            key: self.key,
            value: Some(value),
            condition: condition(self.condition),
            ttl,
            keep_ttl: self.keep_ttl,
        })
    }
}

impl DeleteItem {
    /// A delete of `key`.
    pub fn new(key: impl Into<String>) -> Self {
        Self { key: key.into(), condition: None }
    }

    pub(super) fn wire(self) -> state::DeleteItem {
        state::DeleteItem { key: self.key, condition: condition(self.condition) }
    }
}

impl Operation {
    pub(super) fn wire(self) -> Result<state::TransactOperation> {
        let kind = match self {
            Self::Set(item) => transact_operation::Kind::Set(item.wire()?),
            Self::Delete(item) => transact_operation::Kind::Delete(item.wire()),
        };
        Ok(state::TransactOperation { kind: Some(kind) })
    }
}

impl<K: Into<String>, V: IntoValue> From<(K, V)> for SetItem {
    fn from((key, value): (K, V)) -> Self {
        Self::new(key, value)
    }
}

impl<K: Into<String>> From<K> for DeleteItem {
    fn from(key: K) -> Self {
        Self::new(key)
    }
}

impl From<SetItem> for Operation {
    fn from(item: SetItem) -> Self {
        Self::Set(item)
    }
}

impl From<DeleteItem> for Operation {
    fn from(item: DeleteItem) -> Self {
        Self::Delete(item)
    }
}

fn condition(kind: Option<Kind>) -> Option<Condition> {
    kind.map(|kind| Condition { kind: Some(kind) })
}

/// The runtime judges the range; only what the wire cannot hold is refused here.
fn duration(ttl: Duration) -> Result<pbjson_types::Duration> {
    let seconds = i64::try_from(ttl.as_secs())
        .map_err(|_| Error::new(pillion_proto::Reason::StateTtlInvalid, "the time to live is longer than 100 years"))?;
    Ok(pbjson_types::Duration { seconds, nanos: ttl.subsec_nanos().cast_signed() })
}

/// The options of a builder that holds an item: `$item` is where, nothing if it is the item.
macro_rules! item_options {
    (set $(, $item:ident)?) => {
        /// Only if there is no entry; otherwise the error is `state.key_exists`.
        pub fn if_absent(mut self) -> Self {
            self$(.$item)?.condition = Some(Kind::IfAbsent(IfAbsent {}));
            self
        }

        /// The entry is gone after this time, counted from the write: 1 ms to 100 years.
        /// Default: it stays.
        pub fn ttl(mut self, ttl: Duration) -> Self {
            self$(.$item)?.ttl = Some(ttl);
            self
        }

        /// Leaves the expiry of the present entry as it is. Not together with `ttl`.
        pub fn keep_ttl(mut self) -> Self {
            self$(.$item)?.keep_ttl = true;
            self
        }

        /// Replaces the content type that the value's type gives.
        pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
            if let Ok(value) = &mut self$(.$item)?.value {
                value.content_type = content_type.into();
            }
            self
        }

        item_options!(delete $(, $item)?);
    };
    (delete $(, $item:ident)?) => {
        /// Only if the entry has this etag; otherwise the error is `state.etag_mismatch`.
        pub fn if_match(mut self, etag: impl AsRef<str>) -> Self {
            self$(.$item)?.condition = Some(Kind::IfMatch(etag.as_ref().to_owned()));
            self
        }

        /// Only if the entry has this etag, or there is none; otherwise the error is
        /// `state.etag_mismatch`.
        pub fn if_match_or_absent(mut self, etag: impl AsRef<str>) -> Self {
            self$(.$item)?.condition = Some(Kind::IfMatchOrAbsent(etag.as_ref().to_owned()));
            self
        }

        /// First write wins: with an etag, only if the entry has it or there is none; with `None`,
        /// only if there is none. Stores that say so in their capabilities also mark the entry: they
        /// then refuse writes without a condition until it is deleted.
        pub fn first_write(mut self, etag: Option<&Etag>) -> Self {
            let etag = etag.map(|etag| etag.as_str().to_owned());
            self$(.$item)?.condition = Some(Kind::FirstWrite(FirstWrite { etag }));
            self
        }
    };
}

impl SetItem {
    item_options!(set);
}

impl DeleteItem {
    item_options!(delete);
}

impl super::Set {
    item_options!(set, item);
}

impl super::Delete {
    item_options!(delete, item);
}
