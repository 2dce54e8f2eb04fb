//! The capability of storing state: values under keys, with conditions, expiry and watching.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::caps::StateCaps;
use crate::durability::Durability;
use crate::error::{Error, Result};

/// A key as it is stored: validated and prefixed by the core, never empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

impl Key {
    /// A stored key. The core is the only production caller.
    pub fn new(key: impl Into<Arc<str>>) -> Self {
        Self(key.into())
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The version of an entry: a counter that grows with each write, and a generation that is made
/// when the key is created, so that a key deleted and created again never matches an old version.
///
/// As text it is `7-x3k9q`, or `7` where the generation is unknown: data written by another
/// runtime has none, and clients of other runtimes ask without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    /// 1 for the first write of a key, then one more with each.
    pub counter: u64,
    /// Tells apart two lives of one key.
    pub generation: Option<Generation>,
}

impl Version {
    /// A version without a generation.
    pub const fn bare(counter: u64) -> Self {
        Self { counter, generation: None }
    }

    /// Whether an entry at version `stored` satisfies a condition on `self`: the counters are
    /// equal, and the generations too where both are known.
    pub fn matches(&self, stored: &Version) -> bool {
        self.counter == stored.counter
            && match (self.generation, stored.generation) {
                (Some(wanted), Some(found)) => wanted == found,
                // Asked with a generation, stored without: the entry was replaced by another runtime.
                (Some(_), None) => false,
                (None, _) => true,
            }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.generation {
            Some(generation) => write!(f, "{}-{generation}", self.counter),
            None => write!(f, "{}", self.counter),
        }
    }
}

/// The text is not a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a version: expected digits, optionally followed by `-` and a generation")]
pub struct InvalidVersion;

impl FromStr for Version {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        let (counter, generation) = match text.split_once('-') {
            Some((counter, generation)) => (counter, Some(generation.parse()?)),
            None => (text, None),
        };
        // `parse` alone would take a leading plus sign.
        if !counter.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidVersion);
        }
        Ok(Self { counter: counter.parse().map_err(|_| InvalidVersion)?, generation })
    }
}

/// Thirty random bits, shown as six letters and digits of the alphabet `0-9a-v`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Generation(u32);

impl Generation {
    const DIGITS: &'static [u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    const LENGTH: usize = 6;

    /// Takes thirty bits of a random number.
    pub const fn from_random(random: u64) -> Self {
        Self((random & 0x3fff_ffff) as u32)
    }

    /// The number itself, for storing.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// A stored number.
    pub const fn from_stored(stored: u32) -> Self {
        Self(stored & 0x3fff_ffff)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for digit in (0..Self::LENGTH).rev() {
            let index = (self.0 >> (5 * digit)) & 31;
            write!(f, "{}", char::from(Self::DIGITS[index as usize]))?;
        }
        Ok(())
    }
}

impl FromStr for Generation {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        if text.len() != Self::LENGTH {
            return Err(InvalidVersion);
        }
        text.bytes()
            .try_fold(0, |sum, byte| {
                let digit = Self::DIGITS.iter().position(|digit| *digit == byte)?;
                Some((sum << 5) | digit as u32)
            })
            .map(Self)
            .ok_or(InvalidVersion)
    }
}

/// A stored entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: Key,
    /// The bytes, exactly as they were written.
    pub value: Bytes,
    /// The media type that was written with them; `None` if there was none or another runtime
    /// wrote the entry.
    pub content_type: Option<String>,
    /// Its version.
    pub version: Version,
    /// How long it will still be readable; `None` if it does not expire.
    pub expires_in: Option<Duration>,
}

/// What must hold of the present entry for a write to take effect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// Nothing: the last write wins.
    #[default]
    None,
    /// There is no entry.
    IfAbsent,
    /// There is an entry whose version [matches](Version::matches).
    IfMatch(Version),
    /// First write wins. With a version: the entry, if there is one, matches it. Without: there is
    /// no entry. A store that declares [`FirstWrite::Sticky`](crate::caps::FirstWrite::Sticky)
    /// marks the entry; on a marked entry a write without condition is refused until it is
    /// deleted, and on one not marked a first write without version succeeds and marks it.
    FirstWrite(Option<Version>),
    /// The entry, if there is one, matches. Clients of other runtimes write so; there a wrong
    /// version on a new key is no conflict.
    IfMatchOrAbsent(Version),
}

/// What a write does to the expiry of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expiry {
    /// The entry does not expire (any more).
    #[default]
    Never,
    /// What was set before stays.
    Keep,
    /// It expires after this time, counted from the moment of the write. Never zero.
    After(Duration),
}

/// One write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// The key to write.
    pub key: Key,
    /// What must hold for the write to take effect.
    pub condition: Condition,
    /// What to do.
    pub action: Action,
}

/// What a write does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Store a value.
    Put {
        /// The bytes.
        value: Bytes,
        /// Their media type.
        content_type: Option<String>,
        /// What becomes of the expiry.
        expiry: Expiry,
    },
    /// Remove the entry. Removing what is not there succeeds, unless the condition is
    /// [`Condition::IfMatch`].
    Delete,
}

/// What became of one write.
#[derive(Debug)]
pub enum OpOutcome {
    /// It took effect.
    Applied {
        /// The version after it; `None` after a delete.
        version: Option<Version>,
        /// Whether there was an entry before.
        existed: bool,
    },
    /// The condition did not hold; nothing changed.
    Conflict {
        /// The version found, if there is an entry.
        found: Option<Version>,
    },
    /// Not tried or rolled back, because another write of the same atomic group failed.
    Aborted,
    /// It failed; the error says whether it may have taken effect.
    Failed(Error),
}

/// How fresh a read must be, or how safe a write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// The component's default.
    #[default]
    Default,
    /// A replica may answer; a write need not reach one.
    Eventual,
    /// Reads see every acknowledged write; a write reaches the replicas there are.
    Strong,
}

/// How to read.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ReadOptions {
    /// How fresh.
    pub consistency: Consistency,
    /// When the caller stops waiting. The core drops the call then; a component may use it to
    /// refuse early or to bound what it sends.
    pub deadline: Option<Instant>,
}

/// How to write.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ApplyOptions {
    /// All or nothing. Otherwise each write stands for itself.
    pub atomic: bool,
    /// How safe.
    pub consistency: Consistency,
    /// When the caller stops waiting; see [`ReadOptions::deadline`].
    pub deadline: Option<Instant>,
    /// A repeated call with the same key inside the window that the store declares
    /// ([`StateCaps::idempotency`]) is not applied again and gets the outcomes of the first. Another
    /// call with the same key fails as [`Kind::Reused`](crate::Kind::Reused). The core makes keys of
    /// applications that do not share entries differ.
    pub idempotency_key: Option<String>,
}

/// What to list.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Scan {
    /// Only keys that begin so; empty for all.
    pub prefix: String,
    /// Where the last page ended: the `next` of it.
    pub cursor: Option<String>,
    /// At most so many entries a page, at least 1. There may be fewer, or none: a store ends a page
    /// before its values become too many bytes, and one without an ordered index when it has searched
    /// long enough. Only a missing `next` says that the end was reached.
    pub limit: usize,
    /// Leave the values out (empty bytes).
    pub keys_only: bool,
}

/// One page of entries.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The entries, in key order if the store declares [`StateCaps::ordered_list`].
    pub entries: Vec<Entry>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<String>,
}

/// What to watch.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct WatchSpec {
    /// Only keys that begin so; empty for all.
    pub prefix: String,
    /// Only this key, not those that begin with it; `prefix` is then the key itself.
    pub exact: bool,
    /// Send changes after this revision, if the store still has them, otherwise
    /// [`WatchEvent::Resync`] and the present entries. `None` starts with the present entries.
    pub after: Option<u64>,
}

/// What a watcher sees. A watch begins with the present entries as `Put`s (unless it resumes) and
/// [`Synced`](WatchEvent::Synced), among them a `Delete` for what was sent and is gone since; from
/// then on it sees each change of a key in order. A slow watcher may see only the latest change of
/// a key; it never sees an older one after a newer one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// An entry was written.
    Put {
        /// The entry.
        entry: Entry,
        /// Where it stands in the order of the stream, to resume from; 0 where that is impossible.
        revision: u64,
    },
    /// An entry is gone.
    Delete {
        /// Its key.
        key: Key,
        /// Its time was up, nobody deleted it.
        expired: bool,
        /// Where it stands in the order of the stream, to resume from; 0 where that is impossible.
        revision: u64,
    },
    /// Changes were missed: forget what you know. The present entries follow as `Put`s, then
    /// [`Synced`](WatchEvent::Synced).
    Resync,
    /// Everything up to `revision` was sent.
    Synced {
        /// To resume from; 0 where that is impossible.
        revision: u64,
    },
}

/// The events of a watch. After an error it ends.
pub type WatchStream = BoxStream<'static, Result<WatchEvent>>;

/// A store of entries.
///
/// Every method may be dropped at any await: a write has then either taken effect whole or not at
/// all. The registry wraps a store into [`crate::caps::Checked`], which refuses what
/// [`caps`](StateStore::caps) does not declare, so an implementation may rely on it.
#[async_trait]
pub trait StateStore: Send + Sync + 'static {
    /// What the store can do under the settings found at the last (re)connect.
    fn caps(&self) -> StateCaps;

    /// Reads entries, in the order asked; `None` where there is none or it has expired.
    ///
    /// # Errors
    /// The inner result is per key; the outer one means that nothing could be read.
    async fn read(&self, keys: &[Key], options: ReadOptions) -> Result<Vec<Result<Option<Entry>>>>;

    /// Applies writes. With [`ApplyOptions::atomic`] all or none take effect, and two writes of one
    /// key do not occur; without, each is applied for itself, in order.
    ///
    /// # Errors
    /// The whole call failed: the error's outcome says whether any write may have taken effect.
    /// Outcomes stand in the order of `ops`.
    async fn apply(&self, ops: Vec<Op>, options: ApplyOptions) -> Result<Applied>;

    /// Lists entries.
    ///
    /// # Errors
    /// [`Kind::Unsupported`](crate::Kind::Unsupported) unless declared;
    /// [`Kind::Invalid`](crate::Kind::Invalid) for a cursor that is not one.
    async fn scan(&self, scan: Scan) -> Result<Page> {
        let _ = scan;
        Err(Error::unsupported("this store cannot list its keys"))
    }

    /// Watches entries. The stream ends without error only when the store is closed.
    ///
    /// # Errors
    /// [`Kind::Unsupported`](crate::Kind::Unsupported) unless declared.
    async fn watch(&self, spec: WatchSpec) -> Result<WatchStream> {
        let _ = spec;
        Err(Error::unsupported("this store cannot report changes"))
    }

    /// Why the backend cannot be used right now, if it is known.
    fn trouble(&self) -> Option<Trouble> {
        None
    }
}

/// The outcomes of an [`apply`](StateStore::apply).
#[derive(Debug)]
pub struct Applied {
    /// One per write, in order.
    pub outcomes: Vec<OpOutcome>,
    /// How durable what took effect is.
    pub durability: Durability,
}

/// A backend that was opened and is in trouble now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What is wrong, in one sentence.
    pub cause: String,
    /// Since when.
    pub since: SystemTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_survives_its_text_form() {
        for version in [
            Version::bare(0),
            Version::bare(u64::MAX),
            Version { counter: 7, generation: Some(Generation::from_random(u64::MAX)) },
            Version { counter: 7, generation: Some(Generation::from_random(33)) },
        ] {
            assert_eq!(version.to_string().parse(), Ok(version), "{version}");
        }
        assert_eq!(Version { counter: 7, generation: Some(Generation::from_random(33)) }.to_string(), "7-000011");
    }

    #[test]
    fn text_that_is_not_a_version_is_refused() {
        for text in ["", "-", "abc", "+1", "-1", "1-", "1-abc", "1-wwwwww", "1-0000001", "18446744073709551616", "1 "] {
            assert_eq!(text.parse::<Version>(), Err(InvalidVersion), "{text:?}");
        }
    }

    #[test]
    fn a_bare_version_matches_any_generation_and_a_full_one_only_its_own() {
        let first = Version { counter: 1, generation: Some(Generation::from_random(1)) };
        let second = Version { counter: 1, generation: Some(Generation::from_random(2)) };
        assert!(Version::bare(1).matches(&first));
        assert!(first.matches(&first));
        assert!(!first.matches(&second));
        assert!(!first.matches(&Version::bare(1)));
        assert!(!Version::bare(2).matches(&first));
    }
}
