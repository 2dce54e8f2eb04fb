//! Component types with every kind of setting, which are configured but never opened.

use std::num::NonZeroU16;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use pillion_spi::caps::StateCaps;
use pillion_spi::state::{Applied, ApplyOptions, Entry, Key, Op, ReadOptions, StateStore};
use pillion_spi::{ByteSize, Component, Error, HumanDuration, OpenEnv, Refusal, Registry, Result, Secret};
use schemars::JsonSchema;
use serde::Deserialize;

/// A registry of the types below.
pub(crate) fn registry() -> Registry {
    let mut registry = Registry::default();
    registry.state_store::<Unopened<LocalConfig>>();
    registry.state_store::<Unopened<MemoryConfig>>();
    registry.state_store::<Unopened<RedisConfig>>();
    registry
}

trait Named {
    const TYPE: &'static str;

    fn check(&self) -> Result<(), Refusal> {
        Ok(())
    }

    fn folder(&self) -> Option<&Path> {
        None
    }
}

struct Unopened<C>(std::marker::PhantomData<C>);

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MemoryConfig {
    /// The most bytes. Default 64MiB.
    #[serde(default)]
    #[expect(dead_code, reason = "only its reading is tested")]
    max_bytes: Option<ByteSize>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LocalConfig {
    /// The folder.
    dir: PathBuf,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its reading is tested")]
struct RedisConfig {
    /// The address.
    url: Url,
    #[serde(default)]
    password: Option<Secret>,
    #[serde(default)]
    tls: Tls,
    #[serde(default)]
    db: u8,
    #[serde(default)]
    pool: Option<NonZeroU16>,
    #[serde(default)]
    weight: f64,
    #[serde(default)]
    timeout: HumanDuration,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    sentinels: Vec<Sentinel>,
    #[serde(default)]
    window: Option<Window>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Tls {
    ca_file: Option<PathBuf>,
    insecure: bool,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its reading is tested")]
enum Mode {
    #[default]
    Single,
    Cluster {
        shards: u16,
    },
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its reading is tested")]
struct Sentinel {
    host: String,
    port: u16,
}

/// A setting whose parts are checked together, by an error that repeats what it found.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(try_from = "[u32; 2]")]
struct Window(#[expect(dead_code, reason = "only its reading is tested")] [u32; 2]);

impl TryFrom<[u32; 2]> for Window {
    type Error = String;

    fn try_from([from, to]: [u32; 2]) -> Result<Self, String> {
        if from < to { Ok(Self([from, to])) } else { Err(format!("the window from {from} to {to} is empty")) }
    }
}

/// A setting whose error repeats what it found.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
struct Url(#[expect(dead_code, reason = "only its reading is tested")] String);

impl TryFrom<String> for Url {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.starts_with("redis://") { Ok(Self(text)) } else { Err(format!("`{text}` is not an address")) }
    }
}

impl Named for MemoryConfig {
    const TYPE: &'static str = "state.memory";
}

impl Named for LocalConfig {
    const TYPE: &'static str = "state.local";

    fn check(&self) -> Result<(), Refusal> {
        match self.dir.as_os_str().is_empty() {
            true => Err(Refusal::new("dir", "`dir` is empty").advice("name a folder")),
            false => Ok(()),
        }
    }

    fn folder(&self) -> Option<&Path> {
        Some(&self.dir)
    }
}

impl Named for RedisConfig {
    const TYPE: &'static str = "state.redis";
}

#[async_trait]
impl<C> Component for Unopened<C>
where
    C: Named + serde::de::DeserializeOwned + JsonSchema + Clone + Send + Sync + 'static,
{
    const TYPE: &'static str = C::TYPE;
    type Config = C;

    fn check(config: &C) -> Result<(), Refusal> {
        config.check()
    }

    fn folder(config: &C) -> Option<&Path> {
        config.folder()
    }

    async fn open(_: C, _: OpenEnv) -> Result<Self> {
        Err(Error::unsupported("never opened"))
    }

    async fn close(&self) {}
}

#[async_trait]
impl<C: Send + Sync + 'static> StateStore for Unopened<C> {
    fn caps(&self) -> StateCaps {
        StateCaps::default()
    }

    async fn read(&self, _: &[Key], _: ReadOptions) -> Result<Vec<Result<Option<Entry>>>> {
        Err(Error::unsupported("never opened"))
    }

    async fn apply(&self, _: Vec<Op>, _: ApplyOptions) -> Result<Applied> {
        Err(Error::unsupported("never opened"))
    }
}
