//! Calls to a runtime that runs.

use std::future::Future;

use pillion_proto::{Apis, Cx};

use crate::arguments::Arguments;
use crate::exit::Failure;

/// The APIs of the runtime at `--endpoint`, and a context with `--timeout` for one call.
pub(crate) struct Remote {
    pub(crate) apis: Apis,
    timeout: std::time::Duration,
}

impl Remote {
    /// Connects at the first call.
    pub(crate) async fn connect(arguments: &Arguments) -> Result<Self, Failure> {
        let handle = pillion::connect(&arguments.endpoint).connections(1).await?;
        Ok(Self { apis: handle.apis().clone(), timeout: arguments.timeout })
    }

    /// The context of one call.
    pub(crate) fn cx(&self) -> Cx {
        Cx::default().within(self.timeout)
    }
}

/// Runs a command that calls a runtime.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}
