//! Putting a runtime together: the only place where core, components and transports meet.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use pillion_core::Slot;
use pillion_core::api::actuator::{About, Actuator};
use pillion_core::api::state::States;
use pillion_core::hook::authorize::Authorizer;
use pillion_core::hook::deadline::DefaultDeadline;
use pillion_core::hook::metrics::{Measuring, Metrics};
use pillion_core::hook::trace::Tracing;
use pillion_proto::{Apis, CallHook, Error, Hooks, Reason, Result};
use pillion_spi::network::{Network, SystemNetwork};
use pillion_spi::{Clock, OpenEnv, Random, Registry, Secret, SystemClock, SystemRandom};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::{self, Config};
use crate::runtime::{Declared, Runtime};

/// The longest token, in bytes.
const LONGEST_TOKEN: u64 = 1024;

/// How a runtime presents itself, and which comforts it allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Inside a program, without sockets.
    #[default]
    Embedded,
    /// A sidecar for developing.
    Dev,
    /// A sidecar for production.
    Serve,
}

impl Mode {
    /// `embedded`, `dev` or `serve`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Dev => "dev",
            Self::Serve => "serve",
        }
    }
}

/// A runtime to be started.
#[derive(Debug)]
#[must_use]
pub struct Builder {
    pub(crate) config: Config,
    pub(crate) mode: Mode,
    pub(crate) origin: String,
    pub(crate) workers: usize,
    pub(crate) clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    network: Arc<dyn Network>,
    /// The clock that the test kit moves, in a runtime that has the kit.
    #[cfg(feature = "testing")]
    testing: Option<Arc<pillion_spi::VirtualClock>>,
}

impl Builder {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config,
            mode: Mode::default(),
            origin: "built-in".to_owned(),
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            network: Arc::new(SystemNetwork),
            #[cfg(feature = "testing")]
            testing: None,
        }
    }

    /// How it presents itself. Default: embedded.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Where the configuration came from, for the status. Default: `built-in`.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = origin.into();
        self
    }

    /// How many threads serve sockets. Default: one per core. Embedded runtimes have none.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers.max(1);
        self
    }

    /// Where the components take the time from. Default: the clock of the machine.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Where randomness comes from. Default: the operating system.
    pub fn random(mut self, random: Arc<dyn Random>) -> Self {
        self.random = random;
        self
    }

    /// How components reach their backends. Default: the network of the machine.
    pub fn network(mut self, network: Arc<dyn Network>) -> Self {
        self.network = network;
        self
    }

    /// Gives the runtime a clock of its own and the test kit, `apis().testing`, which moves it and makes
    /// components fail. No socket leads to the kit.
    #[cfg(feature = "testing")]
    pub fn testing(mut self) -> Self {
        let clock = Arc::new(pillion_spi::VirtualClock::default());
        self.clock = clock.clone();
        self.testing = Some(clock);
        self
    }

    /// Starts an embedded runtime: its components open in the background, no socket is opened.
    ///
    /// # Errors
    /// Settings that cannot be used.
    ///
    /// # Panics
    /// Outside of a tokio runtime, on which its components live.
    pub fn start(mut self) -> Result<Runtime> {
        self.workers = 1;
        let runtime = self.assemble(self.token()?)?;
        runtime.open();
        Ok(runtime)
    }

    /// The token that remote callers must present.
    pub(crate) fn token(&self) -> Result<Option<Secret>> {
        let security = &self.config.security;
        let Some(file) = &security.token_file else { return Ok(security.token.clone()) };
        let path = self.config.resolve(file);
        let mut text = String::new();
        // Bounded: a token file may be a device by mistake.
        let read = File::open(&path).and_then(|file| file.take(2 * LONGEST_TOKEN).read_to_string(&mut text));
        read.map_err(|error| {
            Error::new(Reason::ConfigUnreadable, format!("security.token_file: {} cannot be read", path.display()))
                .source(error)
        })?;
        match text.trim() {
            token if config::is_token(token) => Ok(Some(Secret::new(token.to_owned()))),
            _ => {
                let message = format!("security.token_file: {} does not hold one token", path.display());
                Err(Error::new(Reason::ConfigInvalidValue, message)
                    .advice("a token is one line of 16 to 1024 visible ASCII characters"))
            }
        }
    }

    pub(crate) fn assemble(&self, token: Option<Secret>) -> Result<Runtime> {
        let mut env = OpenEnv::new("");
        env.clock = self.clock.clone();
        env.random = self.random.clone();
        env.network = self.network.clone();
        env.workers = self.workers;
        env.base_dir = self.config.base_dir.clone();

        let limits = self.limits();
        let stopping = CancellationToken::new();
        let mut states = States::new(limits, self.clock.clone(), stopping.clone());
        let mut declared = Vec::new();
        for component in &self.config.components {
            let slot = Arc::new(Slot::new(component.name.as_str().into(), &component.kind, self.clock.clone()));
            states = states.with(slot.clone(), component.key_prefix.clone());
            declared.push(Declared { slot, kind: component.kind.clone(), settings: component.settings.clone() });
        }

        let slots: Vec<_> = declared.iter().map(|declared| declared.slot.clone()).collect();
        let names: BTreeSet<_> = slots.iter().map(|slot| slot.name().to_owned()).collect();
        let metrics = Arc::new(Metrics::new(names.clone(), self.clock.clone()));
        let about = About {
            mode: self.mode.name().to_owned(),
            app_id: self.config.app.id.clone(),
            configuration: self.origin.clone(),
        };
        let (addresses, listening) = watch::channel(Vec::new());
        let actuator = Actuator::new(about, slots, metrics.clone(), self.clock.clone(), listening);
        #[cfg_attr(not(any(feature = "shapes", feature = "testing")), allow(unused_mut))]
        let mut apis = Apis::new(Arc::new(actuator), Arc::new(states));
        #[cfg_attr(not(any(feature = "shapes", feature = "testing")), allow(unused_mut))]
        let mut hooks: Vec<Arc<dyn CallHook>> = vec![
            Arc::new(Identity(self.config.app.id.as_deref().map(Arc::from))),
            Arc::new(Tracing::new(self.clock.clone(), self.random.clone())),
            Arc::new(Measuring(metrics)),
            Arc::new(DefaultDeadline(limits.call)),
            Arc::new(Authorizer::new(token)),
        ];
        #[cfg(feature = "shapes")]
        {
            let shapes = Arc::new(pillion_core::api::Shapes::new(self.clock.clone()));
            apis.shapes = Some(shapes.clone());
            hooks.push(shapes);
        }
        #[cfg(feature = "testing")]
        if let Some(clock) = &self.testing {
            let faults = Arc::new(pillion_core::hook::fault::Faults::default());
            apis.testing = Some(Arc::new(pillion_core::api::Testing::new(clock.clone(), faults.clone(), names)));
            hooks.push(faults);
        }
        let hooks = Hooks::from_iter(hooks);
        Ok(Runtime::new(apis.hooked(&hooks), hooks, declared, env, addresses, stopping))
    }

    fn limits(&self) -> pillion_core::Limits {
        pillion_core::Limits {
            key: self.config.limits.key.as_usize(),
            batch: self.config.limits.batch as usize,
            answer: self.config.limits.answer(),
            message: self.config.limits.message.as_usize(),
            call: self.config.deadlines.call.get(),
            ..pillion_core::Limits::default()
        }
    }
}

/// Gives calls that do not say who they are the identity of the app whose runtime this is.
#[derive(Debug)]
struct Identity(Option<Arc<str>>);

impl CallHook for Identity {
    fn begin(
        &self,
        _: &pillion_proto::Call<'_>,
        cx: &mut pillion_proto::Cx,
    ) -> Result<Option<Box<dyn pillion_proto::CallGuard>>> {
        if cx.app_id.is_none() {
            cx.app_id.clone_from(&self.0);
        }
        Ok(None)
    }
}

/// Every component type of this build.
pub fn registry() -> Registry {
    let mut registry = Registry::default();
    pillion_components::register_all(&mut registry);
    registry
}
