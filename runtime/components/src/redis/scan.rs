//! Listing, by SCAN: in no order, and a key that is written meanwhile may appear twice or not.
//!
//! A step of SCAN is a hint: it may bring more keys than were asked for. Where they do not fit into a
//! page, a smaller step is made from the same place. Even the smallest may bring several keys that
//! share a place; then the cursor says which of them were sent. It names them by their own digests
//! and not by their number, because some may be gone when the list goes on.

use std::collections::HashSet;
use std::fmt;
use std::hash::Hasher as _;
use std::str::FromStr;

use pillion_spi::state::{Entry, Key, Page, Scan};
use pillion_spi::{Error, Result};
use siphasher::sip::SipHasher13;

use super::live::Live;
use super::read::{self, Pace, Part};
use crate::PAGE_BYTES;

/// The most keys that the server is asked to look at in one step, which keeps it under a
/// millisecond.
const LARGEST_STEP: usize = 1000;
/// The most keys of one step whose values are read. The page may end among them, and the cursor must
/// then name those before.
const VALUES: usize = 64;
/// By how much steps grow and shrink.
const FACTOR: usize = 4;
/// After so many steps a page ends, full or not.
const STEPS: usize = 32;

pub(super) async fn page(live: &Live, scan: &Scan) -> Result<Page> {
    let mut place = match &scan.cursor {
        None => Place::default(),
        Some(text) => text.parse()?,
    };
    let limit = scan.limit.max(1);
    let (part, most) =
        if scan.keys_only { (Part::WithoutValue, LARGEST_STEP) } else { (Part::Whole, VALUES.min(LARGEST_STEP)) };
    let pattern = read::pattern(&scan.prefix);
    let mut count = limit.min(most);
    let mut filling = Filling { entries: Vec::new(), seen: HashSet::new(), bytes: 0, pace: Pace::new(PAGE_BYTES) };
    for _ in 0..STEPS {
        let (mut keys, next) = read::step(live, &pattern, place.cursor, count).await?;
        keys.retain(|key| !place.sent.contains(&digest(key)) && filling.seen.insert(key.clone()));
        let room = most.min(limit - filling.entries.len());
        if keys.len() > room && count > 1 {
            // None of them is in the page yet.
            for key in &keys {
                filling.seen.remove(key);
            }
            count = (count / FACTOR).max(1);
            continue;
        }
        let taken = filling.take(live, &keys[..keys.len().min(room)], part).await?;
        if taken < keys.len() {
            place.sent.extend(keys[..taken].iter().map(digest));
            for key in &keys[taken..] {
                filling.seen.remove(key);
            }
        } else if next == 0 {
            return Ok(Page { entries: filling.entries, next: None });
        } else {
            place = Place { cursor: next, sent: Vec::new() };
        }
        if filling.entries.len() >= limit || filling.bytes >= PAGE_BYTES {
            break;
        }
        if keys.len() <= room / FACTOR {
            // Other keys stand in between.
            count = (count * FACTOR).min(LARGEST_STEP);
        }
    }
    Ok(Page { entries: filling.entries, next: Some(place.to_string()) })
}

/// A page that is being filled.
struct Filling {
    entries: Vec<Entry>,
    /// Its keys: SCAN may bring one several times.
    seen: HashSet<Key>,
    bytes: usize,
    pace: Pace,
}

impl Filling {
    /// Adds the entries of `keys` until there are bytes enough; says how many keys that took.
    async fn take(&mut self, live: &Live, keys: &[Key], part: Part) -> Result<usize> {
        let mut taken = 0;
        while taken < keys.len() && self.bytes < PAGE_BYTES {
            let count = match part {
                Part::Whole => self.pace.keys().min(keys.len() - taken),
                Part::WithoutValue => keys.len(),
            };
            let entries = read::entries(live, &keys[taken..taken + count], part).await?;
            let bytes = entries.iter().map(read::size).sum();
            self.pace.learn(count, bytes);
            self.bytes += bytes;
            self.entries.extend(entries);
            taken += count;
        }
        Ok(taken)
    }
}

/// Where a page begins.
#[derive(Debug, Default, PartialEq, Eq)]
struct Place {
    /// That of SCAN.
    cursor: u64,
    /// Which of the keys found there were sent already.
    sent: Vec<u64>,
}

/// As text: the cursor, and behind a dash 16 hexadecimal digits for each key.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cursor)?;
        if !self.sent.is_empty() {
            f.write_str("-")?;
        }
        self.sent.iter().try_for_each(|digest| write!(f, "{digest:016x}"))
    }
}

impl FromStr for Place {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let (cursor, sent) = text.split_once('-').map_or((text, None), |(cursor, sent)| (cursor, Some(sent)));
            let cursor = cursor.parse().ok()?;
            let sent = match sent {
                None if cursor == 0 => return None,
                None => Vec::new(),
                Some(sent) => sent
                    .as_bytes()
                    .chunks(16)
                    .map(|digits| u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok())
                    .collect::<Option<_>>()?,
            };
            Some(Self { cursor, sent })
        };
        parse().ok_or_else(|| {
            Error::invalid("the cursor does not belong to this list")
                .advice("pass the cursor that the page before returned, or none for the first page")
        })
    }
}

/// The same in every process: another one may be asked for the next page.
fn digest(key: &Key) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(key.as_str().as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_its_text_form() {
        for place in [
            Place { cursor: u64::MAX, sent: Vec::new() },
            Place { cursor: 0, sent: vec![1] },
            Place { cursor: 7, sent: vec![0, u64::MAX] },
        ] {
            assert_eq!(place.to_string().parse::<Place>().unwrap(), place);
        }
        for text in ["", "0", "-", "-1", "1 ", "a", "1-zz", "99999999999999999999999"] {
            assert!(text.parse::<Place>().is_err(), "{text:?}");
        }
    }
}
