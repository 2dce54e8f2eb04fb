//! Changing an entry on the basis of what it is.

use std::time::Duration;

use pillion_proto::state::v1::{Condition, GetRequest, IfAbsent, SetRequest, condition};
use pillion_proto::{Reason, Result};

use super::State;
use super::types::Entry;
use crate::time::{Backoff, sleep};
use crate::value::{FromValue, IntoValue};

/// So many writers may get in between before it is time to say that the key is too busy.
const ATTEMPTS: u32 = 20;

impl State {
    /// Reads a value, changes it, and writes it if nobody else wrote meanwhile; otherwise begins again, up
    /// to 20 times within the timeout of the handle. So no change of another writer is lost. `change`
    /// gets `None` if there is no entry, and may be called several times. The expiry stays as it is.
    ///
    /// Returns what was written.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> pillion::Result<()> {
    /// # let p = pillion::embedded().await?;
    /// use pillion::Json;
    ///
    /// for visits in 1..=3 {
    ///     let count = p.state().update("visits", |count: Option<Json<u32>>| Json(count.map_or(1, |n| n.0 + 1))).await?;
    ///     assert_eq!(count, Json(visits));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of reading and writing; `state.etag_mismatch` or `state.key_exists` if others kept
    /// writing. If the outcome is unknown, the change may have been made: it is not tried again.
    pub async fn update<T>(&self, key: impl Into<String>, mut change: impl FnMut(Option<T>) -> T) -> Result<T>
    where
        T: FromValue + IntoValue + Clone,
    {
        let key = key.into();
        // One deadline for the whole, not one for each attempt.
        let cx = self.pillion.cx();
        let mut backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(100));
        let mut attempts = 0;
        loop {
            let request = GetRequest { store: self.store_name(), key: key.clone(), ..GetRequest::default() };
            let entry = self.api().get(&cx, request).await?.entry.map(Entry::<T>::read).transpose()?;
            let keep_ttl = entry.as_ref().is_some_and(|entry| entry.expires_in.is_some());
            let (old, kind) = match entry {
                Some(entry) => (Some(entry.value), condition::Kind::IfMatch(entry.etag.into())),
                None => (None, condition::Kind::IfAbsent(IfAbsent {})),
            };
            let new = change(old);
            let request = SetRequest {
                store: self.store_name(),
                key: key.clone(),
                value: Some(new.clone().into_value()?),
                condition: Some(Condition { kind: Some(kind) }),
                keep_ttl,
                ..SetRequest::default()
            };
            let error = match self.api().set(&cx, request).await {
                Ok(_) => return Ok(new),
                Err(error) => error,
            };
            attempts += 1;
            let overtaken = error.is(Reason::StateEtagMismatch) || error.is(Reason::StateKeyExists);
            let wait = backoff.wait(None);
            if !overtaken || attempts == ATTEMPTS || cx.remaining().is_some_and(|remaining| remaining <= wait) {
                return Err(error);
            }
            sleep(wait).await;
        }
    }
}
