//! Listing, by SCAN: in no order, and a key that is written meanwhile may appear twice or not.

use std::collections::HashSet;

use pillion_spi::state::{Page, Scan};
use pillion_spi::{Error, Result};

use super::live::Live;
use super::read::{self, Part};

/// The least and most keys that the server is asked to look at in one step. The least makes a
/// short page of a large keyspace cheap, the most keeps a step under a millisecond.
const STEP: std::ops::RangeInclusive<usize> = 16..=1000;
/// After so many steps a page ends, full or not.
const STEPS: usize = 32;

pub(super) async fn page(live: &Live, scan: &Scan) -> Result<Page> {
    let mut cursor: u64 = match &scan.cursor {
        None => 0,
        Some(text) => text.parse().ok().filter(|cursor| *cursor != 0).ok_or_else(|| {
            Error::invalid("the cursor does not belong to this list")
                .advice("pass the cursor that the page before returned, or none for the first page")
        })?,
    };
    let limit = scan.limit.max(1);
    let part = if scan.keys_only { Part::WithoutValue } else { Part::Whole };
    let pattern = read::pattern(&scan.prefix);
    let mut count = limit.clamp(*STEP.start(), *STEP.end());
    let mut seen = HashSet::new();
    let mut page = Page::default();
    for _ in 0..STEPS {
        let (mut keys, next) = read::step(live, &pattern, cursor, count).await?;
        cursor = next;
        keys.retain(|key| seen.insert(key.clone()));
        page.entries.extend(read::entries(live, &keys, part).await?);
        if cursor == 0 || page.entries.len() >= limit {
            break;
        }
        if keys.is_empty() {
            // Other keys stand in between.
            count = *STEP.end();
        }
    }
    page.next = (cursor != 0).then(|| cursor.to_string());
    Ok(page)
}
