//! Requests into operations, entries into answers.

use std::time::Duration;

use pillion_proto::Duration as ProtoDuration;
use pillion_proto::common::v1 as common;
use pillion_proto::state::v1::{
    Condition, DeleteItem, Entry, SetItem, TransactOperation, condition, transact_operation,
};
use pillion_proto::{Error, Reason, Result};
use pillion_spi::state::{self as spi, Action, Consistency, Expiry, Op, Version};

use super::form;
use crate::key::KeySpace;

/// A hundred years: beyond it a lifetime is a mistake, and arithmetic on it would overflow somewhere.
const LONGEST_TTL: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The write of one item.
pub(super) fn put(
    keys: &KeySpace,
    key: &str,
    value: Option<common::Value>,
    condition: Option<Condition>,
    ttl: Option<ProtoDuration>,
    keep_ttl: bool,
) -> Result<Op> {
    let stored = keys.stored(key)?;
    let value = value.unwrap_or_default();
    Ok(Op {
        key: stored,
        condition: self::condition(condition)?,
        action: Action::Put {
            value: value.data,
            content_type: form::content_type(value.content_type)?,
            expiry: expiry(ttl, keep_ttl)?,
        },
    })
}

/// The removal of one item.
pub(super) fn delete(keys: &KeySpace, key: &str, condition: Option<Condition>) -> Result<Op> {
    Ok(Op { key: keys.stored(key)?, condition: self::condition(condition)?, action: Action::Delete })
}

/// An item of many, with its key.
pub(super) fn set_item(keys: &KeySpace, item: SetItem) -> (String, Result<Op>) {
    let op = put(keys, &item.key, item.value, item.condition, item.ttl, item.keep_ttl);
    (item.key, op)
}

/// An item of many, with its key.
pub(super) fn delete_item(keys: &KeySpace, item: DeleteItem) -> (String, Result<Op>) {
    let op = delete(keys, &item.key, item.condition);
    (item.key, op)
}

/// A write of a transaction, with its key.
pub(super) fn operation(keys: &KeySpace, index: usize, operation: TransactOperation) -> Result<(String, Result<Op>)> {
    match operation.kind {
        Some(transact_operation::Kind::Set(item)) => Ok(set_item(keys, item)),
        Some(transact_operation::Kind::Delete(item)) => Ok(delete_item(keys, item)),
        None => Err(Error::new(
            Reason::RequestInvalid,
            format!("operation {index} of the transaction is neither `set` nor `delete`"),
        )),
    }
}

fn condition(condition: Option<Condition>) -> Result<spi::Condition> {
    Ok(match condition.and_then(|condition| condition.kind) {
        None => spi::Condition::None,
        Some(condition::Kind::IfAbsent(_)) => spi::Condition::IfAbsent,
        Some(condition::Kind::IfMatch(etag)) => spi::Condition::IfMatch(version(&etag)?),
        Some(condition::Kind::IfMatchOrAbsent(etag)) => spi::Condition::IfMatchOrAbsent(version(&etag)?),
        Some(condition::Kind::FirstWrite(first)) => {
            spi::Condition::FirstWrite(first.etag.as_deref().map(version).transpose()?)
        }
    })
}

fn version(etag: &str) -> Result<Version> {
    etag.parse().map_err(|_| {
        let shown: String = etag.chars().take(40).flat_map(char::escape_debug).collect();
        Error::new(Reason::StateEtagInvalid, format!("\"{shown}\" is not an etag that this runtime gave"))
            .with("etag", shown)
    })
}

fn expiry(ttl: Option<ProtoDuration>, keep: bool) -> Result<Expiry> {
    match (ttl, keep) {
        (None, false) => Ok(Expiry::Never),
        (None, true) => Ok(Expiry::Keep),
        (Some(_), true) => Err(Error::new(Reason::StateTtlInvalid, "a write has `ttl` or `keep_ttl`, not both")),
        (Some(ttl), false) => {
            let shown = seconds(&ttl);
            Duration::try_from(ttl)
                .ok()
                .filter(|ttl| *ttl >= Duration::from_millis(1) && *ttl <= LONGEST_TTL)
                .map(Expiry::After)
                .ok_or_else(|| {
                    Error::new(
                        Reason::StateTtlInvalid,
                        format!("a time to live of {shown} is refused: it must be between 1 ms and 100 years"),
                    )
                })
        }
    }
}

fn seconds(duration: &ProtoDuration) -> String {
    let sign = if duration.seconds < 0 || duration.nanos < 0 { "-" } else { "" };
    let text = format!("{sign}{}.{:09}", duration.seconds.unsigned_abs(), duration.nanos.unsigned_abs());
    format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
}

/// How fresh or safe.
pub(super) fn consistency(consistency: common::Consistency) -> Consistency {
    match consistency {
        common::Consistency::Unspecified => Consistency::Default,
        common::Consistency::Eventual => Consistency::Eventual,
        common::Consistency::Strong => Consistency::Strong,
    }
}

/// An entry under the caller's key.
pub(super) fn entry(key: String, entry: spi::Entry) -> Entry {
    Entry {
        key,
        value: Some(common::Value { data: entry.value, content_type: entry.content_type.unwrap_or_default() }),
        etag: entry.version.to_string(),
        expires_in: entry.expires_in.map(Into::into),
    }
}
