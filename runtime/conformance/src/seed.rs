//! Randomness that a printed number brings back.

use pillion_spi::{Random, SystemRandom};

/// A generator of pseudo-random numbers (SplitMix64). The same seed gives the same numbers.
#[derive(Clone, Debug)]
pub struct Seeded(u64);

impl Seeded {
    /// Starts at `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`; 0 if that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        let limit = limit.max(1) as u64;
        usize::try_from(self.number() % limit).unwrap_or(0)
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of `items`, which must not be empty.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// A generator that goes its own way from here.
    pub fn fork(&mut self) -> Self {
        Self(self.number())
    }
}

/// The seed in the environment variable `PILLION_SEED`, or a random one. Print it where a case
/// fails.
pub fn from_environment() -> u64 {
    let given = std::env::var("PILLION_SEED").ok().and_then(|text| text.parse().ok());
    given.unwrap_or_else(random)
}

/// A random number.
pub fn random() -> u64 {
    (&SystemRandom as &dyn Random).u64()
}
