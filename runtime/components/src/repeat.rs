//! What a store remembers of a call with an idempotency key, so that its repetition gets the same
//! outcomes without being applied again.

use std::time::Duration;

use pillion_spi::error::{Error, Result};
use pillion_spi::state::{Generation, OpOutcome, Version};
use serde::{Deserialize, Serialize};

/// How long a call is remembered.
pub(crate) const WINDOW: Duration = Duration::from_secs(600);

/// The outcomes of a call, in the order of its writes.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Remembered(Vec<Outcome>);

/// One letter each: a store on disk writes it with every such call.
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
    /// Remembers `outcomes`.
    pub(crate) fn new(outcomes: &[OpOutcome]) -> Self {
        Self(
            outcomes
                .iter()
                .map(|outcome| match outcome {
                    OpOutcome::Applied { version, existed } => Outcome::Applied { v: version.map(pack), e: *existed },
                    OpOutcome::Conflict { found } => Outcome::Conflict { v: found.map(pack) },
                    OpOutcome::Aborted => Outcome::Aborted,
                    OpOutcome::Failed(_) => Outcome::Failed,
                })
                .collect(),
        )
    }

    /// What each of the `count` writes of a repetition gets; `None` for one to be tried again.
    ///
    /// # Errors
    /// [`Kind::Invalid`](pillion_spi::Kind::Invalid) when it cannot be the same call.
    pub(crate) fn replay(&self, count: usize) -> Result<Vec<Option<OpOutcome>>> {
        if self.0.len() != count {
            return Err(Error::invalid(format!(
                "this idempotency key belongs to a call with {} writes, not {count}",
                self.0.len()
            ))
            .advice("make a new idempotency key for each call, and repeat a call unchanged"));
        }
        Ok(self
            .0
            .iter()
            .map(|outcome| match *outcome {
                Outcome::Applied { v, e } => Some(OpOutcome::Applied { version: v.map(unpack), existed: e }),
                Outcome::Conflict { v } => Some(OpOutcome::Conflict { found: v.map(unpack) }),
                Outcome::Aborted => Some(OpOutcome::Aborted),
                Outcome::Failed => None,
            })
            .collect())
    }

    /// How many writes it remembers.
    #[cfg(feature = "memory")]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

fn pack(version: Version) -> (u64, Option<u32>) {
    (version.counter, version.generation.map(Generation::get))
}

fn unpack((counter, generation): (u64, Option<u32>)) -> Version {
    Version { counter, generation: generation.map(Generation::from_stored) }
}
