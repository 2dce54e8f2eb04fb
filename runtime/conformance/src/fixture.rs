//! How a store of each type comes to be in a test.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use async_trait::async_trait;
use pillion_spi::registry::{OpenState, StateType};
use pillion_spi::{Clock, OpenEnv, Registry, SystemClock};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::server::{RedisOptions, RedisServer, temporary_folder};

/// Where one component type finds its backend.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// The `type:` it is for.
    fn type_name(&self) -> &'static str;

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

    /// What a program that runs one case of ours needs in its environment to use the same backend.
    async fn environment(&self) -> Result<Vec<(String, String)>> {
        Ok(Vec::new())
    }
}

/// See [`Fixture::place`].
#[derive(Clone, Debug)]
pub struct Place {
    settings: Value,
    folder: Option<Arc<TempDir>>,
}

impl Place {
    fn new(settings: Value) -> Self {
        Self { settings, folder: None }
    }

    /// The settings of a component that keeps its data here.
    pub fn settings(&self) -> &Value {
        &self.settings
    }

    fn base_dir(&self) -> PathBuf {
        self.folder.as_deref().map(TempDir::path).map(Path::to_path_buf).unwrap_or_default()
    }
}

/// A store opened by a case.
#[derive(Debug)]
pub struct Opened {
    /// As the registry hands it out.
    pub state: OpenState,
    /// What it was given.
    pub env: OpenEnv,
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
        Ok(Opened { state, env })
    }
}

/// The registered types that have a fixture, and the names of those that have none.
pub fn subjects() -> (Vec<Subject>, Vec<&'static str>) {
    let mut registry = Registry::default();
    pillion_components::register_all(&mut registry);
    let fixtures: [Arc<dyn Fixture>; 3] = [Arc::new(Memory), Arc::new(Local), Arc::new(Redis::default())];
    let mut subjects = Vec::new();
    let mut without = Vec::new();
    for kind in registry.state_types() {
        match fixtures.iter().find(|fixture| fixture.type_name() == kind.name()) {
            Some(fixture) => subjects.push(Subject { kind: kind.clone(), fixture: fixture.clone() }),
            None => without.push(kind.name()),
        }
    }
    (subjects, without)
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
        Ok(Place { settings: json!({ "dir": "data" }), folder: Some(Arc::new(folder)) })
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
