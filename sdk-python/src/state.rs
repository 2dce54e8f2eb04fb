//! What of the block `state` is more than calls: lists fetch their pages, and watches come back after
//! a lost connection. Both are those of the crate `pillion`.

use futures::{StreamExt, TryStreamExt};
use pillion::proto::state::v1::{self as proto, watch_response::Event};
use pillion::state::{Change, Entry, State};
use pillion::{Events, Result, Value};
use pyo3::prelude::*;

use crate::client::{Caller, Client};
use crate::guard::guard;
use crate::stream::{answers, stream};

fn entry<T>(entry: Entry<T>, value: impl FnOnce(T) -> Option<Value>) -> proto::Entry {
    proto::Entry {
        key: entry.key,
        value: value(entry.value),
        etag: entry.etag.into(),
        expires_in: entry.expires_in.map(Into::into),
    }
}

fn change(change: Change<Value>, revision: u64) -> Option<proto::WatchResponse> {
    let event = match change {
        Change::Written(found) => Event::Written(proto::EntryWritten { entry: Some(entry(found, Some)), revision }),
        Change::Deleted { key, expired } => Event::Deleted(proto::EntryDeleted { key, expired, revision }),
        Change::Resync => Event::Resync(proto::Resync {}),
        Change::Synced => Event::Synced(proto::Synced { revision }),
        _ => return None,
    };
    Some(proto::WatchResponse { event: Some(event) })
}

fn state(caller: &Caller, store: &str) -> Result<State> {
    let state = caller.pillion()?.state();
    Ok(if store.is_empty() { state } else { state.store(store) })
}

/// Every entry whose key begins with `prefix`.
#[pyfunction]
pub fn state_list(
    py: Python<'_>,
    client: &Bound<'_, Client>,
    store: String,
    prefix: String,
    keys_only: bool,
    page_size: Option<i32>,
) -> PyResult<Py<PyAny>> {
    guard(py, || {
        let caller = client.get().caller().clone();
        stream(
            py,
            caller.mode(),
            Box::pin(async move {
                let state = state(&caller, &store)?;
                let page_size = page_size.unwrap_or_default();
                let entries = if keys_only {
                    let keys = state.keys(prefix).page_size(page_size);
                    Events::new(keys.map_ok(|found| entry(found, |()| None)))
                } else {
                    let entries = state.list::<Value>(prefix).page_size(page_size);
                    Events::new(entries.map_ok(|found| entry(found, Some)))
                };
                Ok(answers(entries))
            }),
        )
    })
}

/// Every change of the entry `key`, or of those whose key begins with `prefix`.
#[pyfunction]
pub fn state_watch(
    py: Python<'_>,
    client: &Bound<'_, Client>,
    store: String,
    prefix: String,
    key: Option<String>,
    after: Option<u64>,
) -> PyResult<Py<PyAny>> {
    guard(py, || {
        let caller = client.get().caller().clone();
        stream(
            py,
            caller.mode(),
            Box::pin(async move {
                let state = state(&caller, &store)?;
                let watch = match key {
                    Some(key) => state.watch_key::<Value>(key),
                    None => state.watch::<Value>(prefix),
                };
                let watch = match after {
                    Some(revision) => watch.after(revision),
                    None => watch,
                };
                let changes = futures::stream::unfold(watch.await?, |mut watch| async {
                    loop {
                        let next = watch.next().await.transpose()?;
                        let revision = watch.revision();
                        match next.map(|found| change(found, revision)).transpose() {
                            Some(event) => return Some((event, watch)),
                            // A change of a kind that this version does not know.
                            None => continue,
                        }
                    }
                });
                Ok(answers(Events::new(changes.boxed())))
            }),
        )
    })
}
