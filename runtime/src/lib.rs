//! Pillion as a library: the configuration, the composition and the life of one runtime.
//!
//! This is the composition root. Core, components, sockets and doors meet here and nowhere else.
//! Programs use the crate `pillion`, which wraps this one; the command `pillion` is in
//! `pillion-cli`.

mod builder;
pub mod config;
mod runtime;
#[cfg(feature = "server")]
mod sidecar;

pub use builder::{Builder, Mode, registry};
pub use pillion_spi::{Clock, SystemClock, VirtualClock};
pub use runtime::Runtime;
#[cfg(feature = "server")]
pub use sidecar::Sidecar;
