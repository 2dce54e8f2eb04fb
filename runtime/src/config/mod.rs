//! The configuration file of the runtime: finding it, reading it strictly, describing it.
//!
//! ```no_run
//! use pillion_runtime::config::{self, Config, Loader};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let registry = pillion_runtime::registry();
//! let environment = |name: &str| std::env::var_os(name);
//! let config = match config::locate(None, &std::env::current_dir()?, &environment)? {
//!     Some(located) => Loader::new(&registry, &environment).file(&located.path)?,
//!     None => Config::dev(&registry)?,
//! };
//! # Ok(())
//! # }
//! ```
//!
//! The format is YAML, and so also JSON. Unknown keys, values of another type, duplicates and
//! variables that are not set are refused, each with its place, its [reason](pillion_proto::Reason) and advice; a value
//! that came from the environment is never shown. Nothing here prints or ends the process.

mod builtin;
mod de;
mod diagnostic;
mod expand;
mod foreign;
mod load;
mod locate;
mod mask;
mod model;
mod report;
mod schema;
mod source;
mod suggest;
mod tree;
mod value;

pub use diagnostic::{Diagnostic, Diagnostics, Position};
pub use expand::Environment;
pub use load::Loader;
pub use locate::{CONFIG_VARIABLE, Located, LocatedBy, locate};
pub(crate) use model::is_token;
pub use model::{
    App, Component, Config, Deadlines, Host, Layotto, Limits, Listen, Log, LogFormat, LogLevel, Security, WebOrigin,
};
pub use pillion_core::KeyPrefix;
pub use schema::{component_schema, schema};
pub use source::MAX_FILE_BYTES;
pub use suggest::nearest;
pub use value::{TcpListen, UnixListen};
