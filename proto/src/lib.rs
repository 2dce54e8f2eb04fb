//! The contract of Pillion.
//!
//! For each building block there is one transport-neutral trait ([`StateApi`] and so on), generated
//! from the protos. The core implements it, the gRPC client implements it, mocks implement it; the
//! gRPC server, the HTTP routes, the compatibility doors and the language bindings only consume it.
//! In-process or remote is *which implementer you were handed*.
//!
//! This crate holds what all of them share: messages, traits, the call context [`Cx`], the
//! [`Error`], the stream type [`Events`] and the [hooks](CallHook) that wrap every call once. It
//! does no I/O of its own.
//!
//! # Features
//! `grpc-server`, `grpc-client`: adapters between the traits and tonic. `http`: JSON codec and
//! routes. `mock`: programmable stand-ins. `testing`: the test kit of an embedded runtime. `shapes`: a
//! service for the tests of Pillion itself, which never ships.

pub mod answer;
pub mod call;
pub mod codec;
pub mod error;
#[rustfmt::skip]
#[allow(clippy::all, clippy::unwrap_used, clippy::expect_used, reason = "generated")]
mod r#gen;
#[cfg(any(feature = "grpc-server", feature = "grpc-client"))]
pub mod grpc;
#[cfg(feature = "http")]
pub mod http;
pub mod intercept;
#[cfg(feature = "mock")]
pub mod mock;
#[cfg(feature = "grpc-client")]
pub mod retry;
pub mod stream;
#[cfg(feature = "http")]
pub mod text;
mod timestamp;

pub use call::{Access, Call, CallInfo, Caller, Cx, Shape, TraceContext};
pub use error::{Error, Result};
pub use r#gen::apis::*;
pub use r#gen::errors::{REASONS, Reason};
#[cfg(feature = "http")]
pub use r#gen::http_routes::ROUTES;
pub use r#gen::messages::*;
pub use intercept::{CallGuard, CallHook, Ending, Hooks};
pub use stream::Events;
pub use timestamp::Timestamp;

/// The compiled protos with their comments and options, as a serialised `FileDescriptorSet`: what
/// sockets of this build serve.
#[cfg(not(feature = "shapes"))]
pub const DESCRIPTORS: &[u8] = include_bytes!("gen/descriptor.bin");
/// The compiled protos with their comments and options, as a serialised `FileDescriptorSet`: what
/// sockets of this build serve.
#[cfg(feature = "shapes")]
pub const DESCRIPTORS: &[u8] = include_bytes!("gen/descriptor_served.bin");

/// The HTTP interface as an OpenAPI 3.1 document, in JSON.
pub const OPENAPI: &str = include_str!("gen/openapi.json");
/// `google.protobuf.Duration`.
pub use pbjson_types::Duration;
