//! The server on real sockets, in front of stand-ins for the APIs.
#![allow(clippy::disallowed_methods, reason = "sockets live in real time")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod bind;
mod calls;
mod door;
mod drain;
mod http;
mod limits;
mod own;
mod streams;
mod support;
