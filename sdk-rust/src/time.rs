//! Waiting. What a client waits for (an answer, a reconnect) happens in real time, whatever clock
//! the components of an embedded runtime were given.

#![allow(clippy::disallowed_methods)]

use std::future::Future;
use std::time::{Duration, Instant};

use backon::BackoffBuilder;

pub(crate) fn now() -> Instant {
    Instant::now()
}

pub(crate) async fn sleep(wait: Duration) {
    tokio::time::sleep(wait).await;
}

/// Runs `future` for at most `limit`; `None` when the time was up.
pub(crate) async fn timeout<F: Future>(limit: Option<Duration>, future: F) -> Option<F::Output> {
    match limit {
        Some(limit) => tokio::time::timeout(limit, future).await.ok(),
        None => Some(future.await),
    }
}

/// Waits that double from `first` to `longest` and never end, each with up to as much again by chance, so
/// that clients that failed together do not come back together.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    waits: backon::ExponentialBackoff,
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        let waits = backon::ExponentialBuilder::new()
            .with_min_delay(first)
            .with_max_delay(longest)
            .with_jitter()
            .without_max_times()
            .build();
        Self { first, longest, waits }
    }

    /// The next wait, but at least as long as the failure asked for.
    pub(crate) fn wait(&mut self, asked: Option<Duration>) -> Duration {
        let wait = self.waits.next().unwrap_or(self.longest);
        wait.max(asked.unwrap_or_default())
    }

    /// Begins again: it went well.
    pub(crate) fn reset(&mut self) {
        *self = Self::new(self.first, self.longest);
    }
}
