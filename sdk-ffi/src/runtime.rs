//! Opening and closing.

use std::sync::Arc;
use std::time::Duration;

use pillion::{Pillion, Result};

use crate::error::FfiError;
use crate::executor::Executor;
use crate::home::Home;
use crate::injection::entered;
use crate::time::Span;

/// How to run in this process.
#[derive(uniffi::Record)]
pub struct FfiEmbedded {
    /// Where the data is kept, one process at a time. Neither this nor `config_file`: in memory.
    #[uniffi(default = None)]
    pub data_dir: Option<String>,
    /// A configuration file.
    #[uniffi(default = None)]
    pub config_file: Option<String>,
    /// The application that this program is. Default: `PILLION_APP_ID`.
    #[uniffi(default = None)]
    pub app_id: Option<String>,
    /// With the test kit: a clock that can be moved, components that fail on demand.
    #[uniffi(default = false)]
    pub testing: bool,
}

/// How to connect to a sidecar.
#[derive(uniffi::Record)]
pub struct FfiConnect {
    /// Its token. Default: `PILLION_TOKEN`.
    #[uniffi(default = None)]
    pub token: Option<String>,
    /// The application that this program is. Default: `PILLION_APP_ID`.
    #[uniffi(default = None)]
    pub app_id: Option<String>,
    /// How long a call may take, retries included. Default: 30 s.
    #[uniffi(default = None)]
    pub timeout: Option<Span>,
    /// How often a failed call is made again where that is safe. Default: 3.
    #[uniffi(default = None)]
    pub retries: Option<u32>,
    /// How many connections calls are spread over. Default: 4 over TCP, 1 over a Unix socket.
    #[uniffi(default = None)]
    pub connections: Option<u32>,
}

/// A runtime: in this process, or a sidecar.
#[derive(uniffi::Object)]
pub struct FfiRuntime {
    home: Home,
}

#[uniffi::export]
impl FfiRuntime {
    /// The sidecar at `PILLION_ENDPOINT` if that is set, otherwise a runtime in this process.
    #[uniffi::constructor]
    pub async fn open() -> Result<Arc<Self>, FfiError> {
        entered("FfiRuntime.open");
        let executor = Executor::current()?;
        let p = executor.guard(pillion::open()).await?;
        Ok(Arc::new(Self::new(p, executor)))
    }

    /// A runtime in this process.
    #[uniffi::constructor]
    pub async fn embedded(options: FfiEmbedded) -> Result<Arc<Self>, FfiError> {
        entered("FfiRuntime.embedded");
        let executor = Executor::current()?;
        executor.guard(async move { Ok(Arc::new(Self::start(options, executor).await?)) }).await
    }

    /// A handle on the sidecar at `url`. Nothing is connected yet.
    #[uniffi::constructor]
    pub async fn connect(url: String, options: FfiConnect) -> Result<Arc<Self>, FfiError> {
        entered("FfiRuntime.connect");
        let executor = Executor::current()?;
        let p = executor.guard(remote(url, options)).await?;
        Ok(Arc::new(Self::new(p, executor)))
    }

    /// Waits until every component can be used.
    pub async fn wait_ready(&self, timeout: Span) -> Result<(), FfiError> {
        entered("FfiRuntime.wait_ready");
        let timeout = Duration::from(timeout);
        let p = self.home.pillion().clone();
        self.home.guard(async move { p.wait_ready(timeout).await })?.await
    }

    /// Closes the connection, or stops the runtime.
    pub async fn shut(&self) -> Result<(), FfiError> {
        entered("FfiRuntime.shut");
        let p = self.home.pillion().clone();
        let closed = async move {
            p.close().await;
            Ok(())
        };
        self.home.guard(closed)?.await
    }
}

impl FfiRuntime {
    fn new(p: Pillion, executor: &'static Executor) -> Self {
        Self { home: Home::new(p, executor) }
    }

    pub(crate) fn home(&self) -> Home {
        self.home.clone()
    }

    #[cfg(feature = "embed")]
    async fn start(options: FfiEmbedded, executor: &'static Executor) -> Result<Self> {
        let mut builder = pillion::embedded();
        if let Some(folder) = options.data_dir {
            builder = builder.data_dir(folder);
        }
        if let Some(file) = options.config_file {
            builder = builder.config_file(file);
        }
        if let Some(app_id) = options.app_id {
            builder = builder.app_id(app_id);
        }
        if options.testing {
            #[cfg(feature = "testing")]
            {
                builder = builder.testing();
            }
            #[cfg(not(feature = "testing"))]
            return Err(without("testing"));
        }
        Ok(Self::new(builder.await?, executor))
    }

    #[cfg(not(feature = "embed"))]
    async fn start(_: FfiEmbedded, _: &'static Executor) -> Result<Self> {
        Err(without("embed"))
    }
}

#[cfg(feature = "client")]
async fn remote(url: String, options: FfiConnect) -> Result<Pillion> {
    let mut builder = pillion::connect(url);
    if let Some(token) = options.token {
        builder = builder.token(token);
    }
    if let Some(app_id) = options.app_id {
        builder = builder.app_id(app_id);
    }
    if let Some(timeout) = options.timeout {
        builder = builder.timeout(timeout.into());
    }
    if let Some(retries) = options.retries {
        builder = builder.retries(retries);
    }
    if let Some(connections) = options.connections {
        builder = builder.connections(connections as usize);
    }
    builder.await
}

#[cfg(not(feature = "client"))]
async fn remote(_: String, _: FfiConnect) -> Result<Pillion> {
    Err(without("client"))
}

#[cfg(not(all(feature = "client", feature = "embed", feature = "testing")))]
fn without(feature: &str) -> pillion::Error {
    use pillion::{Error, Reason};
    Error::new(Reason::ComponentUnsupported, format!("this library was built without the feature `{feature}`"))
        .advice(format!("use a build of pillion-ffi with the feature `{feature}`"))
}
