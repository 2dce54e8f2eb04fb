//! The configuration file: what is accepted, what is refused and how, where it is looked for.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail as tests do")]

mod component;
mod example;
mod file;
mod golden;
mod locate;
mod property;
mod schema;
mod value;
