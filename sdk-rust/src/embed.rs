//! The runtime in this process.

use std::future::IntoFuture;
use std::path::PathBuf;
use std::time::Duration;

use futures::future::BoxFuture;
use pillion_proto::actuator::v1::{ComponentState, ComponentStatus};
use pillion_proto::common::v1 as common;
use pillion_proto::error::{Category, Outcome};
use pillion_proto::{Cx, Error, Reason, Result};
use pillion_runtime::config::{Config, Diagnostics, Loader};
use pillion_runtime::{Runtime, registry};

use crate::client::{Backend, Pillion};
use crate::context::{Context, variable};
use crate::time::{Backoff, now, sleep};

/// How long the components have to become usable before the handle is given out all the same.
const PATIENCE: Duration = Duration::from_secs(5);

/// A runtime of its own in this process, without any socket.
///
/// Unless told otherwise it keeps its data in memory: the data is this runtime's own and ends with
/// it. Several runtimes in one process know nothing of each other.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> pillion::Result<()> {
/// let p = pillion::embedded().await?;
/// p.state().set("greeting", "hello").await?;
/// assert_eq!(p.state().get::<String>("greeting").await?.as_deref(), Some("hello"));
/// p.close().await;
/// # Ok(())
/// # }
/// ```
pub fn embedded() -> Embedded {
    Embedded {
        source: Source::Memory,
        app_id: None,
        #[cfg(feature = "testing")]
        testing: false,
    }
}

/// How to run in this process; await it for the handle.
#[derive(Debug)]
#[must_use = "await it"]
pub struct Embedded {
    source: Source,
    app_id: Option<String>,
    #[cfg(feature = "testing")]
    testing: bool,
}

#[derive(Debug)]
enum Source {
    Memory,
    Folder(PathBuf),
    File(PathBuf),
}

impl Embedded {
    /// Keeps the data in this folder, which is made if there is none. One process at a time can
    /// have it open.
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.source = Source::Folder(folder.into());
        self
    }

    /// Uses the components, limits and deadlines of a configuration file; what it says of
    /// listening has no meaning here.
    pub fn config_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.source = Source::File(file.into());
        self
    }

    /// The application that this program is. Default: the environment variable `PILLION_APP_ID`,
    /// otherwise what the configuration file says.
    pub fn app_id(mut self, app_id: impl Into<String>) -> Self {
        self.app_id = Some(app_id.into());
        self
    }

    /// With the [test kit](crate::testing): the runtime has a clock of its own, which
    /// [`Pillion::testing`] moves, and components that fail on demand.
    #[cfg(feature = "testing")]
    pub fn testing(mut self) -> Self {
        self.testing = true;
        self
    }

    async fn start(self) -> Result<Pillion> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(Error::new(Reason::RequestInvalid, "there is no Tokio runtime here")
                .advice("await this inside of one, for example in a function under #[tokio::main]"));
        }
        let registry = registry();
        let environment = |name: &str| std::env::var_os(name);
        let (config, origin) = match &self.source {
            Source::Memory => (Config::dev(&registry), None),
            Source::Folder(folder) => (Config::dev_persistent(&registry, folder), None),
            Source::File(file) => (Loader::new(&registry, &environment).file(file), Some(file.display().to_string())),
        };
        let mut config = config.map_err(refused)?;
        if let Some(app_id) = self.app_id.or_else(|| variable("PILLION_APP_ID")) {
            config.app.id = Some(app_id);
        }
        let mut builder = Runtime::builder(config);
        if let Some(origin) = origin {
            builder = builder.origin(origin);
        }
        #[cfg(feature = "testing")]
        if self.testing {
            builder = builder.testing();
        }
        let runtime = builder.start()?;
        let apis = runtime.apis().clone();
        let p = Pillion::new(&apis, &apis, Backend::Embedded(runtime), Context::new(Cx::default(), None));
        let built_in = !matches!(self.source, Source::File(_));
        match settled(&p).await? {
            Some(failed) if built_in => {
                p.close().await;
                Err(Error::new(Reason::ComponentFailed, format!("the data cannot be used: {}", failed.cause))
                    .component(failed.name))
            }
            _ => Ok(p),
        }
    }
}

/// Waits until every component was opened or failed, and gives one that failed. A component that
/// takes longer is not waited for: calls that need it say that it is connecting.
async fn settled(p: &Pillion) -> Result<Option<ComponentStatus>> {
    let deadline = now() + PATIENCE;
    let mut backoff = Backoff::new(Duration::from_micros(100), Duration::from_millis(50));
    loop {
        let mut components = p.status().await?.components;
        let connecting = components.iter().any(|component| component.state() == ComponentState::Connecting);
        if !connecting || now() >= deadline {
            let failed = components.iter().position(|component| component.state() == ComponentState::Failed);
            return Ok(failed.map(|at| components.swap_remove(at)));
        }
        sleep(backoff.wait(None)).await;
    }
}

/// A configuration that was refused; the text shows where and why.
fn refused(diagnostics: Diagnostics) -> Error {
    let first = diagnostics.iter().next();
    let reason = first.map_or("config.unreadable", |first| first.reason().name());
    // A single problem without a place is its sentence: what the error shows besides would be said twice.
    let message = match (first, diagnostics.iter().count()) {
        (Some(only), 1) if diagnostics.position(only).is_none() => only.message().to_owned(),
        _ => diagnostics.to_string(),
    };
    // By name: the loader tells more problems apart than there are constants for.
    Error::from(common::Error {
        category: Category::Invalid.into(),
        reason: reason.to_owned(),
        message,
        outcome: Outcome::Rejected.into(),
        ..common::Error::default()
    })
}

impl IntoFuture for Embedded {
    type Output = Result<Pillion>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.start())
    }
}
