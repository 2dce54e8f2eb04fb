//! A running runtime.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pillion_core::Slot;
use pillion_core::slot::Phase;
use pillion_proto::{Apis, Hooks};
use pillion_spi::OpenEnv;
use pillion_spi::registry::{Settings, StateType};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::builder::Builder;
use crate::config::Config;

/// A component that the configuration declares.
#[derive(Debug)]
pub(crate) struct Declared {
    pub(crate) slot: Arc<Slot>,
    pub(crate) kind: Arc<StateType>,
    pub(crate) settings: Settings,
}

/// A runtime: components being opened and used, and the APIs on top of them.
///
/// [`close`](Self::close) it; dropping it only stops the opening of components.
pub struct Runtime {
    apis: Apis,
    #[cfg_attr(not(feature = "server"), allow(dead_code))]
    pub(crate) hooks: Hooks,
    declared: Vec<Declared>,
    env: OpenEnv,
    openers: TaskTracker,
    /// Nothing more is opened.
    abandoned: CancellationToken,
    /// Calls without an end of their own are over.
    stopping: CancellationToken,
    #[cfg_attr(not(feature = "server"), allow(dead_code))]
    pub(crate) addresses: watch::Sender<Vec<String>>,
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("components", &self.declared).finish_non_exhaustive()
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
        declared: Vec<Declared>,
        env: OpenEnv,
        addresses: watch::Sender<Vec<String>>,
        stopping: CancellationToken,
    ) -> Self {
        let (openers, abandoned) = (TaskTracker::new(), CancellationToken::new());
        Self { apis, hooks, declared, env, openers, abandoned, stopping, addresses }
    }

    /// Begins to open the components, on the current tokio runtime.
    pub(crate) fn open(&self) {
        for Declared { slot, kind, settings } in &self.declared {
            let (slot, kind, settings, env) = (slot.clone(), kind.clone(), settings.clone(), self.env.clone());
            let abandoned = self.abandoned.clone();
            self.openers.spawn(async move {
                abandoned.run_until_cancelled(slot.run(&kind, &settings, &env)).await;
            });
        }
        self.openers.close();
    }

    /// The APIs, with every hook in place: what transports serve and programs call.
    pub fn apis(&self) -> &Apis {
        &self.apis
    }

    /// Whether every component can be used.
    pub fn is_ready(&self) -> bool {
        self.declared.iter().all(|declared| declared.slot.status().phase == Phase::Ready)
    }

    /// Ends what would never end by itself, such as watches, with `runtime.draining`. Other calls go
    /// on as before.
    pub fn end_watches(&self) {
        self.stopping.cancel();
    }

    /// Closes every component and waits until nothing of them is left, each for at most `grace`.
    pub async fn close(&self, grace: Duration) {
        self.end_watches();
        self.abandoned.cancel();
        self.openers.close();
        self.openers.wait().await;
        let clock = &*self.env.clock;
        let closing = self.declared.iter().map(|Declared { slot, .. }| async move {
            if clock.timeout(grace, slot.close()).await.is_err() {
                tracing::warn!(component = slot.name(), "component did not close in time; it was abandoned");
            }
        });
        futures::future::join_all(closing).await;
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.abandoned.cancel();
    }
}
