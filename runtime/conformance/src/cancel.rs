//! Calls dropped half-way.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A future that is dropped after so many polls; see [`dropped_after`].
pub struct Dropped<F> {
    future: Option<Pin<Box<F>>>,
    polls: usize,
}

/// Polls `future` at most `polls` times, each time that it asks to be, and drops it at once after
/// the last; `None` if it had not completed by then.
pub fn dropped_after<F: Future>(polls: usize, future: F) -> Dropped<F> {
    Dropped { future: Some(Box::pin(future)), polls }
}

impl<F: Future> Future for Dropped<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls > 0 {
            self.polls -= 1;
            if let Some(Poll::Ready(output)) = self.future.as_mut().map(|future| future.as_mut().poll(context)) {
                return Poll::Ready(Some(output));
            }
        }
        if self.polls == 0 {
            self.future = None;
            return Poll::Ready(None);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn two_waits() -> u8 {
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        7
    }

    #[tokio::test]
    async fn a_future_is_dropped_after_its_polls_and_not_before() {
        for polls in 0..3 {
            assert_eq!(dropped_after(polls, two_waits()).await, None, "{polls}");
        }
        assert_eq!(dropped_after(3, two_waits()).await, Some(7));
    }
}
