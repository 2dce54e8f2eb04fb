//! What is particular to this language: handles, dropping, streams, retries, reconnecting.
//!
//! Remote tests run against a real gRPC server on a real socket. Behind it is an embedded runtime,
//! or mocks where a test has to say what is answered.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

mod connection;
mod driver;
mod handle;
mod retry;
mod server;
mod state;
mod testing;
mod value;
mod watch;
