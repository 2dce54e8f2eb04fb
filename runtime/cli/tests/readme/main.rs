//! What the documents show is what happens: the README's commands are run, in the order of the page,
//! and what they print is compared; what pages point at exists.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail as tests do")]

mod page;
mod point;
mod session;
mod text;
