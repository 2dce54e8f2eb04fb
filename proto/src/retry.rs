//! Making a failed call again.
//!
//! This module holds the rule that no policy can bend, which calls *may* be repeated; a [`Retry`]
//! policy decides which of those *are*, and when. The generated wrapper of each trait
//! (`StateRetry` …) belongs around a remote client and nowhere else: two layers that retry multiply.

use std::future::Future;
use std::time::Duration;

use crate::call::{CallInfo, Cx};
use crate::error::{Error, Outcome, Result};

pub use crate::r#gen::retry::*;

/// Decides whether and when a call that may be repeated is.
pub trait Retry: Send + Sync + 'static {
    /// How long to wait before the next attempt; `None` to give up.
    fn wait(&self, failure: &Failure<'_>) -> Option<Duration>;

    /// An attempt succeeded.
    fn succeeded(&self) {}
}

/// A failed attempt.
#[derive(Clone, Copy, Debug)]
pub struct Failure<'a> {
    /// The method.
    pub info: &'static CallInfo,
    /// Its context; the next attempt has the same deadline.
    pub cx: &'a Cx,
    /// How it failed.
    pub error: &'a Error,
    /// How many attempts were made, this one included.
    pub attempts: u32,
}

/// Whether a call that failed so may be made again.
///
/// The error must be one that passes, and repeating must not do a thing twice: the failed attempt
/// surely did nothing, or the method is idempotent, or the call bears an idempotency key (`keyed`).
/// A store that cannot honour the key refuses it, so a key is proof enough.
pub fn may_repeat(info: &CallInfo, keyed: bool, error: &Error) -> bool {
    error.retryable() && (error.outcome() == Outcome::Rejected || info.idempotent || keyed)
}

/// Makes a call until it succeeds, may not be repeated, or the policy gives up. Of a call that
/// answers with a stream, only the opening is repeated.
///
/// # Errors
/// That of the last attempt.
pub(crate) async fn repeat<Request, Answer, Attempt>(
    policy: &dyn Retry,
    info: &'static CallInfo,
    keyed: bool,
    cx: &Cx,
    request: Request,
    mut attempt: impl FnMut(Request) -> Attempt,
) -> Result<Answer>
where
    Request: Clone,
    Attempt: Future<Output = Result<Answer>>,
{
    let mut attempts = 0;
    loop {
        let error = match attempt(request.clone()).await {
            Ok(answer) => {
                policy.succeeded();
                return Ok(answer);
            }
            Err(error) => error,
        };
        attempts += 1;
        if !may_repeat(info, keyed, &error) {
            return Err(error);
        }
        let Some(wait) = policy.wait(&Failure { info, cx, error: &error, attempts }) else { return Err(error) };
        // With less time left than the wait, the error at hand says more than a missed deadline.
        if cx.remaining().is_some_and(|remaining| remaining <= wait) {
            return Err(error);
        }
        sleep(wait).await;
    }
}

#[allow(clippy::disallowed_methods)] // back-off is measured against deadlines, which are real time
fn sleep(wait: Duration) -> tokio::time::Sleep {
    tokio::time::sleep(wait)
}
