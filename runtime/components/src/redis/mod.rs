//! Components on Redis.

mod config;
mod error;
mod layout;
mod link;
mod live;
mod probe;
mod read;
mod scan;
mod script;
mod server;
mod state;
mod tls;
mod watch;
mod write;

pub use config::{StateConfig, Tls, Url};
pub use state::State;
