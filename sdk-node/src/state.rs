//! Lists and watches that span pages and connections: the streams of the crate `pillion`, for `lib/state.js`.

use futures::{StreamExt, stream};
use napi::Result;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;
use pillion::proto::common::v1::Value;
use pillion::proto::state::v1 as state;
use pillion::state::{Change, Entry, List, Watch};
use pillion::{Events, FromValue};

use crate::convert::{Building, Converted, Fields, Write, boolean, int32, settings, string, uint64, write_uint64};
use crate::error::guarded;
use crate::handle::Handle;
use crate::stream::Stream;

/// Which entries.
#[derive(Default)]
struct Selection {
    store: String,
    prefix: String,
    key: Option<String>,
    page_size: i32,
    keys_only: bool,
    after: Option<u64>,
}

impl Selection {
    fn read(fields: &Fields<'_>) -> Converted<Self> {
        Ok(Self {
            store: fields.single(c"store", string)?,
            prefix: fields.single(c"prefix", string)?,
            key: fields.optional(c"key", string)?,
            page_size: fields.single(c"pageSize", int32)?,
            keys_only: fields.single(c"keysOnly", boolean)?,
            after: fields.optional(c"after", uint64)?,
        })
    }
}

#[napi]
impl Handle {
    /// Entries, page after page.
    #[napi]
    pub fn state_entries(&self, selection: Unknown<'_>, options: Unknown<'_>) -> Result<Stream> {
        guarded(|| {
            let Selection { store, prefix, page_size, keys_only, .. } = settings(selection, Selection::read)?;
            let state = self.pillion(options)?.state().store(&store);
            let entries = if keys_only {
                entries(state.keys(prefix).page_size(page_size), |()| None)
            } else {
                entries(state.list(prefix).page_size(page_size), Some)
            };
            Ok(self.stream(async move { Ok(entries) }))
        })
    }

    /// Changes, across lost connections.
    #[napi]
    pub fn state_changes(&self, selection: Unknown<'_>, options: Unknown<'_>) -> Result<Stream> {
        guarded(|| {
            let Selection { store, prefix, key, after, .. } = settings(selection, Selection::read)?;
            let state = self.pillion(options)?.state().store(&store);
            let mut watch = match key {
                Some(key) => state.watch_key(key),
                None => state.watch(prefix),
            };
            if let Some(revision) = after {
                watch = watch.after(revision);
            }
            Ok(self.stream(async move { Ok(changes(watch.await?)) }))
        })
    }
}

fn entries<T: FromValue + Send + 'static>(list: List<T>, value: fn(T) -> Option<Value>) -> Events<state::Entry> {
    Events::new(list.map(move |entry| entry.map(|entry| whole(entry, value))))
}

fn whole<T>(entry: Entry<T>, value: fn(T) -> Option<Value>) -> state::Entry {
    state::Entry {
        key: entry.key,
        value: value(entry.value),
        etag: entry.etag.into(),
        expires_in: entry.expires_in.map(Into::into),
    }
}

/// A change, and where a watch would resume after it.
struct Reported {
    change: state::WatchResponse,
    revision: u64,
}

impl Write for Reported {
    fn write(self, object: &mut Building<'_>) -> Result<()> {
        self.change.write(object)?;
        object.single(c"revision", self.revision, write_uint64)
    }
}

fn changes(watch: Watch<Value>) -> Events<Reported> {
    Events::new(stream::unfold(watch, |mut watch| async {
        let change = watch.next().await.transpose()?;
        let revision = watch.revision();
        Some((change.map(|change| Reported { change: event(change, revision), revision }), watch))
    }))
}

fn event(change: Change<Value>, revision: u64) -> state::WatchResponse {
    use state::watch_response::Event;
    let event = match change {
        Change::Written(entry) => {
            Some(Event::Written(state::EntryWritten { entry: Some(whole(entry, Some)), revision }))
        }
        Change::Deleted { key, expired } => Some(Event::Deleted(state::EntryDeleted { key, expired, revision })),
        Change::Resync => Some(Event::Resync(state::Resync {})),
        Change::Synced => Some(Event::Synced(state::Synced { revision })),
        // A kind of change that this package does not know yet.
        _ => None,
    };
    state::WatchResponse { event }
}
