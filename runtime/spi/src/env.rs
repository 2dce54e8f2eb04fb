//! What a component is given when it is opened.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::{Clock, SystemClock};
use crate::network::{Network, SystemNetwork};

/// A source of randomness.
pub trait Random: Send + Sync + fmt::Debug {
    /// Fills `bytes` with random ones.
    fn fill(&self, bytes: &mut [u8]);
}

impl dyn Random {
    /// A random number.
    pub fn u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

/// The randomness of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) {
        if let Err(error) = getrandom::fill(bytes) {
            // Without randomness etag generations and ids would repeat silently.
            panic!("the operating system gives no random numbers: {error}");
        }
    }
}

/// The surroundings of a component: what it may use of the process it lives in.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OpenEnv {
    /// The name under which the component is declared.
    pub name: Arc<str>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Dialling.
    pub network: Arc<dyn Network>,
    /// How many worker threads call the component; see [`crate::worker`].
    pub workers: usize,
    /// The folder in which relative paths of the configuration are resolved.
    pub base_dir: PathBuf,
    tasks: TaskTracker,
    closing: CancellationToken,
}

impl OpenEnv {
    /// The surroundings of a component called `name`, on the machine's clock, randomness and
    /// network, with one worker and the current folder.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            network: Arc::new(SystemNetwork),
            workers: 1,
            base_dir: PathBuf::new(),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
        }
    }

    /// Starts a background task of the component on the current tokio runtime. It is cancelled, and
    /// waited for, by [`finish_tasks`](Self::finish_tasks).
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let closing = self.closing.clone();
        self.tasks.spawn(async move {
            closing.run_until_cancelled_owned(task).await;
        });
    }

    /// Cancels the tasks started with [`spawn`](Self::spawn) and waits until all have ended.
    /// A component calls it from its `close`.
    pub async fn finish_tasks(&self) {
        self.closing.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// How many tasks started with [`spawn`](Self::spawn) are alive.
    pub fn task_count(&self) -> usize {
        self.tasks.len()
    }

    /// The token that is cancelled when the component closes.
    pub fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// The same surroundings with fresh task ownership, for another attempt to open the component
    /// or for another component.
    #[must_use]
    pub fn renew(&self, name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), tasks: TaskTracker::new(), closing: CancellationToken::new(), ..self.clone() }
    }
}
