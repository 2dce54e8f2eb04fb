//! Writing and deleting many entries, each for itself.

use std::future::IntoFuture;

use futures::future::BoxFuture;
use pillion_proto::Result;
use pillion_proto::state::v1::{DeleteManyRequest, SetManyRequest, WriteResult};

use super::State;
use super::item::{DeleteItem, SetItem};
use super::read::one_each;
use super::types::{Acknowledgement, Deleted, Written, item};
use super::write::{WriteOptions, write_options};

impl State {
    /// Writes many entries, 1 to 1,000, each for itself: one result per item, in order. Await the
    /// builder.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> pillion::Result<()> {
    /// # let p = pillion::embedded().await?;
    /// use pillion::state::SetItem;
    ///
    /// p.state().set_many([("a", "one"), ("b", "two")]).await?;
    /// let results = p.state().set_many([SetItem::new("a", "1").if_absent(), SetItem::new("c", "3")]).await?;
    /// assert_eq!(results[0].as_ref().unwrap_err().reason(), "state.key_exists");
    /// assert!(results[1].is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_many(&self, items: impl IntoIterator<Item = impl Into<SetItem>>) -> SetMany {
        let items = items.into_iter().map(Into::into).collect();
        SetMany { state: self.clone(), items, options: WriteOptions::default() }
    }

    /// Deletes many entries, 1 to 1,000, each for itself: one result per item, in order. Await the
    /// builder.
    pub fn delete_many(&self, items: impl IntoIterator<Item = impl Into<DeleteItem>>) -> DeleteMany {
        let items = items.into_iter().map(Into::into).collect();
        DeleteMany { state: self.clone(), items, options: WriteOptions::default() }
    }
}

/// Many writes; await it.
#[derive(Debug)]
#[must_use = "it writes nothing until it is awaited"]
pub struct SetMany {
    state: State,
    items: Vec<SetItem>,
    options: WriteOptions,
}

/// Many deletes; await it.
#[derive(Debug)]
#[must_use = "it deletes nothing until it is awaited"]
pub struct DeleteMany {
    state: State,
    items: Vec<DeleteItem>,
    options: WriteOptions,
}

impl SetMany {
    write_options!();
}

impl DeleteMany {
    write_options!();
}

impl IntoFuture for SetMany {
    type Output = Result<Vec<Result<Written>>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let asked = self.items.len();
            let request = SetManyRequest {
                store: self.state.store_name(),
                items: self.items.into_iter().map(SetItem::wire).collect::<Result<_>>()?,
                consistency: self.options.consistency.into(),
                idempotency_key: self.options.idempotency_key,
                fence: self.options.fence,
            };
            let answer = self.state.api().set_many(&self.state.pillion.cx(), request).await?;
            one_each(asked, answer.results.len())?;
            let acknowledged = Acknowledgement::new(answer.durability, answer.fence_check);
            let read = |result: WriteResult| item(result.error, || acknowledged.clone().written(result.etag));
            Ok(answer.results.into_iter().map(read).collect())
        })
    }
}

impl IntoFuture for DeleteMany {
    type Output = Result<Vec<Result<Deleted>>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let asked = self.items.len();
            let request = DeleteManyRequest {
                store: self.state.store_name(),
                items: self.items.into_iter().map(DeleteItem::wire).collect(),
                consistency: self.options.consistency.into(),
                idempotency_key: self.options.idempotency_key,
                fence: self.options.fence,
            };
            let answer = self.state.api().delete_many(&self.state.pillion.cx(), request).await?;
            one_each(asked, answer.results.len())?;
            let acknowledged = Acknowledgement::new(answer.durability, answer.fence_check);
            let read = |result: WriteResult| item(result.error, || acknowledged.clone().deleted(result.existed));
            Ok(answer.results.into_iter().map(read).collect())
        })
    }
}
