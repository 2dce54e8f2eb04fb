//! Lists that page by themselves, and watches that survive a lost connection: as in Rust, since how they
//! do it is the same in every language.

use std::sync::Arc;

use futures::StreamExt;
use pillion::state::{Change, Entry};
use pillion::{Events, Pillion, Result, State, Value};

use crate::call::{FfiCall, FfiCancel, until};
use crate::error::FfiError;
use crate::r#gen::types::StateEntry;
use crate::injection::entered;
use crate::runtime::FfiRuntime;
use crate::stream::Stream;

/// What a watch of a store reports.
#[derive(Clone, Debug, PartialEq, uniffi::Enum)]
pub enum StateChange {
    /// An entry was written, or is there at the beginning.
    Written {
        /// As it is now.
        entry: StateEntry,
    },
    /// An entry is gone.
    Deleted {
        /// Its key.
        key: String,
        /// Its time was up; nobody deleted it.
        expired: bool,
    },
    /// Changes were missed: forget what you know; the present entries and `Synced` follow.
    Resync,
    /// Everything up to here was reported.
    Synced,
}

/// Entries, page after page.
#[derive(uniffi::Object)]
pub struct FfiEntries {
    inner: Stream<(), StateEntry>,
}

/// Changes, across lost connections.
#[derive(uniffi::Object)]
pub struct FfiChanges {
    inner: Stream<(), StateChange>,
}

#[uniffi::export]
impl FfiRuntime {
    /// The entries of `store` whose key begins with `prefix`; only their keys if `keys_only`.
    pub fn list_state(
        &self,
        store: String,
        prefix: String,
        keys_only: bool,
        page_size: Option<i32>,
        call: FfiCall,
    ) -> Result<Arc<FfiEntries>, FfiError> {
        entered("FfiRuntime.list_state");
        let home = self.home();
        home.alive()?;
        let state = handle(&call.handle(home.pillion()), &store);
        let entries = if keys_only {
            let keys = state.keys(prefix);
            let keys = page_size.into_iter().fold(keys, pillion::state::List::page_size);
            Events::new(keys.map(|entry| entry.map(|entry| record(entry, |()| None))))
        } else {
            let entries = state.list::<Value>(prefix);
            let entries = page_size.into_iter().fold(entries, pillion::state::List::page_size);
            Events::new(entries.map(|entry| entry.map(|entry| record(entry, Some))))
        };
        Ok(Arc::new(FfiEntries { inner: Stream::download(home, entries) }))
    }

    /// The changes of the entries of `store` whose key begins with `prefix`, or of the one at `key`.
    pub async fn watch_state(
        &self,
        store: String,
        prefix: String,
        key: Option<String>,
        call: FfiCall,
    ) -> Result<Arc<FfiChanges>, FfiError> {
        entered("FfiRuntime.watch_state");
        let home = self.home();
        let state = handle(&call.handle(home.pillion()), &store);
        let opening = match key {
            Some(key) => state.watch_key::<Value>(key),
            None => state.watch::<Value>(prefix),
        };
        let watch = home.guard(until(call.cancel, async { opening.await }))?.await?;
        let changes = Events::new(watch.map(|change| change.map(changed)));
        Ok(Arc::new(FfiChanges { inner: Stream::download(home, changes) }))
    }
}

#[uniffi::export]
impl FfiEntries {
    /// The next entry; nothing at the end.
    pub async fn next(&self, cancel: Option<Arc<FfiCancel>>) -> Result<Option<StateEntry>, FfiError> {
        entered("FfiEntries.next");
        self.inner.next(cancel).await
    }

    /// Ends the list.
    pub fn shut(&self) {
        entered("FfiEntries.shut");
        self.inner.shut();
    }
}

#[uniffi::export]
impl FfiChanges {
    /// The next change; nothing after the error that ended the watch.
    pub async fn next(&self, cancel: Option<Arc<FfiCancel>>) -> Result<Option<StateChange>, FfiError> {
        entered("FfiChanges.next");
        self.inner.next(cancel).await
    }

    /// Ends the watch.
    pub fn shut(&self) {
        entered("FfiChanges.shut");
        self.inner.shut();
    }
}

fn handle(p: &Pillion, store: &str) -> State {
    if store.is_empty() { p.state() } else { p.state().store(store) }
}

fn record<T>(entry: Entry<T>, value: impl FnOnce(T) -> Option<Value>) -> StateEntry {
    StateEntry {
        key: entry.key,
        value: value(entry.value).map(Into::into),
        etag: entry.etag.into(),
        expires_in: entry.expires_in.map(|left| pillion::proto::Duration::from(left).into()),
    }
}

fn changed(change: Change<Value>) -> StateChange {
    match change {
        Change::Written(entry) => StateChange::Written { entry: record(entry, Some) },
        Change::Deleted { key, expired } => StateChange::Deleted { key, expired },
        Change::Synced => StateChange::Synced,
        // What a newer version may add is something that was missed here.
        _ => StateChange::Resync,
    }
}
