//! Whether a component does what the interface says.
//!
//! [`suite`] holds the cases; [`component`] runs them on every registered type that has a
//! [`fixture`]. [`server`] starts the real backends, [`proxy`] puts a faulty network in front of
//! them, and [`history`], [`linearizability`], [`register`], [`audit`] and [`bank`] judge what was
//! recorded. [`scenario`] plays the scenarios of `proto/scenarios` on whole runtimes, through every
//! language and transport. [`torture`] kills, freezes and cuts off the real program and its stores.

pub mod audit;
pub mod bank;
pub mod bare;
pub mod cancel;
pub mod component;
pub mod env;
pub mod fixture;
pub mod history;
pub mod linearizability;
pub mod op;
pub mod proxy;
pub mod register;
pub mod report;
pub mod scenario;
pub mod seed;
pub mod server;
pub mod suite;
pub mod torture;
