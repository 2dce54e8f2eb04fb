//! How a server stops: the signals, and what is still under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pillion_proto::{Access, Error, Reason};
use tokio_util::sync::CancellationToken;

/// The stages of stopping, each after the one before it. Every worker has its own children of the
/// server's tokens, so that calls on different threads do not meet at one lock.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signals {
    /// Accept nothing more, and take no new calls on idle connections.
    pub(crate) drain: CancellationToken,
    /// The grace is over: what is under way ends with `runtime.draining`.
    pub(crate) cut: Arc<CancellationToken>,
    /// Connections are closed whatever they hold, and workers end.
    pub(crate) stop: CancellationToken,
}

impl Signals {
    pub(crate) fn child(&self) -> Self {
        Self { drain: self.drain.child_token(), cut: Arc::new(self.cut.child_token()), stop: self.stop.child_token() }
    }

    pub(crate) fn stop(&self) {
        self.drain.cancel();
        self.cut.cancel();
        self.stop.cancel();
    }
}

/// Counts something that lasts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gauge(Arc<AtomicUsize>);

impl Gauge {
    pub(crate) fn enter(&self) -> Entered {
        self.0.fetch_add(1, Ordering::Relaxed);
        Entered(self.0.clone())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// One of what a [`Gauge`] counts, until it is dropped.
#[derive(Debug)]
pub(crate) struct Entered(Arc<AtomicUsize>);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The error of a call that was cut.
pub(crate) fn draining(access: Access) -> Error {
    let error = Error::new(Reason::RuntimeDraining, "the runtime is shutting down and could not wait for this call");
    if access == Access::Write { error.outcome_unknown() } else { error }
}
