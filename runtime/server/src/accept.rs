//! Accepting connections and handing them to workers.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::deadline::{wait, within};
use crate::drain::{Entered, Gauge};
use crate::socket::{Accepted, Protocol, Socket};
use crate::worker::Entrance;

/// How long nothing is accepted after the process has run out of file descriptors or memory: first
/// and at most.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

/// Peers that are told at once that there are too many connections; the others are only closed.
const REFUSALS: usize = 64;

/// How long a peer that is refused may take to say what it speaks, and to read the answer.
const REFUSAL_DEADLINE: Duration = Duration::from_secs(1);

/// A socket that accepts.
pub(crate) enum Listener {
    Tcp(tokio::net::TcpListener),
    #[cfg(unix)]
    Unix(tokio::net::UnixListener),
}

impl Listener {
    async fn accept(&self) -> io::Result<Accepted> {
        // Back to a plain socket: it will be served by another runtime than accepted it.
        Ok(match self {
            Self::Tcp(listener) => Accepted::Tcp(listener.accept().await?.0.into_std()?),
            #[cfg(unix)]
            Self::Unix(listener) => Accepted::Unix(listener.accept().await?.0.into_std()?),
        })
    }
}

/// Hands connections to workers.
pub(crate) struct Dispatcher {
    entrances: Vec<Entrance>,
    limit: usize,
    connections: Gauge,
    tasks: TaskTracker,
    refusals: Arc<Semaphore>,
}

impl Dispatcher {
    /// At most `limit` connections at once; refusals are tasks of `tasks`.
    pub(crate) fn new(entrances: Vec<Entrance>, limit: usize, tasks: TaskTracker) -> Self {
        Self { entrances, limit, connections: Gauge::default(), tasks, refusals: Arc::new(Semaphore::new(REFUSALS)) }
    }

    /// Accepts until told to stop, and closes the listener then.
    pub(crate) async fn run(self: Arc<Self>, listener: Listener, stop: CancellationToken) {
        let mut pause = BACK_OFF.0;
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok(connection) => {
                    pause = BACK_OFF.0;
                    self.dispatch(connection);
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, ?pause, "no connection can be accepted now");
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => return,
                        () = wait(pause) => {}
                    }
                    pause = (pause * 2).min(BACK_OFF.1);
                }
            }
        }
    }

    fn dispatch(&self, connection: Accepted) {
        let place = self.connections.enter();
        if self.connections.count() > self.limit {
            return self.refuse(connection, place);
        }
        if let Some(entrance) = self.entrances.iter().min_by_key(|entrance| entrance.load()) {
            entrance.hand(connection, place);
        }
    }

    /// Tells a peer, in its own protocol, that there are too many. It counts as a connection until then.
    fn refuse(&self, connection: Accepted, place: Entered) {
        let Ok(permit) = self.refusals.clone().try_acquire_owned() else { return };
        let Ok(socket) = Socket::new(connection, REFUSAL_DEADLINE) else { return };
        self.tasks.spawn(async move {
            let _held = (permit, place);
            within(REFUSAL_DEADLINE * 2, refuse(socket)).await;
        });
    }
}

async fn refuse(mut socket: Socket) {
    let protocol = socket.recognise(REFUSAL_DEADLINE).await;
    let told = match protocol {
        None => return,
        Some(Protocol::Http1) => socket.write_all(&too_many_http1()).await,
        Some(Protocol::Http2) => socket.write_all(TOO_MANY_HTTP2).await,
    };
    if told.is_ok() {
        // The preface that was put back.
        let _ = socket.read(&mut [0; 32]).await;
        socket.linger(REFUSAL_DEADLINE).await;
    }
}

fn too_many_http1() -> Vec<u8> {
    let error = pillion_proto::Error::new(
        pillion_proto::Reason::RequestOverloaded,
        "the runtime has as many connections as it takes",
    )
    .retry_after(Duration::from_secs(1));
    let problem = pillion_proto::http::problem(&error).to_string();
    format!(
        "HTTP/1.1 {} Too Many Requests\r\ncontent-type: application/problem+json\r\nretry-after: 1\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{problem}",
        error.http_status(),
        problem.len(),
    )
    .into_bytes()
}

/// An empty SETTINGS frame, which every server begins with, and GOAWAY with ENHANCE_YOUR_CALM (11):
/// stream 0 was the last one looked at, so clients may repeat everything elsewhere.
const TOO_MANY_HTTP2: &[u8] = b"\0\0\0\x04\0\0\0\0\0\
    \0\0\x1c\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0btoo many connections";

/// Whether an error of accept is about the connection, not about the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
