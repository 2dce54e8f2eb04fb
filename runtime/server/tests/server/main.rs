//! The server on real sockets, in front of stand-ins for the APIs.
#![allow(clippy::disallowed_methods, reason = "sockets live in real time")]
#![allow(missing_docs)]

mod calls;
mod support;
