//! Reading entries by key.

use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;

use futures::future::BoxFuture;
use pillion_proto::common::v1::Consistency;
use pillion_proto::state::v1::{self as state, GetManyRequest, GetRequest};
use pillion_proto::{Error, Reason, Result};

use super::State;
use super::types::{Entry, item};
use crate::value::FromValue;

impl State {
    /// Reads the value under a key; `None` if there is none. Await the builder.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> pillion::Result<()> {
    /// # let p = pillion::embedded().await?;
    /// use pillion::Json;
    ///
    /// p.state().set("point", Json((3, 4))).await?;
    /// let point: Option<Json<(i32, i32)>> = p.state().get("point").await?;
    /// assert_eq!(point, Some(Json((3, 4))));
    /// # Ok(())
    /// # }
    /// ```
    pub fn get<T: FromValue>(&self, key: impl Into<String>) -> Get<T> {
        Get(self.get_entry(key))
    }

    /// Reads the entry under a key: its value, etag, content type and expiry. Await the builder.
    pub fn get_entry<T: FromValue>(&self, key: impl Into<String>) -> GetEntry<T> {
        GetEntry { state: self.clone(), key: key.into(), consistency: Consistency::default(), value: PhantomData }
    }

    /// Reads the entries under many keys: 1 to 1,000. The results stand in the order of the keys,
    /// one for each. Await the builder.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> pillion::Result<()> {
    /// # let p = pillion::embedded().await?;
    /// p.state().set("a", "one").await?;
    /// let found = p.state().get_many::<String>(["a", "b"]).await?;
    /// let found: Vec<_> = found.into_iter().collect::<pillion::Result<_>>()?;
    /// assert_eq!(found[0].as_ref().unwrap().value, "one");
    /// assert!(found[1].is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_many<T: FromValue>(&self, keys: impl IntoIterator<Item = impl Into<String>>) -> GetMany<T> {
        let keys = keys.into_iter().map(Into::into).collect();
        GetMany { state: self.clone(), keys, consistency: Consistency::default(), value: PhantomData }
    }
}

/// A read of a value; await it.
#[must_use = "it reads nothing until it is awaited"]
pub struct Get<T>(GetEntry<T>);

/// A read of an entry; await it.
#[must_use = "it reads nothing until it is awaited"]
pub struct GetEntry<T> {
    state: State,
    key: String,
    consistency: Consistency,
    value: PhantomData<fn() -> T>,
}

/// A read of many entries; await it.
#[must_use = "it reads nothing until it is awaited"]
pub struct GetMany<T> {
    state: State,
    keys: Vec<String>,
    consistency: Consistency,
    value: PhantomData<fn() -> T>,
}

impl<T> Get<T> {
    /// How fresh the answer must be. Default: what the store does by itself.
    pub fn consistency(mut self, consistency: Consistency) -> Self {
        self.0.consistency = consistency;
        self
    }
}

impl<T> GetEntry<T> {
    /// How fresh the answer must be. Default: what the store does by itself.
    pub fn consistency(mut self, consistency: Consistency) -> Self {
        self.consistency = consistency;
        self
    }
}

impl<T> GetMany<T> {
    /// How fresh the answer must be. Default: what the store does by itself.
    pub fn consistency(mut self, consistency: Consistency) -> Self {
        self.consistency = consistency;
        self
    }
}

impl<T: FromValue + 'static> IntoFuture for Get<T> {
    type Output = Result<Option<T>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.0.read().await?.map(|entry| entry.value)) })
    }
}

impl<T: FromValue + 'static> IntoFuture for GetEntry<T> {
    type Output = Result<Option<Entry<T>>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.read())
    }
}

impl<T: FromValue> GetEntry<T> {
    async fn read(self) -> Result<Option<Entry<T>>> {
        let request =
            GetRequest { store: self.state.store_name(), key: self.key, consistency: self.consistency.into() };
        let answer = self.state.api().get(&self.state.pillion.cx(), request).await?;
        answer.entry.map(Entry::read).transpose()
    }
}

impl<T: FromValue + 'static> IntoFuture for GetMany<T> {
    type Output = Result<Vec<Result<Option<Entry<T>>>>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let asked = self.keys.len();
            let request = GetManyRequest {
                store: self.state.store_name(),
                keys: self.keys,
                consistency: self.consistency.into(),
            };
            let results = self.state.api().get_many(&self.state.pillion.cx(), request).await?.results;
            one_each(asked, results.len())?;
            let read = |found: state::GetResult| item(found.error, || found.entry)?.map(Entry::read).transpose();
            Ok(results.into_iter().map(read).collect())
        })
    }
}

/// Refuses an answer that cannot be told apart by position.
pub(super) fn one_each(asked: usize, answered: usize) -> Result<()> {
    if asked == answered {
        return Ok(());
    }
    let message = format!("the runtime answered {answered} results to {asked} items");
    Err(Error::new(Reason::Unspecified, message).outcome_unknown())
}

impl<T> fmt::Debug for Get<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Get").field(&self.0.key).finish()
    }
}

impl<T> fmt::Debug for GetEntry<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GetEntry").field(&self.key).finish()
    }
}

impl<T> fmt::Debug for GetMany<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GetMany").field(&self.keys).finish()
    }
}
