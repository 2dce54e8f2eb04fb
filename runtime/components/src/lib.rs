//! The components that ship with Pillion. A folder is a vendor and a cargo feature; a file is one
//! capability of it.

#[cfg(any(feature = "memory", feature = "local"))]
mod condition;
#[cfg(any(feature = "memory", feature = "local"))]
mod cursor;
#[cfg(feature = "local")]
pub mod local;
#[cfg(feature = "memory")]
pub mod memory;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(any(feature = "memory", feature = "local", feature = "redis"))]
mod repeat;
#[cfg(any(feature = "memory", feature = "local"))]
mod watch;

use pillion_spi::Registry;

/// A page of a list ends early when its keys and values have so many bytes.
#[cfg(any(feature = "memory", feature = "local", feature = "redis"))]
pub(crate) const PAGE_BYTES: usize = 4 << 20;

/// Adds every component that was compiled in: one line per component.
pub fn register_all(registry: &mut Registry) {
    #[cfg(feature = "memory")]
    registry.state_store::<memory::State>();
    #[cfg(feature = "local")]
    registry.state_store::<local::State>();
    #[cfg(feature = "redis")]
    registry.state_store::<redis::State>();
}
