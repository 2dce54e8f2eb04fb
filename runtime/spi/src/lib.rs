//! What the author of a Pillion component reads and implements.
//!
//! A component is one struct that implements [`Component`] (how it is configured, opened and
//! closed) and one trait per capability, today [`state::StateStore`]. It knows nothing of the
//! public contract: requests are validated, keys are prefixed, deadlines are set and errors are
//! translated in the core. In return a component gets configuration checks, documentation,
//! capability enforcement, metrics and the whole conformance suite for nothing.
//!
//! A component never reads the clock, randomness or the network of the process directly: it takes
//! them from [`OpenEnv`], so that tests can drive them and two runtimes can live in one process.

pub mod caps;
pub mod chaos;
pub mod clock;
pub mod component;
pub mod durability;
pub mod duration;
pub mod env;
pub mod error;
pub mod network;
mod outage;
pub mod registry;
pub mod secret;
pub mod size;
pub mod state;
pub mod worker;

pub use clock::{Clock, SystemClock, VirtualClock};
pub use component::{Component, Refusal};
pub use durability::{Durability, LocalDurability, Replication};
pub use duration::HumanDuration;
pub use env::{OpenEnv, Random, SystemRandom};
pub use error::{Error, Kind, Outcome, Result};
pub use outage::Outage;
pub use registry::Registry;
pub use secret::Secret;
pub use size::ByteSize;
