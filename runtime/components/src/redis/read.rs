//! Reading entries: one round trip, and a second one for those that are plain strings.

use pillion_spi::state::{Entry, Key};
use pillion_spi::{Error, Kind, Result};
use redis::{Cmd, Pipeline, Value};

use super::error::{Fault, unexpected};
use super::layout::{self, Found};
use super::live::Live;

/// What of the entries is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// All but the value, which is empty then.
    WithoutValue,
}

/// Reads entries in the order asked. The commands for one key go out together and Redis runs what
/// arrives together without a break, so a value practically always comes with its own expiry.
pub(super) async fn read(live: &Live, keys: &[Key], part: Part) -> Result<Vec<Result<Option<Entry>>>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let mut pipeline = Pipeline::with_capacity(3 * keys.len());
    for key in keys {
        pipeline.add_command(layout::ask_hash(key, part)).add_command(layout::ask_expiry(key));
        if part == Part::WithoutValue {
            pipeline.add_command(layout::ask_value(key));
        }
    }
    let mut answers = ask(live, &pipeline).await?;
    let mut entries = Vec::with_capacity(keys.len());
    let mut plain = Vec::new();
    for key in keys {
        let [hash, expiry] = two(&mut answers)?;
        let has_value = if part == Part::WithoutValue { answers.next() } else { None };
        entries.push(match Found::of_hash(hash, has_value) {
            Ok(Found::NotHash) => {
                plain.push(entries.len());
                Ok(None)
            }
            Ok(found) => found.into_entry(key, expiry),
            Err(error) => Err(error),
        });
    }
    if !plain.is_empty() {
        read_plain(live, keys, part, &plain, &mut entries).await?;
    }
    Ok(entries)
}

/// Fills in the entries at the positions `plain`, which are no hashes.
async fn read_plain(
    live: &Live,
    keys: &[Key],
    part: Part,
    plain: &[usize],
    entries: &mut [Result<Option<Entry>>],
) -> Result<()> {
    let mut pipeline = Pipeline::with_capacity(2 * plain.len());
    for &position in plain {
        pipeline.add_command(layout::ask_plain(&keys[position], part)).add_command(layout::ask_expiry(&keys[position]));
    }
    let mut answers = ask(live, &pipeline).await?;
    for &position in plain {
        let [value, expiry] = two(&mut answers)?;
        entries[position] = Found::of_plain(value).and_then(|found| found.into_entry(&keys[position], expiry));
    }
    Ok(())
}

async fn ask(live: &Live, pipeline: &Pipeline) -> Result<std::vec::IntoIter<Value>> {
    Ok(live.send_all(pipeline).await.map_err(Fault::of_read)?.into_iter())
}

fn two(answers: &mut impl Iterator<Item = Value>) -> Result<[Value; 2]> {
    match (answers.next(), answers.next()) {
        (Some(first), Some(second)) => Ok([first, second]),
        _ => Err(Error::internal("Redis gave fewer answers than questions were asked")),
    }
}

/// One step through the keyspace: the keys found in it that can be entries, and where to go on;
/// 0 at the end.
pub(super) async fn step(live: &Live, pattern: &str, cursor: u64, count: usize) -> Result<(Vec<Key>, u64)> {
    let mut scan = Cmd::new();
    scan.arg("SCAN").arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(count);
    let answer = live.send(&scan).await.map_err(Fault::of_read)?;
    let Value::Array(parts) = answer else { return Err(unexpected(answer)) };
    let Ok([next, Value::Array(keys)]) = <[Value; 2]>::try_from(parts) else {
        return Err(Error::internal("Redis gave an answer to SCAN that is none"));
    };
    let next = layout::bytes(next).and_then(|text| std::str::from_utf8(&text).ok()?.parse().ok());
    let next = next.ok_or_else(|| Error::internal("Redis gave a cursor that is no number"))?;
    // A key that is no text cannot be asked for, so it is not listed either.
    let keys = keys.into_iter().filter_map(|key| match key {
        Value::BulkString(key) => String::from_utf8(key).ok(),
        _ => None,
    });
    Ok((keys.filter(|key| !key.starts_with(layout::OWN_PREFIX)).map(Key::new).collect(), next))
}

/// Reads those of `keys` that are entries: what has gone and what is something else is left out.
pub(super) async fn entries(live: &Live, keys: &[Key], part: Part) -> Result<Vec<Entry>> {
    let found = read(live, keys, part).await?.into_iter();
    found
        .filter_map(|entry| match entry {
            Ok(entry) => entry.map(Ok),
            Err(error) if error.kind() == Kind::Corrupt => None,
            Err(error) => Some(Err(error)),
        })
        .collect()
}

/// What an entry takes of a bound in bytes.
pub(super) fn size(entry: &Entry) -> usize {
    entry.key.as_str().len() + entry.value.len()
}

/// How many entries to read at once. How large they are shows only when they are read: so few at
/// first, and more once they prove to be small.
pub(super) struct Pace {
    keys: usize,
    /// How many bytes to read at once.
    bytes: usize,
}

impl Pace {
    const FIRST: usize = 4;
    const MOST: usize = 64;

    pub(super) fn new(bytes: usize) -> Self {
        Self { keys: Self::FIRST, bytes }
    }

    pub(super) fn keys(&self) -> usize {
        self.keys
    }

    /// Takes note that `keys` had `bytes`.
    pub(super) fn learn(&mut self, keys: usize, bytes: usize) {
        let would_fit = (keys * self.bytes).checked_div(bytes).unwrap_or(Self::MOST);
        self.keys = would_fit.min(4 * self.keys).clamp(1, Self::MOST);
    }
}

/// A pattern that matches what begins with `prefix`, for SCAN and PSUBSCRIBE.
pub(super) fn pattern(prefix: &str) -> String {
    let mut pattern = String::with_capacity(prefix.len() + 1);
    for character in prefix.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('*');
    pattern
}
