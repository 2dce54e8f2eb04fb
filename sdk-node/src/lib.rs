//! The native half of the npm package `pillion`.
//!
//! JavaScript sees no Rust type but [`Handle`](handle::Handle) and [`Stream`](stream::Stream): requests and
//! answers are plain objects. A call that can be answered at once is answered where it is made; any other
//! is a number, and its answer comes through the [bridge], many at a time. Promises, signals and
//! iterators are made of that in `lib/`. What a call does is the business of the crate `pillion`.

#![cfg_attr(test, allow(dead_code, reason = "the macros of napi export nothing in a test build"))]

mod bridge;
#[cfg(feature = "cli")]
mod command;
mod convert;
mod error;
#[rustfmt::skip]
#[allow(clippy::all, reason = "generated")]
mod r#gen;
mod handle;
#[cfg(feature = "shapes")]
mod panic;
mod runtime;
mod state;
mod stream;
