//! A running runtime.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pillion_core::Slot;
use pillion_core::slot::Phase;
use pillion_proto::{Apis, Hooks};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::builder::Builder;
use crate::config::Config;

/// A runtime: components being opened and used, and the APIs on top of them.
///
/// [`close`](Self::close) it; dropping it only stops the opening of components.
pub struct Runtime {
    apis: Apis,
    #[cfg_attr(not(feature = "server"), allow(dead_code))]
    pub(crate) hooks: Hooks,
    slots: Vec<Arc<Slot>>,
    openers: TaskTracker,
    stopping: CancellationToken,
    #[cfg_attr(not(feature = "server"), allow(dead_code))]
    pub(crate) addresses: watch::Sender<Vec<String>>,
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("slots", &self.slots).finish_non_exhaustive()
    }
}

impl Runtime {
    /// A runtime to be started with `config`.
    pub fn builder(config: Config) -> Builder {
        Builder::new(config)
    }

    pub(crate) fn new(
        apis: Apis,
        hooks: Hooks,
        slots: Vec<Arc<Slot>>,
        openers: TaskTracker,
        stopping: CancellationToken,
        addresses: watch::Sender<Vec<String>>,
    ) -> Self {
        Self { apis, hooks, slots, openers, stopping, addresses }
    }

    /// The APIs, with every hook in place: what transports serve and programs call.
    pub fn apis(&self) -> &Apis {
        &self.apis
    }

    /// Whether every component can be used.
    pub fn is_ready(&self) -> bool {
        self.slots.iter().all(|slot| slot.status().phase == Phase::Ready)
    }

    /// Closes every component and waits until nothing of them is left, each for at most `grace`.
    pub async fn close(&self, grace: Duration) {
        self.stopping.cancel();
        self.openers.wait().await;
        let closing = self.slots.iter().map(|slot| async move {
            let clock: &dyn pillion_spi::Clock = &pillion_spi::SystemClock;
            if clock.timeout(grace, slot.close()).await.is_err() {
                tracing::warn!(component = slot.name(), "component did not close in time; it was abandoned");
            }
        });
        futures::future::join_all(closing).await;
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}
