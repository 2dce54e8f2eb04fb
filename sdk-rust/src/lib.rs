//! State and more for Rust programs: in-process, or against a Pillion sidecar.
//!
//! [`open`] gives the handle, [`Pillion`], and from it come the handles of the building blocks. The
//! same program runs in both modes:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> pillion::Result<()> {
//! let p = pillion::open().await?; // the sidecar at PILLION_ENDPOINT if set, else a runtime in this process
//! let orders = p.state(); // the default store; `p.state().store("orders")` is a named one
//!
//! orders.set("order:7", "two apples").await?;
//! assert_eq!(orders.get::<String>("order:7").await?.as_deref(), Some("two apples"));
//! # Ok(())
//! # }
//! ```
//!
//! * [`embedded()`] runs in this process: in memory, in a folder, or as a configuration file says.
//! * [`connect()`] talks to a sidecar over TCP or a Unix socket. It connects when it is first used
//!   and again whenever the connection broke.
//! * [`state`] has what stores can do.
//! * [`Value`] and its traits: bytes, text and JSON, told apart by their content type.
//!
//! # Errors
//! There is one [`Error`]. Its [reason](Error::reason) is the code that documentation and the
//! command `pillion explain` know; its [outcome](Error::outcome) says whether the call may have
//! taken effect all the same. A call is repeated by itself only where that is harmless.
//!
//! # Cancellation
//! Dropping a future cancels the call; dropping a stream ends it. What a dropped write did is as
//! unknown as if the connection had broken.
//!
//! # Features
//! * `embed`: [`embedded()`], with the components in memory and in a folder.
//! * `client`: [`connect()`].
//! * `redis`: the component of that name for [`embedded()`].
//! * `testing`: the [test kit](testing) for programs.
//! * `shapes`: for the tests of Pillion itself.

mod client;
#[cfg(feature = "client")]
mod connect;
mod context;
#[cfg(feature = "embed")]
mod embed;
mod open;
#[cfg(feature = "client")]
mod retry;
pub mod state;
#[cfg(feature = "testing")]
pub mod testing;
mod time;
mod value;

pub use client::Pillion;
#[cfg(feature = "client")]
pub use connect::{Connect, connect};
#[cfg(feature = "embed")]
pub use embed::{Embedded, embedded};
pub use open::open;
pub use pillion_proto::error::{Category, Outcome};
pub use pillion_proto::{Apis, Cx, Error, Events, Reason, Result};
pub use state::State;
pub use value::{FromValue, IntoValue, Json, Value};

/// The messages and traits of the contract, for calls through [`Pillion::apis`].
pub use pillion_proto as proto;

/// Compiles and runs the examples of the README.
#[cfg(all(doctest, feature = "embed", feature = "client"))]
#[doc = include_str!("../README.md")]
struct Readme;
