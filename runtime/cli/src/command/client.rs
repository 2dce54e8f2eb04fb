//! Calls to a runtime that runs.

use std::future::Future;
use std::time::Duration;

use pillion::Pillion;
use pillion_proto::{Apis, Cx, Error};

use crate::arguments::Arguments;
use crate::exit::{self, Failure};

/// The APIs of the runtime at `--endpoint`, and a context with `--timeout` for one call.
pub(crate) struct Remote {
    pub(crate) apis: Apis,
    handle: Pillion,
    timeout: Duration,
}

impl Remote {
    /// Connects at the first call.
    pub(crate) async fn connect(arguments: &Arguments) -> Result<Self, Failure> {
        let handle = pillion::connect(&arguments.endpoint).connections(1).await.map_err(wrong_endpoint)?;
        Ok(Self { apis: handle.apis().clone(), handle, timeout: arguments.timeout })
    }

    /// The context of one call: with the token and the app id of the environment.
    pub(crate) fn cx(&self) -> Cx {
        self.within(self.timeout)
    }

    /// The context of a call that is given another time.
    pub(crate) fn within(&self, timeout: Duration) -> Cx {
        Cx { deadline: None, ..self.handle.cx() }.within(timeout)
    }

    /// The context of a call without an end.
    pub(crate) fn endless(&self) -> Cx {
        Cx { deadline: None, ..self.handle.cx() }
    }
}

/// Nothing was called yet: what can be wrong is what the command line or its environment says.
fn wrong_endpoint(error: Error) -> Failure {
    let text = format!(
        "{} (--endpoint or PILLION_ENDPOINT)\n  try: http://127.0.0.1:34904, or unix:///PATH for a socket",
        error.message()
    );
    Failure::Message(text, exit::USAGE)
}

/// Runs a command that calls a runtime.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}
