//! Puts Pillion's APIs on sockets.
//!
//! A [`Server`] takes one TCP address for itself alone, and a Unix socket beside it, and serves on
//! both: gRPC (the native services, `grpc.health.v1`, reflection and the [doors](Door)) and HTTP
//! (REST-shaped paths, `POST /package.Service/Method` with JSON, OpenAPI). Which of the two a request
//! is, its content type says. It knows nothing of what the APIs do: it is handed [`Apis`] that are
//! wrapped with the hooks already, and asks the same hooks about the few calls that it answers itself.
//!
//! Connections are spread over [workers](Options::workers), threads with a runtime each, so that a
//! call is served where its bytes arrive, with no lock and no hand-over between threads.
//!
//! Whatever arrives, a connection costs at most what [`Limits`] and [`Deadlines`] say, and a panic
//! ends one call.
//!
//! [`Apis`]: pillion_proto::Apis

mod accept;
mod answer;
mod connection;
mod deadline;
mod drain;
mod gate;
mod grpc;
mod guard;
mod http;
mod inbound;
mod listener;
mod options;
mod server;
mod socket;
mod stack;
mod surface;
mod worker;

pub use listener::{Address, Addresses, BindError};
pub use options::{Deadlines, Door, Limits, Options};
pub use server::{Drained, Server};
pub use surface::{At, Exposed, GateKind, surface};
