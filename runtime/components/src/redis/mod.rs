//! Components on Redis.

mod config;
mod error;
mod layout;
mod link;
mod probe;
mod script;
mod server;
mod state;
mod tls;

pub use config::{Config, Tls, Url};
pub use state::State;
