//! Reads of many entries, within the limit of one answer.
//!
//! How large a value is, a store only says by reading it. It is therefore asked for a few entries at a
//! time, and for no more once the answer is full.

use pillion_proto::answer::Budget;
use pillion_proto::state::v1::{Entry, GetManyRequest, GetManyResponse, GetResult, ListRequest, ListResponse};
use pillion_proto::{Cx, Error, Reason, Result};
use pillion_spi::state::{Key, ReadOptions, Scan};

use super::{States, View, convert, page, read_options};
use crate::translate;

impl States {
    pub(super) async fn read_many(&self, cx: &Cx, request: GetManyRequest) -> Result<GetManyResponse> {
        let view = self.view(cx, &request.store).await?;
        self.batch(request.keys.len())?;
        let options = read_options(cx, request.consistency())?;
        let mut budget = Budget::new(self.limits.answer);
        let mut results = Vec::with_capacity(request.keys.len());
        let mut keys = request.keys.into_iter();
        while keys.len() > 0 {
            let slice = keys.by_ref().take(self.limits.slice()).map(|key| {
                let stored = view.keys.stored(&key);
                (key, stored)
            });
            for result in self.read_slice(cx, &view, slice.collect(), &options).await? {
                budget.take(&result)?;
                results.push(result);
            }
        }
        Ok(GetManyResponse { results })
    }

    /// Reads some keys; those that cannot be stored are answered with their error.
    async fn read_slice(
        &self,
        cx: &Cx,
        view: &View<'_>,
        keys: Vec<(String, Result<Key>)>,
        options: &ReadOptions,
    ) -> Result<impl Iterator<Item = GetResult>> {
        let readable: Vec<_> = keys.iter().filter_map(|(_, stored)| stored.as_ref().ok().cloned()).collect();
        let found = if readable.is_empty() {
            Vec::new()
        } else {
            self.within(cx, view, false, view.store.read(&readable, options.clone())).await?
        };
        let mut found = found.into_iter();
        Ok(keys.into_iter().map(move |(key, stored)| {
            let outcome = stored.and_then(|_| match found.next() {
                Some(found) => found.map_err(|error| translate::error(view.name, error)),
                None => Err(Error::new(Reason::ComponentInternal, "the store answered for fewer keys than asked")),
            });
            match outcome {
                Ok(entry) => {
                    let entry = entry.map(|entry| convert::entry(key.clone(), entry));
                    GetResult { key, entry, error: None }
                }
                Err(error) => GetResult { key, entry: None, error: Some(error.into()) },
            }
        }))
    }

    /// A page ends early where the next entries would make the answer too large.
    pub(super) async fn read_page(&self, cx: &Cx, request: ListRequest) -> Result<ListResponse> {
        let view = self.view(cx, &request.store).await?;
        let prefix = view.keys.stored_prefix(&request.prefix)?;
        let size = page::size(request.page_size)?;
        let mut cursor = page::cursor(&request.page_token, view.name, &prefix)?;
        // Keys alone are small.
        let mut slice = if request.keys_only { size } else { self.limits.slice().min(size) };
        // A store without an index gives what it comes across, which may be nothing: the number of
        // questions is bounded, not only that of entries.
        let mut rounds = size.div_ceil(slice);
        let mut budget = Budget::new(self.limits.answer);
        let mut entries: Vec<Entry> = Vec::new();
        while rounds > 0 && entries.len() < size {
            let mut scan = Scan::default();
            scan.prefix.clone_from(&prefix);
            scan.limit = slice.min(size - entries.len());
            scan.cursor.clone_from(&cursor);
            scan.keys_only = request.keys_only;
            let asked = scan.limit;
            let found = self.within(cx, &view, false, view.store.scan(scan)).await?;
            let found_entries = found.entries.into_iter().filter_map(|entry| {
                let key = view.keys.shown(&entry.key)?.to_owned();
                Some(convert::entry(key, entry))
            });
            match fitting(&mut budget, found_entries) {
                Ok(more) => entries.extend(more),
                // The page ends before them: the next one begins where they did.
                Err(_) if !entries.is_empty() => break,
                Err(error) if asked == 1 => return Err(error.advice(TOO_LARGE_ALONE)),
                Err(_) => {
                    slice = asked / 2;
                    rounds = size.div_ceil(slice);
                    continue;
                }
            }
            cursor = found.next;
            rounds -= 1;
            if cursor.is_none() {
                break;
            }
        }
        let next_page_token = cursor.map(|cursor| page::token(&cursor, view.name, &prefix)).unwrap_or_default();
        Ok(ListResponse { entries, next_page_token })
    }
}

/// What to do about an entry that fits into no page.
const TOO_LARGE_ALONE: &str =
    "list with keys_only, and remove the entry that is too large, or raise limits.answer in the configuration";

/// The entries, if all of them fit; the budget is as before if not.
fn fitting(budget: &mut Budget, entries: impl Iterator<Item = Entry>) -> Result<Vec<Entry>> {
    let mut left = *budget;
    let entries = entries.map(|entry| left.take(&entry).map(|()| entry)).collect::<Result<Vec<_>>>()?;
    *budget = left;
    Ok(entries)
}
