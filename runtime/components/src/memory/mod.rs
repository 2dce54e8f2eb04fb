//! Components that keep everything in the memory of this process and lose it when it ends.

mod state;
mod table;

pub use state::{State, StateConfig};
