//! The business logic of Pillion.
//!
//! One module per building block under [`api`] implements the generated trait on top of the spi.
//! Beside them stands what they share: [`key`] (what keys are and how they are stored),
//! [`slot`] (the life of a component), [`hook`] (what wraps every call) and [`limit`].
//!
//! This crate sees no transport, no component and no wire format of others.

pub mod api;
pub mod hook;
pub mod key;
pub mod limit;
pub mod slot;
mod translate;

pub use key::KeyPrefix;
pub use limit::Limits;
pub use slot::Slot;
