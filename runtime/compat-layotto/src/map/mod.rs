//! Layotto's messages to Pillion's and back: pure functions, one module per block.

pub mod hello;
pub mod state;
