//! The life of a component: opened in the background, tried again, closed.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use pillion_proto::{Cx, Error, Reason, Result};
use pillion_spi::registry::{OpenState, Settings, StateType};
use pillion_spi::state::StateStore;
use pillion_spi::{Clock, Kind, OpenEnv, Outage};
use tokio::sync::watch;

/// How long one attempt to open a component may take.
const ATTEMPT: Duration = Duration::from_secs(20);
/// The wait after the first failed attempt; each later one is doubled.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait, short enough that a backend which is back is used within seconds.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// What a declared component is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Being opened for the first time.
    Connecting,
    /// Usable.
    Ready,
    /// The last attempt to open it failed.
    Failed {
        /// Why.
        cause: String,
        /// What to do, if the component said it.
        advice: Option<String>,
        /// Its settings are wrong: it will not be tried again.
        permanent: bool,
    },
    /// The runtime is shutting down.
    Closed,
}

/// A phase, with when it began.
#[derive(Clone, Debug)]
pub struct Status {
    /// What it is doing.
    pub phase: Phase,
    /// Since when. Attempts that fail alike do not count as a change.
    pub since: SystemTime,
    /// How often it was tried to open it; 0 for one that was open and lost its backend.
    pub attempts: u32,
}

/// A declared component.
pub struct Slot {
    name: Arc<str>,
    component_type: &'static str,
    clock: Arc<dyn Clock>,
    status: watch::Sender<Status>,
    // Beside the status, so that a call on a ready component takes no lock.
    open: OnceLock<OpenState>,
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("name", &self.name).field("status", &*self.status.borrow()).finish_non_exhaustive()
    }
}

impl Slot {
    /// Declares a component of `component_type`. Nothing happens until [`run`](Self::run).
    pub fn new(name: Arc<str>, component_type: &StateType, clock: Arc<dyn Clock>) -> Self {
        let status = Status { phase: Phase::Connecting, since: clock.wall(), attempts: 0 };
        Self {
            name,
            component_type: component_type.name(),
            clock,
            status: watch::Sender::new(status),
            open: OnceLock::new(),
        }
    }

    /// The name it is declared under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The `type:` of its configuration.
    pub fn component_type(&self) -> &'static str {
        self.component_type
    }

    /// The store, if it was opened.
    pub fn opened(&self) -> Option<&Arc<dyn StateStore>> {
        self.open.get().map(|open| &open.store)
    }

    /// What it is doing now.
    pub fn status(&self) -> Status {
        let mut status = self.status.borrow().clone();
        // A component that was opened reports its later troubles itself.
        if status.phase == Phase::Ready
            && let Some(trouble) = self.open.get().and_then(|open| open.store.trouble())
        {
            status.phase = Phase::Failed { cause: trouble.cause, advice: None, permanent: false };
            status.since = trouble.since;
            // It was opened; what it tries now is to reach its backend again.
            status.attempts = 0;
        }
        status
    }

    /// Opens the component, trying again until it succeeds or its settings prove wrong.
    /// Dropping the future gives up.
    pub async fn run(&self, component_type: &StateType, settings: &Settings, env: &OpenEnv) {
        let mut wait = FIRST_WAIT;
        let outage = Outage::default();
        loop {
            // Each attempt owns its tasks, so that a failed one can be swept up whole.
            let attempt = env.renew(self.name.clone());
            let opened = self.clock.timeout(ATTEMPT, component_type.open(settings.clone(), attempt.clone())).await;
            let error = match opened {
                Ok(Ok(open)) => {
                    if outage.ends() {
                        tracing::info!(component = %self.name, "component is open");
                    }
                    return self.succeeded(open).await;
                }
                Ok(Err(error)) => error,
                Err(_) => {
                    pillion_spi::Error::new(Kind::Deadline, format!("it did not open within {} s", ATTEMPT.as_secs()))
                }
            };
            attempt.finish_tasks().await;
            let permanent = error.kind() == Kind::Config;
            if outage.fails(error.to_string(), self.clock.now()) {
                let advice = error.advice_text();
                tracing::warn!(component = %self.name, %error, advice, permanent, "component cannot be opened");
            }
            self.failed(&error, permanent);
            if permanent {
                return;
            }
            // Up to a quarter more, so that many runtimes do not knock at once.
            let jitter = wait.mul_f64(0.25 * (env.random.u64() as f64 / u64::MAX as f64));
            self.clock.sleep(wait + jitter).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    async fn succeeded(&self, open: OpenState) {
        if self.open.set(open).is_err() {
            return;
        }
        let now = self.clock.wall();
        let mut closed = false;
        self.status.send_modify(|status| {
            status.attempts += 1;
            closed = status.phase == Phase::Closed;
            if !closed {
                (status.phase, status.since) = (Phase::Ready, now);
            }
        });
        if closed {
            self.close().await;
        }
    }

    fn failed(&self, error: &pillion_spi::Error, permanent: bool) {
        let phase =
            Phase::Failed { cause: error.to_string(), advice: error.advice_text().map(str::to_owned), permanent };
        let now = self.clock.wall();
        self.status.send_modify(|status| {
            status.attempts += 1;
            if status.phase == Phase::Closed {
                return;
            }
            if !matches!(status.phase, Phase::Failed { .. }) {
                status.since = now;
            }
            status.phase = phase;
        });
    }

    /// Closes the component and waits until nothing of it is left.
    pub async fn close(&self) {
        let now = self.clock.wall();
        self.status.send_modify(|status| (status.phase, status.since) = (Phase::Closed, now));
        if let Some(open) = self.open.get() {
            open.close().await;
        }
    }

    /// The store, waiting for its first attempt to end.
    ///
    /// # Errors
    /// `component.connecting`, `component.failed` or `runtime.draining`.
    pub async fn store(&self, cx: &Cx, patience: Duration) -> Result<&Arc<dyn StateStore>> {
        if let Some(open) = self.open.get() {
            return Ok(&open.store);
        }
        let patience = cx.remaining().map_or(patience, |remaining| patience.min(remaining));
        let mut status = self.status.subscribe();
        let settled = status.wait_for(|status| status.phase != Phase::Connecting);
        let status = match self.clock.timeout(patience, settled).await {
            Ok(Ok(status)) => status.clone(),
            _ => self.status(),
        };
        match (status.phase, self.open.get()) {
            (_, Some(open)) => Ok(&open.store),
            (Phase::Failed { cause, advice, permanent }, None) => {
                Err(self.failure(&cause, advice, permanent, status.since, status.attempts))
            }
            (Phase::Closed, None) => Err(Error::new(Reason::RuntimeDraining, "the runtime is shutting down")),
            (Phase::Connecting | Phase::Ready, None) => Err(Error::new(
                Reason::ComponentConnecting,
                format!("component `{}` ({}) is still connecting", self.name, self.component_type),
            )
            .component(&*self.name)
            .retry_after(FIRST_WAIT)),
        }
    }

    fn failure(&self, cause: &str, advice: Option<String>, permanent: bool, since: SystemTime, attempts: u32) -> Error {
        let seconds = self.clock.wall().duration_since(since).unwrap_or_default().as_secs();
        let again = if permanent { "it is not tried again" } else { "it is tried again in the background" };
        let message = format!(
            "component `{}` ({}) cannot be opened since {seconds} s (attempts: {attempts}), {again}: {cause}",
            self.name, self.component_type
        );
        let error = Error::new(Reason::ComponentFailed, message)
            .component(&*self.name)
            .with("cause", cause)
            .with("since", since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs());
        match advice {
            Some(advice) => error.advice(advice),
            None => error,
        }
    }
}
