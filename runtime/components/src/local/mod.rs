//! Components that keep everything in one SQLite file of this machine.

mod checkpoint;
mod clock;
mod engine;
mod fault;
mod lock;
mod op;
mod read;
mod schema;
mod state;
mod store;
mod writer;

pub use state::{State, StateConfig};
