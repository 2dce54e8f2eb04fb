//! For tests of programs: a runtime in the test's process whose clock moves and whose components fail
//! when the test says so.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> pillion::Result<()> {
//! use std::time::Duration;
//!
//! let p = pillion::embedded().testing().await?;
//! let kit = p.testing()?;
//!
//! p.state().set("session", "x").ttl(Duration::from_secs(600)).await?;
//! kit.advance(Duration::from_secs(600)).await?;
//! assert_eq!(p.state().get::<String>("session").await?, None);
//!
//! kit.fail("state").operation("set").times(1).await?;
//! let error = p.state().set("cart", "one apple").await.unwrap_err();
//! assert_eq!(error.reason(), "component.unavailable");
//! p.state().set("cart", "one apple").await?;
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use pillion_proto::testing::v1::{AdvanceClockRequest, FailRequest, ResetRequest};
use pillion_proto::{Error, Reason, Result, TestingApi};

use crate::client::Pillion;

/// The test kit of a runtime that was opened with [`Embedded::testing`](crate::Embedded::testing).
#[derive(Clone)]
pub struct Testing {
    p: Pillion,
    api: Arc<dyn TestingApi>,
}

impl fmt::Debug for Testing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Testing").field("p", &self.p).finish_non_exhaustive()
    }
}

impl Pillion {
    /// The test kit of this runtime.
    ///
    /// # Errors
    /// `request.unknown_method` if it was not opened for tests.
    pub fn testing(&self) -> Result<Testing> {
        let api = self.apis().testing.clone().ok_or_else(|| {
            Error::new(Reason::RequestUnknownMethod, "this runtime was not opened for tests")
                .advice("open one in this process with `pillion::embedded().testing()`")
        })?;
        Ok(Testing { p: self.clone(), api })
    }
}

impl Testing {
    /// Moves the clock of the runtime forward at once: what expires by then is expired when this returns,
    /// and what sleeps until then wakes up. Timeouts of calls run on in real time, and a backend that
    /// keeps the time itself, as Redis does, does not follow.
    ///
    /// # Errors
    /// `request.invalid` for no time, and for more than 100 years.
    pub async fn advance(&self, by: Duration) -> Result<()> {
        let request = AdvanceClockRequest { by: Some(by.into()) };
        self.api.advance_clock(&self.p.cx(), request).await.map(drop)
    }

    /// Makes the calls of a building block fail from now on, for example those of `state`, as if their
    /// component had failed; nothing of them takes effect. Await it.
    pub fn fail(&self, block: impl Into<String>) -> Fail {
        Fail { testing: self.clone(), request: FailRequest { block: block.into(), ..FailRequest::default() } }
    }

    /// Takes every fault back. The clock stays where it is.
    ///
    /// # Errors
    /// `runtime.closed`.
    pub async fn reset(&self) -> Result<()> {
        self.api.reset(&self.p.cx(), ResetRequest {}).await.map(drop)
    }
}

/// Which calls fail, and how; await it. The faults of a runtime are looked at in the order in which they
/// were asked for, and the first that matches a call and lets it not through decides.
#[derive(Clone, Debug)]
#[must_use = "await it"]
pub struct Fail {
    testing: Testing,
    request: FailRequest,
}

impl Fail {
    /// Only calls for the component of this name. Default: all of the block.
    pub fn component(mut self, name: impl Into<String>) -> Self {
        self.request.component = name.into();
        self
    }

    /// Only calls of this method: `get`, `set_many`. Default: all of the block.
    pub fn operation(mut self, name: impl Into<String>) -> Self {
        self.request.operation = name.into();
        self
    }

    /// Lets so many calls through first. Default: 0.
    pub fn after(mut self, calls: u32) -> Self {
        self.request.after = calls;
        self
    }

    /// How many calls fail. Default: all until [`Testing::reset`].
    pub fn times(mut self, calls: u32) -> Self {
        self.request.times = calls;
        self
    }

    /// What they fail with. Default: `component.unavailable`.
    pub fn reason(mut self, reason: Reason) -> Self {
        self.request.reason = reason.name().to_owned();
        self
    }
}

/// # Errors
/// `request.invalid` for a block, component or method that there is not.
impl IntoFuture for Fail {
    type Output = Result<()>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.testing.api.fail(&self.testing.p.cx(), self.request).await.map(drop) })
    }
}
