//! The remote runtime: where it is, and the connections to it.

use std::fmt;
use std::future::IntoFuture;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures::future::BoxFuture;
use pillion_proto::grpc::client::{Channels, connect as apis_over};
use pillion_proto::retry::Retry;
use pillion_proto::{Cx, Error, Reason, Result};
use tonic::transport::{Channel, Endpoint, Uri};

use crate::client::{Backend, Pillion};
use crate::context::{Context, variable};
use crate::retry::Policy;

/// One connection is served by one thread of the sidecar; four keep a small machine busy, and
/// more gain nothing measurable.
const TCP_CONNECTIONS: usize = 4;
/// Longer than the runtime waits for a backend, so that its error, which says more, comes first.
const TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// More than a runtime can be configured to send: 64 MiB, and what stands beside the largest value.
const MAX_MESSAGE: usize = 65 << 20;
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// A handle on the sidecar at `url`: `http://127.0.0.1:34904` or `unix:///path`.
///
/// Nothing is connected yet: this succeeds while the sidecar is down. Calls then fail with
/// `runtime.unreachable`, and work as soon as it is up; [`Pillion::wait_ready`] waits for that.
///
/// ```no_run
/// # async fn example() -> pillion::Result<()> {
/// let p = pillion::connect("http://127.0.0.1:34904").app_id("orders").await?;
/// # Ok(())
/// # }
/// ```
pub fn connect(url: impl Into<String>) -> Connect {
    Connect {
        url: url.into(),
        connections: None,
        token: variable("PILLION_TOKEN"),
        app_id: variable("PILLION_APP_ID"),
        timeout: TIMEOUT,
        max_message: MAX_MESSAGE,
        retries: Policy::RETRIES,
        keep_alive: KEEP_ALIVE,
    }
}

/// How to connect; await it for the handle.
#[derive(Clone)]
#[must_use = "await it"]
pub struct Connect {
    url: String,
    connections: Option<usize>,
    token: Option<String>,
    app_id: Option<String>,
    timeout: Duration,
    max_message: usize,
    retries: u32,
    keep_alive: Duration,
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("url", &self.url)
            .field("connections", &self.connections)
            .field("token", &self.token.as_ref().map(|_| "***"))
            .field("app_id", &self.app_id)
            .field("timeout", &self.timeout)
            .field("max_message", &self.max_message)
            .field("retries", &self.retries)
            .field("keep_alive", &self.keep_alive)
            .finish()
    }
}

impl Connect {
    /// How many connections calls are spread over; at least 1. Default: 4 over TCP, 1 over a Unix
    /// socket.
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = Some(connections.max(1));
        self
    }

    /// The token of the sidecar. Default: the environment variable `PILLION_TOKEN`.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// The application that this program is. Default: the environment variable `PILLION_APP_ID`.
    pub fn app_id(mut self, app_id: impl Into<String>) -> Self {
        self.app_id = Some(app_id.into());
        self
    }

    /// How long a call may take, retries included. Default: 30 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The largest answer that is taken, in bytes. Default: 64 MiB.
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    /// How often a failed call is made again, where that is safe. Default: 3; 0 for never.
    ///
    /// It is safe where the failed attempt surely did nothing, for methods that only read, and for
    /// writes with an idempotency key. All calls of the handle share a budget, so that retries
    /// cannot become the load that keeps a sidecar down.
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// How often a sidecar that says nothing is asked whether it is still there, and how long it has
    /// to answer. So one that vanished without a word is noticed after twice that, whatever the timeouts of
    /// the calls. Default: 10 s.
    pub fn keep_alive(mut self, interval: Duration) -> Self {
        self.keep_alive = interval;
        self
    }

    fn build(self) -> Result<Pillion> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(Error::new(Reason::RequestInvalid, "there is no Tokio runtime here")
                .advice("connect inside of one, for example in a function under #[tokio::main]"));
        }
        let (endpoint, default) = endpoint(&self.url)?;
        let endpoint = endpoint.http2_keep_alive_interval(self.keep_alive).keep_alive_timeout(self.keep_alive);
        let pool = Arc::new(Pool::new(self.url, endpoint, self.connections.unwrap_or(default)));
        let policy: Arc<dyn Retry> = Arc::new(Policy::new(self.retries));
        let remote = apis_over(pool.clone(), self.max_message);
        let cx = Cx { app_id: self.app_id.map(Into::into), token: self.token.map(Into::into), ..Cx::default() };
        let context = Context::new(cx, Some(self.timeout));
        Ok(Pillion::new(&remote.retried(&policy), &remote, Backend::Remote(pool), context))
    }
}

impl IntoFuture for Connect {
    type Output = Result<Pillion>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async { self.build() })
    }
}

/// Where `url` leads, and how many connections are usual for it.
fn endpoint(url: &str) -> Result<(Endpoint, usize)> {
    let invalid = |problem: &str| {
        Error::new(Reason::RequestInvalid, format!("the endpoint `{url}` {problem}"))
            .advice("give http://HOST:PORT, or unix:///PATH for a Unix socket")
    };
    let (endpoint, connections) = if let Some(path) = url.strip_prefix("unix:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        if !path.starts_with('/') {
            return Err(invalid("has no absolute path"));
        }
        let endpoint = Endpoint::from_shared(format!("unix://{path}")).map_err(|error| invalid("").source(error))?;
        // A socket has no name of its own; this one is accepted wherever host names are checked.
        (endpoint.origin(Uri::from_static("http://localhost")), 1)
    } else {
        let uri = url.parse::<Uri>().map_err(|error| invalid("is not a URL").source(error))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(invalid("asks for TLS, which this client does not offer")),
            _ => return Err(invalid("has no scheme")),
        }
        if uri.port_u16().is_none() {
            return Err(invalid("has no port"));
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(invalid("has a path"));
        }
        (Endpoint::from(uri), TCP_CONNECTIONS)
    };
    let endpoint = endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        // Otherwise the first call after a quiet hour would be the one to find the peer gone.
        .keep_alive_while_idle(true);
    Ok((endpoint, connections))
}

/// Connections to one runtime, used in turn. Each connects when it is first used, and again after it broke.
pub(crate) struct Pool {
    url: String,
    endpoint: Endpoint,
    channels: RwLock<Vec<Channel>>,
    turn: AtomicUsize,
}

impl Pool {
    fn new(url: String, endpoint: Endpoint, connections: usize) -> Self {
        let channels = (0..connections).map(|_| endpoint.connect_lazy()).collect();
        Self { url, endpoint, channels: RwLock::new(channels), turn: AtomicUsize::new(0) }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Closes each connection when its last call ends.
    pub(crate) fn disconnect(&self) {
        // No call comes after a close, so these will not connect; `pick` has to return something.
        let unused = vec![self.endpoint.connect_lazy()];
        *self.channels.write().unwrap_or_else(PoisonError::into_inner) = unused;
    }
}

impl Channels for Pool {
    fn pick(&self) -> Channel {
        let channels = self.channels.read().unwrap_or_else(PoisonError::into_inner);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        channels[turn % channels.len()].clone()
    }
}
