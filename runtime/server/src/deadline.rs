//! Deadlines of sockets, which are real time: whatever clock the components are given, a peer that
//! went silent did so in the world outside.
#![allow(clippy::disallowed_methods, reason = "the one place of this crate that waits in real time")]

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;

/// Runs a future for at most `limit`; `None` if it was not done by then.
pub(crate) async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, future).await.ok()
}

/// Waits.
pub(crate) fn wait(time: Duration) -> Sleep {
    tokio::time::sleep(time)
}

/// Notices that something has not gone on for a while. Costs a timer only while it rests.
#[derive(Debug)]
pub(crate) struct Stall {
    limit: Option<Duration>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Stall {
    /// With `None` nothing is ever a stall.
    pub(crate) fn new(limit: Option<Duration>) -> Self {
        Self { limit, timer: None }
    }

    /// It went on.
    pub(crate) fn progress(&mut self) {
        self.timer = None;
    }

    /// It rests; ready when it has rested too long.
    pub(crate) fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(limit) = self.limit else { return Poll::Pending };
        self.timer.get_or_insert_with(|| Box::pin(wait(limit))).as_mut().poll(cx)
    }
}
