//! Several writes, all or none.

use std::future::IntoFuture;

use futures::future::BoxFuture;
use pillion_proto::Result;
use pillion_proto::state::v1::TransactRequest;

use super::State;
use super::item::{DeleteItem, Operation, SetItem};
use super::read::one_each;
use super::types::{Acknowledgement, Committed, Etag};
use super::write::{WriteOptions, write_options};
use crate::value::IntoValue;

impl State {
    /// Makes several writes of different keys, 1 to 1,000, all or none; await the builder.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> pillion::Result<()> {
    /// # let p = pillion::embedded().await?;
    /// let state = p.state();
    /// state.transact().set("stock:7", "41").set("order:1", "item 7").delete("cart:42").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn transact(&self) -> Transact {
        Transact { state: self.clone(), operations: Vec::new(), options: WriteOptions::default() }
    }
}

/// A transaction; await it.
#[derive(Debug)]
#[must_use = "it writes nothing until it is awaited"]
pub struct Transact {
    state: State,
    operations: Vec<Operation>,
    options: WriteOptions,
}

impl Transact {
    write_options!();

    /// Adds a write. [`push`](Self::push) takes one with options.
    pub fn set(self, key: impl Into<String>, value: impl IntoValue) -> Self {
        self.push(SetItem::new(key, value))
    }

    /// Adds a delete. [`push`](Self::push) takes one with options.
    pub fn delete(self, key: impl Into<String>) -> Self {
        self.push(DeleteItem::new(key))
    }

    /// Adds an operation.
    pub fn push(mut self, operation: impl Into<Operation>) -> Self {
        self.operations.push(operation.into());
        self
    }
}

impl IntoFuture for Transact {
    type Output = Result<Committed>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let asked = self.operations.len();
            let request = TransactRequest {
                store: self.state.store_name(),
                operations: self.operations.into_iter().map(Operation::wire).collect::<Result<_>>()?,
                consistency: self.options.consistency.into(),
                idempotency_key: self.options.idempotency_key,
                fence: self.options.fence,
            };
            let answer = self.state.api().transact(&self.state.pillion.cx(), request).await?;
            one_each(asked, answer.results.len())?;
            let etags = answer.results.into_iter().map(|result| Some(result.etag).filter(|etag| !etag.is_empty()));
            let etags = etags.map(|etag| etag.map(Etag::from)).collect();
            Ok(Acknowledgement::new(answer.durability, answer.fence_check).committed(etags))
        })
    }
}
