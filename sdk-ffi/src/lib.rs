//! Pillion for Kotlin, Swift and Ruby.
//!
//! UniFFI carries the records and objects of this crate across; what programs in those languages call
//! stands above them, beside this crate's `src`. There is no behaviour here: retries, connections,
//! deadlines and streams are those of the crate `pillion`. What is here is what the crossing needs: an
//! executor of our own, cancellation that can be said out loud, and panics that become errors.

#![allow(clippy::result_large_err, reason = "UniFFI takes errors by value")]

pub mod call;
pub mod error;
mod executor;
#[rustfmt::skip]
#[allow(missing_docs, clippy::all, reason = "generated")]
pub mod r#gen;
mod home;
pub mod injection;
#[cfg(feature = "shapes")]
mod json;
pub mod runtime;
pub mod state;
mod stream;
pub mod time;
#[cfg(unix)]
pub mod wake;

uniffi::setup_scaffolding!("pillion");
