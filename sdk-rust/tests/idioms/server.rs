//! Runtimes and mocks behind a socket, and ways to break the connection to them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pillion::proto::grpc::server::{MessageLimits, mount};
use pillion::proto::{ActuatorMock, StateMock};
use pillion::{Apis, Connect, connect};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::runtime::{self, Runtime};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
use tokio_util::sync::CancellationToken;
use tonic::service::{Routes, RoutesBuilder};

/// A gRPC server, on threads of its own, so that killing it leaves nothing behind.
pub struct Server {
    pub address: SocketAddr,
    drain: CancellationToken,
    serving: JoinHandle<()>,
    runtime: Option<Runtime>,
}

impl Server {
    pub async fn of(apis: &Apis) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), apis).await
    }

    pub async fn at(address: SocketAddr, apis: &Apis) -> Self {
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let routes = routes(apis);
        let drain = CancellationToken::new();
        let draining = drain.clone();
        let serving = runtime.spawn(async move {
            let listener = TcpListener::bind(address).await.unwrap();
            let address = listener.local_addr().unwrap();
            let server = tonic::transport::Server::builder().add_routes(routes);
            let drained = draining.clone().cancelled_owned();
            let serving = server.serve_with_incoming_shutdown(TcpListenerStream::new(listener), drained);
            (address, tokio::spawn(async { serving.await.unwrap() }))
        });
        let (address, serving) = serving.await.unwrap();
        Self { address, drain, serving, runtime: Some(runtime) }
    }

    pub async fn mocking(state: StateMock) -> Self {
        Self::of(&mocks(state)).await
    }

    pub fn url(&self) -> String {
        url(self.address)
    }

    pub fn connect(&self) -> Connect {
        connect(self.url())
    }

    /// Stops listening, lets the calls under way end, and closes the connections.
    pub async fn drain(mut self) -> SocketAddr {
        self.drain.cancel();
        (&mut self.serving).await.unwrap();
        self.kill().await
    }

    /// Breaks every connection and stops listening.
    pub async fn kill(mut self) -> SocketAddr {
        let runtime = self.runtime.take().unwrap();
        tokio::task::spawn_blocking(|| runtime.shutdown_timeout(Duration::from_secs(30))).await.unwrap();
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A gRPC server on a Unix socket.
pub struct UnixServer {
    path: PathBuf,
    _tasks: JoinSet<()>,
}

impl UnixServer {
    pub fn at(path: PathBuf, apis: &Apis) -> Self {
        let listener = UnixListener::bind(&path).unwrap();
        let serving = tonic::transport::Server::builder()
            .add_routes(routes(apis))
            .serve_with_incoming(UnixListenerStream::new(listener));
        let mut tasks = JoinSet::new();
        tasks.spawn(async { serving.await.unwrap() });
        Self { path, _tasks: tasks }
    }

    pub fn url(&self) -> String {
        format!("unix://{}", self.path.display())
    }
}

pub fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

pub fn mocks(state: StateMock) -> Apis {
    Apis::new(Arc::new(ActuatorMock::default()), Arc::new(state))
}

fn routes(apis: &Apis) -> Routes {
    let mut routes = RoutesBuilder::default();
    mount(apis, MessageLimits { request: 4 << 20, response: usize::MAX }, &mut routes);
    routes.routes()
}

/// An address on which nothing listens.
pub async fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// Passes bytes on to a server, unless it is frozen.
pub struct Proxy {
    pub address: SocketAddr,
    frozen: watch::Sender<bool>,
    accepted: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let frozen = watch::Sender::new(false);
        let accepted = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        let (state, count) = (frozen.clone(), accepted.clone());
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                connections.spawn(pass(client, server, state.subscribe()));
            }
        });
        Self { address, frozen, accepted, _tasks: tasks }
    }

    /// From now on nothing passes on the connections that there are, and nobody is told.
    pub fn freeze(&self) {
        self.frozen.send_replace(true);
    }

    /// New connections pass again; the frozen ones stay so.
    pub fn thaw(&self) {
        self.frozen.send_replace(false);
    }

    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

async fn pass(mut client: TcpStream, server: SocketAddr, mut frozen: watch::Receiver<bool>) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let frozen = async { frozen.wait_for(|frozen| *frozen).await.is_ok() };
    let frozen = tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => false,
        frozen = frozen => frozen,
    };
    if frozen {
        // Both sockets stay open.
        std::future::pending::<()>().await;
    }
}

/// Waits until something is so.
///
/// # Panics
/// If it is not so after half a minute.
#[allow(clippy::disallowed_methods)] // tests wait in real time
pub async fn eventually(mut is_so: impl AsyncFnMut() -> bool) {
    let checking = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), checking).await.expect("it never came to that");
}

/// A `redis-server` that reports changes, on a socket in a folder of its own.
#[cfg(feature = "redis")]
pub struct Redis {
    process: std::process::Child,
    folder: tempfile::TempDir,
}

#[cfg(feature = "redis")]
impl Redis {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("redis.sock");
        let process = std::process::Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--notify-keyspace-events", "KEA", "--dir"])
            .arg(folder.path())
            .arg("--unixsocket")
            .arg(&socket)
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("redis-server is not installed");
        let redis = Self { process, folder };
        for _ in 0..1000 {
            if std::os::unix::net::UnixStream::connect(&socket).is_ok() {
                return redis;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("redis-server did not start");
    }

    /// A file that declares it as the default store.
    pub fn config(&self) -> PathBuf {
        let file = self.folder.path().join("pillion.yaml");
        let socket = self.folder.path().join("redis.sock");
        let text = format!("components: {{state: {{type: state.redis, url: \"unix://{}\"}}}}", socket.display());
        std::fs::write(&file, text).unwrap();
        file
    }
}

#[cfg(feature = "redis")]
impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
