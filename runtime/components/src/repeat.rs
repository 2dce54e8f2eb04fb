//! Calls with an idempotency key: what tells one from another, and what a store remembers of one,
//! so that its repetition gets the same outcomes without being applied again.

use std::fmt;
use std::time::Duration;

use pillion_spi::error::{Error, Kind};
use pillion_spi::state::{Action, ApplyOptions, Condition, Expiry, Op, Version};
use siphasher::sip128::{Hasher128 as _, SipHasher13};

/// How long a call is remembered.
pub(crate) const WINDOW: Duration = Duration::from_secs(600);

/// A call that may be a repetition.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// The idempotency key.
    pub(crate) id: String,
    /// What the call is to do.
    pub(crate) digest: Digest,
}

impl Call {
    /// The call of `ops`, if it has an idempotency key.
    pub(crate) fn new(ops: &[Op], options: &ApplyOptions) -> Option<Self> {
        let id = options.idempotency_key.clone()?;
        Some(Self { id, digest: Digest::of(ops, options.atomic) })
    }
}

/// The error of a call whose idempotency key belongs to another one. Its writes are not applied: what
/// came first under the key may have taken effect, and the caller would take one for the other.
pub(crate) fn reused() -> Error {
    Error::new(Kind::Reused, "this idempotency key was used before, for a call with other writes")
        .advice("make a new idempotency key for each call, and repeat a call unchanged")
}

/// What a call is to do, in 128 bits. Stores keep it, so it must be the same in every process and
/// version. It guards against mistakes: who makes two calls collide deceives only itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(feature = "memory", feature = "local"), derive(serde::Deserialize, serde::Serialize))]
pub(crate) struct Digest(u64, u64);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.0, self.1)
    }
}

impl Digest {
    fn of(ops: &[Op], atomic: bool) -> Self {
        let mut text = Text(SipHasher13::new());
        text.number(u64::from(atomic));
        ops.iter().for_each(|op| text.op(op));
        let hash = text.0.finish128();
        Self(hash.h1, hash.h2)
    }
}

/// Writes as bytes that can be read in one way only: what has no fixed length follows its length.
struct Text(SipHasher13);

impl Text {
    fn number(&mut self, number: u64) {
        std::hash::Hasher::write(&mut self.0, &number.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        std::hash::Hasher::write(&mut self.0, bytes);
    }

    fn op(&mut self, op: &Op) {
        self.bytes(op.key.as_str().as_bytes());
        match &op.condition {
            Condition::None => self.number(0),
            Condition::IfAbsent => self.number(1),
            Condition::IfMatch(version) => self.condition(2, Some(version)),
            Condition::IfMatchOrAbsent(version) => self.condition(3, Some(version)),
            Condition::FirstWrite(version) => self.condition(4, version.as_ref()),
        }
        match &op.action {
            Action::Delete => self.number(0),
            Action::Put { value, content_type, expiry } => {
                self.number(1);
                self.bytes(value);
                self.number(u64::from(content_type.is_some()));
                self.bytes(content_type.as_deref().unwrap_or_default().as_bytes());
                match expiry {
                    Expiry::Never => self.number(0),
                    Expiry::Keep => self.number(1),
                    Expiry::After(time) => {
                        self.number(2);
                        self.bytes(&time.as_nanos().to_le_bytes());
                    }
                }
            }
        }
    }

    fn condition(&mut self, kind: u64, version: Option<&Version>) {
        self.number(kind);
        self.bytes(version.map(Version::to_string).unwrap_or_default().as_bytes());
    }
}

#[cfg(any(feature = "memory", feature = "local"))]
pub(crate) use remembered::Remembered;

#[cfg(any(feature = "memory", feature = "local"))]
mod remembered {
    use pillion_spi::error::Result;
    use pillion_spi::state::{Generation, OpOutcome, Version};
    use serde::{Deserialize, Serialize};

    use super::{Digest, reused};

    /// A call and its outcomes, in the order of its writes. One letter each: a store on disk writes it
    /// with every such call.
    #[derive(Clone, Debug, Deserialize, Serialize)]
    pub(crate) struct Remembered {
        #[serde(rename = "d")]
        digest: Digest,
        #[serde(rename = "o")]
        outcomes: Vec<Outcome>,
    }

    #[derive(Clone, Copy, Debug, Deserialize, Serialize)]
    enum Outcome {
        #[serde(rename = "a")]
        Applied { v: Option<(u64, Option<u32>)>, e: bool },
        #[serde(rename = "c")]
        Conflict { v: Option<(u64, Option<u32>)> },
        #[serde(rename = "x")]
        Aborted,
        /// Nothing happened and nobody was told that it did: a repetition tries it again.
        #[serde(rename = "f")]
        Failed,
    }

    impl Remembered {
        /// Remembers the `outcomes` of the call that `digest` stands for.
        pub(crate) fn new(digest: Digest, outcomes: &[OpOutcome]) -> Self {
            let outcome = |outcome: &OpOutcome| match outcome {
                OpOutcome::Applied { version, existed } => Outcome::Applied { v: version.map(pack), e: *existed },
                OpOutcome::Conflict { found } => Outcome::Conflict { v: found.map(pack) },
                OpOutcome::Aborted => Outcome::Aborted,
                OpOutcome::Failed(_) => Outcome::Failed,
            };
            Self { digest, outcomes: outcomes.iter().map(outcome).collect() }
        }

        /// What each write of a repetition gets; `None` for one to be tried again.
        ///
        /// # Errors
        /// [`Kind::Reused`](pillion_spi::Kind::Reused) when it is another call.
        pub(crate) fn replay(&self, digest: Digest) -> Result<Vec<Option<OpOutcome>>> {
            if self.digest != digest {
                return Err(reused());
            }
            let outcome = |outcome: &Outcome| match *outcome {
                Outcome::Applied { v, e } => Some(OpOutcome::Applied { version: v.map(unpack), existed: e }),
                Outcome::Conflict { v } => Some(OpOutcome::Conflict { found: v.map(unpack) }),
                Outcome::Aborted => Some(OpOutcome::Aborted),
                Outcome::Failed => None,
            };
            Ok(self.outcomes.iter().map(outcome).collect())
        }

        /// How many writes it remembers.
        #[cfg(feature = "memory")]
        pub(crate) fn len(&self) -> usize {
            self.outcomes.len()
        }
    }

    fn pack(version: Version) -> (u64, Option<u32>) {
        (version.counter, version.generation.map(Generation::get))
    }

    fn unpack((counter, generation): (u64, Option<u32>)) -> Version {
        Version { counter, generation: generation.map(Generation::from_stored) }
    }
}

#[cfg(test)]
mod tests {
    use pillion_spi::state::Key;

    use super::*;

    fn put(key: &str, value: &'static str, expiry: Expiry) -> Op {
        let action = Action::Put { value: value.into(), content_type: None, expiry };
        Op { key: Key::new(key), condition: Condition::None, action }
    }

    /// Stores keep it across restarts and updates.
    #[test]
    fn a_digest_never_changes() {
        let digest = Digest::of(&[put("k", "v", Expiry::Never)], false);
        assert_eq!(digest.to_string(), "9f37d7de9f6ebe0d4382be6a4e58e56b");
    }

    #[test]
    fn calls_that_differ_have_different_digests() {
        let typed = |content_type: &str| {
            let content_type = Some(content_type.to_owned());
            let action = Action::Put { value: "v".into(), content_type, expiry: Expiry::Never };
            Op { key: Key::new("k"), condition: Condition::None, action }
        };
        let when = |condition| Op { condition, ..put("k", "v", Expiry::Never) };
        let delete = Op { action: Action::Delete, ..put("k", "", Expiry::Never) };
        let calls = [
            vec![put("k", "v", Expiry::Never)],
            vec![put("k", "w", Expiry::Never)],
            vec![put("kv", "", Expiry::Never)],
            vec![put("k", "v", Expiry::Keep)],
            vec![put("k", "v", Expiry::After(Duration::from_secs(1)))],
            vec![put("k", "v", Expiry::After(Duration::from_secs(2)))],
            vec![typed("")],
            vec![typed("text/plain")],
            vec![when(Condition::IfAbsent)],
            vec![when(Condition::FirstWrite(None))],
            vec![when(Condition::IfMatch(Version::bare(1)))],
            vec![when(Condition::IfMatch(Version::bare(2)))],
            vec![when(Condition::IfMatchOrAbsent(Version::bare(1)))],
            vec![delete],
            vec![put("k", "v", Expiry::Never), put("l", "v", Expiry::Never)],
            vec![put("l", "v", Expiry::Never), put("k", "v", Expiry::Never)],
        ];
        let mut seen = std::collections::HashSet::new();
        for ops in &calls {
            for atomic in [false, true] {
                assert!(seen.insert(Digest::of(ops, atomic).to_string()), "{ops:?}, {atomic}");
            }
        }
    }
}
