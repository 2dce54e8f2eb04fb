//! The threads that serve connections.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

use crate::connection::Protocols;
use crate::deadline::within;
use crate::drain::{Entered, Gauge};
use crate::socket::{Accepted, Socket};
use crate::stack::Stack;

/// Connections on their way to a worker. More than this at once means that it does not take them.
const QUEUE: usize = 256;

/// A connection, and the places that it takes.
struct Handed {
    connection: Accepted,
    /// Among those of the worker, and among all.
    places: (Entered, Entered),
}

/// A thread with a runtime of its own.
pub(crate) struct Worker {
    pub(crate) entrance: Entrance,
    /// For tasks that live as long as the worker.
    pub(crate) runtime: tokio::runtime::Handle,
    thread: thread::JoinHandle<()>,
    ended: oneshot::Receiver<()>,
}

/// Where connections are handed to a worker.
#[derive(Clone)]
pub(crate) struct Entrance {
    queue: mpsc::Sender<Handed>,
    load: Gauge,
}

impl Entrance {
    /// How many connections the worker serves or is about to.
    pub(crate) fn load(&self) -> usize {
        self.load.count()
    }

    /// Hands over a connection; it is closed if the worker does not take it.
    pub(crate) fn hand(&self, connection: Accepted, place: Entered) {
        let _ = self.queue.try_send(Handed { connection, places: (self.load.enter(), place) });
    }
}

impl Worker {
    /// Starts a worker and waits until it is ready to serve.
    pub(crate) async fn start(
        index: usize,
        stack: Arc<Stack>,
        protocols: Protocols,
        connections: TaskTracker,
        on_start: Arc<dyn Fn(usize) + Send + Sync>,
    ) -> io::Result<Self> {
        let (queue, mut handed) = mpsc::channel::<Handed>(QUEUE);
        let (ready, started) = oneshot::channel();
        let (end, ended) = oneshot::channel::<()>();
        let body = move || {
            // Dropped when the thread ends, however it does.
            let _end = end;
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(ready.send(Err(error))),
            };
            runtime.block_on(async {
                on_start(index);
                let _ = ready.send(Ok(tokio::runtime::Handle::current()));
                let protocols = Arc::new(protocols);
                let stop = stack.signals.stop.clone();
                loop {
                    let Handed { connection, places } = tokio::select! {
                        biased;
                        () = stop.cancelled() => break,
                        handed = handed.recv() => match handed {
                            Some(handed) => handed,
                            None => break,
                        },
                    };
                    // A socket that was reset meanwhile may refuse its options.
                    let Ok(socket) = Socket::new(connection, protocols.deadlines.write) else { continue };
                    let (protocols, stack) = (protocols.clone(), stack.clone());
                    connections.spawn(async move {
                        let _places = places;
                        protocols.serve(socket, stack).await;
                    });
                }
            });
            // Dropping the runtime ends what tasks are left: connections at a stop without a drain.
        };
        let thread = thread::Builder::new().name(format!("pillion-worker-{index}")).spawn(body)?;
        let runtime =
            started.await.unwrap_or_else(|_gone| Err(io::Error::other("the worker ended before it was ready")))?;
        Ok(Self { entrance: Entrance { queue, load: Gauge::default() }, runtime, thread, ended })
    }

    /// Waits until the thread is gone, which it is soon after the signal to stop, unless something
    /// blocks it. Such a thread cannot be ended from outside and is left alone after `limit`.
    pub(crate) async fn join(self, limit: Duration) {
        if within(limit, self.ended).await.is_none() {
            return tracing::warn!(thread = self.thread.thread().name(), "a call blocks its thread and is left behind");
        }
        // It has left its last line, so this waits for next to nothing.
        let _ = self.thread.join();
    }
}
