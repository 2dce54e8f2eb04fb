//! How a store of each type comes to be in a test.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use pillion_spi::registry::{OpenState, StateType};
use pillion_spi::{Clock, OpenEnv, Registry, SystemClock};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Mutex, OnceCell};

use crate::bare::Bare;
use crate::proxy::Proxy;
use crate::seed;
use crate::server::{Fsync, RedisOptions, RedisServer, temporary_folder};

/// Where one component type finds its backend.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// The `type:` it is for.
    fn type_name(&self) -> &'static str;

    /// What tells this set-up of the type from others, if there are others.
    fn variant(&self) -> Option<&'static str> {
        None
    }

    /// Whether the suite called `name` says anything about this set-up that it does not say about
    /// the first one of its type.
    fn runs(&self, name: &str) -> bool {
        let _ = name;
        true
    }

    /// Why the backend cannot be had here, if it cannot. Asked before anything is started.
    fn missing(&self) -> Option<String> {
        None
    }

    /// A place to keep data. Two stores opened on one place share their data, if the type keeps
    /// any beyond its own life; two places may.
    ///
    /// # Errors
    /// When the backend does not start.
    async fn place(&self) -> Result<Place>;

    /// Whether entries expire by the clock the store is given, not by one of the backend.
    fn injected_time(&self) -> bool;

    /// Whether two stores can be open on one place at once.
    fn shared_place(&self) -> bool {
        false
    }

    /// A place whose backend is a process of its own behind a proxy of ours, where there is one.
    ///
    /// # Errors
    /// When one of them does not start.
    async fn faulty(&self) -> Result<(Place, Proxy)> {
        bail!("{} has no backend that could fail", self.type_name())
    }

    /// Whether [`faulty`](Self::faulty) gives one.
    fn has_faults(&self) -> bool {
        false
    }

    /// What a program that runs one case of ours needs in its environment to use the same backend.
    async fn environment(&self) -> Result<Vec<(String, String)>> {
        Ok(Vec::new())
    }
}

/// See [`Fixture::place`].
#[derive(Clone, Debug)]
pub struct Place {
    settings: Value,
    backing: Arc<Backing>,
}

/// What a place keeps alive.
#[derive(Debug)]
enum Backing {
    Nothing,
    Folder(TempDir),
    Redis(Mutex<RedisServer>),
}

impl Place {
    /// A place that needs nothing but settings.
    pub fn new(settings: Value) -> Self {
        Self { settings, backing: Arc::new(Backing::Nothing) }
    }

    /// The settings of a component that keeps its data here.
    pub fn settings(&self) -> &Value {
        &self.settings
    }

    /// Kills the backend of this place and starts it again, where it is a process of its own.
    ///
    /// # Errors
    /// When it does not start again.
    pub async fn crash(&self) -> Result<()> {
        if let Backing::Redis(server) = &*self.backing {
            let mut server = server.lock().await;
            server.kill()?;
            server.launch().await?;
        }
        Ok(())
    }

    /// Freezes the backend, where it is a process of its own: it is there and does not answer.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn freeze(&self) -> Result<()> {
        match &*self.backing {
            Backing::Redis(server) => server.lock().await.freeze(),
            Backing::Nothing | Backing::Folder(_) => Ok(()),
        }
    }

    /// Ends a [`freeze`](Self::freeze).
    ///
    /// # Errors
    /// When it does not run.
    pub async fn thaw(&self) -> Result<()> {
        match &*self.backing {
            Backing::Redis(server) => server.lock().await.thaw(),
            Backing::Nothing | Backing::Folder(_) => Ok(()),
        }
    }

    /// The same place without the proxy that may be in front of it.
    ///
    /// # Errors
    /// When there is no backend.
    pub async fn direct(&self) -> Result<Self> {
        match &*self.backing {
            Backing::Redis(server) => {
                let settings = json!({ "url": server.lock().await.url() });
                Ok(Self { settings, backing: self.backing.clone() })
            }
            Backing::Nothing | Backing::Folder(_) => bail!("this place has no backend"),
        }
    }

    fn base_dir(&self) -> PathBuf {
        match &*self.backing {
            Backing::Folder(folder) => folder.path().to_path_buf(),
            Backing::Nothing | Backing::Redis(_) => PathBuf::new(),
        }
    }
}

/// A store opened by a case.
#[derive(Debug)]
pub struct Opened {
    /// As the registry hands it out.
    pub state: OpenState,
    /// What it was given.
    pub env: OpenEnv,
    /// Where its data are: they end with the last store that was opened there.
    pub place: Place,
}

/// A component type together with its fixture.
#[derive(Clone)]
pub struct Subject {
    /// The type.
    pub kind: Arc<StateType>,
    /// Its fixture.
    pub fixture: Arc<dyn Fixture>,
}

impl Subject {
    /// Opens a store at `place` that takes its time from `clock`.
    ///
    /// # Errors
    /// Those of the component, and settings it does not take.
    pub async fn open(&self, place: &Place, clock: Arc<dyn Clock>) -> Result<Opened> {
        let mut deserializer = <dyn erased_serde::Deserializer<'_>>::erase(place.settings());
        let settings = self.kind.parse(&mut deserializer).context("settings of the fixture")?;
        let mut env = OpenEnv::new("conformance");
        env.clock = clock;
        env.base_dir = place.base_dir();
        let opening = self.kind.open(settings, env.clone());
        let state = (&SystemClock as &dyn Clock)
            .timeout(crate::server::PATIENCE, opening)
            .await
            .context("opening the store")?
            .with_context(|| format!("opening {}", self.kind.name()))?;
        Ok(Opened { state, env, place: place.clone() })
    }
}

impl Subject {
    /// The type, and the set-up if there are several.
    pub fn name(&self) -> String {
        match self.fixture.variant() {
            None => self.kind.name().to_owned(),
            Some(variant) => format!("{}+{variant}", self.kind.name()),
        }
    }
}

/// The registered types that have a fixture, one entry per set-up, and the names of those types
/// that have none.
pub fn subjects() -> (Vec<Subject>, Vec<&'static str>) {
    let mut registry = Registry::default();
    pillion_components::register_all(&mut registry);
    registry.state_store::<Bare>();
    let fixtures: [Arc<dyn Fixture>; 6] = [
        Arc::new(OfBare),
        Arc::new(Memory),
        Arc::new(Local),
        Arc::new(Redis::default()),
        Arc::new(OwnRedis { variant: "aof" }),
        Arc::new(OwnRedis { variant: "quiet" }),
    ];
    let mut subjects = Vec::new();
    let mut without = Vec::new();
    for kind in registry.state_types() {
        let before = subjects.len();
        let fixtures = fixtures.iter().filter(|fixture| fixture.type_name() == kind.name());
        subjects.extend(fixtures.map(|fixture| Subject { kind: kind.clone(), fixture: fixture.clone() }));
        if subjects.len() == before {
            without.push(kind.name());
        }
    }
    (subjects, without)
}

struct OfBare;

#[async_trait]
impl Fixture for OfBare {
    fn type_name(&self) -> &'static str {
        "state.bare"
    }

    async fn place(&self) -> Result<Place> {
        Ok(Place::new(json!({})))
    }

    fn injected_time(&self) -> bool {
        true
    }
}

struct Memory;

#[async_trait]
impl Fixture for Memory {
    fn type_name(&self) -> &'static str {
        "state.memory"
    }

    async fn place(&self) -> Result<Place> {
        Ok(Place::new(json!({})))
    }

    fn injected_time(&self) -> bool {
        true
    }
}

struct Local;

#[async_trait]
impl Fixture for Local {
    fn type_name(&self) -> &'static str {
        "state.local"
    }

    async fn place(&self) -> Result<Place> {
        let folder = temporary_folder()?;
        Ok(Place { settings: json!({ "dir": "data" }), backing: Arc::new(Backing::Folder(folder)) })
    }

    fn injected_time(&self) -> bool {
        true
    }
}

/// The server named by `PILLION_TEST_REDIS_URL`, otherwise one of our own, started when first
/// needed.
#[derive(Default)]
struct Redis {
    server: OnceCell<RedisServer>,
}

const REDIS_URL: &str = "PILLION_TEST_REDIS_URL";

impl Redis {
    async fn url(&self) -> Result<String> {
        if let Ok(url) = std::env::var(REDIS_URL) {
            return Ok(url);
        }
        // Keyspace events let the component offer watches; without them it must not.
        let options = RedisOptions { keyspace_events: Some("KEA".to_owned()), ..RedisOptions::default() };
        Ok(self.server.get_or_try_init(|| RedisServer::start(options)).await?.url())
    }
}

#[async_trait]
impl Fixture for Redis {
    fn type_name(&self) -> &'static str {
        "state.redis"
    }

    fn missing(&self) -> Option<String> {
        let there = std::env::var_os(REDIS_URL).is_some() || RedisServer::installed();
        (!there).then(|| format!("no redis-server is installed and {REDIS_URL} is not set"))
    }

    async fn place(&self) -> Result<Place> {
        Ok(Place::new(json!({ "url": self.url().await? })))
    }

    fn injected_time(&self) -> bool {
        false
    }

    fn shared_place(&self) -> bool {
        true
    }

    async fn environment(&self) -> Result<Vec<(String, String)>> {
        Ok(vec![(REDIS_URL.to_owned(), self.url().await?)])
    }
}

/// A server for each place, set up in another way: `aof` syncs every write to its append-only file,
/// `quiet` sends no keyspace events.
struct OwnRedis {
    variant: &'static str,
}

impl OwnRedis {
    async fn server(&self) -> Result<RedisServer> {
        let loud = self.variant == "aof";
        let options = RedisOptions {
            append_only: loud.then_some(Fsync::Always),
            keyspace_events: loud.then(|| "KEA".to_owned()),
            ..RedisOptions::default()
        };
        RedisServer::start(options).await
    }
}

#[async_trait]
impl Fixture for OwnRedis {
    fn type_name(&self) -> &'static str {
        "state.redis"
    }

    fn variant(&self) -> Option<&'static str> {
        Some(self.variant)
    }

    fn runs(&self, name: &str) -> bool {
        match self.variant {
            "aof" => matches!(name, "concurrency" | "lifecycle" | "fault"),
            _ => name == "honesty",
        }
    }

    fn missing(&self) -> Option<String> {
        (!RedisServer::installed()).then(|| "no redis-server is installed".to_owned())
    }

    async fn place(&self) -> Result<Place> {
        let server = self.server().await?;
        let settings = json!({ "url": server.url() });
        Ok(Place { settings, backing: Arc::new(Backing::Redis(Mutex::new(server))) })
    }

    fn injected_time(&self) -> bool {
        false
    }

    fn shared_place(&self) -> bool {
        true
    }

    async fn faulty(&self) -> Result<(Place, Proxy)> {
        let server = self.server().await?;
        let proxy = Proxy::start(server.port(), seed::from_environment()).await?;
        let settings = json!({ "url": format!("redis://127.0.0.1:{}", proxy.port()) });
        Ok((Place { settings, backing: Arc::new(Backing::Redis(Mutex::new(server))) }, proxy))
    }

    fn has_faults(&self) -> bool {
        true
    }
}
