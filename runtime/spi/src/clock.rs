//! Time, injected: nothing else in Pillion reads the clock of the process.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant, SystemTime};

use futures::future::{self, BoxFuture, Either};
use tokio::sync::watch;

/// A source of time.
///
/// Three notions are kept apart. [`now`](Clock::now) is monotonic and stops while the machine
/// sleeps: deadlines use it. [`boottime`](Clock::boottime) runs on in suspend: leases use it.
/// [`wall`](Clock::wall) is what people call time and may jump: only text for people uses it.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Monotonic time, for deadlines and durations.
    fn now(&self) -> Instant;

    /// Time since the machine started, suspend included, for leases.
    fn boottime(&self) -> Duration;

    /// Wall-clock time. It may jump in both directions.
    fn wall(&self) -> SystemTime;

    /// Completes when `duration` has passed on this clock.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

impl dyn Clock {
    /// Runs `future` for at most `duration`.
    ///
    /// The future is polled once before a timer is made, so a call that need not wait pays
    /// nothing for its deadline.
    ///
    /// # Errors
    /// [`Elapsed`] when the time was up first; the future is then dropped.
    pub async fn timeout<F: Future>(&self, duration: Duration, future: F) -> Result<F::Output, Elapsed> {
        let mut future = pin!(future);
        if let std::task::Poll::Ready(output) = futures::poll!(future.as_mut()) {
            return Ok(output);
        }
        match future::select(future, self.sleep(duration)).await {
            Either::Left((output, _)) => Ok(output),
            Either::Right(((), _)) => Err(Elapsed),
        }
    }
}

/// The time given to [`timeout`](trait.Clock.html#method.timeout) was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the time was up")]
pub struct Elapsed;

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[allow(clippy::disallowed_methods)] // the one place that reads the clocks of the process
impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn boottime(&self) -> Duration {
        boottime()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn boottime() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn boottime() -> Duration {
    // The monotonic clock of these systems already counts from the start of the machine.
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// A clock for tests: it runs with the machine's, and [`advance`](VirtualClock::advance) moves it
/// forward at once, waking every sleeper whose time has come.
#[derive(Debug)]
pub struct VirtualClock {
    offset: watch::Sender<Duration>,
}

impl Default for VirtualClock {
    fn default() -> Self {
        Self { offset: watch::Sender::new(Duration::ZERO) }
    }
}

impl VirtualClock {
    /// Moves the clock forward.
    pub fn advance(&self, duration: Duration) {
        self.offset.send_modify(|offset| *offset += duration);
    }

    fn offset(&self) -> Duration {
        *self.offset.borrow()
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Instant {
        SystemClock.now() + self.offset()
    }

    fn boottime(&self) -> Duration {
        SystemClock.boottime() + self.offset()
    }

    fn wall(&self) -> SystemTime {
        SystemClock.wall() + self.offset()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let due = self.now() + duration;
        let mut offset = self.offset.subscribe();
        Box::pin(async move {
            loop {
                let now = SystemClock.now() + *offset.borrow_and_update();
                let Some(left) = due.checked_duration_since(now).filter(|left| !left.is_zero()) else { return };
                let moved = pin!(offset.changed());
                if let Either::Right((Err(_), timer)) = future::select(SystemClock.sleep(left), moved).await {
                    // The clock is gone: nothing can move it any more.
                    timer.await;
                    return;
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn advancing_a_virtual_clock_wakes_the_sleepers_whose_time_has_come() {
        let clock = Arc::new(VirtualClock::default());
        let long = tokio::spawn(clock.sleep(Duration::from_secs(3600)));
        let longer = tokio::spawn(clock.sleep(Duration::from_secs(7200)));
        clock.advance(Duration::from_secs(3600));
        long.await.unwrap();
        assert!(!longer.is_finished());
        clock.advance(Duration::from_secs(3600));
        longer.await.unwrap();
    }

    #[tokio::test]
    async fn a_timeout_ends_a_future_that_never_does() {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        assert_eq!(clock.timeout(Duration::from_millis(1), future::pending::<()>()).await, Err(Elapsed));
        assert_eq!(clock.timeout(Duration::ZERO, future::ready(7)).await, Ok(7));
    }
}
