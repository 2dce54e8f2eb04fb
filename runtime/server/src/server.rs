use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;

use crate::accept::{Dispatcher, Listener};
use crate::connection::Protocols;
use crate::deadline::within;
use crate::drain::{Gauge, Signals};
use crate::gate::Gate;
use crate::grpc::table::Table;
use crate::listener::{self, Addresses, BindError, SocketFile};
use crate::options::Options;
use crate::stack::Stack;
use crate::worker::Worker;

/// How long connections have, after what they held was cut, to send that.
const FAREWELL: Duration = Duration::from_millis(500);

/// How long a thread may take to notice that it should end. They notice at once, unless a call
/// blocks them, which none should.
const JOINING: Duration = Duration::from_secs(2);

/// A running server.
///
/// Dropped without [`drain`](Self::drain), it stops at once: connections are closed whatever they hold.
pub struct Server {
    addresses: Addresses,
    signals: Signals,
    connections: TaskTracker,
    /// One per worker.
    calls: Vec<Gauge>,
    acceptors: TaskTracker,
    parts: Mutex<Parts>,
}

/// What is taken apart once.
struct Parts {
    socket_file: Option<SocketFile>,
    workers: Vec<Worker>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Calls that the grace was too short for; they ended with `runtime.draining`.
    pub unfinished: usize,
}

impl Server {
    /// Takes the addresses and serves on them.
    ///
    /// The addresses are taken before any worker starts, so a busy one costs nothing. Connections
    /// are accepted when this returns.
    ///
    /// # Errors
    /// [`BindError`].
    pub async fn bind(options: Options) -> Result<Self, BindError> {
        if options.tcp.is_none() && options.unix.is_none() {
            return Err(BindError::Nowhere);
        }
        let tcp = options.tcp.map(listener::tcp).transpose()?;
        let bound = tcp.as_ref().and_then(|listener| listener.local_addr().ok());
        #[cfg(unix)]
        let (unix, socket_file) = options.unix.as_deref().map(listener::unix).transpose()?.unzip();
        #[cfg(not(unix))]
        let socket_file: Option<SocketFile> = None;
        let unix_path = socket_file.as_ref().and(options.unix.clone());
        let addresses = Addresses { tcp: bound, unix: unix_path };

        let server = Self::start(&options, addresses, socket_file).await?;
        let parts = server.parts.lock().await;
        let runtime = parts.workers.first().map(|worker| worker.runtime.clone());
        let runtime = runtime.ok_or_else(|| BindError::Worker(io::Error::other("there is none")))?;
        let entrances = parts.workers.iter().map(|worker| worker.entrance.clone()).collect();
        let dispatcher = Dispatcher::new(entrances, options.limits.connections, server.connections.clone());
        let dispatcher = Arc::new(dispatcher);
        drop(parts);
        let accept = |listener| {
            let run = dispatcher.clone().run(listener, server.signals.drain.clone());
            server.acceptors.spawn_on(run, &runtime);
        };
        {
            // Sockets belong to the runtime in which they are made.
            let _inside = runtime.enter();
            if let Some(tcp) = tcp {
                accept(Listener::Tcp(tokio::net::TcpListener::from_std(tcp).map_err(BindError::Worker)?));
            }
            #[cfg(unix)]
            if let Some(unix) = unix {
                accept(Listener::Unix(tokio::net::UnixListener::from_std(unix).map_err(BindError::Worker)?));
            }
        }
        server.acceptors.close();
        Ok(server)
    }

    /// Starts the workers. From here on dropping the server undoes everything.
    async fn start(
        options: &Options,
        addresses: Addresses,
        socket_file: Option<SocketFile>,
    ) -> Result<Self, BindError> {
        let server = Self {
            signals: Signals::default(),
            connections: TaskTracker::new(),
            calls: Vec::new(),
            acceptors: TaskTracker::new(),
            parts: Mutex::new(Parts { socket_file, workers: Vec::new() }),
            addresses,
        };
        let table = Arc::new(Table::new(&options.doors)?);
        let gate = Arc::new(Gate::new(server.addresses.tcp, &options.hosts, &options.origins));
        let mut server = server;
        for index in 0..options.workers.max(1) {
            let stack = Arc::new(Stack::new(options, table.clone(), gate.clone(), server.signals.child()));
            server.calls.push(stack.calls.clone());
            let protocols = Protocols::new(&options.limits, options.deadlines);
            let (connections, on_start) = (server.connections.clone(), options.on_worker_start.clone());
            let worker = Worker::start(index, stack, protocols, connections, on_start).await;
            server.parts.get_mut().workers.push(worker.map_err(BindError::Worker)?);
        }
        Ok(server)
    }

    /// Where it listens.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// How many calls are under way.
    pub fn calls(&self) -> usize {
        self.calls.iter().map(Gauge::count).sum()
    }

    /// Stops: accepts nothing more, says goodbye on connections (GOAWAY, `connection: close`), waits
    /// up to `grace` for what is under way, cuts the rest with `runtime.draining`, and ends every
    /// thread. A second call waits for the first.
    pub async fn drain(&self, grace: Duration) -> Drained {
        self.signals.drain.cancel();
        let mut parts = self.parts.lock().await;
        // The listeners are closed when the acceptors are gone; only then may the file go.
        within(JOINING, self.acceptors.wait()).await;
        drop(parts.socket_file.take());
        self.connections.close();
        let mut unfinished = 0;
        if within(grace, self.connections.wait()).await.is_none() {
            unfinished = self.calls();
            self.signals.cut.cancel();
            within(FAREWELL, self.connections.wait()).await;
        }
        self.signals.stop();
        for worker in parts.workers.drain(..) {
            worker.join(JOINING).await;
        }
        Drained { unfinished }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signals.stop();
    }
}
