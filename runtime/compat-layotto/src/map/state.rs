//! State.
//!
//! An etag here is the bare version of an entry, a decimal number that begins at 1; natively a
//! generation follows it, which is left out on the way to the client. Absent, empty and `0` all
//! mean that the client does not care.

use std::time::Duration;

use pillion_proto::common::v1::{Consistency, Value};
use pillion_proto::state::v1::{
    Condition, DeleteItem, DeleteRequest, Entry, FirstWrite, GetManyRequest, GetManyResponse, GetRequest, GetResponse,
    GetResult, SetItem, SetRequest, TransactOperation, TransactRequest, condition, transact_operation,
};

use crate::errors::Malformed;
use crate::r#gen::state_options::{StateConcurrency, StateConsistency};
use crate::r#gen::{
    BulkStateItem, Etag, GetBulkStateRequest, GetBulkStateResponse, GetStateRequest, GetStateResponse, StateItem,
    StateOptions, TransactionalStateOperation,
};
use crate::strconv;

/// The key of an item's metadata that holds its time to live, in seconds.
const TTL: &str = "ttlInSeconds";

/// A version that no entry has, since the first write makes version 1: a condition on it holds
/// only where there is no entry.
const NO_VERSION: &str = "0";

/// Reads one entry.
pub mod get {
    use super::*;

    /// `GetState` as a native request.
    pub fn to_native(request: &GetStateRequest) -> GetRequest {
        GetRequest {
            store: request.store_name.clone(),
            key: request.key.clone(),
            consistency: consistency(request.consistency()).into(),
        }
    }

    /// A key without an entry is an empty answer.
    pub fn from_native(response: GetResponse) -> GetStateResponse {
        let (data, etag) = response.entry.map(data_and_etag).unwrap_or_default();
        GetStateResponse { data, etag, ..GetStateResponse::default() }
    }
}

/// Reads many entries.
pub mod get_bulk {
    use super::*;

    /// `GetBulkState` as a native request. `parallelism` has no counterpart: the store is asked once.
    pub fn to_native(request: &GetBulkStateRequest) -> GetManyRequest {
        GetManyRequest { store: request.store_name.clone(), keys: request.keys.clone(), ..GetManyRequest::default() }
    }

    /// One item per key, in the order asked. A key without an entry has an item with the key only.
    pub fn from_native(response: GetManyResponse) -> GetBulkStateResponse {
        GetBulkStateResponse { items: response.results.into_iter().map(item).collect() }
    }

    /// The answer when no key could be read: the same error for each.
    pub fn failed(request: GetBulkStateRequest, error: &str) -> GetBulkStateResponse {
        let items = request.keys.into_iter();
        let items = items.map(|key| BulkStateItem { key, error: error.to_owned(), ..BulkStateItem::default() });
        GetBulkStateResponse { items: items.collect() }
    }

    fn item(result: GetResult) -> BulkStateItem {
        let (data, etag) = result.entry.map(data_and_etag).unwrap_or_default();
        let error = result.error.map(|error| error.message).unwrap_or_default();
        BulkStateItem { key: result.key, data, etag, error, ..BulkStateItem::default() }
    }
}

/// Saves one item.
pub mod save {
    use super::*;

    /// One item of `SaveState` as a native request.
    pub fn to_native(store: &str, item: &StateItem) -> Result<SetRequest, Malformed> {
        let set = set_item(item)?;
        Ok(SetRequest {
            store: store.to_owned(),
            key: set.key,
            value: set.value,
            condition: set.condition,
            ttl: set.ttl,
            keep_ttl: set.keep_ttl,
            consistency: consistency(options(item).consistency()).into(),
            ..SetRequest::default()
        })
    }

    /// The condition to fall back to when an unconditional write met an entry under first-write
    /// protection: there Layotto looks at the etag after all, though the last write should win.
    pub fn protected(item: &StateItem) -> Option<Condition> {
        if options(item).concurrency() != StateConcurrency::ConcurrencyLastWrite {
            return None;
        }
        version(item.etag.as_ref()).ok().flatten().map(|etag| when(condition::Kind::IfMatchOrAbsent(etag)))
    }
}

/// Deletes one key.
pub mod delete {
    use super::*;

    /// The delete of a key as a native request.
    pub fn to_native(store: &str, key: &str, etag: Option<&Etag>, options: Option<&StateOptions>) -> DeleteRequest {
        let consistency = consistency(options.copied().unwrap_or_default().consistency());
        DeleteRequest {
            store: store.to_owned(),
            key: key.to_owned(),
            condition: delete_condition(etag),
            consistency: consistency.into(),
            ..DeleteRequest::default()
        }
    }
}

/// Makes several writes, all or none.
pub mod transact {
    use super::*;

    /// Why an operation cannot be part of a transaction.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum Refused<'a> {
        /// Its type is neither `upsert` nor `delete`.
        Operation(&'a str),
        /// Its item has a number that is none.
        Item(Malformed),
    }

    /// `ExecuteStateTransaction` as a native request. Operations without an item are left out. The
    /// strongest consistency that an operation asks for holds for all.
    pub fn to_native<'a>(
        store: &str,
        operations: &'a [TransactionalStateOperation],
    ) -> Result<TransactRequest, Refused<'a>> {
        let with_item = || operations.iter().filter_map(|operation| Some((operation, operation.request.as_ref()?)));
        let strongest = with_item().map(|(_, item)| options(item).consistency).max().unwrap_or_default();
        let strongest = StateConsistency::try_from(strongest).unwrap_or_default();
        Ok(TransactRequest {
            store: store.to_owned(),
            operations: with_item().map(|(operation, item)| native(operation, item)).collect::<Result<_, _>>()?,
            consistency: consistency(strongest).into(),
            ..TransactRequest::default()
        })
    }

    fn native<'a>(
        operation: &'a TransactionalStateOperation,
        item: &StateItem,
    ) -> Result<TransactOperation, Refused<'a>> {
        let kind = match operation.operation_type.as_str() {
            "upsert" => transact_operation::Kind::Set(set_item(item).map_err(Refused::Item)?),
            "delete" => {
                let condition = delete_condition(item.etag.as_ref());
                transact_operation::Kind::Delete(DeleteItem { key: item.key.clone(), condition })
            }
            unknown => return Err(Refused::Operation(unknown)),
        };
        Ok(TransactOperation { kind: Some(kind) })
    }
}

fn data_and_etag(entry: Entry) -> (bytes::Bytes, String) {
    let mut etag = entry.etag;
    etag.truncate(etag.find('-').unwrap_or(etag.len()));
    (entry.value.unwrap_or_default().data, etag)
}

fn options(item: &StateItem) -> StateOptions {
    item.options.unwrap_or_default()
}

fn consistency(consistency: StateConsistency) -> Consistency {
    match consistency {
        StateConsistency::ConsistencyUnspecified => Consistency::Unspecified,
        StateConsistency::ConsistencyEventual => Consistency::Eventual,
        StateConsistency::ConsistencyStrong => Consistency::Strong,
    }
}

fn set_item(item: &StateItem) -> Result<SetItem, Malformed> {
    let condition = save_condition(item)?;
    let ttl = ttl(item)?;
    Ok(SetItem {
        key: item.key.clone(),
        value: Some(Value { data: item.value.clone(), ..Value::default() }),
        condition,
        ttl: ttl.flatten().map(Into::into),
        // An item that says nothing of expiry leaves it as it is.
        keep_ttl: ttl.is_none(),
    })
}

/// What an item says of its expiry: nothing, that it stays, or how long.
fn ttl(item: &StateItem) -> Result<Option<Option<Duration>>, Malformed> {
    let Some(text) = item.metadata.get(TTL).filter(|text| !text.is_empty()) else { return Ok(None) };
    let seconds = strconv::integer("ParseInt", text).map_err(Malformed::Ttl)?;
    Ok(Some(u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)))
}

fn save_condition(item: &StateItem) -> Result<Option<Condition>, Malformed> {
    let concurrency = options(item).concurrency();
    if concurrency == StateConcurrency::ConcurrencyLastWrite {
        // Not even read: a malformed etag is no error here.
        return Ok(None);
    }
    let etag = version(item.etag.as_ref())?;
    Ok(match concurrency {
        StateConcurrency::ConcurrencyFirstWrite => Some(when(condition::Kind::FirstWrite(FirstWrite { etag }))),
        _ => etag.map(|etag| when(condition::Kind::IfMatchOrAbsent(etag))),
    })
}

/// The version that an etag asks for; `None` if the client does not care.
fn version(etag: Option<&Etag>) -> Result<Option<String>, Malformed> {
    let Some(etag) = etag.filter(|etag| !etag.value.is_empty()) else { return Ok(None) };
    Ok(match strconv::integer("Atoi", &etag.value).map_err(Malformed::Etag)? {
        0 => None,
        negative if negative < 0 => Some(NO_VERSION.to_owned()),
        version => Some(version.to_string()),
    })
}

/// Deletes look at the text of an etag, not at its number, and so refuse none: what is no version
/// matches no entry.
fn delete_condition(etag: Option<&Etag>) -> Option<Condition> {
    let etag = etag.map(|etag| etag.value.as_str()).filter(|etag| !matches!(*etag, "" | "0"))?;
    let is_version = etag.parse::<u64>().is_ok_and(|version| version.to_string() == etag);
    let etag = if is_version { etag } else { NO_VERSION };
    Some(when(condition::Kind::IfMatchOrAbsent(etag.to_owned())))
}

fn when(kind: condition::Kind) -> Condition {
    Condition { kind: Some(kind) }
}

#[cfg(test)]
mod tests;
