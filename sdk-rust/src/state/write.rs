//! Writing and deleting one entry.

use std::future::IntoFuture;

use futures::future::BoxFuture;
use pillion_proto::Result;
use pillion_proto::common::v1::{Consistency, Fence};
use pillion_proto::state::v1::{DeleteRequest, SetRequest};

use super::State;
use super::item::{DeleteItem, SetItem};
use super::types::{Acknowledgement, Deleted, Written};
use crate::value::IntoValue;

impl State {
    /// Writes one entry; await the builder. Without a condition the last write wins.
    pub fn set(&self, key: impl Into<String>, value: impl IntoValue) -> Set {
        Set { state: self.clone(), item: SetItem::new(key, value), options: WriteOptions::default() }
    }

    /// Deletes one entry; await the builder. Deleting what is not there succeeds, unless a condition
    /// asks for an etag.
    pub fn delete(&self, key: impl Into<String>) -> Delete {
        Delete { state: self.clone(), item: DeleteItem::new(key), options: WriteOptions::default() }
    }
}

/// A write; await it.
#[derive(Debug)]
#[must_use = "it writes nothing until it is awaited"]
pub struct Set {
    state: State,
    pub(super) item: SetItem,
    options: WriteOptions,
}

/// A delete; await it.
#[derive(Debug)]
#[must_use = "it deletes nothing until it is awaited"]
pub struct Delete {
    state: State,
    pub(super) item: DeleteItem,
    options: WriteOptions,
}

/// The options that all writing calls share.
#[derive(Debug, Default)]
pub(super) struct WriteOptions {
    pub(super) consistency: Consistency,
    pub(super) idempotency_key: String,
    pub(super) fence: Option<Fence>,
}

macro_rules! write_options {
    () => {
        /// How safe the write must be. Default: what the store does by itself.
        pub fn consistency(mut self, consistency: pillion_proto::common::v1::Consistency) -> Self {
            self.options.consistency = consistency;
            self
        }

        /// Makes repeating the call harmless: a call with the same key is applied once. So it is
        /// also repeated by itself when its outcome is unknown. A store that does not remember keys
        /// refuses the call with `component.unsupported`.
        pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
            self.options.idempotency_key = key.into();
            self
        }

        /// Refuses the write if the lock was granted anew since.
        pub fn fence(mut self, fence: pillion_proto::common::v1::Fence) -> Self {
            self.options.fence = Some(fence);
            self
        }
    };
}
pub(super) use write_options;

impl Set {
    write_options!();
}

impl Delete {
    write_options!();
}

impl IntoFuture for Set {
    type Output = Result<Written>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let item = self.item.wire()?;
            let request = SetRequest {
                store: self.state.store_name(),
                key: item.key,
                value: item.value,
                condition: item.condition,
                ttl: item.ttl,
                keep_ttl: item.keep_ttl,
                consistency: self.options.consistency.into(),
                idempotency_key: self.options.idempotency_key,
                fence: self.options.fence,
            };
            let answer = self.state.api().set(&self.state.pillion.cx(), request).await?;
            Ok(Acknowledgement::new(answer.durability, answer.fence_check).written(answer.etag))
        })
    }
}

impl IntoFuture for Delete {
    type Output = Result<Deleted>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let item = self.item.wire();
            let request = DeleteRequest {
                store: self.state.store_name(),
                key: item.key,
                condition: item.condition,
                consistency: self.options.consistency.into(),
                idempotency_key: self.options.idempotency_key,
                fence: self.options.fence,
            };
            let answer = self.state.api().delete(&self.state.pillion.cx(), request).await?;
            Ok(Acknowledgement::new(answer.durability, answer.fence_check).deleted(answer.existed))
        })
    }
}
