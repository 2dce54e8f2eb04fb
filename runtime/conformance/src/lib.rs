//! Whether a component does what the interface says.
//!
//! [`suite`] holds the cases; [`component`] runs them on every registered type that has a
//! [`fixture`]. [`server`] starts the real backends, [`proxy`] puts a faulty network in front of
//! them, and [`history`], [`linearizability`], [`audit`] and [`bank`] judge what was recorded.

pub mod component;
pub mod env;
pub mod fixture;
pub mod op;
pub mod report;
pub mod seed;
pub mod server;
pub mod suite;
