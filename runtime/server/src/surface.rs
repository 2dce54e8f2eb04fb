//! What a server exposes, read from the tables that route requests.

use std::fmt;
use std::sync::Arc;

use pillion_proto::Access;

use crate::BindError;
use crate::drain::Signals;
use crate::gate::Gate;
use crate::grpc::table::{Judge, Table};
use crate::http::router::Target;
use crate::options::Options;
use crate::stack::Stack;

/// Something that can be called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exposed {
    /// How it is reached.
    pub at: At,
    /// Who may call it; `None` where a door decides, which may never be more than the APIs behind it
    /// allow.
    pub access: Option<Access>,
    /// The name of the operation in policies, metrics and traces; that of the door for its methods.
    pub operation: &'static str,
    /// Who judges calls of it.
    pub gate: GateKind,
}

/// How something is reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum At {
    /// `/package.Service/Method`.
    Grpc(String),
    /// A verb and a path, whose fields stand in braces.
    Http(String, String),
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grpc(path) => write!(f, "gRPC {path}"),
            Self::Http(verb, path) => write!(f, "{verb} {path}"),
        }
    }
}

/// Who judges whether a caller may call something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GateKind {
    /// The hooks around the APIs.
    Apis,
    /// This server, by asking the same hooks.
    Server,
    /// The door, through the APIs that it calls.
    Door,
}

/// Everything that a server with these options would answer, sorted: the live routing tables, not a
/// copy of them.
///
/// # Errors
/// [`BindError::Door`].
pub fn surface(options: &Options) -> Result<Vec<Exposed>, BindError> {
    let table = Arc::new(Table::new(&options.doors)?);
    let gate = Arc::new(Gate::new(options.tcp, &options.hosts, &options.origins));
    let stack = Stack::new(options, table.clone(), gate, Signals::default());
    let grpc = table.iter().map(|(path, entry)| {
        let (operation, gate) = match entry.judge {
            Judge::Apis(info) => (info.operation, GateKind::Apis),
            Judge::Server(info) => (info.operation, GateKind::Server),
            Judge::Door(name) => (name, GateKind::Door),
        };
        Exposed { at: At::Grpc(path.to_owned()), access: entry.access(), operation, gate }
    });
    let http = stack.http().router().iter().map(|(path, verb, target)| {
        let info = target.info();
        let gate = if matches!(target, Target::Openapi) { GateKind::Server } else { GateKind::Apis };
        let at = At::Http(verb.as_str().to_owned(), path.to_owned());
        Exposed { at, access: Some(info.access), operation: info.operation, gate }
    });
    let mut all: Vec<_> = grpc.chain(http).collect();
    all.sort();
    Ok(all)
}
