use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pillion_proto::{Apis, Error, Hooks, Reason};
use tonic::Status;
use tonic::service::RoutesBuilder;

/// What a server serves, where, and within which limits.
#[derive(Clone)]
pub struct Options {
    /// What is served, wrapped with the hooks already.
    pub apis: Apis,
    /// Told of calls that the server answers itself (reflection, `/openapi.json`), so that the one
    /// gate which judges calls judges these too.
    pub hooks: Hooks,
    /// Compatibility doors on the same sockets.
    pub doors: Vec<Door>,
    /// Where to listen on TCP; port 0 takes any free one. `None`: not at all.
    pub tcp: Option<SocketAddr>,
    /// Where to listen on a Unix socket. The file is made with mode 0600 and removed at the end.
    pub unix: Option<PathBuf>,
    /// Threads that serve connections, each with a runtime of its own; at least 1.
    pub workers: usize,
    /// What is refused.
    pub limits: Limits,
    /// How long a silent peer is waited for.
    pub deadlines: Deadlines,
    /// Names beside the loopback ones and the bound address by which clients may call this server.
    pub hosts: Vec<String>,
    /// Origins (`https://app.example`) of web pages that may call this server. There is no other
    /// that may.
    pub origins: Vec<String>,
    /// Called on each worker's thread, inside its runtime, with its index, before it serves.
    pub on_worker_start: Arc<dyn Fn(usize) + Send + Sync>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("tcp", &self.tcp)
            .field("unix", &self.unix)
            .field("workers", &self.workers)
            .field("doors", &self.doors)
            .field("limits", &self.limits)
            .field("deadlines", &self.deadlines)
            .field("hosts", &self.hosts)
            .field("origins", &self.origins)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// Serves `apis` with the default limits and deadlines on one worker and, as yet, nowhere.
    pub fn new(apis: Apis, hooks: Hooks) -> Self {
        Self {
            apis,
            hooks,
            doors: Vec::new(),
            tcp: None,
            unix: None,
            workers: 1,
            limits: Limits::default(),
            deadlines: Deadlines::default(),
            hosts: Vec::new(),
            origins: Vec::new(),
            on_worker_start: Arc::new(|_| {}),
        }
    }
}

/// What is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest request: a gRPC message, an HTTP body, or a line of an HTTP upload. In bytes;
    /// 4 MiB by default.
    pub message: usize,
    /// The largest answer to a read, in bytes as protobuf: of each message where there are many;
    /// 16 MiB by default.
    pub answer: usize,
    /// All headers of a request together, in bytes; 16 KiB by default.
    pub header_bytes: usize,
    /// How many headers a request may have; 100 by default.
    pub headers: usize,
    /// Connections at once; 8,192 by default. More are told so and closed.
    pub connections: usize,
    /// Calls at once on one HTTP/2 connection; 256 by default. Clients queue what exceeds it.
    pub streams: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: 4 << 20,
            answer: 16 << 20,
            header_bytes: 16 << 10,
            headers: 100,
            connections: 8_192,
            streams: 256,
        }
    }
}

/// How long a peer may stay silent where it should not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// From the connection to the bytes that tell HTTP/1 from HTTP/2; 10 s by default.
    pub first_bytes: Duration,
    /// For the whole head of an HTTP/1 request, and between two requests; 10 s by default.
    pub header: Duration,
    /// Between two pieces of a request body; 30 s by default. It does not bind the uploads of gRPC
    /// streams, which may rest: there a dead peer is found by the ping.
    pub body: Duration,
    /// Between two pieces of an answer that the peer takes; 60 s by default.
    pub write: Duration,
    /// An HTTP/2 peer is pinged after so long without a word from it; 60 s by default.
    pub ping: Duration,
    /// It must answer the ping within this; 20 s by default.
    pub pong: Duration,
    /// Server-sent events carry a comment after so long without an event; 15 s by default.
    pub keep_alive: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            first_bytes: Duration::from_secs(10),
            header: Duration::from_secs(10),
            body: Duration::from_secs(30),
            write: Duration::from_secs(60),
            ping: Duration::from_secs(60),
            pong: Duration::from_secs(20),
            keep_alive: Duration::from_secs(15),
        }
    }
}

/// The gRPC services of another runtime's contract, translated onto [`Apis`] by its own crate.
#[derive(Clone)]
pub struct Door {
    pub(crate) name: &'static str,
    pub(crate) descriptors: &'static [u8],
    pub(crate) mount: Arc<dyn Fn(&mut RoutesBuilder) + Send + Sync>,
    pub(crate) too_large: TooLarge,
}

/// Makes the status of a message that is larger than the limit: its size, then the limit.
pub(crate) type TooLarge = fn(usize, usize) -> Status;

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Door").field(&self.name).finish()
    }
}

impl Door {
    /// A door.
    ///
    /// `descriptors` is the serialised `FileDescriptorSet` of its services: it makes their methods
    /// known to the routing table and to reflection, and what it does not name is not served.
    /// `mount` adds the services to a router; it is called once for each worker.
    pub fn new(
        name: &'static str,
        descriptors: &'static [u8],
        mount: impl Fn(&mut RoutesBuilder) + Send + Sync + 'static,
    ) -> Self {
        Self { name, descriptors, mount: Arc::new(mount), too_large: native_too_large }
    }

    /// Answers a message above the limit with this status, made of its size and the limit, instead
    /// of `request.too_large`.
    #[must_use]
    pub fn too_large(mut self, status: fn(usize, usize) -> Status) -> Self {
        self.too_large = status;
        self
    }
}

/// The error of a message or body that is larger than the limit.
pub(crate) fn too_large(what: &str, size: usize, limit: usize) -> Error {
    Error::new(Reason::RequestTooLarge, format!("the {what} has {size} bytes; the limit is {limit}"))
        .with("size", size)
        .with("limit", limit)
}

pub(crate) fn native_too_large(size: usize, limit: usize) -> Status {
    too_large("message", size, limit).into()
}
